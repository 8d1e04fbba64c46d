//! The objects of one compile.

use std::cmp::Ordering;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Item, Names};
use crate::compiler::native::ast::{BigId, BytesId, ComplexId, Constant, Pool, Sym};
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::profile::Profile;

/// The index of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(u32);

impl ObjectId {
    /// The 0-based index in the heap.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a string object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A literal, or made while compiling: interned only if it looks like an identifier.
    Literal,
    /// A name of the program: the parser interned it.
    Name,
    /// Made by CPython's optimizer from a format string: even one character is an object of its own.
    Computed,
    /// A qualified name that becomes the `co_qualname` of a code object, which interns it.
    Qualname,
}

/// An object.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Object {
    None,
    Ellipsis,
    Bool(bool),
    Int(i64),
    Big(BigId),
    Float(u64),
    Complex(ComplexId),
    Str {
        text: Sym,
        interned: bool,
    },
    Bytes(BytesId),
    /// Bytes that are never merged.
    OwnBytes(Blob),
    Tuple(Items),
    FrozenSet(Items),
    Slice(Items),
    Code(CodeId),
}

/// Objects in a row, which [`Heap::items`] gives.
#[derive(Clone, Copy, Debug)]
pub struct Items {
    start: u32,
    len: u32,
}

impl Items {
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Bytes in [`Heap::blob`].
#[derive(Clone, Copy, Debug)]
pub struct Blob {
    start: u32,
    len: u32,
}

/// The number of a code object in its heap.
#[derive(Clone, Copy, Debug)]
pub struct CodeId(u32);

/// A code object.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Named after CPython's `co_*`.
pub struct CodeObject {
    pub argcount: u32,
    pub posonlyargcount: u32,
    pub kwonlyargcount: u32,
    pub stacksize: u32,
    pub flags: u32,
    pub code: Blob,
    pub consts: ObjectId,
    pub names: ObjectId,
    pub localsplusnames: ObjectId,
    pub localspluskinds: ObjectId,
    pub name: ObjectId,
    pub qualname: ObjectId,
    pub firstlineno: i32,
    pub linetable: ObjectId,
    pub exceptiontable: ObjectId,
}

/// The objects of things with consecutive numbers.
#[derive(Debug, Default)]
struct ById {
    /// One more than the object's index; 0 for none.
    objects: Vec<u32>,
}

impl ById {
    fn with_capacity(count: usize) -> ById {
        ById {
            objects: Vec::with_capacity(count),
        }
    }

    fn get(&self, at: usize) -> Option<ObjectId> {
        let object = self.objects.get(at).copied().unwrap_or(0);
        object.checked_sub(1).map(ObjectId)
    }

    fn insert(&mut self, at: usize, id: ObjectId) {
        if at >= self.objects.len() {
            self.objects.resize(at + 1, 0);
        }
        if let Some(object) = self.objects.get_mut(at) {
            *object = id.0 + 1;
        }
    }
}

/// The objects of constants by type and value.
#[derive(Debug, Default)]
struct Merged {
    strings: ById,
    bytes: ById,
    tuples: ById,
    others: FxHashMap<Constant, ObjectId>,
}

impl Merged {
    fn get(&self, value: Constant) -> Option<ObjectId> {
        match value {
            Constant::Str(text) => self.strings.get(text.index()),
            Constant::Bytes(bytes) => self.bytes.get(bytes.index()),
            Constant::Tuple(items) => self.tuples.get(items.index()),
            Constant::None
            | Constant::Ellipsis
            | Constant::Bool(_)
            | Constant::Int(_)
            | Constant::Big(_)
            | Constant::Float(_)
            | Constant::Complex(_)
            | Constant::FrozenSet(_)
            | Constant::Slice(_) => self.others.get(&value).copied(),
        }
    }

