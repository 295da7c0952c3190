//! Compares what was extracted with what should have been, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Measure;
use crate::assignment;

/// How often something was right, made up, and missed.
///
/// ```
/// use pumasi_llm_parse::eval::Counts;
///
/// let counts = Counts { right: 6, wrong: 2, missed: 4 };
/// assert_eq!(counts.precision(), Some(0.75));
/// assert_eq!(counts.recall(), Some(0.6));
/// assert!((counts.f1().unwrap_or(0.0) - 2.0 / 3.0).abs() < 1e-9);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Expected, and there.
    pub right: u64,
    /// There, and not expected, or not like this.
    pub wrong: u64,
    /// Expected, and not there, or not like this.
    pub missed: u64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of fields are small")]
impl Counts {
    /// Returns the share of what is there that is right; `None` if nothing is there.
    pub fn precision(&self) -> Option<f64> {
        let all = self.right + self.wrong;
        (all > 0).then(|| self.right as f64 / all as f64)
    }

    /// Returns the share of what was expected that is there; `None` if nothing was expected.
    pub fn recall(&self) -> Option<f64> {
        let all = self.right + self.missed;
        (all > 0).then(|| self.right as f64 / all as f64)
    }

    /// Returns the harmonic mean of precision and recall; `None` if nothing is there and nothing was expected.
    pub fn f1(&self) -> Option<f64> {
        let all = 2 * self.right + self.wrong + self.missed;
        (all > 0).then(|| 2.0 * self.right as f64 / all as f64)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }
}

/// What a case scores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Score {
    /// The items of the list; of a value without a list, the value as one item.
    pub items: Counts,
    /// Each field by its name.
    pub fields: BTreeMap<String, Counts>,
}

impl Score {
    /// Adds up the fields.
    pub fn all_fields(&self) -> Counts {
        let mut all = Counts::default();
        for counts in self.fields.values() {
            all.add(*counts);
        }
        all
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.items.add(other.items);
        for (name, counts) in &other.fields {
            self.fields.entry(name.clone()).or_default().add(*counts);
        }
    }
}

/// How values are compared: where their list is, which fields count and how, and by which of them items are aligned.
///
/// Items are aligned one to one, so that the total likeness is greatest (Kuhn–Munkres); a pair below the threshold is no
/// pair. A field is right if both items of a pair have it and it is the same; `null`, `""` and `[]` count as not there.
///
/// ```
/// use pumasi_llm_parse::eval::{Measure, Scoring};
/// use serde_json::json;
///
/// let scoring = Scoring::list("")
///     .with_key_field("title", Measure::text(0.6))
///     .with_field("minutes", Measure::number(0.0));
/// let expected = json!([{"title": "매일 달리기", "minutes": 30}, {"title": "수영"}]);
/// let got = json!([{"title": "수영하기"}, {"title": "매일 달리기", "minutes": 20}, {"title": "등산"}]);
/// let score = scoring.score(&expected, &got);
/// assert_eq!((score.items.right, score.items.wrong, score.items.missed), (2, 1, 0));
/// assert_eq!(score.fields["minutes"].right, 0);
/// ```
#[derive(Clone, Debug)]
pub struct Scoring {
    list: Option<String>,
    fields: Vec<Field>,
    threshold: f64,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    pointer: String,
    measure: Measure,
    key: bool,
}

/// The most items of a list that are aligned; further ones count as made up or missed.
const MOST_ITEMS: usize = 2_000;

impl Scoring {
    /// Compares the lists at this JSON Pointer (`""` for the value itself) item by item.
    pub fn list(pointer: impl Into<String>) -> Self {
        Self { list: Some(pointer.into()), fields: Vec::new(), threshold: 0.5 }
    }

    /// Compares whole values, field by field.
    pub const fn object() -> Self {
        Self { list: None, fields: Vec::new(), threshold: 0.5 }
    }

