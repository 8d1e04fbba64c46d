//! Code generation: the tree and the symbol table become one instruction sequence for each code
//! object, which goes through the graph passes and assembly at once.
//!
//! What is emitted, and with which place in the source, is CPython's; so is the order in which
//! names and constants are met, since that numbers them.

mod annotation;
mod assignment;
mod call;
mod class;
mod collection;
mod comprehension;
mod condition;
mod docstring;
mod emit;
mod equality;
mod expression;
mod finish;
mod frame_block;
mod function;
mod identifiers;
mod import;
mod indexed;
mod inlined_call;
mod intrinsic;
mod listing;
mod marks;
mod names;
mod pattern;
mod repr;
mod statement;
mod template;
mod try_;
mod try_star;
mod type_params;
mod unit;
mod unparse;
mod with_;

use super::ast::{Ast, Pool, Sym};
use super::constant::{Heap, ObjectId};
use super::error::{Loc, Pass, Stop};
use super::flowgraph::Graph;
use super::opcode::Op;
use super::profile::Profile;
use super::symtable::{BlockKey, SymbolTable};
use crate::compiler::native::recursion;
use crate::pyc::Level;
pub use listing::listing;
use marks::Marks;
use unit::{ScopeType, Spare, Unit};

/// What `from __future__` imports ask for.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// The `CO_FUTURE_*` bits that every code object of the module gets.
    pub flags: u32,
    /// The last future import at the beginning of the module; [`Loc::NONE`] without one.
    pub last: Loc,
}

/// `CO_FUTURE_ANNOTATIONS`
const FUTURE_ANNOTATIONS: u32 = 0x100_0000;

/// A compiled module.
#[derive(Debug)]
pub struct Module {
    /// The module's code object.
    pub root: ObjectId,
    /// All objects.
    pub heap: Heap,
}

/// How deep expressions and statements may nest here; CPython gives up earlier.
const MAX_DEPTH: u32 = 20_000;
/// How many instructions a code object may have here.
const MAX_INSTRUCTIONS: usize = 1 << 22;

struct Compiler<'a> {
    ast: &'a Ast,
    pool: &'a mut Pool,
    table: &'a SymbolTable,
    profile: &'static Profile,
    level: Level,
    features: Features,
    known: Known,
    marks: Marks,
    /// How many code objects were begun.
    begun: u32,
    /// The code object that is being generated.
    unit: Box<Unit>,
    /// Those around it, the module first.
    #[allow(clippy::vec_box)] // They are large, and move in and out.
    outer: Vec<Box<Unit>>,
    heap: Heap,
    graph: Graph,
    /// Whether only the instruction sequences are wanted, as text.
    listing: bool,
    /// Of finished code objects.
    spare: Vec<Spare>,
    depth: u32,
}

/// Names that the compiler itself uses.
#[derive(Debug)]
struct Known {
    class: Sym,
    classdict: Sym,
    conditional_annotations: Sym,
    type_params: Sym,
    super_: Sym,
    self_: Sym,
    debug: Sym,
}

/// Compiles a module whose tree was folded for `level`.
pub fn compile(
    ast: Ast,
    pool: &mut Pool,
    table: SymbolTable,
    profile: &'static Profile,
    level: Level,
    features: Features,
) -> Pass<Module> {
    let mut compiler = Compiler::new(&ast, pool, &table, profile, level, features)?;
    compiler.module()?;
    if !compiler.unit.sequence.is_large() {
        return compiler.finish_module();
    }
    // The passes over so much code need memory; hardly anything asks for tree and scopes any more.
    compiler.note_names();
    let Compiler {
        known,
        begun,
        unit,
        heap,
        graph,
        listing,
        depth,
        ..
    } = compiler;
    drop(ast);
    let (ast, table) = (Ast::default(), table.without_inner_blocks());
    let compiler = Compiler {
        ast: &ast,
        pool,
        table: &table,
        profile,
        level,
        features,
        known,
        marks: Marks::default(),
        begun,
        unit,
        outer: Vec::new(),
        heap,
        graph,
        listing,
        spare: Vec::new(),
        depth,
    };
    compiler.finish_module()
}

impl<'a> Compiler<'a> {
    fn new(
        ast: &'a Ast,
        pool: &'a mut Pool,
        table: &'a SymbolTable,
        profile: &'static Profile,
        level: Level,
        features: Features,
    ) -> Pass<Compiler<'a>> {
        let known = Known {
            class: pool.sym("__class__"),
            classdict: pool.sym("__classdict__"),
            conditional_annotations: pool.sym("__conditional_annotations__"),
            type_params: pool.sym(".type_params"),
            super_: pool.sym("super"),
            self_: pool.sym("self"),
            debug: pool.sym("__debug__"),
        };
        let module = pool.sym("<module>");
        let block = table
            .lookup(BlockKey::Module)
            .ok_or_else(|| Stop::unsure("internal: no symbols for the module"))?;
        let strings = pool.text_count();
        let heap = Heap::new(profile, pool);
        let unit = Unit::new(
            table,
            pool,
            block,
            module,
            ScopeType::Module,
            &known,
            Spare::default(),
        );
        let unit = Box::new(unit);
        Ok(Compiler {
            ast,
            pool,
            table,
            profile,
            level,
            features,
            known,
            marks: Marks::new(strings),
            begun: 1,
            unit,
            outer: Vec::new(),
            heap,
            graph: Graph::new(),
            listing: false,
            spare: Vec::new(),
            depth: 0,
        })
    }
}

impl Compiler<'_> {
    fn finish_module(mut self) -> Pass<Module> {
        let code = self.finish(true)?;
        Ok(Module {
            root: code.id,
            heap: self.heap,
        })
    }

    fn module(&mut self) -> Pass<()> {
        let start = Loc {
            line: 0,
            end_line: 1,
            col: 0,
            end_col: 0,
        };
        self.op_arg(start, Op::Resume, 0);
        let body = self.ast.body;
        let loc = match self.ast.slice(body).first() {
            Some(&first) => self.ast.stmt(first).loc,
            None => Loc { line: 1, ..start },
        };
        if self
            .table
            .block(self.unit.block)
            .has_conditional_annotations
        {
            let at = self.name_number(self.known.conditional_annotations);
            self.op_arg(loc, Op::BuildSet, 0);
            self.op_arg(loc, Op::StoreName, at);
        }
        self.body(loc, body)
    }

    /// Runs `visit` one level deeper.
    fn deeper<T>(&mut self, visit: impl FnOnce(&mut Self) -> Pass<T>) -> Pass<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::unsure("the program is nested too deep"));
        }
        if self.unit.sequence.instrs.len() > MAX_INSTRUCTIONS {
            return Err(Stop::unsure("a code object is too long"));
        }
        let depth = self.depth;
        self.depth += 1;
        let result = recursion::at_depth(depth, || visit(self));
        self.depth -= 1;
        result
    }

    fn sym(&mut self, text: &str) -> Sym {
        self.pool.sym(text)
    }

    /// The text of a name for a message.
    fn text_of(&self, name: Sym) -> String {
        String::from_utf8_lossy(self.pool.text(name)).into_owned()
    }

    /// Whether the target is `3.minor` or newer.
    fn since(&self, minor: u8) -> bool {
        self.profile.since(minor)
    }

    fn future_annotations(&self) -> bool {
        self.features.flags & FUTURE_ANNOTATIONS != 0
    }
}
