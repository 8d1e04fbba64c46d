#!/usr/bin/env bash
# Readers that import through a mount while it is replaced, and while its supervised daemon is killed with SIGKILL.
#   healing.sh [IMPORTS [TIMES]]     default 100000 imports, 20 upgrades, then as many kills
# An upgrade costs no import; a kill at most one of each reader, the one whose request was in flight.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

IMPORTS="${1:-100000}"
TIMES="${2:-20}"
MODULES=200
READERS=2
[ "$(id -u)" -eq 0 ] || die "it needs root"
find_pycfs
start_work
PYTHON="$(any_python)"
say "$(release_of "$PYTHON"), $READERS readers"
"$PYTHON" "$SCRIPTS/modules.py" make "$WORK/src" "$MODULES"

readers=()
start_readers() {
    local each
    readers=()
    for each in $(seq "$READERS"); do
        rm -f "$WORK/progress$each" "$WORK/progress$each.stop"
        timeout 1500 "$PYTHON" -ISE "$SCRIPTS/import_loop.py" "$WORK/mount" "$MODULES" $((IMPORTS / READERS)) \
            "$WORK/progress$each" >"$WORK/answer$each" &
        readers+=($!)
        CHILDREN+=($!)
    done
}
progressed() { [ -s "$WORK/progress1" ] && [ "$(cat "$WORK/progress1")" -ge "$1" ]; }
# at_steps COMMAND: runs it TIMES times, spread over the readers' way; they go on until `collect`.
at_steps() {
    local step
    for step in $(seq "$TIMES"); do
        wait_until 600 progressed $((step * IMPORTS / READERS / (TIMES + 1))) || return 1
        "$@" || return 1
    done
}
# collect: ends the readers, one step after the last command, and sets imports, right, errors, compiled and longest (milliseconds), of all of them.
collect() {
    local each
    wait_until 600 progressed $(($(cat "$WORK/progress1") + IMPORTS / READERS / (TIMES + 1))) || true
    for each in $(seq "$READERS"); do : >"$WORK/progress$each.stop"; done
    for each in "${readers[@]}"; do wait "$each" || true; done
    read -r imports right errors compiled longest < <(cat "$WORK"/answer* |
        awk 'NF == 5 && $1 ~ /^[0-9]+$/ { for (i = 1; i < 5; i++) s[i] += $i; if ($5 > m) m = $5 }
            END { print s[1], s[2], s[3], s[4], m }')
    grep -hvE '^[0-9]+ [0-9]+ [0-9]+ [0-9]+ [0-9]+$' "$WORK"/answer* || true
}

mount_tree "$WORK/src" "$WORK/mount"
replace() {
    timeout 60 "$PYCFS" mount --replace -o "allow_other,$PATIENT,store=$WORK/store$INTERPRETER_OPTIONS" "$WORK/src" "$WORK/mount" </dev/null
}
start_readers
check "$TIMES upgrades" at_steps replace
collect
same "imports across $TIMES upgrades: all right, no error ($compiled compiled by the reader, the longest took $longest ms)" \
    "$imports 0" "$right $errors"
check "they are at least $IMPORTS" test "$imports" -ge "$IMPORTS"
one_mount() { [ "$(grep -c " $WORK/mount " /proc/self/mounts)" -eq 1 ]; }
one_daemon() { [ "$(pgrep -cf "$PYCFS mount .*$WORK/mount\$")" -eq "$1" ]; }
check "one mount is left" one_mount
check "the replaced daemons have ended" wait_until 60 one_daemon 1
check "it is unmounted" unmount_tree "$WORK/mount"

mount_tree "$WORK/src" "$WORK/mount" supervise
# One that served for a second or more: after that it is started again at once.
kill_daemon() {
    sleep 1.2
    wait_until 60 answers && kill -9 "$(daemon_pid "$WORK/mount")"
}
answers() { daemon_pid "$WORK/mount" >/dev/null 2>&1; }
start_readers
check "$TIMES kills" at_steps kill_daemon
collect
same "imports across $TIMES kills: none but those that failed is wrong" "$imports" "$((right + errors))"
check "they are at least $IMPORTS" test "$imports" -ge "$IMPORTS"
check "$errors imports failed, of at most $((TIMES * READERS)) in flight ($compiled compiled by the reader, the longest took $longest ms)" \
    test "$errors" -le $((TIMES * READERS))
check "one mount is left" one_mount
check "the last daemon answers" wait_until 60 answers
check "a daemon and its supervisor are left" one_daemon 2
check "it is unmounted" unmount_tree "$WORK/mount"
check "both have ended" wait_until 60 one_daemon 0
finish
