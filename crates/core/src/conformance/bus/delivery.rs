//! What is published is delivered: laws 1 to 3.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join;
use serde_json::{Value, json};

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BusHarness, LEASE, MANY, Table, event, name, names};
use crate::ErrorKind;
use crate::event::{Actor, Envelope, Page, Settlement, State, Subscription, TraceContext};

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
