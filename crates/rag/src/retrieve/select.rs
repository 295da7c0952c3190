//! Which of the candidates are given back: newer ones first, each thing once, and not all the same.

use std::collections::HashSet;
use std::time::Duration;

use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Hit;
use crate::store::dot;

/// Of what a result has at most one passage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Distinct {
    /// Of each text: the same words in two documents are given once.
    Texts,
    /// Of each section too: whoever gives a model the sections gives each once.
    #[default]
    Sections,
    /// Of each document too.
    Documents,
}

/// How much less what was last true long ago counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decay {
    /// After how long it counts half.
    pub half_life: Duration,
}

impl Decay {
    /// Halves what counts after each `half_life`.
    pub const fn new(half_life: Duration) -> Self {
        Self { half_life }
    }

    /// Returns what a score is multiplied by, 0 to 1. A document that does not say when it was true counts in full.
    pub fn factor(&self, updated_at: Option<Timestamp>, now: Timestamp) -> f32 {
        let Some(updated_at) = updated_at else { return 1.0 };
        let age = now.saturating_since(updated_at).as_secs_f32();
        let half = self.half_life.as_secs_f32().max(f32::MIN_POSITIVE);
        (-age / half).exp2()
    }
}

/// Leaves out what is there already; the first stays.
pub(super) fn distinct(hits: Vec<Hit>, distinct: Distinct) -> Vec<Hit> {
    let (mut texts, mut places) = (HashSet::new(), HashSet::new());
    hits.into_iter()
        .filter(|hit| {
            let passage = &hit.passage;
            let words: String = passage.text.split_whitespace().collect::<Vec<_>>().join(" ");
            let place = match distinct {
                Distinct::Texts => (passage.document.id.clone(), passage.span),
                Distinct::Sections => (passage.document.id.clone(), passage.section_span),
                Distinct::Documents => (passage.document.id.clone(), pumasi_core::text::Span::default()),
            };
            // both are noted, whatever comes of it
            let (new_text, new_place) = (texts.insert(words), places.insert(place));
            new_text && new_place
        })
        .collect()
}

/// Orders hits so that each is relevant and unlike those before it (maximal marginal relevance).
///
/// Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking" (SIGIR 1998), with relevance brought to 0..=1 and vectors'
/// inner products as likeness.
pub(super) fn diversify(hits: Vec<Hit>, diversity: f32, limit: usize) -> Vec<Hit> {
    let low = hits.iter().map(|hit| hit.score).fold(f32::INFINITY, f32::min);
    let high = hits.iter().map(|hit| hit.score).fold(f32::NEG_INFINITY, f32::max);
    let relevance = |hit: &Hit| if high > low { (hit.score - low) / (high - low) } else { 1.0 };
    // how like each is to the likest of those that are chosen
    let mut left: Vec<(Hit, f32)> = hits.into_iter().map(|hit| (hit, 0.0)).collect();
    let mut chosen: Vec<Hit> = Vec::with_capacity(limit.min(left.len()));
    while chosen.len() < limit {
        let value = |(hit, likeness): &(Hit, f32)| (1.0 - diversity) * relevance(hit) - diversity * likeness;
        let mut best: Option<(usize, f32)> = None;
        for (at, candidate) in left.iter().enumerate() {
            let value = value(candidate);
            if best.is_none_or(|(_, before)| value > before) {
                best = Some((at, value));
            }
        }
        let Some((at, _)) = best else { break };
        let (hit, _) = left.remove(at);
        for (other, likeness) in &mut left {
            *likeness = likeness.max(dot(&hit.passage.embedding, &other.passage.embedding));
        }
        chosen.push(hit);
    }
    chosen
}
