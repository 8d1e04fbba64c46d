//! One mount from beginning to end: everything is put together here, in the order that matters.

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach::{self, Unplaced, connect};
use super::detach::detach;
use super::error::Error;
use super::follow::Follower;
use super::forgetter::Forgetter;
use super::mountinfo::{self, Entry, Presence};
use super::options::Options;
use super::place::Place;
use super::predecessor::Predecessor;
use super::status::Sources;
use crate::backend::Backend;
use crate::coherence::{self, Coherence, Mode};
use crate::control::{Request, Server};
use crate::fuse::{Notifier, Session};
use crate::interpreter::{self, Search};
use crate::operations::{Kernel, Operations};
use crate::proximity::Proximity;
use crate::pycache::{self, Synthesis};
use crate::store::{self, Store};
use crate::tree::Root;
use crate::watch::Events;

/// Mounts and serves until the mount is gone. `device` is the connection to use, if one was
/// opened; `ready` is called once the mount answers, with its line of the mount table.
pub(super) fn serve(
    place: Place,
    device: Option<OwnedFd>,
    options: Options,
    foreground: bool,
    ready: impl FnOnce(&Entry),
) -> Result<(), Error> {
    raise_descriptor_limit();
    let (coherence, events) = coherence_of(&place.root, &options);
    let store = open_store(&options)?;
    let backend = Backend::open(
        options.backend,
        interpreter::Options {
            search: Search::of_process(options.interpreters.clone()),
            ..interpreter::Options::default()
        },
    );
    let proximity = Proximity::new(options.near);
    let (synthesis, threads) = Synthesis::start(
        Arc::clone(&backend.compiler),
        Arc::clone(&store),
        place.mount_point.as_os_str(),
        synthesis_options(&options, &backend),
        &proximity,
    )
    .map_err(Error::system("start the threads"))?;
    let workers = backend.interpreter.clone();
    let operations = Arc::new(Operations::new(
        place.root,
        synthesis,
        coherence.clone(),
        events,
        place.own.clone(),
        move |process| {
            workers
                .as_ref()
                .is_some_and(|workers| workers.is_worker(process))
        },
    ));

    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(Error::system("handle signals"))?;
    let predecessor = place.predecessor.map(Predecessor::open).transpose()?;
    let connected = connect(&place.source, &place.mount_point, &options, device)?;
    if let Some(interpreter) = &backend.interpreter {
        interpreter.set_hidden(vec![place.mount_point.clone()]);
    }
    let kernel: Arc<dyn Kernel> = Arc::new(
        Notifier::new(connected.device.as_fd()).map_err(Error::system("notify the kernel"))?,
    );
    // With one connection for all threads, what a killed daemon has not answered is not lost.
    let threads_share = options.supervise;
    let session = Session::new(
        Arc::clone(&operations),
        connected.device,
        options.threads,
        threads_share,
        Arc::clone(&proximity),
    )
    .map_err(|cause| {
        if let Unplaced::Attached = connected.mount
            && let Ok(Some(entry)) = mountinfo::find(&place.mount_point)
        {
            let _ = detach(&entry, true);
        }
        Error::System {
            doing: "shake hands with the kernel",
            cause,
        }
    })?;
    let follower = Follower::start(Arc::clone(&operations), Arc::clone(&kernel))
        .map_err(Error::system("follow the source"))?;
    let forgetter = Forgetter::start(Arc::clone(&operations), kernel)
        .map_err(Error::system("start the threads"))?;
    let entry = attach::place(connected.mount, &place.mount_point, predecessor)?;
    let closer = signals.handle();
    let retired = Arc::new(Mutex::new(false));
    let (ours, written, replaced) = (entry.clone(), Arc::clone(&store), Arc::clone(&retired));
    let on_signal = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || end_on_signal(&mut signals, &ours, foreground, &written, &replaced))
        .map_err(Error::system("handle signals"))?;
    let sources = Sources {
        source: place.source.clone(),
        mount_point: place.mount_point.clone(),
        follows: place.follow,
        options: options.clone(),
        coherence,
        barrier: follower.barrier(),
        compiler: Arc::clone(&backend.compiler),
        store: Arc::clone(&store),
        operations,
        counts: session.counts(),
        proximity,
        since: Instant::now(),
    };
    let limit = options.store_size.unwrap_or(store::DEFAULT_LIMIT);
    let control = Server::start(entry.socket(), move |request| {
        answer(&sources, limit, &retired, request)
    });
    if let Err(error) = &control {
        log::warn!("no control socket, pycfs status will not see this mount: {error}");
    }
    log::info!(
        "{} is mounted on {}",
        place.source.display(),
        place.mount_point.display()
    );
    ready(&entry);
    if options.warm {
        warm(&place.mount_point);
    }

    let outcome = session
        .run()
        .and_then(|()| match mountinfo::presence(&entry) {
            // Not unmounted: somebody aborted the connection, and the mount answers nobody.
            Ok(Presence::OnTop) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            Ok(Presence::Covered | Presence::Gone) | Err(_) => Ok(()),
        });
    closer.close();
    if on_signal.join().is_err() {
        log::error!("the signal thread panicked");
    }
    drop(control);
    drop(follower);
    drop(forgetter);
    drop(threads);
    drop(store);
    log::info!("{} is unmounted", place.mount_point.display());
    outcome.map_err(Error::system("serve the mount"))
}

