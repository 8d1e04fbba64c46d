"""Uses much of the bundled standard library; every line is one fact. Run beside its package `tour_package`."""

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import zlib

import tour_package
from tour_package.below import deep


def say(name, value):
    print("%s: %s" % (name, value))


say("version", "%d.%d %s" % (*sys.version_info[:2], sys.implementation.cache_tag))
say("argv", sys.argv[1:])
say("package", tour_package.answer())
say("relative", deep.way_up())
say("json", json.dumps(json.loads('{"b": [1, 2.5, null], "a": "\\u00e9"}'), sort_keys=True))
say("re", re.sub(r"(?P<word>\w+) (?P<other>\w+)", r"\g<other> \g<word>", "one two"))
database = sqlite3.connect(":memory:")
database.execute("create table t (n integer, s text)")
database.executemany("insert into t values (?, ?)", [(n, str(n) * n) for n in range(5)])
say("sqlite3", database.execute("select sum(n), max(length(s)) from t").fetchone())
say("zlib", zlib.decompress(zlib.compress(b"abc" * 1000)) == b"abc" * 1000)
child = subprocess.run([sys.executable, "-c", "import sys; print(sys.stdin.read().upper())"], input="child",
                       capture_output=True, text=True)
say("subprocess", (child.stdout.strip(), child.returncode, child.stderr))
lines = []
threads = [threading.Thread(target=lambda n=n: lines.append(n * n)) for n in range(20)]
for each in threads:
    each.start()
for each in threads:
    each.join()
say("threads", sum(lines))


async def twice(number):
    await asyncio.sleep(0.01)
    return number * 2


async def gathered():
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(twice(n)) for n in range(10)]
    return sum(task.result() for task in tasks)


say("asyncio", asyncio.run(gathered()))
outside = sorted({os.path.dirname(path) for path in (getattr(m, "__file__", None) for m in list(sys.modules.values()))
                  if path and not path.startswith((sys.prefix, os.path.dirname(os.path.abspath(__file__))))})
say("modules from elsewhere", outside)
say("entries of sys.path from elsewhere", [path for path in sys.path if path != os.path.dirname(os.path.realpath(__file__))])
