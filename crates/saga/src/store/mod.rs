//! The seam: where sagas are kept, and who holds them.

#[cfg(any(feature = "embedded", feature = "postgres", feature = "redis"))]
mod admit;
mod commit;
mod id;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "embedded", feature = "redis"))]
mod row;
mod signal;
#[cfg(feature = "embedded")]
mod sqlite;
mod transaction;
mod watch;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use pumasi_core::Result;
use pumasi_core::event::OutboxStore;
use pumasi_core::time::Timestamp;

#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
pub(crate) use commit::MAX_KEY;
pub use commit::{Commit, Committed, Head, Lease, Status};
pub use id::{SagaId, WorkerId};
pub use memory::{MemoryStore, MemoryTransaction};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresTransaction};
pub use query::{Census, Query, Summary};
pub use signal::{Delivered, NewSignal, StoredSignal};
#[cfg(feature = "embedded")]
pub use sqlite::{SqliteStore, SqliteStoreOptions};
pub use transaction::StoreTransaction;
pub use watch::{Changes, Watched, WatchedStore};

/// Keeps sagas: their records, who holds them, the signals that wait for them, and the events that they emitted.
///
/// A saga is one *row*: its [head](Head), a *version* that every commit raises, an *epoch* that every change of hands
/// raises, its holder if it has one, and its *log*, which is the concatenation of the records of its commits. Records
/// frame and check themselves (`record`), so that a store may keep them as rows or as one growing value, and does not look
/// into them.
///
/// A *worker* is one engine of one process. It [renews](Self::renew) one lease for everything that it holds. Time is the
/// store's own: nobody's clock decides who holds a saga or what is due but the store's.
///
/// A saga is *claimable* when nobody holds it and its [due time](Head::due) has come, or when its holder's lease is over.
///
/// What every implementation guarantees (each has a law of the same number in `conformance`):
///
/// 1. **Durable.** When [`commit`](Self::commit) answers `Ok` for a commit, its record, its head, its consumed signals and
///    its events outlive the process, as far as [`StoreCapabilities::durable`] says.
/// 2. **All or none.** Record, head, holder, consumed signals and events of one commit are stored together or not at all;
///    commits of one batch do not touch each other.
/// 3. **In order.** The log is what was committed, in order, byte by byte; [`Commit::replaces`] puts the record in the place
///    of everything before it.
/// 4. **One of two.** A commit whose `expected` is not the row's version is refused with `Conflict` and changes nothing. A
///    commit that [creates](Commit::creates) is refused so if there is a row.
/// 5. **Fenced.** A commit under an epoch that is not the row's is refused with `Conflict` and changes nothing. Epochs only
///    rise; the commit that creates a row [chooses](Lease::Take) the first one.
/// 6. **Repeating is safe.** A commit that is repeated with the same [token](Commit::token), because its outcome was not known,
///    is answered `Ok` if it was stored, and changes nothing then.
/// 7. **Taking.** [`Lease::Take`] succeeds only where nobody holds the row, its holder's lease is over, or the same worker
///    holds it, and raises the epoch by one.
/// 8. **Claiming.** [`claim`](Self::claim) hands out claimable rows of the named definitions, at most `limit`, to one worker at a
///    time, the most overdue first, and raises their epochs by one. What one row holds does not hinder the others.
/// 9. **Leases end.** When a worker has not renewed for the time it asked for, everything it holds is claimable. A worker that
///    renews later holds again what nobody took. A worker that [leaves](Self::leave) makes all it holds claimable at once.
/// 10. **Signals are kept.** When [`deliver`](Self::deliver) answers [`Delivered::Stored`], the signal is durable, whether or
///     not anybody waits for it, and comes with every [`load`](Self::load) and claim, in the order of delivery, until a commit
///     consumed it. It carries the moment of delivery.
/// 11. **Doubles are dropped.** A signal whose id waits already for that saga is a [`Delivered::Duplicate`]. (Ids that were
///     consumed are remembered in the record.) A signal for a saga that does not exist is refused with `NotFound`.
/// 12. **Signals wake.** A saga with a signal that no commit has consumed is due at once: when the signal is delivered, if
///     nobody holds the saga, and when it is released, however late the signal came. A saga that is
///     [parked](Status::Parked) is not woken so: it is due when its head says, and signals wait with it.
/// 13. **Events with their commit.** What [`outbox`](Self::outbox) hands out is what was committed, in order per saga.
/// 14. **Queries are paged.** [`query`](Self::query) lists every matching saga once, ordered by id, however it is paged; what is
///     [loaded together](Self::load_all) is what each load answers, and what is [counted](Self::census) is what is listed.
/// 15. **Errors are told.** A store that failed says so; nothing that it did not keep is ever answered with `Ok`.
/// 16. **Cancellation.** A call whose future is dropped has happened wholly or not at all.
/// 17. **Found by age.** Queries know three ages, by the store's clock: since the saga was created, since it
///     [stands](Head::stands_as) as it does, and since it was committed last.
/// 18. **Queries are checked.** One that breaks [`Query::check`] is refused with `InvalidInput`.
#[async_trait]
pub trait SagaStore: fmt::Debug + Send + Sync {
    /// Tells what this store can do.
    fn capabilities(&self) -> StoreCapabilities;

