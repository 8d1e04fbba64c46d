//! Development: compiles many files and compares the marshalled code with the reference's.
//!
//! usage: native_diff MINOR.PATCH LEVEL LIST REFDIR [OUTDIR]
//!
//! REFDIR/n.LEVEL holds what the reference made of the n-th path of LIST (see
//! `scripts/native_reference.py`). Differing results go to OUTDIR under the same name.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::BTreeMap;
use std::sync::Mutex;

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
    let out = args.get(5);
    let counts: Mutex<BTreeMap<String, Vec<usize>>> = Mutex::default();
    let work = || {
        let mut bytes = 0;
        let mut spent = std::time::Duration::ZERO;
        for (number, path) in list.lines().enumerate() {
            let name = format!("{number}.{}", level.number());
            let Ok(theirs) = std::fs::read(format!("{}/{name}", args[4])) else {
                continue;
            };
            let Ok(source) = std::fs::read(path) else {
                continue;
            };
            let rejected = theirs.starts_with(b"error");
            bytes += source.len();
            let start = std::time::Instant::now();
            let ours = pipeline::compile(&source, profile, level);
            spent += start.elapsed();
            let class = match ours {
                Ok(_) if rejected => "WRONG accept".to_owned(),
                Ok(ours) => {
                    let ours = ours.with_filename(path.as_bytes());
                    let same = ours == theirs;
                    if let (false, Some(out)) = (same, out) {
                        std::fs::write(format!("{out}/{name}"), &ours).unwrap();
                    }
                    if same { "identical" } else { "differs" }.to_owned()
                }
                Err(Stop::Rejected(_)) if rejected => "rejected, as theirs".to_owned(),
                Err(Stop::Rejected(error)) => {
                    format!("WRONG reject: {} {:?}", error.message, error.loc)
                }
                Err(Stop::Unsure(why)) if rejected => format!("unsure of a rejected one: {why}"),
                Err(Stop::Unsure(why)) => {
                    format!("unsure: {}", why.lines().next().unwrap_or_default())
                }
            };
            counts
                .lock()
                .unwrap()
                .entry(class)
                .or_default()
                .push(number);
        }
        println!("{:.1} MB/s", bytes as f64 / 1e6 / spent.as_secs_f64());
    };
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(1 << 30)
            .spawn_scoped(scope, work)
            .unwrap();
    });
    let counts = counts.into_inner().unwrap();
    for (class, files) in &counts {
        let some: Vec<_> = files.iter().take(8).collect();
        println!("{:6} {class}  {some:?}", files.len());
    }
}
