//! A store that counts what was refused, and at which workers stand still.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pumasi_core::event::OutboxStore;
use pumasi_core::time::Timestamp;
use pumasi_saga::store::{
    Census, Commit, Committed, Delivered, Known, Lease, NewSignal, Query, SagaId, SagaStore,
    StoreCapabilities, StoreTransaction, Stored, Summary, WorkerId,
};
use pumasi_saga::{ErrorKind, Result};

use crate::stand::Stand;

/// Counts the commits that were refused because their sagas had gone to another worker; without fencing, if that is planted, it
/// makes a zombie's commits pass for those of the saga's new holder.
#[derive(Clone, Debug)]
pub(crate) struct Watch<S> {
    inner: S,
    unfenced: bool,
    stand: Option<Arc<Stand>>,
    refused: Arc<AtomicU64>,
}

impl<S: SagaStore> Watch<S> {
    pub(crate) fn new(inner: S, unfenced: bool) -> Self {
        Self { inner, unfenced, stand: None, refused: Arc::default() }
    }

    /// Has this process stand still there.
    pub(crate) fn with_stand(self, stand: Stand) -> Self {
        Self { stand: Some(Arc::new(stand)), ..self }
    }

    fn pass(&self, place: &str, ids: impl IntoIterator<Item = SagaId>) {
        if let Some(stand) = &self.stand {
            stand.at(place, ids);
        }
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Lets a zombie write: what it has done so far is put in the place of what its heir has.
    async fn force(&self, mut commit: Commit) -> Option<Committed> {
        let stored = self.inner.load(commit.head.id).await.ok()??;
        commit.worker = stored.holder?;
        commit.lease = Lease::Held(stored.epoch);
        commit.expected = stored.version;
        commit.version = commit.version.max(stored.version + u64::from(!commit.record.is_empty()));
        self.inner.commit(vec![commit]).await.into_iter().next()?.ok()
    }
}

#[async_trait::async_trait]
impl<S: SagaStore> SagaStore for Watch<S> {
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
        let asked = self.unfenced.then(|| commits.clone());
        let ids: Vec<_> = commits.iter().map(|commit| commit.head.id).collect();
        if let Some(stand) = &self.stand {
            stand.learn(&commits);
        }
        self.pass("before_recording", ids.iter().copied());
        let mut answers = self.inner.commit(commits).await;
        self.pass("after_recording", ids);
        for (place, answer) in answers.iter_mut().enumerate() {
            if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict) {
                self.refused.fetch_add(1, Ordering::Relaxed);
                if let Some(commit) = asked.as_ref().and_then(|asked| asked.get(place))
                    && let Some(forced) = self.force(commit.clone()).await
                {
                    *answer = Ok(forced);
                }
            }
        }
        answers
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
        self.inner.deliver(signal).await
    }

    async fn load(&self, id: SagaId) -> Result<Option<Stored>> {
        self.pass("before_reading", [id]);
        let stored = self.inner.load(id).await;
        self.pass("after_reading", [id]);
        stored
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
        self.inner.begin().await
    }
}
