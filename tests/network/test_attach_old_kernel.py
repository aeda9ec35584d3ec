"""The guard in the kernel of Debian itself, in a VM: Linux 6.1 has no tcx, so there it stands in clsact; 6.12 has it.

    in the VM: a namespace, eth0 -- veth port, guarded -- 192.168.77.1 with a DHCP server
"""

import shutil

import pytest

import rawguest
import services
import vm
from netns import wait_for
from test_attach import why_not

MAC, OTHER_MAC, ROUTER, FOREIGN = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "192.168.77.1", "192.168.77.99"
TOOLS = {f"/sbin/{name}": shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") for name in ("ip", "tc")}
VERIFY_SECONDS = 300        # 20 on an idle machine: an imitated processor lets the kernel check the programs

pytestmark = [pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
              pytest.mark.skipif(None in TOOLS.values() or not shutil.which("cpio"), reason="not installed: ip, tc or cpio")]


class Machine(vm.VM):
    """softnet runs in it, and a guest is a namespace in it."""
    log = "/tmp/first"

    def in_guest(self, command):
        return f"nsenter -t $(cat /tmp/guest) -n {command}"

    def reaches(self, address, source=None):
        ping = f"ping -c 1 -W 1 {f'-I {source} ' if source else ''}{address}"
        return self.try_run(self.in_guest(ping))[0] == 0

    def attach(self, log):
        self.log = log
        self.run(f"softnet attach port --vm-mac-address {MAC} -v >{log} 2>&1 & echo $! >/tmp/softnet")
        wait_for(lambda: "gateway MAC addresses" in self.said(), VERIFY_SECONDS, "the guard")

    def said(self):
        output = self.run(f"cat {self.log}")
        assert self.try_run("kill -0 $(cat /tmp/softnet)")[0] == 0, output
        return output

    def counters(self):
        self.run(f"kill -USR1 $(cat /tmp/softnet); until grep -q ^end$ {self.log}; do sleep 0.1; done")
        lines = self.said().splitlines()
        self.run(f"sed -i s/^end$/End/ {self.log}")
        return services.Counters(lines)

    def programs(self):
        """What the kernel has of them, its own included; they hold the guard's maps."""
        return int(self.run("grep -c bpf_prog_alloc /proc/vmallocinfo; true"))


@pytest.fixture
def machine(network, softnet, guest_image, tmp_path):
    if not (guest_image / "modules").exists():
        pytest.skip("the guest's image has no modules: run tests/vm/image.sh build/vm")
    files = {"/bin/softnet": softnet, **TOOLS}
    for program in list(files.values()):
        files.update({path: path for path in vm.libraries_of(program)})
    files.update({f"/modules/{path.name}": path for path in (guest_image / "modules").iterdir()})
    machine = Machine(network, "old", vm.image_with(guest_image, tmp_path, files), "52:54:00:00:00:99",
                      "hubport,id=n0,hubid=0", megabytes=512)
    machine.boot(VERIFY_SECONDS)
    for command in (
            "for module in veth cls_bpf sch_ingress; do [ ! -e /modules/$module.ko ] || insmod /modules/$module.ko; done",
            "unshare -n sh -c 'echo $$ >/tmp/guest; exec sleep 1000' >/dev/null 2>&1 &",
            "until [ -s /tmp/guest ]; do sleep 0.1; done",
            "/sbin/ip link add port type veth peer name eth0 netns $(cat /tmp/guest)",
            "ip address add 192.168.77.1/24 dev port",
            f"nsenter -t $(cat /tmp/guest) -n ip link set eth0 address {MAC}",
            "printf 'interface port\nstart 192.168.77.10\nend 192.168.77.50\noption router 192.168.77.1\n"
            "lease_file /tmp/leases\npidfile /tmp/udhcpd.pid\n' >/tmp/udhcpd.conf; touch /tmp/leases".replace("\n", "\\n")):
        machine.run(command)
    return machine


def test_a_guard_on_the_distributions_kernel(machine):
    before = machine.programs()
    machine.attach("/tmp/first")
    machine.run(f"ip link set port up; {machine.in_guest('ip link set eth0 up')}; udhcpd /tmp/udhcpd.conf")
    has_tcx = tuple(map(int, machine.run("uname -r").split("-")[0].split(".")[:2])) >= (6, 6)
    assert ("clsact" in machine.run("/sbin/tc qdisc show dev port")) == (not has_tcx)
    lease = machine.run(machine.in_guest("udhcpc -i eth0 -n -q -t 10 -T 1 -s /bin/udhcpc.sh"))
    assert "lease 192.168.77." in lease and machine.reaches(ROUTER)

    # What is not its own is dropped, and why is told.
    spoofed = rawguest.arp(OTHER_MAC, 1, FOREIGN, ROUTER).hex()
    machine.run(machine.in_guest(f"rawframe send eth0 -c 3 {spoofed}"))
    machine.run(machine.in_guest(f"ip address add {FOREIGN}/24 dev eth0"))
    assert not machine.reaches(ROUTER, FOREIGN)
    counters = machine.counters()
    assert counters.dropped("guest", "eth-src-spoof") == 3 and counters.dropped("guest", "ip4-src-spoof") >= 1
    assert counters.passed["guest"] >= 3 and counters.passed["uplink"] >= 3

    # It holds when its process does not, and the next one takes over.
    machine.run("kill -9 $(cat /tmp/softnet)")
    assert machine.reaches(ROUTER) and not machine.reaches(ROUTER, FOREIGN)
    machine.attach("/tmp/second")
    wait_for(lambda: "is taken over" in machine.said(), 10, "what the first has learned")
    assert machine.reaches(ROUTER) and not machine.reaches(ROUTER, FOREIGN)
    assert machine.counters().dropped("guest", "eth-src-spoof") == 3

    # Nothing is left.
    assert machine.programs() >= before + 2
    machine.run("softnet detach port")
    wait_for(lambda: machine.try_run("kill -0 $(cat /tmp/softnet)")[0] != 0, 10, "the process to end")
    wait_for(lambda: machine.programs() == before, 10, "the programs to go")
    assert "clsact" not in machine.run("/sbin/tc qdisc show dev port")
    assert machine.reaches(ROUTER, FOREIGN)
    machine.power_off()
