//! A change of one tenant's knowledge: the next version is put unseen, what it replaces is marked, and then the head is set.

use std::collections::{BTreeMap, HashMap};

use pumasi_core::filter::Filter;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    Condition, NamedVectors, PointStruct, PointVectors, Value as Stored, Vectors, value::Kind, vector,
};

use super::condition::{Of, keyword};
use super::head::{self, Head, Lease};
use super::payload::{self, Members, Owner, Point, WORDS, kind};
use super::{QdrantStore, Shared};
use crate::Result;
use crate::document::Tenant;
use crate::store::Entry;

/// How many documents are named in a request.
const NAMED: usize = 512;

/// How many points and about how many bytes of them go in a request; Qdrant takes 32 MB unless told otherwise.
const POINTS: usize = 256;
const BYTES: usize = 4 << 20;

/// Means by which the terms of one tenant's chunks are weighed are this far from one another at most.
const SPREAD: f32 = 1.25;

const WHAT: &str = "writing the knowledge";

/// What is to be changed.
pub(super) enum Change {
    /// Documents by id.
    Put(BTreeMap<String, Entry>),
    Remove(Vec<String>),
    RemoveWhere(Filter),
}

/// A document that is there.
struct Known {
    id: String,
    chunks: u64,
    length: u64,
}

impl QdrantStore {
    /// Makes a change that goes on also where nobody waits for it any more; tells how many documents there were of those that are
    /// replaced or removed.
    pub(super) async fn change(&self, change: Change) -> Result<u64> {
        let store = self.clone();
        let run = tokio::spawn(async move { store.run(change).await });
        run.await.map_err(|error| {
            crate::Error::new(crate::ErrorKind::Other, "writing the knowledge was cut short")
                .with_source(error)
        })?
    }

    async fn run(&self, change: Change) -> Result<u64> {
        let Shared { wire, options, holder, .. } = &*self.shared;
        // writers of this process wait for each other here
        let turn = self.shared.turn(&self.tenant)?;
        let _turn = turn.lock().await;
        if !matches!(change, Change::Put(_)) && head::read(wire, &self.tenant, WHAT).await?.is_none() {
            return Ok(0);
        }
        let lease = Lease::take(wire, &self.tenant, holder, options.lease, options.timeout).await?;
        if lease.after_another {
            tracing::warn!(tenant = %self.tenant, "a change was broken off, and is undone");
            let (put, marked) = lease.head.left_over(&self.tenant);
            wire.delete(put, WHAT).await?;
            wire.unset(marked, "to", WHAT).await?;
        }
        let mut entries = Vec::new();
        let known = match change {
            Change::Put(put) => {
                let ids: Vec<&str> = put.keys().map(String::as_str).collect();
                let known = self.known(&lease.head, &ids).await?;
                entries.extend(put.into_values());
                known
            }
            Change::Remove(ids) => {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                self.known(&lease.head, &ids).await?
            }
            Change::RemoveWhere(filter) => self.known_where(&lease.head, &filter).await?,
        };
        if entries.is_empty() && known.is_empty() {
            lease.end(|_| ()).await?;
            return Ok(0);
        }
        let head = self.write(lease, &known, &entries).await?;
        // what is not swept away now is by the next change
        if let Err(error) = wire.delete(head.sweepings(&self.tenant), WHAT).await {
            tracing::warn!(tenant = %self.tenant, %error, "old versions were not swept away");
        }
        Ok(known.len() as u64)
    }

    async fn write(&self, mut lease: Lease, known: &[Known], entries: &[Entry]) -> Result<Head> {
        let wire = &self.shared.wire;
        let mut statistics = lease.head.statistics;
        for known in known {
            statistics.chunks = statistics.chunks.saturating_sub(known.chunks);
            statistics.terms = statistics.terms.saturating_sub(known.length);
        }
        let kept = statistics.chunks;
        for chunk in entries.iter().flat_map(|entry| &entry.chunks) {
            statistics.add(chunk.length());
        }
        statistics.settle();
        let (mean, (low, high)) = (statistics.mean_length, lease.head.weighed);
        let mut weighed = if kept == 0 { (mean, mean) } else { (low.min(mean), high.max(mean)) };

        let of = Owner { tenant: &self.tenant, epoch: lease.head.epoch };
        let mut batch = Batch::default();
        for entry in entries {
            for point in payload::points(entry, of, &statistics)? {
                if let Some(full) = batch.add(point) {
                    lease.show().await?;
                    wire.put(full, WHAT).await?;
                }
            }
        }
        lease.show().await?;
        if !batch.points.is_empty() {
            wire.put(batch.points, WHAT).await?;
        }
        for some in known.chunks(NAMED) {
            let mut seen = lease.head.seen(&self.tenant);
            let ids: Vec<String> = some.iter().map(|known| known.id.clone()).collect();
            seen.must.push(Condition::matches("document", ids));
            lease.show().await?;
            let over = Members::from([("to".to_owned(), payload::whole(lease.head.epoch))]);
            wire.set(seen, over, WHAT).await?;
        }
        if kept > 0 && weighed.1 > weighed.0 * SPREAD {
            // who searches meanwhile has to know what is the least that terms are weighed by
            lease.set(|head| head.weighed = weighed).await?;
            self.weigh(&mut lease, &statistics).await?;
            weighed = (mean, mean);
        }
        lease
            .end(|head| {
                head.swept = head.version;
                head.version = head.epoch;
                head.statistics = statistics;
                head.weighed = weighed;
            })
            .await
    }

