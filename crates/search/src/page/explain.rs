//! How a score came about.

use std::fmt;

use serde::{Deserialize, Serialize};
#[cfg(any(feature = "embedded", feature = "opensearch"))]
use serde_json::Value;

/// A part of a score, and the parts that it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// What it is.
    pub name: String,
    /// How much it adds.
    pub value: f32,
    /// What it was made of.
    pub parts: Vec<Explanation>,
}

impl Explanation {
    /// Makes an explanation without parts.
    pub fn new(name: impl Into<String>, value: f32) -> Self {
        Self { name: name.into(), value, parts: Vec::new() }
    }

    /// Makes the sum of parts.
    pub fn sum(name: impl Into<String>, parts: Vec<Self>) -> Self {
        Self { name: name.into(), value: parts.iter().map(|part| part.value).sum(), parts }
    }

    /// Reads what an engine of Lucene's kind says of a score.
    #[cfg(any(feature = "embedded", feature = "opensearch"))]
    pub(crate) fn read(json: &Value) -> Self {
        let name = json.get("description").and_then(Value::as_str).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
        let value = json.get("value").and_then(Value::as_f64).unwrap_or_default() as f32;
        let details = json.get("details").and_then(Value::as_array);
        let parts = details.map(|details| details.iter().map(Self::read).collect()).unwrap_or_default();
        Self { name: name.to_owned(), value, parts }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        writeln!(f, "{:width$}{:.4} {}", "", self.value, self.name, width = depth * 2)?;
        self.parts.iter().try_for_each(|part| part.write(f, depth + 1))
    }
}

impl fmt::Display for Explanation {
    /// Writes a line for each part, those that it was made of indented below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}
