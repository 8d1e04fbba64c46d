//! `pycfs status`, for people and for programs; readiness and logs.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use pycfs::pyc::Target;
use serde_json::Value;

use crate::common::background::{
    Background, PATIENCE, bounded, ends_with, eventually, in_own_namespace, is_running, pyc_in,
};
use crate::common::mounted::pycfs;
use crate::common::{interpreters, skipped};

/// What a program may rely on finding: pointer and kind.
const KEYS: [(&str, &str); 35] = [
    ("/pid", "number"),
    ("/version", "string"),
    ("/source", "string"),
    ("/mount_point", "string"),
    ("/uptime_seconds", "number"),
    ("/invalidation_mode", "string"),
    ("/coherence/mode", "string"),
    ("/coherence/reason", "string"),
    ("/coherence/lease_ms", "number"),
    ("/follows_replaced_source", "bool"),
    ("/allow_other", "bool"),
    ("/deadline_ms", "number"),
    ("/backend", "string"),
    ("/interpreters", "object"),
    ("/in_use", "array"),
    ("/synthesis/lookups", "number"),
    ("/synthesis/memory_hits", "number"),
    ("/synthesis/store_hits", "number"),
    ("/synthesis/misses", "number"),
    ("/synthesis/compiles", "number"),
    ("/synthesis/absent_rejected", "number"),
    ("/synthesis/absent_deadline", "number"),
    ("/compiling", "number"),
    ("/requests", "object"),
    ("/inodes", "number"),
    ("/open_handles", "number"),
    ("/resident_bytes", "number"),
    ("/store/state", "string"),
    ("/store/dir", "string"),
    ("/store/limit", "number"),
    ("/store/hits", "number"),
    ("/store/misses_absent", "number"),
    ("/store/misses_corrupt", "number"),
    ("/store/written", "number"),
    ("/store/evicted", "number"),
];

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn every_key_is_there_and_people_see_the_same() {
    let Some(it) = Background::mounted(&["-o", "deadline=7s,store_size=123M"]) else {
        return;
    };
    let status = it.status().unwrap();
    for (key, expected) in KEYS {
        let value = status.pointer(key).unwrap_or(&Value::Null);
        assert_eq!(kind(value), expected, "{key}: {status:#}");
    }
    assert_eq!(status["source"], it.source().to_str().unwrap());
    assert_eq!(status["mount_point"], it.mount_point().to_str().unwrap());
    assert_eq!(status["deadline_ms"], 7000);
    assert_eq!(status["store"]["limit"], 123 << 20);
    assert_eq!(status["store"]["dir"], it.store().to_str().unwrap());
    let output = bounded(pycfs().arg("status").arg(it.mount_point()));
    let text = String::from_utf8(output.stdout).unwrap();
    let heading = format!(
        "{} on {}",
        it.source().display(),
        it.mount_point().display()
    );
    assert_eq!(text.lines().next(), Some(heading.as_str()));
    let pid = status["pid"].to_string();
    for part in [
        "daemon",
        &pid,
        "timestamp",
        "interpreter",
        "store",
        it.store().to_str().unwrap(),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    for flags in [&[][..], &["--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = pycfs()
            .arg("status")
            .args(flags)
            .arg(it.mount_point())
            .stdout(writer)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(0), ""), "{flags:?}");
    }
}

