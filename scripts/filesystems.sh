#!/usr/bin/env bash
# The comparison of mirror and source, and the synthesis, with the source on each filesystem that this kernel has: the
# test binaries `mirror` and `synthesis` run with their temporary folders there; images that cannot be written
# (squashfs, erofs) are mounted and compared as they are.
#   filesystems.sh [FILESYSTEM…]     default: ext4 xfs btrfs tmpfs overlay squashfs erofs
# PYCFS_TESTS names folders' worth of built test binaries, separated by spaces; else cargo builds them.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(id -u)" -eq 0 ] || die "it needs root"
WANTED=("$@")
[ "${#WANTED[@]}" -gt 0 ] || WANTED=(ext4 xfs btrfs tmpfs overlay squashfs erofs)
install e2fsprogs xfsprogs btrfs-progs squashfs-tools erofs-utils
export PATH="$PATH:/usr/sbin:/sbin"
find_pycfs
start_work
PYTHON="$(any_python)"
if [ -n "${PYCFS_TESTS:-}" ]; then
    read -r -a tests <<<"$PYCFS_TESTS"
else
    mapfile -t tests < <(cd "$REPOSITORY" && cargo test --locked --no-run --test mirror --test synthesis 2>&1 </dev/null |
        sed -n 's/.*Executable.*(\(.*\))$/\1/p')
fi
[ "${#tests[@]}" -gt 0 ] || die "no test binaries"

available() {
    modprobe "$1" 2>/dev/null || true
    grep -qw "$1" /proc/filesystems
}

# A tree for the images: kinds of files, names, times and modes, and modules to import.
make_tree() {
    local root="$1"
    "$PYTHON" "$SCRIPTS/modules.py" make "$root" 120
    mkdir -p "$root/sub/deep"
    printf 'value = 1\n' >"$root/sub/deep/module.py"
    ln -s deep/module.py "$root/sub/link.py"
    ln -s nowhere "$root/dangling"
    ln "$root/sub/deep/module.py" "$root/sub/hard.py"
    mkfifo "$root/sub/fifo.py"
    mknod "$root/sub/null" c 1 3
    truncate -s 3M "$root/sub/sparse"
    printf 'x' >"$root/sub/$(printf 'n%.0s' {1..255})"
    printf 'secret = 1\n' >"$root/sub/secret.py" && chmod 600 "$root/sub/secret.py"
    chown 1000:1000 "$root/sub/deep" && chmod 2750 "$root/sub/deep"
    touch -d '1990-01-02 03:04:05.678901234 UTC' "$root/sub/old.py"
}

# on FILESYSTEM DIRECTORY: what is compared there.
on() {
    local kind="$1" place="$2" each log
    mkdir -p "$place/tmp" && chmod 1777 "$place/tmp"
    for each in "${tests[@]}"; do
        log="$WORK/$kind.$(basename "$each").log"
        (cd "$REPOSITORY" && TMPDIR="$place/tmp" timeout 900 "$each" --test-threads 2 >"$log" 2>&1 </dev/null) || true
        check "$kind: $(basename "${each%-*}"): $(grep '^test result' "$log" || echo 'no result')" \
            grep -q '^test result: ok' "$log"
        grep -E '^test .* FAILED|panicked at' -A3 "$log" | head -40 || true
    done
    make_tree "$place/tree"
    tree "$kind" "$place/tree"
}

# tree FILESYSTEM SOURCE: a tree that is there is mirrored as it is, and imported.
tree() {
    local kind="$1" source="$2" answer
    mount_tree "$source" "$WORK/mount"
    answer="$("$PYTHON" "$SCRIPTS/compare_tree.py" "$source" "$WORK/mount" 2>&1)" || true
    check "$kind: a tree on both sides: $(head -n 1 <<<"$answer")" grep -q ' 0 differences' <<<"$answer"
    grep -q ' 0 differences' <<<"$answer" || say "$answer"
    same "$kind: 120 modules are right and served compiled" "120 0 0" \
        "$("$PYTHON" -ISE "$SCRIPTS/modules.py" import "$WORK/mount" 120 | cut -d' ' -f1-3)"
    say "        $(status_field "$WORK/mount" mode || true)"
    check "$kind: it is unmounted" unmount_tree "$WORK/mount"
}

for kind in "${WANTED[@]}"; do
    if ! available "$kind"; then
        skip "$kind: this kernel does not have it"
        continue
    fi
    place="$WORK/$kind"
    mkdir -p "$place"
    case "$kind" in
    ext4 | xfs | btrfs)
        truncate -s 2G "$WORK/$kind.image"
        options=(-q)
        # A test makes 100,000 files.
        if [ "$kind" = ext4 ]; then options+=(-N 400000); fi
        "mkfs.$kind" "${options[@]}" "$WORK/$kind.image" >"$WORK/mkfs.log" 2>&1 || { fail "$kind: mkfs: $(tail -n 1 "$WORK/mkfs.log")"; continue; }
        if ! mount -o loop "$WORK/$kind.image" "$place" 2>"$WORK/mount.log"; then
            skip "$kind: cannot be mounted here: $(cat "$WORK/mount.log")"
            continue
        fi
        on "$kind" "$place"
        umount "$place"
        rm -f "$WORK/$kind.image"
        ;;
    tmpfs)
        mount -t tmpfs -o size=600m none "$place"
        on "$kind" "$place"
        umount "$place"
        ;;
    overlay)
        # On a tmpfs, since an overlay does not lie on every filesystem.
        mount -t tmpfs -o size=600m none "$place"
        mkdir "$place/lower" "$place/upper" "$place/work" "$place/merged"
        make_tree "$place/lower/below"
        mount -t overlay overlay -o "lowerdir=$place/lower,upperdir=$place/upper,workdir=$place/work" "$place/merged"
        tree "overlay, a lower layer" "$place/merged/below"
        # Copied up by an edit: another inode on another layer, under the same name.
        printf 'value = 2\n' >"$place/merged/below/sub/deep/module.py"
        rm "$place/merged/below/package000/module00001.py"
        printf 'value = "1 of generation 0"\n' >"$place/merged/below/package000/module00001.py"
        tree "overlay, after edits" "$place/merged/below"
        on "$kind" "$place/merged"
        umount "$place/merged" "$place"
        ;;
    squashfs | erofs)
        make_tree "$WORK/$kind.tree"
        if [ "$kind" = squashfs ]; then
            mksquashfs "$WORK/$kind.tree" "$WORK/$kind.image" -quiet -no-progress >/dev/null
        else
            # mkfs.erofs 1.5 does not take names of 255 bytes.
            rm "$WORK/$kind.tree/sub/"nnnnn*
            mkfs.erofs "$WORK/$kind.image" "$WORK/$kind.tree" >/dev/null 2>&1
        fi
        if mount -o loop,ro -t "$kind" "$WORK/$kind.image" "$place" 2>"$WORK/mount.log"; then
            tree "$kind" "$place"
            umount "$place"
        else
            skip "$kind: cannot be mounted here: $(cat "$WORK/mount.log")"
        fi
        ;;
    *) die "unknown filesystem $kind" ;;
    esac
done
finish
