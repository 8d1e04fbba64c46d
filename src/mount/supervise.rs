//! The supervisor: a small process that starts the daemon again when it dies.
//!
//! It keeps the daemon's connection to the kernel open, so that readers wait, for as long as the
//! deadline allows, instead of failing; the next daemon's mount goes beneath the dead one, and
//! those who wait are sent there. Invariants: one thread (it forks); it starts nothing again that
//! was unmounted, replaced, or ended in order.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open, pidfd_send_signal, waitpid,
};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::attach::open_device;
use super::background::{Caller, leave_terminal};
use super::detach::detach;
use super::error::Error;
use super::mountinfo::{self, Entry, Presence};
use super::options::Options;
use super::place::Place;
use super::serve::serve;
use crate::fuse::turn_away;
use crate::sys::daemon::{Fork, fork};

/// A daemon that served for as long was in order: when it dies, the next one starts at once.
const SETTLED: Duration = Duration::from_secs(1);
/// How long to wait before the second of several starts in a row; doubled with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Mounts as [`serve`] does, in a child process, and goes on doing so until the mount is gone.
pub(super) fn supervise(place: Place, options: Options, caller: &Caller) -> Result<(), Error> {
    let mut supervisor = Supervisor {
        predecessor: place.predecessor.clone(),
        place: Some(place),
        signals: Signals::take(caller.in_foreground)?,
        options,
        caller,
        served: false,
        dead: None,
    };
    let mut pause = Duration::ZERO;
    loop {
        let how = match supervisor.run_daemon() {
            Ok(Ending::InOrder) => return Ok(()),
            Ok(Ending::Died { how, settled }) => {
                if settled {
                    pause = Duration::ZERO;
                }
                how
            }
            Err(error) if !supervisor.served => return Err(error),
            Err(error) => format!("does not start: {error}"),
        };
        if !supervisor.lies_dead() {
            log::info!("the daemon {how}; its mount is gone or was replaced");
            return Ok(());
        }
        log::error!("the daemon {how}: starting it again in {pause:?}");
        if !supervisor.signals.pause(pause, &mut supervisor.dead) {
            return supervisor.take_away();
        }
        pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        if !rustix::process::geteuid().is_root() {
            // fusermount3 mounts on top of what is there: the dead mount has to go first.
            supervisor.take_away()?;
            supervisor.predecessor = None;
        }
    }
}

struct Supervisor<'a> {
    /// Given to each daemon; this process keeps its own copy over the fork.
    place: Option<Place>,
    options: Options,
    caller: &'a Caller,
    signals: Signals,
    /// Whether any daemon has served.
    served: bool,
    /// The connection of the last one that served, if it died.
    dead: Option<Dead>,
    /// The mount to replace: the dead daemon's.
    predecessor: Option<Entry>,
}

/// How a daemon ended.
enum Ending {
    /// Its mount was taken away.
    InOrder,
    /// It left its mount behind, or never had one.
    Died { how: String, settled: bool },
}

