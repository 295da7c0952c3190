//! In which order documents are found.

use std::ops::RangeInclusive;
use std::time::Duration;

use pumasi_core::filter::{Field, FieldPath, Filter, Ordered};
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::MAX_SORTS;
use crate::schema::{FieldKind, FieldType, Schema};
use crate::{Error, ErrorKind, Result};

/// What a weight may be: sums of such stay far within an `f32` on every engine.
const WEIGHTS: RangeInclusive<f32> = 0.0..=1_000_000.0;

/// One key that documents are sorted by. Documents without the field come last in either direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sort {
    /// Which field.
    pub field: String,
    /// Whether the greatest value comes first.
    pub descending: bool,
}

impl Sort {
    /// Sorts by a field, the smallest value first.
    pub fn ascending<T: Ordered + FieldType>(field: &Field<T>) -> Self {
        Self { field: field.path().as_str().to_owned(), descending: false }
    }

    /// Sorts by a field, the greatest value first.
    pub fn descending<T: Ordered + FieldType>(field: &Field<T>) -> Self {
        Self { field: field.path().as_str().to_owned(), descending: true }
    }

    /// Sorts by a field that is known at run time only, the smallest value first.
    pub fn ascending_at(field: &FieldPath) -> Self {
        Self { field: field.as_str().to_owned(), descending: false }
    }

    /// Sorts by a field that is known at run time only, the greatest value first.
    pub fn descending_at(field: &FieldPath) -> Self {
        Self { field: field.as_str().to_owned(), descending: true }
    }

    pub(crate) fn path(&self) -> FieldPath {
        FieldPath::new(self.field.clone())
    }
}

/// How much a number of the document's counts: likes, views, an attendance.
///
/// It adds `weight × ln(1 + value)`; nothing where the field is missing or below zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Popularity {
    /// Which field, a number.
    pub field: String,
    /// How much it counts.
    pub weight: f32,
}

/// How much a moment of the document's counts: when it was written.
///
/// It adds `weight × 2^(-age / half_life)`: all of the weight for what is new or in the future, half of it after one half-life;
/// nothing where the field is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decay {
    /// Which field, a moment.
    pub field: String,
    /// How much it counts.
    pub weight: f32,
    /// After how long half is left.
    pub half_life: Duration,
    /// From when on ages are counted. A cursor carries it on, so that all pages of a walk count alike.
    pub now: Timestamp,
}

/// Text score, popularity and time made one.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::filter::Field;
/// use pumasi_core::time::Timestamp;
/// use pumasi_search::{Fusion, Rank};
///
/// const LIKES: Field<i64> = Field::new("likes");
/// const CREATED: Field<Timestamp> = Field::new("created_at");
///
/// let now: Timestamp = "2026-11-26T12:00:00Z".parse()?;
/// let week = Duration::from_secs(7 * 86_400);
/// let rank = Rank::Fused(Fusion::weighted().with_popularity(&LIKES, 0.3).with_decay(&CREATED, 2.0, week, now));
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fusion {
    /// How much the text score counts.
    pub text: f32,
    /// What else counts, as a number.
    pub popularity: Vec<Popularity>,
    /// What else counts, as a moment.
    pub decay: Vec<Decay>,
    /// Whether ranks are added up instead of scores: reciprocal rank fusion with this `k`, among the best [`window`](Self::window)
    /// texts.
    pub rrf: Option<f32>,
    /// How many of the best texts take part where ranks are added up; pages end there.
    pub window: usize,
}

impl Fusion {
    /// Adds up scores: `text score + Σ popularity + Σ decay`, each by its weight.
    pub const fn weighted() -> Self {
        Self { text: 1.0, popularity: Vec::new(), decay: Vec::new(), rrf: None, window: 1_000 }
    }

    /// Adds up reciprocal ranks: `Σ weight / (60 + rank)` over the rankings by text, by popularity and by time, of the 1,000
    /// best texts (Cormack, Clarke and Büttcher, SIGIR 2009).
    ///
    /// Robust, since scores need not be comparable; what is not among the best texts is not found.
    pub fn rrf() -> Self {
        Self { rrf: Some(60.0), ..Self::weighted() }
    }

    /// Sets how much the text score counts, 1 by default.
    #[must_use]
    pub const fn with_text(mut self, weight: f32) -> Self {
        self.text = weight;
        self
    }

