//! The rules of every store: what a call makes of a job and of its runs that have not ended. The stores only keep it.

use std::time::Duration;

use super::{Claim, ClaimTerms, JobState, Plan, RunEnd};
use crate::schedule::plan::AHEAD;
use crate::schedule::{Run, RunRecord, RunStatus};
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The longest name of a job, in bytes.
const MAX_NAME: usize = 200;

pub(super) fn check_name(job: &str) -> Result<()> {
    if (1..=MAX_NAME).contains(&job.len()) && !job.contains('\0') {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("a job's name is not 1 to {MAX_NAME} bytes without NUL")))
}

pub(super) fn not_found(job: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("the job \"{job}\" is not registered"))
}

/// A job as it is kept.
#[derive(Clone, Debug)]
pub(super) struct JobRow {
    pub(super) cursor: Timestamp,
    pub(super) paused: bool,
    pub(super) fence: u64,
}

impl JobRow {
    /// A job that begins now.
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { cursor: now, paused: false, fence: 0 }
    }
}

/// A job and its runs that have not ended, as they were loaded; `changed` is what has to be written back.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) job: JobRow,
    pub(super) open: Vec<RunRecord>,
    pub(super) changed: Vec<RunRecord>,
    /// The job itself has changed.
    pub(super) job_changed: bool,
}

impl Ledger {
    pub(super) fn new(job: JobRow, open: Vec<RunRecord>) -> Self {
        Self { job, open, changed: Vec::new(), job_changed: false }
    }

    /// Keeps a changed run; what has ended is not open any more.
    fn put(&mut self, run: RunRecord) {
        self.open.retain(|open| open.due != run.due);
        if !run.status.is_ended() {
            self.open.push(run.clone());
            self.open.sort_by_key(|run| run.due);
        }
        self.changed.retain(|changed| changed.due != run.due);
        self.changed.push(run);
    }

    fn skip(&mut self, mut run: RunRecord, now: Timestamp) {
        run.status = RunStatus::Skipped;
        run.ended = Some(now);
        self.put(run);
    }

    fn not_begun(&self) -> impl Iterator<Item = &RunRecord> {
        self.open.iter().filter(|run| run.status == RunStatus::Waiting && run.attempts == 0)
    }

    pub(super) fn state(&self, now: Timestamp) -> JobState {
        let JobRow { cursor, paused, fence, .. } = self.job;
        let leased = self.open.iter().filter_map(|run| run.lease_until).max();
        let available =
            self.open.iter().filter(|run| run.status == RunStatus::Waiting).map(|run| run.available);
        let claimable =
            leased.filter(|until| *until > now).or_else(|| leased.into_iter().chain(available).min());
        JobState { paused, fence, claimable, ..JobState::new(now, cursor) }
    }

    pub(super) fn plan(&mut self, plan: &Plan, now: Timestamp) -> bool {
        let back = plan.to < plan.from;
        if self.job.paused || self.job.cursor != plan.from || back && plan.from.saturating_since(now) <= AHEAD
        {
            return false;
        }
        if back {
            self.forget_the_future(now);
        }
        self.job.cursor = plan.to;
        self.job_changed = true;
        if let Some(missed) = plan.missed {
            let mut run = RunRecord::waiting(plan.job.as_str(), missed.last, missed.last);
            run.times = missed.times;
            self.skip(run, now);
        }
        for run in &plan.runs {
            self.put(RunRecord::waiting(plan.job.as_str(), run.due, run.available));
        }
        let surplus =
            self.not_begun().count().saturating_sub(usize::try_from(plan.most_waiting).unwrap_or(usize::MAX));
        for run in self.not_begun().take(surplus).cloned().collect::<Vec<_>>() {
            self.skip(run, now);
        }
        true
    }

    /// Ends what was due or leased by a clock that has been set back by more than a day.
    fn forget_the_future(&mut self, now: Timestamp) {
        for mut run in self.open.clone() {
            if run.lease_until.is_some_and(|until| until.saturating_since(now) > AHEAD) {
                run.lease_until = Some(now);
                self.put(run);
            } else if run.status == RunStatus::Waiting && run.due.saturating_since(now) > AHEAD {
                self.skip(run, now);
            }
        }
    }

    pub(super) fn claim(&mut self, terms: &ClaimTerms, now: Timestamp) -> Option<Claim> {
        let lasts = |run: &RunRecord| run.lease_until.is_some_and(|until| until > now);
        if self.job.paused || self.open.iter().any(|run| run.status == RunStatus::Running && lasts(run)) {
            return None;
        }
        for run in self
            .not_begun()
            .filter(|run| run.due.max(run.available) < terms.too_late)
            .cloned()
            .collect::<Vec<_>>()
        {
            self.skip(run, now);
        }
        let mut run =
            self.open.iter().find(|run| run.status == RunStatus::Running || run.available <= now).cloned()?;
        self.job.fence += 1;
        self.job_changed = true;
        run.status = RunStatus::Running;
        run.attempts = run.attempts.saturating_add(1);
        run.fence = self.job.fence;
        run.lease_until = Some(now.saturating_add(terms.lease));
        run.started = Some(now);
        let claim = Claim::new(Run::new(run.job.as_str(), run.due, run.attempts, run.fence));
        self.put(run);
        Some(claim)
    }

    /// The run of a claim that stands.
    fn claimed(&self, claim: &Claim) -> Result<RunRecord> {
        let stands = |run: &&RunRecord| {
            run.due == claim.run.due && run.status == RunStatus::Running && run.fence == claim.run.fence
        };
        self.open.iter().find(stands).cloned().ok_or_else(|| {
            let Run { job, due, fence, .. } = &claim.run;
            Error::new(
                ErrorKind::Conflict,
                format!(
                    "the claim {fence} on the run of the job \"{job}\" due at {due} does not stand any more"
                ),
            )
        })
    }

    pub(super) fn renew(&mut self, claim: &Claim, lease: Duration, now: Timestamp) -> Result<()> {
        let mut run = self.claimed(claim)?;
        run.lease_until = Some(now.saturating_add(lease));
        self.put(run);
        Ok(())
    }

    pub(super) fn settle(&mut self, claim: &Claim, end: &RunEnd, now: Timestamp) -> Result<()> {
        let mut run = self.claimed(claim)?;
        run.lease_until = None;
        match end {
            RunEnd::Done => {
                run.status = RunStatus::Done;
                run.ended = Some(now);
                run.reason = None;
            }
            RunEnd::Failed { reason } => {
                run.status = RunStatus::Failed;
                run.ended = Some(now);
                run.reason = Some(reason.clone());
            }
            RunEnd::Retry { after, reason } => {
                run.status = RunStatus::Waiting;
                run.available = now.saturating_add(*after);
                run.reason = Some(reason.clone());
            }
            RunEnd::Released => {
                run.status = RunStatus::Waiting;
                run.available = now;
                run.attempts = run.attempts.saturating_sub(1);
            }
        }
        self.put(run);
        Ok(())
    }

    pub(super) fn set_paused(&mut self, paused: bool) {
        self.job.paused = paused;
        self.job_changed = true;
    }
}
