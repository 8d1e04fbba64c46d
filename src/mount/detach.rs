//! Taking a mount away: by the user's wish, or the daemon's own at its end.

use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::error::Error;
use super::mountinfo::{self, Entry, FILESYSTEM_TYPE};
use crate::control;

/// How long `umount` waits for the daemon to end.
const WAIT: Duration = Duration::from_secs(10);

/// Unmounts what pycfs has mounted at `path` and waits until its daemon has ended.
pub fn unmount(path: &Path, lazy: bool) -> Result<(), Error> {
    let path = mountinfo::absolute(path).map_err(|cause| Error::MountPoint {
        path: path.to_owned(),
        cause,
    })?;
    let found = mountinfo::topmost(&path).map_err(Error::system("read the mount table"))?;
    let Some(entry) = found.filter(|entry| entry.kind == FILESYSTEM_TYPE) else {
        return Err(Error::NotMounted(path));
    };
    let daemon = control::ask_pid(&entry.mount_point);
    detach(&entry, lazy)?;
    let until = Instant::now() + WAIT;
    if let Some(pid) = daemon.filter(|_| !lazy) {
        let process = format!("/proc/{pid}");
        while Path::new(&process).exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// Unmounts this very mount, if it is still the topmost one at its place.
pub fn detach(entry: &Entry, lazy: bool) -> Result<(), Error> {
    let path = &entry.mount_point;
    let current = mountinfo::topmost(path).map_err(Error::system("read the mount table"))?;
    if current.is_none_or(|current| current.id != entry.id || current.device != entry.device) {
        return Err(Error::NotMounted(path.clone()));
    }
    if !rustix::process::geteuid().is_root() {
        return by_fusermount(path, lazy);
    }
    let mut flags = UnmountFlags::NOFOLLOW;
    flags.set(UnmountFlags::DETACH, lazy);
    match rustix::mount::unmount(path.as_path(), flags) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => Err(Error::Busy(path.clone())),
        Err(errno) => Err(Error::Mount {
            path: path.clone(),
            cause: io::Error::from(errno).to_string(),
        }),
    }
}

fn by_fusermount(path: &Path, lazy: bool) -> Result<(), Error> {
    let output = Command::new("fusermount3")
        .arg(if lazy { "-uz" } else { "-u" })
        .arg("--")
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::system("run fusermount3"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false if said.contains("busy") => Err(Error::Busy(path.to_owned())),
        false => Err(Error::Mount {
            path: path.to_owned(),
            cause: said.trim().to_owned(),
        }),
    }
}
