//! The laws of [`ProjectionStore`], in the order of its numbered guarantees.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::{Broken, Kept, Verdict, holds, same};
use crate::event::{Entity, EntityPage, Envelope, ProjectionStore, State, Target};
use crate::time::Timestamp;
use crate::{ErrorKind, Result};

/// One store, empty at first, that a law opens as often as it likes.
#[async_trait]
pub trait ProjectionHarness: Send + Sync {
    /// Opens the store: every call gives one over the same entities, as another process would see them.
    async fn open(&self) -> Arc<dyn ProjectionStore>;
}

/// Makes one `#[test]` per law of [`ProjectionStore`](crate::event::ProjectionStore), in a module of the given name, each on a
/// harness of its own made by the expression, which is an `Option`: `None` where the server that it needs is not there.
#[macro_export]
macro_rules! projection_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(@optional $backend, $harness, [$crate::conformance::projection],
            law_01_the_newest_version_wins_in_every_order,
            law_01_many_apply_at_the_same_time,
            law_02_duplicates_are_harmless,
            law_03_the_deleted_stay_deleted,
            law_04_without_versions_the_later_moment_wins,
            law_05_a_call_is_applied_whole_or_not_at_all,
            law_06_entities_are_read_and_listed,
            law_07_a_rebuild_is_swapped_in_at_once,
            law_08_one_rebuild_ends,
            law_09_tombstones_go_by_age,
            law_10_projections_are_apart,
        );
    };
}

const NAME: &str = "members";
const START: i64 = 1_790_000_000_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(START).saturating_add(Duration::from_secs(seconds))
}

fn event(key: &str, state: State, version: u64) -> Envelope {
    let mut event = Envelope::new("members", key, state, version).with_occurred_at(at(version));
    event.payload = json!({"nickname": format!("{key} {version}"), "글": "\0 안녕"});
    event
}

fn updated(key: &str, version: u64) -> Envelope {
    event(key, State::Updated, version)
}

fn deleted(key: &str, version: u64) -> Envelope {
    event(key, State::Deleted, version)
}

async fn open(harness: &(impl ProjectionHarness + ?Sized)) -> Result<Arc<dyn ProjectionStore>> {
    let store = harness.open().await;
    store.register(NAME).await?;
    store.register(NAME).await?;
    Ok(store)
}

async fn apply(store: &dyn ProjectionStore, event: &Envelope) -> Result<usize> {
    store.apply(NAME, Target::Current, std::slice::from_ref(event)).await
}

async fn get(store: &dyn ProjectionStore, key: &str) -> Result<Option<Entity<Value>>> {
    Ok(store.get(NAME, &[key.to_owned()]).await?.pop())
}

async fn version(store: &dyn ProjectionStore, key: &str) -> Result<Option<u64>> {
    Ok(get(store, key).await?.map(|entity| entity.version))
}

/// All orders of the first `n` numbers.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(n - 1) {
        for place in 0..n {
            let mut longer = order.clone();
            longer.insert(place, n - 1);
            all.push(longer);
        }
    }
    all
}

/// Law 1: whatever the order of arrival, what is read is the newest version, with its payload and moment.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_01_the_newest_version_wins_in_every_order(
    harness: &(impl ProjectionHarness + ?Sized),
) -> Verdict {
    let store = open(harness).await?;
    for (number, order) in orders(4).into_iter().enumerate() {
        let key = format!("회원-{number}");
        let events = [
            event(&key, State::Created, 1),
            updated(&key, 2),
            deleted(&key, 3),
            updated(&key, u64::from(u32::MAX)),
        ];
        let (mut highest, mut applied) = (0, 0);
        for place in &order {
            let Some(event) = events.get(*place) else { continue };
            let newer = event.version > highest;
            highest = highest.max(event.version);
            same!(apply(&*store, event).await?, usize::from(newer), "applied events in the order {order:?}");
            applied += usize::from(newer);
            let expected = if highest == 3 { None } else { Some(highest) };
            same!(version(&*store, &key).await?, expected, "the version read in the order {order:?}");
        }
        holds!(applied >= 1, "nothing was applied");
        let last = updated(&key, u64::from(u32::MAX));
        let expected = Entity::new(key.clone(), last.version, last.occurred_at, last.payload);
        same!(
            get(&*harness.open().await, &key).await?,
            Some(expected),
            "what is read at the end of {order:?}"
        );
    }
    Ok(Kept::Whole)
}

