"""Says what `python -v` reported about the modules below a folder: verbose_report.py STDERR_FILE FOLDER.

Prints four numbers: caches that matched, sources compiled by the reader, files written or created, writes refused.
"""

import re
import sys

with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
    lines = log.read().splitlines()
folder = re.escape(sys.argv[2].rstrip("/")) + "/"
# importlib/_bootstrap_external.py, SourceLoader.get_code and SourceFileLoader.set_data, 3.6 to 3.15.
patterns = (
    r"# ['\"]?%s.*\.pyc['\"]? matches " % folder,
    r"# code object from ['\"]?%s.*\.py['\"]?$" % folder,
    r"# (wrote|created) ['\"]?%s" % folder,
    r"# could not create ['\"]?%s" % folder,
)
print(*(sum(1 for line in lines if re.match(pattern, line)) for pattern in patterns))
