"""Annotations under conditions, in modules and classes."""
import typing

x: int
y: int = 1
if y:
    z: "later"
    for i in range(3):
        w: list[int] = []


class Plain:
    a: int
    b: str = "b"


class Conditional:
    if y:
        a: int
        b: typing.Any = None
    else:
        a: str
    c: float

    def method(self, value: int) -> __class__:
        return __class__


class Both[T]:
    a: T
    while y:
        b: list[T]
        break


def function(a: int, *args: str, b: float = 1.0, **kwargs: bytes) -> None:
    inner: int = 1
    return inner
