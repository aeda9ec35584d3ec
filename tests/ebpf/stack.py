#!/usr/bin/env python3
"""How much stack the deepest chain of calls in the guard's programs takes, with each clang of this machine.

    tests/ebpf/stack.py LOADER OBJECT COMMAND ...    OBJECT is what COMMAND, which ends in its source, made with meson's clang

A chain has 512 octets. Each version of clang needs another number of them, so what other versions make is loaded too, by LOADER.
The verifier rounds each function of the chain up to 16 octets. Older ones, and those of kernels that do not compile programs,
round up to 32: what fits is told, and is no failure.
"""

import pathlib
import re
import struct
import subprocess
import sys
import tempfile

LIMIT, ROUND, ROUND_BEFORE = 512, 16, 32
LDX, ST, STX = 1, 2, 3                  # classes of instructions
CALL, LOAD_64, MOVE, ADD = 0x85, 0x18, 0xbf, 0x07
OF_PROGRAM, FRAME_POINTER = 1, 10       # as the source of a call; the register
FUNCTION, SECTION, SKIPPED = 2, 3, 77


def name_at(table, at):
    return table[at:table.index(b"\0", at)].decode()


class Object:
    """ELF of 64 bits, little-endian: functions by (section, offset), and where relocations point to."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        at, = struct.unpack_from("<Q", data, 0x28)
        size, count = struct.unpack_from("<HH", data, 0x3A)
        heads = [struct.unpack_from("<IIQQQQIIQQ", data, at + number * size) for number in range(count)]
        self.parts = [data[head[4]:head[4] + head[5]] for head in heads]
        symbols, names = next((self.parts[number], self.parts[head[6]]) for number, head in enumerate(heads) if head[1] == 2)
        self.symbols = [(name_at(names, name), info & 15, section, value, length)
                        for name, info, _, section, value, length in struct.iter_unpack("<IBBHQQ", symbols)]
        self.functions = {(section, value): (name, length) for name, kind, section, value, length in self.symbols if kind == FUNCTION}
        self.targets = {(head[7], offset): self.symbols[info >> 32] for number, head in enumerate(heads) if head[1] == 9
                        for offset, info in struct.iter_unpack("<QQ", self.parts[number])}

    def called(self, section, at, code, source, number):
        """The function that this instruction calls, or gives to a helper of the kernel; None: none of ours."""
        if code not in (CALL, LOAD_64) or (code == CALL and source != OF_PROGRAM):
            return None
        _, kind, where, value, _ = self.targets.get((section, at), (None, SECTION, section, at + 8 if code == CALL else -1, 0))
        step = (number + 1) * 8 if (section, at) in self.targets else number * 8
        return (where, value + (step if kind == SECTION and code == CALL else 0))

    def read(self, function):
        """Octets below the frame pointer, and the functions that are called."""
        section, begin = function
        depth, calls, code_before = 0, set(), None
        for at in range(begin, begin + self.functions[function][1], 8):
            code, registers, offset, number = struct.unpack_from("<BBhi", self.parts[section], at)
            to, source = registers & 15, registers >> 4
            if (code & 7 == LDX and source == FRAME_POINTER) or (code & 7 in (ST, STX) and to == FRAME_POINTER):
                depth = max(depth, -offset)
            if code == ADD and code_before == (MOVE, to, FRAME_POINTER):
                depth = max(depth, -number)
            code_before = code, to, source
            target = self.called(section, at, code, source, number)
            if target in self.functions:
                calls.add(target)
        return depth, calls


def deepest_chain(path, multiple):
    """(octets, names and depths)."""
    found, read = {}, Object(path)

    def chain_of(function):
        if function not in found:
            depth, calls = read.read(function)
            octets, chain = max((chain_of(each) for each in calls), default=(0, ()))
            found[function] = octets + max(-(-depth // multiple), 1) * multiple, ((read.functions[function][0], depth), *chain)
        return found[function]
    return max(chain_of(function) for function in read.functions)


def clangs(own):
    """Of other versions than meson's."""
    versions = {}
    folders = [pathlib.Path(folder) for folder in ("/usr/bin", "/usr/local/bin")]
    for path in [pathlib.Path(own), *(each for folder in folders for each in sorted(folder.glob("clang-[0-9]*")))]:
        if path.name == pathlib.Path(own).name or re.fullmatch(r"clang-\d+", path.name):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            versions.setdefault(said.split("\n")[0], path)
    return versions


def main():
    loader, known, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    is_wrong = False
    with tempfile.TemporaryDirectory() as folder:
        for number, (version, clang) in enumerate(clangs(command[0]).items()):
            path = known
            if number > 0:
                path = f"{folder}/{number}.o"
                subprocess.run([clang, *command[1:-1], "-c", command[-1], "-o", path], check=True)
            octets, chain = deepest_chain(path, ROUND)
            before, _ = deepest_chain(path, ROUND_BEFORE)
            print(f"{version}: {octets} of {LIMIT} octets, in older kernels {before}: " + ", ".join(f"{name} {depth}" for name, depth in chain),
                  flush=True)
            is_wrong |= octets > LIMIT
            is_wrong |= number > 0 and subprocess.run([loader, path], check=False).returncode not in (0, SKIPPED)
    return is_wrong


if __name__ == "__main__":
    sys.exit(main())
