#!/usr/bin/env bash
# CPython 3.14's own tests run by the bundled VM, twice through one mount: with every module of the tree from its pycs, and
# with code that RustPython compiles for itself (-X pycfs_own). No test may fail with ours that passes without. Takes half an hour.
#   vm-tests.sh [TEST…]        (default: those of docs/vm.md)
# PYCFS_VM_BACKEND names the mount's compiler (option -o backend=); default: the mount's own.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TESTS=("$@")
if [ "${#TESTS[@]}" -eq 0 ]; then
    TESTS=(test_grammar test_dataclasses test_argparse test_pathlib test_datetime test_collections test_itertools test_json
        test_re test_functools test_generators test_asyncgen test_patma test_with test_exceptions test_importlib test_zipimport)
fi
suite="$REFERENCES/sid/usr/lib/python3.14/test"
[ -d "$suite" ] || die "no tests of CPython 3.14 in $REFERENCES (scripts/references.sh brings them)"
find_pycfs_with_vm
start_work
mkdir -p "$WORK/tree" "$WORK/ours" "$WORK/own" "$WORK/scratch" "$WORK/logs"
cp -r "$suite" "$WORK/tree/test"
find "$WORK/tree" -name __pycache__ -prune -exec rm -rf {} +
mount_tree "$WORK/tree" "$WORK/mount" "${PYCFS_VM_BACKEND:+backend=$PYCFS_VM_BACKEND}"

# run FOLDER OPTION… : all tests.
run() {
    local folder="$1" tree="$WORK/mount" name
    shift
    for name in "${TESTS[@]}"; do
        (cd "$WORK/scratch" && TMPDIR="$WORK/scratch" PYTHONPATH="$tree" timeout -k 10 "${PYCFS_TEST_SECONDS:-600}" "$PYCFS" run -X pycfs_counters "$@" \
            "$SCRIPTS/vm/run_tests.py" "$name" "$folder/$name" </dev/null >"$WORK/logs/$(basename "$folder")-$name" 2>&1) || true
    done
}
run "$WORK/ours" --no-store
run "$WORK/own" --no-store -X pycfs_own
"$PYCFS" status "$WORK/mount" --json >"$WORK/status"
say "the mount: $(field lookups "$WORK/status") look-ups of entries, $(field compiles "$WORK/status") compiles, $(field misses "$WORK/status") misses"
check "no test fails with our code that passes with RustPython's own" \
    "$(any_python)" "$SCRIPTS/vm/compare_tests.py" "$WORK/own" "$WORK/ours" "${TESTS[@]}"
if [ -n "${PYCFS_KEEP:-}" ]; then cp -r "$WORK/ours" "$WORK/own" "$WORK/logs" "$PYCFS_KEEP/"; fi
check "the mount is unmounted" unmount_tree "$WORK/mount"
finish
