"""A runtime of CNI: it reads a network's configuration and calls its plug-ins one after the other, as the specification says.

It believes nobody: each answer must be JSON and nothing else, with the version of the configuration, or an error with a code.
"""

import json
import os
import pathlib
import shutil
import subprocess

import services

PLUGINS = next((path for path in ("/usr/lib/cni", "/opt/cni/bin") if pathlib.Path(path).is_dir()), None)


def plugin_path():
    return services.softnet_path().parent / "softnet-cni"


def why_not(*plugins):
    """What is missing for these tests; None if nothing is."""
    missing = [name for name in plugins if not PLUGINS or not (pathlib.Path(PLUGINS) / name).exists()]
    if missing:
        return f"not installed: the CNI plug-ins {', '.join(missing)}"
    return None if plugin_path().exists() else "softnet was built without its plug-in for CNI"


class CniError(Exception):
    """An answer with an error in it."""

    def __init__(self, plugin, answer):
        super().__init__(f"{plugin}: {answer}")
        self.plugin, self.code, self.message = plugin, answer["code"], answer["msg"]


def call(kind, command, config, container="", netns="", interface="", arguments="", stdin=None, environment=()):
    """One plug-in, once. Gives what it answers: an object, or None."""
    path = plugin_path() if kind == "softnet-cni" else pathlib.Path(PLUGINS) / kind
    given = {"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": netns, "CNI_IFNAME": interface,
             "CNI_ARGS": arguments, "CNI_PATH": f"{PLUGINS}:{plugin_path().parent}", "PATH": os.environ["PATH"], **dict(environment)}
    given = {name: value for name, value in given.items() if value}
    given.update({name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ})
    text = json.dumps(config) if stdin is None else stdin
    done = subprocess.run([path], input=text, env=given, text=True, capture_output=True, timeout=300, check=False)
    answer = json.loads(done.stdout) if done.stdout.strip() else None
    if done.returncode != 0:
        assert answer and isinstance(answer["code"], int) and answer["msg"], (kind, done)
        assert answer["code"] > 0 and "\n" not in answer["msg"]
        raise CniError(kind, answer)
    return answer


class CniNetwork:
    """A network's configuration, and the results of its ADDs, which a runtime keeps for CHECK and DEL."""

    def __init__(self, name, *plugins, version="1.0.0"):
        self.name, self.version, self.plugins, self.results = name, version, list(plugins), {}

    def config(self, plugin, previous=None, more=None):
        """Debian's plug-ins know versions up to 1.0.0, whose results are those of 1.1.0."""
        version = "1.0.0" if self.version == "1.1.0" and plugin["type"] != "softnet-cni" else self.version
        config = {"cniVersion": version, "name": self.name, **plugin, **(more or {})}
        if previous is not None:
            config["prevResult"] = {**previous, "cniVersion": version}
        return config

    def add(self, namespace, container=None, interface="eth0", arguments="", more=None):
        """`more`: keys of the configuration that a runtime adds for the last plug-in, as runtimeConfig."""
        container, netns, result = container or namespace.name, f"/run/netns/{namespace.name}", None
        for plugin in self.plugins:
            config = self.config(plugin, result, more if plugin is self.plugins[-1] else None)
            result = call(plugin["type"], "ADD", config, container, netns, interface, arguments)
            assert result["cniVersion"] == config["cniVersion"]
        self.results[container, interface] = result
        return result

    def check(self, namespace, container=None, interface="eth0"):
        container = container or namespace.name
        for plugin in self.plugins:
            assert call(plugin["type"], "CHECK", self.config(plugin, self.results[container, interface]), container,
                        f"/run/netns/{namespace.name}", interface) is None

    def delete(self, namespace=None, container=None, interface="eth0"):
        container = container or namespace.name
        netns = f"/run/netns/{namespace.name}" if namespace else ""
        result = self.results.get((container, interface))
        for plugin in reversed(self.plugins):
            assert call(plugin["type"], "DEL", self.config(plugin, result), container, netns, interface) is None
        self.results.pop((container, interface), None)

    def try_add(self, *words, **more):
        """As a runtime does: what fails is taken back. Gives the error, or None."""
        try:
            self.add(*words, **more)
        except CniError as why:
            self.delete(*words, **{name: value for name, value in more.items() if name in ("container", "interface")})
            return why
        return None


def bridge(*subnets, name="cni0", data="/run/cni-data", **more):
    """The plug-in that makes a bridge whose host is the gateway, with IPAM's host-local."""
    return {"type": "bridge", "bridge": name, "isGateway": True, "ipMasq": False, "isDefaultGateway": True, **more,
            "ipam": host_local(*subnets, data=data)}


def host_local(*subnets, data="/run/cni-data"):
    return {"type": "host-local", "ranges": [[{"subnet": subnet}] for subnet in subnets], "dataDir": data}


def softnet(**options):
    return {"type": "softnet-cni", **{name.replace("_", "-"): value for name, value in options.items()}}


def records():
    """Of attachments, over all networks."""
    return sorted(path.name for path in pathlib.Path("/run/softnet/cni").glob("*/*"))


def forget(data="/run/cni-data"):
    shutil.rmtree(data, ignore_errors=True)
