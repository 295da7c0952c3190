//! Stores of knowledge that are made for one run.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pumasi_rag::{MemoryStore, PostgresStore, Space, SqliteStore, Store, Tenant};
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
}

/// A store that is open, and how to ask for its size.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    sqlite: Option<SqliteStore>,
    postgres: Option<PostgresStore>,
}

impl Place {
    /// Makes a place for a store of this name: `memory`, `sqlite` or `embedded` (in `folder`) or `postgres`.
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
            _ => Err("a store is `memory`, `sqlite` or `postgres`".into()),
        }
    }

    /// Opens the store; again, where it keeps anything, with what it holds.
    pub async fn open(&self, space: Space) -> Result<Opened, Box<dyn Error>> {
        let tenant = Tenant::single();
        match self {
            Self::Memory => {
                let store = Arc::new(MemoryStore::new(space, tenant));
                Ok(Opened { store, sqlite: None, postgres: None })
            }
            Self::Sqlite(path) => {
                let store = SqliteStore::open(path, space, tenant).await?;
                Ok(Opened { store: Arc::new(store.clone()), sqlite: Some(store), postgres: None })
            }
            Self::Postgres(server, schema) => {
                let path = format!("{schema},public");
                let options = PgConnectOptions::clone(&server.connect_options());
                let pool = PgPool::connect_with(options.options([("search_path", path)])).await?;
                let store = PostgresStore::open(pool, space, tenant).await?;
                Ok(Opened { store: Arc::new(store.clone()), sqlite: None, postgres: Some(store) })
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
        if let Self::Postgres(server, schema) = self {
            let drop = format!("DROP SCHEMA {schema} CASCADE");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&server).await?;
        }
        Ok(())
    }
}

impl Opened {
    /// How many bytes it takes, on a disk.
    pub async fn bytes(&self) -> Result<Option<u64>, Box<dyn Error>> {
        Ok(match (&self.sqlite, &self.postgres) {
            (Some(store), _) => Some(store.size_bytes()?),
            (_, Some(store)) => Some(store.size_bytes().await?),
            _ => None,
        })
    }
}
