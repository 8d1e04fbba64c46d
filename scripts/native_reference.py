#!/usr/bin/env python3
"""Marshalled code of many files, as this interpreter makes it: what the native compiler must equal.

usage: native_reference.py OUTDIR LEVELS < list of paths, one a line

The code of the n-th path at level L goes to OUTDIR/n.L; a rejected source gives a file that begins
with `error`. LEVELS is for example `012`.
"""
import marshal
import os
import sys
import warnings

warnings.simplefilter("ignore")
sys.stderr = open(os.devnull, "w")
out, levels = sys.argv[1:]
for number, path in enumerate(sys.stdin.read().splitlines()):
    with open(path, "rb") as file:
        source = file.read()
    for level in map(int, levels):
        try:
            code = compile(source, path, "exec", dont_inherit=True, optimize=level)
            data = marshal.dumps(code)
            # Its interned strings must not outlive it: the next file would share them.
            del code
        except Exception as error:
            data = f"error {type(error).__name__}: {error}".encode("utf-8", "replace")
        with open(f"{out}/{number}.{level}", "wb") as file:
            file.write(data)
