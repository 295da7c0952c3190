//! The laws of [`EventBus`], in the order of its numbered guarantees.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join;
use serde_json::{Value, json};

use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::event::{
    Actor, Delivery, Envelope, EventBus, EventId, Lag, Page, Reason, Receipt, Settlement, Start, State,
    Subscriber, Subscription, TraceContext,
};

/// One store, empty at first, that a law opens as often as it likes.
#[async_trait]
pub trait BusHarness: Send + Sync {
    /// Opens the store: every call gives a bus over the same events, as another process would see them.
    async fn open(&self) -> Arc<dyn EventBus>;

    /// Lets time pass for leases and delays: turns the clock that the bus was given, or really waits.
    async fn pass(&self, time: Duration);

    /// Returns how long a fetch may take to find what is there; zero (the default) where the first look finds it.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns how long it may take until a group whose members are on two buses is shared out among them, in real time; zero
    /// (the default) where a member takes what is there.
    fn handover(&self) -> Duration {
        Duration::ZERO
    }
}

/// Makes one `#[test]` per law of [`EventBus`](crate::event::EventBus), in a module of the given name, each on a harness
/// of its own made by the expression.
#[macro_export]
macro_rules! bus_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::bus],
            law_01_publish_is_durable,
            law_01_a_batch_is_stored_whole_or_not_at_all,
            law_01_what_was_accepted_can_be_read,
            law_02_publish_is_idempotent,
            law_03_every_group_gets_every_event,
            law_03_what_comes_is_what_was_published,
            law_03_a_waiting_fetch_is_woken,
            law_04_an_event_has_one_holder,
            law_04_an_event_has_one_holder_on_two_buses,
            law_05_order_is_kept_within_a_lane,
            law_05_order_is_kept_within_a_lane_on_two_buses,
            law_05_a_held_lane_is_not_handed_out,
            law_06_what_is_not_settled_comes_back,
            law_07_acknowledged_is_done,
            law_08_a_retry_waits_and_only_its_lane,
            law_08_a_retry_may_be_ages_away,
            law_09_dead_letters_are_listed_and_replayed,
            law_09_a_replay_into_a_held_lane_disturbs_nobody,
            law_10_leases_are_fenced,
            law_10_leases_are_fenced_on_two_buses,
            law_10_a_renewed_lease_holds,
            law_11_a_release_gives_back_at_once,
            law_12_a_group_begins_where_it_first_said,
            law_13_a_dropped_fetch_leaves_nothing_behind,
            law_13_a_dropped_publish_is_whole,
            law_14_attempts_survive_their_member,
            law_14_settling_a_later_event_counts_no_attempt_of_those_before,
            law_15_a_forgotten_group_begins_anew,
            law_15_a_member_of_a_forgotten_group_touches_no_other,
            law_15_a_receipt_from_before_a_group_was_forgotten_is_refused,
            law_15_a_group_is_forgotten_before_its_first_event,
        );
    };
}

const LEASE: Duration = Duration::from_secs(10);
const MANY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

fn event(key: &str, version: u64) -> Envelope {
    Envelope::new("posts", key, State::Updated, version)
}

fn reason() -> Reason {
    Reason::new("unavailable", "the model did not answer")
}

fn subscription(group: &str) -> Subscription {
    Subscription::new(group, ["posts"]).with_lease(LEASE)
}

/// Which events these are: key and version.
fn names(deliveries: &[Delivery]) -> Vec<(String, u64)> {
    deliveries.iter().map(|delivery| (delivery.event.key.clone(), delivery.event.version)).collect()
}

fn name(key: &str, version: u64) -> (String, u64) {
    (key.to_owned(), version)
}

struct Table<'a, H: ?Sized> {
    harness: &'a H,
    bus: Arc<dyn EventBus>,
}

impl<'a, H: BusHarness + ?Sized> Table<'a, H> {
    async fn set(harness: &'a H) -> Self {
        Self { harness, bus: harness.open().await }
    }

    async fn join(&self, group: &str) -> Result<Arc<dyn Subscriber>, Broken> {
        Ok(self.bus.subscribe(&subscription(group)).await?)
    }

    async fn take(&self, member: &Arc<dyn Subscriber>) -> Result<Vec<Delivery>, Broken> {
        Ok(member.fetch(MANY, self.harness.patience()).await?)
    }

    async fn only(&self, member: &Arc<dyn Subscriber>) -> Result<Delivery, Broken> {
        let mut taken = self.take(member).await?;
        match (taken.pop(), taken.is_empty()) {
            (Some(delivery), true) => Ok(delivery),
            (last, _) => {
                let count = taken.len() + usize::from(last.is_some());
                Err(Broken::new(format!("expected one delivery, got {count}")))
            }
        }
    }

    /// Fetches and acknowledges until nothing is left, and tells what came, in order.
    async fn drain(&self, member: &Arc<dyn Subscriber>) -> Result<Vec<(String, u64)>, Broken> {
        let mut all = Vec::new();
        loop {
            let taken = self.take(member).await?;
            if taken.is_empty() {
                return Ok(all);
            }
            all.extend(names(&taken));
            for delivery in taken {
                member.settle(&delivery.receipt, Settlement::Ack).await?;
            }
        }
    }
}

/// Law 1: what `publish` reported is there after the bus is closed and opened again.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_01_publish_is_durable(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    if !table.bus.capabilities().durable {
        return Ok(Kept::Skipped("the backend does not outlive its process"));
    }
    let events: Vec<_> = (1..=5).map(|version| event("a", version)).collect();
    let published = table.bus.publish(&events).await?;
    same!(published.accepted, 5, "accepted events");
    drop(table);
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    let expected: Vec<_> = (1..=5).map(|version| name("a", version)).collect();
    same!(table.drain(&member).await?, expected, "events after opening again");
    Ok(Kept::Whole)
}

