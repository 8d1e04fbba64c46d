"""The opcodes of CPython 3.14 that its own tests of docs/vm.md do not have; run from its pyc and from the source."""

from __future__ import annotations
name = "x"
t = t"a {name!r:>5} b {1+1}"
print(type(t).__name__, t.strings, [ (i.value, i.expression, i.conversion, i.format_spec) for i in t.interpolations])
y: int = 3
print(__annotations__)
class A:
    z: str = "q"
    def f(self, a: int) -> str: ...
print(A.__annotations__, A.f.__annotations__)
