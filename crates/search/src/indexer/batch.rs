//! The task that gathers changes and applies them together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pumasi_core::time::{Timestamp, after};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Lag, Targets, broken};
use crate::engine::Change;
use crate::{Error, Result};

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
            for (job, result) in batch.iter_mut().zip(results) {
                if let Some(reply) = job.reply.take() {
                    let _ = reply.send(result);
                }
            }
            tracing::debug!(changes = changes.len(), waiting = ?self.progress, "applied changes to the index");
        }
    }

    /// Applies changes to every engine; each change fails with the first engine that refuses it.
    async fn apply(&self, changes: &[Change]) -> Vec<Result<()>> {
        let all = |error: &Error| changes.iter().map(|_| Err(error.clone())).collect();
        let targets = match self.targets.read() {
            Ok(targets) => targets.clone(),
            Err(_) => return all(&broken()),
        };
        let mut results: Vec<Result<()>> = changes.iter().map(|_| Ok(())).collect();
        for target in targets {
            match target.apply(changes).await {
                Ok(applied) => {
                    for (result, applied) in results.iter_mut().zip(applied) {
                        if let (Ok(()), Err(error)) = (&result, applied) {
                            *result = Err(error);
                        }
                    }
                }
                Err(error) => return all(&error),
            }
        }
        results
    }
}
