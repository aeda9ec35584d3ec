"""The addresses of this network namespace, asked of the kernel (rtnetlink(7)). Tests ask many times a second, and ip(8) each
time costs more than what they wait for."""

import ipaddress
import socket
import struct

RTM_NEWADDR, RTM_GETADDR, NLMSG_DONE, DUMP = 20, 22, 3, 0x301      # NLM_F_REQUEST | NLM_F_DUMP
HEADER, IFADDRMSG, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBBBI"), struct.Struct("=HH")
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
FLAGS = {"temporary": 0x01, "dadfailed": 0x08, "deprecated": 0x20, "tentative": 0x40, "mngtmpaddr": 0x100}


def addresses(family, index):
    """Of the interface with this number: dicts as of `ip -j address`, with `local`, `scope` (0: global), and each flag that
    is set."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(HEADER.pack(HEADER.size + IFADDRMSG.size, RTM_GETADDR, DUMP, 1, 0) + IFADDRMSG.pack(family, 0, 0, 0, 0))
        found = []
        while True:
            data = kernel.recv(1 << 18)
            while data:
                length, kind = HEADER.unpack_from(data)[:2]
                if kind == NLMSG_DONE:
                    return found
                if kind != RTM_NEWADDR:
                    raise OSError(f"the kernel answers with a message of type {kind}")
                _, _, flags, scope, at = IFADDRMSG.unpack_from(data, HEADER.size)
                if at == index:
                    found.append(entry(attributes(data[HEADER.size + IFADDRMSG.size:length]), flags, scope))
                data = data[aligned(length):]


def aligned(length):
    return (length + 3) & ~3


def attributes(data):
    found = {}
    while data:
        length, kind = ATTRIBUTE.unpack_from(data)
        found[kind] = data[ATTRIBUTE.size:length]
        data = data[aligned(length):]
    return found


def entry(told, flags, scope):
    if IFA_FLAGS in told:       # all 32 of them; the message has room for the first 8
        flags, = struct.unpack("=I", told[IFA_FLAGS])
    return {"local": str(ipaddress.ip_address(told.get(IFA_LOCAL) or told[IFA_ADDRESS])), "scope": scope,
            **{name: True for name, bit in FLAGS.items() if flags & bit}}
