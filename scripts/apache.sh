#!/usr/bin/env bash
# Apache httpd with mod_cgid, as www-data on a loopback port, serving a developer's tree through the mount. The
# tree is not writable for www-data; its CGI scripts start Debian's python3 and the references.
# Only Debian's apache2-bin is installed: it has the server and starts no service, so a system instance
# stays as it is. Needs root. PYCFS_REQUESTS=N sets the length of the soak (default 1000).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(id -u)" -eq 0 ] || die "needs root: it starts a server that changes to www-data"
REQUESTS="${PYCFS_REQUESTS:-1000}"
find_pycfs
install apache2-bin media-types python3 rsync strace git
# Not below /tmp: a part of the checks gives Apache a private one.
TMPDIR=/srv start_work
DEVELOPER=12345
SITE="$WORK/site"
WWW="$WORK/www"
CLIENT="$SCRIPTS/apache/client.py"
PORT="$("$(any_python)" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
MODULES_DIR=/usr/lib/apache2/modules

as_www() { setpriv --reuid www-data --regid www-data --clear-groups "$@"; }
as_developer() { setpriv --reuid "$DEVELOPER" --regid "$DEVELOPER" --clear-groups "$@"; }
body() { "$(any_python)" "$CLIENT" body "$PORT" "$1" 2>/dev/null || true; }
get() { "$(any_python)" "$CLIENT" get "$PORT" "$@"; }
load() { "$(any_python)" "$CLIENT" load "$PORT" "$@"; }
inventory() { "$(any_python)" "$SCRIPTS/inventory.py" "$SITE"; }

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }

# start_apache [COMMAND…]: the server, below that command when given.
start_apache() {
    mkdir -p "$WORK/run"
    "$@" /usr/sbin/apache2 -f "$WORK/httpd.conf" -DFOREGROUND </dev/null >>"$WORK/apache.out" 2>&1 &
    APACHE=$!
    CHILDREN+=("$APACHE")
    wait_until 20 answers || { cat "$WORK/apache.out" "$WORK/error.log" >&2; die "Apache does not start"; }
}

stop_apache() {
    kill "$APACHE"
    wait "$APACHE" 2>/dev/null || true
    wait_until 20 not_running "$APACHE"
}

# --- The site ---------------------------------------------------------------------------------------------
if "${PYCFS_VM:-$PYCFS}" run -c pass 2>/dev/null; then
    # Where www-data can start it.
    cp "${PYCFS_VM:-$PYCFS}" "$WORK/pycfs-vm"
    export PYCFS_VM="$WORK/pycfs-vm"
else
    unset PYCFS_VM
fi
mapfile -t references < <(compgen -G "$REFERENCES/bin/python3.*" || true)
modules="$("$(any_python)" "$SCRIPTS/apache/make_site.py" "$SITE" /usr/bin/python3 "${references[@]}")"
chown -hR "$DEVELOPER:$DEVELOPER" "$SITE"
chown -h 0:0 "$SITE/static/foreign-link.txt"
sed -e "s|@WORK@|$WORK|g" -e "s|@PORT@|$PORT|g" -e "s|@MODULES@|$MODULES_DIR|g" "$SCRIPTS/apache/httpd.conf" >"$WORK/httpd.conf"
inventory >"$WORK/before"
mount_tree "$SITE" "$WWW"
start_apache
say "Apache $(/usr/sbin/apache2 -v | sed -n 's/.*Apache\/\([0-9.]*\).*/\1/p') on port $PORT, $(release_of /usr/bin/python3), $modules modules"
TAG="cpython-$(/usr/bin/python3 -c 'import sys; print("%d%d" % sys.version_info[:2])')"

# --- 50 first requests at once ------------------------------------------------------------------------------
before="$(status_field "$WWW" compiles)"
read -r good other lost bodies _ < <(load /cgi/index.cgi 50 50)
same "50 parallel first requests get one right answer" "50 0 0 1" "$good $other $lost $bodies"
compiles=$(($(status_field "$WWW" compiles) - before))
check "they compile each module once ($compiles compiles, $modules modules)" test "$compiles" -ge "$modules" -a "$compiles" -le $((modules + 5))
expected="$(cd "$SITE/cgi" && PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 index.cgi | tail -n 1)"
same "the CGI answers what it answers without us" "$expected" "$(body /cgi/index.cgi)"

