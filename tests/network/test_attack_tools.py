"""The tools that attackers use, each behind a guard, beside an honest victim behind another and a gateway without one.

    victim eth0 -- softnet -- tap u-victim -- br0 -- eth0 gateway (DHCP server; 1.1.1.1 with a web server)
    attacker eth0 -- softnet -- tap u-attacker --'

Port isolation is off: it alone would keep the attacker's frames from the victim, and hide what the guard lets through.
"""

import os
import pathlib
import re
import signal
import socket
import threading
import time

import pytest

import capture
import netns
import services
from capture import watch  # noqa: F401
from conftest import needs

VICTIM_MAC, ATTACKER_MAC, GATEWAY_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:0b", capture.GATEWAY_MAC
GATEWAY, INTERNET = "192.168.77.1", "1.1.1.1"
SECONDS = 2             # for the tools that never end of themselves


class Traffic:
    """The victim's own business: it fetches a page from the internet over and over, and counts how that went."""

    def __init__(self, namespace):
        self.namespace, self.fetched, self.failed = namespace, 0, []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending.is_set():
            try:
                assert fetch(self.namespace) == b"hello\n"
                self.fetched += 1
            except (OSError, AssertionError) as error:
                self.failed.append(error)
            self.ending.wait(0.05)

    def stop(self):
        self.ending.set()
        self.thread.join()
        assert not self.failed, f"the victim's business failed {len(self.failed)} times: {self.failed[0]!r}"
        assert self.fetched > 0


def fetch(namespace, address=INTERNET, port=80, timeout=4):
    """The body that a web server gives to a client in the namespace."""
    with namespace.entered():
        client = socket.socket()
    with client:
        client.settimeout(timeout)
        client.connect((address, port))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
    return answer.partition(b"\r\n\r\n")[2]


def neighbor(namespace, address):
    """The MAC address that the namespace has for this one; None while it has none."""
    match = re.search(r"lladdr (\S+)", namespace.ip(f"neigh show {address} dev eth0"))
    return match.group(1) if match else None


@pytest.fixture
def scene(segment, watch):  # noqa: F811
    """The network above, both guests with their leases, the victim at work."""
    web = services.WebServer(segment.gateway, INTERNET)
    segment.victim = watch("victim", VICTIM_MAC, "--isolation=off", isolated=False)
    segment.attacker = watch("attacker", ATTACKER_MAC, "--isolation=off", isolated=False)
    victim, attacker = segment.victim.lease(), segment.attacker.lease()
    # The guard does not let it ask for the victim; so it is told.
    segment.attacker.namespace.ip(f"neigh replace {victim} lladdr {VICTIM_MAC} dev eth0 nud permanent")
    hosts = pathlib.Path("/run/ettercap-hosts")     # ettercap reads it as nobody, who may not enter tmp_path
    hosts.write_text(f"{GATEWAY} {GATEWAY_MAC} -\n{victim} {VICTIM_MAC} -\n")
    segment.words = {"victim": victim, "attacker": attacker, "gateway": GATEWAY, "hosts": hosts, "mac": ATTACKER_MAC}
    yield segment
    web.close()


PATIENCE = 20           # what a tool may take on a busy machine before its first frame


def run_all(network, namespace, commands, is_enough, meanwhile=lambda: None, seconds=SECONDS):
    """Run command lines side by side, for `seconds` and until `is_enough`; or until they end, or nobody has patience."""
    logs = network.logs                 # yersinia leaves a file where it is started
    # ettercap wants to become nobody; where there is none, it stays what it is.
    alone = [] if netns.has_other_users() else ["env", "EC_UID=0", "EC_GID=0"]
    bounded = [*alone, "timeout", "-s", "INT", "-k", "1", str(PATIENCE), "sh", "-c"]
    end = time.monotonic() + seconds
    tools = [network.start([*bounded, f"cd {logs}; {command}"], namespace) for command in commands]
    meanwhile()
    while any(tool.running for tool in tools) and (time.monotonic() < end or not is_enough()):
        time.sleep(0.1)
    for tool in tools:
        if tool.running:
            os.killpg(tool.pid, signal.SIGINT)
    for tool in tools:
        tool.wait(5)
    return tools


def counts_all(guard, reasons):
    """Whether this guard has dropped frames for each of the reasons: {side: names}."""
    counters = guard.counters()
    return all(counters.dropped(side, name) > 0 for side, names in reasons.items() for name in names)


