"""Softnet with a library of the test's in it, which stands before libc."""

import shlex
import subprocess

import services


def program_with(directory, name, source, **environment):
    """The command: a script, for nobody else is to have the library. It is compiled here."""
    (directory / f"{name}.c").write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", directory / f"{name}.so", directory / f"{name}.c"], check=True)
    exports = " ".join(f"{key}={shlex.quote(str(value))}" for key, value in environment.items())
    program = directory / "softnet"
    # A sanitizer's library wants to be loaded first, unless told.
    program.write_text(f"#!/bin/sh\nexport {exports} LD_PRELOAD='{directory}/{name}.so'\n"
                       "export ASAN_OPTIONS=\"${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0\"\n"
                       f"exec '{services.softnet_path()}' \"$@\"\n")
    program.chmod(0o755)
    return program
