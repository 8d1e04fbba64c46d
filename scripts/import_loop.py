"""Imports the modules of a tree again and again, and counts what went wrong.

    import_loop.py DIR COUNT IMPORTS PROGRESS     COUNT modules as modules.py makes them; at least IMPORTS, and on until
                                                  the file PROGRESS.stop is there; PROGRESS is a file that always tells
                                                  how many imports are done
Prints: imports, right ones, errors, how many this reader compiled itself, the longest import in milliseconds; then a line
for each kind of error. Runs on CPython 3.6 and later.
"""

import importlib
import os
import sys
import time

import _frozen_importlib_external as external

root, count, imports, progress = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
compiled = []
original = external.SourceLoader.source_to_code


def source_to_code(self, *arguments, **options):
    compiled.append(1)
    return original(self, *arguments, **options)


external.SourceLoader.source_to_code = source_to_code
sys.path.insert(0, root)
names = ["package%03d.module%05d" % (number // 100, number) for number in range(count)]
packages = sorted({name.partition(".")[0] for name in names})
right = errors = 0
longest = 0.0
kinds = {}
number = 0
while number < imports or not os.path.exists(progress + ".stop"):
    name = names[number % count]
    start = time.time()
    try:
        if importlib.import_module(name).value == "%d of generation 0" % (number % count):
            right += 1
        else:
            kinds["wrong value"] = kinds.get("wrong value", 0) + 1
    except Exception as error:
        errors += 1
        kind = "%s: %s" % (type(error).__name__, getattr(error, "strerror", None) or error)
        kinds[kind] = kinds.get(kind, 0) + 1
    longest = max(longest, time.time() - start)
    sys.modules.pop(name, None)
    if number % 100 == 0:
        # The package too, and what the finders remember of its directory.
        for package in packages:
            sys.modules.pop(package, None)
        sys.path_importer_cache.clear()
        with open(progress + ".new", "w") as target:
            target.write(str(number))
        os.rename(progress + ".new", progress)
    number += 1
print(number, right, errors, len(compiled), int(longest * 1000))
for kind, times in sorted(kinds.items()):
    print("%6d  %s" % (times, kind))
