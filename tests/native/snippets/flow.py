"""Control flow: tests that keep their value, handlers, loops, loads that can be borrowed."""


def tests(a, b, c):
    x = a and b or c
    y = not (a or b) and c
    z = a if b or c else (a and c)
    if a and (b or c) and not a:
        return a < b < c
    return x, y, z, a is None, b is not None, not a is b, not a in c


def guarded(a, b):
    try:
        x = a or b(a and b)
    except (KeyError, ValueError) as error:
        return error or a
    except A.b:
        raise
    else:
        del a
    finally:
        b()
    return a, x


def loops(a, b):
    for i in a:
        if i:
            continue
        elif b:
            break
        while True:
            if a or b:
                break
    else:
        return i
    with a as c, b:
        return c
    with a:
        if b:
            return


def borrowed(a, b):
    a = b
    a, b = b, a
    b.c(a)[a] = b.d
    c = [a := 1, a, b]
    match b:
        case [c, *d] if c:
            return d
        case {"k": 1 | 2, **e}:
            return e
    return f"{a}{b!r:>{c}}"


async def asynchronous(a, b):
    async for i in a:
        yield i or b
    async with a as c:
        await c
    d = [x async for x in b if await x]
    try:
        await a
    finally:
        await d


def generators(a):
    x = yield a
    yield from x or a
    return any(i for i in a), all(i for i in a), tuple(i for i in a), list(i for i in a)
