//! The store in memory: the reference of the laws, and the store of tests.

mod rows;
mod transaction;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::{MemoryOutbox, OutboxStore};
use pumasi_core::time::{Clock, SystemClock, Timestamp};
use tokio::sync::Notify;

use super::{
    Census, Commit, Committed, Delivered, Known, NewSignal, Query, SagaId, SagaStore, StoreCapabilities,
    StoreTransaction, Stored, Summary, WorkerId,
};
use crate::Result;
use crate::planted::{self, Bug};
use rows::Rows;
pub use transaction::MemoryTransaction;

/// Keeps sagas in the process's memory.
///
/// It keeps every law but durability: what it holds is gone with the process. Sagas that ended stay until they are
/// [purged](SagaStore::purge), unless the engine is told to forget them at once.
///
/// Clones share the same sagas.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    rows: Mutex<Rows>,
    outbox: MemoryOutbox,
    changed: Notify,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// Makes an empty store on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Makes an empty store whose time is that of `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                rows: Mutex::default(),
                outbox: MemoryOutbox::with_clock(Arc::clone(&clock)),
                changed: Notify::new(),
                clock,
            }),
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        // Every change of the rows is complete before anything in it can panic.
        self.shared.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores one commit, and runs `also` with it.
    fn commit_with(&self, mut commit: Commit, also: impl FnOnce()) -> Result<Committed> {
        commit.check()?;
        let now = self.now();
        let events = std::mem::take(&mut commit.events);
        let wakes = !commit.holds;
        {
            let mut rows = self.lock();
            let committed = rows.commit(commit, now);
            if planted::is(Bug::RowsApartFromTheCommit) {
                also();
                if committed? {
                    self.shared.outbox.write(&events)?;
                }
            } else if committed? {
                self.shared.outbox.write(&events)?;
                also();
            }
        }
        if wakes {
            self.shared.changed.notify_waiters();
        }
        Ok(Committed { now })
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl SagaStore for MemoryStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities { transactions: true, ..StoreCapabilities::none() }
    }

    async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp> {
        let now = self.now();
        self.lock().renew(worker, now.saturating_add(lease));
        Ok(now)
    }

    async fn leave(&self, worker: WorkerId) -> Result<()> {
        let now = self.now();
        self.lock().leave(worker, now);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn claim(&self, worker: WorkerId, known: &[Known], limit: NonZeroUsize) -> Result<Vec<Stored>> {
        let now = self.now();
        Ok(self.lock().claim(worker, known, limit.get(), now))
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        commits.into_iter().map(|commit| self.commit_with(commit, || {})).collect()
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
        let now = self.now();
        let delivered = self.lock().deliver(signal, now)?;
        self.shared.changed.notify_waiters();
        Ok(delivered)
    }

    async fn load(&self, id: SagaId) -> Result<Option<Stored>> {
        let now = self.now();
        Ok(self.lock().load(id, now))
    }

    async fn query(&self, query: &Query) -> Result<Vec<Summary>> {
        query.check()?;
        let now = self.now();
        Ok(self.lock().query(query, now))
    }

    async fn census(&self) -> Result<Census> {
        let now = self.now();
        Ok(self.lock().census(now))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        Ok(self.lock().next_due())
    }

    async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize> {
        let now = self.now();
        Ok(self.lock().purge(age, limit.get(), now))
    }

    async fn changed(&self) {
        // Woken for whatever happens; that time passes is the engine's to know.
        self.shared.changed.notified().await;
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        Arc::new(self.shared.outbox.clone())
    }

    async fn begin(&self) -> Result<Box<dyn StoreTransaction>> {
        Ok(Box::new(MemoryTransaction::new(self.clone())))
    }
}
