//! Knowledge in PostgreSQL with pgvector.

mod condition;
mod copy;
mod extension;
mod fields;
mod options;
mod postings;
mod rows;
mod search;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::database::{Migration, begin_postgres, failed};
use pumasi_core::filter::Filter;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use self::extension::Extension;
pub use self::options::{PostgresOptions, VectorIndex};
use self::rows::Known;
use self::search::Search;
use super::{Counts, Entry, Found, Passage, Space, Store, StoreQuery, next_version};
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint, Tenant};
use crate::{Error, ErrorKind, Result};

const MIGRATION: Migration = Migration {
    component: "knowledge",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_rag_schema",
    steps: &[include_str!("sql/schema_1.sql")],
};

/// A lock of this crate's own, so that two processes do not open new tables at once.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('pumasi'), hashtext('knowledge'))";

/// How many documents are taken away at once.
const TAKEN: usize = 512;

/// A transaction whose statements all see the same moment.
const SNAPSHOT: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Keeps knowledge in PostgreSQL 14 or newer with [pgvector](https://github.com/pgvector/pgvector) 0.8 or newer, shared by any number
/// of processes.
///
/// - **Tables** are made when it is opened, in the first schema of the connection's `search_path`; their names begin with `pumasi_rag`.
///   One schema holds the vectors of one [`Space`]. The extension may be in any schema of the database; where there is none, it is made
///   in `public`, if the user may.
/// - **Durable** as the server is: a batch is one transaction, all of its documents or none, and a connection that breaks in the middle
///   leaves none. Writers of one tenant wait for each other.
/// - **Exact where few chunks are admitted**, and otherwise by a graph (HNSW) that is asked again and again until enough is found that
///   the filter admits; where it gives up before, every vector is looked at. What it finds is scored by the whole vectors, with the
///   same arithmetic as everywhere. See [`PostgresOptions`].
/// - **The same words weigh the same.** Terms are weighed by postings of our own analyzer, not by the server's full text search: the
///   ranking is the other stores', to the last bit.
/// - **Filters** are asked of metadata as the reference does, whatever type a field has in each document; equality and membership by an
///   index.
/// - **One snapshot.** A search is one transaction of `REPEATABLE READ`.
/// - **Limits of time** are the pool's (`acquire_timeout`) and the server's (`statement_timeout`, which may be set in the options that
///   the pool connects with).
///
/// Clones share the pool. Deleted rows are the server's to clear away (`autovacuum`).
///
/// ```no_run
/// # async fn run(pool: sqlx::PgPool) -> pumasi_rag::Result<()> {
/// use pumasi_core::model::HashingEmbedder;
/// use pumasi_rag::{Document, Ingest, PostgresStore, Question, Retriever, Space, Tenant};
/// use std::sync::Arc;
///
/// let embedder = Arc::new(HashingEmbedder::new());
/// let store = Arc::new(PostgresStore::open(pool, Space::of(&embedder), Tenant::new("club")?).await?);
/// let ingest = Ingest::new(store.clone(), embedder.clone());
/// ingest.run([Document::new("water", "물은 20분마다 조금씩 마십니다.")]).await?;
/// let found = Retriever::new(store, embedder).retrieve(&Question::new("물을 언제 마셔요?")).await?;
/// assert_eq!(found.hits[0].passage.document.id, "water");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
    tenant: Tenant,
}

struct Shared {
    pool: PgPool,
    extension: Extension,
    space: Space,
    index: VectorIndex,
    options: PostgresOptions,
}

fn at(what: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| failed(what, error)
}

impl PostgresStore {
    /// Opens the knowledge in the pool's database, making its tables if there are none, for the vectors of `space`, and makes a handle
    /// of `tenant`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the tables hold vectors of another space, or `space` has more than 16,000 dimensions; `Unsupported` if there
    /// is no pgvector 0.8, the database is not in UTF-8, or a newer version of this crate has changed the layout; `Storage`,
    /// `Unavailable` or `Unauthorized` if the database failed.
    pub async fn open(pool: PgPool, space: Space, tenant: Tenant) -> Result<Self> {
        Self::open_with(pool, space, tenant, PostgresOptions::new()).await
    }

    /// Opens it with an index and limits of your own; otherwise as [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and `InvalidInput` for an index that does not take vectors of `space`.
    pub async fn open_with(
        pool: PgPool,
        space: Space,
        tenant: Tenant,
        options: PostgresOptions,
    ) -> Result<Self> {
        let wanted = options.index.unwrap_or_else(|| VectorIndex::for_dimensions(space.dimensions));
        wanted.check(&space)?;
        let extension = Extension::open(&pool).await?;
        MIGRATION.on_postgres(&pool).await?;
        let opening = at("opening the knowledge");
        let mut transaction = begin_postgres(&pool, "BEGIN").await.map_err(&opening)?;
        sqlx::query(LOCK).execute(&mut *transaction).await.map_err(&opening)?;
        let held: Option<(String, String)> = sqlx::query_as("SELECT space, vector_index FROM pumasi_rag")
            .fetch_optional(&mut *transaction)
            .await
            .map_err(&opening)?;
        let index = match held {
            None => {
                begin(&mut transaction, &extension, &space, wanted).await?;
                wanted
            }
            Some((held, index)) => {
                let unreadable = |error| {
                    Error::new(ErrorKind::Storage, "the knowledge's space cannot be read").with_source(error)
                };
                space.check_held(&serde_json::from_str(&held).map_err(unreadable)?)?;
                let held: VectorIndex = index.parse()?;
                match options.index {
                    Some(wanted) if wanted != held => {
                        reindex(&mut transaction, &extension, &space, wanted).await.map_err(&opening)?;
                        wanted
                    }
                    _ => held,
                }
            }
        };
        transaction.commit().await.map_err(&opening)?;
        Ok(Self { shared: Arc::new(Shared { pool, extension, space, index, options }), tenant })
    }

