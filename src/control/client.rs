//! The asking side of the control socket.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::server::Request;

/// The largest answer that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Why a daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The socket cannot be reached.
    #[error("no daemon answers: {0}")]
    Unreachable(io::Error),
    /// The answer cannot be understood.
    #[error("the daemon's answer cannot be read: {0}")]
    Garbled(String),
}

impl Failure {
    /// Whether there is no socket, or no process behind it.
    pub fn nobody_listens(&self) -> bool {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        match self {
            Failure::Unreachable(error) => matches!(error.kind(), ConnectionRefused | NotFound),
            Failure::Garbled(_) => false,
        }
    }
}

/// Asks the daemon that listens on `socket`.
pub fn ask(socket: &Path, request: Request, patience: Duration) -> Result<Value, Failure> {
    let mut stream = UnixStream::connect(socket).map_err(Failure::Unreachable)?;
    stream
        .set_read_timeout(Some(patience))
        .map_err(Failure::Unreachable)?;
    writeln!(stream, "{}", request.line()).map_err(Failure::Unreachable)?;
    let mut line = String::new();
    BufReader::new(stream.take(LARGEST))
        .read_line(&mut line)
        .map_err(Failure::Unreachable)?;
    serde_json::from_str(&line).map_err(|error| Failure::Garbled(error.to_string()))
}

/// The process id of the daemon that listens on `socket`, if it answers.
pub fn ask_pid(socket: &Path) -> Option<u32> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let status = ask(socket, Request::Status, PATIENCE).ok()?;
    u32::try_from(status.get("pid")?.as_u64()?).ok()
}
