//! `pycfs status`: what each mount's daemon tells, for people or as JSON.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::{fail, show};
use crate::complaint::complain;
use crate::control::{Failure, Request, ask};
use crate::mount::{self, Entry};

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The arguments of `pycfs status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: one object for a mount, a list of them without one.
    #[arg(long)]
    json: bool,
    /// The mount to show; all of them without one.
    mount_point: Option<PathBuf>,
}

/// Shows the status. Fails if a mount's daemon does not answer.
pub fn run(args: &Args) -> ExitCode {
    match &args.mount_point {
        Some(path) => one(path, args.json),
        None => all(args.json),
    }
}

fn one(path: &Path, as_json: bool) -> ExitCode {
    let entry = match mount::find(path) {
        Ok(Some(entry)) => entry,
        Ok(None) => return fail(mount::Error::NotMounted(path.to_owned())),
        Err(error) => return fail(format!("cannot read the mount table: {error}")),
    };
    match ask(&entry.socket(), Request::Status, PATIENCE) {
        Ok(status) if as_json => show(format_args!("{status:#}\n")),
        Ok(status) => show(text(&status)),
        Err(error) => fail(silence(&entry, &error)),
    }
}

/// What is known of a mount whose daemon does not answer, and what to do about it.
fn silence(entry: &Entry, error: &Failure) -> String {
    let place = entry.mount_point.display();
    let us = rustix::process::geteuid();
    // One that listens and is slow is not dead, and touching its mount could take for ever.
    if error.nobody_listens() && entry.is_dead() {
        return format!(
            "{place}: its daemon has died; mount it again, or take it away: pycfs umount {place}"
        );
    }
    if entry.owner != us.as_raw() {
        return format!(
            "{place}: {error}; it belongs to another user: ask as the one with the id {}",
            entry.owner
        );
    }
    format!("{place}: {error}; to take the mount away: pycfs umount {place}")
}

fn all(as_json: bool) -> ExitCode {
    let mounts = match mount::ours() {
        Ok(mounts) => mounts,
        Err(error) => return fail(format!("cannot read the mount table: {error}")),
    };
    let mut list = Vec::new();
    let mut silent = false;
    for entry in &mounts {
        match ask(&entry.socket(), Request::Status, PATIENCE) {
            Ok(status) => list.push(status),
            Err(error) => {
                let error = silence(entry, &error);
                complain(format_args!("pycfs: {error}"));
                list.push(json!({
                    "mount_point": entry.mount_point.to_string_lossy(),
                    "source": entry.source.to_string_lossy(),
                    "error": error,
                }));
                silent = true;
            }
        }
    }
    let code = if as_json {
        show(format_args!("{:#}\n", Value::Array(list)))
    } else if list.is_empty() {
        show("nothing is mounted\n")
    } else {
        show(list.iter().map(text).collect::<String>())
    };
    if silent { ExitCode::FAILURE } else { code }
}

/// The status for people: a heading, then one line a subject.
fn text(status: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines = Vec::new();
    let field = |name: &str| status.get(name).map(plain).unwrap_or_default();
    lines.push(format!("{} on {}", field("source"), field("mount_point")));
    for (label, name) in [
        ("daemon", "pid"),
        ("up, seconds", "uptime_seconds"),
        ("headers", "invalidation_mode"),
        ("backend", "backend"),
        ("memory, bytes", "resident_bytes"),
        ("inodes", "inodes"),
    ] {
        lines.push(format!("  {label:<15} {}", field(name)));
    }
    let coherence = |name: &str| status.pointer(name).map(plain).unwrap_or_default();
    lines.push(format!(
        "  {:<15} {} ({})",
        "coherence",
        coherence("/coherence/mode"),
        coherence("/coherence/reason")
    ));
    let list = |name: &str| match status.get(name) {
        Some(Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    };
    lines.push(format!("  {:<15} {}", "in use", list("in_use")));
    for group in [
        "interpreters",
        "followed",
        "synthesis",
        "requests",
        "near",
        "store",
    ] {
        let Some(Value::Object(members)) = status.get(group) else {
            continue;
        };
        lines.push(format!("  {group}"));
        flat(members, "", &mut |name, value| {
            if *value != json!(0) && !value.is_null() {
                lines.push(format!("    {name:<25} {}", plain(value)));
            }
        });
    }
    lines.join("\n") + "\n"
}

/// Calls `show` with each value that is no object, named by its path.
fn flat(
    members: &serde_json::Map<String, Value>,
    prefix: &str,
    show: &mut impl FnMut(&str, &Value),
) {
    for (name, value) in members {
        let name = format!("{prefix}{name}");
        match value {
            Value::Object(inner) => flat(inner, &format!("{name}."), show),
            other => show(&name, other),
        }
    }
}
