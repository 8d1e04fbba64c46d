//! What the messages need of a parsed expression: its kind, place and parts.

use std::rc::Rc;

use super::token::Place;

/// The kinds that messages tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Name,
    Attribute,
    Subscript,
    Starred,
    List,
    Tuple,
    Set,
    Dict,
    Lambda,
    Call,
    Operation,
    Comparison,
    Conditional,
    Named,
    Generator,
    Yield,
    Await,
    ListComprehension,
    SetComprehension,
    DictComprehension,
    FormattedString,
    TemplateString,
    Literal,
    True,
    False,
    None,
    Ellipsis,
    /// No expression: a token, a parameter, a clause, a sequence of others.
    Other,
}

#[derive(Debug)]
pub struct Node {
    pub shape: Shape,
    pub start: Place,
    pub end: Place,
    pub parts: Vec<Tree>,
    /// For names: the byte range.
    pub text: (usize, usize),
}

pub type Tree = Rc<Node>;

impl Node {
    /// As messages call it.
    pub fn name(&self) -> &'static str {
        match self.shape {
            Shape::Name => "name",
            Shape::Attribute => "attribute",
            Shape::Subscript => "subscript",
            Shape::Starred => "starred",
            Shape::List => "list",
            Shape::Tuple => "tuple",
            Shape::Set => "set display",
            Shape::Dict => "dict literal",
            Shape::Lambda => "lambda",
            Shape::Call => "function call",
            Shape::Operation => "expression",
            Shape::Comparison => "comparison",
            Shape::Conditional => "conditional expression",
            Shape::Named => "named expression",
            Shape::Generator => "generator expression",
            Shape::Yield => "yield expression",
            Shape::Await => "await expression",
            Shape::ListComprehension => "list comprehension",
            Shape::SetComprehension => "set comprehension",
            Shape::DictComprehension => "dict comprehension",
            Shape::FormattedString => "f-string expression",
            Shape::TemplateString => "t-string expression",
            Shape::Literal | Shape::Other => "literal",
            Shape::True => "True",
            Shape::False => "False",
            Shape::None => "None",
            Shape::Ellipsis => "ellipsis",
        }
    }
}
