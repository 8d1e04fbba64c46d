//! Why a mount or unmount failed, with the exit code of mount(8) and the way out.

use std::io;
use std::path::PathBuf;

/// A failure of mounting or unmounting. Each message names the file, the cause and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option or argument cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The source cannot be opened.
    #[error("cannot open the source {path}: {cause}; check that it is a directory you may read")]
    Source {
        /// The source.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The mount point cannot be used.
    #[error("cannot use the mount point {path}: {cause}; it must be an existing directory")]
    MountPoint {
        /// The mount point.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The same source is mounted there already.
    #[error("{source_path} is already mounted on {path}; unmount it first: pycfs umount {path}")]
    AlreadyMounted {
        /// The source.
        source_path: PathBuf,
        /// The mount point.
        path: PathBuf,
    },
    /// `/dev/fuse` cannot be opened.
    #[error(
        "cannot open /dev/fuse: {0}; load the fuse module (modprobe fuse) or give the container the device"
    )]
    Device(io::Error),
    /// The kernel or fusermount3 refused the mount.
    #[error("cannot mount on {path}: {cause}")]
    Mount {
        /// The mount point.
        path: PathBuf,
        /// What the system or fusermount3 said.
        cause: String,
    },
    /// Nothing of ours is mounted there.
    #[error("{0} is not a pycfs mount; findmnt -t fuse.pycfs lists those there are")]
    NotMounted(PathBuf),
    /// Another filesystem lies over the mount.
    #[error("{0} is covered by another mount, which has to be unmounted first")]
    Covered(PathBuf),
    /// The mount was taken away already, and those who use it have it still.
    #[error(
        "{0} was detached already; its daemon ends when its last user is done, or when it is signalled once more"
    )]
    Detached(PathBuf),
    /// The mount is in use.
    #[error("{0} is busy; fuser -vm {0} shows by whom, pycfs umount --lazy {0} detaches it anyway")]
    Busy(PathBuf),
    /// The supervised daemon did not come up.
    #[error("{text}")]
    Daemon {
        /// Its exit code, one of those below.
        code: u8,
        /// What it said.
        text: String,
    },
    /// A step of starting up failed.
    #[error("{doing}: {cause}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        cause: io::Error,
    },
}

impl Error {
    /// The exit code, as in mount(8): 1 for wrong use, 2 for a system error, 32 for a failed mount.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 1,
            Error::Daemon { code, .. } => *code,
            Error::System { .. } | Error::Device(_) => 2,
            Error::Source { .. }
            | Error::MountPoint { .. }
            | Error::AlreadyMounted { .. }
            | Error::Mount { .. }
            | Error::NotMounted(_)
            | Error::Covered(_)
            | Error::Detached(_)
            | Error::Busy(_) => 32,
        }
    }

    /// Wraps a system error with what was being done.
    pub fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |cause| Error::System { doing, cause }
    }
}
