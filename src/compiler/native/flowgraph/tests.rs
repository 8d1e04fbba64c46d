//! The passes alone, on instruction sequences as text.
//!
//! One instruction a line: name, argument, and `@line` if it is not line 1; `@-` is no line. A
//! target is a label, which stands before its instruction as `name:`. In the result a target is
//! `->` and the number of the line it is on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;

use super::{Constants, Graph, Locals, UnitFacts, improve_alone, optimize};
use crate::compiler::native::ast::{Constant, Pool};
use crate::compiler::native::constant::{Heap, Item};
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::instruction::{Label, Sequence};
use crate::compiler::native::opcode::Op;
use crate::compiler::native::profile::Profile;
use crate::pyc::Target;

fn parse(text: &str) -> Sequence {
    let mut sequence = Sequence::default();
    let mut labels: HashMap<String, Label> = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut label = |sequence: &mut Sequence, name: &str| {
            *labels
                .entry(name.to_owned())
                .or_insert_with(|| sequence.new_label())
        };
        if let Some(name) = line.strip_suffix(':') {
            let label = label(&mut sequence, name);
            sequence.place(label);
            continue;
        }
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let mut loc = Loc {
            line: 1,
            end_line: 1,
            col: 0,
            end_col: 0,
        };
        if let Some(place) = words.last().and_then(|word| word.strip_prefix('@')) {
            loc = match place {
                "-" => Loc::NONE,
                line => Loc {
                    line: line.parse().unwrap(),
                    ..loc
                },
            };
            words.pop();
        }
        let op = Op::all().find(|op| op.name() == words[0]);
        let op = op.unwrap_or_else(|| panic!("{line}"));
        match words.get(1) {
            Some(name) if op.has_target() => {
                let target = label(&mut sequence, name);
                sequence.push_jump(op, target, loc);
            }
            number => {
                let arg = number.map_or(0, |number| number.parse().unwrap());
                sequence.push(op, arg, loc);
            }
        }
    }
    sequence
}

fn show(sequence: &Sequence, consts: &[Item], pool: &Pool) -> Vec<String> {
    let constant = |at: u32| match consts[at as usize] {
        Item::Value(Constant::Int(value)) => value.to_string(),
        Item::Value(Constant::Bool(value)) => value.to_string(),
        Item::Value(Constant::None) => "None".to_owned(),
        Item::Value(Constant::Tuple(id)) => format!("tuple of {}", pool.tuple(id).len()),
        Item::Value(Constant::FrozenSet(id)) => format!("set of {}", pool.tuple(id).len()),
        other => format!("{other:?}"),
    };
    let show = sequence.instrs.iter().map(|instr| {
        let name = instr.op.name();
        if instr.op.has_const() {
            format!("{name} {}", constant(instr.arg))
        } else if instr.op.has_target() {
            format!("{name} -> {}", instr.arg)
        } else if instr.arg != 0 || name.starts_with("LOAD_FAST") {
            format!("{name} {}", instr.arg)
        } else {
            name.to_owned()
        }
    });
    show.collect()
}

/// Runs the passes of 3.14 over a function with one parameter, all of them or those alone that leave
/// pseudo instructions.
fn run(text: &str, consts: &[i64], alone: bool) -> Pass<Vec<String>> {
    let profile = Profile::of(Target::from_minor(14).unwrap(), None).unwrap();
    let mut pool = Pool::new();
    let mut heap = Heap::new(profile, &pool);
    let mut items = vec![Item::Value(Constant::None)];
    items.extend(
        consts
            .iter()
            .map(|&value| Item::Value(Constant::Int(value))),
    );
    let facts = UnitFacts {
        local_count: 4,
        param_count: 1,
        first_line: 1,
        is_generator: false,
    };
    let mut locals = Locals {
        varnames: &[],
        cellvars: &[],
        freevars: &[],
        shared: 0,
    };
    let mut sequence = parse(text);
    let mut constants = Constants::new(&mut items, &mut pool, &mut heap);
    let (graph, consts) = (&mut Graph::new(), &mut constants);
    let done = if alone {
        improve_alone(graph, &mut sequence, consts, profile, facts)?
    } else {
        optimize(graph, &mut sequence, consts, profile, facts, &mut locals)?;
        graph.sequence()
    };
    Ok(show(&done, &items, &pool))
}

