//! Which mode a source gets, from the kind of its filesystem.

use rustix::fs::fstatfs;
use std::os::fd::AsFd;

use super::Mode;

/// What is known of a filesystem's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Every change passes through this kernel and makes an event.
    Events,
    /// Changes may pass by below it; asking it is cheap.
    Asking,
    /// Other machines change it, and asking may cost a round trip.
    Remote,
}

/// Filesystems by the number that statfs(2) gives, with their name.
const KNOWN: &[(u32, &str, Trust)] = &[
    (0xef53, "ext2, ext3 or ext4", Trust::Events),
    (0x5846_5342, "xfs", Trust::Events),
    (0x9123_683e, "btrfs", Trust::Events),
    (0x0102_1994, "tmpfs", Trust::Events),
    (0xf2f5_2010, "f2fs", Trust::Events),
    (0xca45_1a4e, "bcachefs", Trust::Events),
    (0x7371_7368, "squashfs", Trust::Events),
    (0xe0f5_e1e2, "erofs", Trust::Events),
    (0x794c_7630, "overlay", Trust::Asking),
    (0x6573_5546, "FUSE", Trust::Asking),
    (0x2fc1_2fc1, "zfs", Trust::Asking),
    (0x6969, "NFS", Trust::Remote),
    (0xff53_4d42, "CIFS", Trust::Remote),
    (0xfe53_4d42, "SMB", Trust::Remote),
    (0x517b, "SMB", Trust::Remote),
    (0x0102_1997, "9P", Trust::Remote),
    (0x00c3_6400, "Ceph", Trust::Remote),
    (0x5346_414f, "AFS", Trust::Remote),
    (0x7461_636f, "OCFS2", Trust::Remote),
    (0x0116_1970, "GFS2", Trust::Remote),
    (0x0bd0_0bd0, "Lustre", Trust::Remote),
];

/// What is known of the events of the filesystem that a file is on, and its name.
pub fn trust(file: impl AsFd) -> (Trust, String) {
    // The field's width and sign differ between machines; the numbers have 32 bits.
    let kind = fstatfs(file).map_or(0, |found| found.f_type as u32);
    KNOWN
        .iter()
        .find(|(number, ..)| *number == kind)
        .map_or_else(
            || {
                (
                    Trust::Asking,
                    format!("a filesystem of the unknown type {kind:#x}"),
                )
            },
            |(_, name, trust)| (*trust, (*name).to_owned()),
        )
}

/// A mode to try, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The mode.
    pub mode: Mode,
    /// Why, for people.
    pub reason: String,
}

/// The mode for a source: the one asked for, else what its filesystem allows.
pub fn choose(wanted: Option<Mode>, source: impl AsFd) -> Choice {
    let (trust, name) = trust(source);
    decide(wanted, trust, &name)
}

fn decide(wanted: Option<Mode>, trust: Trust, name: &str) -> Choice {
    let (mode, why) = match trust {
        Trust::Events => (Mode::Watch, "its events can be trusted"),
        Trust::Asking => (Mode::Strict, "changes may pass its events by"),
        Trust::Remote => (Mode::Ttl, "other machines change it without an event here"),
    };
    match wanted {
        Some(wanted) => Choice {
            mode: wanted,
            reason: match wanted == mode {
                true => "asked for".to_owned(),
                false => format!("asked for, where {mode} would be chosen: {name}, {why}"),
            },
        },
        None => Choice {
            mode,
            reason: format!("{name}: {why}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_source_is_not_trusted_and_what_is_asked_for_wins() {
        assert_eq!(decide(None, Trust::Remote, "NFS").mode, Mode::Ttl);
        assert_eq!(decide(None, Trust::Asking, "overlay").mode, Mode::Strict);
        assert_eq!(decide(None, Trust::Events, "xfs").mode, Mode::Watch);
        for mode in Mode::ALL {
            assert_eq!(decide(Some(mode), Trust::Remote, "NFS").mode, mode);
        }
    }

    #[test]
    fn the_reason_names_the_filesystem() {
        assert!(decide(None, Trust::Remote, "NFS").reason.contains("NFS"));
        let forced = decide(Some(Mode::Watch), Trust::Remote, "NFS").reason;
        assert!(
            forced.contains("asked for") && forced.contains("NFS"),
            "{forced}"
        );
    }
}
