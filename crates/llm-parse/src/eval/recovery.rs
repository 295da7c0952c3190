//! How much of what models damage is read back.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Damage, Mutator};
use crate::{Parser, Policy, Severity};

/// What became of answers with one kind of damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Recovered {
    /// How many were tried.
    pub tried: u64,
    /// The value came back as it was.
    pub right: u64,
    /// Another value came, and the report says that something was lost, rejected or ambiguous.
    pub reported: u64,
    /// An error came.
    pub refused: u64,
    /// Another value came, and the report does not say so.
    pub silently_wrong: u64,
}

/// How much of what models damage is read back, by kind of damage.
///
/// ```
/// use pumasi_llm_parse::Policy;
/// use pumasi_llm_parse::eval::{Damage, Recovery};
///
/// let values = vec![vec!["매일 달리기".to_owned(), "주말 수영".to_owned()]];
/// let recovery = Recovery::measure(&values, Policy::Lenient, 3);
/// assert_eq!(recovery.of(Damage::Fence).right, 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    kinds: BTreeMap<Damage, Recovered>,
}

impl Recovery {
    /// Damages each of `values` in every way, once with each of the seeds `0..seeds`, and reads the results back.
    pub fn measure<T>(values: &[T], policy: Policy, seeds: u64) -> Self
    where
        T: Serialize + DeserializeOwned + JsonSchema,
    {
        let parser = Parser::<T>::new().with_policy(policy);
        let mut recovery = Self::default();
        for value in values {
            let Ok(good) = serde_json::to_value(value) else { continue };
            for seed in 0..seeds {
                for damaged in Mutator::new(seed).all(&good) {
                    let row = recovery.kinds.entry(damaged.damage).or_default();
                    row.tried += 1;
                    *read_back(&parser, &damaged.text, &good, row) += 1;
                }
            }
        }
        recovery
    }

    /// Returns what became of one kind of damage.
    pub fn of(&self, damage: Damage) -> Recovered {
        self.kinds.get(&damage).copied().unwrap_or_default()
    }

    /// Returns what became of all of it.
    pub fn all(&self) -> Recovered {
        let mut all = Recovered::default();
        for row in self.kinds.values() {
            all.tried += row.tried;
            all.right += row.right;
            all.reported += row.reported;
            all.refused += row.refused;
            all.silently_wrong += row.silently_wrong;
        }
        all
    }

    /// Returns the share that came back as it was; 1 if nothing was tried.
    #[expect(clippy::cast_precision_loss, reason = "counts of answers are small")]
    pub fn rate(&self) -> f64 {
        let all = self.all();
        if all.tried == 0 { 1.0 } else { all.right as f64 / all.tried as f64 }
    }

    /// Writes the table as Markdown.
    pub fn to_markdown(&self) -> String {
        self.page().markdown()
    }

    /// Writes the table for a terminal.
    pub fn to_terminal(&self) -> String {
        self.page().terminal()
    }

    fn page(&self) -> super::table::Page {
        let mut page = super::table::Page::new(format!("{:.1} % read back", self.rate() * 100.0));
        let row = |name: String, row: Recovered| {
            let counts = [row.tried, row.right, row.reported, row.refused, row.silently_wrong];
            std::iter::once(name).chain(counts.iter().map(u64::to_string)).collect::<Vec<_>>()
        };
        let rows = self.kinds.iter().map(|(damage, counts)| row(damage.to_string(), *counts));
        let rows: Vec<_> = rows.chain([row("(all)".to_owned(), self.all())]).collect();
        page.rows(&["damage", "tried", "right", "reported", "refused", "silently wrong"], rows);
        page
    }
}

fn read_back<'r, T>(parser: &Parser<T>, text: &str, good: &Value, row: &'r mut Recovered) -> &'r mut u64
where
    T: Serialize + DeserializeOwned,
{
    let Ok(parsed) = parser.parse(text) else { return &mut row.refused };
    if serde_json::to_value(&parsed.value).is_ok_and(|value| value == *good) {
        return &mut row.right;
    }
    let said =
        !parsed.rejected.is_empty() || parsed.report.worst().is_some_and(|worst| worst >= Severity::Lossy);
    if said { &mut row.reported } else { &mut row.silently_wrong }
}