/// Law 1: a batch with an event that breaks the rules stores none of its events.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_01_a_batch_is_stored_whole_or_not_at_all(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    let bad = Envelope::new("no such topic!", "a", State::Created, 1);
    let Err(error) = table.bus.publish(&[event("a", 1), bad, event("a", 2)]).await else {
        return Err(Broken::new("an event with an impossible topic was taken"));
    };
    same!(error.kind(), ErrorKind::InvalidInput, "kind of the error");
    same!(table.drain(&member).await?, vec![], "events of the refused batch");
    same!(table.bus.publish(&[]).await?.accepted, 0, "events of an empty batch");
    Ok(Kept::Whole)
}

/// An array in an array, and so on: as many as `levels`.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!("가장 안쪽"), |inner, _| json!([inner]))
}

/// Law 1: the deepest payload that is accepted can be read again; a deeper one is refused, and its batch with it.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_01_what_was_accepted_can_be_read(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    let deepest = event("a", 1).with_payload(&nested(Envelope::MAX_DEPTH))?;
    let deeper = event("a", 3).with_payload(&json!({"안": nested(Envelope::MAX_DEPTH)}))?;
    let Err(error) = table.bus.publish(&[event("a", 2), deeper]).await else {
        return Err(Broken::new("a payload that no reader takes was accepted"));
    };
    same!(error.kind(), ErrorKind::InvalidInput, "kind of the error");
    table.bus.publish(std::slice::from_ref(&deepest)).await?;
    let taken = table.only(&member).await?;
    holds!(*taken.event == deepest, "the deepest payload came back as another");
    member.settle(&taken.receipt, Settlement::Ack).await?;
    same!(table.bus.dead_letters("readers", Page::default()).await?, vec![], "dead letters");
    Ok(Kept::Whole)
}

/// Law 2: the same id is stored once, in one batch or in two, before and after it was handled.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_02_publish_is_idempotent(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    let (one, other) = (event("a", 1), event("a", 2));
    let first = table.bus.publish(&[one.clone(), one.clone()]).await?;
    let second = table.bus.publish(&[other.clone(), one.clone()]).await?;
    if table.bus.capabilities().idempotent_publish {
        same!((first.accepted, first.duplicates), (1, 1), "accepted and duplicates of the first call");
        same!((second.accepted, second.duplicates), (1, 1), "accepted and duplicates of the second call");
    }
    same!(table.drain(&member).await?, vec![name("a", 1), name("a", 2)], "events handed out");
    table.bus.publish(&[one, other]).await?;
    same!(table.drain(&member).await?, vec![], "events handed out after publishing again");
    Ok(Kept::Whole)
}

/// Law 3: each group gets each event of its topics once, and only those.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_03_every_group_gets_every_event(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let early = table.join("early").await?;
    table.bus.publish(&[event("a", 1), event("b", 1)]).await?;
    table.bus.publish(&[Envelope::new("members", "a", State::Created, 9)]).await?;
    let late = table.join("late").await?;
    let both = Subscription::new("both", ["members", "posts"]).with_lease(LEASE);
    let both = table.bus.subscribe(&both).await?;
    for (group, member, expected) in [("early", &early, 2), ("late", &late, 2), ("both", &both, 3)] {
        same!(member.lag().await?.unsettled, expected as u64, "lag of {group} before");
        let seen: BTreeSet<_> = table.drain(member).await?.into_iter().collect();
        same!(seen.len(), expected, "events that group {group} got");
        same!(member.lag().await?.unsettled, 0, "lag of {group} after");
    }
    Ok(Kept::Whole)
}

/// Numbers and texts that a store may get wrong.
fn delicate() -> Value {
    let mut bits = 7_u64;
    let mut random = || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        bits
    };
    let any: Vec<f64> = std::iter::repeat_with(|| f64::from_bits(random()))
        .filter(|float| float.is_finite())
        .take(500)
        .collect();
    // As measurements are: many digits, and neither large nor small.
    let common: Vec<f64> =
        std::iter::repeat_with(|| f64::from_bits((0x3ff << 52) | (random() >> 12)) * 100.0)
            .take(1500)
            .collect();
    json!({
        "floats": [0.0, -0.0, 0.1, 1.0, 1e23, 5e-324, f64::MAX, f64::MIN],
        "small": [f64::MIN_POSITIVE, f64::MIN_POSITIVE.next_down(), -f64::EPSILON],
        "any": any,
        "common": common,
        "whole": [0, -1, i64::MIN, i64::MAX, u64::MAX, 9_007_199_254_740_993_u64],
        "한국어": "매일 아침 20분 걷기 — 각\u{1100}\u{1161}\u{11a8}, 漢字, 👩‍👩‍👧",
        "escapes": "\u{0}\u{7}\u{8}\t\n\u{c}\r\u{1f}\"\\/\u{7f}\u{85}\u{2028}\u{2029}\u{feff}\u{fffd}\u{10ffff} \\u0041",
        "": {"": [null, true, false, [], {}, ""]},
    })
}

/// Law 3: what is delivered equals what was published, to the last digit and character.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_03_what_comes_is_what_was_published(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse::<TraceContext>()?;
    let sent = event("글 \"7\"\\\u{1}", u64::MAX)
        .with_actor(Actor::new("사용자 42").with_role("관리자"))
        .with_trace(trace.with_state("vendor=1"))
        .with_header("제목\n", "첫 글 \u{0}\"")
        .with_payload(&delicate())?;
    table.bus.publish(std::slice::from_ref(&sent)).await?;
    let taken = table.only(&member).await?;
    let (came, sent) = (&taken.event, &sent);
    // As text, too: to a comparison the two zeros are one.
    for (name, there) in sent.payload.as_object().into_iter().flatten() {
        let here = came.payload.get(name);
        let written = |value: Option<&Value>| value.map(Value::to_string);
        holds!(
            here == Some(there) && written(here) == written(Some(there)),
            "{name:?} came as another: {}",
            difference(there, here.unwrap_or(&Value::Null))
        );
    }
    holds!(**came == *sent, "an event came as another: {came:?} for {sent:?}");
    member.settle(&taken.receipt, Settlement::Ack).await?;
    Ok(Kept::Whole)
}

