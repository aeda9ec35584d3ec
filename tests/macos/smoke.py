#!/usr/bin/env python3
"""Runs softnet on this machine's own network with a guest of a few lines; prints a table of what happened.

    sudo tests/macos/smoke.py PROGRAM           macOS: vmnet; without root only where macOS allows that
    tests/macos/smoke.py PROGRAM slirp          to try this file itself, anywhere

tests/mac-smoke.sh builds PROGRAM and starts this. It sends packets to the gateway that vmnet makes and to nobody else."""
import contextlib
import os
import pathlib
import pwd
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "network"))
import netns                # noqa: E402   nothing of namespaces is used, only processes and their output
import rawguest             # noqa: E402

MAC, OTHER_MAC = "52:54:00:5f:00:0a", "52:54:00:5f:00:0b"
LEASE_SECONDS, INSIDE, FLOOD = 611, 22, 20000
EXPOSED = 20000 + os.getpid() % 10000        # somebody else may try at the same time
PREFERENCES = "/Library/Preferences/SystemConfiguration/com.apple.InternetSharing.default"
IS_MAC = sys.platform == "darwin"
ICMP_ECHO = b"\x08\x00"
rows = []


class Here:
    """In the place of netns.Network: this machine as it is."""

    def __init__(self):
        self.logs = tempfile.mkdtemp(prefix="softnet-smoke-")
        self.processes = []

    def start(self, command, name, kind, pass_fds):
        self.processes.append(kind(command, name, self.logs, None, pass_fds))
        return self.processes[-1]

    def close(self):
        for process in self.processes:
            process.stop()


class Guest(rawguest.RawGuest):
    """One that answers when it is asked for its address."""

    def receive(self, timeout=5):
        frame = super().receive(timeout)
        if frame and self.address and frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and \
                frame[38:42] == socket.inet_aton(self.address):
            asker = frame[22:28].hex(":")
            self.send(rawguest.arp(self.mac, 2, self.address, socket.inet_ntoa(frame[28:32]), asker, asker))
        return frame


def note(what, result, seen=""):
    rows.append((what, result, str(seen).replace("|", "/").replace("\n", "; ")[:200]))
    print(f"{result:4} {what}: {rows[-1][2]}", file=sys.stderr)


