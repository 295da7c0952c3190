//! The programs that publish and handle, and may be killed.

use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::event::{
    BusCapabilities, Consumer, DeadLetter, Delivery, Envelope, EventBus, EventId, Handler, Lag, Page,
    Published, Receipt, RedisBus, RedisBusOptions, Settlement, Shutdown, State, Subscriber, Subscription,
};
use pumasi_core::resilience::Backoff;
use pumasi_core::{Error, ErrorKind, Result};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

pub(super) const GROUP: &str = "readers";
pub(super) const TOPIC: &str = "posts";
/// Keys of one worker.
const KEYS: usize = 8;

/// Events that no handler can handle.
pub(super) fn is_poison(version: u64) -> bool {
    version % 41 == 40
}

/// The events of which `publish` told a worker that they are stored.
pub(super) fn acknowledged(folder: &Path, worker: usize) -> Vec<(String, u64)> {
    let text = std::fs::read_to_string(folder.join(format!("acknowledged-{worker}"))).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter(|line| !line.is_empty()).map(name).collect()
}

/// Reads "key version".
pub(super) fn name(line: &str) -> (String, u64) {
    let (key, version) = line.split_once(' ').unwrap();
    (key.to_owned(), version.parse().unwrap())
}

pub(super) fn subscription() -> Subscription {
    Subscription::new(GROUP, [TOPIC]).with_lease(Duration::from_millis(900))
}

pub(super) async fn open(url: &str) -> RedisBus {
    loop {
        match RedisBusOptions::new(url).with_timeout(Duration::from_secs(2)).open().await {
            Err(error) if error.retry().is_retryable() => tokio::time::sleep(Duration::from_millis(50)).await,
            opened => return opened.unwrap(),
        }
    }
}

pub(super) async fn consumer(bus: &RedisBus, effects: &str) -> Consumer {
    let effects = Effects::open(effects).await;
    let audited = Audited { inner: bus.clone(), effects: effects.clone() };
    Consumer::new(audited, subscription(), effects)
        .with_max_attempts(1000)
        .with_concurrency(NonZeroUsize::MIN.saturating_add(7))
        .with_backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(20)))
}

/// Publishes and handles until it is killed, or told to stop publishing by a file called `enough`.
pub(super) async fn work(worker: usize, folder: &Path, events: &str, effects: &str) {
    let bus = open(events).await;
    tokio::spawn(consumer(&bus, effects).await.run(Shutdown::new()));
    let path = folder.join(format!("acknowledged-{worker}"));
    let mut log = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let mut next = [1_u64; KEYS];
    for (key, version) in acknowledged(folder, worker) {
        let place: usize = key.rsplit_once('-').unwrap().1.parse().unwrap();
        next[place] = next[place].max(version + 1);
    }
    // A line that the last kill cut in two ends here.
    log.write_all(b"\n").unwrap();
    while !folder.join("enough").exists() {
        let mut batch = Vec::new();
        for _ in 0..fastrand::usize(1..12) {
            let place = fastrand::usize(0..KEYS);
            let key = format!("{worker}-{place}");
            let id = EventId::named("faults", &format!("{key}/{}", next[place]));
            batch.push(Envelope::new(TOPIC, key, State::Updated, next[place]).with_id(id));
            next[place] += 1;
        }
        while let Err(error) = bus.publish(&batch).await {
            assert!(error.retry().is_retryable(), "{error:?}");
            assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error:?}");
            assert!(error.to_string().contains("on Redis at 127.0.0.1"), "{error}");
        }
        let lines: Vec<_> = batch.iter().map(|event| format!("{} {}\n", event.key, event.version)).collect();
        log.write_all(lines.concat().as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..8))).await;
    }
    std::future::pending::<()>().await;
}

/// The handler: one effect per event by its id, on a server that nobody kills.
#[derive(Clone)]
struct Effects(MultiplexedConnection);

impl Effects {
    async fn open(url: &str) -> Self {
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
        let client = redis::Client::open(url).unwrap();
        Self(client.get_multiplexed_async_connection_with_config(&patient).await.unwrap())
    }
}

#[async_trait]
impl Handler for Effects {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let event = &delivery.event;
        if is_poison(event.version) {
            return Err(Error::new(ErrorKind::InvalidInput, "poison"));
        }
        if event.version % 7 == 3 && delivery.attempt == 1 {
            return Err(Error::new(ErrorKind::Unavailable, "not now"));
        }
        let done = redis::Script::new(include_str!("effect.lua"))
            .key(&["effects", "doubles", "settled", "violations"])
            .arg(event.id.to_string())
            .arg(format!("{} {}", event.key, event.version))
            .invoke_async::<i64>(&mut self.0.clone())
            .await;
        done.map(|_| ()).map_err(|_| Error::new(ErrorKind::Unavailable, "the effect was not written"))
    }
}

/// A bus that writes down what was reported as acknowledged.
#[derive(Clone)]
struct Audited<B> {
    inner: B,
    effects: Effects,
}

impl<B> std::fmt::Debug for Audited<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audited")
    }
}

#[async_trait]
impl EventBus for Audited<RedisBus> {
    fn capabilities(&self) -> BusCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        self.inner.publish(events).await
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        let inner = self.inner.subscribe(subscription).await?;
        Ok(Arc::new(Audited { inner, effects: self.effects.clone() }))
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(group, page).await
    }

    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
        self.inner.replay(group, ids).await
    }
}

#[async_trait]
impl Subscriber for Audited<Arc<dyn Subscriber>> {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let taken = self.inner.fetch(max, wait).await?;
        if !taken.is_empty() {
            let mut names = redis::cmd("HSET");
            names.arg("names");
            for delivery in &taken {
                names.arg(delivery.receipt.position.to_string()).arg(delivery.event.id.to_string());
            }
            let _: i64 = names.query_async(&mut self.effects.0.clone()).await.unwrap();
        }
        Ok(taken)
    }

    async fn renew(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>> {
        self.inner.renew(receipts).await
    }

    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()> {
        let is_ack = settlement == Settlement::Ack;
        self.inner.settle(receipt, settlement).await?;
        if is_ack {
            let mut effects = self.effects.0.clone();
            let id: String = redis::cmd("HGET")
                .arg("names")
                .arg(receipt.position.to_string())
                .query_async(&mut effects)
                .await
                .unwrap();
            let _: i64 = redis::cmd("SADD").arg("settled").arg(id).query_async(&mut effects).await.unwrap();
        }
        Ok(())
    }

    async fn lag(&self) -> Result<Lag> {
        self.inner.lag().await
    }
}
