use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::SqliteBus;
use crate::event::{Envelope, EventBus, Page, Published, Settlement, State, Subscription};

const MANY: NonZeroUsize = NonZeroUsize::MAX;

/// Publishes three events of one key, and turns the one of this version into what no program of today writes.
async fn with_a_strange_one(folder: &std::path::Path, version: u64) -> SqliteBus {
    let path = folder.join("events.db");
    let bus = SqliteBus::open(&path).await.unwrap();
    let events = [1, 2, 3].map(|version| Envelope::new("posts", "post-1", State::Created, version));
    bus.publish(&events).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let body = json!({"id": events[0].id, "state": {"renamed": "비밀"}, "version": version, "form": 9});
    sqlx::query("UPDATE pumasi_event_log SET body = ?1 WHERE seq = ?2")
        .bind(body.to_string())
        .bind(i64::try_from(version).unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    bus
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_put_aside_and_its_key_goes_on() {
    for strange in [1_u64, 2, 3] {
        let folder = tempfile::tempdir().unwrap();
        let bus = with_a_strange_one(folder.path(), strange).await;
        let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let taken = member.fetch(MANY, Duration::from_secs(5)).await.unwrap();
            assert!(!taken.is_empty(), "the key is held up after {seen:?} by {strange}");
            for delivery in taken {
                assert_eq!(delivery.attempt, 1);
                seen.push(delivery.event.version);
                member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
            }
        }
        let others: Vec<u64> = [1, 2, 3].into_iter().filter(|version| *version != strange).collect();
        assert_eq!(seen, others);
        assert_eq!(member.fetch(MANY, Duration::ZERO).await.unwrap().len(), 0);
        assert_eq!(member.lag().await.unwrap().unsettled, 0);

        let dead = bus.dead_letters("readers", Page::default()).await.unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].reason.kind.as_str(), dead[0].attempts), ("unreadable", 1));
        assert!(!format!("{dead:?}").contains("비밀"));
        let event = &dead[0].event;
        assert_eq!((event.topic.as_str(), event.key.as_str(), event.version), ("posts", "post-1", strange));

        // Replayed by a program that cannot read it either, it is put aside again.
        assert_eq!(bus.replay("readers", &[event.id]).await.unwrap(), 1);
        assert_eq!(member.fetch(MANY, Duration::ZERO).await.unwrap().len(), 0);
        assert_eq!(bus.dead_letters("readers", Page::default()).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn settling_out_of_order_counts_no_attempt_of_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let bus = SqliteBus::open(folder.path().join("events.db")).await.unwrap();
    let events = [1, 2, 3].map(|version| Envelope::new("posts", "post-1", State::Created, version));
    bus.publish(&events).await.unwrap();
    let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await.unwrap();
    let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
    assert_eq!(taken.len(), 3);
    member.settle(&taken[2].receipt, Settlement::Ack).await.unwrap();
    member.settle(&taken[0].receipt, Settlement::Release).await.unwrap();
    let again = member.fetch(MANY, Duration::ZERO).await.unwrap();
    let seen: Vec<_> = again.iter().map(|delivery| (delivery.event.version, delivery.attempt)).collect();
    assert_eq!(seen, [(1, 1), (2, 1)]);
}

#[tokio::test]
async fn callers_who_publish_at_the_same_time_are_each_told_what_is_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let bus = SqliteBus::open(folder.path().join("events.db")).await.unwrap();
    let event = |key: &str| Envelope::new("posts", key, State::Created, 1);
    let known = event("known");
    bus.publish(std::slice::from_ref(&known)).await.unwrap();
    let twice = event("twice");
    let calls: Vec<Vec<Envelope>> = (0..40)
        .map(|call| match call {
            7 => vec![],
            8 => vec![known.clone(), event("new")],
            9 | 10 => vec![twice.clone()],
            _ => vec![event(&format!("a-{call}")), event(&format!("b-{call}"))],
        })
        .collect();
    let told = futures_util::future::join_all(calls.iter().map(|events| bus.publish(events))).await;
    let told: Vec<_> = told.into_iter().map(Result::unwrap).collect();
    assert_eq!(told[7], Published::new(0, 0));
    assert_eq!(told[8], Published::new(1, 1));
    assert_eq!((told[9], told[10]), (Published::new(1, 0), Published::new(0, 1)));
    assert!(told.iter().skip(11).all(|told| *told == Published::new(2, 0)), "{told:?}");
    let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await.unwrap();
    assert_eq!(member.lag().await.unwrap().unsettled, 1 + 36 * 2 + 1 + 1);
}
