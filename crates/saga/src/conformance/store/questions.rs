//! Laws 14 to 18: what is listed, counted, forgotten, told, given up, and what may be asked.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::FutureExt;
use pumasi_core::time::Timestamp;

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{
    LONG, SAGA, SHORT, StoreHarness, begun, event, first, id, key, known, let_go, next, one, refused,
    relayed, signal, there,
};
use crate::ErrorKind;
use crate::store::{Commit, Lease, Query, SagaId, Status, WorkerId};

/// Law 14: every matching saga is listed once, by whatever pages.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_14_queries_are_paged(harness: &dyn StoreHarness) -> Verdict {
    const SAGAS: usize = 23;
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut commits: Vec<Commit> = (0..SAGAS).map(|n| first(n, worker)).collect();
    for (n, commit) in commits.iter_mut().enumerate() {
        commit.head.status = if n % 2 == 0 { Status::Waiting } else { Status::NeedsOperator };
        commit.head.step = if n % 3 == 0 { "결제" } else { "hold_place" }.into();
        if n == 5 {
            commit.head.saga = "another".into();
        }
    }
    for answer in store.commit(commits.clone()).await {
        answer?;
    }
    let list = async |query: Query, page: usize| {
        let mut query = query.with_limit(NonZeroUsize::new(page).unwrap_or(NonZeroUsize::MIN));
        let mut found = Vec::new();
        loop {
            let summaries = store.query(&query).await?;
            holds!(summaries.len() <= page, "a page is longer than was asked for");
            let Some(last) = summaries.last() else { return Ok::<_, Broken>(found) };
            query = query.with_after(last.head.id);
            found.extend(summaries);
        }
    };
    let mut all: Vec<SagaId> = (0..SAGAS).map(id).collect();
    all.sort_unstable();
    for page in [1, 2, 7, SAGAS, 100] {
        let found: Vec<SagaId> = list(Query::new(), page).await?.iter().map(|saga| saga.head.id).collect();
        same!(found, all, "all sagas by pages of {page}");
    }
    let some = [id(3), id(SAGAS), id(0), id(3)];
    let together = store.load_all(&some).await?;
    same!(together.len(), some.len(), "sagas that are loaded together");
    for (id, stored) in some.into_iter().zip(together) {
        let (alone, stored) =
            (store.load(id).await?, stored.map(|stored| (stored.head, stored.version, stored.log)));
        same!(
            stored,
            alone.map(|alone| (alone.head, alone.version, alone.log)),
            "a saga that is loaded with others"
        );
    }
    for query in [
        Query::new().with_saga(SAGA),
        Query::new().with_statuses([Status::NeedsOperator]),
        Query::new()
            .with_statuses([Status::NeedsOperator, Status::Parked, Status::Waiting])
            .with_step("결제"),
        Query::new().with_key(key(4)),
        Query::new().with_saga(SAGA).with_key(key(5)),
        Query::new().with_step("no such step"),
        Query::new().with_saga(SAGA).with_holder(worker),
        Query::new().with_holder(WorkerId::random()).with_step("no such step"),
    ] {
        let found = list(query.clone(), 4).await?;
        for saga in &found {
            holds!(query.matches(saga, saga.updated_at), "a saga is listed that is not meant");
        }
        let meant = |commit: &&Commit| {
            let head = &commit.head;
            query.saga.as_ref().is_none_or(|saga| *saga == head.saga)
                && query.key.as_ref().is_none_or(|key| *key == head.key)
                && (query.statuses.is_empty() || query.statuses.contains(&head.status))
                && query.step.as_ref().is_none_or(|step| *step == head.step)
                && query.holder.is_none_or(|holder| holder == commit.worker)
        };
        same!(found.len(), commits.iter().filter(meant).count(), "sagas found by {query:?}");
    }
    let first = list(Query::new().with_key(key(0)), 10).await?;
    let heads: Vec<_> =
        first.iter().map(|saga| (saga.head.clone(), saga.version, saga.epoch, saga.holder)).collect();
    let expected = commits.first().map(|commit| (commit.head.clone(), 1, 1, Some(worker)));
    same!(heads, Vec::from_iter(expected), "summary");
    harness.pass(SHORT).await;
    same!(
        list(Query::new().with_idle(SHORT / 2), 10).await?.len(),
        SAGAS,
        "sagas that were idle for so long"
    );
    same!(list(Query::new().with_idle(LONG), 10).await?.len(), 0, "sagas that were idle for longer");
    Ok(Kept::Whole)
}

