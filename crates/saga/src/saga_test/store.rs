//! A store with faults.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::OutboxStore;
use pumasi_core::time::Timestamp;

use super::fault::{Called, Fault, Injector, Point};
use crate::planted::{self, Bug};
use crate::store::{
    Census, Commit, Committed, Delivered, Known, NewSignal, Query, SagaId, SagaStore, StoreCapabilities,
    StoreTransaction, Stored, Summary, WorkerId,
};
use crate::{Error, ErrorKind, Result};

#[derive(Clone, Debug)]
pub(super) struct FaultyStore<S> {
    inner: S,
    injector: Faults,
}

#[derive(Clone)]
struct Faults(Injector);

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl<S: SagaStore> FaultyStore<S> {
    pub(super) fn new(inner: S, injector: &Injector) -> Self {
        Self { inner, injector: Faults(injector.clone()) }
    }
}

impl<S> FaultyStore<S> {
    async fn around<T: Send>(&self, point: Point, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let fault = self.injector.0.strike(point);
        self.under(fault, call).await
    }

    async fn under<T: Send>(
        &self,
        fault: Option<Fault>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let injector = &self.injector.0;
        let error = || Error::new(ErrorKind::Unavailable, "the store failed, as it was told to");
        match fault {
            Some(Fault::CrashBefore) => {
                injector.crash();
                std::future::pending().await
            }
            Some(Fault::CrashAfter) => {
                let _ = call.await;
                injector.crash();
                std::future::pending().await
            }
            Some(Fault::ErrorBefore) => Err(error()),
            Some(Fault::ErrorAfter) => {
                let _ = call.await;
                Err(error())
            }
            Some(Fault::FreezeBefore) => {
                injector.freeze().await;
                call.await
            }
            Some(Fault::FreezeAfter) => {
                let answer = call.await;
                injector.freeze().await;
                answer
            }
            _ => call.await,
        }
    }
}

#[async_trait]
impl<S: SagaStore> SagaStore for FaultyStore<S> {
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
        self.around(Point::Claim, self.inner.claim(worker, known, limit)).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        let mut answers = Vec::with_capacity(commits.len());
        for mut commit in commits {
            let fault = self.injector.0.strike(Point::Commit);
            if planted::is(Bug::OutboxApart) && matches!(fault, Some(Fault::CrashAfter | Fault::ErrorAfter)) {
                // As where the outbox is written after the commit, and the end comes in between.
                commit.events.clear();
            }
            let one = async {
                let (id, status, forgets) = (commit.head.id, commit.head.status, commit.forgets);
                let (creates, head) = (commit.creates(), commit.head.clone());
                let answers = self.inner.commit(vec![commit]).await;
                let answer = answers.into_iter().next().unwrap_or_else(|| {
                    Err(Error::new(ErrorKind::Protocol, "the store did not answer a commit"))
                });
                if answer.is_ok() {
                    self.injector.0.committed(&head);
                    if creates && self.injector.0.forgotten(id).is_some() {
                        self.injector.0.called(Called {
                            point: Point::Commit,
                            key: String::new(),
                            done: true,
                        });
                    }
                    if forgets {
                        self.injector.0.forget(id, status);
                    }
                }
                answer
            };
            answers.push(self.under(fault, one).await);
        }
        answers
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
        self.around(Point::Deliver, self.inner.deliver(signal)).await
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
        let begin = async {
            let inner = self.inner.begin().await?;
            let store = FaultyStore { inner: (), injector: self.injector.clone() };
            Ok(Box::new(FaultyTransaction { inner, store, staged: Arc::default() })
                as Box<dyn StoreTransaction>)
        };
        self.around(Point::Begin, begin).await
    }
}

/// A transaction whose commit is struck as any other, and which knows what was done in it.
#[derive(Debug)]
pub(super) struct FaultyTransaction {
    inner: Box<dyn StoreTransaction>,
    store: FaultyStore<()>,
    staged: Arc<Mutex<Vec<Called>>>,
}

impl FaultyTransaction {
    /// Returns what a step is given, and where it is noted what it did.
    pub(super) fn open(&mut self) -> (&mut (dyn Any + Send), Arc<Mutex<Vec<Called>>>) {
        (self.inner.as_any(), Arc::clone(&self.staged))
    }
}

#[async_trait]
impl StoreTransaction for FaultyTransaction {
    fn as_any(&mut self) -> &mut (dyn Any + Send) {
        self
    }

    async fn commit(self: Box<Self>, commit: Commit) -> Result<Committed> {
        let Self { inner, store, staged } = *self;
        let injector = &store.injector.0;
        let fault = injector.strike(Point::Commit);
        let one = async {
            let (id, status, forgets) = (commit.head.id, commit.head.status, commit.forgets);
            let head = commit.head.clone();
            let answer = inner.commit(commit).await;
            if answer.is_ok() {
                injector.committed(&head);
                let staged = std::mem::take(&mut *staged.lock().unwrap_or_else(PoisonError::into_inner));
                for call in staged {
                    injector.called(call);
                }
                if forgets {
                    injector.forget(id, status);
                }
            }
            answer
        };
        store.under(fault, one).await
    }
}
