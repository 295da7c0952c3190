//! What is told when a run is complete, and who begins by it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::Database;

use super::runner::Batch;
use super::store::BatchDatabase;
use super::{ChunkJob, Parameters, Progress};
use crate::event::{Delivery, Envelope, EventBus, EventId, Handler, Shutdown};
use crate::{Error, ErrorKind, Result, Retry};

/// Takes the event of a completed run into the transaction that completes it: an outbox.
///
/// Implemented for `SqliteBus` and `SqliteOutbox` on the same file (feature `sqlite`), and for `PostgresOutbox` in the same
/// database (feature `postgres`). An outbox of your own implements it like this:
///
/// ```
/// # #[cfg(feature = "postgres")] mod example {
/// use async_trait::async_trait;
/// use pumasi_core::Result;
/// use pumasi_core::event::Envelope;
/// use pumasi_core::schedule::batch::CompletionSink;
/// use sqlx::{PgConnection, Postgres};
///
/// struct Outbox;
///
/// #[async_trait]
/// impl CompletionSink<Postgres> for Outbox {
///     async fn publish_in(&self, connection: &mut PgConnection, event: &Envelope) -> Result<()> {
///         sqlx::query("INSERT INTO outbox (id, topic, payload) VALUES ($1, $2, $3)")
///             .bind(event.id.to_string())
///             .bind(&event.topic)
///             .bind(event.payload.to_string())
///             .execute(connection)
///             .await?;
///         Ok(())
///     }
/// }
/// # }
/// ```
#[async_trait]
pub trait CompletionSink<DB: Database>: Send + Sync {
    /// Writes the event in the transaction that `connection` is in.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the run is not complete then.
    async fn publish_in(&self, connection: &mut DB::Connection, event: &Envelope) -> Result<()>;
}

macro_rules! is_a_sink {
    ($outbox:ty, $database:ty) => {
        #[async_trait]
        impl CompletionSink<$database> for $outbox {
            async fn publish_in(
                &self,
                connection: &mut <$database as Database>::Connection,
                event: &Envelope,
            ) -> Result<()> {
                Self::publish_in(self, connection, std::slice::from_ref(event)).await.map(drop)
            }
        }
    };
}

#[cfg(feature = "sqlite")]
is_a_sink!(crate::event::SqliteBus, sqlx::Sqlite);
#[cfg(feature = "sqlite")]
is_a_sink!(crate::event::SqliteOutbox, sqlx::Sqlite);
#[cfg(feature = "postgres")]
is_a_sink!(crate::event::PostgresOutbox, sqlx::Postgres);

#[async_trait]
impl<DB: Database, S: CompletionSink<DB> + ?Sized> CompletionSink<DB> for Arc<S> {
    async fn publish_in(&self, connection: &mut DB::Connection, event: &Envelope) -> Result<()> {
        (**self).publish_in(connection, event).await
    }
}

/// How a run's completion is told.
pub(super) enum Announcement<DB: Database> {
    Nobody,
    Within { topic: String, sink: Arc<dyn CompletionSink<DB>> },
    After { topic: String, bus: Arc<dyn EventBus> },
}

impl<DB: Database> Announcement<DB> {
    pub(super) fn topic(&self) -> Option<&str> {
        match self {
            Self::Nobody => None,
            Self::Within { topic, .. } | Self::After { topic, .. } => Some(topic),
        }
    }
}

/// The payload of the event of a completed run. The event's key is the batch's name, its id is derived from the run's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchCompleted {
    /// The batch's name.
    pub job: String,
    /// The run's identity.
    pub run: EventId,
    /// Its parameters.
    pub parameters: Parameters,
    /// What it did.
    pub progress: Progress,
}

/// Starts a batch when the event of another one's completion arrives: a [`Handler`] for a
/// [`Consumer`](crate::event::Consumer) of the topic.
///
/// The event may arrive more than once: the run that it starts has an identity of its own, and one that is complete is not
/// run again. Events of other batches are passed over. The event is acknowledged when the run is complete; if that takes
/// longer than an hour, give the consumer a longer limit for its handler.
///
/// ```
/// # #[cfg(feature = "sqlite")] mod example {
/// use std::sync::Arc;
/// use pumasi_core::event::{Consumer, Shutdown, SqliteBus, Subscription};
/// use pumasi_core::schedule::batch::{Batch, BatchCompleted, ChunkJob, StartOn};
/// use sqlx::Sqlite;
///
/// /// When the payments of a month are complete, the members of that month are worked on.
/// fn members_after_payments(bus: SqliteBus, members: Batch<Sqlite, impl ChunkJob<Sqlite> + 'static>) -> Consumer {
///     let stop = Shutdown::new();
///     let month = |payments: &BatchCompleted| payments.parameters.clone();
///     let start = StartOn::new(Arc::new(members), "payments", month, stop);
///     Consumer::new(bus, Subscription::new("members-batch", ["batches"]), start)
/// }
/// # }
/// ```
pub struct StartOn<DB: BatchDatabase, J, F> {
    batch: Arc<Batch<DB, J>>,
    job: String,
    parameters: F,
    stop: Shutdown,
}

impl<DB, J, F> StartOn<DB, J, F>
where
    DB: BatchDatabase,
    F: Fn(&BatchCompleted) -> Parameters + Send + Sync,
{
    /// Starts `batch` with the `parameters` that follow from the run of `job` that was completed. On `stop` it stops behind
    /// the chunk at work, and the event comes again.
    pub fn new(batch: Arc<Batch<DB, J>>, job: impl Into<String>, parameters: F, stop: Shutdown) -> Self {
        Self { batch, job: job.into(), parameters, stop }
    }
}

impl<DB: BatchDatabase, J, F> fmt::Debug for StartOn<DB, J, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartOn").field("job", &self.job).field("batch", &self.batch).finish_non_exhaustive()
    }
}

#[async_trait]
impl<DB, J, F> Handler for StartOn<DB, J, F>
where
    DB: BatchDatabase,
    J: ChunkJob<DB>,
    F: Fn(&BatchCompleted) -> Parameters + Send + Sync,
{
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        if delivery.event.key != self.job {
            return Ok(());
        }
        let completed: BatchCompleted = delivery.event.payload()?;
        let outcome = self.batch.run(&(self.parameters)(&completed), &self.stop).await?;
        if outcome.is_complete() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Cancelled, "the batch was told to stop before it was complete")
            .with_retry(Retry::Now))
    }
}
