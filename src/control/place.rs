//! Where the control socket of a mount is.
//!
//! Its name is the mount's device number: unlike the mount point it is another one for each of
//! several mounts on one place, and the same in every mount namespace.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::server::make_private;

/// The directory of this user's sockets: `/run/pycfs` for root, else below `$XDG_RUNTIME_DIR`,
/// else one in `/tmp` that carries the user id.
pub fn directory() -> PathBuf {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return PathBuf::from("/run/pycfs");
    }
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() => runtime.join("pycfs"),
        _ => temporary(user.as_raw()),
    }
}

/// The directory of this user's sockets, which nobody else can enter; made if it is missing.
pub fn private_directory() -> std::io::Result<PathBuf> {
    let path = directory();
    make_private(&path)?;
    Ok(path)
}

fn temporary(user: u32) -> PathBuf {
    PathBuf::from(format!("/tmp/pycfs-{user}"))
}

/// The socket of the mount with this device number (`MAJOR:MINOR`) that `owner` made.
pub fn socket_of(device: &str, owner: u32) -> PathBuf {
    let name = format!("{}.sock", device.replace(':', "-"));
    let us = rustix::process::geteuid();
    if !us.is_root() || owner == us.as_raw() {
        return directory().join(name);
    }
    // Root looks where the user's daemon most likely put it, in a directory of that user.
    [
        PathBuf::from(format!("/run/user/{owner}/pycfs")),
        temporary(owner),
    ]
    .iter()
    .filter(|place| belongs_to(place, owner))
    .map(|place| place.join(&name))
    .find(|socket| socket.exists())
    .unwrap_or_else(|| directory().join(name))
}

fn belongs_to(place: &Path, owner: u32) -> bool {
    place
        .symlink_metadata()
        .is_ok_and(|found| found.is_dir() && found.uid() == owner)
}
