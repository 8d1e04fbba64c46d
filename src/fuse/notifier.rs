//! Telling the kernel what it must no longer keep, and what it may keep.
//!
//! The messages are written to a duplicate of the connection, since the crate has no call for the
//! one that drops every name. Invariant: never called from a request's handler, and never with a
//! lock held: the kernel takes its own locks on directories and pages, for which a handler's
//! caller may be waiting. The one exception is [`Notifier::give`], see [`super::pages`].

use rustix::io::Errno;
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::operations::Kernel;

/// Codes of the protocol's notifications (`enum fuse_notify_code`).
const INVALIDATE_INODE: i32 = 2;
const INVALIDATE_ENTRY: i32 = 3;
const STORE: i32 = 4;
const INCREASE_EPOCH: i32 = 8;
const PRUNE: i32 = 9;

/// The way to the kernel's caches of one mount.
pub struct Notifier {
    device: OwnedFd,
    has_epochs: AtomicBool,
    forgets: AtomicBool,
}

impl Notifier {
    /// For the mount whose connection this is.
    pub fn new(device: BorrowedFd<'_>) -> io::Result<Notifier> {
        Ok(Notifier {
            device: device.try_clone_to_owned()?,
            has_epochs: AtomicBool::new(true),
            forgets: AtomicBool::new(true),
        })
    }

    /// Sends one notification: a header with the code in place of an error, then the parts.
    fn send(&self, code: i32, parts: &[&[u8]]) -> rustix::io::Result<()> {
        const HEADER: usize = 16;
        let length = HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut header = Vec::with_capacity(HEADER);
        header.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        header.extend(code.to_ne_bytes());
        header.extend(0_u64.to_ne_bytes());
        let mut slices = vec![IoSlice::new(&header)];
        slices.extend(parts.iter().map(|part| IoSlice::new(part)));
        loop {
            match rustix::io::writev(&self.device, &slices) {
                Err(Errno::INTR) => {}
                // The kernel keeps nothing of it, or the mount is gone.
                Err(Errno::NOENT | Errno::NODEV | Errno::NOTDIR | Errno::NOTCONN) => return Ok(()),
                result => return result.map(|_| ()),
            }
        }
    }

    /// Gives the kernel the whole content of a file that it knows. It may wait for who reads the
    /// same file now. False if this kernel takes none.
    pub(super) fn give(&self, number: u64, content: &[u8]) -> bool {
        let length = u32::try_from(content.len()).unwrap_or(0).to_ne_bytes();
        let parts: [&[u8]; 5] = [
            &number.to_ne_bytes(),
            &0_u64.to_ne_bytes(),
            &length,
            &[0; 4],
            content,
        ];
        match self.send(STORE, &parts) {
            // It has not the memory now, and will ask.
            Ok(()) | Err(Errno::NOMEM) => true,
            Err(errno) => {
                log::info!("this kernel cannot be given content before it asks ({errno})");
                false
            }
        }
    }
}

impl Kernel for Notifier {
    fn drop_names(&self) -> bool {
        if !self.has_epochs.load(Relaxed) {
            return false;
        }
        match self.send(INCREASE_EPOCH, &[]) {
            Ok(()) => true,
            Err(errno) => {
                log::info!("this kernel cannot drop all names at once ({errno})");
                self.has_epochs.store(false, Relaxed);
                false
            }
        }
    }

    fn drop_name(&self, parent: u64, name: &OsStr) {
        let length = u32::try_from(name.len()).unwrap_or(0).to_ne_bytes();
        let parts: [&[u8]; 5] = [
            &parent.to_ne_bytes(),
            &length,
            &[0; 4],
            name.as_bytes(),
            &[0],
        ];
        if let Err(errno) = self.send(INVALIDATE_ENTRY, &parts) {
            log::warn!("dropping the name {}: {errno}", name.display());
        }
    }

    fn forget(&self, numbers: &[u64]) -> bool {
        // The kernel reads a message of two pages at most.
        const AT_ONCE: usize = 500;
        if !self.forgets.load(Relaxed) {
            return false;
        }
        numbers.chunks(AT_ONCE).all(|numbers| {
            let count = u32::try_from(numbers.len()).unwrap_or(0).to_ne_bytes();
            let list: Vec<u8> = numbers.iter().flat_map(|each| each.to_ne_bytes()).collect();
            match self.send(PRUNE, &[&count, &[0; 12], &list]) {
                Ok(()) => true,
                Err(errno) => {
                    log::info!("this kernel cannot be told to forget ({errno})");
                    self.forgets.store(false, Relaxed);
                    false
                }
            }
        })
    }

    fn drop_inode(&self, number: u64) {
        // From the first byte to the last.
        let (offset, length) = (0_i64.to_ne_bytes(), 0_i64.to_ne_bytes());
        if let Err(errno) = self.send(INVALIDATE_INODE, &[&number.to_ne_bytes(), &offset, &length])
        {
            log::warn!("dropping inode {number}: {errno}");
        }
    }
}
