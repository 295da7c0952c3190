//! Records of other programs, dead letters across processes, and doubles across restarts.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use pumasi_core::ErrorKind;
use pumasi_core::conformance::Server;
use pumasi_core::event::{EventBus, EventId, KafkaBusOptions, Page, Reason, Settlement, Subscription};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, FutureProducer, FutureRecord, Producer, ThreadedProducer,
};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{MANY, SOON, drain, event, join, on, options, subscription};

#[tokio::test]
async fn a_record_that_is_no_envelope_is_put_aside_whole_and_its_lane_goes_on() {
    let test = "a record that is no envelope";
    let Some(url) = Server::Kafka.url(test) else { return };
    let prefix = format!("test-{}.", EventId::random());
    let bus = on(&url, &prefix).open().await.unwrap();
    let member = join(&bus).await;
    let foreign: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &url)
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    let topic = format!("{prefix}posts");
    let later = event("a", 7);
    let whole = serde_json::to_string(&later).unwrap();
    // One that no program can read, one of a future form, one that this program writes.
    for value in ["어제 퇴사했어요", r#"{"v":2,"key":"a","version":5,"payload":"퇴사"}"#, &whole] {
        let headers = OwnedHeaders::new().insert(Header { key: "source", value: Some("legacy") });
        let record = FutureRecord::to(&topic).key("a").payload(value).headers(headers);
        foreign.send(record, SOON).await.unwrap();
    }
    let taken = member.fetch(MANY, SOON).await.unwrap();
    assert_eq!(taken.iter().map(|taken| taken.event.version).collect::<Vec<_>>(), [7]);
    member.settle(&taken[0].receipt, Settlement::Ack).await.unwrap();
    let dead = bus.dead_letters("readers", Page::default()).await.unwrap();
    assert_eq!(dead.len(), 2, "{dead:?}");
    for letter in &dead {
        assert_eq!((letter.reason.kind.as_str(), letter.event.key.as_str()), ("unreadable", "a"));
        assert!(!format!("{letter:?}").contains("퇴사"), "{letter:?}");
    }
    // What can be read of the second one is there.
    assert_eq!((dead[1].event.version, &dead[1].event.payload), (5, &serde_json::json!("퇴사")));
    // This program still cannot read it: it comes back to the dead letters.
    assert_eq!(bus.replay("readers", &[dead[0].event.id]).await.unwrap(), 1);
    assert_eq!(drain(&member).await, []);
    assert_eq!(bus.dead_letters("readers", Page::default()).await.unwrap().len(), 2);
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
}

