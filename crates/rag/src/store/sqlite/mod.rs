//! Knowledge in one SQLite file, searched in memory.

mod change;
mod codes;
mod halves;
mod lists;
mod making;
mod matches;
mod near;
mod options;
mod packed;
mod rows;
mod segment;
mod shelf;
mod texts;
mod top;
mod upkeep;
mod varint;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::database::{Migration, Writing, failed, open_sqlite};
use pumasi_core::filter::Filter;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::MutexGuard;

use self::change::Change;
use self::lists::stored::{self, Stored};
use self::making::Makings;
pub use self::making::SqliteLists;
use self::near::Nearest;
pub use self::options::SqliteOptions;
use self::segment::Segment;
use self::shelf::{Shelf, WithTerms};
use super::{ChunkEntry, Counts, Entry, Found, Passage, Scored, Space, Store, StoreQuery, dot};
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint, Tenant};
use crate::{Error, ErrorKind, Result, Retry};

const MIGRATION: Migration = Migration {
    component: "knowledge",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_rag_schema",
    steps: &[
        include_str!("sql/schema_1.sql"),
        include_str!("sql/schema_2.sql"),
        include_str!("sql/schema_3.sql"),
        include_str!("sql/schema_4.sql"),
    ],
};

/// From so many chunks on, a search leaves the runtime's thread to others.
const MANY: usize = 4_096;

/// Keeps knowledge in a SQLite file, and what it is searched by in memory.
///
/// - **Durable.** Write-ahead log with `synchronous = FULL`: what was put has been synced to the disk, and outlives `SIGKILL` and
///   loss of power. A batch is one transaction: all of its documents, or none.
/// - **Exact.** A search looks at the vectors of all chunks that the filter admits, coded in 8 bits a number, and scores those that may be
///   the nearest (of twice as many as wanted, and 30, those that eight standard deviations of the codes' rounding leave in doubt) by the
///   whole vectors from the file. Terms are weighed by postings in memory. From some
///   hundred thousand chunks on, [a share of the nearest](SqliteOptions::with_recall) is found much faster.
/// - **Loaded when asked.** Opening reads nothing of a tenant; its first call reads what it is searched by. In memory a chunk takes
///   its vector's codes (one byte a number), about six bytes a term, and about 150 more; texts and whole vectors stay in the file.
///   Which documents match the last eight filters is remembered: eight bytes a document at most.
/// - **Small.** Of a whole vector the file holds what its codes do not say, to the last bit; texts are packed by DEFLATE.
/// - **Checked.** What is searched by and packed texts carry checksums; a damaged file is `Storage`, not another answer. Of a whole
///   vector its length is checked, and that its numbers are finite.
/// - **One process** has the file open, by a lock on a file beside it; another one is told `Unavailable`.
///
/// Clones are handles on the same file, which is closed when the last one is dropped. Replaced documents leave room in the file
/// that later ones use.
///
/// SQLite was chosen because it is the engine of the other crates' embedded defaults.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use pumasi_core::model::HashingEmbedder;
/// use pumasi_rag::{Document, Ingest, Question, Retriever, Space, SqliteStore, Tenant};
/// use std::sync::Arc;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("knowledge.db");
/// let embedder = Arc::new(HashingEmbedder::new());
/// let space = Space::of(&embedder);
/// let store = Arc::new(SqliteStore::open(&path, space.clone(), Tenant::new("club")?).await?);
/// let ingest = Ingest::new(store.clone(), embedder.clone());
/// ingest.run([Document::new("water", "물은 20분마다 조금씩 마십니다.")]).await?;
/// drop((ingest, store));
///
/// let store = Arc::new(SqliteStore::open(&path, space, Tenant::new("club")?).await?);
/// let found = Retriever::new(store, embedder).retrieve(&Question::new("물을 언제 마셔요?")).await?;
/// assert_eq!(found.hits[0].passage.document.id, "water");
/// # Ok::<(), pumasi_rag::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    tenant: Tenant,
    shelf: Arc<Slot>,
}

struct Shared {
    pool: SqlitePool,
    space: Space,
    path: PathBuf,
    options: SqliteOptions,
    /// One writes at a time, and nobody loads a tenant meanwhile.
    writing: tokio::sync::Mutex<()>,
    shelves: Mutex<HashMap<Tenant, Arc<Slot>>>,
    makings: Makings,
    /// Locked as long as the file is open.
    _lock: File,
}

/// A tenant's shelf, once it was loaded; emptied when it is not known any more what the file holds.
type Slot = RwLock<Option<Shelf>>;

fn wrong<T>(_: T) -> Error {
    Error::new(ErrorKind::Other, "a store's state is broken: a thread panicked while it held it")
}

