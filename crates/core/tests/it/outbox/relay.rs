//! The relay when the bus or the relay itself is in trouble; the outbox is SQLite's.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use pumasi_core::event::{
    Backlog, BusCapabilities, Claim, DeadLetter, OutboxStore, Outcome, Page, Published, Refused, Relay,
    Shutdown, SqliteOutbox, Subscriber,
};
use pumasi_core::resilience::Backoff;
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::SqlitePool;
use tokio::sync::Semaphore;

use super::*;

/// A bus in memory with the troubles of a real one.
#[derive(Clone, Debug)]
struct Troubled {
    inner: MemoryBus,
    down: Arc<AtomicBool>,
    /// Nobody may write to the topic "secrets".
    forbidden: Arc<AtomicBool>,
    /// Calls to `publish` that never answer, although the events are stored.
    silent: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
}

impl Troubled {
    fn new() -> Self {
        Self {
            inner: memory_bus(),
            down: Arc::default(),
            forbidden: Arc::default(),
            silent: Arc::default(),
            calls: Arc::default(),
        }
    }
}

#[async_trait]
impl EventBus for Troubled {
    fn capabilities(&self) -> BusCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unauthorized, "the bus knows nobody any more"));
        }
        if self.forbidden.load(Ordering::SeqCst) && events.iter().any(|event| event.topic == "secrets") {
            return Err(Error::new(ErrorKind::Unauthorized, "the topic may not be written"));
        }
        if events.iter().any(|event| event.version % 41 == 40) {
            return Err(Error::new(ErrorKind::InvalidInput, "an event is too large for this bus"));
        }
        let published = self.inner.publish(events).await?;
        let silent = self.silent.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if silent.is_ok() {
            std::future::pending::<()>().await;
        }
        Ok(published)
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        self.inner.subscribe(subscription).await
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(group, page).await
    }

    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
        self.inner.replay(group, ids).await
    }
}

struct Table {
    _folder: tempfile::TempDir,
    pool: SqlitePool,
    outbox: SqliteOutbox,
    bus: Troubled,
}

impl Table {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pool = sqlite::pool(&folder.path().join("service.db")).await;
        let outbox = SqliteOutbox::new(pool.clone()).with_poll(Duration::from_millis(10));
        outbox.migrate().await.unwrap();
        Self { _folder: folder, pool, outbox, bus: Troubled::new() }
    }

    async fn write(&self, events: &[Envelope]) {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
        self.outbox.publish_in(&mut transaction, events).await.unwrap();
        transaction.commit().await.unwrap();
    }

    fn relay(&self) -> Relay {
        Relay::new(self.outbox.clone(), self.bus.clone())
            .with_backoff(Backoff::new(Duration::from_millis(5), Duration::from_millis(50)))
    }
}

/// `count` events of each of `keys` keys, by version.
fn events(keys: usize, count: u64) -> Vec<Envelope> {
    (1..=count).flat_map(|version| (0..keys).map(move |key| event(&format!("key-{key}"), version))).collect()
}

#[tokio::test]
async fn while_the_bus_is_down_everything_waits_and_then_comes_in_order() {
    let table = Table::set().await;
    table.bus.down.store(true, Ordering::SeqCst);
    let (relay, shutdown) = (table.relay(), Shutdown::new());
    let running = tokio::spawn(relay.clone().run(shutdown.clone()));
    table.write(&events(10, 30)).await;
    until("a few failures", async || relay.stats().failures > 5).await;
    assert_eq!(table.outbox.backlog().await.unwrap().pending, 300);
    table.bus.down.store(false, Ordering::SeqCst);
    until("an empty outbox", async || table.outbox.backlog().await.unwrap().pending == 0).await;
    shutdown.trigger();
    let stats = running.await.unwrap().unwrap();
    assert_eq!((stats.relayed, stats.duplicates, stats.refused), (300, 0, 0));
    for (key, versions) in versions_by_key(&published(&table.bus).await) {
        assert!(versions.iter().copied().eq(1..=30), "{key}: {versions:?}");
    }
}

