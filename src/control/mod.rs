//! The control socket of a mount: how `pycfs status`, `gc` and `verify` talk to a daemon.
//!
//! One socket per mount in a directory that only its owner can enter. A request is one line, the
//! answer one JSON value. Invariant: the socket never touches the mount.

mod client;
mod place;
mod server;

pub use client::{Failure, ask, ask_pid};
pub use place::{private_directory, socket_of};
pub use server::{Request, Server};
