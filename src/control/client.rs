//! The asking side of the control socket.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::place::socket_of;
use super::server::Request;

/// The largest answer that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// Why a daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The socket cannot be reached.
    #[error(
        "no daemon answers for this mount: {0}; it may belong to another user (try as root) or have died"
    )]
    Unreachable(io::Error),
    /// The answer cannot be understood.
    #[error("the daemon's answer cannot be read: {0}")]
    Garbled(String),
}

/// Asks the daemon of the mount at `mount_point`.
pub fn ask(mount_point: &Path, request: Request, patience: Duration) -> Result<Value, Failure> {
    let mut stream = UnixStream::connect(socket_of(mount_point)).map_err(Failure::Unreachable)?;
    stream
        .set_read_timeout(Some(patience))
        .map_err(Failure::Unreachable)?;
    writeln!(stream, "{}", request.word()).map_err(Failure::Unreachable)?;
    let mut line = String::new();
    BufReader::new(stream.take(LARGEST))
        .read_line(&mut line)
        .map_err(Failure::Unreachable)?;
    serde_json::from_str(&line).map_err(|error| Failure::Garbled(error.to_string()))
}

/// The process id of the daemon of a mount, if it answers.
pub fn ask_pid(mount_point: &Path) -> Option<u32> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let status = ask(mount_point, Request::Status, PATIENCE).ok()?;
    u32::try_from(status.get("pid")?.as_u64()?).ok()
}
