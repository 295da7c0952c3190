//! The reference: schedules in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::ledger::{JobRow, Ledger, check_name, not_found};
use super::{Claim, ClaimTerms, JobState, Plan, RunEnd, ScheduleStore};
use crate::Result;
use crate::schedule::RunRecord;
use crate::time::{Clock, SystemClock, Timestamp};

/// Keeps schedules in memory, for tests and for a service of one process whose missed runs need not be caught up.
///
/// Clones share what they keep.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::schedule::{MemorySchedule, ScheduleStore};
///
/// let store = MemorySchedule::new();
/// store.register("weekly-ranking").await?;
/// store.pause("weekly-ranking").await?; // by an operator, until the data is right again
/// assert!(store.state("weekly-ranking").await?.paused);
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct MemorySchedule {
    jobs: Arc<Mutex<BTreeMap<String, Kept>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Kept {
    job: JobRow,
    runs: BTreeMap<Timestamp, RunRecord>,
}

impl MemorySchedule {
    /// Makes an empty store on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Makes an empty store on `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { jobs: Arc::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, job: &str, work: impl FnOnce(&mut Ledger, Timestamp) -> R) -> Result<R> {
        let mut jobs = self.lock();
        let kept = jobs.get_mut(job).ok_or_else(|| not_found(job))?;
        let open = kept.runs.values().filter(|run| !run.status.is_ended()).cloned().collect();
        let mut ledger = Ledger::new(kept.job.clone(), open);
        let result = work(&mut ledger, self.clock.now());
        kept.job = ledger.job;
        kept.runs.extend(ledger.changed.into_iter().map(|run| (run.due, run)));
        Ok(result)
    }
}

impl Default for MemorySchedule {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl ScheduleStore for MemorySchedule {
    fn is_durable(&self) -> bool {
        false
    }

    async fn register(&self, job: &str) -> Result<()> {
        check_name(job)?;
        let now = self.clock.now();
        self.lock()
            .entry(job.to_owned())
            .or_insert_with(|| Kept { job: JobRow::new(now), runs: BTreeMap::new() });
        Ok(())
    }

    async fn state(&self, job: &str) -> Result<JobState> {
        self.with(job, |ledger, now| ledger.state(now))
    }

    async fn plan(&self, plan: &Plan) -> Result<bool> {
        self.with(&plan.job, |ledger, now| ledger.plan(plan, now))
    }

    async fn claim(&self, job: &str, terms: &ClaimTerms) -> Result<Option<Claim>> {
        self.with(job, |ledger, now| ledger.claim(terms, now))
    }

    async fn renew(&self, claim: &Claim, lease: Duration) -> Result<()> {
        self.with(&claim.run.job, |ledger, now| ledger.renew(claim, lease, now))?
    }

    async fn settle(&self, claim: &Claim, end: &RunEnd) -> Result<()> {
        self.with(&claim.run.job, |ledger, now| ledger.settle(claim, end, now))?
    }

    async fn pause(&self, job: &str) -> Result<()> {
        self.with(job, |ledger, _| ledger.set_paused(true))
    }

    async fn resume(&self, job: &str) -> Result<()> {
        self.with(job, |ledger, _| ledger.set_paused(false))
    }

    async fn history(&self, job: &str, limit: u32) -> Result<Vec<RunRecord>> {
        let jobs = self.lock();
        let runs = jobs.get(job).map(|kept| kept.runs.values().rev());
        Ok(runs.into_iter().flatten().take(limit as usize).cloned().collect())
    }

    async fn prune(&self, job: &str, keep: u32) -> Result<u64> {
        let mut jobs = self.lock();
        let Some(kept) = jobs.get_mut(job) else { return Ok(0) };
        let ended = kept.runs.values().rev().filter(|run| run.status.is_ended());
        let old: Vec<Timestamp> = ended.skip(keep as usize).map(|run| run.due).collect();
        for due in &old {
            kept.runs.remove(due);
        }
        Ok(old.len() as u64)
    }
}
