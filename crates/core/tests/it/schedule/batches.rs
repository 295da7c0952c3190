//! Batches that skip, fail, stop, resume and start each other.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use pumasi_core::event::{
    Consumer, Delivery, Envelope, EventBus, MemoryBus, Page, Shutdown, SqliteBus, Subscription, handler_fn,
};
use pumasi_core::resilience::Backoff;
use pumasi_core::schedule::batch::{
    Batch, BatchCompleted, BatchOutcome, BatchRun, ChunkJob, Entry, Parameters, StartOn,
};
use pumasi_core::schedule::{SqliteSchedule, database_error};
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::{Row, Sqlite, SqliteConnection};

use super::*;

/// The numbers from 1 to `count`, written to `effect`.
#[derive(Default)]
struct Numbers {
    count: i64,
    /// Processing these fails for good.
    bad: Vec<i64>,
    /// The database refuses these.
    refused: Vec<i64>,
    /// Processing this one fails this often for the moment.
    flaky: (i64, AtomicI64),
    /// After this one the batch is told to stop.
    stop: Option<(i64, Shutdown)>,
}

#[async_trait]
impl ChunkJob<Sqlite> for Numbers {
    type Item = i64;
    type Position = i64;
    type Output = i64;

    async fn read(
        &self,
        _: &BatchRun,
        after: Option<&i64>,
        limit: NonZeroUsize,
    ) -> Result<Vec<Entry<i64, i64>>> {
        let next = after.copied().unwrap_or(0) + 1;
        let numbers = (next..=self.count).take(limit.get());
        Ok(numbers.map(|number| Entry { position: number, item: number }).collect())
    }

    async fn process(&self, _: &BatchRun, number: &i64) -> Result<Option<i64>> {
        if self.bad.contains(number) {
            return Err(Error::new(ErrorKind::InvalidInput, "a bad item"));
        }
        if self.flaky.0 == *number && self.flaky.1.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(Error::new(ErrorKind::Unavailable, "not now"));
        }
        if let Some((at, stop)) = &self.stop
            && at == number
        {
            stop.trigger();
        }
        Ok(Some(*number))
    }

    async fn write(&self, run: &BatchRun, connection: &mut SqliteConnection, items: &[&i64]) -> Result<()> {
        for number in items {
            let value = if self.refused.contains(number) { None } else { Some(**number) };
            sqlx::query("INSERT INTO effect (job, month, n) VALUES ($1, $2, $3)")
                .bind(&run.job)
                .bind(&run.parameters["month"])
                .bind(value)
                .execute(&mut *connection)
                .await
                .map_err(|error| database_error("writing numbers", error))?;
        }
        Ok(())
    }
}

async fn table(folder: &std::path::Path) -> SqlitePool {
    let pool = sqlite(folder).await;
    sqlx::raw_sql("CREATE TABLE effect (job TEXT NOT NULL, month TEXT NOT NULL, n INTEGER NOT NULL)")
        .execute(&pool)
        .await
        .unwrap();
    pool
}

fn month(month: &str) -> Parameters {
    Parameters::from([("month".to_owned(), month.to_owned())])
}

