#!/usr/bin/env bash
# System calls that fail inside the daemon while readers import through it (strace's fault injection).
#   inject.sh [SECONDS]    default 4 for each pair of a call and an error
# Each round every seventh call of the kind fails, in each thread of the daemon, while a reader imports modules that were never
# compiled. No import is wrong and none waits longer than the deadlines; when the errors stop, all is served compiled again.
# Last counts: 106 checks, 0 failed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SECONDS_EACH="${1:-4}"
SOME=60
[ "$(id -u)" -eq 0 ] || die "it needs root"
install strace
find_pycfs
start_work
PYTHON="$(any_python)"
if ! strace -e trace=none true 2>/dev/null; then
    skip "this machine does not let strace trace"
    PASSED=1
    finish
    exit
fi
make() { "$PYTHON" "$SCRIPTS/modules.py" make "$@"; }
import_from() { timeout 120 "$PYTHON" -ISE "$SCRIPTS/modules.py" import "$@"; }
TRACER=""
on_exit() { if [ -n "$TRACER" ] && is_running "$TRACER"; then kill "$TRACER"; fi; }

generation=0
make "$WORK/src" "$SOME" 0
mount_tree "$WORK/src" "$WORK/mount"
daemon="$(daemon_pid "$WORK/mount")"
import_from "$WORK/mount" "$SOME" 0 >/dev/null
before="$(ls "/proc/$daemon/fd" | wc -l) descriptors, $(ls "/proc/$daemon/task" | wc -l) threads"

all_is_served() {
    generation=$((generation + 1))
    make "$WORK/src" "$SOME" "$generation"
    [ "$(import_from "$WORK/mount" "$SOME" "$generation" | cut -d' ' -f1-3)" = "$SOME 0 0" ]
}

# inject CALL ERRNO. `read` and `writev` are left out: they are the connection to the kernel, where an error that the kernel
# never gives would end the session.
inject() {
    local call="$1" errno="$2" answer rounds=0 right_all=0 wrong_all=0 compiled_all=0 slowest=0 end
    local right wrong compiled seconds when=3+7
    # What is called seldom fails more often.
    case "$call" in mmap | rename* | ftruncate*) when=1+2 ;; esac
    strace -f -q -o "$WORK/trace" -p "$daemon" -e "trace=$call" -e "inject=$call:error=$errno:when=$when" 2>"$WORK/strace.log" &
    TRACER=$!
    attached() { grep -q "^TracerPid:.*$TRACER" "/proc/$daemon/status"; }
    if ! wait_until 20 attached; then
        fail "$call $errno: strace does not attach: $(cat "$WORK/strace.log")"
        return
    fi
    end=$(($(date +%s) + SECONDS_EACH))
    while [ "$(date +%s)" -lt "$end" ]; do
        generation=$((generation + 1))
        make "$WORK/src" "$SOME" "$generation"
        answer="$(import_from "$WORK/mount" "$SOME" "$generation" 2>"$WORK/errors" || true)"
        read -r right wrong compiled seconds <<<"${answer:-0 $SOME 0 999}"
        if [ "$wrong" -ne 0 ]; then head -n 1 "$WORK/errors"; fi
        right_all=$((right_all + right)) wrong_all=$((wrong_all + wrong)) compiled_all=$((compiled_all + compiled))
        slowest="$(awk -v a="$slowest" -v b="$seconds" 'BEGIN { print (a > b) ? a : b }')"
        rounds=$((rounds + 1))
    done
    kill -INT "$TRACER" 2>/dev/null || true
    wait "$TRACER" 2>/dev/null || true
    TRACER=""
    local failed
    failed="$(grep -c INJECTED "$WORK/trace" || true)"
    check "$call fails with $errno: $failed times; $right_all imports right, $compiled_all of them compiled by the reader, the slowest $SOME took $slowest s" \
        test "$wrong_all" -eq 0
    if [ "$failed" -eq 0 ]; then skip "$call $errno: the daemon made no such call"; fi
    check "$call $errno: no reader waited" awk -v got="$slowest" 'BEGIN { exit !(got < 60) }'
    check "$call $errno: the daemon lives" test "$(daemon_pid "$WORK/mount")" = "$daemon"
    # An interpreter that did not start is left alone for some seconds.
    check "$call $errno: afterwards all is served compiled" wait_until 20 all_is_served
}

# An error of the source's own disk is the source's: readers get it from the mount as from the source. So EIO and ENOSPC are
# injected where the daemon has a choice: writing to the store and to the compilers, renaming, memory.
for errno in EMFILE ENOMEM EINTR EAGAIN; do
    for call in openat2 openat statx pread64; do inject "$call" "$errno"; done
done
for errno in EIO ENOSPC EINTR; do
    inject write "$errno"
    inject rename,renameat,renameat2 "$errno"
    inject ftruncate,fallocate,unlink,unlinkat "$errno"
done
inject mmap ENOMEM
sleep 2
say "before: $before; after: $(ls "/proc/$daemon/fd" | wc -l) descriptors, $(ls "/proc/$daemon/task" | wc -l) threads"
check "descriptors are no more than before and a few" \
    test "$(ls "/proc/$daemon/fd" | wc -l)" -le $((${before%% *} + 16))
check "it is unmounted" unmount_tree "$WORK/mount"
finish
