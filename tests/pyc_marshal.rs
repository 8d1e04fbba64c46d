//! The marshal reader and writer on what the interpreters write, and on everything else.

// A test ends by panicking.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{compile_library, interpreters};
use proptest::prelude::*;
use pycfs::pyc::marshal::{
    Code, CodeNumber, Graph, Id, MAX_DEPTH, ReadErrorKind, Text, TupleForm, Value, WriteError,
    read, write,
};
use pycfs::pyc::{Target, Template, diff, lines, normalise};

/// Reads, writes again, and says what is not the same.
fn round_trip(target: Target, data: &[u8]) -> Result<usize, String> {
    let graph = read(target, data).map_err(|error| error.to_string())?;
    let root = graph.root().ok_or("no root")?;
    let written = write(&graph, root).map_err(|error| error.to_string())?;
    if written == data {
        Ok(graph.len())
    } else {
        Err("other bytes".to_owned())
    }
}

#[test]
fn a_sample_of_each_standard_library_round_trips() {
    for (target, python) in interpreters() {
        let mut files = 0;
        compile_library(&python, "0", "60", |path, level, data| {
            let result = round_trip(target, data);
            assert!(result.is_ok(), "{target} {path} -O{level}: {result:?}");
            files += 1;
        });
        assert!(files >= 50, "{target}: {files} files");
    }
}

/// Run by `scripts/roundtrip-stdlib.sh`, which prints its counts.
#[test]
#[ignore = "compiles ten standard libraries three times"]
fn the_whole_of_each_standard_library_round_trips() {
    for (target, python) in interpreters() {
        let (mut files, mut bytes, mut objects) = (0u64, 0u64, 0u64);
        let mut failures = Vec::new();
        let mut time = Duration::ZERO;
        let refused = compile_library(&python, "0", "all", |path, level, data| {
            files += 1;
            bytes += data.len() as u64;
            let start = Instant::now();
            let result = round_trip(target, data);
            time += start.elapsed();
            match result {
                Ok(count) => objects += count as u64,
                Err(error) => failures.push(format!("{path} -O{level}: {error}")),
            }
            if let Err(error) = Template::cut(target, data, b"<hole>") {
                failures.push(format!("{path} -O{level}: {error}"));
            }
        });
        println!(
            "{target}: {} of {files} pycs the same ({refused} sources refused by CPython), \
             {objects} objects, {:.1} MB, read and written at {:.0} MB/s",
            files - failures.len() as u64,
            bytes as f64 / 1e6,
            bytes as f64 / 1e6 / time.as_secs_f64(),
        );
        assert_eq!(failures, Vec::<String>::new());
    }
}

/// A few kilobytes of real marshal data for each interpreter found.
fn real_data() -> &'static [(Target, Vec<u8>)] {
    static DATA: OnceLock<Vec<(Target, Vec<u8>)>> = OnceLock::new();
    DATA.get_or_init(|| {
        let mut data = Vec::new();
        for (target, python) in interpreters() {
            compile_library(&python, "0", "40", |_, _, bytes| {
                if (300..6000).contains(&bytes.len()) {
                    data.push((target, bytes.to_owned()));
                }
            });
        }
        data
    })
}

