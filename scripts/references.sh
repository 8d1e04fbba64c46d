#!/usr/bin/env bash
# Brings reference interpreters that this distribution does not have: the CPython releases of Debian sid,
# each with its test suite, into a folder of their own ($PYCFS_REFERENCES, default /opt/pycfs-references).
# Its packages are unpacked only: no maintainer script runs, nothing of it is mixed into the machine.
# $PYCFS_REFERENCES/bin/python3.X runs from outside, for any user, with the loader and libraries of that
# folder. Prints the patch releases. Run it again at any time: it ends at once when all is there.
# Needs root the first time. PYCFS_REFERENCES_FORCE=1 brings the newest patches again.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SUITE="${PYCFS_REFERENCES_SUITE:-sid}"
VERSIONS=(3.13 3.14 3.15)
ROOT="$REFERENCES/$SUITE"
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that this machine's apt uses for its own distribution (deb822 and one-line sources).
apt_mirror() {
    # shellcheck disable=SC2016  # the braces are apt's
    apt-get indextargets --format '$(CREATED_BY) $(SITE)' |
        awk '$1 == "Packages" && $2 ~ /\/debian\/?$/ { print $2; exit }'
}

# Downloads the closure of the packages into $1; a version that the suite lacks is left out.
download() {
    local system="$1" log="$2" mirror include version missing keyring=()
    mirror="$(apt_mirror)"
    [ -n "$mirror" ] || die "no Debian mirror in this machine's apt configuration"
    if [ -e "$KEYRING" ]; then keyring=("--keyring=$KEYRING"); fi
    while [ "${#VERSIONS[@]}" -gt 0 ]; do
        include=""
        for version in "${VERSIONS[@]}"; do include+="python$version,libpython$version-testsuite,"; done
        rm -rf "$system"
        if debootstrap "${keyring[@]}" --variant=minbase --foreign "--include=${include%,}" \
            "$SUITE" "$system" "$mirror" >"$log" 2>&1; then
            return 0
        fi
        missing="$(sed -n "s/.*Couldn't find these debs: *//p" "$log")"
        local kept=()
        for version in "${VERSIONS[@]}"; do
            case " $missing " in
            *"python$version"*) say "python$version is not in $SUITE" ;;
            *) kept+=("$version") ;;
            esac
        done
        if [ "${#kept[@]}" -eq "${#VERSIONS[@]}" ]; then
            tail -n 20 "$log" >&2
            die "debootstrap of $SUITE failed"
        fi
        VERSIONS=("${kept[@]}")
    done
    die "$SUITE has none of the wanted versions"
}

# debootstrap's first stage leaves the packages that are not essential as archives.
unpack() {
    local system="$1" archive
    for archive in "$system"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$archive" | tar -C "$system" -x --keep-directory-symlink
    done
    rm -rf "$system/debootstrap" "$system"/var/cache/apt/archives/*.deb
}

# Makes an interpreter below $1 independent of the machine: the loader and the library path of the folder
# $2 are written into the program, so that sys.executable and every child process find them too.
make_relocated() {
    local system="$1" final="$2" version="$3" loader libraries
    loader="$(cd "$system" && find usr/lib usr/lib64 -name 'ld-linux*.so.*' ! -type d | head -n 1)"
    libraries="$(cd "$system" && dirname "$(find usr/lib -name libc.so.6 | head -n 1)")"
    if [ -z "$loader" ] || [ -z "$libraries" ]; then die "no loader or libc below $system"; fi
    # DT_RPATH, not DT_RUNPATH: it holds for what the extension modules load, too.
    patchelf --set-interpreter "$final/$loader" --force-rpath --set-rpath "$final/$libraries" \
        "$system/usr/bin/python$version"
    # An absolute link into /etc, which would be the machine's.
    rm -f "$system/usr/lib/python$version/sitecustomize.py"
}

bring() {
    local staging system version
    [ "$(id -u)" -eq 0 ] || die "the references are missing from $REFERENCES, and only root can bring them"
    install debootstrap patchelf xz-utils
    mkdir -p "$REFERENCES/bin"
    staging="$(mktemp -d "$REFERENCES/.staging.XXXXXX")"
    # shellcheck disable=SC2034  # the trap's
    WORK="$staging"
    trap clean_up EXIT
    system="$staging/system"
    download "$system" "$staging/log"
    unpack "$system"
    for version in "${VERSIONS[@]}"; do make_relocated "$system" "$ROOT" "$version"; done
    chmod 755 "$system"
    rm -rf --one-file-system "$ROOT"
    mv "$system" "$ROOT"
    rm -f "$REFERENCES"/bin/python3.*
    for version in "${VERSIONS[@]}"; do ln -s "../$SUITE/usr/bin/python$version" "$REFERENCES/bin/python$version"; done
}

# What each test takes for granted of a reference.
verify() {
    local python="$1" flags
    for flags in -E -ISE; do "$python" "$flags" "$SCRIPTS/check_reference.py" "$ROOT" || return 1; done
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && setpriv --reuid 65534 --regid 65534 --clear-groups "$python" -ISE - "$ROOT" <"$SCRIPTS/check_reference.py") || return 1
    fi
}

# Another run may be under way, of another clone on this machine.
if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$REFERENCES"
    exec 9>"$REFERENCES/.lock"
    flock 9
fi
if [ -n "${PYCFS_REFERENCES_FORCE:-}" ] || ! compgen -G "$REFERENCES/bin/python3.*" >/dev/null; then
    bring
fi
for python in "$REFERENCES"/bin/python3.*; do
    verify "$python" || die "$python does not work; PYCFS_REFERENCES_FORCE=1 brings it again"
    printf '%s  %s\n' "$(release_of "$python")" "$python"
done
