//! The one thread that starts workers and collects those that have ended.
//!
//! Invariant: no other thread forks or waits. Workers get SIGKILL when this thread ends, so it
//! lives as long as the backend. Each started process is in `live` until it has been reaped.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use parking_lot::Mutex;

use crate::sys::spawn::{Launch, Process, spawn};

/// How often ended processes are looked for while some are expected.
const REAP_PAUSE: Duration = Duration::from_millis(5);
/// How long the end of the backend waits for its workers' end.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// Gets the started process, in the spawning thread.
pub type Started = Box<dyn FnOnce(io::Result<Running>) + Send>;

enum Order {
    Start(Box<Launch>, Started),
    Reap(Process),
    Stop,
}

/// Starts the thread at the first order.
pub struct Spawner {
    thread: Mutex<Option<(Sender<Order>, JoinHandle<()>)>>,
    live: Arc<Mutex<BTreeSet<u32>>>,
    tick: Mutex<Option<Box<dyn Fn() + Send>>>,
    period: Duration,
}

/// A worker's process. Dropped, it is killed with its group and reaped in the background.
pub struct Running {
    process: Option<Process>,
    pid: u32,
    orders: Sender<Order>,
}

impl Spawner {
    /// `tick` runs in the thread every `period`.
    pub fn new(period: Duration, tick: Box<dyn Fn() + Send>) -> Spawner {
        Spawner {
            thread: Mutex::new(None),
            live: Arc::default(),
            tick: Mutex::new(Some(tick)),
            period,
        }
    }

    /// Has a process started. `started` is called with it or with what went wrong.
    pub fn start(&self, launch: Launch, started: Started) {
        match self.orders() {
            Ok(orders) => {
                if let Err(error) = orders.send(Order::Start(Box::new(launch), started))
                    && let Order::Start(_, started) = error.0
                {
                    started(Err(io::Error::other("the spawning thread has ended")));
                }
            }
            Err(error) => started(Err(error)),
        }
    }

    /// The processes that were started and not yet reaped.
    pub fn pids(&self) -> Vec<u32> {
        self.live.lock().iter().copied().collect()
    }

    /// Whether a process was started here and is not yet reaped.
    pub fn is_live(&self, pid: u32) -> bool {
        self.live.lock().contains(&pid)
    }

    /// Ends the thread, after the dropped workers were reaped or some time has passed.
    pub fn stop(&self) {
        let thread = self.thread.lock().take();
        if let Some((orders, thread)) = thread {
            let _ = orders.send(Order::Stop);
            let _ = thread.join();
        }
    }

    fn orders(&self) -> io::Result<Sender<Order>> {
        let mut thread = self.thread.lock();
        if let Some((orders, _)) = thread.as_ref() {
            return Ok(orders.clone());
        }
        let tick = self.tick.lock().take();
        let Some(tick) = tick else {
            return Err(io::Error::other("the spawning thread has ended"));
        };
        let (orders, receiver) = unbounded();
        let life = Life {
            orders: orders.clone(),
            receiver,
            live: Arc::clone(&self.live),
            ending: Vec::new(),
        };
        let period = self.period;
        let started = std::thread::Builder::new()
            .name("pycfs-spawn".to_owned())
            .spawn(move || life.run(period, &tick))?;
        *thread = Some((orders.clone(), started));
        Ok(orders)
    }
}

impl Running {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.process.as_mut()?.try_wait().ok()??;
        Some(status.to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
            // Without the thread nobody reaps, but then this process is about to end, too.
            let _ = self.orders.send(Order::Reap(process));
        }
    }
}

/// The thread's own state.
struct Life {
    orders: Sender<Order>,
    receiver: Receiver<Order>,
    live: Arc<Mutex<BTreeSet<u32>>>,
    ending: Vec<Process>,
}

impl Life {
    fn run(mut self, period: Duration, tick: &(dyn Fn() + Send)) {
        // Workers run where this thread may.
        crate::proximity::anywhere();
        let mut next = Instant::now() + period;
        loop {
            let pause = if self.ending.is_empty() {
                next.saturating_duration_since(Instant::now())
            } else {
                REAP_PAUSE
            };
            match self.receiver.recv_timeout(pause) {
                Ok(Order::Start(launch, started)) => self.start(*launch, started),
                Ok(Order::Reap(process)) => self.ending.push(process),
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.reap();
            if Instant::now() >= next {
                tick();
                next = Instant::now() + period;
            }
        }
        self.wind_up();
    }

    fn start(&self, launch: Launch, started: Started) {
        started(spawn(launch).map(|process| {
            let pid = process.pid();
            self.live.lock().insert(pid);
            Running {
                process: Some(process),
                pid,
                orders: self.orders.clone(),
            }
        }));
    }

    fn reap(&mut self) {
        let live = &self.live;
        self.ending.retain_mut(|process| {
            let gone = !matches!(process.try_wait(), Ok(None));
            if gone {
                live.lock().remove(&process.pid());
            }
            !gone
        });
    }

    fn wind_up(mut self) {
        let deadline = Instant::now() + STOP_WAIT;
        while let Ok(order) = self.receiver.try_recv() {
            match order {
                Order::Start(_, started) => {
                    started(Err(io::Error::other("the backend has ended")));
                }
                Order::Reap(process) => self.ending.push(process),
                Order::Stop => {}
            }
        }
        loop {
            self.reap();
            if self.ending.is_empty() || Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(REAP_PAUSE);
        }
    }
}

/// A file in memory that holds `text`, read from its start.
pub fn file_of(text: &[u8]) -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
    let file = memfd_create(c"pycfs-worker", MemfdFlags::CLOEXEC)?;
    let mut rest = text;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}
