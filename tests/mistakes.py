#!/usr/bin/env python3
"""Mistakes that people make on the command line. Each is answered by one line that names what is wrong and the cure.

    tests/mistakes.py SOFTNET

And what helps before that: help of each verb within 80 columns, with an example; colors and aligned columns on a terminal only.
"""

import os
import pty
import re
import socket
import subprocess
import sys
import tempfile

SOFTNET = os.path.abspath(sys.argv[1])
if "SOFTNET_LONG" not in os.environ:      # to look for leaks takes longer than all else; make check-long does
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
MAC = "--vm-mac-address=52:54:00:00:00:0a"
TARGET = "a CIDR, an address, a host name, vm:NAME, any, @host, @gateway, @dns, @lan or @global"
KINDS = r"\(known: fd:N, unixgram:PATH, stream:PATH, tap:NAME(, slirp)?\)"


def rule(text):
    return ["policy", "check", "--allow", text]


# The words, and the line as a regular expression. "=" in front: to the letter.
MISTAKES = [
    # Words that are nearly right.
    (["--hlep"], "=--hlep: unknown option; did you mean --help?"),
    (["-help"], "=-help: unknown option; did you mean --help?"),
    (["-allow", "any"], "=-allow: unknown option; did you mean --allow?"),
    (["--vm-mac", "52:54:00:00:00:0a"], "=--vm-mac: unknown option; did you mean --vm-mac-address?"),
    (["--nonsense"], "=--nonsense: unknown option; softnet --help lists them"),
    (["statsu"], '="statsu": no such verb; did you mean `softnet status`?'),
    (["hepl"], '="hepl": no such verb; did you mean `softnet help`?'),
    (["start"], '"start": '),
    (["help", "statsu"], '="statsu": no such verb; did you mean `softnet status`?'),
    (["policy", "shwo"], '="shwo": expected softnet policy check, show, set or suggest, and options'),
    (["--rate", "apr=1/1"], '=--rate: "apr=1/1": no such rate; did you mean arp?'),
    # Rules.
    (rule("10.0.0.0/33"), '=--allow: "10.0.0.0/33": behind the slash stands a length of 0 to 32 bits'),
    (rule("fd00::/129"), '=--allow: "fd00::/129": behind the slash stands a length of 0 to 128 bits'),
    (rule("[fd00::]/129:443"), '=--allow: "[fd00::]/129:443": behind the slash stands a length of 0 to 128 bits'),
    (rule("10.0.0.300"), '=--allow: "10.0.0.300": 300 is too much for an octet of an IPv4 address: 255 at most'),
    (rule("10.0.0"), '=--allow: "10.0.0": an IPv4 address has four numbers; a network is written as 10.0.0.0/24'),
    (rule("github.com:443"), '=--allow: "github.com:443": behind a name stands how it is shown: tls/443 or quic/443 or http/443; '
     "tcp/443 or udp/443 goes by the address alone"),
    (rule("*.com"), '=--allow: "*.com": a host name has two labels or more, of letters, digits, - and _, and the last one '
     "begins with a letter"),
    (rule("git*.com"), '=--allow: "git*.com": * stands for whole labels, and in front only: *.NAME'),
    (rule("in github.com"), '=--allow: "in github.com": a name says whom the VM calls, and not who calls the VM: not with `in`'),
    (["policy", "check", "--block", "github.com"],
     '=--block: "github.com": a name can be allowed, and not blocked: the VM would use another name for the same address'),
    (["attach", "nosuch", MAC, "--allow", "github.com:tls"],
     "=--allow, --policy: rules that name hosts do not go together with `softnet attach`; `softnet --guest` and "
     "`softnet run` take them"),
    (["attach", "nosuch", MAC, "--names", "learn"],
     '=--names: "learn": not together with `softnet attach`; `softnet --guest`, `softnet run` and captures can be learned from'),
    (["attach", "nosuch", MAC, "--leave"], "=--leave: expected --vm-ip and --no-dhcp with it: nobody will be there to read DHCP"),
    (["attach", "nosuch", MAC, "--leave", "--vm-ip", "10.0.0.5", "--no-dhcp", "--reject"],
     "=--reject: not together with --leave, which leaves no process that could do it"),
    ([MAC, "--vm-fd", "0", "--leave"], "=--leave: only with `softnet attach`"),
    (["--names", "lern", MAC], '=--names: "lern": expected learn or enforce'),
    (["policy", "suggest"], "=policy suggest: expected captures, or files of events: softnet policy suggest [options] FILE..."),
    (["policy", "suggest", "--wildcard", "example.org", "x"], '=--wildcard: "example.org": expected *.NAME'),
    (["replay", "--wildcard", "*.example.org", "x"], "=--wildcard: not with `softnet replay`"),
    (rule("@dns:53 @global:tcp/443"), '=--allow: "@dns:53 @global:tcp/443": these are two rules: a comma stands between them, in a file '
     "the end of a line"),
    (rule("@internet"), f'=--allow: "@internet": did you mean @global? A target is {TARGET}'),
    (rule("in @hosts"), f'=--allow: "in @hosts": did you mean @host? A target is {TARGET}'),
    (rule("dns:53"), f'=--allow: "dns:53": did you mean @dns? A target is {TARGET}'),
    (rule("10.0.0.5:tcp:22"), '=--allow: "10.0.0.5:tcp:22": between protocol and port stands a slash: tcp/443'),
    (rule("10.0.0.5:22/tcp"), '=--allow: "10.0.0.5:22/tcp": the protocol stands before the port: tcp/22'),
    (rule("10.0.0.5:99999"), '=--allow: "10.0.0.5:99999": a port is 1 to 65535'),
    (rule("10.0.0.5:tcp/0"), '=--allow: "10.0.0.5:tcp/0": a port is 1 to 65535'),
    (rule("10.0.0.5:icmp/8"), '=--allow: "10.0.0.5:icmp/8": only tcp, udp and sctp have ports'),
    (rule("10.0.0.5:30-20"), '=--allow: "10.0.0.5:30-20": a range of ports is LOW-HIGH, with 1 to 65535'),
    (rule("10.0.0.5:http"), '--allow: "10.0.0.5:http": expected a port, a range LOW-HIGH, tcp/PORT, '),
    (rule("fd00::1:tcp/22"), '=--allow: "fd00::1:tcp/22": before a port IPv6 stands in brackets: [fd00::1]:tcp/22'),
    (rule("[fd00::1:22"), '=--allow: "[fd00::1:22": the bracket is not closed: [fd00::1]:443'),
    (["policy", "check", "--allow", "10.0.0.5:80", "10.0.0.5:80"],
     '="10.0.0.5:80": expected [in|out] ADDRESS[:PROTO[/PORT]] or NAME[:tls[/PORT]], with one protocol: tcp/PORT or udp/PORT'),
    # What is there and wrong is told before what is missing.
    (["--uplink", "passt", "--guest", "fd:3"],
     f'--uplink: unknown port "passt" {KINDS}; passt is reached by stream:PATH, its --socket'),
    (["--uplink", "vmnet", "--guest", "fd:3"], f'--uplink: unknown port "vmnet" {KINDS}; vmnet is macOS\' own'),
    (["--guest", "tpa:x"], rf'--guest: unknown port "tpa:x" {KINDS}; did you mean tap:\?'),
    (["--guest", "fd:3"], "=--vm-mac-address: missing; it is the one that the hypervisor gives to the VM"),
    ([], "=--vm-fd: missing; give --vm-fd or --guest, or see softnet --help"),
    (["--vm-mac-address", "5254000000"], '--vm-mac-address: "5254000000": expected a MAC address such as '),
    ([MAC, "--guest", "stream:/x,mode=rw"], "=--guest: mode=rw: expected three octal digits, such as 660"),
    ([MAC, "--guest", "stream:/x,owner=nosuch"], "=--guest: owner=nosuch: no such user"),
    (["run", "qemu-system-x86_64"], '="qemu-system-x86_64": expected "--" before the command of `softnet run`'),
    (["run", MAC], "run: expected a command: "),
    ([MAC, "--vm-fd", "0", "--no-dhcp"],
     "=--no-dhcp: expected --vm-ip with it, or the VM could never send anything"),
    ([MAC, "--vm-fd", "0", "--expose", "8080"], '--expose: "8080": expected '),
    (["policy", "show"], "=policy show: expected --vm NAME, or --control and the PATH that the guard was given"),
    (["status", "--allow", "any"], "=--allow: not with `softnet status`"),
]
# Exit status 1: the words are right, and something is in the way.
FAILURES = [
    (["watch", "--vm", "nosuch"], '=no guard answers for a VM "nosuch"'),
    (["status", "--vm", "nosuch"], '=no guard answers for a VM "nosuch"'),
    (["policy", "show", "--vm", "nosuch"], '=--vm: no guard answers for a VM "nosuch"'),
]
failed = []


