//! The passes in their order.

use super::ast::Pool;
use super::codegen::{self, Features};
use super::constant::{Marshalled, marshal};
use super::decode::decode;
use super::error::{Pass, Stop};
use super::fold::fold;
use super::future::future;
use super::lower::lower;
use super::parse::parse;
use super::profile::Profile;
use super::symtable;
use crate::pyc::{Level, Target};

/// `CO_FUTURE_ANNOTATIONS`
const FUTURE_ANNOTATIONS: u32 = 0x100_0000;

/// Compiles the bytes of a source file.
pub fn compile(source: &[u8], profile: &'static Profile, level: Level) -> Pass<Marshalled> {
    let target = Target::from_minor(profile.minor)
        .ok_or_else(|| Stop::unsure("internal: a profile without target"))?;
    let text = decode(source, target)?;
    let parsed = parse(&text, target)?;
    let mut pool = Pool::new();
    let mut ast = lower(&text, parsed.syntax(), target, &mut pool)?;
    let future = future(&ast, &pool)?;
    fold(&mut ast, &mut pool, future, level, target)?;
    let table = symtable::build(&ast, &mut pool, future, target)?;
    let features = Features {
        flags: if future.annotations {
            FUTURE_ANNOTATIONS
        } else {
            0
        },
        last: future.loc,
    };
    let module = codegen::compile(&ast, &mut pool, &table, profile, level, features)?;
    marshal(&module.heap, &pool, module.root)
}
