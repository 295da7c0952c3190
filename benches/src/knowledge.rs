//! Stores of knowledge that are made for one run.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pumasi_rag::store::{PostgresOptions, QdrantOptions, SqliteOptions, VectorIndex};
use pumasi_rag::{MemoryStore, PostgresStore, QdrantStore, Space, SqliteStore, Store, Tenant};
use qdrant_client::Qdrant;
use rustix::time::{ClockId, clock_gettime};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

/// Where a store keeps what it is given.
pub enum Place {
    /// Nowhere: it is gone when it is closed.
    Memory,
    /// In this file.
    Sqlite(PathBuf),
    /// On the server of `PUMASI_POSTGRES_URL`, in a schema of its own.
    Postgres(PgPool, String),
    /// On the server of `PUMASI_QDRANT_URL`, in a collection of its own.
    Qdrant(Qdrant, String),
}

/// A store that is open, and how to ask for its size.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    sqlite: Option<SqliteStore>,
    postgres: Option<PostgresStore>,
}

impl Place {
    /// Makes a place for a store of this name: `memory`, `sqlite` or `embedded` (in `folder`), `postgres` or `qdrant`.
    pub async fn new(name: &str, folder: &Path) -> Result<Self, Box<dyn Error>> {
        match name {
            "memory" => Ok(Self::Memory),
            "sqlite" | "embedded" => Ok(Self::Sqlite(folder.join("knowledge.db"))),
            "postgres" => {
                let url =
                    std::env::var("PUMASI_POSTGRES_URL").map_err(|_| "PUMASI_POSTGRES_URL is not set")?;
                let schema = format!("pumasi_bench_{:08x}", fastrand::u32(..));
                let server = PgPool::connect(&url).await?;
                // the extension is the database's, and does not go with the schema
                let make =
                    format!("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public; CREATE SCHEMA {schema}");
                sqlx::raw_sql(AssertSqlSafe(make)).execute(&server).await?;
                Ok(Self::Postgres(server, schema))
            }
            "qdrant" => {
                let url = std::env::var("PUMASI_QDRANT_URL").map_err(|_| "PUMASI_QDRANT_URL is not set")?;
                let server = Qdrant::from_url(&url).skip_compatibility_check().build()?;
                Ok(Self::Qdrant(server, format!("pumasi_bench_{:08x}", fastrand::u32(..))))
            }
            _ => Err("a store is `memory`, `sqlite`, `postgres` or `qdrant`".into()),
        }
    }

    /// Opens the store; again, where it keeps anything, with what it holds.
    pub async fn open(&self, space: Space) -> Result<Opened, Box<dyn Error>> {
        self.open_with(space, SqliteOptions::new()).await
    }

    /// Opens the store; one in an SQLite file as the options say.
    pub async fn open_with(&self, space: Space, options: SqliteOptions) -> Result<Opened, Box<dyn Error>> {
        let index = VectorIndex::for_dimensions(space.dimensions);
        self.open_for(space, options, index).await
    }

    /// Opens the store to be filled: in PostgreSQL the index of vectors is made when it is opened to be asked.
    pub async fn open_to_fill(&self, space: Space) -> Result<Opened, Box<dyn Error>> {
        self.open_for(space, SqliteOptions::new(), VectorIndex::Exact).await
    }

    async fn open_for(
        &self,
        space: Space,
        options: SqliteOptions,
        index: VectorIndex,
    ) -> Result<Opened, Box<dyn Error>> {
        let tenant = Tenant::single();
        match self {
            Self::Memory => {
                let store = Arc::new(MemoryStore::new(space, tenant));
                Ok(Opened { store, sqlite: None, postgres: None })
            }
            Self::Sqlite(path) => {
                let store = SqliteStore::open_with(path, space, tenant, options).await?;
                Ok(Opened { store: Arc::new(store.clone()), sqlite: Some(store), postgres: None })
            }
            Self::Postgres(server, schema) => {
                let path = format!("{schema},public");
                let connect = PgConnectOptions::clone(&server.connect_options());
                let pool = PgPool::connect_with(connect.options([("search_path", path)])).await?;
                let options = PostgresOptions::new().with_index(index);
                let store = PostgresStore::open_with(pool, space, tenant, options).await?;
                Ok(Opened { store: Arc::new(store.clone()), sqlite: None, postgres: Some(store) })
            }
            Self::Qdrant(server, name) => {
                let options = QdrantOptions::new().with_collection(name);
                let store = QdrantStore::open_with(&server.config.uri, space, tenant, options).await?;
                Ok(Opened { store: Arc::new(store), sqlite: None, postgres: None })
            }
        }
    }

    /// How many bytes each table of a closed SQLite file takes, in pages that are its own; nothing for other stores.
    pub async fn tables(&self) -> Result<BTreeMap<String, i64>, Box<dyn Error>> {
        let Self::Sqlite(path) = self else { return Ok(BTreeMap::new()) };
        let file = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await?;
        let rows =
            sqlx::query_as("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetch_all(&file).await?;
        file.close().await;
        Ok(rows.into_iter().collect())
    }

    /// Takes away what was made.
    pub async fn clear(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Memory | Self::Sqlite(_) => {}
            Self::Postgres(server, schema) => {
                let drop = format!("DROP SCHEMA {schema} CASCADE");
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&server).await?;
            }
            Self::Qdrant(server, name) => {
                server.delete_collection(name).await?;
            }
        }
        Ok(())
    }
}

impl Opened {
    /// Waits for the lists that an SQLite file is searched by, if it is to have any.
    pub async fn lists_made(&self) -> Result<(), Box<dyn Error>> {
        if let Some(store) = &self.sqlite {
            store.lists_made().await?;
        }
        Ok(())
    }

    /// How many bytes it takes, on a disk.
    pub async fn bytes(&self) -> Result<Option<u64>, Box<dyn Error>> {
        Ok(match (&self.sqlite, &self.postgres) {
            (Some(store), _) => Some(store.size_bytes()?),
            (_, Some(store)) => Some(store.size_bytes().await?),
            _ => None,
        })
    }
}

/// The inner product of two vectors of a length that eight divides, as a plain scan computes it.
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (left, right) in left.as_chunks::<8>().0.iter().zip(right.as_chunks::<8>().0) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    sums.iter().sum()
}

/// The processor's time that this process has used.
pub fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The median, in milliseconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e3
}
