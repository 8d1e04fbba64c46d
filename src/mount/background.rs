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
use super::serve;
use crate::sys::daemon::{Fork, fork};

/// The exit code of mount(8) for a bug in the program.
const INTERNAL_ERROR: u8 = 4;

/// Mounts `source` on `mount_point` and returns the exit code: in the foreground when the mount
/// has ended, else as soon as it answers.
pub fn mount(source: &Path, mount_point: &Path, options: Options, foreground: bool) -> u8 {
    if foreground {
        return report(serve::serve(source, mount_point, options, true, || {}));
    }
    match in_background(source, mount_point, options) {
        Ok(code) => code,
        Err(error) => report(Err(error)),
    }
}

fn report(result: Result<(), Error>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("pycfs: {error}");
            error.exit_code()
        }
    }
}

fn in_background(source: &Path, mount_point: &Path, options: Options) -> Result<u8, Error> {
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
            std::process::exit(i32::from(child(
                source,
                mount_point,
                options,
                File::from(writer),
            )))
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
                eprintln!("pycfs: {}", String::from_utf8_lossy(text));
            }
            *code
        }
        _ => {
            eprintln!("pycfs: the daemon died while it started; run with -f to see why");
            INTERNAL_ERROR
        }
    }
}

/// The child: serves, and tells the parent when the mount answers or why it does not. The pipe is
/// closed with that message, since the parent reads to its end.
fn child(source: &Path, mount_point: &Path, options: Options, pipe: File) -> u8 {
    if let Err(errno) = rustix::process::setsid() {
        log::debug!("setsid: {errno}");
    }
    let pipe = RefCell::new(Some(pipe));
    let tell = |message: &[u8]| {
        if let Some(mut pipe) = pipe.take() {
            let _ = pipe.write_all(message);
        }
    };
    let result = serve::serve(source, mount_point, options, false, || {
        leave_terminal();
        tell(&[0]);
    });
    match result {
        Ok(()) => 0,
        Err(error) => {
            log::error!("{error}");
            let code = error.exit_code();
            let mut message = vec![code];
            message.extend_from_slice(error.to_string().as_bytes());
            tell(&message);
            code
        }
    }
}

/// Points descriptors 0 to 2 at `/dev/null` (closing them would hand their numbers to files) and
/// leaves the working directory.
fn leave_terminal() {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    if let Ok(null) = null {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    let _ = std::env::set_current_dir("/");
}
