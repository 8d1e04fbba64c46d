"""Compares a mirror with its source: every name, attribute, link target, extended attribute and content.

    compare_tree.py SOURCE MOUNT      prints how many entries are the same, then each difference; status 1 if there is one
What pycfs puts in (__pycache__) and masks is left out. Runs on CPython 3.6 and later, as root.
"""

import os
import stat
import sys


def facts(path):
    found = os.lstat(path)
    result = {
        name: getattr(found, "st_" + name)
        for name in ("mode", "uid", "gid", "size", "nlink", "mtime_ns", "ctime_ns", "blocks", "rdev")
    }
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFLNK:
        result["target"] = os.readlink(path)
    elif kind == stat.S_IFREG:
        with open(path, "rb") as file:
            result["content"] = file.read()
    elif kind == stat.S_IFDIR:
        # What is put in counts as a link or not, as each filesystem likes; sizes of directories are the filesystem's.
        result["names"] = sorted(name for name in os.listdir(path) if name != "__pycache__")
    if kind != stat.S_IFLNK:
        try:
            result["xattrs"] = {name: os.getxattr(path, name) for name in sorted(os.listxattr(path))}
        except OSError as error:
            result["xattrs"] = error.errno
    return result


source, mount = sys.argv[1:]
same = 0
differences = []
pending = [""]
while pending:
    path = pending.pop()
    ours, theirs = facts(os.path.join(mount, path)), facts(os.path.join(source, path))
    if ours == theirs:
        same += 1
    else:
        for name in theirs:
            if ours.get(name) != theirs[name]:
                differences.append("%s: %s: %r is %r" % (path or ".", name, theirs[name], ours.get(name)))
    pending.extend(os.path.join(path, name) for name in theirs.get("names", ()))
    pending = [each for each in pending if each]
print("%d the same, %d differences" % (same, len(differences)))
for each in differences[:20]:
    print(each[:300])
sys.exit(bool(differences) or not same)