/// Where two values first differ, if they are lists.
fn difference(sent: &Value, came: &Value) -> String {
    let written = |value: &Value| match value {
        Value::Array(items) => items.iter().map(Value::to_string).collect(),
        other => vec![other.to_string()],
    };
    let mut pairs = written(sent).into_iter().zip(written(came));
    let differing = pairs.find(|(one, other)| one != other);
    differing.map_or_else(|| "one is longer".to_owned(), |(one, other)| format!("{other} for {one}"))
}

/// Law 3: a fetch that waits gets what is published meanwhile.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_03_a_waiting_fetch_is_woken(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    let events = [event("a", 1)];
    let (fetched, published) =
        join(member.fetch(MANY, Duration::from_secs(30)), table.bus.publish(&events)).await;
    published?;
    same!(names(&fetched?), vec![name("a", 1)], "events of the waiting fetch");
    Ok(Kept::Whole)
}

/// Law 4: two members of a group never hold the same event.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_04_an_event_has_one_holder(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let (left, right) = (table.join("readers").await?, table.join("readers").await?);
    let events: Vec<_> = (0..40).map(|key| event(&format!("key-{key}"), 1)).collect();
    table.bus.publish(&events).await?;
    let few = NonZeroUsize::MIN.saturating_add(6);
    let mut holders: HashMap<EventId, u32> = HashMap::new();
    for _ in 0..20 {
        let patience = harness.patience();
        let (one, other) = join(left.fetch(few, patience), right.fetch(few, patience)).await;
        for delivery in one?.into_iter().chain(other?) {
            *holders.entry(delivery.event.id).or_default() += 1;
        }
    }
    same!(holders.len(), 40, "events handed out");
    holds!(holders.values().all(|count| *count == 1), "an event is with two members at once");
    Ok(Kept::Whole)
}

/// Two buses on one store, as two processes have them, with a member of one group on each.
struct Pair {
    members: [Arc<dyn Subscriber>; 2],
    /// Until when they may be shared out; every look that found nothing before waits a moment.
    until: Instant,
}

impl Pair {
    async fn join<H: BusHarness + ?Sized>(
        first: &Table<'_, H>,
        second: &Table<'_, H>,
    ) -> Result<Self, Broken> {
        let members = [first.join("readers").await?, second.join("readers").await?];
        Ok(Self { members, until: Instant::now() + first.harness.handover() })
    }

    /// Lets both take events at the same time.
    async fn take(&self, max: NonZeroUsize, wait: Duration) -> Result<[Vec<Delivery>; 2], Broken> {
        let [left, right] = &self.members;
        let (one, other) = join(left.fetch(max, wait), right.fetch(max, wait)).await;
        let taken = |fetched: crate::Result<Vec<Delivery>>| match fetched {
            // The group is being shared out: nothing was handed out.
            Err(error) if error.retry().is_retryable() && Instant::now() < self.until => Ok(Vec::new()),
            fetched => fetched,
        };
        Ok([taken(one)?, taken(other)?])
    }

    /// Whether it is worth to look again.
    async fn goes_on(&self) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(Duration::from_millis(20))).await;
        !left.is_zero()
    }
}

/// Law 4: two members on two buses never hold the same event; where a group is shared out anew, the former holder is told.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_04_an_event_has_one_holder_on_two_buses(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let (table, other) = (Table::set(harness).await, Table::set(harness).await);
    let pair = Pair::join(&table, &other).await?;
    let events: Vec<_> = (0..40).map(|key| event(&format!("key-{key}"), 1)).collect();
    table.bus.publish(&events).await?;
    let few = NonZeroUsize::MIN.saturating_add(6);
    let mut held: [HashMap<EventId, Receipt>; 2] = Default::default();
    for round in 0.. {
        let taken = pair.take(few, harness.patience()).await?;
        for (taken, held) in taken.into_iter().zip(&mut held) {
            for delivery in taken {
                let before = held.insert(delivery.event.id, delivery.receipt);
                if before.is_some() && harness.handover().is_zero() {
                    return Err(Broken::new("an event was handed to its holder again"));
                }
            }
        }
        let mut holders: HashMap<EventId, u32> = HashMap::new();
        for (member, held) in pair.members.iter().zip(&mut held) {
            let receipts: Vec<_> = held.values().cloned().collect();
            let lost = member.renew(&receipts).await?;
            held.retain(|_, receipt| !lost.contains(receipt));
        }
        for id in held.iter().flat_map(HashMap::keys) {
            *holders.entry(*id).or_default() += 1;
        }
        holds!(holders.values().all(|count| *count == 1), "an event is with two members at once");
        if holders.len() == 40 {
            break;
        }
        holds!(round < 20 || pair.goes_on().await, "{} of 40 events are held", holders.len());
    }
    Ok(Kept::Whole)
}

