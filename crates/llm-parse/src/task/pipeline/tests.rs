use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[cfg(feature = "postgres")]
use pumasi_core::conformance::PostgresSchema;
use pumasi_core::event::{MemoryBus, Page, Receipt, Shutdown};
use pumasi_core::time::Timestamp;

use super::*;
use crate::extract::{AskMode, Attempt, AttemptKind, ExtractErrorKind};
use crate::task::{PostKind, RuleTaskExtractor};

/// Fails as told before it answers.
#[derive(Debug)]
struct Failing {
    kind: ExtractErrorKind,
    times: u32,
    calls: AtomicU32,
    tokens: u64,
}

impl Failing {
    fn new(kind: ExtractErrorKind, times: u32) -> Arc<Self> {
        Arc::new(Self { kind, times, calls: AtomicU32::new(0), tokens: 20 })
    }

    fn at_no_cost(kind: ExtractErrorKind, times: u32) -> Arc<Self> {
        Arc::new(Self { kind, times, calls: AtomicU32::new(0), tokens: 0 })
    }
}

#[async_trait]
impl ExtractTasks for Failing {
    fn version(&self) -> &'static str {
        "failing"
    }

    async fn extract_tasks(&self, post: &Post) -> crate::extract::Result<Extraction<Vec<Task>>> {
        if self.calls.fetch_add(1, Ordering::Relaxed) < self.times {
            let mut attempt = Attempt::new(AttemptKind::Ask, AskMode::Text, "failing");
            attempt.usage = Usage::new(self.tokens, self.tokens.min(3));
            return Err(ExtractError::new(self.kind, "as told").with_attempts(vec![attempt]));
        }
        RuleTaskExtractor::new().extract_tasks(post).await
    }
}

pub(super) struct Bench {
    pub(super) bus: Arc<MemoryBus>,
    pub(super) store: Arc<MemoryTaskStore>,
    pub(super) pipeline: TaskPipeline,
}

fn bench(extractor: Arc<dyn ExtractTasks>) -> Bench {
    let (bus, store) = (Arc::new(MemoryBus::new()), Arc::new(MemoryTaskStore::new()));
    let pipeline = TaskPipeline::new(bus.clone(), store.clone(), extractor).with_max_attempts(3);
    Bench { bus, store, pipeline }
}

pub(super) fn rules() -> Bench {
    bench(Arc::new(RuleTaskExtractor::new()))
}

pub(super) fn post(body: &str) -> Post {
    Post::new("p", PostKind::Question, body)
}

fn delivery(event: Envelope, attempt: u32) -> Delivery {
    let receipt =
        Receipt { topic: "posts".into(), key: event.key.clone().into(), position: 0, fence: 0, attempt };
    Delivery::new(Arc::new(event), receipt)
}

impl Bench {
    async fn handle(&self, event: &Envelope, attempt: u32) -> Result<()> {
        self.pipeline.handle(&delivery(event.clone(), attempt)).await
    }

    pub(super) fn event(body: &str, version: u64) -> Envelope {
        let state = if version <= 1 { State::Created } else { State::Updated };
        TaskPipeline::event("p", state, version, 0).with_payload(&post(body)).unwrap()
    }

    async fn record(&self) -> TaskRecord {
        self.store.get("p").await.unwrap().unwrap()
    }

    async fn published(&self) -> Vec<(u64, TaskEvent)> {
        let subscriber =
            self.bus.subscribe(&Subscription::new("reader", [TaskPipeline::TASKS])).await.unwrap();
        let mut all = Vec::new();
        loop {
            let batch = subscriber
                .fetch(std::num::NonZeroUsize::MIN.saturating_add(63), Duration::ZERO)
                .await
                .unwrap();
            if batch.is_empty() {
                return all;
            }
            for delivery in batch {
                all.push((delivery.event.version, delivery.event.payload().unwrap()));
                subscriber.settle(&delivery.receipt, pumasi_core::event::Settlement::Ack).await.unwrap();
            }
        }
    }
}

pub(super) const WISH: &str = "스페인어를 배우고 싶습니다.";

