#!/usr/bin/env bash
# Runs the tests of a test binary, each in a process, a mount namespace and a process namespace of its own: what a test
# mounts or starts cannot outlive it, whatever it does. A test that takes too long is a failure; the kernel stacks of all
# of its processes are shown first.
#   isolated.sh BINARY [ARGUMENTS]
# It is made to be cargo's runner: CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=scripts/isolated.sh cargo test
# Binaries that mount nothing, and every binary where this user cannot make namespaces, run as they are.
# PYCFS_TEST_TIMEOUT is the limit for one test in seconds (default 300).
set -euo pipefail

binary="$(realpath "$1")"
shift
name="$(basename "$binary")"
case "${name%-*}" in
mounting | faults | mirror | synthesis | model | filesystems) ;;
*) exec "$binary" "$@" ;;
esac
if ! unshare --mount --pid --fork --kill-child --mount-proc true 2>/dev/null; then
    printf 'SKIPPED isolation: this user cannot make namespaces; the tests run in one process\n'
    exec "$binary" "$@"
fi
for each in "$@"; do
    # A list or the help is asked for.
    case "$each" in --list | --help | -h) exec "$binary" "$@" ;; esac
done

limit="${PYCFS_TEST_TIMEOUT:-300}"
work="$(mktemp -d "${TMPDIR:-/tmp}/pycfs-isolated.XXXXXX")"
trap 'rm -rf "$work"' EXIT

# The stacks of every thread in the process namespace of $1.
stacks() {
    local namespace process thread
    namespace="$(readlink "/proc/$1/ns/pid")"
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/pid" 2>/dev/null)" = "$namespace" ] || continue
        for thread in "$process"/task/*; do
            printf -- '--- %s %s %s\n' "$thread" "$(tr '\0' ' ' <"$process/cmdline" | cut -c 1-100)" \
                "$(grep -E '^State' "$thread/status" 2>/dev/null)"
            cat "$thread/wchan" 2>/dev/null && printf '\n'
            cat "$thread/stack" 2>/dev/null || true
        done
    done
}

# one TEST: its output goes to a file, its outcome to another.
one() {
    local test="$1" file status=0 init waited=0
    file="$work/$(printf '%s' "$test" | tr -c 'a-zA-Z0-9_' _)"
    # The first process of the namespace only waits: it takes up what others leave behind.
    setsid unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
        sh -c '"$@" & wait $!' sh "$binary" --exact "$test" --nocapture "${rest[@]}" >"$file.log" 2>&1 </dev/null &
    local outer=$!
    while kill -0 "$outer" 2>/dev/null; do
        if [ "$waited" -ge $((limit * 10)) ]; then
            init="$(cat "/proc/$outer/task/$outer/children" | cut -d' ' -f1)"
            printf 'timed out after %s s; where its processes are:\n' "$limit" >>"$file.log"
            stacks "$init" >>"$file.log" 2>/dev/null || true
            # The end of the first process is the end of all of them, and of their mounts.
            kill -9 "$init" 2>/dev/null || true
            break
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    wait "$outer" || status=$?
    if [ "$waited" -ge $((limit * 10)) ]; then status=124; fi
    if [ "$status" -eq 0 ] && grep -q '^test result: ok. 0 passed; 0 failed; 1 ignored' "$file.log"; then
        printf 'test %s ... ignored\n' "$test" | tee "$file.ignored"
    elif [ "$status" -eq 0 ]; then
        grep '^SKIPPED' "$file.log" | sort -u || true
        printf 'test %s ... ok\n' "$test" | tee "$file.ok"
    else
        printf 'test %s ... FAILED (%s)\n' "$test" "$status" | tee "$file.failed"
        cat "$file.log"
    fi
}

filters=()
rest=()
for each in "$@"; do
    case "$each" in
    --nocapture | --quiet | -q) ;;
    -*) rest+=("$each") ;;
    *) filters+=("$each") ;;
    esac
done
start="$SECONDS"
mapfile -t tests < <("$binary" --list --format terse "${filters[@]}" "${rest[@]}" 2>/dev/null | sed -n 's/: test$//p')
printf '\nrunning %d tests, each in its own namespaces\n' "${#tests[@]}"
running=0
for test in "${tests[@]}"; do
    if [ "$running" -ge "$(($(nproc) + 1))" ]; then
        wait -n || true
        running=$((running - 1))
    fi
    one "$test" &
    running=$((running + 1))
done
wait
count() { find "$work" -name "*.$1" | wc -l; }
failed="$(count failed)"
passed="$(count ok)"
result=ok
if [ "$failed" -gt 0 ] || [ $((passed + failed + $(count ignored))) -ne "${#tests[@]}" ]; then result=FAILED; fi
printf '\ntest result: %s. %d passed; %d failed; %d ignored; 0 measured; 0 filtered out; finished in %ds\n\n' \
    "$result" "$passed" "$failed" "$(count ignored)" $((SECONDS - start))
[ "$result" = ok ]
