#!/usr/bin/env bash
# Many interpreters that import the application tree at once through a mount whose store is empty: each module is
# compiled once, and what they take together, as a ratio to one of them alone.
#   crowd.sh [IMPORTERS] [ROUNDS]   (defaults 64 and 3)
# Interpreters also start and execute what they import, as often as there are of them. On a machine with fewer
# processors than importers that is nearly all of the time, so the same crowd is also measured on the native tree
# with valid pycs: the last ratio is our share.
# Last figures (two processors, 1,765 modules, guided build, one round in a slow hour): 1,744 compiles for one and for 64; 64 take
# 21.7 of one, natively 34.0 of one; with an empty store 0.94 of natively with pycs.
# PYCFS_BENCH_PYTHON=PATH names the interpreter (default: CPython 3.13, else the newest).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

IMPORTERS="${1:-64}"
ROUNDS="${2:-3}"
find_pycfs
"$SCRIPTS/apptree.sh" >/dev/null
start_work
python="${PYCFS_BENCH_PYTHON:-$(interpreters | grep -m 1 '3\.13$' || interpreters | tail -n 1)}"
tree="$(app_tree_for "$python")"
for copy in source warm; do cp -a "$tree" "$WORK/$copy"; done
PYTHONDONTWRITEBYTECODE=1 "$python" "$SCRIPTS/import_all.py" "$tree" --write "$WORK/names" >/dev/null 2>&1
# What it prints is compared: it fails where a module does, as natively.
import_from() { "$python" "$SCRIPTS/import_all.py" "$1" --read "$WORK/names" 2>/dev/null || true; }
expected="$(import_from "$WORK/warm")"
import_from "$WORK/warm" >/dev/null
say "CPython $(release_of "$python"), $expected, $(nproc) processors"

# crowd NAME DIR COUNT: so many imports at once; their seconds together are appended to $WORK/times-NAME.
crowd() {
    local name="$1" place="$2" count="$3" start="$EPOCHREALTIME" each importers=()
    for each in $(seq "$count"); do
        import_from "$place" >"$WORK/answer-$each" &
        importers+=("$!")
    done
    for each in "${importers[@]}"; do wait "$each" || true; done
    awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", end - start }' >>"$WORK/times-$name"
    for each in $(seq "$count"); do
        if [ "$(cat "$WORK/answer-$each")" != "$expected" ]; then wrong=$((wrong + 1)); fi
    done
}
# Whether all that was compiled is in the store and counted.
counted() {
    [ "$(status_field "$WORK/mount" entries 2>/dev/null)" = "$(status_field "$WORK/mount" compiles)" ]
}
# cold NAME COUNT: as crowd, through a mount with an empty store. Sets compiles and entries.
cold() {
    # Nothing is deleted between the rounds: ext4 makes new files slowly after it.
    stores=$((stores + 1))
    STORE="$WORK/store-$stores" mount_tree "$WORK/source" "$WORK/mount" deadline=120s
    crowd "$1" "$WORK/mount" "$2"
    wait_until 60 counted || true
    compiles="$(status_field "$WORK/mount" compiles)"
    entries="$(status_field "$WORK/mount" entries)"
    deadlines="$(status_field "$WORK/mount" absent_deadline)"
    unmount_tree "$WORK/mount"
}
median() { sort -n "$WORK/times-$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
# ratio A B: the median of the ratios within a round.
ratio() { paste "$WORK/times-$1" "$WORK/times-$2" | awk '{ print $1 / $2 }' | sort -n | awk '{ all[NR] = $1 } END { printf "%.2f\n", all[int((NR + 1) / 2)] }'; }

stores=0
wrong=0
for round in $(seq "$ROUNDS"); do
    crowd native-one "$WORK/warm" 1
    cold one 1
    alone="$compiles"
    same "round $round: for one, no module is compiled twice" "$entries" "$compiles"
    crowd native-crowd "$WORK/warm" "$IMPORTERS"
    cold crowd "$IMPORTERS"
    say "round $round: $alone compiles for one, $compiles for $IMPORTERS, $deadlines deadlines missed"
    same "round $round: for $IMPORTERS, no module is compiled twice" "$entries" "$compiles"
    same "round $round: no importer misses a deadline" 0 "$deadlines"
done
same "importers that did not get the right modules" 0 "$wrong"
printf '%-44s %8s\n' seconds median
printf '%-44s %8s\n' "one, native with pycs" "$(median native-one)" "one, empty store" "$(median one)" \
    "$IMPORTERS, native with pycs" "$(median native-crowd)" "$IMPORTERS, empty store" "$(median crowd)"
say "$IMPORTERS with an empty store: $(ratio crowd one) of one; the same natively with pycs: $(ratio native-crowd native-one) of one"
say "$IMPORTERS with an empty store: $(ratio crowd native-crowd) of $IMPORTERS natively with pycs"
at_most() { awk -v ours="$1" -v limit="$2" 'BEGIN { exit !(ours <= limit) }'; }
# With a processor for each importer this would be the ratio to one.
check "$IMPORTERS importers: at most 1.5 of as many natively with pycs" at_most "$(ratio crowd native-crowd)" 1.5
finish
