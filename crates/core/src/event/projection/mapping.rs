//! Replicas in tables of the user's own.

use async_trait::async_trait;

use crate::Result;
use crate::event::Envelope;

/// Writes a replica into tables of your own, in the transaction in which the store applies an event; `C` is the connection's
/// type, `sqlx::PgConnection` or `sqlx::SqliteConnection`.
///
/// It is called for what is newer than what is stored, so that it needs no check of versions: upsert by key, and delete for
/// [`State::Deleted`](crate::event::State::Deleted).
///
/// A rebuild fills a second generation while the first one serves. Tables that should be rebuilt, too, have a column for the
/// generation in their primary key, and a view over the one that serves:
///
/// ```
/// use async_trait::async_trait;
/// use pumasi_core::Result;
/// use pumasi_core::event::{Envelope, Mapping, State};
/// use sqlx::SqliteConnection;
///
/// /// CREATE TABLE member (generation INTEGER, id TEXT, nickname TEXT, PRIMARY KEY (generation, id))
/// struct Members;
///
/// #[async_trait]
/// impl Mapping<SqliteConnection> for Members {
///     async fn apply(&self, connection: &mut SqliteConnection, generation: u64, event: &Envelope) -> Result<()> {
///         let generation = i64::try_from(generation).unwrap_or(i64::MAX);
///         let statement = if event.state == State::Deleted {
///             sqlx::query("DELETE FROM member WHERE generation = ?1 AND id = ?2").bind(generation).bind(&event.key)
///         } else {
///             sqlx::query("INSERT INTO member VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET nickname = excluded.nickname")
///                 .bind(generation)
///                 .bind(&event.key)
///                 .bind(event.payload["nickname"].as_str())
///         };
///         statement.execute(connection).await?;
///         Ok(())
///     }
///
///     async fn swap(&self, connection: &mut SqliteConnection, serving: u64) -> Result<()> {
///         let serving = i64::try_from(serving).unwrap_or(i64::MAX);
///         sqlx::query("DELETE FROM member WHERE generation <> ?1").bind(serving).execute(connection).await?;
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Mapping<C>: Send + Sync {
    /// Writes one event into a generation.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the event is not applied then.
    async fn apply(&self, connection: &mut C, generation: u64, event: &Envelope) -> Result<()>;

    /// Follows a swap, in its transaction: from its commit on, `serving` is what is read, and the others are no longer needed.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; the old generation goes on serving then.
    async fn swap(&self, connection: &mut C, serving: u64) -> Result<()>;
}
