"""Rules with ports, protocols, prefixes and aliases (docs/policy.md, Rules), on real connections of both families.

The network is policy_peers.World. Whatever is denied here is known to answer: a guest to whom all is open asks first.
`softnet policy check` is told the same rules, and has to say what the traffic says.
"""

import subprocess

import pytest
from scapy.all import ESP, GRE, SCTP, SCTPChunkInit

import netns
import policy_peers
import services
from conftest import needs_others
from policy_peers import (FOUR, GATEWAY4, GATEWAY6, LAN4, LAN6, NEAR4, NEAR6, NETWORK, NINE4, NINE6, ONE4, ONE6, OTHER4,
                          OTHER6, PRINTER4, PRINTER6, RESOLVER4, RESOLVER6, SIX, policy_check, verdicts_by_check,
                          who_reaches)


@pytest.fixture(scope="module")
def world(tmp_path_factory, softnet):
    with netns.Network(tmp_path_factory.mktemp("world")) as network:
        world = policy_peers.World(network)
        world.open = policy_peers.Guest(world, "--allow=any")
        yield world
        world.open.close()
        world.close()


@pytest.fixture
def guest_with(world):
    yield world.guest
    world.clear()


def both(*peers):
    """The same of both families: peers of IPv4, and their counterparts."""
    twins = {ONE4: ONE6, NINE4: NINE6, LAN4: LAN6, PRINTER4: PRINTER6, OTHER4: OTHER6, RESOLVER4: RESOLVER6,
             GATEWAY4: GATEWAY6, NEAR4: NEAR6}
    return [*peers, *(f"[{twins[address]}]:{rest}" for address, _, rest in (each.partition(":") for each in peers))]


def file_of(tmp_path, text):
    path = tmp_path / "policy"
    path.write_text(text)
    return f"--policy={path}"


