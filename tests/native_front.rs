//! The native compiler's front half against CPython: the syntax tree, the folded tree and the
//! symbol table of every file of the reference's standard library.
//!
//! Reference: `python3.X` of the references folder, or of this machine; a missing one is skipped
//! aloud. What CPython says is kept in the target directory, so that a second run is quick.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pycfs::compiler::native::error::Stop;
use pycfs::compiler::native::{ast, decode, fold, future, lower, parse, symtable};
use pycfs::pyc::{Level, Target};

/// One file, through as many passes as the mode asks for, in the text form of the tests.
fn front(source: &[u8], target: Target, mode: &str) -> Result<String, Stop> {
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

fn python(target: Target) -> Option<PathBuf> {
    let reference = common::references().join(format!("bin/python{target}"));
    if reference.is_file() {
        return Some(reference);
    }
    let found = common::interpreters_quietly();
    let (_, path) = found.into_iter().find(|(other, _)| *other == target)?;
    Some(path)
}

fn output(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// Asks the reference about every path; returns the folder with an answer for each.
fn ask(python: &Path, version: &str, mode: &str, paths: &[PathBuf]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("front-{version}-{mode}"));
    let complete = folder.join("complete");
    if complete.is_file() {
        return folder;
    }
    fs::create_dir_all(&folder).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/native/reference.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(mode)
        .arg(&folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for path in paths {
        writeln!(stdin, "{}", path.display()).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    fs::write(complete, "").unwrap();
    folder
}

/// The first line in which two texts differ.
fn difference(ours: &str, theirs: &str) -> String {
    let number = ours
        .lines()
        .zip(theirs.lines())
        .take_while(|(a, b)| a == b)
        .count();
    format!(
        "line {}: ours {:?}, theirs {:?}",
        number + 1,
        ours.lines().nth(number),
        theirs.lines().nth(number)
    )
}

fn compare(minor: u8, mode: &str) {
    let target = Target::from_minor(minor).unwrap();
    let Some(python) = python(target) else {
        common::skipped(&format!("no CPython {target}"));
        return;
    };
    let facts =
        "import sys, os; print('%d.%d.%d' % sys.version_info[:3], os.path.dirname(os.__file__))";
    let facts = output(Command::new(&python).args(["-c", facts]));
    let (version, library) = facts.trim().split_once(' ').unwrap();
    let paths = common::library_sources(Path::new(library), u64::MAX);
    let folder = ask(&python, version, mode, &paths);
    let (mut equal, mut refused, mut unsure) = (0, 0, 0);
    let mut wrong = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let theirs = fs::read(folder.join(number.to_string())).unwrap();
        let theirs = String::from_utf8_lossy(&theirs);
        let rejected = theirs.starts_with("error");
        match front(&fs::read(path).unwrap(), target, mode) {
            Ok(ours) if ours == theirs => equal += 1,
            Ok(_) if rejected => wrong.push(format!("{}: accepted", path.display())),
            Ok(ours) => {
                let difference = difference(&ours, &theirs);
                wrong.push(format!("{}: {difference}", path.display()));
            }
            Err(Stop::Unsure(_)) => unsure += 1,
            Err(Stop::Rejected(_)) if rejected => refused += 1,
            // 3.13's symbol table does not look at this; its code generator does.
            Err(Stop::Rejected(error)) if error.message.starts_with("from __future__") => {
                refused += 1;
            }
            Err(Stop::Rejected(error)) => {
                wrong.push(format!("{}: rejected: {}", path.display(), error.message));
            }
        }
    }
    println!(
        "CPython {version}, {mode}: {equal} of {} files equal, {refused} rejected by both, \
         {unsure} unsure",
        paths.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unsure <= paths.len() / 200, "{unsure} files are unsure");
}

#[test]
#[ignore = "a whole standard library in minutes: run with --ignored"]
fn trees_have_cpythons_nodes_and_positions() {
    compare(13, "ast");
    compare(14, "ast");
}

#[test]
#[ignore = "a whole standard library in minutes: run with --ignored"]
fn folded_trees_are_those_of_cpythons_optimizer() {
    for mode in ["opt0", "opt1", "opt2"] {
        compare(13, mode);
        compare(14, mode);
    }
}

#[test]
#[ignore = "a whole standard library in minutes: run with --ignored"]
fn symbol_tables_have_cpythons_scopes_and_flags() {
    compare(13, "sym");
    compare(14, "sym");
}

/// Whatever nests, the answer is a verdict, and it comes in bounded memory and stack.
#[test]
#[ignore = "a whole standard library in minutes: run with --ignored"]
fn deep_nesting_ends_in_a_verdict() {
    const DEPTH: usize = 100_000;
    let target = Target::from_minor(13).unwrap();
    let pair = |open: &str, middle: &str, close: &str| {
        [open.repeat(DEPTH), middle.to_owned(), close.repeat(DEPTH)].concat()
    };
    let sources = [
        pair("(", "1", ")"),
        pair("[", "", "]"),
        pair("{1:", "1", "}"),
        pair("f(", "", ")"),
        pair("-", "1", ""),
        pair("not ", "1", ""),
        pair("lambda: ", "1", ""),
        pair("1 if 1 else ", "1", ""),
        pair("1 ** ", "1", ""),
        pair("a + ", "1", ""),
        pair("a", "", ".b"),
        pair("a and ", "a", ""),
        pair("a < ", "a", ""),
        pair("a = ", "1", ""),
        pair("if a: pass\n", "", "elif a: pass\n"),
        pair("f'{", "1", "}'"),
        pair("\"a\" ", "", ""),
        (0..2000).fold(String::new(), |text, depth| {
            text + &" ".repeat(depth) + "if 1:\n"
        }) + &" ".repeat(2000)
            + "pass\n",
    ];
    for source in sources {
        let start = source.chars().take(30).collect::<String>();
        let worker = std::thread::Builder::new()
            .stack_size(2 * 1024 * 1024)
            .spawn(move || match front(source.as_bytes(), target, "sym") {
                Ok(_) => "accepted",
                Err(Stop::Rejected(_)) => "rejected",
                Err(Stop::Unsure(_)) => "unsure",
            });
        println!("{start}: {}", worker.unwrap().join().unwrap());
    }
}
