#!/usr/bin/env python3
"""What CPython's graph passes make of CPython's own code, for `examples/native_passes.rs`.

usage: native_passes.py OUT < list of paths, one a line

Needs an interpreter with `_testinternalcapi` (3.14). For each module and each code object in it the
instructions before and after `optimize_cfg` are written, one JSON object a line. The constants of
nested code objects are not told, so they get made-up ones, the same for both sides.
"""
import ast
import json
import os
import struct
import sys
import types
import warnings

import _testinternalcapi as internal
from _opcode_metadata import opmap

NAMES = {number: name for name, number in opmap.items()}
MADE_UP = [None, 7, "ab", 1000, (1, "a"), True, 2.5, b"xy", -3, ..., 255, 256, "", (), 0, False, 1j, 10**30]


def bits(value):
    return str(struct.unpack("<Q", struct.pack("<d", value))[0])


def tell(value):
    if value is None or value is ...:
        return [str(value) if value is None else "...", 0]
    kind = type(value)
    if kind is bool:
        return ["bool", value]
    if kind is int:
        return ["int", str(value)]
    if kind is float:
        return ["float", bits(value)]
    if kind is complex:
        return ["complex", [bits(value.real), bits(value.imag)]]
    if kind is str:
        return ["str", value]
    if kind is bytes:
        return ["bytes", list(value)]
    if kind is tuple:
        return ["tuple", list(map(tell, value))]
    if kind is frozenset:
        return ["set", list(map(tell, value))]
    if kind is slice:
        return ["slice", [tell(value.start), tell(value.stop), tell(value.step)]]
    return ["code", 0]


def rows(sequence):
    return [[NAMES[op], arg, *place] for op, arg, *place in sequence.get_instructions()]


def copied(sequence_rows):
    sequence = internal.new_instruction_sequence()
    labels = {}
    for op, arg, *_ in sequence_rows:
        if jumps(op):
            labels.setdefault(arg, sequence.new_label())
    for at, (op, arg, *place) in enumerate(sequence_rows):
        if at in labels:
            sequence.use_label(labels[at])
        sequence.addop(opmap[op], labels[arg] if jumps(op) else arg or 0, *place)
    return sequence


def jumps(op):
    return "JUMP" in op or op.startswith("SETUP_F") or op.startswith("SETUP_C") or op.startswith("SETUP_W") or op in (
        "FOR_ITER", "SEND", "END_ASYNC_FOR")


kept = []


def unit(name, sequence, consts, out):
    code = rows(sequence)
    if any(row[0] == "ANNOTATIONS_PLACEHOLDER" for row in code):
        at = next(at for at, row in enumerate(code) if row[0] == "ANNOTATIONS_PLACEHOLDER")
        code[at] = ["NOP", None, -1, -1, -1, -1]
    if consts is None:
        count = max([row[1] + 1 for row in code if row[0] == "LOAD_CONST"], default=1)
        shift = len(code)
        consts = [MADE_UP[(at + shift) % len(MADE_UP)] if at < len(MADE_UP) else 100 * at for at in range(count)]
    size = max([row[1] + 1 for row in code if "_FAST" in row[0]], default=0)
    record = {"name": name, "code": code, "consts": list(map(tell, consts)), "locals": size}
    result = internal.optimize_cfg(copied(code), consts, size)
    kept.append(result)
    record["result"] = rows(result)
    record["result_consts"] = list(map(tell, consts))
    try:
        line = json.dumps(record)
        line.encode()
    except UnicodeEncodeError:
        return
    if "\\ud8" not in line and "\\udc" not in line:
        out.write(line + "\n")


def nested(name, sequence, out):
    for number, inner in enumerate(sequence.get_nested() or ()):
        try:
            unit(f"{name}.{number}", inner, None, out)
        except (ValueError, SystemError) as error:
            print(name, number, error, file=sys.stderr)
        nested(f"{name}.{number}", inner, out)


def main():
    warnings.simplefilter("ignore")
    with open(sys.argv[1], "w") as out:
        for path in sys.stdin.read().splitlines():
            with open(path, "rb") as file:
                source = file.read()
            try:
                tree = ast.parse(source)
                sequence, facts = internal.compiler_codegen(tree, path, 0)
            except (SyntaxError, ValueError, RecursionError):
                continue
            kept.append(sequence)
            unit(path, sequence, facts["consts"], out)
            nested(path, sequence, out)
    os._exit(0)


if __name__ == "__main__":
    main()
