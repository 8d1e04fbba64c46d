"""A package with relative imports, for tour.py."""

from . import names
from .below.deep import DEPTH


def answer():
    return "%s %d" % (names.OWN, DEPTH)
