//! The session: serves requests from a `/dev/fuse` descriptor until the mount is gone.

use fuser::{Config, SessionACL};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::counts::Counts;
use super::filesystem::Adapter;
use super::notifier::Notifier;
use super::pages::Pages;
use crate::operations::Operations;
use crate::proximity::Proximity;

/// A session whose handshake with the kernel is done: the mount answers from now on.
pub struct Session {
    session: fuser::Session<Adapter>,
    counts: Arc<Counts>,
    proximity: Arc<Proximity>,
}

impl Session {
    /// Shakes hands on the descriptor of a mount that was just made. The kernel checks who may
    /// use it, so every request that arrives is served. `share` makes all threads use this one
    /// connection, which costs them some time to take turns.
    pub fn new(
        operations: Arc<Operations>,
        device: OwnedFd,
        threads: usize,
        share: bool,
        proximity: Arc<Proximity>,
    ) -> io::Result<Session> {
        let counts = Arc::new(Counts::default());
        let unasked = operations.coherence().opens_unasked();
        let lists_unasked = operations.coherence().lists_unasked();
        let pages = match threads > 1 {
            true => Some(Pages::new(Notifier::new(device.as_fd())?)),
            false => None,
        };
        let adapter = Adapter {
            pages,
            unasked,
            lists_unasked,
            maps_direct: false,
            proximity: Arc::clone(&proximity),
            operations,
            counts: Arc::clone(&counts),
        };
        let mut config = Config::default();
        config.n_threads = Some(threads.max(1));
        config.clone_fd = !share;
        let session = fuser::Session::from_fd(adapter, device, SessionACL::All, config)?;
        Ok(Session {
            session,
            counts,
            proximity,
        })
    }

    /// Requests so far, by operation.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Serves until the filesystem is unmounted.
    pub fn run(self) -> io::Result<()> {
        let Session {
            session, proximity, ..
        } = self;
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("proximity".to_owned())
                .spawn_scoped(scope, || proximity.watch())?;
            let outcome = session.run();
            proximity.end();
            outcome
        })
    }
}
