//! Nodes that share a store.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use pumasi_core::event::Shutdown;
use pumasi_core::resilience::{Backoff, Random};
use pumasi_core::schedule::{
    Job, MemorySchedule, Missed, Run, RunStatus, Schedule, ScheduleStore, Scheduler, SqliteSchedule, job_fn,
};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};

use super::*;

const ALL: Missed = Missed::CatchUp { at_most: NonZeroU32::new(500).unwrap() };

/// Turns the clock by `time` in steps, and after each waits until the nodes have done what is due.
async fn turn(clock: &ManualClock, time: Duration, step: Duration, caught_up: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(3);
    let mut turned = Duration::ZERO;
    while turned < time {
        clock.advance(step);
        turned += step;
        let mut waited = 0;
        while !caught_up().await {
            assert!(Instant::now() < deadline, "the nodes do not catch up after {turned:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
            waited += 1;
            // A node that went to sleep just after the step.
            if waited % 50 == 0 {
                clock.advance(Duration::from_secs(1));
            }
        }
    }
}

/// Whether nothing of the job is left to do at the store's time.
async fn caught_up(store: &dyn ScheduleStore, job: &str, schedule: &Schedule) -> bool {
    let Ok(state) = store.state(job).await else { return false };
    state.claimable.is_none() && schedule.next_after(state.cursor).is_none_or(|next| next > state.now)
}

/// How often each run was done, and by which node.
type Effects = Arc<Mutex<BTreeMap<Timestamp, Vec<usize>>>>;

fn node(
    number: usize,
    store: Arc<dyn ScheduleStore>,
    clock: Arc<ManualClock>,
    effects: Effects,
    schedule: &Schedule,
    lease: Duration,
    shutdown: Shutdown,
) -> tokio::task::JoinHandle<Result<pumasi_core::schedule::ScheduleStats>> {
    let work = job_fn(move |run: Run| {
        let effects = Arc::clone(&effects);
        async move {
            // Some attempts fail, some panic, and each takes a moment in which the other node looks.
            let odd = run.due.as_micros() / 60_000_000;
            tokio::time::sleep(Duration::from_millis(1)).await;
            if odd % 7 == 3 && run.attempt == 1 {
                return Err(Error::new(ErrorKind::Unavailable, "not now"));
            }
            assert!(!(odd % 11 == 5 && run.attempt == 1), "a panic now and then");
            effects.lock().unwrap().entry(run.due).or_default().push(number);
            Ok(())
        }
    });
    let job = Job::new("every-minute", schedule.clone(), work)
        .with_missed(ALL)
        .with_lease(lease)
        .with_backoff(Backoff::constant(Duration::from_secs(2)));
    let scheduler = Scheduler::new(store).with_job(job).with_clock(clock).with_random(Random::seeded(1));
    tokio::spawn(scheduler.run(shutdown))
}

/// Two nodes race over some hours; every due run is done once, and by either.
async fn race(backend: &str, stores: [Arc<dyn ScheduleStore>; 2], clock: ManualClock) {
    let begun = Instant::now();
    let schedule = Schedule::cron("* * * * *", "America/New_York").unwrap();
    let effects = Effects::default();
    let shutdown = Shutdown::new();
    let start = clock.now();
    let [one, other] = &stores;
    let nodes = [one, other].map(|store| {
        let number = usize::from(Arc::ptr_eq(store, other));
        node(
            number,
            Arc::clone(store),
            Arc::new(clock.clone()),
            Arc::clone(&effects),
            &schedule,
            // The clock goes on while a busy machine writes: no lease ends by that.
            Duration::from_hours(24),
            shutdown.clone(),
        )
    });
    let done = async || caught_up(&**one, "every-minute", &schedule).await;
    turn(&clock, Duration::from_hours(2), Duration::from_secs(20), done).await;
    shutdown.trigger();
    let mut all = 0;
    for node in nodes {
        all += node.await.unwrap().unwrap().done;
    }
    let state = one.state("every-minute").await.unwrap();
    let mut wanted = Vec::new();
    let mut next = schedule.next_after(start);
    while let Some(due) = next.filter(|due| *due <= state.cursor) {
        wanted.push(due);
        next = schedule.next_after(due);
    }
    assert!(wanted.len() >= 118, "{} runs", wanted.len());
    let effects = std::mem::take(&mut *effects.lock().unwrap());
    assert_eq!(effects.keys().copied().collect::<Vec<_>>(), wanted, "runs that were lost or invented");
    let doubled: Vec<_> = effects.iter().filter(|(_, by)| by.len() != 1).collect();
    assert!(doubled.is_empty(), "runs that were done twice: {doubled:?}");
    let history = one.history("every-minute", 1_000).await.unwrap();
    assert!(history.iter().all(|run| run.status == RunStatus::Done), "{history:?}");
    assert_eq!((history.len(), all), (wanted.len(), wanted.len() as u64));
    let by_other = effects.values().flatten().filter(|by| **by == 1).count();
    println!(
        "schedule on {backend}: two nodes over two hours of virtual time: {} due runs, each done once ({} and {by_other} by \
         node), 0 lost, 0 doubled ({:.1} s)",
        wanted.len(),
        wanted.len() - by_other,
        begun.elapsed().as_secs_f64()
    );
}

#[tokio::test]
async fn two_nodes_on_sqlite_do_each_due_run_once() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, shared) = clock();
    let mut stores: Vec<Arc<dyn ScheduleStore>> = Vec::new();
    for _ in 0..2 {
        let store = SqliteSchedule::new(sqlite(folder.path()).await).await.unwrap();
        stores.push(Arc::new(store.with_clock(shared.clone())));
    }
    race("sqlite", stores.try_into().unwrap(), clock).await;
}

