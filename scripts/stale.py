"""Edits a module again and again and imports it in a new process after each edit.

    stale.py INTERPRETER EDIT COUNT SOURCE_DIR READ_DIR

SOURCE_DIR is where the module is edited, READ_DIR where it is imported from: the same folder, or its mirror.
EDIT is one of EDITS below. Every version of the module has the same size.
An answer that is stale, or not from a cache, is asked for once more: if all is right then, it was late.
Prints one line: stale answers, other wrong answers, answers from a cache, late ones, seconds.
"""

import mmap
import os
import subprocess
import sys
import time

# A reader says which value it got and whether it compiled the source itself.
READER = """
import sys
import _frozen_importlib_external as external
compiled = []
original = external.SourceLoader.source_to_code
def source_to_code(self, *arguments, **options):
    compiled.append(1)
    return original(self, *arguments, **options)
external.SourceLoader.source_to_code = source_to_code
sys.path.insert(0, %r)
import edited
print(edited.value, "compiled" if compiled else "cached")
"""


def content(number):
    return b"value = '%08d'\n" % number


def rewrite(path, number):
    """In place, as an editor without backup does: same inode, same size, mostly the same second."""
    with open(path, "wb") as source:
        source.write(content(number))


def rename_over(path, number):
    rewrite(path + ".new", number)
    os.rename(path + ".new", path)


def recreate(path, number):
    if os.path.exists(path):
        os.unlink(path)
    rewrite(path, number)


def set_back(path, number):
    """Every version carries the very same mtime, to the nanosecond, as archives and deploy tools leave it."""
    rewrite(path, number)
    os.utime(path, ns=(10**18, 10**18))


def rename_set_back(path, number):
    rewrite(path + ".new", number)
    os.utime(path + ".new", ns=(10**18, 10**18))
    os.rename(path + ".new", path)


def flip(path, number):
    """A deploy: `current` is a link that is replaced; the module's mtime is equal in each release."""
    folder, name = os.path.split(path)
    parent = os.path.dirname(folder)
    release = os.path.join(parent, "release-%d" % (number % 2))
    os.makedirs(release, exist_ok=True)
    set_back(os.path.join(release, name), number)
    link = folder + ".new"
    os.symlink(os.path.basename(release), link)
    os.rename(link, folder)


def recreate_folder(path, number):
    folder, name = os.path.split(path)
    if os.path.exists(folder):
        os.rename(folder, folder + ".old-%d" % number)
    os.mkdir(folder)
    rewrite(path, number)
    old = folder + ".old-%d" % number
    if os.path.exists(old):
        for base, folders, files in os.walk(old, topdown=False):
            for each in files:
                os.unlink(os.path.join(base, each))
            for each in folders:
                os.rmdir(os.path.join(base, each))
        os.rmdir(old)


def write_mapped(path, number):
    """Through a shared mapping: no notification of the kernel tells of it."""
    if not os.path.exists(path):
        rewrite(path, number)
    with open(path, "r+b") as source:
        with mmap.mmap(source.fileno(), 0) as mapped:
            mapped[:] = content(number)
            mapped.flush()


EDITS = {
    "rewrite": rewrite,
    "rename-over": rename_over,
    "recreate": recreate,
    "mtime-set-back": set_back,
    "rename-mtime-set-back": rename_set_back,
    "symlink-flip": flip,
    "recreate-folder": recreate_folder,
    "shared-mapping": write_mapped,
}


def main():
    interpreter, edit, count, source, read = sys.argv[1:]
    command = [interpreter, "-I", "-S", "-c", READER % os.path.join(read, "current")]
    path = os.path.join(source, "current", "edited.py")
    if edit not in ("symlink-flip", "recreate-folder"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    stale = wrong = cached = late = 0
    start = time.monotonic()
    for number in range(int(count)):
        EDITS[edit](path, number)
        answer, told = ask(command)
        if answer is not None and (answer[0] < number or answer == (number, "compiled")):
            first, (answer, told) = answer, ask(command)
            if answer == (number, "cached"):
                late += 1
            elif first[0] < number:
                # What is right at the second time only is no cache's merit.
                answer = first
        if answer is None or answer[0] > number:
            wrong += 1
            if wrong == 1:
                print(told, file=sys.stderr)
        elif answer[0] < number:
            stale += 1
        else:
            cached += answer[1] == "cached"
    print(stale, wrong, cached, late, "%.1f" % (time.monotonic() - start))


def ask(command):
    """What a new reader gets: the value's number and where it is from, or None; and what it said."""
    reader = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    answer = reader.stdout.decode().split()
    told = reader.stderr.decode(errors="replace")
    if len(answer) != 2 or not answer[0].isdigit():
        return None, told
    return (int(answer[0]), answer[1]), told


if __name__ == "__main__":
    main()
