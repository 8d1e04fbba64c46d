//! mount(8) and fstab: `mount.pycfs` and `mount.fuse.pycfs`, as symlinks to the program.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FlockOperation;

use crate::common::background::{
    Background, bounded, ends_with, eventually, is_running, mounts_at, pyc_in,
};
use crate::common::interpreters;
use crate::common::mounted::pycfs;

/// The two names in `/sbin`, as long as this lives. One test at a time has them.
struct Names {
    _turn: File,
}

const NAMES: [&str; 2] = ["/sbin/mount.pycfs", "/sbin/mount.fuse.pycfs"];

fn aside(name: &str) -> String {
    format!("{name}.aside-for-tests")
}

impl Names {
    fn install() -> Names {
        let turn = File::create("/run/lock/pycfs-tests-sbin").unwrap();
        rustix::fs::flock(&turn, FlockOperation::LockExclusive).unwrap();
        let program = pycfs();
        for name in NAMES {
            if fs::symlink_metadata(aside(name)).is_err() {
                let _ = fs::rename(name, aside(name));
            }
            let _ = fs::remove_file(name);
            symlink(program.get_program(), name).unwrap();
        }
        Names { _turn: turn }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for name in NAMES {
            let _ = fs::remove_file(name);
            let _ = fs::rename(aside(name), name);
        }
    }
}

/// `mount` or `umount` with the tests' interpreters on PATH.
fn system(program: &str) -> Command {
    let mut command = Command::new(program);
    let pycfs = pycfs();
    for (name, value) in pycfs.get_envs() {
        command.env(name, value.unwrap());
    }
    command
}

/// A fstab of one line, with what its syntax wants escaped.
fn fstab(it: &Background, source: &Path, mount_point: &Path, kind: &str, options: &str) -> PathBuf {
    let escaped = |path: &Path| {
        path.to_str()
            .unwrap()
            .replace('\\', "\\134")
            .replace(' ', "\\040")
    };
    let line = format!(
        "{} {} {kind} {options} 0 0\n",
        escaped(source),
        escaped(mount_point)
    );
    let path = it.dir().join("fstab");
    fs::write(&path, line).unwrap();
    path
}

fn options(it: &Background, more: &str) -> String {
    format!(
        "store={},log={}{more}",
        it.store().display(),
        it.log_file().display()
    )
}

fn mount(fstab: &Path, arguments: &[&OsStr]) -> Command {
    let mut command = system("mount");
    command.arg("-T").arg(fstab).args(arguments);
    command
}

#[test]
fn a_line_of_fstab_mounts_with_a_and_by_its_mount_point_and_twice() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, interpreter)) = interpreters().pop() else {
        return;
    };
    // mount(8) takes PATH away, so one in an unusual place is named.
    let more = format!(",allow_other,interpreter={}", interpreter.display());
    let _names = Names::install();
    it.write("mod.py", "value = 1\n");
    let (source, place) = (it.source(), it.mount_point());
    for kind in ["pycfs", "fuse.pycfs"] {
        let file = fstab(&it, source, place, kind, &options(&it, &more));
        let all = OsStr::new("-a");
        ends_with(0, &mut mount(&file, &[all]));
        let pid = it.adopt();
        assert!(pyc_in(place, "mod", target).exists());
        ends_with(0, &mut mount(&file, &[all]));
        assert_eq!(it.adopt(), pid, "the same daemon");
        let expected = ("fuse.pycfs".to_owned(), source.to_str().unwrap().to_owned());
        assert_eq!(mounts_at(place), std::slice::from_ref(&expected), "{kind}");
        ends_with(0, system("umount").arg(place));
        eventually("the daemon has ended", || !is_running(pid));
        ends_with(0, &mut mount(&file, &[place.as_os_str()]));
        it.adopt();
        assert_eq!(mounts_at(place), [expected]);
        // By hand a second time: refused, as mount(8) does for any filesystem.
        let said = ends_with(32, &mut mount(&file, &[place.as_os_str()]));
        assert!(said.contains("already mounted"), "{said}");
        ends_with(0, system("umount").arg(place));
    }
}

#[test]
fn a_source_that_is_a_symlink_is_mounted_once() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let _names = Names::install();
    let current = it.dir().join("current");
    symlink(it.source(), &current).unwrap();
    let file = fstab(&it, &current, it.mount_point(), "pycfs", &options(&it, ""));
    for _ in 0..2 {
        ends_with(0, &mut mount(&file, &[OsStr::new("-a")]));
        it.adopt();
        assert_eq!(mounts_at(it.mount_point()).len(), 1);
    }
}

