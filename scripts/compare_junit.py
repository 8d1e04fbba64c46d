"""Compares JUnit files of regrtest: compare_junit.py NATIVE OURS [OURS AGAIN].

Prints the counts and each test whose result got worse; of two runs here the better counts. Status 1 when there is one,
or when tests are missing.
"""

import sys
import xml.etree.ElementTree as ElementTree

MINIMUM = 500
# The worst first.
RESULTS = ["failed", "skipped", "passed"]


def results(path):
    found = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        kinds = {child.tag for child in case}
        result = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        name = case.get("name")
        # The same test with two parameters or subtests is one line: its worst result.
        found[name] = min(found.get(name, result), result, key=RESULTS.index)
    return found


def count(found):
    return ", ".join("%d %s" % (sum(1 for each in found.values() if each == kind), kind)
                     for kind in ("passed", "failed", "skipped"))


native, ours = results(sys.argv[1]), {}
for again in map(results, sys.argv[2:]):
    for name, result in again.items():
        ours[name] = max(ours.get(name, result), result, key=RESULTS.index)
print("natively: %s" % count(native))
print("here: %s" % count(ours))
worse = ["%s: %s natively, %s here" % (name, result, ours.get(name, "missing"))
         for name, result in sorted(native.items()) if ours.get(name) not in (result, "passed")]
print("\n".join(worse))
sys.exit(bool(worse) or len(native) < MINIMUM)
