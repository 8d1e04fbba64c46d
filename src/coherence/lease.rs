//! How long the kernel may use an answer without asking.
//!
//! Why these are safe:
//! - `watch`: each change makes an event, upon which the kernel is told to drop what it keeps. The
//!   lease bounds what makes none (a write through a shared mapping): that is the content of a
//!   file, and the entry made of it, so where directories lead to and what is absent may be used
//!   for longer. It is given only for what the events cover: the rest is treated as in `strict`.
//! - `strict`: a file's name (source, pyc, symlink) is asked for at each use, so the last step of
//!   each path is fresh, and with it the attributes that the reply carries. A directory's name may
//!   be used for long, because each question about a name *in* it checks that the directory still
//!   is where the kernel found it; if not, the answer is `ESTALE`, upon which the kernel walks the
//!   whole path again and asks for every step. Attributes of a file live for one tick, just long
//!   enough for the `stat` that follows a look-up; those of a directory may lag by a moment.
//! - `ttl`: nothing is safe but for as long as the lease.

use std::time::Duration;

use super::{Coherence, Mode};

/// The lease of `watch`.
pub(super) const WATCH: Duration = Duration::from_secs(10);
/// How many leases of `watch` the names may be used that no content changes.
const STRUCTURE: u32 = 30;
/// The lease of `ttl`.
pub(super) const TTL: Duration = Duration::from_secs(1);

/// The name of a directory that is checked at each question about a name in it.
const CHECKED_DIRECTORY_NAME: Duration = Duration::from_secs(300);
/// The attributes of a file whose name is asked for at each use.
const ASKED_FILE_ATTRIBUTES: Duration = Duration::from_micros(1);
/// The attributes of a directory that no event covers.
const DIRECTORY_ATTRIBUTES: Duration = Duration::from_millis(100);
/// The attributes of a pyc: replaced by each look-up, and its bytes never change.
const PYC_ATTRIBUTES: Duration = Duration::from_secs(300);

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A directory of the source, or its `__pycache__`.
    Directory,
    /// A file of another kind.
    File,
    /// A pyc.
    Pyc,
    /// A name that nothing has.
    Absent,
}

/// How long the two halves of an answer may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leases {
    /// That the name leads to this inode, or to nothing.
    pub name: Duration,
    /// The attributes.
    pub attributes: Duration,
}

impl Coherence {
    /// The leases of an answer. `covered` says whether each change that could make it wrong is
    /// certain to make an event.
    pub fn leases(&self, subject: Subject, covered: bool) -> Leases {
        match (self.mode, covered) {
            (Mode::Watch, true) => Leases {
                name: match subject {
                    Subject::Directory | Subject::Absent => self.lease.saturating_mul(STRUCTURE),
                    Subject::File | Subject::Pyc => self.lease,
                },
                attributes: match subject {
                    Subject::Directory => self.lease.saturating_mul(STRUCTURE),
                    Subject::Pyc => PYC_ATTRIBUTES.max(self.lease),
                    Subject::File | Subject::Absent => self.lease,
                },
            },
            (Mode::Ttl, _) => Leases {
                name: self.lease,
                attributes: self.lease,
            },
            (Mode::Watch, false) | (Mode::Strict, _) => asked(subject),
        }
    }
}

fn asked(subject: Subject) -> Leases {
    let (name, attributes) = match subject {
        Subject::Directory => (CHECKED_DIRECTORY_NAME, DIRECTORY_ATTRIBUTES),
        Subject::File => (Duration::ZERO, ASKED_FILE_ATTRIBUTES),
        Subject::Pyc => (Duration::ZERO, PYC_ATTRIBUTES),
        Subject::Absent => (Duration::ZERO, Duration::ZERO),
    };
    Leases { name, attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(mode: Mode) -> Coherence {
        Coherence::new(mode, String::new(), Some(Duration::from_secs(7)))
    }

    #[test]
    fn a_name_that_no_event_covers_is_asked_for_at_each_use() {
        for coherence in [mode(Mode::Watch), mode(Mode::Strict)] {
            for subject in [Subject::File, Subject::Pyc, Subject::Absent] {
                assert_eq!(coherence.leases(subject, false).name, Duration::ZERO);
            }
        }
    }

    #[test]
    fn nothing_is_kept_for_longer_than_the_lease_where_answers_are_not_checked() {
        const LEASE: Duration = Duration::from_secs(7);
        let every = [
            Subject::Directory,
            Subject::File,
            Subject::Pyc,
            Subject::Absent,
        ];
        for subject in every {
            for covered in [true, false] {
                let leases = mode(Mode::Ttl).leases(subject, covered);
                assert!(leases.name <= LEASE && leases.attributes <= LEASE);
            }
        }
    }

    #[test]
    fn what_a_write_without_an_event_can_change_is_kept_for_no_longer_than_the_lease() {
        let watch = |subject| mode(Mode::Watch).leases(subject, true);
        assert_eq!(watch(Subject::Pyc).name, Duration::from_secs(7));
        let file = watch(Subject::File);
        assert_eq!(file.name, Duration::from_secs(7));
        assert_eq!(file.attributes, Duration::from_secs(7));
        assert_eq!(watch(Subject::Absent).name, Duration::from_secs(210));
    }

    #[test]
    fn events_lift_nothing_in_strict() {
        for subject in [Subject::File, Subject::Pyc, Subject::Absent] {
            assert_eq!(mode(Mode::Strict).leases(subject, true), asked(subject));
        }
    }
}
