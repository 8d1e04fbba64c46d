//! Starts a process in a closed box: no environment, no descriptors but the given ones, its own
//! session, resource limits, and (as root) its own mount namespace without the hidden mounts.
//!
//! Invariant: between fork and exec only async-signal-safe calls run, on memory that was made
//! ready before the fork. What is not permitted to an unprivileged caller is left out silently;
//! what every caller may do is an error when it fails.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal};

/// What to run and in which box.
#[derive(Debug)]
pub struct Launch {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments without the program's name.
    pub arguments: Vec<OsString>,
    /// Descriptor 0. Descriptors 1 and 2 are `/dev/null`.
    pub stdin: OwnedFd,
    /// Open in the process under the same number as here. Everything else is closed.
    pub keep: OwnedFd,
    /// RLIMIT_AS in bytes.
    pub memory: u64,
    /// `Some` asks for an own mount namespace with these mount points detached in it, and every
    /// FUSE mount that the program does not lie under. Left out without the privilege.
    pub hide: Option<Vec<PathBuf>>,
}

/// A started process, the leader of its own session and process group.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// The process id in our pid namespace.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the whole process group. Harmless on one that has ended.
    pub fn kill(&mut self) {
        // The child is not reaped yet or `Child::kill` knows that it is, so that neither of the two
        // can hit a stranger.
        if matches!(self.child.try_wait(), Ok(None))
            && let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }

    /// The exit status if the process has ended. Never blocks.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

/// Open files a boxed process may have.
const OPEN_FILES: u64 = 64;
/// Main thread's stack in bytes: the usual default. CPython 3.14+ derives its nesting limits from it.
const STACK: u64 = 8 << 20;
/// The first of the processes that the kernel ends when memory is short.
const OOM_SCORE_ADJ: &[u8] = b"900";

/// Starts the process. Blocks until the program runs or failed to.
///
/// The process gets SIGKILL when the calling *thread* ends: call it from a long-lived one.
///
/// # Errors
/// What fork, the box's setup or exec answered.
pub fn spawn(launch: Launch) -> io::Result<Process> {
    let detach = match &launch.hide {
        Some(hidden) => detachable(&launch.program, hidden),
        None => Vec::new(),
    };
    let own_mounts = launch.hide.is_some();
    let kept = launch.keep.as_raw_fd();
    let memory = launch.memory;
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(launch.stdin))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let enter = move || enter_box(kept, memory, own_mounts, &detach);
    // SAFETY: the closure runs in the forked child. It makes system calls only, through functions
    // that neither allocate nor lock, on values that were built before the fork.
    unsafe {
        command.pre_exec(enter);
    }
    let child = command.spawn()?;
    // Ours until here, so that its number stayed taken in the child.
    drop(launch.keep);
    Ok(Process { child })
}

/// Runs in the child between fork and exec: system calls only, no allocation.
fn enter_box(kept: RawFd, memory: u64, own_mounts: bool, detach: &[CString]) -> io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    let _ = prefer_for_oom();
    if own_mounts {
        leave_mounts(detach);
    }
    close_on_exec_except(kept)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nofile, OPEN_FILES)?;
    limit(Resource::As, memory)?;
    let stack = rustix::process::getrlimit(Resource::Stack);
    rustix::process::setrlimit(
        Resource::Stack,
        Rlimit {
            current: Some(stack.maximum.map_or(STACK, |most| most.min(STACK))),
            maximum: stack.maximum,
        },
    )?;
    Ok(())
}

/// Sets both limits, never above what the process has.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(resource);
    let most = now.maximum.map_or(most, |old| old.min(most));
    rustix::process::setrlimit(
        resource,
        Rlimit {
            current: Some(most),
            maximum: Some(most),
        },
    )?;
    Ok(())
}

fn prefer_for_oom() -> rustix::io::Result<()> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let file = openat(
        CWD,
        c"/proc/self/oom_score_adj",
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    rustix::io::write(&file, OOM_SCORE_ADJ).map(|_| ())
}

