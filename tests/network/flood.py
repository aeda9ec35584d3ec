"""Sends frames over and over, so many a second, until it is ended:  flood.py INTERFACE PER_SECOND FRAME...

A frame is in hex. Of an ARP request the last octet of the sender's address changes each time, as one would do it who wants
many answers.
"""

import itertools
import socket
import sys
import time

ARP, LAST_OF_SENDER = b"\x08\x06", 31


def main(interface, per_second, *frames):
    frames, pause = [bytes.fromhex(frame) for frame in frames], 1 / int(per_second)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((interface, 0))
    variants = []
    for number, frame in itertools.product(range(100, 200), frames):
        changed = bytearray(frame)
        if frame[12:14] == ARP:
            changed[LAST_OF_SENDER] = number
        variants.append(bytes(changed))
    print("flooding", flush=True)
    due = time.monotonic()
    for frame in itertools.cycle(variants):
        now = time.monotonic()
        if due - now > 0.002:
            time.sleep(due - now)
        due = max(due, now - 0.005) + pause     # who was kept waiting does not make up for it at once
        try:
            wire.send(frame)
        except OSError:                     # the queue is full, which is what it is about
            pass


main(*sys.argv[1:])