fn improve(text: &str, consts: &[i64]) -> Pass<Vec<String>> {
    run(text, consts, true)
}

fn assert_becomes(text: &str, consts: &[i64], expected: &[&str]) {
    assert_eq!(improve(text, consts).unwrap(), expected);
}

#[test]
fn operators_on_constants_are_folded_innermost_first() {
    // (1 + 2) * -100
    assert_becomes(
        "LOAD_CONST 1\nLOAD_CONST 2\nBINARY_OP 0\nLOAD_CONST 3\nUNARY_NEGATIVE\nBINARY_OP 5\nRETURN_VALUE",
        &[1, 2, 100],
        &["LOAD_CONST -300", "RETURN_VALUE"],
    );
}

#[test]
fn an_operation_that_raises_or_grows_too_large_stays() {
    assert_becomes(
        "LOAD_CONST 1\nLOAD_CONST 2\nBINARY_OP 2\nRETURN_VALUE",
        &[1, 0],
        &[
            "LOAD_SMALL_INT 1",
            "LOAD_SMALL_INT",
            "BINARY_OP 2",
            "RETURN_VALUE",
        ],
    );
    assert_becomes(
        "LOAD_CONST 1\nLOAD_CONST 2\nBINARY_OP 3\nRETURN_VALUE",
        &[1, 1000],
        &[
            "LOAD_SMALL_INT 1",
            "LOAD_CONST 1000",
            "BINARY_OP 3",
            "RETURN_VALUE",
        ],
    );
}

#[test]
fn constants_that_are_no_longer_loaded_go_but_the_first_one_stays() {
    let profile = Profile::of(Target::from_minor(14).unwrap(), None).unwrap();
    let mut pool = Pool::new();
    let mut heap = Heap::new(profile, &pool);
    let mut items: Vec<Item> = [5, 1000, 2000]
        .map(|value| Item::Value(Constant::Int(value)))
        .to_vec();
    let mut sequence = parse("LOAD_CONST 1\nLOAD_CONST 2\nBUILD_TUPLE 2\nRETURN_VALUE");
    let facts = UnitFacts {
        local_count: 0,
        param_count: 0,
        first_line: 1,
        is_generator: false,
    };
    let mut constants = Constants::new(&mut items, &mut pool, &mut heap);
    improve_alone(
        &mut Graph::new(),
        &mut sequence,
        &mut constants,
        profile,
        facts,
    )
    .unwrap();
    let tuple = pool.tuple_constant(&[Constant::Int(1000), Constant::Int(2000)]);
    assert_eq!(items, [Item::Value(Constant::Int(5)), Item::Value(tuple)]);
}

#[test]
fn a_list_of_constants_extends_an_empty_list() {
    assert_becomes(
        "LOAD_CONST 1\nLOAD_CONST 2\nLOAD_CONST 3\nBUILD_LIST 3\nRETURN_VALUE",
        &[1, 2, 3],
        &[
            "BUILD_LIST",
            "LOAD_CONST tuple of 3",
            "LIST_EXTEND 1",
            "RETURN_VALUE",
        ],
    );
}

#[test]
fn a_list_that_is_only_read_becomes_a_tuple() {
    assert_becomes(
        "LOAD_FAST 0\nLOAD_CONST 1\nLOAD_CONST 1\nBUILD_SET 2\nCONTAINS_OP 0\nRETURN_VALUE",
        &[7],
        &[
            "LOAD_FAST_BORROW 0",
            "LOAD_CONST set of 1",
            "CONTAINS_OP",
            "RETURN_VALUE",
        ],
    );
    assert_becomes(
        "LOAD_FAST 0\nBUILD_LIST 1\nGET_ITER\nRETURN_VALUE",
        &[],
        &[
            "LOAD_FAST_BORROW 0",
            "BUILD_TUPLE 1",
            "GET_ITER",
            "RETURN_VALUE",
        ],
    );
}

