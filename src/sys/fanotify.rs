//! fanotify(7) and file handles (open_by_handle_at(2)).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The largest handle of a file, in bytes (`MAX_HANDLE_SZ`).
const LARGEST_HANDLE: usize = 128;

/// A file's handle as the kernel has it in memory: its length and type (32 bits each, native byte
/// order), then its bytes.
pub const HANDLE_HEADER: usize = 8;

/// A new group that is notified of events, with the handles of directories and files and the
/// names; reads do not block. Needs `CAP_SYS_ADMIN` for marks on filesystems.
pub fn group() -> io::Result<OwnedFd> {
    const REPORT_FID: u32 = 0x200;
    const REPORT_DIR_FID: u32 = 0x400;
    const REPORT_NAME: u32 = 0x800;
    const REPORT_TARGET_FID: u32 = 0x1000;
    let flags = libc::FAN_CLASS_NOTIF
        | libc::FAN_CLOEXEC
        | libc::FAN_NONBLOCK
        | REPORT_FID
        | REPORT_DIR_FID
        | REPORT_NAME
        | REPORT_TARGET_FID;
    // SAFETY: takes and returns integers; a non-negative result is a new descriptor that is ours.
    unsafe {
        let fd = libc::fanotify_init(flags, libc::O_RDONLY as libc::c_uint);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Has the group notified of the events in `mask` anywhere on the filesystem that `file` is on.
pub fn mark_filesystem(group: impl AsFd, mask: u64, file: impl AsFd) -> io::Result<()> {
    const MARK_FILESYSTEM: u32 = 0x100;
    // SAFETY: the path is a NUL-terminated constant and the descriptors are open.
    let result = unsafe {
        libc::fanotify_mark(
            group.as_fd().as_raw_fd(),
            libc::FAN_MARK_ADD | MARK_FILESYSTEM,
            mask,
            file.as_fd().as_raw_fd(),
            c".".as_ptr(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The handle of an open file or directory (`O_PATH` will do), with its header.
pub fn handle_of(file: impl AsFd) -> io::Result<Box<[u8]>> {
    let mut handle = [0_u32; (HANDLE_HEADER + LARGEST_HANDLE) / 4];
    if let Some(length) = handle.first_mut() {
        *length = LARGEST_HANDLE as u32;
    }
    let mut mount = 0_i32;
    // SAFETY: the buffer starts with its length as struct file_handle wants it, is aligned for it
    // and has room for that length; the mount id is a C int.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes: Vec<u8> = handle.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let length = handle.first().map_or(0, |length| *length as usize);
    let whole = bytes.get(..HANDLE_HEADER + length).unwrap_or_default();
    Ok(whole.into())
}

/// Opens the file with this handle (header included) as a path only. Needs `CAP_DAC_READ_SEARCH`.
/// `ESTALE` when there is no such file any more.
pub fn open_handle(filesystem: impl AsFd, handle: &[u8]) -> io::Result<OwnedFd> {
    let mut words = [0_u32; (HANDLE_HEADER + LARGEST_HANDLE) / 4];
    for (word, bytes) in words.iter_mut().zip(handle.chunks(4)) {
        let mut whole = [0; 4];
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        *word = u32::from_ne_bytes(whole);
    }
    let length = words.first().copied().unwrap_or(0) as usize;
    if length > LARGEST_HANDLE || HANDLE_HEADER + length != handle.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: the buffer is a struct file_handle whose length was checked to lie within it; a
    // non-negative result is a new descriptor that is ours.
    unsafe {
        let fd = libc::syscall(
            libc::SYS_open_by_handle_at,
            filesystem.as_fd().as_raw_fd(),
            words.as_mut_ptr(),
            libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW,
        );
        match i32::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A path by which an open file can be named in calls that take no descriptor.
pub fn path_of(file: BorrowedFd<'_>) -> std::path::PathBuf {
    std::path::Path::new("/proc/self/fd").join(OsStr::new(&file.as_raw_fd().to_string()))
}
