//! Two ways to look at a source: a real mount, and the operations without the protocol.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use pycfs::coherence::{Coherence, Mode};
use pycfs::compiler::Compiler;
use pycfs::compiler::native::backend::NativeCompiler;
use pycfs::operations::{Found, Looked, Operations};
use pycfs::proximity::Proximity;
use pycfs::pyc::Target;
use pycfs::pycache::{self, Synthesis};
use pycfs::store::{self, Store};
use pycfs::tree::{Error, Root};

use crate::common::background::{Background, ends_with, pyc_in};
use crate::common::interpreters;
use crate::common::mounted::pycfs as program;

/// What is compared of the attributes.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub mode: u32,
    pub size: u64,
    pub mtime: i64,
    pub mtime_nsec: i64,
}

/// A view of a source.
pub trait View {
    /// The source.
    fn source(&self) -> &Path;
    /// Takes the view away and makes it anew.
    fn remount(&mut self);
    /// Waits until what was changed is seen.
    fn settle(&self);
    /// The names in a directory; `None` if it is not there.
    fn list(&self, directory: &str) -> Option<BTreeSet<String>>;
    /// The attributes of a name, links not followed.
    fn stat(&self, path: &str) -> Option<Seen>;
    /// The content of a file.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
    /// The entry of a source.
    fn entry(&self, path: &str) -> Option<Vec<u8>>;
}

/// A real mount.
pub struct Mounted {
    background: Background,
    target: Target,
    mode: &'static str,
}

impl Mounted {
    /// A mount of an empty source in this coherence mode.
    pub fn new(mode: &'static str) -> Mounted {
        let background = Background::prepared().expect("that mounts can be made was asked");
        let (target, _) = interpreters().pop().expect("an interpreter");
        let this = Mounted {
            background,
            target,
            mode,
        };
        this.mount();
        this
    }

    fn mount(&self) {
        let option = format!("coherence={}", self.mode);
        self.background.mount(&["-o", &option]);
    }
}

/// The result of a call, whose failure may only be that there is nothing.
fn absent_or<T>(path: &Path, result: std::io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let code = error.raw_os_error();
            let nothing = matches!(code, Some(libc::ENOENT | libc::ENOTDIR));
            assert!(nothing, "{}: {error}", path.display());
            None
        }
    }
}

impl View for Mounted {
    fn source(&self) -> &Path {
        self.background.source()
    }

    fn remount(&mut self) {
        let place = self.background.mount_point();
        ends_with(0, program().arg("umount").arg(place));
        self.mount();
    }

    fn settle(&self) {
        if self.mode != "strict" {
            ends_with(0, program().arg("sync").arg(self.background.mount_point()));
        }
    }

    fn list(&self, directory: &str) -> Option<BTreeSet<String>> {
        let path = self.background.mount_point().join(directory);
        let entries = absent_or(&path, fs::read_dir(&path))?;
        Some(
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect(),
        )
    }

    fn stat(&self, path: &str) -> Option<Seen> {
        let path = self.background.mount_point().join(path);
        let found = absent_or(&path, fs::symlink_metadata(&path))?;
        Some(Seen {
            mode: found.mode(),
            size: found.size(),
            mtime: found.mtime(),
            mtime_nsec: found.mtime_nsec(),
        })
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let path = self.background.mount_point().join(path);
        absent_or(&path, fs::read(&path))
    }

    fn entry(&self, path: &str) -> Option<Vec<u8>> {
        let path = self.background.mount_point().join(path);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let entry = pyc_in(path.parent().unwrap(), stem, self.target);
        absent_or(&entry, fs::read(&entry))
    }
}

/// The operations, walked as the kernel would without any cache.
pub struct Direct {
    dir: tempfile::TempDir,
    source: std::path::PathBuf,
    view: Option<(Arc<Operations>, pycache::Threads)>,
    target: Target,
}

impl Direct {
    pub fn new() -> Direct {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("src");
        fs::create_dir(&source).unwrap();
        let target = NativeCompiler
            .targets()
            .pop()
            .expect("the native compiler has a target");
        let mut this = Direct {
            dir,
            source,
            view: None,
            target,
        };
        this.remount();
        this
    }

    fn operations(&self) -> &Arc<Operations> {
        &self.view.as_ref().unwrap().0
    }