/// Law 14: what is counted is what is listed.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_14_counted(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    same!(store.next_due().await?, None, "what is due in an empty store");
    let (worker, gone) = (WorkerId::random(), WorkerId::random());
    let now = store.renew(worker, LONG).await?;
    store.renew(gone, SHORT).await?;
    begun(store, 0, worker).await?;
    begun(store, 1, gone).await?;
    let ago = Timestamp::from_micros(now.as_micros() - 5_000_000);
    let due = begun(store, 2, worker).await?;
    one(store, let_go(&due, Some(ago))).await?;
    let ended = begun(store, 3, worker).await?;
    let mut end = let_go(&ended, None);
    end.head.status = Status::Completed;
    one(store, end).await?;
    harness.pass(SHORT * 2).await;
    let census = store.census().await?;
    same!(
        census.sagas,
        vec![(SAGA.into(), Status::Running, 3), (SAGA.into(), Status::Completed, 1)],
        "sagas by status"
    );
    same!((census.claimable, census.held, census.workers), (2, 1, 1), "claimable, held, and workers");
    holds!(census.overdue >= Duration::from_secs(5), "what is overdue is not told");
    holds!(census.overdue < Duration::from_mins(10), "what is overdue is told for too long");
    same!(store.next_due().await?, Some(ago), "what is due first");
    Ok(Kept::Whole)
}

/// Law 14: what ended long ago can be forgotten.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_14_purged(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    for n in 0..5 {
        let created = begun(store, n, worker).await?;
        let mut end = let_go(&created, None);
        if n < 4 {
            end.head.status = if n % 2 == 0 { Status::Completed } else { Status::Compensated };
        }
        one(store, end).await?;
    }
    store.deliver(signal(3, "late")).await?;
    let ten = NonZeroUsize::MIN.saturating_add(9);
    same!(store.purge(LONG, ten).await?, 0, "what ended an hour ago");
    harness.pass(SHORT).await;
    same!(store.purge(SHORT / 2, NonZeroUsize::MIN).await?, 1, "a purge of at most one");
    same!(store.purge(SHORT / 2, ten).await?, 2, "a purge of the rest");
    let left = store.query(&Query::new()).await?;
    let mut left: Vec<SagaId> = left.iter().map(|saga| saga.head.id).collect();
    left.sort_unstable();
    let mut expected = vec![id(3), id(4)];
    expected.sort_unstable();
    same!(left, expected, "what is left: one with a signal, and one that did not end");
    Ok(Kept::Whole)
}

/// Law 14: what one process has forgotten is forgotten for the others.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_14_purged_for_all(harness: &dyn StoreHarness) -> Verdict {
    let (store, other) = (&*harness.open().await, &*harness.open().await);
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let created = begun(store, 1, worker).await?;
    let mut end = let_go(&created, None);
    end.head.status = Status::Completed;
    one(store, end.clone()).await?;
    same!(store.purge(LONG, NonZeroUsize::MIN).await?, 0, "what ended an hour ago");
    there(other, 1).await?;
    harness.pass(SHORT).await;
    same!(store.purge(SHORT / 2, NonZeroUsize::MIN).await?, 1, "what ended long ago");
    holds!(other.load(id(1)).await?.is_none(), "what was forgotten is there for another process");
    let mut again = next(&end);
    again.lease = Lease::Take(end.lease.epoch() + 1);
    refused(other, again, "goes on from what was forgotten").await?;
    begun(other, 1, worker).await?;
    same!(there(store, 1).await?.version, 1, "version of what was begun anew elsewhere");
    Ok(Kept::Whole)
}

/// Law 15: a store that cannot be asked says so.
///
/// # Errors
/// [`Broken`] if it does not hold.
pub async fn law_15_errors_are_told(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let created = begun(store, 1, worker).await?;
    if !harness.cut().await {
        return Ok(Kept::Skipped("this harness cannot cut the store off from its backend"));
    }
    holds!(one(store, next(&created)).await.is_err(), "a lost store committed");
    holds!(one(store, first(2, worker)).await.is_err(), "a lost store created a saga");
    holds!(store.deliver(signal(1, "a")).await.is_err(), "a lost store kept a signal");
    holds!(store.renew(worker, LONG).await.is_err(), "a lost store renewed a lease");
    holds!(store.load(id(1)).await.is_err(), "a lost store had an answer");
    holds!(store.query(&Query::new()).await.is_err(), "a lost store had a list");
    holds!(
        !matches!(store.claim(worker, &known(), NonZeroUsize::MIN).await, Ok(sagas) if !sagas.is_empty()),
        "a lost store handed out a saga"
    );
    Ok(Kept::Whole)
}

