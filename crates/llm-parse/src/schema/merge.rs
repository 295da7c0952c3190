//! Joining schemas that must hold together: `allOf`, and keywords beside `$ref` or `anyOf`.
//!
//! The join is made on the documents, before compilation, so that the compiled shapes need no notion of "and".

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::compile::bad;
use crate::error::Result;

const MAX_DEPTH: usize = 64;

/// Keywords that say nothing about which values fit.
pub(super) const ANNOTATIONS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "nullable",
    "readOnly",
    "title",
    "writeOnly",
    "x-aliases",
];

/// Finds what a local reference points at (RFC 6901 in a URI fragment, or an `$anchor`).
pub(super) fn lookup<'a>(root: &'a Value, reference: &str) -> Result<&'a Value> {
    let found = match reference.strip_prefix('#') {
        Some("") => Some(root),
        Some(pointer) if pointer.starts_with('/') => root.pointer(&percent_decoded(pointer)),
        Some(anchor) => anchored(root, anchor),
        None => {
            let same = root.get("$id").and_then(Value::as_str).is_some_and(|id| id == reference);
            same.then_some(root)
        }
    };
    found.ok_or_else(|| bad("a $ref of the schema points at nothing inside it"))
}

fn anchored<'a>(root: &'a Value, anchor: &str) -> Option<&'a Value> {
    ["$defs", "definitions"]
        .iter()
        .filter_map(|section| root.get(*section).and_then(Value::as_object))
        .flat_map(Map::values)
        .find(|schema| schema.get("$anchor").and_then(Value::as_str) == Some(anchor))
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let pair = (byte == b'%').then(|| Some((hex(ahead.next()?)?, hex(ahead.next()?)?))).flatten();
        match pair {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = ahead;
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Joins the keywords that stand beside a `$ref` with its target.
pub(super) fn with_reference(
    root: &Value,
    map: &Map<String, Value>,
    pointer: &str,
) -> Result<Map<String, Value>> {
    let mut own = map.clone();
    own.remove("$ref");
    let target = flat(root, lookup(root, pointer)?, 0)?;
    let mut merged = join(root, &target, &own, 0)?;
    for key in ["description", "title", "default", "x-aliases"] {
        if let Some(value) = map.get(key) {
            merged.insert(key.to_owned(), value.clone());
        }
    }
    Ok(merged)
}

/// Joins all members of an `allOf` with the keywords beside it.
pub(super) fn all_of(root: &Value, map: &Map<String, Value>, all: &Value) -> Result<Map<String, Value>> {
    let Value::Array(members) = all else { return Err(bad("allOf must be a list")) };
    let mut own = map.clone();
    own.remove("allOf");
    // One reference and nothing else: keep the reference, so that recursive schemas stay finite.
    if let [Value::Object(only)] = members.as_slice()
        && own.keys().all(|key| ANNOTATIONS.contains(&key.as_str()))
    {
        let mut merged = own;
        for (key, value) in only {
            merged.entry(key.clone()).or_insert_with(|| value.clone());
        }
        return Ok(merged);
    }
    let mut merged = own;
    for member in members {
        merged = join(root, &merged, &flat(root, member, 0)?, 0)?;
    }
    Ok(merged)
}

/// Joins keywords with one variant of an `anyOf`.
pub(super) fn pair(root: &Value, base: &Map<String, Value>, variant: &Value) -> Result<Value> {
    let variant = flat(root, variant, 0)?;
    let mut joined = join(root, base, &variant, 0)?;
    for key in ["description", "title"] {
        if let Some(value) = variant.get(key) {
            joined.insert(key.to_owned(), value.clone());
        }
    }
    Ok(Value::Object(joined))
}

/// The schema as one map, with references and `allOf` resolved at its top.
fn flat(root: &Value, schema: &Value, depth: usize) -> Result<Map<String, Value>> {
    if depth > MAX_DEPTH {
        return Err(bad("allOf and $ref of the schema are nested without end"));
    }
    match schema {
        Value::Bool(true) => Ok(Map::new()),
        Value::Bool(false) => Ok(Map::from_iter([("enum".to_owned(), Value::Array(Vec::new()))])),
        Value::Object(map) => {
            let mut own = map.clone();
            if let Some(Value::String(pointer)) = own.remove("$ref") {
                let target = flat(root, lookup(root, &pointer)?, depth + 1)?;
                own = join(root, &target, &own, depth + 1)?;
            }
            if let Some(Value::Array(members)) = own.remove("allOf") {
                for member in &members {
                    own = join(root, &own, &flat(root, member, depth + 1)?, depth + 1)?;
                }
            }
            Ok(own)
        }
        _ => Err(bad("a schema must be an object, true or false")),
    }
}

fn join(
    root: &Value,
    a: &Map<String, Value>,
    b: &Map<String, Value>,
    depth: usize,
) -> Result<Map<String, Value>> {
    let mut out = a.clone();
    for (key, theirs) in b {
        let joined = match out.get(key) {
            None => theirs.clone(),
            Some(ours) if ours == theirs => continue,
            Some(ours) => both(root, key, ours, theirs, depth)?,
        };
        out.insert(key.clone(), joined);
    }
    Ok(out)
}

/// What both values of one keyword demand together.
fn both(root: &Value, key: &str, ours: &Value, theirs: &Value, depth: usize) -> Result<Value> {
    if depth > MAX_DEPTH {
        return Err(bad("allOf and $ref of the schema are nested without end"));
    }
    let larger = || if number(theirs) > number(ours) { theirs.clone() } else { ours.clone() };
    let smaller = || if number(theirs) < number(ours) { theirs.clone() } else { ours.clone() };
    Ok(match (key, ours, theirs) {
        (
            "properties" | "patternProperties" | "$defs" | "definitions",
            Value::Object(a),
            Value::Object(b),
        ) => {
            let mut out = a.clone();
            for (name, theirs) in b {
                let joined = match out.get(name) {
                    Some(ours) if ours != theirs => all(ours, theirs),
                    _ => theirs.clone(),
                };
                out.insert(name.clone(), joined);
            }
            Value::Object(out)
        }
        ("required", Value::Array(a), Value::Array(b)) => {
            let mut out = a.clone();
            out.extend(b.iter().filter(|name| !a.contains(name)).cloned());
            Value::Array(out)
        }
        ("enum", Value::Array(a), Value::Array(b)) => {
            Value::Array(a.iter().filter(|value| b.contains(value)).cloned().collect())
        }
        ("type", a, b) => {
            let (a, b) = (names(a), names(b));
            let mut common: Vec<&str> = a.iter().copied().filter(|name| b.contains(name)).collect();
            for (one, other) in [(&a, &b), (&b, &a)] {
                if one.contains(&"number") && other.contains(&"integer") && !common.contains(&"integer") {
                    common.push("integer");
                }
            }
            match common.as_slice() {
                [] => return Err(bad("allOf of the schema asks for two types at once")),
                [one] => Value::from(*one),
                many => Value::from(many.to_vec()),
            }
        }
        ("minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties", _, _) => larger(),
        ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties", _, _) => smaller(),
        ("items" | "additionalProperties" | "unevaluatedProperties", a, b) => match (a, b) {
            (Value::Bool(true), other) | (other, Value::Bool(true)) => other.clone(),
            (Value::Bool(false), _) | (_, Value::Bool(false)) => Value::Bool(false),
            (a, b) => all(a, b),
        },
        ("uniqueItems" | "nullable", Value::Bool(a), Value::Bool(b)) if key == "nullable" => {
            Value::Bool(*a && *b)
        }
        ("uniqueItems", _, _) => Value::Bool(true),
        ("anyOf" | "oneOf", Value::Array(a), Value::Array(b)) => {
            if a.len().saturating_mul(b.len()) > 256 {
                return Err(bad("allOf of the schema joins too many variants"));
            }
            let mut out = Vec::new();
            for one in a {
                for other in b {
                    // Pairs that contradict each other (two types) allow nothing and drop out.
                    let (one, other) = (flat(root, one, depth + 1)?, flat(root, other, depth + 1)?);
                    if let Ok(joined) = join(root, &one, &other, depth + 1) {
                        out.push(Value::Object(joined));
                    }
                }
            }
            Value::Array(out)
        }
        _ => ours.clone(),
    })
}

fn all(a: &Value, b: &Value) -> Value {
    Value::Object(Map::from_iter([("allOf".to_owned(), Value::Array(vec![a.clone(), b.clone()]))]))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
