//! From a JSON Schema document to [`Shapes`].

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::fold::fold;
use super::parts::{Choice, Key, Parts, Root, count};
use super::pattern::Pattern;
use super::shape::{
    Extra, Field, Format, Kind, Labels, List, Record, Shape, ShapeId, Shapes, Tag, TextRule, Union,
};
use super::{bounds, labels};
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

struct Compiler<'a> {
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

    fn plain(&mut self, kind: Kind) -> Result<ShapeId> {
        self.push(Shape { kind, nullable: false, description: None, name: None })
    }

    fn note_unchecked(&mut self, keyword: &str) {
        if self.unchecked.insert(keyword.to_owned()) {
            self.findings.unchecked.push(keyword.to_owned());
        }
    }

    /// Compiles one schema. What only stands for another one becomes an alias of it, with words of its own.
    fn schema(&mut self, schema: &'a Value) -> Compiled<ShapeId> {
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
    fn together(&mut self, schemas: &[&'a Value]) -> Compiled<ShapeId> {
        let mut parts = Parts::default();
        for schema in schemas {
            parts.gather(&self.root, schema)?;
        }
        self.joined(&parts)
    }

    /// As [`together`](Self::together), for a part that may be absent: what nothing fits is a part that must be.
    fn part(&mut self, schemas: &[&'a Value]) -> Compiled<ShapeId> {
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
        let is_null = |variant: &Value| {
            variant.get("type").and_then(Value::as_str) == Some("null")
                || variant.get("const") == Some(&Value::Null)
        };
        let (nulls, rest): (Vec<&'a Value>, Vec<&'a Value>) =
            choice.variants.iter().partition(|variant| is_null(variant));
        *nullable |= !nulls.is_empty();
        if rest.is_empty() {
            *nullable = true;
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

    fn typed(&mut self, parts: &Parts<'a>, nullable: &mut bool) -> Compiled<Kind> {
        let types = types(parts)?;
        let had_types = types.is_some();
        let types = types.unwrap_or_else(|| guess_type(parts).into_iter().collect());
        *nullable |= types.contains(&"null");
        let mut kinds = Vec::new();
        for name in types.into_iter().filter(|name| *name != "null") {
            kinds.push(match name {
                "string" => Kind::Text(self.text_rule(parts)?),
                "boolean" => Kind::Bool,
                "integer" => Kind::Integer(bounds::integer(parts)),
                "number" => Kind::Number(bounds::joined(parts)),
                "array" => Kind::List(Box::new(self.list(parts)?)),
                "object" => Kind::Record(Box::new(self.record(parts)?)),
                other => {
                    return Err(bad(format!("type {:?} is not one of JSON Schema's", clip(other))).into());
                }
            });
        }
        Ok(match kinds.len() {
            0 if had_types => Kind::Null,
            0 => Kind::Any,
            1 => kinds.pop().unwrap_or(Kind::Any),
            _ => {
                let variants = kinds.into_iter().map(|kind| self.plain(kind)).collect::<Result<_>>()?;
                Kind::Union(Box::new(Union { variants, tag: None }))
            }
        })
    }

    fn text_rule(&mut self, parts: &Parts<'a>) -> Compiled<TextRule> {
        let mut patterns = Vec::new();
        for source in parts.values("pattern") {
            let Value::String(source) = source else { return Err(bad("pattern must be a string").into()) };
            match Pattern::new(source) {
                Some(pattern) => patterns.push(pattern),
                None => self.note_unchecked("pattern"),
            }
        }
        let mut format = Format::None;
        for name in parts.values("format").filter_map(Value::as_str) {
            let own = match name {
                "date" => Format::Date,
                "date-time" => Format::DateTime,
                "partial-date-time" | "local-date-time" => Format::LocalDateTime,
                "time" | "partial-time" => Format::Time,
                other => {
                    self.note_unchecked(&format!("format: {other}"));
                    continue;
                }
            };
            if format != Format::None && format != own {
                return Err(Trouble::Clash("allOf of the schema asks for two formats at once"));
            }
            format = own;
        }
        Ok(TextRule {
            min_len: count(parts, "minLength", u64::max)?,
            max_len: count(parts, "maxLength", u64::min)?,
            patterns,
            format,
        })
    }

    fn list(&mut self, parts: &Parts<'a>) -> Compiled<List> {
        let all = parts.rules.iter().map(|rule| items(rule)).collect::<Result<Vec<_>>>()?;
        let places = all.iter().map(|(prefix, _)| prefix.len()).max().unwrap_or(0);
        let mut prefix = Vec::with_capacity(places);
        for place in 0..places {
            let here: Vec<&'a Value> =
                all.iter().filter_map(|(prefix, item)| prefix.get(place).or(*item)).collect();
            prefix.push(self.part(&here)?);
        }
        let rest: Vec<&'a Value> = all.iter().filter_map(|(_, item)| *item).collect();
        let item = match rest.as_slice() {
            [] => Some(self.plain(Kind::Any)?),
            many if many.contains(&&Value::Bool(false)) => None,
            many => Some(self.part(many)?),
        };
        Ok(List {
            min: count(parts, "minItems", u64::max)?.unwrap_or(0),
            max: count(parts, "maxItems", u64::min)?,
            unique: parts.values("uniqueItems").any(|unique| *unique == Value::Bool(true)),
            prefix,
            item,
        })
    }

    fn record(&mut self, parts: &Parts<'a>) -> Compiled<Record> {
        let mut required = Vec::new();
        for names in parts.values("required") {
            // Draft 3 wrote `required: true` at the property.
            let Value::Array(names) = names else {
                return Err(bad("required must be a list of names").into());
            };
            required.extend(names.iter().filter_map(Value::as_str));
        }
        let needed: HashSet<&str> = required.iter().copied().collect();
        let mut fields = Vec::new();
        let mut named = HashSet::new();
        let mut patterns: Vec<(&'a str, Vec<&'a Value>)> = Vec::new();
        for rule in &parts.rules {
            let properties = match rule.get("properties") {
                None => None,
                Some(Value::Object(properties)) => Some(properties),
                Some(_) => return Err(bad("properties must be an object").into()),
            };
            for (name, schema) in properties.into_iter().flatten() {
                if named.insert(name.as_str()) {
                    let all: Vec<&'a Value> =
                        parts.rules.iter().filter_map(|rule| property(rule, name)).collect();
                    fields.push(self.field(name, schema, &all, needed.contains(name.as_str()))?);
                }
            }
            if let Some(Value::Object(own)) = rule.get("patternProperties") {
                for (source, schema) in own {
                    match patterns.iter_mut().find(|(known, _)| known == source) {
                        Some((_, all)) => all.push(schema),
                        None => patterns.push((source, vec![schema])),
                    }
                }
            }
        }
        for name in required {
            if named.insert(name) {
                let shape = self.plain(Kind::Any)?;
                fields.push(Field {
                    name: name.into(),
                    folded: fold(name),
                    aliases: Vec::new(),
                    shape,
                    required: true,
                    default: None,
                });
            }
        }
        let mut by_pattern = Vec::new();
        for (source, schemas) in patterns {
            let shape = self.part(&schemas)?;
            match Pattern::new(source) {
                Some(pattern) => by_pattern.push((pattern, shape)),
                None => self.note_unchecked("patternProperties"),
            }
        }
        let extra = self.extra(parts, fields.is_empty() && by_pattern.is_empty())?;
        let min = count(parts, "minProperties", u64::max)?.unwrap_or(0);
        let max = count(parts, "maxProperties", u64::min)?;
        Ok(Record::new(fields, by_pattern, extra, min, max))
    }

    fn field(&mut self, name: &str, schema: &'a Value, all: &[&'a Value], required: bool) -> Compiled<Field> {
        let shape = match all {
            // A record must have it, and so contradicts itself with it.
            [one] if required => self.schema(one)?,
            many if required => self.together(many)?,
            many => self.part(many)?,
        };
        let mut aliases = labels::key_aliases(schema);
        for other in all.iter().filter(|other| !std::ptr::eq(**other, schema)) {
            aliases.extend(labels::key_aliases(other));
        }
        Ok(Field {
            name: name.into(),
            folded: fold(name),
            aliases,
            shape,
            required,
            default: all.iter().find_map(|schema| schema.get("default")).cloned(),
        })
    }

    /// What becomes of keys that name no field.
    fn extra(&mut self, parts: &Parts<'a>, free: bool) -> Compiled<Extra> {
        let mut all = Vec::new();
        let mut open = false;
        for schema in parts.rules.iter().filter_map(|rule| rest(rule)) {
            match schema {
                Value::Bool(false) => return Ok(Extra::Drop),
                Value::Bool(true) => open = true,
                schema => all.push(schema),
            }
        }
        Ok(match all.as_slice() {
            [] if open || free => Extra::Keep(self.plain(Kind::Any)?),
            [] => Extra::Drop,
            many => Extra::Keep(self.part(many)?),
        })
    }
}

/// The types that all rules allow; `None` if none of them names any.
fn types<'a>(parts: &Parts<'a>) -> Compiled<Option<Vec<&'a str>>> {
    let mut joined: Option<Vec<&'a str>> = None;
    for own in parts.values("type") {
        let own: Vec<&'a str> = match own {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => return Err(bad("type must be a string or a list of strings").into()),
        };
        let Some(known) = joined.take() else {
            joined = Some(own);
            continue;
        };
        let mut common: Vec<&'a str> = known.iter().copied().filter(|name| own.contains(name)).collect();
        for (one, other) in [(&known, &own), (&own, &known)] {
            if one.contains(&"number") && other.contains(&"integer") && !common.contains(&"integer") {
                common.push("integer");
            }
        }
        if common.is_empty() {
            return Err(Trouble::Clash("allOf of the schema asks for two types at once"));
        }
        joined = Some(common);
    }
    Ok(joined)
}

