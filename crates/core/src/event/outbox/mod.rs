//! Events that are part of the user's own transaction, and the relay that publishes them.

mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod relay;
mod shard;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

#[cfg(feature = "redis")]
pub use self::redis::RedisOutbox;
pub use memory::MemoryOutbox;
#[cfg(feature = "postgres")]
pub use postgres::PostgresOutbox;
pub use relay::{Relay, RelayStats};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteOutbox;

use super::{Envelope, Page, Reason};
use crate::error::JsonFault;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// Where events wait that were written in somebody's own transaction, until a [`Relay`] has published them.
///
/// An outbox is spread over *shards*: every topic and key belongs to one, and a relay claims whole shards, so that several
/// relays share the work and the order of a key is kept. Writing is each backend's own (`publish_in`), because it happens
/// on the user's connection; what relays need of a backend is this seam.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::outbox`):
///
/// 1. **With the transaction.** An event is claimed after the transaction that wrote it has committed, and never if it was
///    rolled back.
/// 2. **Order.** Events of one topic and key are claimed in the order in which their transactions committed, and within a
///    transaction in the order in which they were written.
/// 3. **Nothing is jumped over.** An event whose transaction commits late is claimed all the same, whatever was claimed
///    and completed before.
/// 4. **One holder.** Until a claim is completed or its lease ends, nobody else is handed events of its shards.
/// 5. **Leases end.** What was claimed and not completed is claimed again after the lease, by the store's clock.
/// 6. **Leases are fenced.** A claim whose shards went to somebody else completes nothing: `Conflict`.
/// 7. **Completed is done.** What a claim reports as relayed is never claimed again; what it reports as refused is put
///    aside; the rest is there for the next claim at once.
/// 8. **Put aside is visible.** Refused events are listed with their reason, and can be written again or discarded.
/// 9. **Unreadable is put aside.** What this program cannot read does not hold up what comes after it.
/// 10. **The backlog is counted.** How many events wait, since when, and how many were put aside.
#[async_trait]
pub trait OutboxStore: fmt::Debug + Send + Sync {
    /// Claims some shards with events for the duration of `lease`, and up to `limit` of their events, in order.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn claim(&self, limit: NonZeroUsize, lease: Duration) -> Result<Claim>;

    /// Records what became of claimed events, and gives the claim back.
    ///
    /// # Errors
    ///
    /// `Conflict`, which cannot be retried, if the claim went to somebody else, and then nothing is changed; `Storage` or
    /// `Unavailable` if the store failed: the claim is as it was before, or completed.
    async fn complete(&self, claim: &Claim, outcome: &Outcome) -> Result<()>;

    /// Waits until events may have been written, at the latest until the store's polling interval has passed.
    async fn changed(&self);

    /// Counts what waits.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn backlog(&self) -> Result<Backlog>;

    /// Lists what was put aside, oldest first.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn refused(&self, page: Page) -> Result<Vec<Refused>>;

    /// Writes events that were put aside into the outbox again, after what it holds; returns how many there were.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn write_again(&self, positions: &[u64]) -> Result<usize>;

    /// Deletes events that were put aside; returns how many there were.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn discard(&self, positions: &[u64]) -> Result<usize>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: OutboxStore + ?Sized> OutboxStore for $pointer {
            async fn claim(&self, limit: NonZeroUsize, lease: Duration) -> Result<Claim> {
                (**self).claim(limit, lease).await
            }

            async fn complete(&self, claim: &Claim, outcome: &Outcome) -> Result<()> {
                (**self).complete(claim, outcome).await
            }

            async fn changed(&self) {
                (**self).changed().await;
            }

            async fn backlog(&self) -> Result<Backlog> {
                (**self).backlog().await
            }

            async fn refused(&self, page: Page) -> Result<Vec<Refused>> {
                (**self).refused(page).await
            }

            async fn write_again(&self, positions: &[u64]) -> Result<usize> {
                (**self).write_again(positions).await
            }

