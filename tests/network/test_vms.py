"""Rules that name another VM of this host (vm:NAME): it is open by its name and no other is, whatever becomes of its address.

    web, db, evil -- softnet or programs in the kernel -- ports of br0 192.168.77.1 of the host, with a DHCP server
"""

import contextlib
import signal
import socket
import time

import pytest

import dhcp_peers
import services
import test_attach
from dhcp_peers import Guest
from netns import run, wait_for
from conftest import needs, needs_others
from test_claims import as_user, give_folder, give_tap, hosted, raw      # noqa: F401 (two fixtures)

PORT, OTHER_PORT = 5432, 5433
LIAR, THEIRS = "52:54:00:00:00:0a", "52:54:00:00:00:0b"
DB_RULES = "--inbound", "established", "--allow", f"in vm:web:tcp/{PORT}"
WEB_RULES = "--allow", f"vm:db:tcp/{PORT}"


class Attached(Guest):
    """The same guest, behind the kernel's programs."""

    def start_guard(self, *more):
        self.guard = services.attach(self.network, self.namespace, self.mac, "br0", *self.options, *more,
                                     name=f"softnet-{len(self.network.processes)}")
        return self.guard


@pytest.fixture(params=["relay", "attach"])
def kind(request):
    if request.param == "relay":
        return Guest
    if test_attach.why_not():
        pytest.skip(test_attach.why_not())
    request.getfixturevalue("loaded")
    return Attached


def begin(network, kind, name, *options):
    guest = kind(network, name, "--name", name, *options)
    dhcp_peers.start_client(network, guest, "udhcpc")
    return guest


@contextlib.contextmanager
def listening(guest, *ports):
    with contextlib.ExitStack() as stack:
        with guest.namespace.entered():
            sockets = [stack.enter_context(socket.socket()) for _ in ports]
        for one, port in zip(sockets, ports):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("", port))
            one.listen()
        yield


def connects(guest, address, port=PORT):
    return calls(guest.namespace, address, port)


def calls(namespace, address, port=PORT):
    with namespace.entered():
        caller = socket.socket()
    with caller:
        caller.settimeout(1.5)
        try:
            caller.connect((address, port))
        except OSError:
            return False
        return True


def test_a_vm_is_open_by_its_name(hosted, kind):
    web = begin(hosted, kind, "web", *WEB_RULES)
    evil = begin(hosted, kind, "evil")
    assert "vm:db is" not in "\n".join(web.guard.output())
    db = begin(hosted, kind, "db", *DB_RULES)
    web.guard.wait_line(f"vm:db is {db.address}$")
    with listening(db, PORT, OTHER_PORT), listening(evil, PORT):
        assert connects(web, db.address)
        # Neither another port, nor another VM, nor the other way.
        assert not connects(web, db.address, OTHER_PORT)
        assert not connects(web, evil.address)
        assert not connects(evil, db.address)
        with listening(web, PORT):
            assert not connects(db, web.address)


def test_whoever_has_the_address_next_is_not_open(hosted, kind):
    web, db = begin(hosted, kind, "web", *WEB_RULES), begin(hosted, kind, "db", *DB_RULES)
    web.guard.wait_line(f"vm:db is {db.address}$")
    with listening(db, PORT):
        assert connects(web, db.address)
    db.guard.signal(signal.SIGKILL)
    db.guard.wait()
    web.guard.wait_line(f"vm:db is {db.address} no more", 5)
    evil = kind(hosted, "evil", "--name", "evil", "--vm-ip", db.address, "--inbound", "any", "--allow", "192.168.77.0/24")
    evil.namespace.ip(f"address add {db.address}/24 dev eth0")
    db.namespace.ip("link set eth0 down", check=False)      # a tap is gone with its guard
    for place in hosted.host, web.namespace:
        place.ip("neighbor flush all")
    with listening(evil, PORT):
        assert calls(hosted.host, db.address)     # it is there
        assert not connects(web, db.address)


@pytest.fixture
def attached(request):
    if test_attach.why_not():
        pytest.skip(test_attach.why_not())
    request.getfixturevalue("loaded")


