#!/usr/bin/env bash
# CPython 3.13's own tests of the import system, with its whole standard library, the tests included, read
# through the mount; the same run on a plain copy is the measure: no test may fail that passes there.
# Both copies have the interpreter beside them (bin/ next to lib/), so that it and each child process that the
# tests start find this library by themselves.
# What they write goes to temporary folders outside of the library, so that no test has to be excluded because
# the mount is read-only (regrtest.py says what twelve of them need). EXCLUDED is the list for the others.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TESTS=(test_importlib test_import test_py_compile)
# "pattern: reason", one a line.
EXCLUDED=()

python=""
for each in "$REFERENCES/bin/python3.13" $(interpreters); do
    if [ ! -x "$each" ] || [ "$(version_of "$each")" != 3.13 ]; then continue; fi
    if "$each" -c 'import test.test_importlib, test.libregrtest' 2>/dev/null; then
        python="$each"
        break
    fi
done
[ -n "$python" ] || die "no CPython 3.13 with its test suite (scripts/references.sh brings one)"
find_pycfs
start_work

copy() { # FOLDER LIB: the interpreter and its library, without caches
    mkdir -p "$1/bin" "$2"
    cp "$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')" "$1/bin/python3.13"
    cp -a "$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" "$2/python3.13"
    find "$2" -name __pycache__ -prune -exec rm -rf {} +
    rm -rf "$2/python3.13/site-packages"
}
copy "$WORK/native" "$WORK/native/lib"
copy "$WORK/mounted" "$WORK/source"
"$(any_python)" "$SCRIPTS/inventory.py" "$WORK/source" >"$WORK/before"
mount_tree "$WORK/source" "$WORK/mounted/lib"

run() { # FOLDER RESULTS
    local ignored=() each
    for each in "${EXCLUDED[@]}"; do ignored+=(--ignore "${each%%: *}"); done
    mkdir -p "$WORK/tmp"
    # The status is that of the failures, which are compared one by one.
    (cd "$WORK" && TMPDIR="$WORK/tmp" timeout 900 "$1/bin/python3.13" "$SCRIPTS/regrtest.py" --timeout 300 --junit-xml "$2" \
        "${ignored[@]}" "${TESTS[@]}" </dev/null >"$2.log" 2>&1) || true
    [ -s "$2" ] || { tail -n 30 "$2.log" >&2; return 1; }
}

say "CPython $(release_of "$python"): ${TESTS[*]}"
for each in "${EXCLUDED[@]}"; do say "excluded $each"; done
"$WORK/mounted/bin/python3.13" -v -c 'import test.test_importlib, test.test_import, test.test_py_compile' 2>"$WORK/log"
read -r matched compiled written refused < <("$(any_python)" "$SCRIPTS/verbose_report.py" "$WORK/log" "$WORK/mounted/lib")
check "the standard library comes from the mount, with a cache for each module ($matched)" test "$matched" -ge 50
same "and nothing is compiled, written or refused" "0 0 0" "$compiled $written $refused"
check "the native run ends" run "$WORK/native" "$WORK/native.xml"
check "the run on the mount ends" run "$WORK/mounted" "$WORK/mounted.xml"
compare() { "$(any_python)" "$SCRIPTS/compare_junit.py" "$WORK/native.xml" "$WORK"/mounted*.xml; }
if [ -s "$WORK/native.xml" ] && [ -s "$WORK/mounted.xml" ]; then
    # Some of them depend on time: what fails here fails twice.
    if ! compare; then check "a second run on the mount ends" run "$WORK/mounted" "$WORK/mounted-again.xml"; fi
    check "the same tests ran, and none fails that passes natively" compare
fi
check "the mount is unmounted" unmount_tree "$WORK/mounted/lib"
"$(any_python)" "$SCRIPTS/inventory.py" "$WORK/source" >"$WORK/after"
check "the inventory of the library is unchanged" cmp "$WORK/before" "$WORK/after"
finish
