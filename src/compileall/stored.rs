//! A compiler that looks into the store first.
//!
//! Invariant: what the store answers is what the backend behind it would make, because the key
//! covers the backend's build and the whole source.

use std::sync::Arc;

use crate::compiler::{BuildId, Code, Compiler, Job, Refusal};
use crate::pyc::Target;
use crate::store::{Digest, Entry, Key, Lookup, Store};

/// A backend for one target, with the store in front of it.
pub struct StoredCompiler<'a> {
    backend: &'a dyn Compiler,
    store: &'a Store,
    target: Target,
    build: BuildId,
}

impl<'a> StoredCompiler<'a> {
    /// Puts the store in front of a backend; `None` when the backend does not cover the target.
    pub fn new(
        backend: &'a dyn Compiler,
        store: &'a Store,
        target: Target,
    ) -> Option<StoredCompiler<'a>> {
        Some(StoredCompiler {
            backend,
            store,
            target,
            build: backend.build(target)?,
        })
    }
}

impl Compiler for StoredCompiler<'_> {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn targets(&self) -> Vec<Target> {
        vec![self.target]
    }

    fn build(&self, target: Target) -> Option<BuildId> {
        (target == self.target).then(|| self.build.clone())
    }

    fn compile(&self, job: &Job) -> Result<Code, Refusal> {
        if job.target != self.target {
            return Err(Refusal::NotCovered(job.target));
        }
        let digest = Digest::of(&job.source);
        let key = Key::new(job.target, job.level, &self.build, &digest);
        match self.store.get(&key) {
            Lookup::Hit(entry) => Ok(Code {
                magic: entry.magic,
                template: entry.template.clone(),
            }),
            Lookup::Miss(_) => {
                let code = self.backend.compile(job)?;
                let entry = Arc::new(Entry {
                    target: job.target,
                    level: job.level,
                    magic: code.magic,
                    template: code.template.clone(),
                });
                self.store.put(&key, &entry);
                Ok(code)
            }
        }
    }

    fn describe(&self) -> Vec<(Target, String)> {
        self.backend.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use crate::pyc::{Level, Template, magic_of};
    use crate::store;

    #[derive(Default)]
    struct Counting {
        calls: AtomicUsize,
    }

    impl Compiler for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn targets(&self) -> Vec<Target> {
            vec![Target::NEWEST]
        }

        fn build(&self, target: Target) -> Option<BuildId> {
            (target == Target::NEWEST).then(|| BuildId("counting".to_owned()))
        }

        fn compile(&self, job: &Job) -> Result<Code, Refusal> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            if &*job.source == b"bad" {
                return Err(Refusal::Rejected("bad".to_owned()));
            }
            let template = Template::from_parts(job.source.to_vec(), 0, false, false).unwrap();
            Ok(Code {
                magic: magic_of(job.target),
                template,
            })
        }

        fn describe(&self) -> Vec<(Target, String)> {
            Vec::new()
        }
    }

    fn job(source: &[u8], level: Level) -> Job {
        Job {
            source: source.into(),
            target: Target::NEWEST,
            level,
            timeout: Duration::from_secs(5),
            explain: None,
        }
    }

    #[test]
    fn only_what_the_store_lacks_is_compiled_and_refusals_are_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(store::Options::new(dir.path().join("store")));
        let backend = Counting::default();
        let calls = || backend.calls.load(Ordering::Relaxed);
        let stored = StoredCompiler::new(&backend, &store, Target::NEWEST).unwrap();
        let first = stored.compile(&job(b"a", Level::O0)).unwrap();
        assert_eq!(stored.compile(&job(b"a", Level::O0)).unwrap(), first);
        assert_eq!(calls(), 1);
        stored.compile(&job(b"a", Level::O1)).unwrap();
        stored.compile(&job(b"b", Level::O0)).unwrap();
        assert_eq!(calls(), 3);
        for _ in 0..2 {
            assert!(stored.compile(&job(b"bad", Level::O0)).is_err());
        }
        assert_eq!(calls(), 5);
        assert!(StoredCompiler::new(&backend, &store, Target::OLDEST).is_none());
    }
}
