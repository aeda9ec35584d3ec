"""A live session, captured whole, and the same session replayed: the same verdict for every frame. The capture is taken apart
here, so that neither the guard's writer nor replay's reader says what is in it.

    guest -- softnet --pcap -- br0 -- gateway (leases, routes)
                                `---- outsider (forges)
"""

import json
import random
import struct
import subprocess
import time

import dhcp_peers
import ipv6_peers
import netns
import rawguest
import services
import test_attacks_replayed as attacks
from dhcp_peers import needs_peers
from test_capture_file import folder    # noqa: F401 (a fixture)

MAC, ME, ROUTER, ROUTER_MAC, EXTERNAL = attacks.MAC, attacks.ME, attacks.ROUTER, attacks.ROUTER_MAC, attacks.EXTERNAL
SECTION, PACKET, COMMENT = 0x0A0D0D0A, 6, 1


def captured(path):
    """[(interface, verdict and reason, octets)], and how many sections there are."""
    data, at, frames, sections = path.read_bytes(), 0, [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        body = data[at + 8:at + length - 4]
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        sections += kind == SECTION
        if kind == PACKET:
            interface, _, _, kept, whole = struct.unpack_from("<IIIII", body)
            assert kept == whole
            options = body[20 + (kept + 3) // 4 * 4:]
            code, octets = struct.unpack_from("<HH", options)
            assert code == COMMENT
            frames.append((("guest", "uplink")[interface], options[4:4 + octets].decode().split(":")[0], body[20:20 + kept]))
        at += length
    return frames, sections


def replayed(softnet, path, *options, is_less=False):
    """is_less: by the options frames are lost that have passed."""
    done = subprocess.run([softnet, "replay", "--json", *options, path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (3 if is_less else 0, "")
    *lines, summary = [json.loads(line) for line in done.stdout.splitlines()]
    return lines, summary["summary"]


def same_verdicts(softnet, path, least, sections=1):
    """Frame for frame; at least so many different verdicts must have been given."""
    frames, found = captured(path)
    lines, summary = replayed(softnet, path)
    assert len(lines) == len(frames) and found >= sections
    for line, (side, verdict, octets) in zip(lines, frames):
        now = line["verdict"] if line["reason"] is None else f"drop {line['reason']}"
        assert (line["side"], now, line["length"]) == (side, verdict, len(octets)), line
    assert summary["recorded"] == {"frames": len(frames), "others": 0}
    verdicts = {verdict for _, verdict, _ in frames}
    assert len(verdicts) >= least, verdicts
    return verdicts


def set_rules(softnet, control, *rules):
    netns.run(softnet, "policy", "set", "--control", control, *rules)


def exchange(guest, number):
    """Some of what the rules are about: connections, questions, errors, fragments."""
    port = (4000 + number).to_bytes(2, "big")
    for address in EXTERNAL, ROUTER, "10.0.0.9", "192.168.64.77":
        for flags in 2, 0x10, 0x11, 4:
            tcp = port + (80).to_bytes(2, "big") + bytes(8) + bytes([0x50, flags, 0x20, 0]) + bytes(4)
            guest.send(rawguest.ipv4(MAC, ROUTER_MAC, ME, address, 6, tcp))
        guest.send(rawguest.udp(MAC, ROUTER_MAC, ME, address, 4000 + number, 53, bytes(20)),
                   rawguest.ipv4(MAC, ROUTER_MAC, ME, address, 1, b"\x08\x00\xf7\xff" + bytes(4)))
    guest.wait_counted()


def test_attacks_limits_and_live_rules(network, softnet, folder):
    """Limits are on; rules change three times, with directions and without."""
    network.bridge("br0")
    gateway, outsider = network.namespace("gateway", ipv6=False), network.namespace("outsider", ipv6=False)
    network.join(gateway, "eth0", "br0", f"{ROUTER}/24", mac=ROUTER_MAC)
    network.join(outsider, "eth0", "br0", mac="02:00:00:00:00:99")
    gateway.ip(f"address add {EXTERNAL}/32 dev lo")
    gateway.ip(f"neigh replace {ME} lladdr {MAC} dev eth0 nud permanent")
    services.dnsmasq(network, gateway, ME, ME, router=ROUTER)
    file, control = folder / "vm.pcapng", folder / "control"
    guest = rawguest.RawGuest(network, MAC, "--uplink", "tap:u-raw,bridge=br0", "--gateway", ROUTER, "--ipv6", "off",
                              "--pcap", file, "--frames", "all", "--control", control, "--inbound",
                              "established")
    chance, honest, wire = random.Random(attacks.SEED), attacks.honest_frames(), outsider.wire("eth0")
    host = gateway.wire("eth0")
    guest.send(*(frame for _, frame in attacks.rows() if frame))
    guest.wait_counted()
    time.sleep(2.5)                     # the limits have let something through again
    guest.take_lease(9)     # the catalogue has a RELEASE, behind which its own id is spent
    policies = [(), ("--allow", "10.0.0.0/8"), ("--allow", "in @host:tcp/22,out 10.0.0.0/8", "--block", "1.1.1.1:udp/53"),
                ("--block", "any", "--allow", "@host")]
    for number, rules in enumerate(policies):
        if rules:
            set_rules(softnet, control, *rules)
        exchange(guest, number)
        for port in 22, 80:
            tcp = (5000 + number).to_bytes(2, "big") + port.to_bytes(2, "big") + bytes(8) + b"\x50\x02\x20\x00" + bytes(4)
            host.send(rawguest.ipv4(ROUTER_MAC, MAC, ROUTER, ME, 6, tcp))
        wire.send(*(frame for _, frame in attacks.rows("n2g") if 14 <= len(frame) <= 1514))
        guest.send(*(attacks.mutant(chance, chance.choice(honest)) for _ in range(400)))
        guest.wait_counted()
        guest.drain()
    guest.guard.stop()
    guest.close()
    verdicts = same_verdicts(softnet, file, 30, sections=4)
    assert {"drop rate-dhcp", "drop unsolicited", "drop dst-private", "drop dst-blocked", "drop ip4-src-spoof"} <= verdicts
    (folder / "nothing").touch()
    lines, summary = replayed(softnet, file, "--diff", folder / "nothing", is_less=True)      # without the rules of live control
    assert lines and summary["diff"]["pass"] > 0
    assert {line["reason"] for line in lines if line["other"] == "pass"} >= {"dst-blocked"}


@needs_peers(server="kea-dhcp4")
def test_leases_that_end(network, softnet, folder):
    """A lease of three seconds: used, run out, taken again, given back."""
    network.bridge("br0")
    gateway = network.namespace("gateway", ipv6=False)
    network.join(gateway, "eth0", "br0", f"{dhcp_peers.GATEWAY}/24", mac=ROUTER_MAC)
    dhcp_peers.kea(network, gateway, "192.168.77.10-192.168.77.20", 3)
    file = folder / "vm.pcapng"
    guest = rawguest.RawGuest(network, MAC, "--uplink", "tap:u-raw,bridge=br0", "--ipv6", "off", "--pcap", file, "--frames",
                              "all")

    def use():
        guest.send(rawguest.udp(MAC, ROUTER_MAC, address, EXTERNAL, 4000, 4001))
    address = guest.take_lease()
    guest.send(rawguest.arp(MAC, 1, address, dhcp_peers.GATEWAY))
    guest.wait_frame(lambda frame: frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2")
    for pause in [0.25] * 10 + [1] * 3:
        use()
        time.sleep(pause)
    address = guest.take_lease(8)
    use()
    server = b"\x36\x04" + bytes([192, 168, 77, 1])
    guest.send(rawguest.udp(MAC, ROUTER_MAC, address, dhcp_peers.GATEWAY, 68, 67,
                            rawguest.dhcp(MAC, 7, 9, server, ciaddr=address)))
    use()
    guest.wait_counted()
    guest.guard.stop()
    guest.close()
    assert {"pass", "drop ip4-no-lease"} <= same_verdicts(softnet, file, 2)
    used = [verdict for side, verdict, octets in captured(file)[0] if side == "guest" and octets[36:38] == b"\x0f\xa1"]
    assert used[0] == used[-2] == "pass" and used[-1] == "drop ip4-no-lease" and "drop ip4-no-lease" in used[:-2]


@needs_peers("radvd", server="ping")
def test_ipv6_of_a_kernel(segment6, softnet, folder):
    """Addresses by DAD, a prefix that runs out, the catalogue, and a host that gets its addresses while the guard runs."""
    router = ipv6_peers.radvd(segment6, segment6.gateway, ipv6_peers.PREFIX, valid=3, preferred=2)
    file = folder / "vm.pcapng"
    guest = ipv6_peers.Guest6(segment6, "vm", "--pcap", str(file), "--frames", "all")
    address = guest.wait_address()
    guest.wait_router()
    segment6.host.set_ipv6("br0", disable_ipv6=0)
    segment6.host.ip("address add 2620:fe:78::1/64 dev br0 nodad")
    wire = guest.namespace.wire("eth0")
    mine = dhcp_peers.mac_bytes(guest.mac)
    wire.send(*(frame[:6] + mine + frame[12:] for _, frame in attacks.rows() if 14 <= len(frame) <= 1514))
    router.signal(9)
    to_mac = ipv6_peers.GATEWAY_MAC
    for _ in range(8):
        wire.send(guest.frame_from(address, to_mac), guest.frame_from(address, to_mac, "2620:fe:78::9"))
        time.sleep(0.5)
    guest.guard.stop()
    verdicts = same_verdicts(softnet, file, 20)
    assert {"pass", "drop ip6-src-unbound", "drop dst-local-net"} <= verdicts
