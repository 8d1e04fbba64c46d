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
