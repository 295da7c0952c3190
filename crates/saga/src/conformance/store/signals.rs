//! Laws 10 to 13: signals and events.

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{
    LONG, StoreHarness, begun, claimed, event, first, id, ids, let_go, next, one, relayed, signal, there,
};
use crate::ErrorKind;
use crate::store::{Commit, Delivered, Lease, Status, WorkerId};

/// Law 10: a signal is there until it is consumed.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_10_signals_are_kept(harness: &dyn StoreHarness) -> Verdict {
    let (store, other) = (&*harness.open().await, &*harness.open().await);
    let worker = WorkerId::random();
    let now = store.renew(worker, LONG).await?;
    let created = begun(store, 1, worker).await?;
    begun(store, 2, worker).await?;
    for what in ["b", "a", "다"] {
        same!(other.deliver(signal(1, what)).await?, Delivered::Stored, "the answer to a signal");
    }
    store.deliver(signal(2, "a")).await?;
    let signals = there(store, 1).await?.signals;
    let order: Vec<&str> = signals.iter().map(|signal| &*signal.id).collect();
    same!(order, vec!["b", "a", "다"], "signals in the order of their delivery");
    let Some(early) = signals.first() else { return Err(Broken::new("no signal")) };
    same!(early.payload, signal(1, "b").payload, "payload of a signal");
    same!(early.name.as_ref(), "payment_completed", "name of a signal");
    holds!(signals.iter().all(|signal| signal.at >= now), "a signal was delivered before it was");
    let seqs: Vec<u64> = signals.iter().map(|signal| signal.seq).collect();
    holds!(seqs.is_sorted_by(|one, other| one < other), "the numbers of signals do not grow");

    let mut commit = next(&created);
    commit.consumed = vec![early.seq];
    one(store, commit.clone()).await?;
    same!(
        there(other, 1).await?.signals,
        signals.iter().skip(1).cloned().collect::<Vec<_>>(),
        "signals after one was consumed"
    );
    let free = let_go(&commit, None);
    one(store, free).await?;
    let taken = claimed(other, worker, 10).await?;
    same!(
        taken.first().map(|saga| saga.signals.clone()),
        Some(signals.iter().skip(1).cloned().collect::<Vec<_>>()),
        "signals of a claim"
    );
    same!(there(store, 2).await?.signals.len(), 1, "signals of another saga");
    Ok(Kept::Whole)
}

/// Law 11: a signal is kept once, and not for nobody.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_11_doubles_are_dropped(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    begun(store, 1, worker).await?;
    begun(store, 2, worker).await?;
    same!(store.deliver(signal(1, "a")).await?, Delivered::Stored, "the answer to a signal");
    let mut double = signal(1, "a");
    double.payload = b"2".to_vec();
    same!(store.deliver(double).await?, Delivered::Duplicate, "the answer to its double");
    same!(
        store.deliver(signal(2, "a")).await?,
        Delivered::Stored,
        "the answer to a like one of another saga"
    );
    let signals = there(store, 1).await?.signals;
    same!(signals.len(), 1, "signals");
    same!(signals.first().map(|signal| &signal.payload), Some(&signal(1, "a").payload), "which of them");
    let nobody = store.deliver(signal(3, "a")).await.err().map(|error| error.kind());
    same!(nobody, Some(ErrorKind::NotFound), "a signal for nobody");
    Ok(Kept::Whole)
}

