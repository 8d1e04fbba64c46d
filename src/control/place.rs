//! Where the control socket of a mount is.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The directory of this user's sockets: `/run/pycfs` for root, else below `$XDG_RUNTIME_DIR`,
/// else one in `/tmp` that carries the user id.
pub fn directory() -> PathBuf {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return PathBuf::from("/run/pycfs");
    }
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() => runtime.join("pycfs"),
        _ => PathBuf::from(format!("/tmp/pycfs-{}", user.as_raw())),
    }
}

/// The socket of the mount at `mount_point`, as the mount table names it.
pub fn socket_of(mount_point: &Path) -> PathBuf {
    const DIGITS: usize = 24;
    let digest = blake3::hash(mount_point.as_os_str().as_bytes()).to_hex();
    let name: String = digest.chars().take(DIGITS).collect();
    directory().join(format!("{name}.sock"))
}
