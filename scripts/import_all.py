"""Imports the modules of the application tree and prints how many came from it.

    import_all.py TREE                 every module that can be imported; which ones fail is no error
    import_all.py TREE --write FILE    the same, and the names of the modules that did go to FILE
    import_all.py TREE --read FILE     exactly the modules named in FILE; a failure is an error

The last line is "imported N modules, M failed". Runs on CPython 3.6 and later.
"""

import importlib
import os
import sys
import warnings

# Modules that run a program, open a display or need a package that is not in the tree when imported.
SKIPPED_FOLDERS = {"tests", "test", "testing", "benchmarks", "__pycache__", "gis", "bin", "_antlr", "plotting"}
SKIPPED_NAMES = {"__main__", "this", "conftest", "runtests", "setup"}
PACKAGES = ("asgiref", "django", "mpmath", "sqlalchemy", "sqlparse", "sympy", "typing_extensions")


def modules(tree):
    """The dotted names of the modules below `tree`, in a fixed order."""
    for top in PACKAGES:
        if os.path.isfile(os.path.join(tree, top + ".py")):
            yield top
        for folder, folders, files in os.walk(os.path.join(tree, top)):
            folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and name.isidentifier())
            package = os.path.relpath(folder, tree).replace(os.sep, ".")
            for name in sorted(files):
                stem, extension = os.path.splitext(name)
                if extension != ".py" or stem in SKIPPED_NAMES or not stem.isidentifier():
                    continue
                yield package if stem == "__init__" else package + "." + stem


def configure():
    """Models can be imported only after the settings are there."""
    import django
    from django.conf import settings

    apps = ["admin", "auth", "contenttypes", "sessions", "messages", "staticfiles", "sites", "flatpages", "redirects"]
    settings.configure(INSTALLED_APPS=["django.contrib." + app for app in apps], SECRET_KEY="x",
                       DEFAULT_AUTO_FIELD="django.db.models.AutoField")
    django.setup()


def main():
    tree = os.path.realpath(sys.argv[1])
    mode, path = (sys.argv[2], sys.argv[3]) if len(sys.argv) == 4 else ("", "")
    # Some of the packages reset the filters.
    warnings.showwarning = lambda *arguments, **options: None
    sys.path.insert(0, tree)
    configure()
    if mode == "--read":
        with open(path) as listing:
            names = listing.read().split()
    else:
        names = modules(tree)
    imported, failed = [], []
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            failed.append("%s: %s: %s" % (name, type(error).__name__, error))
        else:
            imported.append(name)
    if mode == "--write":
        with open(path, "w") as listing:
            listing.write("\n".join(imported) + "\n")
    if mode == "--read":
        for line in failed:
            print(line, file=sys.stderr)
    count = sum(1 for module in list(sys.modules.values())
                if (getattr(module, "__file__", None) or "").startswith(tree + os.sep))
    print("imported %d modules, %d failed" % (count, len(failed)))
    if os.environ.get("PYCFS_IMPORT_FAILURES"):
        print("\n".join(failed))
    return 1 if mode == "--read" and failed else 0


if __name__ == "__main__":
    sys.exit(main())
