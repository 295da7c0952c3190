//! Two engines with the same entries, each at the end of a cable, and the search before them.

use std::time::Duration;

use pumasi_core::Result;
use pumasi_search::{PageCache, Search, SearchEngine};

use crate::cable::Cable;

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
    ) -> Result<Self> {
        let (primary, fallback) = (Cable::to(primary), Cable::to(fallback));
        let search = Search::builder("posts")
            .primary(primary.clone())
            .fallback(fallback.clone())
            .cache(cache)
            .deadline(Duration::from_millis(500))
            // Who is cut off is back within a second of being well. A probe may take half of that pause, ten times what an engine needs
            // on a busy machine: one that is slow and well has to come back, too.
            .tune(|fallback| fallback.probe_every(Duration::from_millis(200)))
            .build()?;
        Ok(Self { search, primary, fallback })
    }
}
