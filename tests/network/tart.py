"""A stand-in for Tart: starts `softnet` as Tart's Softnet.swift does, and expects of it what Tart does."""

import contextlib
import pathlib
import signal
import socket
import subprocess
import types

import rawguest

STOP_SECONDS = 2            # Tart waits without a limit, and its user with it


def find_on_path(name, path):
    """The first file of that name; whether it may be executed is not asked."""
    return next(pathlib.Path(directory) / name for directory in path.split(":")
                if (pathlib.Path(directory) / name).exists())


def vm_socket_pair():
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return ends


class Tart:
    """One `tart run`. With `control`, softnet's standard output is the other end of a socket for live control.

    `more` is for subprocess.Popen: a user, say. What softnet says on its standard error is in `words` when it has ended.
    """

    def __init__(self, path, mac, *, net_host=False, allow=None, block=None, expose=None, control=False,
                 ignores_sigint=False, **more):
        words = ["--vm-fd", "0", "--vm-mac-address", mac]
        for wanted, option, value in ((net_host, "--vm-net-type", "host"), (allow, "--allow", allow),
                                      (block, "--block", block), (expose, "--expose", expose),
                                      (control, "--control-fd", "1")):
            words += [option, value] if wanted else []
        self.vm, self.ours = vm_socket_pair()       # `ours` stays open: softnet sees the VM end only when we all end
        self.control, output = socket.socketpair() if control else (None, subprocess.PIPE)
        if control:
            self.control.settimeout(5)
            self.lines = self.control.makefile("rb")
        self.words = None
        self.process = subprocess.Popen([str(find_on_path("softnet", path)), *words], stdin=self.ours, stdout=output,
                                        stderr=subprocess.PIPE, preexec_fn=ignore_sigint if ignores_sigint else None, **more)
        if control:
            output.close()

    def ask(self, line):
        self.control.sendall(line + b"\n")
        return self.lines.readline()

    def stop(self):
        """SIGINT and patience. Before it, any end is a premature one."""
        assert self.process.poll() is None, f"terminated prematurely: {self.process.stderr.read()}"
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self):
        """(status, what came on standard output in all, but answers that were read before)"""
        output, words = self.process.communicate(timeout=STOP_SECONDS)
        self.words = words.decode()
        if self.control:
            output = self.lines.read()
        return self.process.returncode, output

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        for end in (self.vm, self.ours, self.control):
            with contextlib.suppress(AttributeError):
                end.close()


def ignore_sigint():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Guest(rawguest.RawGuest):
    """The VM's network card, which Virtualization.framework holds; it knows no more of softnet than its frames."""

    def __init__(self, tart, mac):      # pylint: disable=super-init-not-called
        self.socket, self.mac, self.sent, self.address = tart.vm, mac, 0, None
        self.socket.settimeout(rawguest.SEND_SECONDS)
        self.guard = types.SimpleNamespace(output=lambda: ["?"])
