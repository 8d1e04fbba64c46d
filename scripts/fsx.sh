#!/usr/bin/env bash
# fsx (cargo install fsx) writes, truncates, punches and maps one source file at random, while others read it and its
# entry through the mount; after each run both sides are compared, in `strict` at once, in `watch` after the barrier.
#   fsx.sh [RUNS] [OPERATIONS]   in each mode (default 60 runs of 100 operations)
# Last counts (Linux 6.18, ext4): 60 runs in each mode, 12,000 operations, 0 differ, no reader had an error.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

RUNS="${1:-60}"
OPERATIONS="${2:-100}"
find_pycfs
start_work
fsx="$(command -v fsx || true)"
if [ -z "$fsx" ] && cargo install --quiet --root "$WORK/fsx" fsx </dev/null >&2; then fsx="$WORK/fsx/bin/fsx"; fi
if [ -z "$fsx" ]; then
    skip "fsx: it is not installed (cargo install fsx)"
    say "nothing was run"
    exit 0
fi
mkdir "$WORK/src"
# What reading a file that is being written may not say; fsx truncates it, so a short read is right.
cat >"$WORK/read.py" <<'PY'
import glob, os, sys
place, errors, reads = sys.argv[1], {}, 0
while not os.path.exists(sys.argv[2]):
    for path in [place + '/file.py', place + '/__pycache__/file.cpython-313.pyc']:
        try:
            with open(path, 'rb') as stream:
                stream.read()
            reads += 1
        except OSError as error:
            # An entry is absent while its source is no Python.
            if not (path.endswith('.pyc') and error.errno == 2):
                errors[error.errno] = errors.get(error.errno, 0) + 1
print(reads, sum(errors.values()), errors)
PY
for mode in strict watch; do
    printf 'value = 1\n' >"$WORK/src/file.py"
    mount_tree "$WORK/src" "$WORK/mount" "coherence=$mode"
    rm -f "$WORK/done"
    "$(any_python)" "$WORK/read.py" "$WORK/mount" "$WORK/done" >"$WORK/reader" &
    reader=$!
    CHILDREN+=("$reader")
    different=0
    wrong=0
    for seed in $(seq "$RUNS"); do
        "$fsx" -P "$WORK" -N "$OPERATIONS" -S "$seed" "$WORK/src/file.py" >"$WORK/fsx.log" 2>&1 || wrong=$((wrong + 1))
        if [ "$mode" = watch ]; then "$PYCFS" sync "$WORK/mount"; fi
        cmp -s "$WORK/src/file.py" "$WORK/mount/file.py" || different=$((different + 1))
    done
    : >"$WORK/done"
    wait "$reader"
    read -r reads errors which <"$WORK/reader"
    same "$mode: runs that fsx itself calls wrong" 0 "$wrong"
    same "$mode: sides that differ after one of $RUNS runs of $OPERATIONS operations" 0 "$different"
    same "$mode: errors in $reads reads meanwhile ($which)" 0 "$errors"
    check "$mode: it is unmounted" unmount_tree "$WORK/mount"
done
finish
