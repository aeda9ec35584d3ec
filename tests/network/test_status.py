"""softnet status: how running guards are found, and what is said about them; status_peers.py has the picture."""

import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

from conftest import needs_others
from status_peers import (     # noqa: F401 (fixtures)
    ADDRESS, MACS, ROOTS, USER, USERS, guards, keys_of_contract, names, program, softnet)


# --- who is found ---------------------------------------------------------------------------------------------------

@needs_others
def test_root_sees_all_and_users_their_own(guards):
    ours = [guards("status-a"), guards("status-b")]
    theirs = guards("status-c", user=USER)
    assert {"status-a", "status-b", "status-c"} <= names()
    assert names(USER) == {"status-c"}
    for guard, owner in (ours[0], 0), (theirs, USER):
        entry = guard.entry.lstat()
        assert entry.st_uid == owner and entry.st_mode & 0o777 == 0o600
    assert ROOTS.stat().st_mode & 0o777 == 0o755 and USERS.stat().st_mode & 0o777 == 0o700
    # One line for each of several, with the user where there is more than one; the page of a guard that is alone.
    status, out, _ = softnet("status")
    assert status == 0 and re.search(rf"^status-c +{theirs.process.pid} +{USER} +{ADDRESS} ", out, re.M), out
    status, out, said = softnet("status", user=USER)
    assert (status, said) == (0, "") and out.startswith(f"status-c  {theirs.mac}  pid {theirs.process.pid}, user {USER}, up")
    theirs.stop()
    assert not theirs.entry.exists()
    status, out, said = softnet("status", user=USER)
    assert (status, out) == (1, "") and said == "softnet: no guard answers; root has guards, which only root may ask\n"
    USERS.rmdir()


def test_one_is_picked_by_name_mac_or_process(guards):
    one, other = guards("status-one"), guards("status-other")
    for words in (["--vm", "status-one"], ["--vm", one.mac.upper()], ["--vm", one.process.pid], ["--control", one.entry]):
        status, out, said = softnet("status", *words)
        assert (status, said) == (0, "") and out.startswith(f"status-one  {one.mac}"), (words, out)
    status, out, said = softnet("status", "--vm", "status-none")
    assert (status, out, said) == (1, "", 'softnet: no guard answers for a VM "status-none"\n')
    assert softnet("status", "--control", one.entry, "--vm", "status-other")[0] == 1
    status, out, said = softnet("status", "--control", "/run/none")
    assert (status, out) == (1, "") and said == "softnet: /run/none: No such file or directory\n"
    assert other.process.poll() is None


def test_the_keys_are_those_of_the_contract(guards):
    guard = guards("status-keys", "--allow", "10.1.0.0/16", "--block", "1.1.1.1", "--block", "1.1.1.2")
    guard.call(times=3)
    status, out, said = softnet("status", "--json", "--vm", "status-keys")
    assert (status, said) == (0, "")
    [one] = json.loads(out)
    assert set(one) == keys_of_contract()
    assert one["policy"] == {"allow": 1, "block": 2} and one["pid"] == guard.process.pid and one["mac"] == guard.mac
    shown = softnet("policy", "show", "--vm", "status-keys")[1]
    checked = softnet("policy", "check", "--block", "1.1.1.2,1.1.1.1/32", "--allow", "10.1.2.3/16")[1]
    assert shown == checked and one["policy_digest"] == hashlib.sha256(shown.encode()).hexdigest()
    [drop] = one["drops"]
    assert (drop["side"], drop["reason"], drop["count"]) == ("guest", "dst-private", 3)
    assert [address["address"] for address in one["addresses"]] == [ADDRESS]
    _, page, _ = softnet("status", "--vm", "status-keys")
    assert page.splitlines()[1].startswith("has an address, ") and "dst-private" in page.splitlines()[1], page
    assert "1 allow, 2 block" in page and max(map(len, page.split("drops\n")[0].splitlines())) <= 80


# --- entries --------------------------------------------------------------------------------------------------------

