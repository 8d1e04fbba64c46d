"""Compares two folders of results of run_tests.py: compare_tests.py OWN OURS NAME…

OWN holds the outcomes of the VM that compiles for itself, OURS those with our code. Prints a table; its exit status says
whether any test fails with our code that passes without.
"""

import collections
import os
import sys

BAD = ("failed", "error", "unexpected", "running")


def outcomes(folder, name):
    last = {}
    ended = False
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            for line in file:
                outcome, _, test = line.rstrip("\n").partition(" ")
                if outcome == "end":
                    ended = True
                elif last.get(test) not in ("failed", "error"):
                    last[test] = outcome
    except FileNotFoundError:
        pass
    return last, ended


def main():
    own_folder, our_folder, *names = sys.argv[1:]
    worse = []
    totals = collections.Counter()
    print("| tests | run | passed | skipped | not passed: RustPython's own code | not passed: our code | only with ours | only with its own |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        (own, own_ended), (ours, our_ended) = outcomes(own_folder, name), outcomes(our_folder, name)
        own_bad = {test for test, outcome in own.items() if outcome in BAD}
        our_bad = {test for test, outcome in ours.items() if outcome in BAD}
        counts = collections.Counter(ours.values())
        only_ours, only_own = our_bad - own_bad, own_bad - our_bad
        missing = set(own) - set(ours) - own_bad
        worse += ["%s: %s" % (name, test) for test in sorted(only_ours)]
        worse += ["%s: %s did not run" % (name, test) for test in sorted(missing)]
        if own_ended and not our_ended:
            worse.append("%s: did not end" % name)
        row = (len(ours), counts["ok"] + counts["expected"], counts["skipped"], len(own_bad), len(our_bad), len(only_ours), len(only_own))
        totals.update(dict(enumerate(row)))
        mark = "" if our_ended else " (does not end)" if not own_ended else " (ends with its own only)"
        print("| %s%s | %s |" % (name, mark, " | ".join(map(str, row))))
    print("| all | %s |" % " | ".join(str(totals[column]) for column in range(7)))
    for each in worse:
        print("worse:", each, file=sys.stderr)
    sys.exit(1 if worse else 0)


main()
