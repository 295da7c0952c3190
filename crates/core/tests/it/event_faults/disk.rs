//! A disk that is full, and has room again: a small one in memory, which only root can mount.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pumasi_core::conformance::skip;
use pumasi_core::event::{
    Consumer, Delivery, Envelope, EventBus, OutboxStore, Relay, Shutdown, SqliteBus, SqliteInbox,
    SqliteOutbox, State, Subscription, handler_fn,
};
use pumasi_core::resilience::Backoff;
use pumasi_core::{Error, ErrorKind};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};

/// A file system of some megabytes, mounted on a folder.
struct Disk(tempfile::TempDir);

impl Disk {
    /// Mounts one; `None`, after saying so, where that is not allowed.
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=6m", "pumasi-test"]).arg(folder.path());
        let mounted = mount.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            skip(test, "needs root, to mount a small tmpfs");
            return None;
        }
        let disk = Self(folder);
        std::fs::write(disk.ballast(), vec![7; 3 << 20]).unwrap();
        Some(disk)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file that takes half of the room.
    fn ballast(&self) -> std::path::PathBuf {
        self.path().join("ballast")
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn event(version: u64) -> Envelope {
    let event = Envelope::new("posts", format!("글-{}", version % 4), State::Updated, version);
    event.with_payload(&"x".repeat(2000)).unwrap()
}

fn assert_full(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Storage, "{error:?}");
    assert!(error.retry().is_retryable(), "there may be room again: {error:?}");
    assert!(error.to_string().contains("the disk or the allowed size is full"), "{error}");
}

