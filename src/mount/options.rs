//! Mount options: what stands behind `-o`, on the command line and in fstab.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;
use crate::backend;
use crate::coherence::Mode;
use crate::pyc::{InvalidationMode, Target};

/// Everything that decides how a tree is mounted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether other users may use the mount; the kernel checks the source's permissions.
    pub allow_other: bool,
    /// Honour set-id bits.
    pub suid: bool,
    /// Honour device files.
    pub dev: bool,
    /// Allow execution.
    pub exec: bool,
    /// SELinux labels and the like, passed to the kernel as they are: `name=value`.
    pub labels: Vec<OsString>,
    /// The store's directory; `None` for the default.
    pub store: Option<PathBuf>,
    /// The store's size limit in bytes; `None` for the default.
    pub store_size: Option<u64>,
    /// How long a reader waits for an entry at most.
    pub deadline: Duration,
    /// How long one compile may take.
    pub compile_timeout: Duration,
    /// The kind of pyc header.
    pub mode: InvalidationMode,
    /// How the mount stays fresh; `None` to choose by the source's filesystem.
    pub coherence: Option<Mode>,
    /// Whether events are taken of the directories in use only, not of the whole filesystem.
    pub directory_events: bool,
    /// How long an answer may be used that no event takes back; `None` for the mode's own.
    pub lease: Option<Duration>,
    /// Who compiles.
    pub backend: backend::Choice,
    /// Whether the whole tree is compiled once it is mounted.
    pub warm: bool,
    /// Interpreters to use before those that are found.
    pub interpreters: Vec<PathBuf>,
    /// Whether imported modules are compiled before anybody asks for them.
    pub ahead: bool,
    /// Targets that listings show from the start.
    pub targets: Vec<Target>,
    /// Threads that serve requests.
    pub threads: usize,
    /// Whether they run on the processor of a reader that is alone.
    pub near: bool,
    /// Whether a small parent process starts the daemon again when it dies.
    pub supervise: bool,
    /// The log file; `None` for syslog (or standard error in the foreground).
    pub log: Option<PathBuf>,
}

impl Options {
    /// The options without any `-o`. Root serves other users, that is what it mounts for; the
    /// kernel checks permissions against the source's owners and modes.
    pub fn new(root: bool) -> Options {
        Options {
            allow_other: root,
            suid: false,
            dev: false,
            exec: true,
            labels: Vec::new(),
            store: None,
            store_size: None,
            deadline: Duration::from_secs(5),
            compile_timeout: Duration::from_secs(60),
            mode: InvalidationMode::Timestamp,
            warm: false,
            coherence: None,
            directory_events: false,
            lease: None,
            backend: backend::Choice::default(),
            interpreters: Vec::new(),
            ahead: true,
            targets: Vec::new(),
            threads: 4,
            near: true,
            supervise: false,
            log: None,
        }
    }

    /// Applies one comma-separated list. `\,` and `\\` stand for the characters themselves, and a
    /// value in double quotes may contain commas.
    pub fn apply(&mut self, list: &OsStr) -> Result<(), Error> {
        for option in split(list.as_bytes()) {
            self.apply_one(&option)?;
        }
        Ok(())
    }

    fn apply_one(&mut self, option: &[u8]) -> Result<(), Error> {
        let (name, value) = match option.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                let (name, value) = option.split_at(at);
                (name, value.get(1..))
            }
            None => (option, None),
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let required = || {
            let value = value
                .ok_or_else(|| Error::Usage(format!("option {name} needs a value: {name}=…")))?;
            Ok::<&OsStr, Error>(OsStr::from_bytes(value))
        };
        match name.as_str() {
            "" => {}
            "allow_other" => self.allow_other = true,
            "no_allow_other" => self.allow_other = false,
            "suid" => self.suid = true,
            "nosuid" => self.suid = false,
            "dev" => self.dev = true,
            "nodev" => self.dev = false,
            "exec" => self.exec = true,
            "noexec" => self.exec = false,
            "context" | "fscontext" | "defcontext" | "rootcontext" => {
                required()?;
                self.labels.push(OsString::from_vec(option.to_vec()));
            }
            "store" => self.store = Some(PathBuf::from(required()?)),
            "store_size" | "store-size" => {
                self.store_size = Some(parse_size(&text(required()?)).map_err(Error::Usage)?)
            }
            "deadline" => {
                self.deadline = parse_duration(&text(required()?)).map_err(Error::Usage)?
            }
            "compile_timeout" | "compile-timeout" => {
                self.compile_timeout = parse_duration(&text(required()?)).map_err(Error::Usage)?;
            }
            "invalidation_mode" | "invalidation-mode" => {
                self.mode = text(required()?)
                    .parse()
                    .map_err(|error| Error::Usage(format!("{error}")))?;
            }
            "coherence" => {
                self.coherence = match text(required()?).as_str() {
                    "auto" => None,
                    name => Some(
                        name.parse()
                            .map_err(|error| Error::Usage(format!("{error}")))?,
                    ),
                }
            }
            "events" => {
                self.directory_events = match text(required()?).as_str() {
                    "auto" => false,
                    "inotify" => true,
                    _ => return Err(Error::Usage("events is auto or inotify".to_owned())),
                }
            }
            "lease" => self.lease = Some(parse_duration(&text(required()?)).map_err(Error::Usage)?),
            "backend" => {
                self.backend = text(required()?)
                    .parse()
                    .map_err(|error| Error::Usage(format!("{error}")))?;
            }
            "interpreter" => self.interpreters.push(PathBuf::from(required()?)),
            "python" => self.targets = parse_targets(&text(required()?))?,
            "threads" => {
                self.threads = text(required()?)
                    .parse()
                    .ok()
                    .filter(|threads| (1..=64).contains(threads))
                    .ok_or_else(|| Error::Usage("threads must be from 1 to 64".to_owned()))?;
            }
            "near" => self.near = true,
            "no_near" => self.near = false,
            "warm" => self.warm = true,
            "no_warm" => self.warm = false,
            "ahead" => self.ahead = true,
            "no_ahead" => self.ahead = false,
            "supervise" => self.supervise = true,
            "no_supervise" => self.supervise = false,
            "log" => self.log = Some(PathBuf::from(required()?)),
            // What fstab and mount(8) pass to every filesystem, or what is always so here.
            "ro"
            | "rw"
            | "default_permissions"
            | "auto"
            | "noauto"
            | "user"
            | "nouser"
            | "users"
            | "owner"
            | "group"
            | "_netdev"
            | "nofail"
            | "defaults"
            | "relatime"
            | "norelatime"
            | "strictatime"
            | "atime"
            | "noatime"
            | "nodiratime"
            | "diratime"
            | "lazytime"
            | "nolazytime"
            | "async"
            | "sync"
            | "dirsync"
            | "silent"
            | "loud"
            | "mand"
            | "nomand"
            | "nonempty"
            | "auto_unmount"
            | "subtype"
            | "fsname"
            | "remount" => {}
            other
                if other.starts_with("x-")
                    || other.starts_with("X-")
                    || other.starts_with("comment") => {}
            other => {
                return Err(Error::Usage(format!(
                    "unknown mount option '{other}'; docs/OPERATION.md lists those there are"
                )));
            }
        }
        Ok(())
    }
}

