//! The mirror against the real tree: the same call on both sides, the same answer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::mounted::{Mounted, succeed};
use common::skipped;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every file below a directory by its relative path, directories included.
fn walk(root: &Path) -> BTreeMap<PathBuf, fs::Metadata> {
    let mut found = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        let full = root.join(&relative);
        let metadata = fs::symlink_metadata(&full).unwrap();
        if metadata.is_dir() {
            for entry in fs::read_dir(&full).unwrap() {
                pending.push(relative.join(entry.unwrap().file_name()));
            }
        }
        found.insert(relative, metadata);
    }
    found
}

fn without_cache(mut tree: BTreeMap<PathBuf, fs::Metadata>) -> BTreeMap<PathBuf, fs::Metadata> {
    tree.retain(|path, _| {
        !path
            .components()
            .any(|part| part.as_os_str() == "__pycache__")
    });
    tree
}

fn assert_same_tree(mounted: &Mounted) {
    assert_same_tree_with_replaced(mounted, &[]);
}

/// `replaced` are names whose file may have got the inode number of the one that was there before:
/// while the kernel holds the old one, the new one has a number of the mount's own.
fn assert_same_tree_with_replaced(mounted: &Mounted, replaced: &[&str]) {
    const OWN_NUMBERS: u64 = 1 << 62;
    let real = without_cache(walk(mounted.source()));
    let mirror = without_cache(walk(mounted.mount_point()));
    assert_eq!(
        real.keys().collect::<Vec<_>>(),
        mirror.keys().collect::<Vec<_>>()
    );
    for (path, expected) in &real {
        let found = &mirror[path];
        let facts = |m: &fs::Metadata| {
            (
                (
                    m.mode(),
                    m.uid(),
                    m.gid(),
                    m.nlink(),
                    m.size(),
                    m.blocks(),
                    m.rdev(),
                ),
                (m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()),
            )
        };
        assert_eq!(facts(expected), facts(found), "{}", path.display());
        if !path.as_os_str().is_empty() {
            let has_own_number =
                found.ino() >= OWN_NUMBERS && replaced.iter().any(|name| path == Path::new(name));
            if !has_own_number {
                assert_eq!(expected.ino(), found.ino(), "{}", path.display());
            }
        }
        let (real, mirror) = (
            mounted.source().join(path),
            mounted.mount_point().join(path),
        );
        if expected.is_symlink() {
            assert_eq!(fs::read_link(real).unwrap(), fs::read_link(mirror).unwrap());
        } else if expected.is_file() {
            assert_eq!(
                fs::read(real).unwrap(),
                fs::read(mirror).unwrap(),
                "{}",
                path.display()
            );
        }
    }
}

fn rich_tree(mounted: &Mounted) {
    let source = mounted.source();
    mounted.write("plain.txt", "text");
    mounted.write("empty", "");
    mounted.write("big.bin", vec![7u8; 3_000_001]);
    mounted.write("pkg/__init__.py", "");
    mounted.write("pkg/__pycache__/foreign.cpython-313.pyc", "masked");
    mounted.write("pkg/deep/er/still/x.py", "x = 1\n");
    fs::create_dir(source.join("empty dir")).unwrap();
    fs::hard_link(source.join("plain.txt"), source.join("pkg/linked.txt")).unwrap();
    symlink("plain.txt", source.join("relative")).unwrap();
    symlink("/nowhere/at all", source.join("dangling")).unwrap();
    symlink("../..", source.join("pkg/up")).unwrap();
    symlink("loop", source.join("loop")).unwrap();
    let not_utf8 = OsString::from_vec(b"caf\xe9-\xff\xfe.py".to_vec());
    fs::write(source.join(not_utf8), "y = 2\n").unwrap();
    fs::write(source.join("new\nline \"and\" \\ space"), "z").unwrap();
    fs::write(source.join("n".repeat(255)), "long").unwrap();
    let none = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        source.join("fifo"),
        rustix::fs::FileType::Fifo,
        none,
        0,
    )
    .unwrap();
    let device = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        source.join("null"),
        rustix::fs::FileType::CharacterDevice,
        none,
        device,
    )
    .unwrap();
    drop(UnixListener::bind(source.join("sock")).unwrap());
    for (name, mode) in [
        ("m000", 0o000),
        ("m444", 0o444),
        ("m4755", 0o4755),
        ("m2751", 0o2751),
        ("m1777", 0o1777),
    ] {
        let path = mounted.write(name, name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::chown(source.join("m444"), Some(12345), Some(54321)).unwrap();
    for (name, seconds, nanoseconds) in [
        ("old", -5, 500_000_000),
        ("epoch", 0, 0),
        ("fine", 1_700_000_000, 999_999_999),
    ] {
        let path = mounted.write(name, name);
        let time = rustix::fs::Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::empty()).unwrap();
    }
    let sparse = File::create(source.join("sparse")).unwrap();
    sparse.write_all_at(b"data", 1 << 20).unwrap();
    sparse.set_len(4 << 20).unwrap();
}

