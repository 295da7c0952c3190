//! What is measured against: sources, and what should be extracted from them.

use std::collections::HashSet;
use std::io::BufRead;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::extract::{ExtractError, ExtractErrorKind, Result};

/// A source and what should be extracted from it. `Debug` shows its identifier and size, never its text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Case {
    /// Unlike every other one of the data set.
    pub id: String,
    /// What is given to the extractor.
    pub source: String,
    /// What should come out, as JSON.
    pub expected: Value,
    /// The part of the data set that it belongs to, such as `dev` or `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
}

impl Case {
    /// Makes a case.
    pub fn new(id: impl Into<String>, source: impl Into<String>, expected: Value) -> Self {
        Self { id: id.into(), source: source.into(), expected, split: None }
    }

    /// Sets the part of the data set that it belongs to.
    #[must_use]
    pub fn with_split(mut self, split: impl Into<String>) -> Self {
        self.split = Some(split.into());
        self
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case")
            .field("id", &self.id)
            .field("split", &self.split)
            .field("source_bytes", &self.source.len())
            .finish_non_exhaustive()
    }
}

/// Cases to measure extractors by.
///
/// As a file it is JSON Lines: `{"id": …, "source": …, "expected": …, "split": …}`, the split optional.
///
/// ```
/// use pumasi_llm_parse::eval::Dataset;
///
/// let file = r#"
/// {"id": "1", "source": "매일 달렸다.", "expected": [{"title": "달리기"}], "split": "dev"}
/// {"id": "2", "source": "I swam.", "expected": [{"title": "swim"}]}
/// "#;
/// let cases = Dataset::from_jsonl(file.as_bytes())?;
/// assert_eq!(cases.len(), 2);
/// assert_eq!(cases.split("dev").len(), 1);
/// # Ok::<(), pumasi_llm_parse::extract::ExtractError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    cases: Vec<Case>,
}

impl Dataset {
    /// Makes a data set.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` if two cases have the same identifier.
    pub fn new(cases: impl IntoIterator<Item = Case>) -> Result<Self> {
        let cases: Vec<Case> = cases.into_iter().collect();
        let mut ids = HashSet::new();
        match cases.iter().find(|case| !ids.insert(case.id.as_str())) {
            Some(case) => Err(invalid(format!("two cases have the id {}", case.id))),
            None => Ok(Self { cases }),
        }
    }

    /// Reads JSON Lines; empty lines are skipped.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` with the number of the line that is not a case, or if two cases have the same identifier;
    /// `Storage` if reading fails.
    pub fn from_jsonl(reader: impl BufRead) -> Result<Self> {
        let mut cases = Vec::new();
        for (number, line) in reader.lines().enumerate() {
            let line = line.map_err(|error| {
                ExtractError::new(ExtractErrorKind::Storage, "the data set could not be read")
                    .with_source(error)
            })?;
            if line.trim().is_empty() {
                continue;
            }
            let case = serde_json::from_str(&line).map_err(|error| {
                invalid(format!(
                    "line {} of the data set is not a case (column {})",
                    number + 1,
                    error.column()
                ))
            })?;
            cases.push(case);
        }
        Self::new(cases)
    }

    /// Returns the cases of a split.
    #[must_use]
    pub fn split(&self, name: &str) -> Self {
        Self {
            cases: self.cases.iter().filter(|case| case.split.as_deref() == Some(name)).cloned().collect(),
        }
    }

    /// Returns the cases.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Counts the cases.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Tells whether there is no case.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}

fn invalid(message: String) -> ExtractError {
    ExtractError::new(ExtractErrorKind::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_is_named_and_not_repeated() {
        let error = Dataset::from_jsonl(&b"\n{\"id\": \"1\", \"source\": \"secret\", }\n"[..]).unwrap_err();
        assert_eq!(error.kind(), ExtractErrorKind::InvalidConfig);
        assert!(error.message().contains("line 2") && !format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn two_cases_of_one_id_are_refused() {
        let case = || Case::new("x", "a", Value::Null);
        assert!(Dataset::new([case(), case()]).unwrap_err().message().contains("id x"));
    }
}
