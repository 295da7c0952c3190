//! Many sources: bounded concurrency, an outcome each, progress, cancellation, and resuming after a crash.

mod journal;
mod outcome;

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt as _, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use pumasi_core::model::{Cost, Usage};
use pumasi_core::time::{Clock, SystemClock};

pub use journal::Journal;
pub use outcome::{BatchReport, ItemOutcome, Progress};

use super::{Budget, Extract, ExtractError, ExtractErrorKind, ExtractExt as _, Extraction, Result};

type Cancellation = Pin<Box<dyn Future<Output = ()> + Send>>;
type OnProgress = Box<dyn FnMut(&Progress) + Send>;

/// A source of a batch. `Debug` shows its identifier and size, never its text.
#[derive(Clone, PartialEq, Eq)]
pub struct BatchItem {
    id: String,
    source: Vec<u8>,
}

impl BatchItem {
    /// Makes an item; `id` must be unlike every other one of the batch, and the same when the batch is resumed.
    ///
    /// The source may be bytes: an item that is not UTF-8 fails with [`ExtractErrorKind::NotText`], alone.
    pub fn new(id: impl Into<String>, source: impl Into<Vec<u8>>) -> Self {
        Self { id: id.into(), source: source.into() }
    }

    /// Returns the identifier.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the source's bytes.
    pub fn source(&self) -> &[u8] {
        &self.source
    }
}

impl fmt::Debug for BatchItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchItem").field("id", &self.id).field("source_bytes", &self.source.len()).finish()
    }
}

/// Extracts from many sources with any [`Extract`].
///
/// 1. **Isolation.** Whatever happens to one item (an error, a panic of a validator), every other item is unharmed.
/// 2. **Bounds.** At most [`with_concurrency`](Self::with_concurrency) items are under way; the sources are taken from
///    their iterator one by one as places become free.
/// 3. **Durability.** With a [`Journal`] an outcome is on disk before it is handed out; one that the journal could not take
///    is not handed out, and [`BatchReport::stopped`] says why. A batch that is run again after a crash, with the same
///    journal, asks nothing about an item that was finished.
/// 4. **Cancellation.** When the future given to [`with_cancellation`](Self::with_cancellation) completes, calls under
///    way are dropped, nothing new is begun, and what was finished is kept. Dropping the batch does the same.
///
/// ```
/// use async_trait::async_trait;
/// use pumasi_llm_parse::extract::{Batch, BatchItem, Extract, Extraction, Result};
///
/// struct CountWords;
///
/// #[async_trait]
/// impl Extract<usize> for CountWords {
///     fn version(&self) -> &str {
///         "count-words-1"
///     }
///
///     async fn extract(&self, source: &str) -> Result<Extraction<usize>> {
///         Ok(Extraction::new(source.split_whitespace().count(), self.version()))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let items = [BatchItem::new("a", "매일 달렸다"), BatchItem::new("b", vec![0xff, 0xfe])];
/// let report = Batch::new(&CountWords).run(items).await;
/// assert_eq!((report.succeeded(), report.failed()), (1, 1));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Batch<'a, T> {
    extractor: &'a dyn Extract<T>,
    concurrency: NonZeroUsize,
    budget: Budget,
    journal: Option<Journal<T>>,
    retry_failed: bool,
    progress: Option<OnProgress>,
    cancellation: Option<Cancellation>,
    clock: Arc<dyn Clock>,
}

