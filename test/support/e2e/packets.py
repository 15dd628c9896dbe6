"""What Node's sockets cannot send: packets with headers of their own, and trains of datagrams.

  raw                                        reads IP packets from standard input, a line of hex each,
                                             and sends them as they are
  train HOST PORT BYTES COUNT ROUNDS DF      sends COUNT datagrams as one UDP_SEGMENT train, ROUNDS times,
                                             and waits for an echo of each; what is lost is sent again
                                             (DF 0: routers may fragment); prints how many that were
"""

import json
import socket
import struct
import sys

SOL_UDP, UDP_SEGMENT = 17, 103
IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO = 10, 0, 2
AGAIN_SECONDS = 0.5
TRIES = 40


def raw():
    ipv4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    ipv6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for line in sys.stdin:
        packet = bytes.fromhex(line)
        if packet[0] >> 4 == 4:
            ipv4.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
        else:
            ipv6.sendto(packet, (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0))


def datagram(number, size):
    """A number, and bytes that belong to it."""
    head = struct.pack(">I", number)
    return (head + bytes((i * 167 + number * 13 + (i >> 8)) & 255 for i in range(size)))[:size]


def collect(sender, wanted):
    """Takes echoes off `wanted` until it is empty or nothing more comes."""
    while wanted:
        try:
            got = sender.recv(65536)
        except TimeoutError:
            return
        number = struct.unpack(">I", got[:4])[0]
        if wanted.get(number, got) != got:
            sys.exit(f"datagram {number} came back wrong")
        wanted.pop(number, None)


def train(host, port, size, count, rounds, df):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sender = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        mode = IP_PMTUDISC_DO if df else IP_PMTUDISC_DONT
        sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, mode)
    sender.settimeout(AGAIN_SECONDS)
    sender.connect((host, port))
    resent = 0
    for turn in range(rounds):
        wanted = {n: datagram(n, size) for n in range(turn * count, (turn + 1) * count)}
        for attempt in range(TRIES):
            resent += len(wanted) if attempt > 0 else 0
            sender.setsockopt(SOL_UDP, UDP_SEGMENT, size)
            sender.send(b"".join(wanted.values()))
            collect(sender, wanted)
            if not wanted:
                break
        if wanted:
            sys.exit(f"{len(wanted)} datagrams of round {turn} have no echo")
    print(json.dumps({"sent": count * rounds, "resent": resent}))


if sys.argv[1] == "raw":
    raw()
else:
    host, *numbers = sys.argv[2:]
    train(host, *map(int, numbers))