#[test]
fn a_failure_that_nobody_reads_of_has_the_same_exit_code() {
    let missing = "/nonexistent/pycfs";
    for arguments in [
        &["status", missing][..],
        &["umount", missing],
        &["sync", missing],
        &["warm", missing],
        &["mount", missing, missing],
        &["mount", "-f", missing, missing],
        &["compile", "--no-such-option"],
        &["verify", "--no-such-option"],
    ] {
        let heard = pycfs().args(arguments).output().unwrap();
        assert!(!heard.stderr.is_empty(), "{arguments:?}: {heard:?}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut unheard = pycfs();
        unheard.args(arguments).stdout(Stdio::null()).stderr(writer);
        let code = unheard.status().unwrap().code();
        assert_eq!(code, heard.status.code(), "{arguments:?}");
    }
}

#[test]
fn all_mounts_are_listed_and_one_is_found_by_any_path_to_it() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    let other = it.dir().join("other");
    fs::create_dir(&other).unwrap();
    it.also_unmount(&other);
    ends_with(0, it.command().arg(it.source()).arg(&other));
    let output = bounded(pycfs().args(["status", "--json"]));
    let list: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for place in [it.mount_point(), &other] {
        let found = list
            .iter()
            .filter(|mount| mount["mount_point"] == place.to_str().unwrap());
        assert_eq!(found.count(), 1);
    }
    let text = bounded(pycfs().arg("status")).stdout;
    let text = String::from_utf8_lossy(&text);
    for place in [it.mount_point(), &other] {
        assert!(text.contains(&format!("on {}", place.display())), "{text}");
    }
    symlink(&other, it.dir().join("link")).unwrap();
    for path in ["link", "other/", "./src/../other"] {
        let output = bounded(
            pycfs()
                .args(["status", "--json", path])
                .current_dir(it.dir()),
        );
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(status["mount_point"], other.to_str().unwrap(), "{path}");
    }
    ends_with(0, pycfs().arg("umount").arg(&other));
}

