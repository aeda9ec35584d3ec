"""Seeing why: what an operator is told of a VM that misbehaved, while it runs and afterwards.

Measured against the counters that softnet prints at SIGUSR1, and against the very frames that the guest sent.
"""

import json
import re
import subprocess
import threading

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


def watch(screen, guest, softnet, reason, frame):
    """A row about `softnet watch`, through a pipe: the guest sends a frame once more."""
    screen.typed("host", f"softnet watch --vm {NAME} | grep {reason}")
    viewer = subprocess.Popen([softnet, "watch", "--vm", NAME], stdout=subprocess.PIPE, text=True)
    end = threading.Timer(8, viewer.kill)
    end.start()
    viewer.stdout.readline()            # how it stands; from here on it tells what is new
    guest.run(f"rawframe send eth0 {frame}")
    line = next((line for line in viewer.stdout if reason in line), "nothing\n")
    end.cancel()
    viewer.kill()
    viewer.wait()
    screen.output("host", line)
    screen.row("watch it being dropped", "a line for it", "seen" if reason in line else "not seen",
               f" {NAME} drop guest {reason} +1: " in line)


def export(screen, guest, softnet, reason):
    """A row about metrics; returns how many drops of that reason there are now."""
    count = guest.process.counters().dropped("guest", reason)
    sample = re.compile(rf'softnet_drops_total{{vm="{NAME}",.*side="guest",reason="{reason}"}} (\d+)')
    screen.typed("host", f"softnet status --vm {NAME} --openmetrics | grep {reason}")
    found = sample.search(netns.run(softnet, "status", "--vm", NAME, "--openmetrics"))
    screen.output("host", found.group() if found else "nothing")
    screen.row("export it to Prometheus", "the same number", found.group(1) if found else "none",
               found is not None and int(found.group(1)) == count)
    return count


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
    policy = folder / "policy"
    policy.write_text("block any\n")
    screen.typed("host", "echo block any >policy; softnet replay --diff policy --frames none all.pcapng | tail -2")
    # Its exit status says that something would be lost.
    compared = netns.run(softnet, "replay", "--diff", policy, "--frames", "none", capture, check=False).splitlines()
    line = next(line for line in compared if line.startswith("--diff: "))
    screen.output("host", line)
    opened, closed = map(int, re.match(r"--diff: (\d+) frames would pass, (\d+) be dropped", line).groups())
    screen.row("ask what `block any` would have done", "stopped honest work", f"{closed} frames more dropped",
               opened == 0 and closed > 0)
