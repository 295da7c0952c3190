//! Where due runs are kept: the seam between nodes.

mod ledger;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod rows;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemorySchedule;
#[cfg(feature = "postgres")]
pub use postgres::PostgresSchedule;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteSchedule;

use super::{Run, RunRecord};
use crate::Result;
use crate::event::Reason;
use crate::time::Timestamp;

/// Keeps which runs are due, who works on them, and what became of them.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::schedule`):
///
/// 1. **Durable.** What a call reported outlives the process, where the store says that it is
///    [durable](Self::is_durable).
/// 2. **Registered once.** A job begins at the store's time when it is first registered; registering it again changes
///    nothing.
/// 3. **Planned once.** A [plan](Self::plan) is taken if it begins where the job's cursor stands, and then moves it; of several
///    nodes that plan the same time, one succeeds, and the others change nothing. The cursor goes back only where it stands
///    more than a day ahead of the store's time, which was set back then: leases that end as late do, and runs that are due
///    as late are skipped.
/// 4. **One at a time.** A job has at most one run with a lease that runs; the oldest available one is claimed first.
/// 5. **Leases end.** A run that was claimed and not settled can be claimed again when its lease has ended, with its attempt
///    counted; [`renew`](Self::renew) puts the end off.
/// 6. **Fenced.** Each claim of a job has a greater fence than all before it. `renew` and [`settle`](Self::settle) with an
///    older claim fail with `Conflict` and change nothing.
/// 7. **Settled is settled.** A run that ended is not claimed again. One that is to be retried is not claimed before its
///    delay has passed, and other runs of the job do not wait for it.
/// 8. **Bounded backlog.** Of the runs that wait and were not begun, a plan keeps the newest as far as it says, and a claim
///    passes over those that are too late by its terms; what is left out is recorded as skipped.
/// 9. **Pause.** A paused job is neither planned nor claimed; what runs may be renewed and settled.
/// 10. **History.** Runs are listed from the newest due time; [`prune`](Self::prune) deletes ended ones alone.
#[async_trait]
pub trait ScheduleStore: fmt::Debug + Send + Sync {
    /// Tells whether it outlives the process.
    fn is_durable(&self) -> bool;

    /// Makes a job known.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name that is empty or longer than 200 bytes; `Storage`, `Unavailable` or `Timeout` if the store
    /// failed, as in all its methods.
    async fn register(&self, job: &str) -> Result<()>;

    /// Returns where a job stands, and the time by which the store measures: all nodes go by one clock.
    ///
    /// # Errors
    ///
    /// `NotFound` for a job that is not registered.
    async fn state(&self, job: &str) -> Result<JobState>;

    /// Writes down runs that came due, and moves the job's cursor; tells whether the plan was taken.
    ///
    /// # Errors
    ///
    /// `NotFound` for a job that is not registered.
    async fn plan(&self, plan: &Plan) -> Result<bool>;

    /// Leases the oldest run of the job that can be begun; `None` if there is none, one runs or the job is paused.
    ///
    /// # Errors
    ///
    /// `NotFound` for a job that is not registered.
    async fn claim(&self, job: &str, terms: &ClaimTerms) -> Result<Option<Claim>>;

    /// Puts the end of a lease off, to `lease` from now.
    ///
    /// # Errors
    ///
    /// `Conflict` if the claim is no longer the current one.
    async fn renew(&self, claim: &Claim, lease: Duration) -> Result<()>;

    /// Ends an attempt.
    ///
    /// # Errors
    ///
    /// `Conflict` if the claim is no longer the current one.
    async fn settle(&self, claim: &Claim, end: &RunEnd) -> Result<()>;

    /// Stops planning and claiming the job's runs.
    ///
    /// # Errors
    ///
    /// `NotFound` for a job that is not registered.
    async fn pause(&self, job: &str) -> Result<()>;

    /// Plans and claims the job's runs again; those that came due meanwhile were missed.
    ///
    /// # Errors
    ///
    /// `NotFound` for a job that is not registered.
    async fn resume(&self, job: &str) -> Result<()>;

