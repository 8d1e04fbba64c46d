//! Lowering of expressions.

use super::Lowering;
use super::stmt::operator;
use crate::compiler::native::ast::{
    Arguments, BoolOp, CmpOp, Comprehension, Constant, Ctx, Expr, ExprId, ExprKind, ExprList, Id,
    List, UnaryOp,
};
use crate::compiler::native::error::{Pass, Stop, SyntaxError};
use num_bigint::BigInt;
use ruff_python_ast as ruff;
use ruff_text_size::{Ranged, TextRange};

/// The most digits of a decimal integer literal (`sys.int_info.default_max_str_digits`).
const MAX_DECIMAL_DIGITS: usize = 4300;

impl Lowering<'_, '_> {
    pub(super) fn opt_expr(&mut self, expr: Option<&ruff::Expr>) -> Pass<Option<ExprId>> {
        expr.map(|expr| self.expr(expr)).transpose()
    }

    pub(super) fn exprs(&mut self, exprs: &[ruff::Expr]) -> Pass<ExprList> {
        let base = self.expr_stack.len();
        for expr in exprs {
            let id = self.expr(expr)?;
            self.expr_stack.push(id);
        }
        self.close_exprs(base)
    }

    /// Lowers an expression.
    pub(super) fn expr(&mut self, expr: &ruff::Expr) -> Pass<ExprId> {
        let kind = match expr {
            // Leaves first: they need no depth guard.
            ruff::Expr::Name(node) => ExprKind::Name {
                id: self.name(&node.id)?,
                ctx: context(node.ctx)?,
            },
            ruff::Expr::StringLiteral(node) => self.string(node)?,
            ruff::Expr::BytesLiteral(node) => self.bytes(node)?,
            ruff::Expr::NumberLiteral(node) => plain(self.number(node)?),
            ruff::Expr::BooleanLiteral(node) => plain(Constant::Bool(node.value)),
            ruff::Expr::NoneLiteral(_) => plain(Constant::None),
            ruff::Expr::EllipsisLiteral(_) => plain(Constant::Ellipsis),
            ruff::Expr::IpyEscapeCommand(_) => {
                return Err(Stop::unsure("an IPython escape command"));
            }
            // These nest to the right without brackets.
            ruff::Expr::UnaryOp(_)
            | ruff::Expr::Lambda(_)
            | ruff::Expr::If(_)
            | ruff::Expr::Await(_)
            | ruff::Expr::Yield(_)
            | ruff::Expr::YieldFrom(_)
            | ruff::Expr::Named(_)
            | ruff::Expr::BinOp(ruff::ExprBinOp {
                op: ruff::Operator::Pow,
                ..
            }) => return self.nested(|this| this.deeper(|this| this.inner(expr))),
            _ => return self.deeper(|this| this.inner(expr)),
        };
        let loc = self.loc(expr.range());
        self.ast.add(Expr { kind, loc })
    }

