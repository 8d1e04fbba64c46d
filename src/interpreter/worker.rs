//! One worker process as the daemon sees it: its socket, its hello, one job at a time.
//!
//! Invariant: no call waits past its deadline. After any [`Trouble`] but [`Trouble::Late`] in
//! [`Worker::greet`], the worker is of no more use and must be dropped, which kills it.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::protocol::{self, HELLO_MOST, Head, Hello, PLACEHOLDER, Reply};
use super::spawner::{Running, file_of};
use crate::sys::spawn::Launch;

/// The program that every worker runs.
const PROGRAM: &[u8] = include_bytes!("worker.py");
/// Wished size of the socket's buffers in bytes; the system may give less.
const SOCKET_BUFFER: usize = 1 << 20;
/// Least room for a read, in bytes.
const READ_ROOM: usize = 1 << 16;
/// Most room that a reply's own word about its length gets at once, in bytes.
const TRUSTED_ROOM: usize = 4 << 20;

/// What a worker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Compiles. Has nothing loaded that could change the bytes.
    Plain,
    /// Words error messages and knows every codec; compiles only what plain workers cannot decode.
    Teller,
}

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The interpreter.
    pub program: Arc<Path>,
    /// What the worker is for.
    pub kind: Kind,
    /// User and group to become; `None` stays.
    pub user: Option<(u32, u32)>,
    /// Whether the root code object's record carries FLAG_REF.
    pub root_flag: bool,
    /// RLIMIT_AS in bytes.
    pub memory: u64,
    /// Mount points to detach in a mount namespace of the worker's own; `None` shares ours.
    pub hide: Option<Vec<PathBuf>>,
}

impl Recipe {
    /// What to start, and our end of its socket.
    pub fn launch(&self) -> io::Result<(Launch, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        for end in [&ours, &theirs] {
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(end, SOCKET_BUFFER);
        }
        let keep: OwnedFd = theirs.into();
        let (uid, gid) = self
            .user
            .map_or((-1, -1), |(uid, gid)| (i64::from(uid), i64::from(gid)));
        let arguments = [
            "-I",
            "-S",
            "-E",
            "-B",
            "-",
            &keep.as_raw_fd().to_string(),
            &uid.to_string(),
            &gid.to_string(),
            &u8::from(self.root_flag).to_string(),
            &u8::from(self.kind == Kind::Teller).to_string(),
            PLACEHOLDER,
        ];
        let launch = Launch {
            program: self.program.to_path_buf(),
            arguments: arguments.into_iter().map(OsString::from).collect(),
            stdin: file_of(PROGRAM)?,
            keep,
            memory: self.memory,
            hide: self.hide.clone(),
        };
        Ok((launch, ours))
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Not within the deadline.
    Late,
    /// The process has ended.
    Died(String),
    /// What came is no answer, or the question could not be put.
    Garbage(String),
}

/// A started worker.
pub struct Worker {
    process: Running,
    socket: UnixStream,
    /// What has come of the reply that is awaited.
    inbox: Vec<u8>,
    hello: Option<Arc<Hello>>,
    greet_by: Instant,
    /// The interpreter it was started from.
    pub program: Arc<Path>,
    /// Which settings it was started under.
    pub generation: u64,
    /// Jobs that it has done.
    pub jobs: u32,
    /// Since when it has had nothing to do.
    pub idle_since: Instant,
}

impl Worker {
    /// A worker whose hello is expected until `greet_by`.
    pub fn new(
        process: Running,
        socket: UnixStream,
        program: Arc<Path>,
        generation: u64,
        greet_by: Instant,
    ) -> Worker {
        Worker {
            process,
            socket,
            inbox: Vec::new(),
            hello: None,
            greet_by,
            program,
            generation,
            jobs: 0,
            idle_since: Instant::now(),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether its hello has come.
    pub fn has_greeted(&self) -> bool {
        self.hello.is_some()
    }

    /// Whether its time for a hello is over.
    pub fn is_mute(&self, now: Instant) -> bool {
        self.hello.is_none() && now >= self.greet_by
    }

    /// Waits for the hello. [`Trouble::Late`] before the worker's own time for it is over means
    /// that another call may go on waiting.
    pub fn greet(&mut self, deadline: Instant) -> Result<Arc<Hello>, Trouble> {
        if let Some(hello) = &self.hello {
            return Ok(Arc::clone(hello));
        }
        let whole = match self.receive(deadline.min(self.greet_by), HELLO_MOST) {
            Err(Trouble::Late) if self.is_mute(Instant::now()) => {
                return Err(Trouble::Garbage("no hello in time".to_owned()));
            }
            other => other?,
        };
        let hello = Arc::new(Hello::parse(&whole).map_err(Trouble::Garbage)?);
        self.hello = Some(Arc::clone(&hello));
        Ok(hello)
    }

    /// Whether an idle worker lives and is silent, as it should be.
    pub fn is_quiet(&self) -> bool {
        if !self.has_greeted() {
            return true;
        }
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
        matches!(poll(&mut watched, Some(&Timespec::default())), Ok(0))
    }

    /// Compiles `source`, whose length is in `head`.
    pub fn run(&mut self, head: Head<'_>, source: &[u8], until: Instant) -> Result<Reply, Trouble> {
        let number = self.jobs.wrapping_add(1);
        self.jobs = number;
        let head = Head { number, ..head };
        let start = head
            .encode()
            .ok_or_else(|| Trouble::Garbage("the source is too large".to_owned()))?;
        self.send(&start, source, until)?;
        let whole = self.receive(until, protocol::reply_most(source.len()))?;
        protocol::reply(whole, number).map_err(Trouble::Garbage)
    }

    /// Resident memory in bytes, 0 if unknown.
    pub fn resident(&self) -> u64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.pid()))
            .ok()
            .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
            .unwrap_or(0);
        pages.saturating_mul(rustix::param::page_size() as u64)
    }

