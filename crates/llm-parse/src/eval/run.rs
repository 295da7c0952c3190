//! Measures an extractor on a data set.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;

use serde::Serialize;
use serde_json::Value;

use super::{CaseResult, Dataset, EvalReport, Scoring};
use crate::extract::{Batch, BatchItem, Extract, ExtractError, ItemOutcome, Journal, Progress, Result};

type OnProgress = Box<dyn FnMut(&Progress) + Send>;
type Cancellation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Measures an extractor (a model with a prompt, or rules) on a data set.
///
/// ```
/// use async_trait::async_trait;
/// use pumasi_llm_parse::eval::{Case, Dataset, Eval, Measure, Scoring};
/// use pumasi_llm_parse::extract::{Extract, Extraction, Result};
/// use serde_json::json;
///
/// /// Takes every line for an item.
/// struct Lines;
///
/// #[async_trait]
/// impl Extract<Vec<String>> for Lines {
///     fn version(&self) -> &str {
///         "lines-1"
///     }
///
///     async fn extract(&self, source: &str) -> Result<Extraction<Vec<String>>> {
///         Ok(Extraction::new(source.lines().map(str::to_owned).collect(), "lines-1"))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let cases = Dataset::new([
///     Case::new("ko", "매일 달리기\n주말 수영", json!(["매일 달리기", "주말 수영"])),
///     Case::new("en", "hello\nread the docs", json!(["read the docs"])),
/// ])?;
/// let scoring = Scoring::list("").with_key_field("", Measure::text(0.6));
/// let report = Eval::new(&Lines, &cases, scoring).run().await?;
/// assert_eq!(report.parse_rate(), 1.0);
/// assert_eq!(report.score().items.precision(), Some(0.75));
/// assert!(report.to_markdown().contains("75.0 %"));
/// # Ok::<(), pumasi_llm_parse::extract::ExtractError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Eval<'a, T> {
    extractor: &'a dyn Extract<T>,
    dataset: &'a Dataset,
    scoring: Scoring,
    concurrency: NonZeroUsize,
    journal: Option<Journal<T>>,
    progress: Option<OnProgress>,
    cancellation: Option<Cancellation>,
}

impl<'a, T: Serialize + Send + 'static> Eval<'a, T> {
    /// Measures `extractor` on `dataset`, four cases at a time.
    pub fn new(extractor: &'a dyn Extract<T>, dataset: &'a Dataset, scoring: Scoring) -> Self {
        Self {
            extractor,
            dataset,
            scoring,
            concurrency: const { NonZeroUsize::new(4).unwrap() },
            journal: None,
            progress: None,
            cancellation: None,
        }
    }

    /// Sets how many cases are under way at a time.
    #[must_use]
    pub fn with_concurrency(mut self, cases: NonZeroUsize) -> Self {
        self.concurrency = cases;
        self
    }

    /// Resumes from `journal` what was measured before with the same version and the same sources.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal<T>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Calls `progress` after every case.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Stops when `cancelled` completes.
    #[must_use]
    pub fn with_cancellation(mut self, cancelled: impl Future<Output = ()> + Send + 'static) -> Self {
        self.cancellation = Some(Box::pin(cancelled));
        self
    }

    /// Extracts from every case and compares.
    ///
    /// A case that fails is a result, and misses everything that was expected of it.
    ///
    /// # Errors
    ///
    /// `Cancelled`, or `Storage` if the journal failed: figures over a part of the cases would mislead.
    pub async fn run(self) -> Result<EvalReport> {
        let version = self.extractor.version().to_owned();
        let items = self.dataset.cases().iter().map(|case| BatchItem::new(&case.id, case.source.as_bytes()));
        let items: Vec<BatchItem> = items.collect();
        let mut batch = Batch::new(self.extractor).with_concurrency(self.concurrency);
        if let Some(journal) = self.journal {
            batch = batch.with_journal(journal);
        }
        if let Some(progress) = self.progress {
            batch = batch.with_progress(progress);
        }
        if let Some(cancellation) = self.cancellation {
            batch = batch.with_cancellation(cancellation);
        }
        let report = batch.run(items).await;
        if let Some(error) = report.stopped {
            return Err(error);
        }
        let expected: HashMap<&str, &Value> =
            self.dataset.cases().iter().map(|case| (case.id.as_str(), &case.expected)).collect();
        let cases = report.outcomes.into_iter().map(|outcome| {
            let expected = expected.get(outcome.id.as_str()).copied().unwrap_or(&Value::Null);
            result(outcome, expected, &self.scoring)
        });
        Ok(EvalReport { version, cases: cases.collect() })
    }
}

fn result<T: Serialize>(outcome: ItemOutcome<T>, expected: &Value, scoring: &Scoring) -> CaseResult {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (error, got) = match &outcome.result {
        Ok(extraction) => (None, serde_json::to_value(&extraction.value).unwrap_or(Value::Null)),
        Err(error) => (Some(error.kind()), Value::Null),
    };
    let score = scoring.score(expected, &got);
    let attempts = match &outcome.result {
        Ok(extraction) => extraction.attempts.as_slice(),
        Err(error) => error.attempts(),
    };
    let calls = count(attempts.iter().filter(|attempt| attempt.is_call()).count());
    let (usage, cost) = match &outcome.result {
        Ok(extraction) => (extraction.usage, extraction.cost),
        Err(error) => (error.usage(), error.cost()),
    };
    let ok = outcome.result.as_ref().ok();
    CaseResult {
        id: outcome.id,
        error,
        score,
        grounded: ok.map_or(0, |found| count(found.grounding.quotes.len())),
        ungrounded: ok.map_or(0, |found| count(found.grounding.missing.len())),
        rejected: ok.map_or(0, |found| count(found.rejected.len())),
        calls,
        usage,
        cost,
        elapsed: outcome.elapsed,
    }
}

