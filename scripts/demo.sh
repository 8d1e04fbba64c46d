#!/usr/bin/env bash
# The main job on a sample, build included: mounts a small tree that nobody may write, imports it through the mount
# with each CPython found, and shows that each finds a valid cache, that an edit is seen at once and that the
# tree stays as it was. Needs Rust, /dev/fuse and one CPython; root or fusermount3.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

find_pycfs
start_work
mkdir -p "$WORK/sample/shop/prices"
printf 'from .prices import total\n\n\ndef receipt():\n    return "total %%d" %% total([1, 2, 3])\n' >"$WORK/sample/shop/__init__.py"
printf 'from .sums import add\n\n\ndef total(values):\n    return add(values)\n' >"$WORK/sample/shop/prices/__init__.py"
printf 'def add(values):\n    return sum(values) + 0\n' >"$WORK/sample/shop/prices/sums.py"
chmod -R a-w "$WORK/sample/shop"
"$(any_python)" "$SCRIPTS/inventory.py" "$WORK/sample" >"$WORK/before"

say "\$ pycfs mount $WORK/sample $WORK/mount"
mount_tree "$WORK/sample" "$WORK/mount"
mapfile -t found < <(interpreters)
for python in "${found[@]}"; do
    answer="$("$python" -v -c 'import sys; sys.path.insert(0, sys.argv[1]); import shop; print(shop.receipt())' "$WORK/mount" 2>"$WORK/log")"
    read -r matched compiled written _ < <("$(any_python)" "$SCRIPTS/verbose_report.py" "$WORK/log" "$WORK/mount")
    same "CPython $(release_of "$python"): $answer, $matched caches match, $compiled compiled, $written written" \
        "total 6 3 0 0" "$answer $matched $compiled $written"
done
say ""
say "\$ ls $WORK/mount/shop/prices/__pycache__"
ls "$WORK/mount/shop/prices/__pycache__"
"$(any_python)" "$SCRIPTS/inventory.py" "$WORK/sample" >"$WORK/after"
check "the source tree is unchanged" cmp "$WORK/before" "$WORK/after"

say ""
say "the same file, changed within the same second and at the same size:"
chmod u+w "$WORK/sample/shop/prices/sums.py"
for number in 1 2 3 4 5; do
    printf 'def add(values):\n    return sum(values) + %d\n' "$number" >"$WORK/sample/shop/prices/sums.py"
    same "the next import sees edit $number" "total $((6 + number))" \
        "$("$(any_python)" -c 'import sys; sys.path.insert(0, sys.argv[1]); import shop; print(shop.receipt())' "$WORK/mount")"
done
say ""
say "\$ pycfs status $WORK/mount"
"$PYCFS" status "$WORK/mount"
say ""
say "\$ pycfs umount $WORK/mount"
check "the mount is unmounted" unmount_tree "$WORK/mount"
finish
