//! Replicas of another service's entities, kept from its events.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod mapping;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod rebuild;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use mapping::Mapping;
pub use memory::MemoryProjectionStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresProjectionStore;
pub use rebuild::Rebuilt;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteProjectionStore;
pub use store::{Begun, Entity, EntityPage, ProjectionStore, Swapped, Target};

use self::store::signed_version;
use super::consumer::passing;
use super::envelope::check_name;
use super::{Control, Delivery, Envelope, Handler, State, Subscription};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::{Error, ErrorKind, Result};

/// A replica of the entities that another service owns, kept from the events of its topic: the members of every service.
///
/// It is a [`Handler`]: run it by a [`Consumer`](super::Consumer) on its [subscription](Self::subscription), and read it with
/// [`get`](Self::get), [`get_many`](Self::get_many) and [`list`](Self::list), here or in another process on the same store.
///
/// - **By version.** The owner gives every change of an entity a greater `version` and publishes its whole new state. An
///   event is applied if its version is greater than what is there, whatever the order of arrival, and twice is as good as
///   once. A deletion leaves a tombstone for [30 days](Self::with_tombstone_retention), so that an older update that comes
///   late does not bring the entity back.
/// - **Without versions.** Where the owner sends none, version is 0, and the later `occurred_at` wins; of two changes within
///   the same microsecond the first to arrive does. An event with a version wins over all without, and after one has been
///   seen, those without are ignored.
/// - **Payload.** It must be a `T` (but for deletions): an event that is not becomes a dead letter of the consumer, and the
///   entity stays as it was.
/// - **Rebuild.** [`rebuild`](Self::rebuild) reads the topic from its start beside the running consumer, while the old state
///   goes on serving, and then swaps.
/// - **Lag.** [`lag`](Self::lag) says how far it is behind. The gauge `pumasi_projection_age_seconds` and the counters
///   `pumasi_projection_applied_total` and `pumasi_projection_outdated_total` have its name as a label.
///
/// Clones share the store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::event::{Consumer, Envelope, EventBus, MemoryBus, MemoryProjectionStore, Projection, Shutdown, State};
/// use serde_json::json;
///
/// #[derive(Clone, serde::Deserialize)]
/// struct Member {
///     nickname: String,
/// }
///
/// let bus = MemoryBus::new();
/// let update = |version, nickname: &str| {
///     Envelope::new("members", "42", State::Updated, version).with_payload(&json!({"nickname": nickname}))
/// };
/// bus.publish(&[update(2, "달리는곰")?, update(1, "곰")?]).await?; // out of order
///
/// let members = Projection::<Member>::open("members", "members", MemoryProjectionStore::new()).await?;
/// let shutdown = Shutdown::new();
/// let consumer = Consumer::new(bus, members.subscription(), members.clone());
/// let control = consumer.control();
/// let running = tokio::spawn(consumer.run(shutdown.clone()));
/// while control.stats().handled < 2 {
///     tokio::task::yield_now().await;
/// }
/// shutdown.trigger();
///
/// let member = members.get("42").await?.unwrap();
/// assert_eq!((member.version, member.value.nickname.as_str()), (2, "달리는곰"));
/// # running.await.unwrap()?;
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
pub struct Projection<T> {
    name: Arc<str>,
    topic: Arc<str>,
    store: Arc<dyn ProjectionStore>,
    clock: Arc<dyn Clock>,
    tombstones: Duration,
    min_percent: u8,
    entity: PhantomData<fn() -> T>,
}

/// How far a projection is behind its topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionLag {
    /// Events that its group has not settled, when the consumer last measured (every 15 seconds); `None` before it did.
    pub events: Option<u64>,
    /// The time since the newest applied event occurred; `None` if none was applied. Where `events` is 0 it only says for how
    /// long nothing has happened.
    pub age: Option<Duration>,
}