/// Law 1: when many apply events of one key at the same time, the newest version is what stays.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_01_many_apply_at_the_same_time(harness: &(impl ProjectionHarness + ?Sized)) -> Verdict {
    let store = open(harness).await?;
    for round in 0..5 {
        let key = format!("key-{round}");
        let events: Vec<_> = (1..=40).map(|version| updated(&key, (version * 17) % 41)).collect();
        let applied: usize =
            try_join_all(events.iter().map(|event| apply(&*store, event))).await?.iter().sum();
        holds!((1..=40).contains(&applied), "{applied} of 40 events were applied");
        same!(version(&*store, &key).await?, Some(40), "the version after 40 events at once");
    }
    Ok(Kept::Whole)
}

/// Law 2: an event that is applied again changes nothing.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_02_duplicates_are_harmless(harness: &(impl ProjectionHarness + ?Sized)) -> Verdict {
    let store = open(harness).await?;
    let events = [updated("a", 5), updated("b", 0)];
    same!(store.apply(NAME, Target::Current, &events).await?, 2, "events applied at first");
    let before = store.list(NAME, &EntityPage::default()).await?;
    same!(store.apply(NAME, Target::Current, &events).await?, 0, "events applied again");
    let mut other = updated("a", 5);
    other.payload = json!("another payload under the same version");
    same!(apply(&*store, &other).await?, 0, "events of the same version");
    same!(store.list(NAME, &EntityPage::default()).await?, before, "entities after the duplicates");
    Ok(Kept::Whole)
}

/// Law 3: an older update after a deletion changes nothing, also when the deletion came first of all; a newer one does.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_03_the_deleted_stay_deleted(harness: &(impl ProjectionHarness + ?Sized)) -> Verdict {
    let store = open(harness).await?;
    for key in ["known", "unknown"] {
        if key == "known" {
            apply(&*store, &updated(key, 1)).await?;
        }
        same!(apply(&*store, &deleted(key, 3)).await?, 1, "deletions applied");
        same!(apply(&*store, &updated(key, 2)).await?, 0, "older updates applied after the deletion");
        same!(apply(&*store, &updated(key, 3)).await?, 0, "updates of the deletion's version applied");
        same!(get(&*store, key).await?, None, "a deleted entity");
        same!(
            apply(&*store, &event(key, State::Created, 4)).await?,
            1,
            "creations applied after the deletion"
        );
        same!(version(&*store, key).await?, Some(4), "the version of the entity that came back");
    }
    Ok(Kept::Whole)
}

/// Law 4: without versions the later moment wins, in whatever order, and a version wins over none.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_04_without_versions_the_later_moment_wins(
    harness: &(impl ProjectionHarness + ?Sized),
) -> Verdict {
    let store = open(harness).await?;
    let moment = |state, second| event("a", state, 0).with_occurred_at(at(second));
    same!(apply(&*store, &moment(State::Updated, 20)).await?, 1, "the first event");
    same!(apply(&*store, &moment(State::Updated, 10)).await?, 0, "an earlier one");
    same!(apply(&*store, &moment(State::Updated, 20)).await?, 0, "one of the same moment");
    same!(apply(&*store, &moment(State::Deleted, 30)).await?, 1, "a later deletion");
    same!(apply(&*store, &moment(State::Updated, 25)).await?, 0, "an update before the deletion");
    same!(get(&*store, "a").await?, None, "the deleted entity");
    same!(apply(&*store, &moment(State::Created, 40)).await?, 1, "a later creation");
    let read = get(&*store, "a").await?.map(|entity| (entity.version, entity.occurred_at));
    same!(read, Some((0, at(40))), "the entity without a version");
    same!(apply(&*store, &updated("a", 1)).await?, 1, "the first version, however early");
    same!(apply(&*store, &moment(State::Updated, 99)).await?, 0, "an event without a version after that");
    same!(version(&*store, "a").await?, Some(1), "the version at the end");
    Ok(Kept::Whole)
}

/// Law 5: a call with an event that cannot be stored applies none of its events, and so does one to a projection that is
/// not known.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_05_a_call_is_applied_whole_or_not_at_all(
    harness: &(impl ProjectionHarness + ?Sized),
) -> Verdict {
    let store = open(harness).await?;
    same!(store.apply(NAME, Target::Current, &[]).await?, 0, "events of an empty call");
    let Err(error) = store.apply(NAME, Target::Current, &[updated("a", 1), updated("b", u64::MAX)]).await
    else {
        return Err(Broken::new("a version over 2^63 - 1 was taken"));
    };
    same!(error.kind(), ErrorKind::InvalidInput, "kind of the error");
    same!(get(&*store, "a").await?, None, "an entity of the refused call");
    same!(apply(&*store, &updated("b", i64::MAX.unsigned_abs())).await?, 1, "the greatest version");
    let Err(error) = store.apply("nobody", Target::Current, &[updated("a", 1)]).await else {
        return Err(Broken::new("an event was applied to a projection that is not known"));
    };
    same!(error.kind(), ErrorKind::NotFound, "kind of the error");
    Ok(Kept::Whole)
}

