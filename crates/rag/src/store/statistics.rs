//! How terms are weighed, the same in every store.

use pumasi_core::text::Bm25;
use serde::{Deserialize, Serialize};

/// Fewer chunks than this are weighed by their mean length as it is now.
const SMALL: u64 = 64;

/// What of a tenant's chunks decides how much their terms weigh: how many there are, and how long they are in the mean.
///
/// The mean length is frozen, and taken anew only when the number of chunks has doubled or halved since: stores that hold weights
/// ready (as sparse vectors) then weigh all anew a few times in their life, and others weigh as they do. BM25 is not sensitive to
/// the drift between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Statistics {
    /// How many chunks there are.
    pub chunks: u64,
    /// How many terms they have together, repetitions counted.
    pub terms: u64,
    /// The mean length that terms are weighed by.
    pub mean_length: f32,
    /// How many chunks there were when it was taken.
    pub taken_at: u64,
}

impl Statistics {
    /// Makes statistics that a store has kept.
    pub const fn new(chunks: u64, terms: u64, mean_length: f32, taken_at: u64) -> Self {
        Self { chunks, terms, mean_length, taken_at }
    }

    /// Counts a chunk in that has this many terms.
    pub fn add(&mut self, length: u32) {
        self.chunks += 1;
        self.terms += u64::from(length);
    }

    /// Counts a chunk out that had this many terms.
    pub fn remove(&mut self, length: u32) {
        self.chunks = self.chunks.saturating_sub(1);
        self.terms = self.terms.saturating_sub(u64::from(length));
    }

    /// Takes the mean length anew where it is time to, and tells whether it is another: call it after each change.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a mean length needs the precision of f32 only"
    )]
    pub fn settle(&mut self) -> bool {
        let Self { chunks, taken_at, .. } = *self;
        if chunks >= SMALL && chunks < taken_at.saturating_mul(2) && chunks.saturating_mul(2) > taken_at {
            return false;
        }
        let mean = if chunks == 0 { 0.0 } else { (self.terms as f64 / chunks as f64) as f32 };
        let changed = mean.to_bits() != self.mean_length.to_bits();
        self.mean_length = mean;
        self.taken_at = chunks;
        changed
    }

    /// Returns the weight of a term that a chunk of `length` terms holds `count` times: one number of its sparse vector.
    pub fn document_weight(&self, count: u32, length: u32) -> f32 {
        Bm25::default().document_weight(count, length, self.mean_length)
    }

    /// Returns the weight of a term that a question has `frequency` times and `containing` chunks hold.
    pub fn query_weight(&self, frequency: u32, containing: u64) -> f32 {
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Bm25::query_weight(frequency, number(self.chunks), number(containing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_taken_anew_when_the_number_doubles_or_halves() {
        let mut statistics = Statistics::default();
        let mut taken = Vec::new();
        for length in 1..=1_000 {
            statistics.add(length);
            if statistics.settle() {
                taken.push(statistics.chunks);
            }
        }
        assert_eq!(taken.split_off(63), [126, 252, 504]);
        for length in 1..=800 {
            statistics.remove(length);
            if statistics.settle() {
                taken.push(statistics.chunks);
            }
        }
        assert_eq!(taken.split_off(63), [252]);
        assert!((statistics.mean_length - 874.5).abs() < 0.1, "{}", statistics.mean_length);
    }
}
