"""Checks that a reference interpreter runs from its own folder and mixes in nothing of the machine.

Usage: check_reference.py ROOT. Silent and exit status 0, or the reasons and status 1.
"""

import sys

root = sys.argv[1]
problems = []

import ctypes
import encodings
import sqlite3
import ssl
import subprocess

for module in (encodings, ctypes, sqlite3, ssl, sys.modules["_ssl"], sys.modules["_ctypes"]):
    path = getattr(module, "__file__", None)
    if path is not None and not path.startswith(root + "/"):
        problems.append("%s comes from %s" % (module.__name__, path))
if not sys.prefix.startswith(root + "/"):
    problems.append("sys.prefix is %s" % sys.prefix)
with open("/proc/self/maps") as maps:
    for line in maps:
        path = line.split(None, 5)[5].strip() if len(line.split(None, 5)) == 6 else ""
        if ".so" in path and not path.startswith(root + "/"):
            problems.append("loaded %s" % path)
child = subprocess.run([sys.executable, "-ISE", "-c", "import sys, ssl; print(sys.prefix)"],
                       stdout=subprocess.PIPE, universal_newlines=True)
if child.stdout.strip() != sys.prefix:
    problems.append("a child process of %s answers %r" % (sys.executable, child.stdout))

for problem in sorted(set(problems)):
    print(problem, file=sys.stderr)
sys.exit(bool(problems))
