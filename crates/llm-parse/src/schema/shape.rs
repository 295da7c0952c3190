//! The compiled form of a JSON Schema: an arena of shapes that refer to one another by number.

use std::collections::HashMap;

use serde_json::Value;

use super::exact::Exact;
use super::fold::fold;
use super::pattern::Pattern;
use crate::report::Step;

/// The number of a [`Shape`] in its [`Shapes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShapeId(pub(crate) u32);

/// What one place of the schema allows.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    /// `null` is allowed as well.
    pub(crate) nullable: bool,
    pub(crate) description: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Any,
    /// The schema `false`: nothing fits.
    Never,
    Null,
    Bool,
    Integer(Integer),
    Number(Bounds),
    Text(TextRule),
    Label(Box<Labels>),
    /// One of these values, none of them a string.
    Literal(Box<[Value]>),
    List(Box<List>),
    Record(Box<Record>),
    Union(Box<Union>),
    /// Another shape; the alias may add `nullable`.
    Same(ShapeId),
}

/// Bounds of an integer; both ends belong to it.
#[derive(Clone, Debug)]
pub(crate) struct Integer {
    pub(crate) min: i128,
    pub(crate) max: i128,
    /// The upper end is that of `u128`, which `max` cannot hold.
    pub(crate) wide: bool,
    /// The ends of the Rust or wire type, apart from which a number "overflows" rather than "is out of range".
    pub(crate) type_min: i128,
    pub(crate) type_max: i128,
    pub(crate) bounds: Bounds,
}

/// Bounds of a number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) min: Option<Exact>,
    pub(crate) max: Option<Exact>,
    pub(crate) above: Option<Exact>,
    pub(crate) below: Option<Exact>,
    /// The number is a multiple of each.
    pub(crate) steps: Vec<Exact>,
    /// The target is a 32-bit float.
    pub(crate) single: bool,
}

impl Bounds {
    pub(crate) fn is_free(&self) -> bool {
        self.min.is_none()
            && self.max.is_none()
            && self.above.is_none()
            && self.below.is_none()
            && self.steps.is_empty()
    }

    /// Tells which rule a number breaks.
    pub(crate) fn broken(&self, value: Exact) -> Option<&'static str> {
        let low = self.min.is_none_or(|min| value >= min) && self.above.is_none_or(|above| value > above);
        let high = self.max.is_none_or(|max| value <= max) && self.below.is_none_or(|below| value < below);
        if !low {
            Some("below the minimum")
        } else if !high {
            Some("above the maximum")
        } else if !self.steps.iter().all(|step| value.is_multiple_of(*step)) {
            Some("not a multiple of the step")
        } else {
            None
        }
    }

    /// The schema says that the number is a share: it lies between 0 and 1.
    pub(crate) fn is_share(&self) -> bool {
        let low = self.min.or(self.above);
        let high = self.max.or(self.below);
        low.is_some_and(|low| low >= Exact::Whole(0)) && high.is_some_and(|high| high <= Exact::Whole(1))
    }
}

/// What a string must look like.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextRule {
    pub(crate) min_len: Option<u64>,
    pub(crate) max_len: Option<u64>,
    /// The text matches each.
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) format: Format,
}

impl TextRule {
    pub(crate) fn is_free(&self) -> bool {
        self.min_len.is_none()
            && self.max_len.is_none()
            && self.patterns.is_empty()
            && matches!(self.format, Format::None)
    }
}

/// The string formats that this crate reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    None,
    Date,
    DateTime,
    /// A date and a time without an offset (`partial-date-time`, as schemars says for naive times).
    LocalDateTime,
    Time,
}

/// The strings that one place allows.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    pub(crate) items: Vec<Label>,
    /// Values beside the labels that are not strings.
    pub(crate) others: Vec<Value>,
    pub(crate) exact: HashMap<Box<str>, u32>,
    /// By folded text; `None` where two labels fold to the same text.
    pub(crate) folded: HashMap<Box<str>, Option<u32>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) text: Box<str>,
    pub(crate) aliases: Vec<Box<str>>,
    pub(crate) description: Option<Box<str>>,
}

#[derive(Clone, Debug)]
pub(crate) struct List {
    /// The shapes of the first items, for tuples.
    pub(crate) prefix: Vec<ShapeId>,
    /// The shape of all further items; `None` if there must be none.
    pub(crate) item: Option<ShapeId>,
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
    pub(crate) unique: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) fields: Vec<Field>,
    /// Exact names, then aliases.
    pub(crate) exact: HashMap<Box<str>, u32>,
    pub(crate) folded: HashMap<Box<str>, Option<u32>>,
    pub(crate) patterns: Vec<(Pattern, ShapeId)>,
    pub(crate) extra: Extra,
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
}

impl Record {
    /// Tells whether a key names a field, in whatever form it is written.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.exact.contains_key(key) || self.folded.get(&fold(key)).copied().flatten().is_some()
    }
}

