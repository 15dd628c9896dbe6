// The answer to a get, as chunks: 130 560 allowed IPs are some 4 MB, and nobody should hold them
// twice. Lines in the order that `wg` expects: the device, then each peer with its own public_key
// line first. `wg` ignores keys that it does not know and fails on known ones that are malformed.
//
// A chunk is lent: it may be wiped once the next one is asked for, and must be, for it holds the
// private key and the preshared keys. They are written digit by digit and never become strings.

import { formatAddress, formatRemote, type Prefix } from '../net/address.ts'
import { hexKeyBytes, writeHexKey } from '../net/keys.ts'
import { type CipherTable, formatCiphers } from '../tables/cipher.ts'
import type { CableStatus, DatapathStatus } from '../tables/status.ts'
import type { Tables, WireguardCable } from '../tables/tables.ts'
import type { Errno } from './errno.ts'

const chunkBytes = 64 * 1024
/** No group of lines that is written in one piece is longer. */
const pieceBytesMax = 1024

/** Everything but the final errno. Cables of other drivers have no keys and are not shown. */
export function* formatDevice(tables: Tables, status: DatapathStatus): Generator<Uint8Array> {
  const { privateKey } = tables.device
  const byName = new Map(status.cables.map(cable => [cable.name, cable]))
  let page = new Page()
  if (privateKey !== undefined) page.key('private_key', privateKey)
  if (status.listenPort !== 0) page.text(`listen_port=${status.listenPort}\n`)
  if (tables.device.fwmark !== 0) page.text(`fwmark=${tables.device.fwmark}\n`)
  for (const cable of tables.cables) {
    if (cable.driver !== 'wireguard') continue
    writePeer(page, cable, byName.get(cable.name))
    for (const prefix of cable.allowedIps) {
      page.text(`allowed_ip=${prefixText(prefix)}\n`)
      if (page.full()) {
        yield page.bytes()
        page = new Page()
      }
    }
    if (page.full()) {
      yield page.bytes()
      page = new Page()
    }
  }
  yield page.bytes()
}

/** The end of every answer. Errors of a set are negative and those of a get positive. */
export function formatErrno(action: 'get' | 'set' | 'none', errno: Errno): Uint8Array {
  const signed = errno === 0 || action === 'get' ? errno : -errno
  return Buffer.from(`errno=${signed}\n\n`, 'latin1')
}

function writePeer(page: Page, cable: WireguardCable, status: CableStatus | undefined): void {
  page.key('public_key', cable.publicKey)
  page.key('preshared_key', cable.presharedKey ?? noKey)
  const remote = status === undefined ? cable.remote : status.remote
  const handshakeMs = status?.lastHandshakeMs ?? 0
  const seconds = Math.floor(handshakeMs / 1000)
  const nanoseconds = Math.floor((handshakeMs - seconds * 1000) * 1e6)
  page.text(
    'protocol_version=1\n' +
      (remote === undefined ? '' : `endpoint=${formatRemote(remote)}\n`) +
      `last_handshake_time_sec=${seconds}\n` +
      `last_handshake_time_nsec=${nanoseconds}\n` +
      `tx_bytes=${status?.txBytes ?? 0}\n` +
      `rx_bytes=${status?.rxBytes ?? 0}\n` +
      `persistent_keepalive_interval=${cable.keepaliveSeconds}\n`,
  )
  if (cable.ciphers !== undefined) page.text(cipherText(cable.ciphers, status))
}

/** Keys of ours, which `wg` does not know; a peer without a choice of ciphers has none of them. */
function cipherText({ enabled, remote }: CipherTable, status: CableStatus | undefined): string {
  const inForce = status?.cipher === undefined ? '' : `hawser_cipher=${status.cipher}\n`
  const advertised = remote === undefined ? '' : `hawser_remote_ciphers=${remote.join(',')}\n`
  return `${inForce}hawser_ciphers=${formatCiphers(enabled)}\n${advertised}`
}

/** The common case by hand: it is a third of the time of a large answer. */
function prefixText(prefix: Prefix): string {
  const { bytes, bits } = prefix
  if (prefix.family === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}/${bits}`
  return `${formatAddress(prefix)}/${bits}`
}

const noKey = new Uint8Array(32)

/** Bytes being filled; allocated alone, not from Node's pool, because they will hold keys. */
class Page {
  readonly #buffer = Buffer.allocUnsafeSlow(chunkBytes)
  #length = 0

  text(text: string): void {
    this.#length += this.#buffer.write(text, this.#length, 'latin1')
  }

  key(name: string, key: Uint8Array): void {
    this.text(`${name}=`)
    writeHexKey(key, this.#buffer, this.#length)
    this.#length += hexKeyBytes
    this.text('\n')
  }

  /** Whether the next piece might not fit. */
  full(): boolean {
    return this.#length > chunkBytes - pieceBytesMax
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }
}