    fn send(&mut self, head: &[u8], source: &[u8], until: Instant) -> Result<(), Trouble> {
        let (mut head, mut source) = (head, source);
        while !(head.is_empty() && source.is_empty()) {
            let parts = [IoSlice::new(head), IoSlice::new(source)];
            let mut nothing = SendAncillaryBuffer::default();
            match sendmsg(&self.socket, &parts, &mut nothing, SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    let of_head = sent.min(head.len());
                    head = head.get(of_head..).unwrap_or_default();
                    source = source.get(sent - of_head..).unwrap_or_default();
                }
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::OUT, until)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.died(&error.to_string())),
            }
        }
        Ok(())
    }

    /// The next whole reply of at most `most` bytes. What has come of it before a late end stays.
    fn receive(&mut self, until: Instant, most: usize) -> Result<Vec<u8>, Trouble> {
        loop {
            let missing = match protocol::reply_length(&self.inbox) {
                Some(length) if length > most => {
                    return Err(Trouble::Garbage(format!("a reply of {length} bytes")));
                }
                Some(length) if self.inbox.len() > length => {
                    return Err(Trouble::Garbage("more than one reply".to_owned()));
                }
                Some(length) if self.inbox.len() == length => {
                    return Ok(std::mem::take(&mut self.inbox));
                }
                Some(length) => length - self.inbox.len(),
                None => 0,
            };
            // One byte more shows whether more than the reply comes.
            let room = (missing + 1).clamp(READ_ROOM, TRUSTED_ROOM);
            self.inbox.reserve(room);
            let spare = rustix::buffer::spare_capacity(&mut self.inbox);
            match rustix::io::read(&self.socket, spare) {
                Ok(0) => return Err(self.died("it closed its socket")),
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::IN, until)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(self.died(&error.to_string())),
            }
        }
    }

    /// Waits until the socket is ready; an end of the worker counts as ready.
    fn wait(&self, events: PollFlags, until: Instant) -> Result<(), Trouble> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Trouble::Late);
            }
            let left = Timespec::try_from(left.min(Duration::from_secs(3600)))
                .map_err(|_| Trouble::Late)?;
            let mut watched = [PollFd::new(&self.socket, events)];
            match poll(&mut watched, Some(&left)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(Trouble::Garbage(error.to_string())),
            }
        }
    }

    /// Says how the process ended, which the kernel may tell a little after the socket.
    fn died(&mut self, otherwise: &str) -> Trouble {
        for _ in 0..20 {
            if let Some(status) = self.process.ended() {
                return Trouble::Died(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Trouble::Died(otherwise.to_owned())
    }
}
