"""softnet-cni behind the plug-ins of the CNI project, called as a runtime calls them: pods are guarded before anything runs in them.

    a eth0 -- veth, guarded -- cni0, whose host is the gateway 10.9.0.1 and fd09::1 -- veth, guarded -- eth0 b
"""

import concurrent.futures
import json
import pathlib
import shutil
import subprocess

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

import cni_peers
import services
import test_attach
from cni_peers import CniError, CniNetwork, bridge, call, softnet
from netns import run, wait_for
from test_attach import can_reach

WHY_NOT = test_attach.why_not() or cni_peers.why_not("bridge", "ptp", "host-local", "macvlan", "tuning")
pytestmark = [pytest.mark.together("cni"), pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

SUBNETS = "10.9.0.0/24", "fd09::/64"
GATEWAY, GATEWAY6 = "10.9.0.1", "fd09::1"
HOST_ONLY = {"block": "any", "allow": [GATEWAY, GATEWAY6]}
RESULT = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/a"}], "ips": [{"interface": 0, "address": "10.9.0.2/24"}]}


@pytest.fixture
def host(loaded, network):
    network.host.set_ipv6(disable_ipv6=0)
    network.a, network.b = network.namespace("a"), network.namespace("b")
    yield network
    network.host.set_ipv6(disable_ipv6=1)
    for path in "/run/cni-data", "/run/softnet/cni":
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def pods(host):
    host.pods = CniNetwork("pods", bridge(*SUBNETS), softnet(**HOST_ONLY))
    return host


def statuses():
    done = subprocess.run([services.softnet_path(), "status", "--json"], capture_output=True, text=True)
    return {one["name"]: one for one in json.loads(done.stdout or "[]")}


def is_unguarded(host):
    """Nothing of any call is left."""
    left = pathlib.Path("/run/softnet/left")
    return cni_peers.records() == [] and statuses() == {} and not (left.exists() and list(left.iterdir())) and \
        not [link for link in host.host.links() if link.startswith("veth")]


def address_of(pod, interface="eth0"):
    return pod.run("ip", "-4", "-br", "address", "show", "dev", interface).split()[2].split("/")[0]


def port_of(pod, interface="eth0"):
    """The host's end."""
    number = json.loads(pod.ip(f"-j link show dev {interface}"))[0]["link_index"]
    return next(link["ifname"] for link in json.loads(run("ip", "-j", "link")) if link["ifindex"] == number)


def fails(code, words, *arguments, **more):
    with pytest.raises(CniError) as caught:
        call(*arguments, **more)
    assert caught.value.code == code and words in caught.value.message, caught.value
    return caught.value


# --- pods that run ------------------------------------------------------------------------------------------------------

def test_two_pods_one_attacks_the_other(pods):
    """Dual stack. What each has it may use; what it takes from the other never arrives."""
    a, b = pods.a, pods.b
    pods.pods.add(a)
    pods.pods.add(b)
    for pod in a, b:
        wait_for(lambda: can_reach(pod, GATEWAY) and can_reach(pod, GATEWAY6), 10, "the gateway to answer")
    victim, own, mac = address_of(b), address_of(a), a.mac("eth0")
    seen, heard = b.wire("eth0"), pods.host.wire("cni0")
    sender, gateway_mac = a.wire("eth0"), pods.host.mac("cni0")
    ping = IP(src=victim, dst=GATEWAY) / ICMP(id=0x6666)
    forged = [
        bytes(Ether(src=mac, dst=gateway_mac) / ping),                                              # as the other, its address
        bytes(Ether(src=b.mac("eth0"), dst=gateway_mac) / ping),                                    # its MAC address as well
        bytes(Ether(src=mac, dst=b.mac("eth0")) / IP(src=own, dst=victim) / ICMP(id=0x6666)),        # to the other itself
        bytes(Ether(src=mac, dst=b.mac("eth0")) / ARP(op=2, hwsrc=mac, psrc=GATEWAY, pdst=victim)),  # as the gateway
        bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=victim, pdst=GATEWAY))]
    sender.send(*forged)
    wait_for(lambda: sum(drop["count"] for drop in statuses()["a.eth0"]["drops"] if drop["side"] == "guest") >= 5, 10, "the drops")
    assert not [frame for frame in seen.frames() + heard.frames() if b"\x66\x66" in frame or any(map(frame.startswith, forged))]
    heard.close()       # newer bridge plug-ins want a bridge that is not promiscuous, which who listens there makes it
    assert not can_reach(a, victim) and can_reach(b, GATEWAY) and can_reach(a, GATEWAY)
    # No process, and both are seen.
    found = statuses()
    assert set(found) == {"a.eth0", "b.eth0"} and all(one["pid"] is None and one["left"]["stands"] for one in found.values())
    pods.pods.check(a)
    pods.pods.delete(a)
    assert set(statuses()) == {"b.eth0"} and can_reach(b, GATEWAY)
    pods.pods.delete(b)
    assert is_unguarded(pods)


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0", "1.1.0"])
def test_each_version(host, version):
    pods = CniNetwork("pods", bridge("10.9.0.0/24"), softnet(allow="@host"), version=version)
    added = pods.add(host.a)
    assert added["ips"][0]["address"] == "10.9.0.2/24" and len(added["interfaces"]) == 3
    pods.check(host.a)
    assert can_reach(host.a, GATEWAY)
    pods.delete(host.a)
    # What a plug-in has left that was killed while it wrote a record: no process has that number.
    (pathlib.Path("/run/softnet/cni/pods") / "a:eth0.999999999.new").touch()
    pods.delete(host.a)         # of what is gone already, it is done
    assert is_unguarded(host)


