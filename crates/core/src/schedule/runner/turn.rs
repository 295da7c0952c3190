//! One look at one job: plan what came due, claim a run, do it, report it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::{Counts, Job};
use crate::event::{Reason, Shutdown};
use crate::resilience::{Backoff, Random, within};
use crate::schedule::{Claim, ClaimTerms, RunEnd, ScheduleStore};
use crate::time::Clock;
use crate::{Error, ErrorKind, Result, Retry};

/// Between reports to a store that fails.
const REPORT_BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));

pub(super) struct Worker {
    pub(super) store: Arc<dyn ScheduleStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
    pub(super) drain_limit: Duration,
    pub(super) counts: Arc<Counts>,
    pub(super) stop: Shutdown,
    pub(super) job: Job,
}

pub(super) enum Turn {
    Worked,
    /// Nothing can be begun; the next due time is this far off.
    Idle {
        next: Option<Duration>,
    },
}

enum Attempt {
    Returned(Result<()>),
    Panicked,
    LeaseLost,
    DrainEnded,
}

impl Worker {
    pub(super) async fn turn(&self) -> Result<Turn> {
        let Job { name, schedule, missed, .. } = &self.job;
        let mut state = self.store.state(name).await?;
        loop {
            if state.paused || self.stop.is_triggered() {
                return Ok(Turn::Idle { next: None });
            }
            let (cursor, now) = (state.cursor, state.now);
            let Some(plan) = missed.plan(name, schedule, cursor, now, self.job.jitter, &self.random) else {
                break;
            };
            let taken = self.store.plan(&plan).await?;
            if let Some(missed) = plan.missed.filter(|_| taken) {
                tracing::warn!(job = %name, times = missed.times, last = %missed.last, "runs were missed and are skipped");
                self.count("skipped", None, missed.times);
            }
            // Where another node was quicker, its cursor is the one to go on from.
            state = self.store.state(name).await?;
        }
        let now = state.now;
        let mut claimed = None;
        if state.claimable.is_some_and(|at| at <= now) {
            let terms = ClaimTerms { lease: self.job.lease, too_late: missed.too_late(now) };
            claimed = self.store.claim(name, &terms).await?;
        }
        let Some(claim) = claimed else {
            let next =
                schedule.next_after(now).into_iter().chain(state.claimable.filter(|at| *at > now)).min();
            return Ok(Turn::Idle { next: next.map(|next| next.saturating_since(now)) });
        };
        self.work(&claim).await?;
        Ok(Turn::Worked)
    }

    async fn work(&self, claim: &Claim) -> Result<()> {
        let run = &claim.run;
        let span = tracing::info_span!(
            "schedule.run", job = %run.job, due = %run.due, attempt = run.attempt, fence = run.fence
        );
        let lost = Shutdown::new();
        // Dropped, and so ended, together with the work.
        let mut heartbeat = JoinSet::new();
        heartbeat.spawn(renew(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            claim.clone(),
            self.job.lease,
            lost.clone(),
        ));
        let begun = self.clock.instant();
        let attempt = if run.attempt > self.job.max_attempts {
            Attempt::Returned(Err(Error::new(ErrorKind::Other, "no attempt came to an end")))
        } else {
            let work = async { self.job.work.run(run).await }.instrument(span.clone());
            tokio::select! {
                biased;
                () = lost.triggered() => Attempt::LeaseLost,
                ended = AssertUnwindSafe(work).catch_unwind() => match ended {
                    Ok(result) => Attempt::Returned(result),
                    Err(_) => Attempt::Panicked,
                },
                () = self.clock.sleep(self.job.time_limit) => Attempt::Returned(Err(Error::new(
                    ErrorKind::Timeout,
                    format!("the run was still at work after {:?}", self.job.time_limit),
                ))),
                () = self.drained() => Attempt::DrainEnded,
            }
        };
        let took = self.clock.instant().saturating_duration_since(begun);
        metrics::histogram!("pumasi_schedule_run_seconds", "job" => self.job.name.to_string()).record(took);
        let end = match attempt {
            Attempt::LeaseLost => {
                span.in_scope(|| tracing::warn!("the lease was lost; another node begins the run again"));
                self.count("lost", Some(&self.counts.lost), 1);
                return Ok(());
            }
            Attempt::Panicked => self.failed(claim, Reason::new("panic", "the work panicked"), Retry::Now),
            Attempt::Returned(Ok(())) => RunEnd::Done,
            Attempt::Returned(Err(error)) => self.failed(claim, Reason::from(&error), error.retry()),
            Attempt::DrainEnded => RunEnd::Released,
        };
        self.report(claim, &end, &lost).instrument(span).await
    }

