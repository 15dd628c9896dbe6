"""Writes every frame that an interface sees to standard output, as `tcpdump -w -` does, until SIGINT.

For labs of plain users: tcpdump gives up root when it has it and cannot in a user namespace, where
setgroups(2) is refused. Usage: capture.py INTERFACE
"""

import socket
import struct
import sys
import time

ETH_P_ALL = 3
SNAP_LENGTH = 262144
SO_RCVBUFFORCE = 33

frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
try:
    frames.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
except PermissionError:
    pass  # Allowed to root of the first user namespace only; the usual buffer has to do.
frames.bind((sys.argv[1], ETH_P_ALL))
out = sys.stdout.buffer
out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_LENGTH, 1))
out.flush()
try:
    while True:
        frame = frames.recv(SNAP_LENGTH)
        now = time.time_ns() // 1000
        out.write(struct.pack("<IIII", now // 1_000_000, now % 1_000_000, len(frame), len(frame)))
        out.write(frame)
        out.flush()
except KeyboardInterrupt:
    pass