    fn insert(&mut self, value: Constant, id: ObjectId) {
        match value {
            Constant::Str(text) => self.strings.insert(text.index(), id),
            Constant::Bytes(bytes) => self.bytes.insert(bytes.index(), id),
            Constant::Tuple(items) => self.tuples.insert(items.index(), id),
            Constant::None
            | Constant::Ellipsis
            | Constant::Bool(_)
            | Constant::Int(_)
            | Constant::Big(_)
            | Constant::Float(_)
            | Constant::Complex(_)
            | Constant::FrozenSet(_)
            | Constant::Slice(_) => {
                self.others.insert(value, id);
            }
        }
    }
}

/// Bytecode above this size is not copied if it is the first.
const LARGE: usize = 1 << 20;

/// All objects of a compile.
#[derive(Debug)]
pub struct Heap {
    objects: Vec<Object>,
    code_objects: Vec<CodeObject>,
    /// The objects in tuples, sets and slices, one container behind the other.
    items: Vec<ObjectId>,
    /// Those of containers that are not complete yet.
    open_items: Vec<ObjectId>,
    /// The content of all [`Blob`]s, one behind the other.
    blobs: Vec<u8>,
    interned: ById,
    /// Strings that look like identifiers and were met as literals first.
    literals: FxHashSet<Sym>,
    /// Constants that the compiler made of names (`_Class__name`). Each use of such a name is another
    /// object, unlike a name of the program.
    mangled_constants: FxHashSet<Sym>,
    /// Whether any constant, a literal or not, looks like such a name.
    has_mangled_constants: bool,
    /// Such names that a code object has interned; whether the object was a constant's.
    mangled: FxHashMap<Sym, bool>,
    /// The names of the program, which the parser interned; once they are asked for.
    names: Option<Names>,
    /// Constants merged by type and value.
    merged: Merged,
    /// Tuples with objects in them that are merged otherwise.
    merged_tuples: FxHashMap<Box<[Item]>, ObjectId>,
    /// Code objects by first line and name: the first of each, and the others.
    codes: FxHashMap<(i32, ObjectId), ObjectId>,
    more_codes: FxHashMap<(i32, ObjectId), Vec<ObjectId>>,
    profile: &'static Profile,
    /// Scratch.
    values: Vec<Constant>,
}

/// Whether the interpreter has the string interned from its start: no more than one character, and
/// that in Latin-1.
fn is_one_latin_1(text: &[u8]) -> bool {
    match text {
        [] => true,
        [byte] => byte.is_ascii(),
        [0xc2 | 0xc3, _] => true,
        _ => false,
    }
}

/// Whether CPython interns a string constant: ASCII letters, digits and underscores only. Strings of
/// one Latin-1 character are interned from the start.
fn is_interned_constant(text: &[u8]) -> bool {
    let word = text
        .iter()
        .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word || is_one_latin_1(text)
}

/// Whether a text has the form of a mangled name, `_Class__name`.
fn looks_mangled(text: &[u8]) -> bool {
    match text {
        [b'_', first, rest @ ..] => {
            *first != b'_' && !rest.ends_with(b"__") && rest.windows(2).any(|pair| pair == b"__")
        }
        _ => false,
    }
}

fn rank(value: &Constant) -> u8 {
    match value {
        Constant::None => 0,
        Constant::Ellipsis => 1,
        Constant::Bool(_) => 2,
        Constant::Int(_) => 3,
        Constant::Big(_) => 4,
        Constant::Float(_) => 5,
        Constant::Complex(_) => 6,
        Constant::Str(_) => 7,
        Constant::Bytes(_) => 8,
        Constant::Tuple(_) => 9,
        Constant::FrozenSet(_) => 10,
        Constant::Slice(_) => 11,
    }
}

/// Some order of constants, to compare sets.
fn compare(one: &Constant, other: &Constant) -> Ordering {
    match (one, other) {
        (Constant::Bool(a), Constant::Bool(b)) => a.cmp(b),
        (Constant::Int(a), Constant::Int(b)) => a.cmp(b),
        (Constant::Big(a), Constant::Big(b)) => a.cmp(b),
        (Constant::Float(a), Constant::Float(b)) => a.cmp(b),
        (Constant::Complex(a), Constant::Complex(b)) => a.cmp(b),
        (Constant::Str(a), Constant::Str(b)) => a.cmp(b),
        (Constant::Bytes(a), Constant::Bytes(b)) => a.cmp(b),
        (Constant::Tuple(a), Constant::Tuple(b))
        | (Constant::FrozenSet(a), Constant::FrozenSet(b))
        | (Constant::Slice(a), Constant::Slice(b)) => a.cmp(b),
        _ => rank(one).cmp(&rank(other)),
    }
}

impl Heap {
    /// An empty heap with room for what the module of a pool mostly has. Nothing touches what is reserved
    /// and not needed.
    pub fn new(profile: &'static Profile, pool: &Pool) -> Heap {
        let (source, strings) = (pool.source_size(), pool.text_count());
        Heap {
            objects: Vec::with_capacity(strings),
            code_objects: Vec::with_capacity(source / 256),
            items: Vec::with_capacity(2 * strings),
            open_items: Vec::new(),
            blobs: Vec::with_capacity(source),
            interned: ById::with_capacity(strings),
            literals: FxHashSet::default(),
            mangled_constants: FxHashSet::default(),
            has_mangled_constants: false,
            mangled: FxHashMap::default(),
            names: None,
            merged: Merged::default(),
            merged_tuples: FxHashMap::default(),
            codes: FxHashMap::default(),
            more_codes: FxHashMap::default(),
            profile,
            values: Vec::new(),
        }
    }

