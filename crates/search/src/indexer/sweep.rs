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
use crate::{ErrorKind, Result};

/// How often an index is compared.
const EVERY: Duration = Duration::from_secs(1);
/// How long after its moment a change may come to be seen: transactions take a while, and clocks of processes differ.
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
}

/// A source that knows what it changed of late.
#[async_trait]
pub trait Journal: Source {
    /// Returns up to `limit` changes in the order of their moments, and of their ids' bytes within one: those that were made after
    /// `at`, and those that were made then to documents whose ids come after `after`.
    ///
    /// The last change of each document is among them, also if it was a deletion; earlier ones may be.
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
/// Changes go by the [`Indexer`] that events go by, whose versions decide. What the engine refuses for good is left out, as with events.
pub struct Sweep {
    journal: Arc<dyn Journal>,
    indexer: Indexer,
    search: Search,
    engine: String,
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
    /// Compares an engine of `search`, by its name, with what `journal` has changed since a minute ago. Make it first, and then bring the
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
        let from = before(SystemClock.now());
        Ok(Self { journal: Arc::new(journal), indexer, search, engine, from, has: HashMap::new() })
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

    /// Compares once: the engine has everything then that its source had when this was called.
    ///
    /// # Errors
    ///
    /// What the source says, or the engine of a change that it has to be given again.
    pub async fn once(&mut self) -> Result<()> {
        let (began, limit) = (SystemClock.instant(), before(SystemClock.now()));
        let (mut at, mut after) = (self.from, String::new());
        loop {
            let recent = self.journal.since(at, &after, BATCH).await?;
            let Some(last) = recent.last() else { break };
            (at, after) = (last.at, last.id.clone());
            self.search.note_newest(at);
            let is_last = recent.len() < BATCH;
            self.bring(recent).await?;
            self.go_on(at.min(limit));
            if is_last {
                break;
            }
        }
        self.go_on(limit);
        self.search.was_compared(&self.engine, began);
        Ok(())
    }

    /// Has the engine given those changes that it is not known to have.
    async fn bring(&mut self, recent: Vec<Recent>) -> Result<()> {
        let unknown =
            |change: &Recent| self.has.get(&change.id).is_none_or(|has| has.version < change.version);
        let recent: Vec<Recent> = recent.into_iter().filter(unknown).collect();
        if recent.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = recent.iter().map(|change| change.id.clone()).collect();
        let documents = self.journal.pick(&ids).await?.into_iter();
        let mut documents: HashMap<String, Change> =
            documents.map(|change| (change.id().to_owned(), change)).collect();
        let indexer = &self.indexer;
        let applied = recent.into_iter().map(|change| {
            let document =
                documents.remove(&change.id).filter(|document| document.version() >= change.version);
            let document =
                document.unwrap_or_else(|| Change::delete(&*change.id, change.version).with_at(change.at));
            async move { (change, indexer.apply(document).await) }
        });
        let applied = join_all(applied.collect::<Vec<_>>()).await;
        let mut ended = Ok(());
        for (change, result) in applied {
            match result {
                Err(error) if error.kind() != ErrorKind::InvalidInput => ended = Err(error),
                _ => {
                    self.has.insert(change.id.clone(), change);
                }
            }
        }
        ended
    }

    /// All changes before that are there.
    fn go_on(&mut self, from: Timestamp) {
        self.from = self.from.max(from);
        self.has.retain(|_, change| change.at >= self.from);
    }
}

fn before(now: Timestamp) -> Timestamp {
    let overlap = i64::try_from(OVERLAP.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(overlap))
}
