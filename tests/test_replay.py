#!/usr/bin/env python3
"""`softnet replay` as its users call it, over captures that are written here: docs/observability.md, Replay.

    tests/test_replay.py SOFTNET
"""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile

SOFTNET = os.path.abspath(sys.argv[1])
if "SOFTNET_LONG" not in os.environ:      # to look for leaks takes longer than all else; make check-long does
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
MAC, GUEST, ROUTER = "52:54:00:00:00:0a", bytes.fromhex("52540000000a"), bytes.fromhex("525400000001")
BEGIN_MS = 1790000000000
LOST = 3     # with --diff: what passes would be dropped
OPTIONS = [f"--vm-mac-address={MAC}", "--vm-ip=192.168.64.10/24", "--gateway=192.168.64.1", "--gateway-mac=52:54:00:00:00:01"]
COMMENT = "\n".join(["softnet 0.1.0", *OPTIONS]) + "\n"
LINK = "(52:54:00:00:00:0a > 52:54:00:00:00:01, 54 octets)"


def syn(to_ip, port=443, source=GUEST, target=ROUTER, from_ip="192.168.64.10", flags=2, from_port=40000):
    tcp = struct.pack("!HHIIBBHHH", from_port, port, 0, 0, 0x50, flags, 8192, 0, 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0)
    return target + source + b"\x08\x00" + head + socket.inet_aton(from_ip) + socket.inet_aton(to_ip) + tcp


def syn6(from_ip, to_ip):
    tcp = struct.pack("!HHIIBBHHH", 40000, 443, 0, 0, 0x50, 2, 8192, 0, 0)
    ends = socket.inet_pton(socket.AF_INET6, from_ip) + socket.inet_pton(socket.AF_INET6, to_ip)
    return ROUTER + GUEST + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(tcp), 6, 64) + ends + tcp


def from_network(ip="1.1.1.1", **more):
    return syn("192.168.64.10", source=ROUTER, target=GUEST, from_ip=ip, **more)


GLOBAL, PRIVATE = syn("1.1.1.1"), syn("10.0.0.1", 22)


def block(kind, body):
    length = len(body) + -len(body) % 4 + 12
    return struct.pack("<II", kind, length) + body + bytes(-len(body) % 4) + struct.pack("<I", length)


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(comment=COMMENT, names=("guest", "uplink")):
    """Times are in milliseconds."""
    text = option(1, comment.encode()) if comment else b""
    links = b"".join(block(1, struct.pack("<HHI", 1, 0, 0) + option(2, n.encode()) + option(9, b"\x03")) for n in names)
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + text) + links


def packet(frame, ms=0, link=0, comment=None, flags=None, length=None):
    when = BEGIN_MS + ms
    body = struct.pack("<IIIII", link, when >> 32, when & 0xFFFFFFFF, len(frame), length or len(frame)) + frame
    body += bytes(-len(frame) % 4)
    body += option(1, comment) if comment is not None else b""
    body += option(2, struct.pack("<I", flags)) if flags is not None else b""
    return block(6, body)


