//! The laws of rooms.

use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::conformance::room::RoomHarness;
use pumasi_core::room::{MemoryRooms, RoomStore};

struct Memory(MemoryRooms);

#[async_trait]
impl RoomHarness for Memory {
    async fn open(&self) -> Arc<dyn RoomStore> {
        Arc::new(self.0.clone())
    }

    fn is_durable(&self) -> bool {
        false
    }
}

pumasi_core::room_laws!(memory, Memory(MemoryRooms::new()));

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use super::*;
    use pumasi_core::database::open_sqlite;
    use pumasi_core::room::SqliteRooms;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
    use std::time::Duration;

    struct Sqlite(tempfile::TempDir);

    #[async_trait]
    impl RoomHarness for Sqlite {
        async fn open(&self) -> Arc<dyn RoomStore> {
            let options = SqliteConnectOptions::new()
                .filename(self.0.path().join("rooms.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(Duration::from_mins(1));
            let pool = open_sqlite(SqlitePoolOptions::new().max_connections(2), options).await.unwrap();
            let store = SqliteRooms::new(pool);
            store.migrate().await.unwrap();
            Arc::new(store)
        }
    }

    pumasi_core::room_laws!(sqlite, Sqlite(tempfile::tempdir().unwrap()));
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use pumasi_core::conformance::Server;
    use pumasi_core::room::PostgresRooms;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    use sqlx::{AssertSqlSafe, PgPool};

    /// A schema of its own, because every law speaks in the same rooms.
    struct Postgres(PgPool);

    impl Postgres {
        async fn new() -> Option<Self> {
            let options: PgConnectOptions = Server::Postgres.url("rooms on PostgreSQL")?.parse().unwrap();
            let schema = format!("rooms_{:016x}", fastrand::u64(..));
            let create = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
            let options = options.options([("search_path", &schema)]);
            let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
            sqlx::raw_sql(create).execute(&pool).await.unwrap();
            Some(Self(pool))
        }
    }

    #[async_trait]
    impl RoomHarness for Postgres {
        async fn open(&self) -> Arc<dyn RoomStore> {
            let store = PostgresRooms::new(self.0.clone());
            store.migrate().await.unwrap();
            Arc::new(store)
        }
    }

    pumasi_core::room_laws!(
        postgres,
        match Postgres::new().await {
            Some(harness) => harness,
            None => return Ok(pumasi_core::conformance::Kept::Whole), // the skip was printed
        }
    );
}
