"""The tools of those who attack IPv6 links, behind a guard, beside a victim and a router that have none:

    attacker eth0 -- softnet -- tap u-attacker -- br0 -- eth0 gateway (radvd) wan -- eth0 internet
                                   victim eth0 --'

and the same tools on the segment, beside a guest behind a guard. The attacker may speak to everybody: else rules for
destinations would keep frames back, and hide what the guard lets through. All the while the victim must know its
router, keep its addresses, get new ones, and have its answers. Some tools are run without a guard as well, where they
must succeed.
"""

import contextlib
import re
import threading
import time

import pytest

import capture
import ipv6_peers
import netns
import oracle
import oracle6
import services
from conftest import needs, needs_others
from ipv6_peers import GATEWAY, GATEWAY_LINK_LOCAL, GATEWAY_MAC, INTERNET, PREFIX, Guest6, radvd
from test_attack_tools import counts_all, run_all

EVIL = "2001:db8:bad::"
NEW = [f"2a00:7700:1:1::{last}" for last in (77, 78, 79)]       # addresses that the victim takes while others object
PROGRAMS = {"bettercap": ["bettercap"], "ettercap": ["ettercap"], "ipv6toolkit": ["ra6"], "redir6": ["frag6"]}
pytestmark = needs("radvd", "atk6-fake_router26", "dhclient")


class Watched6(Guest6):
    """A guest behind a guard, with a capture on each side of it for the oracle."""

    def __init__(self, network, name, *options, **rules):
        super().__init__(network, name, *options)
        ipv6 = oracle6.Port6(self.mac, GATEWAY_LINK_LOCAL, GATEWAY_MAC, **rules)
        self.port = oracle.Port(mac=self.mac, router="192.168.77.1", router_mac=GATEWAY_MAC, ipv6=ipv6)
        self.captures = [capture.Capture(network.host, f"u-{name}"[:15], oracle.LEFT, oracle.ARRIVED),
                         capture.Capture(self.namespace, "eth0", oracle.DELIVERED)]

    def check(self):
        assert self.guard.running, f"softnet of {self.name} has ended: {self.guard.output()[-10:]}"
        capture.check_captures(self.port, self.captures, self.name)


class Witness:
    """Looks all the time at what a guest believes of its network, and lets it talk to the internet."""

    def __init__(self, guest):
        self.guest, self.answers, self.failures, self.complaints = guest, 0, [], []
        self.before = self.facts()
        assert self.before["way"] == GATEWAY_LINK_LOCAL
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self._look, self._talk)]
        for thread in self.threads:
            thread.start()

    def facts(self):
        said = self.guest.namespace.run(
            "sh", "-c", f"ip -6 route show; echo ==; ip -6 address show dev eth0; echo ==; ip -6 neigh show; echo ==; "
                        f"ip -6 route get {INTERNET}; cat /proc/sys/net/ipv6/conf/eth0/hop_limit")
        routes, addresses, neighbors, way = said.split("==\n")
        words = [line.split() for line in routes.splitlines()]
        macs = re.findall(rf"^(?:{GATEWAY_LINK_LOCAL}|{GATEWAY}) .*lladdr (\S+)", neighbors, re.M)
        return {"routes": {tuple(line[:3]) for line in words},
                "addresses": {found for found in re.findall(r"inet6 (\S+) scope \S+ (.*)", addresses)
                              if "tentative" not in found[1]},
                "router's MAC": {*macs, GATEWAY_MAC},
                "way": (re.findall(r"via (\S+)", way) or [None])[0], "hop limit": way.split()[-1]}

    def look(self):
        facts = self.facts()
        new = [(name, self.before[name], now) for name, now in facts.items()
               if name != "addresses" and now != self.before[name]]
        lost = self.before["addresses"] - facts["addresses"]
        foreign = [each for each in facts["addresses"] - self.before["addresses"] if each[0].split("/")[0] not in NEW]
        return [*new, *lost, *foreign]

    def _look(self):
        while not self.ending.wait(0.1):
            self.complaints += self.look()

    def _talk(self):
        while not self.ending.wait(0.05):
            try:
                assert ipv6_peers.exchange(self.guest.namespace, b"hello", INTERNET) == b"hello"
                self.answers += 1
            except (OSError, AssertionError) as error:
                self.failures.append(error)

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def must_be_content(self):
        self.stop()
        assert not self.complaints, f"{self.guest.name}: {len(self.complaints)} complaints, first {self.complaints[:3]}"
        assert self.answers > 0 and not self.failures and not self.look(), f"{self.guest.name}: {self.failures} {self.guest.guard.counters()} {self.guest.guard.output()[-20:]}"


