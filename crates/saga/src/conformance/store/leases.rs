//! Laws 8 to 9: who holds what, and for how long.

use std::num::NonZeroUsize;

use futures_util::future::join_all;
use pumasi_core::time::Timestamp;

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{
    LONG, SAGA, SHORT, StoreHarness, begun, claimed, first, id, ids, let_go, next, one, refused, there,
};
use crate::store::{Commit, Known, SagaStore, WorkerId};

/// Law 8: what is due is handed out, the most overdue first.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_claiming(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    let now = store.renew(worker, LONG).await?;
    let before = |seconds: i64| Some(Timestamp::from_micros(now.as_micros() - seconds * 1_000_000));
    for (n, due) in
        [(0, before(1)), (1, before(3)), (2, before(2)), (3, None), (4, Some(now.saturating_add(LONG)))]
    {
        let created = begun(store, n, worker).await?;
        one(store, let_go(&created, due)).await?;
    }
    begun(store, 5, worker).await?;
    for (n, saga, definition) in [(6, "other", 1), (7, SAGA, 3)] {
        let mut created = first(n, worker);
        created.head.saga = saga.into();
        created.head.definition = definition;
        one(store, created.clone()).await?;
        one(store, let_go(&created, before(9))).await?;
    }
    holds!(store.next_due().await?.is_some_and(|due| due <= now), "what is due is not told");
    let first = claimed(store, worker, 2).await?;
    same!(ids(&first), vec![id(1), id(2)], "the two most overdue");
    for saga in &first {
        same!(
            (saga.epoch, saga.version, saga.holder),
            (2, 2, Some(worker)),
            "epoch, version and holder of a claim"
        );
    }
    same!(first.first().map(|saga| saga.log.clone()), Some(b"[1.1][2]".to_vec()), "the log of a claim");
    same!(ids(&claimed(store, worker, 10).await?), vec![id(0)], "the rest of what is due");
    holds!(claimed(store, worker, 10).await?.is_empty(), "something was claimed twice");
    let all =
        [Known { saga: "other".into(), versions: vec![1] }, Known { saga: SAGA.into(), versions: vec![3] }];
    same!(store.claim(worker, &all, NonZeroUsize::MIN.saturating_add(9)).await?.len(), 2, "what others know");
    Ok(Kept::Whole)
}

/// Law 8: nothing is handed to two workers.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_to_one_worker(harness: &dyn StoreHarness) -> Verdict {
    const SAGAS: usize = 60;
    let store = harness.open().await;
    let worker = WorkerId::random();
    let now = store.renew(worker, LONG).await?;
    let created: Vec<Commit> = (0..SAGAS).map(|n| first(n, worker)).collect();
    let free: Vec<Commit> = created.iter().map(|commit| let_go(commit, Some(now))).collect();
    for answer in store.commit(created).await.into_iter().chain(store.commit(free).await) {
        answer?;
    }
    let mut workers = Vec::new();
    for _ in 0..3 {
        let store = harness.open().await;
        let worker = WorkerId::random();
        store.renew(worker, LONG).await?;
        workers.push((store, worker));
    }
    let claims = workers.iter().map(|(store, worker)| async move {
        let mut mine = Vec::new();
        loop {
            let some = claimed(&**store, *worker, 7).await?;
            if some.is_empty() {
                return Ok::<_, Broken>(mine);
            }
            mine.extend(ids(&some));
        }
    });
    let mut all = Vec::new();
    for mine in join_all(claims).await {
        all.extend(mine?);
    }
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    same!((all.len(), count), (SAGAS, SAGAS), "sagas claimed by three workers, and claims");
    Ok(Kept::Whole)
}

/// Law 9: what a worker holds is claimable when its lease is over, and not before.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_leases_end(harness: &dyn StoreHarness) -> Verdict {
    // Looked at twice before it ends, and so longer than those of other laws.
    let lease = SHORT * 2;
    let store = &*harness.open().await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    store.renew(worker, lease).await?;
    store.renew(other, LONG).await?;
    let one_saga = begun(store, 1, worker).await?;
    begun(store, 2, worker).await?;
    holds!(claimed(store, other, 10).await?.is_empty(), "what is held was claimed");
    harness.pass(lease / 2).await;
    let now = store.renew(worker, lease).await?;
    let due = store.next_due().await?;
    holds!(due.is_some_and(|due| due > now), "the end of a lease is not told");
    harness.pass(lease * 9 / 16).await;
    holds!(claimed(store, other, 10).await?.is_empty(), "a renewed lease ended early");
    harness.pass(lease).await;
    same!(there(store, 1).await?.holder, None, "holder after its lease");
    same!(claimed(store, other, 1).await?.len(), 1, "claims of what a lapsed lease held");
    store.renew(worker, LONG).await?;
    let (mut kept, mut lost) = (0, 0);
    for n in [1, 2] {
        match there(store, n).await?.holder {
            Some(holder) if holder == worker => kept += 1,
            Some(holder) if holder == other => lost += 1,
            _ => {}
        }
    }
    same!((kept, lost), (1, 1), "what a worker holds again that renewed late, and what it lost");
    holds!(claimed(store, other, 10).await?.is_empty(), "what is held again was claimed");
    if there(store, 1).await?.holder == Some(worker) {
        one(store, next(&one_saga)).await?;
    } else {
        refused(store, next(&one_saga), "is made by who lost the saga").await?;
    }
    Ok(Kept::Whole)
}

/// Law 9: who leaves gives everything back.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_leaving(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let (worker, other) = (WorkerId::random(), WorkerId::random());
    store.renew(worker, LONG).await?;
    store.renew(other, LONG).await?;
    let created = begun(store, 1, worker).await?;
    begun(store, 2, other).await?;
    store.leave(worker).await?;
    same!(ids(&claimed(store, other, 10).await?), vec![id(1)], "what a worker left behind");
    refused(store, next(&created), "is made by who has left").await?;
    store.leave(worker).await?;
    same!(there(store, 1).await?.holder, Some(other), "holder after the one before left again");
    Ok(Kept::Whole)
}
