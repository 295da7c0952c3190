//! BM25: how much a term says about a document.

mod index;
mod sparse;

pub use index::{Bm25Index, Hit};
pub use sparse::{SparseVector, term_id};

/// The BM25 weighting function and its two constants.
///
/// Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the inverse document
/// frequency of Lucene's `BM25Similarity`, which is never negative: `ln(1 + (N - n + 0.5) / (n + 0.5))`.
///
/// A score is the sum over the query's terms of [`query_weight`](Self::query_weight) times
/// [`document_weight`](Self::document_weight), so the two halves can be stored as sparse vectors and multiplied by any
/// engine: corpus statistics stand on the query's side only, but for the mean length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25 {
    /// How fast repeating a term stops to matter; 0 ignores repetition.
    pub k1: f32,
    /// How much long documents are held back, from 0 (not at all) to 1 (in full).
    pub b: f32,
}

impl Default for Bm25 {
    /// `k1 = 1.2`, `b = 0.75`.
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

impl Bm25 {
    /// Returns the inverse document frequency of a term that `containing` of `documents` documents contain.
    pub fn idf(documents: usize, containing: usize) -> f32 {
        let documents = as_f64(documents.max(containing));
        let containing = as_f64(containing);
        narrow((1.0 + (documents - containing + 0.5) / (containing + 0.5)).ln())
    }

    /// Returns the weight of a term that occurs `frequency` times in a document of `length` terms, given the mean
    /// length of all documents.
    pub fn document_weight(self, frequency: u32, length: u32, mean_length: f32) -> f32 {
        let frequency = narrow(f64::from(frequency));
        let relative = if mean_length > 0.0 { narrow(f64::from(length)) / mean_length } else { 1.0 };
        frequency * (self.k1 + 1.0) / (frequency + self.k1 * (1.0 - self.b + self.b * relative))
    }

    /// Returns the weight of a term that occurs `frequency` times in the query.
    pub fn query_weight(frequency: u32, documents: usize, containing: usize) -> f32 {
        narrow(f64::from(frequency)) * Self::idf(documents, containing)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^53 do not occur, and a score needs no such precision"
)]
const fn as_f64(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a score needs the precision of f32 only")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_lucene_on_a_worked_example() {
        // org.apache.lucene.search.similarities.BM25Similarity: idf for 2 of 10 documents
        assert!((Bm25::idf(10, 2) - 1.481_604_5).abs() < 1e-5);
        // frequency 3 in a document of mean length, k1 = 1.2: 3 * 2.2 / (3 + 1.2)
        assert!((Bm25::default().document_weight(3, 10, 10.0) - 1.571_428_6).abs() < 1e-6);
    }

    #[test]
    fn weights_are_finite_and_never_negative() {
        for (documents, containing) in [(0, 0), (1, 1), (5, 9), (usize::MAX, 1)] {
            let idf = Bm25::idf(documents, containing);
            assert!(idf.is_finite() && idf >= 0.0);
        }
        assert!(Bm25::default().document_weight(1, 0, 0.0).is_finite());
    }
}
