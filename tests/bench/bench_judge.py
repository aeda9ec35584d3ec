"""How long the programs of a guard in the kernel take for one frame, by BPF_PROG_RUN: from a guest, with no rules and with 4096.

Hot: the frame again and again in one call of the kernel, so that all is in the caches. Cold: once a call, for many calls.
New: once a call, and each frame from another port, so that the judge has said nothing of one like it.

A program takes away the number of its guard behind each frame. So a small program stands before it, as at the port: it puts the
number there, and goes on to the judge. What the same takes with a judge that does nothing is subtracted.
"""

import ctypes
import itertools
import os
import platform
import socket
import statistics
import struct

import netns
import rawguest
import services

SYS_BPF = {"x86_64": 321}.get(platform.machine(), 280)
MAP_CREATE, MAP_UPDATE, PROG_LOAD, PROG_ATTACH, PROG_RUN, PROG_BY_ID, PROG_QUERY = 0, 2, 5, 8, 10, 13, 16
SCHED_CLS, PROG_ARRAY, TAIL_CALL, TCX_INGRESS, TCX_EGRESS = 3, 3, 12, 46, 47
COLD_CALLS, HOT_CALLS, HOT_REPEATS, RULES, CB_AT, CONTEXT = 20000, 200, 10000, 4096, 48, 192
MAC, GATEWAY_MAC, ME, PEER = "52:54:00:00:00:50", "52:54:00:00:00:01", "192.168.77.50", "1.1.1.1"
ME6, PEER6 = "2001:470:1::50", "2606:4700:4700::1111"


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = netns.libc.syscall(SYS_BPF, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command})")
    return result, buffer.raw


def programs_at(port):
    """At its ingress: that of the port, and the judge. (Linux 6.6 and newer have such a list.)"""
    ids = (ctypes.c_uint32 * 8)()
    bpf(PROG_QUERY, struct.pack("=IIIIQI36x", socket.if_nametoindex(port), TCX_INGRESS, 0, 0, ctypes.addressof(ids), 8))
    return [bpf(PROG_BY_ID, struct.pack("I12x", number))[0] for number in ids[:2]]


def slot_of(program, frame):
    """What it leaves beside a frame."""
    context, octets = ctypes.create_string_buffer(CONTEXT), ctypes.create_string_buffer(frame, len(frame))
    bpf(PROG_RUN, struct.pack("=IIIIQQIIIIQQIII4x", program, 0, len(frame), 0, ctypes.addressof(octets), 0, 1, 0, 0, CONTEXT, 0,
                              ctypes.addressof(context), 0, 0, 0))
    return struct.unpack_from("I", context, CB_AT)[0]


def instruction(code, registers=0, offset=0, value=0):
    return struct.pack("=BBhi", code, registers, offset, value)


