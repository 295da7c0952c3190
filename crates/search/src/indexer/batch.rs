//! The task that gathers changes and applies them together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use pumasi_core::time::{Timestamp, after};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Lag, Searches, Targets, broken};
use crate::Result;
use crate::engine::Change;
use crate::search::Search;

/// A change in hand; wherever it is dropped, it is no longer waited for.
pub(super) struct Job {
    pub(super) change: Change,
    pub(super) reply: Option<oneshot::Sender<Result<()>>>,
    pub(super) progress: Arc<Progress>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.progress.done(&self.change);
    }
}

/// The moments of the changes in hand.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<BTreeMap<Option<Timestamp>, usize>>);

impl Progress {
    pub(super) fn took(&self, change: &Change) {
        if let Ok(mut moments) = self.0.lock() {
            *moments.entry(change.at()).or_default() += 1;
        }
    }

    fn done(&self, change: &Change) {
        if let Ok(mut moments) = self.0.lock()
            && let Some(count) = moments.get_mut(&change.at())
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                moments.remove(&change.at());
            }
        }
    }

    pub(super) fn lag(&self, now: Timestamp) -> Lag {
        let Ok(moments) = self.0.lock() else { return Lag { waiting: 0, behind: Duration::ZERO } };
        let oldest = moments.keys().flatten().next();
        let behind = oldest.map_or(Duration::ZERO, |oldest| now.saturating_since(*oldest));
        Lag { waiting: moments.values().sum(), behind }
    }
}

pub(super) struct Worker {
    pub(super) targets: Targets,
    pub(super) searches: Searches,
    pub(super) progress: Arc<Progress>,
    pub(super) largest: usize,
    pub(super) linger: Duration,
}

impl Worker {
    pub(super) async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.recv().await {
            let ends = Instant::from_std(after(Instant::now().into_std(), self.linger));
            let mut batch = vec![first];
            while batch.len() < self.largest
                && let Ok(Some(job)) = timeout_at(ends, jobs.recv()).await
            {
                batch.push(job);
            }
            let changes: Vec<Change> = batch.iter().map(|job| job.change.clone()).collect();
            let results = self.apply(&changes).await;
            self.invalidate().await;
            for (job, result) in batch.iter_mut().zip(results) {
                if let Some(reply) = job.reply.take() {
                    let _ = reply.send(result);
                }
            }
            tracing::debug!(changes = changes.len(), waiting = ?self.progress, "applied changes to the index");
        }
    }

    /// Makes cached pages old, also where changes failed: an engine may hold some of them.
    async fn invalidate(&self) {
        let searches = self.searches.read().unwrap_or_else(PoisonError::into_inner).clone();
        for invalidated in join_all(searches.iter().map(Search::invalidate_all)).await {
            if let Err(error) = invalidated {
                tracing::warn!(kind = %error.kind(), %error, "pages from before a write stay cached until their bound");
            }
        }
    }

    /// Applies changes to every engine, also to those beside one that is away; each change fails with the first engine that refuses
    /// it.
    async fn apply(&self, changes: &[Change]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = changes.iter().map(|_| Ok(())).collect();
        let targets = match self.targets.read() {
            Ok(targets) => targets.clone(),
            Err(_) => return changes.iter().map(|_| Err(broken())).collect(),
        };
        let outcomes = join_all(targets.iter().map(|target| target.apply(changes))).await;
        for outcome in outcomes {
            let each: Vec<Result<()>> = match outcome {
                Ok(applied) => applied.into_iter().map(|applied| applied.map(drop)).collect(),
                Err(error) => changes.iter().map(|_| Err(error.clone())).collect(),
            };
            for (result, own) in results.iter_mut().zip(each) {
                if result.is_ok() {
                    *result = own;
                }
            }
        }
        results
    }
}
