//! The laws of schedules; those of PostgreSQL where its server is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::conformance::schedule::ScheduleHarness;
use pumasi_core::schedule::{MemorySchedule, ScheduleStore};
use pumasi_core::time::ManualClock;

struct Memory {
    clock: ManualClock,
    store: MemorySchedule,
}

#[async_trait]
impl ScheduleHarness for Memory {
    async fn open(&self) -> Arc<dyn ScheduleStore> {
        Arc::new(self.store.clone())
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

pumasi_core::schedule_laws!(memory, {
    let clock = ManualClock::new();
    Memory { store: MemorySchedule::with_clock(Arc::new(clock.clone())), clock }
});

#[cfg(feature = "sqlite")]
#[expect(clippy::unwrap_used, reason = "a harness that cannot be set up fails its tests")]
mod on_sqlite {
    use pumasi_core::database::open_sqlite;
    use pumasi_core::schedule::SqliteSchedule;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};

    use super::*;

    struct Sqlite {
        clock: ManualClock,
        folder: tempfile::TempDir,
    }

    #[async_trait]
    impl ScheduleHarness for Sqlite {
        async fn open(&self) -> Arc<dyn ScheduleStore> {
            let options = SqliteConnectOptions::new()
                .filename(self.folder.path().join("service.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(Duration::from_secs(20));
            let pool = open_sqlite(SqlitePoolOptions::new().max_connections(2), options).await.unwrap();
            Arc::new(SqliteSchedule::new(pool).await.unwrap().with_clock(Arc::new(self.clock.clone())))
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    pumasi_core::schedule_laws!(
        sqlite,
        Sqlite { clock: ManualClock::new(), folder: tempfile::tempdir().unwrap() }
    );
}

#[cfg(feature = "postgres")]
#[expect(clippy::unwrap_used, reason = "a harness that cannot be set up fails its tests")]
mod on_postgres {
    use pumasi_core::conformance::Kept;
    use pumasi_core::schedule::PostgresSchedule;
    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use pumasi_core::conformance::PostgresSchema;

    struct Postgres {
        clock: ManualClock,
        schema: PostgresSchema,
    }

    #[async_trait]
    impl ScheduleHarness for Postgres {
        async fn open(&self) -> Arc<dyn ScheduleStore> {
            let options = self.schema.options.clone();
            let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
            Arc::new(PostgresSchedule::new(pool).await.unwrap().with_clock(Arc::new(self.clock.clone())))
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    pumasi_core::schedule_laws!(postgres, {
        match PostgresSchema::new("a law of schedules on postgres").await {
            Some(schema) => Postgres { clock: ManualClock::new(), schema },
            None => return Ok(Kept::Whole),
        }
    });
}
