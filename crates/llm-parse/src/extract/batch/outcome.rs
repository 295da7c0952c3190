//! What became of the items of a batch.

use std::time::Duration;

use pumasi_core::model::{Cost, Usage};

use super::spent;
use crate::extract::{ExtractError, ExtractErrorKind, Extraction, Result};

/// What became of one item.
#[derive(Debug)]
#[non_exhaustive]
pub struct ItemOutcome<T> {
    /// Its place among the items, from 0.
    pub index: usize,
    /// Its identifier.
    pub id: String,
    /// The extraction, or why there is none.
    pub result: Result<Extraction<T>>,
    /// How long it took; of a resumed item, when it was extracted. Zero if it was not tried.
    pub elapsed: Duration,
    /// Whether the journal had it, so that nothing was asked.
    pub resumed: bool,
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many items there are, where the iterator knows.
    pub total: Option<usize>,
    /// How many are finished, resumed and failed ones included.
    pub done: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How many of them the journal had.
    pub resumed: usize,
    /// The tokens used by this run.
    pub usage: Usage,
    /// What this run cost, where the price is known.
    pub cost: Option<Cost>,
    /// The calls made by this run.
    pub calls: u64,
}

impl Progress {
    pub(super) fn count<T>(&mut self, outcome: &ItemOutcome<T>) {
        self.done += 1;
        self.failed += usize::from(outcome.result.is_err());
        self.resumed += usize::from(outcome.resumed);
        self.spend(outcome);
    }

    pub(super) fn spend<T>(&mut self, outcome: &ItemOutcome<T>) {
        if outcome.resumed {
            return;
        }
        let (usage, cost, calls) = spent(&outcome.result);
        self.usage += usage;
        if let Some(cost) = cost {
            self.cost = Some(self.cost.unwrap_or_default() + cost);
        }
        self.calls = self.calls.saturating_add(u64::try_from(calls).unwrap_or(u64::MAX));
    }
}

/// What became of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchReport<T> {
    /// The outcomes in the order of the items; empty after [`Batch::run_with`](super::Batch::run_with).
    pub outcomes: Vec<ItemOutcome<T>>,
    /// The totals.
    pub progress: Progress,
    /// Why the batch ended before its last item: it was cancelled, or the journal failed.
    pub stopped: Option<ExtractError>,
    /// Lines of the journal that could not be read; their items were done again.
    pub damaged_lines: usize,
}

impl<T> BatchReport<T> {
    /// Counts the items that went well.
    pub fn succeeded(&self) -> usize {
        self.progress.done - self.progress.failed
    }

    /// Counts the items that failed.
    pub fn failed(&self) -> usize {
        self.progress.failed
    }
}

/// Tells whether trying an item again cannot help: its value is final, the source is at fault, or the model answers the same
/// again.
pub(super) fn is_settled<T>(result: &Result<Extraction<T>>) -> bool {
    use ExtractErrorKind as Kind;
    let error = match result {
        Ok(found) => return found.is_final(),
        Err(error) => error,
    };
    let of_the_source = matches!(
        error.kind(),
        Kind::EmptySource
            | Kind::NotText
            | Kind::SourceTooLarge
            | Kind::ContextTooLong
            | Kind::Refused
            | Kind::OffSchema
            | Kind::Invalid
            | Kind::Ungrounded
            | Kind::Leaked
            | Kind::WrongLanguage
    );
    of_the_source && !error.retry().is_retryable()
}
