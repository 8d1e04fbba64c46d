//! Which answers events cover, and following the source when it is replaced.

use std::sync::Arc;

use super::Operations;
use crate::inode::{Inode, Noticed, StandsFor};
use crate::tree::{Attr, Dir, Error, Found, Identity, Kind, RootDir, Time};
use crate::watch::{Change, Mark};

/// The root whose events are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Covered {
    identity: Identity,
    mount: u64,
}

impl Covered {
    fn of(root: &RootDir) -> Covered {
        Covered {
            identity: root.attr().identity,
            mount: root.attr().mount,
        }
    }
}

impl Operations {
    /// Whether events tell of each change of a name in this directory.
    pub(super) fn covers(&self, root: &RootDir, directory: &Inode) -> bool {
        self.events.is_some()
            && *self.covered.read() == Some(Covered::of(root))
            && directory.is_covered()
    }

    /// How changes of what was found in a directory whose names events cover will be noticed.
    /// `now` was taken before it was found.
    pub(super) fn notice(&self, root: &RootDir, now: Time, file: &Found) -> Noticed {
        let attr = file.attr();
        let events = self.events.as_ref();
        let mark = events.and_then(|events| events.mark(file, attr, root));
        Noticed {
            stands_for: match content_covered(attr, &mark) {
                true => StandsFor::File,
                false => self.unnoticed(attr.is_recent(now)),
            },
            mark,
        }
    }

    /// What an inode stands for if nobody tells when its file changes.
    pub(super) fn unnoticed(&self, is_recent: bool) -> StandsFor {
        match (self.coherence.opens_unasked(), is_recent) {
            (false, _) => StandsFor::File,
            (true, false) => StandsFor::Version,
            (true, true) => StandsFor::LookUp,
        }
    }

    /// Covers the root, if its events can be followed.
    pub(super) fn cover_root(&self, root: &RootDir) {
        let Some(events) = &self.events else { return };
        events.set_home(root);
        let mark = events.mark(root, root.attr(), root);
        let covered = mark.is_some();
        self.inodes.set_root(root.attr().identity, mark);
        *self.covered.write() = covered.then(|| Covered::of(root));
        self.held.clear();
        if !covered {
            log::warn!(
                "events of the source cannot be followed: each name in it is asked for at each use"
            );
        }
    }

    /// Looks whether the source was replaced; if so, has events of the new one followed. All that
    /// the kernel keeps is the old one's then.
    pub fn look_at_root(&self, changes: &mut Vec<Change>) {
        let root = self.root.current();
        let Some(events) = &self.events else { return };
        if changes.contains(&Change::Way) && self.root.follows() {
            events.follow_way(self.root.path());
        }
        let known = *self.covered.read();
        if known == Some(Covered::of(&root)) {
            return;
        }
        if known.is_none() && !changes.contains(&Change::Way) {
            return;
        }
        self.cover_root(&root);
        if self.root.follows() {
            events.follow_way(self.root.path());
        }
        changes.push(Change::Everything);
    }

    /// The source's events.
    pub fn events(&self) -> Option<Arc<crate::watch::Events>> {
        self.events.clone()
    }

    /// The real directory behind an inode, with whether events cover the names in it.
    pub(super) fn covered_directory(
        &self,
        root: &RootDir,
        inode: &Inode,
    ) -> Result<(Dir, std::ffi::OsString, bool), Error> {
        // Asked before the directory is looked at: what changes later makes an event.
        let covered = self.covers(root, inode);
        if covered && let Some((dir, path)) = self.held_directory(inode) {
            return Ok((dir, path, covered));
        }
        let (dir, path) = self.directory(root, inode)?;
        self.hold(root, inode, dir.clone(), covered);
        Ok((dir, path, covered))
    }

    /// The real directory behind an inode as it is now, with the root it lies beneath, its path
    /// and whether events cover the names in it.
    pub(super) fn directory_now(
        &self,
        inode: &Inode,
    ) -> Result<(Arc<RootDir>, Dir, std::ffi::OsString, bool), Error> {
        if self.events.is_none()
            && let Some((dir, path)) = self.directory_at_place(inode)
        {
            return Ok((self.root.held(), dir, path, false));
        }
        let root = self.root.current();
        let (dir, path, covered) = self.covered_directory(&root, inode)?;
        Ok((root, dir, path, covered))
    }

    /// A directory at hand, found by its path.
    fn directory_at_place(&self, inode: &Inode) -> Option<(Dir, std::ffi::OsString)> {
        let path = inode.path()?;
        let dir = self.held(inode, |_| self.root.look_at(&path))?;
        Some((dir, path))
    }

    /// A directory at hand, as long as it has a name.
    fn held_directory(&self, inode: &Inode) -> Option<(Dir, std::ffi::OsString)> {
        let named = |attr: &Attr| attr.nlink > 0;
        let dir = self.held(inode, |dir| Attr::of_fd(dir).ok().filter(named))?;
        Some((dir, inode.path()?))
    }

    fn held(&self, inode: &Inode, look: impl FnOnce(&Dir) -> Option<Attr>) -> Option<Dir> {
        let identity = inode.real()?.lock().identity;
        self.held.get(inode.number, &identity, look)
    }

    /// Keeps a directory at hand, where that is allowed.
    pub(super) fn hold(&self, root: &RootDir, inode: &Inode, dir: Dir, covered: bool) {
        let allowed = covered || self.events.is_none();
        if allowed && dir.attr().mount == root.attr().mount {
            self.held.keep(inode.number, dir);
        }
    }
}

/// Whether events tell of each change of a file's content and attributes, where they do for the
/// names in its directory.
fn content_covered(attr: &Attr, mark: &Option<Mark>) -> bool {
    let by_other_names = attr.kind == Kind::File && attr.nlink > 1;
    mark.is_some() || !by_other_names && attr.kind != Kind::Directory
}
