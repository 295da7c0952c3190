//! What was found for a question.

use std::fmt;

use pumasi_core::model::Usage;

use super::{Evidence, Explanation, Rewording};
use crate::Error;
use crate::store::Passage;

/// A passage that speaks of the question.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// What was found, with all that an answer needs.
    pub passage: Passage,
    /// How well it answers, as ranked; comparable within one result only.
    pub score: f32,
    /// Why it is there.
    pub why: Explanation,
}

/// What could not be done for a question; what was found is what the rest found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Note {
    /// The embedder cannot read the question: it was answered by words alone.
    CannotRead,
    /// The embedder failed: the question was answered by words alone.
    NotEmbedded(Error),
    /// The reranker failed: the order is that of the rankings.
    NotReranked(Error),
    /// The model that words questions anew failed or was too slow, or its wordings could not be searched: the question was searched
    /// in its own wording alone.
    NotReworded(Error),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotRead => f.write_str("by words alone: the embedder cannot read the question"),
            Self::NotEmbedded(error) => write!(f, "by words alone: {error}"),
            Self::NotReranked(error) => write!(f, "not reranked: {error}"),
            Self::NotReworded(error) => write!(f, "in its own wording alone: {error}"),
        }
    }
}

/// What was found for a question, best first.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Retrieved {
    /// The passages.
    pub hits: Vec<Hit>,
    /// How much the best of the candidates show.
    pub evidence: Evidence,
    /// Whether that is [enough](super::Retriever::with_threshold): where it is not, the knowledge does not answer the question.
    pub relevant: bool,
    /// What could not be done.
    pub notes: Vec<Note>,
    /// In which other [wordings](super::MultiQuery) the question was searched.
    pub rewordings: Vec<Rewording>,
    /// What the model took that worded it, where it says so.
    pub usage: Option<Usage>,
    /// The [version](crate::store::Store::version) of the tenant's knowledge that was searched.
    pub version: u64,
}

impl Retrieved {
    /// Says of each hit why it is there: its place, ranks, scores and the question's words in it. One line a hit; then one for each
    /// other wording that was searched, and one for each thing that could not be done.
    ///
    /// It shows ids, titles and headings, words of the question and its other wordings: for people who tune, not for logs.
    pub fn explain(&self) -> String {
        let line = |(at, hit): (usize, &Hit)| {
            format!("{}. {:.4} {}: {}\n", at + 1, hit.score, hit.passage.place(), hit.why)
        };
        let hits = self.hits.iter().enumerate().map(line);
        let rewordings = self.rewordings.iter().map(|wording| format!("also asked: {}\n", wording.text));
        hits.chain(rewordings).chain(self.notes.iter().map(|note| format!("{note}\n"))).collect()
    }
}
