//! The mount itself: by system calls as root, else through the set-uid program fusermount3.
//!
//! As root a mount is first made without a place, so that the session can shake hands with the
//! kernel before anybody sees it; it then goes to its place, or beneath a mount that it replaces.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};
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
use super::predecessor::Predecessor;
use crate::control;

/// A mount that is not served yet.
pub struct Connected {
    /// The connection to the kernel.
    pub device: OwnedFd,
    /// What is to be put at its place.
    pub mount: Unplaced,
}

/// A mount that may have no place yet. Dropped, it is gone, unless fusermount3 made it.
pub enum Unplaced {
    /// Made by system calls, at no place.
    Detached(OwnedFd),
    /// Made by fusermount3, which puts it at its place at once: it blocks its users until the
    /// session answers.
    Attached,
}

/// Opens a new connection to the kernel.
pub fn open_device() -> Result<OwnedFd, Error> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open("/dev/fuse", flags, Mode::empty()).map_err(|errno| Error::Device(errno.into()))
}

/// Makes the mount, on `device` if that is given (root only).
pub fn connect(
    source: &Path,
    mount_point: &Path,
    options: &Options,
    device: Option<OwnedFd>,
) -> Result<Connected, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Connected {
            device: by_fusermount(source, mount_point, options)?,
            mount: Unplaced::Attached,
        });
    }
    let device = match device {
        Some(device) => device,
        None => open_device()?,
    };
    let mount = if fits(source, options) {
        by_new_calls(source, &device, options).map_err(io::Error::from)
    } else {
        by_mount_call(source, &device, options)
    }
    .map_err(|error| failed(mount_point, error))?;
    Ok(Connected {
        device,
        mount: Unplaced::Detached(mount),
    })
}

/// Puts a mount whose session answers at its place; the predecessor's users change over to it.
pub fn place(
    mount: Unplaced,
    mount_point: &Path,
    predecessor: Option<Predecessor>,
) -> Result<Entry, Error> {
    let missing = || failed(mount_point, "the mount is not in the mount table");
    let table = |result: io::Result<Option<Entry>>| {
        result
            .map_err(Error::system("read the mount table"))?
            .filter(|entry| entry.kind == FILESYSTEM_TYPE)
            .ok_or_else(missing)
    };
    let mount = match mount {
        Unplaced::Detached(mount) => mount,
        Unplaced::Attached => return table(mountinfo::topmost(mount_point)),
    };
    let id = mountinfo::id_of(&mount).map_err(Error::system("read the mount's id"))?;
    match predecessor {
        None => rustix::mount::move_mount(
            &mount,
            c"",
            rustix::fs::CWD,
            mount_point,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .map_err(|errno| failed(mount_point, io::Error::from(errno)))?,
        Some(predecessor) => {
            predecessor.put_beneath(&mount)?;
            predecessor.take_off()?;
        }
    }
    table(mountinfo::by_id(id))
}

fn failed(mount_point: &Path, cause: impl ToString) -> Error {
    Error::Mount {
        path: mount_point.to_owned(),
        cause: cause.to_string(),
    }
}

/// Whether `fsconfig` takes the source's path and the labels: it takes strings of 255 bytes.
fn fits(source: &Path, options: &Options) -> bool {
    const LONGEST: usize = 255;
    let mut all = options.labels.iter().map(OsString::as_os_str);
    source.as_os_str().len() <= LONGEST && all.all(|label| label.len() <= LONGEST)
}

fn by_new_calls(source: &Path, device: &OwnedFd, options: &Options) -> Result<OwnedFd, Errno> {
    use rustix::mount::{fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen};
    const DIRECTORY: &str = "40000";
    let context = fsopen("fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", source)?;
    fsconfig_set_string(&context, "subtype", "pycfs")?;
    fsconfig_set_string(&context, "fd", device.as_raw_fd().to_string())?;
    fsconfig_set_string(&context, "rootmode", DIRECTORY)?;
    fsconfig_set_string(&context, "user_id", "0")?;
    fsconfig_set_string(&context, "group_id", "0")?;
    fsconfig_set_flag(&context, "default_permissions")?;
    fsconfig_set_flag(&context, "ro")?;
    if options.allow_other {
        fsconfig_set_flag(&context, "allow_other")?;
    }
    for label in &options.labels {
        let label = label.as_bytes();
        let at = label.iter().position(|byte| *byte == b'=');
        let (name, value) = label.split_at(at.unwrap_or(label.len()));
        let value = value.get(1..).unwrap_or_default();
        fsconfig_set_string(&context, OsStr::from_bytes(name), OsStr::from_bytes(value))?;
    }
    fsconfig_create(&context)?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOSUID, !options.suid);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NODEV, !options.dev);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, !options.exec);
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// `mount(2)`, whose strings may be longer, at a private place from which the mount is then lifted.
fn by_mount_call(source: &Path, device: &OwnedFd, options: &Options) -> io::Result<OwnedFd> {
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
    let data = CString::new(data)?;
    let mut flags = MountFlags::RDONLY;
    flags.set(MountFlags::NOSUID, !options.suid);
    flags.set(MountFlags::NODEV, !options.dev);
    flags.set(MountFlags::NOEXEC, !options.exec);
    let place = control::private_directory()?.join(format!("place-{}", std::process::id()));
    std::fs::create_dir(&place)?;
    let lifted = rustix::mount::mount(source, &place, FILESYSTEM_TYPE, flags, data.as_c_str())
        .and_then(|()| {
            let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            let lifted = rustix::mount::open_tree(rustix::fs::CWD, &place, clone);
            rustix::mount::unmount(&place, UnmountFlags::DETACH)?;
            lifted
        });
    std::fs::remove_dir(&place)?;
    Ok(lifted?)
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
