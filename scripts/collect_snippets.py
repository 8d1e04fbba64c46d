#!/usr/bin/env python3
"""The programs that CPython's own tests compile: collect_snippets.py OUTDIR [MODULE ...].

Runs the tests (those of the language by default) in this process under an audit hook that sees the source of
each compile(), exec(), eval() and ast.parse(), whatever its mode. Each becomes a file of OUTDIR, named by its
content; files of the library itself are left out. The verdicts are asked later, as for any file, in mode exec.
"""
import hashlib
import os
import sys

MODULES = """test_grammar test_compile test_dis test_syntax test_exceptions test_patma test_type_params
test_type_aliases test_type_annotations test_fstring test_tstring test_generators test_coroutines test_asyncgen
test_with test_except_star test_unpack_ex test_positional_only_arg test_keywordonlyarg test_named_expressions
test_scope test_super test_global test_future_stmt test_string_literals test_unicode_identifiers
test_source_encoding test_utf8source test_listcomps test_setcomps test_dictcomps test_genexps test_lambda_args
test_decorators test_augassign test_peepholer test_sys_settrace test_extcall test_unpack test_call test_funcattrs
test_raise test_opcodes test_int_literal test_tokenize test_eof test_annotationlib test_ast test_symtable
test_codeop test_code test_code_module test_parser test_peg_generator test_flufl test_builtin test_eval test_exec
test_complex test_float test_int test_long test_bytes test_str test_unicode_file test_unparse test_ast_unparse
test_traceback test_warnings test_compileall test_py_compile test_cmd_line_script test_inspect test_types
test_typing test_dataclasses test_class test_descr test_dynamic test_dynamicclassattribute test_enum test_doctest
test_bdb test_pdb test_monitoring test_frame test_generator_stop test_yield_from test_binop test_bool test_compare
test_pow test_math test_operator test_itertools test_functools test_marshal test_pickle test_copy test_zipimport
test_runpy test_pkgutil test_linecache test_lltrace test_capi test_clinic test_tools test_pyclbr test_trace
test_profile test_optparse test_repl test_sundry test_keyword test_hash test_set test_dict test_list test_tuple
test_range test_slice test_format test_subclassinit test_metaclass test_isinstance test_property test_abc
test_contextlib test_contextlib_async test_cmd_line test_import test_importlib test_module test_crashers
test_finalization test_gc test_weakref test_userdict test_string test_textwrap test_threading test_time
test_timeit test_sys test_sys_setprofile test_pyrepl test_rlcompleter test_embed test_finalizers test_lazyimport
test_lazy_import""".split()

out = os.path.abspath(sys.argv[1])
os.makedirs(out, exist_ok=True)
library = os.path.dirname(os.__file__)
known = set()


def hook(event, arguments):
    if event != "compile":
        return
    source, name = arguments[:2]
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if isinstance(name, str) and name.startswith(library):
        return
    try:
        if isinstance(source, str):
            source = source.encode("utf-8")
        elif isinstance(source, (bytes, bytearray, memoryview)):
            source = bytes(source)
        else:
            return
    except UnicodeEncodeError:
        return
    if len(source) > 2_000_000 or source in known:
        return
    known.add(source)
    with open(os.path.join(out, hashlib.sha256(source).hexdigest()[:20] + ".py"), "wb") as file:
        file.write(source)


# A fork server imports this file again: it must not run the tests.
if __name__ == "__main__":
    wanted = sys.argv[2:] or [name for name in MODULES
                              if os.path.exists(os.path.join(library, "test", name + ".py"))
                              or os.path.isdir(os.path.join(library, "test", name))]
    sys.addaudithook(hook)
    from test.libregrtest.main import main
    try:
        sys.argv[1:] = wanted
        main()
    except SystemExit:
        pass
    finally:
        print(f"{len(known)} programs in {out}")