def test_nobody_is_left_to_follow(hosted, attached):
    """A VM that gets the address behind the back of a guard that was killed is not open. The next process follows again."""
    web, db = begin(hosted, Attached, "web", *WEB_RULES), begin(hosted, Attached, "db", *DB_RULES)
    web.guard.wait_line(f"vm:db is {db.address}$")
    with listening(db, PORT):
        web.guard.signal(signal.SIGKILL)
        web.guard.wait()
        assert not connects(web, db.address)
        web.namespace.run("ping", "-c1", "-W2", "192.168.77.1")     # what no name has opened stays open
        web.start_guard()
        web.guard.wait_line(f"vm:db is {db.address}$")
        assert connects(web, db.address)
        assert web.guard.counters().dropped("guest", "unattended") > 1
        web.guard.signal(signal.SIGKILL)
        web.guard.wait()
    db.guard.signal(signal.SIGKILL)
    db.guard.wait()
    evil = Attached(hosted, "evil", "--name", "evil", "--vm-ip", db.address, "--inbound", "any", "--allow", "192.168.77.0/24")
    evil.namespace.ip(f"address add {db.address}/24 dev eth0")
    db.namespace.ip("link set eth0 down")
    for place in hosted.host, web.namespace:
        place.ip("neighbor flush all")
    with listening(evil, PORT):
        assert calls(hosted.host, db.address)     # it is there
        assert not connects(web, db.address)


@pytest.mark.long
def test_a_process_that_stands_still_does_not_follow(hosted, attached):
    web, db = begin(hosted, Attached, "web", *WEB_RULES), begin(hosted, Attached, "db", *DB_RULES)
    web.guard.wait_line(f"vm:db is {db.address}$")
    with listening(db, PORT):
        web.guard.signal(signal.SIGSTOP)
        wait_for(lambda: not connects(web, db.address), 15, "the rule to be closed")
        web.guard.signal(signal.SIGCONT)
        wait_for(lambda: connects(web, db.address), 5, "the rule to be open again")


@pytest.mark.long
@needs("kea-dhcp4")
def test_a_guard_that_stands_still_holds_no_name(network, softnet, kind):
    """It cannot say that a lease has ended, so it has said before when that will be."""
    dhcp_peers.hosted(network)
    dhcp_peers.serve(network, "kea", 30, 10, 20)
    web, db = begin(network, kind, "web", *WEB_RULES), begin(network, kind, "db", *DB_RULES)
    web.guard.wait_line(f"vm:db is {db.address}$")
    mark = web.guard.mark()
    time.sleep(32)      # renewed meanwhile: it stays open
    with listening(db, PORT):
        assert connects(web, db.address)
    assert not any("no more" in text for _, text in web.guard.since(mark))
    db.client.signal(signal.SIGKILL)
    db.guard.signal(signal.SIGSTOP)
    web.guard.wait_line(f"vm:db is {db.address} no more", 35, since=mark)
    stranger = network.namespace("stranger", ipv6=False)
    network.join(stranger, "eth0", "br0", f"{db.address}/24", mac="52:54:00:00:66:66")
    for place in network.host, web.namespace:
        place.ip("neighbor flush all")
    with stranger.entered():
        listener = socket.create_server(("", PORT))
    with listener:
        assert calls(network.host, db.address)      # it is there
        assert not connects(web, db.address)
    db.guard.signal(signal.SIGCONT)


def test_a_port_that_is_moved(hosted, kind):
    """Names mean VMs of the bridge that the port is in: a machine of another one with the same address is not open."""
    web, db = begin(hosted, kind, "web", *WEB_RULES), begin(hosted, kind, "db", *DB_RULES)
    web.guard.wait_line(f"vm:db is {db.address}$")
    hosted.bridge("br1")
    stranger = hosted.namespace("stranger", ipv6=False)
    hosted.join(stranger, "eth0", "br1", f"{db.address}/24", mac="52:54:00:00:66:66")
    port = f"p-{web.name}" if kind is Attached else f"u-{web.name}"

    def move(bridge, said):
        mark = web.guard.mark()
        hosted.host.ip(f"link set {port} master {bridge}")
        web.guard.wait_line(said, 5, since=mark)
        web.namespace.ip("neighbor flush all")
    with stranger.entered():
        listener = socket.create_server(("", PORT))
    with listener, listening(db, PORT):
        move("br1", f"vm:db is {db.address} no more")
        assert not connects(web, db.address)
        move("br0", f"vm:db is {db.address}$")
        wait_for(lambda: connects(web, db.address), 5, "the VM to be open again")