/// Law 6: entities are read by key and listed in pages, in the order of their keys' bytes, without the deleted.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_06_entities_are_read_and_listed(harness: &(impl ProjectionHarness + ?Sized)) -> Verdict {
    let store = open(harness).await?;
    same!(store.newest(NAME).await?, None, "the newest event of an empty projection");
    let keys = ["", "A", "B", "a", "aa", "b", "é", "가", "나", "😀"];
    let mut events: Vec<_> = keys.iter().rev().map(|key| updated(key, 7)).collect();
    events.push(deleted("aaa", 9));
    store.apply(NAME, Target::Current, &events).await?;
    let mut listed = Vec::new();
    let mut page = EntityPage { after: None, limit: NonZeroUsize::MIN.saturating_add(2) };
    loop {
        let entities = store.list(NAME, &page).await?;
        holds!(entities.len() <= 3, "a page of three has {} entities", entities.len());
        let Some(last) = entities.last() else { break };
        page.after = Some(last.key.clone());
        listed.extend(entities.into_iter().map(|entity| entity.key));
    }
    same!(listed, keys.map(str::to_owned).to_vec(), "keys in the order of the pages");
    let wanted = ["가", "aaa", "nobody", "A", "A", ""].map(str::to_owned);
    let mut found: Vec<_> = store.get(NAME, &wanted).await?.into_iter().map(|entity| entity.key).collect();
    found.sort();
    same!(found, ["", "A", "가"].map(str::to_owned).to_vec(), "keys that were read");
    same!(store.get(NAME, &[]).await?, vec![], "entities of no key");
    same!(store.newest(NAME).await?, Some(at(9)), "the moment of the newest event");
    Ok(Kept::Whole)
}

/// Law 7: while a generation is built the old one is read, current events reach both, and the swap turns to the new one.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_07_a_rebuild_is_swapped_in_at_once(harness: &(impl ProjectionHarness + ?Sized)) -> Verdict {
    let store = open(harness).await?;
    store.apply(NAME, Target::Current, &[updated("stale", 1), updated("a", 1), updated("b", 1)]).await?;
    let generation = store.begin_rebuild(NAME).await?.generation;
    let building = Target::Building(generation);
    same!(store.apply(NAME, building, &[updated("a", 1)]).await?, 1, "events applied to the new generation");
    same!(store.apply(NAME, building, &[updated("a", 2)]).await?, 1, "events applied to the new generation");
    same!(version(&*store, "a").await?, Some(1), "what is read while the new generation is built");
    // Live: new to the one, known to the other; and an older one that is newer than what the new generation has.
    same!(apply(&*store, &updated("a", 2)).await?, 1, "a live event that only one generation has");
    same!(apply(&*store, &updated("c", 3)).await?, 1, "a live event that neither has");
    same!(
        store.apply(NAME, building, &[updated("c", 2), updated("b", 1)]).await?,
        1,
        "events from the start"
    );
    let listed: Vec<_> = store.list(NAME, &EntityPage::default()).await?;
    same!(listed.len(), 4, "entities served before the swap");
    let swapped = store.swap(NAME, generation, 50).await?;
    same!((swapped.before, swapped.after, swapped.missing), (4, 3, 1), "entities before, after and gone");
    let listed = harness.open().await.list(NAME, &EntityPage::default()).await?;
    let listed: Vec<_> = listed.into_iter().map(|entity| (entity.key, entity.version)).collect();
    let expected = [("a", 2), ("b", 1), ("c", 3)].map(|(key, version)| (key.to_owned(), version));
    same!(listed, expected.to_vec(), "entities after the swap");
    same!(apply(&*store, &updated("a", 3)).await?, 1, "a live event after the swap");
    same!(version(&*store, "a").await?, Some(3), "the version after the swap");
    let again = store.begin_rebuild(NAME).await?;
    holds!(again.generation > generation && again.abandoned.is_none(), "the next rebuild began as {again:?}");
    same!(version(&*store, "a").await?, Some(3), "the version while the next generation is built");
    Ok(Kept::Whole)
}

