#!/usr/bin/env python3
"""The reference's answers, in a long-lived process: what the native compiler is compared with.

Requests on stdin: u32 length, u8 levels (a bit for each), source. Answers on stdout, one for each level:
u8 status, u32 length, body. Status 0: body is the marshalled code; 1: the source is refused, body is JSON with the
error's fields and the text of `py_compile`; 2: no answer that counts (memory). Numbers are little endian.
The file name is argv[1], a file that is written for what CPython reads again to show a line.
"""
import json
import marshal
import os
import py_compile
import resource
import signal
import struct
import sys
import warnings

warnings.simplefilter("ignore")
name = sys.argv[1]
requests, answers = sys.stdin.buffer, sys.stdout.buffer
sys.stderr = open(os.devnull, "w")
limit = 6 << 30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
signal.signal(signal.SIGALRM, signal.SIG_DFL)


def refusal(source, level):
    with open(name, "wb") as file:
        file.write(source)
    try:
        compile(source, name, "exec", dont_inherit=True, optimize=level)
    except Exception as error:
        fields = {"type": type(error).__name__, "msg": str(error)}
        if isinstance(error, SyntaxError):
            fields.update(msg=error.msg, line=error.lineno, offset=error.offset, end_line=error.end_lineno,
                          end_offset=error.end_offset, text=error.text)
        fields["explain"] = py_compile.PyCompileError(type(error), error, name).msg
        return json.dumps(fields).encode()


while True:
    head = requests.read(5)
    if len(head) < 5:
        break
    length, levels = struct.unpack("<IB", head)
    source = requests.read(length)
    for level in range(3):
        if not levels >> level & 1:
            continue
        signal.alarm(60)
        try:
            # Held by a name, as py_compile does: the root's FLAG_REF depends on it.
            code = compile(source, name, "exec", dont_inherit=True, optimize=level)
            status, body = 0, marshal.dumps(code)
            del code
        except MemoryError:
            status, body = 2, b""
        except Exception:
            status, body = 1, refusal(source, level)
        signal.alarm(0)
        answers.write(struct.pack("<BI", status, len(body)) + body)
    answers.flush()
