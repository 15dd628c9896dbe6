// The messages of WireGuard (whitepaper 5.4) as named byte offsets, and the numbers of the protocol.
// All integers are little-endian. The first word is the type with three zero bytes behind it, so it
// is compared whole; the lengths of handshake messages are exact.
//
//   initiation, 148 bytes              response, 92 bytes
//     0 type 1      4 sender index       0 type 2        4 sender index    8 receiver index
//     8 ephemeral public key, 32        12 ephemeral public key, 32
//    40 sealed static public key, 48    44 sealed nothing, 16
//    88 sealed TAI64N, 28               60 mac1, 16     76 mac2, 16
//   116 mac1, 16  132 mac2, 16
//
//   cookie reply, 64 bytes             data, 32 bytes and more
//     0 type 3      4 receiver index     0 type 4        4 receiver index  8 counter, u64
//     8 nonce, 24  32 sealed cookie, 32 16 sealed packet and its tag, 16
//
// Bytes 8-116 of an initiation and 12-60 of a response are the messages of Noise IKpsk2 as they are
// (noise.ts); the rest is WireGuard's frame around them.

export const INITIATION = {
  TYPE: 1,
  BYTES: 148,
  SENDER: 4,
  NOISE: 8,
  NOISE_END: 116,
} as const

export const RESPONSE = {
  TYPE: 2,
  BYTES: 92,
  SENDER: 4,
  RECEIVER: 8,
  NOISE: 12,
  NOISE_END: 60,
} as const

export const COOKIE_REPLY = {
  TYPE: 3,
  BYTES: 64,
  RECEIVER: 4,
  NONCE: 8,
  COOKIE: 32,
} as const

/** mac1 and mac2 are the last 32 bytes of an initiation and of a response. */
export const MACS = { MAC1_FROM_END: 32, MAC2_FROM_END: 16, BYTES: 16 } as const

/** What the whitepaper fixes (section 6 and 5.4). Both ends must agree on these. */
export const specification = {
  construction: 'Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s',
  identifier: 'WireGuard v1 zx2c4 Jason@zx2c4.com',
  labelMac1: 'mac1----',
  labelCookie: 'cookie--',
  keyBytes: 32,
  tagBytes: 16,
  timestampBytes: 12,
  rekeyAfterMs: 120_000,
  rejectAfterMs: 180_000,
  rekeyAttemptMs: 90_000,
  rekeyTimeoutMs: 5_000,
  keepaliveTimeoutMs: 10_000,
  /** A cookie, and the secret that it is made from, live this long. */
  cookieMs: 120_000,
} as const

/** What is ours to choose; most of it as the Linux driver chose. */
export const implementation = {
  /** The same handshake with AES-256-GCM, between two Hawsers. */
  aesConstruction: 'Noise_IKpsk2_25519_AESGCM_BLAKE2s',
  /** Retries are spread over this much more, else two sides that collided collide again. */
  jitterMs: 334,
  /** No cookie is used in its last seconds: it might expire on the way (COOKIE_SECRET_LATENCY). */
  cookieLatencyMs: 5_000,
  /** What was sealed with a keypair before the last two is received for so long after a change. */
  olderMs: 5_000,
  /** Keys are forgotten when no session has been made for this long (3 x rejectAfterMs). */
  zeroAfterMs: 540_000,
  /** An initiation that comes sooner after the one before is dropped (INITIATIONS_PER_SECOND). */
  initiationSpacingMs: 20,
  /** Handshake messages that wait for their turn. */
  handshakeQueue: 1_024,
  /** From here on every handshake needs a cookie, and for a second after. */
  underLoadQueue: 128,
  underLoadMs: 1_000,
  /** Nonces of ChaCha20-Poly1305, exact in a double; the cipher itself would allow 2^64. */
  chachaRekeyAtMessages: 2 ** 52,
  chachaRejectAfterMessages: 2 ** 53,
  /**
   * Every so many-th initiation without an answer is made with ChaCha20-Poly1305, which every peer
   * has: two ends that do not know the same of each other's ciphers still meet.
   */
  fallbackEvery: 3,
  /**
   * AES-GCM: confidentiality allows so many messages under a key, by the size of the largest one
   * (RFC 9001 B.1.1: packets times bytes stay below 2^39). New keys are asked for at the half.
   * Its limit on forgeries, 2^52, is out of reach of a key that lives for three minutes.
   */
  aesRejectAfterMessages: [
    { bytes: 2 * 1024, messages: 2 ** 28 },
    { bytes: 9 * 1024, messages: 2 ** 26 },
    { bytes: 64 * 1024, messages: 2 ** 23 },
  ],
} as const

export function readIndex(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset] |
      (bytes[offset + 1] << 8) |
      (bytes[offset + 2] << 16) |
      (bytes[offset + 3] << 24)) >>>
    0
  )
}

export function writeIndex(bytes: Uint8Array, offset: number, index: number): void {
  bytes[offset] = index
  bytes[offset + 1] = index >>> 8
  bytes[offset + 2] = index >>> 16
  bytes[offset + 3] = index >>> 24
}

/** The type of a handshake message whose whole first word and length are right, else 0. */
export function handshakeType(message: Uint8Array): 0 | 1 | 2 | 3 {
  if (message.length < 4) return 0
  const word = readIndex(message, 0)
  if (word === INITIATION.TYPE && message.length === INITIATION.BYTES) return 1
  if (word === RESPONSE.TYPE && message.length === RESPONSE.BYTES) return 2
  if (word === COOKIE_REPLY.TYPE && message.length === COOKIE_REPLY.BYTES) return 3
  return 0
}