@contextlib.contextmanager
def step(what):
    """Whatever goes wrong is a row, and the next step has its turn. The body gives what it saw by `seen.append`."""
    seen = []
    try:
        yield seen
        note(what, "ok", " ".join(map(str, seen)))
    except (AssertionError, netns.NetworkError, OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        note(what, "FAIL", f"{' '.join(map(str, seen))} {type(error).__name__}: {error}")


def said(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                          check=False).stdout.strip()


def ids_of(pid):
    """Real, effective and saved user and group."""
    words = "ruid=,uid=,svuid=,rgid=,gid=,svgid=" if IS_MAC else "ruid=,euid=,suid=,rgid=,egid=,sgid="
    return [int(word) for word in said("ps", "-o", words, "-p", str(pid)).split()]


def gateway_of(guest):
    return guest.guard.wait_line(r"host: ([0-9.]+)").group(1)


def take_lease(guest, more=b""):
    """As RawGuest does, with more options; gives the lease time that the server said."""
    offer = guest.ask(rawguest.DISCOVER, rawguest.XID, more, rawguest.OFFER)
    guest.address = socket.inet_ntoa(offer[58:62])
    server = b"\x36\x04" + offer[26:30]
    ack = guest.ask(rawguest.REQUEST, rawguest.XID, b"\x32\x04" + offer[58:62] + server + more, rawguest.ACK)
    at = 282
    while at + 1 < len(ack) and ack[at] != 0xFF:
        if ack[at] == 51:
            return int.from_bytes(ack[at + 2:at + 6], "big")
        at += 1 if ack[at] == 0 else 2 + ack[at + 1]
    raise ValueError("the server said no lease time")


def find_gateway_mac(guest, gateway):
    guest.send(rawguest.arp(guest.mac, 1, guest.address, gateway))
    answer = guest.wait_frame(lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2" and
                              f[28:32] == socket.inet_aton(gateway), what="an answer to ARP for the gateway")
    return answer[22:28].hex(":")


def echo(guest, gateway_mac, gateway, number):
    message = ICMP_ECHO + b"\0\0" + number.to_bytes(4, "big") + b"softnet smoke test.."
    message = message[:2] + rawguest.checksum(message).to_bytes(2, "big") + message[4:]
    return rawguest.ipv4(MAC, gateway_mac, guest.address, gateway, 1, message)


def is_echo_reply(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 0


def ping(guest, gateway_mac, gateway, count):
    """One after the other; gives the mean round trip in microseconds."""
    start = time.monotonic()
    for number in range(count):
        guest.send(echo(guest, gateway_mac, gateway, number))
        guest.wait_frame(is_echo_reply, 3, f"answer {number} of the gateway to a ping")
    return (time.monotonic() - start) / count * 1e6


def flood(guest, gateway_mac, gateway):
    """As fast as the guard takes them, reading what comes back; gives how many answers came."""
    answers = 0
    for number in range(FLOOD):
        while True:
            try:
                guest.send(echo(guest, gateway_mac, gateway, number))
                break
            except OSError:         # macOS: ENOBUFS, and nothing tells when there is room
                time.sleep(0.0002)
        while select.select([guest.socket], [], [], 0)[0]:
            answers += is_echo_reply(guest.socket.recv(65550))
    return answers


def check_exposed(guest, uplink, seen):
    """With slirp a connection to the host's port must show as a SYN to the guest's. vmnet's rule redirects what arrives
    from other machines alone, so there root looks for it among the rules of pf."""
    seen.append(guest.guard.wait_line(f'--expose: ".*:?{EXPOSED}:{INSIDE}" leads to.*', 10).group(0))
    guest.drain()
    if uplink == "slirp":
        with socket.socket() as client:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", EXPOSED))
            guest.wait_frame(lambda f: f[12:14] == b"\x08\x00" and f[23] == 6 and f[36:38] == INSIDE.to_bytes(2, "big"), 5,
                             "the SYN of a connection from this host")
    elif IS_MAC and os.geteuid() == 0:
        rules = [line for line in said("pfctl", "-a", "*", "-s", "nat").splitlines() if str(EXPOSED) in line]
        assert rules, "pfctl shows no rule for the port"
        seen.append(rules[0])


def start(here, program, *options, name="softnet", mac=MAC):
    guest = Guest(here, mac, *options, program=program, name=name)
    guest.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)       # macOS: two frames else
    return guest


def stop(guest, number=signal.SIGINT):
    started = time.monotonic()
    guest.guard.signal(number)
    status = guest.guard.wait(10)
    took = time.monotonic() - started
    assert status == 0, f"status {status}; {guest.guard.output()[-3:]}"
    assert took < 6, f"{took:.1f} s"
    return f"status 0 after {took * 1000:.0f} ms"


def check_preferences(seen):
    seen.append(said("defaults", "read", PREFERENCES, "bootpd"))
    assert re.search(rf"DHCPLeaseTimeSecs = {LEASE_SECONDS}\b", seen[0])
    assert re.search(r"dhcp_ignore_client_identifier = 1\b", seen[0])


def check_log(seen):
    predicate = 'subsystem == "org.softnet.softnet"'
    lines = said("sh", "-c", f"log show --last 2m --info --predicate '{predicate}'").splitlines()
    assert any("softnet" in line and "lease" in line for line in lines), lines[-3:]
    seen.append(f"{len(lines)} lines")


def run_guard(here, program, uplink, user):
    options = ["--user", user] if os.geteuid() == 0 else []
    listen = f"127.0.0.1:{EXPOSED}:{INSIDE}" if uplink == "slirp" else f"{EXPOSED}:{INSIDE}"
    with step(f"starts: --uplink {uplink}") as seen:
        guest = start(here, program, "--uplink", uplink, "--expose", listen, "--bootpd-lease-time",
                      str(LEASE_SECONDS), *options)
        gateway = gateway_of(guest)
        seen.append(f"the host is {gateway}")
    if rows[-1][1] != "ok":
        return
    with step("ids by ps(1): all are the user's") as seen:
        entry = pwd.getpwnam(user) if options else pwd.getpwuid(os.getuid())
        seen.append(ids_of(guest.guard.pid))
        assert seen[0] == [entry.pw_uid] * 3 + [entry.pw_gid] * 3, entry
    is_lease_time_set = IS_MAC and os.geteuid() == 0
    if is_lease_time_set:
        with step("lease time stands in the preferences") as seen:
            check_preferences(seen)
    with step("DHCP lease") as seen:
        seconds = take_lease(guest)
        seen.append(f"{guest.address} for {seconds} s")
        # bootpd tells 0.99 of the time, for its clients' clocks may be slow.
        assert not is_lease_time_set or LEASE_SECONDS * 98 // 100 <= seconds <= LEASE_SECONDS, \
            "another lease time (was the bridge up before?)"
    with step("SIGUSR1 tells the lease") as seen:
        mark = guest.guard.mark()
        guest.guard.signal(signal.SIGUSR1)
        seen.append(guest.guard.wait_line(rf"^lease {re.escape(guest.address)} .*", 5, mark).group(0))
    with step("ARP and 1000 pings to the gateway") as seen:
        gateway_mac = find_gateway_mac(guest, gateway)
        seen.append(f"{ping(guest, gateway_mac, gateway, 1000):.0f} us each, gateway {gateway_mac}")
    with step("another's MAC and another's address are dropped") as seen:
        guest.send(rawguest.arp(OTHER_MAC, 1, guest.address, gateway),
                   rawguest.udp(MAC, gateway_mac, "192.0.2.1", gateway, 1, 1))
        guest.guard.wait_counters(lambda c: c.dropped("guest") >= 2)
        seen.append(guest.guard.counters())
    with step("exposed port") as seen:
        check_exposed(guest, uplink, seen)
    with step(f"a flood of {FLOOD} pings is survived") as seen:
        seen.append(f"{flood(guest, gateway_mac, gateway)} answers; {guest.guard.counters()}")
        ping(guest, gateway_mac, gateway, 10)
    with step("SIGINT") as seen:
        seen.append(stop(guest))
    if IS_MAC:
        with step("lines in the system's log") as seen:
            check_log(seen)


def run_host_mode(here, program):
    with step("--vm-net-type host: starts, gives a lease, ends by SIGTERM") as seen:
        guest = start(here, program, "--vm-net-type", "host", name="host-mode")
        seen.append(f"lease of {take_lease(guest)} s, {stop(guest, signal.SIGTERM)}")


def run_two(here, program, uplink, user):
    """Two VMs beside each other. bootpd must go by the MAC address, or the second takes the first one's lease."""
    same_identifier = bytes([61, 8]) + b"\0softnet"
    options = ["--user", user] if os.geteuid() == 0 else []
    guests = []
    with step("two guards: one client identifier, two addresses") as seen:
        for mac, name in (MAC, "first"), (OTHER_MAC, "second"):
            guests.append(start(here, program, "--uplink", uplink, "--name", name, *options, name=name, mac=mac))
            take_lease(guests[-1], same_identifier)
            seen.append(guests[-1].address)
        assert uplink == "slirp" or seen[0] != seen[1]      # each slirp is a network of its own
    with step("two guards: neither hears the other, both reach the gateway") as seen:
        first, second = guests
        second.drain()
        first.send(rawguest.arp(MAC, 1, first.address, second.address if uplink != "slirp" else "10.0.2.99"))
        first.guard.wait_counters(lambda c: c.dropped("guest", "arp-target-denied") == 1)
        with contextlib.suppress(netns.NetworkError):
            second.wait_frame(lambda f: f[6:12] == bytes.fromhex(MAC.replace(":", "")), 2)
            raise AssertionError("a frame of the first came to the second")
        for guest in guests:
            seen.append(find_gateway_mac(guest, gateway_of(guest)))
    for guest in guests:
        guest.guard.stop()


def run_as(user, program, uplink, *options):
    """As Tart would, and as that user."""
    entry = pwd.getpwnam(user)
    rights = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [entry.pw_gid]}
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs:
        guard = subprocess.Popen([program, "--vm-fd", "0", "--vm-mac-address", MAC, "--uplink", uplink, "-v", *options],
                                 stdin=theirs, stderr=subprocess.PIPE, text=True, **rights)
    return guard, mine


