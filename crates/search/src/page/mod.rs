//! What was found, why, and where the next page begins.

mod cursor;
mod explain;
mod highlight;

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{Error, ErrorKind, Result};

pub(crate) use cursor::Key;
pub use cursor::{Cursor, CursorKey};
pub use explain::Explanation;
pub use highlight::{Highlight, Piece};
pub(crate) use highlight::{Marker, within};

/// What an engine could not do of a query, so that its answer is less than it should be.
///
/// A page without gaps is whole: what it lacks does not match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gap {
    /// Some shards did not answer: documents, facets and totals are missing.
    Shards {
        /// How many did not.
        failed: u32,
        /// Of how many.
        total: u32,
    },
    /// The engine ran out of time, and says what it had found by then.
    TimedOut,
    /// The order is another than the primary's: the engine ranks in another way, or the walk came from another engine.
    Ranking,
    /// Words with typos are not found.
    Typos,
    /// Words are not found by their beginnings.
    Prefixes,
    /// Facets were not counted.
    Facets,
    /// Hits are not highlighted.
    Highlights,
    /// Hits are not explained.
    Explanations,
    /// The text of the query is longer than is looked up: only the [first terms](crate::query::MAX_TERMS) of it were.
    Terms,
    /// The engine holds so many documents that the primary has deleted: deletes have not come to it, and what it finds may be gone.
    Deletes(u64),
    /// The engine lacks at least so many documents that another one holds: it is being filled, has missed changes, or could not take
    /// them.
    Missing(u64),
    /// Something else that the engine names.
    Other(String),
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shards { failed, total } => write!(f, "{failed} of {total} shards did not answer"),
            Self::TimedOut => f.write_str("the engine ran out of time"),
            Self::Ranking => f.write_str("the order is another than usual"),
            Self::Typos => f.write_str("words with typos are not found"),
            Self::Prefixes => f.write_str("words are not found by their beginnings"),
            Self::Facets => f.write_str("facets were not counted"),
            Self::Highlights => f.write_str("hits are not highlighted"),
            Self::Explanations => f.write_str("hits are not explained"),
            Self::Terms => f.write_str("only the first words were looked up"),
            Self::Deletes(_) => f.write_str("deleted documents may still be found"),
            Self::Missing(_) => f.write_str("documents are missing"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// How many documents match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Total {
    /// So many.
    Exact(u64),
    /// So many or more.
    AtLeast(u64),
    /// They were not counted.
    Unknown,
}

/// How often a value occurs among the documents that match.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FacetCount {
    /// The value.
    pub value: String,
    /// In how many documents.
    pub count: u64,
}

impl fmt::Debug for FacetCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacetCount").field("count", &self.count).finish_non_exhaustive()
    }
}

/// The values of a field, counted over all documents that match, from the same snapshot as the hits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facet {
    /// Which field.
    pub field: String,
    /// Its most frequent values, the most frequent one first, equal ones by their bytes.
    pub counts: Vec<FacetCount>,
}

/// A document that was found. `Debug` shows its id and score, never what it says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hit {
    /// The document's id.
    pub id: String,
    /// The version of the document that was found.
    pub version: u64,
    /// How well it answers, where the order is by scores; comparable within one walk on one engine.
    pub score: Option<f32>,
    /// The document; hits of one document share it.
    pub source: Arc<Json>,
    /// The fragments that match, if they were asked for.
    pub highlights: Vec<Highlight>,
    /// How the score came about, if that was asked for.
    pub explanation: Option<Explanation>,
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("score", &self.score)
            .finish_non_exhaustive()
    }
}

impl Hit {
    /// Makes a hit of what an engine found.
    pub fn new(id: impl Into<String>, version: u64, source: impl Into<Arc<Json>>) -> Self {
        Self {
            id: id.into(),
            version,
            score: None,
            source: source.into(),
            highlights: Vec::new(),
            explanation: None,
        }
    }

    /// Reads the document as a value of your own type.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the document has another shape.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&*self.source).map_err(|_| {
            // serde's own message quotes the document
            Error::new(ErrorKind::InvalidInput, format!("the document {} has another shape", self.id))
        })
    }
}

/// What was found.
///
/// It can be cached as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Page {
    /// The documents, in the query's order.
    pub hits: Vec<Hit>,
    /// The counted values, in the order in which the query asks for them.
    pub facets: Vec<Facet>,
    /// How many documents match.
    pub total: Total,
    /// Where the next page begins; `None` where this one is the last.
    pub next: Option<Cursor>,
    /// What the engine could not do; empty where the page is whole.
    pub gaps: Vec<Gap>,
    /// The engine that answered.
    pub engine: String,
    /// Which index of the engine answered: it grows when the index is built anew.
    pub generation: u64,
    /// How many documents the index [knew](crate::engine::Status::known) when it answered, from engines that can say so at no
    /// cost: it tells an index that has lost its documents from one that nothing was found in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
}

impl Page {
    /// Makes an empty page of an engine.
    pub fn new(engine: impl Into<String>, generation: u64) -> Self {
        Self {
            hits: Vec::new(),
            facets: Vec::new(),
            total: Total::Unknown,
            next: None,
            gaps: Vec::new(),
            engine: engine.into(),
            generation,
            known: None,
        }
    }

    /// Tells whether nothing is missing.
    pub const fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Returns the ids of the hits, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.hits.iter().map(|hit| hit.id.as_str()).collect()
    }
}
