#!/usr/bin/env bash
# `pycfs compile -j2` against `python -m compileall -j2` on a copy of the standard library, as ratios. In each
# round all ways run one after the other, so that a slow moment of the machine hits them alike; medians are
# printed. The trees that come out are compared.
#   compileall.sh [ROUNDS]   (default 5)
# PYCFS_BENCH_PYTHON=PATH names the interpreter (default: CPython 3.13, else the newest).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

ROUNDS="${1:-5}"
find_pycfs
start_work
python="${PYCFS_BENCH_PYTHON:-$(interpreters | grep -m 1 '3\.13$' || interpreters | tail -n 1)}"
version="$(version_of "$python")"
library="$("$python" -I -S -c 'import os; print(os.path.dirname(os.__file__))')"
mkdir "$WORK/pristine" "$WORK/lib" "$WORK/gone"
tar -C "$library" --exclude=__pycache__ --exclude=site-packages -cf - . | tar -C "$WORK/pristine" -xf -

# Takes the pycs out of the way. They are not deleted: ext4 makes new files slowly while it avoids the inodes of
# files that were deleted within the last seconds.
forget() {
    mv "$WORK/lib" "$(mktemp -d -p "$WORK/gone")"
    cp -a "$WORK/pristine" "$WORK/lib"
}
# timed NAME COMMAND...: one run without pycs before it; its seconds are appended to $WORK/times-NAME. The
# library has files that do not compile: status 1 is right.
timed() {
    local name="$1" start status=0
    shift
    forget
    start="$EPOCHREALTIME"
    "$@" >"$WORK/text-$name" 2>/dev/null || status=$?
    awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.4f\n", end - start }' >>"$WORK/times-$name"
    if [ "$status" -gt 1 ]; then die "$name: status $status"; fi
    (cd "$WORK/lib" && find . -name '*.pyc' -exec sha256sum {} + | sort -k2) >"$WORK/tree-$name"
}
median() { sort -n "$WORK/times-$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
fastest() { sort -n "$WORK/times-$1" | head -n 1; }
ours() { "$PYCFS" compile --python "$version" --interpreter "$python" -q "$@" "$WORK/lib"; }
theirs() { "$python" -m compileall -q "$@" "$WORK/lib"; }

forget
ours -j2 --store "$WORK/warm" >/dev/null 2>&1 || true
for round in $(seq 1 "$ROUNDS"); do
    timed compileall-1 theirs -j1
    timed compileall-2 theirs -j2
    timed cold ours -j2 --store "$WORK/cold-$round"
    rm -rf "$WORK/cold-$round"
    timed none ours -j2 --no-store
    timed warm ours -j2 --store "$WORK/warm"
    timed warm-1 ours -j1 --store "$WORK/warm"
done

reference="$(median compileall-2)"
files="$(find "$WORK/lib" -name '*.py' | wc -l)"
say "CPython $(release_of "$python"), $files files, $ROUNDS rounds, seconds a run"
printf '%-34s %8s %8s  %s\n' way median fastest 'compileall -j2 takes'
for name in compileall-1 compileall-2 cold none warm warm-1; do
    case "$name" in
    compileall-1) label="compileall -j1" ;;
    compileall-2) label="compileall -j2" ;;
    cold) label="pycfs compile -j2, empty store" ;;
    none) label="pycfs compile -j2 --no-store" ;;
    warm) label="pycfs compile -j2, warm store" ;;
    warm-1) label="pycfs compile -j1, warm store" ;;
    esac
    awk -v label="$label" -v median="$(median "$name")" -v fastest="$(fastest "$name")" -v reference="$reference" \
        'BEGIN { printf "%-34s %8.3f %8.3f  %.2f times as long\n", label, median, fastest, reference / median }'
done

at_most() { awk -v value="$1" -v limit="$2" 'BEGIN { exit !(value <= limit) }'; }
check "empty store: not slower than compileall -j2" at_most "$(median cold)" "$reference"
check "no store: not slower than compileall -j2" at_most "$(median none)" "$reference"
check "warm store: at least 10 times as fast as compileall -j2" at_most "$(median warm)" "$(awk -v all="$reference" 'BEGIN { print all / 10 }')"
for name in cold none warm; do
    differing="$({ diff "$WORK/tree-compileall-1" "$WORK/tree-$name" || true; } | awk '/^[<>]/ { print $3 }' | sort -u)"
    say "$name: $(printf '%s' "$differing" | grep -c . || true) of $(wc -l <"$WORK/tree-$name") pycs differ from compileall -j1's"
    if [ -n "$differing" ]; then printf '%s\n' "$differing" | head -n 20; fi
    same "$name: the same names" "$(awk '{ print $2 }' "$WORK/tree-compileall-1" | sort)" "$(awk '{ print $2 }' "$WORK/tree-$name" | sort)"
    same "$name: the same text as compileall -j1" "$(cat "$WORK/text-compileall-1")" "$(cat "$WORK/text-$name")"
done
finish
