//! The runner of jobs.

mod job;
mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use job::{Job, JobFn, ScheduledWork, job_fn};
use tokio::task::JoinSet;
use turn::{Turn, Worker};

use super::ScheduleStore;
use crate::event::Shutdown;
use crate::resilience::{Backoff, Random};
use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

/// Runs [`Job`]s by their schedules until it is told to stop.
///
/// - Every node runs one over the same [`ScheduleStore`]; each due run happens on one of them. A job's runs go one after the
///   other, from the oldest, on whichever node is free; different jobs run at the same time.
/// - While a run is at work its lease is renewed from a task of its own. If the lease is lost, the work is dropped; what
///   this node reports afterwards is refused.
/// - A failed attempt is put off with a backoff, up to the job's attempts, if its error may be retried; a panic is an attempt
///   that failed.
/// - On [`Shutdown`] nothing more is begun. What runs is finished within the [drain limit](Self::with_drain_limit); the rest
///   is given back at once, with its attempt uncounted.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use pumasi_core::event::Shutdown;
/// use pumasi_core::schedule::{Job, MemorySchedule, Run, RunStatus, Schedule, ScheduleStore, Scheduler, job_fn};
///
/// let store = Arc::new(MemorySchedule::new());
/// let shutdown = Shutdown::new();
/// let done = shutdown.clone();
/// let work = job_fn(move |run: Run| {
///     assert_eq!((run.attempt, run.fence), (1, 1));
///     done.trigger();
///     async { Ok(()) }
/// });
/// // In a service: Schedule::cron("0 2 * * MON", "Asia/Seoul")?
/// let job = Job::new("weekly-ranking", Schedule::every(Duration::from_millis(50)), work);
/// let stats = Scheduler::new(Arc::clone(&store)).with_job(job).run(shutdown).await?;
/// assert_eq!(stats.done, 1);
/// assert_eq!(store.history("weekly-ranking", 10).await?[0].status, RunStatus::Done);
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Scheduler {
    store: Arc<dyn ScheduleStore>,
    jobs: Vec<Job>,
    clock: Arc<dyn Clock>,
    random: Random,
    poll: Duration,
    drain_limit: Duration,
}

impl Scheduler {
    /// Makes a scheduler without jobs that looks every second and drains for 30 seconds.
    pub fn new(store: impl ScheduleStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            jobs: Vec::new(),
            clock: Arc::new(SystemClock),
            random: Random::system(),
            poll: Duration::from_secs(1),
            drain_limit: Duration::from_secs(30),
        }
    }

    /// Adds a job.
    #[must_use]
    pub fn with_job(mut self, job: Job) -> Self {
        self.jobs.push(job);
        self
    }

    /// Sets how often each job is looked at (default every second): how soon a run is begun that another node dropped or
    /// put off, and a pause is noticed. A due time of the node's own schedule needs no poll.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    /// Sets how long runs may go on after the shutdown signal (default 30 seconds).
    #[must_use]
    pub fn with_drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Sets the clock by which it waits (default: the machine's). What is due is decided by the store's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where jitter comes from (default: the system).
    #[must_use]
    pub fn with_random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// Works until `shutdown` is triggered, then drains, and returns what this node counted.
    ///
    /// A store that fails for the moment is asked again, with a backoff; dropping the future stops at once, and what was at
    /// work is begun again when its lease ends.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if two jobs have one name or a name breaks the rules; the store's error, if its retry class says
    /// never. What was at work is drained first.
    pub async fn run(self, shutdown: Shutdown) -> Result<ScheduleStats> {
        let mut names: Vec<&str> = self.jobs.iter().map(Job::name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            let name = pair.first().copied().unwrap_or_default();
            return Err(Error::new(ErrorKind::InvalidInput, format!("two jobs are called \"{name}\"")));
        }
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        // One job's failure ends the others in order, and so does the caller's signal.
        let stop = Shutdown::new();
        for job in self.jobs {
            let worker = Worker {
                store: Arc::clone(&self.store),
                clock: Arc::clone(&self.clock),
                random: self.random.clone(),
                drain_limit: self.drain_limit,
                counts: Arc::clone(&counts),
                stop: stop.clone(),
                job,
            };
            tasks.spawn(work(worker, self.poll));
        }
        let mut ended = Ok(());
        let mut told = false;
        loop {
            tokio::select! {
                () = shutdown.triggered(), if !told => {
                    told = true;
                    stop.trigger();
                }
                next = tasks.join_next() => match next {
                    None if told => break,
                    // No jobs, or none that is left: wait to be told.
                    None => {
                        shutdown.triggered().await;
                        break;
                    }
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => {
                        stop.trigger();
                        told = true;
                        ended = ended.and(Err(error));
                    }
                    Some(Err(_)) => {
                        stop.trigger();
                        told = true;
                        ended = ended.and(Err(Error::new(ErrorKind::Other, "a task of the scheduler ended by itself")));
                    }
                },
            }
        }
        ended.map(|()| counts.read())
    }
}

/// Looks at one job again and again.
async fn work(worker: Worker, poll: Duration) -> Result<()> {
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    let mut failures = 0;
    let mut registered = false;
    while !worker.stop.is_triggered() {
        let turn = async {
            if !registered {
                worker.store.register(worker.job.name()).await?;
                registered = true;
            }
            worker.turn().await
        };
        let wait = match turn.await {
            Ok(Turn::Worked) => {
                failures = 0;
                continue;
            }
            Ok(Turn::Idle { next }) => {
                failures = 0;
                next.map_or(poll, |next| next.min(poll))
            }
            Err(error) if error.retry().is_retryable() => {
                failures += 1;
                tracing::warn!(error = %error, job = worker.job.name(), failures, "the schedule's store failed");
                backoff.delay(failures, &worker.random)
            }
            Err(error) => return Err(error),
        };
        tokio::select! {
            () = worker.stop.triggered() => {}
            () = worker.clock.sleep(wait) => {}
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
    released: AtomicU64,
}

impl Counts {
    fn read(&self) -> ScheduleStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ScheduleStats {
            done: read(&self.done),
            retried: read(&self.retried),
            failed: read(&self.failed),
            lost: read(&self.lost),
            released: read(&self.released),
        }
    }
}

/// What one node's scheduler has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleStats {
    /// Runs done and settled.
    pub done: u64,
    /// Attempts that failed and were put off.
    pub retried: u64,
    /// Runs given up.
    pub failed: u64,
    /// Attempts whose lease was lost, or which could not be settled.
    pub lost: u64,
    /// Attempts given back unfinished at the end of the drain.
    pub released: u64,
}