    /// Lowers an expression that has others inside.
    fn inner(&mut self, expr: &ruff::Expr) -> Pass<ExprId> {
        let range = expr.range();
        let start = self.lines.place(range.start());
        let kind = match expr {
            ruff::Expr::BoolOp(node) => ExprKind::BoolOp {
                op: match node.op {
                    ruff::BoolOp::And => BoolOp::And,
                    ruff::BoolOp::Or => BoolOp::Or,
                },
                values: self.exprs(&node.values)?,
            },
            ruff::Expr::Named(node) => ExprKind::NamedExpr {
                target: self.expr(&node.target)?,
                value: self.expr(&node.value)?,
            },
            ruff::Expr::BinOp(node) => ExprKind::BinOp {
                left: self.expr(&node.left)?,
                op: operator(node.op),
                right: self.expr(&node.right)?,
            },
            ruff::Expr::UnaryOp(node) => ExprKind::UnaryOp {
                op: match node.op {
                    ruff::UnaryOp::Invert => UnaryOp::Invert,
                    ruff::UnaryOp::Not => UnaryOp::Not,
                    ruff::UnaryOp::UAdd => UnaryOp::UAdd,
                    ruff::UnaryOp::USub => UnaryOp::USub,
                },
                operand: self.expr(&node.operand)?,
            },
            ruff::Expr::Lambda(node) => ExprKind::Lambda {
                args: match &node.parameters {
                    Some(parameters) => self.parameters(parameters)?,
                    None => self.no_parameters()?,
                },
                body: self.expr(&node.body)?,
            },
            ruff::Expr::If(node) => {
                // In source order, so that ids ascend with the text.
                let body = self.expr(&node.body)?;
                let test = self.expr(&node.test)?;
                let orelse = self.expr(&node.orelse)?;
                ExprKind::IfExp { test, body, orelse }
            }
            ruff::Expr::Dict(node) => self.dict(node)?,
            ruff::Expr::Set(node) => ExprKind::Set {
                elts: self.exprs(&node.elts)?,
            },
            ruff::Expr::ListComp(node) => ExprKind::ListComp {
                elt: self.expr(&node.elt)?,
                generators: self.comprehensions(&node.generators)?,
            },
            ruff::Expr::SetComp(node) => ExprKind::SetComp {
                elt: self.expr(&node.elt)?,
                generators: self.comprehensions(&node.generators)?,
            },
            ruff::Expr::DictComp(node) => ExprKind::DictComp {
                key: match &node.key {
                    Some(key) => self.expr(key)?,
                    None => return Err(Stop::unsure("unpacking in a comprehension")),
                },
                value: self.expr(&node.value)?,
                generators: self.comprehensions(&node.generators)?,
            },
            ruff::Expr::Generator(node) => ExprKind::GeneratorExp {
                elt: self.expr(&node.elt)?,
                generators: self.comprehensions(&node.generators)?,
            },
            ruff::Expr::Await(node) => ExprKind::Await {
                value: self.expr(&node.value)?,
            },
            ruff::Expr::Yield(node) => ExprKind::Yield {
                value: self.opt_expr(node.value.as_deref())?,
            },
            ruff::Expr::YieldFrom(node) => ExprKind::YieldFrom {
                value: self.expr(&node.value)?,
            },
            ruff::Expr::Compare(node) => self.compare(node)?,
            ruff::Expr::Call(node) => self.call(node)?,
            ruff::Expr::FString(node) => return self.fstring(node),
            ruff::Expr::TString(node) => return self.tstring(node),
            ruff::Expr::Attribute(node) => ExprKind::Attribute {
                value: self.expr(&node.value)?,
                attr: self.identifier(node.attr.id.as_str())?,
                ctx: context(node.ctx)?,
            },
            ruff::Expr::Subscript(node) => ExprKind::Subscript {
                value: self.expr(&node.value)?,
                slice: self.expr(&node.slice)?,
                ctx: context(node.ctx)?,
            },
            ruff::Expr::Starred(node) => ExprKind::Starred {
                value: self.expr(&node.value)?,
                ctx: context(node.ctx)?,
            },
            ruff::Expr::List(node) => ExprKind::List {
                elts: self.exprs(&node.elts)?,
                ctx: context(node.ctx)?,
            },
            ruff::Expr::Tuple(node) => ExprKind::Tuple {
                elts: self.exprs(&node.elts)?,
                ctx: context(node.ctx)?,
            },
            ruff::Expr::Slice(node) => ExprKind::Slice {
                lower: self.opt_expr(node.lower.as_deref())?,
                upper: self.opt_expr(node.upper.as_deref())?,
                step: self.opt_expr(node.step.as_deref())?,
            },
            ruff::Expr::Name(_)
            | ruff::Expr::StringLiteral(_)
            | ruff::Expr::BytesLiteral(_)
            | ruff::Expr::NumberLiteral(_)
            | ruff::Expr::BooleanLiteral(_)
            | ruff::Expr::NoneLiteral(_)
            | ruff::Expr::EllipsisLiteral(_)
            | ruff::Expr::IpyEscapeCommand(_) => return self.expr(expr),
        };
        let end = match expr {
            ruff::Expr::Call(node) => node.arguments.range.end(),
            _ => range.end(),
        };
        let loc = self.lines.loc_from(start, end);
        self.ast.add(Expr { kind, loc })
    }

    fn no_parameters(&mut self) -> Pass<Id<Arguments>> {
        self.ast.add(Arguments {
            posonlyargs: List::EMPTY,
            args: List::EMPTY,
            vararg: None,
            kwonlyargs: List::EMPTY,
            kw_defaults: List::EMPTY,
            kwarg: None,
            defaults: List::EMPTY,
        })
    }

    fn dict(&mut self, node: &ruff::ExprDict) -> Pass<ExprKind> {
        let mut keys = Vec::with_capacity(node.items.len());
        let base = self.expr_stack.len();
        for item in &node.items {
            keys.push(self.opt_expr(item.key.as_ref())?);
            let value = self.expr(&item.value)?;
            self.expr_stack.push(value);
        }
        Ok(ExprKind::Dict {
            keys: self.ast.list(&keys)?,
            values: self.close_exprs(base)?,
        })
    }

    fn comprehensions(&mut self, nodes: &[ruff::Comprehension]) -> Pass<List<Comprehension>> {
        let mut list = Vec::with_capacity(nodes.len());
        for node in nodes {
            list.push(Comprehension {
                target: self.expr(&node.target)?,
                iter: self.expr(&node.iter)?,
                ifs: self.exprs(&node.ifs)?,
                is_async: node.is_async,
            });
        }
        self.ast.list(&list)
    }

    fn compare(&mut self, node: &ruff::ExprCompare) -> Pass<ExprKind> {
        let left = self.expr(&node.left)?;
        let ops: Vec<CmpOp> = node.ops.iter().map(|&op| comparison(op)).collect();
        let comparators = self.exprs(&node.comparators)?;
        Ok(ExprKind::Compare {
            left,
            ops: self.ast.list(&ops)?,
            comparators,
        })
    }

