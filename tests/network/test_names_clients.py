"""Rules that name hosts (docs/names.md): clients as people use them, IPv6, and tunnels in DNS, with unbound as resolver."""

import contextlib
import hashlib
import io
import json
import statistics
import subprocess
import tarfile
import time
import zipfile

import pytest

import names_peers
import netns
from conftest import needs, needs_others
from names_peers import CDN, CLOSED, EVIL, GATEWAY, GOOD, LATE_INITIAL, OTHER_TUNNEL, SIX, TUNNEL

# nginx, dnsmasq and unbound become other users, or try to.
pytestmark = [needs("unbound", "nginx", "dig", "curl"), needs_others]


@pytest.fixture(scope="module")
def world(tmp_path_factory, softnet):
    folder = tmp_path_factory.mktemp("names")
    with netns.Network(folder) as network:
        world = names_peers.World(network, folder, has_unbound=True)
        (folder / "files").mkdir()
        yield world
        world.close()


@pytest.fixture
def guest_with(world):
    guests = []

    def make(*options, **more):
        guests.append(world.guest(*CLOSED, *options, **more))
        return guests[-1]
    yield make
    for guest in guests:
        guest.close()


@pytest.fixture(scope="module")
def files(world):
    """What the server has below https://GOOD/files/."""
    return world.folder / "files"


# --- honest clients ---------------------------------------------------------------------------------------------------

@needs("openssl", "gnutls-cli")
def test_tls_clients(world, guest_with):
    guest = guest_with(f"--allow={GOOD}:tls", "--reject")
    certificate = world.folder / "cert.pem"
    honest = guest.run("openssl", "s_client", "-CAfile", certificate, "-connect", f"{GOOD}:443", "-servername", GOOD)
    assert "Verify return code: 0" in honest.stdout, honest
    honest = guest.run("gnutls-cli", "--x509cafile", certificate, "-p", "443", GOOD)
    assert "Handshake was completed" in honest.stdout, honest
    assert guest.denied() == {}
    for words in (("openssl", "s_client", "-connect", f"{CDN}:443", "-servername", EVIL),
                  ("openssl", "s_client", "-connect", f"{CDN}:443", "-noservername"),
                  ("gnutls-cli", "--no-ca-verification", "--sni-hostname", EVIL, "-p", "443", GOOD),
                  ("gnutls-cli", "--no-ca-verification", "-p", "443", EVIL)):
        before = guest.dropped("name-denied", "dns-name")
        refused = guest.run(*words)
        assert "Handshake was completed" not in refused.stdout and "BEGIN CERTIFICATE" not in refused.stdout, refused
        assert refused.is_at_once and guest.dropped("name-denied", "dns-name") > before, refused


@needs("git")
def test_git(world, guest_with, files):
    source, bare = world.folder / "source", files / "source.git"

    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *map(str, words)], check=True,
                       capture_output=True)
    git("init", "-q", source)
    (source / "README").write_text("hello\n")
    git("-C", source, "add", "README")
    git("-C", source, "commit", "-qm", "hello")
    git("clone", "-q", "--bare", source, bare)
    git("-C", bare, "update-server-info")
    guest = guest_with(f"--allow={GOOD}:tls", "--reject")
    copy = world.folder / "copy"
    # With a name of its own, git asks nobody for that of this machine.
    words = ["env", f"GIT_SSL_CAINFO={world.folder / 'cert.pem'}", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
             "git", "clone", "-q"]
    done = guest.run(*words, f"https://{GOOD}/files/source.git", copy)
    assert done.returncode == 0 and (copy / "README").read_text() == "hello\n", done
    assert guest.denied() == {}
    done = guest.run(*words, f"https://{EVIL}/files/source.git", world.folder / "other")
    assert done.returncode == 128 and "Could not resolve host" in done.stderr, done


@pytest.mark.skipif(subprocess.run(["/usr/bin/python3", "-m", "pip", "--version"], capture_output=True,
                                   check=False).returncode != 0, reason="not installed: python3-pip")