    /// Lets a number count.
    #[must_use]
    pub fn with_popularity<T: Ordered + FieldType>(mut self, field: &Field<T>, weight: f32) -> Self {
        self.popularity.push(Popularity { field: field.path().as_str().to_owned(), weight });
        self
    }

    /// Lets a moment count.
    #[must_use]
    pub fn with_decay(
        mut self,
        field: &Field<Timestamp>,
        weight: f32,
        half_life: Duration,
        now: Timestamp,
    ) -> Self {
        self.decay.push(Decay { field: field.path().as_str().to_owned(), weight, half_life, now });
        self
    }

    /// Sets how many of the best texts take part where ranks are added up; at most 10,000.
    #[must_use]
    pub const fn with_window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }
}

/// In which order documents are found. Equals are always ordered by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rank {
    /// By how well the text matches (BM25).
    #[default]
    Text,
    /// By fields; none of them means by id.
    Fields(Vec<Sort>),
    /// By text, popularity and time together.
    Fused(Fusion),
}

impl Rank {
    /// Sorts by fields, the first one first; at most [`MAX_SORTS`].
    pub fn sorted(keys: impl IntoIterator<Item = Sort>) -> Self {
        Self::Fields(keys.into_iter().collect())
    }

    /// Tells whether the order depends on scores.
    pub(crate) const fn needs_scores(&self) -> bool {
        !matches!(self, Self::Fields(_))
    }

    pub(super) fn check(&self, schema: &Schema) -> Result<()> {
        let invalid = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        let kind = |field: &str| schema.kind(&FieldPath::new(field.to_owned()));
        match self {
            Self::Text => Ok(()),
            Self::Fields(sorts) => {
                if sorts.len() > MAX_SORTS {
                    return invalid("documents are sorted by more than three keys".to_owned());
                }
                match sorts.iter().find(|sort| !kind(&sort.field).is_some_and(FieldKind::is_sortable)) {
                    Some(sort) => invalid(format!("{} is not a field that can be sorted by", sort.field)),
                    None => Ok(()),
                }
            }
            Self::Fused(fusion) => {
                let weights = fusion.popularity.iter().map(|part| part.weight);
                let weights = weights.chain(fusion.decay.iter().map(|part| part.weight));
                if !weights.chain([fusion.text]).all(|weight| WEIGHTS.contains(&weight)) {
                    return invalid("a weight of the fusion is not from 0 to 1,000,000".to_owned());
                }
                if fusion.window == 0 || fusion.window > super::MAX_LIMIT {
                    return invalid("the fusion's window is not of 1 to 10,000 documents".to_owned());
                }
                if !fusion.rrf.is_none_or(|k| k.is_finite() && k >= 0.0) {
                    return invalid("the fusion's k is negative or no number".to_owned());
                }
                if fusion.decay.iter().any(|part| part.half_life.is_zero()) {
                    return invalid("a half-life of the fusion is zero".to_owned());
                }
                let number = |part: &&Popularity| {
                    !matches!(kind(&part.field), Some(FieldKind::Int | FieldKind::Float))
                };
                if let Some(part) = fusion.popularity.iter().find(number) {
                    return invalid(format!("{} is not a number that could count as popularity", part.field));
                }
                match fusion.decay.iter().find(|part| kind(&part.field) != Some(FieldKind::Time)) {
                    Some(part) => invalid(format!("{} is not a moment that could decay", part.field)),
                    None => Ok(()),
                }
            }
        }
    }
}

/// What makes some documents count more: it adds to the score of those that the filter holds of, and finds nothing by itself.
///
/// It counts where the order is by scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Boost {
    /// Which documents.
    pub filter: Filter,
    /// How much is added.
    pub weight: f32,
}

impl Boost {
    /// Adds `weight` to the score of what the filter holds of.
    pub const fn new(filter: Filter, weight: f32) -> Self {
        Self { filter, weight }
    }

    pub(super) fn check(&self, schema: &Schema) -> Result<()> {
        if !WEIGHTS.contains(&self.weight) {
            return Err(Error::new(ErrorKind::InvalidInput, "a boost's weight is not from 0 to 1,000,000"));
        }
        schema.check_filter(&self.filter)
    }
}
