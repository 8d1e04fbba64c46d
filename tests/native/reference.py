"""Writes what CPython says of many sources, for the tests of the native compiler's front half.

usage: reference.py MODE OUTDIR < list of paths, one a line

MODE is `ast` (the syntax tree), `opt0`, `opt1`, `opt2` (the tree after the optimizer, 3.13 and
later), `sym` (the symbol table) or `verdict` (whether it compiles). The answer for the n-th path goes to OUTDIR/n; a source that is
rejected gives a file that begins with `error`.
"""
import ast
import os
import struct
import sys
import warnings
import _symtable

sys.setrecursionlimit(20000)
warnings.simplefilter("ignore")
ONE_WORD = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
SKIPPED = {"type_comment", "type_ignores"}


def text(value):
    return "'" + value.encode("utf-8", "surrogatepass").hex() + "'"


def bits(value):
    return struct.pack(">d", value).hex()


def constant(value):
    match value:
        case None | True | False:
            return repr(value)
        case _ if value is ...:
            return "Ellipsis"
        case int():
            return ("-" if value < 0 else "") + "i%x" % abs(value)
        case float():
            return "f" + bits(value)
        case complex():
            return "c" + bits(value.real) + bits(value.imag)
        case str():
            return text(value)
        case bytes():
            return "b'" + value.hex() + "'"
        case tuple():
            return "(" + ",".join(map(constant, value)) + ")"
        case frozenset():
            return "{" + ",".join(sorted(map(constant, value))) + "}"
    raise TypeError(type(value))


def dump(node, indent, out):
    line = indent + type(node).__name__
    if "lineno" in node._attributes:
        line += f" {node.lineno}:{node.col_offset}-{node.end_lineno}:{node.end_col_offset}"
    out.append(line)
    for field in node._fields:
        value = getattr(node, field, None)
        if field == "value" and isinstance(node, (ast.Constant, ast.MatchSingleton)):
            out.append(f"{indent} value={constant(value)}")
        elif value is None or field in SKIPPED or value == []:
            pass
        elif isinstance(value, ONE_WORD):
            out.append(f"{indent} {field}={type(value).__name__}")
        elif isinstance(value, ast.AST):
            out.append(f"{indent} {field}:")
            dump(value, indent + "  ", out)
        elif isinstance(value, list):
            out.append(f"{indent} {field}[")
            for item in value:
                if item is None:
                    out.append(indent + "  None")
                elif isinstance(item, str):
                    out.append(f"{indent}  {text(item)}")
                elif isinstance(item, ONE_WORD):
                    out.append(f"{indent}  {type(item).__name__}")
                else:
                    dump(item, indent + "  ", out)
        elif isinstance(value, str):
            out.append(f"{indent} {field}={text(value)}")
        elif field == "str":
            out.append(f"{indent} {field}={constant(value)}")
        else:
            out.append(f"{indent} {field}={value}")


def table(block, indent, out):
    out.append(
        f"{indent}{block.name} type={int(block.type)} line={block.lineno} nested={int(block.nested)}"
    )
    out.append(f"{indent} varnames={' '.join(block.varnames)}")
    bound = _symtable.DEF_BOUND
    order = (name for name, flags in block.symbols.items() if flags & bound)
    out.append(f"{indent} order={' '.join(order)}")
    out.extend(sorted(f"{indent} {name} {flags:#x}" for name, flags in block.symbols.items()))
    for child in block.children:
        # A block of annotations that uses no names: left out, since CPython has one for each function.
        if int(child.type) == 3 and child.symbols.keys() <= {".format", "__classdict__"}:
            continue
        table(child, indent + "  ", out)


def answer(mode, source):
    out = []
    if mode == "verdict":
        compile(source, "f", "exec", 0, True, 0)
        out.append("ok")
    elif mode == "sym":
        table(_symtable.symtable(source, "f", "exec"), "", out)
    else:
        flags = ast.PyCF_ONLY_AST
        level = -1
        if mode.startswith("opt"):
            flags = ast.PyCF_OPTIMIZED_AST
            level = int(mode[3:])
        dump(compile(source, "f", "exec", flags, True, level), "", out)
    return "\n".join(out) + "\n"


def main():
    mode, directory = sys.argv[1:]
    for number, path in enumerate(sys.stdin.read().splitlines()):
        with open(path, "rb") as file:
            source = file.read()
        try:
            result = answer(mode, source)
        except (SyntaxError, ValueError, RecursionError, MemoryError, UnicodeError) as error:
            place = (getattr(error, "lineno", None), getattr(error, "offset", None))
            place += (getattr(error, "end_lineno", None), getattr(error, "end_offset", None))
            message = getattr(error, "msg", None) or str(error)
            result = f"error {type(error).__name__} {place} {message}\n"
        with open(os.path.join(directory, str(number)), "wb") as file:
            file.write(result.encode("utf-8", "surrogatepass"))


main()
