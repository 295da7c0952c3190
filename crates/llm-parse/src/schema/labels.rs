//! Labels and constants: `const`, `enum`, and unions of constants.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::bounds;
use super::compile::{Compiled, Trouble, bad, text};
use super::exact::{Exact, same};
use super::fold::fold;
use super::parts::Parts;
use super::pattern::Pattern;
use super::shape::{Kind, Label, Labels, Record, ShapeId, Shapes};

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

/// Finds a required property that is one label, and another one, in every variant.
pub(super) fn find_tag(
    shapes: &Shapes,
    variants: &[ShapeId],
) -> Option<(Box<str>, Vec<Label>, Vec<ShapeId>)> {
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
        let mut known = HashSet::new();
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
                if !known.insert(&*label.text) {
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
pub(super) fn labels_of_variants(variants: &[&Value]) -> Option<Kind> {
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

/// Compiles `const` and `enum`: the values that all of them name and that the other keywords allow.
pub(super) fn values(parts: &Parts<'_>, nullable: &mut bool) -> Compiled<Option<Kind>> {
    let mut left: Option<Vec<&Value>> = None;
    for rule in &parts.rules {
        let own = match (rule.get("const"), rule.get("enum")) {
            (Some(value), _) => std::slice::from_ref(value),
            (None, Some(Value::Array(list))) => list.as_slice(),
            (None, Some(_)) => return Err(bad("enum must be a list").into()),
            (None, None) => continue,
        };
        left = Some(match left {
            None => own.iter().collect(),
            Some(known) => common(known, own),
        });
    }
    let Some(list) = left else { return Ok(None) };
    let mut fitting = list.clone();
    fitting.retain(|value| value.is_null() || parts.rules.iter().all(|rule| admits(rule, value)));
    let several = parts.rules.len() > 1;
    if fitting.is_empty() {
        if several {
            return Err(Trouble::Clash("allOf of the schema asks for two values at once"));
        }
        // Generators write `"type": "integer"` beside labels that are strings; the list is what is meant.
        fitting = list;
    }
    let aliases = parts.rules.iter().find(|rule| rule.contains_key("x-aliases")).or(parts.rules.first());
    Ok(Some(kind_of(&fitting, aliases.copied(), nullable)))
}

fn common<'a>(known: Vec<&'a Value>, own: &[Value]) -> Vec<&'a Value> {
    let texts: HashSet<&str> = own.iter().filter_map(Value::as_str).collect();
    let rest: Vec<&Value> = own.iter().filter(|value| !value.is_string()).collect();
    let mut known = known;
    known.retain(|value| match value {
        Value::String(text) => texts.contains(text.as_str()),
        other => rest.iter().any(|own| same(own, other)),
    });
    known
}

/// Whether the keywords beside an `enum` allow one of its values.
fn admits(rule: &Map<String, Value>, value: &Value) -> bool {
    let named = |name: &str| match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => {
            name == "number" || (name == "integer" && matches!(Exact::of(number), Exact::Whole(_)))
        }
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    };
    let typed = match rule.get("type") {
        Some(Value::String(one)) => named(one),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).any(named),
        _ => true,
    };
    let count = |name: &str| rule.get(name).and_then(Value::as_u64);
    typed
        && match value {
            Value::Number(number) => bounds::of(rule).broken(Exact::of(number)).is_none(),
            Value::String(text) => {
                let length = text.chars().count() as u64;
                let pattern = rule.get("pattern").and_then(Value::as_str).and_then(Pattern::new);
                count("minLength").is_none_or(|min| length >= min)
                    && count("maxLength").is_none_or(|max| length <= max)
                    && pattern.is_none_or(|pattern| pattern.matches(text))
            }
            _ => true,
        }
}

/// Makes labels, constants or null of the values that are left.
fn kind_of(list: &[&Value], aliases: Option<&Map<String, Value>>, nullable: &mut bool) -> Kind {
    let mut items = Vec::new();
    let mut others = Vec::new();
    for value in list {
        match value {
            Value::Null => *nullable = true,
            Value::String(label) => items.push(Label {
                text: label.as_str().into(),
                aliases: aliases.map_or_else(Vec::new, |map| label_aliases(map, label, list.len() == 1)),
                description: None,
            }),
            other => others.push((*other).clone()),
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
pub(super) fn key_aliases(schema: &Value) -> Vec<Box<str>> {
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
