#!/usr/bin/env bash
# A tree of many files: time to mount, find against the native tree, and the daemon's memory after and when the kernel
# has forgotten. As root, since the kernel's caches are dropped.
#   large_tree.sh [FILES]   (default 1000000)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

FILES="${1:-1000000}"
[ "$(id -u)" -eq 0 ] || die "needs root"
find_pycfs
start_work
"$(any_python)" - "$WORK/source" "$FILES" <<'PY'
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
resident() { echo $(($(status_field "$WORK/mount" resident_bytes) >> 20)); }
mounting="$(milliseconds mount_tree "$WORK/source" "$WORK/mount")"
say "mounted in $mounting ms; daemon $(resident) MB"
check "mounted in under 1 s" test "$mounting" -lt 1000
find "$WORK/source" >/dev/null
for what in "" "-printf %s"; do
    # shellcheck disable=SC2086  # options of find
    native="$(milliseconds find "$WORK/source" $what)"
    # shellcheck disable=SC2086
    ours="$(milliseconds find "$WORK/mount" -name __pycache__ -prune -o $what -true)"
    # shellcheck disable=SC2086
    again="$(milliseconds find "$WORK/mount" -name __pycache__ -prune -o $what -true)"
    memory="$(resident)"
    say "find ${what:-(names)}: native $native ms, first $ours ms, again $again ms; daemon $memory MB, $(status_field "$WORK/mount" inodes) inodes"
    check "find ${what:-(names)}: at most 3 x native" test "$ours" -le $((native * 3))
    check "find ${what:-(names)}: daemon below 150 MB" test "$memory" -lt 150
done
compiles="$(status_field "$WORK/mount" compiles)"
same "nothing was compiled" 0 "$compiles"
echo 2 >/proc/sys/vm/drop_caches
sleep 3
memory="$(resident)"
say "after the kernel forgot: daemon $memory MB, $(status_field "$WORK/mount" inodes) inodes"
check "back below 60 MB" test "$memory" -lt 60
unmount_tree "$WORK/mount"
finish
