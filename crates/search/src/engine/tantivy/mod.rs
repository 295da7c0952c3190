//! The embedded engine: an index in a folder, by tantivy.

mod columns;
mod fields;
mod filter;
mod find;
mod geo;
mod kept;
mod keys;
mod lookup;
mod options;
mod short;
mod sorted;
mod stored;
mod tally;
#[cfg(test)]
mod tests;
mod tokens;
mod top;
mod within;
mod writer;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tantivy::columnar::StrColumn;
use tantivy::directory::MmapDirectory;
use tantivy::{Index, IndexReader, ReloadPolicy, Searcher, TantivyError};

use super::{Applied, Change, SearchEngine, Stamp, Status, poisoned};
use crate::page::Page;
use crate::query::Query;
use crate::schema::Schema;
use crate::{Error, ErrorKind, Result};
use columns::Columns;
use fields::{Fields, ID, VERSION};
use find::Search;
use kept::Kept;
pub use options::TantivyOptions;
use short::Shorts;
use tokens::{TOKENS, Tokens};
use writer::{Prepared, Writer};

/// The file that names the index in use.
const CURRENT: &str = "CURRENT";

/// The file beside an index that says what it was built for.
const SCHEMA: &str = "schema.json";

/// How documents are laid out in an index; one of another layout has to be built anew.
const LAYOUT: u32 = 2;

/// Keeps an index in a folder of this machine, with nothing to install.
///
/// - A change is [`Done`](Applied::Done) when its commit is on the disk, and is found from that moment on; changes that come while
///   another commit is under way are committed together. A commit takes some tens of milliseconds, so hand changes over in
///   batches, or many at a time.
/// - It survives a kill at any point: what was not committed is not there.
/// - One process writes, and only through one engine; opening the folder twice is a `Conflict`.
/// - Searches run on tokio's blocking threads, on a snapshot: they never wait for writers. One that is made again and took less than
///   50 µs, which is less than the way there and back may take, runs where it is asked.
/// - Everything in an order of fields that is asked for again and again, the newest posts say, is read from a list of it, at 4 bytes
///   a document: a page costs the same however many documents there are.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
/// use pumasi_search::{Change, Document, Query, Schema, SearchEngine, TantivyEngine, TextField};
/// use serde_json::json;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let schema = Schema::new("posts").with_text(TextField::new("body"));
/// let engine = TantivyEngine::open(schema, folder)?;
/// engine.apply(&[Change::upsert(Document::new("1", json!({"body": "한강에서 러닝크루와 달렸습니다"})), 1)]).await?;
///
/// let page = engine.search(&Query::new("러닝크루"), Duration::from_secs(1)).await?;
/// assert_eq!(page.ids(), ["1"]);
/// # Ok::<(), pumasi_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct TantivyEngine {
    schema: Arc<Schema>,
    name: String,
    folder: PathBuf,
    options: TantivyOptions,
    shelf: RwLock<Arc<Shelf>>,
}