def pcap(*frames):
    """(frame, milliseconds)"""
    records = b"".join(struct.pack("<IIII", (BEGIN_MS + ms) // 1000, (BEGIN_MS + ms) % 1000 * 1000, len(f), len(f)) + f
                       for f, ms in frames)
    return struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records


def file(name, content):
    with open(name, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    return name


def replay(*words, status=0, stdin=b""):
    """Its lines; what is on stderr is wanted with an error alone, and then as the last one."""
    run = subprocess.run([SOFTNET, "replay", *words], input=stdin, capture_output=True, timeout=60)
    out, errors = run.stdout.decode("ascii").splitlines(), run.stderr.decode("ascii").splitlines()
    assert run.returncode == status, (words, run.returncode, errors)
    assert len(errors) == (status not in (0, LOST)), (words, errors)
    return out + errors


def records(*words, **more):
    return [json.loads(line) for line in replay("--json", *words, **more)]


def sides(*words):
    return [r["side"] for r in records(*words)[:-1]]


def reasons(*words):
    return [r["reason"] for r in records(*words)[:-1]]


def same(found, expected):
    assert found == expected, f"\n   found: {found}\nexpected: {expected}"


SUMMARY = "side   verdict                                frames           octets"


def test_text_is_that_of_the_contract():
    name = file("c", section() + packet(GLOBAL) + packet(PRIVATE, 2) + packet(from_network(flags=0x12), 1003, 1))
    same(replay(name), [
        f"2026-09-21T14:13:20.000Z guest  pass             IPv4 192.168.64.10 > 1.1.1.1 TCP 40000 > 443 SYN {LINK}",
        f"2026-09-21T14:13:20.002Z guest  drop dst-private IPv4 192.168.64.10 > 10.0.0.1 TCP 40000 > 22 SYN {LINK}",
        "2026-09-21T14:13:21.003Z uplink pass             IPv4 1.1.1.1 > 192.168.64.10 TCP 40000 > 443 SYN ACK "
        "(52:54:00:00:00:01 > 52:54:00:00:00:0a, 54 octets)",
        SUMMARY,
        "guest  pass                                        1               54",
        "guest  drop dst-private                            1               54",
        "uplink pass                                        1               54"])
    same(replay("--frames", "drops", name)[1], SUMMARY)
    same(replay("--frames", "none", name)[0], SUMMARY)
    same(len(replay("--frames", "all", name)), 7)


def test_json_is_that_of_the_contract():
    name = file("c", section() + packet(GLOBAL) + packet(PRIVATE, 2, comment=b"pass"))
    same(records(name), [
        {"number": 1, "time": "2026-09-21T14:13:20.000Z", "side": "guest", "verdict": "pass", "reason": None, "length": 54,
         "frame": f"IPv4 192.168.64.10 > 1.1.1.1 TCP 40000 > 443 SYN {LINK}"},
        {"number": 2, "time": "2026-09-21T14:13:20.002Z", "side": "guest", "verdict": "drop", "reason": "dst-private",
         "recorded": "pass", "length": 54, "frame": f"IPv4 192.168.64.10 > 10.0.0.1 TCP 40000 > 22 SYN {LINK}"},
        {"summary": {"guest": {"pass": {"frames": 1, "octets": 54}, "dst-private": {"frames": 1, "octets": 54}},
                     "uplink": {}, "recorded": {"frames": 1, "others": 1}}}])
    same(records("--frames=none", name), records(name)[2:])
    same([r.get("number") for r in records("--frames=drops", name)], [2, None])


def test_recorded_verdicts_are_compared():
    name = file("c", section() + packet(GLOBAL, comment=b"pass") + packet(GLOBAL, comment=b"drop dst-blocked: a rule") +
                packet(PRIVATE, comment=b"drop dst-private") + packet(PRIVATE, comment=b"drop unheard-of") +
                packet(GLOBAL, comment=b"passed") + packet(GLOBAL, comment=b""))
    lines = replay(name)
    same([line.partition(" (recorded: ")[2] for line in lines[:6]], ["", "drop dst-blocked)", "", "", "", ""])
    same(lines[-1], "the guard's own verdicts: 3, of which 1 were others")


def test_diff_shows_what_two_sets_of_rules_disagree_about():
    name = file("c", section(COMMENT + "--block=8.8.8.8\n") + packet(GLOBAL) + packet(PRIVATE, 1) + packet(syn("8.8.8.8"), 2) +
                packet(syn("9.9.9.9"), 3) + packet(syn("10.9.9.9"), 4))
    rules = file("rules", "allow 10.0.0.1\nallow 8.8.8.8\nblock 9.9.9.9\nblock 10.9.0.0/16\n")
    lines = replay("--diff", rules, name, status=LOST)
    same([line[25:74].rstrip() for line in lines[:4]], [
        "guest  drop dst-private -> pass             IPv4", "guest  drop dst-blocked -> pass             IPv4",
        "guest  pass             -> drop dst-blocked IPv4", "guest  drop dst-private -> drop dst-blocked IPv4"])
    same(lines[-1], "--diff: 2 frames would pass, 1 be dropped, 1 be dropped for another reason")
    found = records("--diff", rules, name, status=LOST)
    same([(r["number"], r["reason"], r["other"]) for r in found[:-1]],
         [(2, "dst-private", "pass"), (3, "dst-blocked", "pass"), (4, None, "dst-blocked"), (5, "dst-private", "dst-blocked")])
    same(found[-1]["summary"]["diff"], {"pass": 2, "drop": 1, "reason": 1})
    same(len(records("--frames=drops", "--diff", rules, name, status=LOST)), 5)
    same(len(records("--frames=none", "--diff", rules, name, status=LOST)), 1)
    replay("--diff", file("wider", "allow any\n"), name)      # nothing that passes is lost
    same(replay("--diff", file("same", "block 8.8.8.8\n"), name)[0], SUMMARY)


def test_two_files_are_merged_by_their_times():
    answer = from_network(port=40000, from_port=443, flags=0x12)
    guest, uplink = file("g", pcap((GLOBAL, 10), (GLOBAL, 30))), file("u", pcap((answer, 0), (answer, 20), (answer, 40)))
    found = records(*OPTIONS, "--inbound=established", "--uplink-pcap", uplink, "--guest-pcap", guest)
    same([(r["side"], r["reason"]) for r in found[:-1]],
         [("uplink", "unsolicited"), ("guest", None), ("uplink", None), ("guest", None), ("uplink", None)])
    same([r["number"] for r in found[:-1]], [1, 2, 3, 4, 5])
    # Of equal times the file that begins first, or was named first, is heard first.
    one, two = file("1", pcap((GLOBAL, 5), (GLOBAL, 9))), file("2", pcap((PRIVATE, 5), (PRIVATE, 9)))
    same(reasons(*OPTIONS, one, two), [None, "dst-private", None, "dst-private"])
    same(reasons(*OPTIONS, two, one), ["dst-private", None, "dst-private", None])


def test_who_sent_it():
    names = section(names=("eth0", "guest", "uplink"))
    same(sides(file("c", names + packet(GLOBAL) + packet(from_network()))), ["guest", "uplink"])
    same(sides(file("c", names + packet(from_network(), link=1) + packet(GLOBAL, link=2))), ["guest", "uplink"])
    same(sides(file("c", names + packet(from_network(), flags=1) + packet(GLOBAL, flags=2) + packet(GLOBAL, flags=0))),
         ["guest", "uplink", "guest"])
    same(sides(file("c", names + packet(GLOBAL, link=1, flags=2))), ["guest"])
    both = file("c", names + packet(GLOBAL) + packet(from_network(), link=1) + packet(GLOBAL, flags=2))
    same(sides(*OPTIONS, "--guest-pcap", both), ["guest"] * 3)
    same(sides(*OPTIONS, "--uplink-pcap", both), ["uplink"] * 3)
    same(sides(file("c", section(names=["x"]) + packet(b"") + packet(GLOBAL[:11]))), ["uplink", "uplink"])


def test_a_new_section_changes_the_rules():
    parts = section() + packet(PRIVATE) + section(COMMENT + "--allow=10.0.0.1\n") + packet(PRIVATE, 1) + \
        section(None) + packet(PRIVATE, 2) + section("of somebody else") + packet(PRIVATE, 3) + section() + packet(PRIVATE, 4)
    name = file("c", parts)
    same(reasons(name), ["dst-private", None, None, None, "dst-private"])
    same(reasons(*OPTIONS, name), ["dst-private"] * 5)      # options that are given are meant
    same(reasons("--diff", file("rules", "allow 10.0.0.1\n"), name), ["dst-private", "dst-private"])
    # Other rules begin without flows, as they do live; the same rules again change nothing.
    open_one, answer = packet(GLOBAL), packet(from_network(port=40000, from_port=443, flags=0x12), 1, 1)
    closed, other = section(COMMENT + "--inbound=established\n"), section(COMMENT + "--inbound=established\n--allow=10.0.0.1\n")
    same(reasons(file("c", closed + open_one + answer + closed + answer + other + answer)), [None, None, None, "unsolicited"])
    # A rotation, named in any order: the older file begins.
    older, newer = file("c.1", section() + packet(PRIVATE)), file("c", section(COMMENT + "--allow=any\n") + packet(PRIVATE, 1))
    same(reasons(newer, older), ["dst-private", None])
    same(reasons(older, newer), ["dst-private", None])


def test_a_new_section_changes_ports_and_sites():
    call = from_network("8.8.8.8", port=22)
    closed = COMMENT + "--inbound=established\n"
    name = file("c", section(closed) + packet(call, link=1) + section(closed + "--expose=2222:22\n") + packet(call, 1, 1) +
                section(closed) + packet(call, 70000, 1))
    same(reasons(name), ["unsolicited", None, "unsolicited"])
    six = COMMENT + "--vm-ip=2a00:9:9::10/64\n"
    near, far = (syn6("2a00:9:9::10", to) for to in ("2a00:1:1::5", "2a00:2:2::5"))
    name = file("c", section(six) + packet(near) + section(six + "--site=2a00:1:1::/48\n") + packet(near, 1) + packet(far, 2))
    same(reasons(name), [None, "dst-local-net", None])
    same(reasons("--site=2a00:2:2::/48", name), [None, None, "dst-local-net"])


def test_the_clock_is_that_of_the_capture():
    """The bucket of multicast fills in the time of the capture, however fast it is read, and also when that jumps."""
    group = syn("224.0.0.251", target=bytes.fromhex("01005e0000fb"))
    query = group[:23] + b"\x11" + group[24:34] + struct.pack("!HHHH", 5353, 5353, 20, 0) + bytes(12)
    limit = ["--rate", "mcast=1/2", "--allow", "224.0.0.251"]
    times = [0, 0, 0, 500, 1100, 1100, 500, 90000, 90000, 90000, 10 ** 14]
    found = reasons(*OPTIONS, *limit, file("c", section() + b"".join(packet(query, ms) for ms in times)))
    late = "rate-mcast"
    same(found, [None, None, late, late, None, late, late, None, None, late, None])
    # The file that begins first starts the clock, whichever was named first.
    one, two = (file(str(at), section() + b"".join(packet(query, at + ms) for ms in (0, 0, 0, 1100))) for at in (0, 9000))
    same(reasons(*OPTIONS, *limit, two, one), [None, None, late, None] * 2)


def test_frames_that_were_cut_are_not_judged():
    name = file("c", section() + packet(GLOBAL[:40], length=1000, comment=b"pass") + packet(GLOBAL, 1) +
                packet(GLOBAL[:40], 2, length=9000))
    assert replay(name)[0].startswith("2026-09-21T14:13:20.000Z guest  cut              IPv4 "), replay(name)
    found = records("--diff", file("rules", "block any\n"), "--frames=all", name, status=LOST)
    same([(r["number"], r["other"]) for r in found[:-1]], [(2, "dst-blocked")])
    found = records(name)
    same([(r["verdict"], r["reason"], r["length"]) for r in found[:-1]],
         [("cut", None, 1000), ("pass", None, 54), ("drop", "frame-oversize", 9000)])
    same(found[-1]["summary"]["guest"]["cut"], {"frames": 1, "octets": 1000})
    same(found[-1]["summary"]["recorded"], {"frames": 0, "others": 0})
    same([r["verdict"] for r in records("--frames=drops", name)[:-1]], ["drop"])


def test_standard_input():
    content = section() + packet(GLOBAL)
    same(replay("-", stdin=content), replay(file("c", content)))
    same(replay("-", stdin=b"", status=1), ["softnet: standard input: empty"])
    same(replay("-", stdin=section()), [SUMMARY])      # no frame at all


def test_refusals_are_one_line_each():
    name = file("c", section(None) + packet(GLOBAL))
    for words, expected in [
            ([], "expected a capture"), ([name], "--vm-mac-address at least"), (["--allow=any", name], "--vm-mac-address: missing"),
            (["--frames=some", name], "--frames"), (["--diff=nowhere", *OPTIONS, name], "--diff: nowhere: No such file"),
            (["--diff", file("bad", "allow nonsense\n"), *OPTIONS, name], "--diff: "), ([*OPTIONS] + [name] * 17, "more than 16"),
            (["--pcap=x", *OPTIONS, name], "--pcap"), (["--control=x", name], "--control"), (["--site=10.0.0.0/8", name], "--site"),
            (["--state=x", *OPTIONS, name], "--state"), (["--openmetrics", *OPTIONS, name], "--openmetrics")]:
        lines = replay(*words, status=2)
        assert len(lines) == 1 and expected in lines[0], (words, lines)


def test_comments_that_cannot_be_followed():
    for line, expected in [("--policy=/etc/shadow", "expected an option that decides something"),
                           ("--mtu=1", "--mtu"), ("\x1b[2J", "expected an option"),
                           ("# the rules do not fit", "the guard's rules did not fit into it; give its options, the rules with --policy")]:
        name = file("c", section(COMMENT + line + "\n") + packet(GLOBAL))
        lines = replay(name, status=1)
        assert len(lines) == 1 and lines[0].startswith("softnet: c: its comment: ") and expected in lines[0], lines
        same(len(replay(*OPTIONS, name)), 3)       # options of one's own do without
        late = file("c", section() + packet(GLOBAL) + section(COMMENT + line + "\n") + packet(GLOBAL))
        lines = replay(late, status=1)
        assert len(lines) == 4 and " pass " in lines[0] and expected in lines[-1], lines
    other = COMMENT.replace(MAC, "52:54:00:00:00:0b")
    lines = replay(file("c", section() + packet(GLOBAL) + section(other) + packet(GLOBAL)), status=1)
    same(lines[-1], "softnet: c: expected captures of one VM")


def test_a_broken_file_shows_what_came_before():
    whole = section() + packet(GLOBAL) + packet(PRIVATE, 1)
    for content, error, shown in [(whole[:-1], "cut off in the midst of a frame", 1), (whole + b"\n", "cut off in the midst of a frame", 2),
                                  (whole + bytes(12), "broken: the length of a block", 2), (b"\x1f\x8b\x08\x00", "compressed", None),
                                  (b"", "empty", None), (b"some text", "expected pcap or pcapng", None)]:
        lines = replay(file("c", content), status=1)
        assert lines[-1].startswith(f"softnet: c: {error}"), lines
        same(lines.index(SUMMARY) if SUMMARY in lines else None, shown)
    same(replay("nowhere", status=1), ["softnet: nowhere: No such file or directory"])
    same(replay(".", status=1), ["softnet: .: Is a directory"])


def test_who_reads_no_more_ends_it_quietly():
    name = file("c", section() + b"".join(packet(GLOBAL, i) for i in range(20000)))
    with subprocess.Popen([SOFTNET, "replay", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert b" guest  pass " in run.stdout.readline()
        run.stdout.close()
        same((run.wait(timeout=60), run.stderr.read()), (0, b""))


def test_a_full_disk_is_an_error():
    for frames in 1, 20000:
        name = file("c", section() + b"".join(packet(GLOBAL, i) for i in range(frames)))
        with open("/dev/full", "wb") as full:
            run = subprocess.run([SOFTNET, "replay", name], stdout=full, stderr=subprocess.PIPE, timeout=60)
        same((run.returncode, run.stderr), (1, b"softnet: cannot write: No space left on device\n"))


def main():
    for name in "SUDO_UID", "SUDO_GID", "SUDO_USER":     # who may not look into root's folder
        os.environ.pop(name, None)
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, test in tests:
            if name == "test_a_full_disk_is_an_error" and not os.path.exists("/dev/full"):
                continue        # macOS
            print(name, flush=True)
            test()


main()
