//! The one thread that writes: it takes what is waiting, commits it together, and answers when the commit is durable.

use std::collections::HashMap;
use std::thread::JoinHandle;

use pumasi_core::time::Timestamp;
use serde_json::{Value as Json, json};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Index, IndexReader, IndexWriter, Searcher, TERMINATED, TantivyDocument};
use tokio::sync::{mpsc, oneshot};

use super::failed;
use super::fields::{Fields, VERSION};
use crate::engine::Applied;
use crate::{Error, ErrorKind, Result};

/// Batches that may wait while others are committed; who comes later waits outside.
const WAITING: usize = 64;

/// Changes that are committed together at most, so that none waits for long.
const TOGETHER: usize = 50_000;

/// A change, ready for the index.
pub(super) struct Prepared {
    pub(super) id: String,
    pub(super) version: u64,
    pub(super) reached: Option<Timestamp>,
    pub(super) document: TantivyDocument,
}

/// Changes of one call; those that the schema does not allow are errors already.
pub(super) struct Batch {
    pub(super) changes: Vec<Result<Prepared>>,
    pub(super) reply: oneshot::Sender<Result<Vec<Result<Applied>>>>,
}

/// The way to the writing thread; dropping it ends the thread when everything is committed.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        index: Index,
        reader: IndexReader,
        fields: Fields,
        threads: usize,
        memory: usize,
    ) -> Result<Self> {
        let writer = index
            .writer_with_num_threads(threads, memory)
            .map_err(|error| failed("opening the index for writing", error))?;
        let applied = index.load_metas().map_err(|error| failed("reading the index", error))?.payload;
        let applied = applied.as_deref().and_then(payload);
        let (queue, waiting) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("pumasi-search-writer".to_owned())
            .spawn(move || Work { index, reader, fields, writer, applied, threads, memory }.run(waiting))
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "the index's writing thread could not be started")
                    .with_source(error)
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands a batch over and waits until it is durable.
    pub(super) async fn apply(&self, changes: Vec<Result<Prepared>>) -> Result<Vec<Result<Applied>>> {
        let ended = || Error::new(ErrorKind::Unavailable, "the index is closed");
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(Batch { changes, reply }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        // the folder's lock is free when this returns
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads the newest moment that was applied.
pub(super) fn payload(text: &str) -> Option<Timestamp> {
    let json: Json = serde_json::from_str(text).ok()?;
    json.get("applied")?.as_i64().map(Timestamp::from_micros)
}

struct Work {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    writer: IndexWriter,
    applied: Option<Timestamp>,
    threads: usize,
    memory: usize,
}

impl Work {
    fn run(mut self, mut waiting: mpsc::Receiver<Batch>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut count = first.changes.len();
            let mut batches = vec![first];
            while count < TOGETHER
                && let Ok(next) = waiting.try_recv()
            {
                count = count.saturating_add(next.changes.len());
                batches.push(next);
            }
            let (changes, replies): (Vec<_>, Vec<_>) =
                batches.into_iter().map(|batch| (batch.changes, batch.reply)).unzip();
            match self.commit(changes) {
                Ok(results) => replies.into_iter().zip(results).for_each(|(reply, result)| {
                    let _ = reply.send(Ok(result));
                }),
                Err(error) => {
                    self.recover();
                    for reply in replies {
                        let _ = reply.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Applies batches and commits them together.
    fn commit(&mut self, batches: Vec<Vec<Result<Prepared>>>) -> Result<Vec<Vec<Result<Applied>>>> {
        let searcher = self.reader.searcher();
        let mut new: HashMap<String, u64> = HashMap::new();
        let mut applied = self.applied;
        let mut results = Vec::with_capacity(batches.len());
        let mut any = false;
        for batch in batches {
            let mut result = Vec::with_capacity(batch.len());
            for change in batch {
                result.push(match change {
                    Ok(change) => {
                        let reached = change.reached;
                        let done = self.put(&searcher, &mut new, change);
                        if matches!(done, Ok(Applied::Done)) {
                            any = true;
                            applied = applied.max(reached);
                        }
                        done
                    }
                    Err(error) => Err(error),
                });
                if let Some(Err(error)) = result.last()
                    && error.kind() == ErrorKind::Storage
                {
                    return Err(error.clone());
                }
            }
            results.push(result);
        }
        if any {
            let mut commit =
                self.writer.prepare_commit().map_err(|error| failed("writing the index", error))?;
            if let Some(applied) = applied {
                commit.set_payload(&json!({"applied": applied.as_micros()}).to_string());
            }
            commit.commit().map_err(|error| failed("committing to the index", error))?;
            self.applied = applied;
            self.reader.reload().map_err(|error| failed("reading the index anew", error))?;
        }
        Ok(results)
    }

    fn put(&self, searcher: &Searcher, new: &mut HashMap<String, u64>, change: Prepared) -> Result<Applied> {
        let before = new.get(&change.id).copied();
        let known = match before {
            Some(version) => Some(version),
            None => version(searcher, &self.fields, &change.id)
                .map_err(|error| failed("looking a version up", error))?,
        };
        if known.is_some_and(|known| known >= change.version) {
            return Ok(Applied::Stale);
        }
        if known.is_some() {
            self.writer.delete_term(self.fields.id_term(&change.id));
        }
        self.writer.add_document(change.document).map_err(|error| failed("adding to the index", error))?;
        new.insert(change.id, change.version);
        Ok(Applied::Done)
    }

    /// Forgets what was not committed, with a new writer where the old one died of it.
    fn recover(&mut self) {
        if self.writer.rollback().is_ok() {
            return;
        }
        match self.index.writer_with_num_threads(self.threads, self.memory) {
            Ok(writer) => self.writer = writer,
            Err(error) => {
                tracing::error!(%error, "the index cannot be written to; the next batch tries again");
            }
        }
    }
}

/// Looks up which version of a document is known, deleted ones included.
fn version(searcher: &Searcher, fields: &Fields, id: &str) -> tantivy::Result<Option<u64>> {
    let term = fields.id_term(id);
    for reader in searcher.segment_readers() {
        let Some(mut postings) =
            reader.inverted_index(fields.id)?.read_postings(&term, IndexRecordOption::Basic)?
        else {
            continue;
        };
        let mut doc = postings.doc();
        while doc != TERMINATED {
            if !reader.is_deleted(doc) {
                return Ok(reader.fast_fields().u64(VERSION)?.first(doc));
            }
            doc = postings.advance();
        }
    }
    Ok(None)
}
