"""The packaged unit under a real systemd, with the drop-ins: the first process of namespaces of its own."""

import json
import os
import pathlib
import random
import re

import pytest

import netns
import services
from conftest import needs
from netns import run, wait_for
from test_sandbox import SANITIZED

PACKAGED = services.CHECKOUT / "packaging/systemd"
MAC = "52:54:00:12:34:56"
# What is mounted stands in the namespace of mounts alone, and nothing of the host's own units is there.
PREPARE = """
set -e
mount --make-rprivate /
for folder in /run /var/lib /etc/systemd/system /lib/systemd/system; do mount -t tmpfs tmpfs $folder; done
mkdir -p /run/systemd/system
for file in passwd group; do cp /etc/$file /run/$file; mount --bind /run/$file /etc/$file; done
for name in softnet softnet-web1; do
    echo "$name:x:$1:$1::/:/bin/false" >>/etc/passwd
    echo "$name:x:$1:" >>/etc/group
done
cp -r "$0"/. /etc/systemd/system/
export container=softnet SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
exec /lib/systemd/systemd --system --unit=guard.target --log-target=null --show-status=no \\
    --default-standard-output=null --default-standard-error=null
"""
TARGET = """[Unit]
DefaultDependencies=no
Wants=softnet@web1.service
"""

pytestmark = [needs("systemd-analyze", "systemctl", "nsenter"),
              pytest.mark.skipif(os.geteuid() != 0 or not netns.has_other_users(), reason="needs root"),
              pytest.mark.skipif(SANITIZED, reason="a sanitizer reads /proc at its end")]


class Manager:
    """systemd, which has started the guard of the VM web1."""

    def __init__(self, network, folder, options, dropins):
        unit = (PACKAGED / "softnet@.service").read_text()
        self.user = user = random.randrange(20000, 60000)
        self.program = services.for_everybody(services.softnet_path())
        (folder / "web1.conf").write_text(f"OPTIONS=--vm-mac-address {MAC} {options}\n")
        unit = unit.replace("/usr/bin/softnet", str(self.program)).replace("/etc/softnet/", "/etc/systemd/system/")
        unit = re.sub("^After=.*", "DefaultDependencies=no", unit, flags=re.M)
        (folder / "softnet@.service").write_text(unit)
        (folder / "guard.target").write_text(TARGET)
        (folder / "softnet@.service.d").mkdir()
        self.said = folder / "said"
        (folder / "softnet@.service.d" / "test.conf").write_text(
            f"[Service]\nStandardError=append:{self.said}\nReadWritePaths={folder}\n")
        for name in dropins:
            (folder / "softnet@.service.d" / name).write_text((PACKAGED / name).read_text())
        self.process = network.start(["unshare", "-mpfiCu", "--kill-child", "--mount-proc", "bash", "-c", PREPARE, folder, user])
        [self.first] = wait_for(self.children, 10, "the namespaces")

    def children(self):
        pid = self.process.popen.pid
        return list(map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def run(self, *words, check=True):
        return run("nsenter", "-t", self.first, "-m", "-p", "-i", "-C", "-u", *words, check=check)

    def property(self, name):
        return self.run("systemctl", "show", "--value", "-p", name, "softnet@web1", check=False).strip()

    def status(self):
        """Of the guard, when it has started; None before."""
        if not self.process.running:
            pytest.skip("systemd does not start as the first process of a namespace here")
        restarts = self.property("NRestarts")
        assert not restarts.isdigit() or int(restarts) == 0, \
            (self.property("ExecMainStatus"), self.said.read_text()[-600:] if self.said.exists() else "nothing said")
        text = self.run(self.program, "status", "--json", check=False)
        found = json.loads(text[text.index("["):])
        # Root sees those of other tests as well, in /tmp.
        return next((one for one in found if one["sandbox"]["user"] == self.user), None)

    def sandbox(self):
        found = self.status()
        return None if found is None or found["sandbox"]["namespaces"] is None else found["sandbox"]


@pytest.fixture
def start(network, tmp_path):
    """A manager with the guard's options and drop-ins."""
    started = []

    def begin(options, dropins):
        started.append(Manager(network, tmp_path, options, dropins))
        return started[0]
    yield begin
    run("rm", "-rf", f"/tmp/softnet-{started[0].user}")


@pytest.mark.parametrize("dropins", [(), ("hardening.conf",), ("hardening.conf", "user.conf")], ids=["unit", "hardened", "user"])
@pytest.mark.parametrize("options", ["--guest unixgram:/run/softnet-vm/web1/guest.sock --uplink slirp",
                                     "--guest tap:sysd0 --uplink slirp"], ids=["path", "tap"])
def test_the_unit(start, dropins, options):
    """The guard has all of its sandbox under systemd's, and its processes are apart."""
    manager = start(options, dropins)
    sandbox = wait_for(manager.sandbox, 15, "the guard, and what its processes have")
    assert (sandbox["mode"], sandbox["system_calls"], sandbox["missing"]) == ("on", True, None), sandbox
    assert sandbox["namespaces"] is True
    # Guards of other users see there what its VM has.
    assert manager.run("stat", "-c", "%u", f"/run/softnet/claims/{manager.user}").strip() == str(manager.user)
    pids = manager.run("pgrep", "-f", manager.program).split()
    spaces = {manager.run("readlink", f"/proc/{pid}/ns/pid") for pid in pids}
    assert len(pids) >= 3 and len(spaces) >= 2, (pids, spaces)     # the guard; apart from it the keeper of slirp and libslirp