    /// Tells which index a search of many vectors asks.
    pub fn index(&self) -> VectorIndex {
        self.shared.index
    }

    /// Returns how many bytes the tables and their indexes take on the server's disk, of all tenants.
    ///
    /// # Errors
    ///
    /// `Storage`, `Unavailable` or `Timeout` where the database failed.
    pub async fn size_bytes(&self) -> Result<u64> {
        let statement = "SELECT sum(pg_total_relation_size(name::regclass))::BIGINT FROM unnest(ARRAY[\
             'pumasi_rag_document', 'pumasi_rag_section', 'pumasi_rag_chunk', 'pumasi_rag_posting']) AS name";
        let bytes: i64 = sqlx::query_scalar(statement)
            .fetch_one(&self.shared.pool)
            .await
            .map_err(at("asking for the size of the knowledge"))?;
        Ok(bytes.unsigned_abs())
    }

    async fn snapshot(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        begin_postgres(&self.shared.pool, SNAPSHOT).await
    }

    /// Takes documents away and puts others, as one change; tells how many there were of those that were taken away.
    async fn change(&self, change: Change<'_>) -> Result<u64> {
        let writing = at("writing the knowledge");
        let name = self.tenant.as_str();
        let mut transaction = begin_postgres(&self.shared.pool, "BEGIN").await.map_err(&writing)?;
        if matches!(change, Change::Put(_)) {
            rows::make_tenant(&mut transaction, name).await.map_err(&writing)?;
        }
        let Some(mut row) = rows::lock_tenant(&mut transaction, name).await.map_err(&writing)? else {
            return Ok(0);
        };
        let mut entries = Vec::new();
        let known: Vec<Known> = match change {
            Change::Put(put) => {
                let ids: Vec<&str> = put.keys().map(String::as_str).collect();
                let known = rows::by_ids(&mut transaction, row.tenant, &ids).await.map_err(&writing)?;
                entries.extend(put.into_values());
                known
            }
            Change::Remove(ids) => {
                rows::by_ids(&mut transaction, row.tenant, &possible(ids)).await.map_err(&writing)?
            }
            Change::RemoveWhere(filter) => rows::matching(&mut transaction, row.tenant, filter).await?,
        };
        if entries.is_empty() && known.is_empty() {
            return Ok(0);
        }
        for some in known.chunks(TAKEN) {
            rows::take_away(&mut transaction, row.tenant, some, &mut row.statistics)
                .await
                .map_err(&writing)?;
        }
        if !entries.is_empty() {
            rows::put(&mut transaction, &mut row, &entries).await?;
        }
        row.statistics.settle();
        row.version = next_version(row.version.unsigned_abs()).cast_signed();
        rows::set_tenant(&mut transaction, &row).await.map_err(&writing)?;
        transaction.commit().await.map_err(&writing)?;
        Ok(known.len() as u64)
    }
}

/// What is to be changed.
enum Change<'a> {
    /// Documents by id.
    Put(BTreeMap<String, Entry>),
    Remove(&'a [&'a str]),
    RemoveWhere(&'a Filter),
}

/// Leaves out the ids that no document can have, which the server does not take.
fn possible<'a>(ids: &[&'a str]) -> Vec<&'a str> {
    ids.iter().copied().filter(|id| !id.contains('\0')).collect()
}

/// Makes the column of vectors and their index, and writes down which they are.
async fn begin(
    connection: &mut PgConnection,
    extension: &Extension,
    space: &Space,
    index: VectorIndex,
) -> Result<()> {
    let opening = at("making the tables of the knowledge");
    let text = serde_json::to_string(space).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "the space cannot be written").with_source(error)
    })?;
    let dimensions = space.dimensions;
    let column =
        format!("ALTER TABLE pumasi_rag_chunk ADD COLUMN embedding pgvector.vector({dimensions}) NOT NULL");
    sqlx::raw_sql(extension.statement(&column)).execute(&mut *connection).await.map_err(&opening)?;
    sqlx::query("INSERT INTO pumasi_rag (space, vector_index) VALUES ($1, $2)")
        .bind(text)
        .bind(VectorIndex::Exact.to_string())
        .execute(&mut *connection)
        .await
        .map_err(&opening)?;
    reindex(connection, extension, space, index).await.map_err(&opening)
}

