//! Events that do not come: the kernel's queue overflows, or it grants no more watches. Nothing may be stale for it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::background::{bounded, eventually, pyc_in, signal};
use common::mounted::{Mounted, can_mount, pycfs};
use common::{interpreters, skipped};
use pycfs::compiler::Compiler;
use pycfs::compiler::native::backend::NativeCompiler;
use pycfs::pyc::Target;
use rustix::process::Signal;

const MODULES: usize = 50;

/// The content of a module and its entry through the mount; of the entry, what tells the generation.
fn seen(mounted: &Mounted, number: usize, target: Target) -> (String, bool, bool) {
    let name = format!("m{number}");
    let text = fs::read_to_string(mounted.mount_point().join(format!("{name}.py"))).unwrap();
    let code = fs::read(pyc_in(mounted.mount_point(), &name, target)).unwrap();
    let has = |word: &[u8]| code.windows(word.len()).any(|window| window == word);
    (text, has(b"first"), has(b"later"))
}

fn write(mounted: &Mounted, word: &str) {
    for number in 0..MODULES {
        mounted.write(&format!("m{number}.py"), format!("value = '{word}'\n"));
    }
}

/// The most events that a queue holds; the kernel's default where it does not say.
fn queue(events: &str) -> usize {
    let kind = if events == "inotify" {
        events
    } else {
        "fanotify"
    };
    fs::read_to_string(format!("/proc/sys/fs/{kind}/max_queued_events"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(16_384)
}

#[test]
fn a_queue_that_overflows_drops_everything_and_leaves_nothing_stale() {
    let Some((target, _)) = interpreters().pop() else {
        return;
    };
    for events in ["auto", "inotify"] {
        let Some(mut mounted) = Mounted::prepared() else {
            return;
        };
        write(&mounted, "first");
        fs::create_dir(mounted.source().join("many")).unwrap();
        mounted.start(&[
            "-o",
            &format!("coherence=watch,events={events},lease=3600s"),
        ]);
        let status = mounted.status().unwrap();
        if status["coherence"]["mode"] != "watch" {
            skipped("no watch mode here");
            continue;
        }
        // The directory is held, so that its events count with inotify too.
        assert_eq!(
            fs::read_dir(mounted.mount_point().join("many"))
                .unwrap()
                .count(),
            0
        );
        let absent = mounted.mount_point().join("absent.py");
        assert!(!absent.exists());
        for number in 0..MODULES {
            let right = ("value = 'first'\n".to_owned(), true, false);
            assert_eq!(seen(&mounted, number, target), right);
        }
        let before = mounted.count("/followed/everything");

        // Nobody reads the queue while more happens than it holds; what the kernel keeps cannot be dropped meanwhile.
        signal(mounted.pid(), Signal::STOP);
        for number in 0..queue(events) + 100 {
            let path = mounted.source().join(format!("many/{number}"));
            fs::write(&path, "").unwrap();
        }
        write(&mounted, "later");
        mounted.write("absent.py", "value = 'come'\n");
        signal(mounted.pid(), Signal::CONT);
        mounted.settle();

        assert!(
            mounted.count("/followed/everything") > before,
            "{events}: it overflowed"
        );
        for number in 0..MODULES {
            let right = ("value = 'later'\n".to_owned(), false, true);
            assert_eq!(seen(&mounted, number, target), right, "{events} {number}");
        }
        assert!(absent.exists(), "{events}");
        // Events are followed as before.
        write(&mounted, "first");
        mounted.settle();
        assert_eq!(
            seen(&mounted, 0, target),
            ("value = 'first'\n".to_owned(), true, false)
        );
    }
}

/// A script's steps in a user namespace that grants few inotify watches: its root may mount, and may not have events
/// of whole filesystems. `$1` is the program, `$2` the source, `$3` the mount point, `$4` the store.
const FEW_WATCHES: &str = r#"
set -e
echo 5 >/proc/sys/user/max_inotify_watches
"$1" mount -f -o "coherence=watch,lease=3600s,store=$4,no_allow_other" "$2" "$3" 2>"$4.log" &
for try in $(seq 200); do "$1" status "$3" --json >"$4.json" 2>/dev/null && break; sleep 0.1; done
word() { tr -c 'a-z\n' ' ' <"$1" | grep -o -w -m 1 -e first -e later; }
read_all() { for n in $(seq 0 19); do word "$3/d$n/m.py"; word "$3/d$n/__pycache__/m.$5.pyc"; done; }
read_all "$@" | sort | uniq -c
read_all "$@" >/dev/null
for n in $(seq 0 19); do echo "value = 'later'" >"$2/d$n/m.py"; done
# No barrier: what no event covers is asked for at each use, and the rest has its event.
for try in $(seq 300); do [ "$(read_all "$@" | sort -u)" = later ] && break; sleep 0.1; done
read_all "$@" | sort | uniq -c
"$1" sync "$3"
read_all "$@" | sort | uniq -c
"$1" status "$3" --json >"$4.json"
"$1" umount "$3"
wait
"#;

#[test]
fn where_no_more_watches_are_granted_names_are_asked_for_and_nothing_is_stale() {
    if !can_mount() {
        return;
    }
    let unshare = [
        "--user",
        "--map-root-user",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    let granted = Command::new("unshare").args(unshare).arg("true").status();
    if !granted.is_ok_and(|status| status.success()) {
        return skipped("this machine grants no user namespaces");
    }
    // No interpreter runs as another user there.
    let target = NativeCompiler.targets().pop().unwrap();
    let Some(mounted) = Mounted::prepared() else {
        return;
    };
    for number in 0..20 {
        mounted.write(&format!("d{number}/m.py"), "value = 'first'\n");
    }
    let output = bounded(
        Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", FEW_WATCHES, "sh"])
            .arg(pycfs().get_program())
            .args([mounted.source(), mounted.mount_point(), mounted.store()])
            .arg(target.cache_tag()),
    );
    let told = String::from_utf8_lossy(&output.stdout);
    let counts: Vec<&str> = told.lines().map(str::trim).collect();
    let file = |suffix: &str| -> PathBuf {
        let mut path = mounted.store().as_os_str().to_owned();
        path.push(suffix);
        path.into()
    };
    let log = fs::read_to_string(file(".log")).unwrap();
    assert_eq!(counts, ["40 first", "40 later", "40 later"], "{log}");
    let status: serde_json::Value =
        serde_json::from_slice(&fs::read(file(".json")).unwrap()).unwrap();
    assert_eq!(status["coherence"]["mode"], "watch");
    let reason = status["coherence"]["reason"].as_str().unwrap();
    assert!(reason.contains("inotify"), "{reason}");
    assert!(
        status["followed"]["unwatched"].as_u64().unwrap() > 0,
        "{status}"
    );
    assert_eq!(
        log.matches("max_user_watches").count(),
        1,
        "said once, with the way out: {log}"
    );
    gone(mounted.mount_point());
}

/// Nothing is left of the mount.
fn gone(place: &Path) {
    eventually("it is unmounted", || {
        fs::read_dir(place).is_ok_and(|mut left| left.next().is_none())
    });
}