#[test]
fn every_file_has_the_same_attributes_and_content_on_both_sides() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    rich_tree(&mounted);
    mounted.settle();
    assert_same_tree(&mounted);
    // The same after changes of every kind, through the same mount.
    let source = mounted.source();
    fs::remove_file(source.join("empty")).unwrap();
    fs::rename(source.join("plain.txt"), source.join("moved.txt")).unwrap();
    fs::rename(source.join("pkg"), source.join("pkg2")).unwrap();
    mounted.write("pkg/other.txt", "another directory of the same name");
    fs::set_permissions(source.join("m444"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_file(source.join("relative")).unwrap();
    fs::create_dir(source.join("relative")).unwrap();
    mounted.write("relative/now a directory", "");
    mounted.settle();
    let new = [
        "relative",
        "relative/now a directory",
        "pkg",
        "pkg/other.txt",
    ];
    assert_same_tree_with_replaced(&mounted, &new);
}

#[test]
fn listings_mask_the_real_cache_and_show_the_synthesized_one_beside_sources() {
    let Some(mounted) = Mounted::new(&["-o", "python=3.11:3.13"]) else {
        return;
    };
    mounted.write("pkg/mod.py", "");
    mounted.write("pkg/conf.test.py", "");
    mounted.write("pkg/__pycache__/rogue.cpython-313.pyc", "rogue");
    mounted.write("data/__pycache__/rogue.cpython-313.pyc", "rogue");
    let names = |path: &str| {
        let mut names: Vec<_> = fs::read_dir(mounted.mount_point().join(path))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("pkg"), ["__pycache__", "conf.test.py", "mod.py"]);
    let expected = [
        "conf.test.cpython-311.pyc",
        "conf.test.cpython-313.pyc",
        "mod.cpython-311.pyc",
        "mod.cpython-313.pyc",
    ];
    assert_eq!(names("pkg/__pycache__"), expected);
    assert!(
        !mounted
            .mount_point()
            .join("pkg/__pycache__/rogue.cpython-313.pyc")
            .exists()
    );
    assert_eq!(names("data"), Vec::<OsString>::new());
    assert!(!mounted.mount_point().join("data/__pycache__").exists());
    assert_eq!(
        mounted.count("/synthesis/compiles"),
        0,
        "a listing compiles nothing"
    );
}

/// The outcome of a call as far as both sides must agree: success or the errno.
fn errno<T>(result: rustix::io::Result<T>) -> i32 {
    result.err().map_or(0, |errno| errno.raw_os_error())
}

#[test]
fn failing_calls_fail_with_the_same_errno() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    rich_tree(&mounted);
    let open = |path: &Path, flags| {
        errno(rustix::fs::open(
            path,
            flags | OFlags::NONBLOCK,
            Mode::empty(),
        ))
    };
    type Call = Box<dyn Fn(&Path) -> i32>;
    let cases: Vec<(&str, Call)> = vec![
        ("stat", Box::new(|p| errno(rustix::fs::stat(p)))),
        ("lstat", Box::new(|p| errno(rustix::fs::lstat(p)))),
        ("open", Box::new(move |p| open(p, OFlags::RDONLY))),
        (
            "open as directory",
            Box::new(move |p| open(p, OFlags::RDONLY | OFlags::DIRECTORY)),
        ),
        (
            "open nofollow",
            Box::new(move |p| open(p, OFlags::RDONLY | OFlags::NOFOLLOW)),
        ),
        (
            "readlink",
            Box::new(|p| errno(rustix::fs::readlink(p, Vec::new()))),
        ),
        (
            "getxattr",
            Box::new(|p| errno(rustix::fs::getxattr(p, "user.none", &mut [0u8; 64]))),
        ),
        (
            "access",
            Box::new(|p| errno(rustix::fs::access(p, rustix::fs::Access::READ_OK))),
        ),
        (
            "read a directory",
            Box::new(|p| {
                let Ok(fd) = rustix::fs::open(p, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())
                else {
                    return -1;
                };
                errno(rustix::io::read(fd, &mut [0u8; 8]))
            }),
        ),
    ];
    let long = "n".repeat(256);
    let paths = [
        "plain.txt",
        "missing",
        "plain.txt/below",
        "loop",
        "dangling",
        "pkg",
        "pkg/up",
        "sock",
        "m000",
        "empty dir",
        "relative",
        "pkg/deep/missing/x",
        "",
        ".",
        long.as_str(),
    ];
    for (call, run) in &cases {
        for path in paths {
            let (real, mirror) = (
                run(&mounted.source().join(path)),
                run(&mounted.mount_point().join(path)),
            );
            assert_eq!(real, mirror, "{call} {path:?}");
        }
    }
}

