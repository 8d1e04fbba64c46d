//! The passes in their order.

use super::ast::{Ast, Pool};
use super::codegen::{self, Features};
use super::constant::{Marshalled, marshal};
use super::decode::decode;
use super::error::{Pass, Stop};
use super::fold::fold;
use super::future::future;
use super::lower::lower;
use super::parse::parse;
use super::profile::Profile;
use super::symtable::{self, SymbolTable};
use crate::pyc::{Level, Target};
use crate::sys::{memory, region};

/// `CO_FUTURE_ANNOTATIONS`
const FUTURE_ANNOTATIONS: u32 = 0x100_0000;

/// The largest source that is compiled in a region, where what lives on keeps the memory around it.
const LARGE_SOURCE: usize = 1 << 20;

/// What the front half makes of a source file.
struct Front {
    ast: Ast,
    pool: Pool,
    table: SymbolTable,
    features: Features,
}

fn front(source: &[u8], profile: &'static Profile, level: Level) -> Pass<Front> {
    let target = Target::from_minor(profile.minor)
        .ok_or_else(|| Stop::unsure("internal: a profile without target"))?;
    let text = decode(source, target)?;
    // Ruff's tree is several times larger than ours. It is made of small objects and is gone at the
    // end, so here also a large source is in a region.
    let (mut ast, mut pool) = region::within(|| {
        let parsed = parse(&text, target)?;
        let mut pool = Pool::for_source(text.len());
        Ok((lower(&text, parsed, target, &mut pool)?, pool))
    })?;
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
    Ok(Front {
        ast,
        pool,
        table,
        features,
    })
}

/// Compiles the bytes of a source file.
pub fn compile(source: &[u8], profile: &'static Profile, level: Level) -> Pass<Marshalled> {
    if source.len() > LARGE_SOURCE {
        memory::keep_large_blocks_apart();
        return compile_here(source, profile, level);
    }
    region::within(|| compile_here(source, profile, level))
}

fn compile_here(source: &[u8], profile: &'static Profile, level: Level) -> Pass<Marshalled> {
    let Front {
        ast,
        mut pool,
        table,
        features,
    } = front(source, profile, level)?;
    let module = codegen::compile(ast, &mut pool, table, profile, level, features)?;
    marshal(&module.heap, &pool, module.root)
}

/// The instruction sequences of a source file before the graph passes, as text.
pub fn listing(source: &[u8], profile: &'static Profile, level: Level) -> Pass<String> {
    let Front {
        ast,
        mut pool,
        table,
        features,
    } = front(source, profile, level)?;
    codegen::listing(&ast, &mut pool, &table, profile, level, features)
}
