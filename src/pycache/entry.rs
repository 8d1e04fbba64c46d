//! One synthesized pyc: which code, which header, which file name, whose owner and permission.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::pyc::{CacheName, Level, Target};
use crate::store::{Entry, Key};
use crate::tree::Attr;

/// A pyc as it is served. Its bytes are decided when it is made and never change.
#[derive(Clone, Debug)]
pub struct Pyc {
    /// The code's key in the store.
    pub key: Key,
    /// The header: magic number, flags, and the source's time and size or hash.
    pub header: Vec<u8>,
    /// The file name in the code: the source's path as the reader sees it.
    pub file_name: Arc<OsStr>,
    /// The interpreter version the code is for.
    pub target: Target,
    /// The optimization level the code is for.
    pub level: Level,
    /// Size of the whole pyc in bytes; `None` while its code is not made.
    pub size: Option<u64>,
    /// The attributes of the source: owner, read permission and times are the pyc's too.
    pub source: Attr,
    /// The source's access ACL, without write and execute permission.
    pub acl: Option<Arc<[u8]>>,
    /// Whether the source was reached through a symlink.
    pub followed: bool,
    /// The mount's number of the `__pycache__` it is in.
    pub directory: u64,
}

impl Pyc {
    /// Everything that decides the bytes, the place, and who may read: the parts of the inode
    /// number. A source that was recreated has a new pyc even if the bytes are equal.
    pub fn identity(&self) -> [Vec<u8>; 7] {
        let source = &self.source.identity;
        let mut file = Vec::with_capacity(40);
        file.extend(source.dev.to_le_bytes());
        file.extend(source.ino.to_le_bytes());
        file.extend(source.birth.nanos().to_le_bytes());
        let mut access = Vec::with_capacity(10);
        access.extend(self.source.perm.to_le_bytes());
        access.extend(self.source.uid.to_le_bytes());
        access.extend(self.source.gid.to_le_bytes());
        [
            self.key.as_bytes().to_vec(),
            self.header.clone(),
            self.file_name.as_bytes().to_vec(),
            file,
            access,
            self.acl.as_deref().unwrap_or_default().to_vec(),
            self.directory.to_le_bytes().to_vec(),
        ]
    }

    /// Its name in the `__pycache__`; `None` only for a source that has no source's name.
    pub fn name(&self) -> Option<CacheName> {
        let source = self
            .file_name
            .as_bytes()
            .rsplit(|byte| *byte == b'/')
            .next();
        Some(CacheName {
            stem: source?.strip_suffix(b".py")?.to_vec(),
            target: self.target,
            level: self.level,
        })
    }

    /// The whole file: header, then the code with the file name put in.
    pub fn bytes(&self, entry: &Entry) -> Vec<u8> {
        let size = self.size.and_then(|size| usize::try_from(size).ok());
        let mut bytes = Vec::with_capacity(size.unwrap_or(0));
        bytes.extend_from_slice(&self.header);
        bytes.extend_from_slice(&entry.template.fill(self.file_name.as_bytes()));
        bytes
    }
}