            async fn discard(&self, positions: &[u64]) -> Result<usize> {
                (**self).discard(positions).await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);

/// Some shards of an outbox, held for the duration of a lease, and the oldest of their events.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Who holds them: a random number, new with each claim, so that a lease that was lost is recognised.
    pub holder: i64,
    /// Which shards are held.
    pub shards: Vec<i16>,
    /// Their events, in order.
    pub events: Vec<Claimed>,
}

/// One event of a [`Claim`].
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The shard that it lies in.
    pub shard: i16,
    /// Its place in the outbox.
    pub seq: i64,
    /// The event, or why this program cannot read it.
    pub event: std::result::Result<Envelope, Reason>,
}

impl Claimed {
    /// Reads a stored event, for backends.
    pub fn new(shard: i16, seq: i64, body: &str) -> Self {
        let event = serde_json::from_str(body).map_err(|error| {
            Reason::new(
                "unreadable",
                format!("this program cannot read the event: {}", JsonFault::from(&error)),
            )
        });
        Self { shard, seq, event }
    }
}

/// What became of the events of a [`Claim`], by their places in it; what is in neither list stays in the outbox.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Those that the bus has.
    pub relayed: Vec<usize>,
    /// Those that it will never take, with the reason.
    pub refused: Vec<(usize, Reason)>,
}

/// How much waits in an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Events that wait to be relayed, those that are being relayed among them.
    pub pending: u64,
    /// For how long the oldest of them has waited, by the store's clock.
    pub oldest: Option<Duration>,
    /// Events that were put aside.
    pub refused: u64,
}

impl Backlog {
    /// Makes the answer, for backends.
    pub fn new(pending: u64, oldest: Option<Duration>, refused: u64) -> Self {
        Self { pending, oldest, refused }
    }
}

/// An event of an outbox that the bus refused for good, or that this program cannot read.
///
/// `Debug` leaves the body out.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// Its place among those that were put aside, from 1.
    pub position: u64,
    /// The event as it is stored: JSON, if it is one at all.
    pub body: String,
    /// Why it was put aside.
    pub reason: Reason,
    /// When it was put aside, by the store's clock.
    pub at: Timestamp,
}

impl Refused {
    /// Makes one, for backends.
    pub fn new(position: u64, body: String, reason: Reason, at: Timestamp) -> Self {
        Self { position, body, reason, at }
    }

    /// Reads the event.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if this program cannot read it; the message says where, never what stands there.
    pub fn event(&self) -> Result<Envelope> {
        serde_json::from_str(&self.body).map_err(|error| {
            let message = format!("the refused event at position {} cannot be read", self.position);
            Error::new(ErrorKind::InvalidInput, message).with_source(JsonFault::from(&error))
        })
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("position", &self.position)
            .field("reason", &self.reason)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// The error of a claim that went to somebody else.
fn lost() -> Error {
    Error::new(ErrorKind::Conflict, "the claim on shards of the outbox is no longer the current one")
}

/// Events as the rows of the backends: their slots and their bodies.
struct Rows {
    slots: Vec<shard::Slot>,
    bodies: Vec<String>,
}

impl Rows {
    fn of(events: &[Envelope]) -> Result<Self> {
        let mut rows =
            Self { slots: Vec::with_capacity(events.len()), bodies: Vec::with_capacity(events.len()) };
        for event in events {
            event.check()?;
            let body = serde_json::to_string(event).map_err(|_| {
                Error::new(ErrorKind::InvalidInput, format!("event {} cannot be written as JSON", event.id))
            })?;
            rows.slots.push(shard::Slot::of(event));
            rows.bodies.push(body);
        }
        Ok(rows)
    }

    fn shards(&self) -> Vec<i16> {
        self.slots.iter().map(|slot| slot.shard()).collect()
    }
}

/// How many shards a claim takes: enough that a batch fills although each of them has few events, and few enough that four
/// workers find some at the same time.
const SHARDS_PER_CLAIM: i64 = 16;

/// How many events of each claimed shard are read, so that all of them together are at most about `limit`.
fn per_shard(limit: NonZeroUsize, shards: usize) -> i64 {
    i64::try_from(limit.get().div_ceil(shards.max(1))).unwrap_or(i64::MAX)
}
