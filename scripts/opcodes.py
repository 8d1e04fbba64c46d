#!/usr/bin/env python3
"""Prints src/compiler/native/opcode/table.rs: the opcodes of the given interpreters.

usage: scripts/opcodes.py PYTHON3.13 [PYTHON3.14 ...] > src/compiler/native/opcode/table.rs

Each interpreter prints its own opcodes from `opcode` and `_opcode`; the enum is their union.
"""
import json
import subprocess
import sys

ASK = """
import json, opcode, sys, _opcode
from _opcode_metadata import opmap
rows = {}
for name, number in opmap.items():
    if name.startswith("INSTRUMENTED"):
        continue
    rows[name] = (number, opcode._inline_cache_entries.get(name, 0))
print(json.dumps({"version": sys.version_info[:3], "rows": rows}))
"""


# An instruction whose operands changed under its name is another `Op` from that version on.
CHANGED = {
    # Takes the dict of keyword arguments or NULL from the stack; before, a flag said whether one is there.
    "CALL_FUNCTION_EX": (14, "CALL_FUNCTION_EX_OR_NULL"),
    # Names the `SEND` that it belongs to.
    "END_ASYNC_FOR": (14, "END_ASYNC_FOR_OF"),
}


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def ask(python):
    answer = json.loads(subprocess.run([python, "-c", ASK], check=True, capture_output=True).stdout)
    for name, (since, other) in CHANGED.items():
        if answer["version"][1] >= since:
            answer["rows"][other] = answer["rows"].pop(name)
    return answer


def main():
    answers = [ask(python) for python in sys.argv[1:]]
    names = sorted({name for answer in answers for name in answer["rows"]})
    shown = {name: name for name in names}
    shown.update({other: name for name, (_, other) in CHANGED.items()})
    out = print
    out("//! Opcode numbers and cache sizes of each version. Printed by `scripts/opcodes.py`; do not edit.")
    out()
    out("use super::{ABSENT, Row};")
    out()
    out("/// An instruction of any covered version, real or pseudo, under its CPython name.")
    out("#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]")
    out("#[allow(missing_docs)]")
    out("#[repr(u8)]")
    out("pub enum Op {")
    for name in names:
        out(f"    {camel(name)},")
    out("}")
    out()
    out("/// CPython's name of each `Op`, in order.")
    out(f"pub(super) static NAMES: [&str; {len(names)}] = [")
    for name in names:
        out(f'    "{shown[name]}",')
    out("];")
    out()
    out("/// Each `Op`, in order.")
    out(f"pub(super) static ALL: [Op; {len(names)}] = [")
    for name in names:
        out(f"    Op::{camel(name)},")
    out("];")
    for answer in answers:
        major, minor, _ = answer["version"]
        out()
        out(f"/// CPython {major}.{minor}: number and inline cache units of each `Op`, in order.")
        out(f"pub(super) static V{major}{minor}: [Row; {len(names)}] = [")
        for name in names:
            row = answer["rows"].get(name)
            if row is None or row[0] > 255:
                out(f"    ABSENT, // {name}")
            else:
                out(f"    Row::new({row[0]}, {row[1]}), // {name}")
        out("];")


main()
