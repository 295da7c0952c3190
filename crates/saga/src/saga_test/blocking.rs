//! Stores that answer at once, made of stores that do not.

use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::{Backlog, Claim, OutboxStore, Outcome, Page, Refused};
use pumasi_core::time::{ManualClock, Timestamp};
use tokio::runtime::Handle;

use crate::store::{
    Census, Commit, Committed, Delivered, Known, NewSignal, Query, SagaId, SagaStore, StoreCapabilities,
    StoreTransaction, Stored, Summary, WorkerId,
};
use crate::{Error, ErrorKind, Result};

/// A store whose calls stop the thread until they are answered, so that the runs of a test take the same way whatever the store.
///
/// A server's clock is turned with the test's: before each call, `turn` is awaited with the time that it is to show.
/// A step in a transaction has to stop the thread as well for what it writes: with `Handle::block_on`.
pub struct Blocking<S, T> {
    inner: S,
    runtime: Handle,
    clock: ManualClock,
    turn: T,
}

impl<S, T, F> Blocking<S, T>
where
    S: SagaStore,
    T: Fn(Timestamp) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    /// Makes a blocking store of another one, whose I/O is driven by `runtime`.
    ///
    /// It must not be called from within a runtime, as the functions of this module do not.
    pub fn new(inner: S, runtime: Handle, clock: &ManualClock, turn: T) -> Self {
        Self { inner, runtime, clock: clock.clone(), turn }
    }

    fn wait<A>(&self, call: impl Future<Output = A>) -> A {
        use pumasi_core::time::Clock;

        self.runtime.block_on(async {
            (self.turn)(self.clock.now()).await;
            call.await
        })
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Blocking<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocking").field(&self.inner).finish()
    }
}

#[async_trait]
impl<S, T, F> SagaStore for Blocking<S, T>
where
    S: SagaStore,
    T: Fn(Timestamp) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp> {
        self.wait(self.inner.renew(worker, lease))
    }

    async fn leave(&self, worker: WorkerId) -> Result<()> {
        self.wait(self.inner.leave(worker))
    }

    async fn claim(&self, worker: WorkerId, known: &[Known], limit: NonZeroUsize) -> Result<Vec<Stored>> {
        self.wait(self.inner.claim(worker, known, limit))
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        self.wait(self.inner.commit(commits))
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
        self.wait(self.inner.deliver(signal))
    }

    async fn load(&self, id: SagaId) -> Result<Option<Stored>> {
        self.wait(self.inner.load(id))
    }

    async fn query(&self, query: &Query) -> Result<Vec<Summary>> {
        self.wait(self.inner.query(query))
    }

    async fn census(&self) -> Result<Census> {
        self.wait(self.inner.census())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.wait(self.inner.next_due())
    }

    async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize> {
        self.wait(self.inner.purge(age, limit))
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        Arc::new(BlockingOutbox { inner: self.inner.outbox(), runtime: self.runtime.clone() })
    }

    async fn begin(&self) -> Result<Box<dyn StoreTransaction>> {
        let inner = self.wait(self.inner.begin())?;
        Ok(Box::new(BlockingTransaction { inner: Some(inner), runtime: self.runtime.clone() }))
    }
}

#[derive(Debug)]
struct BlockingTransaction {
    inner: Option<Box<dyn StoreTransaction>>,
    runtime: Handle,
}

impl Drop for BlockingTransaction {
    fn drop(&mut self) {
        // A transaction that is dropped is rolled back, which takes a runtime.
        let _inside = self.runtime.enter();
        drop(self.inner.take());
    }
}

#[async_trait]
impl StoreTransaction for BlockingTransaction {
    fn as_any(&mut self) -> &mut (dyn Any + Send) {
        match &mut self.inner {
            Some(inner) => inner.as_any(),
            None => &mut self.runtime,
        }
    }

    async fn commit(mut self: Box<Self>, commit: Commit) -> Result<Committed> {
        match self.inner.take() {
            Some(inner) => self.runtime.block_on(inner.commit(commit)),
            None => Err(Error::new(ErrorKind::Protocol, "the transaction is over")),
        }
    }
}

#[derive(Debug)]
struct BlockingOutbox {
    inner: Arc<dyn OutboxStore>,
    runtime: Handle,
}

#[async_trait]
impl OutboxStore for BlockingOutbox {
    async fn claim(&self, limit: NonZeroUsize, lease: Duration) -> Result<Claim> {
        self.runtime.block_on(self.inner.claim(limit, lease))
    }

    async fn complete(&self, claim: &Claim, outcome: &Outcome) -> Result<()> {
        self.runtime.block_on(self.inner.complete(claim, outcome))
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.runtime.block_on(self.inner.backlog())
    }

    async fn refused(&self, page: Page) -> Result<Vec<Refused>> {
        self.runtime.block_on(self.inner.refused(page))
    }

    async fn write_again(&self, positions: &[u64]) -> Result<usize> {
        self.runtime.block_on(self.inner.write_again(positions))
    }

    async fn discard(&self, positions: &[u64]) -> Result<usize> {
        self.runtime.block_on(self.inner.discard(positions))
    }
}
