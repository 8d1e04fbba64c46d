//! The keeper: the one thread that opens the folder and the index and keeps the account.
//!
//! Invariants: every change of the index is made here, so records and files are compared without
//! races; any trouble with the index costs the index, any trouble with the folder the folder, and
//! either is tried again later; nobody waits for this thread on a reply path.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::account::Account;
use super::clock;
use super::core::{Condition, Core, Event};
use super::eviction::evict;
use super::index::{SledLedger, Trouble, is_present, panic_text};
use super::key::Name;
use super::ledger::MemoryLedger;
use super::place::{Lock, Place, PlaceError, is_read_only};
use super::quarantine;
use super::status::{Agreement, GcReport, NotOwner, State};
use super::sweep::{record, sweep_shard};

/// Most changes that are taken together.
const BATCH: usize = 256;
/// Uses are recorded this long after the first of them.
const TOUCH_DELAY: Duration = Duration::from_secs(5);
/// Pause between two shards of a sweep in the background.
const SWEEP_PAUSE: Duration = Duration::from_millis(1);
/// Age at which a file of `tmp/` has lost its writer.
const ABANDONED: Duration = Duration::from_secs(600);
/// Indexes that may fail at short intervals before the store goes on without one for a while.
const FAILURES: u32 = 3;
/// How long the end of the index is waited for when the store is closed.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// Smallest number of bytes that a full disk is relieved by.
const ROOM: u64 = 1 << 20;

