// Datagrams that found their socket full, as the kernel counts them for a network namespace.

/** RcvbufErrors in the text of /proc/net/snmp. */
export function receiveErrors(snmp: string): number {
  const [names, values] = snmp
    .split('\n')
    .filter(line => line.startsWith('Udp: '))
    .map(line => line.split(' '))
  const column = names?.indexOf('RcvbufErrors') ?? -1
  if (column < 0 || values === undefined) throw new Error('/proc/net/snmp has no RcvbufErrors')
  return Number(values[column])
}
