//! The shortcut for answers that are plain JSON already, alone or in one fence.

use std::cell::Cell;

use serde::de::DeserializeOwned;

use super::watch::{Flags, Watch};
use super::{Parsed, report};
use crate::report::{Repair, Rule, Severity};
use crate::schema::Schema;
use crate::tree::Span;

/// Deserializes plain JSON directly; `None` if it is not plain, does not fit, or holds something that needs a closer look.
pub(super) fn parse<T: DeserializeOwned>(raw: &str, schema: &Schema) -> Option<Parsed<T>> {
    let traits = schema.traits();
    if traits.constrained {
        return None;
    }
    let text = raw.trim();
    let (text, fence) = match unfenced(text) {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    if !text.starts_with(['{', '[', '"']) {
        return None;
    }
    let flags = Flags { suspicious: Cell::new(false) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Watch::new(&mut deserializer, &flags)).ok()?;
    deserializer.end().ok()?;
    if flags.suspicious.get() {
        return None;
    }
    let mut repairs = Vec::new();
    if fence {
        let start = raw.len() - raw.trim_start().len();
        repairs.push(Repair::new(
            Rule::Fence,
            Severity::Cosmetic,
            Span::new(start, start + raw.trim().len()),
        ));
    }
    Some(Parsed { value, report: report(repairs), confidence: 1.0, rejected: Vec::new() })
}

/// The inside of a fence that is the whole answer.
fn unfenced(text: &str) -> Option<&str> {
    let body = text.strip_prefix("```")?.strip_suffix("```")?;
    let (language, inside) = body.split_once('\n')?;
    let plain = matches!(language.trim(), "" | "json" | "JSON" | "Json");
    (plain && !inside.contains("```")).then(|| inside.trim())
}
