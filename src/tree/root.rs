//! The root of the real tree: the one descriptor from which everything else is opened.
//!
//! Invariant: once mounted, the root is reached through a descriptor that was opened before, so a
//! mount over the source itself does not shadow it. Where the mount does not lie over the
//! source's path, a root that was replaced (deleted and recreated, a symlink that flipped) is
//! followed: the path is looked at again for each request, and one request sees one root only.

use parking_lot::RwLock;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::attr::Attr;
use super::error::{Doing, Error};

/// How many threads are walking a path in which symlinks are followed right now. Only such a walk
/// can lead this process into its own mount (a symlink on the way may point there at any time).
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// Whether a request by the thread `tid` is this process asking itself: it must be refused at
/// once, or the walk would wait for its own answer.
pub fn asks_itself(tid: u32) -> bool {
    LOOKING.load(Ordering::SeqCst) > 0 && Path::new(&format!("/proc/self/task/{tid}")).exists()
}

/// The root directory as it is now.
#[derive(Debug)]
pub struct RootDir {
    fd: OwnedFd,
    attr: Attr,
}

impl RootDir {
    fn open(path: &Path) -> Result<RootDir, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).doing("open the source")?;
        let attr = Attr::of_fd(&fd)?;
        Ok(RootDir { fd, attr })
    }

    /// The attributes the root had when it was opened (identity and mount stay true).
    pub fn attr(&self) -> &Attr {
        &self.attr
    }
}

impl AsFd for RootDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The source directory that is mirrored.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    current: RwLock<Arc<RootDir>>,
    follow: bool,
}

impl Root {
    /// Opens the source. `follow` says whether a replaced root is followed; it must be false when
    /// walking `path` could lead through the mount itself.
    pub fn open(path: &Path, follow: bool) -> Result<Root, Error> {
        let dir = RootDir::open(path)?;
        Ok(Root {
            path: path.to_owned(),
            current: RwLock::new(Arc::new(dir)),
            follow,
        })
    }

    /// The root that another process mirrors, by its descriptor there. What a mount covers can be
    /// reached in no other way. It is not followed.
    pub fn reopen(path: &Path, pid: u64, descriptor: u64) -> Result<Root, Error> {
        let dir = RootDir::open(Path::new(&format!("/proc/{pid}/fd/{descriptor}")))?;
        Ok(Root {
            path: path.to_owned(),
            current: RwLock::new(Arc::new(dir)),
            follow: false,
        })
    }

    /// The number of the root's descriptor in this process.
    pub fn descriptor(&self) -> i32 {
        self.current.read().fd.as_raw_fd()
    }

    /// The source's path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root that the last request was served from.
    pub fn held(&self) -> Arc<RootDir> {
        Arc::clone(&self.current.read())
    }

    /// Whether a replaced root is followed.
    pub fn follows(&self) -> bool {
        self.follow
    }

    /// The attributes of what lies at `path` (relative, empty for the root itself) beneath the root
    /// as it is now; a symlink there is not followed, one on the way is. It is one call, where a
    /// look at the root and a walk from it are five: good for finding out that a known file still
    /// is at its place, and for nothing else.
    pub fn look_at(&self, path: &OsStr) -> Option<Attr> {
        if path.is_empty() {
            return Attr::of_fd(&*self.current()).ok();
        }
        LOOKING.fetch_add(1, Ordering::SeqCst);
        let found = match self.follow {
            true => Attr::of_name(rustix::fs::CWD, self.path.join(path).as_os_str()),
            false => Attr::of_name(&*self.held(), path),
        };
        LOOKING.fetch_sub(1, Ordering::SeqCst);
        found.ok()
    }

    /// The root to serve one request from. When the path leads nowhere (a deploy between delete
    /// and recreate), the last root stays: what is left of it is what there is.
    pub fn current(&self) -> Arc<RootDir> {
        let held = self.held();
        if !self.follow {
            return held;
        }
        LOOKING.fetch_add(1, Ordering::SeqCst);
        let found = Attr::of_followed(rustix::fs::CWD, &self.path);
        LOOKING.fetch_sub(1, Ordering::SeqCst);
        let Ok(found) = found else {
            return held;
        };
        if found.identity == held.attr.identity && found.mount == held.attr.mount {
            return held;
        }
        match RootDir::open(&self.path) {
            Ok(dir) => {
                let dir = Arc::new(dir);
                *self.current.write() = Arc::clone(&dir);
                log::info!(
                    "the source {} was replaced: following it",
                    self.path.display()
                );
                dir
            }
            Err(_) => held,
        }
    }
}