def test_a_routed_veth(host):
    """The plug-in ptp: each veth has the gateway at its other end."""
    pods = CniNetwork("routed", {"type": "ptp", "ipam": cni_peers.host_local("10.8.0.0/24")}, softnet(block="@lan", allow="@host"))
    pods.add(host.a)
    assert can_reach(host.a, "10.8.0.1")
    host.a.ip("address add 10.8.0.66/32 dev eth0")
    assert not can_reach(host.a, "10.8.0.1", "10.8.0.66")
    pods.check(host.a)
    pods.delete(host.a)
    assert is_unguarded(host)


def test_several_interfaces(pods):
    other = CniNetwork("storage", bridge("10.7.0.0/24", name="cni1"), softnet(block="any"))
    pods.pods.add(pods.a)
    other.add(pods.a, interface="net1")
    assert can_reach(pods.a, GATEWAY) and not can_reach(pods.a, "10.7.0.1")
    assert set(statuses()) == {"a.eth0", "a.net1"} and cni_peers.records() == ["a:eth0", "a:net1"]
    other.delete(pods.a, interface="net1")
    pods.pods.check(pods.a)
    pods.pods.delete(pods.a)
    assert is_unguarded(pods)


needs_dhcp = pytest.mark.skipif(cni_peers.why_not("dhcp") is not None, reason="needs the CNI plug-in dhcp")


@pytest.fixture
def leased(host, segment):
    """IPAM leases the address from the network's own server. So a process stays with the guard, and learns the router."""
    host.daemon = host.start([f"{cni_peers.PLUGINS}/dhcp", "daemon"])
    wait_for(lambda: pathlib.Path("/run/cni/dhcp.sock").exists(), 10, "the daemon of the plug-in dhcp")
    host.leased = CniNetwork("leased", {"type": "bridge", "bridge": "br0", "ipam": {"type": "dhcp"}},
                             softnet(leave=False, allow="192.168.77.1", dhcp_server="192.168.77.1", ipv6="off"))
    yield host
    host.daemon.stop()
    pathlib.Path("/run/cni/dhcp.sock").unlink()


