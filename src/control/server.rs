//! The answering side of the control socket.

use rustix::fs::Mode;
use serde_json::Value;
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::place::{directory, socket_of};

/// What a daemon can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// How the mount is doing.
    Status,
    /// Evict the store down to its limit and sweep orphans.
    Collect,
    /// Check every blob of the store.
    Verify,
}

impl Request {
    const ALL: [Request; 3] = [Request::Status, Request::Collect, Request::Verify];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Request::Status => "status",
            Request::Collect => "gc",
            Request::Verify => "verify",
        }
    }
}

/// Answers a request.
type Answer = dyn Fn(Request) -> Value + Send + Sync;

/// A listening control socket. Dropping it removes the socket and ends its thread.
pub struct Server {
    path: PathBuf,
    inode: u64,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens for the mount at `mount_point`.
    pub fn start(
        mount_point: &Path,
        answer: impl Fn(Request) -> Value + Send + Sync + 'static,
    ) -> io::Result<Server> {
        make_private(&directory())?;
        let path = socket_of(mount_point);
        // A socket of a daemon that died, or of one whose mount lies beneath ours now.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        rustix::fs::chmod(&path, Mode::RUSR | Mode::WUSR)?;
        let inode = fs::symlink_metadata(&path)?.ino();
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let answer: Arc<Answer> = Arc::new(answer);
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let answer = Arc::clone(&answer);
                    let served = stream.and_then(|stream| {
                        let serve = move || serve(stream, answer.as_ref());
                        std::thread::Builder::new()
                            .name("control-one".to_owned())
                            .spawn(serve)
                    });
                    if let Err(error) = served {
                        log::warn!("control socket: {error}");
                        std::thread::sleep(Duration::from_millis(100));
                    }
                }
            })?;
        Ok(Server {
            path,
            inode,
            stopped,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // A successor may have put its own socket there.
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if !ours {
            return;
        }
        let woken = UnixStream::connect(&self.path).is_ok();
        if let Err(error) = fs::remove_file(&self.path) {
            log::debug!("control socket: {error}");
        }
        if woken && let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: UnixStream, answer: &Answer) {
    const PATIENCE: Duration = Duration::from_secs(5);
    const LONGEST: u64 = 64;
    let exchange = || -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = String::new();
        BufReader::new((&stream).take(LONGEST)).read_line(&mut line)?;
        let request = Request::ALL
            .into_iter()
            .find(|request| request.word() == line.trim());
        let reply = match request {
            Some(request) => answer(request),
            None => serde_json::json!({ "error": "unknown request" }),
        };
        let mut stream = &stream;
        writeln!(stream, "{reply}")
    };
    if let Err(error) = exchange() {
        log::debug!("control socket: {error}");
    }
}

/// Makes a directory that only this user can enter, or checks that it is one.
fn make_private(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    let owner = rustix::process::geteuid().as_raw();
    if !found.is_dir() || found.uid() != owner || found.mode() & 0o077 != 0 {
        let cause = format!(
            "{} is not a private directory of user {owner}",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, cause));
    }
    Ok(())
}