#[test]
fn a_long_display_that_is_only_read_becomes_one_constant() {
    let elements = "LOAD_CONST 1\nLIST_APPEND 1\n".repeat(40);
    assert_becomes(
        &format!("BUILD_LIST 0\n{elements}GET_ITER\nRETURN_VALUE"),
        &[1000],
        &["LOAD_CONST tuple of 40", "GET_ITER", "RETURN_VALUE"],
    );
    assert_becomes(
        &format!("BUILD_LIST 0\n{elements}CALL_INTRINSIC_1 6\nRETURN_VALUE"),
        &[1000],
        &["LOAD_CONST tuple of 40", "RETURN_VALUE"],
    );
    let elements = "LOAD_CONST 1\nSET_ADD 1\n".repeat(40);
    assert_becomes(
        &format!("LOAD_FAST 0\nBUILD_SET 0\n{elements}CONTAINS_OP 0\nRETURN_VALUE"),
        &[1000],
        &[
            "LOAD_FAST_BORROW 0",
            "LOAD_CONST set of 1",
            "CONTAINS_OP",
            "RETURN_VALUE",
        ],
    );
}

#[test]
fn not_turns_a_test_around() {
    assert_becomes(
        "LOAD_FAST 0\nLOAD_FAST 0\nIS_OP 0\nTO_BOOL\nUNARY_NOT\nRETURN_VALUE",
        &[],
        &[
            "LOAD_FAST_BORROW_LOAD_FAST_BORROW 0",
            "IS_OP 1",
            "RETURN_VALUE",
        ],
    );
}

#[test]
fn a_known_condition_takes_its_branch_away() {
    assert_becomes(
        "RESUME 0\nLOAD_CONST 1\nTO_BOOL\nPOP_JUMP_IF_FALSE no\nLOAD_FAST 0\nRETURN_VALUE\nno:\nLOAD_CONST 0\nRETURN_VALUE",
        &[3],
        &["RESUME", "LOAD_FAST_BORROW 0", "RETURN_VALUE"],
    );
}

#[test]
fn a_test_that_jumps_to_the_opposite_test_goes_behind_it() {
    // (a and b) or c
    assert_becomes(
        "LOAD_FAST 0\nJUMP_IF_FALSE or\nPOP_TOP\nLOAD_GLOBAL 2\nor:\nJUMP_IF_TRUE end\nPOP_TOP\n\
         LOAD_GLOBAL 4\nend:\nRETURN_VALUE",
        &[],
        &[
            "LOAD_FAST_BORROW 0",
            "JUMP_IF_FALSE -> 5",
            "POP_TOP",
            "LOAD_GLOBAL 2",
            "JUMP_IF_TRUE -> 7",
            "POP_TOP",
            "LOAD_GLOBAL 4",
            "RETURN_VALUE",
        ],
    );
}

#[test]
fn a_load_is_not_borrowed_when_its_local_changes_before_it_is_taken() {
    assert_becomes(
        "LOAD_FAST 0\nLOAD_CONST 0\nSTORE_FAST 0\nRETURN_VALUE",
        &[],
        &[
            "LOAD_FAST 0",
            "LOAD_CONST None",
            "STORE_FAST",
            "RETURN_VALUE",
        ],
    );
    assert_becomes(
        "LOAD_FAST 0\nDELETE_FAST 0\nRETURN_VALUE",
        &[],
        &["LOAD_FAST 0", "DELETE_FAST", "RETURN_VALUE"],
    );
}