    /// Extends the lease of `worker` to `lease` from now, or begins it; returns the store's time.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed; the lease runs as before.
    async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp>;

    /// Ends the lease of `worker`: what it holds is claimable at once.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed; the lease ends by itself then.
    async fn leave(&self, worker: WorkerId) -> Result<()>;

    /// Takes up to `limit` claimable sagas of the definitions `known` for `worker`, with their logs and signals.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed: what it took nevertheless is claimable when the lease is over.
    async fn claim(&self, worker: WorkerId, known: &[Known], limit: NonZeroUsize) -> Result<Vec<Stored>>;

    /// Stores commits, each of another saga, in one go; answers each in its place.
    ///
    /// # Errors
    ///
    /// Per commit: `Conflict`, which cannot be retried, if version, epoch or holder are not what the commit says; `InvalidInput`
    /// if it breaks [`Commit::check`]; nothing is changed then. `Storage`, `Unavailable` or `Timeout` if the store
    /// failed: it was stored or not, and repeating it (guarantee 6) tells.
    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>>;

    /// Keeps a signal for its saga, and makes that due.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such saga; `Storage`, `Unavailable` or `Timeout` if the store failed: repeat it with the
    /// same id.
    async fn deliver(&self, signal: NewSignal) -> Result<Delivered>;

    /// Reads a saga, with its log and its signals.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn load(&self, id: SagaId) -> Result<Option<Stored>>;

    /// Reads several sagas as [`load`](Self::load) reads each, and answers each in its place.
    ///
    /// The default loads them side by side.
    ///
    /// # Errors
    ///
    /// As `load`, of the first that fails.
    async fn load_all(&self, ids: &[SagaId]) -> Result<Vec<Option<Stored>>> {
        try_join_all(ids.iter().map(|id| self.load(*id))).await
    }

    /// Lists sagas, ordered by id, from after [`Query::after`] on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the query breaks [`Query::check`]; `Storage` or `Unavailable` if the store failed.
    async fn query(&self, query: &Query) -> Result<Vec<Summary>>;

    /// Counts sagas, and what waits.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn census(&self) -> Result<Census>;

    /// Tells when the next saga becomes claimable, if nothing happens before: the earliest due time of those that nobody holds,
    /// and the earliest end of a lease that holds something.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn next_due(&self) -> Result<Option<Timestamp>>;

    /// Forgets up to `limit` sagas that ended at least `age` ago, with all that belongs to them; returns how many.
    ///
    /// What has unconsumed signals is not forgotten.
    ///
    /// # Errors
    ///
    /// `Storage` or `Unavailable` if the store failed.
    async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize>;

    /// Waits until something may have become claimable, at the latest until the store's polling interval has passed.
    ///
    /// It may return early for no reason, and need not notice that time has passed.
    async fn changed(&self);

