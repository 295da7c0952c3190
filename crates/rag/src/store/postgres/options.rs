//! How a store in PostgreSQL searches.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result, Space};

/// The most dimensions that pgvector keeps of a vector.
const MAX_DIMENSIONS: usize = 16_000;

/// Which index a search of many vectors asks.
///
/// Vectors themselves are kept whole whatever the index is, and what the index finds is scored by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VectorIndex {
    /// None: every vector that the filter admits is looked at, whatever their number. Exact.
    Exact,
    /// A graph (HNSW; Malkov and Yashunin, 2018) of the vectors as they are: up to 2,000 dimensions.
    Hnsw,
    /// A graph of vectors in half precision, of half the size: up to 4,000 dimensions, of numbers up to 65,504.
    HalfHnsw,
}

impl VectorIndex {
    /// Chooses the index of vectors of so many dimensions: the first of `Hnsw`, `HalfHnsw` and `Exact` that takes them.
    ///
    /// ```
    /// use pumasi_rag::store::VectorIndex;
    ///
    /// assert_eq!(VectorIndex::for_dimensions(384), VectorIndex::Hnsw);
    /// assert_eq!(VectorIndex::for_dimensions(3_072), VectorIndex::HalfHnsw);
    /// ```
    pub const fn for_dimensions(dimensions: usize) -> Self {
        match dimensions {
            ..=2_000 => Self::Hnsw,
            2_001..=4_000 => Self::HalfHnsw,
            _ => Self::Exact,
        }
    }

    /// Checks that the index takes vectors of this space, and that PostgreSQL does.
    pub(super) fn check(self, space: &Space) -> Result<()> {
        let most = match self {
            Self::Exact => MAX_DIMENSIONS,
            Self::Hnsw => 2_000,
            Self::HalfHnsw => 4_000,
        };
        if (1..=most).contains(&space.dimensions) {
            return Ok(());
        }
        let dimensions = space.dimensions;
        let message =
            format!("vectors of {dimensions} numbers do not fit `{self}`, which takes up to {most}");
        Err(Error::new(ErrorKind::InvalidInput, message))
    }

    /// The statement that makes it, if it is one; with `pgvector.` before what is the extension's, as in all statements.
    pub(super) fn create(self, dimensions: usize) -> Option<String> {
        let on = match self {
            Self::Exact => return None,
            Self::Hnsw => "embedding pgvector.vector_ip_ops".to_owned(),
            Self::HalfHnsw => format!("(embedding::pgvector.halfvec({dimensions})) pgvector.halfvec_ip_ops"),
        };
        Some(format!("CREATE INDEX pumasi_rag_chunk_near ON pumasi_rag_chunk USING hnsw ({on})"))
    }

    /// What is on the left of the distance that the index is asked by, and how the vector on the right is read, an array.
    pub(super) fn operands(self, dimensions: usize) -> (String, String) {
        match self {
            Self::HalfHnsw => (
                format!("c.embedding::pgvector.halfvec({dimensions})"),
                format!("::REAL[]::pgvector.vector({dimensions})::pgvector.halfvec({dimensions})"),
            ),
            Self::Exact | Self::Hnsw => ("c.embedding".to_owned(), "::REAL[]::pgvector.vector".to_owned()),
        }
    }
}

impl fmt::Display for VectorIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Hnsw => "hnsw",
            Self::HalfHnsw => "half_hnsw",
        })
    }
}

impl FromStr for VectorIndex {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Exact, Self::Hnsw, Self::HalfHnsw]
            .into_iter()
            .find(|index| index.to_string() == name)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "an index is `exact`, `hnsw` or `half_hnsw`"))
    }
}

/// How [`PostgresStore`](super::PostgresStore) searches vectors.
///
/// ```
/// use pumasi_rag::store::{PostgresOptions, VectorIndex};
///
/// let options = PostgresOptions::new().with_index(VectorIndex::HalfHnsw).with_exact_below(50_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    pub(super) index: Option<VectorIndex>,
    pub(super) exact_below: u64,
    pub(super) breadth: NonZeroU32,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { index: None, exact_below: 10_000, breadth: NonZeroU32::MIN.saturating_add(199) }
    }
}

impl PostgresOptions {
    /// Makes the options that hold unless others are set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the index. By itself new tables get the one [for their vectors](VectorIndex::for_dimensions), and others keep theirs.
    ///
    /// Tables with another index get this one when the store is opened, for which writers wait: some minutes where there are
    /// millions of vectors. Opening with [`Exact`](VectorIndex::Exact), putting all and opening with an index is faster than
    /// putting all into an index.
    #[must_use]
    pub fn with_index(mut self, index: VectorIndex) -> Self {
        self.index = Some(index);
        self
    }

    /// Sets how many chunks a search looks at one by one instead of asking the index; 10,000 unless set.
    ///
    /// A filter that admits no more than that, and a tenant that has no more, are searched exactly. Above, a filter that admits a
    /// small share of a large table makes the index look at many chunks in vain: a larger number may be faster then.
    #[must_use]
    pub fn with_exact_below(mut self, chunks: u64) -> Self {
        self.exact_below = chunks;
        self
    }

    /// Sets how many candidates the index keeps in view while it searches (`hnsw.ef_search`, up to 1,000); 200 unless set, and
    /// never less than what is wanted. More find more of the nearest, and take longer.
    #[must_use]
    pub fn with_breadth(mut self, candidates: NonZeroU32) -> Self {
        self.breadth = candidates;
        self
    }
}
