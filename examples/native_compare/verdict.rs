//! How the two answers compare, and the count of it.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;

use pycfs::compiler::native::error::Stop;
use pycfs::compiler::native::explain;
use pycfs::compiler::native::pipeline;
use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::{Level, Target, diff, marshal, normalise};

use crate::reference::{Answer, command, file_name};

/// One comparison.
pub enum Verdict {
    /// The same bytes.
    Identical,
    /// Other bytes than a process that has compiled other files before, but those of a fresh one.
    AsFresh,
    /// Equal in the normal form only: classes c, d, e.
    Normal,
    /// Rejected by both; which parts of the error are the same.
    Rejected(ErrorMatch, String, Option<String>),
    /// Unsure, of a program that CPython rejects or not.
    Unsure { rejected: bool, why: String },
    /// The reference gave no answer.
    NoAnswer,
    /// A defect.
    Wrong(String),
}

/// Which parts of an error are CPython's.
#[derive(Clone, Copy, Default)]
pub struct ErrorMatch {
    /// Whether there is a text.
    pub told: bool,
    pub message: bool,
    pub line: bool,
    pub column: bool,
    pub text: bool,
}

impl Verdict {
    pub fn of(
        source: &[u8],
        target: Target,
        profile: &'static Profile,
        level: Level,
        theirs: Answer,
        python: &Path,
    ) -> Verdict {
        let name = file_name().join("m.py");
        let name = name.to_str().unwrap();
        let ours = catch_unwind(|| pipeline::compile(source, profile, level));
        let Ok(ours) = ours else {
            return Verdict::Wrong("panic".to_owned());
        };
        match (ours, theirs) {
            (_, Answer::None) => Verdict::NoAnswer,
            (Ok(_), Answer::Refused(error)) => Verdict::Wrong(format!(
                "accepted, but {}: {} (line {})",
                error["type"], error["msg"], error["line"]
            )),
            (Ok(ours), Answer::Code(theirs)) => {
                let ours = ours.with_filename(name.as_bytes());
                if ours == theirs {
                    return Verdict::Identical;
                }
                let (left, right) = (
                    marshal::read(target, &ours),
                    marshal::read(target, &theirs).unwrap(),
                );
                let Ok(left) = left else {
                    return Verdict::Wrong("unreadable bytes".to_owned());
                };
                if normalise::equal(&left, &right) {
                    if fresh(python, name, source, level) == ours {
                        Verdict::AsFresh
                    } else {
                        Verdict::Normal
                    }
                } else {
                    Verdict::Wrong(diff::first_difference(&left, &right).map_or_else(
                        || "other bytes, no difference found".to_owned(),
                        |difference| difference.to_string(),
                    ))
                }
            }
            (Err(Stop::Unsure(why)), Answer::Code(_)) => Verdict::Unsure {
                rejected: false,
                why: *why,
            },
            (Err(Stop::Unsure(why)), Answer::Refused(_)) => Verdict::Unsure {
                rejected: true,
                why: *why,
            },
            (Err(Stop::Rejected(error)), Answer::Code(_)) => {
                Verdict::Wrong(format!("rejected: {}: {}", error.kind, error.message))
            }
            (Err(Stop::Rejected(ours)), Answer::Refused(theirs)) => {
                let number = |key: &str| theirs[key].as_i64();
                let found = catch_unwind(|| {
                    (
                        explain::locate(&ours, source, target),
                        explain::explain(&ours, source, target, name.as_bytes()),
                    )
                });
                let Ok((place, text)) = found else {
                    return Verdict::Wrong("panic in the diagnosis".to_owned());
                };
                let mut same = ErrorMatch {
                    told: text.is_some(),
                    text: text
                        .as_deref()
                        .is_some_and(|text| theirs["explain"] == text),
                    ..ErrorMatch::default()
                };
                if let Some(place) = place {
                    same.message = theirs["type"] == place.kind && theirs["msg"] == place.message;
                    same.line = number("line") == i64::try_from(place.line).ok();
                    same.column = number("offset") == Some(place.offset);
                }
                Verdict::Rejected(same, theirs["explain"].to_string(), text)
            }
        }
    }