    /// Compares this field; a name with `/` in front is a JSON Pointer into the item, `""` the item itself.
    #[must_use]
    pub fn with_field(self, name: impl Into<String>, measure: Measure) -> Self {
        self.with(name.into(), measure, false)
    }

    /// Compares this field, and aligns items by it; without any key field, by all fields.
    #[must_use]
    pub fn with_key_field(self, name: impl Into<String>, measure: Measure) -> Self {
        self.with(name.into(), measure, true)
    }

    fn with(mut self, name: String, measure: Measure, key: bool) -> Self {
        let pointer = if name.is_empty() || name.starts_with('/') {
            name.clone()
        } else {
            crate::extract::join("", &name)
        };
        self.fields.push(Field { name, pointer, measure, key });
        self
    }

    /// Sets how alike two items must be to be a pair, from 0 to 1; half by default.
    #[must_use]
    pub const fn with_threshold(mut self, likeness: f64) -> Self {
        self.threshold = likeness;
        self
    }

    /// Compares what was extracted with what should have been; JSON null as `got` stands for nothing at all.
    pub fn score(&self, expected: &Value, got: &Value) -> Score {
        let (expected, got) = match &self.list {
            Some(pointer) => (items(expected, pointer), items(got, pointer)),
            None => (whole(expected), whole(got)),
        };
        let mut score = Score::default();
        for field in &self.fields {
            score.fields.insert(field.name.clone(), Counts::default());
        }
        let pairs = self.align(&expected, &got);
        let mut paired = BTreeSet::new();
        for (at, item) in expected.iter().enumerate() {
            let partner = pairs.get(at).copied().flatten();
            match partner {
                Some(other) => {
                    paired.insert(other);
                    score.items.right += 1;
                }
                None => score.items.missed += 1,
            }
            self.count(&mut score, Some(item), partner.and_then(|other| got.get(other).copied()));
        }
        for (at, item) in got.iter().enumerate() {
            if !paired.contains(&at) {
                score.items.wrong += 1;
                self.count(&mut score, None, Some(item));
            }
        }
        score
    }

    fn count(&self, score: &mut Score, expected: Option<&Value>, got: Option<&Value>) {
        for field in &self.fields {
            let counts = score.fields.entry(field.name.clone()).or_default();
            match (field.of(expected), field.of(got)) {
                (Some(expected), Some(got)) if field.measure.same(expected, got) => counts.right += 1,
                (Some(_), Some(_)) => {
                    counts.wrong += 1;
                    counts.missed += 1;
                }
                (Some(_), None) => counts.missed += 1,
                (None, Some(_)) => counts.wrong += 1,
                (None, None) => {}
            }
        }
    }

    /// Returns the partner of each expected item.
    fn align(&self, expected: &[&Value], got: &[&Value]) -> Vec<Option<usize>> {
        const SCALE: f64 = 1_000_000.0;
        // Of equally alike partners the one with more equal fields: which one it is must not hang on the order.
        const TIES: i64 = 1 << 20;
        if self.list.is_none() {
            // a value is the partner of the value
            return expected.iter().map(|_| got.first().map(|_| 0)).collect();
        }
        let rows = expected.len().min(MOST_ITEMS);
        let columns = got.len().min(MOST_ITEMS);
        if rows == 0 || columns == 0 {
            return vec![None; expected.len()];
        }
        let weights: Vec<Vec<(usize, i64)>> = expected
            .iter()
            .take(rows)
            .map(|item| {
                let pairs = got.iter().take(columns).enumerate().filter_map(|(column, other)| {
                    let likeness = self.likeness(item, other);
                    #[expect(clippy::cast_possible_truncation, reason = "a likeness is at most 1")]
                    let weight = (likeness * SCALE) as i64;
                    (likeness >= self.threshold).then(|| (column, weight * TIES + self.agreeing(item, other)))
                });
                pairs.collect()
            })
            .collect();
        let mut partners = assignment::assign(&weights, columns);
        partners.resize(expected.len(), None);
        partners
    }