/// A sweep under way.
struct Sweep {
    next: u16,
    /// Also shards whose folder did not change since the last sweep.
    everything: bool,
}

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
    /// The records are being rebuilt, so that nothing can be said of what is oldest.
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
            rebuilding: false,
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
                self.start_sweep(false);
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
        self.opened = None;
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
        self.sweep = None;
        self.drop_account();
    }

    /// Ends the account without waiting; totals are unknown until there is another.
    fn drop_account(&mut self) {
        if let Some(account) = self.account.take() {
            account.close(Duration::ZERO);
        }
        self.core.totals.entries.store(0, Relaxed);
        self.core.totals.bytes.store(0, Relaxed);
    }

    /// The index failed: it is set aside and another one is started.
    fn lose_index(&mut self, trouble: Trouble) {
        log::warn!("store: the index is lost and will be rebuilt: {trouble}");
        self.core.counters.index_lost.fetch_add(1, Relaxed);
        self.failures += 1;
        self.drop_account();
        let Some(place) = &self.place else { return };
        if let Err(error) = quarantine::set_aside(place.root()) {
            log::warn!("store: cannot set the index aside: {error}");
        }
        if matches!(trouble, Trouble::Full(_)) {
            quarantine::purge(place.root());
        }
        self.rebuilding = true;
        if self.failures <= FAILURES {
            self.open_index();
        } else {
            self.go_unindexed(&trouble);
        }
    }

    /// Opens the index, after a failure once more with an empty one.
    fn open_index(&mut self) {
        let Some(place) = self.place.as_ref().map(Arc::clone) else {
            return;
        };
        self.drop_account();
        self.say(State::Opening, None);
        let mut last = None;
        for _ in 0..2 {
            let patience = self.core.options.pace.index_patience;
            let fresh = !is_present(&place.root().join("index"));
            let opened = SledLedger::open(&place.root().join("index"), patience)
                .and_then(|ledger| Account::open(Box::new(ledger), Arc::clone(&self.core.totals)));
            match opened {
                Ok(account) => {
                    self.account = Some(account);
                    self.indexed = true;
                    self.rebuilding |= fresh;
                    self.say(State::Ready, None);
                    self.start_sweep(true);
                    return;
                }
                Err(trouble) => {
                    log::warn!("store: the index cannot be opened: {trouble}");
                    self.core.counters.index_lost.fetch_add(1, Relaxed);
                    if let Err(error) = quarantine::set_aside(place.root()) {
                        log::warn!("store: cannot set the index aside: {error}");
                    }
                    if matches!(trouble, Trouble::Full(_)) {
                        quarantine::purge(place.root());
                    }
                    self.rebuilding = true;
                    last = Some(trouble);
                }
            }
        }
        if let Some(trouble) = last {
            self.go_unindexed(&trouble);
        }
    }

    /// Keeps the account in memory until the index is tried again.
    fn go_unindexed(&mut self, trouble: &Trouble) {
        let ledger = Box::<MemoryLedger>::default();
        self.account = Account::open(ledger, Arc::clone(&self.core.totals)).ok();
        self.indexed = false;
        self.failures = 0;
        self.next_index = Instant::now() + self.core.options.pace.sweep;
        self.rebuilding = true;
        self.say(State::Unindexed, Some(trouble.to_string()));
        self.start_sweep(true);
    }

    /// Makes the records of this blob, and of others that were told of, agree with the files.
    fn note_changes(&mut self, first: Name) {
        let mut names = vec![first];
        let mut other = None;
        while names.len() < BATCH {
            match self.inbox.try_recv() {
                Ok(Event::Changed(name)) => names.push(name),
                Ok(event) => {
                    other = Some(event);
                    break;
                }
                Err(_) => break,
            }
        }
        names.sort_unstable();
        names.dedup();
        if let (Some(account), Some(place)) = (&mut self.account, &self.place) {
            let noted = account.update(&names, |name, old| match place.stat(name) {
                Ok(Some(stat)) => record(name, stat, old),
                Ok(None) => None,
                Err(_) => old,
            });
            match noted {
                Ok(()) => self.keep_limit(),
                Err(trouble) => self.lose_index(trouble),
            }
        }
        if let Some(event) = other {
            self.handle(event);
        }
    }

    /// Records which blobs were used, in the index and in the files' times.
    fn record_uses(&mut self) {
        self.record_uses = None;
        let touched: Vec<Name> = self.core.take_touched().into_iter().collect();
        let Some(place) = self.place.as_ref().filter(|place| place.is_writable()) else {
            return;
        };
        let now = clock::now();
        let outdated = now.saturating_sub(clock::millis(self.core.options.pace.touch));
        let Some(account) = &mut self.account else {
            for name in touched {
                let stat = place.stat(&name).ok().flatten();
                if stat.is_some_and(|stat| stat.used <= outdated) {
                    let _ = place.set_used(&name, now);
                }
            }
            return;
        };
        for batch in touched.chunks(BATCH) {
            let recorded = account.update(batch, |name, old| {
                let mut record = old?;
                if record.used <= outdated {
                    record.used = now;
                    let _ = place.set_used(name, now);
                }
                Some(record)
            });
            if let Err(trouble) = recorded {
                return self.lose_index(trouble);
            }
        }
    }

    /// Evicts when there is more than the limit, a tenth below it, so that it is seldom needed.
    fn keep_limit(&mut self) {
        let limit = self.core.options.limit;
        let over = |account: &Account| account.bytes() > limit;
        if !self.rebuilding && self.account.as_ref().is_some_and(over) {
            self.evict_to(limit - limit / 10);
        }
    }

    /// Evicts to that many bytes; how many bytes went.
    fn evict_to(&mut self, target: u64) -> u64 {
        self.record_uses();
        let (Some(account), Some(place)) = (&mut self.account, &self.place) else {
            return 0;
        };
        match evict(account, place, target) {
            Ok(evicted) => {
                let counters = &self.core.counters;
                counters.evicted.fetch_add(evicted.entries, Relaxed);
                counters.evicted_bytes.fetch_add(evicted.bytes, Relaxed);
                evicted.bytes
            }
            Err(trouble) => {
                self.lose_index(trouble);
                0
            }
        }
    }

    /// Frees a fifth of the store on a full disk, at most every few seconds.
    fn make_room(&mut self, wanted: u64) -> bool {
        let Some(place) = &self.place else {
            return false;
        };
        if self.lock.is_none() || Instant::now() < self.next_room {
            return false;
        }
        self.next_room = Instant::now() + Duration::from_secs(2).min(self.core.options.pace.retry);
        quarantine::purge(place.root());
        if self.rebuilding {
            self.sweep_all();
        }
        let bytes = self.account.as_ref().map_or(0, Account::bytes);
        let room = (bytes / 5).max(ROOM).max(wanted.saturating_mul(2));
        self.evict_to(bytes.saturating_sub(room)) > 0
    }

    fn start_sweep(&mut self, everything: bool) {
        self.next_sweep = Instant::now() + self.core.options.pace.sweep;
        self.sweep = Some(Sweep {
            next: 0,
            everything: everything || self.rebuilding,
        });
        if let Some(place) = &self.place
            && let Err(error) = place.sweep_tmp(clock::millis(ABANDONED))
        {
            log::warn!("store: cannot sweep temporary files: {error}");
        }
        self.say_again();
    }

    /// Sweeps the next shard that needs it.
    fn sweep_on(&mut self) {
        let Some(Sweep { next, everything }) = self.sweep else {
            return;
        };
        for number in next..256 {
            let shard = u8::try_from(number).unwrap_or(u8::MAX);
            if self.is_unchanged(shard) && !everything {
                continue;
            }
            match self.sweep_one(shard) {
                Ok(_) => {
                    if let Some(sweep) = &mut self.sweep {
                        sweep.next = number + 1;
                    }
                }
                Err(trouble) => self.lose_index(trouble),
            }
            return;
        }
        self.sweep = None;
        self.rebuilding = false;
        self.say_again();
        self.keep_limit();
    }

    /// Sweeps every shard now.
    fn sweep_all(&mut self) -> Agreement {
        let mut found = Agreement::default();
        for shard in 0..=u8::MAX {
            match self.sweep_one(shard) {
                Ok(agreement) => found += agreement,
                Err(trouble) => {
                    self.lose_index(trouble);
                    return found;
                }
            }
        }
        self.sweep = None;
        self.rebuilding = false;
        self.say_again();
        found
    }

    fn sweep_one(&mut self, shard: u8) -> Result<Agreement, Trouble> {
        let (Some(account), Some(place)) = (&mut self.account, &self.place) else {
            return Ok(Agreement::default());
        };
        let version = place.shard_version(shard);
        let found = sweep_shard(account, place, shard)?;
        let counters = &self.core.counters;
        counters.adopted.fetch_add(found.orphans, Relaxed);
        counters.corrupt.fetch_add(found.damaged, Relaxed);
        // A folder changed a moment ago can change again without another time.
        let settled = i64::try_from(clock::now() / 1000).unwrap_or(i64::MAX) - 2;
        if let Some(known) = self.versions.get_mut(usize::from(shard)) {
            *known = version.filter(|(seconds, _)| *seconds < settled);
        }
        Ok(found)
    }

    fn is_unchanged(&self, shard: u8) -> bool {
        let version = self
            .place
            .as_ref()
            .and_then(|place| place.shard_version(shard));
        let known = self.versions.get(usize::from(shard)).copied().flatten();
        known.is_some() && known == version
    }

    /// Repeats the state after `rebuilding` changed.
    fn say_again(&self) {
        self.core.condition.lock().counting = self.rebuilding;
    }

    fn not_owner(&self) -> NotOwner {
        let condition = self.core.condition.lock();
        NotOwner(
            condition
                .reason
                .clone()
                .unwrap_or_else(|| "the store is being opened".to_owned()),
        )
    }

    fn audit(&mut self) -> Result<Agreement, NotOwner> {
        if self.account.is_none() {
            return Err(self.not_owner());
        }
        Ok(self.sweep_all())
    }

    fn collect(&mut self, limit: u64) -> Result<GcReport, NotOwner> {
        let before = self.core.counters.counts();
        let agreement = self.audit()?;
        let place = self.place.as_ref();
        let temporary = place.and_then(|place| {
            quarantine::purge(place.root());
            place.sweep_tmp(clock::millis(ABANDONED)).ok()
        });
        self.evict_to(limit);
        let after = self.core.counters.counts();
        Ok(GcReport {
            evicted: after.evicted - before.evicted,
            evicted_bytes: after.evicted_bytes - before.evicted_bytes,
            entries: self.core.totals.entries.load(Relaxed),
            bytes: self.core.totals.bytes.load(Relaxed),
            temporary: temporary.unwrap_or(0),
            agreement,
        })
    }
}