    /// The objects.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// An object.
    #[allow(clippy::indexing_slicing)] // Ids are made by `add` of this heap only.
    pub fn get(&self, id: ObjectId) -> &Object {
        &self.objects[id.index()]
    }

    /// A code object.
    #[allow(clippy::indexing_slicing)] // As in `get`.
    pub fn code_object(&self, id: CodeId) -> &CodeObject {
        &self.code_objects[id.0 as usize]
    }

    /// The objects in a tuple, set or slice.
    pub fn items(&self, items: Items) -> &[ObjectId] {
        let start = items.start as usize;
        let row = self.items.get(start..start + items.len as usize);
        row.unwrap_or(&[])
    }

    /// A new row of what `make` makes of each value.
    fn row<T: Copy>(&mut self, values: &[T], make: impl Fn(&mut Heap, T) -> ObjectId) -> Items {
        let base = self.open_items.len();
        for &value in values {
            let id = make(self, value);
            self.open_items.push(id);
        }
        let row = self.open_items.get(base..).unwrap_or(&[]);
        let items = Items {
            start: self.items.len() as u32,
            len: row.len() as u32,
        };
        self.items.extend_from_slice(row);
        self.open_items.truncate(base);
        items
    }

    /// Keeps bytes that are never merged.
    pub fn keep(&mut self, content: Vec<u8>) -> Pass<Blob> {
        let start = self.blobs.len();
        let fits = |size| u32::try_from(size).map_err(|_| Stop::unsure("4 GB of code"));
        let blob = Blob {
            start: fits(start)?,
            len: fits(content.len())?,
        };
        if start == 0 && content.len() > LARGE {
            self.blobs = content;
        } else {
            self.blobs.extend_from_slice(&content);
        }
        Ok(blob)
    }

    /// About how many bytes its objects are when they are marshalled, without texts.
    pub fn size(&self) -> usize {
        const CODE: usize = 64;
        const RECORD: usize = 5;
        self.blobs.len()
            + CODE * self.code_objects.len()
            + RECORD * (self.objects.len() + self.items.len())
    }

    /// The bytes that were kept.
    pub fn blob(&self, blob: Blob) -> &[u8] {
        let start = blob.start as usize;
        let bytes = self.blobs.get(start..start + blob.len as usize);
        bytes.unwrap_or(&[])
    }

