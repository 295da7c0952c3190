//! Events that a service writes in the transactions of its own tables, whichever [`Database`] these are in.

use std::sync::Arc;

use pumasi_core::Result;
#[cfg(feature = "postgres")]
use pumasi_core::event::PostgresOutbox;
use pumasi_core::event::{Envelope, OutboxStore, SqliteOutbox};
#[cfg(feature = "postgres")]
use pumasi_core::{Error, ErrorKind};

use crate::database::{Connection, Database};

/// The outbox beside a service's tables. Clones share it.
#[derive(Clone, Debug)]
pub enum Outbox {
    /// In an SQLite file.
    Sqlite(SqliteOutbox),
    /// In a PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresOutbox),
}

impl Outbox {
    /// Opens it, and makes its tables.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn open(database: &Database) -> Result<Self> {
        match database {
            Database::Sqlite(pool) => {
                let outbox = SqliteOutbox::new(pool.clone());
                outbox.migrate().await?;
                Ok(Self::Sqlite(outbox))
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                let outbox = PostgresOutbox::new(pool.clone());
                outbox.migrate().await?;
                Ok(Self::Postgres(outbox))
            }
        }
    }

    /// What a relay publishes from.
    pub fn store(&self) -> Arc<dyn OutboxStore> {
        match self {
            Self::Sqlite(outbox) => Arc::new(outbox.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(outbox) => Arc::new(outbox.clone()),
        }
    }

    /// Writes events in a transaction of the same database: they are relayed if it commits, and only then.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn write(
        &self,
        connection: impl Into<Connection<'_>> + Send,
        events: &[Envelope],
    ) -> Result<()> {
        match (self, connection.into()) {
            (Self::Sqlite(outbox), Connection::Sqlite(open)) => outbox.publish_in(open, events).await,
            #[cfg(feature = "postgres")]
            (Self::Postgres(outbox), Connection::Postgres(open)) => outbox.publish_in(open, events).await,
            #[cfg(feature = "postgres")]
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "the transaction is of another database than the outbox",
            )),
        }
    }
}
