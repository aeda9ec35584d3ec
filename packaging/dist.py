#!/usr/bin/python3
"""Makes softnet-VERSION.tar.gz of the commit that is checked out, with sbom.spdx.json in it: packaging/dist.py FOLDER

Two runs give the same octets: the order, times and owners are git's, and the times in the SBOM are the commit's.
"""

import gzip
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent

# What a softnet is linked with: name, licence, home, and how.
LINKED = [
    ("jansson", "MIT", "https://github.com/akheron/jansson", "required"),
    ("libslirp", "BSD-3-Clause", "https://gitlab.freedesktop.org/slirp/libslirp", "optional: the default uplink"),
    ("libbpf", "LGPL-2.1-only OR BSD-2-Clause", "https://github.com/libbpf/libbpf", "optional: the kernel engine"),
    ("libxml2", "MIT", "https://gitlab.gnome.org/GNOME/libxml2", "optional: the hook for libvirt"),
]


def git(*words):
    settings = ["-c", "tar.umask=0022"]
    return subprocess.run(["git", "-C", str(TOP), *settings, *words], check=True, capture_output=True,
                          env={**os.environ, "TZ": "UTC"}).stdout


def spdx_id(name):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def describe_files():
    """SPDX files of the commit, each with its hash."""
    files = []
    for line in git("ls-tree", "-r", "-z", "HEAD").decode().split("\0"):
        if not line:
            continue
        head, name = line.split("\t", 1)
        _, kind, blob = head.split()
        if kind != "blob":
            continue
        octets = git("cat-file", "blob", blob)
        files.append({
            "SPDXID": spdx_id("File-" + name), "fileName": "./" + name,
            "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(octets).hexdigest()},
                          {"algorithm": "SHA256", "checksumValue": hashlib.sha256(octets).hexdigest()}],
            "licenseConcluded": "BSD-2-Clause", "copyrightText": "Copyright (c) 2026, the softnet authors",
        })
    return files


def sbom(version):
    commit = git("rev-parse", "HEAD").decode().strip()
    created = git("show", "-s", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "HEAD").decode().strip()
    packages = [{
        "SPDXID": "SPDXRef-softnet", "name": "softnet", "versionInfo": version, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "licenseConcluded": "BSD-2-Clause", "licenseDeclared": "BSD-2-Clause",
        "copyrightText": "Copyright (c) 2026, the softnet authors", "comment": f"commit {commit}",
    }]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-softnet")]
    for name, licence, home, how in LINKED:
        packages.append({
            "SPDXID": spdx_id(name), "name": name, "downloadLocation": "NOASSERTION", "homepage": home,
            "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": licence,
            "copyrightText": "NOASSERTION", "comment": how,
        })
        optional = how.startswith("optional")
        relations.append((spdx_id(name), "OPTIONAL_DEPENDENCY_OF", "SPDXRef-softnet") if optional else
                         ("SPDXRef-softnet", "DEPENDS_ON", spdx_id(name)))
    files = describe_files()
    relations += [("SPDXRef-softnet", "CONTAINS", file["SPDXID"]) for file in files]
    return json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"softnet-{version}", "documentNamespace": f"https://spdx.org/spdxdocs/softnet-{version}-{commit}",
        "creationInfo": {"created": created, "creators": ["Organization: the softnet authors"]},
        "packages": packages, "files": files,
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in relations],
    }, indent=1, sort_keys=True) + "\n"


def main():
    folder = pathlib.Path(sys.argv[1])
    version = re.search(r"version: '([^']+)'", git("show", "HEAD:meson.build").decode()).group(1)
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "sbom.spdx.json"
    text.write_text(sbom(version))
    tar = git("archive", "--format=tar", f"--prefix=softnet-{version}/", f"--add-file={text}", "HEAD")
    name = folder / f"softnet-{version}.tar.gz"
    name.write_bytes(gzip.compress(tar, 9, mtime=0))
    print(f"{hashlib.sha256(name.read_bytes()).hexdigest()}  {name}")


if __name__ == "__main__":
    main()
