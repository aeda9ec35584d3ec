#!/usr/bin/python3
"""What a guest's connection gets through softnet between two taps, with and without offload, beside bare relays of both kinds; and
through the NAT of slirp and passt, with and without softnet. In namespaces of its own. Run by `make bench`.

    guest eth0 (a tap) -- relay -- tap in br0 -- gateway eth0 192.168.77.1
    guest eth0 (a tap) -- slirp4netns, pasta, or a relay and passt or slirp -- 192.168.88.1 server 192.168.89.1

    tests/bench/taps.py FOLDER [ROUNDS [PAGE]]    leaves taps.json and taps.svg there, and prints three tables. PAGE: puts them there
"""

import pathlib
import shutil
import sys
import tempfile

from bench_run import HERE, SOFTNET, compiled, keep, lose, measure_rounds, publish, ratios, spread, table, told_ratios

sys.path.insert(0, str(HERE.parent / "network"))
import netns                # noqa: E402
import services             # noqa: E402

SECONDS, ROUNDS, SHORT, LONG = 0.6, 9, 1500, 65520
GATEWAY, HOST, NEXT, SERVER = "192.168.77.1", "192.168.88.2", "192.168.88.1", "192.168.89.1"
PAIRS = {"bare": ("pair",), "bare with offload": ("whole",), "softnet without offload": ("--offload", "off"), "softnet": ()}
NATS = "slirp4netns", "softnet over slirp", "pasta", "passt, bare relay", "softnet over passt"
WAYS, TRIPS = ("up", "down"), "trips"
STALLED = 0.01         # Gbit/s
MAC = "52:54:00:00:00:50"


def spent_ns(guest):
    """By its relay and all that stands behind it."""
    return sum(int(path.read_text().split()[0]) for process in guest.processes() for path in family(process.pid))


def family(pid):
    yield pathlib.Path(f"/proc/{pid}/schedstat")
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from family(int(child))


class Pair:
    """A guest on the bridge."""

    def __init__(self, network, tools, arm, number):
        self.namespace, self.address = network.namespace(f"pair{number}"), f"192.168.77.{10 + number}"
        words, mac = PAIRS[arm], f"52:54:00:00:00:{16 + number:02x}"
        if arm.startswith("bare"):
            guest, uplink = f"g-{number}", f"u-{number}"
            self.relay = network.start([tools["taps"], *words, guest, uplink], name=f"pair{number}")
            self.relay.wait_line("ready")
            network.host.ip(f"link set {uplink} master br0 up")
            network.host.ip(f"link set {guest} netns {self.namespace.name}")
            self.namespace.ip(f"link set {guest} name eth0 address {mac} up")
        else:
            self.relay = services.guard(network, self.namespace, mac, "br0", "--vm-ip", f"{self.address}/24", "--allow", f"{GATEWAY}/32", "--segment",
                                        "none", "--isolation", "off", *words, name=f"pair{number}")
        self.namespace.ip(f"address add {self.address}/24 dev eth0")
        self.namespace.run("ping", "-c", 3, "-i", "0.2", GATEWAY)
        self.peer = GATEWAY

    def processes(self):
        return [self.relay]


def measure(guest, tool, way):
    """Gbit/s, and ns of the processor of all relaying processes for a KiB. Of round trips: us that half, and 99 of 100, took at most."""
    if way == TRIPS:
        return [int(word) / 1000 for word in guest.namespace.run(tool, way, guest.peer, SECONDS).split()]
    before = spent_ns(guest)
    octets = max(1, int(guest.namespace.run(tool, "tcp" if way == "up" else "down", guest.peer, SECONDS).split()[0]))
    return octets * 8e-9 / SECONDS, (spent_ns(guest) - before) / (octets / 1024)


