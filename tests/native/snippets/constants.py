"""Constants that the compiler computes, and those that it leaves to the run."""


def operators(x):
    a = 1 + 2 * 3 - -4
    b = (1 << 20, 1 << 1000, 2**100, 2**1000, 10**30 * 10**30)
    c = ("ab" * 3, "ab" * 5000, b"x" * 10, (1, 2) * 100, (1, 2) * 200)
    d = (1 // 0, 1 % 0, 1 / 3, 7 // 2.0, -7 % 3, 1.5**2)
    e = (not 1, not (), -True, +True, ~5, ~True, not not x)
    f = (1 + 2j, 2 / 1j, 1j * 1j, -0.0, 0.0 * -1, 1e999 - 1)
    g = ("abc"[0], "abc"[-1], "abc"[5], b"abc"[1], (1, 2)[True], "é"[0])
    h = ("abcdef"[1:4], "abcdef"[::2], b"abc"[:2], (1, 2, 3)[1:], "abc"[1:2:0])
    i = "%s and %s" % (x, a), "%d" % x
    return a, b, c, d, e, f, g, h, i


def slices(x):
    return x[1000:2000], x[1000:2000], x["abc":"a b"], x[1.5:], x[:-1], x[a:b], x[2:3:4], 1000, "abc"


def numbers():
    return 0, 255, 256, -1, -5, 1000, 10**20, 1.0, 0.0, True, None, ..., b"", "", ()


def branches(x):
    if 0:
        return 1
    if not 1:
        return 2
    while "":
        x()
    return x if "a" else None
