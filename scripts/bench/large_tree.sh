#!/usr/bin/env bash
# A tree of many files: time to mount, find against the native tree, and the daemon's memory after and when the kernel
# has forgotten. As root, since the kernel's caches are dropped.
#   large_tree.sh [FILES]   (default 1000000)
# Last figures (Linux 6.18, two idle processors; the native tree has 0.34 s for 1,010,201 names): 2,020,201 names in 4.7 s in
# `strict`, then 3.3; in `watch` 4.4 s, then 0.6; half of that is find's own share, and the daemon has 2.0 s of processor time. With a look
# at each file it has at most 92 MB, since the kernel is asked to forget; when it has forgotten all, 30 MB. The first find is
# requests: three for each directory and three for its __pycache__.
# PYCFS_LARGE_TREE=DIR is a tree that an earlier run made; it is kept, and made there if it is missing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

FILES="${1:-1000000}"
[ "$(id -u)" -eq 0 ] || die "needs root"
find_pycfs
start_work
SOURCE="${PYCFS_LARGE_TREE:-$WORK/source}"
[ -d "$SOURCE" ] || "$(any_python)" - "$SOURCE" "$FILES" <<'PY'
import os, sys
root, count = sys.argv[1], int(sys.argv[2])
for first in range(0, count, 100):
    folder = os.path.join(root, "d%03d" % (first // 100 % 200), "p%05d" % (first // 100))
    os.makedirs(folder)
    for number in range(first, min(first + 100, count)):
        os.close(os.open(os.path.join(folder, "m%07d.py" % number), os.O_WRONLY | os.O_CREAT))
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
        # All of it, with its __pycache__ directories: twice as many names as the native tree has.
        names) theirs=(find "$SOURCE") ours=(find "$WORK/mount") ;;
        # Every file is looked up and held by the kernel. An entry's size would need its source's text.
        *)
            theirs=(find "$SOURCE" -printf %s)
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
