"""A libvirt of the tests' own, in the namespaces that they have: its daemon, its domains, and our hook in its folder.

    domain eth0 -- vnetN, guarded -- br0 -- gateway 192.168.77.1 and a neighbor
           eth1 -- vnetM, guarded -- br1 -- lan 192.168.78.1
"""

import contextlib
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import threading

import netns
import services
import vm
from netns import NetworkError, wait_for

REAPER = services.HERE / "reaper.py"
URI = "urn:softnet:libvirt"
FOLDERS = "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"
USER = 64055        # Debian's number of libvirt-qemu; any would do
SETTINGS = """
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""


def hook_path():
    return services.softnet_path().parent / "softnet-libvirt-hook"


def why_not():
    """What is missing for these tests; None if nothing is."""
    if os.geteuid() != 0 or not netns.has_other_users():
        return "needs root, for the kernel takes no programs from others"
    missing = [program for program in ("libvirtd", "virsh", "qemu-system-x86_64") if not shutil.which(program)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if platform.machine() != "x86_64":
        return "the domains are for x86-64"
    return None if hook_path().exists() else "softnet was built without its hook for libvirt"


def interface(mac, bridge="br0", more=""):
    return f"<interface type='bridge'><mac address='{mac}'/><source bridge='{bridge}'/><model type='virtio'/>" \
           f"<rom enabled='no'/>{more}</interface>"


def guard(*wishes):
    """Metadata of softnet, with such elements."""
    return f"<softnet:guard xmlns:softnet='{URI}'>{''.join(f'<softnet:interface {wish}/>' for wish in wishes)}</softnet:guard>"


def domain(name, interfaces, metadata="", image=None):
    """The XML of a domain: with the image of a guest, that boots; else one that finds no system."""
    system = f"<kernel>{image}/vmlinuz</kernel><initrd>{image}/initramfs</initrd>" \
             f"<cmdline>{vm.kernel_arguments('ttyS0')}</cmdline>" if image else ""
    return f"""
<domain type='qemu'>
  <name>{name}</name><memory unit='MiB'>192</memory><vcpu>1</vcpu>
  <metadata>{metadata}</metadata>
  <os><type arch='x86_64' machine='pc'>hvm</type>{system}</os>
  <features><acpi/></features><cpu mode='maximum'/>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>{vm.qemu_path()}</emulator>
    <controller type='usb' model='none'/><memballoon model='none'/>
    <serial type='unix'><source mode='bind' path='/run/{name}.serial'/><target port='0'/></serial>
    {"".join(interfaces)}
  </devices>
</domain>"""


class Console:
    """The serial console of a domain, as vm.VM drives it."""

    def __init__(self, path):
        self.path, self.text, self.news = str(path), "", threading.Condition()
        self.reconnect()

    def reconnect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.path)
        threading.Thread(target=self._read, args=[self.socket], daemon=True).start()

    def _read(self, wire):
        with contextlib.suppress(OSError):
            while data := wire.recv(4096):
                with self.news:
                    self.text += data.decode(errors="replace")
                    self.news.notify_all()

    def wait(self, text, timeout=60, since=0):
        """What stands before it; `since` is a position in what was read."""
        with self.news:
            if not self.news.wait_for(lambda: text in self.text[since:], netns.patience(timeout)):
                raise NetworkError(f"the guest has not said '{text}': {self.text[-500:]}")
            return self.text[since:].partition(text)[0]

    def try_run(self, command, timeout=60):
        """Run one line in the guest; returns (exit status, output)."""
        mark = len(self.text)
        self.socket.sendall(command.encode() + b"\n")
        output = self.wait("GUEST EXIT ", timeout, mark)
        wait_for(lambda: "\n" in self.text[mark + len(output):], 10, "the end of the line")
        return int(self.text[mark + len(output):].split()[2]), output

    def run(self, command, timeout=60):
        status, output = self.try_run(command, timeout)
        if status != 0:
            raise NetworkError(f"{command}: exit status {status}\n{output}")
        return output


def write_users(folder):
    """The files passwd and group with the user of libvirt's package, without which it does not start."""
    for name, lines in (("passwd", [f"libvirt-qemu:x:{USER}:{USER}::/:/bin/sh\n"]),
                        ("group", [f"libvirt-qemu:x:{USER}:\n", f"kvm:x:{USER + 1}:\n"])):
        text = pathlib.Path(f"/etc/{name}").read_text()
        known = {line.partition(":")[0] for line in text.splitlines()}
        (folder / name).write_text(text + "".join(line for line in lines if line.partition(":")[0] not in known))
        (folder / name).chmod(0o644)


