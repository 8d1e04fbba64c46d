//! Development: runs the graph passes alone over instruction sequences that CPython's own code
//! generator made, and compares with what CPython's passes made of them.
//!
//! usage: native_passes MINOR FILE
//!
//! FILE is written by `scripts/native_passes.py`: one JSON object a line.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};

use pycfs::compiler::native::ast::{Constant, Pool};
use pycfs::compiler::native::constant::{Heap, Item};
use pycfs::compiler::native::error::Loc;
use pycfs::compiler::native::flowgraph::{Constants, Graph, UnitFacts, improve_alone};
use pycfs::compiler::native::instruction::Sequence;
use pycfs::compiler::native::opcode::Op;
use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::Target;
use serde_json::Value;

fn op_names() -> HashMap<&'static str, Op> {
    Op::all().map(|op| (op.name(), op)).collect()
}

fn constant(value: &Value, pool: &mut Pool) -> Item {
    let (kind, text) = (value[0].as_str().unwrap(), &value[1]);
    let value = match kind {
        "None" => Constant::None,
        "..." => Constant::Ellipsis,
        "bool" => Constant::Bool(text.as_bool().unwrap()),
        "int" => pool.int(text.as_str().unwrap().parse().unwrap()),
        "float" => Constant::Float(text.as_str().unwrap().parse().unwrap()),
        "str" => Constant::Str(pool.sym(text.as_str().unwrap())),
        "bytes" => {
            let bytes: Vec<u8> = text
                .as_array()
                .unwrap()
                .iter()
                .map(|b| b.as_u64().unwrap() as u8)
                .collect();
            Constant::Bytes(pool.intern_bytes(&bytes))
        }
        "complex" => {
            let part = |at: usize| f64::from_bits(text[at].as_str().unwrap().parse().unwrap());
            pool.complex_constant(part(0), part(1))
        }
        "tuple" | "set" | "slice" => {
            let items: Vec<Constant> = text
                .as_array()
                .unwrap()
                .iter()
                .map(|item| match constant(item, pool) {
                    Item::Value(value) => value,
                    Item::Object(_) => panic!("an object in a tuple"),
                })
                .collect();
            let id = pool.intern_tuple(&items);
            match kind {
                "tuple" => Constant::Tuple(id),
                "set" => Heap::canonical(Constant::FrozenSet(id), pool),
                _ => Constant::Slice(id),
            }
        }
        kind => panic!("{kind}"),
    };
    Item::Value(value)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let target = Target::from_minor(args[1].parse().unwrap()).unwrap();
    let profile = Profile::of(target, None).unwrap();
    let names = op_names();
    let renamed = |name: &str| match name {
        "CALL_FUNCTION_EX" => Op::CallFunctionExOrNull,
        "END_ASYNC_FOR" => Op::EndAsyncForOf,
        name => *names.get(name).unwrap_or_else(|| panic!("{name}")),
    };
    let file = BufReader::new(std::fs::File::open(&args[2]).unwrap());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut shown = 0;
    for line in file.lines() {
        let unit: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let mut pool = Pool::new();
        let mut heap = Heap::new(profile, &pool);
        let mut items: Vec<Item> = Vec::new();
        for value in unit["consts"].as_array().unwrap() {
            let item = match value[0].as_str() {
                // Code objects are never looked into, so any object stands for one.
                Some("code") => Item::Object(heap.name(pool.sym(&format!("code {}", items.len())))),
                _ => constant(value, &mut pool),
            };
            items.push(item);
        }
        let mut sequence = Sequence::default();
        let rows = unit["code"].as_array().unwrap();
        let labels: Vec<_> = rows.iter().map(|_| sequence.new_label()).collect();
        let number = |value: &Value| value.as_i64().unwrap_or(0);
        for (row, &label) in rows.iter().zip(&labels) {
            sequence.place(label);
            let op = renamed(row[0].as_str().unwrap());
            let loc = Loc {
                line: number(&row[2]) as i32,
                end_line: number(&row[3]) as i32,
                col: number(&row[4]) as i32,
                end_col: number(&row[5]) as i32,
            };
            let arg = number(&row[1]) as u32;
            if op.has_target() {
                sequence.push_jump(op, labels[arg as usize], loc);
            } else {
                sequence.push(op, arg, loc);
            }
        }
        let facts = UnitFacts {
            local_count: number(&unit["locals"]) as usize,
            param_count: 0,
            first_line: 1,
            is_generator: false,
        };
        let mut constants = Constants::new(&mut items, &mut pool, &mut heap);
        let done = improve_alone(
            &mut Graph::new(),
            &mut sequence,
            &mut constants,
            profile,
            facts,
        );
        let class = match done {
            Err(why) => format!("{why:?}").lines().next().unwrap().to_owned(),
            Ok(done) => {
                let ours: Vec<_> = done
                    .instrs
                    .iter()
                    .map(|instr| {
                        let loc = instr.loc;
                        (
                            instr.op,
                            instr.arg,
                            [loc.line, loc.end_line, loc.col, loc.end_col],
                        )
                    })
                    .collect();
                let theirs: Vec<_> = unit["result"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| {
                        let at = |at: usize| number(&row[at]) as i32;
                        let op = renamed(row[0].as_str().unwrap());
                        (op, number(&row[1]) as u32, [at(2), at(3), at(4), at(5)])
                    })
                    .collect();
                let consts: Vec<Option<Item>> = unit["result_consts"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|value| match value[0].as_str() {
                        Some("code") => None,
                        _ => Some(constant(value, &mut pool)),
                    })
                    .collect();
                let same_consts = consts.len() == items.len()
                    && consts
                        .iter()
                        .zip(&items)
                        .all(|(theirs, ours)| match theirs {
                            Some(theirs) => theirs == ours,
                            None => matches!(ours, Item::Object(_)),
                        });
                // CPython's function merges new constants only among themselves.
                let loads = |at: usize, own: bool| {
                    let list = |at: u32| match own {
                        true => items.get(at as usize).copied(),
                        false => consts.get(at as usize).copied().flatten(),
                    };
                    let (op, arg, loc) = if own { ours[at] } else { theirs[at] };
                    let value = list(arg).filter(|item| matches!(item, Item::Value(_)));
                    match op {
                        Op::LoadConst if value.is_some() => (op, 0, loc, value),
                        Op::LoadConst => (op, 0, loc, None),
                        _ => (op, arg, loc, None),
                    }
                };
                let same_values = ours.len() == theirs.len()
                    && (0..ours.len()).all(|at| loads(at, true) == loads(at, false));
                if ours == theirs && same_consts {
                    "identical".to_owned()
                } else if same_values {
                    "identical but for the numbers of equal constants".to_owned()
                } else {
                    shown += 1;
                    if shown <= 10 {
                        println!("{}", unit["name"]);
                        let at = ours.iter().zip(&theirs).position(|(a, b)| a != b);
                        let at = at.unwrap_or(ours.len().min(theirs.len()));
                        let from = at.saturating_sub(4);
                        println!(
                            "  ours   {:?}",
                            ours.iter().skip(from).take(9).collect::<Vec<_>>()
                        );
                        println!(
                            "  theirs {:?}",
                            theirs.iter().skip(from).take(9).collect::<Vec<_>>()
                        );
                        if !same_consts {
                            println!("  consts {items:?}\n  theirs {consts:?}");
                        }
                    }
                    "differs".to_owned()
                }
            }
        };
        *counts.entry(class).or_default() += 1;
    }
    for (class, count) in counts {
        println!("{count:7} {class}");
    }
}
