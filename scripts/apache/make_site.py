"""Writes the site that Apache serves: make_site.py DIR NATIVE_PYTHON [REFERENCE…].

    DIR/cgi/index.cgi      imports a package of MODULES modules by absolute and relative imports
    DIR/cgi/verbose.cgi    the same, with -v
    DIR/cgi/edited.cgi     prints the value of a module that the checks change
    DIR/cgi/deployed.cgi   the same, reached through the link `current`
    DIR/cgi/broken.cgi     imports a module with a syntax error
    DIR/cgi/secret.cgi     imports a module that its own user cannot read
    DIR/cgi/on-3.X.cgi     the index, with a reference interpreter
    DIR/cgi/on-vm.cgi      the index, with the bundled VM, if $PYCFS_VM names a program that has it
    DIR/static/            files and links
"""

import os
import re
import sys

MODULES = 30
HEADER = 'import sys\nsys.stdout.write("Content-Type: text/plain\\r\\n\\r\\n")\n'
INDEX = HEADER + "import site_package\nprint(site_package.answer(), sys.version_info[0])\n"


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as target:
        target.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path, mode)


def main():
    root, python, *references = sys.argv[1:]
    cgi = os.path.join(root, "cgi")
    package = os.path.join(cgi, "site_package")
    # The package, one folder below, and a chain of relative imports: MODULES files in all.
    write(os.path.join(package, "__init__.py"), "from .part0 import total as _total\nfrom site_package.below import word\n\n\n"
          "def answer():\n    return '%s %d' % (word, _total())\n")
    write(os.path.join(package, "below", "__init__.py"), "from ..part0 import total\nfrom . import deep\nword = deep.word\n")
    write(os.path.join(package, "below", "deep.py"), "word = 'deep'\n")
    last = MODULES - 4
    for number in range(last + 1):
        following = "from .part%d import total as _next" % (number + 1) if number < last else "def _next():\n    return 0"
        write(os.path.join(package, "part%d.py" % number),
              "%s\n\n\nclass Part:\n    number = %d\n\n    def value(self):\n        return [each for each in range(self.number)]\n\n\n"
              "def total():\n    return len(Part().value()) + _next()\n" % (following, number))
    write(os.path.join(cgi, "edited.py"), "value = '00000000'\n")
    write(os.path.join(cgi, "broken.py"), "def f(:\n    pass\n")
    write(os.path.join(cgi, "secret.py"), "value = 'not for www-data'\n", 0o600)
    write(os.path.join(cgi, "release-0", "deployed.py"), "value = 'release0'\n")
    write(os.path.join(cgi, "release-1", "deployed.py"), "value = 'release1'\n")
    for each in ("release-0", "release-1"):
        os.utime(os.path.join(cgi, each, "deployed.py"), ns=(10**18, 10**18))
    os.symlink("release-0", os.path.join(cgi, "current"))

    def script(name, text, interpreter=python):
        write(os.path.join(cgi, name), "#!%s\n%s" % (interpreter, text), 0o755)

    script("index.cgi", INDEX)
    script("verbose.cgi", INDEX, python + " -v")
    script("edited.cgi", HEADER + "import edited\nprint(edited.value)\n")
    script("deployed.cgi", HEADER + "import os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'current'))\n"
           "import deployed\nprint(deployed.value)\n")
    script("broken.cgi", "import broken\n" + HEADER)
    script("secret.cgi", "import secret\n" + HEADER)
    for each in references:
        script("on-%s.cgi" % re.search(r"3\.\d+$", each).group(), INDEX, each)
    if os.environ.get("PYCFS_VM"):
        write(os.path.join(cgi, "on-vm.cgi"), "#!/usr/bin/env -S %s run -X pycfs_counters\n%s" % (os.environ["PYCFS_VM"], INDEX), 0o755)
    static = os.path.join(root, "static")
    write(os.path.join(static, "large.bin"), bytes(number * 7 % 251 for number in range(300)) * 10000)
    write(os.path.join(static, "small.txt"), "version 0\n")
    write(os.path.join(static, "hidden.txt"), "not for www-data\n", 0o600)
    os.symlink("small.txt", os.path.join(static, "own-link.txt"))
    os.symlink("small.txt", os.path.join(static, "foreign-link.txt"))
    print(MODULES)


main()