@pytest.fixture
def make_scene(segment6, softnet):
    """make_scene(guarded attacker or not, guarded victim or not): attacker and victim with addresses and a router."""
    watched, echoes = [], []

    def trust(guest):
        """The gateway has no guard: whom it believes is not what is tested here."""
        for address in guest.address, guest.link_local, *NEW:
            segment6.gateway.ip(f"neigh replace {address} lladdr {guest.mac} dev eth0 nud permanent")

    def make(attacker_guarded, victim_guarded, *options, **rules):
        scene = segment6
        for name, guarded in ("attacker", attacker_guarded), ("victim", victim_guarded):
            if not guarded:
                guest = Guest6(scene, name, bare=True)
            elif name == "attacker":        # nothing but the guard's idea of honesty stands between him and the victim
                guest = Watched6(scene, name, "--allow=any", allow=("::/0",), isolated=False)
            else:
                guest = Watched6(scene, name, *options, **rules)
            setattr(scene, name, guest)
            watched.extend([guest] if guarded else [])
        radvd(scene, scene.gateway, PREFIX)
        echoes.append(services.Echo(scene.internet, INTERNET))
        for guest in scene.attacker, scene.victim:
            guest.address = guest.wait_address()
            guest.wait_router(GATEWAY_LINK_LOCAL)
        if victim_guarded:
            trust(scene.victim)
        scene.victim.must_reach(*([] if victim_guarded else [GATEWAY]), INTERNET)
        scene.words = {"victim": scene.victim.address, "victim_ll": scene.victim.link_local, "gateway": GATEWAY,
                       "router": GATEWAY_LINK_LOCAL, "mac": scene.attacker.mac, "me": scene.attacker.link_local,
                       "evil": EVIL, "internet": INTERNET, "victim_mac": scene.victim.mac}
        scene.witness = Witness(scene.victim)
        return scene
    yield make
    for guest in watched:
        guest.check()
    for echo in echoes:
        echo.close()


# For each test: command lines, and the reasons that softnet must give for what it drops.
ATTACKS = {
    "fake_router26": ([f"atk6-fake_router26 {evasion} -A {{evil}}/64 -R {{evil}}/48 -D {{evil}}53 -i 1 -n 2 eth0"
                       for evasion in ("", "-E H", "-E F", "-E 1", "-E H111", "-E D", "-E O", "-E o",
                                       "-s {router} -S " + GATEWAY_MAC, "-s {router} -l 0")] +
                      [f"atk6-fake_router6 {evasion} eth0 {{evil}}/64" for evasion in ("", "-H", "-F", "-D")] +
                      ["atk6-kill_router6 eth0 {router}", "atk6-kill_router6 -HFD eth0 {router}",
                       "atk6-kill_router6 eth0 '*'"],
                      {"guest": "ra-from-guest ip6-fragment ip6-ext-header eth-src-spoof"}),
    "parasite6": (["atk6-parasite6 -l eth0", "atk6-parasite6 -lR eth0", "atk6-parasite6 -lF eth0",
                   "atk6-parasite6 -lH eth0", "atk6-parasite6 -lD eth0"],
                  {"guest": "nd-target-foreign nd-ext-header"}),
    "dos-new-ip6": (["atk6-dos-new-ip6 eth0", "atk6-dos-new-ip6 -S eth0",
                     "na6 -i eth0 -S {mac} -e -o -L"], {"guest": "eth-src-spoof nd-target-foreign"}),
    "fake_advertise6": ([f"atk6-fake_advertise6 {options} -n 3 -w 1 eth0 {address}" for options in (
        "", "-F", "-H", "-f", "-r -s") for address in (
            "{router} {victim_ll} {mac}", "{gateway}", "{victim} {gateway}")],
        {"guest": "nd-target-foreign nd-ext-header ip6-fragment ip6-ext-header"}),
    "redir6": (["atk6-redir6 eth0 {victim} {internet} {router} {me} {mac}",
                "atk6-redir6 eth0 {victim} {gateway} {router} {me} {mac}",
                "atk6-toobig6 -u eth0 {victim} {gateway} 1280", "atk6-toobig6 eth0 {victim} {gateway} 1280",
                "atk6-fragmentation6 eth0 {victim}", "atk6-fragmentation6 -p eth0 {gateway}",
                "frag6 -i eth0 -d {victim} -p",
                "frag6 -i eth0 -d {gateway} -F 20 -l -z 1", "atk6-fake_dhcps6 eth0 {evil}/64 {evil}53"],
               {"guest": "ip6-src-unbound eth-src-spoof ip6-fragment", "uplink": "dhcp6-client-to-guest"}),
    "floods": ([f"atk6-flood_{tool} eth0" for tool in (
        "router26", "router26 -F", "router26 -H", "advertise6", "solicitate6", "rs6", "mld26", "redir6", "dhcpc6",
        "dhcpc6 -N")], {"guest": "eth-src-spoof icmp6-redirect nd-form rate-dhcp"}),
    # With the guest's own MAC address for a source, so that what is wrong with the rest shows.
    "ipv6toolkit": ([f"{command} -i eth0 -S {{mac}}" for command in (
        "ra6 -s {me} -d ff02::1 -t 1800 -P {evil}/64#LA#1800#1800 -e", "ra6 -s {router} -d ff02::1 -t 0 -e",
        "ra6 -s {me} -d ff02::1 -y 24 -u 128", "ra6 -s {me} -d ff02::1 -u 1000 -u 1000 -y 104",
        "ra6 -s {me} -d ff02::1 -H 8", "ra6 -s {me} -d ff02::1 -y 24 -U 8",
        "rd6 -s {router} -d {victim} -t {me} -r {internet}",
        "rd6 -s {me} -d {victim} -t {me} -r {internet} -y 64 -u 64",
        "na6 -s {router} -d {victim_ll} -t {router} -E {mac} -o",
        "na6 -s {router} -d {victim_ll} -t {router} -E {mac} -o -y 16 -u 64", "na6 -s {me} -d ff02::1 -t {me} -r -o -e",
        "na6 -s {me} -d ff02::1 -t {gateway} -E {mac} -o", "na6 -s {me} -d ff02::1 -t {me} -o -E " + GATEWAY_MAC,
        "ns6 -s {router} -d {victim_ll} -t {victim_ll} -E {mac}", "ns6 -s :: -d ff02::1:ff00:1 -t {gateway}",
        "rs6 -s {victim_ll} -d ff02::2 -E {mac}")],
        {"guest": "ra-from-guest nd-target-foreign nd-lla-spoof ip6-src-unbound ip6-fragment"}),
    "bettercap": (["bettercap -no-history -no-colors -iface eth0 -eval 'set ndp.spoof.targets {victim}; set "
                   "ndp.spoof.neighbour {router}; set ndp.spoof.prefix {evil}; ndp.spoof on; sleep 8; quit'",
                   "bettercap -no-history -no-colors -iface eth0 -eval 'set dhcp6.spoof.domains example.test; "
                   "dhcp6.spoof on; sleep 8; quit'"], {"guest": "ra-from-guest"}),
    "ettercap": (["ettercap -T -q -i eth0 -M ndp:remote //{gateway}/ //{victim}/"],
                 {"guest": "nd-target-foreign nd-lla-spoof"}),
}


