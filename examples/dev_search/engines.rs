//! Two engines with the same entries, each at the end of a cable, and the search before them.

use std::time::Duration;

use pumasi_core::event::Shutdown;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_search::{PageCache, Search, SearchEngine};

use crate::cable::Cable;

/// How often the engines are looked at while nobody searches.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How old a change is at most that a fresh answer lacks. Changes reach an engine that is well within a second or two.
const FRESH_WITHIN: Duration = Duration::from_secs(5);
/// How long an engine of this process that is spared is left alone between two probes, so that it is back within a second of being well.
/// A probe may take half of that, ten times what such an engine needs on a busy machine: one that is slow and well has to come back, too.
pub(crate) const NEAR: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub(crate) struct Engines {
    pub(crate) search: Search,
    pub(crate) primary: Cable,
    pub(crate) fallback: Cable,
}

impl Engines {
    pub(crate) fn new(
        primary: impl SearchEngine + 'static,
        fallback: impl SearchEngine + 'static,
        cache: PageCache,
        probe_every: Duration,
    ) -> Result<Self> {
        let (primary, fallback) = (Cable::to(primary), Cable::to(fallback));
        let search = Search::builder("posts")
            .primary(primary.clone())
            .fallback(fallback.clone())
            .cache(cache)
            .deadline(Duration::from_millis(500))
            .fresh_within(FRESH_WITHIN)
            .tune(|fallback| fallback.probe_every(probe_every))
            .build()?;
        Ok(Self { search, primary, fallback })
    }

    /// Fails if an engine is behind the table, and names it; one that is away is told of as such.
    pub(crate) async fn follow(&self) -> Result<()> {
        let mut behind = Vec::new();
        for (engine, state) in [&self.primary, &self.fallback].into_iter().zip(self.search.engines()) {
            let late = state.lag.is_some_and(|lag| lag > FRESH_WITHIN);
            if late && matches!(tokio::time::timeout(LOOK_EVERY / 2, engine.status()).await, Ok(Ok(_))) {
                behind.push(state.engine);
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, format!("behind the table: {}", behind.join(", "))))
    }

    /// Looks at the engines also while nobody searches, so that what is told of them is how they stand.
    pub(crate) async fn watch(self, shutdown: Shutdown) {
        while tokio::time::timeout(LOOK_EVERY, shutdown.triggered()).await.is_err() {
            self.search.refresh(LOOK_EVERY / 2).await;
        }
    }
}