@needs_dhcp
def test_an_address_of_dhcp(leased):
    added = leased.leased.add(leased.a)
    assert can_reach(leased.a, "192.168.77.1")
    leased.a.ip("address add 192.168.77.99/24 dev eth0")
    assert not can_reach(leased.a, "192.168.77.1", "192.168.77.99")
    [status] = statuses().values()
    assert isinstance(status["pid"], int) and status["left"] is None
    assert [one["address"] for one in status["addresses"]] == [added["ips"][0]["address"].split("/")[0]]
    assert call("softnet-cni", "CHECK", leased.leased.config(leased.leased.plugins[1], added), "a", "/run/netns/a", "eth0") is None
    leased.leased.delete(leased.a)
    words = pathlib.Path(f"/proc/{status['pid']}/cmdline")      # empty, once it has ended
    wait_for(lambda: is_unguarded(leased) and not (words.exists() and words.read_bytes()), 10, "the process to end")


@needs_dhcp
@pytest.mark.long
def test_a_lease_is_renewed_through_the_guard(leased):
    """After half of the shortest lease that dnsmasq gives."""
    leased.dhcp_server.stop()
    server = services.dnsmasq(leased, leased.gateway, "192.168.77.10", "192.168.77.50", "120s", router="192.168.77.1", name="short")
    leased.leased.add(leased.a)
    wait_for(lambda: sum("DHCPACK" in line for line in server.output()) >= 2, 110, "a renewal")
    assert can_reach(leased.a, "192.168.77.1") and not [drop for drop in statuses()["a.eth0"]["drops"] if "dhcp" in drop["reason"]]
    leased.leased.delete(leased.a)


# --- what a pod may say -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, more", [
    ("IgnoreUnknown=1;SOFTNET_BLOCK=any;K8S_POD_NAME=web", {}),
    ("", {"runtimeConfig": {"softnet": {"block": ["0.0.0.0/0"]}}}),
    ("", {"args": {"cni": {"softnet": {"block": "@host"}}}})])
def test_a_pod_narrows(pods, arguments, more):
    """What the network opens by a longer prefix is closed, too."""
    pods.pods.add(pods.a, arguments=arguments, more=more)
    pods.pods.add(pods.b)
    assert can_reach(pods.b, GATEWAY) and not can_reach(pods.a, GATEWAY)
    for pod in pods.a, pods.b:
        pods.pods.delete(pod)


@pytest.mark.parametrize("arguments, more, code, words", [
    ("IgnoreUnknown=1;SOFTNET_ALLOW=any", {}, 4, "SOFTNET_ALLOW"),
    ("", {"runtimeConfig": {"softnet": {"allow": "any"}}}, 7, "runtimeConfig.softnet: allow: a pod may only narrow"),
    ("", {"runtimeConfig": {"softnet": {"isolation": "off"}}}, 7, "isolation"),
    ("", {"runtimeConfig": {"softnet": {"block": "in 10.0.0.0/8"}}}, 7, "a rule with in or out"),
    ("IgnoreUnknown=1;SOFTNET_BLOCK=10.0.0.0/33", {}, 7, "behind the slash stands a length of 0 to 32 bits")])
def test_a_pod_widens_nothing(pods, arguments, more, code, words):
    why = pods.pods.try_add(pods.a, arguments=arguments, more=more)
    assert why.plugin == "softnet-cni" and why.code == code and words in why.message, why
    assert is_unguarded(pods)


