//! An index is held against what its source changed of late.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use pumasi_core::event::Shutdown;
use pumasi_core::time::{Clock, SystemClock, Timestamp};

use super::{Indexer, Source};
use crate::engine::Change;
use crate::search::Search;
use crate::{Error, ErrorKind, Result, Retry};

/// How often an index is compared.
const EVERY: Duration = Duration::from_secs(1);
/// How long after its moment a change may come to be seen, unless it is set: transactions take a while, and clocks of processes differ.
const OVERLAP: Duration = Duration::from_mins(1);
/// How many changes are read at a time.
const BATCH: usize = 500;

/// A change that a source made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The document.
    pub id: String,
    /// Its version, or that of its deletion.
    pub version: u64,
    /// When it was made.
    pub at: Timestamp,
    /// Whether the document was deleted by it.
    pub deleted: bool,
}

/// A source that knows what it changed of late.
#[async_trait]
pub trait Journal: Source {
    /// Returns up to `limit` changes in the order of their moments, and of their ids' bytes within one: those that were made after
    /// `at`, and those that were made then to documents whose ids come after `after`.
    ///
    /// The last change of each document is among them, also if it was a deletion; earlier ones may be. A change has to be seen within
    /// the [overlap](Sweep::with_overlap) after its moment: one that a transaction makes known later is not looked for any more.
    ///
    /// [`pick`](Source::pick) is to be as new as this: while it reads a copy that is behind, a comparison fails where they differ.
    ///
    /// # Errors
    ///
    /// Whatever keeps the source from answering.
    async fn since(&self, at: Timestamp, after: &str, limit: usize) -> Result<Vec<Recent>>;
}

/// Compares an engine with what its source changed of late, every second, and brings it what it lacks.
///
/// Events may be late: a bus keeps the place of a process that was killed for a while, or one of its partitions is away. So pages of an
/// engine that is compared are [`Fresh`](crate::fallback::Served::Fresh) only if the engine is known to have every change that its source
/// had some time before, as long as the search [allows](crate::search::SearchBuilder::fresh_within). Otherwise they are
/// [`Degraded`](crate::fallback::Served::Degraded), with the time for which that is not known as their lag: also before the first
/// comparison, and while the source cannot be read.
///
/// Changes go by the [`Indexer`] that events go by, whose versions decide. What the engine refuses for good is left out, as with events:
/// documents that are not allowed, and what fails in a way that does not pass while the engine takes other changes.
///
/// The engine itself is not asked what it has. What it was given and lost again is noticed as a [wiped index](crate::Search), or by
/// [`check`](super::check); what the source makes known later than the [overlap](Self::with_overlap) only by `check`. Each comparison
/// reads again what was changed within the overlap.
pub struct Sweep {
    journal: Arc<dyn Journal>,
    indexer: Indexer,
    search: Search,
    engine: String,
    overlap: Duration,
    /// All changes before that are known to be there.
    from: Timestamp,
    /// The changes since then that are.
    has: HashMap<String, Recent>,
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("engine", &self.engine)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Sweep {
    /// Compares an engine of `search`, by its name, with what `journal` has changed since a minute ago, or since the
    /// [overlap](Self::with_overlap). Make it first, and then bring the
    /// engine in step with what is [older](super::check); `indexer` applies changes to that engine.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the search has no engine of that name.
    pub fn new(
        engine: impl Into<String>,
        journal: impl Journal + 'static,
        indexer: Indexer,
        search: Search,
    ) -> Result<Self> {
        let engine = engine.into();
        search.is_compared(&engine)?;
        let (overlap, from) = (OVERLAP, before(SystemClock.now(), OVERLAP));
        Ok(Self { journal: Arc::new(journal), indexer, search, engine, overlap, from, has: HashMap::new() })
    }

    /// Sets how long after its moment a change may come to be seen, a minute by default: as long as the longest transaction that
    /// changes documents may take, and as far as the clocks of the source's writers may differ.
    #[must_use]
    pub fn with_overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self.from = before(SystemClock.now(), overlap);
        self
    }

    /// Compares until the shutdown.
    pub async fn run(mut self, shutdown: &Shutdown) {
        let mut failed = false;
        while !shutdown.is_triggered() {
            let compared = tokio::select! {
                compared = self.once() => compared,
                () = shutdown.triggered() => return,
            };
            match &compared {
                Err(error) if !failed => {
                    let (engine, kind) = (&self.engine, error.kind());
                    tracing::warn!(engine, %kind, %error, "the index cannot be compared with its source");
                }
                Ok(()) if failed => {
                    tracing::info!(engine = self.engine, "the index is compared with its source");
                }
                _ => {}
            }
            failed = compared.is_err();
            let _pause = tokio::time::timeout(EVERY, shutdown.triggered()).await;
        }
    }

