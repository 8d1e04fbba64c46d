#!/usr/bin/env bash
# The bundled VM on a PATH without any Python: the standard library, packages, a web application from PyPI, through a
# mount and beside it; what is compiled and what is not; bad input. `scripts/apache.sh` has the CGI.
# Needs a build with the feature `vm` ($PYCFS, else it is built).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

find_pycfs_with_vm
start_work
cp "$PYCFS" "$WORK/pycfs"
# The driver of these checks is a shell; the VM gets this PATH, without any Python on it.
mkdir "$WORK/bin"
for each in sh env cat ls; do ln -s "$(command -v "$each")" "$WORK/bin/$each"; done
ln -s "$WORK/pycfs" "$WORK/bin/pycfs"
bare() { env -i HOME="$WORK/home" PATH="$WORK/bin" LC_ALL=C.UTF-8 "$@"; }
vm() { bare pycfs run --store "$WORK/vm-store" "$@"; }
check "there is no Python on the VM's PATH" bare sh -c '! command -v python3 && ! command -v python'

# --- The tour: through the mount and beside it ----------------------------------------------------------------------
mkdir -p "$WORK/tree"
cp -r "$SCRIPTS/vm/tour.py" "$SCRIPTS/vm/tour_package" "$WORK/tree/"
cat >"$WORK/expected" <<'END'
version: 3.14 cpython-314
argv: ['one', 'two words']
package: tour 2
relative: TOUR
json: {"a": "\u00e9", "b": [1, 2.5, null]}
re: two one
sqlite3: (10, 4)
zlib: True
subprocess: ('CHILD', 0, '')
threads: 2470
asyncio: 90
modules from elsewhere: []
entries of sys.path from elsewhere: []
END
inventory() { "$(any_python)" "$SCRIPTS/inventory.py" "$WORK/tree"; }
inventory >"$WORK/before"
vm "$WORK/tree/tour.py" one "two words" >"$WORK/beside" 2>&1 || true
check "the tour beside the mount" diff "$WORK/expected" "$WORK/beside"
if [ -e /dev/fuse ]; then
    mount_tree "$WORK/tree" "$WORK/mount"
    vm "$WORK/mount/tour.py" one "two words" >"$WORK/through" 2>&1 || true
    check "the tour through the mount" diff "$WORK/expected" "$WORK/through"
else
    skip "the mount: this machine has no /dev/fuse"
fi

inventory >"$WORK/after"
check "the inventory of the tree is unchanged" cmp "$WORK/before" "$WORK/after"

# --- What is compiled -------------------------------------------------------------------------------------------------
# counters ARG…: mount, store, compiled, unfit.
counters() {
    vm -X pycfs_counters "$@" 2>&1 >/dev/null </dev/null | sed -n 's/^pycfs run: mount \([0-9]*\), store \([0-9]*\), compiled \([0-9]*\), of these by RustPython [0-9]*, unfit \([0-9]*\)$/\1 \2 \3 \4/p' | tail -n 1
}
"$(any_python)" "$SCRIPTS/vm/make_app.py" "$WORK/app" 40
modules="$(find "$WORK/app" -name '*.py' | wc -l)"
same "first run: each source is compiled once" "0 0 $modules 0" "$(counters "$WORK/app/app.py")"
same "second run: no compile" "0 $modules 0 0" "$(counters "$WORK/app/app.py")"
printf '\n# edited\n' >>"$WORK/app/bulk/part0/m7.py"
same "a module edited: one compile" "0 $((modules - 1)) 1 0" "$(counters "$WORK/app/app.py")"
printf '\n# edited\n' >>"$WORK/app/app.py"
same "the script edited: one compile" "0 $((modules - 1)) 1 0" "$(counters "$WORK/app/app.py")"
cp -r "$WORK/app" "$WORK/moved"
same "the same files in another place: no compile" "0 $modules 0 0" "$(counters "$WORK/moved/app.py")"
same "another level: each source is compiled once" "0 0 $modules 0" "$(counters -O "$WORK/app/app.py")"
same "without a store: each source is compiled" "0 0 $modules 0" "$(counters --no-store "$WORK/app/app.py")"
check "nothing is written into the tree" sh -c "! find '$WORK/app' '$WORK/moved' -name __pycache__ | grep -q ."
if is_mounted "$WORK/mount"; then
    hits() { status_field "$WORK/mount" store_hits; }
    cp -r "$WORK/app" "$WORK/tree/app"
    lookups="$(status_field "$WORK/mount" lookups)"
    read -r from_mount _ compiled _ <<<"$(counters "$WORK/mount/app/app.py")"
    # Once warm, the kernel may answer alone.
    asked=$(($(status_field "$WORK/mount" lookups) - lookups))
    if [ "${from_mount:-0}" -gt 0 ]; then
        same "in the mount: every source comes from its __pycache__" "$modules 0 0 0" "$(counters "$WORK/mount/app/app.py")"
        check "and the status shows it ($asked look-ups of entries)" test "$asked" -ge "$modules"
        printf '\n# edited again\n' >>"$WORK/tree/app/bulk/part1/m21.py"
        before="$(status_field "$WORK/mount" compiles)"
        same "a module edited below the mount: still from the mount" "$modules 0 0 0" "$(counters "$WORK/mount/app/app.py")"
        same "with one compile there" 1 $(($(status_field "$WORK/mount" compiles) - before))
    else
        skip "entries of the mount: it has no compiler for CPython 3.14"
    fi
    rm -r "$WORK/tree/app"
    check "the mount is unmounted" unmount_tree "$WORK/mount"
