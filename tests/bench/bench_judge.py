"""How long the programs of a guard in the kernel take for one frame, by BPF_PROG_RUN: from a guest, with no rules and with 4096.

Hot: the frame again and again in one call of the kernel, so that all is in the caches. Cold: once a call, for many calls.
New: once a call, and each frame from another port, so that the judge has said nothing of one like it.

Each frame is said to come from the guarded port. What a program that does nothing takes is subtracted.
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
PROG_LOAD, PROG_ATTACH, PROG_RUN, PROG_BY_ID, PROG_QUERY, SCHED_CLS, TCX_INGRESS, TCX_EGRESS = 5, 8, 10, 13, 16, 3, 46, 47
COLD_CALLS, HOT_CALLS, HOT_REPEATS, RULES, INTERFACE_AT, CONTEXT = 20000, 200, 10000, 4096, 40, 192
MAC, GATEWAY_MAC, ME, PEER = "52:54:00:00:00:50", "52:54:00:00:00:01", "192.168.77.50", "1.1.1.1"
ME6, PEER6 = "2001:470:1::50", "2606:4700:4700::1111"


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = netns.libc.syscall(SYS_BPF, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command})")
    return result, buffer.raw


def judge_at(port):
    """At its ingress. (Linux 6.6 and newer have such a list.)"""
    ids = (ctypes.c_uint32 * 8)()
    bpf(PROG_QUERY, struct.pack("=IIIIQI36x", socket.if_nametoindex(port), TCX_INGRESS, 0, 0, ctypes.addressof(ids), 8))
    return bpf(PROG_BY_ID, struct.pack("I12x", ids[0]))[0]


def instruction(code, registers=0, offset=0, value=0):
    return struct.pack("=BBhi", code, registers, offset, value)


def load(*code):
    octets, license = ctypes.create_string_buffer(b"".join(code)), ctypes.create_string_buffer(b"GPL")
    return bpf(PROG_LOAD, struct.pack("=IIQQ48x", SCHED_CLS, len(octets) // 8, ctypes.addressof(octets), ctypes.addressof(license)))[0]


def load_empty():
    return load(instruction(0xB7, 0, 0, -1), instruction(0x95))


def put_up_empty(port):
    """A program that does nothing at the ingress and the egress of the port: what any program costs there."""
    empty = load_empty()
    for hook in TCX_INGRESS, TCX_EGRESS:
        bpf(PROG_ATTACH, struct.pack("=IIII48x", socket.if_nametoindex(port), empty, hook, 0))
    os.close(empty)


def run(program, port, frames, repeats, calls):
    """What it answered, and the median time in ns."""
    frame, context = next(frames), ctypes.create_string_buffer(CONTEXT)
    octets = ctypes.create_string_buffer(frame, len(frame))
    struct.pack_into("I", context, INTERFACE_AT, socket.if_nametoindex(port))
    attributes = struct.pack("=IIIIQQIIIIQQIII4x", program, 0, len(frame), 0, ctypes.addressof(octets), 0, repeats, 0, CONTEXT, 0,
                             ctypes.addressof(context), 0, 0, 0, 0)
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


def nanoseconds(judge, port, frame):
    """Hot, cold and new."""
    empty, found = load_empty(), []
    for frames, repeats, calls in (itertools.repeat(frame), HOT_REPEATS, HOT_CALLS), (itertools.repeat(frame), 1, COLD_CALLS), \
            (from_other_ports(frame), 1, COLD_CALLS):
        (_, call), (verdicts, whole) = (run(program, port, frames, repeats, calls) for program in (empty, judge))
        assert verdicts == {-1}, verdicts         # it passes
        found.append(whole - call)
    os.close(empty)
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
    judge = judge_at(name)
    found = {sort: nanoseconds(judge, name, frame) for sort, frame in frames()}
    guard.stop()
    os.close(judge)
    return found


def judge_nanoseconds(network):
    """{sort of frame: hot, cold and new without rules, and the same with 4096}"""
    path = network.logs / "rules"
    path.write_text("\n".join(rules()) + "\n")
    few, many = measured(network, "none"), measured(network, "many", "--policy", path, "--ipv6", "guard")
    return {sort: (*few[sort], *many[sort]) for sort in few}
