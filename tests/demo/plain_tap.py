"""Part 3: a VM on a plain tap that somebody else made, as most launchers make it. The guard comes to it in the kernel, and stays
when its process is killed.

    guest eth0 -- QEMU -- tap-plain, attached -- br0 -- eth0 gateway   (dnsmasq; "the internet", 1.1.1.1)
"""

import os
import signal
import subprocess

import frames
import netns
import services
from addresses import take_lease
from vm import VM

GUEST_MAC, OTHER_MAC, GATEWAY_MAC = "52:54:00:00:00:0a", "52:54:00:66:66:66", "52:54:00:00:00:01"
GATEWAY, INTERNET, FOREIGN, TAP = "192.168.77.1", "1.1.1.1", "192.168.77.99", "tap-plain"
ATTACH_SECONDS = 120        # the first guard of a host has the kernel check its programs


def why_not(softnet):
    """In words, or None."""
    if os.geteuid() != 0 or not netns.has_other_users():
        return "it needs root, for the kernel takes no programs from others"
    said = subprocess.run([softnet, "detach", "no-such-port"], capture_output=True, text=True)
    return "softnet was built without the guard in the kernel" if "built without" in said.stderr else None


def build(network):
    network.bridge("br0")
    gateway = network.namespace("gateway")
    network.join(gateway, "eth0", "br0", f"{GATEWAY}/24", mac=GATEWAY_MAC)
    gateway.ip(f"address add {INTERNET}/32 dev lo")
    services.dnsmasq(network, gateway, "192.168.77.10", "192.168.77.50", "600s", router=GATEWAY)
    network.tap(TAP, "br0")
    network.host.ip(f"link set {TAP} down")     # until the guard stands
    return gateway


def attach(screen, network, softnet, name):
    screen.typed("host", f"softnet attach {TAP} --vm-mac-address {GUEST_MAC} -v")
    guard = network.start([softnet, "attach", TAP, "--vm-mac-address", GUEST_MAC, "-v"], name=name,
                          on_line=screen.guard("softnet"), kind=services.Softnet)
    guard.wait_line("gateway MAC addresses", ATTACH_SECONDS)
    guard.counters()
    return guard


def reaches(screen, guest, address, source=None):
    command = f"ping -c 1 -W 1 -I {source} {address}" if source else f"ping -c 1 -W 10 {address}"
    screen.typed("guest", command)
    status, output = guest.try_run(command)
    screen.output("guest", next((line for line in output.splitlines() if "packets" in line), output))
    return status == 0


def misbehave(screen, guest, wire, title):
    """Forged frames, and an address that it was not given: what comes out on the network's side?"""
    screen.say("")
    screen.say(f"  -- {title}")
    forged = [frames.arp(frames.REPLY, GUEST_MAC, GATEWAY, GUEST_MAC, FOREIGN), frames.arp(frames.REQUEST, OTHER_MAC, FOREIGN,
                                                                                        "00:00:00:00:00:00", GATEWAY)]
    wire.frames()
    screen.typed("guest", f"rawframe send eth0 -c 5 {forged[0][:60]}...")
    guest.run(f"rawframe send eth0 -c 5 {' '.join(forged)}")
    foreign = reaches(screen, guest, INTERNET, FOREIGN)
    seen = [frame for frame in wire.frames() if frame.hex() in forged]
    screen.row(title, "nothing leaves", f"{len(seen)} of 10 forged frames left; {FOREIGN} {'was' if foreign else 'was not'} heard",
               not seen and not foreign)
    good = reaches(screen, guest, INTERNET)
    screen.row("go on with honest work beside it", "an answer", "answered" if good else "no answer", good)


def plain_tap(screen, image, softnet):
    screen.part("Part 3: a VM on a plain tap, guarded in the kernel")
    obstacle = why_not(softnet)
    if obstacle:
        screen.say(f"  This part is left out: {obstacle}.")
        return
    with netns.Network() as network:
        gateway = build(network)
        guard = attach(screen, network, softnet, "first")
        screen.typed("host", f"ip link set {TAP} up; qemu ... -netdev tap,ifname={TAP} ...")
        network.host.ip(f"link set {TAP} up")
        guest = VM(network, "guest", image, GUEST_MAC, f"tap,id=n0,ifname={TAP},script=no,downscript=no")
        guest.boot()
        take_lease(screen, guest)
        guest.run(f"ip address add {FOREIGN}/24 dev eth0")
        wire = gateway.wire("eth0")
        misbehave(screen, guest, wire, "forge on a guarded tap")

        screen.typed("host", f"kill -9 {guard.pid}")
        guard.signal(signal.SIGKILL)
        guard.wait()
        misbehave(screen, guest, wire, "forge when the guard's process is dead")

        guard = attach(screen, network, softnet, "second")
        counters = guard.counters()
        dropped = counters.dropped("guest", "arp-spa-spoof", "eth-src-spoof")
        screen.row("start the guard again", "it knows all of it", f"took over: {dropped} forged frames were dropped", dropped >= 20)
        guest.power_off()
