#!/usr/bin/python3
"""Proves that the judge reads inside the frame and its tables, and writes nothing (`make prove`).

    tests/prove/prove.py [--faults] [--out FOLDER]       --faults plants faults.py one by one: each must be found

WP proves the contracts of reader.acsl about core/wire/frame.h, for all frames. Eva then walks the whole judge from judge.c by
these contracts: no read outside of anything, no overflow of a shift, nothing written, whatever config, state and frame hold.
Needs Frama-C (Debian: frama-c-base) with Why3, Z3 and CVC4. Exit status: 0 if all was proved.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = TOP / "tests/prove"
READER = ("frame_copy", "frame_number", "read_from", "octets_left", "read_bytes", "skip_bytes", "read_number", "read_u8")
READERS_FILE = "core/wire/frame.h"
PROVERS = "z3", "cvc4"
OUTPUTS = re.compile(r"Out \(external\) for function judge_frame:\n((?:    .*\n)+)")


class Failure(Exception):
    pass


def annotate(text, with_readers):
    """The text with the contracts in front of their functions and loops. Those of readers relate numbers, which Eva cannot."""
    for block in re.split(r"^before: ", (HERE / "reader.acsl").read_text(), flags=re.M)[1:]:
        anchor, _, annotation = block.partition("\n")
        if "is_good" in annotation + anchor and not with_readers:
            continue
        pattern = r"\s+".join(re.escape(word) for word in anchor.split("\t"))
        places = list(re.finditer(r"^[ \t]*" + pattern, text, re.M))
        if len(places) != 1:
            sys.exit(f"reader.acsl: {len(places)} places for \"{anchor}\"")
        text = text[:places[0].start()] + annotation + text[places[0].start():]
    return text


def copy_core(out, fault, with_readers):
    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(TOP / "core", out / "core")
    if fault:
        path = out / fault.file
        text = path.read_text()
        if text.count(fault.was) != 1:
            sys.exit(f"{fault.file}: \"{fault.was}\" stands {text.count(fault.was)} times in it")
        path.write_text(text.replace(fault.was, fault.now))
    frame = out / READERS_FILE
    frame.write_text(annotate(frame.read_text(), with_readers))
    shutil.copy(HERE / "judge.c", out)
    return out


def frama_c(out, *options):
    command = ["frama-c", "-c11", "-machdep", "gcc_x86_64", f"-cpp-extra-args=-I{out}", *options, str(out / "judge.c")]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout


def prove_reader(out):
    """The goals that WP has proved, as a line; fails if any is left."""
    text = frama_c(out, "-wp", "-wp-rte", f"-wp-fct={','.join(READER)}", f"-wp-prover={','.join(PROVERS)}", "-wp-timeout=10")
    proved, goals = map(int, re.search(r"Proved goals:\s+(\d+) / (\d+)", text).groups())
    if proved != goals:
        left = re.findall(r"Goal (typed_\w+) : (?!Valid)", text) + re.findall(r"\[(?:Timeout|Unknown|Failed)\] (?:Goal )?(\S+)", text)
        raise Failure(f"WP: {proved} of {goals} goals: {' '.join(left)}")
    return f"reader: {proved} of {goals} goals proved"


def prove_judge(out):
    """What Eva has walked, as a line; fails on an alarm, an unproved precondition or an output."""
    text = frama_c(out, "-eva", "-eva-precision=1", "-eva-use-spec=frame_number,frame_copy", "-out-external")
    if not re.search(r"No alarms? generated| 0 alarms? generated", text):
        raise Failure("Eva: " + " ".join(" ".join(words.split()) for words in re.findall(r"\[eva:alarm\] ((?:.*\n){2})", text)))
    unproved = re.search(r"Preconditions +(\d+) valid +(\d+) unknown +(\d+) invalid", text)
    if unproved and (unproved[2], unproved[3]) != ("0", "0"):
        raise Failure(f"Eva: {unproved[0]}")
    written = OUTPUTS.search(text)
    if not written or written[1].strip() != r"\nothing":
        raise Failure(f"Eva: judge_frame writes {written[1].strip() if written else 'what is not known'}")
    walked = re.search(r"(\d+) functions analyzed.*\n *In these functions, (\d+) statements reached", text)
    return f"judge: {walked[1]} functions, {walked[2]} statements, no alarm, nothing written"


def prove(out, fault=None):
    lines = []
    if not fault or fault.file == READERS_FILE:      # else the readers are as they were
        lines.append(prove_reader(copy_core(out / "reader", fault, True)))
    return lines + [prove_judge(copy_core(out / "judge", fault, False))]


def find_faults(out):
    """Those that nobody found."""
    import faults
    missed = []
    for number, fault in enumerate(faults.FAULTS, 1):
        try:
            prove(out, fault)
            missed.append(fault)
            print(f"{number:2} MISSED  {fault.file}: {fault.now}", flush=True)
        except Failure as failure:
            print(f"{number:2} found   {fault.what}: {str(failure).splitlines()[0][:140]}", flush=True)
    print(f"{len(faults.FAULTS) - len(missed)} of {len(faults.FAULTS)} planted faults found")
    return missed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", action="store_true", help="plant faults, each of which must be found")
    parser.add_argument("--out", type=pathlib.Path, default=TOP / "build/prove")
    options = parser.parse_args()
    if not shutil.which("frama-c"):
        sys.exit("prove.py: frama-c is not installed. Debian: apt-get install frama-c-base z3 cvc4")
    try:
        print("\n".join(prove(options.out.resolve())), flush=True)
    except Failure as failure:
        sys.exit(f"prove.py: {failure}")
    return 1 if options.faults and find_faults(options.out.resolve()) else 0


if __name__ == "__main__":
    sys.exit(main())
