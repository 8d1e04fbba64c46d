//! Where two code objects differ: for people who make one equal the other.
//!
//! Compares normal forms (see [`normalise`](super::normalise)): flags, references, interning and
//! the order of frozensets are no difference. A code object's own fields come before the code
//! objects in its constants, and each code object is reported once, with its first difference.

use std::fmt;

use super::lines::{Location, location_at, read_line_table};
use super::marshal::{Code, CodeField, CodeNumber, Graph, Id, Value};
use super::normalise::Digests;

/// The first difference of one code object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The names of the code objects from the root on, for example `<module>.C.f`.
    pub code: String,
    /// The place in the code object, for example `co_consts[2]` or `co_code at offset 12`.
    pub field: String,
    /// What is there on the left.
    pub left: String,
    /// What is there on the right.
    pub right: String,
    /// The source line, 1-based: the right's instruction's, else the right's `co_firstlineno`.
    pub line: Option<i32>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: {} != {}",
            self.code, self.field, self.left, self.right
        )?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// The first difference of two values; `None` if they are equal in their normal form.
pub fn first_difference(left: &Graph<'_>, right: &Graph<'_>) -> Option<Difference> {
    differences(left, right, 1).into_iter().next()
}

/// The first difference of each code object that differs by itself, outermost first, at most
/// `limit` of them.
pub fn differences(left: &Graph<'_>, right: &Graph<'_>, limit: usize) -> Vec<Difference> {
    let (Some(left_root), Some(right_root)) = (left.root(), right.root()) else {
        return Vec::new();
    };
    let mut comparison = Comparison {
        left: Side {
            graph: left,
            digests: Digests::of(left),
        },
        right: Side {
            graph: right,
            digests: Digests::of(right),
        },
        pending: vec![(left_root, right_root, String::new())],
        found: Vec::new(),
    };
    while comparison.found.len() < limit
        && let Some((left, right, outer)) = comparison.pending.pop()
    {
        comparison.compare(left, right, &outer);
    }
    comparison.found
}

/// One of the two graphs.
struct Side<'g, 'a> {
    graph: &'g Graph<'a>,
    digests: Digests,
}

struct Comparison<'l, 'r, 'a, 'b> {
    left: Side<'l, 'a>,
    right: Side<'r, 'b>,
    /// Code objects still to compare, with the names around them; the next one is last.
    pending: Vec<(Id, Id, String)>,
    found: Vec<Difference>,
}

/// A place at which two values differ, with what is there.
struct Place {
    field: String,
    left: String,
    right: String,
    line: Option<i32>,
}

impl Comparison<'_, '_, '_, '_> {
    fn same(&self, left: Id, right: Id) -> bool {
        self.left.digests.get(left) == self.right.digests.get(right)
    }

    /// Compares two code objects (or, at the root, two values of any type).
    fn compare(&mut self, left: Id, right: Id, outer: &str) {
        if self.same(left, right) {
            return;
        }
        let (left_graph, right_graph) = (self.left.graph, self.right.graph);
        let (Some(left_code), Some(right_code)) = (left_graph.code(left), right_graph.code(right))
        else {
            let mut field = String::from("value");
            let (left, right) = self.descend(left, right, &mut field);
            self.found.push(Difference {
                code: outer.to_owned(),
                field,
                left,
                right,
                line: None,
            });
            return;
        };
        let name = self.right.text(right_code.field(CodeField::Name));
        let path = if outer.is_empty() {
            name
        } else {
            format!("{outer}.{name}")
        };
        if let Some(place) = self.own_difference(left_code, right_code) {
            self.found.push(Difference {
                code: path.clone(),
                field: place.field,
                left: place.left,
                right: place.right,
                line: place
                    .line
                    .or_else(|| right_code.number(CodeNumber::FirstLineNo)),
            });
        }
        let left_nested = self.left.nested_code(left_code);
        let right_nested = self.right.nested_code(right_code);
        let pairs = left_nested.into_iter().zip(right_nested).rev();
        self.pending
            .extend(pairs.map(|(left, right)| (left, right, path.clone())));
    }

    /// The first difference of two code objects that is not inside a nested code object.
    fn own_difference(&self, left: &Code, right: &Code) -> Option<Place> {
        if left.layout() != right.layout() {
            return Some(Place {
                field: "layout".to_owned(),
                left: self.left.graph.target().to_string(),
                right: self.right.graph.target().to_string(),
                line: None,
            });
        }
        let number = left
            .numbers()
            .zip(right.numbers())
            .find(|(left, right)| left != right);
        let field =
            left.fields()
                .zip(right.fields())
                .find_map(|((field, left_id), (_, right_id))| {
                    self.field_difference(field, left_id, right_id, right)
                });
        // Instructions tell more than the numbers that follow from them.
        match (field, number) {
            (Some(place), _) => Some(place),
            (None, Some(((number, left), (_, right)))) => Some(Place {
                field: number.attribute().to_owned(),
                left: left.to_string(),
                right: right.to_string(),
                line: None,
            }),
            (None, None) => None,
        }
    }

