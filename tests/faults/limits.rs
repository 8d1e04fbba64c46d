//! Many modules, many importers, few descriptors.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use crate::common::background::{Background, bounded, ends_with, eventually};
use crate::common::command;
use crate::common::mounted::pycfs;
use crate::readers::{Modules, newest};

#[test]
fn ten_thousand_modules_are_served_in_little_memory() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, interpreter)) = newest() else {
        return;
    };
    for number in 0..10_000 {
        let text = format!("def f(x):\n    return x * {number}\nvalue = {number}\n");
        it.write(&format!("pkg/m{number}.py"), text);
    }
    it.mount(&["--interpreter", interpreter.to_str().unwrap()]);
    let cache = it.mount_point().join("pkg/__pycache__");
    std::thread::scope(|scope| {
        for part in 0..8 {
            let cache = &cache;
            scope.spawn(move || {
                for number in (part..10_000).step_by(8) {
                    let name = format!("m{number}.{}.pyc", target.cache_tag());
                    let bytes = fs::read(cache.join(&name));
                    assert!(bytes.is_ok_and(|bytes| bytes.len() > 100), "{name}");
                }
            });
        }
    });
    assert_eq!(it.count("/synthesis/compiled"), 10_000);
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 10_000);
    eventually("the daemon has no more than 100 MB", || {
        it.count("/resident_bytes") <= 100 << 20
    });
}

#[test]
fn a_crowd_of_importers_has_each_module_compiled_once() {
    const IMPORTERS: usize = 16;
    const MODULES: usize = 120;
    let Some((target, interpreter)) = newest() else {
        return;
    };
    for mode in ["strict", "watch"] {
        let Some(it) = Background::prepared() else {
            return;
        };
        let mut script = String::from("import sys\nsys.path.insert(0, sys.argv[1])\n");
        for number in 0..MODULES {
            // Each is also compiled ahead, for the one before it imports it.
            let next = number + 1;
            let text = format!("value = {number}\nif {next} < {MODULES}:\n    import m{next}\n");
            it.write(&format!("m{number}.py"), text);
            script += &format!("import m{number}\n");
        }
        script += "print(sum(1 for name in sys.modules if name.startswith('m') and name[1:].isdigit()))\n";
        let options = format!("coherence={mode},python={target},deadline=60s");
        it.mount(&["-o", &options]);
        let importers: Vec<_> = (0..IMPORTERS)
            .map(|_| {
                command(&interpreter)
                    .args(["-c", &script])
                    .arg(it.mount_point())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for importer in importers {
            let output = importer.wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert_eq!(told.trim(), MODULES.to_string(), "{mode}");
        }
        assert_eq!(it.count("/synthesis/compiles"), MODULES as u64, "{mode}");
    }
}

/// The number of descriptors a process has open.
fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

#[test]
fn a_daemon_without_descriptors_refuses_and_recovers() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 40) else {
        return;
    };
    for number in 0..200 {
        it.write(&format!("file{number}"), "content");
    }
    let daemon = it.mount(&[]);
    assert!(modules.read(0));
    // Room for a few more than it has.
    let most = descriptors(daemon) + 12;
    let limit = format!("--nofile={most}:{most}");
    ends_with(
        0,
        Command::new("prlimit").args(["--pid", &daemon.to_string(), &limit]),
    );
    let mut held = Vec::new();
    let mut refused = 0;
    for number in 0..200 {
        match File::open(it.mount_point().join(format!("file{number}"))) {
            Ok(file) => held.push(file),
            Err(error) => {
                let code = error.raw_os_error();
                assert!(
                    code == Some(libc::EMFILE) || code == Some(libc::ENFILE),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the limit was met");
    // Entries meanwhile: there or absent, never an error, never a hang.
    let mut output = bounded(
        Command::new("timeout")
            .args(["20", "ls", "-l"])
            .arg(it.mount_point()),
    );
    assert_ne!(output.status.code(), Some(124), "it hangs");
    for (path, _) in &modules.right {
        output = bounded(Command::new("timeout").args(["20", "cat"]).arg(path));
        assert_ne!(output.status.code(), Some(124), "it hangs");
    }
    drop(held);
    eventually("all is served again", || {
        modules.read_all() == modules.right.len()
    });
    assert_eq!(
        fs::read_to_string(it.mount_point().join("file199")).unwrap(),
        "content"
    );
    assert!(it.status().is_some());
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
}

#[test]
fn descriptors_and_handles_do_not_pile_up() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 50) else {
        return;
    };
    let daemon = it.mount(&[]);
    modules.read_all();
    it.store_ready();
    let before = descriptors(daemon);
    for _ in 0..20 {
        assert_eq!(modules.read_all(), 50);
        let _ = fs::read_dir(it.mount_point()).unwrap().count();
    }
    eventually("all handles are closed", || it.count("/open_handles") == 0);
    eventually(&format!("it has about {before} descriptors"), || {
        descriptors(daemon) <= before + 8
    });
}
