"""Tells all that a program can see of its imports: imports.py NEW_DIR [importlib].

With the second word a finder that finds nothing is added to sys.meta_path, so that the VM leaves every import to importlib.
"""

import importlib
import os
import sys
import threading
import traceback

FILES = {
    "plain.py": "value = sorted(k for k in globals() if k.startswith('__'))\n",
    "package/__init__.py": "from . import first\nfrom .second import value\nimport package.inner.leaf\n",
    "package/first.py": "import package\nseen = sorted(package.__spec__._uninitialized_submodules)\n",
    "package/second.py": "value = __package__, __name__, __spec__.parent, __spec__._initializing\n",
    "package/inner/__init__.py": "",
    "package/inner/leaf.py": "from ..first import seen\nfrom .. import second\n",
    "spaces/inside/module.py": "value = 1\n",
    "wrong.py": "def f():\n    raise ValueError('from a module')\nf()\n",
    "wrong_package/__init__.py": "import wrong_package.below\n",
    "wrong_package/below.py": "import missing_module\n",
    "syntax.py": "x = (\n",
    "replaced.py": "import sys\nsys.modules[__name__] = 'something else'\n",
    "removed.py": "import sys\ndel sys.modules[__name__]\n",
    "circle_a.py": "import circle_b\nname = 'a'\n",
    "circle_b.py": "from circle_a import name\n",
    "late.py": "import threading, time\ntime.sleep(0.2)\nvalue = threading.current_thread().name\n",
    "sealed/__init__.py": "import sys\nclass Sealed(type(sys)):\n    __slots__ = ()\n    def __setattr__(self, name, value):\n"
                          "        raise AttributeError(name)\nsys.modules[__name__].__class__ = Sealed\n",
    "sealed/below.py": "",
    "both.py": "kind = 'module'\n",
    "both/__init__.py": "kind = 'package'\n",
    "file_without_suffix": "",
}


class Nothing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None


def tell(name):
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    print(name, type(module).__name__, list(getattr(module, "__dict__", {})), sep="\n  ")
    for attribute in "__name__", "__package__", "__file__", "__cached__", "__path__":
        print("  %s = %r" % (attribute, getattr(module, attribute, "none")))
    if spec is not None:
        print("  spec:", spec.name, spec.origin, spec.cached, spec.parent, spec.has_location, spec.submodule_search_locations,
              spec.loader_state, spec._initializing, spec._uninitialized_submodules, sorted(vars(spec)))
        print("  loader:", type(spec.loader).__name__, vars(spec.loader) if spec.loader is not None else None,
              module.__loader__ is spec.loader)


def attempt(name):
    before = set(sys.modules)
    try:
        result = __import__(name, fromlist=["x"])
        print("import", name, "->", type(result).__name__)
    except BaseException as error:
        print("import", name, "->", type(error).__name__, str(error).split(" (")[0])
        for frame in traceback.extract_tb(error.__traceback__):
            # CPython has taken these out here, the VM does so when it prints them.
            if not frame.filename.startswith("<frozen importlib"):
                print("   ", os.path.basename(frame.filename), frame.lineno, frame.name)
    print("  new:", [name for name in sys.modules if name not in before])


def main():
    root = sys.argv[1]
    if sys.argv[2:] == ["importlib"]:
        sys.meta_path.append(Nothing)
    for name, text in FILES.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
    sys.path.insert(0, root)
    sys.path.append(os.path.join(root, "not there"))
    names = ("plain", "package", "package.inner.leaf", "package.missing", "plain.below", "spaces.inside.module", "wrong",
             "wrong_package", "syntax", "replaced", "removed", "circle_a", "sealed.below", "both", "file_without_suffix", "nowhere")
    for name in names:
        attempt(name)
    for name in names:
        if name in sys.modules:
            tell(name)
    print("order:", [name for name in sys.modules if name.partition(".")[0] in {name.partition(".")[0] for name in names}])
    # Whoever imports while another thread does waits for it.
    found = []
    threads = [threading.Thread(target=lambda: found.append(hasattr(__import__("late"), "value"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("threads:", found)
    # A directory that was listed before is listed again once it has changed.
    os.utime(root, ns=(1, 1))
    attempt("made_later")
    with open(os.path.join(root, "made_later.py"), "w"):
        pass
    attempt("made_later")
    print("reload:", importlib.reload(sys.modules["both"]).kind)


main()
