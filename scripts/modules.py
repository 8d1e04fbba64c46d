"""A tree of many small modules, and a reader that imports them.

    modules.py make DIR COUNT [GENERATION]     COUNT modules, 100 a package, each with a value that names its generation
    modules.py import DIR COUNT [GENERATION]   imports them in this process and prints: right ones, wrong ones,
                                               how many this reader compiled itself, seconds
Runs on CPython 3.6 and later.
"""

import importlib
import os
import sys
import time

BODY = """
import os.path


class Record:
    '''One of many.'''

    def __init__(self, name, values=()):
        self.name = name
        self.values = list(values)

    def total(self, weight=1.5):
        result = 0
        for position, value in enumerate(self.values):
            if value > position:
                result += value * weight
            else:
                result -= position
        return result

    def describe(self):
        return "%s: %s" % (self.name, ", ".join(str(each) for each in self.values))


def load(path):
    try:
        with open(path) as source:
            return [Record(line.strip(), map(len, line.split())) for line in source]
    except OSError as error:
        raise ValueError("cannot load %r" % path) from error
"""


def names(count):
    for number in range(count):
        yield number, "package%03d.module%05d" % (number // 100, number)


def make(root, count, generation):
    for number, name in names(count):
        package, module = name.split(".")
        folder = os.path.join(root, package)
        if number % 100 == 0:
            os.makedirs(folder, exist_ok=True)
            open(os.path.join(folder, "__init__.py"), "w").close()
        with open(os.path.join(folder, module + ".py"), "w") as target:
            target.write('"""Module %d."""\nvalue = "%d of generation %s"\n%s' % (number, number, generation, BODY))


def import_all(root, count, generation):
    import _frozen_importlib_external as external

    compiled = []
    original = external.SourceLoader.source_to_code

    def source_to_code(self, *arguments, **options):
        compiled.append(1)
        return original(self, *arguments, **options)

    external.SourceLoader.source_to_code = source_to_code
    sys.path.insert(0, root)
    right = wrong = 0
    start = time.time()
    for number, name in names(count):
        try:
            value = importlib.import_module(name).value
        except Exception as error:
            if not wrong:
                print("%s: %r" % (name, error), file=sys.stderr)
            wrong += 1
            continue
        if value == "%d of generation %s" % (number, generation):
            right += 1
        else:
            wrong += 1
    print(right, wrong, len(compiled), "%.1f" % (time.time() - start))


command, root, count = sys.argv[1:4]
generation = sys.argv[4] if len(sys.argv) > 4 else "0"
if command == "make":
    make(root, int(count), generation)
else:
    import_all(root, int(count), generation)
