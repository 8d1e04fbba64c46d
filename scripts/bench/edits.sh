#!/usr/bin/env bash
# How soon an edit of the source is visible through the mount without a barrier: the distribution in microseconds, in
# each mode. In `strict` it is the time of one open and read.
#   edits.sh [EDITS]   (default 5000)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

COUNT="${1:-5000}"
find_pycfs
start_work
mkdir "$WORK/source"
declare -A line
for mode in watch strict; do
    printf 'value = %08d\n' 0 >"$WORK/source/mod.py"
    mount_tree "$WORK/source" "$WORK/mount" "coherence=$mode"
    line[$mode]="$("$(any_python)" "$SCRIPTS/bench/edits.py" "$WORK/source/mod.py" "$WORK/mount/mod.py" "$COUNT")"
    say "$mode: ${line[$mode]}"
    unmount_tree "$WORK/mount"
done
p99="$(sed -n 's/.* p99 \([0-9]*\) .*/\1/p' <<<"${line[watch]}")"
check "watch: visible within 1 ms at p99 ($p99 µs)" test "$p99" -le 1000
finish
