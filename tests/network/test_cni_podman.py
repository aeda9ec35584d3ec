"""podman with its CNI backend: containers that are guarded by softnet-cni, and one that attacks the other.

    one eth0 -- veth, guarded -- sandbox0, whose host is the gateway 10.88.8.1 -- veth, guarded -- eth0 two

The containers have the host's /usr, so nothing is downloaded.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

import cni_peers
import test_attach
from netns import run, wait_for
from test_cni import is_unguarded, statuses

WHY_NOT = test_attach.why_not() or cni_peers.why_not("bridge", "host-local") or \
    next((f"not installed: {name}" for name in ("podman", "crun") if not shutil.which(name)), None)
pytestmark = [pytest.mark.together("cni"), pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

GATEWAY = "10.88.8.1"
PLACE = pathlib.Path("/run/podman-test")
SETTINGS = """
[network]
network_backend = "cni"
network_config_dir = "{place}/networks"
cni_plugin_dirs = ["{plugins}", "{own}"]
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
WORDS = ("podman", "--root", PLACE / "storage", "--runroot", PLACE / "run", "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs")


class Podman:
    """What a container could need of cgroups it does without: they are the machine's."""

    def __init__(self):
        for folder in "networks", "rootfs/usr", "rootfs/proc", "rootfs/sys", "rootfs/dev", "rootfs/etc", "rootfs/tmp":
            (PLACE / folder).mkdir(parents=True)
        for name in "bin", "lib", "lib64":
            (PLACE / "rootfs" / name).symlink_to(f"usr/{name}")
        (PLACE / "containers.conf").write_text(SETTINGS.format(place=PLACE, plugins=cni_peers.PLUGINS, own=cni_peers.plugin_path().parent))
        run("umount", "-R", "/sys/fs/cgroup", check=False)
        run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup", check=False)

    def network(self, name, bridge, subnet, **options):
        plugins = [cni_peers.bridge(subnet, name=bridge, data=str(PLACE / "ipam")), cni_peers.softnet(**options)]
        config = {"cniVersion": "1.0.0", "name": name, "plugins": plugins}
        (PLACE / "networks" / f"{name}.conflist").write_text(json.dumps(config))

    @staticmethod
    def podman(*words, check=True):
        environment = {**os.environ, "CONTAINERS_CONF": str(PLACE / "containers.conf"), "HOME": str(PLACE)}
        done = subprocess.run([*WORDS, *words], env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    @staticmethod
    def remove():
        run("umount", "-R", "/sys/fs/cgroup", check=False)
        shutil.rmtree(PLACE, ignore_errors=True)

    def start(self, name, network):
        return self.podman("run", "-d", "--name", name, "--cgroups=disabled", "--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000",
                           "--cap-add", "NET_RAW,NET_ADMIN", "--network", network, "-v", "/usr:/usr:ro", "--rootfs", PLACE / "rootfs",
                           "/bin/sleep", "1000", check=False)

    def address(self, name):
        return json.loads(self.podman("inspect", name).stdout)[0]["NetworkSettings"]["Networks"]["sandbox"]["IPAddress"]

    def inside(self, name, *words):
        return self.podman("exec", name, *words, check=False)

    def can_reach(self, name, address, source=None):
        return " 0% packet loss" in self.inside(name, "/bin/ping", "-c1", "-W1", *(["-I", source] if source else []), address).stdout


@pytest.fixture
def podman(loaded, network):
    podman = Podman()
    said = podman.podman("network", "ls", check=False).stderr
    if "cni support is not enabled" in said:
        podman.remove()
        pytest.skip("podman was built without its CNI backend")
    podman.network("sandbox", "sandbox0", "10.88.8.0/24", block="any", allow=["@host"])
    yield podman
    podman.podman("rm", "-f", "-t", "0", "-a", check=False)
    podman.remove()


def test_one_container_attacks_the_other(podman, network):
    for name in "one", "two":
        done = podman.start(name, "sandbox")
        assert done.returncode == 0, done.stderr
    attacker, victim = podman.address("one"), podman.address("two")
    wait_for(lambda: podman.can_reach("one", GATEWAY) and podman.can_reach("two", GATEWAY), 10, "the gateway to answer")
    wire = network.host.wire("sandbox0")
    # The other itself, its address, and the gateway's.
    assert not podman.can_reach("one", victim)
    for stolen in victim, GATEWAY:
        assert podman.inside("one", "/bin/ip", "address", "add", f"{stolen}/32", "dev", "eth0").returncode == 0
        assert not podman.can_reach("one", GATEWAY if stolen == victim else victim, stolen)
        podman.inside("one", "/bin/ip", "address", "delete", f"{stolen}/32", "dev", "eth0")
    assert not [frame for frame in wire.frames() if frame[26:30] == bytes(map(int, victim.split("."))) and frame[23] == 1]
    assert podman.can_reach("two", GATEWAY)
    found = {one["addresses"][0]["address"]: one for one in statuses().values()}
    assert set(found) == {attacker, victim} and all(one["pid"] is None and one["left"]["stands"] for one in found.values())
    assert sum(drop["count"] for drop in found[attacker]["drops"] if drop["side"] == "guest") >= 3
    podman.podman("rm", "-f", "-t", "0", "one", "two")
    assert is_unguarded(network)


def test_no_container_without_its_guard(podman, network):
    podman.network("wrong", "wrong0", "10.88.9.0/24", allow=["10.0.0.0/33"])
    done = podman.start("three", "wrong")
    assert done.returncode != 0 and "behind the slash stands a length of 0 to 32 bits" in done.stderr
    assert is_unguarded(network)