def test_pip(world, guest_with, files):
    wheel = files / "simple" / "hello" / "hello-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("hello.py", "")
        archive.writestr("hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        archive.writestr("hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("hello-1.0.dist-info/RECORD", "")
    (wheel.parent / "index.html").write_text(f"<a href={wheel.name}>{wheel.name}</a>")
    guest = guest_with(f"--allow={GOOD}:tls", "--reject")
    done = guest.run("env", f"REQUESTS_CA_BUNDLE={world.folder / 'cert.pem'}", "/usr/bin/python3", "-m", "pip", "--isolated", "download", "-q", "--no-cache-dir", "--disable-pip-version-check",
                     "--cert", world.folder / "cert.pem", "--index-url", f"https://{GOOD}/files/simple/", "-d", world.folder,
                     "hello")
    assert done.returncode == 0 and (world.folder / wheel.name).exists(), done.stderr
    assert guest.denied() == {}


@needs("npm")
def test_npm(world, guest_with, files):
    folder = files / "npm"
    folder.mkdir()
    with tarfile.open(folder / "hello.tgz", "w:gz") as archive:
        manifest = json.dumps({"name": "hello", "version": "1.0.0"}).encode()
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(manifest)
        archive.addfile(entry, io.BytesIO(manifest))
    digest = hashlib.sha1((folder / "hello.tgz").read_bytes()).hexdigest()
    dist = {"tarball": f"https://{GOOD}/files/npm/hello.tgz", "shasum": digest}
    version = {"name": "hello", "version": "1.0.0", "dist": dist}
    (folder / "hello").write_text(json.dumps({"name": "hello", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}))
    guest = guest_with(f"--allow={GOOD}:tls", "--reject")
    into = world.folder / "node"
    into.mkdir()
    done = guest.run("env", "-C", into, f"HOME={into}", f"npm_config_cache={into}/cache", "npm", "install", "--no-audit",
                     "--no-fund", "--no-update-notifier", "--loglevel=error", f"--registry=https://{GOOD}/files/npm/",
                     f"--cafile={world.folder / 'cert.pem'}", "hello")
    assert done.returncode == 0 and (into / "node_modules/hello/package.json").exists(), done
    assert guest.denied() == {}


@needs("apt-get")
def test_apt(world, guest_with, files):
    """A repository without signatures, over TLS and over HTTP."""
    folder = files / "apt"
    folder.mkdir()
    (folder / "Packages").write_text("Package: hello\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@example.org>\n"
                                     "Filename: ./hello.deb\nSize: 1\nDescription: hello\n\n")
    guest = guest_with(f"--allow={GOOD}:tls,{GOOD}:http", "--reject")
    for scheme in "https", "http":
        lists = world.folder / f"lists-{scheme}"
        (lists / "lists" / "partial").mkdir(parents=True)
        (lists / "sources.list").write_text(f"deb [trusted=yes] {scheme}://{GOOD}/files/apt ./\n")
        done = guest.run("apt-get", "update", "-o", f"Dir::Etc::sourcelist={lists / 'sources.list'}", "-o",
                         "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={lists / 'lists'}", "-o", "APT::Sandbox::User=root",
                         "-o", f"Dir::Cache={lists}", "-o", f"Acquire::https::CAInfo={world.folder / 'cert.pem'}", "-o",
                         "APT::Update::Post-Invoke=", "-o", "Acquire::Languages=none")
        assert done.returncode == 0 and any("_Packages" in path.name for path in (lists / "lists").iterdir()), list((lists / "lists").iterdir())
    assert guest.denied() == {}


def test_names_in_ipv6(guest_with):
    """AAAA of a resolver in IPv4, and TLS over IPv6."""
    guest = guest_with(f"--allow={SIX}:tls", "--reject", has_ipv6=True)
    assert guest.curl(f"https://{SIX}").stdout == "good"
    assert guest.dropped("name-unbound", "name-denied", "dns-name") == 0
    refused = guest.curl("--resolve", f"{EVIL}:443:[{names_peers.CDN6}]", f"https://{EVIL}")
    assert refused.returncode in (35, 56) and refused.is_at_once, refused
    refused = guest.curl("-k", "https://[2606:4700::2222]")
    assert refused.returncode == 7 and refused.is_at_once, refused
    assert guest.dropped("name-denied") >= 1 and guest.dropped("name-unbound") >= 1
    status = guest.control("status")
    assert f"{SIX}: addresses 1, " in status, status


CADDY = """
{{
    admin off
    auto_https off
    servers {{
        protocols h3
    }}
}}
https://{good}:8443, https://{evil}:8443 {{
    bind {cdn}
    tls {folder}/cert.pem {folder}/key.pem
    respond "caddy"
}}
"""


@needs("caddy", "gtlsclient")
def test_http3_of_caddy(world, guest_with):
    (world.folder / "Caddyfile").write_text(CADDY.format(good=GOOD, evil=EVIL, cdn=CDN, folder=world.folder))
    world.network.start(["env", f"HOME={world.folder}", f"XDG_DATA_HOME={world.folder}", "caddy", "run", "--adapter", "caddyfile",
                         "--config", world.folder / "Caddyfile"], world.gateway, name="caddy")
    netns.wait_for(lambda: ":8443 " in world.gateway.run("ss", "-Hlun"), 20, "caddy to listen")
    guest = guest_with(f"--allow={GOOD}:quic/8443", "--reject")
    guest.resolve()
    assert guest.quic(GOOD, port=8443)
    assert guest.denied().keys() <= LATE_INITIAL
    assert not guest.quic(EVIL, wait=1, port=8443) and guest.dropped("name-denied") >= 1


# --- tunnels ----------------------------------------------------------------------------------------------------------

def asked_for(wire, zone):
    """Frames at the resolver's side that name the zone."""
    label = zone.split(".", maxsplit=1)[0].encode()
    return [frame for frame in wire.frames() if label in bytes(frame).lower()]


def try_tunnel(world, guest_with, zone, attempt, *refusing):
    """The tunnel stands where every question may be asked, so it works; where names alone may, nothing of it gets out."""
    guest = guest_with(f"--allow={GOOD}:tls", "--dns-questions=any")
    assert attempt(guest, netns.patience(20))
    guest.close()
    for options in refusing:
        guest = guest_with(f"--allow={GOOD}:tls", *options)
        with contextlib.closing(world.gateway.wire("eth0")) as wire:
            assert not attempt(guest, 6)
            assert asked_for(wire, zone) == []
        assert guest.dropped("dns-name") >= 1
        assert guest.curl(f"https://{GOOD}").stdout == "good"
        guest.close()


@needs("iodine", "iodined")
def test_iodine(world, guest_with):
    server = world.network.start(["iodined", "-f", "-c", "-l", "127.0.0.1", "-p", "5301", "-P", "secret", "10.53.0.1/24",
                                  TUNNEL], world.gateway, name="iodined")
    server.wait_line("Listening", 20)

    def attempt(guest, wait):
        # -T: TXT is a question that nobody misses; each try by itself takes some seconds.
        words = ["iodine", "-f", "-r", "-T", "TXT", "-P", "secret", GATEWAY, TUNNEL]
        process = world.network.start(words, guest.namespace, name="iodine")
        try:
            netns.wait_for(lambda: any("Connection setup complete" in line for line in process.output()) or not process.running,
                           max(wait, 30), "iodine to connect or give up")
            return any("Connection setup complete" in line for line in process.output())
        finally:
            process.stop()
    try_tunnel(world, guest_with, TUNNEL, attempt, ["--reject"])


@needs("dns2tcpc", "dns2tcpd")
def test_dns2tcp(world, guest_with):
    (world.folder / "dns2tcpd.conf").write_text(f"listen = 127.0.0.1\nport = 5302\nuser = root\nchroot = {world.folder}\n"
                                                f"domain = {OTHER_TUNNEL}\nresources = web:127.0.0.1:443\n")
    world.network.start(["dns2tcpd", "-F", "-f", world.folder / "dns2tcpd.conf"], world.gateway, name="dns2tcpd")
    netns.wait_for(lambda: ":5302 " in world.gateway.run("ss", "-Hlun"), 20, "dns2tcpd to listen")

    def attempt(guest, wait):
        try:
            done = guest.run("dns2tcpc", "-z", OTHER_TUNNEL, GATEWAY, timeout=wait)
        except subprocess.TimeoutExpired:
            return False
        return "web" in done.stdout + done.stderr
    try_tunnel(world, guest_with, OTHER_TUNNEL, attempt, [], ["--reject"])



# --- cost -------------------------------------------------------------------------------------------------------------

@pytest.mark.long
def test_the_first_octet_comes_as_soon(guest_with):
    """The same guard, with rules by name and by address in turns: what a name adds until the server's first octet is there.
    Others have the machine, too, so of each the quickest turn counts."""
    guest = guest_with(f"--allow={GOOD}:tls")
    guest.resolve()
    flight, times = names_peers.hello(GOOD), {"name": [], "address": []}

    def turn():
        for _ in range(20):
            start = time.monotonic()
            with contextlib.closing(guest.connect()) as one:
                one.sendall(flight)
                assert names_peers.reply(one) == b"\x16"
            yield time.monotonic() - start
    with netns.Stalls() as stalls:
        for _ in range(5):
            for kind, rule in ("name", f"{GOOD}:tls"), ("address", f"{CDN}:tcp/443"):
                guest.control("policy", "set", *CLOSED, f"--allow={rule}")
                guest.resolve()
                times[kind].append(statistics.median(turn()))
    name, address = (1e6 * min(times[kind]) for kind in ("name", "address"))
    print(f"\nmicroseconds to the server's first octet, median of 20: {name:.0f} by name, {address:.0f} by address")
    assert (name - address) / 1e6 < stalls.added_to(0.001)
