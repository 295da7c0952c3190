//! Long handlers, and members that join and leave.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use pumasi_core::event::{Consumer, Delivery, EventBus, Shutdown, handler_fn};

use super::work::Effects;
use super::{SESSION, event, is_full, join, options, subscription};

/// Counts what the bus counts, by group.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<HashMap<String, Arc<AtomicU64>>>>);

impl Counts {
    /// The one recorder of this process.
    fn installed() -> Self {
        static COUNTS: OnceLock<Counts> = OnceLock::new();
        COUNTS
            .get_or_init(|| {
                let counts = Counts::default();
                metrics::set_global_recorder(counts.clone()).ok();
                counts
            })
            .clone()
    }

    fn of(&self, name: &str, group: &str) -> u64 {
        let counts = self.0.lock().unwrap();
        let wanted = counts.iter().filter(|(key, _)| key.starts_with(name) && key.contains(group));
        wanted.map(|(_, count)| count.load(Ordering::Relaxed)).sum()
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counts = self.0.lock().unwrap();
        Counter::from_arc(Arc::clone(counts.entry(key.to_string()).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn a_handler_may_take_longer_than_every_timeout_without_a_rebalance_or_another_delivery() {
    let test = "a handler that takes longer than every timeout";
    let Some(options) = options(test) else { return };
    let (session, work) = if is_full() { (10, 60) } else { (6, 14) };
    let counts = Counts::installed();
    // A poll is due as often as a heartbeat has to succeed.
    let options = options
        .with_session_timeout(Duration::from_secs(session))
        .with_property("max.poll.interval.ms", (session * 1_000).to_string());
    let bus = options.open().await.unwrap();
    let group = format!("long-{}", pumasi_core::event::EventId::random());
    let subscription =
        pumasi_core::event::Subscription::new(&group, ["posts"]).with_lease(Duration::from_secs(1));
    let (slow, quick) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (slow_runs, quick_runs) = (Arc::clone(&slow), Arc::clone(&quick));
    let handler = handler_fn(move |delivery: Delivery| {
        let (slow, quick) = (Arc::clone(&slow_runs), Arc::clone(&quick_runs));
        async move {
            if delivery.event.key == "slow" {
                slow.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(work)).await;
            } else {
                quick.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }
    });
    let shutdown = Shutdown::new();
    let consumer = Consumer::new(bus.clone(), subscription, handler);
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    bus.publish(&[event("slow", 1), event("slow", 2)]).await.unwrap();
    while slow.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (begun, before) = (Instant::now(), counts.of("Key(pumasi_event_kafka_rebalances_total", &group));
    let mut version = 0;
    // Other keys go on in every partition while the handler works.
    while control.stats().handled < version * 8 + 1 || begun.elapsed() < Duration::from_secs(work) {
        if quick.load(Ordering::SeqCst) as u64 == version * 8 && slow.load(Ordering::SeqCst) == 1 {
            version += 1;
            let batch: Vec<_> = (0..8).map(|key| event(&format!("quick-{key}"), version)).collect();
            bus.publish(&batch).await.unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(work + 30), "{:?}", control.stats());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(version > 2, "other keys had {version} turns in {work} s");
    assert_eq!(control.stats().lost, 0);
    assert_eq!(counts.of("Key(pumasi_event_kafka_rebalances_total", &group), before, "rebalances");
    assert!(before > 0, "the first assignment is counted");
    shutdown.trigger();
    // The second slow one has begun: it is given back.
    tokio::time::timeout(Duration::from_secs(work + 40), running).await.unwrap().unwrap().unwrap();
    assert!(slow.load(Ordering::SeqCst) <= 2, "the slow event came again");
    println!(
        "{test}: {work} s with a session timeout of {session} s, {version} rounds of 8 events meanwhile, 0 rebalances, 0 repeated"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_out_of_order_when_members_come_and_go() {
    let test = "members that come and go";
    let Some(options) = options(test) else { return };
    let options = options.with_session_timeout(SESSION);
    let (keys, versions, changes) = if is_full() { (40, 250_u64, 60) } else { (16, 50_u64, 8) };
    let effects = Effects::default();
    let mut members = Vec::new();
    let publisher = options.clone().open().await.unwrap();
    let start = async || {
        let shutdown = Shutdown::new();
        let bus = options.clone().open().await.unwrap();
        let consumer = Consumer::new(bus.clone(), subscription(), effects.clone());
        (bus, shutdown.clone(), tokio::spawn(consumer.run(shutdown)))
    };
    members.push(start().await);
    let publishing = tokio::spawn(async move {
        for version in 1..=versions {
            let batch: Vec<_> = (0..keys).map(|key| event(&format!("key-{key}"), version)).collect();
            publisher.publish(&batch).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        publisher
    });
    for change in 0..changes {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..400))).await;
        if members.len() < 2 || (members.len() < 4 && fastrand::bool()) {
            members.push(start().await);
        } else {
            let (bus, shutdown, running) = members.swap_remove(fastrand::usize(..members.len()));
            drop(bus);
            if change % 3 == 0 {
                // It stops at once, with everything in its hands.
                running.abort();
            } else {
                shutdown.trigger();
                running.await.unwrap().unwrap();
            }
        }
    }
    let publisher = publishing.await.unwrap();
    let all = keys * usize::try_from(versions).unwrap();
    let begun = Instant::now();
    while effects.count() < all {
        assert!(begun.elapsed() < Duration::from_mins(3), "{} of {all} events", effects.count());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What a member had done and not settled when it was stopped comes again to another one, and is settled there.
    let last = join(&members[0].0).await;
    while last.lag().await.unwrap().unsettled > 0 {
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", last.lag().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(last);
    for (bus, shutdown, running) in members {
        drop(bus);
        shutdown.trigger();
        running.await.unwrap().unwrap();
    }
    // And nothing that was settled is forgotten when they leave.
    let repeated = effects.check(keys, versions);
    let member = join(&publisher).await;
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
    println!(
        "{test}: {changes} changes, {all} events, {repeated} repeated after their effect, 0 lost, order kept"
    );
}
