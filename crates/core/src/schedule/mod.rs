//! Work that is due: schedules that run once across nodes, and batch jobs that resume.
//!
//! A [`Schedule`] says when: a cron expression in a time zone, or a period. A [`Scheduler`] runs [`Job`]s by their schedules;
//! any number of nodes may run the same one over a shared [`ScheduleStore`], and each due run happens on one of them.
//!
//! | store | feature | shared by |
//! |---|---|---|
//! | [`MemorySchedule`] | `schedule` | the tasks of one process; the reference, and for tests |
//! | `SqliteSchedule` | `sqlite` | the processes of one machine |
//! | `PostgresSchedule` | `postgres` | every node that reaches the server, whose clock measures the leases |
//!
//! # What a run may rely on
//!
//! 1. **Once.** A due time is planned once, whichever nodes look; one node at a time works on a job, and a run that was
//!    reported done is not begun again.
//! 2. **At least once.** A run whose node dies or hangs is begun again when its lease ends, with its attempt counted.
//! 3. **Fenced.** Each attempt has a [`fence`](Run::fence) that is greater than all before it. What a node that lost its lease
//!    reports is refused; where it writes elsewhere, let that place keep the highest fence it has seen and refuse lower ones.
//! 4. **Missed runs follow a rule.** What came due while no node looked is caught up, up to a bound, or skipped, as
//!    [`Missed`] says, and the history tells of either.
//!
//! # Daylight saving time
//!
//! Expressions with a single second, minute and hour (`30 2 * * *`) run once a day: where the clock jumps over that time,
//! at the first moment after the gap; where it comes twice, at the first. Expressions with lists, ranges or steps among
//! these follow the clock on the wall: what lies in a gap does not run, and what comes twice runs twice. A
//! [period](Schedule::every) knows no clock changes.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod batch;
mod cron;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod database;
mod plan;
mod run;
mod runner;
mod store;

pub use cron::Schedule;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use database::database_error;
pub use plan::Missed;
pub use run::{Run, RunRecord, RunStatus};
pub use runner::{Job, JobFn, ScheduleStats, ScheduledWork, Scheduler, job_fn};
#[cfg(feature = "postgres")]
pub use store::PostgresSchedule;
#[cfg(feature = "sqlite")]
pub use store::SqliteSchedule;
pub use store::{
    Claim, ClaimTerms, JobState, MemorySchedule, MissedRuns, Plan, PlannedRun, RunEnd, ScheduleStore,
};
