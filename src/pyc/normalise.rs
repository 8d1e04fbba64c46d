//! Equality of marshal values whatever their references, flags, interning and set order.
//!
//! Up to 3.10 two runs of one CPython give different bytes for the same source: FLAG_REF and
//! interning depend on the process, frozensets come in hash order. What is left when that is
//! folded away is the code itself. Each object gets a digest of its type and its content, with
//! the digests of its items in it, so a graph costs one pass however much it shares.

use super::marshal::{Graph, Id, Value};

/// The digest of a value in its normal form: equal if and only if the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The 32 bytes. They depend on nothing but the value and this crate's version.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The digests of all objects of one graph.
#[derive(Clone, Debug)]
pub struct Digests(Vec<Digest>);

impl Digests {
    /// Computes them.
    pub fn of(graph: &Graph<'_>) -> Digests {
        let mut digests = Digests(Vec::with_capacity(graph.len()));
        let mut form = Vec::new();
        for (_, object) in graph.iter() {
            form.clear();
            digests.normal_form(&object.value, &mut form);
            digests.0.push(Digest(*blake3::hash(&form).as_bytes()));
        }
        digests
    }

    /// The digest of an object; `None` only for an id of another graph.
    pub fn get(&self, id: Id) -> Option<Digest> {
        self.0.get(id.index()).copied()
    }

    /// One byte for the type, then content that no other value of the type has.
    fn normal_form(&self, value: &Value<'_>, out: &mut Vec<u8>) {
        match value {
            Value::None => out.push(b'N'),
            Value::False => out.push(b'F'),
            Value::True => out.push(b'T'),
            Value::StopIteration => out.push(b'S'),
            Value::Ellipsis => out.push(b'.'),
            Value::Int(number) => {
                out.push(b'i');
                out.extend_from_slice(&number.to_le_bytes());
            }
            Value::Long { negative, digits } => {
                out.extend([b'l', u8::from(*negative)]);
                out.extend_from_slice(digits);
            }
            Value::Float(bits) => {
                out.push(b'g');
                out.extend_from_slice(&bits.to_le_bytes());
            }
            Value::Complex { real, imag } => {
                out.push(b'y');
                out.extend_from_slice(&real.to_le_bytes());
                out.extend_from_slice(&imag.to_le_bytes());
            }
            Value::Bytes(bytes) => {
                out.push(b's');
                out.extend_from_slice(bytes);
            }
            Value::Text(text) => {
                out.push(b'u');
                out.extend_from_slice(text.bytes());
            }
            Value::Tuple { items, .. } => self.sequence(b'(', items, out),
            Value::List(items) => self.sequence(b'[', items, out),
            Value::Dict(items) => self.sequence(b'{', items, out),
            Value::FrozenDict(items) => self.sequence(b'}', items, out),
            Value::Slice(bounds) => self.sequence(b':', bounds, out),
            Value::Set(items) => self.unordered(b'<', items, out),
            Value::FrozenSet(items) => self.unordered(b'>', items, out),
            Value::Code(code) => {
                out.push(b'c');
                for (number, value) in code.numbers() {
                    out.extend_from_slice(number.attribute().as_bytes());
                    out.push(0);
                    out.extend_from_slice(&value.to_le_bytes());
                }
                for (field, id) in code.fields() {
                    out.extend_from_slice(field.attribute().as_bytes());
                    out.push(0);
                    self.item(id, out);
                }
            }
        }
    }

    fn sequence(&self, code: u8, items: &[Id], out: &mut Vec<u8>) {
        out.push(code);
        for id in items {
            self.item(*id, out);
        }
    }

    fn unordered(&self, code: u8, items: &[Id], out: &mut Vec<u8>) {
        out.push(code);
        let mut digests: Vec<Option<Digest>> = items.iter().map(|id| self.get(*id)).collect();
        digests.sort_unstable();
        for digest in digests.into_iter().flatten() {
            out.extend_from_slice(&digest.0);
        }
    }

    fn item(&self, id: Id, out: &mut Vec<u8>) {
        // A graph's children come before their parents, so the digest is there.
        if let Some(digest) = self.get(id) {
            out.extend_from_slice(&digest.0);
        }
    }
}

/// The digest of a graph's root in its normal form; `None` for an empty graph.
pub fn digest(graph: &Graph<'_>) -> Option<Digest> {
    Digests::of(graph).get(graph.root()?)
}

/// Whether two values are equal in their normal form.
pub fn equal(left: &Graph<'_>, right: &Graph<'_>) -> bool {
    digest(left) == digest(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyc::Target;
    use crate::pyc::marshal::read;

    fn equal_bytes(left: &[u8], right: &[u8]) -> bool {
        equal(
            &read(Target::NEWEST, left).unwrap(),
            &read(Target::NEWEST, right).unwrap(),
        )
    }

    #[test]
    fn flags_references_interning_and_record_forms_do_not_count() {
        let plain = b"\x29\x02\x7a\x01a\x7a\x01a";
        let referred = b"\xa9\x02\xda\x01a\x72\x01\0\0\0";
        let long_forms = b"\x28\x02\0\0\0\x75\x01\0\0\0a\x61\x01\0\0\0a";
        assert!(equal_bytes(plain, referred));
        assert!(equal_bytes(plain, long_forms));
    }

    #[test]
    fn the_order_of_a_frozenset_does_not_count_and_that_of_a_tuple_does() {
        assert!(equal_bytes(
            b">\x02\0\0\0z\x01az\x01b",
            b">\x02\0\0\0z\x01bz\x01a"
        ));
        assert!(!equal_bytes(b")\x02z\x01az\x01b", b")\x02z\x01bz\x01a"));
    }

    #[test]
    fn values_of_different_types_differ() {
        let values: [&[u8]; 10] = [
            b"N",
            b"T",
            b"i\x01\0\0\0",
            b"g\0\0\0\0\0\0\xf0\x3f",
            b"g\0\0\0\0\0\0\0\0",
            b"g\0\0\0\0\0\0\0\x80",
            b"z\x011",
            b"s\x01\0\0\x001",
            b")\x00",
            b">\0\0\0\0",
        ];
        for (at, left) in values.iter().enumerate() {
            for (other, right) in values.iter().enumerate() {
                assert_eq!(equal_bytes(left, right), at == other);
            }
        }
    }
}
