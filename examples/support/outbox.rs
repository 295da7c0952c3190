//! Events that a service writes in the transactions of its own tables, whichever [`Database`] these are in.

use std::sync::Arc;

use pumasi_core::Result;
use pumasi_core::event::{Envelope, OutboxStore, SqliteOutbox};
use sqlx::{SqliteConnection, SqlitePool};

use crate::database::Database;

/// A pool in whose transactions events can be written.
pub trait Outgoing {
    /// A connection of it.
    type Connection;

    /// Writes events in a transaction: they are relayed if it commits, and only then.
    ///
    /// # Errors
    ///
    /// What the engine says.
    fn write_events(
        &self,
        connection: &mut Self::Connection,
        events: &[Envelope],
    ) -> impl Future<Output = Result<()>> + Send;
}

impl Outgoing for SqlitePool {
    type Connection = SqliteConnection;

    async fn write_events(&self, connection: &mut SqliteConnection, events: &[Envelope]) -> Result<()> {
        SqliteOutbox::new(self.clone()).publish_in(connection, events).await
    }
}

#[cfg(feature = "postgres")]
impl Outgoing for sqlx::PgPool {
    type Connection = sqlx::PgConnection;

    async fn write_events(&self, connection: &mut sqlx::PgConnection, events: &[Envelope]) -> Result<()> {
        pumasi_core::event::PostgresOutbox::new(self.clone()).publish_in(connection, events).await
    }
}

/// Opens the outbox beside a service's tables, from which a relay publishes.
///
/// # Errors
///
/// What the engine says.
pub async fn open(database: &Database) -> Result<Arc<dyn OutboxStore>> {
    match database {
        Database::Sqlite(pool) => {
            let outbox = SqliteOutbox::new(pool.clone());
            outbox.migrate().await?;
            Ok(Arc::new(outbox))
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => {
            let outbox = pumasi_core::event::PostgresOutbox::new(pool.clone());
            outbox.migrate().await?;
            Ok(Arc::new(outbox))
        }
    }
}