    /// Waits until the drain that follows the signal is over.
    async fn drained(&self) {
        self.stop.triggered().await;
        self.clock.sleep(self.drain_limit).await;
    }

    /// Decides between another attempt and giving up.
    fn failed(&self, claim: &Claim, reason: Reason, retry: Retry) -> RunEnd {
        let attempt = claim.run.attempt;
        let asked = match retry {
            Retry::Never => return RunEnd::Failed { reason },
            _ if attempt >= self.job.max_attempts => return RunEnd::Failed { reason },
            Retry::Now => Duration::ZERO,
            Retry::After(after) => after,
        };
        let after = self.job.backoff.delay(attempt, &self.random).max(asked);
        RunEnd::Retry { after, reason }
    }

    /// Reports how the attempt ended, however often the store has to be asked, while the lease lasts.
    async fn report(&self, claim: &Claim, end: &RunEnd, lost: &Shutdown) -> Result<()> {
        let mut tries = 0;
        loop {
            let error = match self.store.settle(claim, end).await {
                Ok(()) => break,
                Err(error) => error,
            };
            tries += 1;
            let again = error.retry().is_retryable() && !lost.is_triggered();
            tracing::warn!(error = %error, tries, again, "a run could not be settled");
            if !again {
                self.count("lost", Some(&self.counts.lost), 1);
                return if error.kind() == ErrorKind::Conflict || error.retry().is_retryable() {
                    Ok(())
                } else {
                    Err(error)
                };
            }
            tokio::select! {
                () = lost.triggered() => {}
                () = self.clock.sleep(REPORT_BACKOFF.delay(tries, &self.random)) => {}
            }
        }
        match end {
            RunEnd::Done => self.count("done", Some(&self.counts.done), 1),
            RunEnd::Retry { after, reason } => {
                tracing::warn!(reason = %reason, ?after, "an attempt failed");
                self.count("retried", Some(&self.counts.retried), 1);
            }
            RunEnd::Failed { reason } => {
                tracing::error!(reason = %reason, attempts = claim.run.attempt, "a run was given up");
                self.count("failed", Some(&self.counts.failed), 1);
            }
            RunEnd::Released => self.count("released", Some(&self.counts.released), 1),
        }
        if matches!(end, RunEnd::Done | RunEnd::Failed { .. }) {
            // A history that is too long for a while hurts nobody.
            if let Err(error) = self.store.prune(&self.job.name, self.job.history).await {
                tracing::warn!(error = %error, "the history could not be pruned");
            }
        }
        Ok(())
    }

    fn count(&self, outcome: &'static str, field: Option<&AtomicU64>, times: u64) {
        if let Some(field) = field {
            field.fetch_add(times, Ordering::Relaxed);
        }
        metrics::counter!("pumasi_schedule_runs_total", "job" => self.job.name.to_string(), "outcome" => outcome)
            .increment(times);
    }
}

/// Renews the lease until it is lost: to another node, or because the store could not be asked for as long as it lasts.
async fn renew(
    store: Arc<dyn ScheduleStore>,
    clock: Arc<dyn Clock>,
    claim: Claim,
    lease: Duration,
    lost: Shutdown,
) {
    let mut renewed = clock.instant();
    loop {
        clock.sleep(lease / 3).await;
        let asked = clock.instant();
        let left = lease.saturating_sub(asked.saturating_duration_since(renewed));
        let mut gone = false;
        match within(&*clock, left, store.renew(&claim, lease)).await {
            Some(Ok(())) => renewed = asked,
            Some(Err(error)) => {
                gone = !error.retry().is_retryable();
                tracing::debug!(error = %error, gone, "a run's lease could not be renewed");
            }
            None => {}
        }
        if gone || clock.instant().saturating_duration_since(renewed) >= lease {
            lost.trigger();
            return;
        }
    }
}