PORT_RULES = [
    "--block=any",
    f"--allow={ONE4}:443,[{ONE6}]:443",
    f"--allow={NINE4}:tcp/80,{NINE4}:udp/5000,[{NINE6}]:tcp/80,[{NINE6}]:udp/5000",
    f"--allow={LAN4}:8000-8010,[{LAN6}]:8000-8010",
    f"--allow={PRINTER4}:tcp,[{PRINTER6}]:tcp", f"--allow={OTHER4}:icmp,[{OTHER6}]:icmp",
    f"--allow={RESOLVER4}:udp/8000-8010,[{RESOLVER6}]:udp/8000-8010",
]
# The longest prefix, then the narrower qualifier, then block; in an order that must not matter.
PRECEDENCE = [
    f"--block={PRINTER4}:tcp/1-1000,[{PRINTER6}]:tcp/1-1000",
    "--allow=10.0.0.0/8,[fd00::]/8",
    f"--block={LAN4}:tcp/443,[{LAN6}]:tcp/443", f"--allow={LAN4}:443,[{LAN6}]:443",
    "--block=10.0.0.0/24:tcp,[fd00:10::]/64:tcp",
    f"--allow={PRINTER4}:tcp/80,[{PRINTER6}]:tcp/80",
    # The same width: a range that is as wide, and the same rule again.
    f"--allow={ONE4}:tcp/80-81,[{ONE6}]:tcp/80-81", f"--block={ONE4}:tcp/81-82,[{ONE6}]:tcp/81-82",
    f"--allow={NINE4}:53,[{NINE6}]:53", f"--block={NINE4}:53,[{NINE6}]:53", f"--allow={NINE4}:53,[{NINE6}]:53",
    # TCP 443 and UDP 443 are two pairs, as are the TCP ports 443 and 444: block.
    f"--block={RESOLVER4}:tcp/443-444,[{RESOLVER6}]:tcp/443-444", f"--allow={RESOLVER4}:443,[{RESOLVER6}]:443",
]
AGENT = ["--block=any", "--allow=@dns:53", "--allow=@global:tcp/443", "--allow=@host:tcp/22"]
TABLES = {
    "ports": (PORT_RULES, both(
        f"{ONE4}:tcp/443", f"{ONE4}:udp/443", f"{NINE4}:tcp/80", f"{NINE4}:udp/5000", f"{LAN4}:tcp/8000",
        f"{LAN4}:udp/8010", f"{PRINTER4}:tcp/22", f"{PRINTER4}:tcp/8011", f"{OTHER4}:icmp", f"{RESOLVER4}:udp/8000"),
        both(f"{ONE4}:tcp/80", f"{ONE4}:udp/53", f"{ONE4}:icmp", f"{NINE4}:udp/80", f"{NINE4}:tcp/5000",
             f"{LAN4}:tcp/8011", f"{LAN4}:udp/8011", f"{LAN4}:tcp/443", f"{PRINTER4}:udp/22", f"{PRINTER4}:icmp",
             f"{OTHER4}:tcp/80", f"{RESOLVER4}:tcp/8000", f"{RESOLVER4}:udp/8011"), "dst-blocked"),
    "precedence": (PRECEDENCE, both(
        f"{LAN4}:udp/443", f"{LAN4}:udp/80", f"{LAN4}:icmp", f"{PRINTER4}:tcp/80", f"{PRINTER4}:udp/81",
        f"{OTHER4}:tcp/22", f"{ONE4}:tcp/80", f"{ONE4}:udp/81", f"{NINE4}:tcp/80", f"{RESOLVER4}:udp/443"),
        both(f"{LAN4}:tcp/443", f"{LAN4}:tcp/80", f"{PRINTER4}:tcp/81", f"{PRINTER4}:tcp/8000", f"{ONE4}:tcp/81",
             f"{NINE4}:tcp/53", f"{NINE4}:udp/53", f"{RESOLVER4}:tcp/443"), "dst-blocked"),
    "aliases": (AGENT, both(
        f"{RESOLVER4}:udp/53", f"{RESOLVER4}:tcp/53", f"{ONE4}:tcp/443", f"{NINE4}:tcp/443", f"{GATEWAY4}:tcp/22"),
        both(f"{RESOLVER4}:tcp/443", f"{ONE4}:udp/443", f"{ONE4}:tcp/80", f"{ONE4}:udp/53", f"{LAN4}:tcp/443",
             f"{GATEWAY4}:tcp/80", f"{GATEWAY4}:udp/22", f"{GATEWAY4}:icmp"), "dst-blocked"),
    # @gateway is @host here; each alias at full length, so the rest of @lan has nothing to say of them.
    "lan": (["--block=@lan:tcp/22", "--allow=@lan", "--block=@gateway:tcp/80", "--block=@dns:tcp"], both(
        f"{LAN4}:tcp/80", f"{LAN4}:icmp", f"{OTHER4}:udp/22", f"{ONE4}:tcp/22", f"{RESOLVER4}:udp/22"),
        both(f"{LAN4}:tcp/22", f"{OTHER4}:tcp/22", f"{GATEWAY4}:tcp/80", f"{RESOLVER4}:tcp/53"), "dst-blocked"),
    # Longer than /0 and shorter than /1, and between them the prefix decides before the qualifier.
    "global": (["--allow=any:tcp/80", "--block=@global", "--allow=8.0.0.0/5,2400::/6"],
               [f"{LAN4}:tcp/80", f"{NINE4}:tcp/80", f"{NINE4}:udp/53", f"[{LAN6}]:tcp/80", f"[{NINE6}]:udp/53"],
               [f"{ONE4}:tcp/80", f"{ONE4}:udp/53", f"{ONE4}:icmp"], "dst-blocked"),
    # Where no rule decides, the table of destinations does.
    "default": ([f"--allow={LAN4}:443,[{LAN6}]:443", f"--block={ONE4}:tcp/22,[{ONE6}]:tcp/22"], both(
        f"{LAN4}:tcp/443", f"{LAN4}:udp/443", f"{ONE4}:tcp/80", f"{NINE4}:icmp", f"{RESOLVER4}:tcp/53",
        f"{GATEWAY4}:tcp/80"),
        both(f"{LAN4}:tcp/80", f"{LAN4}:icmp", f"{PRINTER4}:tcp/443", f"{RESOLVER4}:tcp/80"), "dst-private"),
}


@pytest.mark.parametrize("table", TABLES)
def test_real_traffic_and_policy_check_agree(world, guest_with, table):
    options, opened, closed, reason = TABLES[table]
    guest = guest_with(*options)
    assert who_reaches(world.open.namespace, closed) == closed      # they are all there
    guest.reaches(*opened)
    guest.is_refused(reason, *closed)
    assert verdicts_by_check(options, opened) == ["pass"] * len(opened)
    assert verdicts_by_check(options, closed) == [reason] * len(closed)


