"""Writes large Python sources, each of about the given number of MB.

usage: large_sources.py FOLDER MEGABYTES LIBRARY

LIBRARY is a standard library: its modules in a row are the ordinary code.
"""
import os
import sys

folder, size, library = sys.argv[1], int(float(sys.argv[2]) * 1e6), sys.argv[3]


def write(name, parts, head="", tail=""):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        written = file.write(head)
        for part in parts:
            written += file.write(part)
            if written >= size:
                break
        file.write(tail)


def numbers():
    count = 0
    while True:
        yield count
        count += 1


def modules():
    """Modules that may stand in one file: no `from __future__`, no tabs, plain UTF-8."""
    found = True
    while found:
        found = False
        for place, folders, files in os.walk(library):
            folders[:] = sorted(f for f in folders if f not in ("test", "tests", "site-packages", "lib2to3"))
            for name in sorted(files):
                if not name.endswith(".py"):
                    continue
                with open(os.path.join(place, name), "rb") as file:
                    try:
                        text = file.read().decode("utf-8")
                    except UnicodeDecodeError:
                        continue
                if "__future__" in text or "coding" in text[:200] or "\t" in text or "\r" in text:
                    continue
                found = True
                yield text.removeprefix("\ufeff") + "\n"


write("ordinary.py", modules())
write("list_of_integers.py", (f"{n * 7919 % 1000003}, " for n in numbers()), "x = [\n", "]\n")
write("list_of_strings.py", (f"'item number {n}',\n" for n in numbers()), "x = [\n", "]\n")
write("dict.py", (f"'key{n}': {n},\n" for n in numbers()), "x = {\n", "}\n")
write("dict_of_lists.py", (f"'key{n}': [{n}, {n % 7}, 'v{n % 1000}', None],\n" for n in numbers()), "x = {\n", "}\n")
write("string.py", ("spam and eggs " * 5 + "\n" for _ in numbers()), 'x = """\n', '"""\n')
write("bytes.py", ("b'" + "\\x00\\xff\\x7f" * 6 + "'\n" for _ in numbers()), "x = (\n", ")\n")
write("small_functions.py", (f"def f{n}(a, b=1):\n    return a + b * {n}\n\n" for n in numbers()))
write("classes.py", (f"class C{n}:\n    def m(self, x):\n        self.x = x\n        return [y for y in x if y]\n\n" for n in numbers()))
write("assignments.py", (f"x{n % 5000} = y.z[{n}] + f(x, k={n})\n" for n in numbers()))
write("one_function.py", (f"    x{n % 5000} = y.z[{n}] + f(x, k={n})\n" for n in numbers()), "def f(x, y):\n")
write("comments.py", (f"# comment {n}\n" for n in numbers()), "x = 1\n")
