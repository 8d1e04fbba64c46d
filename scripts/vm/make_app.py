"""Writes an application of many modules: make_app.py DIR MODULES.

    DIR/app.py               imports the whole package and prints a sum over it
    DIR/bulk/part0/m0.py …   modules of about 120 lines, each importing its package's others relatively

The modules look like those of an application: classes with methods and annotations, functions with defaults and closures,
tables of constants, docstrings. They import nothing of the standard library, so that a start-up time is theirs.
"""

import os
import sys

MODULE = '''"""Part {number} of a generated application."""

{imports}

LIMITS = {{{limits}}}
NAMES = ({names})


class Record{number}:
    """One record; knows how to compare itself with others."""

    kind = "record-{number}"
    __slots__ = ("name", "value", "parent", "tags")

    def __init__(self, name: str, value: int = {number}, parent=None, tags=()):
        self.name = name
        self.value = value
        self.parent = parent
        self.tags = tuple(tags)

    def __lt__(self, other):
        return (self.value, self.name) < (other.value, other.name)

    def path(self):
        """The names from the root to here."""
        parts = []
        record = self
        while record is not None:
            parts.append(record.name)
            record = record.parent
        return "/".join(reversed(parts))

    @property
    def depth(self):
        return self.path().count("/")

    @classmethod
    def parse(cls, line, separator="="):
        name, found, value = line.partition(separator)
        if not found:
            raise ValueError(f"no {{separator!r}} in {{line!r}}")
        try:
            number = int(value)
        except ValueError:
            number = len(value)
        return cls(name.strip(), number)


class Table{number}(dict):
    """Records by name."""

    def add(self, record, *, replace=False):
        if record.name in self and not replace:
            raise KeyError(record.name)
        self[record.name] = record
        return record

    def largest(self, count=3):
        return sorted(self.values(), reverse=True)[:count]

    def select(self, **wanted):
        def fits(record):
            return all(getattr(record, name, None) == value for name, value in wanted.items())

        return [record for record in self.values() if fits(record)]


{functions}

def checksum():
    table = Table{number}()
    for name, limit in LIMITS.items():
        table.add(Record{number}(name, limit), replace=True)
    return len(table) + sum(record.value for record in table.largest()) + {others}
'''

FUNCTION = '''def step{index}_{number}(values, scale={index}, *, offset=0):
    """Scales, shifts and folds values."""
    total = 0
    for position, value in enumerate(values):
        if value % 2:
            total += value * scale + offset
        elif position > {index}:
            total -= value
        else:
            continue
    return {{"total": total, "mean": total / len(values) if values else None, "scale": scale}}
'''


def main():
    root, modules = sys.argv[1], int(sys.argv[2])
    package = os.path.join(root, "bulk")
    per_part = 20
    parts = (modules + per_part - 1) // per_part
    os.makedirs(package, exist_ok=True)
    for number in range(modules):
        part, place = divmod(number, per_part)
        folder = os.path.join(package, "part%d" % part)
        os.makedirs(folder, exist_ok=True)
        imports = "" if place == 0 else "from .m%d import Record%d as _Before" % (number - 1, number - 1)
        text = MODULE.format(
            number=number,
            imports=imports,
            limits=", ".join("'limit-%d-%d': %d" % (number, each, each * 7) for each in range(24)),
            names=", ".join("'name%d'" % each for each in range(30)),
            functions="\n\n".join(FUNCTION.format(index=index, number=number) for index in range(4)),
            others="0" if place == 0 else "len(_Before.kind)",
        )
        with open(os.path.join(folder, "m%d.py" % number), "w") as file:
            file.write(text)
    for part in range(parts):
        names = range(part * per_part, min((part + 1) * per_part, modules))
        with open(os.path.join(package, "part%d" % part, "__init__.py"), "w") as file:
            file.write("".join("from . import m%d\n" % name for name in names))
            file.write("\n\ndef checksum():\n    return %s\n" % " + ".join("m%d.checksum()" % name for name in names))
    with open(os.path.join(package, "__init__.py"), "w") as file:
        file.write("".join("from . import part%d\n" % part for part in range(parts)))
    with open(os.path.join(root, "app.py"), "w") as file:
        file.write("import bulk\n\nprint(sum(getattr(bulk, 'part%%d' %% n).checksum() for n in range(%d)))\n" % parts)


main()
