//! A mount whose daemon is in the background, with what a test has to clean up beside it, and
//! the waiting and looking that tests of daemons need.

use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pycfs::pyc::Target;

use super::mounted::{Mounted, PATIENT, pycfs};

/// How long anything may take before a test gives up; two slow cores are shared by many.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < until, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until nothing that was written counts as just changed.
pub fn grow_old() {
    std::thread::sleep(Duration::from_millis(2100));
}

/// The output of a command. Panics if it, or anybody who holds its standard output or error, has
/// not ended in time.
pub fn bounded(command: &mut Command) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let until = Instant::now() + PATIENCE;
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let rest = || until.saturating_duration_since(Instant::now());
    let streams = stdout
        .recv_timeout(rest())
        .and_then(|stdout| Ok((stdout, stderr.recv_timeout(rest())?)));
    let Ok((stdout, stderr)) = streams else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{shown}: somebody still holds its output");
    };
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{shown}: does not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Output {
        status,
        stdout,
        stderr,
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// The exit code and what was said on standard error.
pub fn ending(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// Runs a command that must exit with `code`; what it said on standard error.
pub fn ends_with(code: i32, command: &mut Command) -> String {
    let output = bounded(command);
    let (found, said) = ending(&output);
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(found, Some(code), "{command:?}: {said}{out}");
    said
}

/// Whether any thread of a process runs (a zombie does not).
pub fn is_running(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
        !matches!(state, None | Some(None | Some('Z' | 'X')))
    })
}

/// Sends a signal to a process of ours.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// The children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

/// The lines of the mount table for a mount point, lowest first: type and source.
pub fn mounts_at(path: &Path) -> Vec<(String, String)> {
    let output = Command::new("findmnt")
        .args(["-rnuo", "TARGET,FSTYPE,SOURCE"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            (fields.next()? == path.to_str()?)
                .then(|| Some((fields.next()?.to_owned(), fields.next()?.to_owned())))
                .flatten()
        })
        .collect()
}

/// Runs a test's body in a thread with a mount namespace of its own: the body and the processes
/// it starts see what it mounts, and nobody else does.
#[allow(unsafe_code)]
pub fn in_own_namespace(body: impl FnOnce() + Send) {
    use rustix::mount::MountPropagationFlags as Propagation;
    let outcome = std::thread::scope(|scope| {
        let named = std::thread::Builder::new()
            .name(std::thread::current().name().unwrap_or("test").to_owned());
        let start = || {
            // SAFETY: no other thread depends on sharing this one's mount namespace or working
            // directory; descriptors stay shared.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.unwrap();
            rustix::mount::mount_change("/", Propagation::REC | Propagation::PRIVATE).unwrap();
            body();
        };
        named.spawn_scoped(scope, start).unwrap().join()
    });
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Where the pyc of `DIR/STEM.py` is.
pub fn pyc_in(dir: &Path, stem: &str, target: Target) -> PathBuf {
    dir.join("__pycache__")
        .join(format!("{stem}.{}.pyc", target.cache_tag()))
}

/// Directories for a mount, whose daemon the test starts as it likes. Dropped, it takes away
/// every mount it knows of and ends the daemons.
pub struct Background {
    mounted: Mounted,
    daemons: RefCell<Vec<u32>>,
    mounts: RefCell<Vec<PathBuf>>,
}

impl Deref for Background {
    type Target = Mounted;
    fn deref(&self) -> &Mounted {
        &self.mounted
    }
}

impl DerefMut for Background {
    fn deref_mut(&mut self) -> &mut Mounted {
        &mut self.mounted
    }
}

impl Background {
    /// The directories only. `None` where no mount can be made, which was said.
    pub fn prepared() -> Option<Background> {
        Some(Background {
            mounted: Mounted::prepared()?,
            daemons: RefCell::default(),
            mounts: RefCell::default(),
        })
    }

    /// Mounts in the background.
    pub fn mounted(options: &[&str]) -> Option<Background> {
        let this = Background::prepared()?;
        this.mount(options);
        Some(this)
    }

    /// `pycfs mount` with this test's store and a log file; without source and mount point.
    pub fn command(&self) -> Command {
        let mut command = pycfs();
        command
            .args(["mount", "-o", PATIENT, "--store"])
            .arg(self.store())
            .arg("--log")
            .arg(self.log_file());
        command
    }

    /// Mounts the source on the mount point in the background; gives the daemon's process id.
    pub fn mount(&self, options: &[&str]) -> u32 {
        let mut command = self.command();
        command
            .args(options)
            .arg(self.source())
            .arg(self.mount_point());
        ends_with(0, &mut command);
        self.adopt()
    }

    /// Remembers the daemon that answers now, to be ended; gives its process id.
    pub fn adopt(&self) -> u32 {
        let pid = self.count("/pid");
        let pid = u32::try_from(pid).unwrap();
        self.daemons.borrow_mut().push(pid);
        pid
    }

    /// Has another mount point taken away at the end.
    pub fn also_unmount(&self, path: impl Into<PathBuf>) {
        self.mounts.borrow_mut().push(path.into());
    }

    /// Where the daemon logs.
    pub fn log_file(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH | rustix::mount::UnmountFlags::NOFOLLOW;
        let mut places = self.mounts.take();
        places.push(self.mount_point().to_owned());
        places.push(self.source().to_owned());
        // First those of the mounts, then what they may lie on.
        for _ in 0..8 {
            for place in &places {
                let _ = rustix::mount::unmount(place.as_path(), flags);
            }
        }
        let until = Instant::now() + Duration::from_secs(5);
        for pid in self.daemons.take() {
            while is_running(pid) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            let program = fs::read_link(format!("/proc/{pid}/exe"));
            let ours = program.is_ok_and(|path| path.ends_with("pycfs"));
            if is_running(pid) && ours {
                signal(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
