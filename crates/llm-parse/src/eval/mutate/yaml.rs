//! An answer as YAML.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::write::bare;

/// Tells whether plain YAML can carry the value without quotes going wrong: strings on one line, no nested arrays.
pub(super) fn yaml_able(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().all(|(key, value)| bare(key) && yaml_able(value)),
        Value::Array(items) => items.iter().all(|v| !v.is_array() && !v.is_object() && yaml_able(v)),
        Value::String(text) => {
            !text.is_empty()
                && text.trim() == text
                && text.starts_with(char::is_alphabetic)
                && !["true", "false", "null", "none", "yes", "no", "on", "off", "nan", "inf"]
                    .contains(&text.to_lowercase().as_str())
                && !text.contains([':', '#', '\n', '"', '\'', '{', '[', '&', '*', '!', '|', '>'])
        }
        _ => true,
    }
}

pub(super) fn yaml_object(out: &mut String, members: &Map<String, Value>, indent: usize) {
    for (key, value) in members {
        let _ = write!(out, "{:indent$}{key}:", "");
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                yaml_object(out, inner, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                for item in items {
                    let _ = write!(out, "{:indent$}  - ", "");
                    yaml_scalar(out, item);
                    out.push('\n');
                }
            }
            other => {
                out.push(' ');
                yaml_scalar(out, other);
                out.push('\n');
            }
        }
    }
}

fn yaml_scalar(out: &mut String, value: &Value) {
    if let Value::String(text) = value {
        out.push_str(text);
    } else {
        let _ = write!(out, "{value}");
    }
}
