//! Places that are few: held for a while, confirmed or given back, and never granted twice.

mod desk;
mod hold;
mod ledger;
mod lottery;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "embedded")]
mod sqlite;
#[cfg(any(feature = "embedded", feature = "postgres"))]
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::{ErrorKind, Result};

pub use desk::Capacity;
pub use hold::{Hold, HoldState, Places, Ticket};
pub use lottery::{Draw, Entrants, Seed};
pub use memory::MemoryCapacity;
#[cfg(feature = "postgres")]
pub use postgres::PostgresCapacity;
#[cfg(feature = "redis")]
pub use redis::RedisCapacity;
#[cfg(feature = "embedded")]
pub use sqlite::SqliteCapacity;

/// The longest name of a pool or a holder, in bytes.
const MAX_NAME: usize = 512;

/// What is asked of a pool of places.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Hold a place for a while. Who holds or has confirmed one already is told of that, and it is not prolonged.
    Hold {
        /// Who: whatever names the applicant once, at most 512 bytes.
        holder: Arc<str>,
        /// For how long, unless it is confirmed or released before.
        ttl: Duration,
    },
    /// Keep the held place for good.
    Confirm {
        /// Who holds it.
        holder: Arc<str>,
    },
    /// Give back whatever the holder has, held or confirmed.
    Release {
        /// Who has it.
        holder: Arc<str>,
    },
    /// Give back what the holder was granted under this ticket, and nothing that was granted later.
    ReleaseTicket {
        /// Who was granted it.
        holder: Arc<str>,
        /// What it was granted under.
        ticket: Ticket,
    },
}

impl Request {
    /// Returns who asks.
    pub fn holder(&self) -> &Arc<str> {
        match self {
            Self::Hold { holder, .. }
            | Self::Confirm { holder }
            | Self::Release { holder }
            | Self::ReleaseTicket { holder, .. } => holder,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "Hold",
            Self::Confirm { .. } => "Confirm",
            Self::Release { .. } => "Release",
            Self::ReleaseTicket { .. } => "ReleaseTicket",
        }
    }
}

/// Leaves the holder out, who may be a person.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name()).finish_non_exhaustive()
    }
}

/// What a pool answers to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The holder has this place: newly held, held or confirmed before, or confirmed now.
    Granted(Hold),
    /// There is no place left for the holder.
    Full,
    /// The place is free again.
    Released,
    /// There was nothing to release.
    NothingHeld,
}

/// Keeps pools of places.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::capacity`):
///
/// 1. **Never over-granted.** At every moment held and confirmed places together are at most the pool's, whoever asks in
///    which process, and whoever is killed meanwhile. A pool that is made smaller than what is taken grants nothing until
///    enough was given back, and takes nothing away.
/// 2. **First come, first served.** Tickets are numbered from 1 in the order of the grants, which within a call is that of its
///    requests; no number is used twice.
/// 3. **Repeating is safe.** Who asks again while holding or having confirmed a place is told the same ticket and the same
///    end.
/// 4. **Holds end.** A hold that was not confirmed in its time, by the store's clock, is over, and its place goes to the next
///    who asks.
/// 5. **Confirmed is kept.** A confirmed place does not end by time. Confirming again is answered alike; what ended or never
///    was is refused with `Conflict`.
/// 6. **Released once.** A release frees the place of its holder, and of the ticket if one is named; a second one finds nothing.
/// 7. **In order, each for itself.** The requests of a call are answered in their order, as if they came one after the other;
///    what one of them is refused does not touch the others. All of them are stored together or, if the call fails, none.
/// 8. **Pools are apart.** What happens in one is not seen in another. A pool that was never opened is `NotFound`. Several are
///    counted at once as each of them is by itself.
/// 9. **Durable.** What was answered is there for whoever opens the same store (except in memory).
#[async_trait]
pub trait CapacityStore: fmt::Debug + Send + Sync {
    /// Makes the pool with so many places, or changes how many it has.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the name is empty, longer than 512 bytes or holds a NUL, and for more than `i64::MAX` places; `Storage` or
    /// `Unavailable` if the store failed.
    async fn open(&self, pool: &str, places: u64) -> Result<()>;

    /// Carries out requests in their order, in one transaction; answers each in its place.
    ///
    /// # Errors
    ///
    /// The call: `NotFound` if the pool was never opened; `Storage`, `Unavailable` or `Timeout` if the store failed: all of it
    /// happened or nothing, and repeating it is safe. Each answer: `Conflict` if what is to be confirmed is not held (any
    /// more), `InvalidInput` if the holder's name is empty, longer than 512 bytes or holds a NUL.
    async fn apply(&self, pool: &str, requests: &[Request]) -> Result<Vec<Result<Answer>>>;

    /// Counts the places of a pool.
    ///
    /// # Errors
    ///
    /// `NotFound` if the pool was never opened; `Storage` or `Unavailable` if the store failed.
    async fn places(&self, pool: &str) -> Result<Places>;

    /// Counts the places of several pools, each as [`places`](Self::places) does and in its place; `None` of one that was never
    /// opened.
    ///
    /// Databases are asked once for all of them.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn places_of(&self, pools: &[String]) -> Result<Vec<Option<Places>>> {
        let mut all = Vec::with_capacity(pools.len());
        for pool in pools {
            all.push(match self.places(pool).await {
                Ok(places) => Some(places),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            });
        }
        Ok(all)
    }

    /// Lists what is held and confirmed, by ticket, from after the ticket `after` on and at most `limit` of it: the list of
    /// entrants.
    ///
    /// # Errors
    ///
    /// As [`places`](Self::places).
    async fn holds(&self, pool: &str, after: Ticket, limit: usize) -> Result<Vec<Hold>>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: CapacityStore + ?Sized> CapacityStore for $pointer {
            async fn open(&self, pool: &str, places: u64) -> Result<()> {
                (**self).open(pool, places).await
            }

            async fn apply(&self, pool: &str, requests: &[Request]) -> Result<Vec<Result<Answer>>> {
                (**self).apply(pool, requests).await
            }

            async fn places(&self, pool: &str) -> Result<Places> {
                (**self).places(pool).await
            }

            async fn places_of(&self, pools: &[String]) -> Result<Vec<Option<Places>>> {
                (**self).places_of(pools).await
            }

            async fn holds(&self, pool: &str, after: Ticket, limit: usize) -> Result<Vec<Hold>> {
                (**self).holds(pool, after, limit).await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);