impl SqliteStore {
    /// Opens the file at `path`, making it if there is none, for the vectors of `space`, and makes a handle of `tenant`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the file holds vectors of another space; `Storage` if it cannot be opened or is damaged; `Unavailable` if
    /// another store or process has it; `Unsupported` if a newer version of this crate has changed its layout.
    pub async fn open(path: impl AsRef<Path>, space: Space, tenant: Tenant) -> Result<Self> {
        Self::open_with(path, space, tenant, SqliteOptions::new()).await
    }

    /// Opens it to search as the options say; otherwise as [`open`](Self::open). A file may be opened with others each time.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and `InvalidInput` for options that cannot be met.
    pub async fn open_with(
        path: impl AsRef<Path>,
        space: Space,
        tenant: Tenant,
        options: SqliteOptions,
    ) -> Result<Self> {
        options.check()?;
        let path = path.as_ref().to_path_buf();
        let lock = lock(&path)?;
        let failed = |error| failed("opening the knowledge", error);
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            // as large that whole vectors and sections leave little of a page empty
            .page_size(32_768)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-32768")
            // joining segments writes much at once: its log is not kept at that length
            .pragma("journal_size_limit", "4194304");
        let connect = sqlx::ConnectOptions::disable_statement_logging(connect);
        let pool = SqlitePoolOptions::new().max_connections(4).max_lifetime(None);
        let pool = open_sqlite(pool, connect).await.map_err(failed)?;
        MIGRATION.on_sqlite(&pool).await?;
        if let Some(held) = rows::space(&pool).await.map_err(failed)? {
            let unreadable = || Error::new(ErrorKind::Storage, "the knowledge's space cannot be read");
            space.check_held(&rows::read_space(&held).ok_or_else(unreadable)?)?;
        } else {
            let text = serde_json::to_string(&space).map_err(|error| {
                Error::new(ErrorKind::InvalidInput, "the space cannot be written").with_source(error)
            })?;
            let mut writing = Writing::begin(&pool).await.map_err(failed)?;
            rows::begin(&mut writing, &text).await.map_err(failed)?;
            writing.commit().await.map_err(failed)?;
        }
        let writing = tokio::sync::Mutex::default();
        let shelves = Mutex::default();
        let makings = Makings::default();
        let shared = Arc::new(Shared { pool, space, path, options, writing, shelves, makings, _lock: lock });
        Ok(Self::handle(shared, tenant))
    }

    fn handle(shared: Arc<Shared>, tenant: Tenant) -> Self {
        let mut shelves = shared.shelves.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let shelf = Arc::clone(shelves.entry(tenant.clone()).or_default());
        drop(shelves);
        Self { shared, tenant, shelf }
    }

