//! Mounts of a user who is not root, through fusermount3.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pycfs::pyc::Target;
use rustix::fs::{CWD, FileType, Mode};

use crate::common::background::{
    Background, bounded, ends_with, eventually, in_own_namespace, is_running, mounts_at, pyc_in,
};
use crate::common::mounted::pycfs;
use crate::common::skipped;

/// The user and group of the tests.
const USER: u32 = 65534;

/// Runs `body` for an ordinary user that may open `/dev/fuse`, as it is on most machines.
fn with_user(body: impl FnOnce(&User) + Send) {
    in_own_namespace(|| {
        let Some(user) = User::new() else { return };
        let mode = fs::metadata("/dev/fuse").unwrap().mode();
        if mode & 0o006 != 0o006 {
            let device = user.it.dir().join("fuse");
            let (kind, all) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
            rustix::fs::mknodat(CWD, &device, kind, all, rustix::fs::makedev(10, 229)).unwrap();
            rustix::fs::chmod(&device, all).unwrap();
            rustix::mount::mount_bind(&device, "/dev/fuse").unwrap();
        }
        body(&user);
    });
}

/// Directories of a user, and a program and an interpreter that it can reach.
struct User {
    it: Background,
    program: PathBuf,
    interpreter: PathBuf,
    target: Target,
    pid: std::cell::Cell<u32>,
}