#[test]
fn a_load_is_not_borrowed_when_it_is_stored_or_outlives_its_block() {
    assert_becomes(
        "LOAD_FAST 0\nSTORE_FAST 1\nLOAD_FAST 1 @2\nRETURN_VALUE @2",
        &[],
        &[
            "LOAD_FAST 0",
            "STORE_FAST 1",
            "LOAD_FAST_BORROW 1",
            "RETURN_VALUE",
        ],
    );
}

#[test]
fn loads_in_handlers_are_not_borrowed() {
    let text = "SETUP_FINALLY handler\nLOAD_FAST 0\nPOP_TOP\nPOP_BLOCK\nLOAD_FAST 0\nRETURN_VALUE\n\
                handler:\nPUSH_EXC_INFO\nLOAD_FAST 0 @2\nPOP_TOP @2\nRERAISE 0 @2";
    let expected = [
        "LOAD_FAST_BORROW 0",
        "POP_TOP",
        "LOAD_FAST_BORROW 0",
        "RETURN_VALUE",
        "PUSH_EXC_INFO",
        "LOAD_FAST 0",
        "POP_TOP",
        "RERAISE",
    ];
    assert_eq!(run(text, &[], false).unwrap(), expected);
}

#[test]
fn a_jump_that_keeps_its_value_is_written_out_and_branches_are_marked() {
    let text = "LOAD_FAST 0\nJUMP_IF_FALSE end\nPOP_TOP\nLOAD_GLOBAL 2\nend:\nRETURN_VALUE";
    // What is copied outlives the block.
    let expected = [
        "LOAD_FAST 0",
        "COPY 1",
        "TO_BOOL",
        "POP_JUMP_IF_FALSE -> 7",
        "NOT_TAKEN",
        "POP_TOP",
        "LOAD_GLOBAL 2",
        "RETURN_VALUE",
    ];
    assert_eq!(run(text, &[], false).unwrap(), expected);
}

#[test]
fn a_conditional_jump_back_is_turned_around() {
    let text = "top:\nRESUME 0\nLOAD_GLOBAL 2\nPOP_JUMP_IF_TRUE top\nLOAD_CONST 0\nRETURN_VALUE";
    let expected = [
        "RESUME",
        "LOAD_GLOBAL 2",
        "POP_JUMP_IF_FALSE -> 5",
        "NOT_TAKEN",
        "JUMP -> 0",
        "LOAD_CONST None",
        "RETURN_VALUE",
    ];
    assert_eq!(run(text, &[], false).unwrap(), expected);
}

#[test]
fn a_local_that_may_be_unbound_is_checked_once() {
    assert_becomes(
        "LOAD_FAST 1\nPOP_TOP\nLOAD_FAST 1 @2\nRETURN_VALUE @2",
        &[],
        &[
            "LOAD_FAST_CHECK 1",
            "POP_TOP",
            "LOAD_FAST_BORROW 1",
            "RETURN_VALUE",
        ],
    );
}

#[test]
fn a_broken_graph_is_refused() {
    for text in [
        // Takes from an empty stack.
        "POP_TOP\nLOAD_CONST 0\nRETURN_VALUE",
        // Two ways with different depths.
        "LOAD_FAST 0\nPOP_JUMP_IF_FALSE end\nLOAD_FAST 0\nend:\nLOAD_CONST 0\nRETURN_VALUE",
    ] {
        assert!(improve(text, &[]).is_err(), "{text}");
    }
}

#[test]
#[cfg(debug_assertions)]
fn the_check_says_what_is_wrong() {
    let complaint = |text: &str| {
        let mut graph = Graph::new();
        graph.build(&mut parse(text)).unwrap();
        graph.verify().unwrap_err()
    };
    assert!(complaint("LOAD_FAST 0").contains("the text ends"));
    assert!(complaint("POP_TOP\nLOAD_CONST 0\nRETURN_VALUE").contains("takes more"));
    let unmarked = "SETUP_FINALLY h\nLOAD_CONST 0\nRETURN_VALUE\nh:\nPUSH_EXC_INFO\nRERAISE 0";
    assert!(complaint(unmarked).contains("no handler"));
}