/// One index of the folder.
struct Shelf {
    fields: Fields,
    generation: u64,
    index: Index,
    reader: IndexReader,
    writer: Writer,
    /// The newest snapshot's columns.
    columns: RwLock<(u64, Arc<Columns>)>,
    kept: Kept,
    shorts: Shorts,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Tells the search that nobody waits any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is how errors are mapped")]
fn failed(what: &str, error: TantivyError) -> Error {
    let kind = match &error {
        TantivyError::LockFailure(..) => ErrorKind::Conflict,
        TantivyError::IoError(_)
        | TantivyError::OpenReadError(_)
        | TantivyError::OpenWriteError(_)
        | TantivyError::OpenDirectoryError(_)
        | TantivyError::DataCorruption(_)
        | TantivyError::ErrorInThread(_) => ErrorKind::Storage,
        _ => ErrorKind::Other,
    };
    // its own messages may quote terms, which are people's words
    Error::new(kind, format!("{what} failed on the embedded index")).with_source(Fault(short(&error)))
}

/// The class of an error of the index.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(String);

fn short(error: &TantivyError) -> String {
    match error {
        TantivyError::IoError(error) => error.to_string(),
        TantivyError::LockFailure(..) => "the folder is being written to already".to_owned(),
        other => {
            let debug = format!("{other:?}");
            debug.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

fn stored(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("{what} failed on the embedded index")).with_source(error)
}

impl TantivyEngine {
    /// Opens the index in a folder, or makes it; called `tantivy`. Reads the disk, for some milliseconds.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a schema that is none, `Conflict` where another engine writes to the folder or the index was built for
    /// another schema or analyzer (build it anew in another folder), `Storage` where the disk fails.
    pub fn open(schema: Schema, folder: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(schema, folder, TantivyOptions::default())
    }

    /// Opens the index in a folder, or makes it, with options.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(schema: Schema, folder: impl Into<PathBuf>, options: TantivyOptions) -> Result<Self> {
        schema.validate()?;
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(|error| stored("making the folder", error))?;
        let generation = match std::fs::read_to_string(folder.join(CURRENT)) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|_| Error::new(ErrorKind::Storage, "the folder's file CURRENT names no index"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                name_current(&folder, 1)?;
                1
            }
            Err(error) => return Err(stored("reading the folder", error)),
        };
        let shelf = Shelf::open(&schema, &folder, generation, options)?;
        let (schema, name) = (Arc::new(schema), "tantivy".to_owned());
        Ok(Self { schema, name, folder, options, shelf: RwLock::new(Arc::new(shelf)) })
    }

    /// Gives the engine another name, where there are several.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Makes an empty index beside the one in use, for building it anew; the one in use goes on answering.
    ///
    /// Fill it, apply changes that come meanwhile to both, and [`switch`](Self::switch) to it. What was begun before and not
    /// switched to is dropped.
    ///
    /// # Errors
    ///
    /// `Storage` where the disk fails, `Conflict` where another rebuild is still open.
    pub fn rebuild(&self) -> Result<Self> {
        let generation = self.shelf()?.generation.saturating_add(1);
        let aside = self.folder.join(format!("g{generation}"));
        let open = Index::open_in_dir(&aside).ok().is_some_and(|index| {
            let lock = index.writer_with_num_threads::<tantivy::TantivyDocument>(1, 15 << 20);
            matches!(lock, Err(TantivyError::LockFailure(..)))
        });
        if open {
            return Err(Error::new(ErrorKind::Conflict, "the index is being built anew already"));
        }
        match std::fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(stored("clearing an unfinished index", error));
            }
            _ => {}
        }
        let shelf = Shelf::open(&self.schema, &self.folder, generation, self.options)?;
        Ok(Self {
            schema: Arc::clone(&self.schema),
            name: self.name.clone(),
            folder: self.folder.clone(),
            options: self.options,
            shelf: RwLock::new(Arc::new(shelf)),
        })
    }

    /// Answers from an index that was [built anew](Self::rebuild), from now on and after a restart, and drops the old one.
    /// Searches that are under way end on the old one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an engine of another folder or of an older index, `Storage` where the disk fails.
    pub fn switch(&self, rebuilt: &Self) -> Result<()> {
        let new = rebuilt.shelf()?;
        let mut shelf = self.shelf.write().map_err(|_| poisoned())?;
        if rebuilt.folder != self.folder || new.generation <= shelf.generation {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "this is not an index that was built anew from the one in use",
            ));
        }
        name_current(&self.folder, new.generation)?;
        let old = self.folder.join(format!("g{}", shelf.generation));
        *shelf = new;
        drop(shelf);
        // files that are still read stay until they are closed
        if let Err(error) = std::fs::remove_dir_all(&old) {
            tracing::warn!(%error, "the index before could not be removed");
        }
        Ok(())
    }

    /// Returns how many bytes the index takes on the disk.
    ///
    /// # Errors
    ///
    /// `Storage` where the disk fails.
    pub fn size_bytes(&self) -> Result<u64> {
        let usage = self.shelf()?.reader.searcher().space_usage();
        let usage = usage.map_err(|error| stored("measuring", error))?;
        Ok(usage.total().get_bytes())
    }

    fn shelf(&self) -> Result<Arc<Shelf>> {
        self.shelf.read().map(|shelf| Arc::clone(&shelf)).map_err(|_| poisoned())
    }
}

/// Names the index in use, so that a kill leaves the old name or the new one.
fn name_current(folder: &Path, generation: u64) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let new = folder.join("CURRENT.new");
        let mut file = File::create(&new)?;
        file.write_all(generation.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, folder.join(CURRENT))?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| stored("naming the index in use", error))
}

