"""Damages every regular file below a folder, as a bad disk would: damage.py DIR.

Three bytes of each file are inverted; every tenth file is cut in half, every tenth emptied. Always the same way.
"""

import os
import sys

count = 0
for folder, _, files in sorted(os.walk(sys.argv[1])):
    for name in sorted(files):
        path = os.path.join(folder, name)
        size = os.path.getsize(path)
        if not size:
            continue
        count += 1
        with open(path, "r+b") as target:
            if count % 10 == 3:
                target.truncate(size // 2)
            elif count % 10 == 7:
                target.truncate(0)
            else:
                for place in (size // 7, size // 2, size - 1):
                    target.seek(place)
                    byte = target.read(1)
                    target.seek(place)
                    target.write(bytes([byte[0] ^ 0xFF]))
print("damaged %d files" % count)
sys.exit(count == 0)
