#!/usr/bin/env bash
# What goes wrong around a mount while readers import through it: workers, the daemon, the store and the source
# are killed, stopped, filled, damaged and removed. A reader always gets the right module, whoever compiled it.
# PYCFS_MODULES=N sets the size of the large tree (default 10000).
# Last counts: 41 checks, 0 failed, with 2,500 modules.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

MODULES="${PYCFS_MODULES:-10000}"
SOME=400
find_pycfs
start_work
mapfile -t found < <(interpreters)
[ "${#found[@]}" -gt 0 ] || die "no CPython on this machine"
PYTHON="$(any_python)"
say "$(release_of "$PYTHON")"

make() { "$(any_python)" "$SCRIPTS/modules.py" make "$@"; }
# import_from DIR COUNT [GENERATION]: "right wrong compiled seconds"
import_from() { timeout 300 "$PYTHON" -ISE "$SCRIPTS/modules.py" import "$@"; }
workers_of() { pgrep -P "$1" -f python || true; }
answers_status() { status_field "$1" pid >/dev/null; }
dead() { ! stat "$1" >/dev/null 2>&1; }

make "$WORK/some" "$SOME"

# --- A worker killed -------------------------------------------------------------------------------------------
STORE="$WORK/store-worker" mount_tree "$WORK/some" "$WORK/mount" deadline=5s
daemon="$(daemon_pid "$WORK/mount")"
import_from "$WORK/mount" "$SOME" >"$WORK/answer" &
reader=$!
killed=0
for _ in $(seq 1 200); do
    for worker in $(workers_of "$daemon"); do
        if [ "$killed" -lt 5 ] && kill -9 "$worker" 2>/dev/null; then killed=$((killed + 1)); fi
    done
    is_running "$reader" || break
    sleep 0.03
done
wait "$reader" || true
read -r right wrong compiled seconds <"$WORK/answer"
check "$killed workers killed while $SOME modules are imported" test "$killed" -gt 0
same "each import is right ($compiled compiled by the reader, $seconds s)" "$SOME 0" "$right $wrong"
# A worker that was killed before it was ready is not started again at once.
ready() {
    make "$WORK/some" 1 "$((generation += 1))"
    [ "$(import_from "$WORK/mount" 1 "$generation" | cut -d' ' -f1-3)" = "1 0 0" ]
}
generation=100
check "new workers are ready" wait_until 60 ready
make "$WORK/some" "$SOME" 1
read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$SOME" 1)
same "the workers are back: everything new is served compiled" "$SOME 0 0" "$right $wrong $compiled"

# --- A worker that hangs ------------------------------------------------------------------------------------------
make "$WORK/some" 1 2
for worker in $(workers_of "$daemon"); do kill -STOP "$worker"; done
read -r right wrong compiled seconds < <(import_from "$WORK/mount" 1 2)
for worker in $(workers_of "$daemon"); do kill -CONT "$worker" 2>/dev/null || true; done
same "all workers stopped: the import is right, compiled by whom it may" "1 0" "$right $wrong"
check "and ends within the deadlines ($seconds s)" awk -v got="$seconds" 'BEGIN { exit !(got <= 20) }'
make "$WORK/some" 100 3
read -r right wrong compiled seconds < <(import_from "$WORK/mount" 100 3)
same "the workers answer again" "100 0 0" "$right $wrong $compiled"

# --- A reader killed while it waits ----------------------------------------------------------------------------------
make "$WORK/some" "$SOME" 4
for _ in 1 2 3 4 5; do
    import_from "$WORK/mount" "$SOME" 4 >/dev/null 2>&1 &
    reader=$!
    sleep 0.15
    kill -9 "$reader" 2>/dev/null || true
    wait "$reader" 2>/dev/null || true
done
read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$SOME" 4)
same "readers killed while they wait: the next one is right" "$SOME 0 0" "$right $wrong $compiled"

# --- The store removed under load ----------------------------------------------------------------------------------------
make "$WORK/some" "$SOME" 5
import_from "$WORK/mount" "$SOME" 5 >"$WORK/answer" &
reader=$!
sleep 0.3
# The daemon writes at the same time: rm may find a folder that is not empty any more.
removed() { rm -rf "$WORK/store-worker" 2>/dev/null; }
wait_until 60 removed
wait "$reader" || true
read -r right wrong compiled seconds <"$WORK/answer"
same "the store removed under load: each import is right" "$SOME 0" "$right $wrong"
make "$WORK/some" "$SOME" 6
read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$SOME" 6)
same "and what is new is still served compiled" "$SOME 0 0" "$right $wrong $compiled"
check "status still answers" answers_status "$WORK/mount"
check "the mount is unmounted" unmount_tree "$WORK/mount"

# --- The daemon killed ------------------------------------------------------------------------------------------------------
mount_tree "$WORK/some" "$WORK/mount"
daemon="$(daemon_pid "$WORK/mount")"
import_from "$WORK/mount" 50 6 >/dev/null
workers="$(workers_of "$daemon")"
(cd "$WORK" && kill -9 "$daemon")
check "the daemon killed: its mount answers an error, not silence" wait_until 60 dead "$WORK/mount"
gone() { local each; for each in $workers; do if is_running "$each"; then return 1; fi; done; }
check "its workers end by themselves" wait_until 60 gone
mount_again() { mount_tree "$WORK/some" "$WORK/mount"; }
check "the next mount repairs the dead one" mount_again
read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$SOME" 6)
same "and serves" "$SOME 0 0" "$right $wrong $compiled"
same "nothing of the dead mount is left below it" 1 "$(grep -c " $WORK/mount " /proc/self/mounts)"
daemon="$(daemon_pid "$WORK/mount")"
kill -9 "$daemon"
wait_until 60 dead "$WORK/mount" || true
check "pycfs umount takes a dead mount away" timeout 30 "$PYCFS" umount "$WORK/mount"
check "and nothing is mounted there any more" sh -c "! grep -q ' $WORK/mount ' /proc/self/mounts"

