# Shared by the scripts beside it: the binary, the interpreters, mounts and their removal, the count of checks.
# To be sourced after `set -euo pipefail`. It keeps one promise: whatever way a script ends, what it
# mounted is unmounted, what it started is ended by process id, and its temporary folder is gone.
# shellcheck shell=bash

REPOSITORY="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
SCRIPTS="$REPOSITORY/scripts"
REFERENCES="${PYCFS_REFERENCES:-/opt/pycfs-references}"
APPTREE="${PYCFS_APPTREE:-$REPOSITORY/target/apptree}"
# CPython's own caching is what the scripts look at: a setting that turns it off would hide it.
unset PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONOPTIMIZE PYTHONPATH PYTHONHOME PYTHONSTARTUP

PASSED=0
FAILED=0
SKIPPED=0
WORK=""
CHILDREN=()

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

say() { printf '%s\n' "$*"; }

pass() {
    PASSED=$((PASSED + 1))
    printf 'ok      %s\n' "$*"
}

fail() {
    FAILED=$((FAILED + 1))
    printf 'FAILED  %s\n' "$*"
}

skip() {
    SKIPPED=$((SKIPPED + 1))
    printf 'SKIPPED %s\n' "$*"
}

# check NAME COMMAND...: one check, passed when the command succeeds.
check() {
    local name="$1"
    shift
    if "$@"; then pass "$name"; else fail "$name"; fi
}

# same NAME EXPECTED GOT: one check, passed when both strings are equal.
same() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1: expected '${2:0:400}', got '${3:0:400}'"
    fi
}

# The last line of each script; the exit status says the same.
finish() {
    trap - ERR
    if [ "$SKIPPED" -gt 0 ]; then printf '%d skipped\n' "$SKIPPED"; fi
    printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
    [ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
}

is_mounted() { awk -v target="$1" '$2 == target { found = 1 } END { exit !found }' /proc/self/mounts; }

is_running() { kill -0 "$1" 2>/dev/null; }

# wait_until SECONDS COMMAND...: polls, 20 times a second.
wait_until() {
    local deadline=$(($(date +%s) + $1))
    shift
    until "$@"; do
        if [ "$(date +%s)" -ge "$deadline" ]; then return 1; fi
        sleep 0.05
    done
}

# Called by the trap of each script; a script's own steps go to a function `on_exit`.
clean_up() {
    local status=$? each
    trap - EXIT INT TERM HUP ERR
    set +e
    if declare -F on_exit >/dev/null; then on_exit; fi
    local place
    if [ -n "$WORK" ]; then
        # Whatever is mounted below the folder, the last one first; a dead mount can lie below a living one.
        for place in $(awk -v below="$WORK/" 'index($2, below) == 1 { print $2 }' /proc/self/mounts | tac); do
            timeout 20 umount "$place" 2>/dev/null || timeout 20 fusermount3 -u "$place" 2>/dev/null ||
                umount --lazy "$place" 2>/dev/null || fusermount3 -uz "$place"
        done
    fi
    for each in "${CHILDREN[@]}"; do
        if is_running "$each"; then kill "$each" 2>/dev/null; fi
    done
    for each in "${CHILDREN[@]}"; do
        wait_until 5 not_running "$each" || kill -9 "$each" 2>/dev/null
    done
    if [ -n "$WORK" ] && [ -d "$WORK" ]; then
        # Never remove through a mount that could not be taken away.
        rm -rf --one-file-system "$WORK"
    fi
    exit "$status"
}

not_running() { ! is_running "$1"; }

# Makes $WORK, a folder of this run's own, and sets the trap that removes it.
start_work() {
    WORK="$(mktemp -d "${TMPDIR:-/tmp}/pycfs-$(basename "$0" .sh).XXXXXX")"
    chmod 755 "$WORK"
    trap clean_up EXIT
    set -E
    trap 'printf "line %d: status %d\n" "$LINENO" "$?" >&2' ERR
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# Sets PYCFS to the binary under test: $PYCFS when given, else the release build.
find_pycfs() {
    if [ -z "${PYCFS:-}" ]; then
        (cd "$REPOSITORY" && cargo build --release --locked --quiet) </dev/null
        PYCFS="${CARGO_TARGET_DIR:-$REPOSITORY/target}/release/pycfs"
    fi
    [ -x "$PYCFS" ] || die "no binary at $PYCFS"
    PYCFS="$(realpath "$PYCFS")"
    export PYCFS
}

# For mounts: a reader is served also where a thread does not run for seconds, unless a later option says otherwise.
PATIENT="deadline=20s"

# Each script has a store of its own below $WORK; STORE may be set before the call of mount_tree.
# mount_tree SRC MNT [OPTIONS]: mounts in the background (the parent answers when it is ready).
mount_tree() {
    local source="$1" target="$2" options="${3:-}" store="${STORE:-$WORK/store}" each
    # Fails on a dead mount, which is for pycfs to repair.
    mkdir -p "$target" 2>/dev/null || true
    options="store=$store,$PATIENT${options:+,$options}"
    # The references are on nobody's PATH; the readers of a script are also its compilers.
    if [ -z "${INTERPRETER_OPTIONS:-}" ]; then
        for each in $(interpreters); do INTERPRETER_OPTIONS+=",interpreter=$each"; done
    fi
    options+="${INTERPRETER_OPTIONS:-}"
    if [ "$(id -u)" -eq 0 ]; then options="allow_other,$options"; fi
    timeout 60 "$PYCFS" mount -o "$options" "$source" "$target" </dev/null
    is_mounted "$target"
}

unmount_tree() {
    local pid
    pid="$(daemon_pid "$1" || true)"
    timeout 60 "$PYCFS" umount "$1"
    if [ -n "$pid" ]; then wait_until 20 not_running "$pid"; fi
    ! is_mounted "$1"
}

# field NAME FILE: the first value of that key anywhere in a JSON document.
field() { "$(any_python)" "$SCRIPTS/json_field.py" "$1" "$2"; }

# status_field MNT NAME
status_field() {
    "$PYCFS" status "$1" --json >"$WORK/.status.json" && field "$2" "$WORK/.status.json"
}

daemon_pid() { status_field "$1" pid; }

# Every CPython from 3.6 on that this machine has, newest patch of each version first found in this
# order: $PYCFS_INTERPRETERS (a list of paths) alone when set; else PATH, pyenv's versions, the references.
interpreters() {
    local candidates=() each version
    local -A seen=()
    if [ -n "${PYCFS_INTERPRETERS:-}" ]; then
        read -r -a candidates <<<"$PYCFS_INTERPRETERS"
    else
        local root="${PYENV_ROOT:-$HOME/.pyenv}" folder
        IFS=: read -r -a folders <<<"$PATH"
        for folder in "${folders[@]}"; do
            # A shim is a shell script that picks another interpreter: not a thing to measure.
            case "$folder" in */shims) continue ;; esac
            candidates+=("$folder"/python3.[0-9] "$folder"/python3.[0-9][0-9])
        done
        candidates+=("$root"/versions/*/bin/python3.[0-9] "$root"/versions/*/bin/python3.[0-9][0-9])
        candidates+=("$REFERENCES"/bin/python3.[0-9][0-9])
    fi
    for each in "${candidates[@]}"; do
        [ -x "$each" ] || continue
        version="$("$each" -I -S -c 'import sys
if sys.implementation.name == "cpython" and sys.version_info >= (3, 6): print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" || continue
        [ -n "$version" ] || continue
        [ -z "${seen[$version]:-}" ] || continue
        seen[$version]="$each"
    done
    for version in "${!seen[@]}"; do printf '%s %s\n' "$version" "${seen[$version]}"; done |
        sort -t. -k2n | cut -d' ' -f2
}

version_of() { "$1" -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

release_of() { "$1" -I -S -c 'import sys; print(sys.version.split()[0])'; }

# The application tree (scripts/apptree.sh) that fits an interpreter.
app_tree_for() {
    case "$(version_of "$1")" in
    3.[678]) printf '%s/old\n' "$APPTREE" ;;
    *) printf '%s/new\n' "$APPTREE" ;;
    esac
}

