//! Who keeps chunks with their vectors and terms, and finds them.

mod entry;
#[cfg(any(feature = "postgres", feature = "qdrant"))]
mod fields;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "qdrant")]
mod qdrant;
mod query;
#[cfg(any(test, feature = "conformance"))]
pub(crate) mod sample;
#[cfg(feature = "embedded")]
mod sqlite;
mod statistics;
mod transfer;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::filter::Filter;

pub use entry::{ChunkEntry, Entry, Passage, SectionEntry, Space};
pub use memory::MemoryStore;
pub(crate) use memory::dot;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore, VectorIndex};
#[cfg(feature = "qdrant")]
pub use qdrant::{QdrantOptions, QdrantStore, Quantization};
pub use query::{Counts, Found, Scored, StoreQuery};
#[cfg(feature = "embedded")]
pub use sqlite::{SqliteLists, SqliteOptions, SqliteStore};
pub use statistics::Statistics;
pub use transfer::{Transfer, TransferProgress, TransferReport};

use pumasi_core::time::{Clock as _, SystemClock};

use crate::Result;
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint, Tenant};

/// Keeps the knowledge of one [tenant](Self::tenant) and finds chunks in it.
///
/// A handle is of one tenant: no call can reach, count or weigh by another tenant's documents. Handles of other tenants come from
/// [`for_tenant`](Self::for_tenant).
///
/// What every store keeps:
///
/// 1. **A document is replaced whole.** A search, a count or a scan finds all of a document's old chunks or all of its new ones,
///    also after a crash in the middle; never some of each, nor a chunk twice.
/// 2. **What is put is durable** when the call returns, as far as the store is ([`MemoryStore`] is not), and found at once.
/// 3. **Tenants are apart.** Documents of two tenants may have the same id; the statistics that weigh terms are each tenant's own.
/// 4. **Filters come first.** A search returns its `depth` best of the documents that match, however few of all they are.
/// 5. **The same ranking.** Terms are weighed by [`Statistics`] the same everywhere; scores of vectors are inner products; equal scores
///    are in order of the chunks' ids. Approximate indexes may miss some of the nearest, as they document.
/// 6. **One snapshot.** Both rankings of a search are of one moment.
/// 7. **Spaces are not mixed.** Vectors of another length, or a store opened for another [`Space`] than it holds, are `InvalidInput`.
/// 8. **Putting the same again changes nothing** that a search can see.
/// 9. **What was put comes back** as it was put: [`entries`](Self::entries), [`get`](Self::get), [`fingerprints`](Self::fingerprints).
///    Nobody has an id that no document can have (empty, too long, with a NUL): asking for one, removing it or scanning after it is no
///    error.
///
/// With the feature `conformance`, `store_laws!` makes a test of each for your own store.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Names the kind of store, for messages and metrics.
    fn name(&self) -> &'static str;

    /// Tells this store's knowledge from that of others of its kind: the same for all handles of one store, in every process. Answers
    /// are kept under it. Only the kind unless a store says more: then two stores must not share a cache of answers.
    fn identity(&self) -> String {
        self.name().to_owned()
    }

    /// Tells whose knowledge this handle reaches.
    fn tenant(&self) -> &Tenant;

    /// Tells which vectors the store holds.
    fn space(&self) -> &Space;

    /// Makes a handle of another tenant on the same store.
    fn for_tenant(&self, tenant: Tenant) -> Arc<dyn Store>;

    /// Puts documents in place of those with the same ids; each whole, the batch as one unless the store says otherwise.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an entry that contradicts itself or the space, before anything is written; `Storage`, `Unavailable` or
    /// `Timeout` where the store failed: put the batch again.
    async fn put(&self, entries: Vec<Entry>) -> Result<()>;

    /// Removes documents by id, and returns how many there were.
    ///
    /// # Errors
    ///
    /// `Storage`, `Unavailable` or `Timeout` where the store failed.
    async fn remove(&self, ids: &[&str]) -> Result<u64>;

    /// Removes the documents that match, and returns how many there were.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove), and `InvalidInput` or `Unsupported` for a filter that the store cannot evaluate.
    async fn remove_where(&self, filter: &Filter) -> Result<u64>;

    /// Finds the chunks nearest to a vector, the best for some terms, or both, each as a ranking of its own.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a vector of another length or with numbers that are not finite, and as
    /// [`remove_where`](Self::remove_where).
    async fn search(&self, query: &StoreQuery) -> Result<Found>;

    /// Returns chunks with all that an answer needs, in the order of `ids`; those that are not there (any more) are left out.
    ///
    /// # Errors
    ///
    /// `Storage`, `Unavailable` or `Timeout` where the store failed.
    async fn get(&self, ids: &[ChunkId]) -> Result<Vec<Passage>>;

    /// Returns documents whole, as they were put, in the order of `ids`; `None` for those that are not there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    async fn entries(&self, ids: &[&str]) -> Result<Vec<Option<Entry>>>;

    /// Returns the fingerprints of documents, in the order of `ids`; `None` for those that are not there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    async fn fingerprints(&self, ids: &[&str]) -> Result<Vec<Option<Fingerprint>>>;

    /// Counts the documents that match, and their chunks.
    ///
    /// # Errors
    ///
    /// As [`remove_where`](Self::remove_where).
    async fn count(&self, filter: &Filter) -> Result<Counts>;

    /// Returns up to `limit` documents whose ids come after `after` (the empty text: from the first), in the order of their bytes.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    async fn scan(&self, after: &str, limit: usize) -> Result<Vec<DocumentRecord>>;

    /// Returns a number that grows with every change of the tenant's knowledge: what was answered from an older one may be stale. 0 where
    /// nothing was ever put; else the time of the change in microseconds, or more, so that a store that was made anew, or restored
    /// from a backup, does not come to a number that it had before.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    async fn version(&self) -> Result<u64>;
}

