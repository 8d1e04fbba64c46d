#!/usr/bin/env bash
# A real application imported through the mount by each interpreter of this machine: the reader finds a valid
# cache for each module, compiles nothing, writes nothing, and the source tree stays as it was.
# PYCFS_INTERPRETERS="PATH…" names the interpreters; PYCFS_INVALIDATION=checked-hash, for one, the pyc's kind.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

MINIMUM=800
find_pycfs
"$SCRIPTS/apptree.sh"
start_work

table="$(printf '%-10s %8s %8s %9s %8s %8s %9s' CPython modules matched compiled written refused seconds)"
mapfile -t found < <(interpreters)
[ "${#found[@]}" -gt 0 ] || die "no CPython on this machine"
options=()
if [ -n "${PYCFS_INVALIDATION:-}" ]; then options=("invalidation-mode=$PYCFS_INVALIDATION"); fi

for group in old new; do
    tree="$APPTREE/$group"
    # An interpreter for each version that reads this tree.
    readers=()
    for python in "${found[@]}"; do
        if [ "$(app_tree_for "$python")" = "$tree" ]; then readers+=("$python"); fi
    done
    [ "${#readers[@]}" -gt 0 ] || continue
    "$(any_python)" "$SCRIPTS/inventory.py" "$tree" >"$WORK/before"
    mount_tree "$tree" "$WORK/$group" "${options[@]}"
    for python in "${readers[@]}"; do
        name="$(release_of "$python")"
        PYTHONDONTWRITEBYTECODE=1 "$python" "$SCRIPTS/import_all.py" "$tree" --write "$WORK/names" >/dev/null 2>&1
        native="$(PYTHONDONTWRITEBYTECODE=1 "$python" "$SCRIPTS/import_all.py" "$tree" --read "$WORK/names" 2>/dev/null | tail -n 1)" || true
        start="$(date +%s.%N)"
        ours="$("$python" -v "$SCRIPTS/import_all.py" "$WORK/$group" --read "$WORK/names" 2>"$WORK/log" | tail -n 1)" || true
        seconds="$(awk -v start="$start" -v end="$(date +%s.%N)" 'BEGIN { printf "%.1f", end - start }')"
        read -r matched compiled written refused < <("$(any_python)" "$SCRIPTS/verbose_report.py" "$WORK/log" "$WORK/$group")
        modules="$(awk '{ print $2 }' <<<"$ours")"
        table+="$(printf '\n%-10s %8s %8s %9s %8s %8s %9s' "$name" "$modules" "$matched" "$compiled" "$written" "$refused" "$seconds")"
        same "$name imports what it imports natively" "$native" "$ours"
        check "$name: at least $MINIMUM modules, a cache that matches for each" \
            test "${modules:-0}" -ge "$MINIMUM" -a "$matched" -ge "${modules:-0}"
        same "$name compiles nothing and writes nothing" "0 0 0" "$compiled $written $refused"
        if [ "$compiled" -gt 0 ]; then
            grep -m 5 -E "^# code object from ['\"]?$WORK/$group/.*\.py['\"]?$" "$WORK/log" | sed 's/^/        /'
        fi
    done
    check "$group: the mount is unmounted" unmount_tree "$WORK/$group"
    "$(any_python)" "$SCRIPTS/inventory.py" "$tree" >"$WORK/after"
    check "$group: the inventory of the source tree is unchanged" cmp "$WORK/before" "$WORK/after"
done
printf '%s\n' "$table"
finish
