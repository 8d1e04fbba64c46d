#!/usr/bin/env bash
# Import of the application tree through the mount, as ratios to the same tree read natively. In each round all
# ways run one after the other, so that a slow moment of the machine hits them alike; medians of the seconds and of
# the ratios within a round are printed. Peers: the tree without pycs, PYTHONPYCACHEPREFIX, bindfs with its defaults.
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
# Whoever ran something in it may have left pycs, and then nothing here is without.
[ -z "$(find "$tree" -name __pycache__ -print -quit)" ] || die "somebody left pycs in $tree: remove them"
for copy in source warm nopyc; do cp -a "$tree" "$WORK/$copy"; done
# One for each round: ext4 makes files slowly for minutes after many were deleted.
for round in $(seq 1 "$ROUNDS"); do cp -a "$tree" "$WORK/cold-$round"; done
sync
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
PYTHONPYCACHEPREFIX="$WORK/prefix" import_from "$WORK/nopyc" >/dev/null || true
STORE="$WORK/warm-store" mount_tree "$WORK/source" "$WORK/mount"
import_from "$WORK/mount" >/dev/null || true
unmount_tree "$WORK/mount"
bindfs=
if [ "$(id -u)" -eq 0 ] && install bindfs; then
    mkdir "$WORK/bindfs"
    bindfs "$WORK/warm" "$WORK/bindfs" && bindfs=1
fi
# warm_in MODE: a second import through a mount in that mode; nothing else happens between the two.
warm_in() {
    STORE="$WORK/warm-store" mount_tree "$WORK/source" "$WORK/mount" "coherence=$1"
    if [ "$1" = watch ]; then timed fresh-mount "$WORK/mount"; else import_from "$WORK/mount" >/dev/null || true; fi
    timed "$1" "$WORK/mount"
    unmount_tree "$WORK/mount"
}
for round in $(seq 1 "$ROUNDS"); do
    import_from "$WORK/warm" >/dev/null || true
    timed native-warm "$WORK/warm"
    warm_in watch
    warm_in strict
    if [ -n "$bindfs" ]; then
        import_from "$WORK/bindfs" >/dev/null || true
        timed bindfs "$WORK/bindfs"
    fi
    PYTHONPYCACHEPREFIX="$WORK/prefix" timed prefix "$WORK/nopyc"
    PYTHONDONTWRITEBYTECODE=1 timed no-pycs "$WORK/nopyc"
    timed native-cold "$WORK/cold-$round"
    STORE="$WORK/store-$round" mount_tree "$WORK/source" "$WORK/mount"
    timed cold-store "$WORK/mount"
    unmount_tree "$WORK/mount"
done
[ -z "$bindfs" ] || umount "$WORK/bindfs"

# ratio NAME: the median of the ratios to the native import of the same round.
ratio() { paste "$WORK/times-$1" "$WORK/times-native-warm" | awk '{ print $1 / $2 }' | sort -n | awk '{ all[NR] = $1 } END { printf "%.3f\n", all[int((NR + 1) / 2)] }'; }
say "CPython $(release_of "$python"), $expected, $ROUNDS rounds, seconds a process"
printf '%-34s %8s %8s  %s\n' way median fastest "of native, valid pycs"
for name in native-warm watch strict fresh-mount cold-store bindfs prefix no-pycs native-cold; do
    [ -e "$WORK/times-$name" ] || continue
    case "$name" in
    native-warm) label="native, valid pycs" ;;
    native-cold) label="native, no pycs, writes them" ;;
    no-pycs) label="native, no pycs" ;;
    prefix) label="native, PYTHONPYCACHEPREFIX" ;;
    bindfs) label="bindfs over valid pycs" ;;
    cold-store) label="pycfs, empty store" ;;
    fresh-mount) label="pycfs, warm store, fresh mount" ;;
    *) label="pycfs, warm, $name" ;;
    esac
    printf '%-34s %8s %8s  %s\n' "$label" "$(median "$name")" "$(fastest "$name")" "$(ratio "$name")"
done
at_most() { awk -v ours="$1" -v limit="$2" 'BEGIN { exit !(ours <= limit) }'; }
check "warm, watch: at most 1.05 of native" at_most "$(ratio watch)" 1.05
check "warm, strict: at most 1.15 of native" at_most "$(ratio strict)" 1.15
check "warm store, fresh mount: at most 1.25 of native" at_most "$(ratio fresh-mount)" 1.25
check "empty store: at most 1.6 of native with valid pycs" at_most "$(ratio cold-store)" 1.6
finish
