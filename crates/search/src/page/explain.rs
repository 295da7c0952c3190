//! How a score came about.

use std::fmt;

use serde::{Deserialize, Serialize};

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