class Libvirt:
    """libvirtd, whose folders are empty and vanish with it."""

    def __init__(self, network):
        self.network, self.mounted, self.daemon = network, [], None
        for folder in FOLDERS:
            self.mount(folder, "-t", "tmpfs", "tmpfs")
        self._add_user()
        hooks = pathlib.Path("/etc/libvirt/hooks/qemu.d")
        hooks.mkdir(parents=True)
        (hooks / "softnet").symlink_to(hook_path())
        pathlib.Path("/etc/libvirt/qemu.conf").write_text(SETTINGS)
        pathlib.Path("/etc/libvirt/libvirtd.conf").write_text('auth_unix_rw = "none"\nunix_sock_group = "root"\n')
        self.start()

    def mount(self, where, *words):
        if words[0] == "-t":
            pathlib.Path(where).mkdir(parents=True, exist_ok=True)
        netns.run("mount", *words, where)
        self.mounted.append(where)

    def _add_user(self):
        write_users(pathlib.Path("/run"))
        for name in "passwd", "group":
            self.mount(f"/etc/{name}", "--bind", f"/run/{name}")

    def start(self):
        path = f"{services.softnet_path().parent}:{os.environ['PATH']}"
        self.daemon = self.network.start([REAPER, "env", f"PATH={path}", "libvirtd"],
                                         name=f"libvirtd-{len(self.network.processes)}")
        self.pid = int(self.daemon.wait_line(r"^started (\d+)").group(1))
        wait_for(lambda: self.has_ended() or self.try_virsh("list").returncode == 0, 30, "libvirtd to answer")
        if self.has_ended():
            raise NetworkError("libvirtd has ended: " + "\n".join(self.daemon.output()[-3:]))

    def has_ended(self):
        return any(line.startswith("ended ") for line in self.daemon.output("out"))

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        self.daemon.wait_line(r"^ended (\d+)", 30)

    @staticmethod
    def try_virsh(*words):
        return subprocess.run(["virsh", "-q", "-c", "qemu:///system", *map(str, words)], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=120, check=False)

    def virsh(self, *words):
        done = self.try_virsh(*words)
        if done.returncode != 0:
            raise NetworkError(f"virsh {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def define(self, xml):
        path = self.network.logs / "domain.xml"
        path.write_text(xml)
        self.virsh("define", path)

    def names(self):
        return self.virsh("list", "--name").split()

    def close(self):
        for name in self.names():
            self.try_virsh("destroy", name)
        self.stop()
        for where in reversed(self.mounted):
            netns.run("umount", "-l", where, check=False)


def processes(word):
    """{number: words} of the processes with this word among their first three."""
    found = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if word.encode() in [one.rpartition(b"/")[2] for one in words[:3]]:
                found[int(entry.name)] = [one.decode() for one in words]
    return found


def guards():
    """{port: number} of the guards in the kernel, without the one of conftest.loaded."""
    found = {words[words.index("attach") + 1]: pid for pid, words in processes("attach").items() if "softnet" in words[0]}
    return {port: pid for port, pid in found.items() if port != "keeps0"}


def keepers(name):
    return [pid for pid, words in processes("start").items() if words[1:2] == [name]] + \
           [pid for pid, words in processes("reconnect").items() if words[1:2] == [name]]


def records():
    folder = pathlib.Path("/run/softnet/libvirt")
    return [entry for entry in folder.iterdir() if entry.name != "lock"] if folder.exists() else []
