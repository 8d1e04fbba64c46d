//! The mount itself: `mount(2)` as root, else through the set-uid program fusermount3.

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::Error;
use super::mountinfo::{self, Entry, FILESYSTEM_TYPE};
use super::options::Options;

/// A mount that was made and is not served yet.
pub struct Attached {
    /// The connection to the kernel.
    pub device: OwnedFd,
    /// The mount's line in the mount table, to know it again.
    pub entry: Entry,
}

/// Mounts. From here on the mount point blocks its users until the session answers.
pub fn attach(source: &Path, mount_point: &Path, options: &Options) -> Result<Attached, Error> {
    let device = if rustix::process::geteuid().is_root() {
        by_system_call(source, mount_point, options)?
    } else {
        by_fusermount(source, mount_point, options)?
    };
    let entry = mountinfo::topmost(mount_point)
        .map_err(Error::system("read the mount table"))?
        .filter(|entry| entry.kind == FILESYSTEM_TYPE)
        .ok_or_else(|| failed(mount_point, "the mount is not in the mount table"))?;
    Ok(Attached { device, entry })
}

fn failed(mount_point: &Path, cause: impl ToString) -> Error {
    Error::Mount {
        path: mount_point.to_owned(),
        cause: cause.to_string(),
    }
}

fn by_system_call(source: &Path, mount_point: &Path, options: &Options) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let device = rustix::fs::open("/dev/fuse", flags, Mode::empty())
        .map_err(|errno| Error::Device(errno.into()))?;
    const DIRECTORY: u32 = 0o40000;
    let mut data = format!(
        "fd={},rootmode={DIRECTORY:o},user_id=0,group_id=0,default_permissions",
        device.as_raw_fd()
    )
    .into_bytes();
    if options.allow_other {
        data.extend_from_slice(b",allow_other");
    }
    for label in &options.labels {
        data.push(b',');
        data.extend_from_slice(&quoted(label));
    }
    let data = CString::new(data)
        .map_err(|_| Error::Usage("a mount option contains a NUL byte".to_owned()))?;
    let mut flags = MountFlags::RDONLY;
    flags.set(MountFlags::NOSUID, !options.suid);
    flags.set(MountFlags::NODEV, !options.dev);
    flags.set(MountFlags::NOEXEC, !options.exec);
    rustix::mount::mount(source, mount_point, FILESYSTEM_TYPE, flags, data.as_c_str())
        .map_err(|errno| failed(mount_point, io::Error::from(errno)))?;
    Ok(device)
}

/// A label whose value has commas, in the double quotes that the kernel's parser wants.
fn quoted(label: &OsStr) -> Vec<u8> {
    let bytes = label.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) if bytes.contains(&b',') => {
            let (name, value) = bytes.split_at(at + 1);
            [name, b"\"", value, b"\""].concat()
        }
        _ => bytes.to_vec(),
    }
}

/// fusermount3 mounts for an ordinary user and sends the connection back over a socket.
fn by_fusermount(source: &Path, mount_point: &Path, options: &Options) -> Result<OwnedFd, Error> {
    let system = |doing| {
        move |errno: rustix::io::Errno| Error::System {
            doing,
            cause: errno.into(),
        }
    };
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(system("make a socket pair"))?;
    let theirs = rustix::io::dup(&theirs).map_err(system("make a socket pair"))?;
    let mut list = b"ro,default_permissions,subtype=pycfs,fsname=".to_vec();
    for byte in source.as_os_str().as_bytes() {
        if matches!(byte, b',' | b'\\') {
            list.push(b'\\');
        }
        list.push(*byte);
    }
    if options.allow_other {
        list.extend_from_slice(b",allow_other");
    }
    if !options.exec {
        list.extend_from_slice(b",noexec");
    }
    let output = Command::new("fusermount3")
        .arg("-o")
        .arg(OsString::from_vec(list))
        .arg("--")
        .arg(mount_point)
        .env("_FUSE_COMMFD", theirs.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            failed(
                mount_point,
                format!("fusermount3: {error}; install fuse3, or mount as root"),
            )
        })?;
    drop(theirs);
    if !output.status.success() {
        return Err(failed(
            mount_point,
            String::from_utf8_lossy(&output.stderr).trim(),
        ));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    recvmsg(
        &ours,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(system("receive the connection from fusermount3"))?;
    ancillary
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        })
        .ok_or_else(|| failed(mount_point, "fusermount3 sent no connection"))
}