/// What happens to a key that names no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    /// `additionalProperties` is absent in an object with fields, or `false`: the key is dropped and reported.
    Drop,
    /// The key belongs to the value.
    Keep(ShapeId),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) folded: Box<str>,
    pub(crate) aliases: Vec<Box<str>>,
    pub(crate) shape: ShapeId,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct Union {
    pub(crate) variants: Vec<ShapeId>,
    pub(crate) tag: Option<Tag>,
}

/// A property that every variant fixes to a string of its own.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) name: Box<str>,
    /// A label shape over all tags, and the variant of each label.
    pub(crate) labels: ShapeId,
    pub(crate) variants: Vec<ShapeId>,
}

/// All shapes of a schema.
#[derive(Clone, Debug)]
pub(crate) struct Shapes {
    pub(crate) all: Vec<Shape>,
    pub(crate) root: ShapeId,
}

pub(crate) static ANY: Shape = Shape { kind: Kind::Any, nullable: true, description: None, name: None };

impl Shapes {
    fn push(&mut self, kind: Kind) -> ShapeId {
        let id = ShapeId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(Shape { kind, nullable: false, description: None, name: None });
        id
    }

    /// Adds a list of a shape.
    pub(crate) fn list_of(&mut self, item: ShapeId) -> ShapeId {
        let list = List { prefix: Vec::new(), item: Some(item), min: 0, max: None, unique: false };
        self.push(Kind::List(Box::new(list)))
    }

    /// Adds an object of one field.
    pub(crate) fn object_with(&mut self, name: &str, shape: ShapeId) -> ShapeId {
        let folded: Box<str> = fold(name).as_ref().into();
        let field = Field {
            name: name.into(),
            folded: folded.clone(),
            aliases: Vec::new(),
            shape,
            required: true,
            default: None,
        };
        let record = Record {
            fields: vec![field],
            exact: HashMap::from([(name.into(), 0)]),
            folded: HashMap::from([(folded, Some(0))]),
            patterns: Vec::new(),
            extra: Extra::Drop,
            min: 0,
            max: None,
        };
        self.push(Kind::Record(Box::new(record)))
    }

    /// The shape behind `id`, and whether it or an alias on the way to it allows `null`.
    pub(crate) fn resolve(&self, id: ShapeId) -> (ShapeId, &Shape, bool) {
        let mut id = id;
        let mut nullable = false;
        // An alias never forms a ring: the compiler refuses it. The bound keeps that from being a matter of trust.
        for _ in 0..=self.all.len() {
            let Some(shape) = self.all.get(id.0 as usize) else { break };
            nullable |= shape.nullable;
            match shape.kind {
                Kind::Same(next) => id = next,
                _ => return (id, shape, nullable),
            }
        }
        (id, &ANY, true)
    }

    /// The shape of a part of `id`.
    pub(crate) fn step(&self, id: ShapeId, step: &Step) -> Option<ShapeId> {
        let (id, shape, _) = self.resolve(id);
        match (&shape.kind, step) {
            (Kind::Any, _) => Some(id),
            (Kind::List(list), Step::Index(index)) => list.prefix.get(*index).copied().or(list.item),
            (Kind::Record(record), Step::Key(key)) => {
                let folded = || record.folded.get(&fold(key)).copied().flatten();
                let field = record.exact.get(key.as_str()).copied().or_else(folded);
                match (field.and_then(|field| record.fields.get(field as usize)), record.extra) {
                    (Some(field), _) => Some(field.shape),
                    (None, Extra::Keep(rest)) => Some(rest),
                    (None, Extra::Drop) => None,
                }
            }
            (Kind::Union(union), _) => {
                let mut parts = union.variants.iter().filter_map(|variant| self.variant_step(*variant, step));
                let first = parts.next()?;
                parts.all(|part| part == first).then_some(first)
            }
            _ => None,
        }
    }

    /// As [`step`](Self::step), but not into a union within a union.
    fn variant_step(&self, id: ShapeId, step: &Step) -> Option<ShapeId> {
        if matches!(self.get(id).kind, Kind::Union(_)) { None } else { self.step(id, step) }
    }

    pub(crate) fn get(&self, id: ShapeId) -> &Shape {
        self.resolve(id).1
    }

    pub(crate) fn is_nullable(&self, id: ShapeId) -> bool {
        let (_, shape, nullable) = self.resolve(id);
        nullable || matches!(shape.kind, Kind::Any | Kind::Null)
    }

    /// Whether strings (plain ones, without labels) fit this shape.
    pub(crate) fn takes_text(&self, id: ShapeId) -> bool {
        match &self.get(id).kind {
            Kind::Any | Kind::Text(_) => true,
            Kind::Union(union) => {
                union.variants.iter().any(|v| matches!(self.get(*v).kind, Kind::Text(_) | Kind::Any))
            }
            _ => false,
        }
    }
}