    fn call(&mut self, node: &ruff::ExprCall) -> Pass<ExprKind> {
        let func = self.expr(&node.func)?;
        let args = self.exprs(&node.arguments.args)?;
        // A generator expression that is the only argument owns the call's parentheses.
        if let [ruff::Expr::Generator(generator)] = &*node.arguments.args
            && !generator.parenthesized
            && let Some(&id) = self.ast.slice(args).first()
        {
            let loc = self.loc(node.arguments.range);
            self.ast.get_mut(id).loc = loc;
        }
        let keywords = self.keywords(&node.arguments.keywords)?;
        Ok(ExprKind::Call {
            func,
            args,
            keywords,
        })
    }

    fn number(&mut self, node: &ruff::ExprNumberLiteral) -> Pass<Constant> {
        match &node.value {
            ruff::Number::Int(value) => {
                if let Some(small) = value.as_i64() {
                    return Ok(Constant::Int(small));
                }
                let digits: Vec<u8> = self
                    .text(node.range)
                    .bytes()
                    .filter(|&byte| byte != b'_')
                    .map(|byte| byte.to_ascii_lowercase())
                    .collect();
                let (radix, digits) = match digits.as_slice() {
                    [b'0', b'x', rest @ ..] => (16, rest),
                    [b'0', b'o', rest @ ..] => (8, rest),
                    [b'0', b'b', rest @ ..] => (2, rest),
                    all => (10, all),
                };
                if radix == 10 && digits.len() > MAX_DECIMAL_DIGITS {
                    return Err(self.too_many_digits(digits.len(), node.range));
                }
                let value = BigInt::parse_bytes(digits, radix)
                    .ok_or_else(|| Stop::unsure("an integer literal that is no number"))?;
                Ok(self.pool.int(value))
            }
            ruff::Number::Float(value) => Ok(Constant::float(*value)),
            ruff::Number::Complex { real, imag } => Ok(self.pool.complex_constant(*real, *imag)),
        }
    }

    fn too_many_digits(&mut self, digits: usize, range: TextRange) -> Stop {
        let loc = self.loc(range);
        Stop::Rejected(Box::new(SyntaxError {
            kind: "SyntaxError",
            message: format!(
                "Exceeds the limit ({MAX_DECIMAL_DIGITS} digits) for integer string conversion: \
                 value has {digits} digits; use sys.set_int_max_str_digits() to increase the \
                 limit - Consider hexadecimal for huge integer literals to avoid decimal \
                 conversion limits."
            ),
            loc: Some(loc),
            exact: false,
        }))
    }

    fn string(&mut self, node: &ruff::ExprStringLiteral) -> Pass<ExprKind> {
        let mut unicode_prefix = false;
        let value = match node.value.as_slice() {
            [literal] => {
                unicode_prefix = self.has_u_prefix(literal);
                self.literal_sym(literal)?
            }
            literals => {
                let mut all = Vec::new();
                for (nth, literal) in literals.iter().enumerate() {
                    if nth == 0 {
                        unicode_prefix = self.has_u_prefix(literal);
                    }
                    self.literal_text(literal, &mut all)?;
                }
                self.pool.sym_bytes(&all)
            }
        };
        Ok(ExprKind::Constant {
            value: Constant::Str(value),
            unicode_prefix,
        })
    }

    fn bytes(&mut self, node: &ruff::ExprBytesLiteral) -> Pass<ExprKind> {
        let id = match node.value.as_slice() {
            [literal] => self.pool.intern_bytes(&literal.value),
            literals => {
                let all: Vec<u8> = literals
                    .iter()
                    .flat_map(|literal| literal.value.iter().copied())
                    .collect();
                self.pool.intern_bytes(&all)
            }
        };
        Ok(plain(Constant::Bytes(id)))
    }
}

fn plain(value: Constant) -> ExprKind {
    ExprKind::Constant {
        value,
        unicode_prefix: false,
    }
}

fn context(ctx: ruff::ExprContext) -> Pass<Ctx> {
    match ctx {
        ruff::ExprContext::Load => Ok(Ctx::Load),
        ruff::ExprContext::Store => Ok(Ctx::Store),
        ruff::ExprContext::Del => Ok(Ctx::Del),
        ruff::ExprContext::Invalid => Err(Stop::unsure("an expression that can't be a target")),
    }
}

fn comparison(op: ruff::CmpOp) -> CmpOp {
    match op {
        ruff::CmpOp::Eq => CmpOp::Eq,
        ruff::CmpOp::NotEq => CmpOp::NotEq,
        ruff::CmpOp::Lt => CmpOp::Lt,
        ruff::CmpOp::LtE => CmpOp::LtE,
        ruff::CmpOp::Gt => CmpOp::Gt,
        ruff::CmpOp::GtE => CmpOp::GtE,
        ruff::CmpOp::Is => CmpOp::Is,
        ruff::CmpOp::IsNot => CmpOp::IsNot,
        ruff::CmpOp::In => CmpOp::In,
        ruff::CmpOp::NotIn => CmpOp::NotIn,
    }
}