/// Law 5: with several members, retries and releases, each lane's events are acknowledged in the order of publishing.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_05_order_is_kept_within_a_lane(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let members = [table.join("readers").await?, table.join("readers").await?];
    for version in 1..=20 {
        let batch: Vec<_> = (0..7).map(|key| event(&format!("key-{key}"), version)).collect();
        table.bus.publish(&batch).await?;
    }
    let mut done: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut turn = 0_u32;
    for round in 0..2_000_u32 {
        let Some(member) = members.get(round as usize % 2) else { continue };
        let few = NonZeroUsize::MIN.saturating_add(round as usize % 9);
        let mut given_back = BTreeSet::new();
        for delivery in member.fetch(few, Duration::ZERO).await? {
            if given_back.contains(&delivery.event.key) {
                continue;
            }
            turn += 1;
            let settlement = match turn % 5 {
                0 => Settlement::Retry { after: Duration::from_secs(1), reason: reason() },
                3 => Settlement::Release,
                _ => Settlement::Ack,
            };
            if settlement == Settlement::Ack {
                done.entry(delivery.event.key.clone()).or_default().push(delivery.event.version);
            } else {
                given_back.insert(delivery.event.key.clone());
            }
            member.settle(&delivery.receipt, settlement).await?;
        }
        if done.values().map(Vec::len).sum::<usize>() == 140 {
            break;
        }
        if round % 7 == 6 {
            harness.pass(Duration::from_secs(1)).await;
        }
    }
    let expected: Vec<u64> = (1..=20).collect();
    same!(done.len(), 7, "lanes");
    for (key, versions) in done {
        same!(versions, expected, "order of {key}");
    }
    Ok(Kept::Whole)
}

/// Law 5: the same with the members on two buses.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_05_order_is_kept_within_a_lane_on_two_buses(
    harness: &(impl BusHarness + ?Sized),
) -> Verdict {
    let (table, other) = (Table::set(harness).await, Table::set(harness).await);
    let pair = Pair::join(&table, &other).await?;
    let [left, _] = &pair.members;
    for version in 1..=20 {
        let batch: Vec<_> = (0..7).map(|key| event(&format!("key-{key}"), version)).collect();
        let bus = if version % 2 == 0 { &table.bus } else { &other.bus };
        bus.publish(&batch).await?;
    }
    let mut done: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut turn = 0_u32;
    for round in 0_u32.. {
        let few = NonZeroUsize::MIN.saturating_add(round as usize % 9);
        let taken = pair.take(few, Duration::ZERO).await?;
        for (member, taken) in pair.members.iter().zip(taken) {
            let mut given_back = BTreeSet::new();
            for Delivery { event, receipt, .. } in taken {
                if given_back.contains(&event.key) {
                    continue;
                }
                turn += 1;
                let settlement = match turn % 5 {
                    0 => Settlement::Retry { after: Duration::from_secs(1), reason: reason() },
                    3 => Settlement::Release,
                    _ => Settlement::Ack,
                };
                let acknowledged = settlement == Settlement::Ack;
                match member.settle(&receipt, settlement).await {
                    Ok(()) if acknowledged => done.entry(event.key.clone()).or_default().push(event.version),
                    Ok(()) => {
                        given_back.insert(event.key.clone());
                    }
                    // It went to the other one meanwhile, and what comes behind it as well.
                    Err(error) if error.kind() == ErrorKind::Conflict && !harness.handover().is_zero() => {
                        given_back.insert(event.key.clone());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let settled = done.values().map(Vec::len).sum::<usize>();
        if settled >= 140 {
            break;
        }
        holds!(round < 1_000 || pair.goes_on().await, "{settled} of 140 events are done");
        if round % 7 == 6 {
            harness.pass(Duration::from_secs(1)).await;
        }
    }
    let expected: Vec<u64> = (1..=20).collect();
    same!(done.len(), 7, "lanes");
    for (key, versions) in done {
        same!(versions, expected, "order of {key}");
    }
    same!(member_lag(left).await?, 0, "events left");
    Ok(Kept::Whole)
}

/// Law 5: while one member holds a lane's event, nobody gets the lane's later ones; other lanes go on.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_05_a_held_lane_is_not_handed_out(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let (left, right) = (table.join("readers").await?, table.join("readers").await?);
    table.bus.publish(&[event("a", 1)]).await?;
    let held = table.only(&left).await?;
    table.bus.publish(&[event("a", 2), event("b", 1)]).await?;
    same!(names(&table.take(&right).await?), vec![name("b", 1)], "events for the other member");
    same!(names(&table.take(&left).await?), vec![], "events for the holder itself");
    left.settle(&held.receipt, Settlement::Ack).await?;
    same!(names(&table.take(&right).await?), vec![name("a", 2)], "events after the acknowledgement");
    Ok(Kept::Whole)
}

/// Law 6: an event whose holder falls silent comes back when the lease ends, to any member.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_06_what_is_not_settled_comes_back(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let (left, right) = (table.join("readers").await?, table.join("readers").await?);
    table.bus.publish(&[event("a", 1), event("a", 2)]).await?;
    same!(names(&table.take(&left).await?), vec![name("a", 1), name("a", 2)], "events of the first fetch");
    harness.pass(LEASE / 2).await;
    same!(names(&table.take(&right).await?), vec![], "events while the lease runs");
    harness.pass(LEASE).await;
    same!(table.drain(&right).await?, vec![name("a", 1), name("a", 2)], "events after the lease");
    Ok(Kept::Whole)
}

/// Law 7: an acknowledged event never comes again, neither after its lease nor after opening anew; its lane goes on.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_07_acknowledged_is_done(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let durable = table.bus.capabilities().durable;
    let member = table.join("readers").await?;
    table.bus.publish(&[event("a", 1), event("a", 2), event("b", 1)]).await?;
    let taken = table.take(&member).await?;
    same!(taken.len(), 3, "events handed out");
    for delivery in &taken {
        if delivery.event.version == 1 {
            member.settle(&delivery.receipt, Settlement::Ack).await?;
        }
    }
    harness.pass(LEASE * 2).await;
    let table = if durable {
        drop((member, table));
        Table::set(harness).await
    } else {
        table
    };
    let member = table.join("readers").await?;
    let left = table.only(&member).await?;
    same!((left.event.key.as_str(), left.event.version), ("a", 2), "the event that was not acknowledged");
    member.settle(&left.receipt, Settlement::Ack).await?;
    let again = member.settle(&left.receipt, Settlement::Ack).await;
    same!(again.map_err(|error| error.kind()), Err(ErrorKind::Conflict), "a second acknowledgement");
    harness.pass(LEASE * 2).await;
    same!(names(&table.take(&member).await?), vec![], "events at the end");
    Ok(Kept::Whole)
}

/// Law 8: a retried event waits for its delay and its lane with it; other lanes go on; attempts count up.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_08_a_retry_waits_and_only_its_lane(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    table.bus.publish(&[event("a", 1), event("a", 2)]).await?;
    for attempt in 1..=3 {
        let taken = table.take(&member).await?;
        same!(names(&taken), vec![name("a", 1), name("a", 2)], "events of attempt {attempt}");
        let mut taken = taken.into_iter();
        let (Some(head), Some(next)) = (taken.next(), taken.next()) else { continue };
        same!((head.attempt, next.attempt), (attempt, 1), "attempts of the head and of the one behind it");
        let (before, rest) = (Duration::from_secs(55), Duration::from_secs(5));
        let after = before + rest;
        member.settle(&head.receipt, Settlement::Retry { after, reason: reason() }).await?;
        let late = member.settle(&next.receipt, Settlement::Ack).await.map_err(|error| error.kind());
        same!(late, Err(ErrorKind::Conflict), "an acknowledgement past the event that waits");
        table.bus.publish(&[event("b", u64::from(attempt))]).await?;
        same!(table.drain(&member).await?, vec![name("b", u64::from(attempt))], "events during the delay");
        harness.pass(before).await;
        same!(names(&table.take(&member).await?), vec![], "events before the end of the delay");
        harness.pass(rest).await;
    }
    same!(table.drain(&member).await?, vec![name("a", 1), name("a", 2)], "events at the end");
    Ok(Kept::Whole)
}

