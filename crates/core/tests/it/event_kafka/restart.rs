//! A broker that is stopped, killed and started again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;
use pumasi_core::conformance::Server;
use pumasi_core::event::{Consumer, EventBus, KafkaBus, KafkaBusOptions, Shutdown};

use super::work::Effects;
use super::{SESSION, event, is_full, join, on, subscription};
use crate::private::Private;

/// Opens a bus on a broker that has just begun, which a busy machine gives little time to answer in.
async fn opened(options: &KafkaBusOptions) -> KafkaBus {
    let begun = Instant::now();
    loop {
        match options.clone().open().await {
            Ok(bus) => return bus,
            Err(error) => {
                let may_come = error.retry().is_retryable() && begun.elapsed() < Duration::from_mins(2);
                assert!(may_come, "{error:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_stopped_and_killed_and_comes_back_loses_nothing_and_keeps_the_order() {
    let test = "a broker that is restarted";
    let broker = tokio::task::spawn_blocking(move || Private::start(Server::Kafka, test)).await.unwrap();
    let Some(broker) = broker.map(Arc::new) else { return };
    let options = on(broker.url(), "")
        .with_session_timeout(SESSION)
        .with_request_timeout(Duration::from_secs(2))
        .with_publish_timeout(Duration::from_secs(3))
        .with_property("reconnect.backoff.max.ms", "500");
    let bus = opened(&options).await;
    let effects = Effects::default();
    let shutdown = Shutdown::new();
    let running: Vec<_> = (0..2)
        .map(|_| {
            let consumer = Consumer::new(bus.clone(), subscription(), effects.clone());
            (consumer.control(), tokio::spawn(consumer.run(shutdown.clone())))
        })
        .collect();
    // The last is a crash; the full form has more of both.
    let signals = ["TERM", "KILL"].repeat(if is_full() { 5 } else { 1 });
    let keys = 8;
    let enough = Shutdown::new();
    let until = enough.clone();
    let publishing = tokio::spawn(async move {
        let (mut version, mut told) = (0_u64, BTreeMap::<String, usize>::new());
        while !until.is_triggered() {
            version += 1;
            let batch: Vec<_> = (0..keys).map(|key| event(&format!("key-{key}"), version)).collect();
            while let Err(error) = bus.publish(&batch).await {
                assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error:?}");
                assert!(error.retry().is_retryable(), "{error:?}");
                *told.entry(error.to_string()).or_default() += 1;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (version, told)
    });
    let goes_on = async |when: &str| {
        let (before, begun) = (effects.count(), Instant::now());
        while effects.count() < before + 200 {
            assert!(begun.elapsed() < Duration::from_mins(5), "nothing goes on {when}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    for signal in signals.iter().copied() {
        goes_on(&format!("before {signal}")).await;
        let broker = Arc::clone(&broker);
        let restart = move || {
            broker.halt(signal);
            // Longer than the session, so that the group has forgotten its members.
            std::thread::sleep(Duration::from_secs(3));
            broker.resume();
        };
        tokio::task::spawn_blocking(restart).await.unwrap();
    }
    goes_on("after the last restart").await;
    enough.trigger();
    let (versions, told) = publishing.await.unwrap();
    let all = keys * usize::try_from(versions).unwrap();
    let patience = Instant::now();
    while effects.count() < all {
        assert!(patience.elapsed() < Duration::from_mins(5), "{} of {all} events", effects.count());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shutdown.trigger();
    let mut lost = 0;
    for (control, running) in running {
        running.await.unwrap().unwrap();
        lost += control.stats().lost;
    }
    let repeated = effects.check(keys, versions);
    assert!(told.keys().all(|said| said.contains("Kafka")), "{told:?}");
    println!(
        "{test}: {} restarts (half of them SIGKILL), {all} events, {repeated} repeated after their effect, {lost} leases \
         lost; 0 events lost, order kept; told meanwhile: {told:?}",
        signals.len()
    );
    // Nothing that was acknowledged comes again.
    let member = join(&opened(&options).await).await;
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
}
