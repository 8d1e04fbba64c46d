"""What scripts/bench/native.sh measures in the reference interpreter.

usage: native.py speed < LIST     compile() of all files, read beforehand, in one process: bytes, seconds, count
"""
import sys
import time
import warnings

warnings.simplefilter("ignore")
sources = []
for path in sys.stdin.read().splitlines():
    with open(path, "rb") as file:
        sources.append((file.read(), path))
made = 0
start = time.perf_counter()
for source, path in sources:
    try:
        compile(source, path, "exec", dont_inherit=True, optimize=0)
        made += 1
    except (SyntaxError, ValueError):
        pass
spent = time.perf_counter() - start
print(sum(len(source) for source, _ in sources), f"{spent:.4f}", made)