@needs_others      # a plain user may not write to /
def test_dead_entries_are_ignored_and_go_with_the_next_start(guards, tmp_path):
    living = guards("status-living")
    dead = guards("status-dead")
    linked = guards("status-linked", "--control", "control-of-status", "--verbose")     # relative to /
    assert linked.entry.readlink() == pathlib.Path("/control-of-status")
    assert names() >= {"status-living", "status-dead", "status-linked"}
    for one in dead, linked:
        one.stop(signal.SIGKILL)
        assert one.entry.is_symlink() or one.entry.exists()
    pathlib.Path("/control-of-status").unlink()
    status, out, said = softnet("status")
    assert (status, said) == (0, "") and "status-living" in out and "status-dead" not in out
    # Neither what is no entry, nor one that somebody may be about to make.
    other, newborn = ROOTS / "other.sock", ROOTS / "999998999.new"
    for path in other, newborn:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    guards("status-next")
    assert not dead.entry.exists() and not linked.entry.is_symlink()
    assert living.entry.exists() and other.exists() and newborn.exists()
    os.utime(newborn, (1, 1))
    guards("status-last")
    assert not newborn.exists() and "status-living" in names()
    other.unlink()


def test_many_start_at_once(guards):
    """None takes another one's entry away, whatever it does at that moment."""
    started = []
    threads = [threading.Thread(target=lambda n=n: started.append(guards(f"status-at-once-{n}"))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 8 and {one.name for one in started} <= names()


@needs_others
def test_folders_of_others_are_not_used(guards):
    """Somebody was there first: the guard works, is listed nowhere, and says so."""
    def softnet_said():
        guest, guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        process = subprocess.Popen(
            [program(), "-v", "--vm-mac-address", next(MACS), "--vm-fd", str(guests.fileno()), "--uplink",
             f"fd:{guests.fileno()}"], pass_fds=[guests.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, user=USER, group=USER, extra_groups=[])
        line = next(line for line in process.stderr if "not listed" in line and "/tmp" in line)
        process.terminate()
        process.communicate(timeout=10)
        guest.close()
        guests.close()
        return line
    USERS.mkdir(mode=0o777)
    assert softnet_said() == f"softnet: not listed in {USERS}: it belongs to another user\n"
    os.chown(USERS, USER, USER)
    USERS.chmod(0o770)
    assert softnet_said() == f"softnet: not listed in {USERS}: others may write to it\n"
    USERS.rmdir()
    elsewhere = pathlib.Path("/run/elsewhere")
    elsewhere.mkdir()
    os.chown(elsewhere, USER, USER)
    USERS.symlink_to(elsewhere)
    assert softnet_said().startswith(f"softnet: not listed in {USERS}: ") and not list(elsewhere.iterdir())
    USERS.unlink()


ASK = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.connect(sys.argv[1])
one.sendall(sys.argv[2].encode() + b"\\n")
print(one.recv(65536).decode())
"""


@needs_others
def test_only_root_changes_anything_at_a_socket_nobody_asked_for(guards):
    guard = guards("status-reader", user=USER)
    words = "policy", "set", "--allow", "10.0.0.0/8", "--control", guard.entry
    status, out, said = softnet(*words, user=USER)
    assert (status, out) == (1, "") and "only root may change" in said, said
    for method, params in ("guard.relearn", {}), ("guard.expose.add", {"expose": "8080:80"}), \
            ("guard.expose.remove", {"expose": "8080:80"}), ("softnet.policy.set", {"allow": [], "block": []}):
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer = subprocess.run(["python3", "-c", ASK, guard.entry, request], user=USER, group=USER, extra_groups=[],
                                capture_output=True, text=True, timeout=10, cwd="/").stdout
        assert "only root may change" in answer, (method, answer)
    assert softnet("policy", "show", "--control", guard.entry, user=USER) == (0, "", "")
    assert softnet(*words) == (0, "allow 10.0.0.0/8\n", "")
    guard.stop()
    USERS.rmdir()
