#!/usr/bin/env python3
"""Seeds for the fuzz targets, from the test suite of the interpreter that runs this: fuzz_seeds.py OUTDIR.

OUTDIR/compile gets small programs: top-level statements of CPython's tests of the language, and its small
test files whole. OUTDIR/marshal gets the code of some of them; the byte before the data names the version
as the target expects it.
"""
import ast
import hashlib
import marshal
import os
import sys
import warnings

LIMIT = 3000
PER_FILE = 12
NAMES = """grammar compile dis syntax exceptions patma type_params type_aliases fstring tstring generators coroutines
asyncgen with except_star unpack_ex positional_only_arg keywordonlyarg named_expressions scope super global future_stmt
string_literals unicode_identifiers source_encoding listcomps setcomps dictcomps genexps lambda decorators class
augassign peepholer sys_settrace extcall unpack call funcattrs raise opcodes int_literal tokenize eof annotationlib
type_annotations""".split()

warnings.simplefilter("ignore")
out = sys.argv[1]
tests = os.path.join(os.path.dirname(os.__file__), "test")
programs = set()
for folder, folders, files in os.walk(tests):
    folders.sort()
    for file in sorted(files):
        path = os.path.join(folder, file)
        if not file.endswith(".py") or not os.path.isfile(path):
            continue
        with open(path, "rb") as stream:
            source = stream.read()
        if len(source) <= LIMIT and int(hashlib.sha256(source).hexdigest(), 16) % 4 == 0:
            programs.add(source)
        if file[len("test_"):-len(".py")] not in NAMES:
            continue
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            continue
        pieces = []
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt) and not isinstance(node, (ast.Expr, ast.Import, ast.Assign)):
                text = ast.unparse(node).encode("utf-8", "surrogatepass")
                if 60 <= len(text) <= 1200:
                    pieces.append(text)
        pieces.sort(key=lambda text: hashlib.sha256(text).digest())
        programs.update(pieces[:PER_FILE])
for kind in ("compile", "marshal"):
    os.makedirs(os.path.join(out, kind), exist_ok=True)
codes = 0
for source in sorted(programs):
    name = hashlib.sha256(source).hexdigest()[:16]
    with open(os.path.join(out, "compile", name), "wb") as stream:
        stream.write(source)
    try:
        code = marshal.dumps(compile(source, "<hole>", "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        continue
    if len(code) <= 2000 and codes < 300:
        codes += 1
        with open(os.path.join(out, "marshal", name + f".{sys.version_info[1]}"), "wb") as stream:
            stream.write(bytes([sys.version_info[1] - 6]) + code)
print(f"{len(programs)} programs, {codes} code objects")