# --- How it ends ----------------------------------------------------------------------------------------------------------------
mount_tree "$WORK/some" "$WORK/mount"
daemon="$(daemon_pid "$WORK/mount")"
kill -TERM "$daemon"
check "SIGTERM ends the daemon" wait_until 60 not_running "$daemon"
check "and unmounts" sh -c "! grep -q ' $WORK/mount ' /proc/self/mounts"
mount_tree "$WORK/some" "$WORK/mount"
daemon="$(daemon_pid "$WORK/mount")"
umount "$WORK/mount"
check "umount(8) ends the daemon" wait_until 60 not_running "$daemon"

# --- The store: damaged, read-only, shared, tiny -------------------------------------------------------------------------------------
STORE="$WORK/store-damaged" mount_tree "$WORK/some" "$WORK/mount"
import_from "$WORK/mount" "$SOME" 6 >/dev/null
unmount_tree "$WORK/mount"
"$(any_python)" "$SCRIPTS/damage.py" "$WORK/store-damaged"
STORE="$WORK/store-damaged" mount_tree "$WORK/some" "$WORK/mount"
read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$SOME" 6)
same "damaged bytes in each file of the store: each import is right, none is left to the reader" "$SOME 0 0" "$right $wrong $compiled"
noticed=0
for each in corrupt misses_corrupt quarantined index_lost; do noticed=$((noticed + $(status_field "$WORK/mount" "$each"))); done
check "and status counts the damage ($noticed)" test "$noticed" -gt 0
mkdir -p "$WORK/second"
make "$WORK/second" 100 7
STORE="$WORK/store-damaged" mount_tree "$WORK/second" "$WORK/mount2"
read -r right wrong compiled seconds < <(import_from "$WORK/mount2" 100 7)
same "a second daemon on the same store serves, too" "100 0 0" "$right $wrong $compiled"
check "the second is unmounted" unmount_tree "$WORK/mount2"
check "the first is unmounted" unmount_tree "$WORK/mount"

make "$WORK/large" "$MODULES"
if [ "$(id -u)" -eq 0 ]; then
    mkdir "$WORK/tiny"
    mount -t tmpfs -o size=8m none "$WORK/tiny"
    STORE="$WORK/tiny/store" mount_tree "$WORK/large" "$WORK/mount"
    read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$MODULES")
    same "8 MB for the store, $MODULES modules: each is right and served compiled ($seconds s)" "$MODULES 0 0" "$right $wrong $compiled"
    read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$MODULES")
    check "the store took what fits ($(du -sm "$WORK/tiny" | cut -f1) MB)" test "$(du -sm "$WORK/tiny" | cut -f1)" -le 8
    same "once more ($seconds s)" "$MODULES 0 0" "$right $wrong $compiled"
    check "status still answers" answers_status "$WORK/mount"
    check "it is unmounted" unmount_tree "$WORK/mount"
    mount -o remount,ro "$WORK/tiny"
    STORE="$WORK/tiny/store" mount_tree "$WORK/some" "$WORK/mount"
    read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$SOME" 6)
    same "a read-only store" "$SOME 0 0" "$right $wrong $compiled"
    check "it is unmounted" unmount_tree "$WORK/mount"
    umount "$WORK/tiny"
else
    skip "a full and a read-only store need root to mount a tmpfs"
fi

# --- Ten thousand modules ---------------------------------------------------------------------------------------------------------------
mount_tree "$WORK/large" "$WORK/mount"
read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$MODULES")
same "$MODULES modules, cold ($seconds s)" "$MODULES 0 0" "$right $wrong $compiled"
read -r right wrong compiled seconds < <(import_from "$WORK/mount" "$MODULES")
same "$MODULES modules, warm ($seconds s)" "$MODULES 0 0" "$right $wrong $compiled"
check "it is unmounted" unmount_tree "$WORK/mount"

# --- The source's root deleted and made again ----------------------------------------------------------------------------------------------
mkdir -p "$WORK/root/tree"
make "$WORK/root/tree" 50 8
mount_tree "$WORK/root/tree" "$WORK/mount"
read -r right wrong compiled seconds < <(import_from "$WORK/mount" 50 8)
same "a source root" "50 0 0" "$right $wrong $compiled"
rm -rf "$WORK/root/tree"
listing="$(timeout 10 ls "$WORK/mount" 2>&1 || true)"
check "deleted: nothing of it is served, nothing hangs" test "${listing#package}" = "$listing"
mkdir "$WORK/root/tree"
make "$WORK/root/tree" 50 9
served() { [ "$(import_from "$WORK/mount" 50 "$1" 2>/dev/null | cut -d' ' -f1-3)" = "50 0 0" ]; }
check "made again: the new tree is served" wait_until 60 served 9
mkdir "$WORK/root/next"
make "$WORK/root/next" 50 10
mv "$WORK/root/tree" "$WORK/root/last" && mv "$WORK/root/next" "$WORK/root/tree"
check "replaced by a rename: the new tree is served" wait_until 60 served 10
check "it is unmounted" unmount_tree "$WORK/mount"
finish