# --- what goes wrong ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stdin, command, code, words", [
    ("", "ADD", 6, "standard input: expected a network's configuration"),
    ("{", "ADD", 6, "no JSON"),
    ("[]", "ADD", 6, "expected an object"),
    ('{"cniVersion": "0.2.0", "name": "x"}', "ADD", 1, 'cniVersion: "0.2.0"'),
    ('{"name": "x"}', "DEL", 1, 'cniVersion: ""'),
    ('{"cniVersion": "1.0.0", "name": "x"}', "GC", 1, "GC came with 1.1.0"),
    ('{"cniVersion": "1.0.0", "name": "../x"}', "ADD", 7, "name: "),
    ('{"cniVersion": "1.0.0", "name": "x"}', "ADDD", 4, 'CNI_COMMAND: "ADDD"'),
    ('{"cniVersion": "1.0.0", "name": "x"}', "ADD", 7, "prevResult: missing"),
    ('{"cniVersion": "1.1.0", "name": "x"}', "GC", 7, "cni.dev/valid-attachments"),
    ('{"cniVersion": "1.1.0", "name": "x", "alow": "any"}', "STATUS", 2, "alow: \"any\": unknown key"),
    ('{"cniVersion": "1.1.0", "name": "x", "vm-ip": "10.0.0.1"}', "STATUS", 2, "vm-ip"),
    ('{"cniVersion": "1.1.0", "name": "x", "reject": 1}', "STATUS", 7, "reject: expected true or false")])
def test_what_is_no_call(stdin, command, code, words):
    fails(code, words, "softnet-cni", command, None, "a", "/run/netns/a", "eth0", stdin=stdin)


@pytest.mark.parametrize("change, code, words", [
    ({"container": "../a"}, 4, "CNI_CONTAINERID"), ({"interface": "a/b"}, 4, "CNI_IFNAME"), ({"netns": ""}, 4, "CNI_NETNS"),
    ({"netns": "/run/netns/none"}, 3, "/run/netns/none")])
def test_what_is_no_environment(loaded, change, code, words):
    config = {"cniVersion": "1.0.0", "name": "pods", "type": "softnet-cni", "prevResult": RESULT}
    fails(code, words, "softnet-cni", "ADD", config, **{"container": "a", "netns": "/run/netns/a", "interface": "eth0", **change})


@pytest.mark.parametrize("options, code, words", [
    ({"allow": "10.0.0.0/33"}, 7, "behind the slash stands a length of 0 to 32 bits"),
    ({"allow": "github.com:tls"}, 7, "rules that name hosts"),
    ({"policy": "/no/such/file"}, 7, "/no/such/file"),
    ({"reject": True}, 7, "--reject: not together with --leave"),
    ({"mtu": "big"}, 7, "--mtu"),
    ({"alow": "any"}, 2, "alow"),
    ({"allow": "10.0.0.0/8"}, 7, "IPv6 is off by the rules"),
    ({"gateway": ["10.9.0.254", "fd09::254"]}, 7, "the router's MAC address would have to be learned")])
def test_a_policy_with_an_error(host, options, code, words):
    """No pod without its guard, and nothing left behind."""
    pods = CniNetwork("pods", bridge(*SUBNETS), softnet(**options))
    why = pods.try_add(host.a)
    assert why.plugin == "softnet-cni" and why.code == code and words in why.message, why
    assert is_unguarded(host) and "eth0" not in host.a.links()


def test_what_cannot_be_guarded(host):
    """A macvlan has no other end; an interface without an address has nothing to be bound."""
    host.host.ip("link add lower type veth peer name lower-peer\nlink set lower up")
    pods = CniNetwork("flat", {"type": "macvlan", "master": "lower", "ipam": cni_peers.host_local("10.9.0.0/24")}, softnet())
    why = pods.try_add(host.a)
    assert why.code == 7 and 'of the kind "macvlan"' in why.message, why
    bare = CniNetwork("bare", {"type": "bridge", "bridge": "cni0", "ipam": {}}, softnet())
    why = bare.try_add(host.a)
    assert why.code == 7 and "eth0 has no address" in why.message, why
    assert is_unguarded(host)


def test_a_port_that_is_gone(pods):
    """Between the plug-ins somebody takes the interface away, or it is another one than the result says."""
    result = call("bridge", "ADD", pods.pods.config(pods.pods.plugins[0]), "a", "/run/netns/a", "eth0")
    config = pods.pods.config(pods.pods.plugins[1], result)
    fails(7, "there is no eth1", "softnet-cni", "ADD", config, "a", "/run/netns/a", "eth1")
    pods.a.ip("link delete eth0")
    fails(7, "there is no interface eth0 in /run/netns/a", "softnet-cni", "ADD", config, "a", "/run/netns/a", "eth0")
    pods.pods.delete(pods.a)
    assert is_unguarded(pods)


