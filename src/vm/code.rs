//! Where the code of a source comes from: a mount's entry, the store, or a compile.
//!
//! Invariants: code is that of the very bytes the source holds (keys are made of content; a mount
//! answers for its own entries); what is handed out has been checked; nothing is written but to
//! the store, whose trouble is never the reader's.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::{bytecode, target};
use crate::compiler::native::backend::NativeCompiler;
use crate::compiler::{BuildId, Compiler, Job};
use crate::pyc::{
    CacheName, Header, Level, Template, Validation, magic_of, mtime_field, source_hash,
};
use crate::store::{Digest, Direct, Entry, Key, Lookup};

/// The compiler that RustPython has within it, for sources that ours does not compile. Code is
/// stored under it after the check, so that a blob that is whole is not checked again.
const OWN_BUILD: &str = "rustpython 0.6.0";
/// How long our compiler may take before RustPython's is asked.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest source or pyc that is looked at, in bytes.
const LARGEST: u64 = 64 << 20;

/// Code that the VM may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The marshalled code object. The file name in it may be another source's of the same content.
    pub(super) marshal: Vec<u8>,
}

/// The code of a source that is in no mount.
pub(super) enum Stored {
    /// It was in the store, or our compiler made it.
    Code(Found),
    /// RustPython has to compile it, and may store its code with [`Sources::keep`].
    Compile(OwnKey),
}

/// The key under which RustPython's own code of a source is stored.
pub(super) struct OwnKey(Key);

/// Where code is found.
pub(super) struct Sources {
    store: Option<PathBuf>,
    opened: OnceLock<Option<Direct>>,
    level: Level,
    is_mirror: Box<dyn Fn(u64) -> bool + Send + Sync>,
    mirrors: Mutex<HashMap<u64, bool>>,
    native: Option<Native>,
    own_only: bool,
    counts: Counts,
}

/// Our compiler, and the identities of what it makes.
struct Native {
    compiler: NativeCompiler,
    /// What any command stores.
    build: BuildId,
    /// The same code once it was found fit for the VM.
    fit: BuildId,
}

#[derive(Default)]
struct Counts {
    mount: AtomicU64,
    store: AtomicU64,
    compiled: AtomicU64,
    own: AtomicU64,
    unfit: AtomicU64,
}

/// What was done so far, for a person.
pub(super) struct Counters<'a>(&'a Counts);

impl fmt::Display for Counters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            mount,
            store,
            compiled,
            own,
            unfit,
        } = self.0;
        let [mount, store, compiled, own, unfit] =
            [mount, store, compiled, own, unfit].map(|count| count.load(Relaxed));
        write!(
            f,
            "pycfs run: mount {mount}, store {store}, compiled {}, of these by RustPython {own}, \
             unfit {unfit}",
            compiled + own
        )
    }
}

impl Sources {
    /// Code for `level`, kept in the store folder `store`, which is opened when it is needed. Of
    /// RustPython's own making only, if that is wanted for a comparison.
    pub(super) fn open(
        store: Option<PathBuf>,
        is_mirror: Box<dyn Fn(u64) -> bool + Send + Sync>,
        level: Level,
        own_only: bool,
    ) -> Sources {
        let native = (!own_only).then_some(NativeCompiler).and_then(|compiler| {
            let build = compiler.build(target())?;
            let fit = BuildId(format!("{}, fit for {OWN_BUILD}", build.0));
            Some(Native {
                compiler,
                build,
                fit,
            })
        });
        Sources {
            store,
            opened: OnceLock::new(),
            level,
            is_mirror,
            mirrors: Mutex::default(),
            native,
            own_only,
            counts: Counts::default(),
        }
    }