/// Puts an index in the place of another.
async fn reindex(
    connection: &mut PgConnection,
    extension: &Extension,
    space: &Space,
    index: VectorIndex,
) -> sqlx::Result<()> {
    sqlx::raw_sql("DROP INDEX IF EXISTS pumasi_rag_chunk_near").execute(&mut *connection).await?;
    if let Some(create) = index.create(space.dimensions) {
        sqlx::raw_sql(extension.statement(&create)).execute(&mut *connection).await?;
    }
    let statement = sqlx::query("UPDATE pumasi_rag SET vector_index = $1").bind(index.to_string());
    statement.execute(connection).await.map(drop)
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("tenant", &self.tenant)
            .field("space", &self.shared.space)
            .field("index", &self.shared.index)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn identity(&self) -> String {
        // the search path, which stands in the options or goes by the user, tells the schema
        let options = self.shared.pool.connect_options();
        let (host, port, user) = (options.get_host(), options.get_port(), options.get_username());
        let (database, settings) = (options.get_database(), options.get_options());
        format!("postgres {host}:{port} {database:?} {user} {settings:?}")
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
        self.change(Change::Remove(ids)).await
    }

    async fn remove_where(&self, filter: &Filter) -> Result<u64> {
        filter.validate()?;
        self.change(Change::RemoveWhere(filter)).await
    }

    async fn search(&self, query: &StoreQuery) -> Result<Found> {
        query.check(&self.shared.space)?;
        let searching = at("searching the knowledge");
        let mut transaction = self.snapshot().await.map_err(&searching)?;
        let row = rows::read_tenant(&mut transaction, self.tenant.as_str()).await.map_err(&searching)?;
        let Some(row) = row else { return Ok(Found::default()) };
        let Shared { extension, space, index, options, .. } = &*self.shared;
        let search = Search {
            row,
            query,
            extension,
            index: *index,
            dimensions: space.dimensions,
            exact_below: options.exact_below,
            breadth: usize::try_from(options.breadth.get()).unwrap_or(usize::MAX),
        };
        let found = search.run(&mut transaction).await?;
        transaction.commit().await.map_err(&searching)?;
        Ok(found)
    }

    async fn get(&self, ids: &[ChunkId]) -> Result<Vec<Passage>> {
        let read = rows::passages(&self.shared.pool, &self.shared.extension, self.tenant.as_str(), ids).await;
        let read = read.map_err(at("reading passages"))?;
        let mut records: HashMap<i64, Arc<DocumentRecord>> = HashMap::new();
        let mut passages: HashMap<ChunkId, Passage> = HashMap::with_capacity(read.len());
        for row in read {
            let record = records.entry(row.document).or_insert_with(|| Arc::new(row.record));
            let passage = Passage::new(row.id, Arc::clone(record), row.section, row.span);
            passages.insert(row.id, passage.with_embedding(row.embedding));
        }
        Ok(ids.iter().filter_map(|id| passages.get(id).cloned()).collect())
    }

    async fn entries(&self, ids: &[&str]) -> Result<Vec<Option<Entry>>> {
        let reading = at("reading documents");
        let mut transaction = self.snapshot().await.map_err(&reading)?;
        let row = rows::read_tenant(&mut transaction, self.tenant.as_str()).await.map_err(&reading)?;
        let Some(row) = row else { return Ok(vec![None; ids.len()]) };
        let read = rows::entries(&mut transaction, &self.shared.extension, row.tenant, &possible(ids))
            .await
            .map_err(&reading)?;
        transaction.commit().await.map_err(&reading)?;
        let read: HashMap<String, Entry> =
            read.into_iter().map(|entry| (entry.record.id.clone(), entry)).collect();
        Ok(ids.iter().map(|id| read.get(*id).cloned()).collect())
    }

    async fn fingerprints(&self, ids: &[&str]) -> Result<Vec<Option<Fingerprint>>> {
        let known = rows::fingerprints(&self.shared.pool, self.tenant.as_str(), &possible(ids)).await;
        let known = known.map_err(at("reading fingerprints"))?;
        Ok(ids.iter().map(|id| known.get(*id).copied()).collect())
    }

    async fn count(&self, filter: &Filter) -> Result<Counts> {
        filter.validate()?;
        let (documents, chunks) = rows::count(&self.shared.pool, self.tenant.as_str(), filter).await?;
        Ok(Counts::new(documents.unsigned_abs(), chunks.unsigned_abs()))
    }

    async fn scan(&self, after: &str, limit: usize) -> Result<Vec<DocumentRecord>> {
        // no id has a NUL: what comes after it is what comes after all before it, and the server takes none
        let after = after.split('\0').next().unwrap_or_default();
        let read = rows::scan(&self.shared.pool, self.tenant.as_str(), after, limit).await;
        read.map_err(at("scanning documents"))
    }

    async fn version(&self) -> Result<u64> {
        rows::version(&self.shared.pool, self.tenant.as_str()).await.map_err(at("reading the version"))
    }
}
