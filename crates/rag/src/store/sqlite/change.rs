//! How documents come into the file and go, one change after another.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use pumasi_core::database::{Writing, failed};
use pumasi_core::filter::Filter;

use super::segment::{MAX_CHUNKS, Segment};
use super::{SqliteStore, rows, wrong};
use crate::store::{Entry, Statistics, next_version};
use crate::{Error, ErrorKind, Result};

/// What is to be changed.
pub(super) enum Change {
    Put(Vec<Entry>),
    Remove(Vec<String>),
    RemoveWhere(Filter),
}

/// What a change comes down to.
struct Plan {
    version: u64,
    statistics: Statistics,
    entries: Vec<Entry>,
    /// The ids of the documents that are taken away.
    known: Vec<String>,
    /// Their numbers.
    numbers: Vec<i64>,
    /// The numbers of their chunks.
    chunks: Vec<i64>,
}

impl SqliteStore {
    /// Runs a change to its end, even if whoever asked for it is gone meanwhile.
    pub(super) async fn change(&self, change: Change) -> Result<u64> {
        let store = self.clone();
        let task = tokio::spawn(async move { store.write(change).await });
        task.await
            .map_err(|error| Error::new(ErrorKind::Other, "a write ended in a panic").with_source(error))?
    }

    async fn write(&self, change: Change) -> Result<u64> {
        let writing = self.shared.writing.lock().await;
        self.load_while_nobody_writes().await?;
        let plan = self.plan(change)?;
        if plan.entries.is_empty() && plan.known.is_empty() {
            return Ok(0);
        }
        let known = plan.known.len() as u64;
        if let Err(error) = self.commit_and_tidy(plan).await {
            // what the file holds is told by the file alone
            *self.shelf.write().map_err(wrong)? = None;
            return Err(error);
        }
        drop(writing);
        self.make_lists()?;
        if self.shared.options.always {
            self.lists_made().await?;
        }
        Ok(known)
    }

    async fn commit_and_tidy(&self, plan: Plan) -> Result<()> {
        self.commit(plan).await?;
        // before they are joined, so that what they become has lists too
        self.list().await?;
        while self.join().await? {
            self.list().await?;
        }
        Ok(())
    }

    /// Finds out what a change puts and what it takes away.
    fn plan(&self, change: Change) -> Result<Plan> {
        let shelf = self.shelf.read().map_err(wrong)?;
        let shelf = shelf.as_ref().ok_or_else(|| wrong(()))?;
        // the last of a batch's entries with the same id is what counts
        let mut latest: BTreeMap<String, Entry> = BTreeMap::new();
        let ids: HashSet<String> = match change {
            Change::Put(entries) => {
                latest.extend(entries.into_iter().map(|entry| (entry.record.id.clone(), entry)));
                latest.keys().cloned().collect()
            }
            Change::Remove(ids) => ids.into_iter().collect(),
            Change::RemoveWhere(filter) => shelf.matching(&filter).into_iter().collect(),
        };
        let mut plan = Plan {
            version: next_version(shelf.version),
            statistics: shelf.statistics,
            entries: latest.into_values().collect(),
            known: Vec::new(),
            numbers: Vec::new(),
            chunks: Vec::new(),
        };
        for id in ids {
            let Some((document, chunks)) = shelf.with_chunks(&id) else { continue };
            plan.numbers.push(document.number);
            plan.chunks.extend(chunks.iter().map(|chunk| chunk.number));
            for chunk in chunks {
                plan.statistics.remove(chunk.length);
            }
            plan.known.push(id);
        }
        for chunk in plan.entries.iter().flat_map(|entry| &entry.chunks) {
            plan.statistics.add(chunk.length());
        }
        plan.statistics.settle();
        Ok(plan)
    }

    /// Writes a change, first in the file and then in memory.
    async fn commit(&self, plan: Plan) -> Result<()> {
        let failed = |error| failed("writing the knowledge", error);
        let mut writing = Writing::begin(&self.shared.pool).await.map_err(failed)?;
        let name = self.tenant.as_str();
        let tenant =
            rows::set_tenant(&mut writing, name, plan.version, &plan.statistics).await.map_err(failed)?;
        if !plan.numbers.is_empty() {
            rows::take_away(&mut writing, tenant, &plan.numbers, &plan.chunks).await.map_err(failed)?;
        }
        let mut free = rows::free(&mut writing).await.map_err(failed)?;
        let mut segments = Vec::new();
        for entries in batches(&plan.entries) {
            let segment = Segment::of(entries, free.document, free.chunk)?;
            rows::put_segment(&mut writing, tenant, free.segment, segment.to_bytes()?)
                .await
                .map_err(failed)?;
            free = rows::put_documents(&mut writing, entries, &segment, free).await.map_err(failed)?;
            segments.push((free.segment, Arc::new(segment)));
            free.segment += 1;
        }
        rows::set_free(&mut writing, free).await.map_err(failed)?;
        writing.commit().await.map_err(failed)?;
        let mut shelf = self.shelf.write().map_err(wrong)?;
        let shelf = shelf.as_mut().ok_or_else(|| wrong(()))?;
        for id in &plan.known {
            shelf.remove(id);
        }
        for (number, segment) in segments {
            shelf.add(number, segment, &HashSet::new());
        }
        (shelf.tenant, shelf.version, shelf.statistics) = (tenant, plan.version, plan.statistics);
        Ok(())
    }
}

/// Parts entries so that each part's chunks fit a segment.
fn batches(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut parts = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        let mut chunks = 0;
        let fitting = rest.iter().take_while(|entry| {
            chunks += entry.chunks.len();
            chunks <= MAX_CHUNKS
        });
        let (part, later) = rest.split_at(fitting.count().max(1));
        parts.push(part);
        rest = later;
    }
    parts
}