/// Law 12: a saga with a signal is due at once, however late the signal comes.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_12_signals_wake(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    let now = store.renew(worker, LONG).await?;
    let far = Some(now.saturating_add(LONG));
    // Before it is let go.
    let early = begun(store, 1, worker).await?;
    store.deliver(signal(1, "a")).await?;
    holds!(claimed(store, worker, 10).await?.is_empty(), "a signal took a saga from its holder");
    one(store, let_go(&early, far)).await?;
    same!(
        ids(&claimed(store, worker, 10).await?),
        vec![id(1)],
        "what a signal made due before it was let go"
    );
    // After.
    for (n, due) in [(2, far), (3, None)] {
        let late = begun(store, n, worker).await?;
        one(store, let_go(&late, due)).await?;
        holds!(claimed(store, worker, 10).await?.is_empty(), "what is not due was claimed");
        store.deliver(signal(n, "a")).await?;
        same!(ids(&claimed(store, worker, 10).await?), vec![id(n)], "what a signal made due");
    }
    // Consumed with the commit that lets go: not due.
    let consumes = begun(store, 4, worker).await?;
    store.deliver(signal(4, "a")).await?;
    let mut commit = let_go(&consumes, far);
    commit.consumed = there(store, 4).await?.signals.iter().map(|signal| signal.seq).collect();
    one(store, commit.clone()).await?;
    holds!(claimed(store, worker, 10).await?.is_empty(), "a consumed signal made a saga due");
    same!(there(store, 4).await?.head.due, far, "due time as it was committed");
    // One that ended.
    let ends = begun(store, 5, worker).await?;
    let mut end = let_go(&ends, None);
    end.head.status = Status::Compensated;
    one(store, end).await?;
    store.deliver(signal(5, "late")).await?;
    same!(ids(&claimed(store, worker, 10).await?), vec![id(5)], "an ended saga with a late signal");
    // One that no code can drive sleeps on, and the signal with it.
    let parked = begun(store, 6, worker).await?;
    let mut park = let_go(&parked, None);
    park.head.status = Status::Parked;
    one(store, park).await?;
    store.deliver(signal(6, "a")).await?;
    holds!(claimed(store, worker, 10).await?.is_empty(), "a signal woke a parked saga");
    same!(there(store, 6).await?.signals.len(), 1, "signals of a parked saga");
    Ok(Kept::Whole)
}

/// Law 12: a saga that shall be forgotten stays while a signal waits for it.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_12_forgetting_waits_for_signals(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let forget = |after: &Commit| {
        let mut commit = let_go(after, None);
        commit.head.status = Status::Completed;
        commit.forgets = true;
        commit
    };
    let created = begun(store, 1, worker).await?;
    let mut commit = forget(&created);
    commit.events = vec![event(1, "done")];
    one(store, commit).await?;
    holds!(store.load(id(1)).await?.is_none(), "a saga was not forgotten");
    same!(relayed(&*store.outbox()).await?, vec!["done".to_owned()], "events of a saga that was forgotten");

    let created = begun(store, 2, worker).await?;
    store.deliver(signal(2, "late")).await?;
    one(store, forget(&created)).await?;
    same!(there(store, 2).await?.signals.len(), 1, "signals of a saga that waits to be forgotten");
    let taken = claimed(store, worker, 10).await?;
    same!(ids(&taken), vec![id(2)], "what a signal keeps due");
    let mut commit = forget(&next(&created));
    commit.lease = Lease::Held(2);
    commit.consumed = taken.iter().flat_map(|saga| &saga.signals).map(|signal| signal.seq).collect();
    one(store, commit).await?;
    holds!(store.load(id(2)).await?.is_none(), "a saga whose signals are consumed was not forgotten");

    // Begun and forgotten, and begun anew under a later epoch.
    let mut created = first(1, worker);
    created.lease = Lease::Take(9);
    one(store, created).await?;
    same!(there(store, 1).await?.epoch, 9, "epoch of a saga that was begun anew");
    Ok(Kept::Whole)
}

/// Law 13: the outbox has what was committed, in order.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_13_events_with_their_commit(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut last: Vec<Commit> = (0..5).map(|n| first(n, worker)).collect();
    for round in 0..4 {
        for (n, commit) in last.iter_mut().enumerate() {
            commit.events = vec![event(n, &format!("{n}:{round}a")), event(n, &format!("{n}:{round}b"))];
        }
        for answer in store.commit(last.clone()).await {
            answer?;
        }
        last = last.iter().map(next).collect();
    }
    let texts = relayed(&*store.outbox()).await?;
    for n in 0..5 {
        let own: Vec<&String> = texts.iter().filter(|text| text.starts_with(&format!("{n}:"))).collect();
        let expected: Vec<String> = (0..4).flat_map(|r| [format!("{n}:{r}a"), format!("{n}:{r}b")]).collect();
        same!(own, expected.iter().collect::<Vec<_>>(), "events of saga {n}, in order");
    }
    same!(texts.len(), 40, "events");
    Ok(Kept::Whole)
}