#[tokio::test]
async fn what_another_process_put_aside_is_seen_by_one_that_had_looked_when_there_was_nothing() {
    let Some(options) = options("dead letters of another process") else { return };
    let (bus, other) = (options.clone().open().await.unwrap(), options.open().await.unwrap());
    // What it knows of this topic must not make it hold on to the answer that there is no other.
    other.publish(&[event("a", 1)]).await.unwrap();
    let watching = join(&other).await;
    assert_eq!(watching.lag().await.unwrap().unsettled, 1);
    assert_eq!(other.dead_letters("readers", Page::default()).await.unwrap(), []);
    drop(watching);
    let member = join(&bus).await;
    let taken = member.fetch(MANY, SOON).await.unwrap();
    let reason = Reason::new("invalid_input", "no body");
    member.settle(&taken[0].receipt, Settlement::DeadLetter { reason }).await.unwrap();
    assert_eq!(bus.dead_letters("readers", Page::default()).await.unwrap().len(), 1);
    assert_eq!(other.dead_letters("readers", Page::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_replay_by_another_process_is_noticed_survives_restarts_and_counts_its_attempts() {
    let Some(options) = options("a replay by another process") else { return };
    let options = options.with_replay_poll(Duration::from_millis(50));
    let (bus, other) = (options.clone().open().await.unwrap(), options.clone().open().await.unwrap());
    let member = join(&bus).await;
    bus.publish(&[event("a", 1), event("a", 2), event("b", 1)]).await.unwrap();
    let reason = || Reason::new("invalid_input", "no body");
    let mut settled = 0;
    while settled < 3 {
        for delivery in member.fetch(MANY, SOON).await.unwrap() {
            let end = match (delivery.event.key.as_str(), delivery.event.version) {
                ("a", 1) => Settlement::DeadLetter { reason: reason() },
                _ => Settlement::Ack,
            };
            member.settle(&delivery.receipt, end).await.unwrap();
            settled += 1;
        }
    }
    let dead = other.dead_letters("readers", Page::default()).await.unwrap();
    assert_eq!(other.replay("readers", &[dead[0].event.id]).await.unwrap(), 1);
    assert_eq!(other.dead_letters("readers", Page::default()).await.unwrap(), []);
    let taken = member.fetch(MANY, SOON).await.unwrap();
    assert_eq!(taken.iter().map(|taken| (taken.event.version, taken.attempt)).collect::<Vec<_>>(), [(1, 1)]);
    // The process ends with it in its hands, and so does the next one.
    drop((taken, member, bus));
    let bus = options.clone().open().await.unwrap();
    let member = join(&bus).await;
    let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
    assert_eq!(taken.iter().map(|taken| (taken.event.version, taken.attempt)).collect::<Vec<_>>(), [(1, 2)]);
    member.settle(&taken[0].receipt, Settlement::DeadLetter { reason: reason() }).await.unwrap();
    let dead = bus.dead_letters("readers", Page::default()).await.unwrap();
    assert_eq!(dead.iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [2]);
    bus.replay("readers", &[dead[0].event.id]).await.unwrap();
    assert_eq!(member.lag().await.unwrap().unsettled, 1);
    assert_eq!(drain(&member).await, [("a".to_owned(), 1)]);
    drop((member, bus));
    let bus = options.open().await.unwrap();
    let member = join(&bus).await;
    assert_eq!(drain(&member).await, [], "what was replayed and acknowledged is done");
    assert_eq!(member.lag().await.unwrap(), pumasi_core::event::Lag::new(0, 0));
}

#[tokio::test]
async fn doubles_are_dropped_after_a_restart_as_far_as_the_window_reaches() {
    let Some(options) = options("doubles after a restart") else { return };
    let options = options.with_window(50);
    let bus = options.clone().open().await.unwrap();
    let member = join(&bus).await;
    bus.publish(&[event("a", 1)]).await.unwrap();
    bus.publish(&(2..=20).map(|version| event("a", version)).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(drain(&member).await.len(), 20);
    drop((member, bus));
    let bus = options.clone().open().await.unwrap();
    let member = join(&bus).await;
    bus.publish(&[event("a", 1), event("a", 20), event("a", 21)]).await.unwrap();
    assert_eq!(drain(&member).await, [("a".to_owned(), 21)]);
    bus.publish(&(22..=100).map(|version| event("a", version)).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(drain(&member).await.len(), 79);
    drop((member, bus));
    let bus = options.open().await.unwrap();
    let member = join(&bus).await;
    bus.publish(&[event("a", 1)]).await.unwrap();
    assert_eq!(drain(&member).await, [("a".to_owned(), 1)], "an older id is forgotten");
}

#[tokio::test]
async fn what_is_settled_out_of_order_is_not_handed_out_again_after_a_restart() {
    let Some(options) = options("settled out of order") else { return };
    let bus = options.clone().open().await.unwrap();
    let member = join(&bus).await;
    let events: Vec<_> = (0..300).map(|key| event(&format!("key-{key}"), 1)).collect();
    bus.publish(&events).await.unwrap();
    let mut open = Vec::new();
    let mut all = 0;
    while all < 300 {
        for delivery in member.fetch(MANY, SOON).await.unwrap() {
            all += 1;
            if all % 7 == 3 {
                open.push(delivery.event.key.clone());
            } else {
                member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
            }
        }
    }
    drop((member, bus));
    let bus = options.open().await.unwrap();
    let member = join(&bus).await;
    assert_eq!(member.lag().await.unwrap().unsettled, open.len() as u64);
    let mut again = Vec::new();
    while again.len() < open.len() {
        let taken = member.fetch(MANY, Duration::ZERO).await.unwrap();
        assert!(!taken.is_empty(), "{} of {}", again.len(), open.len());
        for delivery in taken {
            assert_eq!(delivery.attempt, 2, "{delivery:?}");
            again.push(delivery.event.key.clone());
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
    }
    open.sort();
    again.sort();
    assert_eq!(again, open);
    assert_eq!(drain(&member).await, []);
}

#[tokio::test]
async fn a_lane_that_waits_does_not_stop_the_others_and_reading_ahead_is_bounded() {
    let Some(options) = options("reading ahead") else { return };
    let bus = options.with_read_ahead(20).open().await.unwrap();
    // Longer than it takes for all of it.
    let member = bus.subscribe(&subscription().with_lease(Duration::from_mins(5))).await.unwrap();
    bus.publish(&[event("stuck", 1)]).await.unwrap();
    let stuck = member.fetch(MANY, SOON).await.unwrap();
    let events: Vec<_> =
        (0..600).map(|number| event(&format!("key-{}", number % 30), 1 + number / 30)).collect();
    bus.publish(&events).await.unwrap();
    let few = NonZeroUsize::new(10).unwrap();
    let mut others = 0;
    while others < 600 {
        let taken = member.fetch(few, SOON).await.unwrap();
        assert!(!taken.is_empty(), "{others} of 600");
        for delivery in taken {
            others += 1;
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
        assert_eq!(member.renew(&[stuck[0].receipt.clone()]).await.unwrap(), []);
    }
    member.settle(&stuck[0].receipt, Settlement::Ack).await.unwrap();
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
}

#[tokio::test]
async fn a_topic_that_nobody_made_is_not_found_and_may_be_asked_for_again() {
    let Some(url) = Server::Kafka.url("a topic that nobody made") else { return };
    let bus =
        KafkaBusOptions::new(url).with_prefix(format!("none-{}.", EventId::random())).open().await.unwrap();
    let error = bus.subscribe(&subscription()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.retry().is_retryable());
    assert_eq!(bus.dead_letters("readers", Page::default()).await.unwrap(), []);
    let error = bus.subscribe(&Subscription::new("readers", ["글"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn an_event_that_is_too_large_for_a_letter_is_put_aside_without_its_payload() {
    let Some(options) = options("a letter that is too large") else { return };
    let bus = options.open().await.unwrap();
    let member = join(&bus).await;
    let large = event("a", 1).with_payload(&"가".repeat(333_000)).unwrap();
    bus.publish(&[large, event("a", 2)]).await.unwrap();
    let taken = member.fetch(NonZeroUsize::MIN, SOON).await.unwrap();
    let reason = Reason::new("invalid_input", "x".repeat(2_000));
    member.settle(&taken[0].receipt, Settlement::DeadLetter { reason }).await.unwrap();
    let dead = bus.dead_letters("readers", Page::default()).await.unwrap();
    assert_eq!((dead.len(), dead[0].event.version), (1, 1));
    assert_eq!(drain(&member).await, [("a".to_owned(), 2)], "its key goes on");
}

#[tokio::test]
async fn a_log_that_lost_its_tail_is_read_from_where_it_ends_now() {
    let test = "a log that lost its tail";
    let Some(url) = Server::Kafka.url(test) else { return };
    let prefix = format!("test-{}.", EventId::random());
    let bus = on(&url, &prefix).open().await.unwrap();
    bus.publish(&[event("a", 1)]).await.unwrap();
    // What the group has committed outlived what it was about.
    let (topic, group) = (format!("{prefix}posts"), format!("{prefix}readers"));
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &url).set("group.id", &group).create().unwrap();
        let mut ahead = TopicPartitionList::new();
        for partition in 0..4 {
            ahead.add_partition_offset(&topic, partition, Offset::Offset(1_000)).unwrap();
        }
        consumer.commit(&ahead, CommitMode::Sync).unwrap();
    })
    .await
    .unwrap();
    let member = join(&bus).await;
    assert_eq!(member.fetch(MANY, Duration::ZERO).await.unwrap().len(), 0);
    bus.publish(&[event("a", 2), event("b", 1)]).await.unwrap();
    let mut read = drain(&member).await;
    read.sort();
    assert_eq!(read, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
}

#[tokio::test]
async fn behind_transactions_committed_and_aborted_nothing_is_left() {
    let test = "transactions of other producers";
    let Some(url) = Server::Kafka.url(test) else { return };
    let prefix = format!("test-{}.", EventId::random());
    let bus = on(&url, &prefix).open().await.unwrap();
    let member = join(&bus).await;
    bus.publish(&[event("a", 1)]).await.unwrap();
    assert_eq!(drain(&member).await.len(), 1);
    let (topic, id) = (format!("{prefix}posts"), format!("{prefix}writer"));
    tokio::task::spawn_blocking(move || {
        let producer: ThreadedProducer<DefaultProducerContext> =
            ClientConfig::new().set("bootstrap.servers", &url).set("transactional.id", &id).create().unwrap();
        producer.init_transactions(SOON).unwrap();
        for round in 0..4 {
            producer.begin_transaction().unwrap();
            let body = serde_json::to_string(&event("t", round + 1)).unwrap();
            producer
                .send(BaseRecord::to(&topic).key("t").payload(&body))
                .map_err(|(error, _)| error)
                .unwrap();
            match round % 2 {
                0 => producer.commit_transaction(SOON).unwrap(),
                _ => producer.abort_transaction(SOON).unwrap(),
            }
        }
    })
    .await
    .unwrap();
    let begun = std::time::Instant::now();
    let mut read = Vec::new();
    loop {
        read.extend(drain(&member).await);
        let lag = member.lag().await.unwrap();
        if lag.unsettled == 0 {
            break;
        }
        assert!(begun.elapsed() < SOON, "{read:?} {lag:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(read, [("t".to_owned(), 1), ("t".to_owned(), 3)]);
    // And whoever comes later is told the same.
    member.close().await;
    drop(member);
    let member = join(&bus).await;
    assert_eq!(drain(&member).await, []);
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
}

#[tokio::test]
async fn a_group_that_is_left_in_order_gives_its_partitions_to_others_at_once() {
    let Some(options) = options("a group that is left in order") else { return };
    let (bus, other) = (options.clone().open().await.unwrap(), options.open().await.unwrap());
    bus.publish(&[event("a", 1)]).await.unwrap();
    let member = join(&bus).await;
    assert_eq!(drain(&member).await.len(), 1);
    let waiting = join(&other).await;
    assert_eq!(waiting.fetch(MANY, Duration::from_secs(1)).await.unwrap().len(), 0);
    member.close().await;
    let keys: Vec<_> = (0..20).map(|key| event(&format!("key-{key}"), 1)).collect();
    bus.publish(&keys).await.unwrap();
    let begun = Instant::now();
    let mut read = 0;
    while read < keys.len() {
        for delivery in waiting.fetch(MANY, SOON).await.unwrap() {
            waiting.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
            read += 1;
        }
        assert!(begun.elapsed() < SOON, "{read} of {} after {:?}", keys.len(), begun.elapsed());
    }
    // The process may join again.
    let member = join(&bus).await;
    drop(waiting);
    bus.publish(&[event("a", 2)]).await.unwrap();
    assert_eq!(member.fetch(MANY, SOON).await.unwrap().len(), 1);
}
