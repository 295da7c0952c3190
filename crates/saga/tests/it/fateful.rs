//! A store that does what a test says.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::OutboxStore;
use pumasi_core::time::Timestamp;
use pumasi_saga::store::{
    Census, Commit, Committed, Delivered, Known, MemoryStore, NewSignal, Query, SagaId, SagaStore,
    StoreCapabilities, Stored, Summary, WorkerId,
};
use pumasi_saga::{Error, ErrorKind};

/// What becomes of a commit.
#[derive(Debug)]
pub enum Fate {
    /// It is stored, and its answer lost.
    AnswerLost,
    /// It is refused.
    Refused(ErrorKind),
}

/// A store in which commits have the fate that a test gives them.
#[derive(Debug)]
pub struct Fateful {
    pub inner: MemoryStore,
    pub fate: fn(&Commit) -> Option<Fate>,
    /// How many commits have one.
    pub left: AtomicUsize,
    /// How many renewals of leases are answered.
    pub renewals: AtomicUsize,
    /// How many parents cannot be woken, and why.
    pub unwoken: (AtomicUsize, ErrorKind),
    /// What is delivered just before the next commit.
    pub slipping_in: Arc<Mutex<Option<NewSignal>>>,
    /// How often it was asked for sagas.
    pub asked: Arc<AtomicUsize>,
}

impl Fateful {
    /// Gives nothing a fate of its own.
    pub fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            fate: |_| None,
            left: AtomicUsize::new(0),
            renewals: AtomicUsize::new(usize::MAX),
            unwoken: (AtomicUsize::new(0), ErrorKind::Unavailable),
            slipping_in: Arc::default(),
            asked: Arc::default(),
        }
    }
}

fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl SagaStore for Fateful {
    fn capabilities(&self) -> StoreCapabilities {
        self.inner.capabilities()
    }

    async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp, Error> {
        if !take_one(&self.renewals) {
            std::future::pending::<()>().await;
        }
        self.inner.renew(worker, lease).await
    }

    async fn leave(&self, worker: WorkerId) -> Result<(), Error> {
        self.inner.leave(worker).await
    }

    async fn claim(
        &self,
        worker: WorkerId,
        known: &[Known],
        limit: NonZeroUsize,
    ) -> Result<Vec<Stored>, Error> {
        self.inner.claim(worker, known, limit).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed, Error>> {
        let slipping_in = self.slipping_in.lock().unwrap().take();
        if let Some(signal) = slipping_in {
            self.inner.deliver(signal).await.unwrap();
        }
        let mut answers = Vec::new();
        for commit in commits {
            let fate = (self.fate)(&commit).filter(|_| take_one(&self.left));
            answers.push(match fate {
                Some(Fate::Refused(kind)) => Err(Error::new(kind, "as a test wants it")),
                Some(Fate::AnswerLost) => {
                    self.inner.commit(vec![commit]).await.pop().unwrap().unwrap();
                    Err(Error::new(ErrorKind::Unavailable, "as a test wants it"))
                }
                None => self.inner.commit(vec![commit]).await.pop().unwrap(),
            });
        }
        answers
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered, Error> {
        if &*signal.name == "!child" && take_one(&self.unwoken.0) {
            return Err(Error::new(self.unwoken.1, "as a test wants it"));
        }
        self.inner.deliver(signal).await
    }

    async fn load(&self, id: SagaId) -> Result<Option<Stored>, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.inner.load(id).await
    }

    async fn load_all(&self, ids: &[SagaId]) -> Result<Vec<Option<Stored>>, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.inner.load_all(ids).await
    }

    async fn query(&self, query: &Query) -> Result<Vec<Summary>, Error> {
        self.inner.query(query).await
    }

    async fn census(&self) -> Result<Census, Error> {
        self.inner.census().await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        self.inner.next_due().await
    }

    async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize, Error> {
        self.inner.purge(age, limit).await
    }

    async fn changed(&self) {
        self.inner.changed().await;
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        self.inner.outbox()
    }
}