    fn add(&mut self, object: Object) -> ObjectId {
        let id = ObjectId(self.objects.len() as u32);
        self.objects.push(object);
        id
    }

    /// Two sets with the same elements become the same constant, whatever their order in the text.
    pub fn canonical(value: Constant, pool: &mut Pool) -> Constant {
        let Constant::FrozenSet(id) = value else {
            return value;
        };
        let mut items = pool.tuple(id).to_vec();
        items.sort_by(compare);
        Constant::FrozenSet(pool.intern_tuple(&items))
    }

    /// The interned string of a name.
    pub fn name(&mut self, text: Sym) -> ObjectId {
        if let Some(id) = self.interned.get(text.index()) {
            return id;
        }
        let id = self.add(Object::Str {
            text,
            interned: true,
        });
        self.interned.insert(text.index(), id);
        id
    }

    fn string(&mut self, text: Sym, origin: Origin, pool: &Pool) -> ObjectId {
        match origin {
            Origin::Name => {
                if looks_mangled(pool.text(text)) {
                    self.mangled_constants.insert(text);
                    self.has_mangled_constants = true;
                }
                self.name(text)
            }
            Origin::Qualname if self.interned.get(text.index()).is_none() => self.name(text),
            Origin::Computed if pool.text(text) == b"%" => self.add(Object::Str {
                text,
                interned: false,
            }),
            Origin::Qualname | Origin::Literal | Origin::Computed => {
                if is_interned_constant(pool.text(text)) {
                    self.literals.insert(text);
                    self.has_mangled_constants |= looks_mangled(pool.text(text));
                    return self.name(text);
                }
                self.add(Object::Str {
                    text,
                    interned: false,
                })
            }
        }
    }

    /// The object of a constant: the one that an equal constant has already, or a new one. `origin`
    /// is that of the strings in it.
    pub fn constant(&mut self, value: Constant, origin: Origin, pool: &Pool) -> ObjectId {
        if let Some(id) = self.merged.get(value) {
            return id;
        }
        let items = |heap: &mut Heap, id| {
            let make = |heap: &mut Heap, item| heap.constant(item, origin, pool);
            heap.row(pool.tuple(id), make)
        };
        let id = match value {
            Constant::None => self.add(Object::None),
            Constant::Ellipsis => self.add(Object::Ellipsis),
            Constant::Bool(value) => self.add(Object::Bool(value)),
            Constant::Int(value) => self.add(Object::Int(value)),
            Constant::Big(value) => self.add(Object::Big(value)),
            Constant::Float(value) => self.add(Object::Float(value)),
            Constant::Complex(value) => self.add(Object::Complex(value)),
            Constant::Str(text) => self.string(text, origin, pool),
            Constant::Bytes(value) => self.add(Object::Bytes(value)),
            Constant::Tuple(value) => {
                let items = items(self, value);
                self.add(Object::Tuple(items))
            }
            Constant::FrozenSet(value) => {
                let items = items(self, value);
                self.add(Object::FrozenSet(items))
            }
            Constant::Slice(value) => {
                let make = |heap: &mut Heap, item| heap.slice_part(item, pool);
                let items = self.row(pool.tuple(value), make);
                self.add(Object::Slice(items))
            }
        };
        self.merged.insert(value, id);
        id
    }

