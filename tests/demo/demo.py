#!/usr/bin/python3
"""The demo: real virtual machines misbehave, without softnet and with it.

    tests/vm/image.sh build/vm && tests/demo/demo.py

It runs in a network of its own (tests/network/netns.py): nothing that happens here can leave it, and nothing of it
stays. Exit status 0 if everything happened as expected.
"""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "network")]
import netns            # noqa: E402
import services         # noqa: E402
import vm               # noqa: E402
from agent import one_agent                 # noqa: E402
from one_guest import one_guest             # noqa: E402
from plain_tap import plain_tap             # noqa: E402
from screen import Screen                   # noqa: E402
from two_tenants import two_tenants         # noqa: E402


def main():
    if not netns.inside():
        obstacle = netns.why_not()
        if not os.access(services.softnet_path(), os.X_OK):
            obstacle = obstacle or f"{services.softnet_path()} is not built: run make first"
        if vm.image_directory() is None:
            obstacle = obstacle or "needs the guest: run tests/vm/image.sh build/vm"
        if obstacle:
            print(f"demo: {obstacle}", file=sys.stderr)
            return 1
        return netns.isolated([sys.executable, *sys.argv])

    netns.prepare()
    screen = Screen()
    image, softnet = vm.image_directory(), services.softnet_path()
    for part, guard in ((one_guest, softnet), (two_tenants, None), (two_tenants, softnet), (plain_tap, softnet),
                        (one_agent, softnet)):
        try:
            part(screen, image, guard)
        except netns.NetworkError as error:
            screen.output("demo", str(error))
            screen.row("this part of the demo", "runs to its end", str(error).splitlines()[0], False)
    return 0 if screen.table() else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
