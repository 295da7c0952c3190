//! What an evaluation found, and its figures.

use std::collections::BTreeMap;
use std::time::Duration;

use pumasi_core::model::{Cost, Usage};
use serde::{Deserialize, Serialize};

use super::{Counts, Score};
use crate::extract::ExtractErrorKind;

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CaseResult {
    /// The case.
    pub id: String,
    /// Why there is no value; `None` if there is one.
    pub error: Option<ExtractErrorKind>,
    /// How the value compares with the expected one; everything is missed if there is none.
    pub score: Score,
    /// Quotes that stand in the source.
    pub grounded: u64,
    /// Quotes that do not.
    pub ungrounded: u64,
    /// Places that were left out of the value because they stayed wrong.
    pub rejected: u64,
    /// Calls of the model.
    pub calls: u64,
    /// The tokens used.
    pub usage: Usage,
    /// What it cost, where the price is known.
    pub cost: Option<Cost>,
    /// How long it took.
    pub elapsed: Duration,
}

impl CaseResult {
    /// Returns the F1 over all fields; 1 if nothing was expected and nothing came.
    pub fn f1(&self) -> f64 {
        if self.error.is_some() {
            return 0.0;
        }
        self.score.all_fields().f1().unwrap_or(1.0)
    }
}

/// What an evaluation found: a result per case, and figures over all of them.
///
/// Serialize it to keep it as the baseline that later versions are [compared](super::Comparison) with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvalReport {
    /// The prompt or rule set that was measured; see [`Extract::version`](crate::extract::Extract::version).
    pub version: String,
    /// The results, in the order of the cases.
    pub cases: Vec<CaseResult>,
}

#[expect(clippy::cast_precision_loss, reason = "counts of cases are small")]
impl EvalReport {
    /// Returns the share of cases that gave a value; 1 without cases.
    pub fn parse_rate(&self) -> f64 {
        if self.cases.is_empty() {
            return 1.0;
        }
        self.cases.iter().filter(|case| case.error.is_none()).count() as f64 / self.cases.len() as f64
    }

    /// Adds up the scores of all cases.
    pub fn score(&self) -> Score {
        let mut score = Score::default();
        for case in &self.cases {
            score.add(&case.score);
        }
        score
    }

    /// Returns the mean of the cases' F1, each case counting once however long it is; 1 without cases.
    pub fn mean_f1(&self) -> f64 {
        if self.cases.is_empty() {
            return 1.0;
        }
        self.cases.iter().map(CaseResult::f1).sum::<f64>() / self.cases.len() as f64
    }

    /// Returns the share of quotes that stand in their source; `None` without quotes.
    pub fn grounded_share(&self) -> Option<f64> {
        let grounded: u64 = self.cases.iter().map(|case| case.grounded).sum();
        let all: u64 = grounded + self.cases.iter().map(|case| case.ungrounded).sum::<u64>();
        (all > 0).then(|| grounded as f64 / all as f64)
    }

