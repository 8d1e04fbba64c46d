"""The Python files of all wheels in a folder, each content once: unpack_wheels.py WHEELS OUTDIR. Prints their paths."""

import hashlib
import os
import sys
import zipfile

wheels, out = sys.argv[1:]
seen = set()
for wheel in sorted(os.listdir(wheels)):
    if not wheel.endswith(".whl"):
        continue
    package = "-".join(wheel.split("-")[:2])
    with zipfile.ZipFile(os.path.join(wheels, wheel)) as archive:
        for name in archive.namelist():
            if not name.endswith((".py", ".pyw")) or name.startswith("/") or ".." in name.split("/"):
                continue
            data = archive.read(name)
            digest = hashlib.sha256(data).digest()
            if not data or digest in seen:
                continue
            seen.add(digest)
            path = os.path.join(out, package, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            print(path)
