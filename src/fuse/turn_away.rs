//! Answering for a daemon that died: whoever waits is sent to the mount that took its place.
//!
//! Works on the bare protocol, since the fuser crate only serves connections from their beginning.
//! The connection must have been open in this process too, and all of the daemon's threads must
//! have used it, or the kernel has failed what they had not answered.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long nothing may come for all to have been answered.
const QUIET: Duration = Duration::from_millis(50);
/// How long answers are given at most. Whoever lives in the dead mount asks for ever.
const LONGEST: Duration = Duration::from_secs(2);
/// As large as the largest request the kernel may have been told to send, with its header.
const BUFFER: usize = (16 << 20) + (64 << 10);
/// `FUSE_NOTIFY_RESEND` (Linux 6.9): what was read and not answered is sent once more.
const RESEND: i32 = 7;
/// Requests that take no answer: `FUSE_FORGET`, `FUSE_INTERRUPT`, `FUSE_BATCH_FORGET`.
const UNANSWERED: [u32; 3] = [2, 36, 42];

/// Answers everything that waits on the connection with `ESTALE`, upon which the kernel walks a
/// path again, from its beginning: to another mount by now. Reads of open files fail. Returns how
/// many requests were answered.
pub fn turn_away(device: impl AsFd) -> usize {
    if let Err(errno) = rustix::io::write(&device, &header(RESEND, 0)) {
        log::debug!("what the dead daemon had not answered is lost: {errno}");
    }
    let mut buffer = vec![0; BUFFER];
    let until = Instant::now() + LONGEST;
    let mut answered = 0;
    while Instant::now() < until && waits(&device) {
        let request = match rustix::io::read(&device, &mut buffer) {
            Ok(length) => buffer.get(..length).and_then(identify),
            Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => continue,
            Err(_) => break,
        };
        let Some((operation, unique)) = request else {
            break;
        };
        if UNANSWERED.contains(&operation) {
            continue;
        }
        // The one who asked may have been killed meanwhile.
        if rustix::io::write(&device, &header(-Errno::STALE.raw_os_error(), unique)).is_ok() {
            answered += 1;
        }
    }
    answered
}

fn waits(device: impl AsFd) -> bool {
    let quiet = Timespec::try_from(QUIET).unwrap_or_default();
    let mut waiting = [PollFd::new(&device, PollFlags::IN)];
    let found = poll(&mut waiting, Some(&quiet));
    let [waiting] = waiting;
    found.is_ok_and(|count| count > 0) && waiting.revents().contains(PollFlags::IN)
}

/// A message without a body (`struct fuse_out_header`): an answer, or with a positive code and no
/// request a notification.
fn header(code: i32, unique: u64) -> [u8; 16] {
    const LENGTH: u32 = 16;
    let mut message = [0; 16];
    let fields = [LENGTH.to_ne_bytes(), code.to_ne_bytes()].concat();
    let fields = fields.into_iter().chain(unique.to_ne_bytes());
    for (place, byte) in message.iter_mut().zip(fields) {
        *place = byte;
    }
    message
}

/// The operation and the number of a request (`struct fuse_in_header`).
fn identify(request: &[u8]) -> Option<(u32, u64)> {
    let operation = request.get(4..8)?.try_into().ok()?;
    let unique = request.get(8..16)?.try_into().ok()?;
    Some((u32::from_ne_bytes(operation), u64::from_ne_bytes(unique)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_a_short_one_is_not() {
        let message = header(-116, 0x8000_0000_0000_0007);
        assert_eq!(message[..4], 16_u32.to_ne_bytes());
        assert_eq!(
            identify(&message),
            Some((-116_i32 as u32, 0x8000_0000_0000_0007))
        );
        assert_eq!(identify(&message[..15]), None);
    }
}