#[tokio::test]
async fn what_the_bus_refuses_is_put_aside_and_nothing_else() {
    let table = Table::set().await;
    table.write(&events(7, 100)).await;
    let stats = table.relay().relay_pending().await.unwrap();
    // Versions 40 and 81 of each key.
    assert_eq!((stats.relayed, stats.refused, stats.failures), (7 * 98, 14, 0));
    for (key, versions) in versions_by_key(&published(&table.bus).await) {
        assert!(
            versions.iter().copied().eq((1..=100).filter(|version| version % 41 != 40)),
            "{key}: {versions:?}"
        );
    }
    let refused = table.outbox.refused(Page::default()).await.unwrap();
    assert_eq!(refused.len(), 14);
    for entry in refused {
        assert_eq!(entry.event().unwrap().version % 41, 40);
        assert_eq!(
            (entry.reason.kind.as_str(), entry.reason.message.as_str()),
            ("invalid_input", "an event is too large for this bus")
        );
        assert!(!format!("{entry:?}").contains("payload"));
    }
    let calls = table.bus.calls.load(Ordering::SeqCst);
    println!("700 events with 14 that the bus refuses: {calls} calls to publish");
    assert!(calls < 14 * 2 * 10, "{calls} calls: each refused event may cost two calls for each halving");
}

#[tokio::test]
async fn a_topic_that_may_not_be_written_waits_alone() {
    let table = Table::set().await;
    table.bus.forbidden.store(true, Ordering::SeqCst);
    let secrets: Vec<Envelope> =
        (1..=5).map(|version| Envelope::new("secrets", "key-1", State::Updated, version)).collect();
    let others = events(10, 20);
    let mut all = others.clone();
    for (place, secret) in secrets.iter().enumerate() {
        all.insert(place * 40, secret.clone());
    }
    table.write(&all).await;
    let (relay, shutdown) = (table.relay(), Shutdown::new());
    let running = tokio::spawn(relay.clone().run(shutdown.clone()));
    until("the other topic", async || relay.stats().relayed == 200).await;
    assert_eq!(table.outbox.backlog().await.unwrap().pending, 5);
    table.bus.forbidden.store(false, Ordering::SeqCst);
    until("the rest", async || relay.stats().relayed == 205).await;
    shutdown.trigger();
    let stats = running.await.unwrap().unwrap();
    assert_eq!((stats.refused, table.outbox.backlog().await.unwrap().pending), (0, 0));
    let there = published(&table.bus.inner).await;
    for (key, versions) in versions_by_key(&there) {
        assert!(versions.is_sorted(), "{key}: {versions:?}");
    }
}

#[tokio::test]
async fn a_bus_that_stores_and_never_answers_loses_nothing_and_gets_no_second_event() {
    let table = Table::set().await;
    table.bus.silent.store(2, Ordering::SeqCst);
    table.write(&events(5, 20)).await;
    let (relay, shutdown) = (table.relay().with_lease(Duration::from_millis(600)), Shutdown::new());
    let running = tokio::spawn(relay.clone().run(shutdown.clone()));
    until("an empty outbox", async || table.outbox.backlog().await.unwrap().pending == 0).await;
    shutdown.trigger();
    let stats = running.await.unwrap().unwrap();
    assert!(stats.failures >= 1 && stats.duplicates >= 1, "{stats:?}");
    let there = published(&table.bus).await;
    assert_eq!(there.len(), 100);
    for (key, versions) in versions_by_key(&there) {
        assert!(versions.iter().copied().eq(1..=20), "{key}: {versions:?}");
    }
}

#[tokio::test]
async fn the_end_waits_for_a_silent_bus_no_longer_than_the_drain_limit_and_gives_the_claim_back() {
    let table = Table::set().await;
    table.bus.silent.store(1, Ordering::SeqCst);
    table.write(&events(1, 3)).await;
    // One worker: another one that was just looking would take what this one gives back.
    let relay = table
        .relay()
        .with_workers(NonZeroUsize::MIN)
        .with_lease(Duration::from_mins(10))
        .with_drain_limit(Duration::from_millis(200));
    let shutdown = Shutdown::new();
    let running = tokio::spawn(relay.run(shutdown.clone()));
    until("a call", async || table.bus.calls.load(Ordering::SeqCst) > 0).await;
    shutdown.trigger();
    let begun = std::time::Instant::now();
    let stats = running.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((stats.relayed, stats.failures), (0, 1));
    // Not after ten minutes, but now.
    let stats = table.relay().relay_pending().await.unwrap();
    assert_eq!((stats.relayed, stats.duplicates), (3, 3));
}

