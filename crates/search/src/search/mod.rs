//! Search over several engines, answered whatever becomes of them.
//!
//! A [`Search`] puts a [`Fallback`] before engines that hold the same documents. What it adds is what only
//! somebody who knows about search can tell:
//!
//! - **A wiped index is noticed.** An engine that knows less than half of what it itself has known, or of the documents that another
//!   engine holds, answers nothing: it has lost its data, and an empty page would be a lie. What it knows are its documents and the
//!   deletes that it remembers, so that deletes, however many, lose nothing; an engine that does not [say](crate::engine::Status::deleted)
//!   how many it remembers is judged by the others, and where nothing is known of them by having no document left. An index that is
//!   [built anew](crate::engine::Status::generation) is judged by the others only. It is looked at once a second while there is traffic,
//!   and before a page is believed that [says](Page::known) that the index knew too little. Where pages do not say that, an empty one is
//!   believed after a look, which is good for those of one second, and any page where the last look is old; what was lost and filled
//!   again in part is noticed by the next look.
//!   Where an engine is right and the others are not, [`Search::trust`] says so.
//! - **An index that is being filled says so.** The page of an engine that knows less than 99 % of what another holds has
//!   [`Gap::Missing`], as soon as that has lasted a second. So has that of an engine other than the primary that could not take some
//!   documents. What the primary refuses is its writer's error, and where an indexer of this process gave it the change, no lag either.
//! - **Deletes that were missed are told.** The page of an engine that holds documents which the primary has deleted has
//!   [`Gap::Deletes`].
//! - **Whose order it is.** The primary's order is the one that counts; another engine ranks texts in its own way, so that its pages have
//!   [`Gap::Ranking`] unless they are sorted by fields.
//! - **How far it lags.** The moment of the newest change that an engine applied, against the newest that any of them did, or that the
//!   source is [said](Search::note_newest) to have made. A primary that is [further behind](SearchBuilder::fresh_within) than 30 s is
//!   `Degraded`, from its first page where it comes back so. What an [indexer](crate::indexer::Indexer::with_search) of this process could
//!   not hand over to an engine, and is to come again, counts as not applied, whatever newer changes it has. Where an engine is
//!   [compared](crate::indexer::Sweep) with its source, its lag is also the time since it was last known to have everything, once that is
//!   more than is allowed: no change that is older is missing in a page that is `Fresh`.
//! - **Walks go on.** A cursor names a place in the order, not in an engine: a walk that is sorted by fields goes on where it was
//!   when the engine changes between two pages, and misses and repeats nothing that was not changed.
//! - **A new index** makes every cached page old. So does what is found to be wrong with the primary: that it has lost documents, is
//!   being filled, or lags too far.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use pumasi_search::fallback::Served;
//! use pumasi_search::{Change, Document, MemoryEngine, Query, Schema, Search, SearchEngine, TextField};
//! use serde_json::json;
//!
//! let schema = Schema::new("posts").with_text(TextField::new("title"));
//! let (engine, database) = (MemoryEngine::new(schema.clone()), MemoryEngine::new(schema).with_name("database"));
//! let post = Change::upsert(Document::new("1", json!({"title": "한강 러닝크루 모집"})), 1);
//! for engine in [&engine, &database] {
//!     engine.apply(std::slice::from_ref(&post)).await?;
//! }
//! let search = Search::builder("posts").primary(engine.clone()).fallback(database).build()?;
//! assert!(matches!(search.search(Query::new("러닝")).await?, Served::Fresh { .. }));
//!
//! engine.wipe()?; // the disk is lost
//! let Served::Degraded { value, backend, .. } = search.search(Query::new("러닝")).await? else { unreachable!() };
//! assert_eq!((value.ids(), &*backend), (vec!["1"], "database"));
//! # Ok::<(), pumasi_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! # Metrics
//!
//! Beside those of [`fallback`](crate::fallback), with every look at an engine: the gauges `pumasi_search_documents{engine}` and, where
//! changes say when they were made, `pumasi_search_lag_seconds{engine}`, how far it is behind the newest of them, also of an engine that
//! is away. Where nobody searches, [`Search::refresh`] keeps them true.