impl Shelf {
    fn open(schema: &Schema, folder: &Path, generation: u64, options: TantivyOptions) -> Result<Self> {
        let folder = folder.join(format!("g{generation}"));
        std::fs::create_dir_all(&folder).map_err(|error| stored("making the folder", error))?;
        let wanted = format!("{{\"layout\":{LAYOUT},\"schema\":{}}}", schema.fingerprint());
        let beside = folder.join(SCHEMA);
        match std::fs::read_to_string(&beside) {
            Ok(known) if known == wanted => {}
            Ok(_) => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "the embedded index was built for another schema, analyzer or version of this crate",
                ));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::write(&beside, &wanted).map_err(|error| stored("writing the schema", error))?;
            }
            Err(error) => return Err(stored("reading the schema", error)),
        }
        let fields = Fields::new(schema);
        let directory = MmapDirectory::open(&folder).map_err(|error| failed("opening", error.into()))?;
        let index = Index::open_or_create(directory, fields.layout.clone())
            .map_err(|error| failed("opening", error))?;
        index.tokenizers().register(TOKENS, Tokens::default());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(|error| failed("reading", error))?;
        let writer =
            Writer::start(index.clone(), reader.clone(), fields.clone(), options.threads, options.memory)?;
        let searcher = reader.searcher();
        let columns = Columns::open(&searcher, &fields, None).map_err(|error| failed("reading", error))?;
        let columns = RwLock::new((searcher.generation().generation_id(), Arc::new(columns)));
        let kept = Kept::new(options.kept);
        let shorts = Shorts::new();
        Ok(Self { fields, generation, index, reader, writer, columns, kept, shorts })
    }

    /// Searches a snapshot, and notes how long that took.
    fn search(
        &self,
        schema: &Schema,
        name: &str,
        query: &Query,
        key: Option<u64>,
        (searcher, columns): (Searcher, Arc<Columns>),
        stop: Arc<AtomicBool>,
    ) -> Result<Page> {
        let (began, snapshot) = (Instant::now(), searcher.generation().generation_id());
        let (fields, generation, kept) = (&self.fields, self.generation, &self.kept);
        let search = Search { schema, fields, name, generation, searcher, columns, kept, stop };
        let page = search.run(query);
        if let (Some(key), Ok(_)) = (key, &page) {
            self.shorts.note(key, snapshot, began.elapsed());
        }
        page
    }

    /// Takes a snapshot whose columns are known.
    fn known_snapshot(&self) -> Option<(Searcher, Arc<Columns>)> {
        let searcher = self.reader.searcher();
        let number = searcher.generation().generation_id();
        let kept = self.columns.read().ok()?;
        (kept.0 == number).then(|| (searcher, Arc::clone(&kept.1)))
    }

    /// Takes a snapshot, with its columns.
    fn snapshot(&self) -> Result<(Searcher, Arc<Columns>)> {
        if let Some(known) = self.known_snapshot() {
            return Ok(known);
        }
        let searcher = self.reader.searcher();
        let number = searcher.generation().generation_id();
        let columns = self.columns.read().map(|kept| Arc::clone(&kept.1)).map_err(|_| poisoned())?;
        let opened = Columns::open(&searcher, &self.fields, Some(&columns));
        let opened = opened.map_err(|error| failed("searching", error))?;
        let opened = Arc::new(opened);
        let mut kept = self.columns.write().map_err(|_| poisoned())?;
        if kept.0 < number {
            *kept = (number, Arc::clone(&opened));
        }
        Ok((searcher, opened))
    }

    fn prepare(&self, schema: &Schema, changes: &[Change]) -> Vec<Result<Prepared>> {
        let prepare = |change: &Change| {
            change.check(schema)?;
            Ok(Prepared {
                id: change.id().to_owned(),
                version: change.version(),
                reached: change.reached(),
                document: self.fields.document(schema, change),
            })
        };
        changes.iter().map(prepare).collect()
    }

    fn stamps(&self, after: Option<&str>, limit: usize) -> tantivy::Result<Vec<Stamp>> {
        let searcher = self.reader.searcher();
        let mut stamps: Vec<Stamp> = Vec::new();
        for reader in searcher.segment_readers() {
            let Some((dictionary, ids)) = reader.fast_fields().str(ID)?.map(StrColumn::into_parts) else {
                continue;
            };
            let versions = reader.fast_fields().u64(VERSION)?;
            let sources = reader.inverted_index(self.fields.state)?;
            let live = tantivy::Term::from_field_u64(self.fields.state, fields::LIVE);
            let Some(mut docs) = sources.read_postings(&live, tantivy::schema::IndexRecordOption::Basic)?
            else {
                continue;
            };
            let mut found: Vec<(u64, u64)> = Vec::new();
            let from = match after {
                Some(after) => match dictionary.term_ord_or_next(after.as_bytes())? {
                    tantivy::columnar::TermOrdHit::Exact(ord) => ord.saturating_add(1),
                    tantivy::columnar::TermOrdHit::Next(ord) => ord,
                },
                None => 0,
            };
            let mut doc = tantivy::DocSet::doc(&docs);
            while doc != tantivy::TERMINATED {
                if !reader.is_deleted(doc)
                    && let Some(ord) = ids.first(doc).filter(|ord| *ord >= from)
                {
                    found.push((ord, versions.first(doc).unwrap_or_default()));
                }
                doc = tantivy::DocSet::advance(&mut docs);
            }
            if found.len() > limit && limit > 0 {
                found.select_nth_unstable(limit - 1);
            }
            found.truncate(limit);
            for (ord, version) in found {
                let mut id = Vec::new();
                dictionary.ord_to_term(ord, &mut id)?;
                stamps.push(Stamp::new(String::from_utf8_lossy(&id), version));
            }
        }
        stamps.sort_by(|a, b| a.id.as_bytes().cmp(b.id.as_bytes()));
        stamps.truncate(limit);
        Ok(stamps)
    }

    fn status(&self) -> tantivy::Result<Status> {
        let searcher = self.reader.searcher();
        let count = |state: u64| {
            let term = tantivy::Term::from_field_u64(self.fields.state, state);
            let query = tantivy::query::TermQuery::new(term, tantivy::schema::IndexRecordOption::Basic);
            let count = searcher.search(&query, &tantivy::collector::Count)?;
            tantivy::Result::Ok(u64::try_from(count).unwrap_or(u64::MAX))
        };
        let applied = self.index.load_metas()?.payload.as_deref().and_then(writer::payload);
        let deleted = count(fields::GONE)?;
        Ok(Status::new(count(fields::LIVE)?, self.generation, applied).with_deleted(deleted))
    }
}

