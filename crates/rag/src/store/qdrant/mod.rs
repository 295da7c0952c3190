//! Knowledge in Qdrant.

mod condition;
mod error;
mod fields;
mod head;
mod open;
mod options;
mod payload;
mod read;
mod search;
mod wire;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pumasi_core::filter::Filter;

use self::head::Head;
pub use self::options::{QdrantOptions, Quantization};
use self::search::Frequencies;
use self::wire::Wire;
use self::write::Change;
use super::{Counts, Entry, Found, Passage, Space, Store, StoreQuery};
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint, Tenant};
use crate::{Error, ErrorKind, Result, Retry};

/// So often is begun anew what changes have overtaken.
const TRIES: usize = 32;

/// Keeps knowledge in a collection of [Qdrant](https://qdrant.tech) 1.16 or newer, shared by any number of processes.
///
/// - **The collection** is made when it is opened, with its indexes. It holds the vectors of one [`Space`], for all tenants.
/// - **A change is seen at once, or not at all**, although Qdrant has no transactions. Points of a new version are put unseen, those that
///   they replace are marked, and then one point is set that tells which version holds. A process that ends in the middle leaves points
///   that nothing sees; the next writer of the tenant takes them away, after the [lease](QdrantOptions::with_lease) of the one before.
///   What a version has replaced stays in the collection until the change after it.
/// - **Readers do not wait** for writers. A search that takes longer than two whole changes begins anew, and after many such is a
///   `Conflict` to try again. Writers of one tenant wait for each other.
/// - **Durable** as the server is. On a cluster, writes ask for the ordering `strong`; replicas that lag behind may show a search an older
///   version, or none: read from the leader, or with as many replicas as have acknowledged.
/// - **The same words weigh the same.** Sparse vectors hold the BM25 weights of our own analyzer; they name candidates, which are scored as
///   everywhere, until no other can be better: the ranking is the other stores', to the last bit. How many chunks hold a term is asked
///   once for each version, and kept.
/// - **Vectors** are looked at one by one up to [so many](QdrantOptions::with_exact_below), and above that by Qdrant's graph (HNSW), which
///   filters while it searches; what it finds is scored by the whole vectors, also where [bytes](Quantization::Int8) are searched first.
/// - **Filters** are asked of metadata as the reference does, whatever type a field has in each document: equality, membership and presence
///   by an index, ranges of numbers and moments by one that [can be made](QdrantOptions::with_range_index). For texts by their order or
///   a part, places, and numbers that no double is, the documents that the rest of the filter admits are read, and it is evaluated
///   here: exact, slower by their number, and refused as `Unsupported` where more than 100,000 match.
/// - **A scan** reads the ids of all documents once for each version, and keeps them for the pages that follow.
/// - **Limits of time** hold for each call to the server ([`with_timeout`](QdrantOptions::with_timeout)).
///
/// ```no_run
/// # async fn run() -> pumasi_rag::Result<()> {
/// use pumasi_core::model::HashingEmbedder;
/// use pumasi_rag::{Document, Ingest, QdrantStore, Question, Retriever, Space, Tenant};
/// use std::sync::Arc;
///
/// let embedder = Arc::new(HashingEmbedder::new());
/// let store = QdrantStore::open("http://localhost:6334", Space::of(&embedder), Tenant::new("club")?).await?;
/// let store = Arc::new(store);
/// let ingest = Ingest::new(store.clone(), embedder.clone());
/// ingest.run([Document::new("water", "물은 20분마다 조금씩 마십니다.")]).await?;
/// let found = Retriever::new(store, embedder).retrieve(&Question::new("물을 언제 마셔요?")).await?;
/// assert_eq!(found.hits[0].passage.document.id, "water");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QdrantStore {
    shared: Arc<Shared>,
    tenant: Tenant,
}

struct Shared {
    wire: Arc<Wire>,
    space: Space,
    options: QdrantOptions,
    /// Names this handle among all that write.
    holder: String,
    turns: Mutex<HashMap<Tenant, Arc<tokio::sync::Mutex<()>>>>,
    frequencies: Mutex<Frequencies>,
    /// The ids of the last tenant's documents that were scanned, in order.
    ids: Mutex<Option<Arc<read::Ids>>>,
}