    /// Returns how many bytes the file and its log take on the disk.
    ///
    /// # Errors
    ///
    /// `Storage` if the operating system does not say.
    pub fn size_bytes(&self) -> Result<u64> {
        let size = |ending: &str| {
            let mut path = self.shared.path.clone().into_os_string();
            path.push(ending);
            match std::fs::metadata(path) {
                Ok(metadata) => Ok(metadata.len()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
                Err(error) => Err(error),
            }
        };
        size("").and_then(|file| Ok(file + size("-wal")?)).map_err(|error| {
            Error::new(ErrorKind::Storage, "the size of the knowledge could not be asked").with_source(error)
        })
    }

    /// Loads the tenant, if it is not.
    async fn load(&self) -> Result<()> {
        if self.shelf.read().map_err(wrong)?.is_some() {
            return Ok(());
        }
        let writing = self.shared.writing.lock().await;
        self.load_while_nobody_writes().await?;
        drop(writing);
        self.make_lists()
    }

    async fn load_while_nobody_writes(&self) -> Result<()> {
        if self.shelf.read().map_err(wrong)?.is_some() {
            return Ok(());
        }
        let failed = |error| failed("loading the knowledge", error);
        let mut connection = self.shared.pool.acquire().await.map_err(failed)?;
        let row = rows::tenant(&mut connection, self.tenant.as_str()).await.map_err(failed)?;
        let gone: HashSet<i64> =
            rows::gone(&mut connection, row.tenant).await.map_err(failed)?.into_iter().collect();
        let dimensions = self.shared.space.dimensions;
        let options = self.shared.options;
        let stored = if options.is_exact() {
            Stored::default()
        } else {
            stored::read(&mut connection, row.tenant, dimensions).await.map_err(failed)?
        };
        let (sender, mut segments) = tokio::sync::mpsc::channel::<sqlx::sqlite::SqliteRow>(2);
        let shelf = tokio::task::spawn_blocking(move || -> Result<Shelf> {
            let mut shelf = Shelf::new(options);
            (shelf.tenant, shelf.version) = (row.tenant, row.version);
            while let Some(row) = segments.blocking_recv() {
                let (number, data) = rows::segment(&row).map_err(failed)?;
                shelf.add(number, Arc::new(Segment::from_bytes(data, dimensions)?), &gone);
            }
            shelf.centres = stored.centres.map(|(generation, centres)| (generation, Arc::new(centres)));
            for (number, of) in stored.of {
                shelf.list(number, of)?;
            }
            shelf.statistics.mean_length = row.mean_length;
            shelf.statistics.taken_at = row.taken_at;
            Ok(shelf)
        });
        rows::segments(&mut connection, row.tenant, sender).await.map_err(failed)?;
        *self.shelf.write().map_err(wrong)? = Some(shelf.await.map_err(wrong)??);
        Ok(())
    }

    /// Asks the tenant's shelf, which is loaded first.
    async fn ask<T>(&self, ask: impl FnOnce(&Shelf) -> T) -> Result<T> {
        self.load().await?;
        let shelf = self.shelf.read().map_err(wrong)?;
        // emptied in between: somebody's write has just failed
        let shelf = shelf.as_ref().ok_or_else(being_loaded)?;
        Ok(ask(shelf))
    }

    /// Keeps writers away, for a reading that found what it was to read replaced in between; an error if they were kept away.
    async fn alone<'a>(&'a self, already: Option<MutexGuard<'a, ()>>) -> Result<MutexGuard<'a, ()>> {
        if already.is_some() {
            let why = "the file does not hold all that its segments name: it is damaged";
            return Err(Error::new(ErrorKind::Storage, why));
        }
        let writing = self.shared.writing.lock().await;
        self.load_while_nobody_writes().await?;
        Ok(writing)
    }

    /// See [`Store::search`]; `None` where something was replaced meanwhile.
    async fn search_once(&self, query: &StoreQuery) -> Result<Option<Found>> {
        let failed = |error| failed("reading vectors", error);
        let depth = query.depth.saturating_mul(2).saturating_add(30);
        let (mut found, Nearest { near, looked_at }) = self.find(query, depth).await?;
        tracing::trace!(looked_at, "vectors were searched");
        let vectors =
            rows::vectors(&self.shared.pool, near.iter().map(|near| &near.vector)).await.map_err(failed)?;
        let scored = near.iter().map(|near| {
            let vector = vectors.get(&near.vector.number)?;
            Some(Scored::new(near.id, dot(&query.embedding, vector)))
        });
        let Some(dense) = scored.collect() else { return Ok(None) };
        found.dense = Scored::best(dense, query.depth);
        Ok(Some(found))
    }

    /// See [`Store::get`]; `None` where something was replaced meanwhile.
    async fn get_once(&self, ids: &[ChunkId]) -> Result<Option<Vec<Passage>>> {
        let failed = |error| failed("reading passages", error);
        let chunks = self
            .ask(|shelf| {
                let chunk = |id: &ChunkId| {
                    shelf.chunk(*id).map(|(chunk, document, vector)| (chunk, document.clone(), vector))
                };
                ids.iter().filter_map(chunk).collect::<Vec<_>>()
            })
            .await?;
        let wanted: Vec<(i64, u32)> =
            chunks.iter().map(|(chunk, document, _)| (document.number, chunk.section)).collect();
        let sections = rows::some_sections(&self.shared.pool, &wanted).await.map_err(failed)?;
        let wanted = chunks.iter().map(|(.., vector)| vector);
        let vectors = rows::vectors(&self.shared.pool, wanted).await.map_err(failed)?;
        let mut records: HashMap<i64, Arc<DocumentRecord>> = HashMap::new();
        let passage = |(chunk, document, _): (segment::SegmentChunk, segment::SegmentDocument, _)| {
            let section = sections.get(&(document.number, chunk.section))?.clone();
            let record = records.entry(document.number).or_insert_with(|| Arc::new(document.record));
            let passage = Passage::new(chunk.id, Arc::clone(record), section, chunk.span());
            Some(passage.with_embedding(vectors.get(&chunk.number)?.clone()))
        };
        Ok(chunks.into_iter().map(passage).collect())
    }

    /// See [`Store::entries`]; `None` where something was replaced meanwhile.
    async fn entries_once(&self, ids: &[&str]) -> Result<Option<Vec<Option<Entry>>>> {
        let failed = |error| failed("reading documents", error);
        let known = self.ask(|shelf| shelf.with_terms(ids)).await?;
        let numbers: Vec<i64> = known.values().map(|known| known.document.number).collect();
        let mut sections = rows::sections(&self.shared.pool, &numbers).await.map_err(failed)?;
        let chunks = known.values().flat_map(|known| &known.chunks);
        let wanted = chunks.map(|(.., vector)| vector);
        let mut vectors = rows::vectors(&self.shared.pool, wanted).await.map_err(failed)?;
        let entry = |(id, known): (String, WithTerms)| -> Option<(String, Entry)> {
            let number = known.document.number;
            let sections = (0..).map_while(|at| sections.remove(&(number, at))).collect();
            let chunk = |(chunk, terms, _): (segment::SegmentChunk, Vec<(u32, u32)>, _)| {
                let vector = vectors.remove(&chunk.number)?;
                Some(ChunkEntry::new(chunk.id, chunk.section as usize, chunk.span(), vector, terms))
            };
            let chunks = known.chunks.into_iter().map(chunk).collect::<Option<_>>()?;
            Some((id, Entry::new(known.document.record, sections, chunks)))
        };
        let read: Option<HashMap<String, Entry>> = known.into_iter().map(entry).collect();
        Ok(read.map(|mut read| ids.iter().map(|id| read.remove(*id)).collect()))
    }

    /// Searches the shelf; what is large leaves the runtime's thread to others meanwhile.
    async fn find(&self, query: &StoreQuery, near: usize) -> Result<(Found, Nearest)> {
        if self.ask(Shelf::len).await? < MANY {
            return self.ask(|shelf| shelf.find(query, near)).await;
        }
        let (slot, query) = (Arc::clone(&self.shelf), query.clone());
        let find = move || -> Result<_> {
            let shelf = slot.read().map_err(wrong)?;
            Ok(shelf.as_ref().ok_or_else(being_loaded)?.find(&query, near))
        };
        tokio::task::spawn_blocking(find).await.map_err(wrong)?
    }
}

fn being_loaded() -> Error {
    Error::new(ErrorKind::Unavailable, "the knowledge is being loaded anew").with_retry(Retry::Now)
}

/// Locks the file beside the store's, as long as the answer lives.
fn lock(path: &Path) -> Result<File> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Storage, "the lock of the knowledge could not be opened").with_source(error)
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let file = OpenOptions::new().create(true).append(true).open(beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Unavailable, "the knowledge is open in another store or process"))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("tenant", &self.tenant)
            .field("space", &self.shared.space)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn identity(&self) -> String {
        let path = &self.shared.path;
        let whole = std::path::absolute(path);
        format!("sqlite {}", whole.as_ref().unwrap_or(path).display())
    }

    fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    fn space(&self) -> &Space {
        &self.shared.space
    }

    fn for_tenant(&self, tenant: Tenant) -> Arc<dyn Store> {
        Arc::new(Self::handle(Arc::clone(&self.shared), tenant))
    }

    async fn put(&self, entries: Vec<Entry>) -> Result<()> {
        for entry in &entries {
            entry.check(&self.shared.space)?;
        }
        self.change(Change::Put(entries)).await.map(drop)
    }

    async fn remove(&self, ids: &[&str]) -> Result<u64> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        self.change(Change::Remove(ids)).await
    }

    async fn remove_where(&self, filter: &Filter) -> Result<u64> {
        filter.validate()?;
        self.change(Change::RemoveWhere(filter.clone())).await
    }

    async fn search(&self, query: &StoreQuery) -> Result<Found> {
        query.check(&self.shared.space)?;
        let mut alone = None;
        loop {
            if let Some(whole) = self.search_once(query).await? {
                return Ok(whole);
            }
            alone = Some(self.alone(alone).await?);
        }
    }

    async fn get(&self, ids: &[ChunkId]) -> Result<Vec<Passage>> {
        let mut alone = None;
        loop {
            if let Some(whole) = self.get_once(ids).await? {
                return Ok(whole);
            }
            alone = Some(self.alone(alone).await?);
        }
    }

    async fn entries(&self, ids: &[&str]) -> Result<Vec<Option<Entry>>> {
        let mut alone = None;
        loop {
            if let Some(whole) = self.entries_once(ids).await? {
                return Ok(whole);
            }
            alone = Some(self.alone(alone).await?);
        }
    }

    async fn fingerprints(&self, ids: &[&str]) -> Result<Vec<Option<Fingerprint>>> {
        let fingerprint = |shelf: &Shelf, id: &str| shelf.document(id).map(|known| known.record.fingerprint);
        self.ask(|shelf| ids.iter().map(|id| fingerprint(shelf, id)).collect()).await
    }

    async fn count(&self, filter: &Filter) -> Result<Counts> {
        filter.validate()?;
        self.ask(|shelf| shelf.count(filter)).await
    }

    async fn scan(&self, after: &str, limit: usize) -> Result<Vec<DocumentRecord>> {
        self.ask(|shelf| shelf.scan(after, limit).into_iter().map(|known| known.record.clone()).collect())
            .await
    }

    async fn version(&self) -> Result<u64> {
        self.ask(|shelf| shelf.version).await
    }
}