def test_it_is_followed_to_another_address(hosted, kind):
    web, db = begin(hosted, kind, "web", *WEB_RULES), begin(hosted, kind, "db", *DB_RULES)
    first = db.address
    web.guard.wait_line(f"vm:db is {first}$")
    services.release_udhcpc(db.client, db.namespace)
    web.guard.wait_line(f"vm:db is {first} no more", 5)
    begin(hosted, kind, "third")     # it gets the address that was given back, or another one
    dhcp_peers.start_client(hosted, db, "udhcpc", "-r", "192.168.77.40")
    web.guard.wait_line(f"vm:db is {db.address}$", since=web.guard.mark() - 1 if db.address == first else 0)
    with listening(db, PORT):
        wait_for(lambda: connects(web, db.address), 10, "the rule to follow")


@needs_others
def test_a_user_who_takes_the_name(hosted, as_user):
    """The name that another user gives a VM opens nothing of root's; root's name is one for everybody."""
    give_folder()
    web = begin(hosted, Guest, "web", *WEB_RULES)
    raw(hosted, "db", LIAR, "--no-dhcp", "--vm-ip", "192.168.77.250/24", program=as_user,
        uplink=give_tap(hosted, "u-liar"))
    theirs = raw(hosted, "theirs", THEIRS, *WEB_RULES, program=as_user, uplink=give_tap(hosted, "u-theirs"))
    db = begin(hosted, Guest, "db", *DB_RULES)
    web.guard.wait_line(f"vm:db is {db.address}$")
    theirs.guard.wait_line(f"vm:db is {db.address}$")
    theirs.guard.wait_line("vm:db is 192.168.77.250$")     # of the same user
    assert "192.168.77.250" not in "\n".join(web.guard.output())
    with listening(db, PORT):
        assert connects(web, db.address)
        assert not connects(web, "192.168.77.250")


def test_a_label_and_a_rule_of_later(hosted, kind):
    """--isolation vms: the port hears other VMs, and rules may name them at any time."""
    web = begin(hosted, kind, "web", "--isolation", "vms")
    db = begin(hosted, kind, "db", "--label", "sql,backup", *DB_RULES)
    with listening(db, PORT):
        assert not connects(web, db.address)
        run(services.softnet_path(), "policy", "set", "--vm", "web", "--allow", f"vm:sql:tcp/{PORT}, vm:nobody")
        web.guard.wait_line(f"vm:sql is {db.address}$")
        assert connects(web, db.address)
        page = run(services.softnet_path(), "status", "--vm", "web")
        assert f"\nvm:        sql  {db.address}\n           nobody  no address now\n" in page or \
            f"\nvm:        nobody  no address now\n           sql  {db.address}\n" in page, page
        run(services.softnet_path(), "policy", "set", "--vm", "web", "--block", "192.0.2.1")
        assert not connects(web, db.address)


def test_a_name_that_two_have(hosted):
    """As a label, say. Both are meant."""
    web, db = begin(hosted, Guest, "web", *WEB_RULES), begin(hosted, Guest, "db", *DB_RULES)
    web.guard.wait_line(f"vm:db is {db.address}$")
    other = begin(hosted, Guest, "other", "--label", "db")
    web.guard.wait_line(f"vm:db is {other.address}$")
    other.stop_guard()
    web.guard.wait_line(f"vm:db is {other.address} no more")
    with listening(db, PORT):
        assert connects(web, db.address)


def test_an_address_on_no_subnet(hosted):
    """--vm-ip without a length has none, so no neighbor could be reached."""
    db = begin(hosted, Guest, "db", *DB_RULES)
    for number, (length, said) in enumerate((("", f"vm:db is {db.address}, which is on no subnet of this VM"), ("/24", f"vm:db is {db.address}$"))):
        web = Guest(hosted, f"web{number}", "--no-dhcp", "--vm-ip", f"192.168.77.20{number}{length}", *WEB_RULES)
        web.guard.wait_line(said)


def test_where_no_other_vm_can_be(network, softnet):
    guard = network.start([softnet, "--vm-mac-address", "52:54:00:00:00:0a", "--guest", "tap:alone", "--uplink", "slirp", "--allow",
                           "vm:db"], kind=services.Softnet)
    guard.wait_line("vm: in the rules opens nothing here: this VM has a network of its own")