    fn field_difference(
        &self,
        field: CodeField,
        left: Id,
        right: Id,
        right_code: &Code,
    ) -> Option<Place> {
        if self.same(left, right) {
            return None;
        }
        let place = |field: String, line, (left, right)| Place {
            field,
            left,
            right,
            line,
        };
        let attribute = field.attribute();
        match (self.left.graph.value(left)?, self.right.graph.value(right)?) {
            (Value::Bytes(left), Value::Bytes(right)) => match field {
                CodeField::LineTable => {
                    Some(self.line_difference(attribute, left, right, right_code))
                }
                CodeField::Code => {
                    let offset = first_mismatch(left, right);
                    // The instruction starts at the even byte.
                    let instruction = offset & !1;
                    let line = self.right.line_at(right_code, instruction);
                    let around = |code: &[u8]| hex_at(code, instruction, 6);
                    Some(place(
                        format!("{attribute} at offset {instruction}"),
                        line,
                        (around(left), around(right)),
                    ))
                }
                CodeField::Consts
                | CodeField::Names
                | CodeField::VarNames
                | CodeField::FreeVars
                | CodeField::CellVars
                | CodeField::LocalsPlusNames
                | CodeField::LocalsPlusKinds
                | CodeField::FileName
                | CodeField::Name
                | CodeField::QualName
                | CodeField::ExceptionTable => {
                    let offset = first_mismatch(left, right);
                    Some(place(
                        format!("{attribute} at offset {offset}"),
                        None,
                        (hex_at(left, offset, 8), hex_at(right, offset, 8)),
                    ))
                }
            },
            (Value::Tuple { items: left, .. }, Value::Tuple { items: right, .. }) => {
                let differs = |(left, right): (&Id, &Id)| {
                    let both_code = self.left.graph.code(*left).is_some()
                        && self.right.graph.code(*right).is_some();
                    !both_code && !self.same(*left, *right)
                };
                let at = left.iter().zip(right).position(differs);
                match at.and_then(|at| Some((at, left.get(at)?, right.get(at)?))) {
                    Some((at, left, right)) => {
                        let mut path = format!("{attribute}[{at}]");
                        let values = self.descend(*left, *right, &mut path);
                        Some(place(path, None, values))
                    }
                    None if left.len() != right.len() => Some(place(
                        format!("length of {attribute}"),
                        None,
                        (left.len().to_string(), right.len().to_string()),
                    )),
                    None => None,
                }
            }
            _ => {
                let mut path = attribute.to_owned();
                let values = self.descend(left, right, &mut path);
                Some(place(path, None, values))
            }
        }
    }

    /// The first instruction whose source position differs.
    fn line_difference(
        &self,
        attribute: &str,
        left: &[u8],
        right: &[u8],
        right_code: &Code,
    ) -> Place {
        let first_line = right_code.number(CodeNumber::FirstLineNo).unwrap_or(1);
        let target = self.right.graph.target();
        let read = |table| read_line_table(target, first_line, table);
        if let (Ok(left), Ok(right)) = (read(left), read(right)) {
            let starts = left.iter().chain(&right).map(|location| location.start);
            let differs = |start: &u32| {
                let position = |locations| location_at(locations, *start).map(describe);
                position(&left) != position(&right)
            };
            if let Some(start) = starts.filter(differs).min() {
                let describe_at = |locations| {
                    location_at(locations, start).map_or("nothing".to_owned(), describe)
                };
                return Place {
                    field: format!("{attribute} for offset {start}"),
                    left: describe_at(&left),
                    right: describe_at(&right),
                    line: location_at(&right, start).and_then(|location| location.line),
                };
            }
        }
        let offset = first_mismatch(left, right);
        Place {
            field: format!("{attribute} at byte {offset}"),
            left: hex_at(left, offset, 8),
            right: hex_at(right, offset, 8),
            line: None,
        }
    }

