//! From a JSON Schema document to [`Shapes`].

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::labels;
use super::parts::{Choice, Key, Parts, Root, is_null};
use super::shape::{Kind, Labels, Shape, ShapeId, Shapes, Tag, Union};
use crate::error::{Error, ErrorKind, Result};

/// More shapes than any sensible schema has; a bound for hostile ones.
const MAX_SHAPES: usize = 100_000;
const MAX_DEPTH: usize = 128;
/// Bounds what joining `allOf` and `$ref` may cost, in parts looked at.
const MAX_WORK: usize = 4_000_000;
/// Bounds the alternatives that are joined with what stands beside them, which multiply where several `anyOf` hold
/// together.
const MAX_PAIRS: usize = 10_000;

/// What the compiler says about a schema beside its shapes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Keywords that are not checked, each once.
    pub(crate) unchecked: Vec<String>,
}

/// What keeps a part of a schema from being compiled.
#[derive(Debug)]
pub(super) enum Trouble {
    Bad(Error),
    /// What must hold together contradicts itself, so that nothing fits. As an alternative, or where a part may be
    /// absent, that is no error.
    Clash(&'static str),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

pub(super) type Compiled<T> = std::result::Result<T, Trouble>;

pub(crate) fn compile(root: &Value) -> Result<(Shapes, Findings)> {
    let mut compiler = Compiler {
        root: Root::new(root),
        shapes: Vec::new(),
        done: HashMap::new(),
        findings: Findings::default(),
        unchecked: HashSet::new(),
        depth: 0,
        work: 0,
        pairs: 0,
    };
    let id = compiler.schema(root).map_err(|trouble| match trouble {
        Trouble::Bad(error) => error,
        Trouble::Clash(why) => bad(why),
    })?;
    let shapes = Shapes { all: compiler.shapes, root: id };
    refuse_rings(&shapes)?;
    Ok((shapes, compiler.findings))
}

pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Schema, message.into())
}

/// An alias that leads back to itself stands for no value at all.
fn refuse_rings(shapes: &Shapes) -> Result<()> {
    for start in 0..shapes.all.len() {
        let mut at = start;
        for steps in 0.. {
            let Some(Shape { kind: Kind::Same(next), .. }) = shapes.all.get(at) else { break };
            if steps > shapes.all.len() {
                return Err(bad("a $ref of the schema leads back to itself"));
            }
            at = next.0 as usize;
        }
    }
    Ok(())
}

pub(super) struct Compiler<'a> {
    root: Root<'a>,
    shapes: Vec<Shape>,
    /// What was compiled, by the places of the document that it is made of.
    done: HashMap<Key, Compiled<ShapeId>>,
    findings: Findings,
    unchecked: HashSet<String>,
    depth: usize,
    work: usize,
    pairs: usize,
}

/// Keywords that say something of a value and are not checked.
const UNCHECKED: [&str; 12] = [
    "not",
    "if",
    "dependentSchemas",
    "dependentRequired",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "$dynamicRef",
];

impl<'a> Compiler<'a> {
    fn push(&mut self, shape: Shape) -> Result<ShapeId> {
        if self.shapes.len() >= MAX_SHAPES {
            return Err(bad("the schema is too large"));
        }
        let id = u32::try_from(self.shapes.len()).map_err(|_| bad("the schema is too large"))?;
        self.shapes.push(shape);
        Ok(ShapeId(id))
    }

    pub(super) fn plain(&mut self, kind: Kind) -> Result<ShapeId> {
        self.push(Shape { kind, nullable: false, description: None, name: None })
    }

    pub(super) fn note_unchecked(&mut self, keyword: &str) {
        if self.unchecked.insert(keyword.to_owned()) {
            self.findings.unchecked.push(keyword.to_owned());
        }
    }

