#!/usr/bin/env bash
# A cold look-up of an average module through the mount: nothing is in the store, the native compiler makes the pyc
# while the reader waits. In each round a new mount over a new store; medians of the rounds.
#   lookup.sh [ROUNDS]   (default 5)
# PYCFS_BENCH_MINOR=Y: as 3.Y (default 13). PYCFS=PATH: the program (default: the release build).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

ROUNDS="${1:-5}"
MINOR="${PYCFS_BENCH_MINOR:-13}"
library="$REFERENCES/sid/usr/lib/python3.$MINOR"
[ -d "$library" ] || die "no reference in $REFERENCES: run scripts/references.sh"
find_pycfs
start_work
mkdir "$WORK/source"
# Modules only, in one folder: a name may be there twice, the later one stays.
find "$library" -name '*.py' -size +9k -size -21k -not -path '*/site-packages/*' -exec cp -t "$WORK/source" {} ';'

for round in $(seq 1 "$ROUNDS"); do
    STORE="$WORK/store-$round" mount_tree "$WORK/source" "$WORK/mount"
    "$(any_python)" "$SCRIPTS/bench/lookup.py" "$WORK/mount" "cpython-3$MINOR" >>"$WORK/times"
    unmount_tree "$WORK/mount"
done

# column N: the median of the rounds.
column() { cut -d' ' -f"$1" "$WORK/times" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
say "$(column 1) modules of 10 to 20 KB as 3.$MINOR, $ROUNDS rounds; microseconds, median and 90th percentile"
say "cold look-up           $(column 2) $(column 3)"
say "cold look-up and read  $(column 4) $(column 5)"
say "opened and read again  $(column 6) $(column 7)"
check "a cold look-up: at most 1 ms at the median ($(column 2) µs)" test "$(column 2)" -le 1000
finish
