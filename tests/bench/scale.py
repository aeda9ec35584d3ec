#!/usr/bin/python3
"""What a host pays for each port: memory, starts, a policy that changes for all, status and metrics. Run by `make bench-scale`, as root.

    guests g0 .. gN -- ports p0 .. pN in br0, each guarded -- gateway eth0 192.168.64.1/18, with a DHCP server

    tests/bench/scale.py FOLDER [PORTS [PAGE]]    leaves scale.json there, and prints tables. PAGE, docs/scale.md: puts them there
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "network"))
import netns                # noqa: E402
import services             # noqa: E402
from bench_run import SOFTNET, keep, lose, publish, table       # noqa: E402
from guards import Guard, number as number_of       # noqa: E402

PORTS, IDLE_SECONDS, SOME, PATIENCE = 500, 10, 50, 60
GATEWAY, GATEWAY_MAC = "192.168.64.1", "52:54:00:00:00:01"
KINDS = "static, left to the kernel", "static", "leased", "relay"
RULES = "block any\nallow @dns:53\nallow 192.0.2.{}\n"


def mac(number):
    return f"52:54:00:01:{number >> 8:02x}:{number & 255:02x}"


def address(number):
    return f"192.168.{80 + (number >> 8)}.{number & 255 or 1}" if number & 255 else f"192.168.{100 + (number >> 8)}.1"


def seconds_of(function, *arguments):
    began = time.monotonic()
    function(*arguments)
    return time.monotonic() - began


def softnet(*words):
    done = subprocess.run([str(SOFTNET), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"softnet {' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


def map_octets():
    """Of all maps of guards, as the kernel counts them."""
    said = json.loads(subprocess.run(["bpftool", "-j", "map", "show"], capture_output=True, text=True, check=True).stdout)
    return sum(one.get("bytes_memlock", 0) for one in said if one.get("name", "").startswith("guard_"))


def free_octets():
    return int(re.search(r"MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text()).group(1)) << 10


def spent_seconds(pids):
    """Of processor time."""
    ticks = 0
    for pid in pids:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid):
    return map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


class Ports:
    """Ports of one kind, made but not guarded yet."""

    def __init__(self, network, kind, count):
        self.network, self.kind, self.count, self.guards = network, kind, count, []
        self.rules = pathlib.Path("/run/rules/all")        # guards read it, and they are nobody
        self.rules.parent.mkdir(exist_ok=True)
        self.rules.write_text(RULES.format(1))
        self.guests = network.namespace(f"guests{len(network.namespaces)}", ipv6=False)
        if kind != "relay":
            network.host.ip("".join(f"link add p{n} type veth peer name g{n} netns {self.guests.name}\n" for n in range(count)))
            self.guests.ip("".join(f"link set g{n} address {mac(n)} up\n" for n in range(count)))
            network.host.ip("".join(f"link set p{n} master br0 up\n" for n in range(count)))

    def words(self, number):
        fixed = ["--vm-ip", f"{address(number)}/18", "--no-dhcp"] if self.kind.startswith("static") else []
        return ["attach", f"p{number}", "--vm-mac-address", mac(number), "--name", f"vm{number}", "--gateway-mac", GATEWAY_MAC,
                "--policy", str(self.rules), *fixed]

    def start(self, number):
        """Answers when the guard stands."""
        if self.kind == "relay":
            guard = Guard(b"\xff" * 6 + bytes.fromhex(mac(number).replace(":", "")) + b"\x88\xb5" + bytes(50), "--name", f"vm{number}")
            while not [line for line in softnet_sockets() if line == f"{guard.process.pid}.sock"]:
                time.sleep(0.002)
            self.guards.append(guard)
        elif self.kind == KINDS[0]:
            softnet(*self.words(number), "--leave")
        else:
            guard = self.network.start([SOFTNET, *self.words(number), "-v"], name=f"guard-{number}", kind=services.Softnet)
            guard.wait_line("gateway MAC addresses", 60)
            guard.counters()
            self.guards.append(guard)

    def pids(self):
        return [getattr(guard, "process", guard).pid for guard in self.guards]

    def own_kib(self):
        """What each process, and those that it has started, have for themselves alone."""
        return statistics.mean(sum(number_of(one, "status", "RssAnon") for one in [pid, *children(pid)]) for pid in self.pids())

    def lease(self, number):
        self.guests.run(services.busybox(), "udhcpc", "-i", f"g{number}", "-n", "-q", "-t", 20, "-T", 1, "-s", "/bin/true")

    def change_one_by_one(self):
        """Each guard by the number of its process; those that were left to the kernel, by what put them there."""
        for number, pid in enumerate(self.pids()):
            softnet("policy", "set", "--control", f"/run/softnet/{pid}.sock", "--block", "any", "--allow", f"192.0.2.{number % 250 + 2}")
        for number in range(self.count if not self.guards else 0):
            softnet(*self.words(number), "--leave", "--allow", "192.0.2.7")

    def change_by_name(self):
        """As somebody would who thinks of one VM: each command asks all guards who they are."""
        for number in range(SOME):
            softnet("policy", "set", "--vm", f"vm{number}", "--block", "any", "--allow", "192.0.2.7")

    def change_file(self):
        """One file for all, and a signal to each; done when all say that they have it."""
        self.rules.write_text(RULES.format(99))
        for pid in self.pids():
            os.kill(pid, signal.SIGHUP)
        wanted = subprocess.run([SOFTNET, "policy", "check", "--policy", self.rules], capture_output=True, check=True).stdout
        wanted = subprocess.run(["sha256sum"], input=wanted, capture_output=True, check=True).stdout.split()[0].decode()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and {one["policy_digest"] for one in json.loads(softnet("status", "--json"))} != {wanted}:
            time.sleep(0.05)
        assert time.monotonic() < end, "not all have the new rules"

    def stop(self):
        for guard in self.guards:
            getattr(guard, "process", guard).send_signal(signal.SIGTERM) if self.kind == "relay" else guard.signal(signal.SIGTERM)
        for guard in self.guards:
            guard.close() if self.kind == "relay" else guard.wait(30)
        if self.kind != "relay":
            self.network.processes[:] = [one for one in self.network.processes if one not in self.guards]
            self.network.host.ip("".join(f"link delete p{n}\n" for n in range(1, self.count)))
            softnet("detach", "p0")         # what is left of the others is given back now
            self.network.host.ip("link delete p0")


def keep_programs(network):
    """A guard elsewhere, so that the kernel checks the programs before the first port."""
    keeper = network.start(["unshare", "--net", "--mount", "sh", "-ec", "mount -t tmpfs tmpfs /run; ip link add keeps0 type veth peer name keeps1; "
                            f"exec {SOFTNET} attach keeps0 --vm-mac-address {mac(0)} -v"], name="keeper")
    keeper.wait_line("gateway MAC addresses", 120)


def softnet_sockets():
    with contextlib.suppress(FileNotFoundError):
        return os.listdir("/run/softnet")
    return []


def measure(network, kind, count):
    ports = Ports(network, kind, count)
    try:
        return measure_ports(ports, kind, count)
    finally:
        ports.stop()


def measure_ports(ports, kind, count):
    free, maps = free_octets(), map_octets()
    starts = [seconds_of(ports.start, number) * 1000 for number in range(count)]
    found = {"one more guard, ms, the first 50": statistics.median(starts[:SOME]), "one more guard, ms, the last 50": statistics.median(starts[-SOME:]),
             "all, s": sum(starts) / 1000}
    if kind == "leased":
        found["all leases, s"] = seconds_of(lambda: [ports.lease(number) for number in range(count)])
    found |= {"maps in the kernel, KiB each": (map_octets() - maps) / count / 1024,
              "memory that the host has less, KiB each": (free - free_octets()) / count / 1024}
    if ports.guards:
        found["memory of the process alone, KiB each"] = ports.own_kib()
        before = spent_seconds(ports.pids())
        time.sleep(IDLE_SECONDS)
        found["processor time of all when idle, ms in a second"] = (spent_seconds(ports.pids()) - before) / IDLE_SECONDS * 1000
    found |= measure_look(count)
    if kind != "relay":
        found["new rules, one guard after the other, s"] = seconds_of(ports.change_one_by_one)
    if ports.guards and kind != "relay":
        found["new rules for one, by its name, s"] = seconds_of(ports.change_by_name) / SOME
        found["new rules in a file for all, s"] = seconds_of(ports.change_file)
    return found


def measure_look(count):
    said, metrics = [], []
    found = {"status of all, s": seconds_of(lambda: said.append(softnet("status", "--json"))),
             "metrics of all, s": seconds_of(lambda: metrics.append(softnet("status", "--openmetrics")))}
    assert len(json.loads(said[0])) == count, f"{len(json.loads(said[0]))} of {count} guards answer"
    samples = [line for line in metrics[0].splitlines() if not line.startswith("#")]
    return found | {"status, KiB each": len(said[0]) / count / 1024, "metrics, KiB each": len(metrics[0]) / count / 1024,
                    "samples each": len(samples) / count}


def main(folder, ports=PORTS, page=None):
    values = {}
    with netns.Network() as network:
        keep_programs(network)
        network.bridge("br0")
        gateway = network.namespace("gateway")
        network.join(gateway, "eth0", "br0", f"{GATEWAY}/18", mac=GATEWAY_MAC)
        services.dnsmasq(network, gateway, "192.168.66.1", "192.168.79.250", router=GATEWAY)
        for kind in KINDS:
            try:
                values[kind] = measure(network, kind, int(ports))
            except Exception as error:      # whatever it is, the others are worth having
                lose(kind, error)
            print(f"{kind}: {values.get(kind)}", file=sys.stderr, flush=True)
    names = list(dict.fromkeys(name for found in values.values() for name in found))
    told = [[name, *(f"{values[kind][name]:,.1f}" if name in values.get(kind, {}) else "-" for kind in KINDS)] for name in names]
    publish(page, {"scale": table([f"{ports} ports", *KINDS], told)})
    keep(folder, "scale", {kind: [found] for kind, found in values.items()}, {})


if __name__ == "__main__":
    absent = [tool for tool in ("bpftool", "dnsmasq") if not shutil.which(tool)]
    if absent or os.geteuid() != 0:
        sys.exit(f"bench-scale: not installed: {', '.join(absent)}" if absent else "bench-scale: run as root")
    if not netns.inside():
        sys.exit(netns.isolated([sys.executable, *sys.argv]))
    netns.prepare()
    netns.run("mount", "-t", "tmpfs", "tmpfs", "/tmp")      # guards of others listen there
    main(*sys.argv[1:])