impl<T> fmt::Debug for Eval<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eval")
            .field("version", &self.extractor.version())
            .field("cases", &self.dataset.len())
            .field("scoring", &self.scoring)
            .finish_non_exhaustive()
    }
}

/// An evaluation that was worse than the one before it.
///
/// Made by [`Comparison::check`](super::Comparison::check).
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    pub(super) figures: Vec<(String, f64, f64)>,
    pub(super) gone: Vec<String>,
}

impl Regression {
    /// Returns the figures that fell: name, before, after.
    pub fn figures(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.figures.iter().map(|(name, before, after)| (name.as_str(), *before, *after))
    }

    /// Returns the cases of the baseline that the candidate was not measured on.
    pub fn gone(&self) -> &[String] {
        &self.gone
    }
}

/// Lists the first few of some cases, and how many more there are.
pub(super) fn named(cases: &[String]) -> String {
    const SHOWN: usize = 10;
    let first = cases.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match cases.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the candidate is worse than the baseline: ")?;
        for (index, (name, before, after)) in self.figures().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} fell from {:.1} % to {:.1} %", before * 100.0, after * 100.0)?;
        }
        if !self.gone.is_empty() {
            let comma = if self.figures.is_empty() { "" } else { ", " };
            let what = if self.gone.len() == 1 { "case is" } else { "cases are" };
            write!(f, "{comma}{} {what} gone: {}", self.gone.len(), named(&self.gone))?;
        }
        Ok(())
    }
}

impl std::error::Error for Regression {}

impl From<Regression> for ExtractError {
    fn from(regression: Regression) -> Self {
        Self::new(crate::extract::ExtractErrorKind::Invalid, regression.to_string())
            .with_retry(pumasi_core::Retry::Never)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::eval::{Case, Comparison, Measure};
    use crate::extract::{ExtractErrorKind, Extraction};

    /// Takes every line for an item; refuses what asks for it.
    struct Lines(AtomicUsize);

    #[async_trait]
    impl Extract<Vec<String>> for Lines {
        fn version(&self) -> &'static str {
            "lines-1"
        }

        async fn extract(&self, source: &str) -> Result<Extraction<Vec<String>>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            if source == "refuse" {
                return Err(ExtractError::new(ExtractErrorKind::Refused, "declined"));
            }
            Ok(Extraction::new(source.lines().map(str::to_owned).collect(), "lines-1"))
        }
    }

    fn cases() -> Dataset {
        Dataset::new([
            Case::new("a", "달리기\n수영", json!(["달리기", "수영"])),
            Case::new("b", "refuse", json!(["읽기"])),
            Case::new("c", "nothing", json!([])),
        ])
        .unwrap()
    }

    fn scoring() -> Scoring {
        Scoring::list("").with_key_field("", Measure::text(0.6))
    }

    #[tokio::test]
    async fn failures_are_results_and_figures_count_them() {
        let lines = Lines(AtomicUsize::new(0));
        let report = Eval::new(&lines, &cases(), scoring()).run().await.unwrap();
        assert!((report.parse_rate() - 2.0 / 3.0).abs() < 1e-9);
        let items = report.score().items;
        assert_eq!((items.right, items.wrong, items.missed), (2, 1, 1));
        assert_eq!(report.errors()["refused"], 1);
        assert_eq!(report.cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(report.to_terminal().contains("refused 1") && report.to_markdown().contains("66.7 %"));
        let kept: EvalReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert!(Comparison::of(&kept, &report).check(0.0).is_ok());
    }

    #[tokio::test]
    async fn a_resumed_evaluation_measures_only_what_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eval.jsonl");
        let first = Lines(AtomicUsize::new(0));
        let one = Eval::new(&first, &cases(), scoring())
            .with_journal(Journal::open(&path).unwrap())
            .run()
            .await
            .unwrap();
        let second = Lines(AtomicUsize::new(0));
        let mut seen = Vec::new();
        let (sender, receiver) = std::sync::mpsc::channel();
        let two = Eval::new(&second, &cases(), scoring())
            .with_journal(Journal::open(&path).unwrap())
            .with_progress(move |progress| {
                let _ = sender.send((progress.done, progress.resumed));
            })
            .run()
            .await
            .unwrap();
        seen.extend(receiver.try_iter());
        assert_eq!((first.0.load(Ordering::SeqCst), second.0.load(Ordering::SeqCst)), (3, 0));
        assert_eq!(seen.last(), Some(&(3, 3)));
        assert_eq!(one, two);
    }

    #[tokio::test]
    async fn a_cancelled_evaluation_gives_no_figures() {
        let lines = Lines(AtomicUsize::new(0));
        let data = cases();
        let eval = Eval::new(&lines, &data, scoring()).with_cancellation(std::future::ready(()));
        assert_eq!(eval.run().await.unwrap_err().kind(), ExtractErrorKind::Cancelled);
    }
}