/// Own mount namespace. Best effort: without the privilege the process shares ours.
fn leave_mounts(detach: &[CString]) {
    use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
    use rustix::thread::UnshareFlags;
    // SAFETY: only the mount namespace is left (and with it the shared fs attributes, of which the
    // forked child has its own copy already): no memory or descriptor table is affected.
    if unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.is_err() {
        return;
    }
    // Unmounts elsewhere reach this namespace, so that it pins nothing; nothing goes back. While
    // that does not hold an unmount here would be one in the parent's namespace, too.
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    if mount_change(c"/", slave).is_err() {
        return;
    }
    for path in detach {
        let _ = unmount(
            path.as_c_str(),
            UnmountFlags::DETACH | UnmountFlags::NOFOLLOW,
        );
    }
}

/// Every descriptor above 2 but `kept` closes at exec; `kept` stays. Not closed at once, as the
/// standard library reports a failed exec through a descriptor of its own.
fn close_on_exec_except(kept: RawFd) -> io::Result<()> {
    set_close_on_exec(kept, false)?;
    for (first, last) in [(3, kept - 1), (kept + 1, RawFd::MAX)] {
        if first > last {
            continue;
        }
        // SAFETY: close_range with CLOSE_RANGE_CLOEXEC takes numbers only and closes nothing.
        let done = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                first as libc::c_uint,
                last as libc::c_uint,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if done == 0 {
            continue;
        }
        // Linux before 5.11. Numbers above the limit cannot be in use unless it was lowered.
        let limit = rustix::process::getrlimit(Resource::Nofile).current;
        let limit = limit
            .and_then(|most| RawFd::try_from(most).ok())
            .map_or(1 << 16, |most| most.min(1 << 20));
        for fd in first..last.min(limit) {
            let _ = set_close_on_exec(fd, true);
        }
    }
    Ok(())
}

fn set_close_on_exec(fd: RawFd, close: bool) -> io::Result<()> {
    let flags = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: F_SETFD takes numbers only; an unknown descriptor is an error, not undefined.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, flags) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The mount points to detach, outermost first so that no path leads through a FUSE mount.
/// Other FUSE mounts go, too: a copy in a private namespace would keep their daemons from ending.
fn detachable(program: &Path, hidden: &[PathBuf]) -> Vec<CString> {
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mut paths: Vec<PathBuf> = mounts
        .split(|&byte| byte == b'\n')
        .filter_map(fuse_mount_point)
        .filter(|path| hidden.contains(path) || !program.starts_with(path))
        .collect();
    for path in hidden {
        if !paths.contains(path) {
            paths.push(path.clone());
        }
    }
    paths.sort_by_key(|path| path.as_os_str().len());
    paths
        .into_iter()
        .filter_map(|path| CString::new(path.as_os_str().as_bytes()).ok())
        .collect()
}

/// The mount point in a line of mountinfo (see proc_pid_mountinfo(5)) if its type is FUSE.
fn fuse_mount_point(line: &[u8]) -> Option<PathBuf> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let kind = fields.get(dash + 1)?;
    let is_fuse = *kind == b"fuse" || *kind == b"fuseblk" || kind.starts_with(b"fuse.");
    if !is_fuse {
        return None;
    }
    let path = unescape(fields.get(4)?);
    Some(OsString::from_vec(path).into())
}

/// Undoes the `\040` escapes of mountinfo: a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                path.push(code);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                path.push(byte);
                rest = tail;
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuse_mount_points_are_found_and_unescaped() {
        let line = br"90 27 0:50 / /srv/a\040b rw,relatime shared:5 - fuse.pycfs pycfs rw";
        assert_eq!(fuse_mount_point(line), Some(PathBuf::from("/srv/a b")));
        let control = b"31 23 0:30 / /sys/fs/fuse/connections rw - fusectl fusectl rw";
        assert_eq!(fuse_mount_point(control), None);
        assert_eq!(fuse_mount_point(b""), None);
    }

    #[test]
    fn a_program_that_cannot_run_is_an_error() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let launch = Launch {
            program: PathBuf::from("/nonexistent/python3.13"),
            arguments: Vec::new(),
            stdin: ours.into(),
            keep: theirs.into(),
            memory: 1 << 30,
            hide: None,
        };
        let error = spawn(launch).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
