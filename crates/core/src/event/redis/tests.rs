use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use super::{RedisBus, RedisBusOptions};
use crate::ErrorKind;
use crate::conformance::Server;
use crate::event::{
    Delivery, Envelope, EventBus, EventId, Page, Reason, Settlement, Start, State, Subscriber, Subscription,
};
use crate::time::{Clock, ManualClock};

const MANY: NonZeroUsize = NonZeroUsize::MAX;

/// A bus of the test's own on a clock that it turns; `None` where there is no server.
struct Table {
    url: String,
    prefix: String,
    clock: ManualClock,
}

impl Table {
    fn set(test: &str) -> Option<Self> {
        let url = Server::Redis.url(test)?;
        Some(Self { url, prefix: format!("test-{}", EventId::random()), clock: ManualClock::new() })
    }

    fn options(&self) -> RedisBusOptions {
        RedisBusOptions::new(self.url.as_str())
            .with_prefix(self.prefix.as_str())
            .with_clock(Arc::new(self.clock.clone()))
            // Only when it is called: the background one would race with the counts.
            .with_clean_up_every(Duration::from_hours(9_999))
    }

    async fn bus(&self) -> RedisBus {
        self.options().open().await.unwrap()
    }

    async fn connection(&self) -> MultiplexedConnection {
        // By default it gives up after half a second, in which a busy machine may not answer.
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
        let client = redis::Client::open(self.url.as_str()).unwrap();
        client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
    }

    fn key(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.prefix)
    }
}

fn event(key: &str, version: u64) -> Envelope {
    Envelope::new("posts", key, State::Created, version)
}

fn subscription() -> Subscription {
    Subscription::new("readers", ["posts"]).with_lease(Duration::from_secs(10))
}

fn seen(taken: &[Delivery]) -> Vec<(u64, u32)> {
    taken.iter().map(|delivery| (delivery.event.version, delivery.attempt)).collect()
}

