//! Look-ups: a name in a directory becomes an inode.

use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Attributes, CACHE_DIRECTORY, Operations};
use crate::coherence::{Leases, Subject};
use crate::compiler::Refusal;
use crate::inode::{Body, Inode, Noticed, StandsFor};
use crate::pyc::CacheName;
use crate::pycache::{Absent, Ask, Pyc, Want};
use crate::tree::{self, Attr, Dir, Error, Kind, Time};

/// A name that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The attributes, with the inode's number.
    pub attributes: Attributes,
    /// Tells a new file from an old one with the same number.
    pub generation: u64,
    /// How long the name and the attributes may be used.
    pub leases: Leases,
}

/// The answer to a look-up.
#[derive(Clone, Copy, Debug)]
pub enum Looked {
    /// The name leads to an inode.
    Found(Found),
    /// Nothing has the name, and that may be remembered for this long.
    Absent(Duration),
}

impl Operations {
    /// Looks a name up and gives the answer to `reply`: at once, but for a pyc that has to be
    /// read or compiled. `asker` is the thread that asks. Each success counts as one reference
    /// that the kernel holds until it forgets it.
    pub fn lookup(
        self: &Arc<Self>,
        asker: u32,
        parent: u64,
        name: &OsStr,
        reply: impl FnOnce(Result<Looked, Error>) + Send + 'static,
    ) {
        if tree::ran_short_of_descriptors() {
            self.pinned.shed();
        }
        const NOW_AND_THEN: u64 = 4096;
        if self
            .looked_up
            .fetch_add(1, Relaxed)
            .is_multiple_of(NOW_AND_THEN)
        {
            self.look_for_crowd();
        }
        let inode = match self.inode(parent) {
            Ok(inode) => inode,
            Err(error) => return reply(Err(error)),
        };
        match &inode.body {
            Body::Real(_) => reply(match self.look_in_directory(&inode, name) {
                Err(error) if name == CACHE_DIRECTORY => Err(unservable(error)),
                looked => looked,
            }),
            Body::CacheDirectory(of) => {
                let want = self.wanted(&inode);
                self.look_up_pyc(asker, parent, of, name, want, reply);
            }
            Body::Pyc(_) => reply(Err(Error::new("look up", Errno::NOTDIR))),
        }
    }

    fn look_up_pyc(
        self: &Arc<Self>,
        asker: u32,
        parent: u64,
        of: &Arc<Inode>,
        name: &OsStr,
        want: Want,
        reply: impl FnOnce(Result<Looked, Error>) + Send + 'static,
    ) {
        let (ask, covered) = match self.ask(asker, parent, of, name, want) {
            Ok(asked) => asked,
            Err(error) => return reply(Err(unservable(error))),
        };
        let this = Arc::clone(self);
        let name = name.to_owned();
        let of = Arc::clone(of);
        self.synthesis.request(ask, move |answer| match answer {
            // Its size must not be forgotten while somebody may be reading it.
            Ok(pyc) if pyc.size.is_none() && this.inodes.has_made(&pyc) => {
                this.look_up_pyc(asker, parent, &of, &name, Want::Code, reply);
            }
            Ok(pyc) => reply(Ok(Looked::Found(this.found_pyc(pyc, covered)))),
            Err(absent) => reply(Err(this.absent(&name, &absent))),
        });
    }

    fn look_in_directory(&self, parent: &Arc<Inode>, name: &OsStr) -> Result<Looked, Error> {
        let (root, dir, path, covered) = self.directory_now(parent)?;
        if name == CACHE_DIRECTORY {
            return self.look_up_cache_directory(parent, &dir, covered);
        }
        if self.is_own(&path, name) {
            return Err(Error::new("enter the mount itself", Errno::NOENT));
        }
        let now = Time::now();
        let found = match covered {
            true => dir
                .find(name)
                .map(|file| (*file.attr(), self.notice(&root, now, &file), Some(file))),
            false => find_if_recent(&dir, name, now).map(|(attr, file)| {
                let noticed = Noticed {
                    stands_for: self.unnoticed(file.is_some()),
                    mark: None,
                };
                (attr, noticed, file)
            }),
        };
        let (attr, noticed, file) = match found {
            Ok(found) => found,
            Err(error) => return self.absent_name(error, covered),
        };
        let by_content = covered && noticed.stands_for == StandsFor::File;
        let (inode, generation) = self.inodes.found(parent, name, &attr, root.attr(), noticed);
        let attributes = Attributes::real(inode.number, attr);
        match file {
            Some(file) if file.attr().kind == Kind::File => {
                let kept = self.kept(&inode);
                self.pinned.keep(inode.number, file, kept);
            }
            Some(other) => {
                if let Some(found) = other.into_directory() {
                    let own = self.covers(&root, &inode);
                    self.hold(&root, &inode, found, own);
                }
            }
            None => self.keep_version(&dir, name, &inode, &attr)?,
        }
        let subject = attributes.subject(&inode.body);
        // A directory's name is its parent's matter, what it holds is its own.
        let (by_name, by_content) = match subject {
            Subject::Directory => (covered, covered && inode.is_covered()),
            Subject::File | Subject::Pyc | Subject::Absent => (by_content, by_content),
        };
        let mut leases = Leases {
            name: self.coherence.leases(subject, by_name).name,
            attributes: self.coherence.leases(subject, by_content).attributes,
        };
        if self.shown_number(&inode, &attr) != inode.number {
            // The answer has room for one number only: the kernel asks for the one that is shown.
            leases.attributes = Duration::ZERO;
        }
        Ok(Looked::Found(Found {
            attributes,
            generation,
            leases,
        }))
    }