/// Everything that takes untrusted data: no panic, and what reads is written back the same.
fn feed(target: Target, data: &[u8]) {
    if let Ok(graph) = read(target, data) {
        let root = graph.root().unwrap();
        assert_eq!(write(&graph, root).as_deref(), Ok(data));
        normalise::digest(&graph).unwrap();
        for (_, object) in graph.iter() {
            if let Value::Code(code) = &object.value {
                let first_line = code.number(CodeNumber::FirstLineNo).unwrap();
                for (_, field) in code.fields() {
                    if let Some(Value::Bytes(bytes)) = graph.value(field) {
                        let _ = lines::read_line_table(target, first_line, bytes);
                    }
                }
            }
        }
        if let Some((_, original)) = real_data().iter().find(|(known, _)| *known == target) {
            let original = read(target, original).unwrap();
            for difference in diff::differences(&graph, &original, 3) {
                let _ = difference.to_string();
            }
        }
    }
    if let Ok(template) = Template::cut(target, data, b"<hole>") {
        assert_eq!(template.fill(b"<hole>"), data);
        assert_eq!(template.verify(target), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn mutated_real_data_never_panics(
        which in any::<prop::sample::Index>(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0u8..6, any::<u8>()), 1..6),
    ) {
        if real_data().is_empty() {
            common::skipped("no interpreter to take data from");
            return Ok(());
        }
        let (target, data) = which.get(real_data());
        let mut data = data.clone();
        for (place, kind, byte) in mutations {
            if data.is_empty() {
                break;
            }
            let at = place.index(data.len());
            match kind {
                0 => data[at] = byte,
                1 => data[at] ^= 1 << (byte & 7),
                2 => data.truncate(at),
                3 => {
                    data.remove(at);
                }
                4 => data.insert(at, byte),
                _ => {
                    let end = (at + usize::from(byte)).min(data.len());
                    let copy = data[at..end].to_vec();
                    data.extend(copy);
                }
            }
        }
        feed(*target, &data);
    }

    #[test]
    fn any_bytes_never_panic(
        minor in 6u8..=15,
        data in prop::collection::vec(
            prop_oneof![
                prop::sample::select(b"0NFTS.ilgysutaAzZ()[{}<>:cr\xe3\xa9\xe9\xda\xfa\xf3\0\x01\x02".to_vec()),
                any::<u8>(),
            ],
            0..80,
        ),
    ) {
        feed(Target::from_minor(minor).unwrap(), &data);
    }

    #[test]
    fn any_line_table_never_panics(
        minor in 6u8..=15,
        first_line in any::<i32>(),
        table in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let target = Target::from_minor(minor).unwrap();
        if let Ok(locations) = lines::read_line_table(target, first_line, &table) {
            let _ = lines::location_at(&locations, 4);
        }
    }

    #[test]
    fn any_graph_reads_as_it_was_written(
        minor in 6u8..=15,
        plan in prop::collection::vec((0u8..17, any::<u32>(), any::<bool>()), 1..60),
    ) {
        let graph = build_graph(Target::from_minor(minor).unwrap(), &plan);
        let root = graph.root().unwrap();
        let data = write(&graph, root).unwrap();
        let again = read(graph.target(), &data).unwrap();
        prop_assert_eq!(&write(&again, again.root().unwrap()).unwrap(), &data);
        prop_assert!(normalise::equal(&graph, &again));
        prop_assert_eq!(diff::first_difference(&graph, &again), None);
    }
}

/// A graph with an object for each step of the plan; objects are shared freely.
fn build_graph(target: Target, plan: &[(u8, u32, bool)]) -> Graph<'static> {
    let mut graph = Graph::new(target);
    let mut ids: Vec<Id> = Vec::new();
    let text = graph.push(
        Value::Text(Text::new(b"name".as_slice(), true).unwrap()),
        true,
    );
    let bytes = graph.push(Value::Bytes(b"\x64\x00".as_slice().into()), true);
    let (text, bytes) = (text.unwrap(), bytes.unwrap());
    ids.push(text);
    let names = graph.push(Value::tuple(vec![text, text]), true).unwrap();
    for (kind, number, interned) in plan {
        let some = |count: u32| -> Vec<Id> {
            let count = count as usize % 5;
            (0..count)
                .map(|step| ids[(*number as usize / 7 + step * 3) % ids.len()])
                .collect()
        };
        let pairs = |number: u32| -> Vec<Id> {
            let mut items = some(number);
            items.truncate(items.len() / 2 * 2);
            items
        };
        let digits = || -> Vec<u8> {
            let digit = (*number as u16 & 0x7FFF) | 1;
            [5, 1].into_iter().chain(digit.to_le_bytes()).collect()
        };
        let value = match kind {
            0 => Value::None,
            1 => Value::True,
            2 => Value::Ellipsis,
            3 => Value::Int(*number as i32),
            4 => Value::Long {
                negative: *interned,
                digits: digits().into(),
            },
            5 => Value::Float((*number).into()),
            6 => Value::Complex {
                real: 1,
                imag: (*number).into(),
            },
            7 => Value::Bytes(number.to_le_bytes().to_vec().into()),
            8 => Value::Text(Text::new(number.to_string().into_bytes(), *interned).unwrap()),
            9 => Value::Text(Text::new("é€\u{10000}".as_bytes().to_vec(), *interned).unwrap()),
            10 => {
                Value::Text(Text::new(vec![b'x'; 250 + *number as usize % 10], *interned).unwrap())
            }
            11 => Value::tuple(some(*number)),
            12 => Value::tuple(vec![text; 250 + *number as usize % 10]),
            13 => Value::List(some(*number)),
            14 => Value::FrozenSet(some(*number)),
            15 => Value::Dict(pairs(*number)),
            _ if target.minor() >= 15 && *interned => Value::FrozenDict(pairs(*number)),
            _ if target.minor() >= 14 && number % 2 == 0 => Value::Slice([text, bytes, names]),
            _ => Value::Code(Box::new(Code::new(
                target,
                |_| *number as i32,
                |field| match field.attribute() {
                    "co_code" | "co_localspluskinds" | "co_linetable" | "co_exceptiontable" => {
                        bytes
                    }
                    "co_filename" | "co_name" | "co_qualname" => text,
                    _ => names,
                },
            ))),
        };
        let flag_ref = !value.is_singleton();
        ids.push(graph.push(value, flag_ref).unwrap());
    }
    let root = Value::List(ids);
    graph.push(root, false).unwrap();
    graph
}

