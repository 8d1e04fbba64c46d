#!/usr/bin/env bash
# A tree of many sources, with the entries that CPython leaves beside them (the mount shows its own instead): time to
# mount, find against the native tree, which has the same names, and the daemon's memory after and when the kernel has
# forgotten. As root, since the kernel's caches are dropped.
#   large_tree.sh [SOURCES]   (default 1000000)
# Last figures: see docs/SEMANTICS.md. The first find is requests: in `watch` three for each directory and three for its
# __pycache__, in `strict` five.
# PYCFS_LARGE_TREE=DIR is a tree that an earlier run made; it is kept, and made there if it is missing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

SOURCES="${1:-1000000}"
[ "$(id -u)" -eq 0 ] || die "needs root"
find_pycfs
start_work
SOURCE="${PYCFS_LARGE_TREE:-$WORK/source}"
[ -d "$SOURCE" ] || "$(any_python)" - "$SOURCE" "$SOURCES" <<'PY'
import os, sys
root, count = sys.argv[1], int(sys.argv[2])
for first in range(0, count, 100):
    folder = os.path.join(root, "d%03d" % (first // 100 % 200), "p%05d" % (first // 100))
    os.makedirs(os.path.join(folder, "__pycache__"))
    for number in range(first, min(first + 100, count)):
        for name in ["m%07d.py", "__pycache__/m%07d.cpython-313.pyc"]:
            os.close(os.open(os.path.join(folder, name % number), os.O_WRONLY | os.O_CREAT))
PY
milliseconds() {
    local start="$EPOCHREALTIME"
    "$@" >/dev/null
    awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%d\n", (end - start) * 1000 }'
}
# Milliseconds of processor time that the daemon has used, in ticks of 10 ms.
daemon_time() { awk '{ print ($14 + $15) * 10 }' "/proc/$daemon/stat"; }
# cost NAME COMMAND…: sets NAME to its milliseconds, NAME_cpu to those of processor time, the daemon's included.
cost() {
    local name="$1" before spent TIMEFORMAT='%U %S'
    shift
    before="$(daemon_time)"
    { time milliseconds "$@" >"$WORK/wall"; } 2>"$WORK/spent"
    spent="$(awk '{ printf "%d", ($1 + $2) * 1000 }' "$WORK/spent")"
    printf -v "$name" %s "$(cat "$WORK/wall")"
    printf -v "${name}_cpu" %s "$((spent + $(daemon_time) - before))"
}
resident() { echo $(($(status_field "$WORK/mount" resident_bytes) >> 20)); }
field_of() { status_field "$WORK/mount" "$1"; }
# in_mode MODE: everything, in one coherence mode. The kernel's caches are warm for the native tree and cold for ours.
in_mode() {
    local mode="$1" mounting what native first again memory theirs ours native_cpu first_cpu again_cpu
    mounting="$(milliseconds mount_tree "$SOURCE" "$WORK/mount" "coherence=$mode")"
    say "$mode: mounted in $mounting ms; daemon $(resident) MB"
    check "$mode: mounted in under 1 s" test "$mounting" -lt 1000
    daemon="$(daemon_pid "$WORK/mount")"
    find "$SOURCE" >/dev/null
    for what in names sizes; do
        case "$what" in
        # All of it, with the __pycache__ directories.
        names) theirs=(find "$SOURCE") ours=(find "$WORK/mount") ;;
        # Every file is looked up and held by the kernel. An entry's size would need its source's text.
        *)
            theirs=(find "$SOURCE" -name __pycache__ -prune -o -printf %s)
            ours=(find "$WORK/mount" -name __pycache__ -prune -o -printf %s)
            ;;
        esac
        cost native "${theirs[@]}"
        cost first "${ours[@]}"
        cost again "${ours[@]}"
        memory="$(resident)"
        say "$mode: find, $what: native $native ms, first $first ms, again $again ms;" \
            "of processor time $native_cpu, $first_cpu, $again_cpu ms; daemon $memory MB, $(field_of inodes) inodes"
        # A look at each file is a request each; the names alone are a few for each directory.
        if [ "$what" = names ]; then
            same "$mode: as many names" "$("${theirs[@]}" | wc -l)" "$("${ours[@]}" | wc -l)"
            check "$mode: find: at most 3 x native" test "$first" -le $((native * 3))
        fi
        check "$mode: find, $what: daemon below 150 MB" test "$memory" -lt 150
    done
    same "$mode: nothing was compiled" 0 "$(field_of compiles)"
    echo 2 >/proc/sys/vm/drop_caches
    sleep 3
    memory="$(resident)"
    say "$mode: after the kernel forgot: daemon $memory MB, $(field_of inodes) inodes"
    check "$mode: back below 60 MB" test "$memory" -lt 60
    unmount_tree "$WORK/mount"
}
in_mode strict
in_mode watch
finish
