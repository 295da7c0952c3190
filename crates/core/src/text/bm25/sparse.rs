//! Terms as sparse vectors, for engines that multiply vectors but know no BM25.

use std::collections::BTreeMap;

use super::Bm25;
use crate::text::{Analyzer, TokenKind};

/// How many term numbers there are: what pgvector's `sparsevec` can hold.
const SPACE: u32 = 1_000_000_000;

/// Returns the number that stands for `term` in a [`SparseVector`]: the same on every machine and in every version.
///
/// FNV-1a (64 bits, folded), below 1,000,000,000. Two of a million terms share a number about once in two thousand.
pub fn term_id(term: &str) -> u32 {
    let hash = term.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    u32::try_from((hash ^ (hash >> 32)) % u64::from(SPACE)).unwrap_or_default()
}

/// Weights of terms by [`term_id`], in order of the ids and without duplicates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseVector {
    /// The ids of the terms, growing.
    pub indices: Vec<u32>,
    /// The weight of each.
    pub values: Vec<f32>,
}

impl SparseVector {
    /// Returns the weights of a document's terms, given the mean number of terms of all documents.
    ///
    /// The mean may be frozen for a generation of an index: BM25 is not sensitive to its drift.
    pub fn document(text: &str, analyzer: &Analyzer, bm25: Bm25, mean_length: f32) -> Self {
        let counts = counts(text, analyzer);
        let length = counts.values().fold(0, |sum: u32, count| sum.saturating_add(*count));
        Self::from_weights(counts, |_, count| bm25.document_weight(count, length, mean_length))
    }

    /// Returns the weights of a query's terms; `containing` tells how many of `documents` documents hold a term.
    pub fn query(
        text: &str,
        analyzer: &Analyzer,
        documents: usize,
        containing: impl Fn(u32) -> usize,
    ) -> Self {
        Self::from_weights(counts(text, analyzer), |id, count| {
            Bm25::query_weight(count, documents, containing(id))
        })
    }

    /// Returns how often a text holds each of its terms, by [`term_id`], in order of the ids: what engines keep that weigh
    /// the terms later, when the mean length is known.
    ///
    /// Function words count only where there is nothing else, as in the vectors.
    pub fn counts(text: &str, analyzer: &Analyzer) -> Vec<(u32, u32)> {
        counts(text, analyzer).into_iter().collect()
    }

    fn from_weights(counts: BTreeMap<u32, u32>, weight: impl Fn(u32, u32) -> f32) -> Self {
        let values = counts.iter().map(|(&id, &count)| weight(id, count)).collect();
        Self { indices: counts.into_keys().collect(), values }
    }

    /// Returns the sum of the products of the weights that both vectors have.
    pub fn dot(&self, other: &Self) -> f32 {
        let mut right = other.indices.iter().zip(&other.values).peekable();
        let mut sum = 0.0;
        for (index, value) in self.indices.iter().zip(&self.values) {
            while right.next_if(|(id, _)| *id < index).is_some() {}
            if let Some((_, weight)) = right.next_if(|(id, _)| *id == index) {
                sum += value * weight;
            }
        }
        sum
    }
}

/// Counts the terms of a text as indexes do: function words only where there is nothing else.
fn counts(text: &str, analyzer: &Analyzer) -> BTreeMap<u32, u32> {
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    let mut stops: BTreeMap<u32, u32> = BTreeMap::new();
    analyzer.for_each(text, |token| {
        let into = if token.kind == TokenKind::Stop { &mut stops } else { &mut counts };
        *into.entry(term_id(token.text)).or_default() += 1;
    });
    if counts.is_empty() { stops } else { counts }
}
