#!/usr/bin/env bash
# Coherence torture (scripts/torture.rs) in each mode that this build has, and fsx on a source that is compared through the mount.
#   torture.sh [EDITS]      edits in each mode, default 20000; the long form is 1000000
# PYCFS_TORTURE names the built driver; else cargo builds it. fsx runs where it is installed (cargo install fsx).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

EDITS="${1:-20000}"
find_pycfs
if [ -z "${PYCFS_TORTURE:-}" ]; then
    (cd "$REPOSITORY" && cargo build --release --locked --quiet --example torture) </dev/null
    PYCFS_TORTURE="${CARGO_TARGET_DIR:-$REPOSITORY/target}/release/examples/torture"
fi
start_work
mapfile -t found < <(interpreters)
[ "${#found[@]}" -gt 0 ] || die "no CPython on this machine"
PYTHON="${found[-1]}"
TAG="$("$PYTHON" -I -S -c 'import sys; print(sys.implementation.cache_tag)')"
say "entries of $(release_of "$PYTHON")"

none_open() {
    local try
    for try in $(seq 60); do
        [ "$(status_field "$WORK/mount" open_handles)" != 0 ] || return 0
        sleep 1
    done
    say "still open: $(status_field "$WORK/mount" open_handles)"
    return 1
}

# torture MODE OPTIONS
torture() {
    local mode="$1" options="$2"
    rm -rf "$WORK/src" && mkdir "$WORK/src"
    if ! mount_tree "$WORK/src" "$WORK/mount" "$options" 2>"$WORK/mount.log"; then
        skip "$mode: $(cat "$WORK/mount.log")"
        return
    fi
    local coherence
    coherence="$(status_field "$WORK/mount" mode || true)"
    say "$mode: $coherence"
    if [ "$mode" != strict ] && [ "$coherence" != watch ]; then
        skip "$mode: events are not followed here"
        check "$mode: it is unmounted" unmount_tree "$WORK/mount"
        return
    fi
    local status=0
    "$PYCFS_TORTURE" "$WORK/src" "$WORK/mount" "$TAG" "$EDITS" "$mode" >"$WORK/torture.log" 2>"$WORK/torture.err" </dev/null || status=$?
    cat "$WORK/torture.log"
    head -n 20 "$WORK/torture.err"
    check "$mode: $(grep '^edits' "$WORK/torture.log" || echo 'no result')" test "$status" -eq 0
    # A file that was found is held open for those who open it unasked: in strict until nobody has used it for a while.
    if [ "$mode" = strict ]; then check "$mode: no file is open at the end" none_open; fi
    check "$mode: it is unmounted" unmount_tree "$WORK/mount"
}
torture strict coherence=strict
if "$PYCFS" sync --help >/dev/null 2>&1; then
    torture watch coherence=watch
    torture sync coherence=watch
else
    skip "watch, sync: this build has no pycfs sync"
fi

# fsx writes, truncates and maps one file at random; between its runs both sides are compared.
fsx="$(command -v fsx || true)"
if [ -n "$fsx" ]; then
    rm -rf "$WORK/src" && mkdir "$WORK/src"
    printf 'value = 1\n' >"$WORK/src/file.py"
    mount_tree "$WORK/src" "$WORK/mount" coherence=strict
    different=0
    rounds=$((EDITS / 500))
    for seed in $(seq "$rounds"); do
        (cd "$WORK" && "$fsx" -N 100 -S "$seed" "$WORK/src/file.py") >"$WORK/fsx.log" 2>&1 || true
        cmp -s "$WORK/src/file.py" "$WORK/mount/file.py" || different=$((different + 1))
    done
    same "fsx, $rounds runs of 100 operations: sides that differ afterwards" 0 "$different"
    check "it is unmounted" unmount_tree "$WORK/mount"
else
    skip "fsx: it is not installed (cargo install fsx)"
fi
finish
