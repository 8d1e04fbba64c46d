//! The keeper: the one thread that opens the folder and the index and keeps the account.
//!
//! Invariants: every change of the index is made here, so records and files are compared without
//! races; any trouble with the index costs the index, any trouble with the folder the folder, and
//! either is tried again later; nobody waits for this thread on a reply path.

mod upkeep;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use self::upkeep::Sweep;
use crate::store::account::Account;
use crate::store::core::{Condition, Core, Event};
use crate::store::index::{SledLedger, Trouble, is_present, panic_text};
use crate::store::ledger::MemoryLedger;
use crate::store::place::{Lock, Place, PlaceError, is_read_only};
use crate::store::quarantine;
use crate::store::status::State;

/// Uses are recorded this long after the first of them.
const TOUCH_DELAY: Duration = Duration::from_secs(5);
/// Indexes that may fail at short intervals before the store goes on without one for a while.
const FAILURES: u32 = 3;
/// Pause between two turns of a sweep in the background.
const SWEEP_PAUSE: Duration = Duration::from_millis(1);
/// How long the end of the index is waited for when the store is closed.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// The keeper's own state.
pub(super) struct Keeper {
    core: Arc<Core>,
    inbox: Receiver<Event>,
    /// Dropped once the folder was looked at for the first time.
    opened: Option<Sender<()>>,
    place: Option<Arc<Place>>,
    lock: Option<Lock>,
    account: Option<Account>,
    /// Whether the account is in sled, not in memory.
    indexed: bool,
    failures: u32,
    /// The records were not compared with the folder since the index was opened: they may be few
    /// of many, so that nothing can be said of what is oldest.
    rebuilding: bool,
    sweep: Option<Sweep>,
    /// The shards' versions when they were last swept.
    versions: Vec<Option<(i64, u64)>>,
    next_check: Instant,
    pause: Duration,
    next_sweep: Instant,
    next_index: Instant,
    record_uses: Option<Instant>,
    next_room: Instant,
}

impl Keeper {
    pub(super) fn new(core: Arc<Core>, inbox: Receiver<Event>, opened: Sender<()>) -> Keeper {
        let now = Instant::now();
        Keeper {
            core,
            inbox,
            opened: Some(opened),
            place: None,
            lock: None,
            account: None,
            indexed: false,
            failures: 0,
            rebuilding: true,
            sweep: None,
            versions: vec![None; 256],
            next_check: now,
            pause: Duration::ZERO,
            next_sweep: now,
            next_index: now,
            record_uses: None,
            next_room: now,
        }
    }