impl<T> Clone for Projection<T> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            topic: Arc::clone(&self.topic),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            tombstones: self.tombstones,
            min_percent: self.min_percent,
            entity: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Projection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projection")
            .field("name", &self.name)
            .field("topic", &self.topic)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Projection<T> {
    /// Opens the projection `name` of the events of `topic`, and makes it known to the store.
    ///
    /// The name stands in the store and in the group that reads the topic: two services that keep replicas of one topic on one
    /// bus use different names.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if name or topic are not 1 to 249 ASCII letters, digits, `.`, `_` or `-`; `Storage` or `Unavailable` if
    /// the store failed.
    pub async fn open(
        name: impl Into<Arc<str>>,
        topic: impl Into<Arc<str>>,
        store: impl ProjectionStore + 'static,
    ) -> Result<Self> {
        let (name, topic) = (name.into(), topic.into());
        check_name("projection", &name)?;
        check_name("topic", &topic)?;
        store.register(&name).await?;
        Ok(Self {
            name,
            topic,
            store: Arc::new(store),
            clock: Arc::new(SystemClock),
            tombstones: Duration::from_hours(30 * 24),
            min_percent: 100,
            entity: PhantomData,
        })
    }

    /// Sets the clock by which ages are measured (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets for how long after a deletion its tombstone is kept (default 30 days); more than an event can be late.
    #[must_use]
    pub fn with_tombstone_retention(mut self, retention: Duration) -> Self {
        self.tombstones = retention;
        self
    }

    /// Sets of how many percent of the served entities a rebuild must find an event, so that it may take their place (default
    /// 100).
    ///
    /// A topic that keeps its events for some days only cannot tell of entities that have not changed since, and a rebuild
    /// drops those: with less than 100, as many as that allows.
    #[must_use]
    pub fn with_min_rebuilt_percent(mut self, percent: u8) -> Self {
        self.min_percent = percent;
        self
    }

    /// Returns the subscription by which a consumer feeds it: its topic, from the earliest event on, in a group of its name.
    pub fn subscription(&self) -> Subscription {
        Subscription::new(&*self.name, [&*self.topic])
    }

    /// Reads one entity; `None` if there is none, or it was deleted.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if what is stored is not a `T`, which a rebuild mends; `Storage` or `Unavailable` if the store failed.
    pub async fn get(&self, key: &str) -> Result<Option<Entity<T>>> {
        let found = self.store.get(&self.name, &[key.to_owned()]).await?;
        found.into_iter().next().map(|entity| self.read(entity)).transpose()
    }

    /// Reads several entities at once, by key; those that are not there are left out.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn get_many<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<BTreeMap<String, Entity<T>>> {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        let found = self.store.get(&self.name, &keys).await?;
        found.into_iter().map(|entity| Ok((entity.key.clone(), self.read(entity)?))).collect()
    }

    /// Lists entities in the order of their keys' bytes.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn list(&self, page: &EntityPage) -> Result<Vec<Entity<T>>> {
        let found = self.store.list(&self.name, page).await?;
        found.into_iter().map(|entity| self.read(entity)).collect()
    }

    /// Tells how far it is behind; `consumer` is the control of the consumer that feeds it.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    pub async fn lag(&self, consumer: &Control) -> Result<ProjectionLag> {
        let newest = self.store.newest(&self.name).await?;
        Ok(ProjectionLag {
            events: consumer.lag().map(|lag| lag.unsettled),
            age: newest.map(|newest| self.clock.now().saturating_since(newest)),
        })
    }

    /// Deletes tombstones that are old enough, and what rebuilds have left; returns how many rows.
    ///
    /// To be called now and then, every hour for instance.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    pub async fn clean_up(&self) -> Result<usize> {
        let retention = i64::try_from(self.tombstones.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp::from_micros(self.clock.now().as_micros().saturating_sub(retention));
        let mut all = 0;
        loop {
            let deleted = self.store.clean_up(&self.name, before).await?;
            all += deleted;
            if i64::try_from(deleted).unwrap_or(i64::MAX) < store::CHUNK {
                return Ok(all);
            }
        }
    }

    fn read(&self, entity: Entity<Value>) -> Result<Entity<T>> {
        let Entity { key, version, occurred_at, value } = entity;
        // serde's own message quotes the offending value, which may be what a person wrote.
        let value = T::deserialize(value).map_err(|_| {
            let name = &self.name;
            Error::new(
                ErrorKind::InvalidInput,
                format!("a stored entity of the projection {name} has another shape"),
            )
        })?;
        Ok(Entity { key, version, occurred_at, value })
    }

    /// Checks that an event is one that can be applied.
    fn check(&self, event: &Envelope) -> Result<()> {
        if *event.topic != *self.topic {
            let (topic, name) = (&event.topic, &self.name);
            let message =
                format!("an event on {topic} was handed to the projection {name} of {}", self.topic);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if event.state != State::Deleted {
            event.payload::<T>()?;
        }
        signed_version(event).map(|_| ())
    }
}

#[async_trait]
impl<T: DeserializeOwned + 'static> Handler for Projection<T> {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let event = &*delivery.event;
        self.check(event)?;
        let applied = self.store.apply(&self.name, Target::Current, std::slice::from_ref(event)).await;
        let applied = applied.map_err(passing)?;
        let metric =
            if applied > 0 { "pumasi_projection_applied_total" } else { "pumasi_projection_outdated_total" };
        metrics::counter!(metric, "projection" => self.name.to_string()).increment(1);
        let age = self.clock.now().saturating_since(event.occurred_at);
        metrics::gauge!("pumasi_projection_age_seconds", "projection" => self.name.to_string())
            .set(age.as_secs_f64());
        Ok(())
    }
}