async fn effects(pool: &SqlitePool, job: &str) -> Vec<i64> {
    let rows =
        sqlx::query("SELECT n FROM effect WHERE job = $1 ORDER BY rowid").bind(job).fetch_all(pool).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

fn batch(pool: &SqlitePool, job: Numbers) -> Batch<Sqlite, Numbers> {
    Batch::new("numbers", pool.clone(), job)
        .with_chunk(NonZeroUsize::new(10).unwrap())
        .with_backoff(Backoff::constant(Duration::from_millis(1)))
}

#[tokio::test]
async fn a_finished_run_is_not_run_again_and_other_parameters_are_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let pool = table(folder.path()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let batch = batch(&pool, Numbers { count: 25, ..Numbers::default() })
        .with_progress(move |run, progress| told.lock().unwrap().push((run.fence, progress.read)));
    let outcome = batch.run(&month("2026-10"), &Shutdown::new()).await.unwrap();
    assert!(
        matches!(&outcome, BatchOutcome::Completed(progress) if progress.written == 25 && progress.chunks == 3)
    );
    assert_eq!(*seen.lock().unwrap(), [(1, 10), (1, 20), (1, 25)]);
    let again = batch.run(&month("2026-10"), &Shutdown::new()).await.unwrap();
    assert!(matches!(again, BatchOutcome::AlreadyCompleted(_)));
    assert_eq!(effects(&pool, "numbers").await.len(), 25);
    assert!(batch.run(&month("2026-11"), &Shutdown::new()).await.unwrap().is_complete());
    assert_eq!(effects(&pool, "numbers").await.len(), 50);
}

#[tokio::test]
async fn bad_items_are_skipped_and_counted_wherever_they_fail_and_the_others_are_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let pool = table(folder.path()).await;
    let job = || Numbers {
        count: 40,
        bad: vec![3, 17],
        refused: vec![15, 40],
        flaky: (22, AtomicI64::new(2)),
        ..Numbers::default()
    };
    let outcome =
        batch(&pool, job()).with_max_skipped(4).run(&month("2026-10"), &Shutdown::new()).await.unwrap();
    let progress = outcome.progress();
    assert_eq!((progress.read, progress.written, progress.skipped, progress.retried), (40, 36, 4, 2));
    let kinds: Vec<_> =
        progress.skipped_by_kind.iter().map(|(kind, times)| (kind.as_str(), *times)).collect();
    assert_eq!(kinds, [("conflict", 2), ("invalid_input", 2)]);
    let wanted: Vec<i64> = (1..=40).filter(|number| ![3, 17, 15, 40].contains(number)).collect();
    assert_eq!(effects(&pool, "numbers").await, wanted);

    // One fewer may be skipped: the run fails, and resumes behind its last chunk when it may.
    let november = month("2026-11");
    sqlx::query("DELETE FROM effect").execute(&pool).await.unwrap();
    let error = batch(&pool, job()).with_max_skipped(3).run(&november, &Shutdown::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let status: (String, String) =
        sqlx::query_as("SELECT status, reason_kind FROM pumasi_batch_run WHERE parameters LIKE '%2026-11%'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(status, ("failed".to_owned(), "conflict".to_owned()));
    let outcome = batch(&pool, job()).with_max_skipped(4).run(&november, &Shutdown::new()).await.unwrap();
    assert_eq!((outcome.progress().starts, outcome.progress().skipped), (2, 4));
    assert_eq!(effects(&pool, "numbers").await, wanted);
}

#[tokio::test]
async fn a_run_that_is_told_to_stop_ends_behind_its_chunk_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let pool = table(folder.path()).await;
    let stop = Shutdown::new();
    let job = Numbers { count: 35, stop: Some((14, stop.clone())), ..Numbers::default() };
    let batch = batch(&pool, job);
    let outcome = batch.run(&month("2026-10"), &stop).await.unwrap();
    assert!(matches!(&outcome, BatchOutcome::Stopped(progress) if progress.written == 20), "{outcome:?}");
    let outcome = batch.run(&month("2026-10"), &Shutdown::new()).await.unwrap();
    assert!(
        matches!(&outcome, BatchOutcome::Completed(progress) if progress.written == 35 && progress.starts == 2)
    );
    assert!(effects(&pool, "numbers").await.into_iter().eq(1..=35));
}

/// Lets the lease end in the first attempt's second chunk.
struct Slow(Numbers, ManualClock);
#[async_trait]
impl ChunkJob<Sqlite> for Slow {
    type Item = i64;
    type Position = i64;
    type Output = i64;
    async fn read(
        &self,
        run: &BatchRun,
        after: Option<&i64>,
        limit: NonZeroUsize,
    ) -> Result<Vec<Entry<i64, i64>>> {
        self.0.read(run, after, limit).await
    }
    async fn process(&self, _: &BatchRun, number: &i64) -> Result<Option<i64>> {
        Ok(Some(*number))
    }
    async fn write(&self, run: &BatchRun, connection: &mut SqliteConnection, items: &[&i64]) -> Result<()> {
        if run.fence == 1 && *items[0] == 11 {
            // The lease ends while the transaction is open, and the other node waits for it.
            self.1.advance(Duration::from_secs(31));
        }
        self.0.write(run, connection, items).await
    }
}

/// Another node has the run, or this one could not renew its lease in time.
fn lost(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Unavailable)
}

