#!/usr/bin/env bash
# Import of the application tree through the mount, as ratios to the same tree read natively. In each round all
# five ways run one after the other, so that a slow moment of the machine hits them alike; medians are printed.
#   import.sh [ROUNDS]   (default 9)
# PYCFS_BENCH_PYTHON=PATH names the interpreter (default: CPython 3.13, else the newest).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

ROUNDS="${1:-9}"
find_pycfs
"$SCRIPTS/apptree.sh" >/dev/null
start_work
python="${PYCFS_BENCH_PYTHON:-$(interpreters | grep -m 1 '3\.13$' || interpreters | tail -n 1)}"
tree="$(app_tree_for "$python")"
for copy in source cold warm; do cp -a "$tree" "$WORK/$copy"; done
PYTHONDONTWRITEBYTECODE=1 "$python" "$SCRIPTS/import_all.py" "$tree" --write "$WORK/names" >/dev/null 2>&1

import_from() { "$python" "$SCRIPTS/import_all.py" "$1" --read "$WORK/names" 2>/dev/null; }
# timed NAME DIR: one import in a new process; its seconds are appended to $WORK/NAME.
timed() {
    local start="$EPOCHREALTIME" answer
    answer="$(import_from "$2")" || true
    awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.4f\n", end - start }' >>"$WORK/times-$1"
    if [ "$answer" != "$expected" ]; then die "$1: '$answer' instead of '$expected'"; fi
}
median() { sort -n "$WORK/times-$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
fastest() { sort -n "$WORK/times-$1" | head -n 1; }

expected="$(import_from "$WORK/warm" || true)"
import_from "$WORK/warm" >/dev/null || true
STORE="$WORK/warm-store" mount_tree "$WORK/source" "$WORK/mount"
import_from "$WORK/mount" >/dev/null || true
unmount_tree "$WORK/mount"
for round in $(seq 1 "$ROUNDS"); do
    find "$WORK/cold" -name __pycache__ -prune -exec rm -rf {} +
    rm -rf "$WORK/store-$round"
    timed native-warm "$WORK/warm"
    timed native-cold "$WORK/cold"
    STORE="$WORK/store-$round" mount_tree "$WORK/source" "$WORK/mount"
    timed cold-store "$WORK/mount"
    unmount_tree "$WORK/mount"
    rm -rf "$WORK/store-$round"
    STORE="$WORK/warm-store" mount_tree "$WORK/source" "$WORK/mount"
    timed fresh-mount "$WORK/mount"
    timed warm-mount "$WORK/mount"
    unmount_tree "$WORK/mount"
done

native_warm="$(median native-warm)"
native_cold="$(median native-cold)"
say "CPython $(release_of "$python"), $expected, $ROUNDS rounds, seconds a process"
printf '%-34s %8s %8s  %s\n' way median fastest ratio
for name in native-warm native-cold cold-store fresh-mount warm-mount; do
    case "$name" in
    native-warm) label="native, valid pycs" against="" ;;
    native-cold) label="native, no pycs, writes them" against="" ;;
    cold-store) label="pycfs, empty store" against="$native_cold of native cold" ;;
    fresh-mount) label="pycfs, warm store, fresh mount" against="$native_warm of native warm" ;;
    warm-mount) label="pycfs, warm mount" against="$native_warm of native warm" ;;
    esac
    printf '%-34s %8s %8s' "$label" "$(median "$name")" "$(fastest "$name")"
    if [ -n "$against" ]; then
        awk -v ours="$(median "$name")" -v base="${against%% *}" -v words="${against#* }" 'BEGIN { printf "  %.2f %s", ours / base, words }'
    fi
    printf '\n'
done
at_most() { awk -v ours="$1" -v base="$2" -v limit="$3" 'BEGIN { exit !(ours <= base * limit) }'; }
check "empty store: not slower than CPython's own cold import" at_most "$(median cold-store)" "$native_cold" 1.0
check "warm store, fresh mount: at most 2.0 of native warm" at_most "$(median fresh-mount)" "$native_warm" 2.0
check "warm mount: at most 1.5 of native warm" at_most "$(median warm-mount)" "$native_warm" 1.5
finish
