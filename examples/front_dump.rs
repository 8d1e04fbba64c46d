//! Development: compares the native compiler's front half with dumps of the reference interpreter.
//!
//! usage: front_dump MINOR MODE LIST DUMPDIR [FILE-NUMBER]
//!
//! MODE: a mode of `tests/native/reference.py`, whose answers are in DUMPDIR, or `time`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use pycfs::compiler::native::{
    ast, decode, error::Stop, fold, future, lower, parse, pipeline, profile::Profile, symtable,
};
use pycfs::pyc::{Level, Target};
use std::collections::BTreeMap;

fn front(source: &[u8], target: Target, mode: &str) -> Result<String, Stop> {
    if mode == "verdict" {
        let profile = Profile::of(target, None).unwrap();
        pipeline::compile(source, profile, Level::O0)?;
        return Ok("ok\n".to_owned());
    }
    let text = decode::decode(source, target)?;
    let parsed = parse::parse(&text, target)?;
    let mut pool = ast::Pool::new();
    let mut tree = lower::lower(&text, parsed, target, &mut pool)?;
    if mode == "sym" {
        let future = future::future(&tree, &pool)?;
        let table = symtable::build(&tree, &mut pool, future, target)?;
        return Ok(symtable::dump(&table, &pool));
    }
    if let Some(level) = mode.strip_prefix("opt") {
        let level = Level::from_number(level.parse().unwrap()).unwrap();
        let future = future::future(&tree, &pool)?;
        fold::fold(&mut tree, &mut pool, future, level, target)?;
    }
    Ok(ast::dump(&tree, &pool))
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let target = Target::from_minor(args[1].parse().unwrap()).unwrap();
    let list = std::fs::read_to_string(&args[3]).unwrap();
    let only: Option<usize> = args.get(5).map(|n| n.parse().unwrap());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shown = 0;
    if args[2] == "time" {
        return time(target, &list);
    }
    for (number, path) in list.lines().enumerate() {
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let Ok(theirs) = std::fs::read(format!("{}/{number}", args[4])) else {
            *counts.entry("no dump").or_default() += 1;
            continue;
        };
        let source = std::fs::read(path).unwrap();
        let theirs = String::from_utf8_lossy(&theirs);
        let rejected = theirs.starts_with("error");
        let (class, note) = match front(&source, target, &args[2]) {
            Ok(_) if rejected => ("WRONG accept", theirs.to_string()),
            Ok(ours) if ours == theirs => ("equal", String::new()),
            Ok(ours) => {
                let (mut o, mut t) = (ours.lines(), theirs.lines());
                let mut line = 0;
                let mut before: Vec<&str> = vec![];
                loop {
                    let (a, b) = (o.next(), t.next());
                    line += 1;
                    if a != b {
                        break (
                            "differs",
                            format!(
                                "dump line {line}\n   before {:?}\n   ours   {a:?}\n   theirs {b:?}",
                                &before[before.len().saturating_sub(3)..]
                            ),
                        );
                    }
                    before.push(a.unwrap_or_default());
                }
            }
            Err(Stop::Unsure(why)) if rejected => (
                "both refuse (unsure)",
                if only.is_some() { *why } else { String::new() },
            ),
            Err(Stop::Unsure(why)) => ("unsure", *why),
            Err(Stop::Rejected(error)) if rejected => {
                if only.is_some() {
                    println!("{error:?}");
                }
                ("both reject", String::new())
            }
            Err(Stop::Rejected(error)) => ("WRONG reject", error.message),
        };
        *counts.entry(class).or_default() += 1;
        if !note.is_empty() && shown < 60 {
            shown += 1;
            println!("{number} {path}: {class}: {note}");
        }
    }
    println!("{counts:?}");
}

/// Times each pass over all files of a list.
fn time(target: Target, list: &str) {
    let mut spent = [std::time::Duration::ZERO; 5];
    let mut bytes = 0;
    for path in list.lines() {
        let source = std::fs::read(path).unwrap();
        bytes += source.len();
        let mut pass = 0;
        let mut last = std::time::Instant::now();
        let mut lap = || {
            spent[pass] += last.elapsed();
            last = std::time::Instant::now();
            pass += 1;
        };
        let Ok(text) = decode::decode(&source, target) else {
            continue;
        };
        lap();
        let Ok(parsed) = parse::parse(&text, target) else {
            continue;
        };
        lap();
        let mut pool = ast::Pool::new();
        let Ok(mut tree) = lower::lower(&text, parsed, target, &mut pool) else {
            continue;
        };
        lap();
        let Ok(future) = future::future(&tree, &pool) else {
            continue;
        };
        let _ = fold::fold(&mut tree, &mut pool, future, Level::O0, target);
        lap();
        let _ = symtable::build(&tree, &mut pool, future, target);
        lap();
    }
    let names = ["decode", "parse", "lower", "fold", "symtable"];
    let total: std::time::Duration = spent.iter().sum();
    for (name, spent) in names.iter().zip(spent) {
        println!("{name:10} {:8.1} ms", spent.as_secs_f64() * 1e3);
    }
    let rate = bytes as f64 / 1e6 / total.as_secs_f64();
    println!("{bytes} bytes, {rate:.1} MB/s");
}
