//! What the user writes: the work, and when it is done.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::Result;
use crate::resilience::Backoff;
use crate::schedule::{Missed, Run, Schedule};

/// Does the work of a run; the [`Scheduler`](super::Scheduler) calls it.
///
/// A run may be begun more than once (the node can die between the work and its report), so make it idempotent: derive
/// what you write from [`Run::job`] and [`Run::due`], or refuse a lower [`Run::fence`] where you write. The future is dropped
/// when the lease is lost, when the job's time limit is over or when the drain ends.
#[async_trait]
pub trait ScheduledWork: Send + Sync {
    /// Does the work.
    ///
    /// # Errors
    ///
    /// Whatever went wrong; its retry class decides between another attempt and giving up. Its message is kept in the
    /// history, so it must not hold what a person wrote.
    async fn run(&self, run: &Run) -> Result<()>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<W: ScheduledWork + ?Sized> ScheduledWork for $pointer {
            async fn run(&self, run: &Run) -> Result<()> {
                (**self).run(run).await
            }
        }
    )+};
}

forward!(&W, Box<W>, Arc<W>);

/// A [`ScheduledWork`] made of a closure; see [`job_fn`].
#[derive(Clone, Copy)]
pub struct JobFn<F>(F);

impl<F> fmt::Debug for JobFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobFn")
    }
}

/// Makes a [`ScheduledWork`] of an async closure over the run.
///
/// ```
/// use pumasi_core::schedule::{Run, job_fn};
///
/// let work = job_fn(|run: Run| async move {
///     println!("{} was due at {}", run.job, run.due);
///     Ok(())
/// });
/// # let _ = work;
/// ```
pub fn job_fn<F, W>(work: F) -> JobFn<F>
where
    F: Fn(Run) -> W + Send + Sync,
    W: Future<Output = Result<()>> + Send,
{
    JobFn(work)
}

#[async_trait]
impl<F, W> ScheduledWork for JobFn<F>
where
    F: Fn(Run) -> W + Send + Sync,
    W: Future<Output = Result<()>> + Send,
{
    async fn run(&self, run: &Run) -> Result<()> {
        (self.0)(run.clone()).await
    }
}

/// A work with its name, its schedule and its rules.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use pumasi_core::schedule::{Job, Missed, Run, Schedule, job_fn};
///
/// let job = Job::new("weekly-ranking", Schedule::cron("0 2 * * MON", "Asia/Seoul")?, job_fn(|_: Run| async { Ok(()) }))
///     .with_missed(Missed::Skip { after: Duration::from_hours(6) })
///     .with_max_attempts(5)
///     .with_time_limit(Duration::from_hours(1));
/// assert_eq!(job.name(), "weekly-ranking");
/// # Ok::<(), pumasi_core::Error>(())
/// ```
pub struct Job {
    pub(super) name: Arc<str>,
    pub(super) schedule: Schedule,
    pub(super) work: Arc<dyn ScheduledWork>,
    pub(super) missed: Missed,
    pub(super) lease: Duration,
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    pub(super) jitter: Duration,
    pub(super) time_limit: Duration,
    pub(super) history: u32,
}

impl Job {
    /// Makes a job with a lease of 30 seconds, 5 attempts with a backoff from 1 second to 5 minutes, a day for an
    /// attempt, no jitter and 1,000 runs of history, which catches the last missed run up.
    ///
    /// The name identifies the job across nodes and restarts: 1 to 200 bytes.
    pub fn new(name: impl Into<String>, schedule: Schedule, work: impl ScheduledWork + 'static) -> Self {
        Self {
            name: name.into().into(),
            schedule,
            work: Arc::new(work),
            missed: Missed::default(),
            lease: Duration::from_secs(30),
            max_attempts: 5,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_mins(5)),
            jitter: Duration::ZERO,
            time_limit: Duration::from_hours(24),
            history: 1_000,
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets what becomes of missed runs (default: the last one is run).
    #[must_use]
    pub fn with_missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// Sets after how long without a sign of life another node begins the run again (default 30 seconds); it is renewed
    /// three times as often.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(10));
        self
    }

    /// Sets after how many attempts a run is given up (default 5; 0 counts as 1).
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Sets how long a run waits between attempts (default: 1 second doubling to 5 minutes, full jitter).
    ///
    /// An error that asks for a longer delay gets it.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets up to how much later than due a run begins, by chance (default: none), so that many jobs do not begin at once.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets how long one attempt may take before it counts as failed (default a day).
    #[must_use]
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets how many ended runs are kept (default 1,000).
    #[must_use]
    pub fn with_history(mut self, runs: u32) -> Self {
        self.history = runs;
        self
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("schedule", &self.schedule)
            .field("missed", &self.missed)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
