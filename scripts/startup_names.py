#!/usr/bin/env python3
"""Prints the strings that an interpreter has interned when `-m py_compile` begins to compile.

usage: PYTHON3.13 scripts/startup_names.py LIBDIR > src/compiler/native/profile/startup_313.txt

The candidates are the words of the standard library's sources in LIBDIR. Whether a set of strings
is written once or several times depends on them (gh-129724).
"""
import os
import subprocess
import sys

ASK = """
import py_compile, sys
words = open(sys.argv[1]).read().split()
print("\\n".join([word for word in words if sys.intern(word) is not word]))
"""


def words(folder):
    import re

    found = set()
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".py", ".txt", ".pyi")):
                with open(os.path.join(base, name), encoding="latin-1") as file:
                    found.update(re.findall(r"[A-Za-z0-9_]{2,}", file.read()))
    return sorted(found)


def main():
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        found = words(sys.argv[1])
        file.write("\n".join(found))
        file.flush()
        answer = subprocess.run(
            [sys.executable, "-I", "-c", ASK, file.name], check=True, capture_output=True, text=True
        )
    sys.stdout.write(answer.stdout)


main()