/// The error of a lock whose holder panicked.
fn broken() -> Error {
    Error::new(ErrorKind::Other, "a store's state is broken: a thread panicked while it held it")
}

impl QdrantStore {
    /// Reads what one version of the tenant's knowledge sees; `None` if nothing was put yet.
    async fn reading<T, F>(&self, what: &str, read: impl Fn(Head) -> F) -> Result<Option<T>>
    where
        F: Future<Output = Result<T>>,
    {
        let mut head = self.head(what).await?;
        for _ in 0..TRIES {
            if head.version == 0 {
                return Ok(None);
            }
            let got = read(head.clone()).await;
            let now = self.head(what).await?;
            if head.holds(&now) {
                return got.map(Some);
            }
            head = now;
        }
        let message = format!("{what} failed: the knowledge has changed too often meanwhile");
        Err(Error::new(ErrorKind::Conflict, message).with_retry(Retry::Now))
    }

    async fn head(&self, what: &str) -> Result<Head> {
        Ok(head::read(&self.shared.wire, &self.tenant, what).await?.unwrap_or_default())
    }
}

impl fmt::Debug for QdrantStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QdrantStore")
            .field("tenant", &self.tenant)
            .field("space", &self.shared.space)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for QdrantStore {
    fn name(&self) -> &'static str {
        "qdrant"
    }

    fn identity(&self) -> String {
        format!("qdrant {} {}", self.shared.wire.url, self.shared.wire.collection)
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn space(&self) -> &Space {
        &self.shared.space
    }

    fn for_tenant(&self, tenant: Tenant) -> Arc<dyn Store> {
        Arc::new(Self { shared: Arc::clone(&self.shared), tenant })
    }

    async fn put(&self, entries: Vec<Entry>) -> Result<()> {
        let latest = Entry::latest(entries, &self.shared.space)?;
        if latest.is_empty() {
            return Ok(());
        }
        self.change(Change::Put(latest)).await.map(drop)
    }

    async fn remove(&self, ids: &[&str]) -> Result<u64> {
        self.change(Change::Remove(ids.iter().map(|id| (*id).to_owned()).collect())).await
    }

    async fn remove_where(&self, filter: &Filter) -> Result<u64> {
        filter.validate()?;
        self.change(Change::RemoveWhere(filter.clone())).await
    }

    async fn search(&self, query: &StoreQuery) -> Result<Found> {
        query.check(&self.shared.space)?;
        let found = self.reading("searching the knowledge", |head| self.find(head, query)).await?;
        Ok(found.unwrap_or_default())
    }

    async fn get(&self, ids: &[ChunkId]) -> Result<Vec<Passage>> {
        let read = self.reading("reading passages", |head| self.passages(head, ids)).await?;
        let read = read.unwrap_or_default();
        Ok(ids.iter().filter_map(|id| read.get(id).cloned()).collect())
    }

    async fn entries(&self, ids: &[&str]) -> Result<Vec<Option<Entry>>> {
        let read = self.reading("reading documents", |head| self.whole(head, ids)).await?;
        let read = read.unwrap_or_default();
        Ok(ids.iter().map(|id| read.get(*id).cloned()).collect())
    }

    async fn fingerprints(&self, ids: &[&str]) -> Result<Vec<Option<Fingerprint>>> {
        let read = self.reading("reading fingerprints", |head| self.prints(head, ids)).await?;
        let read = read.unwrap_or_default();
        Ok(ids.iter().map(|id| read.get(*id).copied()).collect())
    }

    async fn count(&self, filter: &Filter) -> Result<Counts> {
        filter.validate()?;
        let counts = self.reading("counting documents", |head| self.counted(head, filter)).await?;
        Ok(counts.unwrap_or_default())
    }

    async fn scan(&self, after: &str, limit: usize) -> Result<Vec<DocumentRecord>> {
        let read = self.reading("scanning documents", |head| self.page(head, after, limit)).await?;
        Ok(read.unwrap_or_default())
    }

    async fn version(&self) -> Result<u64> {
        Ok(self.head("reading the version").await?.version)
    }
}