/// What one rule says of the items of a list: of the first ones, and of all others.
fn items(rule: &Map<String, Value>) -> Result<(&[Value], Option<&Value>)> {
    // Before 2020-12 a tuple was `items: [...]` with `additionalItems`.
    match (rule.get("prefixItems"), rule.get("items")) {
        (Some(Value::Array(prefix)), item) => Ok((prefix, item)),
        (None, Some(Value::Array(prefix))) => Ok((prefix, rule.get("additionalItems"))),
        (None, item) => Ok((&[], item)),
        (Some(_), _) => Err(bad("prefixItems must be a list")),
    }
}

/// What one rule says of a property: what it says of it by name, or of all keys that it does not name.
fn property<'a>(rule: &&'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let own = rule.get("properties").and_then(|properties| properties.get(name));
    // A schema for all other keys holds of this one, too. `false` would take the property away; it is written where "no
    // keys but all of ours" is meant.
    own.or_else(|| rest(rule).filter(|schema| schema.is_object() && !rule.contains_key("patternProperties")))
}

fn rest(rule: &Map<String, Value>) -> Option<&Value> {
    rule.get("additionalProperties").or_else(|| rule.get("unevaluatedProperties"))
}

impl Record {
    fn new(
        fields: Vec<Field>,
        patterns: Vec<(Pattern, ShapeId)>,
        extra: Extra,
        min: u64,
        max: Option<u64>,
    ) -> Self {
        let mut exact = HashMap::new();
        let mut folded: HashMap<Box<str>, Option<u32>> = HashMap::new();
        for (number, field) in (0_u32..).zip(&fields) {
            exact.insert(field.name.clone(), number);
            for name in std::iter::once(&field.name).chain(&field.aliases) {
                folded
                    .entry(fold(name))
                    .and_modify(|old| {
                        if *old != Some(number) {
                            *old = None;
                        }
                    })
                    .or_insert(Some(number));
            }
        }
        for (number, field) in (0_u32..).zip(&fields) {
            for alias in &field.aliases {
                exact.entry(alias.clone()).or_insert(number);
            }
        }
        Self { fields, exact, folded, patterns, extra, min, max }
    }
}

fn guess_type(parts: &Parts<'_>) -> Option<&'static str> {
    let has = |names: &[&str]| names.iter().any(|name| parts.values(name).next().is_some());
    if has(&["properties", "additionalProperties", "patternProperties", "required"]) {
        Some("object")
    } else if has(&["items", "prefixItems", "minItems", "maxItems"]) {
        Some("array")
    } else if has(&["pattern", "minLength", "maxLength"]) {
        Some("string")
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        Some("number")
    } else {
        None
    }
}

pub(super) fn text(map: &Map<String, Value>, name: &str) -> Option<Box<str>> {
    map.get(name).and_then(Value::as_str).map(Into::into)
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}