async fn take(member: &Arc<dyn Subscriber>) -> Vec<Delivery> {
    member.fetch(MANY, Duration::ZERO).await.unwrap()
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_put_aside_and_its_key_goes_on() {
    for strange in 1..=3 {
        let Some(table) = Table::set("an unreadable event on redis") else { return };
        let bus = table.bus().await;
        let events = [1, 2, 3].map(|version| event("post-1", version));
        bus.publish(&events).await.unwrap();
        // The log is written anew, with one event as a program of tomorrow might write it.
        let (mut connection, stream) = (table.connection().await, table.key("t:posts"));
        let before: redis::streams::StreamRangeReply =
            redis::cmd("XRANGE").arg(&[&stream, "-", "+"]).query_async(&mut connection).await.unwrap();
        let _: i64 = redis::cmd("DEL").arg(&stream).query_async(&mut connection).await.unwrap();
        for (event, entry) in events.iter().zip(before.ids) {
            let mut value: Vec<u8> = entry.get("post-1").unwrap();
            if event.version == strange {
                value.truncate(16);
                let body = format!(r#"{{"state":{{"renamed":"비밀"}},"version":{strange},"form":9}}"#);
                value.extend(body.as_bytes());
            }
            let mut add = redis::cmd("XADD");
            add.arg(&stream).arg(entry.id).arg("post-1").arg(value);
            let _: String = add.query_async(&mut connection).await.unwrap();
        }
        let member = bus.subscribe(&subscription()).await.unwrap();
        let mut versions = Vec::new();
        while versions.len() < 2 {
            let taken = member.fetch(MANY, Duration::from_secs(5)).await.unwrap();
            assert!(!taken.is_empty(), "the key is held up after {versions:?} by {strange}");
            for delivery in taken {
                assert_eq!(delivery.attempt, 1);
                versions.push(delivery.event.version);
                member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
            }
        }
        let others: Vec<u64> = [1, 2, 3].into_iter().filter(|version| *version != strange).collect();
        assert_eq!(versions, others);
        assert_eq!(member.lag().await.unwrap().unsettled, 0);
        let dead = bus.dead_letters("readers", Page::default()).await.unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].reason.kind.as_str(), dead[0].attempts), ("unreadable", 1));
        assert!(!format!("{dead:?}").contains("비밀"));
        let letter = &dead[0].event;
        assert_eq!(
            (letter.topic.as_str(), letter.key.as_str(), letter.version),
            ("posts", "post-1", strange)
        );
        // Replayed by a program that cannot read it either, it is put aside again.
        assert_eq!(bus.replay("readers", &[letter.id]).await.unwrap(), 1);
        assert_eq!(take(&member).await.len(), 0);
        assert_eq!(bus.dead_letters("readers", Page::default()).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_key_with_more_events_than_a_run_keeps_its_order_and_so_does_the_empty_key() {
    let Some(table) = Table::set("a long lane on redis") else { return };
    let bus = table.bus().await;
    let member = bus.subscribe(&subscription()).await.unwrap();
    let events: Vec<_> = (1..=300).flat_map(|version| [event("", version), event("a", version)]).collect();
    bus.publish(&events).await.unwrap();
    let mut versions = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for round in 0.. {
        let taken = member.fetch(NonZeroUsize::new(1 + round % 50).unwrap(), Duration::ZERO).await.unwrap();
        if taken.is_empty() {
            break;
        }
        for delivery in taken {
            versions.entry(delivery.event.key.clone()).or_default().push(delivery.event.version);
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
    }
    let all: Vec<u64> = (1..=300).collect();
    assert_eq!(versions, [(String::new(), all.clone()), ("a".to_owned(), all)].into());
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
    // Nothing of a lane is left when its last event is done.
    let mut connection = table.connection().await;
    for (count, name, left) in [
        ("HLEN", "lanes", 1),
        ("ZCARD", "due", 1),
        ("HLEN", "batches", 0),
        ("ZCARD", "wait", 0),
        ("HLEN", "kept", 0),
    ] {
        let key = table.key(&format!("g:readers:posts:{name}"));
        let there: i64 = redis::cmd(count).arg(&key).query_async(&mut connection).await.unwrap();
        assert_eq!(there, left, "{key}");
    }
}

#[tokio::test]
async fn who_renews_some_of_a_fetch_keeps_these_alone_and_each_lane_goes_its_own_way() {
    let Some(table) = Table::set("lanes of one fetch on redis") else { return };
    let bus = table.bus().await;
    let [member, other] =
        [bus.subscribe(&subscription()).await.unwrap(), bus.subscribe(&subscription()).await.unwrap()];
    let keys = ["acked", "dead", "lapsed", "released", "renewed", "retried"];
    bus.publish(&keys.map(|key| event(key, 1))).await.unwrap();
    let taken = take(&member).await;
    let of = |key: &str| taken.iter().find(|taken| taken.event.key == key).unwrap().receipt.clone();
    // Behind each of them another one.
    bus.publish(&keys.map(|key| event(key, 2))).await.unwrap();
    assert!(take(&other).await.is_empty(), "their lanes are held");
    table.clock.advance(Duration::from_secs(6));
    assert_eq!(member.renew(&[of("renewed")]).await.unwrap(), []);
    member.settle(&of("acked"), Settlement::Ack).await.unwrap();
    let reason = Reason::new("unavailable", "later");
    member.settle(&of("dead"), Settlement::DeadLetter { reason: reason.clone() }).await.unwrap();
    member.settle(&of("released"), Settlement::Release).await.unwrap();
    let after = Duration::from_mins(1);
    member.settle(&of("retried"), Settlement::Retry { after, reason }).await.unwrap();
    let named = |taken: &[Delivery]| {
        let mut named: Vec<_> =
            taken.iter().map(|taken| (taken.event.key.clone(), taken.event.version, taken.attempt)).collect();
        named.sort();
        named
    };
    let row = |key: &str, version, attempt| (key.to_owned(), version, attempt);
    let next = take(&other).await;
    let expected = [row("acked", 2, 1), row("dead", 2, 1), row("released", 1, 1), row("released", 2, 1)];
    assert_eq!(named(&next), expected);
    for taken in next {
        other.settle(&taken.receipt, Settlement::Ack).await.unwrap();
    }
    // The lease of the fetch ends, not that of the one which was renewed.
    table.clock.advance(Duration::from_secs(5));
    let next = take(&other).await;
    assert_eq!(named(&next), [row("lapsed", 1, 2), row("lapsed", 2, 1)]);
    let late = member.settle(&of("lapsed"), Settlement::Ack).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
    for taken in next {
        other.settle(&taken.receipt, Settlement::Ack).await.unwrap();
    }
    assert_eq!(member.renew(&[of("renewed"), of("lapsed")]).await.unwrap(), [of("lapsed")]);
    member.settle(&of("renewed"), Settlement::Ack).await.unwrap();
    table.clock.advance(Duration::from_mins(1));
    let next = take(&other).await;
    assert_eq!(named(&next), [row("renewed", 2, 1), row("retried", 1, 2), row("retried", 2, 1)]);
    for taken in next {
        other.settle(&taken.receipt, Settlement::Ack).await.unwrap();
    }
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
    let mut connection = table.connection().await;
    for (count, name, left) in [("HLEN", "lanes", 1), ("ZCARD", "due", 1), ("HLEN", "batches", 0)] {
        let key = table.key(&format!("g:readers:posts:{name}"));
        let there: i64 = redis::cmd(count).arg(&key).query_async(&mut connection).await.unwrap();
        assert_eq!(there, left, "{key}");
    }
}

#[tokio::test]
async fn a_receipt_settles_once_also_in_one_call() {
    let Some(table) = Table::set("double settlements on redis") else { return };
    let bus = table.bus().await;
    let member = bus.subscribe(&subscription()).await.unwrap();
    for version in [1, 2] {
        bus.publish(&[event("a", version), event("b", version), event("c", version)]).await.unwrap();
        let taken = take(&member).await;
        let [one, two, three] = [0, 1, 2].map(|at| &taken[at].receipt);
        if version == 2 {
            // One waits behind it: it is not as the others.
            bus.publish(&[event(&one.key, 9)]).await.unwrap();
            assert!(take(&member).await.is_empty());
        }
        let settle = |receipt, settlement| member.settle(receipt, settlement);
        let settled = tokio::join!(
            settle(one, Settlement::Ack),
            settle(two, Settlement::Ack),
            settle(one, Settlement::Ack),
            settle(three, Settlement::Ack),
            settle(three, Settlement::Release),
        );
        let stood =
            [settled.0.is_ok(), settled.1.is_ok(), settled.2.is_ok(), settled.3.is_ok(), settled.4.is_ok()];
        assert_eq!(stood, [true, true, false, true, false], "of version {version}");
        for receipt in [one, two, three] {
            assert_eq!(
                member.settle(receipt, Settlement::Ack).await.unwrap_err().kind(),
                ErrorKind::Conflict
            );
        }
    }
    assert_eq!(seen(&take(&member).await), [(9, 1)]);
    assert_eq!(member.lag().await.unwrap().unsettled, 1);
}

#[tokio::test]
async fn events_that_somebody_took_out_of_the_log_hold_up_no_lane() {
    let Some(table) = Table::set("a log with holes on redis") else { return };
    let bus = table.bus().await;
    let member = bus.subscribe(&subscription()).await.unwrap();
    bus.publish(&[event("a", 1), event("b", 1), event("c", 1)]).await.unwrap();
    assert_eq!(take(&member).await.len(), 3);
    bus.publish(&[event("b", 2)]).await.unwrap();
    assert!(take(&member).await.is_empty());
    let (mut connection, stream) = (table.connection().await, table.key("t:posts"));
    let entries: redis::streams::StreamRangeReply =
        redis::cmd("XRANGE").arg(&[&stream, "-", "+"]).query_async(&mut connection).await.unwrap();
    for entry in entries.ids.iter().take(2) {
        let _: i64 =
            redis::cmd("XDEL").arg(&[&stream, &entry.id]).query_async(&mut connection).await.unwrap();
    }
    table.clock.advance(Duration::from_secs(11));
    let mut left = seen(&take(&member).await);
    left.sort_unstable();
    assert_eq!(left, [(1, 2), (2, 1)]);
    bus.publish(&[event("a", 3)]).await.unwrap();
    assert_eq!(seen(&take(&member).await), [(3, 1)]);
    assert_eq!(member.lag().await.unwrap().unsettled, 3);
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_told_again() {
    let Some(table) = Table::set("forgotten scripts on redis") else { return };
    let bus = table.bus().await;
    let member = bus.subscribe(&subscription()).await.unwrap();
    for version in 1..=3 {
        let mut connection = table.connection().await;
        let _: String = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
        bus.publish(&[event("a", version)]).await.unwrap();
        let _: String = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
        for delivery in take(&member).await {
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
    }
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
}

#[tokio::test]
async fn old_events_go_when_every_group_has_taken_them_in_and_what_is_not_settled_stays() {
    let Some(table) = Table::set("retention on redis") else { return };
    let bus = table.options().with_retention(Duration::from_hours(1)).open().await.unwrap();
    let member = bus.subscribe(&subscription()).await.unwrap();
    let events: Vec<_> = (1..=6).map(|version| event(&format!("key-{version}"), version)).collect();
    bus.publish(&events).await.unwrap();
    let reason = Reason::new("invalid_input", "no body");
    for delivery in take(&member).await {
        match delivery.event.version {
            1 => {} // still held
            2 => {
                let reason = reason.clone();
                member.settle(&delivery.receipt, Settlement::DeadLetter { reason }).await.unwrap();
            }
            3 => {
                let after = Duration::from_hours(3);
                let retry = Settlement::Retry { after, reason: reason.clone() };
                member.settle(&delivery.receipt, retry).await.unwrap();
            }
            _ => member.settle(&delivery.receipt, Settlement::Ack).await.unwrap(),
        }
    }
    // Behind the held one, and one that nobody has taken in.
    bus.publish(&[event("key-1", 7)]).await.unwrap();
    assert_eq!(take(&member).await.len(), 0);
    bus.publish(&[event("key-8", 8)]).await.unwrap();
    assert_eq!(bus.clean_up().await.unwrap(), 0, "nothing is old");
    table.clock.advance(Duration::from_hours(2));
    assert_eq!(bus.clean_up().await.unwrap(), 7, "what is not taken in stays");
    assert_eq!(bus.clean_up().await.unwrap(), 0);
    let late = bus.subscribe(&Subscription::new("late", ["posts"])).await.unwrap();
    assert_eq!(seen(&take(&late).await), [(8, 1)]);
    assert_eq!(bus.replay("readers", &[events[1].id]).await.unwrap(), 1);
    table.clock.advance(Duration::from_hours(2));
    assert_eq!(member.lag().await.unwrap().unsettled, 5);
    let mut left = Vec::new();
    loop {
        let taken = take(&member).await;
        if taken.is_empty() {
            break;
        }
        left.extend(seen(&taken));
        for delivery in taken {
            member.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
    }
    left.sort_unstable();
    assert_eq!(left, [(1, 2), (2, 1), (3, 2), (7, 1), (8, 1)]);
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
}

#[tokio::test]
async fn a_topic_keeps_as_many_events_as_it_may_and_a_forgotten_group_holds_nothing_back() {
    let Some(table) = Table::set("lengths on redis") else { return };
    let bus = table.options().with_max_len(4).open().await.unwrap();
    bus.subscribe(&subscription()).await.unwrap();
    bus.publish(&(1..=10).map(|version| event("a", version)).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(bus.clean_up().await.unwrap(), 0, "the group needs them");
    assert!(bus.forget_group("readers").await.unwrap());
    assert_eq!(bus.clean_up().await.unwrap(), 6);
    let member = bus.subscribe(&subscription()).await.unwrap();
    assert_eq!(member.lag().await.unwrap().unsettled, 4);
    assert_eq!(seen(&take(&member).await), [(7, 1), (8, 1), (9, 1), (10, 1)]);
}

#[tokio::test]
async fn ids_are_remembered_for_the_window_at_least_and_twice_at_most() {
    let Some(table) = Table::set("the window of ids on redis") else { return };
    let bus = table.options().with_window(3).open().await.unwrap();
    let events: Vec<_> = (1..=12).map(|version| event("a", version)).collect();
    for event in &events {
        bus.publish(std::slice::from_ref(event)).await.unwrap();
    }
    assert_eq!(bus.publish(&events[9..]).await.unwrap().duplicates, 3);
    assert_eq!(bus.publish(&events[..3]).await.unwrap().accepted, 3);
}

#[tokio::test]
async fn a_group_may_begin_at_a_moment() {
    let Some(table) = Table::set("a moment to begin at on redis") else { return };
    let bus = table.bus().await;
    bus.publish(&[event("a", 1)]).await.unwrap();
    table.clock.advance(Duration::from_secs(5));
    let moment = table.clock.now();
    bus.publish(&[event("a", 2)]).await.unwrap();
    let member = bus.subscribe(&subscription().with_start(Start::At(moment))).await.unwrap();
    assert_eq!(member.lag().await.unwrap().unsettled, 1);
    assert_eq!(seen(&take(&member).await), [(2, 1)]);
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_before_anything_is_stored() {
    let Some(table) = Table::set("refused batches on redis") else { return };
    let bus = table.bus().await;
    let many: Vec<_> = (0..=RedisBus::MAX_EVENTS as u64).map(|version| event("a", version)).collect();
    assert_eq!(bus.publish(&many).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let large = event("a", 1).with_payload(&"x".repeat(RedisBus::MAX_BYTES)).unwrap();
    assert_eq!(bus.publish(&[large]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    // Another topic's key holds something else: nothing of the batch is stored.
    let mut connection = table.connection().await;
    let taken = table.key("t:members");
    let _: String = redis::cmd("SET").arg(&taken).arg(1).query_async(&mut connection).await.unwrap();
    let batch = [event("a", 1), Envelope::new("members", "비밀", State::Created, 1)];
    let error = bus.publish(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!error.retry().is_retryable() && !format!("{error:?}").contains("비밀"), "{error:?}");
    let member = bus.subscribe(&subscription()).await.unwrap();
    assert_eq!(member.lag().await.unwrap().unsettled, 0);
    assert_eq!(bus.publish(&batch[..1]).await.unwrap().accepted, 1);
}

#[tokio::test]
async fn a_clock_that_goes_back_prolongs_leases_and_delays_by_no_more_than_their_length() {
    let Some(table) = Table::set("a clock that goes back on redis") else { return };
    let later = table.clock.clone();
    later.advance(Duration::from_hours(5));
    let bus = table.options().with_clock(Arc::new(later.clone())).open().await.unwrap();
    let member = bus.subscribe(&subscription()).await.unwrap();
    bus.publish(&[event("leased", 1), event("delayed", 2)]).await.unwrap();
    for delivery in take(&member).await {
        if delivery.event.key == "delayed" {
            let after = Duration::from_mins(1);
            let reason = Reason::new("unavailable", "later");
            member.settle(&delivery.receipt, Settlement::Retry { after, reason }).await.unwrap();
        }
    }
    // The same bus as a server sees it whose clock is five hours behind.
    let earlier = ManualClock::new();
    let bus = table.options().with_clock(Arc::new(earlier.clone())).open().await.unwrap();
    let member = bus.subscribe(&subscription()).await.unwrap();
    assert!(take(&member).await.is_empty(), "the lease holds");
    earlier.advance(Duration::from_secs(11));
    assert_eq!(seen(&take(&member).await), [(1, 2)]);
    earlier.advance(Duration::from_secs(50));
    assert!(seen(&take(&member).await).contains(&(2, 2)));
    // Positions do not go back with it.
    bus.publish(&[event("new", 3)]).await.unwrap();
    assert!(seen(&take(&member).await).contains(&(3, 1)));
}

#[tokio::test]
async fn passwords_are_in_no_error_and_each_failure_has_its_kind() {
    let refused = RedisBus::connect("redis://name:hunter2@127.0.0.1:1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    assert!(refused.retry().is_retryable() && refused.to_string().contains("127.0.0.1:1"), "{refused}");
    let unusable = RedisBus::connect("http://name:hunter2@127.0.0.1").await.unwrap_err();
    assert_eq!(unusable.kind(), ErrorKind::InvalidInput, "{unusable:?}");
    let prefix =
        RedisBusOptions::new("redis://:hunter2@127.0.0.1").with_prefix("a b{").open().await.unwrap_err();
    assert_eq!(prefix.kind(), ErrorKind::InvalidInput, "{prefix:?}");
    let shown =
        format!("{refused:?} {unusable:?} {prefix:?} {:?}", RedisBusOptions::new("redis://:hunter2@h"));
    assert!(!shown.contains("hunter2"), "{shown}");

    let Some(table) = Table::set("a wrong password on redis") else { return };
    let url = table.url.replacen("redis://", "redis://nobody:hunter2@", 1);
    let unknown = RedisBus::connect(url).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unauthorized, "{unknown:?}");
    assert!(!unknown.retry().is_retryable() && !format!("{unknown:?}").contains("hunter2"), "{unknown:?}");
}

#[tokio::test]
async fn a_layout_of_a_newer_or_an_older_program_is_refused() {
    let Some(table) = Table::set("another layout on redis") else { return };
    let mut connection = table.connection().await;
    let key = table.key("layout");
    for (version, said) in [(99, "newer"), (1, "older")] {
        let _: String = redis::cmd("SET").arg(&key).arg(version).query_async(&mut connection).await.unwrap();
        let error = table.options().open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(!error.retry().is_retryable() && error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn replicas_that_are_not_there_are_missed_and_repeating_is_safe() {
    let Some(table) = Table::set("missing replicas of redis") else { return };
    let bus = table.options().with_wait_replicas(1, Duration::from_millis(20)).open().await.unwrap();
    let one = [event("a", 1)];
    for _ in 0..2 {
        let error = bus.publish(&one).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry().is_retryable() && error.to_string().contains("replicas"), "{error}");
    }
    let member = table.bus().await.subscribe(&subscription()).await.unwrap();
    assert_eq!(seen(&take(&member).await), [(1, 1)]);
}