def check(is_good, what):
    if not is_good:
        failed.append(what)


def run(words, **more):
    return subprocess.run([SOFTNET, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, **more)


def must_say(words, expected, status):
    done = run(words)
    pattern = re.escape(f"softnet: {expected[1:]}\n") if expected[0] == "=" else f"softnet: {expected}.*\n"
    # Where root's guards cannot be asked, that is said as well.
    said = done.stderr.replace("; root has guards, which only root may ask", "")
    check(done.returncode == status and done.stdout == "" and re.fullmatch(pattern, said),
          f"{' '.join(words)}: status {done.returncode}, {done.stdout}{done.stderr}expected {expected}")


def on_terminal(words, **environment):
    """What it prints on a terminal."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen([SOFTNET, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                               env=dict(os.environ, TERM="xterm", **environment))
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(mine, 65536):
            text += piece
    except OSError:     # the other end is closed
        pass
    os.close(mine)
    process.wait()
    return text.decode().replace("\r\n", "\n")


def check_help():
    for words in [["--help"], ["help"], ["run"], ["status"], ["watch"], ["policy", "check"], ["policy", "show"],
                  ["policy", "set"], ["policy", "suggest"], ["replay"]]:
        text = run(words if words[0] in ("help", "--help") else [*words, "--help"]).stdout
        check(text and max(map(len, text.splitlines())) <= 80, f"{words}: wider than 80 columns, or empty")
        if words[0] in ("help", "--help"):
            continue
        check(run(["help", *words]).stdout == text, f"help {words} is another text")
        example = re.search(r"^Example:\n  softnet (.*(?:\\\n.*)*)", text, re.M)
        check(example and example.group(1).startswith(" ".join(words)), f"{words}: no example:\n{text}")
    of_policy = run(["help", "policy"]).stdout
    check(run(["policy", "--help"]).stdout == of_policy and "--mtu" not in of_policy and of_policy.count("Example:") == 4 and
          max(map(len, of_policy.splitlines())) <= 80, f"help policy:\n{of_policy}")
    check("--mtu" not in run(["status", "--help"]).stdout, "status --help names options that it does not take")
    example = re.search(r"^  softnet (policy check .*)$", run(["help", "policy", "check"]).stdout, re.M).group(1)
    check(run(example.split()).returncode == 0, f"the example fails: {example}")


def check_colors():
    words = ["policy", "check", "--block", "10.0.0.0/8", "10.0.0.5:tcp/22", "1.1.1.1:udp/53"]
    piped = run(words).stdout
    check("\033" not in piped and "out 10.0.0.5:tcp/22\tdst-blocked\tblock 10.0.0.0/8\n" in piped, piped)
    shown = on_terminal(words, NO_COLOR="")
    check("\033[31mdst-blocked" in shown and "\033[32mpass" in shown and "\t" not in shown, shown)
    plain = on_terminal(words, NO_COLOR="1")
    check("\033" not in plain and re.search(r"^out 10\.0\.0\.5:tcp/22  dst-blocked +block 10\.0\.0\.0/8$", plain, re.M) and
          re.search(r"^out 1\.1\.1\.1:udp/53   pass +default$", plain, re.M), plain)
    check("\033" in on_terminal(["--help"], NO_COLOR="") and "\033" not in on_terminal(["--help"], NO_COLOR="1") and
          "\033" not in run(["--help"]).stdout, "colors of --help")


def check_address_or_port():
    done = run(rule("fd00::1:22"))
    check(done.returncode == 0 and done.stdout == "allow fd00::1:22/128\n" and done.stderr ==
          'softnet: "fd00::1:22" is one address, and no port; write [fd00::1]:22 for the port, or fd00::1:22/128\n', done.stderr)
    for sure in "fd00::1:22/128", "[fd00::1]:22", "2001:db8::1", "fe80::1:a2":
        check(run(rule(sure)).stderr == "", f"a warning about {sure}")


def check_busy_ports():
    """A port that somebody has is an error at the start."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, name, address in (socket.SOCK_STREAM, "tcp", "127.0.0.1"), (socket.SOCK_DGRAM, "udp", "127.0.0.1"):
            with socket.socket(socket.AF_INET, kind) as busy:
                busy.bind((address, 0))
                if kind == socket.SOCK_STREAM:
                    busy.listen()
                port = busy.getsockname()[1]
                text = f"{name}/{address}:{port}:80"
                done = run([MAC, "--guest", f"stream:{folder}/vm", "--uplink", "slirp", "--expose", text])
                if "unknown port" in done.stderr:
                    return      # built without slirp
                check((done.returncode, done.stderr) == (1, f'softnet: --expose: "{text}": {name} port {port} on {address}: '
                                                            "Address already in use\n"), done.stderr)


for words, expected in MISTAKES:
    must_say(words, expected, 2)
for words, expected in FAILURES:
    must_say(words, expected, 1)
check_help()
check_colors()
check_address_or_port()
check_busy_ports()
print("\n".join(failed) if failed else f"{len(MISTAKES) + len(FAILURES)} mistakes are answered by one line each")
sys.exit(bool(failed))
