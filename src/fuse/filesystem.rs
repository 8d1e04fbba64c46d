//! The handlers: one for each operation that a read-only mirror needs; the others are refused
//! without a log line (the crate's own defaults log each call).

use fuser::{
    AccessFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags,
    PollNotifier, ReplyAttr, ReplyBmap, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyXattr, Request,
};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::convert::{attributes, errno, file_type};
use super::counts::{Counts, Operation};
use super::pages::Pages;
use crate::operations::{Found, Looked, Operations, Use};
use crate::proximity::Proximity;
use crate::tree::{Error, asks_itself};

/// The adapter that the crate calls.
pub(super) struct Adapter {
    pub operations: Arc<Operations>,
    pub counts: Arc<Counts>,
    pub proximity: Arc<Proximity>,
    /// Where pycs are given before they are asked for; `None`: nowhere.
    pub pages: Option<Pages>,
    /// Whether the kernel opens files without asking: it then names inodes, not handles.
    pub unasked: bool,
    /// The same of directories.
    pub lists_unasked: bool,
    /// Whether this kernel maps files whose reads pass by its pages.
    pub maps_direct: bool,
}

thread_local! {
    /// The buffer that reads go through, kept between requests of one thread.
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A read buffer larger than this is given back after use.
const KEPT_BUFFER: usize = 256 * 1024;

impl Adapter {
    /// Runs a handler. Its reply is consumed by answering; if it panics before, dropping the
    /// reply answers for it.
    fn handle(&self, operation: Operation, request: &Request, body: impl FnOnce()) {
        self.counts.add(operation);
        self.proximity.before_answer(request.pid());
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            log::error!("a {} request panicked", operation.name());
        }
    }
}

impl Adapter {
    fn list_by_inode(&self, inode: INodeNo, offset: u64, mut reply: ReplyDirectory) {
        let part = match self.operations.entries_from(inode.0, offset) {
            Ok(part) => part,
            Err(error) => return reply.error(errno(&error)),
        };
        let first = part
            .base
            .saturating_add(part.skipped as u64)
            .saturating_add(1);
        for (entry, next) in part.entries.iter_from(part.skipped).zip(first..) {
            let number = INodeNo(entry.number);
            if reply.add(number, next, file_type(entry.kind), entry.name) {
                break;
            }
        }
        self.proximity.answer(|| reply.ok());
    }
}

