#!/usr/bin/env bash
# The test runner, isolated.sh, with a binary of tests that fail in known ways: what a second run excuses and what not,
# what is shown of a hang, and that nothing is left behind.
#   runner.sh
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
start_work
# How long the tests sleep that end too late; no other process sleeps as long.
export RUNNER_SLEEP="1000.$$"

# It answers as a test binary does. A test's name says what becomes of it; those of one run are named in the environment.
tests="$WORK/mirror-0"
cat >"$tests" <<'END'
#!/usr/bin/env bash
if [ "$1" = --list ]; then
    for each in $RUNNER_TESTS; do printf '%s: test\n' "$each"; done
    exit 0
fi
test="$2"
times="$RUNNER_STATE/$test"
printf 'x' >>"$times"
fails() { printf '%s\n' "$1"; exit "${2:-101}"; }
once() { [ "$(wc -c <"$times")" -gt 1 ] || fails "$@"; }
case "$test" in
steady) ;;
ignored) printf 'test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured\n' ;;
once | once_more) once 'left: 4' ;;
twice) [ "$(wc -c <"$times")" -gt 2 ] || fails 'left: 4' ;;
always) fails 'left: 4' ;;
stale_once) once 'm1 is stale' ;;
wrong_once) once 'm1 is wrong' ;;
bytes_once) once '  left: [1, 2]' ;;
absent_once) once 'called `Result::unwrap()` on an `Err` value: Os { code: 2, kind: NotFound }' ;;
panic_once) once "thread 'reader' panicked at src/pycache/answers.rs:1:1" ;;
crash_once) once 'no more' 134 ;;
leaves) sleep "$RUNNER_SLEEP" & ;;
hangs) sleep "$RUNNER_SLEEP" ;;
esac
END
chmod +x "$tests"

# outcome NAME STATUS LINE TESTS…: runs these tests and compares the exit status and what is told of the last one.
outcome() {
    local name="$1" status=0 told="$3"
    export RUNNER_STATE="$WORK/state-$((PASSED + FAILED))" RUNNER_TESTS="${*:4}"
    mkdir "$RUNNER_STATE"
    # Longer than any of them but the one that hangs takes.
    PYCFS_TEST_TIMEOUT=5 TMPDIR="$WORK" "$SCRIPTS/isolated.sh" "$tests" >"$WORK/output" 2>&1 || status=1
    same "$name" "$2 $told" "$status $(grep -E "^test ${*: -1} \.\.\." "$WORK/output" || true)"
}
runs() { wc -c <"$RUNNER_STATE/$1"; }

outcome "a test that passes" 0 "test steady ... ok" steady
same "it ran once" 1 "$(runs steady)"
way="$(sed -n 's/^running .* each in its own //p' "$WORK/output")"
outcome "a test that is ignored" 0 "test ignored ... ignored" ignored
outcome "a test that always fails" 1 "test always ... FAILED" steady always
same "the result says so" 1 "$(grep -c '^test result: FAILED. 1 passed; 1 failed' "$WORK/output")"
outcome "a test that failed once and passes twice alone" 0 "test once ... unsteady" steady once
same "it ran three times" 3 "$(runs once)"
same "it is told of" 1 "$(grep -c '^UNSTEADY once of mirror' "$WORK/output")"
same "what it printed is shown" 1 "$(grep -c '^| left: 4' "$WORK/output")"
outcome "a test that fails again" 1 "test twice ... FAILED" twice
outcome "two that fail once are one too many" 1 "test once_more ... FAILED" once once_more
for each in stale_once wrong_once bytes_once absent_once panic_once crash_once; do
    outcome "no second run: $each" 1 "test $each ... FAILED" "$each"
    same "no second run: $each ran once" 1 "$(runs "$each")"
done
outcome "a test that hangs" 1 "test hangs ... FAILED" hangs
same "it ran once" 1 "$(runs hangs)"
check "where its processes are is shown" grep -qF "sleep $RUNNER_SLEEP" "$WORK/output"
export PYCFS_ISOLATION=group
outcome "in process groups: a test that leaves a process behind" 1 "test leaves ... FAILED" leaves
outcome "in process groups: a test that failed once" 0 "test once ... unsteady" once
unset PYCFS_ISOLATION
if [ "$way" = namespaces ]; then
    outcome "in namespaces what is left behind ends with the test" 0 "test leaves ... ok" leaves
else
    skip "what is left behind in namespaces: this user may make none"
fi
nothing_left() { ! pgrep -fx "sleep $RUNNER_SLEEP" >/dev/null && [ -z "$(find "$WORK" -maxdepth 1 -name 'pycfs-isolated*')" ]; }
check "no process and no file is left" wait_until 10 nothing_left
finish