# --- What www-data sees ---------------------------------------------------------------------------------------
listing="$(as_www ls "$WWW/cgi/site_package/__pycache__" 2>&1 || true)"
check "www-data lists the caches" grep -q "part0.$TAG.pyc" <<<"$listing"
check "Apache's own index of the folder shows them" grep -q "part0.$TAG.pyc" <<<"$(body /listing/__pycache__/)"
check "www-data cannot write: not beside the source" as_www sh -c "! touch '$WWW/cgi/new.py' 2>/dev/null"
check "www-data cannot write: not in __pycache__" as_www sh -c "! touch '$WWW/cgi/site_package/__pycache__/new.pyc' 2>/dev/null"
check "root cannot write either" sh -c "! touch '$WWW/cgi/new.py' 2>/dev/null"

: >"$WORK/error.log"
body /cgi/verbose.cgi >/dev/null
sed -E 's/^.*AH01215: //; s/: [^ ]*verbose\.cgi$//' "$WORK/error.log" >"$WORK/verbose"
read -r matched compiled written refused < <("$(any_python)" "$SCRIPTS/verbose_report.py" "$WORK/verbose" "$WWW/cgi")
same "python -v in a CGI: all caches match, nothing compiled, written or refused" "$modules 0 0 0" "$matched $compiled $written $refused"

