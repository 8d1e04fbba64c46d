"""Damages a pyc in every way that one byte can be, and reads each: damage.py SOURCE STEP. Run by the VM.

Nothing of it is executed. What counts is that the VM is still there at the end: prints how many were refused.
"""

import importlib.machinery
import os
import py_compile
import random
import sys
import tempfile


def main():
    source, step = sys.argv[1], int(sys.argv[2])
    refused = read = 0
    random.seed(14)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "damaged.pyc")
        whole = sys.argv[3] if len(sys.argv) > 3 else py_compile.compile(source, cfile=os.path.join(folder, "whole.pyc"))
        with open(whole, "rb") as file:
            pyc = file.read()
        damaged = [pyc[:length] for length in range(16, len(pyc), step * 4)]
        for at in range(16, len(pyc), step):
            for byte in (pyc[at] ^ 1, pyc[at] ^ 0x80, 0xFF, random.randrange(256)):
                damaged.append(pyc[:at] + bytes([byte]) + pyc[at + 1:])
        for each in damaged:
            with open(path, "wb") as file:
                file.write(each)
            try:
                importlib.machinery.SourcelessFileLoader("damaged", path).get_code("damaged")
                read += 1
            except (EOFError, ValueError, TypeError, ImportError):
                refused += 1
    print("damaged", refused + read > 0 and refused > read // 10)


main()
