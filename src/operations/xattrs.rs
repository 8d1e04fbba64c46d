//! Extended attributes: the real tree's; of what is synthesized, only access control.

use rustix::io::Errno;
use std::ffi::OsStr;

use super::Operations;
use crate::inode::Body;
use crate::tree::{Error, xattr};

/// The attribute that holds the access ACL (acl(5)).
const ACCESS_ACL: &str = "system.posix_acl_access";

impl Operations {
    /// The value of an extended attribute.
    pub fn get_xattr(&self, number: u64, name: &OsStr) -> Result<Vec<u8>, Error> {
        let none = Error::new("getxattr", Errno::NODATA);
        let inode = self.inode(number)?;
        let root = self.root.current();
        match &inode.body {
            Body::Real(_) => match self.place(&root, &inode)? {
                Some((dir, entry)) => xattr::get(&dir, Some(&entry), name),
                None => xattr::get(&self.directory(&root, &inode)?.0, None, name),
            },
            Body::CacheDirectory(of) if name == ACCESS_ACL => {
                xattr::get(&self.directory(&root, of)?.0, None, name)
            }
            Body::Pyc(pyc) if name == ACCESS_ACL => {
                pyc.read().acl.as_ref().map(|acl| acl.to_vec()).ok_or(none)
            }
            Body::CacheDirectory(_) | Body::Pyc(_) => Err(none),
        }
    }

    /// The names of the extended attributes, each followed by a NUL byte.
    pub fn list_xattr(&self, number: u64) -> Result<Vec<u8>, Error> {
        let inode = self.inode(number)?;
        let root = self.root.current();
        match &inode.body {
            Body::Real(_) => match self.place(&root, &inode)? {
                Some((dir, entry)) => xattr::list(&dir, Some(&entry)),
                None => xattr::list(&self.directory(&root, &inode)?.0, None),
            },
            Body::CacheDirectory(_) | Body::Pyc(_) => Ok(Vec::new()),
        }
    }
}
