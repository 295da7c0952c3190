//! What becomes of a delivery: laws 6 to 9.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::super::{Broken, Kept, Verdict, same};
use super::{BusHarness, LEASE, MANY, Table, event, name, names, reason};
use crate::ErrorKind;
use crate::event::{EventId, Page, Settlement};

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
