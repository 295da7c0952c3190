//! The order that every engine agrees on: what a document is sorted by, and what a number or a moment adds to a score.

use std::cmp::Ordering;

use pumasi_core::filter::FieldPath;
use pumasi_core::time::Timestamp;
use serde_json::Value as Json;

use crate::page::{Explanation, Key};
use crate::query::{Decay, Fusion, Popularity, Sort};
use crate::schema::{FieldKind, Schema, value_at};

/// Returns what stands in a field, as a sort key.
pub(crate) fn key_of(kind: Option<FieldKind>, source: &Json, path: &FieldPath) -> Key {
    let Some(value) = value_at(source, path) else { return Key::Missing };
    let key = match kind {
        Some(FieldKind::Bool) => value.as_bool().map(Key::Bool),
        Some(FieldKind::Int) => value.as_i64().map(Key::Int),
        Some(FieldKind::Float) => value.as_f64().map(Key::float),
        Some(FieldKind::Time) => moment(value).map(|time| Key::Int(time.as_micros())),
        Some(FieldKind::Keyword) => value.as_str().map(|text| Key::Text(text.to_owned())),
        _ => None,
    };
    key.unwrap_or(Key::Missing)
}

/// Returns what a document is sorted by.
pub(crate) fn keys_of(schema: &Schema, sorts: &[Sort], source: &Json) -> Vec<Key> {
    sorts
        .iter()
        .map(|sort| {
            let path = sort.path();
            key_of(schema.kind(&path), source, &path)
        })
        .collect()
}

/// Orders two documents by their keys, and by their ids where those are equal.
pub(crate) fn compare(sorts: &[Sort], a: (&[Key], &str), b: (&[Key], &str)) -> Ordering {
    let mut keys = a.0.iter().zip(b.0).zip(sorts);
    keys.find_map(|((a, b), sort)| Some(a.compare(b, sort.descending)).filter(|order| order.is_ne()))
        .unwrap_or_else(|| a.1.as_bytes().cmp(b.1.as_bytes()))
}

fn moment(value: &Json) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// Returns what a number adds to a score.
#[expect(clippy::cast_possible_truncation, reason = "a score needs the precision of f32 only")]
pub(crate) fn popularity(part: &Popularity, value: Option<f64>) -> f32 {
    value.filter(|value| *value > 0.0).map_or(0.0, |value| part.weight * value.ln_1p() as f32)
}

/// Returns what a moment, in microseconds, adds to a score.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "an age needs no microseconds, a score the precision of f32 only"
)]
pub(crate) fn decay(part: &Decay, micros: Option<i64>) -> f32 {
    micros.map_or(0.0, |micros| {
        let age = part.now.as_micros().saturating_sub(micros).max(0) as f64 / 1e6;
        part.weight * (-age / part.half_life.as_secs_f64()).exp2() as f32
    })
}

/// Returns what all of a document's numbers and moments add to a score, with their names.
pub(crate) fn additions<'f>(fusion: &'f Fusion, source: &Json) -> Vec<(&'f str, f32)> {
    let numbers = fusion.popularity.iter().map(|part| {
        let value = value_at(source, &FieldPath::new(part.field.clone())).and_then(Json::as_f64);
        (part.field.as_str(), popularity(part, value))
    });
    let moments = fusion.decay.iter().map(|part| {
        let value = value_at(source, &FieldPath::new(part.field.clone())).and_then(moment);
        (part.field.as_str(), decay(part, value.map(Timestamp::as_micros)))
    });
    numbers.chain(moments).collect()
}

/// A document that takes part in a fusion of ranks: its text score, and what its numbers and moments add.
pub(crate) struct Candidate<'a> {
    pub(crate) id: &'a str,
    pub(crate) text: f32,
    pub(crate) additions: Vec<f32>,
}

/// What each ranking adds to the scores of candidates: the one by text first, then that by each number and moment.
pub(crate) struct Shares {
    width: usize,
    shares: Vec<f32>,
}

impl Shares {
    /// The score of each candidate.
    pub(crate) fn scores(&self) -> impl Iterator<Item = f32> {
        self.shares.chunks_exact(self.width).map(|shares| shares.iter().sum())
    }

    /// Explains the score of a candidate; `text` is how its text score came about, by which it was ranked.
    pub(crate) fn explain(&self, fusion: &Fusion, candidate: usize, text: &Explanation) -> Explanation {
        let shares = self.shares.chunks_exact(self.width).nth(candidate).unwrap_or_default();
        let names = fusion.popularity.iter().map(|part| &part.field);
        let names = names.chain(fusion.decay.iter().map(|part| &part.field));
        let mut ranks: Vec<Explanation> = std::iter::once("text")
            .chain(names.map(String::as_str))
            .zip(shares)
            .map(|(name, share)| Explanation::new(format!("rank by {name}"), *share))
            .collect();
        ranks.iter_mut().take(1).for_each(|rank| rank.parts.push(text.clone()));
        Explanation::sum("score", ranks)
    }
}

/// Explains a score of a weighted text score and what numbers and moments add.
pub(crate) fn explain_weighted(fusion: &Fusion, text: Explanation, source: &Json) -> Explanation {
    let added = additions(fusion, source).into_iter().map(|(name, value)| Explanation::new(name, value));
    let name = format!("text × {}", fusion.text);
    let text = Explanation { name, value: text.value * fusion.text, parts: vec![text] };
    Explanation::sum("score", std::iter::once(text).chain(added).collect())
}

/// Ranks candidates by text and by each number and moment; what a rank adds is reciprocal to it, and weighted.
pub(crate) fn reciprocal(fusion: &Fusion, k: f32, candidates: &[Candidate<'_>]) -> Shares {
    let width = 1 + fusion.popularity.len() + fusion.decay.len();
    let mut shares = vec![0.0_f32; candidates.len() * width];
    let mut add = |column: usize, weight: f32, value: &dyn Fn(&Candidate<'_>) -> f32| {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|a, b| match (candidates.get(*a), candidates.get(*b)) {
            (Some(a), Some(b)) => value(b).total_cmp(&value(a)).then_with(|| a.id.cmp(b.id)),
            _ => Ordering::Equal,
        });
        let mut rank = 0.0;
        for place in order {
            rank += 1.0;
            if let Some(share) = shares.get_mut(place * width + column) {
                *share = weight / (k + rank);
            }
        }
    };
    add(0, fusion.text, &|candidate| candidate.text);
    let weights =
        fusion.popularity.iter().map(|part| part.weight).chain(fusion.decay.iter().map(|part| part.weight));
    for (index, weight) in weights.enumerate() {
        add(index + 1, weight, &|candidate| candidate.additions.get(index).copied().unwrap_or(0.0));
    }
    Shares { width, shares }
}