#[tokio::test]
async fn a_run_is_with_one_node_and_one_whose_lease_ended_writes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let pool = table(folder.path()).await;
    let (clock, shared) = clock();
    let make = || {
        Batch::new("numbers", pool.clone(), Slow(Numbers { count: 30, ..Numbers::default() }, clock.clone()))
            .with_chunk(NonZeroUsize::new(10).unwrap())
            .with_clock(shared.clone())
    };
    let first = make();
    let second = make();
    let october = month("2026-10");
    let never = Shutdown::new();
    let ended = AtomicBool::new(false);
    let working = async {
        let one = first.run(&october, &never).await;
        ended.store(true, Ordering::SeqCst);
        one
    };
    let (one, other) = tokio::join!(working, async {
        // Until the first holds it, or has ended.
        loop {
            let begun: sqlx::Result<i64> =
                sqlx::query_scalar("SELECT count(*) FROM pumasi_batch_run").fetch_one(&pool).await;
            if matches!(begun, Ok(1)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        loop {
            match second.run(&october, &Shutdown::new()).await {
                Err(error) if error.retry().is_retryable() => {
                    assert!(lost(&error), "{error:?}");
                    // One that gave up while it held the lease leaves that to end with time.
                    if ended.load(Ordering::SeqCst) {
                        clock.advance(Duration::from_secs(1));
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                outcome => break outcome,
            }
        }
    });
    // Whichever finished it: each number is there once.
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    for outcome in [one, other] {
        match outcome {
            Ok(outcome) => assert!(outcome.is_complete()),
            Err(error) => assert!(lost(&error), "{error:?}"),
        }
    }
    assert!(effects(&pool, "numbers").await.into_iter().eq(1..=30));
}

/// Works on its first item while it holds the only connection, for longer than any lease.
struct Hogging(SqlitePool, ManualClock);

#[async_trait]
impl ChunkJob<Sqlite> for Hogging {
    type Item = i64;
    type Position = i64;
    type Output = i64;

    async fn read(&self, _: &BatchRun, _: Option<&i64>, _: NonZeroUsize) -> Result<Vec<Entry<i64, i64>>> {
        Ok(vec![Entry { position: 1, item: 1 }])
    }

    async fn process(&self, _: &BatchRun, _: &i64) -> Result<Option<i64>> {
        let _only = self.0.acquire().await;
        loop {
            self.1.advance(Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn write(&self, _: &BatchRun, _: &mut SqliteConnection, _: &[&i64]) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_run_whose_lease_cannot_be_renewed_ends_and_may_be_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        SqliteConnectOptions::new().filename(folder.path().join("service.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let (clock, shared) = clock();
    let hogging = Batch::new("numbers", pool.clone(), Hogging(pool.clone(), clock)).with_clock(shared);
    let (october, never) = (month("2026-10"), Shutdown::new());
    let ended = hogging.run(&october, &never);
    let error = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it went on").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.retry().is_retryable());
    sqlx::query("CREATE TABLE effect (job TEXT, month TEXT, n INTEGER)").execute(&pool).await.unwrap();
    let again = batch(&pool, Numbers { count: 3, ..Numbers::default() });
    assert!(again.run(&october, &never).await.unwrap().is_complete());
    assert_eq!(effects(&pool, "numbers").await, [1, 2, 3]);
}

#[tokio::test]
async fn a_completed_batch_starts_the_next_one_each_in_its_own_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let pool = table(folder.path()).await;
    let bus = SqliteBus::open(folder.path().join("service.db")).await.unwrap();
    let payments = Batch::new("payments", pool.clone(), Numbers { count: 12, ..Numbers::default() })
        .with_completion_within("batches", bus.clone());
    let members = Batch::new("members", pool.clone(), Numbers { count: 5, ..Numbers::default() })
        .with_completion_within("batches", bus.clone());
    let shutdown = Shutdown::new();
    let parameters = |completed: &BatchCompleted| completed.parameters.clone();
    let start = StartOn::new(Arc::new(members), "payments", parameters, Shutdown::new());
    let consumer = Consumer::new(bus.clone(), Subscription::new("members-batch", ["batches"]), start);
    let consumer = tokio::spawn(consumer.run(shutdown.clone()));
    for name in ["2026-10", "2026-11", "2026-10"] {
        assert!(payments.run(&month(name), &Shutdown::new()).await.unwrap().is_complete());
    }
    // The members' completions come through the same topic.
    let (done, seen) = (Shutdown::new(), Arc::new(Mutex::new(Vec::new())));
    let (signal, events) = (done.clone(), Arc::clone(&seen));
    let watch = handler_fn(move |delivery: Delivery| {
        let completed: BatchCompleted = delivery.event.payload().unwrap();
        let mut events = events.lock().unwrap();
        events.push((completed.job, completed.parameters["month"].clone()));
        if events.len() == 4 {
            signal.trigger();
        }
        async { Ok(()) }
    });
    let watching = Consumer::new(bus.clone(), Subscription::new("watch", ["batches"]), watch);
    tokio::time::timeout(Duration::from_secs(30), watching.run(done)).await.unwrap().unwrap();
    let mut events = seen.lock().unwrap().clone();
    events.sort();
    let wanted =
        [("members", "2026-10"), ("members", "2026-11"), ("payments", "2026-10"), ("payments", "2026-11")];
    assert_eq!(events, wanted.map(|(job, month)| (job.to_owned(), month.to_owned())));
    assert_eq!((effects(&pool, "payments").await.len(), effects(&pool, "members").await.len()), (24, 10));
    shutdown.trigger();
    consumer.await.unwrap().unwrap();
    assert!(bus.dead_letters("members-batch", Page::default()).await.unwrap().is_empty());
}

/// A bus that is down at first, and then slow.
#[derive(Debug)]
struct Down(MemoryBus, AtomicI64, Duration);

#[async_trait]
impl EventBus for Down {
    fn capabilities(&self) -> pumasi_core::event::BusCapabilities {
        self.0.capabilities()
    }
    async fn publish(&self, events: &[Envelope]) -> Result<pumasi_core::event::Published> {
        if self.1.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(Error::new(ErrorKind::Unavailable, "the bus is down"));
        }
        tokio::time::sleep(self.2).await;
        self.0.publish(events).await
    }
    async fn subscribe(
        &self,
        subscription: &Subscription,
    ) -> Result<Arc<dyn pumasi_core::event::Subscriber>> {
        self.0.subscribe(subscription).await
    }
    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<pumasi_core::event::DeadLetter>> {
        self.0.dead_letters(group, page).await
    }
    async fn replay(&self, group: &str, ids: &[pumasi_core::event::EventId]) -> Result<usize> {
        self.0.replay(group, ids).await
    }
}

#[tokio::test]
async fn a_completion_that_could_not_be_published_is_published_by_running_again() {
    let folder = tempfile::tempdir().unwrap();
    let pool = table(folder.path()).await;
    let bus = Arc::new(Down(MemoryBus::new(), AtomicI64::new(1), Duration::ZERO));
    let batch = batch(&pool, Numbers { count: 5, ..Numbers::default() })
        .with_completion_after("batches", Arc::clone(&bus));
    let error = batch.run(&month("2026-10"), &Shutdown::new()).await.unwrap_err();
    assert!(error.retry().is_retryable());
    for _ in 0..3 {
        assert!(matches!(
            batch.run(&month("2026-10"), &Shutdown::new()).await.unwrap(),
            BatchOutcome::AlreadyCompleted(_)
        ));
    }
    let member = bus.subscribe(&Subscription::new("watch", ["batches"])).await.unwrap();
    let taken = member.fetch(NonZeroUsize::new(10).unwrap(), Duration::ZERO).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].event.payload::<BatchCompleted>().unwrap().progress.written, 5);
    assert_eq!(effects(&pool, "numbers").await.len(), 5);
}

#[tokio::test]
async fn a_completion_may_take_longer_to_publish_than_the_lease_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let pool = table(folder.path()).await;
    let bus = Arc::new(Down(MemoryBus::new(), AtomicI64::new(0), Duration::from_millis(4_500)));
    let batch = batch(&pool, Numbers { count: 5, ..Numbers::default() })
        .with_lease(Duration::from_secs(2))
        .with_completion_after("batches", Arc::clone(&bus));
    let outcome = batch.run(&month("2026-10"), &Shutdown::new()).await.unwrap();
    assert!(matches!(outcome, BatchOutcome::Completed(_)));
    let again = batch.run(&month("2026-10"), &Shutdown::new()).await.unwrap();
    assert!(matches!(again, BatchOutcome::AlreadyCompleted(_)));
    let member = bus.subscribe(&Subscription::new("watch", ["batches"])).await.unwrap();
    assert_eq!(member.fetch(NonZeroUsize::new(10).unwrap(), Duration::ZERO).await.unwrap().len(), 1);
}

#[tokio::test]
async fn tables_without_a_version_get_one_and_those_of_a_newer_program_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pool = table(folder.path()).await;
    let run = async || {
        let batch = batch(&pool, Numbers { count: 3, ..Numbers::default() });
        batch.run(&month("2026-11"), &Shutdown::new()).await.map(|_| ())
    };
    let schedule = async || SqliteSchedule::new(pool.clone()).await.map(|_| ());
    for (component, open) in [("schedule", true), ("batch", false)] {
        let open = async || if open { schedule().await } else { run().await };
        let tell = async |statement: &str| {
            let statement = sqlx::AssertSqlSafe(statement.replace('?', component));
            sqlx::raw_sql(statement).fetch_optional(&pool).await.unwrap().map(|row| row.get::<i64, _>(0))
        };
        open().await.unwrap();
        assert_eq!(tell("SELECT version FROM pumasi_?_schema").await, Some(1));
        // As it was before there were versions: the rows are there, and the number is not.
        tell("DROP TABLE pumasi_?_schema").await;
        open().await.unwrap();
        assert_eq!(tell("SELECT count(*) FROM pumasi_?_schema WHERE version = 1").await, Some(1));
        tell("UPDATE pumasi_?_schema SET version = 99").await;
        let error = open().await.unwrap_err();
        assert_eq!((error.kind(), error.retry().is_retryable()), (ErrorKind::Unsupported, false), "{error}");
    }
}