# For each test: command lines, and the reasons that softnet must give for what it drops.
ATTACKS = {
    "arpspoof": (["arpspoof -i eth0 -t {victim} {gateway}", "arpspoof -i eth0 {gateway}"], {"arp-spa-spoof"}),
    "ettercap": (["ettercap -T -q -i eth0 -j {hosts} -M arp:remote /{gateway}// /{victim}//"],
                 {"arp-spa-spoof"}),
    "ettercap-dhcp": (["ettercap -T -q -i eth0 -M dhcp:192.168.77.60-70/255.255.255.0/{attacker}"],
                      {"arp-target-denied"}),
    "macof": (["macof -i eth0 -n 2000"], {"eth-src-spoof"}),
    "yersinia": (["sleep 0.3 | yersinia dhcp -attack 1 -interface eth0",
                  "sleep 0.3 | yersinia stp -attack 2 -interface eth0",
                  "sleep 0.3 | yersinia cdp -attack 1 -interface eth0",
                  "sleep 1 | yersinia dtp -attack 1 -interface eth0"], {"eth-src-spoof"}),
    # With the guest's own MAC address for a source, so that what is wrong with the rest shows.
    "yersinia-own-mac": (["yersinia dhcp -attack 0 -source {mac} -interface eth0",
                          "yersinia stp -attack 0 -source {mac} -interface eth0",
                          "yersinia cdp -attack 0 -source {mac} -interface eth0",
                          "yersinia dot1q -attack 0 -source {mac} -interface eth0",
                          "yersinia mpls -attack 0 -source {mac} -interface eth0",
                          "yersinia hsrp -attack 0 -source {mac} -interface eth0"],
                         {"eth-dst-reserved", "ethertype-unknown", "ethertype-vlan"}),
    "arp-scan": (["arp-scan -I eth0 --retry=1 -i 1 192.168.77.0/24",
                  "arp-scan -I eth0 --arpspa={gateway} --arpsha=" + GATEWAY_MAC + " --srcaddr={mac} --retry=1 {victim}",
                  "arp-scan -I eth0 --arpspa={gateway} --retry=1 {victim}",
                  "arp-scan -I eth0 --vlan=0 --arpspa={gateway} --retry=1 {victim}",
                  "arp-scan -I eth0 --llc --arpspa={gateway} --retry=1 {victim}",
                  "arp-scan -I eth0 --arphln=5 --arppln=16 --arphrd=6 --arppro=0x86dd --arpop=2 --retry=1 {victim}",
                  "arp-scan -I eth0 --prototype=0x8035 --arpop=4 --retry=1 {victim}",
                  "arp-scan -I eth0 --padding=414243444546 --arpop=9 --retry=1 {victim}"],
                 {"arp-target-denied", "arp-sha-spoof", "arp-spa-spoof", "ethertype-vlan", "ethertype-unknown",
                  "arp-malformed", "rarp-form"}),
    "hping3": (["hping3 -c 1 -a {victim} -S -p 22 {gateway}",
                "hping3 -c 1 -a 0.0.0.0 --udp -s 68 -p 67 {gateway}",
                "hping3 -c 1 -d 64 -f --udp -s 67 -p 68 {victim}",
                "hping3 -c 1 -d 64 -m 16 --fragoff 1 --udp -p 67 {victim}",
                "hping3 -c 1 --lsrr {gateway}/{victim} --icmp {victim}",
                "hping3 -c 1 -G --icmp {victim}",
                "hping3 -c 1 --rawip -H 41 -d 40 {gateway}",
                "hping3 -c 1 --icmp -C 5 -K 1 --icmp-gw {attacker} --icmp-ipsrc {victim} --icmp-ipdst 8.8.8.8 {victim}",
                "hping3 -c 1 -S -a {victim} -s 80 -p 80 {victim}",
                "hping3 -c 1 --icmp -a {victim} 192.168.77.255",
                "hping3 -c 1 --icmp 192.168.77.255",
                "hping3 -i u1000 --rand-source -S -p 80 {gateway}"],
               {"ip4-src-spoof", "dhcp4-malformed", "dhcp4-server-from-guest", "dhcp4-port-misuse", "ip4-options",
                "icmp-control", "dst-private", "dst-broadcast"}),
}


def case(name):
    marks = [needs(name.split("-own")[0].replace("-dhcp", ""))]
    return pytest.param(name, marks=[*marks, pytest.mark.long] if name in ("arp-scan", "yersinia", "ettercap-dhcp") else marks)


@pytest.mark.parametrize("name", [case(name) for name in ATTACKS])
def test_attack_does_not_get_out(scene, name):
    victim, attacker = scene.victim, scene.attacker
    commands, reasons = ATTACKS[name]
    traffic = Traffic(victim.namespace)
    tools = run_all(scene, attacker.namespace, [command.format(**scene.words) for command in commands],
                    lambda: counts_all(attacker.guard, {"guest": reasons}))
    counters = attacker.guard.counters()
    traffic.stop()

    for reason in reasons:
        assert counters.dropped("guest", reason) > 0, \
            f"{reason} is not in {counters}; the tools said: {[tool.output()[-3:] for tool in tools]}"
    assert neighbor(victim.namespace, GATEWAY) == GATEWAY_MAC
    assert neighbor(scene.gateway, victim.address) == VICTIM_MAC
    assert services.address_of(victim.namespace) == victim.address
    assert fetch(victim.namespace) == b"hello\n"
    assert fetch(attacker.namespace) == b"hello\n"      # the attacker keeps what is his
    third = scene.namespace("third", ipv6=False)
    scene.join(third, "eth0", "br0", mac="52:54:00:00:00:0c")
    services.udhcpc(scene, third)                       # the pool is not drained, and no rogue server answered
    assert services.address_of(third).startswith("192.168.77.")
    assert len(scene.dhcp_server.leases()) == 3


@needs("arpspoof")
def test_tool_works_where_no_guard_is(segment):
    """Else the tests above would prove nothing: without softnet the victim believes the attacker."""
    victim, attacker = segment.namespace("victim", ipv6=False), segment.namespace("attacker", ipv6=False)
    for namespace, mac in (victim, VICTIM_MAC), (attacker, ATTACKER_MAC):
        segment.join(namespace, "eth0", "br0", mac=mac)
        services.udhcpc(segment, namespace)
    web = services.WebServer(segment.gateway, INTERNET)
    assert fetch(victim) == b"hello\n" and neighbor(victim, GATEWAY) == GATEWAY_MAC
    tool = segment.start(["arpspoof", "-i", "eth0", "-t", services.address_of(victim), GATEWAY], attacker)
    netns.wait_for(lambda: neighbor(victim, GATEWAY) == ATTACKER_MAC, 10, "the victim to believe the attacker")
    tool.stop()
    web.close()