/// Returns the [version](Store::version) that follows one.
fn next_version(before: u64) -> u64 {
    let now = u64::try_from(SystemClock.now().as_micros()).unwrap_or_default();
    now.max(before.saturating_add(1))
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: Store + ?Sized> Store for $pointer {
            fn name(&self) -> &'static str {
                (**self).name()
            }

            fn identity(&self) -> String {
                (**self).identity()
            }

            fn tenant(&self) -> &Tenant {
                (**self).tenant()
            }

            fn space(&self) -> &Space {
                (**self).space()
            }

            fn for_tenant(&self, tenant: Tenant) -> Arc<dyn Store> {
                (**self).for_tenant(tenant)
            }

            async fn put(&self, entries: Vec<Entry>) -> Result<()> {
                (**self).put(entries).await
            }

            async fn remove(&self, ids: &[&str]) -> Result<u64> {
                (**self).remove(ids).await
            }

            async fn remove_where(&self, filter: &Filter) -> Result<u64> {
                (**self).remove_where(filter).await
            }

            async fn search(&self, query: &StoreQuery) -> Result<Found> {
                (**self).search(query).await
            }

            async fn get(&self, ids: &[ChunkId]) -> Result<Vec<Passage>> {
                (**self).get(ids).await
            }

            async fn entries(&self, ids: &[&str]) -> Result<Vec<Option<Entry>>> {
                (**self).entries(ids).await
            }

            async fn fingerprints(&self, ids: &[&str]) -> Result<Vec<Option<Fingerprint>>> {
                (**self).fingerprints(ids).await
            }

            async fn count(&self, filter: &Filter) -> Result<Counts> {
                (**self).count(filter).await
            }

            async fn scan(&self, after: &str, limit: usize) -> Result<Vec<DocumentRecord>> {
                (**self).scan(after, limit).await
            }

            async fn version(&self) -> Result<u64> {
                (**self).version().await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);

/// Returns the filter that every document matches.
pub(crate) const fn everything() -> Filter {
    Filter::And(Vec::new())
}
