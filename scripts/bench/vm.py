"""The measurements behind vm.sh: vm.py PYCFS CPYTHON APP STORE ROUNDS. All ways run in turn in each round."""

import os
import re
import resource
import statistics
import subprocess
import sys
import time

FIB = "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(27)"
DICT = "d = {}\nfor n in range(300000):\n    k = 'k%d' % (n % 5000)\n    d[k] = d.get(k, 0) + n\nassert len(d) == 5000"
JSON = ("import json\nvalue = [{'name': 'n%d' % n, 'list': list(range(20)), 'x': n / 7} for n in range(1500)]\n"
        "for _ in range(4):\n    assert json.loads(json.dumps(value)) == value")
RE = ("import re\ntext = ' '.join('user%d@example%d.org, %d;' % (n, n, n) for n in range(6000))\n"
      "for _ in range(4):\n    assert len(re.findall(r'(\\w+)@(\\w+)\\.org, (\\d+)', text)) == 6000")
RSS = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"


def timed(command, environment):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    pycfs, cpython, app, store, rounds = *sys.argv[1:5], int(sys.argv[5])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    vm = [pycfs, "run", "--store", store]
    script = os.path.join(app, "app.py")
    ways = {
        "-c pass": ([cpython, "-c", "pass"], vm + ["-c", "pass"]),
        "application, warm": ([cpython, script], vm + [script]),
        "application, without caches": ([cpython, "-B", "-X", "pycache_prefix=/nonexistent", script], [pycfs, "run", "--no-store", script]),
        "the same, RustPython's compiler": (None, [pycfs, "run", "--no-store", "-X", "pycfs_own", script]),
        "fib(27)": ([cpython, "-c", FIB], vm + ["-c", FIB]),
        "dict and str": ([cpython, "-c", DICT], vm + ["-c", DICT]),
        "json": ([cpython, "-c", JSON], vm + ["-c", JSON]),
        "re": ([cpython, "-c", RE], vm + ["-c", RE]),
    }
    cold = {}
    for label, command in (("CPython", [cpython, script]), ("VM", vm + [script])):
        cold[label] = timed(command, environment)
    results = {name: ([], []) for name in ways}
    for _ in range(rounds):
        for name, commands in ways.items():
            for place, command in zip(results[name], commands):
                if command:
                    place.append(timed(command, environment))
    seconds = {name: [[statistics.median(one[kind] for one in place) if place else float("nan") for kind in (0, 1)] for place in both]
               for name, both in results.items()}
    print("%d rounds, milliseconds (median): wall, processor" % rounds)
    print("%-32s %16s %16s %8s" % ("", "CPython", "VM", "ratio"))
    for name, ((wall, processor), (vm_wall, vm_processor)) in seconds.items():
        print("%-32s %8.0f %7.0f %8.0f %7.0f %8.2f" % (
            name, wall * 1e3, processor * 1e3, vm_wall * 1e3, vm_processor * 1e3, vm_processor / processor))
    print("%-32s %8.0f %7.0f %8.0f %7.0f" % ("application, cold, once", *(value * 1e3 for value in cold["CPython"] + cold["VM"])))
    rss = [subprocess.run(command + ["-c", RSS], stdout=subprocess.PIPE, env=environment).stdout.decode().strip()
           for command in ([cpython], vm)]
    print("resident, MB: CPython %s, VM %s" % tuple(rss))
    warm = seconds["application, warm"]
    own = seconds["the same, RustPython's compiler"][1][1]
    print("warm start-up of the application: %.2f of CPython's; as fast as the VM without caches %.2f times, with RustPython's compiler %.2f" % (
        warm[1][1] / warm[0][1], seconds["application, without caches"][1][1] / warm[1][1], own / warm[1][1]))


main()
