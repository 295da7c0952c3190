//! Two engines with the same entries, each at the end of a cable, and the search before them.

use std::time::Duration;

use pumasi_core::Result;
use pumasi_core::event::Shutdown;
use pumasi_search::{PageCache, Search, SearchEngine};

use crate::cable::Cable;

/// How often the engines are looked at while nobody searches.
const LOOK_EVERY: Duration = Duration::from_secs(2);
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
            .tune(|fallback| fallback.probe_every(probe_every))
            .build()?;
        Ok(Self { search, primary, fallback })
    }

    /// Looks at the engines also while nobody searches, so that what is told of them is how they stand.
    pub(crate) async fn watch(self, shutdown: Shutdown) {
        while tokio::time::timeout(LOOK_EVERY, shutdown.triggered()).await.is_err() {
            self.search.refresh(LOOK_EVERY / 2).await;
        }
    }
}
