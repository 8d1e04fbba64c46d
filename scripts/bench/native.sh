#!/usr/bin/env bash
# The native compiler against compile() of the references: throughput over a whole standard library with its
# tests, with one and two threads; memory for it, and for single large files; latency of a single module. In each
# round all ways run one after the other, so that a slow moment of the machine hits them alike; medians are
# printed, and ratios pair by pair.
#   native.sh [ROUNDS]   (default 5)
# PYCFS_BENCH_MINOR=Y: ours as 3.Y (default 13). PYCFS_NATIVE_BENCH=PATH: a built native_bench.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

ROUNDS="${1:-5}"
MINOR="${PYCFS_BENCH_MINOR:-13}"
library="$REFERENCES/sid/usr/lib/python3.13"
[ -d "$library" ] || die "no reference in $REFERENCES: run scripts/references.sh"
start_work
bench="${PYCFS_NATIVE_BENCH:-}"
if [ -z "$bench" ]; then
    (cd "$REPOSITORY" && cargo build --profile dist --locked --quiet --example native_bench) </dev/null
    bench="${CARGO_TARGET_DIR:-$REPOSITORY/target}/dist/examples/native_bench"
fi
find "$library" -name '*.py' -type f -not -path '*/site-packages/*' | LC_ALL=C sort >"$WORK/list"

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
# timed NAME COMMAND...: bytes and seconds of a run to $WORK/NAME as MB/s.
timed() {
    local name="$1"
    shift
    "$@" <"$WORK/list" | awk '{ printf "%.3f\n", $1 / $2 / 1e6 }' >>"$WORK/$name"
}
for _ in $(seq 1 "$ROUNDS"); do
    timed ours-1 "$bench" speed "$MINOR" "$WORK/list" 1
    timed ours-2 "$bench" speed "$MINOR" "$WORK/list" 2
    for version in 3.13 3.14; do
        python="$REFERENCES/bin/python$version"
        if [ -x "$python" ]; then timed "python$version" "$python" -I -S "$SCRIPTS/bench/native.py" speed; fi
    done
done
# ratio A B: the median of A/B round by round.
ratio() { paste "$WORK/$1" "$WORK/$2" | awk '{ print $1 / $2 }' | median; }

say "$(wc -l <"$WORK/list") files, ours as 3.$MINOR, $ROUNDS rounds; MB/s of source, median"
for name in ours-1 ours-2 python3.13 python3.14; do
    if [ -f "$WORK/$name" ]; then printf '%-12s %7.1f\n' "$name" "$(median <"$WORK/$name")"; fi
done
at_least() { awk -v value="$1" -v limit="$2" 'BEGIN { exit !(value >= limit) }'; }
at_most() { at_least "$2" "$1"; }
one="$(median <"$WORK/ours-1")"
check "one thread: at least 30 MB/s ($one)" at_least "$one" 30
if [ -f "$WORK/python3.14" ]; then
    times="$(ratio ours-1 python3.14)"
    check "one thread: at least 4 times compile() of CPython 3.14 ($times)" at_least "$times" 4
else
    skip "no CPython 3.14"
fi
times="$(ratio ours-2 ours-1)"
check "two threads: at least 1.8 times one ($times)" at_least "$times" 1.8

peak="$("$bench" memory "$MINOR" "$WORK/list")"
check "the standard library: at most 150 MB ($((peak / 1024)) MB)" at_most "$peak" 153600

read -r count p50 p90 p99 < <("$bench" latency "$MINOR" "$WORK/list")
say "$count modules of 10 to 20 KB through the compiler's trait: median $p50 µs, 90th $p90, 99th $p99"
check "a module: well below 0.5 ms at the median" at_most "$p50" 450

mkdir "$WORK/large"
"$(any_python)" "$SCRIPTS/bench/large_sources.py" "$WORK/large" 10 "$library"
for path in "$WORK"/large/*.py; do
    read -r bytes seconds kilobytes verdict < <(timeout 100 "$bench" file "$MINOR" "$path" || echo "1 1 999999 failed")
    times="$(awk -v kb="$kilobytes" -v bytes="$bytes" 'BEGIN { printf "%.1f", kb * 1024 / bytes }')"
    check "$(basename "$path"): $times times the source, $(awk -v b="$bytes" -v s="$seconds" 'BEGIN { printf "%.1f", b / s / 1e6 }') MB/s, $verdict" \
        at_most "$times" 30
done
finish