# An interpreter for the scripts' own drivers (3.6 or newer).
any_python() {
    if [ -z "${DRIVER_PYTHON:-}" ]; then
        if [ -x /usr/bin/python3 ]; then
            DRIVER_PYTHON=/usr/bin/python3
        else
            DRIVER_PYTHON="$(interpreters | tail -n 1)"
        fi
        [ -n "$DRIVER_PYTHON" ] || die "no CPython on this machine; apt-get install python3, or scripts/references.sh"
    fi
    printf '%s\n' "$DRIVER_PYTHON"
}

# install PACKAGE...: through apt when something is missing and we may.
install() {
    local missing=() each
    for each in "$@"; do
        dpkg-query -W -f '${Status}' "$each" 2>/dev/null | grep -q 'install ok installed' || missing+=("$each")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || die "missing packages: ${missing[*]} (apt-get install them as root)"
    export DEBIAN_FRONTEND=noninteractive
    local log
    log="$(mktemp)"
    if ! apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null >"$log" 2>&1; then
        # The lists may be old or absent on a new machine.
        if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
            tail -n 20 "$log" >&2
            rm -f "$log"
            die "apt-get install ${missing[*]} failed"
        fi
    fi
    rm -f "$log"
}

# Sets PYCFS to a binary with the bundled VM: $PYCFS when it has one, else the release build with it.
find_pycfs_with_vm() {
    if [ -z "${PYCFS:-}" ] || ! "$PYCFS" run -c pass 2>/dev/null; then
        (cd "$REPOSITORY" && cargo vm-build --locked --quiet) </dev/null
        PYCFS="${CARGO_TARGET_DIR:-$REPOSITORY/target}/release/pycfs"
    fi
    [ -x "$PYCFS" ] || die "no binary at $PYCFS"
    PYCFS="$(realpath "$PYCFS")"
    export PYCFS
}