#[cfg(all(feature = "postgres", feature = "conformance"))]
#[tokio::test]
async fn two_nodes_on_postgres_do_each_due_run_once() {
    use pumasi_core::schedule::PostgresSchedule;
    let Some(schema) = pumasi_core::conformance::PostgresSchema::new("two nodes on PostgreSQL").await else {
        return;
    };
    let (clock, shared) = clock();
    let mut stores: Vec<Arc<dyn ScheduleStore>> = Vec::new();
    for _ in 0..2 {
        let pool = sqlx::PgPool::connect_with(schema.options.clone()).await.unwrap();
        stores.push(Arc::new(PostgresSchedule::new(pool).await.unwrap().with_clock(shared.clone())));
    }
    race("postgres", stores.try_into().unwrap(), clock).await;
}

#[cfg(all(feature = "postgres", feature = "conformance"))]
#[tokio::test]
async fn leases_on_postgres_are_measured_by_the_servers_clock() {
    use pumasi_core::schedule::{ClaimTerms, Plan, PlannedRun, PostgresSchedule};
    let Some(schema) = pumasi_core::conformance::PostgresSchema::new("the server's clock").await else {
        return;
    };
    let store = PostgresSchedule::new(schema.pool.clone()).await.unwrap();
    store.register("job").await.unwrap();
    let state = store.state("job").await.unwrap();
    let (due, from) = (state.now, state.cursor);
    let runs = vec![PlannedRun { due, available: due }];
    let plan = Plan { job: "job".to_owned(), from, to: due, runs, missed: None, most_waiting: 9 };
    assert!(store.plan(&plan).await.unwrap());
    let terms = ClaimTerms { lease: Duration::from_secs(3), too_late: Timestamp::MIN };
    let first = store.claim("job", &terms).await.unwrap().unwrap();
    assert!(store.claim("job", &terms).await.unwrap().is_none());
    // The server's lease ends by itself; this process's clock plays no part.
    let claimed = loop {
        if let Some(claim) = store.claim("job", &terms).await.unwrap() {
            break claim;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((claimed.run.attempt, claimed.run.fence), (2, first.run.fence + 1));
}

#[tokio::test]
async fn a_node_that_vanishes_in_the_middle_of_its_runs_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, shared) = clock();
    let store = SqliteSchedule::new(sqlite(folder.path()).await).await.unwrap().with_clock(shared.clone());
    let store: Arc<dyn ScheduleStore> = Arc::new(store);
    let schedule = Schedule::every(Duration::from_mins(1));
    let (effects, shutdown) = (Effects::default(), Shutdown::new());
    let lease = Duration::from_secs(30);
    let start = |number| {
        let (store, effects) = (Arc::clone(&store), Arc::clone(&effects));
        node(number, store, shared.clone(), effects, &schedule, lease, shutdown.clone())
    };
    let (mut vanishing, staying) = (start(0), start(1));
    let done = async || caught_up(&*store, "every-minute", &schedule).await;
    for round in 0..10 {
        clock.advance(Duration::from_mins(2));
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..8))).await;
        vanishing.abort();
        vanishing = start(round + 2);
        turn(&clock, Duration::from_mins(2), Duration::from_secs(20), done).await;
    }
    shutdown.trigger();
    let _ = (vanishing.await, staying.await);
    let history = store.history("every-minute", 1_000).await.unwrap();
    assert!(history.iter().all(|run| run.status == RunStatus::Done && run.times == 1), "{history:?}");
    let mut due: Vec<_> = history.iter().map(|run| run.due).collect();
    due.reverse();
    assert!(due.len() >= 38, "{} runs", due.len());
    assert!(due.windows(2).all(|pair| schedule.next_after(pair[0]) == Some(pair[1])), "runs were lost");
    // The work may have been done twice where the node vanished between it and its report, and never by no one.
    let effects = effects.lock().unwrap();
    assert!(effects.keys().copied().eq(due));
    let again: usize = effects.values().map(|by| by.len() - 1).sum();
    assert!(again <= 10, "{again} runs were done again");
    println!(
        "schedule on sqlite: a node vanished 10 times: {} runs done, 0 lost, {again} done again",
        effects.len()
    );
}

