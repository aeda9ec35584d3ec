"""Guards that can be asked for their status, and programs that are listed as if they were guards.

    raw guest (a socket) -- softnet -- a socket of this program      with an entry in /run/softnet or /tmp/softnet-UID
"""

import contextlib
import json
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

import netns
import services

USER = 20000 + random.randrange(40000)
ROOTS = pathlib.Path("/run/softnet")
USERS = pathlib.Path(f"/tmp/softnet-{USER}")
MACS = (f"02:00:00:00:77:{n:02x}" for n in range(1, 256))
ADDRESS = "192.168.77.12"
# Of a guard that nobody has: no process has such a number.
NUMBERS = iter(range(999_999_000, 999_999_999))


def program():
    return services.for_everybody(services.softnet_path())


class Guard:
    def __init__(self, name, *options, user=None):
        self.name, self.mac = name, next(MACS)
        self.guest, guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.uplink, uplinks = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.process = subprocess.Popen(
            [program(), "--name", name, "--vm-mac-address", self.mac, "--vm-fd", str(guests.fileno()),
             "--uplink", f"fd:{uplinks.fileno()}", "--vm-ip", f"{ADDRESS}/24", *options],
            pass_fds=[guests.fileno(), uplinks.fileno()], stdin=subprocess.DEVNULL, user=user, group=user,
            extra_groups=[] if user else None, cwd="/")
        guests.close()
        uplinks.close()
        folder = USERS if user else ROOTS
        self.entry = folder / f"{self.process.pid}.sock"
        netns.wait_for(self.answers, 10, f"{self.entry}")

    def answers(self):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:
            one.connect(str(self.entry))
            return True
        return False

    def call(self, address="10.9.9.9", times=1):
        """A private address: dropped as dst-private."""
        frame = Ether(src=self.mac, dst="02:00:00:00:00:99") / IP(src=ADDRESS, dst=address) / TCP(dport=22, flags="S")
        for _ in range(times):
            self.guest.send(bytes(frame))

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(10)
        self.guest.close()
        self.uplink.close()
        return status


@pytest.fixture
def guards(network):
    """Makes guards, and ends them. The next test finds no folder of theirs."""
    made = []

    def make(*words, **more):
        made.append(Guard(*words, **more))
        return made[-1]
    yield make
    for guard in made:
        guard.stop()
    shutil.rmtree(USERS, ignore_errors=True)


def softnet(*words, user=None):
    """(exit status, standard output, standard error). Folders in /tmp are seen by root in every part of the tests: what is
    said of those of another part is left out."""
    done = subprocess.run([program(), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=15, user=user, group=user, extra_groups=[] if user else None, cwd="/")
    said = (line for line in done.stderr.splitlines(True) if "/tmp/softnet-" not in line or str(USERS) in line)
    return done.returncode, done.stdout, "".join(said)


def names(user=None):
    status, out, said = softnet("status", "--json", user=user)
    return {one.get("name") for one in json.loads(out)}


def keys_of_contract():
    page = (services.CHECKOUT / "docs" / "observability.md").read_text()
    table = page.split("## Status")[1].split("\n## ")[0]
    return {key.strip() for row in re.findall(r"^\| ([a-z0-9_, ]+) \|", table, re.M) for key in row.split(",")} - {"key"}


class Fake:
    """Accepts, and then does as `manners` says; listed like a guard."""

    def __init__(self, manners, folder=ROOTS):
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{next(NUMBERS)}.sock"
        self.manners = manners
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.listener.settimeout(0.1)
        self.ending = threading.Event()
        self.kept = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.is_set():
            with contextlib.suppress(OSError):
                client = self.listener.accept()[0]
                self.kept.append(client)
                client.settimeout(5)
                self.manners(client, self.ending)

    def close(self):
        self.ending.set()
        self.thread.join()
        for one in [self.listener, *self.kept]:
            one.close()
        self.path.unlink(missing_ok=True)


def hung(client, ending):
    pass
