"""Writes docs/licences.md: every crate that the program is built from, by licence, without and with the VM.

    licences.py >docs/licences.md      (run in the repository; needs cargo)
    licences.py --check                (does the document say what the lock file says?)
"""

import collections
import json
import os
import re
import subprocess
import sys

HEAD = """# Licences of what is built in

Written by `scripts/licences.py` from the lock file (`--check` compares). pycfs itself is MIT or Apache-2.0.

**A binary with the VM** (`cargo vm-install`) holds, beside the crates of every build:

- RustPython 0.6.0, MIT;
- CPython 3.14's standard library as RustPython carries it, compiled: Python Software Foundation License 2 (its text is
  `Lib/PSF-LICENSE` in the crate `rustpython-pylib`);
- SQLite (in `libsqlite3-sys`): public domain;
- **malachite**, RustPython's integers: **LGPL-3.0 only**. Who hands such a binary to others has to let them build it again
  with another malachite: this repository and its lock file do that. A build without the VM has nothing of it.

The test suite's references and the applications that `scripts/` fetches are not part of any build.
"""

# Crates that have the licence in a file; their manifests name the file only.
UNSTATED = {
    "mt19937": "BSD-3-Clause",
    "rustpython-doc": "PSF-2.0",
    "rustpython-pylib": "PSF-2.0",
    "syn-ext": "BSD-2-Clause",
}


def crates(features):
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command + features, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    needs = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    found, rest = set(), [metadata["resolve"]["root"]]
    while rest:
        each = rest.pop()
        if each not in found:
            found.add(each)
            rest.extend(needs[each])
    return {(packages[each]["name"], packages[each]["version"]): packages[each]["license"] for each in found
            if packages[each]["source"]}


def normal(name, licence):
    if licence is None:
        return UNSTATED.get(name, "not stated")
    parts = re.split(r"\s+OR\s+|/", licence)
    return licence if len(parts) == 1 or "(" in licence else " OR ".join(sorted(parts))


def table(found):
    by_licence = collections.defaultdict(set)
    for (name, _), licence in found.items():
        by_licence[normal(name, licence)].add(name)
    lines = ["| licence | crates |", "|---|---|"]
    for licence, names in sorted(by_licence.items(), key=lambda item: (-len(item[1]), item[0])):
        lines.append("| %s | %s |" % (licence, ", ".join(sorted(names))))
    return "\n".join(lines)


def main():
    plain, with_vm = crates([]), crates(["--features", "vm"])
    added = {key: licence for key, licence in with_vm.items() if key not in plain}
    text = "%s\n## Every build: %d crates\n\n%s\n\n## Added by the VM: %d crates\n\n%s\n" % (
        HEAD, len(plain), table(plain), len(added), table(added))
    if sys.argv[1:] == ["--check"]:
        with open(os.path.join(os.path.dirname(__file__), "..", "docs", "licences.md")) as file:
            same = file.read() == text
        print("docs/licences.md is %s" % ("right" if same else "outdated: run scripts/licences.py >docs/licences.md"))
        sys.exit(0 if same else 1)
    print(text, end="")


main()
