#!/usr/bin/env bash
# The project's tests: `cargo test`, then the scripts that use real applications, servers and CPython's own tests,
# at a size that fits a small machine.
#   test.sh            everything
#   test.sh --quick    cargo test only, of the program and of the bundled VM
# Installs what they need with apt when root; what cannot be run is reported as SKIPPED with its reason.
# The closing lines are the runner's of cargo test and the last line of each script.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$REPOSITORY"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
summary=()
failures=0

# step NAME COMMAND…: runs it, keeps its closing line for the summary. One failure does not stop the rest.
step() {
    local name="$1" log start="$SECONDS" status=0
    shift
    log="$(mktemp)"
    printf '\n== %s\n' "$name"
    "$@" </dev/null 2>&1 | tee "$log" || status=1
    if [ "$name" = "cargo test" ]; then
        while read -r line; do summary+=("$line"); done < <(grep -E '^test result: ' "$log" || true)
    fi
    while read -r line; do summary+=("$line"); done < <(grep -E '^(SKIPPED|UNSTEADY)' "$log" | sort -u || true)
    summary+=("$name: $(grep -v '^$' "$log" | tail -n 1) ($((SECONDS - start)) s)")
    rm -f "$log"
    if [ "$status" -ne 0 ]; then
        failures=$((failures + 1))
        summary+=("$name: FAILED")
    fi
}

if [ "$(id -u)" -eq 0 ]; then
    install fuse3 python3 acl attr procps util-linux ca-certificates
    # Without references the versions that this distribution lacks are skipped by name in the tests.
    step "references" "$SCRIPTS/references.sh"
fi
step "runner.sh" "$SCRIPTS/runner.sh"
# Each test that mounts runs isolated from the others, with a limit of time.
triple="$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')"
step "cargo test" env "CARGO_TARGET_${triple}_RUNNER=$SCRIPTS/isolated.sh" cargo test --locked --no-fail-fast
# The bundled VM is a build of its own: optimized, or it is too slow to test.
step "cargo vm-build" cargo vm-build --locked
step "cargo vm-test" cargo vm-test --locked --lib -- vm:: sys::blocks sys::region
export PYCFS_VM="${CARGO_TARGET_DIR:-$REPOSITORY/target}/release/pycfs"
if [ "${1:-}" != --quick ]; then
    if [ ! -e /dev/fuse ]; then
        summary+=("SKIPPED the scripts: this machine has no /dev/fuse")
    else
        # The build that cargo test has just made.
        export PYCFS="${PYCFS:-${CARGO_TARGET_DIR:-$REPOSITORY/target}/debug/pycfs}"
        step "real-imports.sh" "$SCRIPTS/real-imports.sh"
        step "stale.sh" "$SCRIPTS/stale.sh" "${PYCFS_EDITS:-40}"
        if [ "$(id -u)" -eq 0 ]; then
            step "apache.sh" env PYCFS_REQUESTS="${PYCFS_REQUESTS:-300}" "$SCRIPTS/apache.sh"
        else
            summary+=("SKIPPED apache.sh: it needs root")
        fi
        step "cpython-tests.sh" "$SCRIPTS/cpython-tests.sh"
        step "vm.sh" env PYCFS="$PYCFS_VM" "$SCRIPTS/vm.sh"
        step "faults.sh" env PYCFS_MODULES="${PYCFS_MODULES:-2500}" "$SCRIPTS/faults.sh"
        # torture.sh, inject.sh and filesystems.sh are run by hand: they take long.
        if [ "$(id -u)" -eq 0 ]; then
            step "healing.sh" "$SCRIPTS/healing.sh" "${PYCFS_IMPORTS:-8000}" 5
        else
            summary+=("SKIPPED healing.sh: it needs root")
        fi
    fi
fi

printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
if [ "$failures" -ne 0 ]; then
    printf '%d steps failed\n' "$failures"
    exit 1
fi
printf 'all steps passed\n'