    /// Weighs the terms of all chunks anew.
    async fn weigh(&self, lease: &mut Lease, statistics: &crate::store::Statistics) -> Result<()> {
        let wire = &self.shared.wire;
        let mut seen = lease.head.seen(&self.tenant);
        seen.must.push(keyword("kind", kind::CHUNK));
        let chunks = wire.all(seen, vec!["counts"], false, WHAT).await?;
        for some in chunks.chunks(POINTS) {
            let mut points = Vec::with_capacity(some.len());
            for chunk in some {
                let terms = Point(&chunk.payload).terms()?;
                if terms.is_empty() {
                    continue;
                }
                let words = HashMap::from([(WORDS.to_owned(), payload::words(&terms, statistics))]);
                let vectors = Vectors {
                    vectors_options: Some(VectorsOptions::Vectors(NamedVectors { vectors: words })),
                };
                points.push(PointVectors { id: chunk.id.clone(), vectors: Some(vectors) });
            }
            lease.show().await?;
            if !points.is_empty() {
                wire.set_vectors(points, WHAT).await?;
            }
        }
        Ok(())
    }

    /// Finds documents by id.
    async fn known(&self, head: &Head, ids: &[&str]) -> Result<Vec<Known>> {
        let mut known = Vec::new();
        for ids in ids.chunks(NAMED) {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            known.extend(self.known_by(head, Some(Condition::matches("document", ids))).await?);
        }
        Ok(known)
    }

    /// Finds the documents that match.
    async fn known_where(&self, head: &Head, filter: &Filter) -> Result<Vec<Known>> {
        match self.admitted(head, filter).await? {
            Of::None => Ok(Vec::new()),
            Of::All => self.known_by(head, None).await,
            Of::Those(condition) => self.known_by(head, Some(condition)).await,
        }
    }

    async fn known_by(&self, head: &Head, condition: Option<Condition>) -> Result<Vec<Known>> {
        let mut seen = head.seen(&self.tenant);
        seen.must.push(keyword("kind", kind::DOCUMENT));
        seen.must.extend(condition);
        let points = self.shared.wire.all(seen, vec!["document", "chunks", "length"], false, WHAT).await?;
        let known = points.iter().map(|point| {
            let point = Point(&point.payload);
            let (chunks, length) = (point.number("chunks")?, point.number("length")?);
            Ok(Known { id: point.text("document")?.to_owned(), chunks, length })
        });
        known.collect()
    }
}

/// Points that go in one request.
#[derive(Default)]
struct Batch {
    points: Vec<PointStruct>,
    bytes: usize,
}

impl Batch {
    /// Adds a point; returns those before it where they are enough.
    fn add(&mut self, point: PointStruct) -> Option<Vec<PointStruct>> {
        let bytes = size(&point);
        let full = self.points.len() >= POINTS || !self.points.is_empty() && self.bytes + bytes > BYTES;
        let before = full.then(|| {
            self.bytes = 0;
            std::mem::take(&mut self.points)
        });
        self.bytes += bytes;
        self.points.push(point);
        before
    }
}

/// About how many bytes a point takes in a request.
fn size(point: &PointStruct) -> usize {
    fn stored(value: &Stored) -> usize {
        16 + match &value.kind {
            Some(Kind::StringValue(text)) => text.len(),
            Some(Kind::ListValue(list)) => list.values.iter().map(stored).sum(),
            Some(Kind::StructValue(members)) => {
                members.fields.iter().map(|(name, value)| name.len() + stored(value)).sum()
            }
            _ => 0,
        }
    }
    let payload: usize = point.payload.iter().map(|(name, value)| name.len() + stored(value)).sum();
    let vectors = match point.vectors.as_ref().and_then(|vectors| vectors.vectors_options.as_ref()) {
        Some(VectorsOptions::Vectors(named)) => named
            .vectors
            .values()
            .map(|vector| match &vector.vector {
                Some(vector::Vector::Dense(dense)) => 4 * dense.data.len(),
                Some(vector::Vector::Sparse(sparse)) => 9 * sparse.indices.len(),
                _ => 0,
            })
            .sum(),
        _ => 0,
    };
    payload + vectors
}

impl Shared {
    /// The turn of a tenant's writers in this process.
    fn turn(&self, tenant: &Tenant) -> Result<std::sync::Arc<tokio::sync::Mutex<()>>> {
        let mut turns = self.turns.lock().map_err(|_| super::broken())?;
        // those that nobody waits for
        turns.retain(|_, turn| std::sync::Arc::strong_count(turn) > 1);
        Ok(std::sync::Arc::clone(turns.entry(tenant.clone()).or_default()))
    }
}
