//! How an index is written and read.

/// How an index is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TantivyOptions {
    pub(super) threads: usize,
    pub(super) memory: usize,
    pub(super) kept: usize,
}

impl Default for TantivyOptions {
    /// One thread, 64 MB for what is not written yet, and 16 MB for documents that were shown lately.
    fn default() -> Self {
        Self { threads: 1, memory: 64 << 20, kept: 16 << 20 }
    }
}

impl TantivyOptions {
    /// Sets how many threads write, from 1 to 8. Each needs 15 MB at least, and makes segments of its own.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, 8);
        self
    }

    /// Sets how many bytes all threads together hold before they write; more makes for larger segments.
    #[must_use]
    pub const fn with_memory_bytes(mut self, memory: usize) -> Self {
        self.memory = memory;
        self
    }

    /// Sets about how many bytes of documents that were shown lately are kept decoded, so that showing them again costs next to
    /// nothing; 0 keeps none.
    #[must_use]
    pub const fn with_kept_bytes(mut self, kept: usize) -> Self {
        self.kept = kept;
        self
    }
}
