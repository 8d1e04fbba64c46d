"""Prints what compile(), exec(), ast.parse() and importlib say of wrong programs. Run by CPython 3.14 and by the VM: the
same words, places and lines are expected of both."""

import ast
import importlib.util
import os
import sys
import tempfile

WRONG = [
    "x = 1\n  y = 2\n", "if x:\npass\n", "if x:\n\tpass\n        pass\n", "def f(:\n    pass\n", "x = (1,\n", "x = [1, 2\ny = 3\n",
    "print 'a'\n", "x = 1 +\n", "f(a for a in b, c)\n", "return 1\n", "def f():\n    break\n", "class C:\n    return 1\n",
    "x = 'abc\n", "x = '''abc\n", "x = f'{a'\n", "x = f'{}'\n", "x = 0777\n", "x = 1_\n", "x = 12abc\n", "x = 5a = 3\n", "a b\n",
    "for x in y\n    pass\n", "while True print(1)\n", "if x = 1:\n    pass\n", "(a, b) += 1\n", "f() = 1\n", "None = 1\n", "del f()\n",
    "def f(a, a):\n    pass\n", "def f(a=1, b):\n    pass\n", "def f(**k, a):\n    pass\n", "f(**k, *a)\n", "f(a=1, 2)\n", "f(a=1, a=2)\n",
    "x = {1: 2, 3}\n", "x = {1:, 2: 3}\n", "import a.b as\n", "from a import (b\n", "from . import *, a\n", "from __future__ import no\n",
    "try:\n    pass\n", "try:\n    pass\nexcept:\n    pass\nexcept A:\n    pass\n", "async def f():\n    yield from x\n", "await x\n",
    "def f():\n    x = 1\n    global x\n", "def f():\n    nonlocal x\n", "yield 1\n", "[x async for x in y]\n", "lambda: (yield)\n)\n",
    "match x:\n    case a:\n        pass\n    case b:\n        pass\n", "match x:\n    case {**a, 'b': 1}:\n        pass\n", "x: int: str\n",
    "class A\n    pass\n", "else:\n    pass\n", "x = )\n", "x = (1]\n", "é = 'ü' ü\n", "x = 'é' 1\n", "@\ndef f(): pass\n", "with a as 1: pass\n",
    "a := 1\n", "x = *a\n", "*a = 1\n", "a, *b, *c = d\n", "def f():\n", "x = \\ 1\n", "x = 1 \\", "x = $\n", "x = 1 <> 2\n", "\tx = 1\n",
    "def f(*): pass\n", "def f(x, /, y, /): pass\n", "x = not\n", "raise a from\n", "assert (a, 'b'), c :\n", "print(1 2)\n", "t'{a}' 'b'\n",
]


def told(what, run):
    try:
        run()
    except SyntaxError as error:
        print(what, [type(error).__name__, error.msg, error.lineno, error.offset, error.end_lineno, error.end_offset, error.text])
    except ValueError as error:
        print(what, [type(error).__name__, str(error)])
    else:
        print(what, "accepted")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for number, source in enumerate(WRONG):
            print(number, repr(source))
            told("  compile", lambda: compile(source, "<text>", "exec"))
            told("  bytes  ", lambda: compile(source.encode(), "<text>", "exec"))
            told("  ast    ", lambda: ast.parse(source))
            told("  exec   ", lambda: exec(source, {}))
            path = os.path.join(folder, "wrong%d.py" % number)
            with open(path, "w", encoding="utf-8") as file:
                file.write(source)
            spec = importlib.util.spec_from_file_location("wrong%d" % number, path)
            told("  import ", lambda: spec.loader.exec_module(importlib.util.module_from_spec(spec)))


sys.stdout.reconfigure(encoding="utf-8")
main()
