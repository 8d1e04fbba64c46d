//! `import` and `from … import`.

use super::Compiler;
use super::intrinsic::one;
use crate::compiler::native::ast::{Alias, Constant, Ctx, List, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    pub(super) fn import(&mut self, loc: Loc, names: List<Alias>) -> Pass<()> {
        let ast = self.ast;
        for alias in ast.slice(names) {
            self.load_const(loc, Constant::Int(0));
            self.load_none(loc);
            self.op_name(loc, Op::ImportName, alias.name);
            let text = self.pool.text(alias.name).to_vec();
            let mut parts = text.split(|&byte| byte == b'.');
            let top = parts.next().unwrap_or(&[]);
            let Some(asname) = alias.asname else {
                let top = self.pool.sym_bytes(top);
                self.name_op(loc, top, Ctx::Store)?;
                continue;
            };
            let mut rest = parts.peekable();
            let dotted = rest.peek().is_some();
            while let Some(part) = rest.next() {
                let part = self.pool.sym_bytes(part);
                let at = self.name_number(part);
                self.op_arg(loc, Op::ImportFrom, at);
                if rest.peek().is_some() {
                    self.op_arg(loc, Op::Swap, 2);
                    self.op(loc, Op::PopTop);
                }
            }
            self.name_op(loc, asname, Ctx::Store)?;
            if dotted {
                self.op(loc, Op::PopTop);
            }
        }
        Ok(())
    }

    pub(super) fn import_from(
        &mut self,
        loc: Loc,
        module: Option<Sym>,
        names: List<Alias>,
        level: u32,
    ) -> Pass<()> {
        self.load_const(loc, Constant::Int(i64::from(level)));
        let last = self.features.last;
        let is_after =
            loc.line > last.end_line || (loc.line == last.end_line && loc.col > last.end_col);
        let future = self.sym("__future__");
        if is_after && level == 0 && module == Some(future) {
            let message = "from __future__ imports must occur at the beginning of the file";
            return Err(Stop::syntax(message, loc));
        }
        let ast = self.ast;
        let aliases = ast.slice(names);
        let names: Vec<Sym> = aliases.iter().map(|alias| alias.name).collect();
        self.load_names_const(loc, &names);
        let empty = self.sym("");
        self.op_name(loc, Op::ImportName, module.unwrap_or(empty));
        for (index, alias) in aliases.iter().enumerate() {
            if index == 0 && self.pool.text(alias.name) == b"*" {
                self.op_arg(loc, Op::CallIntrinsic1, one::IMPORT_STAR);
                self.op(Loc::NONE, Op::PopTop);
                return Ok(());
            }
            self.op_name(loc, Op::ImportFrom, alias.name);
            self.name_op(loc, alias.asname.unwrap_or(alias.name), Ctx::Store)?;
        }
        self.op(loc, Op::PopTop);
        Ok(())
    }
}
