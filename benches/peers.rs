//! The peers, each behind the same two signatures. Compiled into every bench by `#[path]`, because peers are dev-dependencies.
#![allow(dead_code, reason = "each bench uses its share")]

use benches::{CutPost, Post, same};
use jiter::{JsonValue, PartialMode};
use pumasi_llm_parse::{Parser, Schema};

use serde_json::Value;

/// Reads an answer into a JSON value.
pub(crate) type ToValue = fn(&str) -> Option<Value>;
/// Reads an answer into typed posts.
pub(crate) type ToPosts = fn(&str) -> Option<Vec<Post>>;

/// Everyone who can read an answer into a JSON value, ourselves first.
pub(crate) const TO_VALUE: [(&str, ToValue); 7] = [
    ("pumasi", |text| {
        let parser = Parser::<Value>::with_schema(Schema::any());
        parser.parse(text).ok().map(|parsed| parsed.value)
    }),
    ("serde_json", |text| serde_json::from_str(text).ok()),
    ("jiter", |text| {
        let value = JsonValue::parse_with_config(text.as_bytes(), true, PartialMode::TrailingStrings).ok()?;
        Some(from_jiter(&value))
    }),
    ("jsonrepair", |text| jsonrepair::loads(text, &jsonrepair::Options::default()).ok()),
    ("jsonrepair-rs", |text| jsonrepair_rs::jsonrepair_value(text).ok()),
    ("llm-extract", |text| llm_extract::extract_json(text).ok()),
    ("tryparse", |text| tryparse::parse(text).ok()),
];

/// Everyone who can read an answer into typed posts, ourselves first.
pub(crate) const TO_POSTS: [(&str, ToPosts); 6] = [
    ("pumasi", |text| pumasi_llm_parse::parse::<Vec<Post>>(text).ok().map(|parsed| parsed.value)),
    ("serde_json", |text| serde_json::from_str(text).ok()),
    ("jsonrepair", |text| {
        let value = jsonrepair::loads(text, &jsonrepair::Options::default()).ok()?;
        serde_json::from_value(value).ok()
    }),
    ("jsonrepair-rs", |text| jsonrepair_rs::jsonrepair_parse(text).ok()),
    ("llm-extract", |text| llm_extract::extract_strict(text).ok()),
    ("tryparse", |text| tryparse::parse(text).ok()),
];

/// Reads a cut answer into typed posts.
pub(crate) type ToCutPosts = fn(&str) -> Option<Vec<CutPost>>;

/// Everyone who can read a cut answer into typed posts, each by its fastest way, ourselves first.
pub(crate) const TO_CUT_POSTS: [(&str, ToCutPosts); 6] = [
    ("pumasi", |text| pumasi_llm_parse::parse::<Vec<CutPost>>(text).ok().map(|parsed| parsed.value)),
    ("serde_json", |text| serde_json::from_str(text).ok()),
    ("jsonrepair", |text| {
        let repaired = jsonrepair::repair_to_string(text, &jsonrepair::Options::default()).ok()?;
        serde_json::from_str(&repaired).ok()
    }),
    ("jsonrepair-rs", |text| {
        let repaired = jsonrepair_rs::jsonrepair(text).ok()?;
        serde_json::from_str(&repaired).ok()
    }),
    ("llm-extract", |text| llm_extract::extract_strict(text).ok()),
    ("tryparse", |text| {
        let value = tryparse::parse(text).ok()?;
        serde_json::from_value(value).ok()
    }),
];

/// Tells whether a peer reads the value right.
pub(crate) fn right(read: ToValue, text: &str, want: &Value) -> bool {
    read(text).is_some_and(|got| same(&got, want))
}

fn from_jiter(value: &JsonValue<'_>) -> Value {
    match value {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(b) => Value::from(*b),
        JsonValue::Int(i) => Value::from(*i),
        JsonValue::BigInt(i) => Value::from(i.to_string()),
        JsonValue::Float(f) => Value::from(*f),
        JsonValue::Str(s) => Value::from(s.as_ref()),
        JsonValue::Array(items) => items.iter().map(from_jiter).collect(),
        JsonValue::Object(members) => members
            .iter()
            .map(|(key, value)| (key.to_string(), from_jiter(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