#[tokio::test]
async fn a_doubled_event_is_announced_once() {
    let bench = rules();
    let event = Bench::event(WISH, 1);
    bench.handle(&event, 1).await.unwrap();
    bench.handle(&event, 2).await.unwrap();
    assert_eq!(bench.published().await.len(), 1);
    assert_eq!(bench.record().await.tasks.len(), 1);
}

#[tokio::test]
async fn an_older_version_that_comes_late_changes_nothing() {
    let bench = rules();
    bench.handle(&Bench::event("기타를 배우고 싶습니다. 피아노도 배우고 싶습니다.", 2), 1).await.unwrap();
    bench.handle(&Bench::event(WISH, 1), 1).await.unwrap();
    assert_eq!((bench.record().await.version, bench.record().await.tasks.len()), (2, 2));
    assert_eq!(bench.published().await.len(), 1);
}

#[tokio::test]
async fn a_deleted_post_leaves_neither_text_nor_tasks_and_does_not_come_back() {
    let bench = rules();
    bench.handle(&Bench::event(WISH, 1), 1).await.unwrap();
    bench.handle(&TaskPipeline::event("p", State::Deleted, 2, 0), 1).await.unwrap();
    bench.handle(&Bench::event(WISH, 1), 2).await.unwrap();
    let record = bench.record().await;
    assert_eq!((record.state, record.post, record.tasks.len()), (TaskState::Withdrawn, None, 0));
    assert!(matches!(bench.published().await.last(), Some((2, TaskEvent::TasksWithdrawn))));
}

#[tokio::test]
async fn a_passing_failure_comes_back_and_a_lasting_one_is_announced() {
    let bench = bench(Failing::new(ExtractErrorKind::Timeout, 2));
    let event = Bench::event(WISH, 1);
    assert!(bench.handle(&event, 1).await.unwrap_err().retry().is_retryable());
    assert!(bench.handle(&event, 2).await.is_err());
    bench.handle(&event, 3).await.unwrap();
    assert_eq!(bench.record().await.state, TaskState::Extracted);

    let bench = self::bench(Failing::new(ExtractErrorKind::Refused, 1));
    bench.handle(&Bench::event(WISH, 1), 1).await.unwrap();
    let record = bench.record().await;
    let failure = record.failure.unwrap();
    assert_eq!((record.state, failure.reason.as_str()), (TaskState::Failed, "refused"));
    assert_eq!(failure.retry.as_deref(), Some("never"));
    assert!(failure.message.is_some_and(|message| !message.is_empty()));
    assert!(matches!(bench.published().await.as_slice(), [(1, TaskEvent::ExtractionFailed { .. })]));
}

#[tokio::test]
async fn a_model_that_is_down_uses_up_no_attempts_for_as_long_as_there_is_patience() {
    use ExtractErrorKind::{RateLimited, Timeout, Unauthorized, Unavailable};
    for kind in [Unavailable, Timeout, RateLimited, Unauthorized] {
        let bench = bench(Failing::at_no_cost(kind, 20));
        let event = Bench::event(WISH, 1);
        for attempt in 1..=20 {
            assert!(bench.handle(&event, attempt).await.unwrap_err().retry().is_retryable(), "{kind}");
            let record = bench.record().await;
            assert_eq!(
                (record.attempts, record.spared, record.state),
                (attempt, attempt, TaskState::Pending)
            );
        }
        bench.handle(&event, 21).await.unwrap();
        assert_eq!(bench.record().await.state, TaskState::Extracted);
    }
    let mut bench = bench(Failing::at_no_cost(Unavailable, u32::MAX));
    let mut event = Bench::event(WISH, 1);
    bench.handle(&event, 1).await.unwrap_err();
    let day_ago = event.occurred_at.as_micros() - 24 * 3_600_000_000;
    event.occurred_at = Timestamp::from_micros(day_ago);
    for attempt in 2..=3 {
        bench.handle(&event, attempt).await.unwrap_err();
    }
    bench.handle(&event, 4).await.unwrap();
    let failure = bench.record().await.failure.unwrap();
    assert_eq!((failure.reason.as_str(), failure.attempts), ("unavailable", 4));
    bench.pipeline = bench.pipeline.with_patience(Duration::ZERO).with_max_attempts(1);
    bench.handle(&Bench::event(WISH, 2), 1).await.unwrap();
    assert_eq!(bench.record().await.state, TaskState::Failed);
}