/// A store whose relay stands still between the publish and the delete.
#[derive(Debug)]
struct Stalling {
    inner: SqliteOutbox,
    stalls: AtomicU64,
    stalled: AtomicU64,
    end: Semaphore,
}

#[async_trait]
impl OutboxStore for Stalling {
    async fn claim(&self, limit: NonZeroUsize, _: Duration) -> Result<Claim> {
        // Shorter than the relay believes, as if it had been frozen meanwhile.
        self.inner.claim(limit, Duration::from_millis(300)).await
    }

    async fn complete(&self, claim: &Claim, outcome: &Outcome) -> Result<()> {
        let stall = self.stalls.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if stall.is_ok() {
            self.stalled.fetch_add(1, Ordering::SeqCst);
            // Its lease ends, another one takes over, and after that it goes on.
            self.end.acquire().await.unwrap().forget();
        }
        self.inner.complete(claim, outcome).await
    }

    async fn changed(&self) {
        self.inner.changed().await;
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.inner.backlog().await
    }

    async fn refused(&self, page: Page) -> Result<Vec<Refused>> {
        self.inner.refused(page).await
    }

    async fn write_again(&self, positions: &[u64]) -> Result<usize> {
        self.inner.write_again(positions).await
    }

    async fn discard(&self, positions: &[u64]) -> Result<usize> {
        self.inner.discard(positions).await
    }
}

#[tokio::test]
async fn a_relay_that_stalls_between_publish_and_delete_loses_its_claim_and_harms_nothing() {
    let table = Table::set().await;
    table.write(&events(20, 5)).await;
    let stalling = Arc::new(Stalling {
        inner: table.outbox.clone(),
        stalls: 1.into(),
        stalled: 0.into(),
        end: Semaphore::new(0),
    });
    let shutdown = Shutdown::new();
    let slow = Relay::new(Arc::clone(&stalling), table.bus.clone()).with_workers(NonZeroUsize::MIN);
    let stalled = tokio::spawn(slow.clone().run(shutdown.clone()));
    until("a stall", async || stalling.stalled.load(Ordering::SeqCst) == 1).await;
    let other = table.relay();
    let running = tokio::spawn(other.clone().run(shutdown.clone()));
    table.write(&events(20, 8).split_off(100)).await;
    until("an empty outbox", async || table.outbox.backlog().await.unwrap().pending == 0).await;
    stalling.end.add_permits(1);
    until("the end of the stall", async || slow.stats().lost > 0).await;
    shutdown.trigger();
    stalled.await.unwrap().unwrap();
    running.await.unwrap().unwrap();
    let doubles = slow.stats().duplicates + other.stats().duplicates;
    assert!(doubles > 0, "what the stalled relay had published was published again, and recognised");
    let there = published(&table.bus).await;
    assert_eq!(there.len(), 160);
    for (key, versions) in versions_by_key(&there) {
        assert!(versions.iter().copied().eq(1..=8), "{key}: {versions:?}");
    }
    println!(
        "stalled relay: 160 events, {} claims lost, {doubles} published again and recognised, order kept",
        slow.stats().lost
    );
}

#[tokio::test]
async fn without_its_tables_a_relay_ends_with_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::new(sqlite::pool(&folder.path().join("service.db")).await);
    let error = Relay::new(outbox.clone(), memory_bus()).run(Shutdown::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!error.retry().is_retryable() && error.to_string().contains("outbox"), "{error}");
    let again = futures_util::future::try_join_all((0..8).map(|_| outbox.migrate()));
    again.await.unwrap();
    assert_eq!(outbox.backlog().await.unwrap(), Backlog::default());
    let newer = sqlx::query("UPDATE pumasi_outbox_schema SET version = 99");
    newer.execute(&sqlite::pool(&folder.path().join("service.db")).await).await.unwrap();
    assert_eq!(outbox.migrate().await.unwrap_err().kind(), ErrorKind::Unsupported);
}
