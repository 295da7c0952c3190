//! When two values count as the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use pumasi_core::text::Analyzer;
use serde_json::Value;

/// How alike two values of a field are, from 0 to 1, and from where on they count as the same.
///
/// ```
/// use pumasi_llm_parse::eval::Measure;
/// use serde_json::json;
///
/// let text = Measure::text(0.6);
/// assert!(text.same(&json!("매일 30분 달리기"), &json!("30분씩 매일 달리기")));
/// assert!(!text.same(&json!("매일 30분 달리기"), &json!("주말에 수영하기")));
/// assert!(Measure::number(0.05).same(&json!(100), &json!("103")));
/// assert!(Measure::date().same(&json!("2026-11-20"), &json!("2026-11-20T09:00:00+09:00")));
/// ```
#[derive(Clone)]
pub struct Measure {
    kind: Kind,
    threshold: f64,
}

type Likeness = dyn Fn(&Value, &Value) -> f64 + Send + Sync;

#[derive(Clone)]
enum Kind {
    Exact,
    Text,
    Number { tolerance: f64 },
    Date,
    Custom(Arc<Likeness>),
}

impl Measure {
    /// Equal JSON values are the same; texts regardless of case and of white space around them.
    pub const fn exact() -> Self {
        Self { kind: Kind::Exact, threshold: 1.0 }
    }

    /// Texts are alike by the terms they share (Dice's coefficient over the analyzer's Korean and English terms), and the
    /// same from `threshold` on.
    pub const fn text(threshold: f64) -> Self {
        Self { kind: Kind::Text, threshold }
    }

    /// Numbers are the same if they differ by at most this share of the expected one; numbers in texts are read.
    pub const fn number(tolerance: f64) -> Self {
        Self { kind: Kind::Number { tolerance }, threshold: 1.0 }
    }

    /// Dates are the same if year, month and day are; a time of day is not looked at.
    pub const fn date() -> Self {
        Self { kind: Kind::Date, threshold: 1.0 }
    }

    /// Values are as alike as `likeness(expected, got)` says, and the same from `threshold` on.
    pub fn custom(threshold: f64, likeness: impl Fn(&Value, &Value) -> f64 + Send + Sync + 'static) -> Self {
        Self { kind: Kind::Custom(Arc::new(likeness)), threshold }
    }

    /// Tells how alike two values are, from 0 to 1.
    pub fn likeness(&self, expected: &Value, got: &Value) -> f64 {
        let likeness = match &self.kind {
            Kind::Exact => f64::from(u8::from(folded(expected) == folded(got))),
            Kind::Text => match (expected.as_str(), got.as_str()) {
                (Some(expected), Some(got)) => dice(expected, got),
                _ => f64::from(u8::from(expected == got)),
            },
            Kind::Number { tolerance } => match (number(expected), number(got)) {
                (Some(expected), Some(got)) => {
                    let close = (expected - got).abs() <= expected.abs() * tolerance + f64::EPSILON;
                    f64::from(u8::from(close))
                }
                _ => f64::from(u8::from(expected == got)),
            },
            Kind::Date => match (day(expected), day(got)) {
                (Some(expected), Some(got)) => f64::from(u8::from(expected == got)),
                _ => f64::from(u8::from(expected == got)),
            },
            Kind::Custom(likeness) => likeness(expected, got),
        };
        if likeness.is_nan() { 0.0 } else { likeness.clamp(0.0, 1.0) }
    }

    /// Tells whether two values count as the same.
    pub fn same(&self, expected: &Value, got: &Value) -> bool {
        self.likeness(expected, got) >= self.threshold
    }
}

impl fmt::Debug for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Exact => "exact".to_owned(),
            Kind::Text => "text".to_owned(),
            Kind::Number { tolerance } => format!("number within {tolerance}"),
            Kind::Date => "date".to_owned(),
            Kind::Custom(_) => "custom".to_owned(),
        };
        f.debug_struct("Measure").field("kind", &kind).field("threshold", &self.threshold).finish()
    }
}

fn folded(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| Value::from(text.trim().to_lowercase()))
}

/// Dice's coefficient over terms with their counts.
#[expect(clippy::cast_precision_loss, reason = "counts of terms are small")]
fn dice(one: &str, other: &str) -> f64 {
    if one.trim() == other.trim() {
        return 1.0;
    }
    let analyzer = Analyzer::default();
    let terms = |text: &str| -> HashMap<String, usize> {
        let mut terms = HashMap::new();
        for token in analyzer.tokens(text) {
            *terms.entry(token.text).or_insert(0) += 1;
        }
        terms
    };
    let (one, other) = (terms(one), terms(other));
    let all: usize = one.values().sum::<usize>() + other.values().sum::<usize>();
    if all == 0 {
        return 0.0;
    }
    let shared: usize =
        one.iter().map(|(term, count)| (*count).min(other.get(term).copied().unwrap_or(0))).sum();
    2.0 * shared as f64 / all as f64
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            text.trim().replace(',', "").parse().ok().filter(|number: &f64| number.is_finite())
        }
        _ => None,
    }
}

fn day(value: &Value) -> Option<[u32; 3]> {
    let text = value.as_str()?.trim();
    let head = text.split(['T', ' ']).next()?;
    let mut parts = head.split(['-', '/', '.']).map(|part| part.parse::<u32>().ok());
    let day = [parts.next()??, parts.next()??, parts.next()??];
    let [year, month, date] = day;
    (year >= 1000 && (1..=12).contains(&month) && (1..=31).contains(&date)).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_measure_tells_same_from_different() {
        assert!(Measure::exact().same(&json!(" Easy"), &json!("easy")));
        assert!(!Measure::exact().same(&json!(1), &json!("1")));
        assert!(Measure::number(0.0).same(&json!(1234), &json!("1,234")));
        assert!(!Measure::number(0.01).same(&json!(100), &json!(102)));
        assert!(!Measure::number(0.1).same(&json!(0), &json!(1)));
        assert!(!Measure::date().same(&json!("2026-11-20"), &json!("2026-11-21")));
        assert!(!Measure::date().same(&json!("2026-11-20"), &json!("soon")));
        assert!(
            Measure::text(0.6).likeness(&json!("read the React docs"), &json!("reading React docs")) > 0.6
        );
        assert!(Measure::text(0.6).likeness(&json!("공식 문서를 읽기"), &json!("공식 문서 읽기")) > 0.6);
        let nan = Measure::custom(0.5, |_, _| f64::NAN);
        assert!(!nan.same(&json!(1), &json!(1)));
    }
}