#[test]
fn every_way_of_writing_fails_with_erofs() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    mounted.write("f", "f");
    mounted.write("d/m.py", "");
    mounted.write("link_target", "");
    let at = |name: &str| mounted.mount_point().join(name);
    let cwd = rustix::fs::CWD;
    let mode = Mode::from_raw_mode(0o644);
    let now = rustix::fs::Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let times = rustix::fs::Timestamps {
        last_access: now,
        last_modification: now,
    };
    let results = [
        (
            "create",
            errno(rustix::fs::open(
                at("new"),
                OFlags::CREATE | OFlags::WRONLY,
                mode,
            )),
        ),
        (
            "create a pyc",
            errno(rustix::fs::open(
                at("d/__pycache__/m.cpython-313.pyc.123"),
                OFlags::CREATE | OFlags::WRONLY,
                mode,
            )),
        ),
        (
            "write",
            errno(rustix::fs::open(at("f"), OFlags::WRONLY, mode)),
        ),
        (
            "read and write",
            errno(rustix::fs::open(at("f"), OFlags::RDWR, mode)),
        ),
        (
            "truncate",
            errno(rustix::fs::open(
                at("f"),
                OFlags::WRONLY | OFlags::TRUNC,
                mode,
            )),
        ),
        ("mkdir", errno(rustix::fs::mkdir(at("new"), mode))),
        ("rmdir", errno(rustix::fs::rmdir(at("d")))),
        ("unlink", errno(rustix::fs::unlink(at("f")))),
        ("rename", errno(rustix::fs::rename(at("f"), at("g")))),
        ("link", errno(rustix::fs::link(at("f"), at("g")))),
        ("symlink", errno(rustix::fs::symlink("f", at("g")))),
        ("chmod", errno(rustix::fs::chmod(at("f"), mode))),
        (
            "chown",
            errno(rustix::fs::chown(
                at("f"),
                None,
                Some(rustix::fs::Gid::ROOT),
            )),
        ),
        (
            "utimens",
            errno(rustix::fs::utimensat(
                cwd,
                at("f"),
                &times,
                AtFlags::empty(),
            )),
        ),
        (
            "setxattr",
            errno(rustix::fs::setxattr(
                at("f"),
                "user.a",
                b"b",
                rustix::fs::XattrFlags::empty(),
            )),
        ),
        (
            "removexattr",
            errno(rustix::fs::removexattr(at("f"), "user.a")),
        ),
        (
            "mknod",
            errno(rustix::fs::mknodat(
                cwd,
                at("n"),
                rustix::fs::FileType::Fifo,
                mode,
                0,
            )),
        ),
        (
            "access for writing",
            errno(rustix::fs::access(at("f"), rustix::fs::Access::WRITE_OK)),
        ),
    ];
    for (call, found) in results {
        assert_eq!(found, libc::EROFS, "{call}");
    }
}