impl User {
    fn new() -> Option<User> {
        let it = Background::prepared()?;
        let found = Target::all()
            .rev()
            .map(|target| (target, PathBuf::from(format!("/usr/bin/python{target}"))))
            .find(|(_, path)| path.exists());
        let Some((target, interpreter)) = found else {
            skipped("no interpreter in /usr/bin for an ordinary user");
            return None;
        };
        let helper = ["/usr/bin/fusermount3", "/bin/fusermount3"].map(Path::new);
        if !helper.iter().any(|path| path.exists()) {
            skipped("no fusermount3 for an ordinary user");
            return None;
        }
        let program = it.dir().join("pycfs");
        // By another process: a descriptor of ours that writes it could be in a child of another
        // test, and nobody could run it.
        ends_with(
            0,
            Command::new("cp").arg(pycfs().get_program()).arg(&program),
        );
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["home", "runtime", "cache"] {
            fs::create_dir(it.dir().join(name)).unwrap();
        }
        it.write("mod.py", "value = 1\n");
        let source = it.source().to_owned();
        let own = [source.join("mod.py"), source, it.mount_point().to_owned()];
        let named = ["home", "runtime", "cache"].map(|name| it.dir().join(name));
        for path in own.iter().chain(&named) {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
        Some(User {
            it,
            program,
            interpreter,
            target,
            pid: std::cell::Cell::new(0),
        })
    }

    /// A command as a user, with this user's environment and nothing else.
    fn run_as(&self, user: u32, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.it.dir().join("home"))
            .env("XDG_RUNTIME_DIR", self.it.dir().join("runtime"))
            .env("XDG_CACHE_HOME", self.it.dir().join("cache"))
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.it.dir())
            .uid(user)
            .gid(user);
        command
    }

    fn pycfs(&self) -> Command {
        self.run_as(USER, &self.program)
    }

    fn status(&self) -> Option<serde_json::Value> {
        let output = bounded(
            self.pycfs()
                .args(["status", "--json"])
                .arg(self.it.mount_point()),
        );
        serde_json::from_slice(&output.stdout).ok()
    }

    fn mount(&self) {
        let mut command = self.pycfs();
        command.args(["mount", "src", "mnt"]);
        ends_with(0, &mut command);
        let pid = self.status().unwrap()["pid"].as_u64().unwrap();
        self.pid.set(u32::try_from(pid).unwrap());
    }

    fn ended(&self) {
        eventually("the daemon has ended", || !is_running(self.pid.get()));
        assert_eq!(mounts_at(self.it.mount_point()), []);
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let pid = self.pid.get();
        let running = fs::read_link(format!("/proc/{pid}/exe"));
        if pid != 0 && running.is_ok_and(|path| path == self.program) {
            crate::common::background::signal(pid, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn an_ordinary_user_mounts_imports_and_unmounts() {
    with_user(|user| {
        let place = user.it.mount_point();
        user.mount();
        let mounted = mounts_at(place);
        assert_eq!(
            mounted,
            [(
                "fuse.pycfs".to_owned(),
                user.it.source().to_str().unwrap().to_owned()
            )]
        );
        let mut import = user.run_as(USER, &user.interpreter);
        import
            .args(["-v", "-c", "import mod; print(mod.value)"])
            .env("PYTHONPATH", place);
        let output = bounded(&mut import);
        assert_eq!(output.stdout, b"1\n");
        let log = String::from_utf8_lossy(&output.stderr);
        let pyc = pyc_in(place, "mod", user.target);
        assert!(log.contains(&format!("{} matches", pyc.display())), "{log}");
        let status = user.status().unwrap();
        assert_eq!(status["allow_other"], false);
        let store = user.it.dir().join("cache/pycfs");
        assert_eq!(status["store"]["dir"], store.to_str().unwrap());
        assert_eq!(fs::metadata(&store).unwrap().mode() & 0o777, 0o700);
        ends_with(0, user.pycfs().arg("umount").arg(place));
        user.ended();
        user.mount();
        let process = rustix::process::Signal::TERM;
        crate::common::background::signal(user.pid.get(), process);
        user.ended();
        user.mount();
        ends_with(0, user.run_as(USER, "fusermount3").arg("-u").arg(place));
        user.ended();
    });
}

#[test]
fn other_users_get_eacces_from_a_users_mount() {
    with_user(|user| {
        user.mount();
        let place = user.it.mount_point();
        // Not even root.
        for path in [
            place.to_owned(),
            place.join("mod.py"),
            pyc_in(place, "mod", user.target),
        ] {
            let error = fs::metadata(&path).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EACCES));
        }
        let mut other = user.run_as(USER - 1, "/usr/bin/stat");
        let said = ends_with(1, other.arg(place.join("mod.py")));
        assert!(said.contains("Permission denied"), "{said}");
    });
}

#[test]
fn a_users_mount_is_seen_and_taken_away_by_root_but_not_by_another_user() {
    with_user(|user| {
        user.mount();
        let place = user.it.mount_point().to_str().unwrap();
        let said = ends_with(
            1,
            user.run_as(USER - 1, &user.program).args(["status", place]),
        );
        assert!(
            said.contains(place) && said.contains("another user"),
            "{said}"
        );
        ends_with(
            32,
            user.run_as(USER - 1, &user.program).args(["umount", place]),
        );
        // Root finds it in the list, whether or not its socket can be found.
        let output = bounded(pycfs().args(["status", "--json"]));
        let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        let found = list
            .iter()
            .find(|mount| mount["mount_point"] == place)
            .unwrap();
        assert_eq!(found["source"], user.it.source().to_str().unwrap());
        ends_with(0, pycfs().args(["umount", place]));
        user.ended();
    });
}

#[test]
fn what_fusermount_refuses_is_told_with_32() {
    with_user(|user| {
        // A place that is not the user's.
        let place = user.it.dir().join("roots");
        fs::create_dir(&place).unwrap();
        let said = ends_with(32, user.pycfs().args(["mount", "src", "roots"]));
        assert!(
            said.contains("cannot mount on") && said.contains("roots"),
            "{said}"
        );
        let hidden = user.it.dir().join("hidden");
        fs::create_dir(&hidden).unwrap();
        fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
        let said = ends_with(32, user.pycfs().args(["mount", "hidden", "mnt"]));
        assert!(said.contains("hidden"), "{said}");
        // Without the helper.
        let mut command = user.pycfs();
        command
            .env("PATH", "/nonexistent")
            .args(["mount", "src", "mnt"]);
        let said = ends_with(32, &mut command);
        assert!(said.contains("fusermount3"), "{said}");
    });
}

#[test]
fn a_users_dead_mount_is_repaired_and_taken_away() {
    with_user(|user| {
        let place = user.it.mount_point();
        for repair in [true, false] {
            user.mount();
            let pid = user.pid.get();
            crate::common::background::signal(pid, rustix::process::Signal::KILL);
            eventually("the daemon has ended", || !is_running(pid));
            if repair {
                user.mount();
                let mut read = user.run_as(USER, "/bin/cat");
                assert_eq!(
                    bounded(read.arg(place.join("mod.py"))).stdout,
                    b"value = 1\n"
                );
            }
            ends_with(0, user.pycfs().arg("umount").arg(place));
            user.ended();
        }
    });
}

#[test]
fn a_users_store_that_cannot_be_entered_costs_no_entry() {
    with_user(|user| {
        user.mount();
        let store = user.it.dir().join("cache/pycfs");
        for (number, path) in [store.join("v1"), store].iter().enumerate() {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
            let stem = format!("late{number}");
            let source = user
                .it
                .write(&format!("{stem}.py"), "value = 3\n# and more\n");
            chown(&source, Some(USER), Some(USER)).unwrap();
            let pyc = pyc_in(user.it.mount_point(), &stem, user.target);
            let mut read = user.run_as(USER, "/bin/cat");
            let output = bounded(read.arg(&pyc));
            assert!(
                output.status.success() && output.stdout.len() > 100,
                "{stem}: {output:?}"
            );
        }
        ends_with(0, user.pycfs().arg("umount").arg(user.it.mount_point()));
        user.ended();
        user.mount();
        let status = user.status().unwrap();
        assert_eq!(status["store"]["state"], "memory-only");
        assert!(status["store"]["reason"].is_string());
        let mut read = user.run_as(USER, "/bin/cat");
        let output = bounded(read.arg(pyc_in(user.it.mount_point(), "mod", user.target)));
        assert!(output.status.success());
    });
}
