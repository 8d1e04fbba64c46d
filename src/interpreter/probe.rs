//! Asks a program what interpreter it is, by a worker that does nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};

use super::protocol::Hello;
use super::rules::Rules;
use super::spawner::{Running, Spawner};
use super::worker::{Kind, Trouble, Worker};

/// A worker that is started only to hear what its interpreter is.
pub struct Probe {
    started: Receiver<std::io::Result<Worker>>,
}

impl Probe {
    /// Has `program` started.
    pub fn start(
        program: &Path,
        rules: &Rules,
        hidden: &[PathBuf],
        spawner: &Spawner,
        greet_by: Instant,
    ) -> Probe {
        let (sender, started) = bounded(1);
        let program: Arc<Path> = program.into();
        let recipe = rules.recipe(Arc::clone(&program), Kind::Plain, hidden);
        match recipe.launch() {
            Ok((launch, socket)) => {
                let started = move |process: std::io::Result<Running>| {
                    let made =
                        process.map(|process| Worker::new(process, socket, program, 0, greet_by));
                    let _ = sender.send(made);
                };
                spawner.start(launch, Box::new(started));
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        }
        Probe { started }
    }

    /// Waits for the hello. The error says why the program is none of ours.
    pub fn finish(self, deadline: Instant) -> Result<Arc<Hello>, String> {
        let mut worker = self
            .started
            .recv_deadline(deadline)
            .map_err(|_| "it does not start".to_owned())?
            .map_err(|error| error.to_string())?;
        worker.greet(deadline).map_err(|trouble| match trouble {
            Trouble::Late => "no hello in time".to_owned(),
            Trouble::Died(how) => format!("it ended: {how}"),
            Trouble::Garbage(what) => what,
        })
    }
}