/// Law 8: a rebuild that was taken over applies and swaps nothing, nor does one that was given up or found too little.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_08_one_rebuild_ends(harness: &(impl ProjectionHarness + ?Sized)) -> Verdict {
    let store = open(harness).await?;
    let four: Vec<_> = ["a", "b", "c", "d"].iter().map(|key| updated(key, 1)).collect();
    store.apply(NAME, Target::Current, &four).await?;
    let first = store.begin_rebuild(NAME).await?.generation;
    store.apply(NAME, Target::Building(first), &four).await?;
    let second = store.begin_rebuild(NAME).await?;
    same!(second.abandoned, Some(first), "the rebuild that was taken over");
    for outcome in [
        store.apply(NAME, Target::Building(first), &four).await.map(|_| ()),
        store.swap(NAME, first, 0).await.map(|_| ()),
        store.swap(NAME, 1, 0).await.map(|_| ()),
    ] {
        let Err(error) = outcome else { return Err(Broken::new("a rebuild that was taken over went on")) };
        same!(error.kind(), ErrorKind::Conflict, "kind of the error");
    }
    let second = second.generation;
    store.apply(NAME, Target::Building(second), four.get(..2).unwrap_or_default()).await?;
    let Err(error) = store.swap(NAME, second, 51).await else {
        return Err(Broken::new("a rebuild with half of the entities took their place"));
    };
    same!(error.kind(), ErrorKind::Conflict, "kind of the error");
    same!(store.list(NAME, &EntityPage::default()).await?.len(), 4, "entities after the refusals");
    store.abandon(NAME, first).await?;
    same!(store.swap(NAME, second, 50).await?.after, 2, "entities of the rebuild with enough of them");
    // As many as before, and one of them another; what was deleted is known.
    let other = store.begin_rebuild(NAME).await?.generation;
    store.apply(NAME, Target::Building(other), &[updated("a", 1), updated("e", 1)]).await?;
    let Err(error) = store.swap(NAME, other, 100).await else {
        return Err(Broken::new("a rebuild that knows nothing of an entity took its place"));
    };
    same!(error.kind(), ErrorKind::Conflict, "kind of the error");
    store.apply(NAME, Target::Building(other), &[deleted("b", 2)]).await?;
    same!(store.swap(NAME, other, 100).await?.missing, 0, "entities gone unseen");
    let third = store.begin_rebuild(NAME).await?.generation;
    store.abandon(NAME, third).await?;
    let Err(_) = store.swap(NAME, third, 0).await else {
        return Err(Broken::new("a rebuild that was given up was swapped in"));
    };
    same!(apply(&*store, &updated("a", 2)).await?, 1, "a live event after all of it");
    same!(store.list(NAME, &EntityPage::default()).await?.len(), 2, "entities at the end");
    store.clean_up(NAME, Timestamp::MIN).await?;
    same!(version(&*store, "a").await?, Some(2), "the version after cleaning up");
    Ok(Kept::Whole)
}

/// Law 9: tombstones of what was deleted long ago go, and nothing else.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_09_tombstones_go_by_age(harness: &(impl ProjectionHarness + ?Sized)) -> Verdict {
    let store = open(harness).await?;
    let events = [deleted("old", 10), deleted("new", 30), updated("alive", 5)];
    store.apply(NAME, Target::Current, &events).await?;
    same!(store.clean_up(NAME, at(10)).await?, 0, "rows deleted before anything is old");
    same!(store.clean_up(NAME, at(20)).await?, 1, "rows deleted");
    same!(apply(&*store, &updated("old", 9)).await?, 1, "an update of what is forgotten");
    same!(apply(&*store, &updated("new", 29)).await?, 0, "an update of what is remembered");
    same!(version(&*store, "alive").await?, Some(5), "an entity");
    Ok(Kept::Whole)
}

/// Law 10: two projections in one store do not see each other's entities, rebuilds and tombstones.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_10_projections_are_apart(harness: &(impl ProjectionHarness + ?Sized)) -> Verdict {
    let store = open(harness).await?;
    store.register("crews").await?;
    apply(&*store, &updated("a", 1)).await?;
    store.apply("crews", Target::Current, &[updated("a", 8), deleted("b", 1)]).await?;
    same!(version(&*store, "a").await?, Some(1), "the version in one projection");
    let generation = store.begin_rebuild("crews").await?.generation;
    store.swap("crews", generation, 0).await?;
    same!(store.list("crews", &EntityPage::default()).await?, vec![], "the other one after an empty rebuild");
    store.clean_up("crews", Timestamp::MAX).await?;
    same!(version(&*store, "a").await?, Some(1), "the first one after that");
    same!(store.list("nobody", &EntityPage::default()).await?, vec![], "a projection that is not known");
    Ok(Kept::Whole)
}
