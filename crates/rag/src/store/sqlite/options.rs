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
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { recall: 1.0, exact_below: 50_000 }
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
    /// Lists are made and kept up by what puts documents. A put that takes a tenant's chunks to four times as many as there were
    /// when its lists were made, makes them anew, and takes some 50 µs a chunk longer; searches go on meanwhile. Lists take about
    /// ten bytes a chunk in the file and in memory.
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
