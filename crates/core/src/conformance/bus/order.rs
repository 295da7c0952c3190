//! One holder, and the order of a lane: laws 4 and 5.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::join;

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BusHarness, Pair, Table, event, member_lag, name, names, reason};
use crate::ErrorKind;
use crate::event::{Delivery, EventId, Receipt, Settlement};

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