    /// Compares once: the engine has everything then that its source had when this was called, apart from what it refuses for good.
    ///
    /// # Errors
    ///
    /// What the source says, or the engine of a change that it has to be given again. What comes after such a change is brought all
    /// the same, unless the engine is away.
    pub async fn once(&mut self) -> Result<()> {
        let (began, limit) = (SystemClock.instant(), before(SystemClock.now(), self.overlap));
        let mut pass = Pass::from(self.from);
        let read = self.pass(limit, &mut pass).await;
        let ended = read.and(pass.why.take().map_or(Ok(()), Err));
        self.from = self.from.max(pass.lacks.map_or(pass.until, |lacks| lacks.min(pass.until)));
        self.has.retain(|_, change| change.at >= self.from);
        ended?;
        self.search.was_compared(&self.engine, began);
        Ok(())
    }

    async fn pass(&mut self, limit: Timestamp, pass: &mut Pass) -> Result<()> {
        let (mut at, mut after) = (self.from, String::new());
        // Gathered over what is had already, so that what failed before is given beside what is new.
        let mut unknown: Vec<Recent> = Vec::new();
        loop {
            let recent = self.journal.since(at, &after, BATCH).await?;
            let Some(last) = recent.last() else { break };
            (at, after) = (last.at, last.id.clone());
            self.search.note_newest(at);
            let is_last = recent.len() < BATCH;
            let is_unknown =
                |change: &Recent| self.has.get(&change.id).is_none_or(|has| has.version < change.version);
            unknown.extend(recent.into_iter().filter(is_unknown));
            while unknown.len() >= BATCH {
                self.bring(unknown.drain(..BATCH).collect(), pass).await?;
            }
            if is_last {
                break;
            }
            if unknown.is_empty() {
                pass.until = pass.until.max(at.min(limit));
            }
        }
        self.bring(unknown, pass).await?;
        pass.until = pass.until.max(limit);
        Ok(())
    }

    /// Has the engine given those changes that it is not known to have.
    async fn bring(&mut self, mut recent: Vec<Recent>, pass: &mut Pass) -> Result<()> {
        let mut newest: HashMap<String, u64> = HashMap::new();
        for change in &recent {
            let version = newest.entry(change.id.clone()).or_default();
            *version = change.version.max(*version);
        }
        // What was written and changed again since is not there to be picked.
        recent.retain(|change| newest.get(&change.id) == Some(&change.version));
        if recent.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = recent.iter().map(|change| change.id.clone()).collect();
        let documents = self.journal.pick(&ids).await?.into_iter();
        let documents: HashMap<String, Change> =
            documents.map(|change| (change.id().to_owned(), change)).collect();
        let indexer = &self.indexer;
        let applied = recent.into_iter().map(|change| {
            let document = documents.get(&change.id).filter(|document| document.version() >= change.version);
            let deletion =
                change.deleted.then(|| Change::delete(&*change.id, change.version).with_at(change.at));
            let given = document.cloned().or(deletion);
            async move {
                let result = match given {
                    Some(given) => indexer.apply(given).await,
                    None => Err(not_yet()),
                };
                (change, result)
            }
        });
        let applied = join_all(applied.collect::<Vec<_>>()).await;
        let (mut away, mut takes, mut refused) = (Ok(()), false, Vec::new());
        for (change, result) in applied {
            let Err(error) = result else {
                takes = true;
                self.has.insert(change.id.clone(), change);
                continue;
            };
            match error.kind() {
                ErrorKind::InvalidInput => {
                    self.has.insert(change.id.clone(), change);
                }
                ErrorKind::Unavailable | ErrorKind::Overloaded => {
                    pass.lacks(&change, error.clone());
                    away = Err(error);
                }
                _ if error.retry().is_retryable() => pass.lacks(&change, error),
                _ => refused.push((change, error)),
            }
        }
        // Refused for good is what fails in a way that does not pass beside others that the engine takes.
        for (change, error) in refused {
            if takes {
                tracing::warn!(document = change.id, kind = %error.kind(), "the index refuses a change for good");
                self.has.insert(change.id.clone(), change);
            } else {
                pass.lacks(&change, error);
            }
        }
        away
    }
}

/// What a comparison has come to.
struct Pass {
    /// All changes before that were read.
    until: Timestamp,
    /// The moment of the oldest change that is to be given again, and why the first one is.
    lacks: Option<Timestamp>,
    why: Option<Error>,
}

impl Pass {
    const fn from(until: Timestamp) -> Self {
        Self { until, lacks: None, why: None }
    }

    fn lacks(&mut self, change: &Recent, error: Error) {
        self.lacks = Some(self.lacks.map_or(change.at, |at| at.min(change.at)));
        self.why.get_or_insert(error);
    }
}

/// A document was changed, and is read as it was before, or as if there were none.
fn not_yet() -> Error {
    let what = "the source does not show a document yet that it says to have changed";
    Error::new(ErrorKind::Conflict, what).with_retry(Retry::Now)
}

fn before(now: Timestamp, overlap: Duration) -> Timestamp {
    let overlap = i64::try_from(overlap.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(overlap))
}
