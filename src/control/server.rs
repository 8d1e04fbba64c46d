//! The answering side of the control socket.

use rustix::fs::{FlockOperation, Mode};
use serde_json::Value;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a daemon can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// How the mount is doing.
    Status,
    /// Evict the store down to this many bytes (its limit without them) and sweep orphans.
    Collect(Option<u64>),
    /// Wait until every earlier change of the source is visible.
    Sync,
    /// Check every blob of the store.
    Verify,
    /// Another daemon's mount takes the place of this one's: unmount nothing from now on.
    Retire,
}

impl Request {
    /// The line on the wire, without its end.
    pub fn line(self) -> String {
        match self {
            Request::Status => "status".to_owned(),
            Request::Collect(None) => "gc".to_owned(),
            Request::Collect(Some(bytes)) => format!("gc {bytes}"),
            Request::Sync => "sync".to_owned(),
            Request::Verify => "verify".to_owned(),
            Request::Retire => "retire".to_owned(),
        }
    }

    /// The request that a line stands for.
    pub fn parse(line: &str) -> Option<Request> {
        match line.trim().split_once(' ') {
            Some(("gc", bytes)) => Some(Request::Collect(Some(bytes.parse().ok()?))),
            Some(_) => None,
            None => [
                Request::Status,
                Request::Collect(None),
                Request::Sync,
                Request::Verify,
                Request::Retire,
            ]
            .into_iter()
            .find(|request| request.line() == line.trim()),
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
    /// Listens on the socket at `path`, which is in a directory of its own.
    pub fn start(
        path: PathBuf,
        answer: impl Fn(Request) -> Value + Send + Sync + 'static,
    ) -> io::Result<Server> {
        make_private(directory_of(&path))?;
        let turn = take_turn(&path)?;
        // A socket of a daemon that died or is about to end: the device number is ours now.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        rustix::fs::chmod(&path, Mode::RUSR | Mode::WUSR)?;
        let inode = fs::symlink_metadata(&path)?.ino();
        drop(turn);
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
        // A successor may have put its own socket there; it must not do so in between.
        let turn = take_turn(&self.path);
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if !ours {
            return;
        }
        let woken = UnixStream::connect(&self.path).is_ok();
        if let Err(error) = fs::remove_file(&self.path) {
            log::debug!("control socket: {error}");
        }
        drop(turn);
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
        let reply = match Request::parse(&line) {
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

fn directory_of(socket: &Path) -> &Path {
    socket.parent().unwrap_or(Path::new("/"))
}

/// Waits until no other daemon puts a socket into the directory or takes one away. Device numbers
/// are used again at once, so that the end of one mount meets the beginning of another.
fn take_turn(socket: &Path) -> io::Result<File> {
    let lock = directory_of(socket).join("lock");
    let lock = File::options().create(true).append(true).open(lock)?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    Ok(lock)
}

/// Makes a directory that only this user can enter, or checks that it is one.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written_and_others_are_not() {
        for request in [
            Request::Status,
            Request::Collect(None),
            Request::Collect(Some(0)),
            Request::Collect(Some(u64::MAX)),
            Request::Sync,
            Request::Verify,
            Request::Retire,
        ] {
            assert_eq!(
                Request::parse(&format!("{}\n", request.line())),
                Some(request)
            );
        }
        for line in ["", "stat", "gc -1", "gc x", "status 1", "gc 1 2"] {
            assert_eq!(Request::parse(line), None, "{line}");
        }
    }
}
