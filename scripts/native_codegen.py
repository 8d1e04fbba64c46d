#!/usr/bin/env python3
"""CPython's instruction sequences before its graph passes, of many files (3.13 and later, with `test`).

usage: native_codegen.py OUTDIR LEVELS < list of paths, one a line

The sequences of the n-th path at level L go to OUTDIR/n.L, in the form of `examples/native_codegen`.
"""
import ast
import os
import sys
import warnings

import _testinternalcapi
from _opcode_metadata import opmap

NAMES = {number: name for name, number in opmap.items()}
PLACEHOLDER = opmap.get("ANNOTATIONS_PLACEHOLDER")
TARGETS = {
    number
    for name, number in opmap.items()
    if "JUMP" in name or name.startswith("SETUP_") and name != "SETUP_ANNOTATIONS"
    or name in ("FOR_ITER", "SEND", "END_ASYNC_FOR")
}


def show(sequence, out):
    rows = sequence.get_instructions()
    # Ours has no placeholder for the annotations of a module.
    skipped = next((at for at, row in enumerate(rows) if row[0] == PLACEHOLDER), len(rows))
    out.append("==")
    for at, (op, arg, line, end_line, col, end_col) in enumerate(row for row in rows if row[0] != PLACEHOLDER):
        arg = arg or 0
        if op in TARGETS and arg > skipped:
            arg -= 1
        out.append(f"{at} {NAMES[op]} {arg} {line}:{col}-{end_line}:{end_col}")
    for nested in sequence.get_nested():
        show(nested, out)


def listing(path, level):
    with open(path, "rb") as file:
        source = file.read()
    out = []
    try:
        tree = ast.parse(source, path)
        sequence, _ = _testinternalcapi.compiler_codegen(tree, path, level)
        show(sequence, out)
    except Exception as error:
        out = [f"error {type(error).__name__}: {error}"]
    return "\n".join(out) + "\n"


warnings.simplefilter("ignore")
folder, levels = sys.argv[1:]
for number, path in enumerate(sys.stdin.read().splitlines()):
    # Some files crash it, so each has a process of its own.
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    for level in map(int, levels):
        text = listing(path, level)
        with open(f"{folder}/{number}.{level}", "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    os._exit(0)
