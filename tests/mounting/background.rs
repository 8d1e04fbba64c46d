//! `pycfs mount` into the background: what the parent reports, and what the daemon leaves behind
//! of where it came from.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use crate::common::background::{
    Background, bounded, ending, ends_with, eventually, is_running, pyc_in,
};
use crate::common::interpreters;
use crate::common::mounted::pycfs;

#[test]
fn the_parent_returns_when_the_mount_answers() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = interpreters().pop() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    it.mount(&[]);
    assert!(it.mount_point().join("mod.py").exists());
    assert!(pyc_in(it.mount_point(), "mod", target).exists());
}

/// A mount that must fail: its exit code and what was said.
fn fails(it: &Background, code: i32, source: &Path, mount_point: &Path, says: &[&str]) {
    for flags in [&[][..], &["-f"]] {
        let mut command = it.command();
        let said = ends_with(code, command.args(flags).arg(source).arg(mount_point));
        for part in says {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(said.trim_end().lines().count(), 1, "one line: {said}");
    }
}

#[test]
fn what_is_missing_or_wrong_is_told_by_the_parent_with_32() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let (source, mount_point) = (it.source(), it.mount_point());
    let file = it.write("file", "");
    let missing = it.dir().join("missing");
    let missing_text = missing.to_str().unwrap();
    fails(
        &it,
        32,
        &missing,
        mount_point,
        &[missing_text, "No such file", "source"],
    );
    fails(
        &it,
        32,
        source,
        &missing,
        &[missing_text, "No such file", "mount point"],
    );
    fails(
        &it,
        32,
        source,
        &file,
        &[file.to_str().unwrap(), "mount point"],
    );
    fails(
        &it,
        32,
        &file,
        mount_point,
        &[file.to_str().unwrap(), "source"],
    );
}

#[test]
fn wrong_use_ends_with_1() {
    let Some(it) = Background::prepared() else {
        return;
    };
    for options in [
        &["-o", "no_such_option"][..],
        &["-o", "deadline=soon"],
        &["--deadline", "soon"],
        &["--invalidation-mode", "never"],
        &["--store-size", "much"],
        &["--no-such-flag"],
    ] {
        let mut command = it.command();
        command.args(options).arg(it.source()).arg(it.mount_point());
        let said = ends_with(1, &mut command);
        let word = options.last().unwrap().rsplit('=').next().unwrap();
        assert!(said.contains(word), "{word}: {said}");
    }
    ends_with(1, pycfs().arg("mount"));
    ends_with(1, pycfs().args(["umount", "--no-such-flag"]));
    ends_with(0, pycfs().args(["mount", "--help"]));
}

#[test]
fn a_second_mount_of_the_same_source_is_refused_with_32() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    let mount_point = it.mount_point().to_str().unwrap();
    fails(
        &it,
        32,
        it.source(),
        it.mount_point(),
        &["already mounted", mount_point],
    );
    // Also when it is named in another way.
    let roundabout = it.source().join("../src");
    fails(
        &it,
        32,
        &roundabout,
        it.mount_point(),
        &["already mounted", mount_point],
    );
}

#[test]
fn without_the_device_the_parent_says_what_to_do() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let script = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec \"$@\"";
    for flags in [&[][..], &["-f"]] {
        let command = it.command();
        let mut inside = Command::new("unshare");
        inside
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .args(flags)
            .args([it.source(), it.mount_point()]);
        let said = ends_with(2, &mut inside);
        assert!(
            said.contains("/dev/fuse") && said.contains("modprobe fuse"),
            "{said}"
        );
    }
}

#[test]
fn the_daemon_is_in_a_session_of_its_own_at_the_root_with_no_stream_of_the_caller() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = interpreters().pop() else {
        return;
    };
    // A descriptor that the caller forgot to close, as shells do with `exec 9>lock`.
    let lock = fs::File::create(it.dir().join("lock")).unwrap();
    rustix::io::fcntl_setfd(&lock, rustix::io::FdFlags::empty()).unwrap();
    let number = lock.as_raw_fd();
    it.write("mod.py", "value = 1\n");
    let mut command = it.command();
    command.current_dir(it.dir()).args(["src", "mnt"]);
    // Returns only when nobody holds the streams any more.
    let output = bounded(&mut command);
    assert_eq!(ending(&output), (Some(0), String::new()));
    let pid = it.adopt();
    assert!(pyc_in(it.mount_point(), "mod", target).exists());
    let process = Path::new("/proc").join(pid.to_string());
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    for stream in 0..3 {
        let open = fs::read_link(process.join("fd").join(stream.to_string())).unwrap();
        assert_eq!(open, Path::new("/dev/null"));
    }
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(fields[3], pid.to_string(), "its own session: {stat}");
    let inherited = fs::read_link(process.join("fd").join(number.to_string()));
    assert!(
        !inherited.is_ok_and(|path| path == it.dir().join("lock")),
        "the caller's other descriptors are closed"
    );
}

#[test]
fn a_pipeline_with_mount_at_its_head_ends() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, interpreter)) = interpreters().pop() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    let command = it.command();
    let mut pipeline = Command::new("sh");
    pipeline
        .args(["-c", "{ \"$@\"; echo $?; } 2>&1 | cat", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        // An interpreter that is named is run before the mount is there.
        .arg("--interpreter")
        .arg(&interpreter)
        .args([it.source(), it.mount_point()]);
    let output = bounded(&mut pipeline);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n");
    it.adopt();
    assert!(pyc_in(it.mount_point(), "mod", target).exists());
}

#[test]
fn many_mounts_of_one_source_live_side_by_side() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    let Some((target, _)) = interpreters().pop() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    let other = it.dir().join("other");
    fs::create_dir(&other).unwrap();
    it.also_unmount(&other);
    ends_with(0, it.command().arg(it.source()).arg(&other));
    for root in [it.mount_point(), &other] {
        assert!(pyc_in(root, "mod", target).exists());
    }
    ends_with(0, pycfs().arg("umount").arg(&other));
    assert!(it.status().is_some(), "the first one stays");
}

#[test]
fn mounting_over_the_source_itself_works_and_ends_cleanly() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = interpreters().pop() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    let source = it.source().to_owned();
    ends_with(0, it.command().arg(&source).arg(&source));
    assert!(pyc_in(&source, "mod", target).exists());
    let text =
        String::from_utf8(bounded(pycfs().args(["status", "--json"]).arg(&source)).stdout).unwrap();
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pid = u32::try_from(status["pid"].as_u64().unwrap()).unwrap();
    ends_with(32, it.command().arg(&source).arg(&source));
    ends_with(0, pycfs().arg("umount").arg(&source));
    eventually("the daemon has ended", || !is_running(pid));
    assert!(!source.join("__pycache__").exists());
    assert!(source.join("mod.py").exists());
}
