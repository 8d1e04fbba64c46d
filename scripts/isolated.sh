#!/usr/bin/env bash
# Runs the tests of a test binary, each in a process of its own from which nothing can escape: what a test mounts or
# starts is gone after it, whatever it does. A test that takes too long is a failure; the kernel stacks of all of its
# processes are shown first.
#   isolated.sh BINARY [ARGUMENTS]
# It is made to be cargo's runner (CARGO_TARGET_<TRIPLE>_RUNNER), as scripts/test.sh uses it. Binaries that neither mount
# nor start processes run as they are.
# A test that failed while others ran beside it is run twice more, alone. If it passes both times it is told as UNSTEADY,
# with what it printed, and is no failure: on a busy machine a test may see a moment that it did not reckon with, and
# that is a defect of the test to be mended. No second run for what would be a defect of pycfs however rare: an answer
# that is stale, torn or wrong, an error of the system, a panic of our own code, a crash, a hang, something left behind;
# nor for more than one test of a binary.
# Where this user may make namespaces, a test has a mount and a process namespace of its own: they end with it. Else it has
# a process group, a mark in its environment by which its daemons are found (they have sessions of their own), and a
# temporary folder below which every mount is taken away.
# PYCFS_TEST_TIMEOUT is the limit for one test in seconds (default 900). PYCFS_ISOLATION=group forces the second way.
set -euo pipefail

binary="$(realpath "$1")"
shift
name="$(basename "$binary")"
case "${name%-*}" in
coherence | faults | filesystems | listings | lost_events | mirror | model | mounting | synthesis | versions) ;;
interpreter | interpreter_box | interpreter_faults | store | store_faults) ;;
*) exec "$binary" "$@" ;;
esac
for each in "$@"; do
    # A list or the help is asked for.
    case "$each" in --list | --help | -h) exec "$binary" "$@" ;; esac
done
way=namespaces
if [ "${PYCFS_ISOLATION:-}" = group ] ||
    ! unshare --mount --pid --fork --kill-child --mount-proc true 2>/dev/null; then
    way="process group"
fi

limit="${PYCFS_TEST_TIMEOUT:-900}"
# What no second run excuses, in the words of the tests and of a panic's message: rules that were broken, panics of our
# code, errors of the system, and contents (lists of bytes, texts) that differ. What is left is counts, states and times.
never='stale|torn|wrong|panicked at (\./)?src/|Os \{ code|left: \[|left: "'
work="$(mktemp -d "${TMPDIR:-/tmp}/pycfs-isolated.XXXXXX")"
# Other users reach the mounts of some tests.
chmod 755 "$work"
trap 'rm -rf --one-file-system "$work"' EXIT

# The processes of a test: those in its process namespace, or those that carry its mark.
processes_of() {
    local mark="$1" outer="$2" namespace="" process
    if [ "$way" != namespaces ]; then
        # Not every process can be looked at, and not every one still is there.
        grep -lzxF "PYCFS_TEST_MARK=$mark" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
        return 0
    fi
    namespace="$(readlink "/proc/$(first_within "$outer")/ns/pid")" || return 0
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/pid" 2>/dev/null)" = "$namespace" ] || continue
        printf '%s\n' "${process#/proc/}"
    done
}

# The first process of the namespace that $1, an unshare, made.
first_within() { cut -d' ' -f1 "/proc/$1/task/$1/children"; }