/// Law 8: waits and delays may be as long as a [`Duration`] can say.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_08_a_retry_may_be_ages_away(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    table.bus.publish(&[event("a", 1)]).await?;
    let taken = member.fetch(MANY, Duration::MAX).await?;
    same!(names(&taken), vec![name("a", 1)], "events of a fetch that would wait for ages");
    for delivery in taken {
        let settlement = Settlement::Retry { after: Duration::MAX, reason: reason() };
        member.settle(&delivery.receipt, settlement).await?;
    }
    table.bus.publish(&[event("b", 1)]).await?;
    harness.pass(Duration::from_hours(24)).await;
    same!(
        table.drain(&member).await?,
        vec![name("b", 1)],
        "events of other lanes, and of none before its delay"
    );
    Ok(Kept::Whole)
}

/// Law 9: a dead letter is out of its lane's way, is listed for its group alone, page by page, and can be replayed.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_09_dead_letters_are_listed_and_replayed(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let (member, other) = (table.join("readers").await?, table.join("others").await?);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
    let poison = event("a", 1).with_trace(trace);
    table.bus.publish(&[poison.clone(), event("b", 1), event("a", 2)]).await?;
    for delivery in table.take(&member).await? {
        if delivery.event.version == 1 {
            member.settle(&delivery.receipt, Settlement::DeadLetter { reason: reason() }).await?;
        } else {
            member.settle(&delivery.receipt, Settlement::Ack).await?;
        }
    }
    let all = table.bus.dead_letters("readers", Page::default()).await?;
    let keys: BTreeSet<_> = all.iter().map(|letter| letter.event.key.as_str()).collect();
    same!(keys, BTreeSet::from(["a", "b"]), "keys of the dead letters");
    let Some(letter) = all.iter().find(|letter| letter.event.id == poison.id) else {
        return Err(Broken::new("the poison event is not among the dead letters"));
    };
    same!(letter.event, poison, "the event of the dead letter");
    same!((&letter.reason, letter.attempts), (&reason(), 1), "reason and attempts");
    same!(member.lag().await?.dead_letters, 2, "dead letters counted");
    let mut paged = Vec::new();
    let mut after = 0;
    while let Some(letter) =
        table.bus.dead_letters("readers", Page { after, limit: NonZeroUsize::MIN }).await?.pop()
    {
        after = letter.position;
        paged.push(letter);
    }
    same!(paged, all, "the dead letters page by page");
    same!(table.bus.dead_letters("others", Page::default()).await?, vec![], "another group's dead letters");
    same!(table.drain(&other).await?.len(), 3, "events of the other group");

    table.bus.publish(&[event("a", 3)]).await?;
    let ids = [poison.id, EventId::random()];
    same!(table.bus.replay("readers", &ids).await?, 1, "replayed events");
    same!(table.bus.replay("readers", &ids).await?, 0, "events replayed twice");
    let taken = table.take(&member).await?;
    same!(names(&taken), vec![name("a", 1), name("a", 3)], "events after the replay");
    same!(taken.first().map(|delivery| delivery.attempt), Some(1), "attempt after the replay");
    for delivery in taken {
        member.settle(&delivery.receipt, Settlement::Ack).await?;
    }
    same!(table.bus.dead_letters("readers", Page::default()).await?.len(), 1, "dead letters left");
    Ok(Kept::Whole)
}

/// Law 9: an event that is replayed while a member holds the lane waits for it, as later ones do, and comes next.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_09_a_replay_into_a_held_lane_disturbs_nobody(
    harness: &(impl BusHarness + ?Sized),
) -> Verdict {
    let table = Table::set(harness).await;
    let (left, right) = (table.join("readers").await?, table.join("readers").await?);
    let events: Vec<_> = (1..=4).map(|version| event("a", version)).collect();
    table.bus.publish(&events).await?;
    let taken = table.take(&left).await?;
    let [poison, second, third, last] = taken.as_slice() else {
        return Err(Broken::new(format!("{} of 4 events of a lane were handed out", taken.len())));
    };
    left.settle(&poison.receipt, Settlement::DeadLetter { reason: reason() }).await?;
    same!(table.bus.replay("readers", &[poison.event.id]).await?, 1, "replayed events");
    same!(names(&table.take(&right).await?), vec![], "events while the lane is held");
    left.settle(&second.receipt, Settlement::Ack).await?;
    same!(names(&table.take(&right).await?), vec![], "events while the rest of the lane is held");
    let lost = left.renew(&[third.receipt.clone(), last.receipt.clone()]).await?;
    same!(lost, vec![], "receipts lost by the holder");
    left.settle(&third.receipt, Settlement::Ack).await?;
    left.settle(&last.receipt, Settlement::Release).await?;
    let taken = table.take(&right).await?;
    same!(names(&taken), vec![name("a", 1), name("a", 4)], "events after the release");
    let attempts: Vec<_> = taken.iter().map(|delivery| delivery.attempt).collect();
    same!(attempts, vec![1, 1], "attempts after the release");
    Ok(Kept::Whole)
}