def load(*code):
    octets, license = ctypes.create_string_buffer(b"".join(code)), ctypes.create_string_buffer(b"GPL")
    return bpf(PROG_LOAD, struct.pack("=IIQQ48x", SCHED_CLS, len(octets) // 8, ctypes.addressof(octets), ctypes.addressof(license)))[0]


def put_up_empty(port):
    """A program that does nothing at the ingress and the egress of the port: what any program costs there."""
    empty = load(instruction(0xB7, 0, 0, -1), instruction(0x95))
    for hook in TCX_INGRESS, TCX_EGRESS:
        bpf(PROG_ATTACH, struct.pack("=IIII48x", socket.if_nametoindex(port), empty, hook, 0))
    os.close(empty)


def behind_slot(judge, slot):
    """A program that says whose the frame is and goes on to the judge. None: to one that does nothing."""
    judge = load(instruction(0xB7, 0, 0, -1), instruction(0x95)) if judge is None else judge
    table = bpf(MAP_CREATE, struct.pack("=IIII52x", PROG_ARRAY, 4, 4, 1))[0]
    key, value = ctypes.c_uint32(0), ctypes.c_uint32(judge)
    bpf(MAP_UPDATE, struct.pack("=I4xQQQ", table, ctypes.addressof(key), ctypes.addressof(value), 0))
    return load(instruction(0xB7, 2, 0, slot), instruction(0x63, 0x21, CB_AT),                      # cb[0] = slot
                instruction(0x18, 0x12, 0, table), instruction(0), instruction(0xB7, 3), instruction(0x85, 0, 0, TAIL_CALL),
                instruction(0xB7, 0, 0, -2), instruction(0x95))


def run(program, frames, repeats, calls):
    """What it answered, and the median time in ns."""
    frame = next(frames)
    octets = ctypes.create_string_buffer(frame, len(frame))
    attributes = struct.pack("=IIIIQQIIIIQQIII4x", program, 0, len(frame), 0, ctypes.addressof(octets), 0, repeats, 0, 0, 0, 0, 0, 0, 0, 0)
    answers = []
    for _ in range(calls):
        octets.raw = next(frames)
        answers.append(bpf(PROG_RUN, attributes)[1])
    verdicts = {struct.unpack_from("i", answer, 4)[0] for answer in answers}
    return verdicts, statistics.median(struct.unpack_from("I", answer, 36)[0] for answer in answers)


def from_other_ports(frame):
    """The same frame, without end, each time from the next of many ports."""
    at = 34 if frame[12:14] == b"\x08\x00" else 54
    for port in itertools.cycle(range(20000, 60000)):
        yield frame[:at] + struct.pack("!H", port) + frame[at + 2:]


def nanoseconds(judge, slot, frame):
    """Hot, cold and new."""
    programs = behind_slot(None, slot), behind_slot(judge, slot)
    found = []
    for frames, repeats, calls in (itertools.repeat(frame), HOT_REPEATS, HOT_CALLS), (itertools.repeat(frame), 1, COLD_CALLS), \
            (from_other_ports(frame), 1, COLD_CALLS):
        (_, call), (verdicts, whole) = (run(program, frames, repeats, calls) for program in programs)
        assert verdicts == {-1}, verdicts         # it passes
        found.append(whole - call)
    for fd in programs:
        os.close(fd)
    return found


def frames():
    ports = struct.pack("!HH", 4000, 443)
    tcp, udp = ports + bytes(8) + b"\x50\x10\x20\0" + bytes(4), ports + b"\0\x08\0\0"
    six = rawguest.mac_bytes(GATEWAY_MAC) + rawguest.mac_bytes(MAC) + b"\x86\xdd"
    addresses = socket.inet_pton(socket.AF_INET6, ME6) + socket.inet_pton(socket.AF_INET6, PEER6)
    for name, protocol, above in ("TCP", 6, tcp), ("UDP", 17, udp):
        yield f"{name} of IPv4", rawguest.ipv4(MAC, GATEWAY_MAC, ME, PEER, protocol, above)
        yield f"{name} of IPv6", six + struct.pack("!IHBB", 6 << 28, len(above), protocol, 64) + addresses + above


def rules():
    """About other destinations, of both families."""
    yield from (f"block 11.{number >> 8}.{number & 255}.0/24" for number in range(RULES // 2))
    yield from (f"block 2a00:{number:x}::/32" for number in range(RULES // 2))


def measured(network, name, *options):
    network.host.ip(f"link add {name} type veth peer name {name}-far")
    guard = network.start([services.softnet_path(), "attach", name, "--vm-mac-address", MAC, "--vm-ip", f"{ME}/24,{ME6}/64", "--segment", "none",
                           "--gateway-mac", GATEWAY_MAC, "-v", *options], name=name, kind=services.Softnet)
    guard.wait_line("gateway MAC addresses", 120)
    guard.counters()
    mark, judge = programs_at(name)
    slot = slot_of(mark, next(frames())[1])
    found = {sort: nanoseconds(judge, slot, frame) for sort, frame in frames()}
    guard.stop()
    for fd in mark, judge:
        os.close(fd)
    return found


def judge_nanoseconds(network):
    """{sort of frame: hot, cold and new without rules, and the same with 4096}"""
    path = network.logs / "rules"
    path.write_text("\n".join(rules()) + "\n")
    few, many = measured(network, "none"), measured(network, "many", "--policy", path, "--ipv6", "guard")
    return {sort: (*few[sort], *many[sort]) for sort in few}
