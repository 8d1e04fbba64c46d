//! Two compilers as one: the first answers what it is sure of, the second the rest.
//!
//! Invariant: whoever compiled, the code is for the magic number that the first one's build stands
//! for, so that one store key never has code of two bytecode formats.

use std::sync::Arc;
use std::time::Instant;

use super::{BuildId, Code, Compiler, Job, Refusal};
use crate::pyc::{Target, magic_of};

/// Asks `first`; where that does not cover the target, is unsure or fails, asks `second`.
pub struct Fallback {
    first: Arc<dyn Compiler>,
    second: Arc<dyn Compiler>,
}

impl Fallback {
    /// `first` in front of `second`.
    pub fn new(first: Arc<dyn Compiler>, second: Arc<dyn Compiler>) -> Fallback {
        Fallback { first, second }
    }

    fn first_covers(&self, target: Target) -> bool {
        self.first.build(target).is_some()
    }

    /// What the second one makes of a job that the first one gave back as `refusal`.
    fn second_opinion(&self, job: &Job, began: Instant, refusal: Refusal) -> Result<Code, Refusal> {
        let left = job.timeout.saturating_sub(began.elapsed());
        let job = Job {
            timeout: left,
            ..job.clone()
        };
        match self.second.compile(&job) {
            Ok(code) if code.magic == magic_of(job.target) => Ok(code),
            Ok(code) => Err(Refusal::Failed(format!(
                "{refusal}; and the {} has magic number {}",
                self.second.name(),
                code.magic
            ))),
            // Nobody else knows better: the first one's reason says more.
            Err(Refusal::NotCovered(_)) => Err(refusal),
            Err(
                other @ (Refusal::Rejected(_)
                | Refusal::Unsure(_)
                | Refusal::TimedOut(_)
                | Refusal::Died(_)
                | Refusal::Failed(_)),
            ) => Err(other),
        }
    }
}

impl Compiler for Fallback {
    fn name(&self) -> &'static str {
        self.first.name()
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = self.first.targets();
        targets.extend(self.second.targets());
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// The first one's build where it covers the target. What the second one compiles in its
    /// place is stored under it too: it is valid code of the same bytecode format.
    fn build(&self, target: Target) -> Option<BuildId> {
        self.first
            .build(target)
            .or_else(|| self.second.build(target))
    }

    fn compile(&self, job: &Job) -> Result<Code, Refusal> {
        if !self.first_covers(job.target) {
            return self.second.compile(job);
        }
        let began = Instant::now();
        match self.first.compile(job) {
            Ok(code) => Ok(code),
            Err(refusal @ (Refusal::Rejected(_) | Refusal::TimedOut(_))) => Err(refusal),
            Err(
                refusal @ (Refusal::Unsure(_)
                | Refusal::NotCovered(_)
                | Refusal::Died(_)
                | Refusal::Failed(_)),
            ) => {
                log::debug!("CPython {}: {refusal}", job.target);
                self.second_opinion(job, began, refusal)
            }
        }
    }

    fn describe(&self) -> Vec<(Target, String)> {
        let mut lines = self.first.describe();
        for (target, line) in self.second.describe() {
            match lines.iter_mut().find(|(known, _)| *known == target) {
                Some((_, known)) => known.push_str(&format!("; where it is unsure {line}")),
                None => lines.push((target, line)),
            }
        }
        lines.sort_unstable_by_key(|(target, _)| *target);
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::pyc::{Level, Template};

    /// Covers some targets and always gives the same answer.
    struct Fixed {
        name: &'static str,
        minors: Vec<u8>,
        answer: Result<u16, Refusal>,
        asked: Mutex<Vec<Job>>,
    }

    fn fixed(name: &'static str, minors: &[u8], answer: Result<u16, Refusal>) -> Arc<Fixed> {
        Arc::new(Fixed {
            name,
            minors: minors.to_vec(),
            answer,
            asked: Mutex::default(),
        })
    }

    impl Compiler for Fixed {
        fn name(&self) -> &'static str {
            self.name
        }

        fn targets(&self) -> Vec<Target> {
            self.minors
                .iter()
                .filter_map(|minor| Target::from_minor(*minor))
                .collect()
        }

        fn build(&self, target: Target) -> Option<BuildId> {
            self.minors
                .contains(&target.minor())
                .then(|| BuildId(self.name.to_owned()))
        }

        fn compile(&self, job: &Job) -> Result<Code, Refusal> {
            self.asked.lock().unwrap().push(job.clone());
            let template = Template::from_parts(self.name.into(), 0, false, false).unwrap();
            let magic = self.answer.clone()?;
            Ok(Code { magic, template })
        }

        fn describe(&self) -> Vec<(Target, String)> {
            self.targets()
                .into_iter()
                .map(|target| (target, self.name.to_owned()))
                .collect()
        }
    }