def run_set_user_id(program, uplink, user):
    """A copy in a folder of root's, called by the user."""
    with tempfile.TemporaryDirectory(prefix="softnet-suid-", dir="/var/tmp") as folder:    # root's own is closed
        os.chmod(folder, 0o755)
        copy = shutil.copy(program, folder)
        os.chown(copy, 0, 0)
        os.chmod(copy, 0o755 | stat.S_ISUID)
        with step("set-user-id: a user cannot stay root") as seen:
            guard, mine = run_as(user, copy, uplink, "--user", "root")
            seen.append(guard.communicate(timeout=30)[1].strip())
            mine.close()
            assert guard.returncode == 2 and "only root" in seen[0], guard.returncode
        with step("set-user-id: the guard runs as its caller") as seen:
            guard, mine = run_as(user, copy, uplink)
            for line in guard.stderr:
                if "gateway MAC addresses" in line:
                    break
            seen.append(ids_of(guard.pid))
            guard.send_signal(signal.SIGINT)
            entry = pwd.getpwnam(user)
            assert seen[0] == [entry.pw_uid] * 3 + [entry.pw_gid] * 3
            assert guard.wait(10) == 0
            mine.close()


def run_bridged(program):
    with step("vmnet:bridged= of no interface names those that there are") as seen:
        guard, mine = run_as("root", program, "vmnet:bridged=none9")
        seen.append(guard.communicate(timeout=60)[1].strip())
        mine.close()
        assert guard.returncode == 2, guard.returncode


def main():
    program, uplink = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else "vmnet"
    user = os.environ.get("SUDO_USER") or "nobody"
    here = Here()
    try:
        run_guard(here, program, uplink, user)
        run_two(here, program, uplink, user)
        if uplink != "slirp" and os.geteuid() == 0:
            run_bridged(program)
            run_host_mode(here, program)
            run_set_user_id(program, uplink, user)
    finally:
        here.close()
    print("\n| step | result | seen |\n|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(f"\nlogs: {here.logs}")
    return 1 if any(row[1] == "FAIL" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