fn text(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

fn parse_targets(list: &str) -> Result<Vec<Target>, Error> {
    list.split([':', '+', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse()
                .map_err(|error| Error::Usage(format!("{error}")))
        })
        .collect()
}

/// A size in bytes: a number with an optional suffix K, M, G or T (powers of 1024).
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("'{text}' is no size; write for example 500M or 5G");
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper
        .strip_suffix("IB")
        .or(upper.strip_suffix('B'))
        .unwrap_or(&upper);
    let (number, shift) = match upper.chars().last() {
        Some('K') => (upper.trim_end_matches('K'), 10),
        Some('M') => (upper.trim_end_matches('M'), 20),
        Some('G') => (upper.trim_end_matches('G'), 30),
        Some('T') => (upper.trim_end_matches('T'), 40),
        _ => (upper, 0),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

/// A duration: a number of seconds, or one with the suffix `ms`, `s` or `m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is no duration; write for example 5s or 500ms");
    let (number, unit) = if let Some(number) = text.strip_suffix("ms") {
        (number, 0.001)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60.0)
    } else {
        (text, 1.0)
    };
    let number: f64 = number.parse().map_err(|_| bad())?;
    const LONGEST_SECONDS: f64 = 86_400.0;
    let seconds = number * unit;
    if !(0.0..=LONGEST_SECONDS).contains(&seconds) {
        return Err(bad());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Splits at commas that are neither escaped nor quoted. Quotes and escapes are removed.
fn split(list: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = list.iter();
    let mut quoted = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                if let (Some(escaped), Some(part)) = (bytes.next(), parts.last_mut()) {
                    part.push(*escaped);
                }
            }
            b'"' => quoted = !quoted,
            b',' if !quoted => parts.push(Vec::new()),
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(*byte);
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(list: &str) -> Result<Options, Error> {
        let mut options = Options::new(true);
        options.apply(OsStr::new(list))?;
        Ok(options)
    }

    #[test]
    fn what_fstab_passes_to_every_filesystem_is_ignored() {
        parsed("rw,noauto,users,_netdev,nofail,defaults,x-systemd.automount,dev,suid,exec")
            .unwrap();
    }

    #[test]
    fn escaped_and_quoted_commas_belong_to_the_value() {
        let options = parsed(r#"store=/a\,b,context="system_u:object_r:t:s0:c1,c2""#).unwrap();
        assert_eq!(options.store, Some(PathBuf::from("/a,b")));
        assert_eq!(options.labels, ["context=system_u:object_r:t:s0:c1,c2"]);
    }

    #[test]
    fn an_unknown_option_and_a_bad_value_are_refused() {
        for list in [
            "allow_othr",
            "deadline=-1",
            "deadline",
            "store_size=1X",
            "python=3.5",
            "threads=0",
            "coherence=always",
            "lease=x",
            "events=none",
        ] {
            assert!(matches!(parsed(list), Err(Error::Usage(_))), "{list}");
        }
    }

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!(parse_size("5G"), Ok(5 << 30));
        assert_eq!(parse_size("8MiB"), Ok(8 << 20));
        assert_eq!(parse_size("123"), Ok(123));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert!(parse_duration("nan").is_err());
    }
}
