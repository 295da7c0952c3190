//! Commits of many sagas in one call of the store.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Core, EngineOptions};
use crate::planted::{self, Bug};
use crate::store::{Commit, Committed, SagaId, SagaStore, Stored};
use crate::{Error, ErrorKind, Result};

type Waiting = (Commit, oneshot::Sender<Result<Committed>>);

/// Hands commits to the store: one by one where that is as cheap, and otherwise whatever has gathered while the calls before
/// were under way. Nobody waits for company.
pub(super) enum Committer {
    Single,
    Gathering { queue: mpsc::UnboundedSender<Waiting>, start: std::sync::Mutex<Option<Start>> },
}

/// What the lanes are started with, on the first commit, when there is a runtime.
pub(super) struct Start {
    queue: mpsc::UnboundedReceiver<Waiting>,
    store: Arc<dyn SagaStore>,
    batch: usize,
    lanes: usize,
}

impl Committer {
    pub(super) fn new(store: &Arc<dyn SagaStore>, options: &EngineOptions) -> Self {
        let capabilities = store.capabilities();
        if capabilities.batch.get() == 1 || options.inline {
            return Self::Single;
        }
        let (sender, queue) = mpsc::unbounded_channel();
        let start = Start {
            queue,
            store: Arc::clone(store),
            batch: capabilities.batch.get(),
            lanes: capabilities.lanes.get(),
        };
        Self::Gathering { queue: sender, start: std::sync::Mutex::new(Some(start)) }
    }

    async fn commit(&self, store: &dyn SagaStore, commit: Commit) -> Result<Committed> {
        let Self::Gathering { queue, start } = self else {
            let answers = store.commit(vec![commit]).await;
            return answers.into_iter().next().unwrap_or_else(|| Err(unanswered()));
        };
        let start = start.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(start) = start {
            start.spawn();
        }
        let (sender, answer) = oneshot::channel();
        queue.send((commit, sender)).map_err(|_| unanswered())?;
        answer.await.unwrap_or_else(|_| Err(unanswered()))
    }
}

fn unanswered() -> Error {
    Error::new(ErrorKind::Unavailable, "a commit of a saga was not answered")
}

impl Start {
    fn spawn(self) {
        let queue = Arc::new(tokio::sync::Mutex::new(self.queue));
        for _ in 0..self.lanes {
            tokio::spawn(lane(Arc::clone(&queue), Arc::clone(&self.store), self.batch));
        }
    }
}

/// Takes what has gathered, and commits it, until nobody can send any more.
async fn lane(
    queue: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Waiting>>>,
    store: Arc<dyn SagaStore>,
    batch: usize,
) {
    let mut gathered = Vec::new();
    loop {
        if queue.lock().await.recv_many(&mut gathered, batch).await == 0 {
            return;
        }
        let (commits, senders): (Vec<_>, Vec<_>) = gathered.drain(..).unzip();
        let mut answers = store.commit(commits).await.into_iter();
        for sender in senders {
            // Whoever asked may have gone meanwhile; what is stored is stored.
            let _ = sender.send(answers.next().unwrap_or_else(|| Err(unanswered())));
        }
    }
}

impl<App> Core<App> {
    /// Commits, and asks again while it is not known whether that was stored.
    ///
    /// # Errors
    ///
    /// `Conflict` if somebody else has the saga; `InvalidInput` if the store will never take this; whatever else the store says that
    /// asking again cannot mend.
    pub(super) async fn commit_until_known(&self, commit: Commit) -> Result<Committed> {
        let mut failures = 0;
        loop {
            match self.committer.commit(&*self.store, commit.clone()).await {
                Ok(committed) => {
                    self.leased.hear(committed.now, &*self.options.clock);
                    return Ok(committed);
                }
                // What was forgotten with an answer that was lost is not there to be recognised.
                Err(error)
                    if error.kind() == ErrorKind::Conflict
                        && failures > 0
                        && commit.forgets
                        && !planted::is(Bug::ForgottenCountsAsLost)
                        && self.load_until_known(commit.head.id).await.is_none() =>
                {
                    return Ok(Committed { now: self.now() });
                }
                Err(error) if error.kind() == ErrorKind::Conflict || !error.retry().is_retryable() => {
                    return Err(error);
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(error = %error, failures, saga = %commit.head.saga, id = %commit.head.id, "a saga could not be recorded");
                    metrics::counter!("saga_store_failures_total").increment(1);
                    let pause = self.options.store_backoff.delay(failures, &self.options.random);
                    self.options.clock.sleep(pause).await;
                }
            }
        }
    }

    /// Reads a saga, however often that has to be tried.
    pub(super) async fn load_until_known(&self, id: SagaId) -> Option<Stored> {
        let mut failures = 0;
        loop {
            match self.store.load(id).await {
                Ok(stored) => return stored,
                Err(error) => {
                    failures += 1;
                    tracing::warn!(error = %error, failures, saga = %id, "a saga could not be read");
                    self.options
                        .clock
                        .sleep(self.options.store_backoff.delay(failures, &self.options.random))
                        .await;
                }
            }
        }
    }
}
