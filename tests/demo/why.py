"""Seeing why: what an operator is told of a VM that misbehaved, while it runs and afterwards.

Measured against the counters that softnet prints at SIGUSR1, and against the very frames that the guest sent.
"""

import json

import netns

NAME = "hostile"


def folder(network):
    """Where the guard, who is nobody by then, may write."""
    network.logs.chmod(0o711)
    folder = network.logs / "why"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def options(folder):
    return ["--name", NAME, "--events", str(folder / "events"), "--pcap", str(folder / "all.pcapng"), "--frames", "all"]


def ask(screen, guest, softnet):
    """A row about `softnet status`; returns the reason that it names first."""
    counters = guest.process.counters()
    page = netns.run(softnet, "status", "--vm", NAME).splitlines()
    screen.say("")
    screen.say("  -- the operator asks what is going on")
    screen.typed("host", f"softnet status --vm {NAME}")
    drops = page.index("drops")
    screen.output("host", "\n".join(page[:2] + page[drops:drops + 4]))
    *_, count, reason = page[drops + 1].split()
    most = max(counters.drops.values())
    good = page[0].startswith(NAME) and counters.dropped("guest", reason) == most == int(count)
    screen.row("ask softnet status what it drops most", "the right reason", f"{reason}, {count} frames", good)
    return reason, most


def look_back(screen, softnet, folder, reason, count, frame):
    """A row about the events and the capture of a guard that has ended; replay must decide the same about each frame.
    `frame` is one that the guest sent, as hex."""
    events = [json.loads(line) for line in (folder / "events").read_text().splitlines()]
    first = next((event for event in events if event["event"] == "drop" and event["reason"] == reason), {})
    told = sum(event["count"] for event in events if event["event"] == "drop" and event["reason"] == reason)
    capture = folder / "all.pcapng"
    summary = netns.run(softnet, "replay", "--frames", "none", capture).splitlines()
    lines = [line for line in summary if line.split()[1:3] == ["drop", reason]]
    captured = int(lines[0].split()[3]) if lines else 0
    screen.typed("host", f"grep -m 1 {reason} events; softnet replay --frames none all.pcapng")
    screen.output("host", "\n".join([json.dumps(first), *summary]))
    good = (first.get("side"), first.get("total")) == ("guest", 1) and told == captured == count and \
        bytes.fromhex(frame) in capture.read_bytes() and summary[-1].endswith(" of which 0 were others")
    screen.row("look it up when the VM has gone", "the same, by replay", f"{told} told, {captured} replayed", good)