#[test]
fn reading_in_pieces_seeking_mapping_and_executing_work() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    rich_tree(&mounted);
    let script = mounted.write("run.sh", "#!/bin/sh\necho ran \"$1\"\n");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    let run = succeed(Command::new(mounted.mount_point().join("run.sh")).arg("it"));
    assert_eq!(run.stdout, b"ran it\n");
    let (mut real, mut mirror) = (
        File::open(mounted.source().join("big.bin")).unwrap(),
        File::open(mounted.mount_point().join("big.bin")).unwrap(),
    );
    for offset in [0, 1, 4095, 4096, 2_999_990, 3_000_001, 4_000_000] {
        let (mut a, mut b) = (vec![0; 70_000], vec![0; 70_000]);
        real.seek(SeekFrom::Start(offset)).unwrap();
        mirror.seek(SeekFrom::Start(offset)).unwrap();
        let (n, m) = (real.read(&mut a).unwrap(), mirror.read(&mut b).unwrap());
        assert_eq!((n, a), (m, b), "offset {offset}");
    }
    for file in ["sparse", "big.bin"] {
        let (real, mirror) = (
            File::open(mounted.source().join(file)).unwrap(),
            File::open(mounted.mount_point().join(file)).unwrap(),
        );
        for position in [0, 1 << 20, (1 << 20) + 5, 5 << 20] {
            for seek in [
                rustix::fs::SeekFrom::Data(position),
                rustix::fs::SeekFrom::Hole(position),
            ] {
                assert_eq!(
                    rustix::fs::seek(&real, seek),
                    rustix::fs::seek(&mirror, seek),
                    "{file} {seek:?}"
                );
            }
        }
    }
    let mapped = succeed(
        Command::new("python3")
            .args(["-c", MAP_AND_SUM])
            .arg(mounted.mount_point().join("big.bin")),
    );
    assert_eq!(String::from_utf8_lossy(&mapped.stdout).trim(), "21000007");
}

const MAP_AND_SUM: &str = "import mmap, sys
with open(sys.argv[1], 'rb') as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
    print(sum(m[:]))";

#[test]
fn extended_attributes_and_acls_are_the_same() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let file = mounted.write("pkg/mod.py", "x = 1\n");
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&file, name, value, rustix::fs::XattrFlags::empty())
    };
    if let Err(errno) = set("user.comment", b"hello") {
        return skipped(&format!("the filesystem takes no user attributes: {errno}"));
    }
    set("user.empty", b"").unwrap();
    set("trusted.big", &[9; 2000]).unwrap();
    let value = |path: &Path, name: &str| {
        let mut buffer = vec![0; 4096];
        let count = rustix::fs::lgetxattr(path, name, &mut buffer)?;
        buffer.truncate(count);
        rustix::io::Result::Ok(buffer)
    };
    let names = |path: &Path| {
        let mut buffer = vec![0; 4096];
        let count = rustix::fs::llistxattr(path, &mut buffer).unwrap();
        buffer.truncate(count);
        buffer
    };
    let mirror = mounted.mount_point().join("pkg/mod.py");
    assert_eq!(names(&file), names(&mirror));
    for name in [
        "user.comment",
        "user.empty",
        "trusted.big",
        "user.missing",
        "security.selinux",
    ] {
        assert_eq!(value(&file, name), value(&mirror, name), "{name}");
    }
    if Command::new("setfacl").arg("--version").output().is_err() {
        return skipped("no setfacl (package acl)");
    }
    succeed(
        Command::new("setfacl")
            .args(["-m", "u:nobody:rw,g:daemon:r,m:r"])
            .arg(&file),
    );
    let acl = |path: &Path| succeed(Command::new("getfacl").args(["-cn", "--"]).arg(path)).stdout;
    assert_eq!(acl(&file), acl(&mirror));
}

