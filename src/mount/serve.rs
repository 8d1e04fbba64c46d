//! One mount from beginning to end: everything is put together here, in the order that matters.

use rustix::fs::Access;
use rustix::process::{Resource, Rlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach::attach;
use super::detach::detach;
use super::error::Error;
use super::mountinfo::{self, Entry, FILESYSTEM_TYPE};
use super::options::Options;
use super::status::Sources;
use super::{logging, notify};
use crate::backend::Backend;
use crate::coherence::{self, Coherence, Mode};
use crate::control::{Request, Server};
use crate::fuse::Session;
use crate::interpreter::{self, Search};
use crate::operations::Operations;
use crate::pycache::{self, Synthesis};
use crate::store::{self, Store};
use crate::tree::Root;

/// Mounts and serves until the mount is gone. `ready` is called once the mount answers.
pub(super) fn serve(
    source: &Path,
    mount_point: &Path,
    options: Options,
    foreground: bool,
    ready: impl FnOnce(),
) -> Result<(), Error> {
    logging::start(foreground, options.log.as_deref())?;
    let place = Place::find(source, mount_point)?;
    let root = Root::open(&place.source, place.follow).map_err(|error| Error::Source {
        path: place.source.clone(),
        cause: error.errno.into(),
    })?;
    raise_descriptor_limit();
    let coherence = coherence_of(&root, &options);
    let store = open_store(&options)?;
    let backend = Backend::open(
        options.backend,
        interpreter::Options {
            search: Search::of_process(options.interpreters.clone()),
            ..interpreter::Options::default()
        },
    );
    let (synthesis, threads) = Synthesis::start(
        Arc::clone(&backend.compiler),
        Arc::clone(&store),
        place.mount_point.as_os_str(),
        synthesis_options(&options, &backend),
    )
    .map_err(Error::system("start the threads"))?;
    let workers = backend.interpreter.clone();
    let operations = Arc::new(Operations::new(
        root,
        synthesis,
        coherence.clone(),
        place.own.clone(),
        move |process| {
            workers
                .as_ref()
                .is_some_and(|workers| workers.is_worker(process))
        },
    ));

    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(Error::system("handle signals"))?;
    let attached = attach(&place.source, &place.mount_point, &options)?;
    if let Some(interpreter) = &backend.interpreter {
        interpreter.set_hidden(vec![place.mount_point.clone()]);
    }
    let session = Session::new(Arc::clone(&operations), attached.device, options.threads).map_err(
        |cause| {
            let _ = detach(&attached.entry, true);
            Error::System {
                doing: "shake hands with the kernel",
                cause,
            }
        },
    )?;
    let closer = signals.handle();
    let entry = attached.entry.clone();
    let written = Arc::clone(&store);
    let on_signal = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || end_on_signal(&mut signals, &entry, foreground, &written))
        .map_err(Error::system("handle signals"))?;
    let sources = Sources {
        source: place.source.clone(),
        mount_point: place.mount_point.clone(),
        follows: place.follow,
        options: options.clone(),
        coherence,
        compiler: Arc::clone(&backend.compiler),
        store: Arc::clone(&store),
        operations,
        counts: session.counts(),
        since: Instant::now(),
    };
    let limit = options.store_size.unwrap_or(store::DEFAULT_LIMIT);
    let control = Server::start(attached.entry.socket(), move |request| {
        answer(&sources, limit, request)
    });
    if let Err(error) = &control {
        log::warn!("no control socket, pycfs status will not see this mount: {error}");
    }
    log::info!(
        "{} is mounted on {}",
        place.source.display(),
        place.mount_point.display()
    );
    notify::ready();
    ready();

    let outcome = session.run();
    closer.close();
    if on_signal.join().is_err() {
        log::error!("the signal thread panicked");
    }
    drop(control);
    drop(threads);
    drop(store);
    log::info!("{} is unmounted", place.mount_point.display());
    outcome.map_err(Error::system("serve the mount"))
}

/// Where the tree is, where it goes, and how the two lie to each other.
struct Place {
    source: PathBuf,
    mount_point: PathBuf,
    follow: bool,
    own: Option<OsString>,
}