    /// Looks one name up, and forgets it at once if it is not kept.
    fn look_up(&self, parent: u64, name: &str) -> Result<Found, Error> {
        let (send, receive) = mpsc::channel();
        self.operations()
            .lookup(0, parent, OsStr::new(name), move |found| {
                let _ = send.send(found);
            });
        let looked = receive
            .recv_timeout(Duration::from_secs(60))
            .expect("each look-up is answered");
        match looked? {
            Looked::Found(found) => Ok(found),
            Looked::Absent(_) => Err(Error::new("look up", rustix::io::Errno::NOENT)),
        }
    }

    /// Walks a path; the inode's number and attributes. As the kernel does, once more from the
    /// beginning upon `ESTALE`.
    fn walk(&self, path: &str) -> Option<Found> {
        for _ in 0..3 {
            let mut found = None;
            let mut parent = pycfs::inode::ROOT;
            let mut held = Vec::new();
            let mut failed = None;
            for name in path.split('/').filter(|name| !name.is_empty()) {
                match self.look_up(parent, name) {
                    Ok(next) => {
                        parent = next.attributes.number;
                        held.push(parent);
                        found = Some(next);
                    }
                    Err(error) => {
                        failed = Some(error.errno.raw_os_error());
                        break;
                    }
                }
            }
            // The last one stays, for what is done with it next.
            if failed.is_none() {
                held.pop();
            }
            for number in held {
                self.operations().forget(number, 1);
            }
            match failed {
                None => return found,
                Some(libc::ESTALE) => {}
                Some(code) => {
                    let nothing = matches!(code, libc::ENOENT | libc::ENOTDIR);
                    assert!(nothing, "{path}: errno {code}");
                    return None;
                }
            }
        }
        panic!("{path}: stale for ever");
    }

    fn content(&self, found: &Found) -> Vec<u8> {
        const PIECE: u32 = 7;
        let number = found.attributes.number;
        let opened = self.operations().open(number).unwrap();
        let (mut bytes, mut piece) = (Vec::new(), Vec::new());
        loop {
            let offset = bytes.len() as u64;
            self.operations()
                .read(opened.handle, offset, PIECE, &mut piece)
                .unwrap();
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        self.operations().release(opened.handle);
        self.operations().forget(number, 1);
        bytes
    }
}

impl View for Direct {
    fn source(&self) -> &Path {
        &self.source
    }

    fn remount(&mut self) {
        if let Some((operations, threads)) = self.view.take() {
            assert_eq!(operations.open_handles(), 0, "every file was closed");
            assert_eq!(operations.inodes(), 1, "every look-up was forgotten");
            drop(operations);
            drop(threads);
        }
        let store = Store::open(store::Options::new(self.dir.path().join("store")));
        let (synthesis, threads) = Synthesis::start(
            Arc::new(NativeCompiler),
            store,
            OsStr::new("/mnt"),
            pycache::Options::default(),
            &Proximity::new(true),
        )
        .unwrap();
        let root = Root::open(&self.source, true).unwrap();
        let coherence = Coherence::new(Mode::Strict, "the model's".to_owned(), None);
        let operations = Operations::new(root, synthesis, coherence, None, None, |_| false);
        self.view = Some((Arc::new(operations), threads));
    }

    fn settle(&self) {}

    fn list(&self, directory: &str) -> Option<BTreeSet<String>> {
        let number = match directory {
            "" => pycfs::inode::ROOT,
            _ => self.walk(directory)?.attributes.number,
        };
        let operations = self.operations();
        let handle = operations.open_directory(number).unwrap().handle;
        let entries = operations.entries(number, handle, true).unwrap();
        operations.release(handle);
        operations.forget(number, 1);
        Some(
            entries
                .iter()
                .map(|entry| entry.name.to_str().unwrap().to_owned())
                .filter(|name| name != "." && name != "..")
                .collect(),
        )
    }

    fn stat(&self, path: &str) -> Option<Seen> {
        let found = self.walk(path)?;
        self.operations().forget(found.attributes.number, 1);
        let attr = found.attributes.attr;
        Some(Seen {
            mode: u32::from(attr.perm),
            size: attr.size,
            mtime: attr.mtime.sec,
            mtime_nsec: i64::from(attr.mtime.nsec),
        })
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        Some(self.content(&self.walk(path)?))
    }

    fn entry(&self, path: &str) -> Option<Vec<u8>> {
        let path = Path::new(path);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let entry = pyc_in(path.parent().unwrap(), stem, self.target);
        Some(self.content(&self.walk(entry.to_str().unwrap())?))
    }
}
