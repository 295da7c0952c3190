//! What the killed processes do.

use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::conformance::process::Part;
use pumasi_core::event::{Consumer, Delivery, Envelope, EventId, Handler, Relay, Shutdown, State};
use pumasi_core::resilience::Backoff;
use pumasi_core::{Error, ErrorKind, Result};

use crate::{Bus, Database, Failure, Setup};

/// Events that no handler can handle.
pub(crate) fn is_poison(version: i64) -> bool {
    version % 41 == 40
}

pub(crate) fn acknowledged(folder: &Path) -> u64 {
    let lines = |producer| {
        let text =
            std::fs::read_to_string(folder.join(format!("acknowledged-{producer}"))).unwrap_or_default();
        text.lines().filter_map(|line| line.parse::<u64>().ok()).sum::<u64>()
    };
    lines("producer-0") + lines("producer-1")
}

pub(crate) async fn play(part: &Part, setup: &Setup) -> std::result::Result<(), Failure> {
    let database = Database::open(setup, &part.folder).await?;
    match part.role.split('-').next() {
        Some("producer") => produce(&database, part, setup).await,
        Some("relay") => {
            let bus = Bus::open(setup, &part.folder, &part.role).await?;
            relay(&database, bus).run(Shutdown::new()).await?;
            Ok(())
        }
        Some("consumer") => {
            let bus = Bus::open(setup, &part.folder, &part.role).await?;
            consumer(&database, bus, part, setup).run(Shutdown::new()).await?;
            Ok(())
        }
        _ => finish(&database, part, setup).await,
    }
}

fn relay(database: &Database, bus: std::sync::Arc<dyn pumasi_core::event::EventBus>) -> Relay {
    Relay::new(database.outbox(), bus)
        .with_lease(Duration::from_secs(3))
        .with_backoff(Backoff::new(Duration::from_millis(5), Duration::from_millis(200)))
}

fn consumer(
    database: &Database,
    bus: std::sync::Arc<dyn pumasi_core::event::EventBus>,
    part: &Part,
    setup: &Setup,
) -> Consumer {
    let inner = database.handler(Bus::group(setup), setup.plant != "no-inbox");
    let handler = Moody { inner, seen: part.folder.join(format!("handled-{}", part.role)) };
    Consumer::new(bus, Bus::subscription(setup), handler)
        .with_concurrency(NonZeroUsize::MIN.saturating_add(63))
        .with_max_attempts(1000)
        .with_backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(50)))
}

/// Writes until all events are there, then waits to be killed.
async fn produce(database: &Database, part: &Part, setup: &Setup) -> std::result::Result<(), Failure> {
    let log = part.folder.join(format!("acknowledged-{}", part.role));
    let mut log = OpenOptions::new().create(true).append(true).open(log)?;
    // A line that the last kill cut in two ends here.
    log.write_all(b"\n")?;
    let topic = Bus::topic(setup);
    let event = |key: &str, version: i64| {
        Envelope::new(topic.as_str(), key, State::Updated, version.unsigned_abs())
            .with_id(EventId::named(&topic, &format!("{key}/{version}")))
    };
    loop {
        for _ in 0..20 {
            let mut keys: Vec<String> =
                (0..fastrand::usize(1..40)).map(|_| format!("글-{:02}", fastrand::u32(0..64))).collect();
            // In one order in every transaction, so that two never wait for each other.
            keys.sort();
            database.write(&keys, setup.plant != "no-outbox", event).await?;
            log.write_all(format!("{}\n", keys.len()).as_bytes())?;
        }
        if database.committed().await? >= setup.events {
            std::future::pending::<()>().await;
        }
    }
}

/// Relays and handles until nothing is left.
async fn finish(database: &Database, part: &Part, setup: &Setup) -> std::result::Result<(), Failure> {
    let bus = Bus::open(setup, &part.folder, "consumer-0").await?;
    let shutdown = Shutdown::new();
    let relaying = tokio::spawn(relay(database, bus.clone()).run(shutdown.clone()));
    let consuming = tokio::spawn(consumer(database, bus.clone(), part, setup).run(shutdown.clone()));
    while database.outbox().backlog().await?.pending > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Again where a busy server does not answer in time, and seldom: it is the consumer that is to work.
    let pause = || tokio::time::sleep(Duration::from_millis(500));
    let member = loop {
        match bus.subscribe(&Bus::subscription(setup)).await {
            Err(error) if error.retry().is_retryable() => pause().await,
            subscribed => break subscribed?,
        }
    };
    loop {
        match member.lag().await {
            Ok(lag) if lag.unsettled == 0 => break,
            Err(error) if !error.retry().is_retryable() => return Err(error.into()),
            _ => pause().await,
        }
    }
    shutdown.trigger();
    relaying.await??;
    consuming.await??;
    Ok(())
}

/// Fails, panics and takes its time now and then, and counts how often it was asked.
struct Moody {
    inner: Box<dyn Handler>,
    seen: std::path::PathBuf,
}

#[async_trait]
impl Handler for Moody {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let version = i64::try_from(delivery.event.version).unwrap_or(-1);
        if is_poison(version) {
            return Err(Error::new(ErrorKind::InvalidInput, "poison"));
        }
        if version % 67 == 3 && delivery.attempt == 1 {
            return Err(Error::new(ErrorKind::Unavailable, "not now"));
        }
        assert!(!(version % 997 == 5 && delivery.attempt == 1), "a panic now and then");
        let handled = self.inner.handle(delivery).await;
        if handled.is_ok() && delivery.attempt > 1 {
            let again = OpenOptions::new().create(true).append(true).open(&self.seen);
            let _ = again.and_then(|mut file| file.write_all(b"."));
        }
        handled
    }
}

/// Counts the deliveries that succeeded at a later attempt than the first.
pub(crate) fn handled_again(folder: &Path) -> u64 {
    ["consumer-0", "consumer-1", "finisher"]
        .iter()
        .filter_map(|role| std::fs::metadata(folder.join(format!("handled-{role}"))).ok())
        .map(|file| file.len())
        .sum()
}