/// Law 10: after a takeover the old receipt can neither settle nor renew, and the new one is not disturbed.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_10_leases_are_fenced(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let (left, right) = (table.join("readers").await?, table.join("readers").await?);
    table.bus.publish(&[event("a", 1)]).await?;
    let old = table.only(&left).await?;
    harness.pass(LEASE * 2).await;
    let new = table.only(&right).await?;
    for settlement in [
        Settlement::Ack,
        Settlement::Release,
        Settlement::Retry { after: Duration::ZERO, reason: reason() },
        Settlement::DeadLetter { reason: reason() },
    ] {
        let refused = left.settle(&old.receipt, settlement.clone()).await;
        let kind = refused.map_err(|error| error.kind());
        same!(kind, Err(ErrorKind::Conflict), "{settlement:?} with the old receipt");
    }
    let lost = left.renew(std::slice::from_ref(&old.receipt)).await?;
    same!(lost, vec![old.receipt], "receipts lost by the old holder");
    same!(right.renew(std::slice::from_ref(&new.receipt)).await?, vec![], "receipts lost by the new holder");
    right.settle(&new.receipt, Settlement::Ack).await?;
    same!(table.bus.dead_letters("readers", Page::default()).await?, vec![], "dead letters");
    same!(member_lag(&right).await?, 0, "events left");
    Ok(Kept::Whole)
}

/// Law 10: the same where the new holder is on another bus.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_10_leases_are_fenced_on_two_buses(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let (table, other) = (Table::set(harness).await, Table::set(harness).await);
    let events: Vec<_> = (0..16).map(|key| event(&format!("key-{key}"), 1)).collect();
    table.bus.publish(&events).await?;
    let left = table.join("readers").await?;
    let mut old: HashMap<EventId, Receipt> = HashMap::new();
    let begun = Instant::now();
    loop {
        let taken = left.fetch(MANY, harness.patience().max(harness.handover() / 30)).await?;
        old.extend(taken.into_iter().map(|taken| (taken.event.id, taken.receipt)));
        if old.len() == 16 {
            break;
        }
        holds!(begun.elapsed() < harness.handover(), "{} of 16 events were handed out", old.len());
    }
    let pair = Pair {
        members: [Arc::clone(&left), other.join("readers").await?],
        until: Instant::now() + harness.handover(),
    };
    let [_, right] = &pair.members;
    harness.pass(LEASE * 2).await;
    // Where a member has a part of the lanes, it gets what is in it.
    let new = loop {
        match right.fetch(MANY, harness.patience()).await {
            Ok(taken) if !taken.is_empty() => break taken,
            Err(error) if !error.retry().is_retryable() => return Err(error.into()),
            _ => holds!(pair.goes_on().await, "nothing came to the other member"),
        }
    };
    for (at, delivery) in new.iter().enumerate() {
        let Some(receipt) = old.remove(&delivery.event.id) else {
            return Err(Broken::new("an event came twice to the other member"));
        };
        let settlement = match at % 4 {
            0 => Settlement::Ack,
            1 => Settlement::Release,
            2 => Settlement::Retry { after: Duration::ZERO, reason: reason() },
            _ => Settlement::DeadLetter { reason: reason() },
        };
        let refused = left.settle(&receipt, settlement.clone()).await.map_err(|error| error.kind());
        same!(refused, Err(ErrorKind::Conflict), "{settlement:?} with the old receipt");
        same!(
            left.renew(std::slice::from_ref(&receipt)).await?,
            vec![receipt],
            "receipts lost by the old holder"
        );
        same!(delivery.attempt, 2, "attempt of the new holder");
        right.settle(&delivery.receipt, Settlement::Ack).await?;
    }
    // The rest, whoever has it now.
    for receipt in old.values() {
        let settled = left.settle(receipt, Settlement::Ack).await.map_err(|error| error.kind());
        holds!(matches!(settled, Ok(()) | Err(ErrorKind::Conflict)), "{settled:?} for one that stayed");
    }
    loop {
        for (member, taken) in pair.members.iter().zip(pair.take(MANY, harness.patience()).await?) {
            for delivery in taken {
                member.settle(&delivery.receipt, Settlement::Ack).await?;
            }
        }
        let unsettled = member_lag(right).await?;
        if unsettled == 0 {
            break;
        }
        holds!(pair.goes_on().await, "{unsettled} events are left");
    }
    same!(table.bus.dead_letters("readers", Page::default()).await?, vec![], "dead letters");
    Ok(Kept::Whole)
}

async fn member_lag(member: &Arc<dyn Subscriber>) -> Result<u64, Broken> {
    Ok(member.lag().await?.unsettled)
}

/// Law 10: a lease that is renewed in time holds for as long as it takes, and so does one that lapsed unnoticed.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_10_a_renewed_lease_holds(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let (left, right) = (table.join("readers").await?, table.join("readers").await?);
    table.bus.publish(&[event("a", 1)]).await?;
    let held = table.only(&left).await?;
    for _ in 0..6 {
        harness.pass(LEASE / 2).await;
        same!(left.renew(std::slice::from_ref(&held.receipt)).await?, vec![], "receipts lost");
        same!(names(&table.take(&right).await?), vec![], "events for the other member");
    }
    harness.pass(LEASE * 2).await;
    left.settle(&held.receipt, Settlement::Ack).await?;
    same!(names(&table.take(&right).await?), vec![], "events at the end");
    Ok(Kept::Whole)
}