#[test]
fn nesting_ends_at_the_limit_and_costs_no_stack() {
    let target = Target::NEWEST;
    let nested = |depth: usize| [b")\x01".repeat(depth), b"N".to_vec()].concat();
    assert!(round_trip(target, &nested(MAX_DEPTH)).is_ok());
    for depth in [MAX_DEPTH + 1, 1_000_000] {
        let error = read(target, &nested(depth)).unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::TooDeep);
    }
}

#[test]
fn a_value_that_shares_its_halves_64_times_is_handled_in_one_pass() {
    let mut graph = Graph::new(Target::NEWEST);
    let mut id = graph.push(Value::tuple(Vec::new()), true).unwrap();
    for _ in 0..64 {
        id = graph.push(Value::tuple(vec![id, id]), true).unwrap();
    }
    let data = write(&graph, id).unwrap();
    assert!(data.len() < 1000);
    assert_eq!(round_trip(Target::NEWEST, &data), Ok(65));
    assert!(normalise::equal(
        &graph,
        &read(Target::NEWEST, &data).unwrap()
    ));
}

#[test]
fn malformed_data_is_refused_with_the_reason() {
    use ReadErrorKind::*;
    let cases: [(&[u8], ReadErrorKind); 22] = [
        (b"", Truncated),
        (b"i\0\0\0", Truncated),
        (b")\x02N", Truncated),
        (b"NN", TrailingBytes),
        (b"?", UnknownCode(b'?')),
        (b"I\0\0\0\0\0\0\0\0", UnknownCode(b'I')),
        (b"0", UnknownCode(b'0')),
        (b"{N0", UnknownCode(b'0')),
        (b"\xceN", UnknownCode(b'N')),
        (b"r\0\0\0\0", BadReference(0)),
        (b"\xa9\x01r\0\0\0\0", BadReference(0)),
        (b"\xa9\x01r\x01\0\0\0", BadReference(1)),
        (b"(\xff\xff\xff\xff", BadLength(-1)),
        (b"(\xff\xff\xff\x7f", Truncated),
        (b"s\xff\xff\xff\x7f", Truncated),
        (b"l\0\0\0\x80", Truncated),
        (b"l\x01\0\0\0\0\0", BadInt),
        (b"l\x01\0\0\0\0\x80", BadInt),
        (b"z\x01\x80", BadText),
        (b"u\x01\0\0\0\x80", BadText),
        (b"u\x02\0\0\0\xed\xa0", BadText),
        (b"\xf2\0\0\0\0", UnknownCode(b'r')),
    ];
    for (data, expected) in cases {
        for target in Target::all() {
            let error = read(target, data).unwrap_err();
            assert_eq!(error.kind, expected, "{target} {}", data.escape_ascii());
        }
    }
    for (data, since) in [(&b":NNN"[..], 14), (b"}NN0", 15)] {
        for target in Target::all() {
            assert_eq!(
                round_trip(target, data).is_ok(),
                target.minor() >= since,
                "{target} {}",
                data.escape_ascii()
            );
        }
    }
}

#[test]
fn a_graph_that_marshal_cannot_hold_is_refused() {
    let mut graph = Graph::new(Target::NEWEST);
    let item = graph.push(Value::Int(1), false).unwrap();
    let pair = graph.push(Value::tuple(vec![item, item]), false).unwrap();
    assert_eq!(
        write(&graph, pair),
        Err(WriteError::SharedWithoutFlag(item))
    );
    let small = Value::Tuple {
        form: TupleForm::Small,
        items: vec![item; 256],
    };
    let large = graph.push(small, false).unwrap();
    assert_eq!(write(&graph, large), Err(WriteError::TooLarge(large)));
    let mut other = Graph::new(Target::NEWEST);
    assert!(other.push(Value::tuple(vec![pair]), false).is_err());
    assert!(write(&other, pair).is_err());
}
