//! The first pass: walks the tree and notes what each block does with each name.
//!
//! Blocks are made in the order in which CPython enters them. The scopes of the symbols are left
//! undecided for `analyze`.

use super::mangle::mangle;
use super::scope::{Block, BlockId, BlockKey, BlockKind, ComprehensionKind, Flags, SymbolTable};
use crate::compiler::native::ast::{Ast, ClassDef, FunctionDef, Node, Pool, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::future::Future;
use crate::compiler::native::recursion;
use crate::pyc::Target;
use rustc_hash::{FxBuildHasher, FxHashMap};
use thin_vec::ThinVec;

/// How deep statements and expressions may nest.
const MAX_DEPTH: u32 = 3000;
/// So many blocks do not keep room for more names.
const MANY_BLOCKS: usize = 10_000;

/// What is known of a block only while it is built.
#[derive(Default)]
pub(super) struct Draft {
    /// The `global` and `nonlocal` statements: mangled name and place.
    pub(super) directives: Vec<(Sym, Loc)>,
    /// Visiting the target of a comprehension.
    pub(super) comp_iter_target: bool,
    /// How many comprehension iterables are being visited around here.
    pub(super) comp_iter_expr: u32,
    /// What a type variable's block is, for messages.
    pub(super) scope_info: Option<&'static str>,
    pub(super) in_conditional_block: bool,
    pub(super) in_unevaluated_annotation: bool,
    /// 3.14: methods without annotations are in here.
    pub(super) plain_methods: bool,
}

/// Names that the compiler makes itself.
pub(super) struct Names {
    pub(super) top: Sym,
    pub(super) lambda: Sym,
    pub(super) genexpr: Sym,
    pub(super) listcomp: Sym,
    pub(super) setcomp: Sym,
    pub(super) dictcomp: Sym,
    pub(super) annotation: Sym,
    pub(super) annotate: Sym,
    pub(super) class: Sym,
    pub(super) classdict: Sym,
    pub(super) conditional_annotations: Sym,
    pub(super) type_params: Sym,
    pub(super) dunder_type_params: Sym,
    pub(super) generic_base: Sym,
    pub(super) defaults: Sym,
    pub(super) kwdefaults: Sym,
    pub(super) format: Sym,
    pub(super) dot_zero: Sym,
    pub(super) super_: Sym,
    pub(super) debug: Sym,
    pub(super) star: Sym,
}

impl Names {
    fn new(pool: &mut Pool) -> Self {
        Names {
            top: pool.sym("top"),
            lambda: pool.sym("lambda"),
            genexpr: pool.sym("genexpr"),
            listcomp: pool.sym("listcomp"),
            setcomp: pool.sym("setcomp"),
            dictcomp: pool.sym("dictcomp"),
            annotation: pool.sym("_annotation"),
            annotate: pool.sym("__annotate__"),
            class: pool.sym("__class__"),
            classdict: pool.sym("__classdict__"),
            conditional_annotations: pool.sym("__conditional_annotations__"),
            type_params: pool.sym(".type_params"),
            dunder_type_params: pool.sym("__type_params__"),
            generic_base: pool.sym(".generic_base"),
            defaults: pool.sym(".defaults"),
            kwdefaults: pool.sym(".kwdefaults"),
            format: pool.sym(".format"),
            dot_zero: pool.sym(".0"),
            super_: pool.sym("super"),
            debug: pool.sym("__debug__"),
            star: pool.sym("*"),
        }
    }
}

pub(super) struct Builder<'a> {
    pub(super) ast: &'a Ast,
    pub(super) pool: &'a mut Pool,
    pub(super) future: Future,
    /// 3.14 and later: PEP 649, and checks that used to be in the code generator.
    pub(super) is_314: bool,
    pub(super) names: Names,
    pub(super) blocks: Vec<Block>,
    pub(super) drafts: Vec<Draft>,
    by_key: FxHashMap<BlockKey, BlockId>,
    /// The open blocks, the innermost last; never empty while the tree is visited.
    pub(super) stack: Vec<BlockId>,
    pub(super) cur: BlockId,
    /// The class whose private names are mangled.
    pub(super) private: Option<Sym>,
    depth: u32,
}

/// Builds the symbol table of a module.
pub fn build(ast: &Ast, pool: &mut Pool, future: Future, target: Target) -> Pass<SymbolTable> {
    let names = Names::new(pool);
    let functions = FunctionDef::arena(ast).len() + ClassDef::arena(ast).len();
    let mut builder = Builder {
        ast,
        future,
        is_314: target.minor() >= 14,
        names,
        blocks: Vec::with_capacity(functions + functions / 4 + 1),
        drafts: Vec::with_capacity(functions + functions / 4 + 1),
        by_key: FxHashMap::with_capacity_and_hasher(functions + 1, FxBuildHasher),
        stack: Vec::new(),
        cur: BlockId::MODULE,
        private: None,
        depth: 0,
        pool,
    };
    let top = builder.names.top;
    let module_loc = Loc::default();
    builder.enter(top, BlockKind::Module, BlockKey::Module, module_loc)?;
    builder.stmts(ast.body)?;
    builder.exit();
    builder.analyze()?;
    if builder.blocks.len() > MANY_BLOCKS {
        for block in &mut builder.blocks {
            block.give_back();
        }
    }
    Ok(SymbolTable {
        blocks: builder.blocks,
        by_key: builder.by_key,
    })
}

