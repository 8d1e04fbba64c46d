#!/usr/bin/env bash
# Builds the program as it is shipped: profile `dist`, guided by a profile of itself at work (CPython's own builds are
# made that way too). It is built twice: once to count what runs while it compiles standard libraries and serves a
# mount, once with the counts. The processor stays the generic one.
#   pgo.sh [FOLDER]   (default target/pgo): FOLDER/pycfs and FOLDER/native_bench
# PYCFS_PGO_LIBRARIES="DIR ...": what is compiled to count, named .../python3.Y (default: the references' libraries of
# 3.13 and 3.14).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

target="${CARGO_TARGET_DIR:-$REPOSITORY/target}"
out="${1:-$target/pgo}"
mkdir -p "$out"
out="$(realpath "$out")"
host="$(rustc -vV | awk '$1 == "host:" { print $2 }')"
profdata="$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata"
if [ ! -x "$profdata" ]; then
    rustup component add llvm-tools || die "no llvm-profdata of this Rust: rustup component add llvm-tools"
fi
read -r -a libraries <<<"${PYCFS_PGO_LIBRARIES:-$REFERENCES/sid/usr/lib/python3.13 $REFERENCES/sid/usr/lib/python3.14}"
for library in "${libraries[@]}"; do
    [ -d "$library" ] || die "nothing to count with in $library: run scripts/references.sh, or set PYCFS_PGO_LIBRARIES"
done
start_work

# build FLAG: both programs, in a folder of their own. With --target the flag is not for build scripts.
build() {
    (cd "$REPOSITORY" && RUSTFLAGS="$1" CARGO_TARGET_DIR="$target/pgo-build" cargo build --profile dist --locked \
        --target "$host" --bin pycfs --example native_bench) </dev/null
}
built="$target/pgo-build/$host/dist"

counts="$target/pgo-build/counts"
rm -rf "$counts"
build "-Cprofile-generate=$counts"
for library in "${libraries[@]}"; do
    find "$library" -name '*.py' -type f -not -path '*/site-packages/*' | LC_ALL=C sort >"$WORK/list"
    "$built/examples/native_bench" speed "${library##*python3.}" "$WORK/list" 1
done
# What a daemon does: each module of a small tree is looked up and read through a mount, twice.
PYCFS="$built/pycfs"
mkdir "$WORK/source"
cp "${libraries[0]}"/*.py "$WORK/source"
if mount_tree "$WORK/source" "$WORK/mount"; then
    tag="cpython-${libraries[0]##*python}"
    for _ in 1 2; do
        for source in "$WORK"/mount/*.py; do
            cat "$source" "$WORK/mount/__pycache__/$(basename "$source" .py).${tag//./}.pyc" >/dev/null 2>&1 || true
        done
    done
    unmount_tree "$WORK/mount"
else
    say "no mount here: the paths of the daemon are not counted"
fi
"$profdata" merge -o "$target/pgo-build/counts.profdata" "$counts"

build "-Cprofile-use=$target/pgo-build/counts.profdata"
cp "$built/pycfs" "$built/examples/native_bench" "$out"
say "$out/pycfs"
