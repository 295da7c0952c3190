//! What one wording of a question found.

use std::collections::{HashMap, HashSet};

use pumasi_core::text::{Analyzer, SparseVector, TokenKind, term_id};

use super::{Evidence, Explanation, Place};
use crate::chunk::{ChunkId, readable};
use crate::store::{Found, Passage, Scored, StoreQuery};

/// What was found for a wording.
pub(super) struct Searched {
    words: Words,
    /// The rankings made one.
    pub(super) order: Vec<Scored>,
    dense: HashMap<ChunkId, Place>,
    lexical: HashMap<ChunkId, Place>,
    pub(super) version: u64,
}

impl Searched {
    pub(super) fn new(
        text: &str,
        analyzer: &Analyzer,
        query: &StoreQuery,
        found: &Found,
        order: Vec<Scored>,
    ) -> Self {
        let words = Words::of(text, analyzer, query, found);
        let (dense, lexical) = (places(&found.dense), places(&found.lexical));
        Self { words, order, dense, lexical, version: found.version }
    }

    /// Says why a passage is there that holds these terms.
    pub(super) fn explain(&self, passage: ChunkId, held: &HashSet<u32>) -> Explanation {
        let words = &self.words;
        let there = || words.terms.iter().filter(|(term, ..)| held.contains(term));
        let weight = there().fold(0.0, |sum, (_, _, weight)| sum + weight);
        Explanation {
            dense: self.dense.get(&passage).copied(),
            lexical: self.lexical.get(&passage).copied(),
            reworded: None,
            coverage: if words.total > 0.0 { weight / words.total } else { 0.0 },
            words: there().map(|(_, word, _)| word.clone()).filter(|word| !word.is_empty()).collect(),
        }
    }
}

/// How much a passage shows.
pub(super) fn evidence(why: &Explanation) -> Evidence {
    Evidence { coverage: why.coverage, similarity: why.dense.map_or(0.0, |place| place.score) }
}

/// The terms of a passage, as they stand in the index.
pub(super) fn held(passage: &Passage, analyzer: &Analyzer) -> HashSet<u32> {
    let read = readable(&passage.place(), &passage.text);
    SparseVector::counts(&read, analyzer).into_iter().map(|(term, _)| term).collect()
}

/// Where each chunk stands in a ranking.
pub(super) fn places(ranking: &[Scored]) -> HashMap<ChunkId, Place> {
    let place = |(at, scored): (usize, &Scored)| (scored.id, Place { rank: at + 1, score: scored.score });
    ranking.iter().enumerate().map(place).collect()
}

/// The words of a question with their weights.
struct Words {
    /// A term, as it stands in the index, once each; and its weight.
    terms: Vec<(u32, String, f32)>,
    total: f32,
}

impl Words {
    fn of(question: &str, analyzer: &Analyzer, query: &StoreQuery, found: &Found) -> Self {
        let weights: HashMap<u32, f32> =
            query.terms.iter().map(|(term, _)| *term).zip(found.term_weights.iter().copied()).collect();
        let mut seen = HashSet::new();
        let mut terms = Vec::new();
        analyzer.for_each(question, |token| {
            let term = term_id(token.text);
            let Some(weight) = weights.get(&term) else { return };
            if !seen.insert(term) {
                return;
            }
            // pieces of words count, and are not told of
            let shown = if token.kind == TokenKind::Bigram { String::new() } else { token.text.to_owned() };
            terms.push((term, shown, *weight));
        });
        Self { terms, total: weights.values().sum() }
    }
}