#[tokio::test]
async fn tasks_that_are_known_to_be_incomplete_are_not_announced_as_the_posts() {
    #[derive(Debug)]
    struct CutShort;
    #[async_trait]
    impl ExtractTasks for CutShort {
        fn version(&self) -> &'static str {
            "cut-short"
        }

        async fn extract_tasks(&self, post: &Post) -> crate::extract::Result<Extraction<Vec<Task>>> {
            let found = RuleTaskExtractor::new().extract_tasks(post).await?;
            Ok(found.with_incomplete(ExtractErrorKind::BudgetExhausted))
        }
    }
    let bench = bench(Arc::new(CutShort));
    bench.handle(&Bench::event(WISH, 1), 1).await.unwrap();
    let record = bench.record().await;
    assert_eq!((record.state, record.tasks.len()), (TaskState::Failed, 0));
    assert_eq!(record.failure.unwrap().reason, "budget_exhausted");
    assert!(matches!(bench.published().await.as_slice(), [(1, TaskEvent::ExtractionFailed { .. })]));
    bench.pipeline.retry("p", None).await.unwrap();
}

#[tokio::test]
async fn a_failed_post_can_be_tried_anew_and_its_old_event_stays_stale() {
    let bench = bench(Failing::new(ExtractErrorKind::Refused, 1));
    let event = Bench::event(WISH, 1);
    bench.handle(&event, 1).await.unwrap();
    assert_eq!(bench.pipeline.retry("q", None).await.unwrap_err().kind(), ErrorKind::NotFound);
    bench.pipeline.retry("p", None).await.unwrap();
    assert_eq!(bench.record().await.state, TaskState::Pending);
    bench.handle(&event, 2).await.unwrap();
    assert_eq!(bench.record().await.state, TaskState::Pending);
    let again = TaskPipeline::event("p", State::Updated, 1, 1).with_payload(&post(WISH)).unwrap();
    bench.handle(&again, 1).await.unwrap();
    assert_eq!(bench.record().await.state, TaskState::Extracted);
    assert_eq!(bench.pipeline.retry("p", None).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_post_that_ends_every_attempt_is_recorded_without_being_touched() {
    let extractor = Failing::new(ExtractErrorKind::Timeout, u32::MAX);
    let bench = bench(extractor.clone());
    let event = Bench::event(WISH, 1);
    for _ in 0..3 {
        // What a process that ends in the middle of an attempt leaves behind.
        let attempts = bench.store.get("p").await.unwrap().map_or(0, |record| record.attempts);
        let mut begun = TaskRecord::pending(post(WISH), 1, 0, event.id);
        begun.attempts = attempts + 1;
        bench.store.put(begun).await.unwrap();
    }
    bench.handle(&event, 4).await.unwrap();
    let failure = bench.record().await.failure.unwrap();
    assert_eq!((failure.reason.as_str(), failure.attempts), ("attempts", 3));
    assert_eq!(extractor.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn what_every_attempt_at_a_version_used_is_counted() {
    let bench = bench(Failing::new(ExtractErrorKind::Timeout, 4));
    let event = Bench::event(WISH, 1);
    for attempt in 1..=2_u32 {
        bench.handle(&event, attempt).await.unwrap_err();
        let spent = u64::from(attempt) * 23;
        assert_eq!(
            (bench.record().await.state, bench.record().await.usage.total_tokens()),
            (TaskState::Pending, spent)
        );
    }
    bench.handle(&event, 3).await.unwrap();
    assert_eq!(bench.record().await.failure.unwrap().usage, Usage::new(60, 9));
    bench.pipeline.retry("p", None).await.unwrap();
    let again = TaskPipeline::event("p", State::Updated, 1, 1).with_payload(&post(WISH)).unwrap();
    bench.handle(&again, 1).await.unwrap_err();
    bench.handle(&again, 2).await.unwrap();
    let record = bench.record().await;
    assert_eq!((record.state, record.usage), (TaskState::Extracted, Usage::new(80, 12)));
    bench.handle(&Bench::event(WISH, 2), 1).await.unwrap();
    assert_eq!(bench.record().await.usage, Usage::default(), "another version has its own");
}

#[tokio::test]
async fn only_attempts_at_the_tasks_count_however_often_the_event_was_handed_out() {
    let bench = rules();
    bench.handle(&Bench::event(WISH, 1), 4_000).await.unwrap();
    assert_eq!((bench.record().await.state, bench.record().await.attempts), (TaskState::Extracted, 1));
}

/// Hangs until it is told to answer.
#[derive(Debug, Default)]
struct Slow {
    answers: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl ExtractTasks for Slow {
    fn version(&self) -> &'static str {
        "slow"
    }

    async fn extract_tasks(&self, post: &Post) -> crate::extract::Result<Extraction<Vec<Task>>> {
        if !self.answers.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        RuleTaskExtractor::new().extract_tasks(post).await
    }
}

#[tokio::test(start_paused = true)]
async fn stops_of_the_service_use_up_no_attempts() {
    let extractor = Arc::new(Slow::default());
    let (bus, store) = (Arc::new(MemoryBus::new()), Arc::new(MemoryTaskStore::new()));
    let pipeline = TaskPipeline::new(bus, store.clone(), extractor.clone()).with_max_attempts(2);
    pipeline.submit(post(WISH), 1, None).await.unwrap();
    for stop in 0..6 {
        extractor.answers.store(stop == 5, Ordering::Relaxed);
        let shutdown = Shutdown::new();
        let worker = tokio::spawn(pipeline.consumer().run(shutdown.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        shutdown.trigger();
        worker.await.unwrap().unwrap();
    }
    let record = store.get("p").await.unwrap().unwrap();
    assert_eq!((record.state, record.attempts), (TaskState::Extracted, 1));
}

#[tokio::test]
async fn a_deletion_that_was_accepted_shows_at_once_and_leaves_an_edit_no_version_to_be_lost_under() {
    let bench = rules();
    bench.pipeline.submit(post(WISH), 1, None).await.unwrap();
    bench.pipeline.withdraw("p", 2, None).await.unwrap();
    let record = bench.record().await;
    assert_eq!((record.state, record.version, record.post), (TaskState::Withdrawing, 2, None));
    let edit = bench.pipeline.submit(post("피아노를 배우고 싶습니다."), 2, None).await.unwrap_err();
    assert_eq!(edit.kind(), ErrorKind::Conflict);
    bench.pipeline.withdraw("p", 2, None).await.unwrap();

    bench.pipeline.submit(post(WISH), 3, None).await.unwrap();
    assert_eq!(bench.pipeline.withdraw("p", 3, None).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(bench.record().await.state, TaskState::Pending);
}

#[tokio::test]
async fn an_attempt_under_way_does_not_bring_a_deleted_post_back() {
    let bench = rules();
    let event = Bench::event(WISH, 1);
    bench.pipeline.submit(post(WISH), 1, None).await.unwrap();
    bench.pipeline.withdraw("p", 2, None).await.unwrap();
    bench.handle(&event, 1).await.unwrap();
    assert!(bench.published().await.is_empty());
    bench.handle(&TaskPipeline::event("p", State::Deleted, 2, 0), 1).await.unwrap();
    assert_eq!(bench.record().await.state, TaskState::Withdrawn);
    assert!(matches!(bench.published().await.as_slice(), [(2, TaskEvent::TasksWithdrawn)]));
}

/// A store that fails for good until it is mended.
#[derive(Debug, Default)]
struct Broken {
    inner: MemoryTaskStore,
    mended: std::sync::atomic::AtomicBool,
}

impl Broken {
    fn check(&self) -> Result<()> {
        if self.mended.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Storage, "damaged").with_retry(Retry::Never))
    }
}

#[async_trait]
impl TaskStore for Broken {
    async fn put(&self, record: TaskRecord) -> Result<TaskRecord> {
        self.check()?;
        self.inner.put(record).await
    }

    async fn get(&self, post_id: &str) -> Result<Option<TaskRecord>> {
        self.check()?;
        self.inner.get(post_id).await
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>> {
        self.check()?;
        self.inner.list(query).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_puts_posts_off_and_none_aside_however_long_it_takes() {
    let (bus, store) = (Arc::new(MemoryBus::new()), Arc::new(Broken::default()));
    let pipeline = TaskPipeline::new(bus.clone(), store.clone(), Arc::new(RuleTaskExtractor::new()));
    bus.publish(&[Bench::event(WISH, 1)]).await.unwrap();
    let shutdown = Shutdown::new();
    let worker = tokio::spawn(pipeline.consumer().run(shutdown.clone()));
    tokio::time::sleep(Duration::from_hours(5)).await;
    assert!(bus.dead_letters(TaskPipeline::GROUP, Page::default()).await.unwrap().is_empty());
    store.mended.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_mins(11)).await;
    assert_eq!(store.get("p").await.unwrap().unwrap().state, TaskState::Extracted);
    shutdown.trigger();
    assert!(worker.await.unwrap().unwrap().retried > 50);
}

#[tokio::test]
async fn a_post_keeps_the_time_at_which_it_was_first_accepted() {
    let bench = bench(Failing::new(ExtractErrorKind::Refused, 1));
    bench.pipeline.submit(post(WISH), 1, None).await.unwrap();
    let posted_at = bench.record().await.posted_at;
    assert!(posted_at.is_some());
    bench.handle(&Bench::event(WISH, 1), 1).await.unwrap();
    bench.pipeline.retry("p", None).await.unwrap();
    assert_eq!((bench.record().await.posted_at, bench.record().await.round), (posted_at, 1));
    tokio::time::sleep(Duration::from_millis(2)).await;
    bench.pipeline.submit(post(WISH), 2, None).await.unwrap();
    bench.handle(&Bench::event(WISH, 2), 1).await.unwrap();
    assert_eq!(
        (bench.record().await.posted_at, bench.record().await.state),
        (posted_at, TaskState::Extracted)
    );
    bench.pipeline.withdraw("p", 3, None).await.unwrap();
    bench.pipeline.submit(post(WISH), 4, None).await.unwrap();
    assert!(bench.record().await.posted_at > posted_at, "what was deleted begins anew");
}

#[tokio::test]
async fn a_payload_that_is_no_post_is_refused_for_good() {
    let bench = rules();
    let event = Envelope::new(TaskPipeline::POSTS, "p", State::Created, 1).with_payload("text").unwrap();
    let error = bench.handle(&event, 1).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::InvalidInput, Retry::Never));
}

/// Of any records in any order, the same one stands, in every store.
async fn one_winner(store: &dyn TaskStore) {
    use TaskState::{Extracted, Failed, Pending, Withdrawing, Withdrawn};
    let record = |version, round, state| {
        let mut record = TaskRecord::pending(post(WISH), version, round, EventId::named("t", "c"));
        record.state = state;
        record
    };
    let order = [
        (record(1, 0, Extracted), (1, 0, Extracted)),
        (record(1, 0, Failed), (1, 0, Extracted)),
        (record(1, 0, Pending), (1, 0, Extracted)),
        (record(3, 0, Pending), (3, 0, Pending)),
        (record(2, 5, Extracted), (3, 0, Pending)),
        (record(3, 0, Failed), (3, 0, Failed)),
        (record(3, 1, Pending), (3, 1, Pending)),
        (record(3, 0, Extracted), (3, 1, Pending)),
        (record(4, 0, Withdrawing), (4, 0, Withdrawing)),
        (record(4, 0, Pending), (4, 0, Withdrawing)),
        (record(4, 0, Withdrawn), (4, 0, Withdrawn)),
        (record(5, 0, Pending), (5, 0, Pending)),
        (record(5, 0, Withdrawing), (5, 0, Pending)),
        (record(6, 0, Withdrawn), (6, 0, Withdrawn)),
    ];
    for (put, stands) in order {
        let standing = store.put(put).await.unwrap();
        assert_eq!((standing.version, standing.round, standing.state), stands);
        assert_eq!(store.get("p").await.unwrap().unwrap(), standing);
    }
    let mut pending = record(7, 0, Pending);
    for (attempts, stands) in [(2, 2), (1, 2), (2, 2), (3, 3)] {
        pending.attempts = attempts;
        assert_eq!(store.put(pending.clone()).await.unwrap().attempts, stands);
    }
    for (prompt, completion, stands) in [(9, 2, 11), (4, 1, 11), (1, 99, 100), (100, 0, 100)] {
        pending.usage = Usage::new(prompt, completion);
        assert_eq!(store.put(pending.clone()).await.unwrap().usage.total_tokens(), stands);
    }
    assert_eq!(store.put(record(8, 0, Withdrawing)).await.unwrap().state, Withdrawing);
    assert!(store.list(&TaskQuery::default()).await.unwrap().is_empty(), "deleted posts are not listed");
    assert_eq!(store.list(&TaskQuery::in_state(Withdrawing)).await.unwrap().len(), 1);
    assert_eq!(store.put(record(8, 0, Withdrawn)).await.unwrap().state, Withdrawn);
    assert!(store.list(&TaskQuery::default()).await.unwrap().is_empty(), "deleted posts are not listed");
    assert_eq!(store.list(&TaskQuery::in_state(Withdrawn)).await.unwrap().len(), 1);
    assert!(store.list(&TaskQuery::in_state(Withdrawn).after("p")).await.unwrap().is_empty());
}

#[tokio::test]
async fn of_any_records_the_same_one_stands_in_memory() {
    one_winner(&MemoryTaskStore::new()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn of_any_records_the_same_one_stands_in_sqlite_and_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.sqlite");
    one_winner(&SqliteTaskStore::open(&path).await.unwrap()).await;
    let again = SqliteTaskStore::open(&path).await.unwrap();
    assert_eq!(again.get("p").await.unwrap().unwrap().state, TaskState::Withdrawn);
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn of_any_records_the_same_one_stands_in_postgres_and_every_text_comes_back() {
    let Some(schema) = PostgresSchema::new("the store of tasks on PostgreSQL").await else { return };
    let store = PostgresTaskStore::new(schema.pool.clone());
    let (one, other) = tokio::join!(store.migrate(), store.migrate());
    one.and(other).unwrap();
    one_winner(&store).await;

    // What JSON escapes and PostgreSQL has no letter for; and the order is that of bytes, as on every store.
    for id in ["b", "B", "가", "a"] {
        let record = TaskRecord::pending(Post::new(id, PostKind::Story, "a\0b 😀"), 1, 0, EventId::random());
        assert_eq!(store.put(record.clone()).await.unwrap(), record);
        assert_eq!(store.get(id).await.unwrap().unwrap(), record);
    }
    let listed = store.list(&TaskQuery::default()).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|record| record.post_id.as_str()).collect();
    assert_eq!(ids, ["B", "a", "b", "가"]);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_file_that_is_no_database_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.sqlite");
    std::fs::write(&path, vec![b'x'; 4096]).unwrap();
    assert_eq!(SqliteTaskStore::open(&path).await.unwrap_err().kind(), ErrorKind::Storage);
}

#[tokio::test]
async fn two_edits_of_one_version_do_not_overwrite_each_other_silently() {
    let bench = rules();
    bench.pipeline.submit(post(WISH), 1, None).await.unwrap();
    bench.pipeline.submit(post(WISH), 1, None).await.unwrap();
    let other = bench.pipeline.submit(post("피아노를 배우고 싶습니다."), 1, None).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict);
    bench.pipeline.submit(post(WISH), 3, None).await.unwrap();
    assert_eq!(bench.pipeline.submit(post(WISH), 2, None).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_full_disk_puts_a_post_off_and_loses_it_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("tasks.db"))
        .create_if_missing(true)
        .pragma("max_page_count", "12");
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = SqliteTaskStore::with_pool(pool.clone()).await.unwrap();
    let mut version = 0;
    let error = loop {
        version += 1;
        let id = format!("post-{version}");
        let post = Post::new(id.as_str(), PostKind::Question, "가".repeat(1000));
        match store.put(TaskRecord::pending(post, 1, 0, EventId::random())).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.retry().is_retryable(), "the event must come back when there is room: {error:?}");
    sqlx::query("PRAGMA max_page_count = 1000").execute(&pool).await.unwrap();
    for earlier in 1..version {
        assert!(store.get(&format!("post-{earlier}")).await.unwrap().is_some());
    }
}