    /// Goes down to the first item that differs while both sides are sequences of one length;
    /// extends the path and describes the two sides there.
    fn descend(&self, mut left: Id, mut right: Id, path: &mut String) -> (String, String) {
        loop {
            let (Some(left_value), Some(right_value)) =
                (self.left.graph.value(left), self.right.graph.value(right))
            else {
                return Default::default();
            };
            let same_shape = match (left_value, right_value) {
                (Value::Tuple { items: left, .. }, Value::Tuple { items: right, .. })
                | (Value::List(left), Value::List(right)) => left.len() == right.len(),
                (Value::Slice(_), Value::Slice(_)) => true,
                _ => false,
            };
            let item = left_value
                .children()
                .iter()
                .zip(right_value.children())
                .enumerate()
                .find(|(_, (left, right))| !self.same(**left, **right))
                .filter(|_| same_shape);
            match item {
                Some((at, (left_item, right_item))) => {
                    path.push_str(&format!("[{at}]"));
                    (left, right) = (*left_item, *right_item);
                }
                None => return (self.left.show(left), self.right.show(right)),
            }
        }
    }
}

impl Side<'_, '_> {
    /// The text of a string object.
    fn text(&self, id: Option<Id>) -> String {
        match id.and_then(|id| self.graph.value(id)) {
            Some(Value::Text(text)) => String::from_utf8_lossy(text.bytes()).into_owned(),
            _ => "?".to_owned(),
        }
    }

    /// The code objects among a code object's constants.
    fn nested_code(&self, code: &Code) -> Vec<Id> {
        let constants = code
            .field(CodeField::Consts)
            .and_then(|id| self.graph.value(id))
            .map(Value::children)
            .unwrap_or_default();
        constants
            .iter()
            .copied()
            .filter(|id| self.graph.code(*id).is_some())
            .collect()
    }

    /// The line of the instruction at this offset of `co_code`.
    fn line_at(&self, code: &Code, offset: usize) -> Option<i32> {
        let Some(Value::Bytes(table)) = self.graph.value(code.field(CodeField::LineTable)?) else {
            return None;
        };
        let first_line = code.number(CodeNumber::FirstLineNo)?;
        let locations = read_line_table(self.graph.target(), first_line, table).ok()?;
        location_at(&locations, u32::try_from(offset).ok()?)?.line
    }

    /// A value in a few words. Does not go into nested values, so its length is bounded.
    fn show(&self, id: Id) -> String {
        let Some(value) = self.graph.value(id) else {
            return String::new();
        };
        match value {
            Value::None => "None".to_owned(),
            Value::False => "False".to_owned(),
            Value::True => "True".to_owned(),
            Value::StopIteration => "StopIteration".to_owned(),
            Value::Ellipsis => "Ellipsis".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Long { negative, digits } => {
                let sign = if *negative { "-" } else { "" };
                format!(
                    "{sign}int of {} bytes {}",
                    digits.len(),
                    hex_at(digits, 0, 16)
                )
            }
            Value::Float(bits) => format!("{:?}", f64::from_bits(*bits)),
            Value::Complex { real, imag } => format!(
                "complex({:?}, {:?})",
                f64::from_bits(*real),
                f64::from_bits(*imag)
            ),
            Value::Bytes(bytes) => format!("{} bytes {}", bytes.len(), hex_at(bytes, 0, 16)),
            Value::Text(text) => {
                let text = String::from_utf8_lossy(text.bytes());
                let start: String = text.chars().take(60).collect();
                format!("{start:?} of {} characters", text.chars().count())
            }
            Value::Tuple { items, .. } => format!("tuple of {}", items.len()),
            Value::List(items) => format!("list of {}", items.len()),
            Value::Set(items) => format!("set of {}", items.len()),
            Value::FrozenSet(items) => format!("frozenset of {}", items.len()),
            Value::Dict(items) => format!("dict of {}", items.len() / 2),
            Value::FrozenDict(items) => format!("frozendict of {}", items.len() / 2),
            Value::Slice(_) => "slice".to_owned(),
            Value::Code(code) => format!("code {}", self.text(code.field(CodeField::Name))),
        }
    }
}

/// The first index at which two byte strings differ; the shorter one's length if it is a prefix.
fn first_mismatch(left: &[u8], right: &[u8]) -> usize {
    left.iter()
        .zip(right)
        .position(|(left, right)| left != right)
        .unwrap_or(left.len().min(right.len()))
}

/// At most `count` bytes from `offset` on, in hexadecimal; `end` if there are none.
fn hex_at(bytes: &[u8], offset: usize, count: usize) -> String {
    let shown: Vec<String> = bytes
        .iter()
        .skip(offset)
        .take(count)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if shown.is_empty() {
        "end".to_owned()
    } else {
        shown.join(" ")
    }
}

/// A source position as `line:column-line:column`.
fn describe(location: &Location) -> String {
    let part = |number: Option<i32>| number.map_or("-".to_owned(), |number| number.to_string());
    format!(
        "{}:{}-{}:{}",
        part(location.line),
        part(location.column),
        part(location.end_line),
        part(location.end_column)
    )
}
