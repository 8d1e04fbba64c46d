#!/usr/bin/env bash
# The bundled VM beside CPython 3.13 in one run: start-up of nothing and of an application of 300 modules (cold, warm,
# without caches), four small programs, memory, the program's size; then what a mount pays for having the VM in it.
#   vm.sh [ROUNDS]   (default 5)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

find_pycfs_with_vm
start_work
python="${PYCFS_BENCH_PYTHON:-$(interpreters | grep -m 1 '3\.13$' || interpreters | tail -n 1)}"
"$(any_python)" "$SCRIPTS/vm/make_app.py" "$WORK/app" 300
say "CPython $(release_of "$python")"
"$(any_python)" "$SCRIPTS/bench/vm.py" "$PYCFS" "$python" "$WORK/app" "$WORK/vm-store" "${1:-5}"
strip -o "$WORK/stripped" "$PYCFS"
say "size of the program, stripped: $(($(stat -c %s "$WORK/stripped") / 1000000)) MB"
if [ -e /dev/fuse ]; then
    mkdir "$WORK/mount"
    for _ in 1 2 3 4 5; do
        start="$EPOCHREALTIME"
        "$PYCFS" mount -o "store=$WORK/store" "$WORK/app" "$WORK/mount" </dev/null
        awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", (end - start) * 1000 }' >>"$WORK/starts"
        "$python" -B "$WORK/mount/app.py" >/dev/null
        pid="$(daemon_pid "$WORK/mount")"
        awk '$1 == "VmRSS:" { printf "%.0f\n", $2 / 1024 }' "/proc/$pid/status" >>"$WORK/resident"
        unmount_tree "$WORK/mount"
    done
    started="$(sort -n "$WORK/starts" | sed -n 3p)"
    resident="$(sort -n "$WORK/resident" | sed -n 3p)"
    check "a mount starts in at most 30 ms ($started ms, median of 5)" awk -v ours="$started" 'BEGIN { exit !(ours <= 30) }'
    check "its daemon stays below 40 MB ($resident MB after an import of 300 modules)" test "$resident" -lt 40
else
    skip "the mount: this machine has no /dev/fuse"
fi
finish
