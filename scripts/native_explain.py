#!/usr/bin/env python3
"""The first difference between two marshalled code objects, with its source line.

usage: native_explain.py LIST REFDIR OURDIR LEVEL [N ...]

Reads REFDIR/n.LEVEL and OURDIR/n.LEVEL (see `native_reference.py`). Without numbers all files in
OURDIR are looked at and kinds of differences are counted. Run it with the reference interpreter.
"""
import collections
import dis
import marshal
import os
import sys
import types

FIELDS = """co_name co_qualname co_firstlineno co_flags co_argcount co_posonlyargcount
co_kwonlyargcount co_names co_varnames co_cellvars co_freevars co_code co_consts co_stacksize
co_exceptiontable co_linetable""".split()


def instructions(code):
    rows = []
    for row in dis.get_instructions(code):
        place = row.positions
        rows.append((row.offset, row.opname, row.arg, str(row.argrepr)[:60] if "0x" not in row.argrepr else "",
                     (place.lineno, place.col_offset, place.end_lineno, place.end_col_offset)))
    return rows


def same(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, frozenset):
        return {(type(item), item) for item in one} == {(type(item), item) for item in other}
    return one == other and repr(one) == repr(other)


def compare(theirs, ours, path):
    for field in FIELDS:
        one, other = getattr(theirs, field), getattr(ours, field)
        if field == "co_consts":
            for a, b in zip(one, other):
                if isinstance(a, types.CodeType) and isinstance(b, types.CodeType):
                    found = compare(a, b, path + "." + a.co_name)
                    if found:
                        return found
            one = tuple("code" if isinstance(item, types.CodeType) else item for item in one)
            other = tuple("code" if isinstance(item, types.CodeType) else item for item in other)
            if same(one, other):
                continue
        elif one == other:
            continue
        text = f"{path}: {field} (from line {theirs.co_firstlineno})\n"
        kind = field
        if field in ("co_code", "co_linetable", "co_exceptiontable", "co_names", "co_consts"):
            rows, own = instructions(theirs), instructions(ours)
            for at, (a, b) in enumerate(zip(rows, own)):
                if a != b:
                    kind += f" {a[1]}/{b[1]}"
                    for row in rows[max(0, at - 4):at]:
                        text += f"      {row}\n"
                    text += "".join(f"    - {row}\n" for row in rows[at:at + 4])
                    text += "".join(f"    + {row}\n" for row in own[at:at + 4])
                    break
        if field in ("co_consts", "co_names", "co_stacksize", "co_exceptiontable") or not field.startswith("co_") or len(repr(one)) < 300:
            text += f"    - {str(one)[:700]}\n    + {str(other)[:700]}\n"
        return kind, text
    return None


def explain(number, paths, refs, ours, level, counts, verbose):
    with open(f"{refs}/{number}.{level}", "rb") as file:
        theirs = file.read()
    with open(f"{ours}/{number}.{level}", "rb") as file:
        own = file.read()
    try:
        found = compare(marshal.loads(theirs), marshal.loads(own), "")
    except Exception as error:
        found = ("unreadable", repr(error))
    if found is None:
        at = next((i for i, (a, b) in enumerate(zip(theirs, own)) if a != b), -1)
        found = ("marshal only", f"at {at}: - {theirs[at - 30:at + 40]}\n        + {own[at - 30:at + 40]}\n")
    kind, text = found
    counts[kind].append(number)
    if verbose:
        print(f"#{number} {paths[number]}\n{text}")


def main():
    listing, refs, ours, level, *numbers = sys.argv[1:]
    with open(listing) as file:
        paths = file.read().splitlines()
    counts = collections.defaultdict(list)
    every = numbers or sorted(int(name.split(".")[0]) for name in os.listdir(ours) if name.endswith("." + level))
    for number in map(int, every):
        explain(number, paths, refs, ours, level, counts, bool(numbers))
    if not numbers:
        for kind, files in sorted(counts.items(), key=lambda item: -len(item[1]))[:40]:
            print(f"{len(files):5} {kind}  {files[:6]}")


main()