def listeners(namespace):
    return len(namespace.run("ss", "-0", "-H", "-a").splitlines())


def provoke(scene, wanted):
    """Give the tools that wait for something what they wait for, when so many of them listen, or have come and gone."""
    with contextlib.suppress(netns.NetworkError):
        netns.wait_for(lambda: listeners(scene.attacker.namespace) >= wanted, 0.7)
    scene.start(["timeout", "2", "dhclient", "-d", "-6", "-D", "LL", "-cf", "/dev/null", "-lf", "/dev/null", "-pf",
                 "/dev/null", "-sf", "/bin/true", "eth0"], scene.victim.namespace)
    for address in NEW:             # one after the other, for a tool may listen a little later than it seems
        scene.victim.namespace.ip("neigh flush dev eth0")
        scene.victim.namespace.ip(f"address add {address}/64 dev eth0")
        time.sleep(0.3)


def attack(scene, commands, is_enough=lambda: True):
    attacker, seconds = scene.attacker.namespace, 2
    if "bettercap" in commands[0]:
        attacker.ip("address add 192.168.77.99/24 dev eth0")        # it does nothing without
        attacker.ip("route add default via 192.168.77.1")
        seconds = 4
    wanted = listeners(attacker) + len(commands)
    return run_all(scene, attacker, [command.format(**scene.words) for command in commands], is_enough,
                   lambda: provoke(scene, wanted), seconds)


def words(reasons):
    return {side: names.split() for side, names in reasons.items()}


def new_addresses(scene):
    """What became of the addresses that the victim took meanwhile, when all is decided: how many can be used."""
    def decided():
        found = [each for each in scene.victim.namespace.addresses() if each["local"] in NEW]
        return [not each.get("dadfailed") for each in found] if all(
            each.get("dadfailed") or not each.get("tentative") for each in found) else None
    return sum(netns.wait_for(decided, what="the end of duplicate address detection"))