/// The mode to serve in, and the source's events if it needs them. Where the mode chosen cannot be
/// had, the next best is taken and said.
fn coherence_of(root: &Root, options: &Options) -> (Coherence, Option<Arc<Events>>) {
    let directory = root.held();
    let choice = coherence::choose(options.coherence, &*directory);
    let chosen = |mode, reason| Coherence::new(mode, reason, options.lease);
    match choice.mode {
        Mode::Watch => {
            let way = root.follows().then(|| root.path());
            match Events::open(&directory, way, options.directory_events) {
                Ok(events) => {
                    let reason = format!("{}, told by {}", choice.reason, events.name());
                    (chosen(Mode::Watch, reason), Some(Arc::new(events)))
                }
                Err(unavailable) => {
                    log::warn!("no events of the source: {unavailable}");
                    let reason = format!("{}, but there are none: {unavailable}", choice.reason);
                    (chosen(Mode::Strict, reason), None)
                }
            }
        }
        mode @ (Mode::Strict | Mode::Ttl) => (chosen(mode, choice.reason), None),
    }
}

fn open_store(options: &Options) -> Result<Arc<Store>, Error> {
    let dir = options
        .store
        .clone()
        .or_else(store::default_dir)
        .ok_or_else(|| {
            Error::Usage(
                "no place for the store: set HOME or XDG_CACHE_HOME, or use -o store=DIR"
                    .to_owned(),
            )
        })?;
    let mut settings = store::Options::new(dir);
    if let Some(limit) = options.store_size {
        settings.limit = limit;
    }
    Ok(Store::open(settings))
}

fn synthesis_options(options: &Options, backend: &Backend) -> pycache::Options {
    let default = pycache::Options::default();
    let listed = match options.targets.as_slice() {
        [] => backend.newest().into_iter().collect(),
        targets => targets.to_vec(),
    };
    pycache::Options {
        mode: options.mode,
        deadline: options.deadline,
        compile_timeout: options.compile_timeout,
        ahead: options.ahead,
        listed,
        spare_callers: options.threads > 1,
        ..default
    }
}

/// Whether another mount has taken the place of this one. Held while something is unmounted.
type Retired = Mutex<bool>;

/// The first SIGTERM or SIGINT unmounts, and if the mount is busy a second one detaches it. The
/// session ends by that, at once or with the mount's last user. One more signal ends the daemon
/// while that user still is there, after what was compiled has been written. A mount that was
/// replaced counts as detached: by its path another one would be unmounted.
fn end_on_signal(
    signals: &mut Signals,
    entry: &Entry,
    foreground: bool,
    store: &Store,
    retired: &Retired,
) {
    const WRITING: Duration = Duration::from_secs(3);
    let (mut lazy, mut detached) = (false, false);
    for signal in signals.forever() {
        if signal == SIGHUP && !foreground {
            continue;
        }
        let replaced = retired.lock();
        let done = match *replaced {
            true => Err(Error::Detached(entry.mount_point.clone())),
            false => detach(entry, lazy),
        };
        drop(replaced);
        match done {
            Ok(()) => {}
            Err(Error::Busy(path)) => {
                log::warn!(
                    "{} is busy: signal once more to detach it anyway",
                    path.display()
                );
            }
            Err(Error::Detached(path)) if detached => {
                log::warn!("{} is cut off from its last users", path.display());
                store.flush(WRITING);
                std::process::exit(0);
            }
            Err(error) => {
                detached = matches!(error, Error::Detached(_));
                log::error!("cannot unmount: {error}");
            }
        }
        lazy = true;
    }
}

/// Has the whole tree compiled by another process, which may wait for this mount as a reader does.
fn warm(mount_point: &Path) {
    let started = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["warm", "--quiet"])
            .arg(mount_point)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
    match started {
        // Somebody has to wait for its end.
        Ok(mut child) => {
            let waiter = std::thread::Builder::new().name("warm".to_owned());
            let waited = waiter.spawn(move || child.wait());
            if let Err(error) = waited {
                log::debug!("compiling the tree ahead: {error}");
            }
        }
        Err(error) => log::warn!("the tree is not compiled ahead: {error}"),
    }
}

/// How long a barrier may take.
const SYNC: Duration = Duration::from_secs(30);

fn answer(sources: &Sources, limit: u64, retired: &Retired, request: Request) -> serde_json::Value {
    let json = |result: Result<serde_json::Value, String>| match result {
        Ok(value) => value,
        Err(error) => serde_json::json!({ "error": error }),
    };
    match request {
        Request::Status => sources.status(),
        Request::Collect(wanted) => json(match sources.store.gc(wanted.unwrap_or(limit)) {
            Ok(report) => serde_json::to_value(report).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }),
        Request::Retire => {
            *retired.lock() = true;
            log::info!(
                "{} is replaced by another daemon's mount",
                sources.mount_point.display()
            );
            serde_json::json!({ "pid": std::process::id() })
        }
        Request::Sync => json(
            sources
                .barrier
                .pass(SYNC)
                .map(|()| serde_json::json!({ "synced": true })),
        ),
        Request::Verify => {
            json(serde_json::to_value(sources.store.verify()).map_err(|error| error.to_string()))
        }
    }
}

/// Lets the daemon have as many descriptors as it may: one for each file a reader has open.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(errno) = rustix::process::setrlimit(Resource::Nofile, raised) {
        log::debug!("descriptor limit: {errno}");
    }
}
