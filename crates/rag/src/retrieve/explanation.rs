//! Why a passage is there.

use std::fmt;

/// Where a passage stands in one ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Place {
    /// The rank, from 1.
    pub rank: usize,
    /// The score: an inner product, a sum of BM25 weights, or what both were made of.
    pub score: f32,
}

/// Why a passage is there.
///
/// `Debug` does not show the question's words; `Display` does.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// Its place among the nearest; `None` if it is not among those looked at.
    pub dense: Option<Place>,
    /// Its place among those with the question's words; `None` if it is not among those looked at.
    pub lexical: Option<Place>,
    /// Its best place among what the question's other [wordings](super::MultiQuery) found; `None` if there are none, or it is not there.
    pub reworded: Option<Place>,
    /// What share of the question it speaks of, by the weight of its terms: 0 to 1.
    pub coverage: f32,
    /// The question's words that it has, as stems, in the question's order.
    pub words: Vec<String>,
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explanation")
            .field("dense", &self.dense)
            .field("lexical", &self.lexical)
            .field("reworded", &self.reworded)
            .field("coverage", &self.coverage)
            .field("words", &self.words.len())
            .finish()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dense {
            Some(Place { rank, score }) => write!(f, "near #{rank} ({score:.3})")?,
            None => f.write_str("not near")?,
        }
        match self.lexical {
            Some(Place { rank, score }) => write!(f, ", words #{rank} ({score:.2})")?,
            None => f.write_str(", no words")?,
        }
        if let Some(Place { rank, .. }) = self.reworded {
            write!(f, ", reworded #{rank}")?;
        }
        write!(f, ", {:.0} % of the question", f64::from(self.coverage) * 100.0)?;
        if !self.words.is_empty() {
            write!(f, ": {}", self.words.join(", "))?;
        }
        Ok(())
    }
}
