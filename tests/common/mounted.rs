//! A mount for a test: made in a temporary directory, gone when it is dropped, also after a panic.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::background::{PATIENCE, eventually};
use super::skipped;

/// The option that each mount has, unless a test says otherwise: what a reader is to be served is
/// served, also where a thread does not run for seconds.
pub const PATIENT: &str = "deadline=20s";

/// Whether mounts can be made here; says so loudly if not.
pub fn can_mount() -> bool {
    let device = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse");
    let root = rustix::process::geteuid().is_root();
    match (device, root) {
        (Ok(_), true) => true,
        (Err(error), _) => {
            skipped(&format!("no mounts here: /dev/fuse: {error}"));
            false
        }
        (Ok(_), false) => {
            skipped("no mounts here: not root");
            false
        }
    }
}

/// The program under test. It finds the very interpreters that the tests compare with.
pub fn pycfs() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pycfs"));
    let interpreters = super::interpreters_quietly();
    let first = interpreters
        .iter()
        .filter_map(|(_, path)| path.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::join_paths(first.chain(std::env::split_paths(&path))).unwrap();
    command.env("PATH", all);
    command
}

/// A source tree, a mount of it, and the daemon behind it.
pub struct Mounted {
    dir: TempDir,
    daemon: Option<Child>,
    mount_point: PathBuf,
    source: PathBuf,
    store: PathBuf,
}

impl Mounted {
    /// Mounts an empty source with these options of `pycfs mount`. `None` where no mount can be
    /// made, which was said.
    pub fn new(options: &[&str]) -> Option<Mounted> {
        let mut mounted = Mounted::prepared()?;
        mounted.start(options);
        Some(mounted)
    }

    /// The directories only; [`Mounted::start`] mounts.
    pub fn prepared() -> Option<Mounted> {
        if !can_mount() {
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("pycfs-test-")
            .tempdir()
            .unwrap();
        // Other users reach the mount in some tests.
        rustix::fs::chmod(dir.path(), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        let (source, mount_point, store) = (
            dir.path().join("src"),
            dir.path().join("mnt"),
            dir.path().join("store"),
        );
        std::fs::create_dir(&source).unwrap();
        std::fs::create_dir(&mount_point).unwrap();
        Some(Mounted {
            dir,
            daemon: None,
            mount_point,
            source,
            store,
        })
    }

    /// Mounts in the foreground of a child process and waits until the mount answers.
    pub fn start(&mut self, options: &[&str]) {
        let mut command = pycfs();
        command
            .args(["mount", "-f", "-o", PATIENT, "--store"])
            .arg(&self.store)
            .args(options);
        self.start_with(command);
    }

    /// Runs a prepared `mount -f` command, to which source and mount point are added.
    pub fn start_with(&mut self, mut command: Command) {
        let child = command
            .arg(&self.source)
            .arg(&self.mount_point)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.daemon = Some(child);
        let until = Instant::now() + PATIENCE;
        // Ready when the control socket answers: from then on the daemon tells of itself too.
        while self.status().is_none() {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}");
            assert!(Instant::now() < until, "the mount does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The real tree.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The mirror.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// The store.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// The temporary directory that all is in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    /// Writes a file of the source, with its directories.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let full = self.source.join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(&full, content).unwrap();
        full
    }

    /// Waits until the changes of the source made so far are visible through the mount.
    pub fn settle(&self) {
        succeed(pycfs().arg("sync").arg(&self.mount_point));
    }

    /// The daemon's status, if it answers.
    pub fn status(&self) -> Option<serde_json::Value> {
        let output = pycfs()
            .args(["status", "--json"])
            .arg(&self.mount_point)
            .output()
            .unwrap();
        if !output.status.success() {
            return None;
        }
        serde_json::from_slice(&output.stdout).ok()
    }

    /// One number of the status, by its path.
    pub fn count(&self, pointer: &str) -> u64 {
        let mut status = None;
        eventually("the daemon tells of itself", || {
            status = self.status();
            status.is_some()
        });
        status
            .as_ref()
            .and_then(|status| status.pointer(pointer)?.as_u64())
            .unwrap()
    }

    /// Waits until the store is open, so that what is in it is found.
    pub fn store_opened(&self) {
        eventually("the store is open", || {
            self.status()
                .is_some_and(|status| status["store"]["state"] != "opening")
        });
    }

    /// Waits until the store's index is open and its blobs are counted.
    pub fn store_ready(&self) {
        eventually("the index of the store is open", || {
            self.status().is_some_and(|status| {
                status["store"]["state"] == "ready" && status["store"]["counting"] == false
            })
        });
    }

    /// Unmounts and returns the daemon's exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let output = pycfs()
            .arg("umount")
            .arg(&self.mount_point)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut daemon = self.daemon.take()?;
        daemon.wait().unwrap().code()
    }

    /// Waits for the daemon to end by itself, and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        let mut daemon = self.daemon.take().unwrap();
        loop {
            if let Some(status) = daemon.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() > until {
                self.daemon = Some(daemon);
                panic!("the daemon does not end");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Whatever lies there, however many: a test that failed must not leave a mount behind.
        let flags = rustix::mount::UnmountFlags::DETACH | rustix::mount::UnmountFlags::NOFOLLOW;
        for place in [&self.mount_point, &self.source] {
            for _ in 0..8 {
                if rustix::mount::unmount(place.as_path(), flags).is_err() {
                    break;
                }
            }
        }
        if let Some(mut daemon) = self.daemon.take() {
            let until = Instant::now() + Duration::from_secs(3);
            while daemon.try_wait().ok().flatten().is_none() {
                if Instant::now() > until {
                    let _ = daemon.kill();
                    let _ = daemon.wait();
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The output of a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