/// Law 11: a released event, and with it what the same fetch took of its lane, is there at once, as if never begun.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_11_a_release_gives_back_at_once(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let (left, right) = (table.join("readers").await?, table.join("readers").await?);
    table.bus.publish(&[event("a", 1), event("a", 2), event("a", 3)]).await?;
    let taken = table.take(&left).await?;
    same!(taken.len(), 3, "events of the first fetch");
    let mut receipts = taken.iter().map(|delivery| &delivery.receipt);
    if let Some(first) = receipts.next() {
        left.settle(first, Settlement::Ack).await?;
    }
    if let Some(second) = receipts.next() {
        left.settle(second, Settlement::Release).await?;
    }
    if let Some(third) = receipts.next() {
        let late = left.settle(third, Settlement::Ack).await.map_err(|error| error.kind());
        same!(late, Err(ErrorKind::Conflict), "an acknowledgement after the release");
    }
    let again = table.take(&right).await?;
    same!(names(&again), vec![name("a", 2), name("a", 3)], "events after the release");
    holds!(again.iter().all(|delivery| delivery.attempt == 1), "a release counted as an attempt");
    Ok(Kept::Whole)
}

/// Law 12: the first subscription decides where a group begins, and later ones do not move it.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_12_a_group_begins_where_it_first_said(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    table.bus.publish(&[event("a", 1)]).await?;
    let latest = subscription("latest").with_start(Start::Latest);
    table.bus.subscribe(&latest).await?;
    table.bus.publish(&[event("a", 2)]).await?;
    for start in [Start::Earliest, Start::Latest] {
        let member = table.bus.subscribe(&latest.clone().with_start(start)).await?;
        let taken = table.take(&member).await?;
        same!(names(&taken), vec![name("a", 2)], "events of the group that began at the end");
        if let Some(delivery) = taken.first() {
            member.settle(&delivery.receipt, Settlement::Release).await?;
        }
    }
    let earliest = table.bus.subscribe(&subscription("earliest")).await?;
    same!(table.drain(&earliest).await?, vec![name("a", 1), name("a", 2)], "events from the beginning");
    let later = crate::time::Timestamp::MAX;
    let at = table.bus.subscribe(&subscription("at").with_start(Start::At(later))).await?;
    same!(table.drain(&at).await?, vec![], "events from a moment that has not come");
    Ok(Kept::Whole)
}

/// Polls a future a few times and drops it; tells what came of it, if it ended in time.
async fn poll_and_drop<F: Future>(work: F, polls: u32) -> Option<F::Output> {
    let mut work = pin!(work);
    for _ in 0..polls {
        let ended = poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        if ended.is_some() {
            return ended;
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Law 13: whenever a fetch is dropped, what it would have returned is there for the next one, with its attempt unused.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_13_a_dropped_fetch_leaves_nothing_behind(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    let mut version = 0;
    for polls in (0..12).cycle().take(48) {
        version += 1;
        table.bus.publish(&[event("a", version)]).await?;
        let delivery = match poll_and_drop(member.fetch(MANY, Duration::ZERO), polls).await {
            Some(ended) => ended?.into_iter().next(),
            // Another process has no lease to wait for: the event is free as soon as the drop was noticed.
            None => member.fetch(MANY, Duration::from_secs(30)).await?.into_iter().next(),
        };
        let Some(delivery) = delivery else { return Err(Broken::new("the event is still leased")) };
        same!((delivery.event.version, delivery.attempt), (version, 1), "version and attempt");
        member.settle(&delivery.receipt, Settlement::Ack).await?;
    }
    Ok(Kept::Whole)
}

/// Law 13: whenever a publish is dropped, all of its events are there or none, and repeating it completes it.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_13_a_dropped_publish_is_whole(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    if !table.bus.capabilities().atomic_batches {
        return Ok(Kept::Skipped("the backend stores batches event by event"));
    }
    for polls in 0..12 {
        let topic = format!("topic-{polls}");
        let member = Subscription::new("readers", [topic.as_str()]).with_lease(LEASE);
        let member = table.bus.subscribe(&member).await?;
        let batch: Vec<_> =
            (1..=10).map(|version| Envelope::new(topic.as_str(), "a", State::Updated, version)).collect();
        let _ = poll_and_drop(table.bus.publish(&batch), polls).await;
        let before = table.drain(&member).await?.len();
        holds!(before == 0 || before == 10, "{before} of 10 events are there after {polls} polls");
        table.bus.publish(&batch).await?;
        let after = table.drain(&member).await?.len();
        same!(before + after, 10, "events after publishing again");
    }
    Ok(Kept::Whole)
}

/// Law 14: an attempt that ended with its process is counted.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_14_attempts_survive_their_member(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let mut table = Table::set(harness).await;
    let durable = table.bus.capabilities().durable;
    table.bus.publish(&[event("a", 1), event("a", 2)]).await?;
    for attempt in 1..=3 {
        let member = table.join("readers").await?;
        let taken = table.take(&member).await?;
        let attempts: Vec<_> = taken.iter().map(|delivery| delivery.attempt).collect();
        same!(attempts, vec![attempt, 1], "attempts of the event that was begun and of the one behind it");
        if durable {
            drop((member, table));
            table = Table::set(harness).await;
        }
        harness.pass(LEASE * 2).await;
    }
    Ok(Kept::Whole)
}

