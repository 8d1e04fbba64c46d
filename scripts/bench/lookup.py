"""What scripts/bench/lookup.sh measures: the first look at each module's pyc in a mount.

usage: lookup.py MOUNT TAG     for each module of 10 to 20 KB in the folder MOUNT

Prints the count; then median and 90th percentile, in microseconds, of the first look-up, of the same with reading the
whole pyc, and of opening and reading it again.
"""
import os
import sys
import time

mount, tag = sys.argv[1:3]
first, read, again = [], [], []
for name in sorted(os.listdir(mount)):
    source = os.path.join(mount, name)
    if not name.endswith(".py") or not 10_000 <= os.stat(source).st_size <= 20_000:
        continue
    # The kernel knows the folder and the source, as it does when an importer asks for the pyc.
    pyc = os.path.join(mount, "__pycache__", f"{name[:-3]}.{tag}.pyc")
    start = time.perf_counter()
    try:
        os.stat(pyc)
    except FileNotFoundError:
        # A module that no compiler accepts.
        continue
    looked = time.perf_counter()
    with open(pyc, "rb", buffering=0) as file:
        file.readall()
    done = time.perf_counter()
    first.append(looked - start)
    read.append(done - start)
    start = time.perf_counter()
    with open(pyc, "rb", buffering=0) as file:
        file.readall()
    again.append(time.perf_counter() - start)
    # An importer runs a module before it asks for the next.
    time.sleep(0.002)


def at(times, part):
    return round(sorted(times)[(len(times) - 1) * part // 100] * 1e6)


print(len(first), *(at(times, part) for times in (first, read, again) for part in (50, 90)))
