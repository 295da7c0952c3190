//! From a JSON Schema document to [`Shapes`].

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fold::fold;
use super::merge::{self, ANNOTATIONS};
use super::pattern::Pattern;
use super::shape::{
    Bounds, Extra, Field, Format, Integer, Kind, Label, Labels, List, Record, Shape, ShapeId, Shapes, Tag,
    TextRule, Union, number_as_f64,
};
use crate::error::{Error, ErrorKind, Result};

/// More shapes than any sensible schema has; a bound for hostile ones.
const MAX_SHAPES: usize = 100_000;
const MAX_DEPTH: usize = 128;

/// What the compiler says about a schema beside its shapes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Keywords that are not checked, each once.
    pub(crate) unchecked: Vec<String>,
}

pub(crate) fn compile(root: &Value) -> Result<(Shapes, Findings)> {
    let mut compiler =
        Compiler { root, shapes: Vec::new(), refs: HashMap::new(), findings: Findings::default(), depth: 0 };
    let id = compiler.reference("#")?;
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
    root: &'a Value,
    shapes: Vec<Shape>,
    refs: HashMap<String, ShapeId>,
    findings: Findings,
    depth: usize,
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

impl Compiler<'_> {
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
        if !self.findings.unchecked.iter().any(|known| known == keyword) {
            self.findings.unchecked.push(keyword.to_owned());
        }
    }

    /// Compiles the target of a reference once; a recursive reference gets the number that was set aside for it.
    fn reference(&mut self, pointer: &str) -> Result<ShapeId> {
        if let Some(id) = self.refs.get(pointer) {
            return Ok(*id);
        }
        let id = self.plain(Kind::Any)?;
        self.refs.insert(pointer.to_owned(), id);
        let target = merge::lookup(self.root, pointer)?;
        let compiled = self.schema(target)?;
        let name = pointer.rsplit('/').next().filter(|name| *name != "#").map(Into::into);
        if let Some(slot) = self.shapes.get_mut(id.0 as usize) {
            *slot = Shape { kind: Kind::Same(compiled), nullable: false, description: None, name: None };
        }
        if let Some(shape) = self.shapes.get_mut(compiled.0 as usize)
            && shape.name.is_none()
        {
            shape.name = name;
        }
        Ok(id)
    }

    fn schema(&mut self, schema: &Value) -> Result<ShapeId> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(bad("the schema is nested too deeply"));
        }
        let id = match schema {
            Value::Bool(true) => self.plain(Kind::Any),
            Value::Bool(false) => self.plain(Kind::Never),
            Value::Object(map) => self.object_schema(map),
            _ => Err(bad("a schema must be an object, true or false")),
        };
        self.depth -= 1;
        id
    }

    fn object_schema(&mut self, map: &Map<String, Value>) -> Result<ShapeId> {
        if let Some(Value::String(pointer)) = map.get("$ref") {
            if map.keys().all(|key| key == "$ref" || ANNOTATIONS.contains(&key.as_str())) {
                let target = self.reference(pointer)?;
                let description = text(map, "description");
                return self.push(Shape {
                    kind: Kind::Same(target),
                    nullable: map.get("nullable") == Some(&Value::Bool(true)),
                    description,
                    name: None,
                });
            }
            let merged = merge::with_reference(self.root, map, pointer)?;
            return self.object_schema(&merged);
        }
        if let Some(all) = map.get("allOf") {
            let merged = merge::all_of(self.root, map, all)?;
            return self.object_schema(&merged);
        }
        for keyword in UNCHECKED {
            if map.contains_key(keyword) {
                self.note_unchecked(keyword);
            }
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(variants) = map.get(keyword) {
                let Value::Array(variants) = variants else {
                    return Err(bad(format!("{keyword} must be a list")));
                };
                return self.variants(map, keyword, variants);
            }
        }
        self.typed(map)
    }

    fn variants(&mut self, map: &Map<String, Value>, keyword: &str, variants: &[Value]) -> Result<ShapeId> {
        if variants.is_empty() {
            return Err(bad(format!("{keyword} must not be empty")));
        }
        let description = text(map, "description");
        let name = text(map, "title");
        let mut base = map.clone();
        base.remove(keyword);
        base.retain(|key, _| !ANNOTATIONS.contains(&key.as_str()) && key != "$defs" && key != "definitions");
        let mut nullable = map.get("nullable") == Some(&Value::Bool(true));
        let mut rest = Vec::new();
        for variant in variants {
            if variant.get("type").and_then(Value::as_str) == Some("null")
                || variant.get("const") == Some(&Value::Null)
            {
                nullable = true;
            } else {
                rest.push(variant);
            }
        }
        if rest.is_empty() {
            return self.push(Shape { kind: Kind::Null, nullable: true, description, name });
        }
        if base.is_empty()
            && rest.len() > 1
            && let Some(kind) = labels_of_variants(&rest)
        {
            return self.push(Shape { kind, nullable, description, name });
        }
        let mut ids = Vec::with_capacity(rest.len());
        for variant in rest {
            let id = if base.is_empty() {
                self.schema(variant)?
            } else {
                let merged = merge::pair(self.root, &base, variant)?;
                self.schema(&merged)?
            };
            ids.push(id);
        }
        if let [only] = ids.as_slice() {
            return self.push(Shape { kind: Kind::Same(*only), nullable, description, name });
        }
        let tag = self.tag(&ids)?;
        self.push(Shape {
            kind: Kind::Union(Box::new(Union { variants: ids, tag })),
            nullable,
            description,
            name,
        })
    }

    /// Finds a required property that is one label, and another one, in every variant.
    fn tag(&mut self, variants: &[ShapeId]) -> Result<Option<Tag>> {
        let shapes = Shapes { all: std::mem::take(&mut self.shapes), root: ShapeId(0) };
        let found = find_tag(&shapes, variants);
        self.shapes = shapes.all;
        let Some((name, labels, owners)) = found else { return Ok(None) };
        let labels = self.plain(Kind::Label(Box::new(Labels::new(labels, Vec::new()))))?;
        Ok(Some(Tag { name, labels, variants: owners }))
    }

    fn typed(&mut self, map: &Map<String, Value>) -> Result<ShapeId> {
        let description = text(map, "description");
        let name = text(map, "title");
        let mut nullable = map.get("nullable") == Some(&Value::Bool(true));
        if let Some(value) = map.get("const") {
            let kind = values(std::slice::from_ref(value), map, &mut nullable);
            return self.push(Shape { kind, nullable, description, name });
        }
        if let Some(list) = map.get("enum") {
            let Value::Array(list) = list else { return Err(bad("enum must be a list")) };
            let kind = values(list, map, &mut nullable);
            return self.push(Shape { kind, nullable, description, name });
        }
        let types: Vec<&str> = match map.get("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(bad("type must be a string or a list of strings")),
            None => guess_type(map).into_iter().collect(),
        };
        let had_types = !types.is_empty();
        nullable |= types.contains(&"null");
        let rest: Vec<&str> = types.into_iter().filter(|name| *name != "null").collect();
        let mut ids = Vec::new();
        for name in &rest {
            let kind = match *name {
                "string" => Kind::Text(self.text_rule(map)?),
                "boolean" => Kind::Bool,
                "integer" => Kind::Integer(integer(map)),
                "number" => Kind::Number(bounds(map)),
                "array" => Kind::List(Box::new(self.list(map)?)),
                "object" => Kind::Record(Box::new(self.record(map)?)),
                other => return Err(bad(format!("type {:?} is not one of JSON Schema's", clip(other)))),
            };
            ids.push(kind);
        }
        let kind = match ids.len() {
            0 if had_types => Kind::Null,
            0 => Kind::Any,
            1 => ids.pop().unwrap_or(Kind::Any),
            _ => {
                let mut variants = Vec::new();
                for kind in ids {
                    variants.push(self.plain(kind)?);
                }
                Kind::Union(Box::new(Union { variants, tag: None }))
            }
        };
        self.push(Shape { kind, nullable, description, name })
    }

    fn text_rule(&mut self, map: &Map<String, Value>) -> Result<TextRule> {
        let pattern = match map.get("pattern") {
            None => None,
            Some(Value::String(source)) => {
                let pattern = Pattern::new(source);
                if pattern.is_none() {
                    self.note_unchecked("pattern");
                }
                pattern
            }
            Some(_) => return Err(bad("pattern must be a string")),
        };
        let format = match map.get("format").and_then(Value::as_str) {
            Some("date") => Format::Date,
            Some("date-time") => Format::DateTime,
            Some("partial-date-time" | "local-date-time") => Format::LocalDateTime,
            Some("time" | "partial-time") => Format::Time,
            Some(other) => {
                self.note_unchecked(&format!("format: {other}"));
                Format::None
            }
            None => Format::None,
        };
        Ok(TextRule { min_len: count(map, "minLength")?, max_len: count(map, "maxLength")?, pattern, format })
    }

    fn list(&mut self, map: &Map<String, Value>) -> Result<List> {
        // Before 2020-12 a tuple was `items: [...]` with `additionalItems`.
        let (prefix, item) = match (map.get("prefixItems"), map.get("items")) {
            (Some(Value::Array(prefix)), item) => (prefix.as_slice(), item),
            (None, Some(Value::Array(prefix))) => (prefix.as_slice(), map.get("additionalItems")),
            (None, item) => (&[][..], item),
            (Some(_), _) => return Err(bad("prefixItems must be a list")),
        };
        let prefix = prefix.iter().map(|item| self.schema(item)).collect::<Result<Vec<_>>>()?;
        let item = match item {
            None => Some(self.plain(Kind::Any)?),
            Some(Value::Bool(false)) => None,
            Some(item) => Some(self.schema(item)?),
        };
        Ok(List {
            min: count(map, "minItems")?.unwrap_or(0),
            max: count(map, "maxItems")?,
            unique: map.get("uniqueItems") == Some(&Value::Bool(true)),
            prefix,
            item,
        })
    }

    fn record(&mut self, map: &Map<String, Value>) -> Result<Record> {
        let required: Vec<&str> = match map.get("required") {
            None => Vec::new(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => return Err(bad("required must be a list of names")),
        };
        let mut fields = Vec::new();
        match map.get("properties") {
            None => {}
            Some(Value::Object(properties)) => {
                for (name, schema) in properties {
                    let shape = self.schema(schema)?;
                    fields.push(Field {
                        name: name.as_str().into(),
                        folded: fold(name),
                        aliases: key_aliases(schema),
                        shape,
                        required: required.contains(&name.as_str()),
                        default: schema.get("default").cloned(),
                    });
                }
            }
            Some(_) => return Err(bad("properties must be an object")),
        }
        for name in &required {
            if !fields.iter().any(|field| &*field.name == *name) {
                let shape = self.plain(Kind::Any)?;
                fields.push(Field {
                    name: (*name).into(),
                    folded: fold(name),
                    aliases: Vec::new(),
                    shape,
                    required: true,
                    default: None,
                });
            }
        }
        let mut patterns = Vec::new();
        if let Some(Value::Object(by_pattern)) = map.get("patternProperties") {
            for (source, schema) in by_pattern {
                let shape = self.schema(schema)?;
                match Pattern::new(source) {
                    Some(pattern) => patterns.push((pattern, shape)),
                    None => self.note_unchecked("patternProperties"),
                }
            }
        }
        let extra = match map.get("additionalProperties").or_else(|| map.get("unevaluatedProperties")) {
            Some(Value::Bool(false)) => Extra::Drop,
            None if !fields.is_empty() || !patterns.is_empty() => Extra::Drop,
            None => Extra::Keep(self.plain(Kind::Any)?),
            Some(schema) => Extra::Keep(self.schema(schema)?),
        };
        let (min, max) = (count(map, "minProperties")?.unwrap_or(0), count(map, "maxProperties")?);
        Ok(Record::new(fields, patterns, extra, min, max))
    }
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

impl Labels {
    pub(crate) fn new(items: Vec<Label>, others: Vec<Value>) -> Self {
        let mut exact = HashMap::new();
        let mut folded: HashMap<Box<str>, Option<u32>> = HashMap::new();
        for (number, label) in (0_u32..).zip(&items) {
            exact.entry(label.text.clone()).or_insert(number);
            for name in std::iter::once(&label.text).chain(&label.aliases) {
                let key = fold(name);
                if !key.is_empty() {
                    folded
                        .entry(key)
                        .and_modify(|old| {
                            if *old != Some(number) {
                                *old = None;
                            }
                        })
                        .or_insert(Some(number));
                }
            }
        }
        for (number, label) in (0_u32..).zip(&items) {
            for alias in &label.aliases {
                exact.entry(alias.clone()).or_insert(number);
            }
        }
        Self { items, others, exact, folded }
    }
}

fn find_tag(shapes: &Shapes, variants: &[ShapeId]) -> Option<(Box<str>, Vec<Label>, Vec<ShapeId>)> {
    let records: Vec<&Record> = variants
        .iter()
        .map(|id| match &shapes.get(*id).kind {
            Kind::Record(record) => Some(&**record),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let first = records.first()?;
    'fields: for field in &first.fields {
        let mut labels: Vec<Label> = Vec::new();
        let mut owners = Vec::new();
        for (record, variant) in records.iter().zip(variants) {
            let Some(own) = record.exact.get(&field.name).and_then(|n| record.fields.get(*n as usize)) else {
                continue 'fields;
            };
            let Kind::Label(own_labels) = &shapes.get(own.shape).kind else { continue 'fields };
            if !own.required || own_labels.items.is_empty() || !own_labels.others.is_empty() {
                continue 'fields;
            }
            for label in &own_labels.items {
                if labels.iter().any(|known| known.text == label.text) {
                    continue 'fields;
                }
                labels.push(label.clone());
                owners.push(*variant);
            }
        }
        return Some((field.name.clone(), labels, owners));
    }
    None
}

/// Reads the variants as one set of labels if each is a constant string (schemars writes documented enums so).
fn labels_of_variants(variants: &[&Value]) -> Option<Kind> {
    let mut items = Vec::new();
    let mut others = Vec::new();
    for variant in variants {
        let map = variant.as_object()?;
        if map.contains_key("$ref") || map.contains_key("allOf") || map.contains_key("properties") {
            return None;
        }
        let values: Vec<&Value> = match (map.get("const"), map.get("enum")) {
            (Some(value), _) => vec![value],
            (None, Some(Value::Array(values))) => values.iter().collect(),
            _ => return None,
        };
        let single = values.len() == 1;
        for value in values {
            match value {
                Value::String(label) => items.push(Label {
                    text: label.as_str().into(),
                    aliases: label_aliases(map, label, single),
                    description: single
                        .then(|| text(map, "description").or_else(|| text(map, "title")))
                        .flatten(),
                }),
                Value::Number(_) | Value::Bool(_) => others.push(value.clone()),
                _ => return None,
            }
        }
    }
    (!items.is_empty()).then(|| Kind::Label(Box::new(Labels::new(items, others))))
}

fn values(list: &[Value], map: &Map<String, Value>, nullable: &mut bool) -> Kind {
    let mut items = Vec::new();
    let mut others = Vec::new();
    for value in list {
        match value {
            Value::Null => *nullable = true,
            Value::String(label) => items.push(Label {
                text: label.as_str().into(),
                aliases: label_aliases(map, label, list.len() == 1),
                description: None,
            }),
            other => others.push(other.clone()),
        }
    }
    match (items.is_empty(), others.is_empty()) {
        (true, true) if *nullable => Kind::Null,
        (true, true) => Kind::Never,
        (true, false) => Kind::Literal(others.into_boxed_slice()),
        _ => Kind::Label(Box::new(Labels::new(items, others))),
    }
}

/// `x-aliases` of a property: other names of its key.
fn key_aliases(schema: &Value) -> Vec<Box<str>> {
    match schema.get("x-aliases") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(Into::into).collect(),
        Some(Value::String(name)) => vec![name.as_str().into()],
        _ => Vec::new(),
    }
}

/// `x-aliases` of an enum: `{"LABEL": ["other", …]}`; of a single constant also a plain list.
fn label_aliases(map: &Map<String, Value>, label: &str, single: bool) -> Vec<Box<str>> {
    match map.get("x-aliases") {
        Some(Value::Object(by_label)) => match by_label.get(label) {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(Into::into).collect(),
            Some(Value::String(name)) => vec![name.as_str().into()],
            _ => Vec::new(),
        },
        Some(Value::Array(names)) if single => {
            names.iter().filter_map(Value::as_str).map(Into::into).collect()
        }
        _ => Vec::new(),
    }
}

fn guess_type(map: &Map<String, Value>) -> Option<&'static str> {
    let has = |names: &[&str]| names.iter().any(|name| map.contains_key(*name));
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

fn integer(map: &Map<String, Value>) -> Integer {
    let (type_min, type_max, wide) = match map.get("format").and_then(Value::as_str).unwrap_or("") {
        "int8" => (i128::from(i8::MIN), i128::from(i8::MAX), false),
        "int16" => (i128::from(i16::MIN), i128::from(i16::MAX), false),
        "int32" => (i128::from(i32::MIN), i128::from(i32::MAX), false),
        "int64" | "int" => (i128::from(i64::MIN), i128::from(i64::MAX), false),
        "int128" => (i128::MIN, i128::MAX, false),
        "uint8" => (0, i128::from(u8::MAX), false),
        "uint16" => (0, i128::from(u16::MAX), false),
        "uint32" => (0, i128::from(u32::MAX), false),
        "uint64" | "uint" => (0, i128::from(u64::MAX), false),
        "uint128" => (0, i128::MAX, true),
        // Without a format an integer may be whatever `serde_json` can carry without loss.
        _ => (i128::from(i64::MIN), i128::from(u64::MAX), false),
    };
    let bounds = bounds(map);
    Integer { min: type_min, max: type_max, wide, type_min, type_max, bounds }
}

fn bounds(map: &Map<String, Value>) -> Bounds {
    let number = |name: &str| match map.get(name) {
        Some(Value::Number(number)) => Some(number_as_f64(number)),
        _ => None,
    };
    // Draft 4 wrote `exclusiveMinimum: true` beside `minimum`.
    let exclusive = |name: &str| map.get(name) == Some(&Value::Bool(true));
    let (mut min, mut max) = (number("minimum"), number("maximum"));
    let (mut above, mut below) = (number("exclusiveMinimum"), number("exclusiveMaximum"));
    if exclusive("exclusiveMinimum") {
        above = min.take();
    }
    if exclusive("exclusiveMaximum") {
        below = max.take();
    }
    let multiple_of = number("multipleOf").filter(|step| *step > 0.0);
    let single = map.get("format").and_then(Value::as_str) == Some("float");
    Bounds { min, max, above, below, multiple_of, single }
}

fn count(map: &Map<String, Value>, name: &str) -> Result<Option<u64>> {
    match map.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().or_else(|| value.as_f64().and_then(whole)) {
            Some(count) => Ok(Some(count)),
            None => Err(bad(format!("{name} must be a whole number"))),
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number in range"
)]
fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0 && number < 9.0e15).then_some(number as u64)
}

fn text(map: &Map<String, Value>, name: &str) -> Option<Box<str>> {
    map.get(name).and_then(Value::as_str).map(Into::into)
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}