def test_neighbors_are_opened_by_port(world, guest_with):
    """On the link, where the guest has to find them first."""
    options = [f"--allow={NEAR4}:tcp/80,[{NEAR6}]:tcp/80"]
    guest, closed = guest_with(*options), guest_with()
    guest.reaches(*both(f"{NEAR4}:tcp/80"))
    refused = both(f"{NEAR4}:tcp/22", f"{NEAR4}:udp/80", f"{NEAR4}:icmp")
    assert who_reaches(world.open.namespace, refused) == refused
    # A prefix of the guest's own site is no private one.
    before = guest.guard.counters()
    policy_peers.must_not_reach(guest.namespace, *refused)
    now = guest.wait_dropped("guest", "dst-private", 3)
    assert now.dropped("guest", "dst-private", "dst-local-net") >= before.dropped("guest") + 6
    assert verdicts_by_check(options, refused[:3]) == ["dst-private"] * 3
    policy_peers.must_not_reach(closed.namespace, *both(f"{NEAR4}:tcp/80"))
    assert closed.dropped("guest", "arp-target-denied") > 0


# --- files ------------------------------------------------------------------------------------------------------------

def test_policy_file(guest_with, tmp_path):
    text = f"""
# an agent's sandbox
block any
allow @dns:53     # the resolvers
\tallow   @global:tcp/443

allow [{LAN6}]:udp/5000
block {NINE4}:tcp/443#no space
"""
    path = file_of(tmp_path, text)
    # With rules of the command line, before and behind it.
    options = [f"--allow={LAN4}:icmp", path, f"--allow={OTHER4}:tcp/22"]
    guest = guest_with(*options)
    opened = [f"{RESOLVER4}:udp/53", f"[{RESOLVER6}]:tcp/53", f"{ONE4}:tcp/443", f"[{NINE6}]:tcp/443",
              f"[{LAN6}]:udp/5000", f"{LAN4}:icmp", f"{OTHER4}:tcp/22"]
    closed = [f"{NINE4}:tcp/443", f"{ONE4}:tcp/80", f"[{LAN6}]:tcp/5000", f"{LAN4}:tcp/443", f"{OTHER4}:tcp/80"]
    guest.reaches(*opened)
    guest.is_refused("dst-blocked", *closed)
    assert verdicts_by_check(options, opened + closed) == ["pass"] * len(opened) + ["dst-blocked"] * len(closed)


def test_two_policy_files(guest_with, tmp_path):
    (tmp_path / "more").mkdir()
    one = file_of(tmp_path, "block any\n")
    two = file_of(tmp_path / "more", f"allow {ONE4}:tcp/443")       # no newline at its end
    guest = guest_with(one, two)
    guest.reaches(f"{ONE4}:tcp/443")
    guest.is_refused("dst-blocked", f"{ONE4}:tcp/80", f"[{ONE6}]:tcp/443")


@pytest.mark.parametrize("line, word", [
    ("allow 10.0.0.1:0", "10.0.0.1:0"), ("allow 10.0.0.1:65536", "65536"), ("allow 10.0.0.1:443-80", "443-80"),
    ("allow 10.0.0.1:ftp", "ftp"), ("allow 10.0.0.1:tcp/", "tcp/"), ("allow 10.0.0.1:icmp/8", "icmp/8"),
    ("allow 10.0.0.1/33:22", "10.0.0.1/33"), ("allow [fd00::]/129:22", "129"), ("allow [10.0.0.1]:22", "10.0.0.1"),
    ("allow @nobody", "@nobody"), ("permit any", "permit"), ("allow", "allow"), ("allow up any", "up"),
    ("allow any any", "any"), ("allow in", "in"), ("block example.org", "example.org"),
])
def test_error_names_file_line_and_word(softnet, tmp_path, line, word):
    path = file_of(tmp_path, f"# first\n\nblock any\n{line}\nallow any\n")
    status, lines, said = policy_check(path)
    assert status == 2 and not lines
    assert f"{tmp_path / 'policy'}:4" in said or ("line 4" in said and str(tmp_path / "policy") in said), said
    assert word in said
    # The guard says the same, and does not start.
    started = subprocess.run([softnet, "--vm-fd", "0", "--vm-mac-address", policy_peers.MAC, path], capture_output=True,
                             text=True, stdin=subprocess.DEVNULL, timeout=20)
    assert started.returncode == 2 and word in started.stderr


def test_missing_policy_file_is_no_empty_one(softnet, tmp_path):
    status, _, said = policy_check(f"--policy={tmp_path / 'nothing'}")
    assert status != 0 and str(tmp_path / "nothing") in said


# --- softnet policy check -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("table", TABLES)
def test_normalised_rules_mean_the_same(softnet, tmp_path, table):
    """Order and repetition do not matter, and what is printed is a policy file of the same rules."""
    options, opened, closed, reason = TABLES[table]
    status, rules, _ = policy_check(*NETWORK, *options)
    assert status == 0 and rules and all(rule.split()[0] in ("allow", "block") for rule in rules)
    assert len(set(rules)) == len(rules)
    again = file_of(tmp_path, "\n".join(reversed(rules)) + "\n")
    for others in [*reversed(options)], [*options, *options], [again]:
        assert policy_check(*NETWORK, *others)[1] == rules
    assert verdicts_by_check([again], opened + closed) == ["pass"] * len(opened) + [reason] * len(closed)