#[test]
fn another_user_gets_what_the_source_grants_and_no_more() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    const NOBODY: u32 = 65534;
    for (path, mode) in [
        ("open.py", 0o644),
        ("secret.py", 0o600),
        ("group.py", 0o640),
        ("closed/in.py", 0o644),
    ] {
        let full = mounted.write(path, "x = 1\n");
        fs::set_permissions(full, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(
        mounted.source().join("closed"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    symlink("closed/in.py", mounted.source().join("leak.py")).unwrap();
    let acl = Command::new("setfacl")
        .args(["-m", "u:nobody:r"])
        .arg(mounted.source().join("secret.py"))
        .status();
    let with_acl = acl.is_ok_and(|status| status.success());
    if !with_acl {
        skipped("no setfacl (package acl): the ACL's part");
    }
    let read = |path: PathBuf| {
        let mut cat = Command::new("cat");
        std::os::unix::process::CommandExt::uid(cat.arg(path), NOBODY);
        std::os::unix::process::CommandExt::gid(&mut cat, NOBODY);
        cat.output().unwrap().status.success()
    };
    for path in ["open.py", "secret.py", "group.py", "closed/in.py"] {
        assert_eq!(
            read(mounted.source().join(path)),
            read(mounted.mount_point().join(path)),
            "{path}"
        );
    }
    let Some((target, _)) = common::interpreters().pop() else {
        return;
    };
    let tag = target.cache_tag();
    let pyc = |directory: &str, stem: &str| {
        mounted
            .mount_point()
            .join(format!("{directory}__pycache__/{stem}.{tag}.pyc"))
    };
    assert!(read(pyc("", "open")));
    assert_eq!(read(pyc("", "secret")), with_acl);
    assert!(!read(pyc("", "group")));
    assert!(!read(pyc("closed/", "in")));
    assert!(
        !read(pyc("", "leak")),
        "a pyc must not be readable where the way to the source is closed"
    );
    assert!(pyc("", "secret").exists(), "root can");
}

#[test]
fn a_directory_of_100_000_entries_is_listed_whole() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    const COUNT: usize = 100_000;
    let big = mounted.source().join("big");
    fs::create_dir(&big).unwrap();
    for number in 0..COUNT {
        File::create(big.join(format!("entry-{number:06}.txt"))).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(mounted.mount_point().join("big"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names.len(), COUNT);
    names.dedup();
    assert_eq!(names.len(), COUNT, "no name twice");
    assert_eq!(names[99_999], "entry-099999.txt");
}

#[test]
fn a_tree_deeper_than_path_max_is_reached_step_by_step() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    const DEPTH: usize = 60;
    let name = "d".repeat(200);
    let descend = |root: &Path, make: bool| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let mut dir = rustix::fs::open(root, flags, Mode::empty()).unwrap();
        for _ in 0..DEPTH {
            if make {
                rustix::fs::mkdirat(&dir, &name, Mode::from_raw_mode(0o755)).unwrap();
            }
            dir = rustix::fs::openat(&dir, &name, flags, Mode::empty()).unwrap();
        }
        dir
    };
    let bottom = descend(mounted.source(), true);
    let file = rustix::fs::openat(
        &bottom,
        "leaf",
        OFlags::CREATE | OFlags::WRONLY,
        Mode::from_raw_mode(0o644),
    )
    .unwrap();
    File::from(file).write_all(b"deep").unwrap();
    let mirror = descend(mounted.mount_point(), false);
    let leaf = rustix::fs::openat(&mirror, "leaf", OFlags::RDONLY, Mode::empty()).unwrap();
    let mut content = String::new();
    File::from(leaf).read_to_string(&mut content).unwrap();
    assert_eq!(content, "deep");
    succeed(
        Command::new("rm")
            .arg("-rf")
            .arg(mounted.source().join(&name)),
    );
}

#[test]
fn statfs_is_the_source_filesystem_s() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let real = rustix::fs::statvfs(mounted.source()).unwrap();
    let mirror = rustix::fs::statvfs(mounted.mount_point()).unwrap();
    assert_eq!(
        (real.f_blocks, real.f_frsize, real.f_files, real.f_namemax),
        (
            mirror.f_blocks,
            mirror.f_frsize,
            mirror.f_files,
            mirror.f_namemax
        )
    );
    assert!(
        mirror
            .f_flag
            .contains(rustix::fs::StatVfsMountFlags::RDONLY)
    );
}

#[test]
fn an_open_file_keeps_its_content_when_its_name_gets_another() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    mounted.write("f", vec![b'a'; 500_000]);
    let mut open = File::open(mounted.mount_point().join("f")).unwrap();
    let mut first = vec![0; 1000];
    open.read_exact(&mut first).unwrap();
    mounted.write("f.new", vec![b'b'; 500_000]);
    fs::rename(mounted.source().join("f.new"), mounted.source().join("f")).unwrap();
    let mut rest = Vec::new();
    open.read_to_end(&mut rest).unwrap();
    assert!(rest.iter().all(|byte| *byte == b'a'), "torn");
    mounted.settle();
    assert_eq!(
        fs::read(mounted.mount_point().join("f")).unwrap(),
        vec![b'b'; 500_000]
    );
}

