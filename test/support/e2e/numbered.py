"""Numbered datagrams at a steady pace, and who counts them: for proofs that none was lost. In Python,
because the receiver must not lose any itself: it forces a receive buffer that Node cannot set.

  receive PORT                       counts until an end mark comes, then prints {received, distinct,
                                     late, deepest, drops}: `late` came behind a higher number,
                                     `deepest` is the largest such distance, `drops` is what the
                                     kernel says the socket had no room for
  send HOST PORT COUNT RATE BYTES    sends numbers 0 to COUNT - 1, RATE a second, then end marks;
                                     prints {sent, seconds}
  flood HOST PORT SECONDS BYTES      sends as fast as it can, then end marks; prints {sent, seconds}
"""

import json
import socket
import struct
import sys
import time

END = 0xFFFFFFFF
SO_RCVBUFFORCE, SO_RXQ_OVFL, SO_SNDBUFFORCE = 33, 40, 32
BUFFER_BYTES = 128 * 1024 * 1024
# After a pause of its own a sender goes on at its pace; it does not make up for it with a burst.
BURST_MOST = 32


def receive(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        receiver.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        receiver.bind(("0.0.0.0", port))
        print("ready", flush=True)
        seen = bytearray()
        received = late = deepest = drops = 0
        highest = -1
        while True:
            data, ancillary, _, _ = receiver.recvmsg(2048, 64)
            for _, kind, value in ancillary:
                if kind == SO_RXQ_OVFL:
                    drops = struct.unpack("=I", value[:4])[0]
            (number,) = struct.unpack_from(">I", data)
            if number == END:
                break
            if number >= len(seen):
                seen.extend(bytes(number + 1 - len(seen) + 65536))
            received += 1
            seen[number] = 1
            if number < highest:
                late += 1
                deepest = max(deepest, highest - number)
            else:
                highest = number
    counts = {"received": received, "distinct": sum(seen), "late": late, "deepest": deepest}
    print(json.dumps({**counts, "drops": drops}), flush=True)


def open_sender():
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES)
    return sender


def finish(sender, address, sent, started):
    seconds = time.monotonic() - started
    for _ in range(40):
        time.sleep(0.05)
        try:
            sender.sendto(struct.pack(">I", END), address)
        except ConnectionRefusedError:
            break
    print(json.dumps({"sent": sent, "seconds": seconds}), flush=True)


def send(host, port, count, rate, size):
    address = (host, port)
    filler = bytes(size - 4)
    with open_sender() as sender:
        sent = 0
        started = base = time.monotonic()
        base_sent = 0
        while sent < count:
            due = base_sent + int((time.monotonic() - base) * rate) - sent
            if due > BURST_MOST:
                base, base_sent = time.monotonic(), sent
                due = BURST_MOST
            for _ in range(min(due, count - sent)):
                sender.sendto(struct.pack(">I", sent) + filler, address)
                sent += 1
            time.sleep(0.001)
        finish(sender, address, sent, started)


def flood(host, port, seconds, size):
    address = (host, port)
    filler = bytes(size - 4)
    with open_sender() as sender:
        sent = 0
        started = time.monotonic()
        while time.monotonic() < started + seconds:
            for _ in range(64):
                sender.sendto(struct.pack(">I", sent) + filler, address)
                sent += 1
        finish(sender, address, sent, started)


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    if verb == "receive":
        receive(int(rest[0]))
    elif verb == "send":
        send(rest[0], *map(int, rest[1:]))
    else:
        flood(rest[0], *map(int, rest[1:]))