    /// The object of a slice's part, which CPython neither merges nor interns: only what the
    /// interpreter has once is shared.
    fn slice_part(&mut self, value: Constant, pool: &Pool) -> ObjectId {
        match value {
            Constant::Int(small) if (-5..=256).contains(&small) => {}
            Constant::Int(value) => return self.add(Object::Int(value)),
            Constant::Big(value) => return self.add(Object::Big(value)),
            Constant::Float(value) => return self.add(Object::Float(value)),
            Constant::Complex(value) => return self.add(Object::Complex(value)),
            Constant::Str(text) if !is_one_latin_1(pool.text(text)) => {
                return self.add(Object::Str {
                    text,
                    interned: false,
                });
            }
            Constant::Bytes(value) if pool.bytes(value).len() > 1 => {
                return self.add(Object::Bytes(value));
            }
            Constant::None
            | Constant::Ellipsis
            | Constant::Bool(_)
            | Constant::Str(_)
            | Constant::Bytes(_)
            | Constant::Tuple(_)
            | Constant::FrozenSet(_)
            | Constant::Slice(_) => {}
        }
        self.constant(value, Origin::Literal, pool)
    }

    /// NaN, which is never merged.
    pub fn nan(&mut self, bits: u64) -> ObjectId {
        self.add(Object::Float(bits))
    }

    /// The bytes object of a table.
    pub fn bytes(&mut self, content: &[u8], pool: &mut Pool) -> ObjectId {
        let value = Constant::Bytes(pool.intern_bytes(content));
        self.constant(value, Origin::Literal, pool)
    }

    /// A bytes object of its own; there is only one empty one.
    pub fn own_bytes(&mut self, content: &[u8], pool: &mut Pool) -> Pass<ObjectId> {
        if content.is_empty() {
            return Ok(self.bytes(content, pool));
        }
        let blob = self.keep(content.to_vec())?;
        Ok(self.add(Object::OwnBytes(blob)))
    }

    /// The tuple of names in a code object.
    pub fn names(&mut self, names: &[Sym], pool: &mut Pool) -> ObjectId {
        self.note_names(names, pool);
        self.values.clear();
        self.values
            .extend(names.iter().map(|&name| Constant::Str(name)));
        let value = pool.tuple_constant(&self.values);
        if let Some(id) = self.merged.get(value) {
            // CPython interns the strings of the tuple in place.
            if let &Object::Tuple(items) = self.get(id) {
                for (at, &name) in (items.start as usize..).zip(names) {
                    let string = self.name(name);
                    if let Some(item) = self.items.get_mut(at) {
                        *item = string;
                    }
                }
            }
            return id;
        }
        let id = self.own_names(names);
        self.merged.insert(value, id);
        id
    }

    /// As [`Heap::names`], a tuple that is merged with no other.
    pub fn own_names(&mut self, names: &[Sym]) -> ObjectId {
        let strings = self.row(names, Heap::name);
        self.add(Object::Tuple(strings))
    }

    /// The tuple of constants in a code object. Each item was made an object before.
    pub fn consts(&mut self, items: &[Item], pool: &mut Pool) -> ObjectId {
        self.values.clear();
        self.values
            .extend(items.iter().filter_map(|&item| match item {
                Item::Value(value) => Some(value),
                Item::Object(_) => None,
            }));
        let all_values = self.values.len() == items.len();
        let value = all_values.then(|| pool.tuple_constant(&self.values));
        let known = match value {
            Some(value) => self.merged.get(value),
            None => self.merged_tuples.get(items).copied(),
        };
        if let Some(id) = known {
            return id;
        }
        let pool = &*pool;
        let objects = self.row(items, |heap, item| match item {
            Item::Value(value) => heap.const_item(value, pool),
            Item::Object(id) => id,
        });
        let id = self.add(Object::Tuple(objects));
        match value {
            Some(value) => self.merged.insert(value, id),
            None => {
                self.merged_tuples.insert(items.into(), id);
            }
        }
        if self.has_mangled_constants {
            for &item in items {
                if let Item::Value(value) = item {
                    self.note_constant(value, pool);
                }
            }
        }
        id
    }

