//! The reference: everything in memory, every chunk looked at.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use pumasi_core::filter::Filter;

use super::{ChunkEntry, Counts, Entry, Found, Passage, Scored, Space, Statistics, Store, StoreQuery};
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint, Tenant};
use crate::{Error, ErrorKind, Result};

/// Keeps knowledge in memory, for tests, small sets and as the measure of other stores: exact, and gone with the process.
///
/// A search looks at each chunk of the tenant that the filter admits. Clones are handles of the same knowledge.
///
/// ```
/// use pumasi_core::model::HashingEmbedder;
/// use pumasi_rag::{MemoryStore, Space, Store, Tenant};
///
/// let store = MemoryStore::new(Space::of(&HashingEmbedder::new()), Tenant::new("club-1")?);
/// assert_eq!(store.for_tenant(Tenant::new("club-2")?).tenant().as_str(), "club-2");
/// # Ok::<(), pumasi_rag::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    tenant: Tenant,
    space: Arc<Space>,
    shelves: Arc<RwLock<HashMap<Tenant, Shelf>>>,
    id: uuid::Uuid,
}

/// What one tenant knows.
#[derive(Default)]
struct Shelf {
    documents: BTreeMap<String, Kept>,
    /// Which document a chunk is of, and its place there.
    places: HashMap<ChunkId, (String, usize)>,
    /// How many chunks hold each term.
    containing: HashMap<u32, u64>,
    statistics: Statistics,
    version: u64,
}

struct Kept {
    entry: Entry,
    record: Arc<DocumentRecord>,
}

impl Shelf {
    fn put(&mut self, entry: Entry) {
        self.remove(&entry.record.id);
        for (at, chunk) in entry.chunks.iter().enumerate() {
            self.places.insert(chunk.id, (entry.record.id.clone(), at));
            self.statistics.add(chunk.length());
            for (term, _) in &chunk.terms {
                *self.containing.entry(*term).or_default() += 1;
            }
        }
        let record = Arc::new(entry.record.clone());
        self.documents.insert(entry.record.id.clone(), Kept { entry, record });
    }

    fn remove(&mut self, id: &str) -> bool {
        let Some(kept) = self.documents.remove(id) else { return false };
        for chunk in &kept.entry.chunks {
            self.places.remove(&chunk.id);
            self.statistics.remove(chunk.length());
            for (term, _) in &chunk.terms {
                if let Some(count) = self.containing.get_mut(term) {
                    *count -= 1;
                    if *count == 0 {
                        self.containing.remove(term);
                    }
                }
            }
        }
        true
    }

    fn changed(&mut self) {
        self.statistics.settle();
        self.version = super::next_version(self.version);
    }

    fn matching<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Kept> {
        self.documents.values().filter(|kept| filter.matches(&kept.record.metadata))
    }

    fn find(&self, query: &StoreQuery) -> Found {
        let containing = |term: &u32| self.containing.get(term).copied().unwrap_or_default();
        let weight =
            |(term, frequency): &(u32, u32)| self.statistics.query_weight(*frequency, containing(term));
        let term_weights: Vec<f32> = query.terms.iter().map(weight).collect();
        let (mut dense, mut lexical) = (Vec::new(), Vec::new());
        for chunk in self.matching(&query.filter).flat_map(|kept| &kept.entry.chunks) {
            if !query.embedding.is_empty() {
                dense.push(Scored::new(chunk.id, dot(&query.embedding, &chunk.embedding)));
            }
            let score = self.score(chunk, &query.terms, &term_weights);
            if score > 0.0 {
                lexical.push(Scored::new(chunk.id, score));
            }
        }
        let best = |all| Scored::best(all, query.depth);
        Found { dense: best(dense), lexical: best(lexical), term_weights, version: self.version }
    }

    /// Sums the weights of the terms that both have, in order of their ids, as the product of two sparse vectors.
    fn score(&self, chunk: &ChunkEntry, terms: &[(u32, u32)], weights: &[f32]) -> f32 {
        let length = chunk.length();
        let mut held = chunk.terms.iter().peekable();
        let mut sum = 0.0;
        for ((term, _), weight) in terms.iter().zip(weights) {
            while held.next_if(|(id, _)| id < term).is_some() {}
            if let Some((_, count)) = held.next_if(|(id, _)| id == term) {
                sum += weight * self.statistics.document_weight(*count, length);
            }
        }
        sum
    }
}

/// Returns the inner product of two vectors, in eight sums: what a compiler makes vector instructions of.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (left, right) in left.iter().zip(right) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