class Nat:
    """A guest behind a NAT. slirp4netns and pasta stand in the guest's namespace; the others get frames."""

    def __init__(self, network, tools, arm, mtu, number):
        self.network, self.tools, self.mtu, self.name = network, tools, mtu, f"nat{number}"
        self.namespace, self.peer = network.namespace(self.name), SERVER
        if arm == "slirp4netns":
            self.relay = self.start("slirp4netns", "--netns-type=path", "-c", f"--mtu={mtu}", self.namespace.path, "eth0")
        elif arm == "pasta":
            self.relay = self.start("pasta", "-f", "--runas", "0", "--config-net", "--mtu", mtu, "--ns-ifname", "eth0", "--netns-only", "--netns", self.namespace.path)
        elif arm == "softnet over slirp":
            self.guarded("10.0.2.15", "10.0.2.2", "slirp")
        else:
            self.socket = network.logs / f"{self.name}.sock"
            self.passt = self.start("passt", "-f", "--runas", "0", "--no-map-gw", "--mtu", mtu, "-s", self.socket, name=f"{self.name}-passt")
            netns.wait_for(self.socket.exists)
            if arm == "softnet over passt":
                self.guarded(HOST, NEXT, f"stream:{self.socket}")
            else:
                self.relay = network.start([tools["taps"], "stream", self.tap, self.socket], name=self.name)
                self.relay.wait_line("ready")
                self.settle(HOST, NEXT)
        netns.wait_for(lambda: "eth0" in self.namespace.ip("-4 -br address"), what=f"{arm}: an address")
        netns.wait_for(self.reaches, 20, f"{arm}: the server")

    @property
    def tap(self):
        return f"g-{self.name}"

    def start(self, *words, name=None):
        return self.network.start(list(words), name=name or self.name)

    def guarded(self, address, gateway, uplink):
        self.relay = self.network.start([SOFTNET, "--vm-mac-address", MAC, "--guest", f"tap:{self.tap}", "--uplink", uplink, "--mtu", self.mtu, "--vm-ip",
                                         f"{address}/24", "--gateway", gateway, "--allow", f"{SERVER}/32", "-v"], name=self.name)
        self.relay.wait_line("gateway MAC addresses")
        self.settle(address, gateway)

    def settle(self, address, gateway):
        self.network.host.ip(f"link set {self.tap} netns {self.name}")
        self.namespace.ip(f"link set {self.tap} name eth0 address {MAC} mtu {self.mtu} up")
        self.namespace.ip(f"address add {address}/24 dev eth0")
        self.namespace.ip(f"route add default via {gateway}")

    def reaches(self):
        return self.namespace.run(self.tools["traffic"], "down", SERVER, 0.05, check=False).split()[:1] not in (["0"], [])

    def processes(self):
        return [self.relay, *([self.passt] if hasattr(self, "passt") else [])]


def make_guests(network, tools):
    """{arm: guest}. Of the NATs those that are installed."""
    network.bridge("br0")
    gateway, server = network.namespace("gateway"), network.namespace("server")
    network.join(gateway, "eth0", "br0", f"{GATEWAY}/24", mac="52:54:00:00:00:01")
    network.host.ip("link add out type veth peer name eth0 netns server")
    network.host.ip(f"address add {HOST}/24 dev out")
    network.host.ip("link set out up")
    for words in f"address add {NEXT}/24 dev eth0", "link set eth0 up", f"address add {SERVER}/32 dev lo", "link set lo up":
        server.ip(words)
    network.host.ip(f"route add default via {NEXT}")
    for namespace in gateway, server:
        network.start([tools["traffic"], "serve"], namespace, name=f"serve-{namespace.name}").wait_line("serving")
    wanted = {arm: lambda arm=arm, number=number: Pair(network, tools, arm, number) for number, arm in enumerate(PAIRS)}
    for number, (arm, mtu) in enumerate((arm, mtu) for mtu in (SHORT, LONG) for arm in NATS if mtu == SHORT or "slirp" in arm):
        wanted[arm, mtu] = lambda arm=arm, mtu=mtu, number=number: Nat(network, tools, arm, mtu, number)
    return {arm: guest for arm, make in wanted.items() if (guest := made(arm, make))}


def made(arm, make):
    """None: it is not installed, or did not come up."""
    needs = "passt" if "passt" in arm[0] else arm[0]
    if isinstance(arm, tuple) and "softnet over slirp" not in arm and not shutil.which(needs):
        return lose(arm, f"{needs} is not installed")
    try:
        return make()
    except Exception as error:          # the other arms are worth having
        return lose(arm, error)