impl Builder<'_> {
    #[allow(clippy::indexing_slicing)] // Block ids are made by `create` and blocks are not removed.
    pub(super) fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0 as usize]
    }

    #[allow(clippy::indexing_slicing)] // As in `block`.
    pub(super) fn block_mut(&mut self, id: BlockId) -> &mut Block {
        &mut self.blocks[id.0 as usize]
    }

    #[allow(clippy::indexing_slicing)] // One draft is made with each block.
    pub(super) fn draft(&mut self, id: BlockId) -> &mut Draft {
        &mut self.drafts[id.0 as usize]
    }

    pub(super) fn cur(&mut self) -> &mut Block {
        self.block_mut(self.cur)
    }

    pub(super) fn cur_draft(&mut self) -> &mut Draft {
        self.draft(self.cur)
    }

    pub(super) fn cur_kind(&self) -> BlockKind {
        self.block(self.cur).kind
    }

    /// Runs one level of recursion, with enough stack and within the depth limit.
    pub(super) fn deeper<T>(&mut self, level: impl FnOnce(&mut Self) -> Pass<T>) -> Pass<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::unsure("the program nests too deeply"));
        }
        let depth = self.depth;
        self.depth += 1;
        let result = recursion::at_depth(depth, || level(self));
        self.depth -= 1;
        result
    }

    /// Makes a block that is not entered yet.
    pub(super) fn create(
        &mut self,
        name: Sym,
        kind: BlockKind,
        key: BlockKey,
        loc: Loc,
    ) -> Pass<BlockId> {
        let number = u32::try_from(self.blocks.len())
            .map_err(|_| Stop::unsure("more than 4 billion scopes"))?;
        let id = BlockId(number);
        let parent = self.stack.last().copied();
        let (nested, method) = match parent.map(|parent| self.block(parent)) {
            Some(parent) => (
                // In 3.13 an annotation block is not a function-like one.
                parent.nested
                    || (parent.is_function_like()
                        && (self.is_314 || parent.kind != BlockKind::Annotation)),
                parent.kind == BlockKind::Class && kind == BlockKind::Function,
            ),
            None => (false, false),
        };
        self.blocks.push(Block {
            key,
            kind,
            name,
            parent,
            children: ThinVec::new(),
            symbols: ThinVec::new(),
            varnames: ThinVec::new(),
            nested,
            generator: false,
            coroutine: false,
            comprehension: ComprehensionKind::None,
            comp_inlined: false,
            varargs: false,
            varkeywords: false,
            returns_value: false,
            needs_class_closure: false,
            needs_classdict: false,
            can_see_class_scope: false,
            has_docstring: false,
            method,
            has_conditional_annotations: false,
            annotation_block: None,
            annotations_used: false,
            mangled_names: None,
            loc,
            index: None,
        });
        self.drafts.push(Draft::default());
        if key != BlockKey::FutureAnnotation {
            self.by_key.insert(key, id);
        }
        Ok(id)
    }

    /// Enters a block that was made before.
    pub(super) fn enter_existing(&mut self, id: BlockId) {
        let previous = self.stack.last().copied();
        self.stack.push(id);
        self.cur = id;
        let Some(previous) = previous else {
            return;
        };
        // Assignment expressions are forbidden in all of a comprehension's first iterable.
        self.draft(id).comp_iter_expr = self.draft(previous).comp_iter_expr;
        let kind = self.block(id).kind;
        if kind != BlockKind::Class && self.block(previous).mangled_names.is_some() {
            let names = self.block(previous).mangled_names.clone();
            self.block_mut(id).mangled_names = names;
        }
        if kind == BlockKind::Annotation && self.future.annotations {
            return;
        }
        let children = &mut self.block_mut(previous).children;
        // The block of annotations is entered once for each of them.
        if kind != BlockKind::Annotation || !children.contains(&id) {
            children.push(id);
        }
    }

    /// Makes a block and enters it.
    pub(super) fn enter(
        &mut self,
        name: Sym,
        kind: BlockKind,
        key: BlockKey,
        loc: Loc,
    ) -> Pass<()> {
        let id = self.create(name, kind, key, loc)?;
        self.enter_existing(id);
        let has_format = matches!(
            kind,
            BlockKind::Annotation | BlockKind::TypeVariable | BlockKind::TypeAlias
        );
        if self.is_314 && has_format {
            let format = self.names.format;
            self.add_def(format, Flags::PARAM, loc)?;
            self.add_def(format, Flags::USE, loc)?;
        }
        Ok(())
    }

    /// Leaves the innermost block.
    pub(super) fn exit(&mut self) {
        self.stack.pop();
        self.cur = self.stack.last().copied().unwrap_or(BlockId::MODULE);
    }

    pub(super) fn mangled(&mut self, name: Sym, block: BlockId) -> Sym {
        if self.private.is_none() {
            return name;
        }
        let private = self.private;
        // As `maybe_mangle`, without a borrow of the block across the pool.
        let exempt = match &self.block(block).mangled_names {
            Some(names) => !names.contains(&name),
            None => false,
        };
        if exempt {
            return name;
        }
        mangle(self.pool, private, name)
    }

    /// The flags of a name in a block so far.
    pub(super) fn lookup(&mut self, block: BlockId, name: Sym) -> Flags {
        let name = self.mangled(name, block);
        self.block(block).flags(name)
    }

    pub(super) fn add_def(&mut self, name: Sym, flag: Flags, loc: Loc) -> Pass<()> {
        let ctx_is_write = Flags::PARAM | Flags::LOCAL | Flags::IMPORT;
        if self.is_314 && flag.any(ctx_is_write) && name == self.names.debug {
            return Err(Stop::syntax("cannot assign to __debug__", loc));
        }
        if flag.any(Flags::TYPE_PARAM)
            && let Some(names) = &mut self.cur().mangled_names
        {
            names.push(name);
        }
        self.add_def_in(name, flag, self.cur, loc)
    }

    /// Notes what `block` does with a name. The name is mangled for the current block.
    pub(super) fn add_def_in(
        &mut self,
        name: Sym,
        flag: Flags,
        block: BlockId,
        loc: Loc,
    ) -> Pass<()> {
        let mangled = self.mangled(name, self.cur);
        let here = self.block(block);
        let position = here.position(mangled);
        let symbol = position.and_then(|at| here.symbols.get(at));
        let old = symbol.map_or(Flags(0), |symbol| symbol.flags);
        let is_plain = flag == Flags::USE || flag == Flags::LOCAL;
        if is_plain && old.any(flag) && !self.draft(block).comp_iter_target {
            return Ok(());
        }
        if flag.any(Flags::PARAM) && old.any(Flags::PARAM) {
            let name = self.quoted(name);
            let message = format!("duplicate argument {name} in function definition");
            return Err(Stop::syntax(message, loc));
        }
        if flag.any(Flags::TYPE_PARAM) && old.any(Flags::TYPE_PARAM) {
            let message = format!("duplicate type parameter {}", self.quoted(name));
            return Err(Stop::syntax(message, loc));
        }
        let mut new = old | flag;
        if self.draft(block).comp_iter_target {
            if new.any(Flags::GLOBAL | Flags::NONLOCAL) {
                let message = format!(
                    "comprehension inner loop cannot rebind assignment expression target {}",
                    self.quoted(name)
                );
                return Err(Stop::syntax(message, loc));
            }
            new |= Flags::COMP_ITER;
        }
        self.block_mut(block).set_flags_at(position, mangled, new);
        if flag.any(Flags::PARAM) {
            self.block_mut(block).varnames.push(mangled);
        } else if flag.any(Flags::GLOBAL) {
            let module = self.block_mut(BlockId::MODULE);
            let flags = module.flags(mangled) | flag;
            module.set_flags(mangled, flags);
        }
        Ok(())
    }

    /// A name in quotes, for messages.
    pub(super) fn quoted(&self, name: Sym) -> String {
        format!("'{}'", String::from_utf8_lossy(self.pool.text(name)))
    }

    pub(super) fn record_directive(&mut self, name: Sym, loc: Loc) {
        let mangled = self.mangled(name, self.cur);
        self.cur_draft().directives.push((mangled, loc));
    }

    /// Opens the block of type parameters.
    pub(super) fn enter_type_params(
        &mut self,
        name: Sym,
        key: BlockKey,
        of_class: bool,
        has_defaults: bool,
        has_kwdefaults: bool,
        loc: Loc,
    ) -> Pass<()> {
        let in_class = self.cur_kind() == BlockKind::Class;
        self.enter(name, BlockKind::TypeParameters, key, loc)?;
        if in_class {
            self.cur().can_see_class_scope = true;
            self.add_def(self.names.classdict, Flags::USE, loc)?;
        }
        if of_class {
            for name in [self.names.type_params, self.names.generic_base] {
                self.add_def(name, Flags::LOCAL, loc)?;
                self.add_def(name, Flags::USE, loc)?;
            }
        }
        if has_defaults {
            self.add_def(self.names.defaults, Flags::PARAM, loc)?;
        }
        if has_kwdefaults {
            self.add_def(self.names.kwdefaults, Flags::PARAM, loc)?;
        }
        Ok(())
    }
}
