//! The tolerant, schema-free reader: from a model's answer to value trees, with every repair named.
//!
//! [`read`] never fails. It returns all the [`Candidate`]s of an answer (the fenced block, the object in the prose, the
//! draft and the corrected version, the YAML or XML reading, the plain text), each with the words around it that say what
//! it is ([`Cue`]), and the repairs each one needed. Choosing among them takes a schema and is not done here.

mod aside;
mod bracket;
mod closer;
mod cue;
mod document;
mod escape;
mod finish;
mod key;
mod line;
mod listen;
mod literal;
mod machine;
mod nodes;
mod outline;
mod place;
mod prose;
mod quote;
mod region;
mod run;
mod scan;
mod stray;
mod string;
mod table;
mod trivia;
mod value;
mod word;
mod xml;

#[cfg(test)]
mod tests;

pub(crate) use cue::denies;
pub(crate) use document::{LARGEST, Recycled};
pub(crate) use machine::{Machine, Recorded};

pub use document::{Candidate, Cue, Document, Limits, Origin};

/// Reads an answer.
///
/// Time and memory are linear in the length of `source` for every input.
///
/// ```
/// use pumasi_llm_parse::syntax::{self, Limits, Origin};
///
/// let source = "Sure! Here it is:\n```json\n{\"a\": [1, 2,]}\n```";
/// let document = syntax::read(source, &Limits::default());
/// let best = document.candidates().first().ok_or("no candidate")?;
/// assert!(matches!(best.origin(), Origin::Fence { .. }));
/// assert_eq!(document.to_value(best, source), serde_json::json!({"a": [1, 2]}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn read(source: &str, limits: &Limits) -> Document {
    finish::read(source, limits, Recycled::default())
}

/// Reads an answer in memory that is at hand.
pub(crate) fn read_in(source: &str, limits: &Limits, memory: Recycled) -> Document {
    finish::read(source, limits, memory)
}
