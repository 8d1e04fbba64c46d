//! Hostile sources: whatever is nested or chained 100,000 times is an error or a result, in time.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use pycfs::compiler::native::backend::NativeCompiler;
use pycfs::compiler::{Compiler, Job, Refusal};
use pycfs::pyc::{Level, Target};

/// Shapes: head, what is repeated, middle, what is repeated behind it, tail.
const SHAPES: [(&str, &str, &str, &str, &str); 34] = [
    ("x = ", "-", "1", "", "\n"),
    ("x = ", "not ", "1", "", "\n"),
    ("x = ", "~", "a", "", "\n"),
    ("x = ", "await ", "a", "", "\n"),
    ("x = 1", "+1", "", "", "\n"),
    ("x = 1", "**1", "", "", "\n"),
    ("x = a", "@a", "", "", "\n"),
    ("x = a", " < a", "", "", "\n"),
    ("x = a", " is not a", "", "", "\n"),
    ("x = a", " and b", "", "", "\n"),
    ("x = a", " or b and c", "", "", "\n"),
    ("x = a", " if b else c", "", "", "\n"),
    ("x = a", ".b", "", "", "\n"),
    ("x = a", "()", "", "", "\n"),
    ("x = a", "[0]", "", "", "\n"),
    ("x = ", "(", "1", ")", "\n"),
    ("x = ", "[", "1", "]", "\n"),
    ("x = ", "{", "1", "}", "\n"),
    ("x = ", "{1:", "1", "}", "\n"),
    ("x = ", "f(", "1", ")", "\n"),
    ("x = ", "a[", "1", "]", "\n"),
    ("x = ", "lambda: ", "1", "", "\n"),
    ("x = ", "(y := ", "1", ")", "\n"),
    ("", "x = ", "1", "", "\n"),
    ("if x: pass\n", "elif x: pass\n", "", "", ""),
    ("", "@a\n", "def f(): pass", "", "\n"),
    ("x = 'a'", " 'b'", "", "", "\n"),
    ("x = f'a'", " f'{b}'", "", "", "\n"),
    ("match x:\n case ", "[", "a", "]", ": pass\n"),
    ("match x:\n case 1", " | 2", "", "", ": pass\n"),
    ("def f[T", ", T", "", "", "](): pass\n"),
    ("with a", ", a", "", "", ": pass\n"),
    ("try: pass\n", "except a: pass\n", "", "", ""),
    ("x = a", ", a", "", "", "\n"),
];

fn check(name: &str, source: String) {
    for minor in [13, 14] {
        let job = Job {
            source: Arc::from(source.as_bytes()),
            target: Target::from_minor(minor).unwrap(),
            level: Level::O0,
            timeout: Duration::from_secs(120),
            // The text of the error is asked for, too: it is a second reading of the source.
            explain: Some(b"m.py".to_vec()),
        };
        match NativeCompiler.compile(&job) {
            Ok(_) => {}
            Err(Refusal::Died(why)) => panic!("{name}: {why}"),
            Err(Refusal::TimedOut(after)) => panic!("{name}: no end after {after:?}"),
            Err(_) => {}
        }
    }
}

#[test]
fn whatever_is_repeated_ends_in_an_error_or_a_result() {
    // A debug build is some ten times slower, which the limits do not depend on.
    let count = if cfg!(debug_assertions) {
        10_000
    } else {
        100_000
    };
    for (head, before, middle, behind, tail) in SHAPES {
        let source = [
            head,
            &before.repeat(count),
            middle,
            &behind.repeat(count),
            tail,
        ]
        .concat();
        check(before, source);
        // Left open, it is an error that only the end tells.
        check(before, [head, &before.repeat(count), middle, "\n"].concat());
    }
}

#[test]
fn nested_statements_end_in_an_error_or_a_result() {
    for head in [
        "if x:",
        "for x in y:",
        "while x:",
        "with x:",
        "try:",
        "def f():",
        "class A:",
        "match x:",
        "async def f():",
    ] {
        for count in [21, 99, 100, 3000] {
            let mut source: String = (0..count)
                .map(|depth| format!("{}{head}\n", " ".repeat(depth)))
                .collect();
            source.push_str(&" ".repeat(count));
            source.push_str("pass\n");
            check(head, source);
        }
    }
}

#[test]
fn strings_in_strings_end_in_an_error_or_a_result() {
    for count in [3, 149, 150, 20_000] {
        check(
            "f-strings",
            format!("x = {}1{}\n", "f'{".repeat(count), "}'".repeat(count)),
        );
        check(
            "fields",
            format!("x = f'{}1{}'\n", "{1:".repeat(count), "}".repeat(count)),
        );
        check(
            "t-strings",
            format!("x = {}1{}\n", "t'{".repeat(count), "}'".repeat(count)),
        );
    }
}

#[test]
fn huge_numbers_are_not_computed() {
    for source in [
        "x = 10 ** 10 ** 9\n",
        "x = 2 << 10 ** 12\n",
        "x = 'a' * 10 ** 9\n",
        "x = (1,) * 10 ** 9\n",
        "x = 9 ** 9 ** 9 ** 9\n",
        "x = -(2 ** 63) ** 4096\n",
        "x = '%1000000000d' % 1\n",
    ] {
        check(source, source.to_owned());
    }
    check("digits", format!("x = {}\n", "9".repeat(100_000)));
}