# --- No attempt to write ----------------------------------------------------------------------------------------
trace="$WORK/trace"
pids=()
for pid in $(pgrep -P "$APACHE") "$APACHE"; do pids+=(-p "$pid"); done
strace -f -q -e trace=%file -o "$trace" "${pids[@]}" 2>/dev/null &
tracer=$!
CHILDREN+=("$tracer")
traced() { local each; for each in $(pgrep -P "$APACHE") "$APACHE"; do grep -q '^TracerPid:.*[1-9]' "/proc/$each/status" || return 1; done; }
check "strace is attached" wait_until 20 traced
load /cgi/index.cgi 20 2 >/dev/null
kill "$tracer"
wait "$tracer" 2>/dev/null || true
opened="$(grep "openat(.*$WWW/cgi/site_package/__pycache__/part0.$TAG.pyc" "$trace" | grep -vc ENOENT || true)"
check "strace sees the caches opened ($opened times in 20 requests)" test "$opened" -ge 20
attempts="$(grep "$WWW" "$trace" | grep -cE 'O_WRONLY|O_RDWR|O_CREAT|mkdir|rename|unlink|symlink|chmod|utime' || true)"
same "and no attempt to write in the mount" 0 "$attempts"

# --- Several interpreters -----------------------------------------------------------------------------------------
[ "${#references[@]}" -gt 0 ] || skip "no references in $REFERENCES (scripts/references.sh)"
for python in "${references[@]}"; do
    version="$(version_of "$python")"
    same "CPython $version in the shebang" "$expected" "$(body "/cgi/on-$version.cgi")"
    check "its caches are listed" grep -q "part0.cpython-${version/./}.pyc" <<<"$(as_www ls "$WWW/cgi/site_package/__pycache__" 2>&1 || true)"
done

# --- The bundled VM ------------------------------------------------------------------------------------------------
if [ -n "${PYCFS_VM:-}" ]; then
    : >"$WORK/error.log"
    same "the bundled VM in the shebang" "$expected" "$(body /cgi/on-vm.cgi)"
    if [ -x "$REFERENCES/bin/python3.14" ]; then
        from_mount="$(sed -n 's/.*pycfs run: mount \([0-9]*\),.*/\1/p' "$WORK/error.log")"
        same "each module of its comes from the mount's cache" "$modules" "$from_mount"
    fi
else
    skip "the bundled VM: this build has none (cargo vm-build; PYCFS_VM names it)"
fi

# --- Soak: memory and descriptors stay flat -----------------------------------------------------------------------
daemon="$(daemon_pid "$WWW")"
rss() { awk '$1 == "VmRSS:" { print $2 }' "/proc/$daemon/status"; }
descriptors() { find "/proc/$daemon/fd" -mindepth 1 | wc -l; }
load /cgi/index.cgi 100 4 >/dev/null
rss_before="$(rss)"
descriptors_before="$(descriptors)"
read -r good other lost bodies _ < <(load /cgi/index.cgi "$REQUESTS" 4)
same "$REQUESTS requests, one answer" "$REQUESTS 0 0 1" "$good $other $lost $bodies"
check "memory is flat ($rss_before kB, then $(rss) kB)" test "$(rss)" -le $((rss_before + rss_before / 10 + 2048))
check "descriptors are flat ($descriptors_before, then $(descriptors))" test "$(descriptors)" -le $((descriptors_before + 4))
inventory >"$WORK/after"
check "the inventory of the source is unchanged after $REQUESTS requests" cmp "$WORK/before" "$WORK/after"

# --- Edits below the mount ------------------------------------------------------------------------------------------
edited="$SITE/cgi/edited.py"
change() { printf "value = '%08d'\n" "$1"; }
export -f change
stale=0
for number in $(seq 1 50); do
    as_developer bash -c "change $number >'$edited'"
    [ "$(body /cgi/edited.cgi)" = "$(printf '%08d' "$number")" ] || stale=$((stale + 1))
done
same "50 edits of the same size, in place, each right at the next request" 0 "$stale"
stale=0
for number in $(seq 51 80); do
    as_developer bash -c "change $number >'$edited.new' && touch -d @1000000000 '$edited.new' && mv '$edited.new' '$edited'"
    [ "$(body /cgi/edited.cgi)" = "$(printf '%08d' "$number")" ] || stale=$((stale + 1))
done
same "30 renames over it, all with the same mtime" 0 "$stale"
stale=0
for number in $(seq 81 100); do
    as_developer rm "$edited"
    if [ $((number % 4)) -eq 0 ] && [ -n "$(body /cgi/edited.cgi)" ]; then stale=$((stale + 1)); fi
    as_developer bash -c "change $number >'$edited'"
    [ "$(body /cgi/edited.cgi)" = "$(printf '%08d' "$number")" ] || stale=$((stale + 1))
done
same "20 times deleted (a request in between fails as it must) and made again" 0 "$stale"

for number in 101 102; do
    mkdir -p "$WORK/stage-$number"
    change "$number" >"$WORK/stage-$number/edited.py"
    touch -d @1000000000 "$WORK/stage-$number/edited.py"
done
stale=0
for number in 101 102 101 102 101; do
    rsync --archive --ignore-times "$WORK/stage-$number/edited.py" "$edited"
    [ "$(body /cgi/edited.cgi)" = "$(printf '%08d' "$number")" ] || stale=$((stale + 1))
done
same "rsync that keeps the mtimes" 0 "$stale"

git_in_site() { git -C "$SITE/cgi" -c user.name=developer -c user.email=developer@example.org -c safe.directory='*' -c core.autocrlf=false "$@"; }
git_in_site init --quiet --initial-branch=one
change 201 >"$edited"
git_in_site add edited.py && git_in_site commit --quiet -m one
git_in_site checkout --quiet -b two
change 202 >"$edited"
git_in_site add edited.py && git_in_site commit --quiet -m two
stale=0
for each in one:201 two:202 one:201 two:202 one:201 two:202; do
    git_in_site checkout --quiet "${each%:*}"
    [ "$(body /cgi/edited.cgi)" = "$(printf '%08d' "${each#*:}")" ] || stale=$((stale + 1))
done
same "git checkout of another branch, back and forth" 0 "$stale"

stale=0
for number in 1 0 1 0 1 0 1 0; do
    ln -sfn "release-$number" "$SITE/cgi/current.new"
    chown -h "$DEVELOPER:$DEVELOPER" "$SITE/cgi/current.new"
    mv -T "$SITE/cgi/current.new" "$SITE/cgi/current"
    [ "$(body /cgi/deployed.cgi)" = "release$number" ] || stale=$((stale + 1))
done
same "a deploy that flips the link 'current'" 0 "$stale"

# --- Failures look as without us --------------------------------------------------------------------------------------
traceback_of() { (cd / && as_www /usr/bin/python3 "$1/cgi/$2" 2>&1 >/dev/null | sed "s|$1/|TREE/|g") || true; }
for script in broken.cgi secret.cgi; do
    native="$(traceback_of "$SITE" "$script")"
    check "$script fails natively" grep -qE 'SyntaxError|PermissionError' <<<"$native"
    same "$script: the traceback through the mount is the same" "$native" "$(traceback_of "$WWW" "$script")"
    : >"$WORK/error.log"
    same "$script: Apache answers 500" 500 "$(get "/cgi/$script" | cut -d' ' -f1)"
    check "$script: its traceback is in the error log" grep -qE 'SyntaxError|PermissionError' "$WORK/error.log"
done
check "the pyc of a 0600 module is unreadable for www-data" as_www sh -c "! cat '$WWW/cgi/__pycache__/secret.$TAG.pyc' >/dev/null 2>&1"
check "and readable for its owner" as_developer sh -c "cat '$WWW/cgi/__pycache__/secret.$TAG.pyc' >/dev/null"

# --- Static files -------------------------------------------------------------------------------------------------------
sum="$(sha256sum "$SITE/static/large.bin" | cut -d' ' -f1)"
part="$(tail -c +1001 "$SITE/static/large.bin" | head -c 5000 | sha256sum | cut -d' ' -f1)" || true
for way in fast plain; do
    same "$way: the whole file" "200 - 3000000 $sum" "$(get "/$way/large.bin")"
    same "$way: a range of it" "206 bytes 1000-5999/3000000 5000 $part" "$(get "/$way/large.bin" "Range:bytes=1000-5999")"
    same "$way: If-Modified-Since answers 304" 304 "$(get "/$way/large.bin" "If-Modified-Since:$(date -u -r "$SITE/static/large.bin" '+%a, %d %b %Y %H:%M:%S GMT')" | cut -d' ' -f1)"
    stale=0
    for number in 1 2 3 4 5 6 7 8 9; do
        printf 'version %d\n' "$number" >"$SITE/static/small.txt"
        [ "$(body "/$way/small.txt")" = "version $number" ] || stale=$((stale + 1))
    done
    same "$way: a file edited at the same size" 0 "$stale"
    same "$way: a file that www-data cannot read is refused" 403 "$(get "/$way/hidden.txt" | cut -d' ' -f1)"
    same "$way: SymLinksIfOwnerMatch follows the owner's link" 200 "$(get "/$way/own-link.txt" | cut -d' ' -f1)"
    same "$way: SymLinksIfOwnerMatch refuses another's link" 403 "$(get "/$way/foreign-link.txt" | cut -d' ' -f1)"
done

# --- PrivateTmp: Apache in a mount namespace of its own --------------------------------------------------------------------
stop_apache
# shellcheck disable=SC2016  # the inner shell's
start_apache unshare --mount --propagation slave sh -c 'mount -t tmpfs none /tmp && exec "$@"' sh
same "Apache with a private /tmp" "$expected" "$(body /cgi/index.cgi)"
stop_apache
start_apache

# --- The daemon killed during requests --------------------------------------------------------------------------------------
daemon="$(daemon_pid "$WWW")"
load /cgi/index.cgi 600 8 20 >"$WORK/load" &
loader=$!
sleep 1
kill -9 "$daemon"
wait "$loader"
read -r good other lost _ longest <"$WORK/load"
same "the daemon killed during 600 requests: each gets an answer" "600 0" "$((good + other + lost)) $lost"
check "none waits ($good right, $other errors, longest $longest s)" test "$longest" -le 15
timeout 30 "$PYCFS" umount "$WWW" 2>/dev/null || timeout 30 umount "$WWW" 2>/dev/null || true
check "the dead mount can be taken away" sh -c "! grep -q ' $WWW ' /proc/self/mounts"
mount_tree "$SITE" "$WWW"
same "after the next mount the running Apache serves again" "$expected" "$(body /cgi/index.cgi)"

stop_apache
check "the mount is unmounted" unmount_tree "$WWW"
check "no cache was written into the source" sh -c "! find '$SITE' -name __pycache__ | grep -q ."
finish
