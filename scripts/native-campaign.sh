#!/usr/bin/env bash
# The native compiler against a reference, over many sources; prints counts, then each source that is not answered
# alike (see examples/native_compare/main.rs). Needs scripts/references.sh's interpreters. Runs for minutes to hours.
#   native-campaign.sh VERSION snippets            programs that CPython's own tests compile (collect_snippets.py)
#   native-campaign.sh VERSION packages [LIST]     the files of native/packages.txt, by pip, at -O0, -O1 and -O2
#   native-campaign.sh VERSION mutants SEED COUNT [FILES]   mutants of FILES, else of the reference's library
# What differs is kept in $PYCFS_CAMPAIGN (default target/campaign), as is what was downloaded.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VERSION="${1:?version}"
KIND="${2:?snippets, packages or mutants}"
shift 2
python="$REFERENCES/bin/python$VERSION"
[ -x "$python" ] || die "no reference of CPython $VERSION (scripts/references.sh brings one)"
FOLDER="${PYCFS_CAMPAIGN:-$REPOSITORY/target/campaign}"
mkdir -p "$FOLDER"
cargo build --quiet --release --example native_compare --manifest-path "$REPOSITORY/Cargo.toml"
compare="${CARGO_TARGET_DIR:-$REPOSITORY/target}/release/examples/native_compare"

# Wheels only: nothing of a package is run. The same file in two packages counts once.
packages() { # LIST
    local name version arguments
    mkdir -p "$FOLDER/wheels"
    while read -r name version; do
        [ -n "$name" ] && [ "$name" != "#" ] || continue
        arguments=(--platform any --abi none)
        case "$version" in
        2.7) arguments+=(--implementation cp --abi cp27mu --platform manylinux1_x86_64) ;;
        *) arguments+=(--implementation cp --abi "cp${version//./}" --abi abi3 --platform manylinux2014_x86_64
            --platform manylinux_2_17_x86_64 --platform manylinux_2_28_x86_64) ;;
        esac
        python3 -m pip download --quiet --no-deps --only-binary :all: --python-version "$version" "${arguments[@]}" \
            --dest "$FOLDER/wheels" "$name" >/dev/null 2>&1 || say "not to be had: $name"
    done <"$1"
    python3 "$SCRIPTS/unpack_wheels.py" "$FOLDER/wheels" "$FOLDER/sources"
}

case "$KIND" in
snippets)
    (mkdir -p "$FOLDER/tmp" && cd "$FOLDER/tmp" &&
        timeout 3600 "$python" "$SCRIPTS/collect_snippets.py" "$FOLDER/snippets-$VERSION" >"$FOLDER/snippets-$VERSION.log" 2>&1) || true
    find "$FOLDER/snippets-$VERSION" -name '*.py' | sort >"$FOLDER/list"
    "$compare" "$python" files "$FOLDER/list" 012 "$FOLDER/differing"
    ;;
packages)
    packages "${1:-$SCRIPTS/native/packages.txt}" >"$FOLDER/list"
    "$compare" "$python" files "$FOLDER/list" 012 "$FOLDER/differing"
    ;;
mutants)
    if [ -n "${3:-}" ]; then
        cp "$3" "$FOLDER/list"
    else
        find "$("$python" -c 'import os; print(os.path.dirname(os.__file__))')" -name '*.py' -size -60k | sort >"$FOLDER/list"
    fi
    "$compare" "$python" mutants "$FOLDER/list" 012 "${1:?seed}" "${2:?count}" "$FOLDER/differing"
    ;;
*) die "no campaign $KIND" ;;
esac