    /// Compiles one schema. What only stands for another one becomes an alias of it, with words of its own.
    pub(super) fn schema(&mut self, schema: &'a Value) -> Compiled<ShapeId> {
        let mut target = schema;
        let mut pointer = None;
        let mut description = None;
        let mut nullable = false;
        let mut passed = HashSet::new();
        while let Some((next, reference)) = self.root.alias(target)? {
            if !passed.insert(std::ptr::from_ref(target).addr()) {
                return Err(bad("a $ref of the schema leads back to itself").into());
            }
            description = description.or_else(|| target.get("description").and_then(Value::as_str));
            nullable |= target.get("nullable") == Some(&Value::Bool(true));
            pointer = reference.or(pointer);
            target = next;
        }
        self.work += passed.len();
        let id = self.together(&[target])?;
        if let Some(pointer) = pointer
            && let Some(shape) = self.shapes.get_mut(id.0 as usize)
            && shape.name.is_none()
        {
            shape.name = pointer.rsplit('/').next().filter(|name| *name != "#").map(Into::into);
        }
        if description.is_none() && !nullable {
            return Ok(id);
        }
        let description = description.map(Into::into);
        Ok(self.push(Shape { kind: Kind::Same(id), nullable, description, name: None })?)
    }

    /// Compiles what must hold together.
    pub(super) fn together(&mut self, schemas: &[&'a Value]) -> Compiled<ShapeId> {
        let mut parts = Parts::default();
        for schema in schemas {
            parts.gather(&self.root, schema)?;
        }
        self.joined(&parts)
    }

    /// As [`together`](Self::together), for a part that may be absent: what nothing fits is a part that must be.
    pub(super) fn part(&mut self, schemas: &[&'a Value]) -> Compiled<ShapeId> {
        let compiled = match schemas {
            [one] => self.schema(one),
            many => self.together(many),
        };
        match compiled {
            Err(Trouble::Clash(_)) => Ok(self.plain(Kind::Never)?),
            compiled => compiled,
        }
    }

    /// Compiles gathered parts once; where they contain themselves, they get the number that was set aside for them.
    fn joined(&mut self, parts: &Parts<'a>) -> Compiled<ShapeId> {
        self.work += parts.size() + 1;
        if self.work > MAX_WORK {
            return Err(bad("the schema is too wide: its allOf and $ref join too many parts").into());
        }
        let key = parts.key();
        match self.done.get(&key) {
            Some(Ok(id)) => {
                let id = *id;
                return Ok(self.described(id, parts)?);
            }
            Some(Err(Trouble::Clash(why))) => return Err(Trouble::Clash(why)),
            Some(Err(Trouble::Bad(_))) | None => {}
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(bad("the schema is nested too deeply").into());
        }
        let id = self.plain(Kind::Any)?;
        self.done.insert(key.clone(), Ok(id));
        let built = self.build(parts);
        self.depth -= 1;
        let (shape, outcome) = match built {
            Ok(shape) => (shape, Ok(id)),
            Err(Trouble::Clash(why)) => {
                self.done.insert(key, Err(Trouble::Clash(why)));
                let never = Shape { kind: Kind::Never, nullable: false, description: None, name: None };
                (never, Err(Trouble::Clash(why)))
            }
            Err(error) => return Err(error),
        };
        if let Some(slot) = self.shapes.get_mut(id.0 as usize) {
            let name = slot.name.take();
            *slot = shape;
            slot.name = slot.name.take().or(name);
        }
        outcome
    }

    /// The shape, or an alias of it if it is described in other words here.
    fn described(&mut self, id: ShapeId, parts: &Parts<'a>) -> Result<ShapeId> {
        let known = self.shapes.get(id.0 as usize).and_then(|shape| shape.description.as_deref());
        match parts.description {
            Some(own) if known != Some(own) => {
                let description = Some(own.into());
                self.push(Shape { kind: Kind::Same(id), nullable: false, description, name: None })
            }
            _ => Ok(id),
        }
    }

    fn build(&mut self, parts: &Parts<'a>) -> Compiled<Shape> {
        for keyword in UNCHECKED {
            if parts.values(keyword).next().is_some() {
                self.note_unchecked(keyword);
            }
        }
        let mut nullable = parts.nullable == Some(true);
        let kind = if parts.never {
            Kind::Never
        } else if let Some(choice) = parts.choices.first() {
            self.variants(parts, *choice, &mut nullable)?
        } else if let Some(kind) = labels::values(parts, &mut nullable)? {
            kind
        } else {
            self.typed(parts, &mut nullable)?
        };
        Ok(Shape {
            kind,
            nullable,
            description: parts.description.map(Into::into),
            name: parts.title.map(Into::into),
        })
    }

    fn variants(&mut self, parts: &Parts<'a>, choice: Choice<'a>, nullable: &mut bool) -> Compiled<Kind> {
        if choice.variants.is_empty() {
            return Err(bad(format!("{} must not be empty", choice.keyword)).into());
        }
        let (nulls, rest): (Vec<&'a Value>, Vec<&'a Value>) =
            choice.variants.iter().partition(|variant| is_null(variant));
        *nullable |= !nulls.is_empty() && parts.allows_null(choice);
        if rest.is_empty() {
            if !*nullable {
                return Err(Trouble::Clash("allOf of the schema asks for two types at once"));
            }
            return Ok(Kind::Null);
        }
        let alone = parts.rules.is_empty() && parts.choices.len() == 1;
        if alone
            && rest.len() > 1
            && let Some(kind) = labels::labels_of_variants(&rest)
        {
            return Ok(kind);
        }
        let several = parts.choices.len() > 1;
        if !alone {
            self.pairs += rest.len();
            if self.pairs > MAX_PAIRS {
                return Err(bad("the schema is too wide: allOf joins too many alternatives").into());
            }
        }
        let mut ids = Vec::with_capacity(rest.len());
        let mut known = HashSet::new();
        let mut clash = None;
        for variant in rest {
            let compiled = if alone {
                self.schema(variant)
            } else {
                let mut own = Parts::default();
                own.gather(&self.root, variant)?;
                own.beside(parts, choice);
                self.joined(&own)
            };
            let id = match compiled {
                Ok(id) => id,
                // Alternatives that contradict themselves allow nothing and drop out.
                Err(Trouble::Clash(why)) => {
                    clash = Some(why);
                    continue;
                }
                Err(error) => return Err(error),
            };
            // Equal alternatives are one.
            for id in self.flat(id, several) {
                if known.insert(self.plainly(id)) {
                    ids.push(id);
                }
            }
        }
        match (ids.as_slice(), clash) {
            ([], Some(why)) => Err(Trouble::Clash(why)),
            ([only], _) => Ok(Kind::Same(*only)),
            _ => {
                let tag = self.tag(&ids)?;
                Ok(Kind::Union(Box::new(Union { variants: ids, tag })))
            }
        }
    }

    /// The alternatives of a union that came from joining several; else the shape itself.
    fn flat(&self, id: ShapeId, joined: bool) -> Vec<ShapeId> {
        match self.shapes.get(id.0 as usize) {
            Some(Shape { kind: Kind::Union(union), nullable: false, .. }) if joined => union.variants.clone(),
            _ => vec![id],
        }
    }

    /// What a shape stands for behind its aliases, and whether null fits as well.
    fn plainly(&self, id: ShapeId) -> (ShapeId, bool) {
        let (mut id, mut nullable) = (id, false);
        for _ in 0..=self.shapes.len() {
            let Some(shape) = self.shapes.get(id.0 as usize) else { break };
            nullable |= shape.nullable;
            let Kind::Same(next) = shape.kind else { break };
            id = next;
        }
        (id, nullable)
    }

    fn tag(&mut self, variants: &[ShapeId]) -> Result<Option<Tag>> {
        let shapes = Shapes { all: std::mem::take(&mut self.shapes), root: ShapeId(0) };
        let found = labels::find_tag(&shapes, variants);
        self.shapes = shapes.all;
        let Some((name, labels, owners)) = found else { return Ok(None) };
        let labels = self.plain(Kind::Label(Box::new(Labels::new(labels, Vec::new()))))?;
        Ok(Some(Tag { name, labels, variants: owners }))
    }
}

pub(super) fn text(map: &Map<String, Value>, name: &str) -> Option<Box<str>> {
    map.get(name).and_then(Value::as_str).map(Into::into)
}