#[test]
fn findmnt_shows_type_source_and_options() {
    let Some(it) = Background::mounted(&["-o", "noexec"]) else {
        return;
    };
    let output = bounded(
        Command::new("findmnt")
            .args(["-t", "fuse.pycfs", "-rno", "SOURCE,FSTYPE,OPTIONS"])
            .arg(it.mount_point()),
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let fields: Vec<&str> = text.trim().split(' ').collect();
    assert_eq!(fields[..2], [it.source().to_str().unwrap(), "fuse.pycfs"]);
    let shown: Vec<&str> = fields[2].split(',').collect();
    for option in [
        "ro",
        "nosuid",
        "nodev",
        "noexec",
        "default_permissions",
        "allow_other",
    ] {
        assert!(shown.contains(&option), "{option}: {shown:?}");
    }
}

#[test]
fn what_fstab_has_for_every_filesystem_is_ignored() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let _names = Names::install();
    let ignored = ",rw,noauto,user,_netdev,nofail,defaults,x-systemd.automount,relatime,exec";
    let file = fstab(
        &it,
        it.source(),
        it.mount_point(),
        "pycfs",
        &options(&it, ignored),
    );
    ends_with(0, &mut mount(&file, &[it.mount_point().as_os_str()]));
    it.adopt();
    let mounted = mounts_at(it.mount_point());
    assert_eq!(mounted.len(), 1);
}

#[test]
fn names_with_spaces_commas_and_backslashes_are_taken_as_they_are() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let _names = Names::install();
    let source = it.dir().join("a source, with \\ all");
    let place = it.dir().join("a place, for it");
    let store = it.dir().join("a,store");
    for directory in [&source, &place] {
        fs::create_dir(directory).unwrap();
    }
    it.also_unmount(&place);
    fs::write(source.join("mod.py"), "value = 1\n").unwrap();
    let list = format!(
        "log={},store={}",
        it.log_file().display(),
        store.to_str().unwrap().replace(',', "\\,")
    );
    for kind in ["pycfs", "fuse.pycfs"] {
        let file = fstab(&it, &source, &place, kind, &list);
        ends_with(0, &mut mount(&file, &[OsStr::new("-a")]));
        ends_with(0, &mut mount(&file, &[OsStr::new("-a")]));
        assert!(place.join("mod.py").exists());
        assert!(store.is_dir(), "the store is where the option says");
        let output = bounded(pycfs().args(["status", "--json"]).arg(&place));
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(status["source"], source.to_str().unwrap());
        assert_eq!(status["mount_point"], place.to_str().unwrap());
        ends_with(0, pycfs().arg("umount").arg(&place));
    }
}

#[test]
fn failures_have_the_exit_codes_of_mount() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let _names = Names::install();
    let missing = it.dir().join("missing");
    let (source, place) = (it.source(), it.mount_point());
    let file = it.write("file", "");
    for (source, place, list, code) in [
        (missing.as_path(), place, String::new(), 32),
        (source, file.as_path(), String::new(), 32),
        (source, place, ",no_such_option".to_owned(), 1),
        (source, place, ",deadline=soon".to_owned(), 1),
    ] {
        let list = options(&it, &list);
        let table = fstab(&it, source, place, "pycfs", &list);
        let said = ends_with(code, &mut mount(&table, &[place.as_os_str()]));
        assert!(!said.is_empty());
        // Called directly, in the order of arguments that the manual has and in that of mount(8).
        for order in [["SOURCE", "PLACE", "-o"], ["-o", "SOURCE", "PLACE"]] {
            let words = order.iter().flat_map(|word| match *word {
                "SOURCE" => vec![source.into()],
                "PLACE" => vec![place.into()],
                _ => vec![OsString::from("-o"), OsString::from(&list)],
            });
            ends_with(code, system(NAMES[0]).args(words));
        }
    }
    ends_with(1, &mut system(NAMES[0]));
    ends_with(1, system(NAMES[1]).arg("only-one"));
    assert_eq!(mounts_at(place), []);
    // A dry run mounts nothing.
    ends_with(
        0,
        system(NAMES[0])
            .args([source, place])
            .args(["-f", "-o"])
            .arg(options(&it, "")),
    );
    assert_eq!(mounts_at(place), []);
}

#[test]
fn flags_that_mount_passes_are_understood() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let _names = Names::install();
    let list = options(&it, "");
    ends_with(
        0,
        system(NAMES[1])
            .args([it.source(), it.mount_point()])
            .args(["-sv", "-n", "-o", &list, "-t", "fuse.pycfs"]),
    );
    it.adopt();
    assert_eq!(mounts_at(it.mount_point()).len(), 1);
}

#[test]
fn umount_of_all_of_the_type_ends_the_daemons() {
    let Some(it) = Background::prepared() else {
        return;
    };
    // In a mount namespace of its own: the mounts of others are not to go.
    let script = r#"
        set -e
        place=$1; shift
        "$@"
        findmnt -t fuse.pycfs "$place" >/dev/null
        umount -a -t fuse.pycfs || true
        ! findmnt -t fuse.pycfs "$place" >/dev/null
    "#;
    let command = it.command();
    let mut inside = Command::new("unshare");
    inside
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(it.mount_point())
        .arg(command.get_program())
        .args(command.get_args())
        .args([it.source(), it.mount_point()]);
    ends_with(0, &mut inside);
    eventually("the daemon has ended", || it.log().contains("is unmounted"));
}