fi

# --- A web application from PyPI ---------------------------------------------------------------------------------------
site="$WORK/site"
if "$(any_python)" -m pip --version >/dev/null 2>&1 || install python3-pip; then
    "$(any_python)" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-compile \
        --target "$site" bottle==0.13.4 </dev/null
fi
cat >"$WORK/web.py" <<'END'
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import bottle


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


app = bottle.Bottle()


@app.route("/hello/<name>")
def hello(name):
    return bottle.template("Hello {{name}}, {{count}} letters!", name=name, count=len(name))


with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
END
(exec env -i PATH="$WORK/bin" "$WORK/pycfs" run --store "$WORK/vm-store" --site "$site" "$WORK/web.py") >"$WORK/port" 2>"$WORK/web.log" &
server=$!
CHILDREN+=("$server")
wait_until 30 test -s "$WORK/port" || cat "$WORK/web.log"
same "a bottle application under wsgiref answers curl" "Hello World, 5 letters!" \
    "$(curl --silent --max-time 20 "http://127.0.0.1:$(head -n 1 "$WORK/port")/hello/World")"
kill "$server"
wait "$server" || status=$?
same "and ends at a signal as Python does" 143 "${status:-0}"

# --- Ways to start ----------------------------------------------------------------------------------------------------
same "-c" "3 ['-c', 'x']" "$(vm -c 'import sys; print(1 + 2, sys.argv)' x)"
same "-m" "1" "$(vm -m json --help | grep -c '^usage: ')"
same "standard input" "['-', 'x'] __main__" "$(echo 'import sys; print(sys.argv, __name__)' | vm - x)"
same "exit codes" "7" "$(vm -c 'raise SystemExit(7)' || echo $?)"
same "-I and -O reach the flags" "1 2 False" "$(vm -I -OO -c 'import sys; print(sys.flags.isolated, sys.flags.optimize, __debug__)')"
printf '#!%s -S pycfs run --no-store\nimport sys\nprint("by shebang", sys.argv[1:])\n' "$(command -v env)" >"$WORK/script"
chmod +x "$WORK/script"
same "a shebang line" "by shebang ['a']" "$(bare "$WORK/script" a)"
ln -s "$WORK/pycfs" "$WORK/bin/python3"
same "a link named python3 is Python" "True" "$(bare python3 -c 'import sys; print(sys.executable.endswith("bin/python3"))')"
rm "$WORK/bin/python3"
mkdir "$WORK/readonly"
echo 'import beside; print(beside.value)' >"$WORK/readonly/main.py"
echo 'value = "read only"' >"$WORK/readonly/beside.py"
chmod -R a-w "$WORK/readonly"
same "in a read-only directory" "read only" "$(cd "$WORK/readonly" && vm main.py)"
chmod -R u+w "$WORK/readonly"
printf 'print("from a session")\n1 +\n' >"$WORK/session"
check "a session goes on after a line in error" grep -q "42" <<<"$(printf '1 +\n6 * 7\n' | vm -i 2>&1)"

# --- CPython's own pyc -----------------------------------------------------------------------------------------------
if [ -x "$REFERENCES/bin/python3.14" ]; then
    "$REFERENCES/bin/python3.14" -c "import py_compile, sys; py_compile.compile(sys.argv[1], cfile=sys.argv[2])" "$SCRIPTS/vm/opcodes.py" "$WORK/opcodes.pyc"
    same "a pyc of CPython 3.14 with its rarest opcodes" "$("$REFERENCES/bin/python3.14" "$SCRIPTS/vm/opcodes.py")" "$(vm "$WORK/opcodes.pyc")"
fi