def must_count(counters, reasons, tools):
    for side, names in words(reasons).items():
        for reason in names:
            assert counters.dropped(side, reason) > 0, \
                f"{reason} is not in {counters}; the tools said: {[tool.output()[-3:] for tool in tools]}"


LONG = "ettercap", "bettercap", "dos-new-ip6"


def case(name, *long):
    marks = [needs(*PROGRAMS.get(name, ())), *([needs_others] if name in ("ipv6toolkit", "redir6") else [])]
    return pytest.param(name, marks=[*marks, pytest.mark.long] if name in long else marks)


@pytest.mark.parametrize("name", [case(name, *LONG) for name in ATTACKS])
def test_attack_does_not_get_out(make_scene, name):
    scene = make_scene(True, False)
    commands, reasons = ATTACKS[name]
    tools = attack(scene, commands, lambda: counts_all(scene.attacker.guard, words(reasons)))
    counters = scene.attacker.guard.counters()
    scene.witness.must_be_content()
    assert new_addresses(scene) == len(NEW)
    must_count(counters, reasons, tools)


# From the segment. A router whose address *and* MAC somebody else uses cannot be told from him, so nobody does here; and
# atk6-kill_router6 '*' does, as soon as it hears the router.
FROM_THE_SEGMENT = {
    "fake_router26": ([command for command in ATTACKS["fake_router26"][0]
                       if GATEWAY_MAC not in command and "'*'" not in command], 
                      {"uplink": "ra-untrusted nd-ext-header ip6-fragment"}),
    "fake_advertise6": (ATTACKS["fake_advertise6"][0] + [
        "atk6-fake_advertise6 -n 3 -w 1 eth0 {victim} {victim_ll} {mac}",
        "atk6-fake_advertise6 -n 3 -w 1 eth0 {victim_ll} ff02::1 {mac}"],
        {"uplink": "nd-claims-guest nd-gateway-spoof nd-ext-header"}),
    "redir6": (ATTACKS["redir6"][0], {"uplink": "icmp6-redirect dhcp6-rogue-server"}),
    "parasites": (ATTACKS["parasite6"][0] + ATTACKS["dos-new-ip6"][0], {"uplink": "nd-gateway-spoof nd-ext-header"}),
    # Fewer of them, as each frame arrives in front of the guard and is kept for the oracle; and to the guest alone, for
    # the gateway's kernel would remember every source, in a table that all namespaces share.
    "floods": (["; ".join(f"timeout 0.3 atk6-flood_{tool} eth0 {{victim_ll}}" for tool in (
        "router26", "router26 -F", "router26 -H", "advertise6", "redir6"))],
        {"uplink": "ra-untrusted ip6-fragment nd-ext-header icmp6-redirect"}),
    "ipv6toolkit": (ATTACKS["ipv6toolkit"][0], {"uplink": "ra-untrusted icmp6-redirect nd-gateway-spoof"}),
}
# With the router's MAC from the operator nobody else's DHCPv6 server is believed; without, the first one would be.
ANCHORED = "redir6"


@pytest.mark.parametrize("name", [case(name, "parasites", "floods", "ipv6toolkit") for name in FROM_THE_SEGMENT])
def test_attack_does_not_reach_the_guest(make_scene, name):
    """Except new addresses: others may object to these, which is what duplicate address detection is for."""
    anchored = name == ANCHORED
    scene = make_scene(False, True, *([f"--gateway-mac={GATEWAY_MAC}"] if anchored else []), anchored=anchored)
    commands, reasons = FROM_THE_SEGMENT[name]
    tools = attack(scene, commands, lambda: counts_all(scene.victim.guard, words(reasons)))
    counters = scene.victim.guard.counters()
    scene.witness.must_be_content()
    must_count(counters, reasons, tools)


@pytest.mark.long
@pytest.mark.parametrize("command, sign", [
    ("atk6-fake_router26 -A {evil}/64 -i 1 -n 2 eth0", "routes"),
    ("atk6-fake_advertise6 -r -n 3 -w 1 eth0 {router} {victim_ll} {mac}", "router's MAC"),
    ("atk6-parasite6 -l eth0", "router's MAC"), ("atk6-kill_router6 eth0 {router}", "routes"),
    ("atk6-dos-new-ip6 eth0", "failed"),
], ids=lambda value: value.split()[0] if value.startswith("atk6") else "")
def test_tool_works_where_no_guard_is(make_scene, command, sign):
    """Else the tests above would prove nothing."""
    scene = make_scene(False, False)
    attack(scene, [command])
    scene.witness.stop()
    if sign == "failed":
        assert new_addresses(scene) < len(NEW)
    else:
        assert any(each[0] == sign for each in scene.witness.complaints), scene.witness.complaints[:5]