    /// Adds up the tokens.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for case in &self.cases {
            usage += case.usage;
        }
        usage
    }

    /// Adds up the cost of the cases whose price is known; `None` if it is known of none.
    ///
    /// It is a lower bound where [`priced`](Self::priced) is less than the number of cases.
    pub fn cost(&self) -> Option<Cost> {
        self.cases.iter().filter_map(|case| case.cost).reduce(|all, one| all + one)
    }

    /// Counts the cases whose cost is known.
    pub fn priced(&self) -> usize {
        self.cases.iter().filter(|case| case.cost.is_some()).count()
    }

    /// The cost in words, which say where it is known of a part of the cases only.
    pub(super) fn told_cost(&self) -> Option<String> {
        let (cost, priced, all) = (self.cost()?, self.priced(), self.cases.len());
        Some(if priced < all {
            format!("≥ {cost}, {priced} of {all} cases priced")
        } else {
            cost.to_string()
        })
    }

    /// Returns the time that this share of the cases took at most (nearest rank): `0.5` for the median.
    pub fn latency(&self, share: f64) -> Duration {
        percentile(self.cases.iter().map(|case| case.elapsed).collect(), share).unwrap_or_default()
    }

    /// Returns what this share of the cases cost at most (nearest rank); `None` if the price is not known.
    pub fn cost_percentile(&self, share: f64) -> Option<Cost> {
        percentile(self.cases.iter().filter_map(|case| case.cost).collect(), share)
    }

    /// Counts the failures by kind.
    pub fn errors(&self) -> BTreeMap<&'static str, usize> {
        let mut errors = BTreeMap::new();
        for kind in self.cases.iter().filter_map(|case| case.error) {
            *errors.entry(kind.as_str()).or_insert(0) += 1;
        }
        errors
    }

    /// Returns the figures that are compared from version to version, by name; higher is better in all of them.
    pub fn figures(&self) -> Vec<(String, Option<f64>)> {
        let score = self.score();
        let mut figures = vec![
            ("parse rate".to_owned(), Some(self.parse_rate())),
            ("items F1".to_owned(), score.items.f1()),
            ("mean F1".to_owned(), Some(self.mean_f1())),
            ("grounded".to_owned(), self.grounded_share()),
        ];
        figures
            .extend(score.fields.iter().map(|(name, counts)| (format!("{} F1", shown(name)), counts.f1())));
        figures
    }

    /// Writes the report as Markdown.
    pub fn to_markdown(&self) -> String {
        self.table().markdown()
    }

    /// Writes the report for a terminal.
    pub fn to_terminal(&self) -> String {
        self.table().terminal()
    }

    fn table(&self) -> super::table::Page {
        let mut page = super::table::Page::new(format!("{}: {} cases", self.version, self.cases.len()));
        let mut facts = vec![
            ("parse rate", percent(Some(self.parse_rate()))),
            ("mean F1", percent(Some(self.mean_f1()))),
            ("grounded", percent(self.grounded_share())),
            ("rejected places", self.cases.iter().map(|case| case.rejected).sum::<u64>().to_string()),
            ("calls", self.cases.iter().map(|case| case.calls).sum::<u64>().to_string()),
        ];
        let usage = self.usage();
        facts.push(("tokens", format!("{} prompt, {} answer", usage.prompt_tokens, usage.completion_tokens)));
        if let Some(cost) = self.told_cost() {
            let each = |share| self.cost_percentile(share).unwrap_or_default();
            facts.push(("cost", format!("{cost} (p50 {}, p95 {})", each(0.5), each(0.95))));
        }
        let latency = |share| format!("{:.1?}", self.latency(share));
        facts
            .push(("latency", format!("p50 {}, p95 {}, p99 {}", latency(0.5), latency(0.95), latency(0.99))));
        let errors = self.errors();
        if !errors.is_empty() {
            let errors: Vec<String> =
                errors.into_iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            facts.push(("failures", errors.join(", ")));
        }
        page.rows(&["figure", "value"], facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]));
        let score = self.score();
        let row = |name: &str, counts: Counts| {
            vec![
                shown(name).to_owned(),
                percent(counts.precision()),
                percent(counts.recall()),
                percent(counts.f1()),
                (counts.right + counts.missed).to_string(),
            ]
        };
        let rows = std::iter::once(row("(items)", score.items))
            .chain(score.fields.iter().map(|(name, counts)| row(name, *counts)));
        page.rows(&["field", "precision", "recall", "F1", "expected"], rows);
        page
    }
}

pub(super) fn shown(name: &str) -> &str {
    if name.is_empty() { "(value)" } else { name }
}

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Returns the value at the nearest rank.
fn percentile<V: Ord + Copy>(mut values: Vec<V>, share: f64) -> Option<V> {
    values.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank is between 0 and the count"
    )]
    let rank = (share.clamp(0.0, 1.0) * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_is_known_of_some_cases_is_told_as_a_lower_bound() {
        let case = |id: &str, cost| CaseResult {
            id: id.to_owned(),
            error: None,
            score: Score::default(),
            grounded: 0,
            ungrounded: 0,
            rejected: 0,
            calls: 1,
            usage: Usage::default(),
            cost,
            elapsed: Duration::ZERO,
        };
        let price = Some(Cost::from_micros(20_000));
        let mut report = EvalReport {
            version: "v1".to_owned(),
            cases: vec![case("a", price), case("b", price), case("c", None)],
        };
        assert_eq!(report.priced(), 2);
        let text = report.to_markdown();
        assert!(text.contains("≥ ") && text.contains("2 of 3 cases priced"), "{text}");
        report.cases.pop();
        assert!(!report.to_markdown().contains("priced"));
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(percentile(values.clone(), 0.5), Some(50));
        assert_eq!(percentile(values.clone(), 0.95), Some(95));
        assert_eq!(percentile(values.clone(), 0.0), Some(1));
        assert_eq!(percentile(values, 1.0), Some(100));
        assert_eq!(percentile(vec![7], 0.5), Some(7));
        assert_eq!(percentile(Vec::<u32>::new(), 0.5), None);
    }
}