    /// Counts the fields that are the same in two items.
    fn agreeing(&self, expected: &Value, got: &Value) -> i64 {
        let same = self.fields.iter().filter(|field| {
            let values = (field.of(Some(expected)), field.of(Some(got)));
            matches!(values, (Some(expected), Some(got)) if field.measure.same(expected, got))
        });
        i64::try_from(same.count()).unwrap_or(i64::MAX).min(100)
    }

    /// Tells how alike two items are: the mean over the key fields that either has.
    #[expect(clippy::cast_precision_loss, reason = "counts of fields are small")]
    fn likeness(&self, expected: &Value, got: &Value) -> f64 {
        let any_key = self.fields.iter().any(|field| field.key);
        let (mut sum, mut count) = (0.0, 0_usize);
        for field in self.fields.iter().filter(|field| field.key || !any_key) {
            match (field.of(Some(expected)), field.of(Some(got))) {
                (Some(expected), Some(got)) => {
                    sum += field.measure.likeness(expected, got);
                    count += 1;
                }
                (None, None) => {}
                _ => count += 1,
            }
        }
        if count == 0 { f64::from(u8::from(expected == got)) } else { sum / count as f64 }
    }
}

impl Field {
    /// Returns the field's value, if there is one that says something.
    fn of<'a>(&self, item: Option<&'a Value>) -> Option<&'a Value> {
        item?.pointer(&self.pointer).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => true,
        })
    }
}

fn items<'a>(value: &'a Value, pointer: &str) -> Vec<&'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}

fn whole(value: &Value) -> Vec<&Value> {
    if value.is_null() { Vec::new() } else { vec![value] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scoring() -> Scoring {
        Scoring::list("/tasks")
            .with_key_field("title", Measure::text(0.6))
            .with_field("minutes", Measure::number(0.0))
    }

    #[test]
    fn items_are_paired_for_the_greatest_total_whatever_their_order() {
        let expected = json!({"tasks": [{"title": "run every day"}, {"title": "run every day in the park"}]});
        let got = json!({"tasks": [{"title": "run every day in the park"}, {"title": "run every day"}]});
        let score = scoring().score(&expected, &got);
        assert_eq!(score.items, Counts { right: 2, wrong: 0, missed: 0 });
        assert_eq!(score.fields["title"], Counts { right: 2, wrong: 0, missed: 0 });
    }

    #[test]
    fn fields_of_made_up_and_missed_items_count_too() {
        let expected =
            json!({"tasks": [{"title": "수영", "minutes": 30}, {"title": "독서", "minutes": null}]});
        let got = json!({"tasks": [{"title": "등산", "minutes": 10}, {"title": "독서", "minutes": 5}]});
        let score = scoring().score(&expected, &got);
        assert_eq!(score.items, Counts { right: 1, wrong: 1, missed: 1 });
        assert_eq!(score.fields["minutes"], Counts { right: 0, wrong: 2, missed: 1 });
    }

    #[test]
    fn nothing_extracted_misses_everything_and_nothing_expected_is_no_failure() {
        let expected = json!({"tasks": [{"title": "수영"}]});
        let score = scoring().score(&expected, &Value::Null);
        assert_eq!((score.items.missed, score.items.f1()), (1, Some(0.0)));
        let empty = json!({"tasks": []});
        assert_eq!(scoring().score(&empty, &empty).items.f1(), None);
    }

    #[test]
    fn values_without_a_list_are_compared_field_by_field() {
        let scoring = Scoring::object()
            .with_field("goal", Measure::text(0.6))
            .with_field("/place/city", Measure::exact());
        let expected = json!({"goal": "10km 완주", "place": {"city": "Seoul"}});
        let score = scoring.score(&expected, &json!({"goal": "10km 완주", "place": {"city": "Busan"}}));
        assert_eq!(score.fields["goal"].right, 1);
        assert_eq!(score.fields["/place/city"], Counts { right: 0, wrong: 1, missed: 1 });
        assert_eq!(score.all_fields().f1(), Some(0.5));
    }
}
