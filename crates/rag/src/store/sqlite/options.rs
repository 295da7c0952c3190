//! How a store in a file searches.

use crate::{Error, ErrorKind, Result};

/// How [`SqliteStore`](super::SqliteStore) searches vectors.
///
/// ```
/// use pumasi_rag::store::SqliteOptions;
///
/// let options = SqliteOptions::new().with_recall(0.97).with_exact_below(100_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SqliteOptions {
    pub(super) recall: f32,
    pub(super) exact_below: u64,
    /// How many vectors a list has, about.
    pub(super) list: usize,
    /// A segment of fewer chunks has no lists, and is looked at whole.
    pub(super) listed: usize,
    /// Whether tests want lists: searched by also where it is as fast to look at all, and made when a put returns.
    pub(super) always: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { recall: 1.0, exact_below: 50_000, list: 64, listed: 1_024, always: false }
    }
}

impl SqliteOptions {
    /// Makes the options that hold unless others are set: every search is exact.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what share of the nearest chunks a search of many should find, above 0 and up to 1; 1 unless set, which is exact.
    ///
    /// Below 1, vectors are kept in lists of some sixty that are near one another, and a search looks at the lists near its question
    /// (an inverted file). How many lists that takes is measured on the vectors themselves: questions that are unlike all chunks may
    /// find less. What a filter admits is looked at one by one where that is as fast, and in the more lists the less it admits.
    ///
    /// Lists are made when there are enough chunks, and anew when there are four times as many as they were made for: beside searches
    /// and puts, on half of the cores, in some 50 µs a chunk. Until then the lists that there are serve, and what is in none is looked at
    /// one by one. A store that is closed or killed meanwhile goes on after the next opening: where the lists should stand is found
    /// anew, unless it had been; which chunks are in them is kept as it goes. [`SqliteStore::lists`](super::SqliteStore::lists) tells how
    /// far they are. One tenant's are made at a time. Lists take about ten bytes a chunk in the file and in memory.
    #[must_use]
    pub fn with_recall(mut self, share: f32) -> Self {
        self.recall = share;
        self
    }

    /// Sets from how many chunks on a tenant has lists; 50,000 unless set. Fewer are searched exactly.
    #[must_use]
    pub fn with_exact_below(mut self, chunks: u64) -> Self {
        self.exact_below = chunks;
        self
    }

    /// Makes lists of so many vectors each, of a tenant and of segments of any size, has puts wait for them, and searches always by
    /// them: for tests, which have few chunks.
    #[doc(hidden)]
    #[must_use]
    pub fn with_lists_of(mut self, vectors: usize) -> Self {
        (self.list, self.listed, self.exact_below, self.always) = (vectors, 1, 0, true);
        self
    }

    pub(super) fn is_exact(&self) -> bool {
        self.recall >= 1.0
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.recall > 0.0 && self.recall <= 1.0 {
            return Ok(());
        }
        let message = format!("a search cannot be asked to find a share of {} of the nearest", self.recall);
        Err(Error::new(ErrorKind::InvalidInput, message))
    }
}