    /// What was done so far.
    pub(super) fn counters(&self) -> Counters<'_> {
        Counters(&self.counts)
    }

    /// The code that a mount has for the source at `path`; `None` where that is no source in a
    /// mount, or the mount has no code for it.
    pub(super) fn mirrored(&self, path: &Path) -> Option<Found> {
        if self.own_only {
            return None;
        }
        let name = path.file_name()?.as_bytes().strip_suffix(b".py")?;
        let source = fs::metadata(path).ok()?;
        if !self.in_mirror(source.dev()) {
            return None;
        }
        let entry = CacheName {
            stem: name.to_owned(),
            target: target(),
            level: self.level,
        };
        let entry = std::ffi::OsString::from_vec(entry.file_name());
        let entry = path.parent()?.join("__pycache__").join(entry);
        let pyc = read(&entry)?;
        let fresh = || -> Option<bool> {
            let header = Header::read(target(), &pyc).ok()?;
            let magic = magic_of(target());
            let fits = match header.validation() {
                Validation::Timestamp { mtime, size } => {
                    let nanoseconds = u32::try_from(source.mtime_nsec()).ok()?;
                    mtime == mtime_field(source.mtime(), nanoseconds)
                        && u64::from(size) == source.len() & u64::from(u32::MAX)
                }
                Validation::Hash { checked: false, .. } => true,
                Validation::Hash { hash, .. } => source_hash(target(), magic, &read(path)?) == hash,
            };
            Some(header.magic() == magic && fits)
        };
        if !fresh()? {
            return None;
        }
        let marshal = pyc.get(Header::size(target())..)?.to_vec();
        let found = self.checked(marshal)?;
        self.counts.mount.fetch_add(1, Relaxed);
        Some(found)
    }

    /// The code of a source with these bytes.
    pub(super) fn stored(&self, path: &Path, source: &[u8]) -> Stored {
        let digest = Digest::of(source);
        let native = self.native.as_ref();
        if let Some(native) = native
            && let Some(found) = self.hit(&self.key(&native.fit, &digest), path)
        {
            return Stored::Code(found);
        }
        let own = self.key(&BuildId(OWN_BUILD.to_owned()), &digest);
        let found = self
            .own_hit(&own)
            .or_else(|| self.first_use(native?, path, source, &digest));
        match found {
            Some(found) => Stored::Code(found),
            None => Stored::Compile(OwnKey(own)),
        }
    }

    /// Stores what RustPython compiled.
    pub(super) fn keep(&self, key: &OwnKey, marshal: Vec<u8>) {
        self.counts.own.fetch_add(1, Relaxed);
        if self.checked(marshal.clone()).is_none() {
            return;
        }
        let length = marshal.len();
        let Ok(template) = Template::from_parts(marshal, length, false, false) else {
            return;
        };
        self.put(&key.0, template);
    }

    /// Counts a source that RustPython compiled and that is not stored.
    pub(super) fn not_kept(&self) {
        self.counts.own.fetch_add(1, Relaxed);
    }

    fn key(&self, build: &BuildId, digest: &Digest) -> Key {
        Key::new(target(), self.level, build, digest)
    }

    fn store(&self) -> Option<&Direct> {
        let open = || {
            let dir = self.store.as_ref()?;
            match Direct::open(dir) {
                Ok(store) => Some(store),
                Err(error) => {
                    log::info!("no store: {error}");
                    None
                }
            }
        };
        self.opened.get_or_init(open).as_ref()
    }

    fn lookup(&self, key: &Key) -> Option<std::sync::Arc<Entry>> {
        match self.store()?.get(key) {
            Lookup::Hit(entry) => Some(entry),
            Lookup::Miss(_) => None,
        }
    }

    /// Code of ours that was found fit before.
    fn hit(&self, key: &Key, path: &Path) -> Option<Found> {
        let entry = self.lookup(key)?;
        self.counts.store.fetch_add(1, Relaxed);
        Some(Found {
            marshal: entry.template.fill(path.as_os_str().as_bytes()),
        })
    }

    /// Code of RustPython's.
    fn own_hit(&self, key: &Key) -> Option<Found> {
        let entry = self.lookup(key)?;
        self.counts.store.fetch_add(1, Relaxed);
        Some(Found {
            marshal: entry.template.to_parts().bytes.to_vec(),
        })
    }

    /// Code of ours that the VM has not had yet: from the store, else compiled.
    fn first_use(
        &self,
        native: &Native,
        path: &Path,
        source: &[u8],
        digest: &Digest,
    ) -> Option<Found> {
        let stored = self.lookup(&self.key(&native.build, digest));
        let (template, count) = match stored {
            Some(entry) => (entry.template.clone(), &self.counts.store),
            None => {
                let job = Job {
                    source: source.into(),
                    target: target(),
                    level: self.level,
                    timeout: PATIENCE,
                    explain: None,
                };
                let code = native.compiler.compile(&job).ok()?;
                (code.template, &self.counts.compiled)
            }
        };
        let found = self.checked(template.fill(path.as_os_str().as_bytes()))?;
        count.fetch_add(1, Relaxed);
        self.put(&self.key(&native.fit, digest), template);
        Some(found)
    }

    fn put(&self, key: &Key, template: Template) {
        let entry = Entry {
            target: target(),
            level: self.level,
            magic: magic_of(target()),
            template,
        };
        if let Some(store) = self.store() {
            store.put(key, &entry);
        }
    }

    fn checked(&self, marshal: Vec<u8>) -> Option<Found> {
        match bytecode::check(&marshal) {
            Ok(()) => Some(Found { marshal }),
            Err(unfit) => {
                log::warn!("code that the VM does not get: {unfit}");
                self.counts.unfit.fetch_add(1, Relaxed);
                None
            }
        }
    }

    fn in_mirror(&self, device: u64) -> bool {
        let mut mirrors = self.mirrors.lock();
        *mirrors
            .entry(device)
            .or_insert_with(|| (self.is_mirror)(device))
    }
}

/// A whole file, unless it is larger than [`LARGEST`] or no regular file.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()? + 1);
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
