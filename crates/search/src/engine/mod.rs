//! Who keeps documents and finds them.

mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
mod memory;
#[cfg(feature = "opensearch")]
mod opensearch;
mod order;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "embedded")]
mod tantivy;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::page::Page;
use crate::query::Query;
use crate::schema::Schema;
use crate::search::Finding;
use crate::{Error, ErrorKind, Result};

pub(crate) use change::AHEAD;
pub use change::{Applied, Change, ChangeKind};
pub use memory::MemoryEngine;
#[cfg(feature = "opensearch")]
pub use opensearch::OpenSearchEngine;
#[cfg(feature = "postgres")]
pub use postgres::PostgresEngine;
#[cfg(feature = "embedded")]
pub use tantivy::{TantivyEngine, TantivyOptions};

/// How an engine's index stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// How many documents can be found.
    pub documents: u64,
    /// Which index this is: it grows when the index is built anew.
    pub generation: u64,
    /// The newest [moment](Change::at) of any change that was applied; `None` before the first.
    pub applied: Option<Timestamp>,
    /// How many deleted documents it remembers; `None` from an engine that does not say. Together with the documents it is what an
    /// index knows, which no delete makes less: where it falls, the index was wiped.
    #[serde(default)]
    pub deleted: Option<u64>,
}

impl Status {
    /// Makes the status of an index.
    pub const fn new(documents: u64, generation: u64, applied: Option<Timestamp>) -> Self {
        Self { documents, generation, applied, deleted: None }
    }

    /// Says how many deleted documents the index remembers.
    #[must_use]
    pub const fn with_deleted(mut self, deleted: u64) -> Self {
        self.deleted = Some(deleted);
        self
    }

    /// How many documents it has known: those that are there, and those that it remembers as deleted.
    pub fn known(&self) -> u64 {
        self.documents.saturating_add(self.deleted.unwrap_or_default())
    }
}

/// Which version of a document an engine knows: what a drift check compares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stamp {
    /// The document's id.
    pub id: String,
    /// Its version.
    pub version: u64,
}

impl Stamp {
    /// Makes a stamp.
    pub fn new(id: impl Into<String>, version: u64) -> Self {
        Self { id: id.into(), version }
    }
}

/// Keeps documents and finds them.
///
/// What every engine keeps; `conformance` checks it by number:
///
/// 1. **The same documents.** A query finds those that [`MemoryEngine`] finds: the filter's three-valued logic and the terms
///    that the text is taken apart into are the same everywhere. In which order the best texts come may differ, and is then
///    said as [`Gap::Ranking`](crate::Gap::Ranking).
/// 2. **Nothing is left out silently.** What an engine cannot do is an error before anything is sent, or a
///    [gap](crate::Gap) of the page.
/// 3. **One snapshot.** Hits, their highlights, facets and totals of a page are of one moment, also while others write.
/// 4. **Applied is durable.** [`Applied::Done`] means that the change survives a kill of the engine, and is found within the
///    bound that the engine states.
/// 5. **Versions decide.** A change whose version is not above the known one does nothing and is [`Applied::Stale`], deletes
///    included; so changes may come twice and in any order.
/// 6. **One bad change spoils nothing.** Each change of a batch has its own result.
/// 7. **A walk misses and repeats nothing** among documents that are not changed meanwhile, when it is sorted by fields: on one
///    engine, over a restart, over a new index, and from one engine to another. Equals are ordered by id.
/// 8. **Time is kept.** A call ends within about the time that it was allowed, and a call that is given up leaves nothing behind.
#[async_trait]
pub trait SearchEngine: fmt::Debug + Send + Sync {
    /// Names the engine, as pages, metrics and cursors do.
    fn name(&self) -> &str;

    /// Returns what its documents hold.
    fn schema(&self) -> &Schema;

    /// Makes what documents are kept in, an index of a cluster say, where it is not there yet; where it is, nothing changes. Any
    /// process may call it at any time. An engine that has it as soon as it is opened does nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` where it was made for another schema or analyzer, `Unavailable` where the engine cannot be reached.
    async fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// Finds documents, within the time that is left.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a query that the schema does not allow, `Unsupported` for one that the engine cannot answer,
    /// `Timeout` when time ran out, `Unavailable` where the engine cannot be reached.
    async fn search(&self, query: &Query, time_left: Duration) -> Result<Page>;

    /// Applies changes, and returns what became of each, in their order.
    ///
    /// # Errors
    ///
    /// Where the whole batch failed, so that none, some or all may have been applied: apply it again. A change that the
    /// schema does not allow is an error of its own.
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>>;

    /// Tells how the index stands.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the engine cannot be reached.
    async fn status(&self) -> Result<Status>;

    /// Returns the versions of up to `limit` documents whose ids come after `after`, in the order of their ids' bytes.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the engine cannot be reached.
    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>>;

    /// Looks at what the engine stands on, as [`Search::doctor`](crate::Search::doctor) does at start-up: what of a server, its
    /// settings or the index is not as it should be. It changes nothing; that a look was not possible is a finding too. An
    /// engine that stands on nothing but this process finds nothing.
    async fn examine(&self) -> Vec<Finding> {
        Vec::new()
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<E: SearchEngine + ?Sized> SearchEngine for $pointer {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn schema(&self) -> &Schema {
                (**self).schema()
            }

            async fn prepare(&self) -> Result<()> {
                (**self).prepare().await
            }

            async fn search(&self, query: &Query, time_left: Duration) -> Result<Page> {
                (**self).search(query, time_left).await
            }

            async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
                (**self).apply(changes).await
            }

            async fn status(&self) -> Result<Status> {
                (**self).status().await
            }

            async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
                (**self).stamps(after, limit).await
            }

            async fn examine(&self) -> Vec<Finding> {
                (**self).examine().await
            }
        }
    )+};
}

forward!(&E, Box<E>, Arc<E>);

/// The error of a lock whose holder panicked.
fn poisoned() -> Error {
    Error::new(ErrorKind::Other, "an engine's state is broken: a thread panicked while it held it")
}