def test_check_finds_what_is_no_longer_so(pods):
    net = pods.pods
    result = net.add(pods.a)
    config = net.config(net.plugins[1], result)
    place = "a", "/run/netns/a", "eth0"
    assert call("softnet-cni", "CHECK", config, *place) is None
    other = json.loads(json.dumps(result).replace("10.9.0.2", "10.9.0.3"))
    fails(101, "other addresses", "softnet-cni", "CHECK", net.config(net.plugins[1], other), *place)
    fails(101, "ADD has guarded no such interface", "softnet-cni", "CHECK", config, "b", "/run/netns/a", "eth0")
    run(services.softnet_path(), "detach", port_of(pods.a))
    fails(101, "the guard is gone", "softnet-cni", "CHECK", config, *place)
    net.delete(pods.a)
    assert is_unguarded(pods)


# --- what is left behind ------------------------------------------------------------------------------------------------

def test_an_address_that_is_used_again(pods):
    """A pod that vanished without DEL; its address is another one's. Both DELs are answered, in the wrong order."""
    pods.pods.add(pods.a)
    before = address_of(pods.a)
    run("ip", "netns", "delete", "a")
    cni_peers.forget()
    pods.pods.add(pods.b)
    assert address_of(pods.b) == before and can_reach(pods.b, GATEWAY)
    assert set(statuses()) == {"b.eth0"}
    pods.pods.delete(container="a")
    pods.pods.check(pods.b)
    assert can_reach(pods.b, GATEWAY)
    pods.pods.delete(pods.b)
    assert is_unguarded(pods)


def test_a_port_of_another_container(pods):
    """A runtime's mistake must not cost the first one its guard."""
    pods.pods.add(pods.a)
    config = pods.pods.config(pods.pods.plugins[-1], pods.pods.results["a", "eth0"])
    with pytest.raises(CniError, match="it is guarded for the container a; expected DEL for that first"):
        call("softnet-cni", "ADD", config, "other", "/run/netns/a", "eth0")
    assert call("softnet-cni", "DEL", config, "other", "/run/netns/a", "eth0") is None
    pods.pods.check(pods.a)
    assert can_reach(pods.a, GATEWAY)


def test_gc_takes_away_what_nobody_knows(host):
    pods = CniNetwork("pods", bridge(*SUBNETS), softnet(**HOST_ONLY), version="1.1.0")
    other = CniNetwork("others", bridge("10.7.0.0/24", name="cni1"), softnet(), version="1.1.0")
    pods.add(host.a)
    pods.add(host.b)
    other.add(host.b, interface="net1")
    port = port_of(host.a)
    config = pods.config(pods.plugins[1], more={"cni.dev/valid-attachments": [{"containerID": "b", "ifname": "eth0"}]})
    assert call("softnet-cni", "GC", config) is None
    assert cni_peers.records() == ["b:eth0", "b:net1"] and set(statuses()) == {"b.eth0", "b.net1"}
    # Nobody judges what it sends now, so nothing of it is heard.
    assert not can_reach(host.a, GATEWAY) and "DOWN" in run("ip", "-br", "link", "show", "dev", port).split()
    assert can_reach(host.b, GATEWAY)
    pods.delete(host.a)
    pods.delete(host.b)
    other.delete(host.b, interface="net1")
    assert is_unguarded(host)