fn out_of_time() -> Error {
    Error::new(ErrorKind::Timeout, "the search ran out of time on the embedded index")
}

/// Runs what reads the disk on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(Error::new(ErrorKind::Other, "a search of the embedded index broke off").with_source(error))
        }
    }
}

#[async_trait]
impl SearchEngine for TantivyEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn search(&self, query: &Query, time_left: Duration) -> Result<Page> {
        if time_left.is_zero() {
            return Err(out_of_time());
        }
        let shelf = self.shelf()?;
        let (key, stop) = (Shorts::key(query), Arc::new(AtomicBool::new(false)));
        if let Some(key) = key
            && let Some(snapshot) = shelf.known_snapshot()
            && shelf.shorts.is_short(key, snapshot.0.generation().generation_id())
        {
            return shelf.search(&self.schema, &self.name, query, Some(key), snapshot, stop);
        }
        let (schema, name, query) = (Arc::clone(&self.schema), self.name.clone(), query.clone());
        let waiting = Waiting(Arc::clone(&stop));
        let work = blocking(move || shelf.search(&schema, &name, &query, key, shelf.snapshot()?, stop));
        let result = tokio::time::timeout(time_left, work).await;
        drop(waiting);
        result.unwrap_or_else(|_| Err(out_of_time()))
    }

    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let (shelf, schema, changes) = (self.shelf()?, Arc::clone(&self.schema), changes.to_vec());
        let preparing = Arc::clone(&shelf);
        let prepared = blocking(move || Ok(preparing.prepare(&schema, &changes))).await?;
        shelf.writer.apply(prepared).await
    }

    async fn status(&self) -> Result<Status> {
        let shelf = self.shelf()?;
        blocking(move || shelf.status().map_err(|error| failed("reading the status", error))).await
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        let (shelf, after) = (self.shelf()?, after.map(str::to_owned));
        blocking(move || {
            shelf.stamps(after.as_deref(), limit).map_err(|error| failed("reading the versions", error))
        })
        .await
    }
}
