#!/usr/bin/env bash
# The daemon's resident memory: idle, after serving a large tree with an empty store, and after serving it again
# from another mount with the warm store. Workers are counted apart.
#   memory.sh [MODULES]   (default 10000)
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

MODULES="${1:-10000}"
find_pycfs
start_work
python="$(any_python)"
"$python" "$SCRIPTS/modules.py" make "$WORK/source" "$MODULES"

# of NAME PID: a figure of /proc/PID/status in kB.
of() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$2/status"; }
workers() {
    local each sum=0
    for each in $(pgrep -P "$1" || true); do sum=$((sum + $(of VmRSS "$each" || echo 0))); done
    printf '%d' "$sum"
}
report() { printf '%-34s %8d %8d %10d %8d\n' "$1" "$(of VmRSS "$daemon")" "$(of VmHWM "$daemon")" "$(workers "$daemon")" "$(find "/proc/$daemon/fd" -mindepth 1 | wc -l)"; }
serve() {
    local right wrong compiled
    read -r right wrong compiled _ < <("$python" -ISE "$SCRIPTS/modules.py" import "$WORK/mount" "$MODULES")
    same "$MODULES modules are served compiled" "$MODULES 0 0" "$right $wrong $compiled"
}

printf '%-34s %8s %8s %10s %8s\n' 'kB' resident peak workers descriptors
mount_tree "$WORK/source" "$WORK/mount"
daemon="$(daemon_pid "$WORK/mount")"
sleep 2
report idle
idle="$(of VmRSS "$daemon")"
serve
report "after $MODULES modules, empty store"
served="$(of VmRSS "$daemon")"
find "$WORK/mount" -type f -name '*.py' -exec cat {} + >/dev/null
report "after reading every source as well"
unmount_tree "$WORK/mount"
mount_tree "$WORK/source" "$WORK/mount"
daemon="$(daemon_pid "$WORK/mount")"
serve
report "after $MODULES modules, warm store"
warm="$(of VmRSS "$daemon")"
check "idle: at most 40 MB ($idle kB)" test "$idle" -le 40960
check "after $MODULES modules: at most 100 MB ($served kB)" test "$served" -le 102400
check "after $MODULES modules, warm store: at most 100 MB ($warm kB)" test "$warm" -le 102400
check "the mount is unmounted" unmount_tree "$WORK/mount"
finish