@pytest.mark.parametrize("delay", [0, 0.005, 0.01, 0.02, 0.04, 0.08])
def test_a_crash_in_the_middle(pods, delay):
    """The plug-in is killed at some moment of ADD. Then nothing passes that no guard has judged; and DEL takes all of it away."""
    net = pods.pods
    result = call("bridge", "ADD", net.config(net.plugins[0]), "a", "/run/netns/a", "eth0")
    config = json.dumps(net.config(net.plugins[1], result))
    given = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "a", "CNI_NETNS": "/run/netns/a", "CNI_IFNAME": "eth0", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen([cni_peers.plugin_path()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=given,
                          start_new_session=True) as plugin:
        plugin.stdin.write(config.encode())
        plugin.stdin.close()
        try:
            plugin.wait(delay or 0.001)
        except subprocess.TimeoutExpired:
            plugin.kill()
    net.results["a", "eth0"] = result
    net.delete(pods.a)
    assert is_unguarded(pods)
    net.add(pods.a)         # and the next one is guarded as ever
    assert can_reach(pods.a, GATEWAY)
    net.delete(pods.a)


def add_many(pods, count):
    spaces = [pods.namespace(f"pod{number}") for number in range(count)]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        list(pool.map(pods.pods.add, spaces))
        assert len(cni_peers.records()) == count
        found = statuses()
        assert len(found) == count and all(one["left"]["stands"] for one in found.values())
        assert len({one["addresses"][0]["address"] for one in found.values()}) == count
        assert all(can_reach(pod, GATEWAY) for pod in spaces[::10])
        list(pool.map(pods.pods.delete, spaces))
    assert is_unguarded(pods)


def test_many_at_once(pods):
    add_many(pods, 12)


@pytest.mark.long
def test_a_hundred_at_once(pods):
    add_many(pods, 100)


# --- the other calls ----------------------------------------------------------------------------------------------------

def test_version_and_status(host):
    for wanted in "1.0.0", "1.1.0", "7.0.0":
        answer = call("softnet-cni", "VERSION", {"cniVersion": wanted})
        assert answer == {"cniVersion": wanted if wanted != "7.0.0" else "1.1.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"]}
    good = {"cniVersion": "1.1.0", "name": "pods", **softnet(**HOST_ONLY)}
    assert call("softnet-cni", "STATUS", good) is None
    fails(7, "10.0.0.0/33", "softnet-cni", "STATUS", {**good, "allow": "10.0.0.0/33"})
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", cni_peers.plugin_path()], input=json.dumps(good), text=True,
                          env={"CNI_COMMAND": "STATUS", "PATH": "/usr/bin:/bin"}, capture_output=True)
    assert done.returncode == 1 and json.loads(done.stdout)["code"] == 50


def test_installed_as_on_a_node(pods):
    """packaging/kubernetes/install.sh: the plug-in with its own libraries, found by a runtime that knows /opt/cni/bin alone."""
    if b"libasan" in services.softnet_path().read_bytes():
        pytest.skip("the sanitizer wants to be loaded first")
    script = services.CHECKOUT / "packaging/kubernetes/install.sh"
    path = f"{services.softnet_path().parent}:/usr/bin:/bin"
    run("mount", "-t", "tmpfs", "tmpfs", "/opt")
    try:
        for _ in range(2):      # as each start of the DaemonSet's pod does
            run("env", f"PATH={path}", f"CNI_PLUGIN={cni_peers.plugin_path()}", script, "")
        result = call("bridge", "ADD", pods.pods.config(pods.pods.plugins[0]), "a", "/run/netns/a", "eth0")
        given = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "a", "CNI_NETNS": "/run/netns/a", "CNI_IFNAME": "eth0", "PATH": "/usr/bin:/bin"}
        config = json.dumps(pods.pods.config(pods.pods.plugins[1], result))
        done = subprocess.run(["/opt/cni/bin/softnet-cni"], input=config, env=given, text=True, capture_output=True)
        assert done.returncode == 0 and json.loads(done.stdout) == result, done
        assert set(statuses()) == {"a.eth0"} and can_reach(pods.a, GATEWAY)
        done = subprocess.run(["/opt/cni/bin/softnet-cni"], input=config, env={**given, "CNI_COMMAND": "DEL"}, text=True, capture_output=True)
        assert done.returncode == 0 and done.stdout == "" and statuses() == {}
        pods.pods.delete(pods.a)
    finally:
        run("umount", "-l", "/opt")
