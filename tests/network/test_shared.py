"""An address that two guests share by VRRP, as keepalived and kube-vip do: one has it, the other calls it and takes it over.

    one eth0 -- softnet -- tap u-one -- br0 -- eth0 gateway, who calls the shared address
    two eth0 -- softnet -- tap u-two --'

Ports are not isolated: the two have to hear each other.
"""

import http.client
import json
import signal
import subprocess

import pytest

import netns
import services
from conftest import needs

SHARED, SHARED6, GATEWAY = "192.168.77.100", "fd00:77::100", "192.168.77.1"
MACS = {"one": "52:54:00:00:00:0a", "two": "52:54:00:00:00:0b"}
HOSTS = {"one": ("192.168.77.11", "fd00:77::11"), "two": ("192.168.77.12", "fd00:77::12")}


class Host:
    """A guest with addresses by hand, a web server on all of them, and keepalived."""

    def __init__(self, network, name, priority, *options):
        self.network, self.name = network, name
        self.address, self.address6 = HOSTS[name]
        self.namespace = network.namespace(name)
        self.namespace.set_ipv6(accept_ra=0, accept_dad=0)
        statics = f"{self.address}/24,{self.address6}/64"
        self.guard = services.guard(
            network, self.namespace, MACS[name], "br0", f"--vm-ip={statics}", "--no-dhcp", "--isolation=off",
            "--allow=224.0.0.18,ff02::12,192.168.77.0/24,fd00:77::/64", *options, name=f"softnet-{name}")
        for address in statics.split(","):
            self.namespace.ip(f"address add {address} dev eth0 {'nodad' if ':' in address else ''}")
        self.config = network.logs / f"keepalived-{name}.conf"
        self.config.write_text("global_defs {\n vrrp_garp_master_delay 1\n}\n" + "".join(f"""
vrrp_instance {kind} {{
    state BACKUP
    interface eth0
    virtual_router_id {number}
    priority {priority}
    version 3
    advert_int 0.2
    virtual_ipaddress {{ {address} dev eth0 }}
}}
""" for kind, number, address in (("v4", 51, f"{SHARED}/24"), ("v6", 52, f"{SHARED6}/64"))))
        self.config.chmod(0o600)
        self.web = services.WebServer(self.namespace, "::", body=name.encode())     # of both families

    def start(self):
        files = self.network.logs / f"keepalived-{self.name}"
        self.keepalived = self.network.start(
            ["keepalived", "--dont-fork", "--vrrp", "--log-console", "--log-detail", f"--use-file={self.config}",
             # It locks those of what it does not do here, too.
             *(f"--{what}={files}.{what}" for what in ("pid", "vrrp_pid", "checkers_pid", "bfd_pid"))], self.namespace, name=f"keepalived-{self.name}-{len(self.network.processes)}")

    def holds(self, *addresses):
        shown = self.namespace.ip("address show dev eth0")
        return all(f" {address}/" in shown for address in addresses or (SHARED, SHARED6))

    def close(self):
        self.web.close()


@pytest.fixture
def pair(network):
    network.bridge("br0")
    network.gateway = network.namespace("gateway")
    network.gateway.set_ipv6(accept_ra=0, accept_dad=0)
    network.join(network.gateway, "eth0", "br0", f"{GATEWAY}/24", mac="52:54:00:00:00:01")
    network.gateway.ip("address add fd00:77::1/64 dev eth0")
    made = []

    def make(*options):
        made.extend([Host(network, "one", 150, *options), Host(network, "two", 100, *options)])
        return made
    yield make
    for host in made:
        host.close()


def answers(namespace, address):
    """By ping: the entry of the neighbor as it is, for announcements must change it."""
    family = "-6" if ":" in address else "-4"
    return "1 received" in namespace.run("ping", family, "-n", "-c", "1", "-W", "1", address, check=False)


def served_by(namespace, address):
    """Whose web server it is."""
    client = http.client.HTTPConnection(address, 80, timeout=2)
    with namespace.entered():
        client.connect()
    client.request("GET", "/")
    return client.getresponse().read().decode()


def mac_of(namespace, address):
    words = namespace.ip(f"neigh show {address} dev eth0").split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else None


def status_of(softnet, host):
    text = subprocess.run([softnet, "status", "--json"], capture_output=True, text=True, check=True).stdout
    return next(guard for guard in json.loads(text) if guard["mac"] == MACS[host.name])


@needs("keepalived")
@pytest.mark.parametrize("options", [[f"--shared-ip={SHARED}/24,{SHARED6}/64"]], ids=["shared-ip"])
def test_failover_and_back(pair, network, softnet, options):
    one, two = pair(*options)
    one.start(), two.start()
    netns.wait_for(lambda: one.holds() and not two.holds(SHARED) and not two.holds(SHARED6), 20, "one to have both")
    for address in SHARED, SHARED6:
        netns.wait_for(lambda: answers(network.gateway, address), 5, f"{address} by one")
        assert mac_of(network.gateway, address) == MACS["one"] and served_by(network.gateway, address) == "one"
        # The backup calls it: kube-vip's nodes do.
        netns.wait_for(lambda: answers(two.namespace, address), 5, f"{address} for two")
    one.keepalived.signal(signal.SIGTERM)       # it has time to take its addresses away, and to say that it goes
    one.keepalived.wait()
    netns.wait_for(two.holds, 10, "two to have both")
    for address in SHARED, SHARED6:
        netns.wait_for(lambda: answers(network.gateway, address), 5, f"{address} by two")
        assert mac_of(network.gateway, address) == MACS["two"] and served_by(network.gateway, address) == "two"
        netns.wait_for(lambda: answers(one.namespace, address), 5, f"{address} for one")
    one.start()
    netns.wait_for(lambda: one.holds() and not two.holds(SHARED) and not two.holds(SHARED6), 20, "one to have both again")
    for address in SHARED, SHARED6:
        netns.wait_for(lambda: answers(network.gateway, address) and mac_of(network.gateway, address) == MACS["one"], 5,
                       f"{address} by one again")
        assert served_by(network.gateway, address) == "one"
    for host in one, two:
        counters = host.guard.counters()        # write-error: the guest's interface was not up yet
        refused = counters.dropped("uplink") - counters.dropped("uplink", "write-error")
        assert counters.dropped("guest") == 0 and refused == 0, (host.name, counters)
        shared = [each for each in status_of(softnet, host)["addresses"] if each.get("shared")]
        assert {each["address"] for each in shared} == {SHARED, SHARED6}, shared


@needs("keepalived")
def test_not_shared_it_is_closed(pair, network):
    """With --vm-ip for the address a backup cannot call the holder: what --shared-ip is there for."""
    one, two = pair(f"--vm-ip={SHARED}/24", "--segment=none")
    one.start(), two.start()
    netns.wait_for(lambda: one.holds(SHARED) and not two.holds(SHARED), 20, "one to have it")
    assert not answers(two.namespace, SHARED)
    assert two.guard.counters().dropped("guest", "dst-invalid") > 0