    /// The keeper thread: returns when the store is closed.
    pub(super) fn run(mut self) {
        while !self.core.stopping.load(Relaxed) {
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn()));
            if let Err(panic) = turn {
                let text = panic_text(panic.as_ref());
                log::error!("store: the keeper panicked: {text}");
                self.drop_place();
                self.say(State::Lost, Some(text));
                self.next_check = Instant::now() + self.core.options.pace.retry;
            }
        }
        while let Ok(event) = self.inbox.try_recv() {
            if let Event::Changed(name) = event {
                self.note_changes(name);
            }
        }
        self.record_uses();
        if let Some(account) = self.account.take() {
            account.close(CLOSE_PATIENCE);
        }
    }

    fn turn(&mut self) {
        if Instant::now() >= self.next_check {
            self.check();
        }
        match self.inbox.recv_deadline(self.next_deadline()) {
            Ok(event) => self.handle(event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.core.stop(),
        }
        let now = Instant::now();
        if self.record_uses.is_some_and(|due| now >= due) {
            self.record_uses();
        }
        if self.account.is_some() {
            let missed = self.core.missed.swap(false, Relaxed);
            if missed || (self.sweep.is_none() && now >= self.next_sweep) {
                self.start_sweep();
            }
            self.sweep_on();
        }
    }

    fn next_deadline(&self) -> Instant {
        let mut deadline = self.next_check;
        if self.sweep.is_some() {
            deadline = deadline.min(Instant::now() + SWEEP_PAUSE);
        } else if self.account.is_some() {
            deadline = deadline.min(self.next_sweep);
        }
        self.record_uses.map_or(deadline, |due| deadline.min(due))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Changed(name) => self.note_changes(name),
            Event::Touched => self.record_uses = Some(Instant::now() + TOUCH_DELAY),
            Event::Check(answer) => {
                self.check();
                let _ = answer.send(());
            }
            Event::MakeRoom(bytes, answer) => {
                let _ = answer.send(self.make_room(bytes));
            }
            Event::Collect(limit, answer) => {
                let _ = answer.send(self.collect(limit));
            }
            Event::Audit(answer) => {
                let _ = answer.send(self.audit());
            }
            Event::Sync(answer) => {
                self.record_uses();
                if let Some(account) = &mut self.account
                    && let Err(trouble) = account.flush()
                {
                    self.lose_index(trouble);
                }
                let _ = answer.send(());
            }
            Event::Stop => {}
        }
    }

    /// Says how the store works now.
    fn say(&self, state: State, reason: Option<String>) {
        let mut condition = self.core.condition.lock();
        if condition.state != state || condition.reason != reason {
            match &reason {
                Some(reason) => log::warn!("store: {state:?}: {reason}"),
                None => log::info!("store: {state:?}"),
            }
        }
        *condition = Condition {
            state,
            reason,
            counting: self.rebuilding,
        };
    }

    /// Looks at the folder, the lock and the index, and opens what is missing.
    fn check(&mut self) {
        self.next_check = Instant::now() + self.core.options.pace.retry;
        if self.place.as_ref().is_some_and(|place| {
            !place.is_current()
                || self
                    .lock
                    .as_ref()
                    .is_some_and(|lock| !lock.is_current(place))
        }) {
            self.drop_place();
            self.say(State::Lost, Some("its folder was removed".to_owned()));
        }
        let place = match &self.place {
            Some(place) if place.is_writable() => Ok(Arc::clone(place)),
            // One that could not be written is opened anew: it may have become writable.
            _ => Place::open(&self.core.options.dir).map(Arc::new),
        };
        let opened = match place {
            Ok(place) => self.settle(place),
            Err(error) => {
                self.drop_place();
                self.homeless(&error);
                return;
            }
        };
        if let Err(trouble) = opened {
            self.lose_index(trouble);
        }
    }

    /// There is no folder to use: tries again soon at first, then at longer intervals.
    fn homeless(&mut self, error: &PlaceError) {
        let lost = self.core.condition.lock().state == State::Lost;
        let state = if lost { State::Lost } else { State::MemoryOnly };
        self.say(state, Some(error.to_string()));
        self.opened = None;
        self.pause = (self.pause * 2)
            .max(Duration::from_millis(100))
            .min(self.core.options.pace.retry);
        self.next_check = Instant::now() + self.pause;
    }

    /// Uses an open folder as far as it can be: read-only, shared or as the owner.
    fn settle(&mut self, place: Arc<Place>) -> Result<(), Trouble> {
        self.pause = Duration::ZERO;
        if self
            .place
            .as_ref()
            .is_none_or(|old| !Arc::ptr_eq(old, &place))
        {
            self.core.set_place(Some(Arc::clone(&place)));
            self.place = Some(Arc::clone(&place));
        }
        self.opened = None;
        if !place.is_writable() {
            let reason = format!("{} cannot be written", place.root().display());
            self.say(State::ReadOnly, Some(reason));
            return Ok(());
        }
        if self.lock.is_none() {
            match place.try_lock() {
                Ok(Some(lock)) => self.lock = Some(lock),
                Ok(None) => {
                    let reason = "another process owns the index".to_owned();
                    self.say(State::Shared, Some(reason));
                    return Ok(());
                }
                Err(error) => {
                    let state = if is_read_only(&error) {
                        State::ReadOnly
                    } else {
                        State::Shared
                    };
                    self.say(state, Some(format!("LOCK: {error}")));
                    return Ok(());
                }
            }
        }
        let folder = place.root().join("index");
        match &mut self.account {
            Some(account) if self.indexed => {
                if !is_present(&folder) {
                    return Err(Trouble::Io("the index was removed".to_owned()));
                }
                account.flush()
            }
            Some(_) if Instant::now() < self.next_index => Ok(()),
            Some(_) | None => {
                self.open_index();
                Ok(())
            }
        }
    }

    /// Forgets the folder and all that was open in it.
    fn drop_place(&mut self) {
        self.core.set_place(None);
        self.place = None;
        self.lock = None;
        self.drop_account();
    }

    /// Ends the account without waiting; totals are unknown until there is another. A sweep under
    /// way ends with it: what it has compared is in the records of this account only.
    fn drop_account(&mut self) {
        self.sweep = None;
        if let Some(account) = self.account.take() {
            account.close(Duration::ZERO);
        }
        self.core.totals.entries.store(0, Relaxed);
        self.core.totals.bytes.store(0, Relaxed);
        self.rebuilding = true;
    }

    /// The index failed: it is set aside and another one is started.
    fn lose_index(&mut self, trouble: Trouble) {
        log::warn!("store: the index is lost and will be rebuilt: {trouble}");
        self.core.counters.index_lost.fetch_add(1, Relaxed);
        self.failures += 1;
        self.drop_account();
        self.set_aside(&trouble);
        if self.failures <= FAILURES && !matches!(trouble, Trouble::Full(_)) {
            self.open_index();
        } else {
            self.go_unindexed(&trouble);
        }
    }

    /// Moves the index out of the way.
    fn set_aside(&self, trouble: &Trouble) {
        let Some(place) = &self.place else { return };
        if let Err(error) = quarantine::set_aside(place.root()) {
            log::warn!("store: cannot set the index aside: {error}");
        }
        if matches!(trouble, Trouble::Full(_)) {
            quarantine::purge(place.root());
        }
    }

    /// Opens the index, after a failure once more with an empty one.
    fn open_index(&mut self) {
        let Some(place) = self.place.as_ref().map(Arc::clone) else {
            return;
        };
        self.drop_account();
        self.say(State::Opening, None);
        let folder = place.root().join("index");
        let patience = self.core.options.pace.index_patience;
        for attempt in 0..2 {
            let opened = SledLedger::open(&folder, patience)
                .and_then(|ledger| Account::open(Box::new(ledger), Arc::clone(&self.core.totals)));
            let trouble = match opened {
                Ok(account) => {
                    self.account = Some(account);
                    self.indexed = true;
                    self.say(State::Ready, None);
                    self.plan_first_sweep();
                    return;
                }
                Err(trouble) => trouble,
            };
            log::warn!("store: the index cannot be opened: {trouble}");
            self.core.counters.index_lost.fetch_add(1, Relaxed);
            self.set_aside(&trouble);
            if attempt == 1 || matches!(trouble, Trouble::Full(_)) {
                return self.go_unindexed(&trouble);
            }
        }
    }

    /// Keeps the account in memory until the index is tried again.
    fn go_unindexed(&mut self, trouble: &Trouble) {
        let ledger = Box::<MemoryLedger>::default();
        self.account = Account::open(ledger, Arc::clone(&self.core.totals)).ok();
        self.indexed = false;
        self.failures = 0;
        self.next_index = Instant::now() + self.core.options.pace.retry;
        self.say(State::Unindexed, Some(trouble.to_string()));
        self.plan_first_sweep();
    }

    /// The records of an account that was just opened are compared with the folder a while later.
    fn plan_first_sweep(&mut self) {
        self.next_sweep = Instant::now() + self.core.options.pace.first_sweep;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blob::Encoder;
    use crate::store::testing::{entry_of, key_of};
    use crate::store::{Options, clock};
    use crossbeam_channel::bounded;

    #[test]
    fn an_index_that_is_lost_during_a_sweep_is_swept_from_the_beginning() {
        const BLOBS: u64 = 100;
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path());
        options.pace.first_sweep = Duration::ZERO;
        let (events, inbox) = bounded(1);
        let (opened, _wait) = bounded(0);
        let mut keeper = Keeper::new(Arc::new(Core::new(options, events)), inbox, opened);
        keeper.check();
        let place = Arc::clone(keeper.place.as_ref().unwrap());
        let mut encoder = Encoder::new().unwrap();
        for number in 0..BLOBS {
            let key = key_of(number);
            let blob = encoder.encode(&key, &entry_of(number, 100), clock::now() / 1000);
            place.write(&key.name(), &blob.unwrap()).unwrap();
        }
        keeper.start_sweep();
        keeper.sweep = keeper.sweep.take().map(Sweep::near_its_end);
        keeper.lose_index(Trouble::Interrupted);
        while keeper.rebuilding {
            keeper.turn();
        }
        assert_eq!(keeper.core.totals.entries.load(Relaxed), BLOBS);
    }
}