impl<'a, T: Send + 'static> Batch<'a, T> {
    /// Makes a batch over `extractor`: four items at a time, no journal, no limits.
    pub fn new(extractor: &'a dyn Extract<T>) -> Self {
        Self {
            extractor,
            concurrency: const { NonZeroUsize::new(4).unwrap() },
            budget: Budget::unlimited(),
            journal: None,
            retry_failed: false,
            progress: None,
            cancellation: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets how many items are under way at a time.
    #[must_use]
    pub fn with_concurrency(mut self, items: NonZeroUsize) -> Self {
        self.concurrency = items;
        self
    }

    /// Limits the tokens, the money and the calls of the whole batch; items begun before a limit was reached are finished.
    ///
    /// The budget's time is not looked at: cancel the batch instead. Items that a journal answers cost nothing.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Keeps the outcomes in `journal`, and takes from it what it has.
    ///
    /// A success is taken if the source and the extractor's [version](Extract::version) are the same. A failure is taken
    /// if trying again cannot help (see [`with_retry_failed`](Self::with_retry_failed)); any other is tried again.
    #[must_use]
    pub fn with_journal(mut self, journal: Journal<T>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Tries again whatever the journal has as failed, whether that can help or not.
    #[must_use]
    pub fn with_retry_failed(mut self) -> Self {
        self.retry_failed = true;
        self
    }

    /// Calls `progress` after every finished item.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Sets the clock that times the items; the machine's by default.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Stops the batch when `cancelled` completes.
    #[must_use]
    pub fn with_cancellation(mut self, cancelled: impl Future<Output = ()> + Send + 'static) -> Self {
        self.cancellation = Some(Box::pin(cancelled));
        self
    }

    /// Extracts from every item and returns the outcomes in the order of the items.
    pub async fn run(self, items: impl IntoIterator<Item = BatchItem, IntoIter: Send>) -> BatchReport<T> {
        let mut outcomes = Vec::new();
        let mut report = self.run_with(items, |outcome| outcomes.push(outcome)).await;
        outcomes.sort_by_key(|outcome| outcome.index);
        report.outcomes = outcomes;
        report
    }

    /// Extracts from every item and hands each outcome to `sink` as soon as it is finished (and durable, with a journal).
    ///
    /// The report has the totals and no outcomes: memory stays bounded whatever the number of items.
    pub async fn run_with(
        mut self,
        items: impl IntoIterator<Item = BatchItem, IntoIter: Send>,
        mut sink: impl FnMut(ItemOutcome<T>) + Send,
    ) -> BatchReport<T> {
        let mut items = items.into_iter().enumerate();
        let clock = Arc::clone(&self.clock);
        let mut progress = Progress { total: exact(items.size_hint()), ..Progress::default() };
        let mut ids = HashSet::new();
        let mut running = FuturesUnordered::new();
        let mut cancellation =
            self.cancellation.take().unwrap_or_else(|| Box::pin(std::future::pending())).fuse();
        let mut stopped = None;
        let mut exhausted = false;
        loop {
            let mut finished: Vec<Finished<T>> = Vec::new();
            while !exhausted && running.len() < self.concurrency.get() && finished.len() < 64 {
                let Some((index, item)) = items.next() else {
                    exhausted = true;
                    break;
                };
                if !ids.insert(item.id.clone()) {
                    finished.push(Finished::refused(index, item, duplicate()));
                } else if let Some(outcome) = self.resumed(index, &item) {
                    finished.push(Finished { outcome, key: None });
                } else if let Some(error) = self.over_budget(&progress) {
                    finished.push(Finished::refused(index, item, error));
                } else {
                    running.push(work(self.extractor, &*clock, index, item, self.journal.is_some()));
                }
            }
            if finished.is_empty() {
                if running.is_empty() {
                    break;
                }
                match select(&mut cancellation, running.next()).await {
                    Either::Left(((), _)) => {
                        stopped =
                            Some(ExtractError::new(ExtractErrorKind::Cancelled, "the batch was cancelled"));
                    }
                    Either::Right((first, _)) => finished.extend(first),
                }
            } else if (&mut cancellation).now_or_never().is_some() {
                stopped = Some(ExtractError::new(ExtractErrorKind::Cancelled, "the batch was cancelled"));
            }
            // whatever else is ready shares one write and one fsync
            while let Some(Some(more)) = running.next().now_or_never() {
                finished.push(more);
            }
            if let Some(journal) = &mut self.journal
                && let Err(error) = journal.append(&finished).await
            {
                // What was asked was paid for, whether it can be kept or not.
                finished
                    .iter()
                    .filter(|one| one.key.is_some())
                    .for_each(|lost| progress.spend(&lost.outcome));
                finished.retain(|one| one.key.is_none());
                stopped = Some(error);
            }
            for Finished { outcome, .. } in finished {
                progress.count(&outcome);
                sink(outcome);
                if let Some(report) = &mut self.progress {
                    report(&progress);
                }
            }
            if stopped.is_some() {
                break;
            }
        }
        let damaged = self.journal.as_ref().map_or(0, Journal::damaged_lines);
        BatchReport { outcomes: Vec::new(), progress, stopped, damaged_lines: damaged }
    }

    fn resumed(&self, index: usize, item: &BatchItem) -> Option<ItemOutcome<T>> {
        let key = journal::key(self.extractor.version(), &item.source);
        let (result, elapsed) = self.journal.as_ref()?.get(&item.id, &key)?;
        let again = !outcome::is_settled(&result) || (self.retry_failed && result.is_err());
        (!again).then(|| ItemOutcome { index, id: item.id.clone(), result, elapsed, resumed: true })
    }

    fn over_budget(&self, progress: &Progress) -> Option<ExtractError> {
        let tokens = self.budget.tokens().is_some_and(|most| progress.usage.total_tokens() >= most);
        let money = self.budget.cost().is_some_and(|most| progress.cost.unwrap_or_default() >= most);
        let calls = self.budget.calls().is_some_and(|most| progress.calls >= u64::from(most));
        (tokens || money || calls).then(|| {
            ExtractError::new(
                ExtractErrorKind::BudgetExhausted,
                "the batch has used up its budget; the item was not tried",
            )
        })
    }
}

impl<T> fmt::Debug for Batch<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("concurrency", &self.concurrency)
            .field("budget", &self.budget)
            .field("journal", &self.journal)
            .field("retry_failed", &self.retry_failed)
            .finish_non_exhaustive()
    }
}

