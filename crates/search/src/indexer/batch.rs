//! The task that gathers changes and applies them together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use pumasi_core::time::{Timestamp, after};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Lag, Searches, Targets, broken};
use crate::engine::{Applied, Change, SearchEngine};
use crate::search::Search;
use crate::{Error, ErrorKind, Result};

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
    /// How long an engine may take for a batch.
    pub(super) patience: Duration,
    /// The engines that took longer, with how often in a row, and until when they are left alone.
    pub(super) hung: Vec<Hung>,
}

/// An engine that took too long.
pub(super) struct Hung {
    engine: Weak<dyn SearchEngine>,
    times: u32,
    until: Instant,
}

/// How often the time for which an engine is left alone is doubled.
const DOUBLINGS: u32 = 5;

impl Worker {
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
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
    async fn apply(&mut self, changes: &[Change]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = changes.iter().map(|_| Ok(())).collect();
        let targets = match self.targets.read() {
            Ok(targets) => targets.clone(),
            Err(_) => return changes.iter().map(|_| Err(broken())).collect(),
        };
        self.hung.retain(|hung| hung.engine.strong_count() > 0);
        let (patience, hung) = (self.patience, &self.hung);
        let calls = targets.iter().map(|target| async move {
            let now = Instant::now();
            if hung.iter().any(|hung| hung.is(target) && hung.until > now) {
                let what = format!("{} hung, and is left alone for a while", target.name());
                return Err(Error::new(ErrorKind::Unavailable, what));
            }
            timeout(patience, target.apply(changes)).await.unwrap_or_else(|_| {
                let what = format!("{} did not apply changes within {patience:?}", target.name());
                Err(Error::new(ErrorKind::Timeout, what))
            })
        });
        let outcomes = join_all(calls).await;
        for (target, outcome) in targets.iter().zip(&outcomes) {
            match outcome {
                Err(error) if error.kind() == ErrorKind::Timeout => self.leave_alone(target),
                // it was not asked
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                _ => self.hung.retain(|hung| !hung.is(target)),
            }
            // an index that is built beside another of its name is not the one that is searched
            let used = targets.iter().find(|one| one.name() == target.name());
            if used.is_some_and(|used| Arc::ptr_eq(used, target)) {
                self.tell(&**target, changes, outcome);
            }
        }
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

    /// Tells searches which changes an engine does not have and is to be given again, and which it will not take, as it refused them for
    /// good or knows as new a version.
    fn tell(&self, target: &dyn SearchEngine, changes: &[Change], outcome: &Result<Vec<Result<Applied>>>) {
        let searches = self.searches.read().unwrap_or_else(PoisonError::into_inner);
        if searches.is_empty() {
            return;
        }
        let comes_again = |error: &Error| error.retry().is_retryable();
        let outcomes = changes.iter().enumerate().map(|(place, change)| match outcome {
            Ok(each) => (change, matches!(each.get(place), Some(Err(error)) if comes_again(error))),
            Err(error) => (change, comes_again(error)),
        });
        let outcomes: Vec<(&Change, bool)> = outcomes.collect();
        let each = outcome.iter().flatten().zip(changes);
        let needless = each.filter(|(result, _)| match result {
            Ok(applied) => *applied == Applied::Stale,
            Err(error) => !comes_again(error),
        });
        let needless = needless.filter_map(|(_, change)| change.reached()).max();
        for search in searches.iter() {
            search.was_given(target.name(), outcomes.iter().copied());
            if let Some(at) = needless {
                search.has_no_need_of(target.name(), at);
            }
        }
    }

    fn leave_alone(&mut self, target: &Arc<dyn SearchEngine>) {
        let times = self.hung.iter().find(|hung| hung.is(target)).map_or(0, |hung| hung.times + 1);
        let pause = self.patience.saturating_mul(1 << times.min(DOUBLINGS));
        tracing::warn!(
            engine = target.name(),
            ?pause,
            "the engine took too long for changes, and is left alone"
        );
        self.hung.retain(|hung| !hung.is(target));
        let until = Instant::from_std(after(Instant::now().into_std(), pause));
        self.hung.push(Hung { engine: Arc::downgrade(target), times, until });
    }
}

impl Hung {
    fn is(&self, target: &Arc<dyn SearchEngine>) -> bool {
        std::ptr::addr_eq(self.engine.as_ptr(), Arc::as_ptr(target))
    }
}
