"""Boots the guest that tests/vm/image.sh builds, under QEMU without KVM, and drives it over its serial console.

    guest = VM(network, "victim", image, mac, netdev="tap,id=n0,ifname=tapV,script=no,downscript=no")
    guest.boot()
    print(guest.run("udhcpc -i eth0 -n -q -s /bin/udhcpc.sh"))

The guest runs one line at a time and says how it ended (tests/vm/init), so nobody has to guess when it is done.
"""

import gzip
import os
import pathlib
import platform
import re
import shutil
import subprocess

from netns import NetworkError

BOOT_SECONDS = 240      # about 1.5 s on an idle machine; a busy one may take long

# What differs between the machines that QEMU imitates: the program, the machine's options, the serial console's name.
MACHINES = {
    "x86_64": ("qemu-system-x86_64", ["-M", "microvm", "-cpu", "max"], "ttyS0"),
    # Not the newest CPU: pointer authentication costs a boot four seconds under TCG.
    "aarch64": ("qemu-system-aarch64", ["-M", "virt", "-cpu", "cortex-a72"], "ttyAMA0"),
}


def qemu_name():
    return MACHINES[platform.machine()][0]


def qemu_path():
    return shutil.which(qemu_name())


def kernel_arguments(console):
    # It need not hide where it is, nor test its ciphers: that takes a sixth of the boot. Nor need it guard against its
    # own processor, clear memory that it gives out, or count what each group of processes has.
    arguments = (f"console={console} quiet loglevel=0 reboot=t panic=-1 nokaslr cryptomgr.notests "
                 "mitigations=off init_on_alloc=0 cgroup_disable=memory")
    if console == "ttyS0":
        # One boot in twelve hangs where the kernel measures the TSC against a timer that a busy host delays; so tell
        # it the clock. QEMU's TCG counts TSC ticks at the host's own rate.
        with open("/proc/cpuinfo") as info:
            khz = [int(float(line.split(":")[1]) * 1000) for line in info if line.startswith("cpu MHz")]
        arguments += f" tsc_early_khz={khz[0]}" if khz else ""
        # TCG does the string instructions octet by octet: without them the kernel copies ten times faster.
        arguments += " clearcpuid=erms,fsrm,rep_good no5lvl"
    return arguments


def qemu_command(image, mac, netdev, megabytes=192):
    """A QEMU command line for the guest; `netdev` is the value of -netdev, with id=n0."""
    program, machine, console = MACHINES[platform.machine()]
    image = pathlib.Path(image)
    return [program, *machine, "-accel", "tcg", "-m", str(megabytes), "-smp", "1", "-nodefaults", "-no-user-config",
            "-nographic", "-no-reboot", "-serial", "stdio", "-kernel", str(image / "vmlinuz"),
            "-initrd", str(image / "initramfs"), "-append", kernel_arguments(console),
            "-netdev", netdev, "-device", f"virtio-net-device,netdev=n0,mac={mac}"]


class VM:
    """A guest. `guard` is what stands before the QEMU command, say ["softnet", "run", ..., "--"]; there, the netdev may
    hold {fd} and the MAC may be {mac}. Further options are Network.start()'s."""

    def __init__(self, network, name, image, mac, netdev, guard=(), megabytes=192, **options):
        self.name = name
        self.process = network.start([*guard, *qemu_command(image, mac, netdev, megabytes)], name=name, **options)

    def boot(self, timeout=BOOT_SECONDS):
        """Wait until the guest takes commands; returns its kernel's version and its MAC address."""
        match = self.process.wait_line(r"GUEST READY (\S+) (\S+)", timeout)
        return match.group(1), match.group(2)

    def try_run(self, command, timeout=20):
        """Run one line in the guest; returns (exit status, output)."""
        if "\n" in command:
            raise ValueError("one line at a time")
        mark = self.process.mark()
        self.process.write_line(command)
        status = int(self.process.wait_line(r"GUEST EXIT (\d+)", timeout, since=mark).group(1))
        output = [text for stream, text in self.process.since(mark) if stream == "out"]
        end = next(at for at, text in enumerate(output) if "GUEST EXIT" in text)
        # The last line of the output may lack its newline.
        rest = output[end].split("GUEST EXIT")[0]
        return status, "\n".join(output[:end] + ([rest] if rest else []))

    def run(self, command, timeout=20):
        """Run one line in the guest; returns its output; NetworkError if it fails."""
        status, output = self.try_run(command, timeout)
        if status != 0:
            raise NetworkError(f"{self.name}: {command}: exit status {status}\n{output}")
        return output

    def power_off(self, timeout=10):
        """End the guest at once; returns the exit status of QEMU, or of its guard."""
        self.process.write_line("reboot -f")
        return self.process.wait(timeout)


def image_directory():
    """Where the guest's image is: $SOFTNET_VM_IMAGE, or build/vm in the checkout. None if it is not built."""
    here = pathlib.Path(__file__).resolve().parents[2]
    directory = pathlib.Path(os.environ.get("SOFTNET_VM_IMAGE", here / "build" / "vm"))
    return directory if (directory / "initramfs").exists() else None


def libraries_of(program):
    """Paths of what it is linked with, the loader included."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(", said)


def image_with(image, folder, files):
    """The image with more in it: `files` is a dictionary of the path in the guest to the file here. It is made in `folder`."""
    root, more = folder / "more", folder / "image"
    for path, file in files.items():
        to = root / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    packed = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=root, input=names.encode(),
                            capture_output=True, check=True).stdout
    more.mkdir()
    (more / "vmlinuz").symlink_to(image / "vmlinuz")
    (more / "initramfs").write_bytes((image / "initramfs").read_bytes() + gzip.compress(packed, 1))
    return more