    /// Whether nothing is to be looked at.
    pub fn is_alike(&self) -> bool {
        match self {
            Verdict::Identical
            | Verdict::AsFresh
            | Verdict::Normal
            | Verdict::NoAnswer
            | Verdict::Unsure { .. } => true,
            Verdict::Rejected(same, ..) => !same.told || same.text,
            Verdict::Wrong(_) => false,
        }
    }
}

/// What `-m py_compile` makes of the source in a process of its own; nothing if it rejects it.
fn fresh(python: &Path, name: &str, source: &[u8], level: Level) -> Vec<u8> {
    std::fs::write(name, source).unwrap();
    let caches = Path::new(name).with_file_name("__pycache__");
    let _ = std::fs::remove_dir_all(&caches);
    let mut python = command(python);
    match level.number() {
        0 => {}
        1 => drop(python.arg("-O")),
        _ => drop(python.arg("-OO")),
    }
    python.args(["-W", "ignore", "-m", "py_compile", name]);
    let _ = python.output().unwrap();
    let Some(Ok(pyc)) = std::fs::read_dir(&caches)
        .ok()
        .and_then(|mut entries| entries.next())
    else {
        return Vec::new();
    };
    let pyc = std::fs::read(pyc.path()).unwrap();
    pyc.get(16..).unwrap_or_default().to_vec()
}

/// The counts, and what to look at.
#[derive(Default)]
pub struct Tally {
    counts: BTreeMap<(u8, &'static str), u64>,
    unsure: BTreeMap<String, u64>,
    listed: Vec<String>,
    wrong: u64,
}

impl Tally {
    pub fn count(&mut self, name: &str, level: Level, verdict: Verdict) {
        let number = level.number();
        let mut add = |what| *self.counts.entry((number, what)).or_default() += 1;
        match &verdict {
            Verdict::Identical => add("identical"),
            Verdict::AsFresh => {
                add("as a fresh process only");
                self.listed.push(format!("fresh -O{number} {name}"));
            }
            Verdict::Normal => {
                add("equal in the normal form only");
                self.listed.push(format!("normal -O{number} {name}"));
            }
            Verdict::NoAnswer => {
                add("the reference did not answer");
                self.listed.push(format!("no answer -O{number} {name}"));
            }
            Verdict::Unsure { rejected, why } => {
                add(if *rejected {
                    "unsure of a rejected one"
                } else {
                    "unsure of an accepted one"
                });
                let why = why.lines().next().unwrap_or_default();
                let key = if *rejected {
                    format!("rejected: {why}")
                } else {
                    format!("accepted: {why}")
                };
                *self.unsure.entry(key).or_default() += 1;
                if !rejected {
                    self.listed.push(format!("unsure -O{number} {name}: {why}"));
                }
            }
            Verdict::Wrong(why) => {
                add("DEFECT");
                self.wrong += 1;
                self.listed.push(format!("DEFECT -O{number} {name}: {why}"));
            }
            Verdict::Rejected(same, theirs, ours) => {
                add("rejected by both");
                for (is, what) in [
                    (same.message, "… same type and message"),
                    (same.message && same.line, "… and line"),
                    (same.message && same.line && same.column, "… and column"),
                    (same.text, "… and the whole text"),
                    (!same.told, "… without a text"),
                    (same.told && !same.text, "… OTHER TEXT"),
                ] {
                    if is {
                        add(what);
                    }
                }
                if same.told && !same.text {
                    let ours = ours.as_deref().unwrap_or_default();
                    self.listed.push(format!(
                        "OTHER TEXT -O{number} {name}: {theirs} but here {ours:?}"
                    ));
                }
            }
        }
    }

    /// Whether there is no defect.
    pub fn is_clean(&self) -> bool {
        self.wrong == 0
    }

    pub fn print(&self) {
        for ((level, what), count) in &self.counts {
            println!("-O{level} {count:7} {what}");
        }
        for (why, count) in &self.unsure {
            println!("    {count:7} unsure, {why}");
        }
        for line in &self.listed {
            println!("{line}");
        }
    }
}
