"""Runs the whole of `pytest tests/network` in a network of its own, and gives each test a fresh Network to build in."""

import os
import pathlib
import shutil
import sys
import tempfile
import zlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import ipv6_peers   # noqa: E402
import macos        # noqa: E402
import netns        # noqa: E402
import parts        # noqa: E402
import services     # noqa: E402
import vm           # noqa: E402


def pytest_cmdline_main(config):
    if netns.inside() or config.option.collectonly or config.option.help or config.option.version or netns.why_not():
        return None
    # pytest has put its capture in the place of the terminal by now; the run inside must write to the real one.
    config.pluginmanager.getplugin("capturemanager").stop_global_capturing()
    return netns.isolated([sys.executable, "-m", "pytest", *config.invocation_params.args])


def pytest_configure(config):
    config.addinivalue_line("markers", "together(what): one after the other, for they count what the whole host has, or share it")
    config.addinivalue_line("markers", "long: not in ./check, but in make check-long, and when it is named")
    if netns.inside():
        netns.prepare()
    elif "CI" in os.environ and sys.platform.startswith("linux") and netns.why_not():
        # A person may check the rest; but where nobody reads along, tests that are skipped must not look like passed.
        pytest.exit(f"tests/network: {netns.why_not()}", returncode=1)


def pytest_collection_modifyitems(config, items):
    if parts.wanted() and "SOFTNET_LONG" not in os.environ:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    if netns.inside():
        return
    why = netns.why_not() or "needs a network of its own: run pytest on tests/network"
    for item in items:
        if pathlib.Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_runtestloop(session):
    """In parts, if that is wanted; otherwise pytest's own loop runs all."""
    if not parts.wanted() or session.testsfailed:
        return None
    parts.run(session)
    return True


@pytest.fixture(autouse=True)
def leaks(request, monkeypatch):
    """Whether guards look for leaks when they end, which is more than half of what a short one costs: in ./check they do in one
    test of five, always the same; in make check-long and where a test is named, in all."""
    if parts.wanted() and "SOFTNET_LONG" not in os.environ and zlib.crc32(request.node.nodeid.encode()) % 5:
        tell_sanitizer(monkeypatch, "detect_leaks=0")


def tell_sanitizer(monkeypatch, *words):
    monkeypatch.setenv("ASAN_OPTIONS", ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), *words])))


@pytest.fixture
def network(tmp_path):
    """A network to build; when the test ends, its processes end and its interfaces go."""
    with netns.Network(tmp_path) as network:
        yield network


@pytest.fixture
def segment(network):
    """A bridge br0 with a gateway and its DHCP server: gateway .1, leases .10 to .50 of 192.168.77.0/24."""
    network.bridge("br0")
    network.gateway = network.namespace("gateway")
    network.join(network.gateway, "eth0", "br0", "192.168.77.1/24", mac="52:54:00:00:00:01")
    network.gateway.ip("address add 1.1.1.1/32 dev lo")     # "the internet", as far as a guest's policy is concerned
    network.dhcp_server = services.dnsmasq(network, network.gateway, "192.168.77.10", "192.168.77.50",
                                           router="192.168.77.1")
    return network


@pytest.fixture
def segment6(network):
    """The network of ipv6_peers.py; no router advertises yet."""
    return ipv6_peers.segment(network)


@pytest.fixture
def routed(segment6, softnet):
    """With a router, and somebody who answers on the internet."""
    ipv6_peers.radvd(segment6, segment6.gateway, ipv6_peers.PREFIX)
    segment6.echo = services.Echo(segment6.internet, ipv6_peers.INTERNET)
    yield segment6
    segment6.echo.close()


@pytest.fixture(params=macos.VARIANTS)
def mac(network, monkeypatch, request):
    """The program for macOS, with the doubles of Apple's frameworks."""
    macos.skip_unless_possible(request.param)
    mac = macos.Mac(network, monkeypatch, request.param)
    yield mac
    mac.close()


@pytest.fixture
def state_file():
    """In a directory that the guard may write to when it is no longer root; pytest's own are closed to others."""
    directory = pathlib.Path(tempfile.mkdtemp(dir="/run"))
    directory.chmod(0o777)
    yield directory / "state"
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def loaded(softnet):
    """A guard in the kernel that outlives those of the tests, so that the kernel checks the programs once and not for each. It
    has a network and a /run of its own: most tests do not see it."""
    keeper = netns.Process(["unshare", "--net", "--mount", "sh", "-ec", "mount -t tmpfs tmpfs /run; ip link add keeps0 type veth peer keeps1; "
                            f"exec {softnet} attach keeps0 --vm-mac-address 52:54:00:00:00:0b -v"], "keeper", "/run")
    keeper.wait_line("gateway MAC addresses", 120)
    yield
    keeper.stop()


@pytest.fixture(scope="session")
def softnet():
    """The program under test."""
    path = services.softnet_path()
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not built; run make first", pytrace=False)
    return path


@pytest.fixture(scope="session")
def guest_image():
    """The guest for tests that boot a real VM."""
    image = vm.image_directory()
    if image is None or vm.qemu_path() is None:
        pytest.skip("no guest image or no QEMU: run tests/vm/image.sh build/vm")
    return image


needs_others = pytest.mark.skipif(not netns.has_other_users(), reason="no other user in this user namespace")


def needs(*programs):
    """A mark for tests that use these programs."""
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