/// Law 14: events of one lane that are settled in another order than they lie in count no attempt of those before them.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_14_settling_a_later_event_counts_no_attempt_of_those_before(
    harness: &(impl BusHarness + ?Sized),
) -> Verdict {
    let table = Table::set(harness).await;
    table.bus.publish(&[event("a", 1), event("a", 2), event("a", 3)]).await?;
    let member = table.join("readers").await?;
    let taken = table.take(&member).await?;
    let [_, _, last] = taken.as_slice() else {
        return Err(Broken::new(format!("{} of 3 events of a lane were handed out", taken.len())));
    };
    member.settle(&last.receipt, Settlement::Ack).await?;
    harness.pass(LEASE * 2).await;
    let again = table.take(&member).await?;
    let again: Vec<_> = again.iter().map(|taken| (taken.event.version, taken.attempt)).collect();
    same!(again, vec![(1, 2), (2, 1)], "versions and attempts");
    Ok(Kept::Whole)
}

/// Law 15: a group that was forgotten is unknown, has no dead letters, and reads from its start when it comes again.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_15_a_forgotten_group_begins_anew(harness: &(impl BusHarness + ?Sized)) -> Verdict {
    let table = Table::set(harness).await;
    let member = table.join("readers").await?;
    table.bus.publish(&[event("a", 1), event("a", 2), event("b", 1)]).await?;
    let taken = table.take(&member).await?;
    for delivery in &taken {
        let settlement = if delivery.event.key == "b" {
            Settlement::DeadLetter { reason: reason() }
        } else {
            Settlement::Ack
        };
        member.settle(&delivery.receipt, settlement).await?;
    }
    drop(member);
    if !table.bus.forget_group("readers").await? {
        return Ok(Kept::Skipped("the backend's groups go by themselves"));
    }
    holds!(!table.bus.forget_group("readers").await?, "a group was forgotten twice");
    same!(
        table.bus.dead_letters("readers", Page::default()).await?.len(),
        0,
        "dead letters of a forgotten group"
    );
    let member = table.join("readers").await?;
    let mut again = table.drain(&member).await?;
    again.sort();
    same!(again, vec![name("a", 1), name("a", 2), name("b", 1)], "events when the group comes again");
    Ok(Kept::Whole)
}

/// What a law says that needs a group to be forgotten under its members.
const STILL_READ: Kept = Kept::Skipped("the backend forgets no group that has members");

/// Forgets a group that has members; `false` where that cannot be.
async fn forget_under_its_members(bus: &Arc<dyn EventBus>, group: &str) -> Result<bool, Broken> {
    match bus.forget_group(group).await {
        Err(error) if !error.retry().is_retryable() => Ok(false),
        forgotten => Ok(forgotten?),
    }
}

/// Law 15: a member that lives on when its group is forgotten is handed nothing, and ends nothing, of another group.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_15_a_member_of_a_forgotten_group_touches_no_other(
    harness: &(impl BusHarness + ?Sized),
) -> Verdict {
    let table = Table::set(harness).await;
    let old = table.join("old").await?;
    table.bus.publish(&[event("a", 1)]).await?;
    let held = table.only(&old).await?;
    if !forget_under_its_members(&table.bus, "old").await? {
        return Ok(STILL_READ);
    }
    let new = table.join("new").await?;
    table.bus.publish(&[event("b", 1)]).await?;
    same!(names(&table.take(&old).await?), vec![], "events for a member of the forgotten group");
    same!(old.lag().await?, Lag::default(), "what a member of the forgotten group is behind");
    let refused = old.settle(&held.receipt, Settlement::Ack).await.map_err(|error| error.kind());
    same!(refused, Err(ErrorKind::Conflict), "an acknowledgement for the forgotten group");
    let lost = old.renew(std::slice::from_ref(&held.receipt)).await?;
    same!(lost, vec![held.receipt], "receipts lost with the group");
    let mut all = table.drain(&new).await?;
    all.sort();
    same!(all, vec![name("a", 1), name("b", 1)], "events of the group that came after");
    Ok(Kept::Whole)
}

/// Law 15: a group is forgotten on a topic that has no event yet; one that comes after reads from its own start.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_15_a_group_is_forgotten_before_its_first_event(
    harness: &(impl BusHarness + ?Sized),
) -> Verdict {
    let table = Table::set(harness).await;
    let latest = subscription("readers").with_start(Start::Latest);
    drop(table.bus.subscribe(&latest).await?);
    if !table.bus.forget_group("readers").await? {
        return Ok(Kept::Skipped("the backend's groups go by themselves"));
    }
    table.bus.publish(&[event("a", 1)]).await?;
    let again = table.bus.subscribe(&latest).await?;
    same!(names(&table.take(&again).await?), vec![], "events from before the group came again");
    table.bus.publish(&[event("a", 2)]).await?;
    same!(table.drain(&again).await?, vec![name("a", 2)], "events after it");
    Ok(Kept::Whole)
}

/// Law 15: when a forgotten group comes again, a receipt from before stands for nothing.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_15_a_receipt_from_before_a_group_was_forgotten_is_refused(
    harness: &(impl BusHarness + ?Sized),
) -> Verdict {
    let table = Table::set(harness).await;
    let before = table.join("readers").await?;
    table.bus.publish(&[event("a", 1)]).await?;
    let old = table.only(&before).await?;
    if !forget_under_its_members(&table.bus, "readers").await? {
        return Ok(STILL_READ);
    }
    let again = table.join("readers").await?;
    let new = table.only(&again).await?;
    same!((new.event.id, new.attempt), (old.event.id, 1), "event and attempt of the group that came again");
    for member in [&before, &again] {
        let refused = member.settle(&old.receipt, Settlement::Ack).await.map_err(|error| error.kind());
        same!(refused, Err(ErrorKind::Conflict), "an acknowledgement from before");
        let lost = member.renew(std::slice::from_ref(&old.receipt)).await?;
        same!(lost, vec![old.receipt.clone()], "receipts lost with the group");
    }
    again.settle(&new.receipt, Settlement::Ack).await?;
    same!(member_lag(&again).await?, 0, "events left");
    Ok(Kept::Whole)
}
