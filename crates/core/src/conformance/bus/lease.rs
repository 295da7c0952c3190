//! Fenced leases and what is released: laws 10 and 11.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BusHarness, LEASE, MANY, Pair, Table, event, member_lag, name, names, reason};
use crate::ErrorKind;
use crate::event::{EventId, Page, Receipt, Settlement};

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
