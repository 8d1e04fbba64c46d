#!/usr/bin/env bash
# Fuzzes the native compiler or the marshal reader: fuzz.sh compile|marshal SECONDS [LIBFUZZER OPTIONS].
# Needs cargo-fuzz (cargo install cargo-fuzz --locked). New inputs go to target/fuzz/TARGET, findings to
# fuzz/artifacts. An input that takes 20 s or 2 GB counts as one. Debug assertions and overflow checks are on.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TARGET="${1:?compile or marshal}"
TIME="${2:?seconds}"
shift 2
work="$REPOSITORY/target/fuzz"
mkdir -p "$work/$TARGET"
for version in 3.13 3.14; do
    python="$REFERENCES/bin/python$version"
    if [ -x "$python" ]; then "$python" "$SCRIPTS/fuzz_seeds.py" "$work/seeds"; fi
done
options=(-max_len=4096 -timeout=20 -rss_limit_mb=2048 "-max_total_time=$TIME" -print_final_stats=1)
if [ "$TARGET" = compile ]; then options+=("-dict=$REPOSITORY/fuzz/python.dict"); fi
seeds=("$REPOSITORY/fuzz/corpus/$TARGET")
if [ -d "$work/seeds/$TARGET" ]; then seeds+=("$work/seeds/$TARGET"); fi
cd "$REPOSITORY"
# The fuzzing options of the stable compiler are unstable ones. The project's code is safe Rust: no sanitizer.
RUSTC_BOOTSTRAP=1 exec cargo fuzz run --sanitizer none "$TARGET" "$work/$TARGET" "${seeds[@]}" -- "${options[@]}" "$@"
