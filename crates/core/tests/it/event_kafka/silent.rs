//! A broker that says nothing for a while, longer than a publish may take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;
use pumasi_core::conformance::Server;
use pumasi_core::event::EventBus;

use super::{drain, event, on, subscription};
use crate::private::Private;

/// How long a publish may take here.
const LIMIT: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_was_cut_off_keeps_its_order_when_it_is_repeated_and_others_do_not_notice() {
    let test = "a silent broker";
    let broker = tokio::task::spawn_blocking(move || Private::start(Server::Kafka, test)).await.unwrap();
    let Some(broker) = broker.map(Arc::new) else { return };
    // So few at a time that a batch is still being handed over when its first events have had their time.
    let bus = on(broker.url(), "")
        .with_publish_timeout(LIMIT)
        .with_property("queue.buffering.max.messages", "10")
        .open()
        .await
        .unwrap();
    let mut last = 0;
    for silence in [LIMIT + Duration::from_millis(1500), LIMIT + Duration::from_millis(200)] {
        last += 1;
        bus.publish(&[event("a", last), event("b", last)]).await.unwrap();
        let batch: Vec<_> = (last + 1..=last + 60).map(|version| event("a", version)).collect();
        last += 60;
        broker.signal("STOP");
        let (first, other, ()) = tokio::join!(
            bus.publish(&batch),
            async {
                // Its time is not over when that of the batch is.
                tokio::time::sleep(LIMIT / 2).await;
                let late = event("b", last);
                bus.publish(std::slice::from_ref(&late)).await
            },
            async {
                tokio::time::sleep(silence).await;
                broker.signal("CONT");
            }
        );
        // Stored are the first ones at most, and these are recognised when it is repeated.
        let error = first.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Overloaded), "{error:?}");
        assert!(error.retry().is_retryable(), "{error:?}");
        if silence < LIMIT + LIMIT / 4 {
            other.unwrap();
        } else {
            drop(other);
            bus.publish(&[event("b", last)]).await.unwrap();
        }
        // As a relay does: until it is done.
        let mut tries = 0;
        while let Err(error) = bus.publish(&batch).await {
            tries += 1;
            assert!(error.retry().is_retryable() && tries < 20, "{error:?}");
        }
    }
    let member = loop {
        match bus.subscribe(&subscription()).await {
            Ok(member) => break member,
            // The broker has not found out yet that it is the group's coordinator.
            Err(error) => assert!(error.retry().is_retryable(), "{error:?}"),
        }
    };
    let mut read = Vec::new();
    let begun = Instant::now();
    while read.len() < usize::try_from(last).unwrap() + 4 {
        assert!(begun.elapsed() < Duration::from_mins(3), "{read:?}");
        read.extend(drain(&member).await);
    }
    let versions = |key: &str| -> Vec<u64> {
        read.iter().filter(|(found, _)| found == key).map(|(_, version)| *version).collect()
    };
    assert_eq!(versions("a"), (1..=last).collect::<Vec<_>>());
    assert_eq!(versions("b"), [1, 61, 62, 122]);
}