/// One node on a store in memory.
struct Alone {
    clock: ManualClock,
    store: MemorySchedule,
    shutdown: Shutdown,
}

impl Alone {
    fn new() -> Self {
        let (clock, shared) = clock();
        Self { clock, store: MemorySchedule::with_clock(shared), shutdown: Shutdown::new() }
    }

    fn start(&self, job: Job) -> tokio::task::JoinHandle<Result<pumasi_core::schedule::ScheduleStats>> {
        let scheduler =
            Scheduler::new(self.store.clone()).with_job(job).with_clock(Arc::new(self.clock.clone()));
        tokio::spawn(scheduler.with_drain_limit(Duration::from_secs(5)).run(self.shutdown.clone()))
    }

    /// Lets time pass second by second.
    async fn pass(&self, seconds: u32) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn statuses(&self, job: &str) -> Vec<(RunStatus, u32)> {
        let history = self.store.history(job, 100).await.unwrap();
        history.iter().rev().map(|run| (run.status, run.attempts)).collect()
    }
}

fn minutely() -> Schedule {
    Schedule::every(Duration::from_mins(1))
}

#[tokio::test]
async fn a_failed_run_is_retried_with_a_delay_and_given_up_in_the_end() {
    let alone = Alone::new();
    let job = Job::new(
        "job",
        minutely(),
        job_fn(|_: Run| async { Err(Error::new(ErrorKind::Unavailable, "down")) }),
    )
    .with_max_attempts(3)
    .with_backoff(Backoff::constant(Duration::from_secs(5)));
    let node = alone.start(job);
    alone.pass(61).await;
    assert_eq!(alone.statuses("job").await, [(RunStatus::Waiting, 1)]);
    alone.pass(12).await;
    assert_eq!(alone.statuses("job").await, [(RunStatus::Failed, 3)]);
    let history = alone.store.history("job", 1).await.unwrap();
    assert_eq!(history[0].reason.as_ref().unwrap().kind, "unavailable");
    alone.shutdown.trigger();
    let stats = node.await.unwrap().unwrap();
    assert_eq!((stats.retried, stats.failed, stats.done), (2, 1, 0));
}

#[tokio::test]
async fn an_error_that_may_not_be_retried_ends_the_run_at_once() {
    let alone = Alone::new();
    let work = job_fn(|_: Run| async { Err(Error::new(ErrorKind::InvalidInput, "no such table")) });
    let node = alone.start(Job::new("job", minutely(), work));
    alone.pass(62).await;
    assert_eq!(alone.statuses("job").await, [(RunStatus::Failed, 1)]);
    alone.shutdown.trigger();
    node.await.unwrap().unwrap();
}

