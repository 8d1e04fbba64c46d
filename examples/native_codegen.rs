//! Development: compares instruction sequences before the graph passes with the reference's.
//!
//! usage: native_codegen MINOR.PATCH LEVEL LIST REFDIR [FILE-NUMBER]
//!
//! REFDIR/n.LEVEL holds what `scripts/native_codegen.py` made of the n-th path of LIST. With a number
//! ours is printed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic
)]

use pycfs::compiler::native::error::Stop;
use pycfs::compiler::native::pipeline;
use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::{Level, Target};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (minor, patch) = args[1].split_once('.').unwrap();
    let target = Target::from_minor(minor.parse().unwrap()).unwrap();
    let profile = Profile::of(target, Some(patch.parse().unwrap())).unwrap();
    let level = Level::from_number(args[2].parse().unwrap()).unwrap();
    let list = std::fs::read_to_string(&args[3]).unwrap();
    let wanted: Option<usize> = args.get(5).map(|number| number.parse().unwrap());
    let (mut same, mut differ, mut shown) = (0, 0, 0);
    for (number, path) in list.lines().enumerate() {
        if wanted.is_some_and(|wanted| wanted != number) {
            continue;
        }
        let source = std::fs::read(path).unwrap();
        let name = format!("{}/{number}.{}", args[4], level.number());
        let theirs = std::fs::read_to_string(name).unwrap_or_default();
        let ours = match pipeline::listing(&source, profile, level) {
            Ok(ours) => ours,
            Err(Stop::Rejected(_)) if theirs.starts_with("error") => continue,
            Err(stop) => format!("{stop:?}"),
        };
        if wanted.is_some() {
            print!("{ours}");
        }
        if ours == theirs {
            same += 1;
            continue;
        }
        differ += 1;
        if shown < 12 {
            shown += 1;
            let (ours, theirs): (Vec<_>, Vec<_>) =
                (ours.lines().collect(), theirs.lines().collect());
            let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
            println!("#{number} {path}");
            for line in &ours[at.saturating_sub(4).min(ours.len())..at.min(ours.len())] {
                println!("     {line}");
            }
            for line in theirs.iter().skip(at).take(5) {
                println!("   - {line}");
            }
            for line in ours.iter().skip(at).take(5) {
                println!("   + {line}");
            }
        }
    }
    println!("{same} equal, {differ} differ");
}
