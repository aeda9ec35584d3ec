"""Hosts with a libvirt each, as namespaces: what a host keeps on its disk is in a folder, so that it can be started again.

    domain eth0 -- vnetN, guarded -- br0 of host1 -- up0 --+
                                     br0 of host2 -- up0 --+-- wire -- gateway 192.168.77.1, with a DHCP server and 1.1.1.1
                                                           +--------- neighbor 192.168.77.9

Between the hosts is a cable for what libvirt says: 10.0.0.1 and 10.0.0.2.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

import libvirt_peers
import services
from libvirt_peers import domain
from netns import NetworkError, wait_for

GATEWAY, FAR, NEIGHBOR = "192.168.77.1", "1.1.1.1", "192.168.77.9"
SCRIPT = """
mount --make-rprivate /
hostname {name}
for folder in {folders}; do mkdir -p {disk}$folder $folder; mount --bind {disk}$folder $folder; done
for file in passwd group; do mount --bind {disk}/$file /etc/$file; done
mount -t tmpfs -o mode=755 tmpfs /run
exec {reaper} env PATH={path} libvirtd --listen
"""


class Host:
    """A machine with libvirt, our hook, and a bridge br0 on the wire."""

    def __init__(self, network, name, number):
        self.network, self.name, self.number, self.daemon, self.starts = network, name, number, None, 0
        self.disk = network.logs / name
        folder = self.disk / "etc/libvirt/hooks/qemu.d"
        folder.mkdir(parents=True)
        (folder / "softnet").symlink_to(libvirt_peers.hook_path())
        (self.disk / "etc/libvirt/qemu.conf").write_text(libvirt_peers.SETTINGS)
        (self.disk / "etc/libvirt/libvirtd.conf").write_text(
            f'auth_unix_rw = "none"\nunix_sock_group = "root"\nlisten_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\n'
            f'listen_addr = "10.0.0.{number}"\nhost_uuid = "00000000-0000-4000-8000-00000000000{number}"\n')
        libvirt_peers.write_users(self.disk)
        self.power_on()

    def power_on(self):
        self.starts, self.second = self.starts + 1, None        # libvirtd of a second start
        self.namespace = self.network.namespace(f"{self.name}-{self.starts}")
        port = f"{self.name}-up{self.starts}"
        self.namespace.ip("link add br0 type bridge stp_state 0 mcast_snooping 0\nlink set br0 up\n")
        self.network.host.ip(f"link add {port} type veth peer name up0 netns {self.namespace.name}\nlink set {port} master wire up\n")
        self.namespace.ip("link set up0 master br0 up")
        self.network.host.ip(f"link add {self.name}-mg type veth peer name mg0 netns {self.namespace.name}\nlink set {self.name}-mg master cable up\n")
        self.namespace.ip(f"address add 10.0.0.{self.number}/24 dev mg0\nlink set mg0 up\n")
        self.start()

    def start(self):
        script = SCRIPT.format(name=self.name, folders=" ".join(libvirt_peers.FOLDERS), disk=self.disk, reaper=libvirt_peers.REAPER, path=search_path())
        self.daemon = self.network.start(["unshare", "--mount", "--uts", "sh", "-ec", script], self.namespace,
                                         name=f"libvirtd-{len(self.network.processes)}")
        self.pid = int(self.daemon.wait_line(r"^started (\d+)").group(1))
        self._await()

    def restart_libvirt(self):
        """The daemon alone; its domains and their guards go on."""
        os.kill(self.pid, signal.SIGTERM)
        self.daemon.wait_line(r"^ended (\d+)", 30)
        again = self.network.start(self.command(libvirt_peers.REAPER, "env", f"PATH={search_path()}", "libvirtd", "--listen"),
                                   name=f"libvirtd-{len(self.network.processes)}")
        self.pid, self.second = int(again.wait_line(r"^started (\d+)").group(1)), again
        self._await()

    def _await(self):
        wait_for(lambda: not self.daemon.running or self.try_virsh("list").returncode == 0, 30, "libvirtd to answer")
        if not self.daemon.running:
            raise NetworkError("libvirtd has ended: " + "\n".join(self.daemon.output()[-3:]))

    def power_off(self):
        """As if somebody had pulled the plug."""
        self.daemon.popen.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.processes(), 10, "its processes to end")
        self.namespace.remove()
        self.network.namespaces.remove(self.namespace)
        wait_for(lambda: f"{self.name}-mg" not in self.network.host.links(), 10, "its cables to go")

    def processes(self):
        """Those in its network."""
        own, found = os.stat(self.namespace.path).st_ino, []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.stat(entry / "ns/net").st_ino == own and (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def command(self, *words):
        return ["nsenter", f"--target={self.daemon_root()}", "--mount", "--uts", f"--net={self.namespace.path}", "--", *map(str, words)]

    def daemon_root(self):
        """A process in its namespaces: the one that waits for libvirtd and its orphans."""
        return (self.second or self.daemon).pid

    def run(self, *words, check=True, timeout=120, text=""):
        done = subprocess.run(self.command(*words), input=text, text=True, capture_output=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise NetworkError(f"{' '.join(map(str, words))}: {done.stderr}")
        return done

    def try_virsh(self, *words, timeout=120):
        return self.run("virsh", "-q", "-c", "qemu:///system", *words, check=False, timeout=timeout)

    def virsh(self, *words):
        return self.run("virsh", "-q", "-c", "qemu:///system", *words).stdout

    def define(self, xml):
        self.run("virsh", "-q", "-c", "qemu:///system", "define", "/dev/stdin", text=xml)

    def names(self):
        return self.virsh("list", "--name").split()

    def tap(self, name):
        return next((word for word in self.virsh("domiflist", name).split() if word.startswith("vnet")), None)

    def status(self, name):
        """What its guards say of the domain; None if there is none."""
        done = self.run(services.softnet_path(), "status", "--json", check=False)
        return next((one for one in json.loads(done.stdout or "[]") if one["name"] == name), None)

    def guards(self):
        """The ports that have one."""
        own = self.processes()
        return {words[words.index("attach") + 1] for pid, words in libvirt_peers.processes("attach").items() if pid in own}

    def records(self):
        return [name for name in self.run("ls", "/run/softnet/libvirt", check=False).stdout.split() if name != "lock"]

    def console(self, name):
        return libvirt_peers.Console(f"/proc/{self.daemon_root()}/root/run/{name}.serial")

    def close(self):
        for name in self.names():
            self.try_virsh("destroy", name)
        os.kill(self.pid, signal.SIGTERM)
        (self.second or self.daemon).wait_line(r"^ended (\d+)", 30)


def search_path():
    """Where the hook finds softnet."""
    return f"{services.softnet_path().parent}:{os.environ['PATH']}"


class Guest:
    """A domain that runs, wherever it is: what is typed at its console."""

    def __init__(self, host, name, interfaces):
        self.name, self.interfaces, self.address = name, interfaces, None
        self.wait_boot(host)

    def wait_boot(self, host):
        self.reconnect(host)
        self.console.wait("GUEST READY", 240)

    def reconnect(self, host):
        self.console = host.console(self.name)

    def lease(self):
        said = self.run("udhcpc -i eth0 -n -q -s /bin/udhcpc.sh")
        self.address = re.search(r"lease ([\d.]+)/", said).group(1)

    def restart(self, host, metadata, before=None):
        """With other metadata, perhaps on another host."""
        (before or host).virsh("destroy", self.name)
        host.virsh("undefine", self.name)
        host.define(domain(self.name, self.interfaces, metadata, image()))
        host.virsh("start", self.name)
        self.wait_boot(host)
        self.lease()

    def try_run(self, command, timeout=60):
        return self.console.try_run(command, timeout)

    def run(self, command, timeout=60):
        return self.console.run(command, timeout)


def image():
    folder = pathlib.Path(os.environ.get("SOFTNET_VM_IMAGE", services.CHECKOUT / "build/vm"))
    if not (folder / "initramfs").exists():
        pytest.skip("no guest image: run tests/vm/image.sh build/vm")
    return folder


def boot(host, name, interfaces, metadata):
    """A domain with a lease."""
    host.define(domain(name, interfaces, metadata, image()))
    host.virsh("start", name)
    guest = Guest(host, name, interfaces)
    guest.lease()
    return guest


def serve(network):
    return services.dnsmasq(network, network.gateway, "192.168.77.10", "192.168.77.50", "600s", router=GATEWAY)


def hosts_of(network, count):
    """The wire, the gateway, the neighbor, host1 and so on."""
    network.bridge("wire")
    network.bridge("cable")
    network.gateway = network.namespace("gateway")
    network.join(network.gateway, "eth0", "wire", f"{GATEWAY}/24")
    network.gateway.ip(f"address add {FAR}/32 dev lo")
    network.dhcp_server = serve(network)
    network.neighbor = network.namespace("neighbor")
    network.join(network.neighbor, "eth0", "wire", f"{NEIGHBOR}/24")
    network.hosts = [Host(network, f"host{number}", number) for number in range(1, count + 1)]
    return network.hosts


def one_host(network):
    return hosts_of(network, 1)[0]


def two_hosts(network):
    return hosts_of(network, 2)
