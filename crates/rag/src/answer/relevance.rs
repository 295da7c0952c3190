//! Whether what was found speaks of the question at all.

use super::check::coverage;
use crate::retrieve::Hit;

/// How much of a question a passage must speak of to be answered from.
///
/// It stands behind the retriever's own [`Threshold`](crate::retrieve::Threshold), which can be calibrated for an embedder and lets
/// everything pass unless set; with a calibrated one, `Relevance::default().with_min_coverage(0.0)` leaves the decision to it.
///
/// What a question asks for are its words without those that every question has. A passage speaks of them by having them, in any
/// form; those in its title or headings count half as much again. One that lacks the kind of number that is asked for, such as a price
/// or an hour, counts less. A vector's closeness can stand for words, where the embedder is good enough and its scale is known: there is no such number
/// that fits all embedders, so none is set.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Relevance {
    /// The share of the question that the best passage must have, 0 to 1; 0.55 unless set. 0 answers from whatever was found.
    pub min_coverage: f32,
    /// The inner product from which a passage is relevant whatever its words; never unless set.
    pub min_similarity: f32,
}

impl Default for Relevance {
    fn default() -> Self {
        Self { min_coverage: 0.55, min_similarity: f32::INFINITY }
    }
}

impl Relevance {
    /// Sets the share of the question that the best passage must have.
    #[must_use]
    pub const fn with_min_coverage(mut self, share: f32) -> Self {
        self.min_coverage = share;
        self
    }

    /// Sets the inner product from which a passage is relevant whatever its words.
    #[must_use]
    pub const fn with_min_similarity(mut self, similarity: f32) -> Self {
        self.min_similarity = similarity;
        self
    }

    /// Keeps what is worth reading: nothing unless one passage is relevant, and then those that have at least half as much of the
    /// question as the best. A passage that speaks of one of the question's wordings speaks of the question.
    pub(super) fn keep<'q>(&self, wordings: impl IntoIterator<Item = &'q str>, hits: Vec<Hit>) -> Vec<Hit> {
        let is_near = |hit: &Hit| hit.why.dense.is_some_and(|place| place.score >= self.min_similarity);
        let mut shares = vec![0.0_f32; hits.len()];
        for wording in wordings {
            let passages = hits.iter().map(|hit| (hit.passage.place(), hit.passage.section_text.as_str()));
            for (best, share) in shares.iter_mut().zip(coverage(wording, passages)) {
                *best = best.max(share);
            }
        }
        let scored: Vec<(f32, bool, Hit)> =
            shares.into_iter().zip(hits).map(|(share, hit)| (share, is_near(&hit), hit)).collect();
        let best = scored.iter().map(|(share, ..)| *share).fold(0.0, f32::max);
        let is_relevant = best >= self.min_coverage || scored.iter().any(|(_, is_near, _)| *is_near);
        if !is_relevant {
            return Vec::new();
        }
        let keeps = |(share, is_near, hit): (f32, bool, Hit)| (is_near || share * 2.0 >= best).then_some(hit);
        scored.into_iter().filter_map(keeps).collect()
    }
}
