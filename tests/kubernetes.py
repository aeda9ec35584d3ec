#!/usr/bin/env python3
"""The form of packaging/kubernetes: what a cluster would refuse, or what would not be what it says.

    tests/kubernetes.py VERSION

Nothing here has been run on a cluster, and each file says so. 77: there is no PyYAML.
"""

import json
import pathlib
import re
import sys

try:
    import yaml
except ImportError:
    sys.exit(77)

TOP = pathlib.Path(__file__).resolve().parent.parent
PLACE = TOP / "packaging/kubernetes"
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
KINDS = {("apps/v1", "DaemonSet"), ("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition"), ("kubevirt.io/v1", "KubeVirt"),
         ("kubevirt.io/v1", "VirtualMachine")}
POD_KEYS = {"nodeSelector", "tolerations", "automountServiceAccountToken", "initContainers", "containers", "volumes"}
CONTAINER_KEYS = {"name", "image", "command", "securityContext", "resources", "volumeMounts"}
CNI_KEYS = {"type", "capabilities"}
faults = []


def check(is_good, what):
    if not is_good:
        faults.append(what)


def check_container(where, container, volumes):
    check(set(container) <= CONTAINER_KEYS and {"name", "image", "command"} <= set(container), f"{where}: keys {sorted(container)}")
    check(container["image"].startswith("REGISTRY/"), f"{where}: {container['image']}: no such image is published")
    check(container["securityContext"]["allowPrivilegeEscalation"] is False, f"{where}: may gain privileges")
    for mount in container.get("volumeMounts", []):
        check(mount["name"] in volumes and mount["mountPath"].startswith("/"), f"{where}: mount {mount}")


def check_daemonset(where, spec, version):
    labels = spec["template"]["metadata"]["labels"]
    check(spec["selector"]["matchLabels"].items() <= labels.items(), f"{where}: its selector does not find its pods")
    pod = spec["template"]["spec"]
    check(set(pod) <= POD_KEYS, f"{where}: unknown keys {sorted(set(pod) - POD_KEYS)}")
    volumes = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"]}
    for container in pod["initContainers"] + pod["containers"]:
        check_container(f"{where}: {container['name']}", container, volumes)
        check(container["image"].endswith(f":{version}"), f"{where}: {container['image']}: the version is {version}")
    [install] = pod["initContainers"]
    root = install["command"][-1]
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in install["volumeMounts"]}
    check(mounted == {root + path: path for path in ("/opt/softnet", "/opt/cni/bin")}, f"{where}: install.sh wants other folders: {mounted}")


def check_network(where, spec):
    """The text of the configuration is what the plug-in gets: JSON with options that it knows."""
    config = json.loads(spec["config"])
    check(config["cniVersion"] in ("0.4.0", "1.0.0", "1.1.0") and NAME.match(config["name"]), f"{where}: cniVersion or name")
    check([plugin["type"] for plugin in config["plugins"]][-1] == "softnet-cni", f"{where}: softnet-cni is not the last one")
    options = set(re.findall(r'\{ "([a-z0-9-]+)", ', (TOP / "softnet/options/options.c").read_text()))
    check(set(config["plugins"][-1]) - CNI_KEYS <= options, f"{where}: unknown options")


def check_kubevirt(where, documents):
    bindings = [one["spec"]["configuration"]["network"]["binding"] for one in documents if one["kind"] == "KubeVirt"]
    check(all(plugin["domainAttachmentType"] in ("tap", "managedTap") for binding in bindings for plugin in binding.values()), f"{where}: binding")
    for one in documents:
        if one["kind"] != "VirtualMachine":
            continue
        spec = one["spec"]["template"]["spec"]
        interfaces = {interface["name"]: interface["binding"]["name"] for interface in spec["domain"]["devices"]["interfaces"]}
        check(set(interfaces) == {network["name"] for network in spec["networks"]}, f"{where}: interfaces and networks differ")
        check(all(name in binding for name in interfaces.values() for binding in bindings), f"{where}: no such binding")
        check({disk["name"] for disk in spec["domain"]["devices"]["disks"]} == {volume["name"] for volume in spec["volumes"]}, f"{where}: disks")


def main(version):
    networks, wanted = set(), set()
    for path in sorted(PLACE.glob("*.yaml")):
        text = path.read_text()
        check("Not yet run on a cluster" in text, f"{path.name}: says not that nobody has run it")
        documents = list(yaml.safe_load_all(text))
        for one in documents:
            check((one["apiVersion"], one["kind"]) in KINDS, f"{path.name}: {one['apiVersion']} {one['kind']}")
            check(NAME.match(one["metadata"]["name"]) and one["metadata"]["namespace"], f"{path.name}: metadata")
            if one["kind"] == "DaemonSet":
                check_daemonset(path.name, one["spec"], version)
            if one["kind"] == "NetworkAttachmentDefinition":
                check_network(path.name, one["spec"])
                networks.add(f"{one['metadata']['namespace']}/{one['metadata']['name']}")
            if one["kind"] == "VirtualMachine":
                wanted |= {network["multus"]["networkName"] for network in one["spec"]["template"]["spec"]["networks"]}
        check_kubevirt(path.name, documents)
    check(wanted and wanted <= networks, f"networks that nobody defines: {sorted(wanted - networks)}")
    check("Not yet run on a cluster" in (PLACE / "Containerfile").read_text(), "Containerfile")
    print("\n".join(faults) if faults else "the objects for Kubernetes have the form that they need")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
