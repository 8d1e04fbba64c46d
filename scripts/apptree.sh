#!/usr/bin/env bash
# Makes the trees of a real application that the other scripts import: django, sqlalchemy, sympy and what
# they need, pinned, pure Python, not compiled.
#   apptree.sh [DIR]   (default $PYCFS_APPTREE, else target/apptree)
# DIR/old is for CPython 3.6 to 3.8, DIR/new for 3.9 and later: no release of django spans them all.
# Prints the number of modules of each. Ends at once when the pins are unchanged.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TARGET="${1:-$APPTREE}"
OLD=(Django==3.2.25 SQLAlchemy==1.4.54 sympy==1.9 mpmath==1.2.1 asgiref==3.4.1 sqlparse==0.4.4
    pytz==2024.1 typing_extensions==4.1.1 importlib_metadata==4.8.3 zipp==3.6.0)
NEW=(Django==4.2.23 SQLAlchemy==2.0.43 sympy==1.13.3 mpmath==1.3.0 asgiref==3.8.1 sqlparse==0.5.3
    typing_extensions==4.12.2)

pip_python() {
    local each
    for each in $(interpreters | tac); do
        if "$each" -m pip --version >/dev/null 2>&1; then
            printf '%s\n' "$each"
            return
        fi
    done
    install python3 python3-pip >&2
    printf '/usr/bin/python3\n'
}

# make GROUP PYTHON_VERSION ABI PIN...: the wheels of that version, without what they hold of C.
make() {
    local group="$1" version="$2" abi="$3" pins python staging machine
    shift 3
    pins="$*"
    if [ "$(cat "$TARGET/.$group.pins" 2>/dev/null)" != "$pins" ]; then
        python="$(pip_python)"
        machine="$(uname -m)"
        mkdir -p "$TARGET"
        staging="$(mktemp -d "$TARGET/.staging.XXXXXX")"
        # shellcheck disable=SC2034  # the trap's
        WORK="$staging"
        "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
            --no-deps --no-compile --only-binary=:all: --implementation cp --python-version "$version" --abi "$abi" --abi none \
            --platform "manylinux2014_$machine" --platform "manylinux1_$machine" --platform any \
            --target "$staging/tree" "$@" </dev/null
        find "$staging/tree" \( -name '*.so' -o -name '*.pyx' -o -name '*.c' \) -delete
        rm -rf "$staging/tree/bin"
        find "$staging/tree" -name __pycache__ -prune -exec rm -rf {} +
        chmod -R u=rwX,go=rX "$staging/tree"
        rm -rf "${TARGET:?}/$group"
        mv "$staging/tree" "$TARGET/$group"
        printf '%s\n' "$pins" >"$TARGET/.$group.pins"
        rm -rf "$staging"
    fi
    printf '%s: %d modules (%s)\n' "$TARGET/$group" "$(find "$TARGET/$group" -name '*.py' | wc -l)" "$pins"
}

trap clean_up EXIT
make old 3.6 cp36m "${OLD[@]}"
make new 3.9 cp39 "${NEW[@]}"