impl Place {
    fn find(source: &Path, mount_point: &Path) -> Result<Place, Error> {
        let source_error = |cause| Error::Source {
            path: source.to_owned(),
            cause,
        };
        let absolute_source = std::path::absolute(source).map_err(source_error)?;
        let place_error = |cause| Error::MountPoint {
            path: mount_point.to_owned(),
            cause,
        };
        let mount_point = mountinfo::absolute(mount_point).map_err(place_error)?;
        clear_dead(&mount_point)?;
        if !mount_point.metadata().map_err(place_error)?.is_dir() {
            return Err(place_error(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        let real_source = source.canonicalize().map_err(source_error)?;
        // Opening it as a path would succeed, and then every name in it be refused.
        rustix::fs::access(&real_source, Access::EXEC_OK)
            .map_err(|errno| source_error(errno.into()))?;
        refuse_second(&absolute_source, &real_source, &mount_point)?;
        let own = real_source != mount_point && mountinfo::lies_in(&mount_point, &real_source);
        Ok(Place {
            // Where the mount covers the way to the source, that way must not be walked again.
            follow: !mountinfo::lies_in(&real_source, &mount_point),
            own: own
                .then(|| {
                    mount_point
                        .strip_prefix(&real_source)
                        .ok()
                        .map(|path| path.as_os_str().to_owned())
                })
                .flatten(),
            source: absolute_source,
            mount_point,
        })
    }
}

/// Takes away a mount of ours whose daemon has died: it answers nothing but `ENOTCONN`.
fn clear_dead(mount_point: &Path) -> Result<(), Error> {
    const MOST: usize = 16;
    for _ in 0..MOST {
        let top = mountinfo::topmost(mount_point).map_err(Error::system("read the mount table"))?;
        let dead = |entry: &Entry| entry.kind == FILESYSTEM_TYPE && mountinfo::is_dead(mount_point);
        match top.filter(dead) {
            Some(entry) => {
                log::warn!(
                    "the daemon of {} has died: taking its mount away",
                    mount_point.display()
                );
                detach(&entry, true)?;
            }
            None => return Ok(()),
        }
    }
    Ok(())
}

fn refuse_second(source: &Path, real_source: &Path, mount_point: &Path) -> Result<(), Error> {
    let is_same = |mounted: &OsString| {
        let mounted = Path::new(mounted);
        mounted == source || mounted.canonicalize().is_ok_and(|path| path == real_source)
    };
    let top = mountinfo::topmost(mount_point).map_err(Error::system("read the mount table"))?;
    match top {
        Some(entry) if entry.kind == FILESYSTEM_TYPE && is_same(&entry.source) => {
            Err(Error::AlreadyMounted {
                source_path: source.to_owned(),
                path: mount_point.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// The mode to serve in. Where the one chosen cannot be had, the next best is taken and said.
fn coherence_of(root: &Root, options: &Options) -> Coherence {
    let choice = coherence::choose(options.coherence, &*root.current());
    let (mode, reason) = match choice.mode {
        Mode::Watch => (
            Mode::Strict,
            format!("{}; events are not followed yet", choice.reason),
        ),
        mode @ (Mode::Strict | Mode::Ttl) => (mode, choice.reason),
    };
    Coherence::new(mode, reason, options.lease)
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
        ..default
    }
}

/// The first SIGTERM or SIGINT unmounts, and if the mount is busy a second one detaches it. The
/// session ends by that, at once or with the mount's last user. One more signal ends the daemon
/// while that user still is there, after what was compiled has been written.
fn end_on_signal(signals: &mut Signals, entry: &Entry, foreground: bool, store: &Store) {
    const WRITING: Duration = Duration::from_secs(3);
    let (mut lazy, mut detached) = (false, false);
    for signal in signals.forever() {
        if signal == SIGHUP && !foreground {
            continue;
        }
        match detach(entry, lazy) {
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

fn answer(sources: &Sources, limit: u64, request: Request) -> serde_json::Value {
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
