#!/usr/bin/python3
"""What a guard in the kernel costs, beside a plain bridge, an empty program, nftables rules and a guard that relays; all in one run, round by
round, so that a busy machine slows all of them. Run by `make bench-attach`, as root.

    guest NAME eth0 -- port in br0, guarded in one of these ways -- gateway eth0 192.168.77.1

    tests/bench/attach.py FOLDER [ROUNDS [PAGE]]    leaves attach.md and attach.svg there. PAGE, docs/performance.md: the tables
                                                    go between its two marks, too, and the picture beside it
"""

import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "network"))
import netns                # noqa: E402
import services             # noqa: E402
from bench_plot import write_plot           # noqa: E402
from bench_judge import judge_nanoseconds, put_up_empty     # noqa: E402

GATEWAY, SECONDS, ROUNDS = "192.168.77.1", 0.5, 15
MARKS = "<!-- measured -->\n", "<!-- until here -->\n"
WAYS = "plain", "empty", "attach", "nftables", "relay"
WHAT = {"cpu": "64 B UDP, frames in a second of the sender's processor", "udp": "64 B UDP, frames/s", "tcp": "TCP without offload, Gbit/s", "work": "TCP without offload, MiB in a second of processor time", "tso": "TCP with TSO, Gbit/s", "ping": "round trip, us"}
TARGETS = {"cpu": "0.93", "udp": "0.93", "tcp": "0.95", "work": "0.95", "tso": "0.98", "ping": "within noise"}
NOT_ITS_OWN = ("cpu", "relay"), ("work", "relay")        # most of the work is another process's
# As libvirt's clean-traffic: MAC address, ARP, source address, nothing else.
RULES = """table bridge guard {{
  chain from_vm {{ type filter hook prerouting priority -300; policy accept; iifname != "{port}" accept; ether saddr != {mac} drop
    ether type arp arp saddr ether != {mac} drop; ether type arp arp saddr ip != {address} drop; ether type arp arp operation {{ 1, 2 }} accept
    ether type arp drop; ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept; ether type ip ip saddr != {address} drop
    ether type ip accept; drop
  }}
  chain to_vm {{ type filter hook postrouting priority 0; policy accept; oifname != "{port}" accept; ether type {{ ip, arp }} accept; drop
  }}
}}
"""


class Guest:
    def __init__(self, network, way, number):
        self.way, self.port, self.address = way, f"p-{way}"[:15], f"192.168.77.{10 + number}"
        self.mac = f"52:54:00:00:00:{16 + number:02x}"
        self.namespace = network.namespace(way)
        options = "--vm-ip", f"{self.address}/24", "--allow", f"{GATEWAY}/32", "--segment", "none", "--isolation", "off"
        if way == "relay":
            services.guard(network, self.namespace, self.mac, "br0", *options, name=way)
        elif way == "attach":
            services.attach(network, self.namespace, self.mac, "br0", *options, name=way)
        else:
            network.join(self.namespace, "eth0", "br0", mac=self.mac)
            self.port = f"{way[:8]}-eth0"
        if way == "empty":
            put_up_empty(self.port)
        self.namespace.ip(f"address add {self.address}/24 dev eth0")
        self.namespace.run("ping", "-c", 3, "-i", "0.2", GATEWAY)

    @contextlib.contextmanager
    def rules(self):
        """Only while it is measured: they cost every port of every bridge."""
        if self.way != "nftables":
            yield
            return
        text = RULES.format(port=self.port, mac=self.mac, address=self.address)
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
        yield
        netns.run("nft", "delete", "table", "bridge", "guard")