# The stacks of every thread of these processes.
stacks() {
    local process thread
    for process in "$@"; do
        for thread in "/proc/$process/task"/*; do
            printf -- '--- %s %s %s\n' "$thread" "$(tr '\0' ' ' <"/proc/$process/cmdline" | cut -c 1-100)" \
                "$(grep -E '^State' "$thread/status" 2>/dev/null)"
            cat "$thread/wchan" 2>/dev/null && printf '\n'
            cat "$thread/stack" 2>/dev/null || true
        done
    done
}

# start TEST MARK FOLDER: becomes the test.
start() {
    export PYCFS_TEST_MARK="$2" TMPDIR="$3"
    if [ "$way" = namespaces ]; then
        # The first process of the namespace only waits: it takes up what others leave behind.
        exec setsid unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
            sh -c '"$@" & wait $!' sh "$binary" --exact "$1" --nocapture "${rest[@]}"
    fi
    exec setsid "$binary" --exact "$1" --nocapture "${rest[@]}"
}

# Ends what a test has left: its processes, then the mounts below its folder. Says what there was.
sweep() {
    local mark="$1" outer="$2" folder="$3" left place round
    if [ "$way" = namespaces ]; then
        # The end of the first process is the end of all of them, and of their mounts.
        left="$(first_within "$outer" 2>/dev/null || true)"
        if [ -n "$left" ]; then kill -9 "$left" 2>/dev/null || true; fi
        return
    fi
    for round in $(seq 60); do
        left="$(processes_of "$mark" "$outer")"
        [ -n "$left" ] || break
        sleep 0.1
        # A daemon whose mount is gone is about to end.
        [ "$round" -ge 50 ] || continue
        printf 'left behind: %s\n' "$(tr '\n' ' ' <<<"$left")"
        # shellcheck disable=SC2086  # a list of process ids
        kill -9 $left 2>/dev/null || true
    done
    awk -v below="$folder/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | tac | while read -r place; do
        printf 'left mounted: %s\n' "$place"
        umount --lazy "$place" 2>/dev/null || fusermount3 -uz "$place" || true
    done
}

# How many tests came to this end.
count() { find "$work" -maxdepth 1 -name "*.$1" | wc -l; }

# one TEST NUMBER: its output goes to a file, its outcome to another.
one() {
    local test="$1" file="$work/$2" folder="$work/$2.tmp" status=0 waited=0 mark="$$-$2"
    mkdir -m 755 "$folder"
    start "$test" "$mark" "$folder" >"$file.log" 2>&1 </dev/null &
    local outer=$!
    while kill -0 "$outer" 2>/dev/null; do
        if [ "$waited" -ge $((limit * 10)) ]; then
            printf 'timed out after %s s; where its processes are:\n' "$limit" >>"$file.log"
            # shellcheck disable=SC2046  # a list of process ids
            stacks $(processes_of "$mark" "$outer") >>"$file.log" 2>/dev/null || true
            sweep "$mark" "$outer" "$folder" >>"$file.log" 2>&1
            break
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
    wait "$outer" 2>/dev/null || status=$?
    sweep "$mark" "$outer" "$folder" >"$file.left" 2>&1
    rm -rf --one-file-system "$folder" || true
    if [ "$waited" -ge $((limit * 10)) ]; then status=124; fi
    if [ "$status" -eq 0 ] && [ -s "$file.left" ]; then status="left something behind"; fi
    if [ "$status" = 0 ] && grep -q '^test result: ok. 0 passed; 0 failed; 1 ignored' "$file.log"; then
        printf 'test %s ... ignored\n' "$test" | tee "$file.ignored"
    elif [ "$status" = 0 ]; then
        grep '^SKIPPED' "$file.log" | sort -u || true
        printf 'test %s ... ok\n' "$test" | tee "$file.ok"
    else
        printf '%s\n' "$test" >"$file.failed"
        printf 'test %s: ended with %s\n' "$test" "$status" >"$file.told"
        cat "$file.log" "$file.left" >>"$file.told"
        # Only an assertion that failed (101) of a test that may be unsteady is worth a second look.
        if [ "$status" = 101 ] && ! grep -qE "$never" "$file.told"; then : >"$file.doubtful"; fi
    fi
}

# passes_alone TEST: whether a test passes twice with no other beside it.
passes_alone() {
    local round
    mkdir -m 755 "$work/alone"
    for round in 1 2; do
        one "$1" "alone/$round" >/dev/null
        [ -e "$work/alone/$round.ok" ] || return 1
    done
}

# tell FILE: what became of a failed test, with what it printed.
tell() {
    local file="$1" test
    test="$(cat "$file.failed")"
    if [ -e "$file.doubtful" ] && [ "$(count doubtful)" -eq 1 ] && passes_alone "$test"; then
        mv "$file.failed" "$file.ok"
        printf 'test %s ... unsteady\n' "$test"
        printf 'UNSTEADY %s of %s: failed once, passed twice when it ran alone\n' "$test" "${name%-*}"
        sed 's/^/| /' "$file.told"
    else
        printf 'test %s ... FAILED\n' "$test"
        cat "$file.told"
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
printf '\nrunning %d tests, each in its own %s\n' "${#tests[@]}" "$way"
running=0
number=0
for test in "${tests[@]}"; do
    if [ "$running" -ge "$(($(nproc) + 1))" ]; then
        wait -n || true
        running=$((running - 1))
    fi
    number=$((number + 1))
    one "$test" "$number" &
    running=$((running + 1))
done
wait
for each in "$work"/*.failed; do
    if [ -e "$each" ]; then tell "${each%.failed}"; fi
done
failed="$(count failed)"
passed="$(count ok)"
result=ok
if [ "$failed" -gt 0 ] || [ $((passed + failed + $(count ignored))) -ne "${#tests[@]}" ]; then result=FAILED; fi
printf '\ntest result: %s. %d passed; %d failed; %d ignored; 0 measured; 0 filtered out; finished in %ds\n\n' \
    "$result" "$passed" "$failed" "$(count ignored)" $((SECONDS - start))
[ "$result" = ok ]