    fn job() -> Job {
        Job {
            source: b"x".as_slice().into(),
            target: target(),
            level: Level::O0,
            timeout: Duration::from_secs(5),
            explain: None,
        }
    }

    fn target() -> Target {
        Target::from_minor(13).unwrap()
    }

    fn outcome(first: &Arc<Fixed>, second: &Arc<Fixed>) -> Result<Code, Refusal> {
        Fallback::new(
            Arc::clone(first) as Arc<dyn Compiler>,
            Arc::clone(second) as Arc<dyn Compiler>,
        )
        .compile(&job())
    }

    #[test]
    fn the_second_is_asked_only_where_the_first_has_no_verdict() {
        let magic = magic_of(target());
        let verdicts = [
            Ok(magic),
            Err(Refusal::Rejected("no".to_owned())),
            Err(Refusal::TimedOut(Duration::from_secs(5))),
        ];
        for verdict in verdicts {
            let (first, second) = (
                fixed("first", &[13], verdict.clone()),
                fixed("second", &[13], Ok(magic)),
            );
            assert_eq!(
                outcome(&first, &second).map(|code| code.magic),
                verdict.clone()
            );
            assert!(second.asked.lock().unwrap().is_empty());
        }
        for doubt in [
            Refusal::Unsure("?".to_owned()),
            Refusal::Died("panic".to_owned()),
            Refusal::Failed("bug".to_owned()),
        ] {
            let (first, second) = (
                fixed("first", &[13], Err(doubt)),
                fixed("second", &[13], Ok(magic)),
            );
            let code = outcome(&first, &second).unwrap();
            assert_eq!(code.template.to_parts().bytes, b"second");
            let asked = second.asked.lock().unwrap();
            assert!(asked[0].timeout <= job().timeout);
        }
    }

    #[test]
    fn a_doubt_that_nobody_resolves_is_the_firsts() {
        let doubt = Refusal::Unsure("?".to_owned());
        let first = fixed("first", &[13], Err(doubt.clone()));
        let none = fixed("second", &[], Err(Refusal::NotCovered(target())));
        assert_eq!(outcome(&first, &none), Err(doubt.clone()));
        let other = fixed("second", &[13], Ok(1));
        assert!(matches!(outcome(&first, &other), Err(Refusal::Failed(_))));
    }

    #[test]
    fn each_target_has_the_build_of_who_compiles_it() {
        let first = fixed("first", &[13], Ok(magic_of(target())));
        let second = fixed("second", &[12, 13], Ok(0));
        let both = Fallback::new(first, second);
        let minors: Vec<u8> = both.targets().iter().map(|each| each.minor()).collect();
        assert_eq!(minors, [12, 13]);
        let build = |minor| both.build(Target::from_minor(minor).unwrap());
        assert_eq!(build(13), Some(BuildId("first".to_owned())));
        assert_eq!(build(12), Some(BuildId("second".to_owned())));
        assert_eq!(build(11), None);
        let described = both.describe();
        assert_eq!(described[0].1, "second");
        assert_eq!(described[1].1, "first; where it is unsure second");
    }
}