/// Law 16: a call that is given up has happened or not, and repeating it tells.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_16_cancellation(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let mut commit = begun(store, 1, worker).await?;
    let mut expected = commit.record.clone();
    for polls in 0..12 {
        commit = next(&commit);
        commit.events = vec![event(1, &polls.to_string())];
        {
            let mut call = Box::pin(store.commit(vec![commit.clone()]));
            for _ in 0..polls {
                if (&mut call).now_or_never().is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        one(store, commit.clone()).await?;
        expected.extend_from_slice(&commit.record);
    }
    let saga = there(store, 1).await?;
    holds!(saga.log == expected, "a commit that was given up and repeated is not there once");
    let events: Vec<String> = (0..12).map(|polls| polls.to_string()).collect();
    same!(relayed(&*store.outbox()).await?, events, "events of commits that were given up and repeated");
    Ok(Kept::Whole)
}

/// Law 17: sagas are found by how long ago they were created, and since when they stand as they do, whatever is committed meanwhile.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_17_found_by_age(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    let worker = WorkerId::random();
    store.renew(worker, LONG).await?;
    let old = begun(store, 0, worker).await?;
    harness.pass(SHORT).await;
    begun(store, 1, worker).await?;
    let tried_again = next(&old);
    one(store, tried_again.clone()).await?;
    let found = async |query: Query| -> Result<Vec<SagaId>, Broken> {
        Ok(store.query(&query).await?.iter().map(|saga| saga.head.id).collect())
    };
    let of_old = Query::new().with_key(key(0));
    let summary = store.query(&of_old).await?.pop().ok_or_else(|| Broken::new("a saga is not listed"))?;
    same!(summary.since, summary.created_at, "since when a saga that is tried again stands as it does");
    holds!(summary.updated_at > summary.since, "a commit is not noticed");
    // What passes until this is answered only makes it older; and the other one is younger by all that passed before.
    let age = store.renew(worker, LONG).await?.saturating_since(summary.created_at);
    for query in [
        Query::new().with_age(age),
        Query::new().with_standing(age),
        Query::new().with_age(age).with_standing(age).with_saga(SAGA),
        Query::new()
            .with_standing(age)
            .with_statuses([Status::Running, Status::Waiting])
            .with_step("hold_place"),
        of_old.clone().with_age(Duration::ZERO),
    ] {
        same!(found(query.clone()).await?, vec![id(0)], "sagas found by {query:?}");
    }
    for query in [
        of_old.clone().with_age(LONG),
        of_old.clone().with_standing(LONG),
        of_old.clone().with_idle(age),
        Query::new().with_age(age).with_step("no such step"),
        Query::new().with_age(age).with_after(id(0)),
    ] {
        same!(found(query.clone()).await?, Vec::new(), "sagas found by {query:?}");
    }
    let mut went_on = next(&tried_again);
    went_on.head.step = "start_payment".into();
    one(store, went_on.clone()).await?;
    same!(
        found(Query::new().with_standing(age)).await?,
        Vec::new(),
        "sagas that stand since before they went on"
    );
    same!(found(Query::new().with_age(age)).await?, vec![id(0)], "sagas as old as before they went on");
    let summary = store.query(&of_old).await?.pop().ok_or_else(|| Broken::new("a saga is not listed"))?;
    same!(summary.since, summary.updated_at, "since when a saga that went on stands as it does");
    harness.pass(SHORT).await;
    let let_go = let_go(&went_on, None);
    one(store, let_go.clone()).await?;
    let mut waits = next(&let_go);
    (waits.lease, waits.holds, waits.head.status) = (Lease::Take(2), false, Status::Waiting);
    one(store, waits).await?;
    let waiting = store.query(&of_old).await?.pop().ok_or_else(|| Broken::new("a saga is not listed"))?;
    holds!(waiting.since > summary.since, "another status is not noticed");
    same!(waiting.created_at, summary.created_at, "when it was created");
    Ok(Kept::Whole)
}

/// Law 18: a query for what no saga can be called is refused.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_18_queries_are_checked(harness: &dyn StoreHarness) -> Verdict {
    let store = &*harness.open().await;
    for query in
        [Query::new().with_saga("a\0"), Query::new().with_key("\"\0\""), Query::new().with_step("\0")]
    {
        let refused = store.query(&query).await.err().map(|error| error.kind());
        same!(refused, Some(ErrorKind::InvalidInput), "what no saga's name can be, asked for by {query:?}");
    }
    Ok(Kept::Whole)
}
