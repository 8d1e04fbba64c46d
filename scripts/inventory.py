"""The inventory of a tree, one line for each entry: what a read-only user of the tree must leave as it was.

    inventory.py TREE > FILE

Kind, mode, owner, links, size, mtime and ctime in nanoseconds, symlink target or SHA-256 of the content, path.
Access times are left out: reading may change them.
"""

import hashlib
import os
import stat
import sys


def describe(path):
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as source:
            content = hashlib.sha256(source.read()).hexdigest()
    else:
        content = b"-"
    return "%o %d:%d %d %d %d %d %r %r" % (status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_size,
                                           status.st_mtime_ns, status.st_ctime_ns, content, path)


tree = os.fsencode(sys.argv[1])
print(describe(tree))
for folder, folders, files in os.walk(tree):
    folders.sort()
    for name in sorted(folders + files):
        print(describe(os.path.join(folder, name)))
