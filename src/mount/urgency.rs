//! When the thread that follows the source runs before all others, and when it takes its turn.
//!
//! Readers see old answers until it has run, so it goes first, and while it has little to do that
//! costs nobody anything. Invariant: in a flood of events it never holds a processor against the
//! rest of the machine for longer than one window.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

use crate::sys::priority::{self, Urgency};

/// How often it is looked how busy the thread was.
const WINDOW: Duration = Duration::from_millis(100);
/// Above this share of a processor (in percent) it takes its turn, below half of it it goes first.
const MOST: u128 = 50;

/// The urgency of one thread, kept between its turns.
pub struct Balance {
    now: Urgency,
    /// Both clocks when the window began.
    began: (Duration, Duration),
    permitted: bool,
}

impl Balance {
    /// Begins, for the calling thread, by going first if that is permitted.
    pub fn begin() -> Balance {
        // For when it takes its turn.
        const NICE: i32 = -10;
        let this = rustix::thread::gettid();
        if let Err(errno) = rustix::process::setpriority_process(Some(this), NICE) {
            log::debug!("priority of the thread that follows the source: {errno}");
        }
        let permitted = match priority::set(None, Urgency::Immediate) {
            Ok(()) => true,
            Err(error) => {
                log::debug!("the thread that follows the source cannot go first: {error}");
                false
            }
        };
        Balance {
            now: Urgency::Immediate,
            began: clocks(),
            permitted,
        }
    }

    /// Called by the thread after each turn.
    pub fn turn(&mut self) {
        if !self.permitted || read(ClockId::Monotonic).saturating_sub(self.began.0) < WINDOW {
            return;
        }
        let (wall, busy) = clocks();
        let window = wall.saturating_sub(self.began.0);
        let next = next(self.now, window, busy.saturating_sub(self.began.1));
        self.began = (wall, busy);
        if next != self.now {
            log::debug!("the thread that follows the source is now {next:?}");
            self.permitted = priority::set(None, next).is_ok();
            self.now = next;
        }
    }
}

/// The urgency for the next window, from how busy the thread was in the last.
fn next(now: Urgency, window: Duration, busy: Duration) -> Urgency {
    let percent = busy.as_nanos() * 100 / window.as_nanos().max(1);
    match now {
        Urgency::Immediate if percent > MOST => Urgency::Usual,
        Urgency::Usual if percent < MOST / 2 => Urgency::Immediate,
        Urgency::Immediate | Urgency::Usual | Urgency::Idle => now,
    }
}

/// The time that went by and the time that this thread ran.
fn clocks() -> (Duration, Duration) {
    (read(ClockId::Monotonic), read(ClockId::ThreadCPUTime))
}

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_events_is_followed_in_turn_until_it_has_gone() {
        let of = |now, percent: u64| next(now, WINDOW, Duration::from_millis(percent));
        assert_eq!(of(Urgency::Immediate, 0), Urgency::Immediate);
        assert_eq!(of(Urgency::Immediate, 50), Urgency::Immediate);
        assert_eq!(of(Urgency::Immediate, 51), Urgency::Usual);
        assert_eq!(of(Urgency::Usual, 30), Urgency::Usual);
        assert_eq!(of(Urgency::Usual, 24), Urgency::Immediate);
    }

    #[test]
    fn a_thread_that_only_waits_stays_as_it_began() {
        let mut balance = Balance::begin();
        std::thread::sleep(WINDOW);
        balance.turn();
        assert_eq!(balance.now, Urgency::Immediate);
    }
}