impl Supervisor<'_> {
    /// Starts a daemon and waits for its end.
    fn run_daemon(&mut self) -> Result<Ending, Error> {
        let (mut daemon, device) = self.start()?;
        let started = Instant::now();
        let first = daemon.first_message(&mut self.signals, &mut self.dead);
        let mut ready = None;
        match first.as_deref().and_then(Message::read) {
            Some(Message::Ready(id)) => {
                ready = mountinfo::by_id(id).map_err(Error::system("read the mount table"))?;
                if let Some(dead) = self.dead.take() {
                    let sent_on = turn_away(dead.device);
                    log::warn!("served again; {sent_on} waiting requests were sent on");
                }
                if !self.served {
                    self.caller.ready();
                }
                self.served = true;
            }
            Some(Message::Failed { code, text }) => {
                daemon.wait(&mut self.signals)?;
                return Err(Error::Daemon { code, text });
            }
            None => {}
        }
        let ending = daemon.wait(&mut self.signals)?;
        let how = match (ending.exit_status(), ending.terminating_signal()) {
            (Some(0), _) => return Ok(Ending::InOrder),
            (Some(code), _) => format!("ended with status {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        };
        if !self.served {
            const SYSTEM_ERROR: u8 = 2;
            return Err(Error::Daemon {
                code: SYSTEM_ERROR,
                text: format!("the daemon {how} while it started"),
            });
        }
        let served = ready.is_some();
        if served {
            let until = Instant::now() + self.options.deadline;
            self.dead = device.map(|device| Dead { device, until });
            self.predecessor = ready;
        }
        let settled = served && started.elapsed() > SETTLED;
        Ok(Ending::Died { how, settled })
    }

    /// Starts a daemon; the connection it is to use, where this process can open one for it.
    fn start(&mut self) -> Result<(Daemon, Option<OwnedFd>), Error> {
        let device = match rustix::process::geteuid().is_root() {
            true => Some(open_device()?),
            false => None,
        };
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
            .map_err(|errno| Error::system("make a pipe")(errno.into()))?;
        match fork().map_err(Error::system("start the daemon"))? {
            Fork::Parent(pid) => Ok((Daemon::new(pid, reader)?, device)),
            Fork::Child => {
                self.caller.let_go();
                self.signals.let_go();
                self.dead = None;
                drop(reader);
                let foreground = self.caller.in_foreground;
                let code = self.place.take().map_or(1, |mut place| {
                    place.predecessor = self.predecessor.take();
                    let options = self.options.clone();
                    child(place, device, options, foreground, File::from(writer))
                });
                std::process::exit(i32::from(code));
            }
        }
    }

    /// Whether a mount without a daemon is what users find.
    fn lies_dead(&self) -> bool {
        match self.predecessor.as_ref().map(mountinfo::presence) {
            Some(Ok(Presence::OnTop)) => true,
            Some(Ok(Presence::Covered | Presence::Gone) | Err(_)) | None => {
                !rustix::process::geteuid().is_root() && self.predecessor.is_none()
            }
        }
    }

    fn take_away(&self) -> Result<(), Error> {
        match &self.predecessor {
            Some(entry) => detach(entry, true),
            None => Ok(()),
        }
    }
}

/// The connection of a daemon that died, kept open for those who wait.
struct Dead {
    device: OwnedFd,
    until: Instant,
}

/// The daemon's side: serves, and tells the supervisor when the mount answers or why it does not.
fn child(
    place: Place,
    device: Option<OwnedFd>,
    options: Options,
    foreground: bool,
    pipe: File,
) -> u8 {
    // Out of reach of the terminal's signals: the supervisor passes on those that are meant.
    let _ = rustix::process::setsid();
    let pipe = std::cell::RefCell::new(Some(pipe));
    let tell = |message: Message| {
        if let Some(mut pipe) = pipe.take() {
            let _ = pipe.write_all(&message.write());
        }
    };
    match serve(place, device, options, foreground, |entry| {
        if !foreground {
            leave_terminal();
        }
        tell(Message::Ready(entry.id))
    }) {
        Ok(()) => 0,
        Err(error) => {
            log::error!("{error}");
            let code = error.exit_code();
            let text = error.to_string();
            tell(Message::Failed { code, text });
            code
        }
    }
}

/// What a daemon tells its supervisor once.
enum Message {
    /// The mount with this id answers.
    Ready(u64),
    /// There is no mount.
    Failed { code: u8, text: String },
}

impl Message {
    fn write(&self) -> Vec<u8> {
        match self {
            Message::Ready(id) => [&[0], id.to_ne_bytes().as_slice()].concat(),
            Message::Failed { code, text } => [&[*code], text.as_bytes()].concat(),
        }
    }

    fn read(bytes: &[u8]) -> Option<Message> {
        let (code, rest) = bytes.split_first()?;
        Some(match code {
            0 => Message::Ready(u64::from_ne_bytes(rest.try_into().ok()?)),
            code => Message::Failed {
                code: *code,
                text: String::from_utf8_lossy(rest).into_owned(),
            },
        })
    }
}

/// A daemon that runs.
struct Daemon {
    pid: Pid,
    process: OwnedFd,
    message: OwnedFd,
}

impl Daemon {
    fn new(pid: i32, message: OwnedFd) -> Result<Daemon, Error> {
        let system = |errno: Errno| Error::system("watch the daemon")(errno.into());
        let pid = Pid::from_raw(pid).ok_or_else(|| system(Errno::SRCH))?;
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(system)?;
        Ok(Daemon {
            pid,
            process,
            message,
        })
    }

    /// What it tells when it serves or gives up; `None` if it died first.
    fn first_message(&mut self, signals: &mut Signals, dead: &mut Option<Dead>) -> Option<Vec<u8>> {
        loop {
            let until = dead.as_ref().map(|dead| dead.until);
            if signals.wait_for(Some(&self.message), until, Some(&self.process)) {
                break;
            }
            give_up_waiting(dead);
        }
        let mut bytes = Vec::new();
        // Its end comes with the message's end, or with the daemon's.
        File::from(self.message.try_clone().ok()?)
            .read_to_end(&mut bytes)
            .ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Waits for its end, passing signals on.
    fn wait(&self, signals: &mut Signals) -> Result<WaitStatus, Error> {
        let failed = |errno: Errno| Error::system("wait for the daemon")(errno.into());
        while !signals.wait_for(Some(&self.process), None, Some(&self.process)) {}
        loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => return Ok(status),
                Ok(None) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

/// Closes the connection of a dead daemon when its readers have waited long enough.
fn give_up_waiting(dead: &mut Option<Dead>) {
    if let Some(gone) = dead
        && Instant::now() >= gone.until
    {
        log::warn!("no daemon within the deadline: those who wait are refused");
        *dead = None;
    }
}

/// The signals that end a mount, as bytes in pipes.
struct Signals {
    pipes: Vec<(Signal, UnixStream, SigId)>,
    foreground: bool,
    told_to_end: bool,
}

impl Signals {
    fn take(foreground: bool) -> Result<Signals, Error> {
        let one = |number: i32, signal: Signal| -> io::Result<(Signal, UnixStream, SigId)> {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            let id = pipe::register(number, writer)?;
            Ok((signal, reader, id))
        };
        let system = || Error::system("handle signals");
        let pipes = vec![
            one(SIGTERM, Signal::TERM).map_err(system())?,
            one(SIGINT, Signal::INT).map_err(system())?,
            one(SIGHUP, Signal::HUP).map_err(system())?,
        ];
        Ok(Signals {
            pipes,
            foreground,
            told_to_end: false,
        })
    }

    /// Waits until `file` can be read (true) or the time has come (false). Signals go to the
    /// daemon meanwhile; where there is none, the one to end cuts the wait short.
    fn wait_for(
        &mut self,
        file: Option<&OwnedFd>,
        until: Option<Instant>,
        daemon: Option<&OwnedFd>,
    ) -> bool {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let pipes = self.pipes.iter().map(|(_, pipe, _)| pipe.as_fd());
            let files = file.map(AsFd::as_fd).into_iter().chain(pipes);
            let mut waiting: Vec<PollFd<'_>> = files
                .map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN))
                .collect();
            match poll(&mut waiting, left.as_ref()) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(_) => return true,
            }
            let first = waiting
                .first()
                .is_some_and(|file| !file.revents().is_empty());
            for signal in self.arrived() {
                self.told_to_end |= signal != Signal::HUP || self.foreground;
                if let Some(daemon) = daemon {
                    let _ = pidfd_send_signal(daemon, signal);
                }
            }
            if first && file.is_some() {
                return true;
            }
            if daemon.is_none() && self.told_to_end {
                return false;
            }
        }
    }

    /// Takes no signals any more: in another process, which has its own way with them.
    fn let_go(&mut self) {
        for (_, _, id) in self.pipes.drain(..) {
            unregister(id);
        }
    }

    fn arrived(&mut self) -> Vec<Signal> {
        let mut byte = [0];
        let mut found = Vec::new();
        for (signal, pipe, _) in &mut self.pipes {
            while pipe.read(&mut byte).is_ok_and(|count| count > 0) {
                found.push(*signal);
            }
        }
        found
    }

    /// Waits; false if a signal tells to end.
    fn pause(&mut self, time: Duration, dead: &mut Option<Dead>) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.told_to_end {
            let until = dead.as_ref().map_or(end, |dead| dead.until.min(end));
            self.wait_for(None, Some(until), None);
            give_up_waiting(dead);
        }
        !self.told_to_end
    }
}