#[test]
fn without_mounts_there_is_nothing_to_tell() {
    let Some(it) = Background::prepared() else {
        return;
    };
    in_own_namespace(|| {
        let _ = bounded(Command::new("umount").args(["-l", "-a", "-t", "fuse.pycfs"]));
        for (flags, expected) in [(&[][..], "nothing is mounted\n"), (&["--json"], "[]\n")] {
            let output = bounded(pycfs().arg("status").args(flags));
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
            assert_eq!(output.status.code(), Some(0));
        }
    });
    for path in [it.mount_point(), &it.dir().join("missing")] {
        let said = ends_with(1, pycfs().arg("status").arg(path));
        assert!(said.contains("not a pycfs mount"), "{said}");
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
}

#[test]
fn requests_are_counted_by_operation() {
    let Some(it) = Background::prepared() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    symlink("mod.py", it.source().join("link")).unwrap();
    it.mount(&["-o", "coherence=ttl"]);
    let counts = || it.status().unwrap()["requests"].clone();
    let place = it.mount_point();
    let grows = |operations: &[&str], action: &dyn Fn()| {
        let before = counts();
        action();
        let after = counts();
        for operation in operations {
            let number = |counts: &Value| counts[*operation].as_u64().unwrap();
            assert!(
                number(&after) > number(&before),
                "{operation}: {before} {after}"
            );
        }
    };
    grows(&["lookup", "open", "read"], &|| {
        fs::read(place.join("mod.py")).unwrap();
    });
    eventually("the release is counted", || {
        counts()["release"].as_u64().unwrap() > 0
    });
    grows(&["opendir", "readdir"], &|| {
        fs::read_dir(place).unwrap().for_each(drop);
    });
    grows(&["readlink"], &|| {
        fs::read_link(place.join("link")).unwrap();
    });
    grows(&["statfs"], &|| {
        rustix::fs::statvfs(place).unwrap();
    });
    grows(&["getxattr"], &|| {
        let _ = rustix::fs::getxattr(place.join("mod.py"), c"user.x", &mut [0_u8; 8]);
    });
    grows(&["ioctl"], &|| {
        let file = fs::File::open(place.join("mod.py")).unwrap();
        assert!(rustix::termios::tcgetattr(&file).is_err());
    });
}

#[test]
fn answers_are_counted_by_where_they_came_from_or_why_there_was_none() {
    let Some(it) = Background::prepared() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    it.write("broken.py", "def f(:\n");
    let mount = || {
        let mut command = it.command();
        command
            // Few interpreters, so that one is missing.
            .env("PATH", "/usr/bin:/bin")
            .env("PYENV_ROOT", "/nonexistent")
            .args(["--deadline", "60s", "-o", "coherence=strict"])
            .args([it.source(), it.mount_point()]);
        ends_with(0, &mut command);
        it.adopt();
    };
    mount();
    let known = it.status().unwrap()["interpreters"].clone();
    let has = |target: &Target| known.get(target.to_string()).is_some();
    let (Some(target), Some(missing)) = (Target::all().find(has), Target::all().find(|t| !has(t)))
    else {
        skipped("the system's directories have no interpreter, or all of them");
        return;
    };
    let place = it.mount_point();
    let grown = |key: &str, action: &dyn Fn()| {
        let before = it.count(key);
        action();
        let status = it.status().unwrap();
        let after = status.pointer(key).and_then(Value::as_u64);
        assert_eq!(after, Some(before + 1), "{key}: {:#}", status["synthesis"]);
    };
    let present = |stem: &str| pyc_in(place, stem, target).exists();
    grown("/synthesis/misses", &|| assert!(present("mod")));
    assert_eq!(it.count("/synthesis/compiled"), 1);
    assert_eq!(it.count("/store/misses_absent"), 1);
    grown("/synthesis/memory_hits", &|| assert!(present("mod")));
    grown("/synthesis/absent_rejected", &|| {
        assert!(!present("broken"))
    });
    grown("/synthesis/absent_rejected", &|| {
        assert!(!present("broken"))
    });
    grown("/synthesis/absent_no_source", &|| {
        assert!(!present("other"))
    });
    grown("/synthesis/absent_no_compiler", &|| {
        assert!(!pyc_in(place, "mod", missing).exists());
    });
    eventually("the entry is written", || it.count("/store/written") == 1);
    ends_with(0, pycfs().arg("umount").arg(place));
    mount();
    it.store_opened();
    grown("/synthesis/store_hits", &|| assert!(present("mod")));
    assert_eq!(it.count("/synthesis/compiles"), 0);
}

#[test]
fn the_service_manager_is_told_when_the_mount_answers() {
    for name in ["path", "abstract"] {
        let Some(mut it) = Background::prepared() else {
            return;
        };
        it.write("mod.py", "value = 1\n");
        let path = it.dir().join("notify");
        let socket = if name == "path" {
            UnixDatagram::bind(&path).unwrap()
        } else {
            use std::os::linux::net::SocketAddrExt;
            let address =
                std::os::unix::net::SocketAddr::from_abstract_name(path.as_os_str().as_bytes());
            UnixDatagram::bind_addr(&address.unwrap()).unwrap()
        };
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let prefix = if name == "path" { "" } else { "@" };
        let mut command = it.command();
        command
            .arg("-f")
            .env("NOTIFY_SOCKET", format!("{prefix}{}", path.display()))
            .stderr(Stdio::null());
        let probe = std::thread::spawn({
            let module = it.mount_point().join("mod.py");
            move || {
                let mut message = [0; 64];
                let length = socket.recv(&mut message).unwrap();
                (message[..length].to_vec(), module.exists())
            }
        });
        it.start_with(command);
        let (message, answers) = probe.join().unwrap();
        let lines: Vec<&[u8]> = message.split(|byte| *byte == b'\n').collect();
        assert!(lines.contains(&b"READY=1".as_slice()), "{message:?}");
        assert!(answers, "the mount answers by then");
    }
}

#[test]
fn the_log_goes_to_a_file_at_the_level_that_is_asked_for() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = interpreters().pop() else {
        return;
    };
    it.write("broken.py", "def f(:\n");
    // Relative, although the daemon leaves the directory.
    for (level, debug, info) in [
        ("debug", true, true),
        ("info", false, true),
        ("off", false, false),
    ] {
        let name = format!("log.{level}");
        let mut command = pycfs();
        command
            .args([
                "mount",
                "-o",
                &format!("log={name},store={}", it.store().display()),
            ])
            .args(["src", "mnt"])
            .env("PYCFS_LOG", level)
            .current_dir(it.dir());
        ends_with(0, &mut command);
        let pid = it.adopt();
        assert!(!pyc_in(it.mount_point(), "broken", target).exists());
        ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
        eventually("the daemon has ended", || !is_running(pid));
        let log = fs::read_to_string(it.dir().join(name)).unwrap();
        assert_eq!(log.contains("is mounted on"), info, "{level}: {log}");
        assert_eq!(log.contains("is unmounted"), info, "{level}: {log}");
        assert_eq!(log.contains("DEBUG"), debug, "{level}: {log}");
    }
    let mut command = pycfs();
    let options = format!(
        "log={}/none/log,store={}",
        it.dir().display(),
        it.store().display()
    );
    command
        .args(["mount", "-o", &options])
        .args([it.source(), it.mount_point()]);
    let said = ends_with(1, &mut command);
    assert!(said.contains("none/log"), "{said}");
}