class Bench:
    def __init__(self, network, traffic):
        self.traffic = traffic
        network.bridge("br0")
        self.gateway = network.namespace("gateway")
        network.join(self.gateway, "eth0", "br0", f"{GATEWAY}/24", mac="52:54:00:00:00:01")
        self.server = network.start([traffic, "serve"], self.gateway)
        self.server.wait_line("serving")
        self.helpers = [path for path in pathlib.Path("/proc").glob("[0-9]*") if path.joinpath("comm").read_text().startswith("ksoftirqd")]
        self.guests = [Guest(network, way, number) for number, way in enumerate(WAYS)]

    def received(self):
        words = self.gateway.ip("-s link show dev eth0").split("RX:")[1].split("\n")[1].split()
        return int(words[0]), int(words[1])         # octets, frames

    def spent_beside_ns(self):
        """Processor time of the receiver, and of the kernel's threads that have a part in it. (The sender tells its own.)"""
        tasks = [*pathlib.Path(f"/proc/{self.server.pid}/task").iterdir(), *self.helpers]
        return sum(int(task.joinpath("schedstat").read_text().split()[0]) for task in tasks)

    def offloads(self, guest, on):
        for namespace in guest.namespace, self.gateway:
            namespace.run("ethtool", "-K", "eth0", *(word for name in ("tso", "gso", "gro") for word in (name, "on" if on else "off")), check=False)

    def measure(self, guest, what):
        self.offloads(guest, what not in ("tcp", "work"))
        kind = {"tso": "tcp", "work": "tcp", "cpu": "udp"}.get(what, what)
        with guest.rules():
            before, beside_ns = self.received(), self.spent_beside_ns()
            told, spent_ns = map(int, guest.namespace.run("taskset", "-c", 0, self.traffic, kind, GATEWAY, SECONDS).split())
            octets, frames = (now - then for now, then in zip(self.received(), before))
            beside_ns = self.spent_beside_ns() - beside_ns
        return {"cpu": told * 1e9 / spent_ns, "udp": frames / SECONDS, "tcp": octets * 8e-9 / SECONDS, "tso": octets * 8e-9 / SECONDS,
                "work": octets / 2 ** 20 / (spent_ns + beside_ns) * 1e9, "ping": told / 1e3}[what]


def table(values, judge):
    lines = ["| | plain bridge | empty program | attach | nftables | relay | empty program to plain | attach to plain | attach to nftables | wanted |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for what, name in WHAT.items():
        cells = [number(statistics.median(values[what, way])) if (what, way) not in NOT_ITS_OWN else "-" for way in WAYS]
        ratios = [[a / b for a, b in zip(values[what, way], values[what, other])]
                  for way, other in (("empty", "plain"), ("attach", "plain"), ("attach", "nftables"))]
        lines.append(f"| {name} | {' | '.join(cells)} | {' | '.join(map(spread, ratios))} | {TARGETS[what]} |")
    lines += ["", "| judge, ns for a frame | hot | hot, 4096 rules | cold | cold, 4096 rules | new | new, 4096 rules |", "|---|---|---|---|---|---|---|"]
    for name, values_of_sort in judge.items():
        pairs = zip(values_of_sort[:3], values_of_sort[3:])
        lines.append(f"| {name} | {' | '.join(f'{value:.0f}' for pair in pairs for value in pair)} |")
    return "\n".join([*lines, ""])


def put_into(page, told, picture):
    text = page.read_text()
    before, rest = text.split(MARKS[0])
    _, behind = rest.split(MARKS[1])
    page.write_text(f"{before}{MARKS[0]}\n{told}\n{MARKS[1]}{behind}")
    shutil.copy(picture, page.with_suffix(".svg"))


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def spread(ratios):
    return f"{statistics.median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main(folder, rounds=ROUNDS, page=None):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, netns.Network(place) as network:
        traffic = pathlib.Path(place) / "traffic"
        netns.run("cc", "-O2", "-D_GNU_SOURCE", "-pthread", "-o", traffic, HERE / "traffic.c")
        bench, values = Bench(network, traffic), {(what, way): [] for what in WHAT for way in WAYS}
        for turn in range(int(rounds)):
            for what in WHAT:
                for guest in bench.guests[turn % len(WAYS):] + bench.guests[:turn % len(WAYS)]:
                    values[what, guest.way].append(bench.measure(guest, what))
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        judge = judge_nanoseconds(network)
    told = table(values, judge)
    print(told)
    (folder / "attach.md").write_text(told)
    write_plot(folder / "attach.svg", {name: {way: values[what, way] for way in WAYS if (what, way) not in NOT_ITS_OWN} for what, name in WHAT.items()})
    if page:
        put_into(pathlib.Path(page), told, folder / "attach.svg")


if __name__ == "__main__":
    absent = [tool for tool in ("nft", "ethtool", "taskset", "cc") if not shutil.which(tool)]
    if absent or os.geteuid() != 0:
        sys.exit(f"bench-attach: not installed: {', '.join(absent)}" if absent else "bench-attach: run as root")
    if not netns.inside():
        sys.exit(netns.isolated([sys.executable, *sys.argv]))
    netns.prepare()
    main(*sys.argv[1:])