    /// Has the file at hand of which an inode is one version: who opens it unasked reads it later.
    fn keep_version(
        &self,
        dir: &Dir,
        name: &OsStr,
        inode: &Inode,
        version: &Attr,
    ) -> Result<(), Error> {
        if !inode.is_versioned() {
            return Ok(());
        }
        let kept = self.kept(inode);
        if self.pinned.touch(inode.number, kept) {
            return Ok(());
        }
        match dir.find(name) {
            Ok(file) if file.attr().same_version(version) => {
                self.pinned.keep(inode.number, file, kept);
                Ok(())
            }
            // Not that version any more: whoever walks again finds another one.
            Ok(_) | Err(_) => {
                self.forget(inode.number, 1);
                Err(Error::stale())
            }
        }
    }

    /// The answer for a name that nothing has.
    fn absent_name(&self, error: Error, covered: bool) -> Result<Looked, Error> {
        let lease = self.coherence.leases(Subject::Absent, covered).name;
        match error.errno {
            Errno::NOENT if !lease.is_zero() => Ok(Looked::Absent(lease)),
            _ => Err(error),
        }
    }

    fn look_up_cache_directory(
        &self,
        parent: &Arc<Inode>,
        dir: &Dir,
        covered: bool,
    ) -> Result<Looked, Error> {
        if !self.holds_sources(parent, dir)? {
            let absent = Error::new("look up __pycache__", Errno::NOENT);
            return self.absent_name(absent, covered);
        }
        let inode = self.inodes.cache_directory(parent);
        let attributes = Attributes::cache_directory(inode.number, dir.attr());
        Ok(Looked::Found(Found {
            attributes,
            generation: 0,
            leases: self.coherence.leases(Subject::Directory, covered),
        }))
    }

    /// Whether a directory holds sources, asked of the directory only when it changed.
    fn holds_sources(&self, inode: &Inode, dir: &Dir) -> Result<bool, Error> {
        let real = inode.real().ok_or_else(Error::stale)?;
        let now = Time::now();
        if let Some((attr, holds)) = &real.lock().sources
            && attr.same_version(dir.attr())
        {
            return Ok(*holds);
        }
        let holds = tree::has_source(dir)?;
        self.note_sources(inode, dir, now, holds);
        Ok(holds)
    }

    /// Notes whether a directory holds sources, as was seen after `now`.
    pub(super) fn note_sources(&self, inode: &Inode, dir: &Dir, now: Time, holds: bool) {
        let Some(real) = inode.real() else { return };
        let settled = !dir.attr().is_recent(now);
        real.lock().sources = settled.then(|| (Box::new(*dir.attr()), holds));
    }

    /// The request for a pyc by its name, with whether events cover its source, or why there can
    /// be none.
    pub(super) fn ask(
        &self,
        asker: u32,
        directory: u64,
        of: &Inode,
        name: &OsStr,
        want: Want,
    ) -> Result<(Ask, bool), Error> {
        let absent = |doing| Error::new(doing, Errno::NOENT);
        let name =
            CacheName::parse(name.as_bytes()).ok_or_else(|| absent("parse the name of a pyc"))?;
        if (self.workers)(asker) {
            return Err(absent("serve a compiler's own process"));
        }
        let (root, dir, path, covered) = self.directory_now(of)?;
        let ask = Ask {
            root,
            dir,
            path,
            directory,
            name,
            want,
        };
        Ok((ask, covered))
    }

    fn found_pyc(&self, pyc: Arc<Pyc>, covered: bool) -> Found {
        // A source that has other names may change by one of those.
        let covered = covered && !pyc.followed && pyc.source.nlink == 1;
        let inode = self.inodes.pyc(Arc::clone(&pyc));
        let attributes = Attributes::pyc(inode.number, &pyc);
        let leases = match pyc.size {
            Some(_) => self.coherence.leases(Subject::Pyc, covered),
            None => self.found_unmade(inode.number),
        };
        Found {
            attributes,
            generation: 0,
            leases,
        }
    }

    /// What a reader gets for an absent entry: `ENOENT`, whatever the reason. The one other
    /// answer makes the kernel walk the path again because the directory moved.
    pub(super) fn absent(&self, name: &OsStr, reason: &Absent) -> Error {
        match reason {
            Absent::NoSource(error) if error.errno == Errno::STALE => *error,
            Absent::NoSource(_)
            | Absent::NoCompiler
            | Absent::Unsettled
            | Absent::Refused(Refusal::Rejected(_) | Refusal::Unsure(_)) => {
                log::debug!("{} is absent: {reason}", name.display());
                Error::new("synthesize", Errno::NOENT)
            }
            Absent::TooLarge | Absent::Refused(_) | Absent::Deadline | Absent::Busy => {
                log::warn!("{} is absent: {reason}", name.display());
                Error::new("synthesize", Errno::NOENT)
            }
        }
    }
}

/// The attributes of what has a name, and a file itself if it changed but now.
fn find_if_recent(
    dir: &Dir,
    name: &OsStr,
    now: Time,
) -> Result<(Attr, Option<tree::Found>), Error> {
    let attr = dir.stat(name)?;
    if attr.kind != Kind::File || !attr.is_recent(now) {
        return Ok((attr, None));
    }
    let file = dir.find(name)?;
    Ok((*file.attr(), Some(file)))
}

/// What a reader is told of an entry whose source cannot be reached: that it is not there, but for
/// what makes the kernel walk the path again.
pub(super) fn unservable(error: Error) -> Error {
    match error.errno {
        Errno::STALE | Errno::NOENT => error,
        errno => {
            log::log!(
                error.level(),
                "an entry is absent: {}: {errno}",
                error.doing
            );
            Error::new("synthesize", Errno::NOENT)
        }
    }
}
