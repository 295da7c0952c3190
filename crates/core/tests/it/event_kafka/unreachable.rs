//! A broker that cannot be reached for a while.

use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;
use pumasi_core::conformance::Server;
use pumasi_core::event::{Consumer, EventBus, EventId, Shutdown};

use super::proxy::Proxy;
use super::work::Effects;
use super::{MANY, SESSION, event, is_full, join, on, subscription};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_a_clear_error_and_everything_goes_on_by_itself_afterwards() {
    let test = "a broker that cannot be reached";
    let Some(url) = Server::Kafka.url(test) else { return };
    let proxy = Proxy::before(&url).await;
    let prefix = format!("test-{}.", EventId::random());
    let through = on(&proxy.address.to_string(), &prefix)
        .with_session_timeout(SESSION)
        .with_request_timeout(Duration::from_secs(1))
        .with_publish_timeout(Duration::from_millis(1500))
        .with_property("reconnect.backoff.max.ms", "200");
    let bus = through.clone().open().await.unwrap();
    let effects = Effects::default();
    let shutdown = Shutdown::new();
    let running =
        tokio::spawn(Consumer::new(bus.clone(), subscription(), effects.clone()).run(shutdown.clone()));
    let (keys, versions, cuts) = if is_full() { (8, 400_u64, 10) } else { (8, 60_u64, 2) };
    let publishing = tokio::spawn(async move {
        let mut failures = 0;
        for version in 1..=versions {
            let batch: Vec<_> = (0..keys).map(|key| event(&format!("key-{key}"), version)).collect();
            while let Err(error) = bus.publish(&batch).await {
                let kind = error.kind();
                assert!(matches!(kind, ErrorKind::Timeout | ErrorKind::Unavailable), "{error:?}");
                assert!(error.retry().is_retryable(), "{error:?}");
                failures += 1;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        failures
    });
    for cut in 0..cuts {
        tokio::time::sleep(Duration::from_millis(500)).await;
        proxy.cut();
        // Once shorter and once longer than the session timeout, after which the member is expelled.
        tokio::time::sleep(Duration::from_millis(if cut % 2 == 0 { 3_500 } else { 600 })).await;
        proxy.mend();
    }
    let failures = publishing.await.unwrap();
    let all = keys * usize::try_from(versions).unwrap();
    let begun = Instant::now();
    while effects.count() < all {
        assert!(begun.elapsed() < Duration::from_mins(3), "{} of {all} events", effects.count());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shutdown.trigger();
    running.await.unwrap().unwrap();
    let repeated = effects.check(keys, versions);
    println!(
        "{test}: {cuts} cuts, {failures} calls failed, {all} events, {repeated} repeated, 0 lost, order kept"
    );

    let bus = through.open().await.unwrap();
    let member = join(&bus).await;
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
    proxy.cut();
    let error = member.fetch(MANY, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error:?}");
    assert!(error.retry().is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_unavailable_at_once_or_in_time() {
    let options = on("127.0.0.1:1", "").with_request_timeout(Duration::from_secs(1));
    let error = options.open().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error:?}");
    assert!(error.retry().is_retryable());
}
