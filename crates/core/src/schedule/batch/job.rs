//! What the user writes, and what they are told.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::Database;

use crate::Result;
use crate::event::EventId;

/// What tells the runs of one batch apart: the month, the file, the due time. Not secrets, and not what people wrote: they are
/// stored and published.
pub type Parameters = BTreeMap<String, String>;

/// Which run of which batch is at work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchRun {
    /// The batch's name.
    pub job: String,
    /// The run's identity, derived from the name and the parameters.
    pub id: EventId,
    /// Its parameters.
    pub parameters: Parameters,
    /// Greater than that of whoever worked on the run before.
    pub fence: u64,
}

impl BatchRun {
    pub(super) fn new(job: &str, parameters: &Parameters) -> Self {
        let named = EventId::named("pumasi.batch", job);
        // Strings alone, in order: this cannot fail, and is the same text everywhere.
        let text = serde_json::to_string(parameters).unwrap_or_default();
        Self {
            job: job.to_owned(),
            id: EventId::derived(named, &text),
            parameters: parameters.clone(),
            fence: 0,
        }
    }
}

/// An item, and the position from which reading goes on behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<P, I> {
    /// Where the item stands: a key, an offset.
    pub position: P,
    /// The item.
    pub item: I,
}

/// The three parts of a batch job: what is read, what is made of it, and how that is written.
///
/// See [`Batch`](super::Batch) for an example.
#[async_trait]
pub trait ChunkJob<DB: Database>: Send + Sync {
    /// What is read.
    type Item: Send + Sync;
    /// Where an item stands.
    type Position: Serialize + DeserializeOwned + Send + Sync;
    /// What is written.
    type Output: Send + Sync;

    /// Reads up to `limit` items behind `after` (from the beginning without it), in the order of their positions; none at
    /// the end.
    ///
    /// Reading again behind the same position must give the same items; what is added later must stand behind them.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; one that may be retried is, others end the run.
    async fn read(
        &self,
        run: &BatchRun,
        after: Option<&Self::Position>,
        limit: NonZeroUsize,
    ) -> Result<Vec<Entry<Self::Position, Self::Item>>>;

    /// Makes of an item what is written; `None` if nothing is.
    ///
    /// It may be called again for the same item, so effects belong into [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// Whatever went wrong; one that may be retried is, others make the item a bad one. The message must not hold what a
    /// person wrote.
    async fn process(&self, run: &BatchRun, item: &Self::Item) -> Result<Option<Self::Output>>;

    /// Writes a chunk in the transaction that `connection` is in, and nowhere else. It must not end the transaction, nor begin
    /// one within it other than by `SAVEPOINT`.
    ///
    /// # Errors
    ///
    /// Whatever went wrong, and then nothing of the chunk is written. One that may be retried is; after another one the
    /// chunk's items are written one by one, and those that fail again are bad items. [`database_error`] makes the right
    /// error of a database's.
    ///
    /// [`database_error`]: crate::schedule::database_error
    async fn write(
        &self,
        run: &BatchRun,
        connection: &mut DB::Connection,
        items: &[&Self::Output],
    ) -> Result<()>;
}

/// How far a run has come, over all its restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// Chunks committed.
    pub chunks: u64,
    /// Items read.
    pub read: u64,
    /// Results written.
    pub written: u64,
    /// Items of which nothing was to be written.
    pub filtered: u64,
    /// Bad items passed over.
    pub skipped: u64,
    /// The bad items by the kind of their errors.
    pub skipped_by_kind: BTreeMap<String, u64>,
    /// Attempts that failed and were repeated.
    pub retried: u64,
    /// How often the run was begun.
    pub starts: u64,
}

/// How a run ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchOutcome {
    /// Everything is done.
    Completed(Progress),
    /// It had been done before; nothing was read.
    AlreadyCompleted(Progress),
    /// It was told to stop, and goes on from here when it is run again.
    Stopped(Progress),
}

impl BatchOutcome {
    /// Tells whether everything is done.
    pub const fn is_complete(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::AlreadyCompleted(_))
    }

    /// Returns how far the run has come.
    pub const fn progress(&self) -> &Progress {
        match self {
            Self::Completed(progress) | Self::AlreadyCompleted(progress) | Self::Stopped(progress) => {
                progress
            }
        }
    }
}
