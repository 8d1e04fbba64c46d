//! The daemon: a child that serves, a parent that waits for the real result.
//!
//! The child writes one message into a pipe: an exit code and a text. Nothing else reaches the
//! parent, and a child that dies without a message is reported as such.

use rustix::fs::{Mode, OFlags};
use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use super::error::Error;
use super::options::Options;
use super::place::Place;
use super::serve::serve;
use super::supervise::supervise;
use super::{logging, notify};
use crate::complaint::complain;
use crate::sys::daemon::{Fork, close_inherited, fork};

/// The exit code of mount(8) for a bug in the program.
const INTERNAL_ERROR: u8 = 4;

/// Mounts `source` on `mount_point` and returns the exit code: in the foreground when the mount
/// has ended, else as soon as it answers. With `replace`, a mount of ours that is there already is
/// replaced without a gap, else that is an error unless its daemon has died.
pub fn mount(
    source: &Path,
    mount_point: &Path,
    options: Options,
    foreground: bool,
    replace: bool,
) -> u8 {
    let call = Call {
        source,
        mount_point,
        options,
        replace,
    };
    if foreground {
        return report(call.serve(&Caller::in_foreground()));
    }
    match in_background(call) {
        Ok(code) => code,
        Err(error) => report(Err(error)),
    }
}

/// What to mount where and how.
struct Call<'a> {
    source: &'a Path,
    mount_point: &'a Path,
    options: Options,
    replace: bool,
}

impl Call<'_> {
    /// Mounts, and returns when the mount is gone.
    fn serve(self, caller: &Caller) -> Result<(), Error> {
        let foreground = caller.in_foreground;
        logging::start(foreground, self.options.log.as_deref())?;
        let place = Place::find(self.source, self.mount_point, self.replace)?;
        if self.options.supervise {
            return supervise(place, self.options, caller);
        }
        serve(place, None, self.options, foreground, |_| caller.ready())
    }
}

/// The process that waits for the result, if any does.
pub(super) struct Caller {
    /// Whether this process is the one that was called.
    pub in_foreground: bool,
    pipe: RefCell<Option<File>>,
}

impl Caller {
    fn in_foreground() -> Caller {
        Caller {
            in_foreground: true,
            pipe: RefCell::new(None),
        }
    }

    fn at(pipe: File) -> Caller {
        Caller {
            in_foreground: false,
            pipe: RefCell::new(Some(pipe)),
        }
    }

    /// The mount answers.
    pub fn ready(&self) {
        if !self.in_foreground {
            leave_terminal();
        }
        notify::ready();
        self.tell(&[0]);
    }

    /// Closes the way to the caller: in another process than the one that is to report.
    pub fn let_go(&self) {
        drop(self.pipe.take());
    }

    fn failed(&self, error: &Error) {
        let mut message = vec![error.exit_code()];
        message.extend_from_slice(error.to_string().as_bytes());
        self.tell(&message);
    }

    /// The pipe is closed with the message, since the caller reads to its end.
    fn tell(&self, message: &[u8]) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = pipe.write_all(message);
        }
    }
}

fn report(result: Result<(), Error>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            complain(format_args!("pycfs: {error}"));
            error.exit_code()
        }
    }
}

fn in_background(call: Call<'_>) -> Result<u8, Error> {
    let (reader, writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|errno| {
            Error::System {
                doing: "make a pipe",
                cause: errno.into(),
            }
        })?;
    match fork().map_err(Error::system("go into the background"))? {
        Fork::Parent(_) => {
            drop(writer);
            Ok(wait_for_result(reader))
        }
        Fork::Child => {
            drop(reader);
            std::process::exit(i32::from(child(call, File::from(writer))))
        }
    }
}

/// The parent: passes the child's message on.
fn wait_for_result(reader: OwnedFd) -> u8 {
    let mut message = Vec::new();
    let read = File::from(reader).read_to_end(&mut message);
    match (read, message.split_first()) {
        (Ok(_), Some((code, text))) => {
            if !text.is_empty() {
                complain(format_args!("pycfs: {}", String::from_utf8_lossy(text)));
            }
            *code
        }
        _ => {
            complain("pycfs: the daemon died while it started; run with -f to see why");
            INTERNAL_ERROR
        }
    }
}

/// The child: serves, and tells the parent when the mount answers or why it does not.
fn child(call: Call<'_>, pipe: File) -> u8 {
    // Neither can fail in a way that matters: the mount is worth more than either.
    let _ = rustix::process::setsid();
    let _ = close_inherited();
    let caller = Caller::at(pipe);
    match call.serve(&caller) {
        Ok(()) => 0,
        Err(error) => {
            log::error!("{error}");
            caller.failed(&error);
            error.exit_code()
        }
    }
}

/// Points descriptors 0 to 2 at `/dev/null` (closing them would hand their numbers to files) and
/// leaves the working directory.
pub(super) fn leave_terminal() {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    if let Ok(null) = null {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    let _ = std::env::set_current_dir("/");
}
