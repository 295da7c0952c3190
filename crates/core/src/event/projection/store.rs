//! The seam: where replicas are kept.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::event::Envelope;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// Keeps the newest known state of entities, for any number of named projections.
///
/// A projection has *generations*: one serves reads, and while it is rebuilt a second one is filled beside it.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::projection`):
///
/// 1. **The newest version wins**, in whatever order the events arrive: an event is applied if its version is greater than
///    that of what is stored, and otherwise changes nothing. Many may apply at the same time.
/// 2. **Duplicates are harmless.** The same event again changes nothing.
/// 3. **The deleted stay deleted.** A deletion leaves a tombstone with its version, so that an older event that comes late
///    does not bring the entity back; a newer one does.
/// 4. **Without versions.** Version 0 means that there is none. Among events without one the later `occurred_at` wins, and
///    every version wins over none.
/// 5. **All or none.** The events of one call are applied all, or none if it fails.
/// 6. **Reading.** Entities are read by key and listed in the order of their keys' bytes, in pages, without the deleted.
/// 7. **Rebuild.** While a generation is built, reads see the serving one, and events for the current generations reach
///    both. [`swap`](Self::swap) turns all reads to the built one at once.
/// 8. **One rebuild.** A rebuild that begins takes over from one that did not end; the latter's events and its swap are
///    refused with `Conflict`. So is a swap whose result is too small.
/// 9. **Tombstones go by age**, and only tombstones.
/// 10. **Projections are apart.** One does not see another one's entities.
#[async_trait]
pub trait ProjectionStore: fmt::Debug + Send + Sync {
    /// Makes a projection known; does nothing if it is.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn register(&self, projection: &str) -> Result<()>;

    /// Applies events that are newer than what is stored; returns how many were, for some generation.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a version is over 2^63 - 1; `Conflict` if the generation is no longer built; `NotFound` if the
    /// projection is not known; `Storage` or `Unavailable` if the store failed. Nothing is applied then.
    async fn apply(&self, projection: &str, target: Target, events: &[Envelope]) -> Result<usize>;

    /// Reads the entities of these keys that are there, in any order.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn get(&self, projection: &str, keys: &[String]) -> Result<Vec<Entity<Value>>>;

    /// Lists entities in the order of their keys.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn list(&self, projection: &str, page: &EntityPage) -> Result<Vec<Entity<Value>>>;

    /// Tells when the newest event that was applied had occurred, deletions among them.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn newest(&self, projection: &str) -> Result<Option<Timestamp>>;

    /// Begins a new, empty generation beside the serving one.
    ///
    /// # Errors
    ///
    /// `NotFound` if the projection is not known; `Storage` or `Unavailable` if the store failed.
    async fn begin_rebuild(&self, projection: &str) -> Result<Begun>;

    /// Turns reads to a generation that was built, if it knows at least `min_percent` of the entities of the serving one, a
    /// deletion counting as known.
    ///
    /// # Errors
    ///
    /// `Conflict` if it is no longer the one that is built, or knows too few entities; `Storage` or `Unavailable` if the store
    /// failed.
    async fn swap(&self, projection: &str, generation: u64, min_percent: u8) -> Result<Swapped>;

    /// Gives up a generation, if it is still being built.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn abandon(&self, projection: &str, generation: u64) -> Result<()>;

    /// Deletes up to ten thousand tombstones of what was deleted before `before`, and as many rows of generations that nobody
    /// needs; returns how many.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn clean_up(&self, projection: &str, before: Timestamp) -> Result<usize>;
}

/// How many rows one clean-up deletes of each kind.
pub(super) const CHUNK: i64 = 10_000;

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: ProjectionStore + ?Sized> ProjectionStore for $pointer {
            async fn register(&self, projection: &str) -> Result<()> {
                (**self).register(projection).await
            }

            async fn apply(&self, projection: &str, target: Target, events: &[Envelope]) -> Result<usize> {
                (**self).apply(projection, target, events).await
            }

            async fn get(&self, projection: &str, keys: &[String]) -> Result<Vec<Entity<Value>>> {
                (**self).get(projection, keys).await
            }

            async fn list(&self, projection: &str, page: &EntityPage) -> Result<Vec<Entity<Value>>> {
                (**self).list(projection, page).await
            }

            async fn newest(&self, projection: &str) -> Result<Option<Timestamp>> {
                (**self).newest(projection).await
            }

            async fn begin_rebuild(&self, projection: &str) -> Result<Begun> {
                (**self).begin_rebuild(projection).await
            }

            async fn swap(&self, projection: &str, generation: u64, min_percent: u8) -> Result<Swapped> {
                (**self).swap(projection, generation, min_percent).await
            }

            async fn abandon(&self, projection: &str, generation: u64) -> Result<()> {
                (**self).abandon(projection, generation).await
            }

            async fn clean_up(&self, projection: &str, before: Timestamp) -> Result<usize> {
                (**self).clean_up(projection, before).await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);

/// Which generations events are applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The serving one, and the one that is being built, if any.
    Current,
    /// This one, which is being built.
    Building(u64),
}

/// One entity of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entity<T> {
    /// Which one it is.
    pub key: String,
    /// Its version, by the service that owns it; 0 where there is none.
    pub version: u64,
    /// When it became what it is, by the owner's clock.
    pub occurred_at: Timestamp,
    /// Its state.
    pub value: T,
}

impl<T> Entity<T> {
    /// Makes an entity, for backends.
    pub fn new(key: String, version: u64, occurred_at: Timestamp, value: T) -> Self {
        Self { key, version, occurred_at, value }
    }
}

/// Which entities to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityPage {
    /// Only those after this key; `None` is the start.
    pub after: Option<String>,
    /// At most so many.
    pub limit: NonZeroUsize,
}

impl Default for EntityPage {
    /// The first hundred.
    fn default() -> Self {
        Self { after: None, limit: NonZeroUsize::MIN.saturating_add(99) }
    }
}

/// A rebuild that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The generation to be filled.
    pub generation: u64,
    /// The one of a rebuild that did not end, and is given up now.
    pub abandoned: Option<u64>,
}

/// How many entities there were before and after a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// In the generation that served before.
    pub before: u64,
    /// In the one that serves now.
    pub after: u64,
    /// Those that were served and of which the new generation knows nothing, not even that they were deleted.
    pub missing: u64,
}

impl Swapped {
    /// Checks that a rebuilt generation knows at least `min_percent` of the entities that are served, for backends.
    ///
    /// # Errors
    ///
    /// `Conflict` with both numbers.
    pub fn check(self, min_percent: u8) -> Result<Self> {
        let Self { before, missing, .. } = self;
        let known = u128::from(before.saturating_sub(missing));
        if known * 100 >= u128::from(before) * u128::from(min_percent) {
            return Ok(self);
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "the rebuilt projection knows nothing of {missing} of the {before} entities that are served: has the topic lost its start?"
            ),
        ))
    }
}

/// The error of a generation that is no longer built.
pub(super) fn superseded(generation: u64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("generation {generation} of the projection is no longer being built"),
    )
}

pub(super) fn not_registered(projection: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("the projection {projection} is not registered in its store"))
}

/// An event's version as the databases keep it.
pub(super) fn signed_version(event: &Envelope) -> Result<i64> {
    i64::try_from(event.version).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, format!("the version of event {} is over 2^63 - 1", event.id))
    })
}
