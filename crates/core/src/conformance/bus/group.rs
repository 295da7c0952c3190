//! Groups, calls that are dropped, and attempts: laws 12 to 15.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BusHarness, LEASE, MANY, Table, event, member_lag, name, names, reason, subscription};
use crate::ErrorKind;
use crate::event::{Envelope, EventBus, Lag, Page, Settlement, Start, State, Subscription};

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
