#!/usr/bin/python3
"""What it takes to decide about one frame, without ports: by protocol and family, rules and flows. Run by `make bench`.

    tests/bench/judge.py FOLDER [ROUNDS [PAGE]]    leaves judge.json there, and prints a table. PAGE, docs/relay.md: puts it there
"""

import statistics
import subprocess
import sys

from bench_run import SOFTNET, keep, measure_rounds, publish, ratios, spread, table

ROUNDS, FEW, MANY = 9, "4", "4096"
TOOL = SOFTNET.parent / "tests" / "bench_judge"


def measure(_):
    """{(protocol, family, rules, flows): ns}"""
    lines = subprocess.run([TOOL], capture_output=True, text=True, check=True).stdout.splitlines()
    return {tuple(words[:4]): float(words[4]) for words in map(str.split, lines)}


def main(folder, rounds=ROUNDS, page=None):
    found = measure_rounds(["all"], int(rounds), measure)["all"]
    values = {case: [one[case] for one in found] for case in found[0]}
    cases = dict.fromkeys((protocol, family, flows) for protocol, family, _, flows in values)
    counts = list(dict.fromkeys(rules for _, _, rules, _ in values))
    lines, compared = [], {}
    for protocol, family, flows in cases:
        cells = {rules: values[protocol, family, rules, flows] for rules in counts}
        lines.append([f"{protocol} of {family}", "on" if flows == "1" else "off", *(f"{statistics.median(cells[rules]):.0f}" for rules in counts),
                      spread(ratios(cells[MANY], cells[FEW]), 2)])
        compared[f"{protocol} of {family}, flows {'on' if flows == '1' else 'off'}"] = ratios(cells[MANY], cells[FEW])
    publish(page, {"judge": table(["frame", "flows", *(f"ns, {rules} rules" for rules in counts), f"{MANY} rules, times {FEW}"], lines)})
    keep(folder, "judge", [[*case, ns] for case, ns in values.items()], {f"ns to decide: {MANY} rules, times {FEW}": compared})


if __name__ == "__main__":
    main(*sys.argv[1:])