/// The versions of each key are there once and in order, and all that were acknowledged are.
fn check(seen: &[u64], acknowledged: &[u64]) {
    for key in 0..4 {
        let own: Vec<u64> = seen.iter().copied().filter(|version| version % 4 == key).collect();
        assert!(own.windows(2).all(|pair| pair[0] < pair[1]), "doubled or out of order: {own:?}");
    }
    let missing: Vec<u64> = acknowledged.iter().copied().filter(|version| !seen.contains(version)).collect();
    assert!(missing.is_empty(), "acknowledged, and lost: {missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_a_clear_error_loses_nothing_and_the_bus_goes_on_when_there_is_room() {
    let Some(disk) = Disk::mount("the embedded bus on a full disk") else { return };
    let bus = SqliteBus::open(disk.path().join("events.db")).await.unwrap();
    let seen = Arc::<Mutex<Vec<u64>>>::default();
    let handler = {
        let seen = Arc::clone(&seen);
        handler_fn(move |delivery: Delivery| {
            let seen = Arc::clone(&seen);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let mut seen = seen.lock().unwrap();
                // An effect whose acknowledgement found no room comes again, and is dropped by its id.
                if !seen.contains(&delivery.event.version) {
                    seen.push(delivery.event.version);
                }
                Ok(())
            }
        })
    };
    let subscription = Subscription::new("readers", ["posts"]).with_lease(Duration::from_secs(2));
    let shutdown = Shutdown::new();
    let consumer = Consumer::new(bus.clone(), subscription.clone(), handler).with_max_attempts(1000);
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    let (mut acknowledged, mut version, mut refused) = (Vec::new(), 0, 0);
    // Not only once: what it frees while it is full, by checkpoints, is filled as well.
    while refused < 20 {
        version += 1;
        match bus.publish(&[event(version)]).await {
            Ok(_) => acknowledged.push(version),
            Err(error) => {
                assert_full(&error);
                refused += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        assert!(version < 5000, "the disk does not become full");
    }
    let filled = acknowledged.len();
    disk.make_room();
    for _ in 0..300 {
        version += 1;
        bus.publish(&[event(version)]).await.expect("there is room again");
        acknowledged.push(version);
    }
    let member = bus.subscribe(&subscription).await.unwrap();
    super::within(Duration::from_mins(3), "all events", async || member.lag().await.unwrap().unsettled == 0)
        .await;
    shutdown.trigger();
    running.await.unwrap().unwrap();
    bus.verify().await.unwrap();
    check(&seen.lock().unwrap(), &acknowledged);
    println!(
        "sqlite bus: {filled} events until the disk was full, refused {refused} times, {} after there was room; 0 lost, \
         order kept",
        acknowledged.len() - filled
    );
}

async fn pool(disk: &Disk, name: &str) -> SqlitePool {
    let file = SqliteConnectOptions::new()
        .filename(disk.path().join(name))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    SqlitePoolOptions::new().max_connections(2).connect_with(file).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outbox_and_inbox_go_on_with_their_connections_when_a_full_disk_has_room_again() {
    let Some(disk) = Disk::mount("outbox and inbox on a full disk") else { return };
    let service = pool(&disk, "service.db").await;
    let outbox = SqliteOutbox::new(service.clone());
    outbox.migrate().await.unwrap();
    let inbox = SqliteInbox::new(service.clone());
    inbox.migrate().await.unwrap();
    sqlx::raw_sql("CREATE TABLE effect (n INTEGER PRIMARY KEY, version INTEGER, body TEXT)")
        .execute(&service)
        .await
        .unwrap();
    let bus = pumasi_core::event::MemoryBus::new();
    let shutdown = Shutdown::new();
    let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
    let relaying =
        tokio::spawn(Relay::new(outbox.clone(), bus.clone()).with_backoff(backoff).run(shutdown.clone()));
    // What is handled is written to the same disk.
    let handler = inbox.handler("readers", |connection, delivery| {
        Box::pin(async move {
            sqlx::query("INSERT INTO effect (version, body) VALUES (?1, ?2)")
                .bind(i64::try_from(delivery.event.version).unwrap())
                .bind(delivery.event.payload.to_string())
                .execute(connection)
                .await?;
            Ok(())
        })
    });
    let subscription = Subscription::new("readers", ["posts"]);
    // Nothing is forgotten before it is handled.
    let _member = bus.subscribe(&subscription).await.unwrap();
    let consumer =
        Consumer::new(bus.clone(), subscription, handler).with_max_attempts(100_000).with_backoff(backoff);
    let control = consumer.control();
    let mut waiting = Some(consumer);
    let mut consuming = None;
    let publish = async |version: u64| -> pumasi_core::Result<()> {
        // On a connection of one's own, because a pool does not recover a transaction that a full disk has ended.
        let mut connection = service.acquire().await?;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        let written = outbox.publish_in(&mut connection, &[event(version)]).await;
        let end = if written.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = sqlx::raw_sql(end).execute(&mut *connection).await;
        written?;
        ended?;
        Ok(())
    };
    let (mut acknowledged, mut version, mut refused) = (Vec::new(), 0, 0);
    while refused < 20 || control.stats().retried == 0 {
        version += 1;
        match publish(version).await {
            Ok(()) => acknowledged.push(version),
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            Err(error) => {
                assert_full(&error);
                refused += 1;
                // Not before, or it may have handled everything when the disk becomes full, and has nothing to put off.
                if let Some(consumer) = waiting.take() {
                    consuming = Some(tokio::spawn(consumer.run(shutdown.clone())));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        assert!(version < 20_000, "the disk does not become full");
    }
    let (filled, failed) = (acknowledged.len(), control.stats().retried);
    disk.make_room();
    for _ in 0..100 {
        version += 1;
        while let Err(error) = publish(version).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "there is room again: {error:?}");
        }
        acknowledged.push(version);
    }
    super::within(Duration::from_mins(3), "an empty outbox", async || {
        outbox.backlog().await.is_ok_and(|backlog| backlog.pending == 0)
    })
    .await;
    let effects = async || -> Vec<u64> {
        let rows = sqlx::query("SELECT version FROM effect ORDER BY n").fetch_all(&service).await.unwrap();
        rows.iter().map(|row| u64::try_from(row.get::<i64, _>(0)).unwrap()).collect()
    };
    super::within(Duration::from_mins(3), "all effects", async || {
        effects().await.len() >= acknowledged.len()
    })
    .await;
    shutdown.trigger();
    relaying.await.unwrap().unwrap();
    consuming.unwrap().await.unwrap().unwrap();
    check(&effects().await, &acknowledged);
    println!(
        "sqlite outbox and inbox: {filled} events until the disk was full, refused {refused} times, {failed} effects put off, \
         {} events after there was room; 0 lost, 0 doubled, order kept",
        acknowledged.len() - filled
    );
}
