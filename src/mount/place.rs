//! Where the tree is, where it goes, how the two lie to each other, and what is there already.

use rustix::fs::Access;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::detach::detach;
use super::error::Error;
use super::mountinfo::{self, Entry, FILESYSTEM_TYPE};
use crate::control::{self, Request};
use crate::tree::Root;

/// A place that was found fit for a mount.
pub struct Place {
    /// The source as it was named, absolute.
    pub source: PathBuf,
    /// Where it goes, symlinks followed.
    pub mount_point: PathBuf,
    /// Whether a source directory that is replaced is followed.
    pub follow: bool,
    /// Where the mount lies beneath the source, relative to it, if it does.
    pub own: Option<OsString>,
    /// The source, open since before the mount.
    pub root: Root,
    /// The mount that lies there and is to be replaced.
    pub predecessor: Option<Entry>,
}

impl Place {
    /// Looks at both ends. A mount of ours whose daemon has died is replaced; one that is alive
    /// only if `replace` is set, and is otherwise an error if it is of the same source.
    pub fn find(source: &Path, mount_point: &Path, replace: bool) -> Result<Place, Error> {
        let source_error = |cause| Error::Source {
            path: source.to_owned(),
            cause,
        };
        let absolute_source = std::path::absolute(source).map_err(source_error)?;
        let place_error = |cause| Error::MountPoint {
            path: mount_point.to_owned(),
            cause,
        };
        let mount_point = mountinfo::absolute(mount_point).map_err(place_error)?;
        let top = top_of_ours(&mount_point)?;
        let predecessor = match top {
            Some(entry) if replace => Some(of_replaced(entry, &absolute_source)?),
            Some(entry) => of_dead(entry, &absolute_source)?,
            None => None,
        };
        if predecessor.is_none() {
            // Of a mount it is known, and it must not be asked: nobody may answer.
            let found = mount_point.metadata().map_err(place_error)?;
            if !found.is_dir() {
                return Err(place_error(io::Error::from(io::ErrorKind::NotADirectory)));
            }
        }
        let covered = predecessor.is_some() && mountinfo::lies_in(&absolute_source, &mount_point);
        let (real_source, root) = match predecessor.as_ref().filter(|_| covered) {
            // What lies under the mount is reached through its daemon's own descriptor.
            Some(entry) => (absolute_source.clone(), root_of(entry, &absolute_source)?),
            None => {
                let real_source = source.canonicalize().map_err(source_error)?;
                // Opening it as a path would succeed, and then every name in it be refused.
                rustix::fs::access(&real_source, Access::EXEC_OK)
                    .map_err(|errno| source_error(errno.into()))?;
                if predecessor.is_none() {
                    refuse_second(&absolute_source, &real_source, &mount_point)?;
                }
                let follow = !mountinfo::lies_in(&real_source, &mount_point);
                let root = Root::open(&absolute_source, follow)
                    .map_err(|error| source_error(error.errno.into()))?;
                (real_source, root)
            }
        };
        let own = real_source != mount_point && mountinfo::lies_in(&mount_point, &real_source);
        Ok(Place {
            // Where the mount covers the way to the source, that way must not be walked again.
            follow: !mountinfo::lies_in(&real_source, &mount_point),
            own: own
                .then(|| {
                    mount_point
                        .strip_prefix(&real_source)
                        .ok()
                        .map(|path| path.as_os_str().to_owned())
                })
                .flatten(),
            root,
            source: absolute_source,
            mount_point,
            predecessor,
        })
    }
}

/// The topmost mount at the place, if it is one of ours.
fn top_of_ours(mount_point: &Path) -> Result<Option<Entry>, Error> {
    let top = mountinfo::topmost(mount_point).map_err(Error::system("read the mount table"))?;
    Ok(top.filter(|entry| entry.kind == FILESYSTEM_TYPE))
}

/// A mount that is to be replaced whatever its state.
fn of_replaced(entry: Entry, source: &Path) -> Result<Entry, Error> {
    if !rustix::process::geteuid().is_root() {
        let cause = "--replace needs root: unmount it, then mount it again";
        return Err(Error::Mount {
            path: entry.mount_point,
            cause: cause.to_owned(),
        });
    }
    if mountinfo::lies_in(source, &entry.mount_point) {
        // Without its daemon there is no way to what it covers.
        root_of(&entry, source)?;
    }
    Ok(entry)
}

/// What to do with a mount of ours that lies there when none is to be replaced: a dead one is
/// replaced, or taken away where that cannot be done (it answers nothing but `ENOTCONN`).
fn of_dead(entry: Entry, source: &Path) -> Result<Option<Entry>, Error> {
    const MOST: usize = 16;
    let mount_point = entry.mount_point.clone();
    let is_dead = || mountinfo::is_dead(&mount_point);
    if !is_dead() {
        return Ok(None);
    }
    let several = mountinfo::ours()
        .map_err(Error::system("read the mount table"))?
        .iter()
        .filter(|other| other.mount_point == mount_point)
        .count()
        > 1;
    let covers = mountinfo::lies_in(source, &mount_point);
    if rustix::process::geteuid().is_root() && !several && !covers {
        log::warn!("the daemon of {} has died", mount_point.display());
        return Ok(Some(entry));
    }
    for _ in 0..MOST {
        match top_of_ours(&mount_point)?.filter(|_| is_dead()) {
            Some(entry) => {
                log::warn!(
                    "the daemon of {} has died: taking its mount away",
                    mount_point.display()
                );
                detach(&entry, true)?;
            }
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The source of a mount that lies over it, from the mount's daemon.
fn root_of(entry: &Entry, source: &Path) -> Result<Root, Error> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let failed = |cause: String| Error::Mount {
        path: entry.mount_point.clone(),
        cause: format!("it lies over its own source, and its daemon does not show it: {cause}"),
    };
    let status = control::ask(&entry.socket(), Request::Status, PATIENCE)
        .map_err(|error| failed(error.to_string()))?;
    let number = |name: &str| status.get(name).and_then(serde_json::Value::as_u64);
    let (Some(pid), Some(descriptor)) = (number("pid"), number("root_descriptor")) else {
        return Err(failed("it does not know how".to_owned()));
    };
    if Path::new(&entry.source) != source {
        return Err(failed("it is of another source".to_owned()));
    }
    Root::reopen(source, pid, descriptor).map_err(|error| failed(error.to_string()))
}

fn refuse_second(source: &Path, real_source: &Path, mount_point: &Path) -> Result<(), Error> {
    let is_same = |mounted: &OsString| {
        let mounted = Path::new(mounted);
        mounted == source || mounted.canonicalize().is_ok_and(|path| path == real_source)
    };
    match top_of_ours(mount_point)? {
        Some(entry) if is_same(&entry.source) => Err(Error::AlreadyMounted {
            source_path: source.to_owned(),
            path: mount_point.to_owned(),
        }),
        _ => Ok(()),
    }
}