def beside(values, others):
    """Ratios of the rounds in which neither connection stood still: of Gbit/s, and of ns."""
    pairs = [(one, other) for one, other in zip(values, others or []) if min(one[0], other[0]) > STALLED]
    return [[one[index] / other[index] for one, other in pairs] for index in (0, 1)]


def bare_of(arm):
    return "bare" if "without" in arm or arm == "bare" else "bare with offload"


def pairs_table(values):
    lines, compared = [], {}
    for way in WAYS:
        rates_beside, costs_beside = (compared.setdefault(f"taps, {way}: {what}, times the bare relay of its kind", {}) for what in ("Gbit/s", "ns a KiB"))
        for arm in PAIRS:
            if (arm, way) not in values:
                continue
            rates, costs = ([one[index] for one in values[arm, way]] for index in (0, 1))
            bare = bare_of(arm)
            rates_beside[arm], costs_beside[arm] = found = beside(values[arm, way], values.get((bare, way)))
            lines.append([way, arm, spread(rates, 2), spread(costs, 0), bare, *map(told_ratios, found)])
    return compared, table(["way", "relay", "Gbit/s", "ns of the processor for a KiB", "beside", "Gbit/s, times that", "ns, times that"], lines)


def trips_table(values):
    lines, compared = [], {}
    for arm in PAIRS:
        if (arm, TRIPS) not in values:
            continue
        cells = []
        for index, what in enumerate(("half of the round trips", "99 of 100 round trips")):
            found = [one[index] for one in values[arm, TRIPS]]
            others = [one[index] for one in values.get((bare_of(arm), TRIPS), [])]
            compared.setdefault(f"taps: {what}, times the bare relay of its kind", {})[arm] = ratios(found, others)
            cells += [spread(found, 0), told_ratios(ratios(found, others))]
        lines.append([arm, *cells])
    return compared, table(["relay", "round trip, us: half of them", "times the bare relay of its kind", "99 of 100", "times that"], lines)


def nats_table(values):
    lines, compared = [], {}
    for mtu in SHORT, LONG:
        for way in WAYS:
            rates, costs = (compared.setdefault(f"NAT, MTU {mtu}, {way}: {what}, times slirp4netns", {}) for what in ("Gbit/s", "ns a KiB"))
            for (arm, its_way), found in values.items():
                if not isinstance(arm, tuple) or arm[1] != mtu or its_way != way:
                    continue
                moved = [one for one in found if one[0] > STALLED]
                if not moved:
                    lines.append([str(mtu), way, arm[0], "stood still", "-", "-", "-"])
                    continue
                rates[arm[0]], costs[arm[0]] = both = beside(found, values.get((("slirp4netns", mtu), way)))
                lines.append([str(mtu), way, arm[0], spread([one[0] for one in found], 2), told_ratios(both[0]), spread([one[1] for one in moved], 0),
                              told_ratios(both[1])])
    return compared, table(["MTU", "way", "NAT", "Gbit/s", "times slirp4netns", "ns of the processor for a KiB", "times slirp4netns"], lines)


def main(folder, rounds=ROUNDS, page=None):
    with tempfile.TemporaryDirectory() as place, netns.Network(place) as network:
        pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
        tools = {name: compiled(pathlib.Path(place), name) for name in ("taps", "traffic")}
        guests = make_guests(network, tools)
        arms = [(arm, way) for arm in guests for way in (*WAYS, TRIPS) if way != TRIPS or arm in PAIRS]
        values = measure_rounds(arms, int(rounds), lambda one: measure(guests[one[0]], tools["traffic"], one[1]))
    (pairs, pairs_told), (trips, trips_told), (nats, nats_told) = pairs_table(values), trips_table(values), nats_table(values)
    publish(page, {"taps": pairs_told, "tap trips": trips_told, "nats": nats_told})
    keep(folder, "taps", [[*arm, found] for arm, found in values.items()], pairs | trips | nats)


if __name__ == "__main__":
    if not netns.inside():
        sys.exit(netns.isolated([sys.executable, *sys.argv]))
    netns.prepare()
    main(*sys.argv[1:])