# --- Imports and endings: CPython's ------------------------------------------------------------------------------------
if [ -x "$REFERENCES/bin/python3.14" ]; then
    for way in "" importlib; do
        seen() { # COMMAND…
            rm -rf "$WORK/imports"
            "$@" "$SCRIPTS/vm/imports.py" "$WORK/imports" ${way:+"$way"} 2>&1
        }
        seen "$REFERENCES/bin/python3.14" -B >"$WORK/seen"
        seen "$WORK/pycfs" run --no-store >"$WORK/seen-ours" || true
        check "what a program sees of imports${way:+, made by $way}: $(wc -l <"$WORK/seen") lines" diff "$WORK/seen" "$WORK/seen-ours"
    done
    for kind in object cycle default metaclass generator finalize file "file in a cycle" "binary file" database \
        "atexit and a thread" exception plain; do
        ending() { # COMMAND…
            rm -f "$WORK/ending" "$WORK/ending"-*
            "$@" "$SCRIPTS/vm/endings.py" "$kind" "$WORK/ending" 2>&1 && echo "exit 0" || echo "exit $?"
            if [ -e "$WORK/ending" ]; then wc -c <"$WORK/ending" && ls "$WORK" | grep ending; fi
        }
        same "what is seen of the end: $kind" "$(ending "$REFERENCES/bin/python3.14")" "$(ending "$WORK/pycfs" run --no-store)"
    done
else
    skip "imports and endings: no CPython 3.14 in $REFERENCES (scripts/references.sh)"
fi

# --- Damage ------------------------------------------------------------------------------------------------------------
same "a damaged pyc never ends the VM" "damaged True" "$(vm "$SCRIPTS/vm/damage.py" "$SCRIPTS/vm/tour.py" 23)"

# --- Bad input: CPython's words and exit codes -----------------------------------------------------------------------
reference="$REFERENCES/bin/python3.14"
if [ -x "$reference" ]; then
    mkdir "$WORK/bad" "$WORK/bad/empty"
    printf 'def f(:\n    pass\n' >"$WORK/bad/syntax.py"
    printf 'x = 1\n  y = 2\n' >"$WORK/bad/indent.py"
    printf 'x = (1,\n' >"$WORK/bad/open.py"
    printf 'f(a for a in b, c)\n' >"$WORK/bad/generator.py"
    printf 'print("a")\nreturn 1\n' >"$WORK/bad/return.py"
    printf 'x = "caf\xe9"\n' >"$WORK/bad/latin.py"
    printf '\xff\xd8\xff\xe0JFIF\n\x89\xfe\n' >"$WORK/bad/binary.py"
    printf 'x = 1\0\n' >"$WORK/bad/nul.py"
    printf 'def f():\n    return 1 / 0\n\nf()\n' >"$WORK/bad/raises.py"
    printf 'import syntax\n' >"$WORK/bad/imports.py"
    printf '\xcb\x0d\x0d\x0a\0\0\0\0\0\0\0\0\0\0\0\0' >"$WORK/bad/other.pyc"
    printf 'secret = 1\n' >"$WORK/bad/unreadable.py"
    chmod 000 "$WORK/bad/unreadable.py"
    as_user() { if [ "$(id -u)" -eq 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi; }
    # The name of the program is what may differ.
    told() { NO_COLOR=1 as_user "$@" </dev/null 2>&1 && echo "exit 0" || echo "exit $?"; }
    both() { # FILE: sets native and ours
        native="$(told "$reference" "$WORK/bad/$1" | sed "s|$reference|PYTHON|g")"
        ours="$(told "$WORK/pycfs" run --no-store "$WORK/bad/$1" | sed 's|^pycfs:|PYTHON:|')"
    }
    for name in missing.py empty syntax.py indent.py open.py generator.py return.py latin.py binary.py nul.py raises.py imports.py other.pyc unreadable.py; do
        both "$name"
        same "$name: $(tail -n 2 <<<"$native" | tr '\n' ' ')" "$native" "$ours"
    done
    for text in 'x = 1
  y = 2' 'def f(: pass' 'x = (1,' 'return 1'; do
        same "-c with a wrong program: ${text%%$'\n'*}" "$(told "$reference" -c "$text")" "$(told "$WORK/pycfs" run --no-store -c "$text")"
    done
    # Where SyntaxError.text ends differs in a few (docs/vm.md).
    rejections() { NO_COLOR=1 "$@" -W ignore "$SCRIPTS/vm/rejections.py"; }
    rejections "$reference" >"$WORK/rejections" 2>&1
    rejections "$WORK/pycfs" run --no-store >"$WORK/rejections-ours" 2>&1 || true
    differing="$(diff "$WORK/rejections" "$WORK/rejections-ours" | grep -c '^<' || true)"
    all="$(wc -l <"$WORK/rejections")"
    check "wrong programs in compile(), exec(), ast.parse(), an import: $differing of $all answers differ" test "$((differing * 50))" -le "$all"
    same "-X importtime tells imports as CPython does" "import time: self [us] | cumulative | imported package" \
        "$(vm -X importtime -c 'import this' 2>&1 >/dev/null | head -n 1)"
    check "with those within another further to the right" grep -q -E '^import time: +[0-9]+ \| +[0-9]+ \|  +json\.decoder$' \
        <<<"$(vm -X importtime -c 'import json' 2>&1 >/dev/null)"
    chmod 600 "$WORK/bad/unreadable.py"
else
    skip "CPython's messages: no CPython 3.14 in $REFERENCES (scripts/references.sh)"
fi
finish
