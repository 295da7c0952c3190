//! When nothing that was found is relevant.

use serde::{Deserialize, Serialize};

/// How much a result has to show to count as relevant: enough of the question's words in one passage, or enough closeness.
///
/// Both depend on the embedder and on how people ask, so they are [calibrated](Self::calibrate) on questions of which it is known
/// whether the knowledge answers them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Threshold {
    /// The least [share of the question](super::Explanation::coverage) that a passage speaks of; above 1 it is never enough.
    pub coverage: f32,
    /// The least inner product of a passage's vector with the question's; above 1 it is never enough.
    pub similarity: f32,
}

/// What a question found, and whether the knowledge answers it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The [evidence](super::Retrieved::evidence) that was found.
    pub evidence: Evidence,
    /// Whether the knowledge answers the question.
    pub answerable: bool,
}

/// How much the best of what was found shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The largest share of the question that one passage speaks of, 0 to 1.
    pub coverage: f32,
    /// The largest inner product of a passage's vector with the question's; 0 where vectors were not asked.
    pub similarity: f32,
}

impl Evidence {
    /// Takes over what another passage or wording shows more of.
    pub(super) fn take(&mut self, other: Self) {
        self.coverage = self.coverage.max(other.coverage);
        self.similarity = self.similarity.max(other.similarity);
    }
}

impl Default for Threshold {
    /// Everything that was found counts.
    fn default() -> Self {
        Self { coverage: 0.0, similarity: 0.0 }
    }
}

impl Threshold {
    /// Sets the least share of the question, and the least inner product.
    pub const fn new(coverage: f32, similarity: f32) -> Self {
        Self { coverage, similarity }
    }

    /// Tells whether the evidence is enough.
    pub fn admits(&self, evidence: Evidence) -> bool {
        evidence.coverage >= self.coverage || evidence.similarity >= self.similarity
    }

    /// Finds the threshold that tells answerable questions from others best: the largest mean of the shares of both that are told right.
    /// Of equally good ones the strictest. Both kinds of questions must be among them; otherwise everything counts.
    ///
    /// ```
    /// use pumasi_rag::retrieve::{Evidence, Observation, Threshold};
    ///
    /// let seen = |coverage, similarity, answerable| Observation { evidence: Evidence { coverage, similarity }, answerable };
    /// let threshold = Threshold::calibrate(&[
    ///     seen(0.8, 0.3, true),
    ///     seen(0.4, 0.7, true),
    ///     seen(0.4, 0.3, false),
    ///     seen(0.1, 0.5, false),
    /// ]);
    /// assert!(threshold.admits(Evidence { coverage: 0.9, similarity: 0.2 }));
    /// assert!(!threshold.admits(Evidence { coverage: 0.3, similarity: 0.4 }));
    /// ```
    pub fn calibrate(observations: &[Observation]) -> Self {
        let steps = |of: fn(&Evidence) -> f32| {
            let mut steps: Vec<f32> = observations.iter().map(|seen| of(&seen.evidence)).collect();
            steps.push(f32::INFINITY);
            steps.sort_by(f32::total_cmp);
            steps.dedup();
            // a few hundred steps tell as much as all
            let stride = steps.len().div_ceil(256).max(1);
            steps.into_iter().rev().step_by(stride).collect::<Vec<f32>>()
        };
        let (coverages, similarities) = (steps(|seen| seen.coverage), steps(|seen| seen.similarity));
        let share = |threshold: Self, answerable: bool| {
            let (mut right, mut all) = (0_u32, 0_u32);
            for seen in observations.iter().filter(|seen| seen.answerable == answerable) {
                all += 1;
                right += u32::from(threshold.admits(seen.evidence) == answerable);
            }
            (all > 0).then(|| f64::from(right) / f64::from(all))
        };
        let mut best = (0.0, Self::default());
        for coverage in coverages {
            for similarity in &similarities {
                let threshold = Self { coverage, similarity: *similarity };
                let (Some(answered), Some(refused)) = (share(threshold, true), share(threshold, false))
                else {
                    return Self::default();
                };
                if answered + refused > best.0 {
                    best = (answered + refused, threshold);
                }
            }
        }
        best.1
    }
}