#[tokio::test]
async fn missed_runs_are_caught_up_or_skipped_by_rule_after_a_stop() {
    for (missed, wanted) in [
        (Missed::default(), vec![RunStatus::Skipped, RunStatus::Done]),
        (
            Missed::CatchUp { at_most: NonZeroU32::new(3).unwrap() },
            vec![RunStatus::Skipped, RunStatus::Done, RunStatus::Done, RunStatus::Done],
        ),
        (Missed::Skip { after: Duration::from_secs(30) }, vec![RunStatus::Skipped, RunStatus::Done]),
        (Missed::Skip { after: Duration::ZERO }, vec![RunStatus::Skipped]),
    ] {
        let alone = Alone::new();
        alone.store.register("job").await.unwrap();
        // Nobody is there for ten minutes and a bit.
        alone.clock.advance(Duration::from_secs(610));
        let node =
            alone.start(Job::new("job", minutely(), job_fn(|_: Run| async { Ok(()) })).with_missed(missed));
        alone.pass(3).await;
        let history = alone.store.history("job", 100).await.unwrap();
        assert_eq!(history.iter().rev().map(|run| run.status).collect::<Vec<_>>(), wanted, "{missed:?}");
        assert_eq!(
            history.iter().map(|run| run.times).sum::<u64>(),
            10,
            "due times accounted for: {missed:?}"
        );
        alone.shutdown.trigger();
        node.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_run_that_jitter_puts_off_is_not_late() {
    let alone = Alone::new();
    let job = Job::new("job", minutely(), job_fn(|_: Run| async { Ok(()) }))
        .with_jitter(Duration::from_secs(40))
        .with_missed(Missed::Skip { after: Duration::from_secs(5) });
    let node = alone.start(job);
    alone.pass(605).await;
    let statuses = alone.statuses("job").await;
    let done = statuses.iter().filter(|run| **run == (RunStatus::Done, 1)).count();
    assert!(done >= 9, "{statuses:?}");
    assert!(!statuses.iter().any(|(status, _)| *status == RunStatus::Skipped), "{statuses:?}");
    alone.shutdown.trigger();
    node.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_run_that_takes_longer_than_its_period_is_not_overlapped_and_its_lease_holds() {
    let alone = Alone::new();
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (now, highest, clock) = (Arc::clone(&running), Arc::clone(&most), alone.clock.clone());
    let work = move || {
        let (now, highest, clock) = (Arc::clone(&now), Arc::clone(&highest), clock.clone());
        job_fn(move |_: Run| {
            let (now, highest, sleep) =
                (Arc::clone(&now), Arc::clone(&highest), clock.sleep(Duration::from_secs(150)));
            async move {
                highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep.await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        })
    };
    let nodes =
        [0, 1].map(|_| alone.start(Job::new("job", minutely(), work()).with_lease(Duration::from_secs(10))));
    alone.pass(600).await;
    assert_eq!(most.load(Ordering::SeqCst), 1, "runs at the same time");
    let statuses = alone.statuses("job").await;
    assert!(statuses.iter().all(|(_, attempts)| *attempts <= 1), "a lease was lost: {statuses:?}");
    let done = statuses.iter().filter(|(status, _)| *status == RunStatus::Done).count();
    assert!((3..=4).contains(&done), "{done} runs done in ten minutes: {statuses:?}");
    alone.shutdown.trigger();
    alone.pass(6).await;
    for node in nodes {
        node.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_node_that_lost_its_lease_drops_its_work_and_cannot_report() {
    let alone = Alone::new();
    let hung = Arc::new(AtomicU32::new(0));
    let begun = Arc::clone(&hung);
    // Hangs at the first attempt.
    let work = job_fn(move |run: Run| {
        begun.fetch_add(1, Ordering::SeqCst);
        async move {
            if run.attempt == 1 {
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    let job = Job::new("job", minutely(), work).with_lease(Duration::from_secs(10));
    let node = alone.start(job);
    alone.pass(61).await;
    assert_eq!(alone.statuses("job").await, [(RunStatus::Running, 1)]);
    // The clock jumps past the lease before a heartbeat, and another node is quicker.
    alone.clock.advance(Duration::from_secs(11));
    let terms =
        pumasi_core::schedule::ClaimTerms { lease: Duration::from_secs(10), too_late: Timestamp::MIN };
    let stolen = alone.store.claim("job", &terms).await.unwrap().unwrap();
    alone.pass(2).await;
    alone.store.settle(&stolen, &pumasi_core::schedule::RunEnd::Done).await.unwrap();
    alone.pass(1).await;
    assert_eq!(alone.statuses("job").await[0], (RunStatus::Done, 2));
    assert_eq!(hung.load(Ordering::SeqCst), 1);
    alone.shutdown.trigger();
    assert_eq!(node.await.unwrap().unwrap().lost, 1);
}

#[tokio::test]
async fn a_run_past_its_time_limit_failed_and_one_past_the_drain_is_given_back() {
    let alone = Alone::new();
    let work = || job_fn(|_: Run| std::future::pending());
    let limited = alone.start(
        Job::new("limited", minutely(), work()).with_time_limit(Duration::from_secs(20)).with_max_attempts(1),
    );
    let drained = alone.start(Job::new("drained", minutely(), work()));
    alone.pass(85).await;
    assert_eq!(alone.statuses("limited").await, [(RunStatus::Failed, 1)]);
    let history = alone.store.history("limited", 1).await.unwrap();
    assert_eq!(history[0].reason.as_ref().unwrap().kind, "timeout");
    alone.shutdown.trigger();
    alone.pass(7).await;
    assert_eq!(drained.await.unwrap().unwrap().released, 1);
    assert_eq!(alone.statuses("drained").await, [(RunStatus::Waiting, 0)]);
    limited.await.unwrap().unwrap();
}

#[tokio::test]
async fn two_jobs_of_one_name_are_refused() {
    let job = || Job::new("job", minutely(), job_fn(|_: Run| async { Ok(()) }));
    let scheduler = Scheduler::new(MemorySchedule::new()).with_job(job()).with_job(job());
    let error = scheduler.run(Shutdown::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