#[test]
fn a_recreated_file_with_a_reused_inode_number_is_a_new_file() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    for round in 0..50u8 {
        let content = vec![round; 100];
        mounted.write("f", &content);
        mounted.settle();
        assert_eq!(
            fs::read(mounted.mount_point().join("f")).unwrap(),
            content,
            "round {round}"
        );
        fs::remove_file(mounted.source().join("f")).unwrap();
        mounted.settle();
        assert!(!mounted.mount_point().join("f").exists());
    }
}

#[test]
fn inode_numbers_are_stable_across_remounts() {
    let Some(mut mounted) = Mounted::prepared() else {
        return;
    };
    mounted.start(&[]);
    rich_tree(&mounted);
    let numbers = |mounted: &Mounted| -> Vec<_> {
        walk(mounted.mount_point())
            .into_iter()
            .map(|(path, m)| (path, m.ino()))
            .collect()
    };
    let before = numbers(&mounted);
    assert_eq!(before[0].1, 1, "the root's number");
    assert_eq!(mounted.stop(), Some(0));
    mounted.start(&[]);
    assert_eq!(before, numbers(&mounted));
}

#[test]
fn a_mount_over_the_source_itself_shows_the_source() {
    let Some(mounted) = Mounted::prepared() else {
        return;
    };
    mounted.write("pkg/m.py", "x = 1\n");
    let source = mounted.source().to_owned();
    let mut mount = common::mounted::pycfs();
    mount
        .arg("mount")
        .arg("--store")
        .arg(mounted.store())
        .arg(&source)
        .arg(&source);
    succeed(&mut mount);
    assert_eq!(fs::read(source.join("pkg/m.py")).unwrap(), b"x = 1\n");
    assert!(source.join("pkg/__pycache__").is_dir());
    succeed(common::mounted::pycfs().arg("umount").arg(&source));
    assert!(
        !source.join("pkg/__pycache__").exists(),
        "nothing was written into the tree"
    );
}

#[test]
fn a_mount_inside_the_source_does_not_show_itself() {
    let Some(mounted) = Mounted::prepared() else {
        return;
    };
    mounted.write("a.py", "");
    let inner = mounted.source().join("inner");
    fs::create_dir(&inner).unwrap();
    let mut mount = common::mounted::pycfs();
    succeed(
        mount
            .arg("mount")
            .arg("--store")
            .arg(mounted.store())
            .arg(mounted.source())
            .arg(&inner),
    );
    let names: Vec<_> = fs::read_dir(&inner)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    let found = inner.join("inner").exists();
    succeed(common::mounted::pycfs().arg("umount").arg(&inner));
    assert!(
        !found && !names.iter().any(|name| name == "inner"),
        "{names:?}"
    );
}

#[test]
fn a_mount_below_the_source_is_shown_with_numbers_of_its_own() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let below = mounted.source().join("below");
    fs::create_dir(&below).unwrap();
    rustix::mount::mount(
        "tmpfs",
        &below,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        None,
    )
    .unwrap();
    fs::write(below.join("m.py"), "x = 1\n").unwrap();
    let read = fs::read(mounted.mount_point().join("below/m.py"));
    let number = fs::metadata(mounted.mount_point().join("below/m.py")).map(|m| m.ino());
    rustix::mount::unmount(&below, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(read.unwrap(), b"x = 1\n");
    assert!(
        number.unwrap() >= 1 << 62,
        "numbers of two filesystems must not meet"
    );
}

#[test]
fn statx_gives_the_same_times_to_the_nanosecond() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    rich_tree(&mounted);
    for name in ["old", "epoch", "fine"] {
        let times = |root: &Path| {
            let stat = rustix::fs::statx(
                rustix::fs::CWD,
                root.join(name),
                AtFlags::SYMLINK_NOFOLLOW,
                StatxFlags::BASIC_STATS,
            )
            .unwrap();
            (
                stat.stx_mtime.tv_sec,
                stat.stx_mtime.tv_nsec,
                stat.stx_ctime.tv_sec,
                stat.stx_ctime.tv_nsec,
            )
        };
        assert_eq!(
            times(mounted.source()),
            times(mounted.mount_point()),
            "{name}"
        );
    }
}
