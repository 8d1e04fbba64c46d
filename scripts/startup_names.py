#!/usr/bin/env python3
"""Prints the strings that an interpreter has interned when `-m py_compile` begins to compile.

usage: PYTHON3.13 scripts/startup_names.py words LIBDIR > src/compiler/native/profile/startup_313.txt
       PYTHON3.13 scripts/startup_names.py classes LIBDIR > .../startup_classes_313.txt

The candidates are the words of the standard library's sources in LIBDIR, or the qualified names of
its nested classes. Whether a set of strings is written once or several times depends on the words
(gh-129724); whether a qualified name is one object with the constant in the class's body depends on
the classes.
"""
import os
import subprocess
import sys

# Words: asked when `-m py_compile` begins to compile its file; its argument parser has loaded `locale` by then.
WORDS = """
import runpy, sys
w_ = open(sys.argv[1]).read().split()
def h_(e_, a_):
    if e_ == "compile" and str(a_[1]) == sys.argv[1]:
        print("\\n".join([x for x in w_ if sys.intern(x) is not x]))
        sys.stdout.flush()
        import os
        os._exit(0)
sys.argv[1] = sys.argv[2]
sys.addaudithook(h_)
runpy.run_module("py_compile", run_name="__main__")
"""
# Classes: an import compiles a module before it is loaded, so only what every process loads counts.
CLASSES = """
import sys
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


def nested_classes(folder):
    def walk(code, found):
        if "__qualname__" in code.co_names and "." in code.co_qualname:
            found.add(code.co_qualname)
        for item in code.co_consts:
            if hasattr(item, "co_code"):
                walk(item, found)

    import warnings

    warnings.simplefilter("ignore")
    found = set()
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(base, name), "rb") as file:
                    try:
                        walk(compile(file.read(), name, "exec"), found)
                    except Exception:
                        pass
    return sorted(found)


def main():
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        collect, ask = {"words": (words, WORDS), "classes": (nested_classes, CLASSES)}[sys.argv[1]]
        found = collect(sys.argv[2])
        file.write("\n".join(found))
        file.flush()
        answer = subprocess.run(
            [sys.executable, "-I", "-c", ask, file.name, os.devnull], check=True, capture_output=True, text=True
        )
    sys.stdout.write(answer.stdout)


main()
