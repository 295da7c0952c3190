//! The programs that are killed.

use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::database::open_sqlite;
use pumasi_core::event::{
    BusCapabilities, Consumer, DeadLetter, Delivery, Envelope, EventBus, EventId, Handler, Lag, Page,
    Published, Receipt, Settlement, Shutdown, SqliteBus, SqliteBusOptions, State, Subscriber, Subscription,
};
use pumasi_core::resilience::Backoff;
use pumasi_core::{Error, ErrorKind, Result};
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;

pub(super) const GROUP: &str = "readers";
pub(super) const TOPIC: &str = "posts";

pub(super) fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("effects.db").display())
}

/// Events that no handler can handle.
pub(super) fn is_poison(version: u64) -> bool {
    version % 41 == 40
}

/// The events of which `publish` told a worker that they are stored.
pub(super) fn acknowledged(folder: &Path, worker: usize) -> Vec<(String, u64)> {
    let text = std::fs::read_to_string(folder.join(format!("acknowledged-{worker}"))).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(key, version)| (key.to_owned(), version.parse().unwrap())).collect()
}

pub(super) async fn play(role: &str, folder: &Path) {
    match role {
        "fill" => fill(folder).await,
        "finisher" => {
            let (bus, shutdown) = (open(folder).await, Shutdown::new());
            let consumer = tokio::spawn(consumer(&bus, folder).await.run(shutdown.clone()));
            let member = bus.subscribe(&subscription()).await.unwrap();
            while member.lag().await.unwrap().unsettled > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            shutdown.trigger();
            consumer.await.unwrap().unwrap();
        }
        worker => work(worker.strip_prefix("worker-").unwrap().parse().unwrap(), folder).await,
    }
}

async fn open(folder: &Path) -> SqliteBus {
    let options = SqliteBusOptions::new(folder.join("events.db")).with_poll(Duration::from_millis(10));
    options.open().await.unwrap()
}

fn subscription() -> Subscription {
    Subscription::new(GROUP, [TOPIC]).with_lease(Duration::from_millis(600))
}

fn event(key: &str, version: u64) -> Envelope {
    let id = EventId::named("faults", &format!("{key}/{version}"));
    Envelope::new(TOPIC, key, State::Updated, version).with_id(id)
}

async fn consumer(bus: &SqliteBus, folder: &Path) -> Consumer {
    let effects = Effects::open(folder).await;
    let audited = Audited { inner: bus.clone(), effects: effects.clone() };
    Consumer::new(audited, subscription(), effects)
        .with_max_attempts(1000)
        .with_backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(20)))
}

/// Publishes and handles until it is killed.
async fn work(worker: usize, folder: &Path) {
    let bus = open(folder).await;
    tokio::spawn(consumer(&bus, folder).await.run(Shutdown::new()));
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(format!("acknowledged-{worker}")))
        .unwrap();
    let keys: Vec<String> = (0..4).map(|key| format!("{worker}-{key}")).collect();
    let mut next = [1_u64; 4];
    for (key, version) in acknowledged(folder, worker) {
        let place = keys.iter().position(|known| *known == key).unwrap();
        next[place] = next[place].max(version + 1);
    }
    // A line that the last kill cut in two ends here.
    log.write_all(b"\n").unwrap();
    loop {
        let mut batch = Vec::new();
        for _ in 0..fastrand::usize(1..6) {
            let place = fastrand::usize(0..4);
            batch.push(event(&keys[place], next[place]));
            next[place] += 1;
        }
        bus.publish(&batch).await.unwrap();
        let lines: Vec<_> = batch.iter().map(|event| format!("{} {}\n", event.key, event.version)).collect();
        log.write_all(lines.concat().as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..10))).await;
    }
}

/// Publishes until the disk is full, and notes what was taken and how it ended.
async fn fill(folder: &Path) {
    let bus = open(folder).await;
    let mut log = OpenOptions::new().create(true).append(true).open(folder.join("acknowledged-0")).unwrap();
    for version in 1.. {
        let event = event("a", version).with_payload(&"가".repeat(2000)).unwrap();
        match bus.publish(&[event]).await {
            Ok(_) => log.write_all(format!("a {version}\n").as_bytes()).unwrap(),
            Err(error) => {
                let end = format!("{} {} {}", error.kind(), error.retry().is_retryable(), error);
                std::fs::write(folder.join("end"), end).unwrap();
                return;
            }
        }
    }
}

/// The handler: one effect per event, in its own transaction, by the event's id.
#[derive(Clone, Debug)]
struct Effects(Arc<Mutex<SqliteConnection>>);

impl Effects {
    async fn open(folder: &Path) -> Self {
        let file = SqliteConnectOptions::new()
            .filename(folder.join("effects.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(20));
        let pool = open_sqlite(SqlitePoolOptions::new().max_connections(1), file).await.unwrap();
        let mut connection = pool.acquire().await.unwrap().detach();
        sqlx::raw_sql(include_str!("effects.sql")).execute(&mut connection).await.unwrap();
        Self(Arc::new(Mutex::new(connection)))
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
        assert!(!(event.version % 29 == 5 && delivery.attempt == 1), "a panic now and then");
        let written = sqlx::query(
            "INSERT INTO effect (id, key, version, runs) VALUES (?1, ?2, ?3, 1) \
             ON CONFLICT (id) DO UPDATE SET runs = runs + 1",
        )
        .bind(event.id.as_bytes().as_slice())
        .bind(&event.key)
        .bind(i64::try_from(event.version).unwrap())
        .execute(&mut *self.0.lock().await)
        .await;
        written.map(|_| ()).map_err(|_| Error::new(ErrorKind::Unavailable, "the effect was not written"))
    }
}

/// A bus that writes down what was reported as acknowledged, and whatever is handed out after that.
#[derive(Debug)]
struct Audited {
    inner: SqliteBus,
    effects: Effects,
}

#[derive(Debug)]
struct AuditedMember {
    inner: Arc<dyn Subscriber>,
    effects: Effects,
}

#[async_trait]
impl EventBus for Audited {
    fn capabilities(&self) -> BusCapabilities {
        self.inner.capabilities()
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        self.inner.publish(events).await
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        let inner = self.inner.subscribe(subscription).await?;
        Ok(Arc::new(AuditedMember { inner, effects: self.effects.clone() }))
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(group, page).await
    }

    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
        self.inner.replay(group, ids).await
    }
}

#[async_trait]
impl Subscriber for AuditedMember {
    async fn fetch(&self, max: NonZeroUsize, wait: Duration) -> Result<Vec<Delivery>> {
        let taken = self.inner.fetch(max, wait).await?;
        let mut effects = self.effects.0.lock().await;
        for delivery in &taken {
            sqlx::query("INSERT INTO violation (position) SELECT position FROM settled WHERE position = ?1")
                .bind(i64::try_from(delivery.receipt.position).unwrap())
                .execute(&mut *effects)
                .await
                .unwrap();
        }
        Ok(taken)
    }

    async fn renew(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>> {
        self.inner.renew(receipts).await
    }

    async fn settle(&self, receipt: &Receipt, settlement: Settlement) -> Result<()> {
        let ends = matches!(settlement, Settlement::Ack | Settlement::DeadLetter { .. });
        self.inner.settle(receipt, settlement).await?;
        if ends {
            sqlx::query("INSERT INTO settled (position) VALUES (?1)")
                .bind(i64::try_from(receipt.position).unwrap())
                .execute(&mut *self.effects.0.lock().await)
                .await
                .unwrap();
        }
        Ok(())
    }

    async fn lag(&self) -> Result<Lag> {
        self.inner.lag().await
    }
}
