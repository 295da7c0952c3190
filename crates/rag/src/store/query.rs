//! What a store is asked, and what it answers.

use std::fmt;

use pumasi_core::filter::Filter;
use pumasi_core::model::Embedding;
use serde::{Deserialize, Serialize};

use super::Space;
use crate::chunk::ChunkId;
use crate::{Error, ErrorKind, Result};

/// What a store is asked: a vector, terms, or both.
///
/// `Debug` shows sizes, never the terms of somebody's question.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct StoreQuery {
    /// The vector that chunks should be near; empty for none.
    pub embedding: Embedding,
    /// The terms that chunks should hold and how often the question has them, in order of their ids; empty for none.
    pub terms: Vec<(u32, u32)>,
    /// Which documents may be found.
    pub filter: Filter,
    /// How many chunks each ranking has, at most.
    pub depth: usize,
}

impl StoreQuery {
    /// Makes a query for the `depth` best chunks of all documents.
    pub fn new(depth: usize) -> Self {
        Self { embedding: Embedding::new(), terms: Vec::new(), filter: super::everything(), depth }
    }

    /// Asks for chunks near a vector.
    #[must_use]
    pub fn with_embedding(mut self, embedding: Embedding) -> Self {
        self.embedding = embedding;
        self
    }

    /// Asks for chunks that hold terms.
    #[must_use]
    pub fn with_terms(mut self, terms: Vec<(u32, u32)>) -> Self {
        self.terms = terms;
        self
    }

    /// Sets which documents may be found.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Checks that a store of `space` can be asked this; stores call it first.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, saying what is wrong.
    pub fn check(&self, space: &Space) -> Result<()> {
        self.filter.validate()?;
        if !self.embedding.is_empty() {
            space.check(&self.embedding)?;
        }
        if !self.terms.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(Error::new(ErrorKind::InvalidInput, "the terms of a query are not in order"));
        }
        Ok(())
    }
}

impl fmt::Debug for StoreQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreQuery")
            .field("dimensions", &self.embedding.len())
            .field("terms", &self.terms.len())
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// A chunk and how well it answers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Scored {
    /// Which chunk.
    pub id: ChunkId,
    /// An inner product, or a sum of BM25 weights.
    pub score: f32,
}

impl Scored {
    /// Makes a place of a ranking.
    pub const fn new(id: ChunkId, score: f32) -> Self {
        Self { id, score }
    }

    /// Orders by score, best first, and then by id; keeps the first `depth`.
    pub fn best(mut all: Vec<Self>, depth: usize) -> Vec<Self> {
        let order = |a: &Self, b: &Self| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id));
        if depth > 0 && depth < all.len() {
            all.select_nth_unstable_by(depth - 1, order);
        }
        all.truncate(depth);
        all.sort_unstable_by(order);
        all
    }
}

/// What was found: a ranking for each thing that was asked for, best first.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The nearest chunks, by inner product.
    pub dense: Vec<Scored>,
    /// The chunks with the weightiest terms; those without any of them are not in it.
    pub lexical: Vec<Scored>,
    /// How much each of the question's terms weighs in this tenant's knowledge, in their order: its inverse document frequency,
    /// times how often the question has it. What share of all of it a chunk holds tells how much of the question it speaks of.
    pub term_weights: Vec<f32>,
    /// The tenant's [version](super::Store::version) of that moment.
    pub version: u64,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// How many documents.
    pub documents: u64,
    /// How many chunks they have.
    pub chunks: u64,
}

impl Counts {
    /// Makes counts.
    pub const fn new(documents: u64, chunks: u64) -> Self {
        Self { documents, chunks }
    }
}
