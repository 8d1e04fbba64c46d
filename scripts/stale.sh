#!/usr/bin/env bash
# Edits that CPython's own cache does not notice: a module is changed N times within the same second and at the
# same size, and after each edit a new interpreter imports it. Through the mount no import may be stale; the
# same without pycfs, CPython alone on the real folder, is shown beside it. An answer that is right a moment later is
# told of as late: one in twenty may be, where other programs or other machines take the processor.
#   stale.sh [N]   (default 1000; the other kinds of edit run N/10 times, with the newest interpreter)
# PYCFS_INTERPRETERS="PATH…" names the interpreters, PYCFS_COHERENCE the mode (default: the one that the mount chooses).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

COUNT="${1:-1000}"
FEW=$((COUNT / 10 > 10 ? COUNT / 10 : 10))
find_pycfs
start_work
mkdir "$WORK/source"
# No wait and no barrier between an edit and its reader: a process takes longer to start than an event to arrive.
mount_tree "$WORK/source" "$WORK/mount" "coherence=${PYCFS_COHERENCE:-auto}"
say "coherence: $(status_field "$WORK/mount" mode)"

table="$(printf '%-10s %-22s %6s | %12s %4s %7s | %12s' CPython edit edits 'pycfs: stale' late cached 'alone: stale')"
run=0
# compare INTERPRETER EDIT COUNT
compare() {
    local python="$1" edit="$2" count="$3" name stale wrong cached late alone
    name="$(release_of "$python") $edit"
    run=$((run + 1))
    mkdir "$WORK/source/$run" "$WORK/native-$run"
    read -r stale wrong cached late _ < <("$(any_python)" "$SCRIPTS/stale.py" "$python" "$edit" "$count" "$WORK/source/$run" "$WORK/mount/$run")
    read -r alone _ < <("$(any_python)" "$SCRIPTS/stale.py" "$python" "$edit" "$count" "$WORK/native-$run" "$WORK/native-$run")
    same "$name: $count edits, 0 stale, 0 other failures" "0 0" "$stale $wrong"
    same "$name: every import found a cache" "$count" "$cached"
    check "$name: $late of them late" test "$late" -le $((count / 20 > 1 ? count / 20 : 1))
    table+="$(printf '\n%-10s %-22s %6d | %6d %4d%% %4d %7d | %6d %4d%%' "${name% *}" "$edit" "$count" \
        "$stale" $((stale * 100 / count)) "$late" "$cached" "$alone" $((alone * 100 / count)))"
}

mapfile -t found < <(interpreters)
[ "${#found[@]}" -gt 0 ] || die "no CPython on this machine"
for python in "${found[@]}"; do compare "$python" rewrite "$COUNT"; done
newest="${found[-1]}"
for edit in rename-over recreate mtime-set-back rename-mtime-set-back symlink-flip recreate-folder shared-mapping; do
    compare "$newest" "$edit" "$FEW"
done
check "the mount is unmounted" unmount_tree "$WORK/mount"
printf '%s\n' "$table"
finish
