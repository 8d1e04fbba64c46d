//! `mount.pycfs SRC DIR [-sfnv] [-N NS] [-o OPTS] [-t TYPE]`: what mount(8) calls for fstab lines.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::complaint::complain;
use crate::mount::{self, Options};

/// Arguments as mount(8) passes them, in any order.
#[derive(Debug, Default)]
struct Call {
    places: Vec<OsString>,
    options: Vec<OsString>,
    fake: bool,
}

/// Mounts in the background; the exit code is mount(8)'s.
pub fn run(arguments: &[OsString]) -> u8 {
    match call(arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(format_args!("mount.pycfs: {error}"));
            error.exit_code()
        }
    }
}

fn call(arguments: &[OsString]) -> Result<u8, mount::Error> {
    let call = parse(arguments)?;
    let [source, mount_point] = call.places.as_slice() else {
        let usage = "usage: mount.pycfs SOURCE DIRECTORY [-sfnv] [-o OPTIONS]";
        return Err(mount::Error::Usage(usage.to_owned()));
    };
    let mut options = Options::new(rustix::process::geteuid().is_root());
    for list in &call.options {
        options.apply(list)?;
    }
    if call.fake {
        return Ok(0);
    }
    Ok(mount::mount(
        Path::new(source),
        Path::new(mount_point),
        options,
        false,
        false,
    ))
}

fn parse(arguments: &[OsString]) -> Result<Call, mount::Error> {
    let mut call = Call::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(flags) = argument
            .as_bytes()
            .strip_prefix(b"-")
            .filter(|flags| !flags.is_empty())
        else {
            call.places.push(argument.clone());
            continue;
        };
        for flag in flags {
            match flag {
                // Sloppy, no mtab, verbose: nothing to do for any of them.
                b's' | b'n' | b'v' => {}
                b'f' => call.fake = true,
                b'o' | b't' | b'N' => {
                    let value = rest.next().ok_or_else(|| {
                        mount::Error::Usage(format!("option -{} needs a value", char::from(*flag)))
                    })?;
                    if *flag == b'o' {
                        call.options.push(value.clone());
                    }
                }
                other => {
                    return Err(mount::Error::Usage(format!(
                        "unknown option -{}",
                        char::from(*other)
                    )));
                }
            }
        }
    }
    Ok(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_order_that_mount_uses_is_understood() {
        let call = parse(&words("/srv/src /mnt -sv -o rw,allow_other -t fuse.pycfs")).unwrap();
        assert_eq!(call.places, ["/srv/src", "/mnt"]);
        assert_eq!(call.options, ["rw,allow_other"]);
        assert!(!call.fake);
    }

    #[test]
    fn a_missing_value_or_an_unknown_flag_is_wrong_use() {
        for text in ["/a /b -o", "/a /b -q", "/a"] {
            assert_eq!(run(&words(text)), 1, "{text}");
        }
    }
}
