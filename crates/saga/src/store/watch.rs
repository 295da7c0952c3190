//! Telling whoever listens what was stored.

use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::OutboxStore;
use pumasi_core::time::Timestamp;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{
    Census, Commit, Committed, Delivered, Head, Known, NewSignal, Query, SagaId, SagaStore,
    StoreCapabilities, StoreTransaction, Stored, Summary, WorkerId,
};
use crate::Result;

/// How many changes are kept for a listener that is slow.
const KEPT: usize = 1_024;

/// A store that tells of every commit that was stored through it: for pages that show sagas as they move.
///
/// It tells what this process stored, once that is stored, in the order of a saga's commits; other processes' commits are not
/// heard, and nothing is kept for those who do not listen. It is news, not a log: who has to act on a step publishes an event
/// ([`Cx::emit`](crate::Cx::emit)).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_saga::store::{MemoryStore, Status, WatchedStore, Watched};
/// # use pumasi_saga::{Cx, Engine, Outcome, Saga, Step};
/// # struct Greet;
/// # impl Step<()> for Greet {
/// #     type In = (); type Out = (); type Error = &'static str;
/// #     async fn run(&self, _: &Cx<()>, (): ()) -> Outcome<(), &'static str> { Outcome::Done(()) }
/// # }
///
/// let store = WatchedStore::new(MemoryStore::new());
/// let mut changes = store.watch();
/// let engine = Engine::new(store, ());
/// let greeting = engine.register(Saga::<u64, ()>::new("greeting", 1).step(Greet).build()?)?;
/// greeting.start(&7).await?;
/// loop {
///     match changes.next().await {
///         Some(Watched::Changed(head)) if head.status == Status::Completed => break,
///         Some(_) => {}
///         None => panic!("the store is gone"),
///     }
/// }
/// # Ok::<(), pumasi_saga::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct WatchedStore<S> {
    inner: S,
    news: broadcast::Sender<Head>,
}

/// What a [watched store](WatchedStore) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Watched {
    /// A commit was stored; this is where its saga stands now.
    Changed(Head),
    /// Changes came faster than they were taken, and some are lost: look at everything anew.
    Missed,
}

/// What happens in a [watched store](WatchedStore) from now on.
pub struct Changes {
    news: broadcast::Receiver<Head>,
}

impl Changes {
    /// Waits for the next change; `None` once the store is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Watched> {
        match self.news.recv().await {
            Ok(head) => Some(Watched::Changed(head)),
            Err(RecvError::Lagged(_)) => Some(Watched::Missed),
            Err(RecvError::Closed) => None,
        }
    }
}

impl<S> WatchedStore<S> {
    /// Watches a store.
    pub fn new(inner: S) -> Self {
        Self { inner, news: broadcast::channel(KEPT).0 }
    }

    /// Listens from now on.
    pub fn watch(&self) -> Changes {
        Changes { news: self.news.subscribe() }
    }
}

fn tell(news: &broadcast::Sender<Head>, head: Head) {
    // Nobody listening is no error.
    let _ = news.send(head);
}

#[async_trait]
impl<S: SagaStore> SagaStore for WatchedStore<S> {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp> {
        self.inner.renew(worker, lease).await
    }

    async fn leave(&self, worker: WorkerId) -> Result<()> {
        self.inner.leave(worker).await
    }

    async fn claim(&self, worker: WorkerId, known: &[Known], limit: NonZeroUsize) -> Result<Vec<Stored>> {
        self.inner.claim(worker, known, limit).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        let heads: Vec<Head> = commits.iter().map(|commit| commit.head.clone()).collect();
        let answers = self.inner.commit(commits).await;
        for (head, answer) in heads.into_iter().zip(&answers) {
            if answer.is_ok() {
                tell(&self.news, head);
            }
        }
        answers
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
        self.inner.deliver(signal).await
    }

    async fn load(&self, id: SagaId) -> Result<Option<Stored>> {
        self.inner.load(id).await
    }

    async fn query(&self, query: &Query) -> Result<Vec<Summary>> {
        self.inner.query(query).await
    }

    async fn census(&self) -> Result<Census> {
        self.inner.census().await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        self.inner.next_due().await
    }

    async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize> {
        self.inner.purge(age, limit).await
    }

    async fn changed(&self) {
        self.inner.changed().await;
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        self.inner.outbox()
    }

    async fn begin(&self) -> Result<Box<dyn StoreTransaction>> {
        let inner = self.inner.begin().await?;
        Ok(Box::new(WatchedTransaction { inner, news: self.news.clone() }))
    }
}

struct WatchedTransaction {
    inner: Box<dyn StoreTransaction>,
    news: broadcast::Sender<Head>,
}

#[async_trait]
impl StoreTransaction for WatchedTransaction {
    fn as_any(&mut self) -> &mut (dyn Any + Send) {
        self.inner.as_any()
    }

    async fn commit(self: Box<Self>, commit: Commit) -> Result<Committed> {
        let head = commit.head.clone();
        let committed = self.inner.commit(commit).await?;
        tell(&self.news, head);
        Ok(committed)
    }
}

impl fmt::Debug for WatchedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedTransaction").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for WatchedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedStore")
            .field("inner", &self.inner)
            .field("listeners", &self.news.receiver_count())
            .finish()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("waiting", &self.news.len()).finish()
    }
}