def test_host_bits_are_ignored(softnet):
    for one, other in ("10.1.2.3/8", "10.0.0.0/8"), ("[fd00::1]/8:443", "[fd00::]/8:443"), ("1.1.1.1/32", "1.1.1.1"):
        assert policy_check(f"--allow={one}")[1] == policy_check(f"--allow={other}")[1] != []


def test_check_knows_directions(softnet):
    options = ["--inbound=established", f"--allow=in {LAN4}:tcp/22", f"--allow=out {PRINTER4}:tcp/443",
               f"--block={ONE4}"]
    tuples = [f"in {LAN4}:tcp/22", f"in {LAN4}:tcp/23", f"in {ONE4}:tcp/22", f"out {LAN4}:tcp/22",
              f"out {PRINTER4}:tcp/443", f"in {PRINTER4}:tcp/443", f"{ONE4}:tcp/443", f"{NINE4}:tcp/443"]
    assert verdicts_by_check(options, tuples) == ["pass", "unsolicited", "unsolicited", "dst-private", "pass",
                                                  "unsolicited", "dst-blocked", "pass"]
    _, lines, _ = policy_check(*options, f"in {LAN4}:tcp/22", f"in {LAN4}:tcp/23")
    assert f"in {LAN4}" in lines[-2].split("pass")[1]       # the rule that decided
    assert "default" in lines[-1]
    # The newer Softnet's meaning, where --inbound is not given.
    assert verdicts_by_check(options[1:], [f"in {ONE4}:tcp/22", f"in {NINE4}:tcp/22"]) == ["src-blocked", "pass"]


def test_check_names_what_is_wrong_with_a_tuple(softnet):
    for wrong in "1.1.1.1:tcp/0", "1.1.1.1:tcp/80-90", "nobody", "@host", "1.1.1.1/8", "up 1.1.1.1", "[1.1.1.1]:tcp/1":
        status, _, said = policy_check(wrong)
        assert status == 2 and wrong.split()[-1] in said, wrong


@needs_others
def test_check_needs_no_rights_and_opens_nothing(softnet):
    """As nobody, without /dev/net/tun or a network."""
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
                           "--bounding-set=-all", services.for_everybody(services.softnet_path()), "policy", "check", "--block=any", "1.1.1.1"],
                          capture_output=True, text=True, cwd="/", timeout=20, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "dst-blocked" in done.stdout.splitlines()[-1]


# --- other protocols, which no kernel here speaks ---------------------------------------------------------------------

@pytest.mark.parametrize("family", [FOUR, SIX], ids=repr)
def test_other_protocols(network, softnet, family):
    lan, printer, other = (family.prefix(each) for each in (family.lan, family.printer, family.other))
    bench = policy_peers.Bench(network, "--block=any", f"--allow={lan}:sctp/5000-5001", f"--allow={lan}:esp",
                               f"--allow={printer}:gre", f"--allow={printer}:sctp", f"--allow={other}:5000")

    def verdicts(address, packet):
        return bench.out(family.to(address, packet))
    sctp = {port: SCTP(sport=4000, dport=port) / SCTPChunkInit() for port in (5000, 5001, 5002)}
    gre, esp = GRE() / b"inside", ESP(spi=1, seq=1, data=bytes(40))
    assert verdicts(family.lan, sctp[5000]) == verdicts(family.lan, sctp[5001]) == "pass"
    assert verdicts(family.lan, sctp[5002]) == "dst-blocked"
    assert verdicts(family.lan, esp) == "pass" and verdicts(family.lan, gre) == "dst-blocked"
    assert verdicts(family.printer, gre) == "pass" and verdicts(family.printer, esp) == "dst-blocked"
    assert verdicts(family.printer, sctp[5002]) == "pass"
    # A port without a protocol is one of TCP and UDP.
    assert verdicts(family.other, policy_peers.udp(4000, 5000)) == "pass"
    assert verdicts(family.other, policy_peers.tcp(4000, 5000)) == "pass"
    assert verdicts(family.other, sctp[5000]) == "dst-blocked"
    # SCTP that is too short for its ports has none.
    assert verdicts(family.lan, b"") != "pass"
    assert bench.out(family.to(family.lan, b"\x0f\xa0", **{"nh" if family.is_six else "proto": 132})) != "pass"
    bench.close()
