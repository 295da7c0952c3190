//! What is asked of knowledge, and how the rankings are joined.

use std::fmt;
use std::num::NonZeroUsize;

use pumasi_core::filter::Filter;
use serde::{Deserialize, Serialize};

use crate::store::everything;
use crate::{Error, ErrorKind, Result};

/// A question, and which documents may answer it.
///
/// `Debug` does not show what was asked.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// What is asked, in a person's words; at most [`MAX_TEXT_BYTES`](Self::MAX_TEXT_BYTES) bytes.
    pub text: String,
    /// Which documents may answer, by their metadata; all of the tenant's unless set.
    pub filter: Filter,
    /// How many passages are wanted at most; 8 unless set.
    pub limit: NonZeroUsize,
}

impl Question {
    /// The longest text of a question, in bytes.
    pub const MAX_TEXT_BYTES: usize = 32 << 10;

    /// Checks the length.
    pub(super) fn check(&self) -> Result<()> {
        let (is, most) = (self.text.len(), Self::MAX_TEXT_BYTES);
        if is <= most {
            return Ok(());
        }
        let why = format!("a question of {is} bytes is longer than the {most} that are searched");
        Err(Error::new(ErrorKind::InvalidInput, why))
    }

    /// Asks all documents for up to 8 passages.
    pub fn new(text: impl Into<String>) -> Self {
        let limit = NonZeroUsize::new(8).unwrap_or(NonZeroUsize::MIN);
        Self { text: text.into(), filter: everything(), limit }
    }

    /// Sets which documents may answer.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets how many passages are wanted.
    #[must_use]
    pub fn with_limit(mut self, limit: NonZeroUsize) -> Self {
        self.limit = limit;
        self
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("text_bytes", &self.text.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Which rankings are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// By meaning and by words.
    #[default]
    Hybrid,
    /// By meaning only.
    Dense,
    /// By words only.
    Lexical,
}

/// How the two rankings become one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fusion {
    /// By places, whatever the scores ([`fuse_rrf`](pumasi_core::text::fuse_rrf)).
    Rrf {
        /// How much lower places count; 60 in the literature.
        k: f32,
        /// How much the dense ranking counts, 0 to 1; the lexical one counts the rest.
        dense_weight: f32,
    },
    /// By scores, each ranking's brought to 0..=1 ([`fuse_min_max`](pumasi_core::text::fuse_min_max)).
    MinMax {
        /// How much the dense ranking counts, 0 to 1; the lexical one counts the rest.
        dense_weight: f32,
    },
}

impl Default for Fusion {
    /// By scores, half and half: better than places on 27 of the 29 sets for which the Pyserini project publishes both
    /// (`experiments-beir-fusion.md`, BM25 and bge-base-en-v1.5).
    ///
    /// That is for an embedder that knows what texts mean. With the hashing one, which knows words only, half is too much: give it
    /// a fifth, or ask by words ([`Mode::Lexical`]).
    fn default() -> Self {
        Self::MinMax { dense_weight: 0.5 }
    }
}

impl Fusion {
    /// Returns how much the dense ranking counts, 0 to 1; a half where that is no number.
    pub fn dense_weight(self) -> f32 {
        let (Self::Rrf { dense_weight, .. } | Self::MinMax { dense_weight }) = self;
        if dense_weight.is_nan() { 0.5 } else { dense_weight.clamp(0.0, 1.0) }
    }
}