    /// A code object interns the strings of a constant.
    fn note_constant(&mut self, value: Constant, pool: &Pool) {
        match value {
            Constant::Str(text) if looks_mangled(pool.text(text)) => {
                self.mangled.entry(text).or_insert(true);
            }
            Constant::Tuple(items) | Constant::FrozenSet(items) => {
                for &item in pool.tuple(items) {
                    self.note_constant(item, pool);
                }
            }
            Constant::None
            | Constant::Ellipsis
            | Constant::Bool(_)
            | Constant::Int(_)
            | Constant::Big(_)
            | Constant::Float(_)
            | Constant::Complex(_)
            | Constant::Str(_)
            | Constant::Bytes(_)
            | Constant::Slice(_) => {}
        }
    }

    /// A code object interns its names.
    fn note_names(&mut self, names: &[Sym], pool: &Pool) {
        for &name in names {
            if looks_mangled(pool.text(name)) {
                self.mangled.entry(name).or_insert(false);
            }
        }
    }

    /// Whether sets of strings need the names of the program.
    pub fn wants_names(&self) -> bool {
        self.names.is_none()
    }

    /// Sets the names of the program.
    pub fn set_names(&mut self, names: Names) {
        self.names = Some(names);
    }

    /// An item of a new tuple of constants. A set in which interning replaces a string by another
    /// object becomes a new set in each tuple (gh-129724).
    fn const_item(&mut self, value: Constant, pool: &Pool) -> ObjectId {
        let id = self.constant(value, Origin::Literal, pool);
        let (Constant::FrozenSet(items), Some(names)) = (value, &self.names) else {
            return id;
        };
        let replaced = |item: &Constant| match item {
            Constant::Str(text) => {
                let is_name = names.contains(*text);
                let is_own = self.literals.contains(text)
                    || self.mangled_constants.contains(text) && !is_name;
                is_own
                    && (is_name
                        || self.mangled.get(text) == Some(&false)
                        || self.profile.is_startup_name(pool.text(*text)))
                    && pool.str(*text).is_some_and(|text| text.chars().count() > 1)
            }
            _ => false,
        };
        if !pool.tuple(items).iter().any(replaced) {
            return id;
        }
        let copy = self.get(id).clone();
        self.add(copy)
    }

    /// Whether CPython's `==` holds: it does not look at the qualified name, nor at what follows
    /// from the rest.
    fn same_code(&self, one: &CodeObject, other: &CodeObject) -> bool {
        one.name == other.name
            && one.argcount == other.argcount
            && one.posonlyargcount == other.posonlyargcount
            && one.kwonlyargcount == other.kwonlyargcount
            && one.flags == other.flags
            && one.firstlineno == other.firstlineno
            && self.blob(one.code) == self.blob(other.code)
            && one.consts == other.consts
            && one.names == other.names
            && self.same_names(one.localsplusnames, other.localsplusnames)
            && one.linetable == other.linetable
            && one.exceptiontable == other.exceptiontable
    }

    /// Whether two tuples of names are equal, also if they are two objects.
    fn same_names(&self, one: ObjectId, other: ObjectId) -> bool {
        one == other
            || match (self.get(one), self.get(other)) {
                (&Object::Tuple(one), &Object::Tuple(other)) => {
                    self.items(one) == self.items(other)
                }
                _ => false,
            }
    }

    /// Adds a code object, or finds one that CPython takes for equal.
    pub fn code(&mut self, code: CodeObject) -> ObjectId {
        let key = (code.firstlineno, code.name);
        let is_same = |id: ObjectId| match self.get(id) {
            Object::Code(other) => self.same_code(self.code_object(*other), &code),
            _ => false,
        };
        let first = self.codes.get(&key).copied();
        let others = first.and_then(|_| self.more_codes.get(&key));
        let others = others.into_iter().flatten().copied();
        if let Some(known) = first.into_iter().chain(others).find(|&id| is_same(id)) {
            return known;
        }
        let number = CodeId(self.code_objects.len() as u32);
        self.code_objects.push(code);
        let id = self.add(Object::Code(number));
        if first.is_some() {
            self.more_codes.entry(key).or_default().push(id);
        } else {
            self.codes.insert(key, id);
        }
        id
    }
}