    /// Lists up to `limit` runs of the job, from the newest due time.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register) where the store failed; an unknown job has no runs.
    async fn history(&self, job: &str, limit: u32) -> Result<Vec<RunRecord>>;

    /// Deletes all but the newest `keep` ended runs of the job; returns how many.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register) where the store failed.
    async fn prune(&self, job: &str, keep: u32) -> Result<u64>;
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobState {
    /// The store's time.
    pub now: Timestamp,
    /// All due times up to here have been decided on.
    pub cursor: Timestamp,
    /// Whether it is paused.
    pub paused: bool,
    /// The fence of its latest claim.
    pub fence: u64,
    /// When a run can be claimed: the end of a lease that runs, or else of the shortest delay; `None` if nothing waits.
    pub claimable: Option<Timestamp>,
}

impl JobState {
    /// Makes the state of a job that is not paused, was never claimed and has nothing that waits; for stores.
    pub const fn new(now: Timestamp, cursor: Timestamp) -> Self {
        Self { now, cursor, paused: false, fence: 0, claimable: None }
    }
}

/// What is decided on a stretch of time: which runs are to be done, and how many are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The job's name.
    pub job: String,
    /// Where the job's cursor must stand.
    pub from: Timestamp,
    /// Where it stands afterwards.
    pub to: Timestamp,
    /// The runs to be done, from the oldest.
    pub runs: Vec<PlannedRun>,
    /// What is left out.
    pub missed: Option<MissedRuns>,
    /// How many runs that were not begun may wait; of more than that the oldest are skipped.
    pub most_waiting: u32,
}

/// A run to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedRun {
    /// When it was due.
    pub due: Timestamp,
    /// Before when it is not begun.
    pub available: Timestamp,
}

/// Due times that are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedRuns {
    /// The last of them.
    pub last: Timestamp,
    /// How many they are.
    pub times: u64,
}

/// On what terms a run is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimTerms {
    /// How long the claim stands if it is not renewed.
    pub lease: Duration,
    /// Runs that were due and available before this, and were not begun, are skipped.
    pub too_late: Timestamp,
}

/// The right to work on a run, while its lease is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// What is to be done.
    pub run: Run,
}

impl Claim {
    /// Makes the claim on a run; for stores.
    pub const fn new(run: Run) -> Self {
        Self { run }
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// It was done.
    Done,
    /// It failed, and is to be begun again.
    Retry {
        /// Not before this much time has passed.
        after: Duration,
        /// Why it failed.
        reason: Reason,
    },
    /// It failed for good.
    Failed {
        /// Why.
        reason: Reason,
    },
    /// It was broken off by the node, is available at once, and the attempt does not count.
    Released,
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: ScheduleStore + ?Sized> ScheduleStore for $pointer {
            fn is_durable(&self) -> bool {
                (**self).is_durable()
            }

            async fn register(&self, job: &str) -> Result<()> {
                (**self).register(job).await
            }

            async fn state(&self, job: &str) -> Result<JobState> {
                (**self).state(job).await
            }

            async fn plan(&self, plan: &Plan) -> Result<bool> {
                (**self).plan(plan).await
            }

            async fn claim(&self, job: &str, terms: &ClaimTerms) -> Result<Option<Claim>> {
                (**self).claim(job, terms).await
            }

            async fn renew(&self, claim: &Claim, lease: Duration) -> Result<()> {
                (**self).renew(claim, lease).await
            }

            async fn settle(&self, claim: &Claim, end: &RunEnd) -> Result<()> {
                (**self).settle(claim, end).await
            }

            async fn pause(&self, job: &str) -> Result<()> {
                (**self).pause(job).await
            }

            async fn resume(&self, job: &str) -> Result<()> {
                (**self).resume(job).await
            }

            async fn history(&self, job: &str, limit: u32) -> Result<Vec<RunRecord>> {
                (**self).history(job, limit).await
            }

            async fn prune(&self, job: &str, keep: u32) -> Result<u64> {
                (**self).prune(job, keep).await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);
