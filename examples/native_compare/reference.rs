//! The reference interpreter: a worker process, started again when it dies.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pycfs::pyc::Level;

/// What CPython says of one source at one level.
pub enum Answer {
    /// The marshalled code.
    Code(Vec<u8>),
    /// The refusal, as `scripts/native_worker.py` tells it.
    Refused(serde_json::Value),
    /// Out of memory, or the worker died.
    None,
}

/// A worker.
pub struct Reference {
    python: PathBuf,
    folder: PathBuf,
    child: Child,
}

/// The file name of everything that is compiled.
pub fn file_name() -> PathBuf {
    std::env::temp_dir().join(format!("native-compare-{}", std::process::id()))
}

/// Minor and patch version of an interpreter.
pub fn version(python: &Path) -> (u8, u8) {
    let script = "import sys; print('%d %d' % sys.version_info[1:3])";
    let output = command(python).args(["-c", script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (minor, patch) = text.trim().split_once(' ').unwrap();
    (minor.parse().unwrap(), patch.parse().unwrap())
}

/// The interpreter without the caller's settings.
pub fn command(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-I", "-B"]);
    command
}

fn start(python: &Path, folder: &Path) -> Child {
    command(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/native_worker.py"))
        .arg(folder.join("m.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Reference {
    pub fn start(python: &Path) -> Reference {
        let folder = file_name();
        std::fs::create_dir_all(&folder).unwrap();
        Reference {
            child: start(python, &folder),
            python: python.into(),
            folder,
        }
    }

    pub fn ask(&mut self, source: &[u8], levels: &[Level]) -> Vec<Answer> {
        self.exchange(source, levels).unwrap_or_else(|_| {
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.child = start(&self.python, &self.folder);
            levels.iter().map(|_| Answer::None).collect()
        })
    }

    fn exchange(&mut self, source: &[u8], levels: &[Level]) -> std::io::Result<Vec<Answer>> {
        let bits = levels.iter().map(|level| 1 << level.number()).sum::<u8>();
        let mut request = u32::try_from(source.len()).unwrap().to_le_bytes().to_vec();
        request.push(bits);
        request.extend_from_slice(source);
        self.child.stdin.as_mut().unwrap().write_all(&request)?;
        let stdout = self.child.stdout.as_mut().unwrap();
        let mut answers = Vec::new();
        for _ in levels {
            let mut head = [0; 5];
            stdout.read_exact(&mut head)?;
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length as usize];
            stdout.read_exact(&mut body)?;
            answers.push(match head[0] {
                0 => Answer::Code(body),
                1 => Answer::Refused(serde_json::from_slice(&body).unwrap()),
                _ => Answer::None,
            });
        }
        Ok(answers)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