mod builder;
mod doctor;
mod owed;
mod seen;
#[cfg(test)]
mod tests;
mod watched;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pumasi_core::resilience::BreakerState;
use pumasi_core::time::{Clock, SystemClock, Timestamp};

pub use self::builder::{PageCache, SearchBuilder};
pub use self::doctor::{Finding, Health, Report};
use self::seen::Newest;
use self::watched::Watched;
use crate::Result;
use crate::engine::{Change, SearchEngine};
use crate::fallback::{Fallback, Served};
#[cfg(doc)]
use crate::page::Gap;
use crate::page::Page;
use crate::query::Query;
use crate::schema::Schema;

/// Answers queries from the first of its engines that can; see the [module](self).
///
/// Clones share everything. The defaults are those of [`Fallback`](crate::fallback).
#[derive(Clone)]
pub struct Search {
    fallback: Fallback<Query, Arc<Page>>,
    engines: Arc<[Arc<Watched>]>,
    schema: Arc<Schema>,
    /// The newest generation of the primary's index that a page was of.
    generation: Arc<AtomicU64>,
    newest: Arc<Newest>,
}

/// How an engine stands, as far as it was looked at last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineState {
    /// The engine's name.
    pub engine: String,
    /// Its circuit; `None` for the last engine, which is asked whatever its health.
    pub circuit: Option<BreakerState>,
    /// How many documents it holds, if it was looked at.
    pub documents: Option<u64>,
    /// How far it lags behind the newest change that any engine applied or that was [noted](Search::note_newest), if changes say when
    /// they were made; or for how long it is not known to have what its source has, where it is [compared](crate::indexer::Sweep).
    pub lag: Option<Duration>,
    /// Whether it holds so few documents that it must have lost them.
    pub wiped: bool,
}

impl Search {
    /// Begins to put a search together; `name` is what errors and metrics call it.
    pub fn builder(name: impl Into<Arc<str>>) -> SearchBuilder {
        SearchBuilder::new(name.into())
    }

    /// Answers a query.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a query that the schema does not allow,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if no engine can answer and the cache has nothing,
    /// [`Timeout`](crate::ErrorKind::Timeout) if none had answered by the deadline.
    pub async fn search(&self, query: Query) -> Result<Served<Arc<Page>>> {
        query.check(&self.schema)?;
        // all of them, as each is judged by the others; for cached pages too, of which the next look may say that they are none
        self.engines.iter().for_each(Watched::look_later);
        let served = self.fallback.call(query).await?;
        if let Served::Fresh { value, .. } = &served {
            let before = self.generation.fetch_max(value.generation, Ordering::SeqCst);
            if before != 0
                && before < value.generation
                && let Err(error) = self.fallback.invalidate_all().await
            {
                tracing::warn!(kind = %error.kind(), %error, "pages of the old index stay cached until their bound");
            }
        }
        Ok(served)
    }

    /// Makes every cached page old: call it when documents were written. A page that was being fetched meanwhile is not
    /// called cached either.
    ///
    /// # Errors
    /// The cache's: pages may then be called cached until their bound is over.
    pub async fn invalidate_all(&self) -> Result<()> {
        self.fallback.invalidate_all().await
    }

    /// Makes the cached pages old that depend on one of the tags; see [`PageCache::with_tags`].
    ///
    /// # Errors
    /// As [`invalidate_all`](Self::invalidate_all).
    pub async fn invalidate<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> Result<()> {
        self.fallback.invalidate(tags).await
    }