    /// Returns the events that commits carried, for a [`Relay`](pumasi_core::event::Relay).
    fn outbox(&self) -> Arc<dyn OutboxStore>;

    /// Begins a transaction in which a step writes rows of the user's own, and which then stores the step's commit.
    ///
    /// The default is a store that has none.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the store has no transactions; `Storage` or `Unavailable` if it failed.
    async fn begin(&self) -> Result<Box<dyn StoreTransaction>> {
        Err(transaction::unsupported())
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: SagaStore + ?Sized> SagaStore for $pointer {
            fn capabilities(&self) -> StoreCapabilities {
                (**self).capabilities()
            }

            async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp> {
                (**self).renew(worker, lease).await
            }

            async fn leave(&self, worker: WorkerId) -> Result<()> {
                (**self).leave(worker).await
            }

            async fn claim(&self, worker: WorkerId, known: &[Known], limit: NonZeroUsize) -> Result<Vec<Stored>> {
                (**self).claim(worker, known, limit).await
            }

            async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
                (**self).commit(commits).await
            }

            async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
                (**self).deliver(signal).await
            }

            async fn load(&self, id: SagaId) -> Result<Option<Stored>> {
                (**self).load(id).await
            }

            async fn load_all(&self, ids: &[SagaId]) -> Result<Vec<Option<Stored>>> {
                (**self).load_all(ids).await
            }

            async fn query(&self, query: &Query) -> Result<Vec<Summary>> {
                (**self).query(query).await
            }

            async fn census(&self) -> Result<Census> {
                (**self).census().await
            }

            async fn next_due(&self) -> Result<Option<Timestamp>> {
                (**self).next_due().await
            }

            async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize> {
                (**self).purge(age, limit).await
            }

            async fn changed(&self) {
                (**self).changed().await;
            }

            fn outbox(&self) -> Arc<dyn OutboxStore> {
                (**self).outbox()
            }

            async fn begin(&self) -> Result<Box<dyn StoreTransaction>> {
                (**self).begin().await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);

/// What a store can do; a law that it cannot keep is skipped, visibly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCapabilities {
    /// What was committed outlives the process (and, for a store that syncs, the machine's power).
    pub durable: bool,
    /// How many commits of different sagas are worth gathering into one call of [`SagaStore::commit`]; 1 where a call
    /// costs as much for each of them, or where the store gathers calls itself.
    pub batch: NonZeroUsize,
    /// How many calls of [`SagaStore::commit`] are worth having under way at the same time.
    pub lanes: NonZeroUsize,
    /// [`SagaStore::begin`] works.
    pub transactions: bool,
}

impl StoreCapabilities {
    /// Declares nothing; set what holds.
    pub const fn none() -> Self {
        Self { durable: false, batch: NonZeroUsize::MIN, lanes: NonZeroUsize::MIN, transactions: false }
    }
}

/// A definition that a worker can drive, with the versions it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The saga's name.
    pub saga: Arc<str>,
    /// The versions of its definition that the worker's code knows.
    pub versions: Vec<u32>,
}

/// A saga as the store has it.
///
/// `Debug` leaves out the log and the signals, which hold what people wrote.
#[derive(Clone)]
pub struct Stored {
    /// What the last commit said of it.
    pub head: Head,
    /// Its version: the number of the last commit that had a record.
    pub version: u64,
    /// Its epoch: how often it changed hands.
    pub epoch: u64,
    /// Who holds it, if anybody does whose lease runs.
    pub holder: Option<WorkerId>,
    /// Its records, one after the other.
    pub log: Vec<u8>,
    /// The signals that no commit has consumed, in the order of their delivery.
    pub signals: Vec<StoredSignal>,
    /// When it was created, by the store's clock.
    pub created_at: Timestamp,
    /// When it was committed last, by the store's clock.
    pub updated_at: Timestamp,
    /// The store's time at which this was read.
    pub now: Timestamp,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("head", &self.head)
            .field("version", &self.version)
            .field("epoch", &self.epoch)
            .field("holder", &self.holder)
            .field("log", &format_args!("{} bytes", self.log.len()))
            .field("signals", &self.signals.len())
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}