impl MemoryStore {
    /// Makes an empty store for the vectors of `space`, and a handle of `tenant` on it.
    pub fn new(space: Space, tenant: Tenant) -> Self {
        Self { tenant, space: Arc::new(space), shelves: Arc::default(), id: uuid::Uuid::now_v7() }
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, HashMap<Tenant, Shelf>>> {
        self.shelves.read().map_err(|_| poisoned())
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, HashMap<Tenant, Shelf>>> {
        self.shelves.write().map_err(|_| poisoned())
    }

    fn with<T: Default>(&self, ask: impl FnOnce(&Shelf) -> T) -> Result<T> {
        Ok(self.read()?.get(&self.tenant).map(ask).unwrap_or_default())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("tenant", &self.tenant)
            .field("space", &self.space)
            .finish_non_exhaustive()
    }
}

/// The error of a lock whose holder panicked.
fn poisoned() -> Error {
    Error::new(ErrorKind::Other, "a store's state is broken: a thread panicked while it held it")
}

#[async_trait]
impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn identity(&self) -> String {
        format!("memory {}", self.id)
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn for_tenant(&self, tenant: Tenant) -> Arc<dyn Store> {
        Arc::new(Self { tenant, ..self.clone() })
    }

    async fn put(&self, entries: Vec<Entry>) -> Result<()> {
        for entry in &entries {
            entry.check(&self.space)?;
        }
        if entries.is_empty() {
            return Ok(());
        }
        let mut shelves = self.write()?;
        let shelf = shelves.entry(self.tenant.clone()).or_default();
        for entry in entries {
            shelf.put(entry);
        }
        shelf.changed();
        Ok(())
    }

    async fn remove(&self, ids: &[&str]) -> Result<u64> {
        let mut shelves = self.write()?;
        let Some(shelf) = shelves.get_mut(&self.tenant) else { return Ok(0) };
        let mut removed = 0;
        for id in ids {
            removed += u64::from(shelf.remove(id));
        }
        if removed > 0 {
            shelf.changed();
        }
        Ok(removed)
    }

    async fn remove_where(&self, filter: &Filter) -> Result<u64> {
        filter.validate()?;
        let mut shelves = self.write()?;
        let Some(shelf) = shelves.get_mut(&self.tenant) else { return Ok(0) };
        let ids: Vec<String> = shelf.matching(filter).map(|kept| kept.record.id.clone()).collect();
        let mut removed = 0;
        for id in ids {
            removed += u64::from(shelf.remove(&id));
        }
        if removed > 0 {
            shelf.changed();
        }
        Ok(removed)
    }

    async fn search(&self, query: &StoreQuery) -> Result<Found> {
        query.check(&self.space)?;
        self.with(|shelf| shelf.find(query))
    }

    async fn get(&self, ids: &[ChunkId]) -> Result<Vec<Passage>> {
        let passage = |shelf: &Shelf, id: &ChunkId| {
            let (document, at) = shelf.places.get(id)?;
            let kept = shelf.documents.get(document)?;
            kept.entry.passage(kept.entry.chunks.get(*at)?, &kept.record)
        };
        self.with(|shelf| ids.iter().filter_map(|id| passage(shelf, id)).collect())
    }

    async fn entries(&self, ids: &[&str]) -> Result<Vec<Option<Entry>>> {
        let shelves = self.read()?;
        let shelf = shelves.get(&self.tenant);
        let entry = |id: &&str| shelf?.documents.get(*id).map(|kept| kept.entry.clone());
        Ok(ids.iter().map(entry).collect())
    }

    async fn fingerprints(&self, ids: &[&str]) -> Result<Vec<Option<Fingerprint>>> {
        let shelves = self.read()?;
        let shelf = shelves.get(&self.tenant);
        let fingerprint = |id: &&str| shelf?.documents.get(*id).map(|kept| kept.record.fingerprint);
        Ok(ids.iter().map(fingerprint).collect())
    }

    async fn count(&self, filter: &Filter) -> Result<Counts> {
        filter.validate()?;
        self.with(|shelf| {
            shelf.matching(filter).fold(Counts::default(), |counts, kept| Counts {
                documents: counts.documents + 1,
                chunks: counts.chunks + kept.entry.chunks.len() as u64,
            })
        })
    }

    async fn scan(&self, after: &str, limit: usize) -> Result<Vec<DocumentRecord>> {
        self.with(|shelf| {
            let later = shelf.documents.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
            later.take(limit).map(|(_, kept)| kept.entry.record.clone()).collect()
        })
    }

    async fn version(&self) -> Result<u64> {
        self.with(|shelf| shelf.version)
    }
}