    /// Notes what became of changes that an engine was given: whether they are to come again.
    pub(crate) fn was_given<'a>(
        &self,
        engine: &str,
        outcomes: impl Iterator<Item = (&'a Change, bool)> + Clone,
    ) {
        if let Ok(watched) = self.engine(engine) {
            watched.was_given(outcomes);
        }
    }

    /// Notes that an engine has no need of a change of that moment: it refused it for good, or knows as new a version of the document.
    pub(crate) fn has_no_need_of(&self, engine: &str, at: Timestamp) {
        if let Ok(watched) = self.engine(engine) {
            watched.has_no_need_of(at);
        }
    }

    /// Notes that an engine has every change that was made until `until`, whatever it says itself: after a
    /// [repair](crate::indexer::repair) of everything from a source that does not tell when its documents were changed, for one. It is
    /// not said to lag behind changes from until then, as long as it loses none.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if no engine is called so, or the moment is still to come.
    pub fn caught_up(&self, engine: &str, until: Timestamp) -> Result<()> {
        if until > SystemClock.now() {
            let what = "an engine cannot have the changes until a moment that is still to come";
            return Err(crate::Error::new(crate::ErrorKind::InvalidInput, what));
        }
        self.engine(engine).map(|watched| watched.has_no_need_of(until))
    }

    /// Notes the moment of the newest change that the source has made: where no engine hears of changes, all of them lag behind that. An
    /// earlier moment than was noted before changes nothing. A [`Sweep`](crate::indexer::Sweep) does it.
    pub fn note_newest(&self, at: Timestamp) {
        self.newest.note(at);
    }

    /// Has an engine's pages be fresh only while it is known to have what its source has.
    pub(crate) fn is_compared(&self, engine: &str) -> Result<()> {
        self.engine(engine).map(|watched| watched.is_compared())
    }

    /// Notes that an engine has what its source had then.
    pub(crate) fn was_compared(&self, engine: &str, at: Instant) {
        if let Ok(watched) = self.engine(engine) {
            watched.was_compared(at);
        }
    }

    fn engine(&self, name: &str) -> Result<&Arc<Watched>> {
        self.engines.iter().find(|watched| watched.name() == name).ok_or_else(|| {
            crate::Error::new(crate::ErrorKind::InvalidInput, format!("no engine is called {name}"))
        })
    }

    /// Looks at the engines that nobody has looked at for a second, all at once and each within `limit`: by themselves they are looked
    /// at only while there is traffic. A service that shows [`engines`](Self::engines) or the gauges calls it every few seconds.
    pub async fn refresh(&self, limit: Duration) {
        join_all(self.engines.iter().map(|watched| watched.refresh(limit))).await;
    }

    /// Returns how each engine stands, as far as it was looked at last; the primary first.
    pub fn engines(&self) -> Vec<EngineState> {
        self.engines.iter().map(|watched| watched.state(self.fallback.circuit(watched.name()))).collect()
    }

    /// Takes what an engine holds now as right, where it was found to have lost documents and has not: the others did not have the
    /// deletes, say. From now on it is judged by what it itself has known only; it answers again when its next probe goes well.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if no engine is called so, and the engine's where it does not say within `limit`
    /// how it stands.
    pub async fn trust(&self, engine: &str, limit: Duration) -> Result<()> {
        self.engine(engine)?.trust(limit).await
    }

    /// Returns how long an engine is waited for before the next one is asked, as it is now.
    pub fn hedge_delay(&self, engine: &str) -> Option<Duration> {
        self.fallback.hedge_delay(engine)
    }

    /// Looks at every engine and says in plain words what is not as it should be: at start-up, or when something is odd.
    ///
    /// Each engine is given `limit` of time; the check ends also when engines hang.
    pub async fn doctor(&self, limit: Duration) -> Report {
        doctor::examine(&self.engines, &self.schema, limit).await
    }

    /// Returns what documents hold.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").field("engines", &self.engines()).finish_non_exhaustive()
    }
}

/// The engine as a trait object.
type Engine = Arc<dyn SearchEngine>;
