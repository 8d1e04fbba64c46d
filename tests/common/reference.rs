//! A reference interpreter of the very patch release that a profile stands for, as a long-lived worker.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::{Level, Target};

/// What CPython says of a source.
pub enum Answer {
    /// The marshalled code.
    Code(Vec<u8>),
    /// What `py_compile` says of the error.
    Refused(String),
}

/// The worker. Ended, and its folder removed, when dropped.
pub struct Reference {
    child: Child,
    folder: tempfile::TempDir,
    /// The version that answers.
    pub target: Target,
    /// What it is compared with.
    pub profile: &'static Profile,
    /// Its standard library.
    pub library: PathBuf,
}

impl Reference {
    /// The worker of CPython 3.`minor`; `None`, said aloud, where the machine has no such release.
    pub fn of(minor: u8) -> Option<Reference> {
        let target = Target::from_minor(minor).unwrap();
        let profile = Profile::of(target, None).unwrap();
        let python = super::references().join(format!("bin/python{target}"));
        let wanted = format!("{target}.{}", profile.patch);
        if !python.is_file() {
            super::skipped(&format!("no reference of CPython {target}"));
            return None;
        }
        let facts = "import sys, os; print('%d.%d.%d' % sys.version_info[:3], os.path.dirname(os.__file__))";
        let facts = super::command(&python)
            .args(["-c", facts])
            .output()
            .unwrap();
        let facts = String::from_utf8(facts.stdout).unwrap();
        let (version, library) = facts.trim().split_once(' ').unwrap();
        if version != wanted {
            super::skipped(&format!("the reference is CPython {version}, not {wanted}"));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/native_worker.py");
        let child = Command::new(&python)
            .args(["-I", "-B"])
            .arg(script)
            .arg(folder.path().join("m.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Reference {
            child,
            folder,
            target,
            profile,
            library: library.into(),
        })
    }

    /// The file name of everything that it compiles.
    pub fn name(&self) -> Vec<u8> {
        let path = self.folder.path().join("m.py");
        path.into_os_string().into_encoded_bytes()
    }

    /// Its answer.
    pub fn ask(&mut self, source: &[u8], level: Level) -> Answer {
        let mut request = u32::try_from(source.len()).unwrap().to_le_bytes().to_vec();
        request.push(1 << level.number());
        request.extend_from_slice(source);
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(&request).unwrap();
        stdin.flush().unwrap();
        let stdout = self.child.stdout.as_mut().unwrap();
        let mut head = [0; 5];
        stdout.read_exact(&mut head).unwrap();
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; length as usize];
        stdout.read_exact(&mut body).unwrap();
        match head[0] {
            0 => Answer::Code(body),
            1 => {
                let fields: serde_json::Value = serde_json::from_slice(&body).unwrap();
                Answer::Refused(fields["explain"].as_str().unwrap().to_owned())
            }
            _ => panic!("the reference ran out of memory"),
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
