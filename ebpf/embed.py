#!/usr/bin/env python3
"""Makes arrays in C of a file and of its hash, as ebpf/object.h has them: embed.py FILE OUTPUT.c"""

import hashlib
import pathlib
import sys

octets = pathlib.Path(sys.argv[1]).read_bytes()
# As text: a compiler reads a string many times faster than a list of numbers. Three digits, so that no digit behind is taken in.
lines = ['"' + "".join(f"\\{octet:03o}" for octet in octets[at:at + 24]) + '"' for at in range(0, len(octets), 24)]
build = int.from_bytes(hashlib.sha256(octets).digest()[:8], "little")
# 8 octets: it is an ELF file, and read in place.
pathlib.Path(sys.argv[2]).write_text(
    '#include "ebpf/object.h"\n\n__attribute__((aligned(8))) const unsigned char kernel_object[] =\n'
    + "\n".join(lines) + ";\nconst unsigned long kernel_object_octets = sizeof kernel_object - 1;\n" # without the zero behind it
    + f"const uint64_t kernel_build = {build:#x}ULL;\n")