/// `value` as far as it is an answer: an xattr reply is a size or the data, as asked.
fn answer_xattr(value: Result<Vec<u8>, Error>, size: u32, reply: ReplyXattr) {
    match value {
        Err(error) => reply.error(errno(&error)),
        Ok(value) => match (u32::try_from(value.len()), size) {
            (Ok(length), 0) => reply.size(length),
            (Ok(length), size) if length <= size => reply.data(&value),
            _ => reply.error(Errno::ERANGE),
        },
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Each is asked for alone: an older kernel may lack one.
        let unasked = [InitFlags::FUSE_NO_OPEN_SUPPORT];
        let unasked = unasked.into_iter().filter(|_| self.unasked);
        let told = [
            InitFlags::FUSE_NO_OPENDIR_SUPPORT,
            InitFlags::FUSE_CACHE_SYMLINKS,
        ];
        let told = told.into_iter().filter(|_| self.lists_unasked);
        let always = [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_AUTO_INVAL_DATA,
            InitFlags::FUSE_POSIX_ACL,
            InitFlags::FUSE_ASYNC_DIO,
        ];
        for flag in always.into_iter().chain(unasked).chain(told) {
            if let Err(missing) = config.add_capabilities(flag) {
                log::debug!("the kernel lacks {missing:?}");
            }
        }
        self.maps_direct = config
            .add_capabilities(InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP)
            .is_ok();
        Ok(())
    }

    fn ioctl(
        &self,
        request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _input: &[u8],
        _output_size: u32,
        reply: ReplyIoctl,
    ) {
        // CPython asks each opened pyc whether it is a terminal: the shortest way of all.
        self.handle(Operation::Ioctl, request, || {
            if let Some(pages) = &self.pages {
                pages.give(&self.operations, inode.0);
            }
            self.proximity.answer(|| reply.error(Errno::ENOTTY));
        });
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let asker = request.pid();
        self.handle(Operation::Lookup, request, || {
            if asks_itself(asker) {
                return reply.error(Errno::EDEADLK);
            }
            let proximity = Arc::clone(&self.proximity);
            let answer = move |found| {
                proximity.answer(|| match found {
                    Ok(Looked::Found(found)) => answer_entry(&found, reply),
                    Ok(Looked::Absent(lease)) => answer_absent(lease, reply),
                    Err(error) => reply.error(errno(&error)),
                });
            };
            self.operations.lookup(asker, parent.0, name, answer);
        });
    }

    fn forget(&self, request: &Request, inode: INodeNo, count: u64) {
        self.handle(Operation::Forget, request, || {
            self.operations.forget(inode.0, count)
        });
    }

    fn getattr(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        self.handle(Operation::Getattr, request, || {
            if asks_itself(request.pid()) {
                return reply.error(Errno::EDEADLK);
            }
            let handle = handle.map(|handle| handle.0);
            let used = match handle {
                // The kernel names the open file when it reads only, not for `fstat`.
                Some(_) => Use::AttributesForRead,
                None => Use::Attributes,
            };
            let operations = Arc::clone(&self.operations);
            let proximity = Arc::clone(&self.proximity);
            let answer = move |made: Result<(), Error>| {
                let found = made.and_then(|()| operations.attributes(inode.0, handle));
                proximity.answer(|| match found {
                    Ok(cached) => reply.attr(&cached.ttl, &attributes(&cached.value)),
                    Err(error) => reply.error(errno(&error)),
                });
            };
            self.operations
                .when_made(request.pid(), inode.0, used, answer);
        });
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        self.handle(Operation::Readlink, request, || {
            let target = self.operations.readlink(inode.0);
            self.proximity.answer(|| match target {
                Ok(target) => reply.data(&target),
                Err(error) => reply.error(errno(&error)),
            });
        });
    }

    fn open(&self, request: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.unasked {
            // Once and for all.
            self.counts.add(Operation::Open);
            return reply.error(Errno::ENOSYS);
        }
        self.handle(Operation::Open, request, || {
            let operations = Arc::clone(&self.operations);
            let proximity = Arc::clone(&self.proximity);
            let maps_direct = self.maps_direct;
            let opened = move |made: Result<(), Error>| {
                let opened = made.and_then(|()| operations.open(inode.0));
                proximity.answer(|| match opened {
                    Ok(opened) => {
                        let mut flags = FopenFlags::FOPEN_NOFLUSH;
                        flags.set(FopenFlags::FOPEN_KEEP_CACHE, opened.keep_cache);
                        flags.set(FopenFlags::FOPEN_DIRECT_IO, opened.direct && maps_direct);
                        reply.opened(FileHandle(opened.handle), flags);
                    }
                    Err(error) => reply.error(errno(&error)),
                });
            };
            self.operations
                .when_made(request.pid(), inode.0, Use::Open, opened);
        });
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.handle(Operation::Read, request, || {
            READ_BUFFER.with_borrow_mut(|buffer| {
                let outcome = match self.unasked {
                    true => self.operations.read_inode(inode.0, offset, size, buffer),
                    false => self.operations.read(handle.0, offset, size, buffer),
                };
                self.proximity.answer(|| match outcome {
                    Ok(()) => reply.data(buffer),
                    Err(error) => reply.error(errno(&error)),
                });
                if buffer.capacity() > KEPT_BUFFER {
                    *buffer = Vec::new();
                }
            });
        });
    }

    fn release(
        &self,
        request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.handle(Operation::Release, request, || {
            self.operations.release(handle.0);
            reply.ok();
        });
    }

    fn opendir(&self, request: &Request, inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.lists_unasked {
            self.counts.add(Operation::Opendir);
            return reply.error(Errno::ENOSYS);
        }
        self.handle(Operation::Opendir, request, || {
            let opened = self.operations.open_directory(inode.0);
            self.proximity.answer(|| match opened {
                Ok(opened) => {
                    let mut flags = FopenFlags::empty();
                    flags.set(FopenFlags::FOPEN_CACHE_DIR, opened.may_cache);
                    flags.set(FopenFlags::FOPEN_KEEP_CACHE, opened.keep_cache);
                    reply.opened(FileHandle(opened.handle), flags);
                }
                Err(error) => reply.error(errno(&error)),
            });
        });
    }

    fn readdir(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if self.lists_unasked {
            return self.handle(Operation::Readdir, request, || {
                self.list_by_inode(inode, offset, reply)
            });
        }
        self.handle(Operation::Readdir, request, || {
            let entries = match self.operations.entries(inode.0, handle.0, offset == 0) {
                Ok(entries) => entries,
                Err(error) => return reply.error(errno(&error)),
            };
            let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
            for (entry, next) in entries.iter_from(skipped).zip(offset + 1..) {
                if reply.add(
                    INodeNo(entry.number),
                    next,
                    file_type(entry.kind),
                    entry.name,
                ) {
                    break;
                }
            }
            self.proximity.answer(|| reply.ok());
        });
    }

    fn releasedir(
        &self,
        request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.handle(Operation::Releasedir, request, || {
            self.operations.release(handle.0);
            reply.ok();
        });
    }

    fn statfs(&self, request: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        self.handle(Operation::Statfs, request, || {
            match self.operations.statfs() {
                Ok(figures) => reply.statfs(
                    figures.f_blocks,
                    figures.f_bfree,
                    figures.f_bavail,
                    figures.f_files,
                    figures.f_ffree,
                    u32::try_from(figures.f_bsize).unwrap_or(4096),
                    u32::try_from(figures.f_namemax).unwrap_or(255),
                    u32::try_from(figures.f_frsize).unwrap_or(4096),
                ),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn getxattr(
        &self,
        request: &Request,
        inode: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        self.handle(Operation::Getxattr, request, || {
            answer_xattr(self.operations.get_xattr(inode.0, name), size, reply);
        });
    }

    fn listxattr(&self, request: &Request, inode: INodeNo, size: u32, reply: ReplyXattr) {
        self.handle(Operation::Listxattr, request, || {
            answer_xattr(self.operations.list_xattr(inode.0), size, reply);
        });
    }

    fn lseek(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        self.handle(Operation::Lseek, request, || {
            let hole = match whence {
                libc::SEEK_DATA => false,
                libc::SEEK_HOLE => true,
                _ => return reply.error(Errno::EINVAL),
            };
            let outcome = match self.unasked {
                true => self.operations.seek_inode(inode.0, offset, hole),
                false => self.operations.seek(handle.0, offset, hole),
            };
            match outcome {
                Ok(found) => reply.offset(found),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn poll(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        // Once and for all: the kernel then takes every file as ready, as for a local one.
        self.counts.add(Operation::Other);
        reply.error(Errno::ENOSYS);
    }

    fn flush(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // Once and for all: the kernel answers close with success itself from then on.
        self.counts.add(Operation::Other);
        reply.error(Errno::ENOSYS);
    }

    fn fsync(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _data: bool,
        reply: ReplyEmpty,
    ) {
        self.counts.add(Operation::Other);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _data: bool,
        reply: ReplyEmpty,
    ) {
        self.counts.add(Operation::Other);
        reply.ok();
    }

    fn access(&self, _request: &Request, _inode: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        // The kernel checks permission itself (default_permissions) and does not ask.
        self.counts.add(Operation::Other);
        reply.error(Errno::ENOSYS);
    }

    fn bmap(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _block_size: u32,
        _index: u64,
        reply: ReplyBmap,
    ) {
        self.counts.add(Operation::Other);
        reply.error(Errno::ENOSYS);
    }
}

/// Nothing has the name, and the kernel may remember it: an entry without an inode.
fn answer_absent(lease: Duration, reply: ReplyEntry) {
    let nothing = FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    };
    reply.entry_with_ttls(&Duration::ZERO, &lease, &nothing, Generation(0));
}

fn answer_entry(found: &Found, reply: ReplyEntry) {
    let attr = attributes(&found.attributes);
    reply.entry_with_ttls(
        &found.leases.attributes,
        &found.leases.name,
        &attr,
        Generation(found.generation),
    );
}
