#!/usr/bin/env bash
# CPython's own tests of the language from a standard library whose pycs are all the native compiler's:
#   native-tests.sh [3.13|3.14]
# The library is copied twice. One copy gets its pycs from `pycfs compile --backend native`, as unchecked
# hash-based ones, so that the interpreter takes them as they are; the other has none and is the measure.
# No test may fail on the first that passes on the second. That our pycs are used is checked first.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VERSION="${1:-3.13}"
TESTS=(test_grammar test_compile test_dis test_sys_settrace test_generators test_patma test_type_params test_exceptions
    test_type_aliases test_fstring test_coroutines test_asyncgen test_with test_except_star test_unpack_ex
    test_positional_only_arg test_keywordonlyarg test_named_expressions test_scope test_super test_global
    test_future_stmt test_string_literals test_listcomps test_setcomps test_dictcomps test_genexps test_decorators
    test_class test_augassign test_peepholer test_extcall test_call test_funcattrs test_raise test_opcodes
    test_dataclasses test_enum test_functools test_inspect test_contextlib test_traceback test_typing
    test_annotationlib test_tstring)

python="$REFERENCES/bin/python$VERSION"
[ -x "$python" ] || die "no reference of CPython $VERSION (scripts/references.sh brings one)"
find_pycfs
start_work

copy() { # FOLDER: the interpreter and its library, without caches
    mkdir -p "$1/bin" "$1/lib"
    cp "$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')" "$1/bin/python$VERSION"
    cp -a "$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" "$1/lib/python$VERSION"
    find "$1/lib" -name __pycache__ -prune -exec rm -rf {} +
    rm -rf "$1/lib/python$VERSION/site-packages"
}
copy "$WORK/theirs"
copy "$WORK/ours"
"$PYCFS" compile -q --python "$VERSION" --backend native --invalidation-mode unchecked-hash \
    -x '/bad_coding|/badsyntax_|lib2to3/tests/data' "$WORK/ours/lib/python$VERSION" >"$WORK/compile.log" 2>&1 || true
tail -n 3 "$WORK/compile.log"

run() { # FOLDER RESULTS
    mkdir -p "$1/tmp"
    # The status is that of the failures, which are compared one by one.
    (cd "$1/tmp" && TMPDIR="$1/tmp" PYTHONDONTWRITEBYTECODE=1 timeout "${PYCFS_TEST_SECONDS:-1500}" "$1/bin/python$VERSION" \
        "$SCRIPTS/regrtest.py" --timeout 600 --junit-xml "$2" "${tests[@]}" </dev/null >"$2.log" 2>&1) || true
    [ -s "$2" ] || { tail -n 30 "$2.log" >&2; return 1; }
}

tests=()
for each in "${TESTS[@]}"; do
    if compgen -G "$WORK/theirs/lib/python$VERSION/test/$each*" >/dev/null; then tests+=("$each"); fi
done
say "CPython $(release_of "$python"): ${#tests[@]} test modules"
pycs="$(find "$WORK/ours/lib" -name '*.pyc' | wc -l)"
check "the library has our pycs ($pycs)" test "$pycs" -ge 1500
PYTHONDONTWRITEBYTECODE=1 "$WORK/ours/bin/python$VERSION" -v -c "import $(printf 'test.%s,' "${tests[@]}")os" 2>"$WORK/log" || true
matched="$(grep -c '^# .* matches ' "$WORK/log" || true)"
made="$(grep -cE "^# code object from .*\.py'?\$" "$WORK/log" || true)"
check "each module is loaded from one of them ($matched)" test "$matched" -ge 100
same "and no source is compiled" 0 "$made"
check "the run from sources ends" run "$WORK/theirs" "$WORK/theirs.xml"
check "the run from our pycs ends" run "$WORK/ours" "$WORK/ours.xml"
if [ -s "$WORK/theirs.xml" ] && [ -s "$WORK/ours.xml" ]; then
    check "the same tests ran, and none fails that passes from sources" \
        "$(any_python)" "$SCRIPTS/compare_junit.py" "$WORK/theirs.xml" "$WORK/ours.xml"
fi
finish
