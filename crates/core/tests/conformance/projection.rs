//! The stores of projections.

use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::conformance::projection::ProjectionHarness;
use pumasi_core::event::{MemoryProjectionStore, ProjectionStore};

struct Memory(Arc<MemoryProjectionStore>);

#[async_trait]
impl ProjectionHarness for Memory {
    async fn open(&self) -> Arc<dyn ProjectionStore> {
        Arc::<MemoryProjectionStore>::clone(&self.0)
    }
}

pumasi_core::projection_laws!(memory, Some(Memory(Arc::default())));

#[cfg(feature = "postgres")]
mod on_postgres {
    use pumasi_core::event::PostgresProjectionStore;

    use super::*;
    use pumasi_core::conformance::PostgresSchema;

    struct Harness(PostgresSchema);

    impl Harness {
        async fn new() -> Option<Self> {
            let schema = PostgresSchema::new("the laws of projections on PostgreSQL").await?;
            PostgresProjectionStore::new(schema.pool.clone()).migrate().await.unwrap();
            Some(Self(schema))
        }
    }

    #[async_trait]
    impl ProjectionHarness for Harness {
        async fn open(&self) -> Arc<dyn ProjectionStore> {
            Arc::new(PostgresProjectionStore::new(self.0.pool.clone()))
        }
    }

    pumasi_core::projection_laws!(postgres, Harness::new().await);
}

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use pumasi_core::database::open_sqlite;
    use pumasi_core::event::SqliteProjectionStore;
    use sqlx::SqlitePool;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    use super::*;

    struct Harness {
        _folder: tempfile::TempDir,
        pool: SqlitePool,
    }

    impl Harness {
        async fn new() -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let file = SqliteConnectOptions::new()
                .filename(folder.path().join("service.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal);
            let pool = open_sqlite(SqlitePoolOptions::new(), file).await.unwrap();
            SqliteProjectionStore::new(pool.clone()).migrate().await.unwrap();
            Some(Self { _folder: folder, pool })
        }
    }

    #[async_trait]
    impl ProjectionHarness for Harness {
        async fn open(&self) -> Arc<dyn ProjectionStore> {
            Arc::new(SqliteProjectionStore::new(self.pool.clone()))
        }
    }

    pumasi_core::projection_laws!(sqlite, Harness::new().await);
}
