"""Runs one module of CPython's tests and writes each test's outcome: run_tests.py NAME RESULTS.

A line of RESULTS is "OUTCOME TEST"; a test that is running has the line "running TEST" until its outcome follows, so that a
crash shows which test it was. Outcomes: ok, failed, error, skipped, expected (failure), unexpected (success).
"""

import os
import sys
import unittest


class Outcomes(unittest.TestResult):
    def __init__(self, file):
        super().__init__()
        self.file = file
        self.reasons = []

    def write(self, outcome, test):
        print(outcome, str(test).replace("\n", " "), file=self.file, flush=True)

    def startTest(self, test):
        super().startTest(test)
        self.write("running", test)

    def addSuccess(self, test):
        self.write("ok", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.write("failed", test)

    def addError(self, test, error):
        super().addError(test, error)
        self.write("error", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.write("skipped", test)

    def addExpectedFailure(self, test, error):
        self.write("expected", test)

    def addUnexpectedSuccess(self, test):
        self.write("unexpected", test)

    def addSubTest(self, test, subtest, error):
        # Only the test counts: the parameters of a subtest may have addresses in their names.
        if error is not None:
            self.failures.append((test, "subtest"))
            self.write("failed", test)


def main():
    name, results = sys.argv[1:]
    del sys.argv[1:]
    import _imp

    from test import support

    # Tests switch frozen modules off to import a module anew from its source; this VM has no other standard library.
    _imp._override_frozen_modules_for_tests = lambda value: None

    support.verbose = 0
    with open(results, "w", encoding="utf-8", errors="backslashreplace") as file:
        suite = unittest.defaultTestLoader.loadTestsFromName("test." + name)
        outcomes = Outcomes(file)
        suite.run(outcomes)
        print("end", name, file=file)
        for test, text in outcomes.failures + outcomes.errors:
            print("==", test, text, file=sys.stderr)


main()