/// A finished item on its way to the journal and to the caller.
struct Finished<T> {
    outcome: ItemOutcome<T>,
    /// What the journal files it under; `None` if it does not belong there.
    key: Option<String>,
}

impl<T> Finished<T> {
    fn refused(index: usize, item: BatchItem, error: ExtractError) -> Self {
        let outcome =
            ItemOutcome { index, id: item.id, result: Err(error), elapsed: Duration::ZERO, resumed: false };
        Self { outcome, key: None }
    }
}

async fn work<T: Send>(
    extractor: &dyn Extract<T>,
    clock: &dyn Clock,
    index: usize,
    item: BatchItem,
    filed: bool,
) -> Finished<T> {
    let started = clock.instant();
    let extraction = AssertUnwindSafe(extractor.extract_bytes(&item.source)).catch_unwind();
    let result: Result<Extraction<T>> = extraction.await.unwrap_or_else(|_| {
        Err(ExtractError::new(ExtractErrorKind::Other, "the extraction of the item panicked"))
    });
    let key = filed.then(|| journal::key(extractor.version(), &item.source));
    let elapsed = clock.instant().saturating_duration_since(started);
    Finished { outcome: ItemOutcome { index, id: item.id, result, elapsed, resumed: false }, key }
}

fn duplicate() -> ExtractError {
    ExtractError::new(
        ExtractErrorKind::InvalidConfig,
        "another item of the batch has the same id; this one was not tried",
    )
}

fn exact((low, high): (usize, Option<usize>)) -> Option<usize> {
    high.filter(|high| *high == low)
}

/// Adds the tokens and the money of `result`, whether it went well or not.
pub(crate) fn spent<T>(result: &Result<Extraction<T>>) -> (Usage, Option<Cost>, usize) {
    match result {
        Ok(extraction) => (extraction.usage, extraction.cost, calls(&extraction.attempts)),
        Err(error) => (error.usage(), error.cost(), calls(error.attempts())),
    }
}

fn calls(attempts: &[super::Attempt]) -> usize {
    attempts.iter().filter(|attempt| attempt.is_call()).count()
}

#[cfg(test)]
mod tests;
