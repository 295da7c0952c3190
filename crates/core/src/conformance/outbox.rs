//! The laws of [`OutboxStore`], in the order of its numbered guarantees.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Broken, Kept, Verdict, holds, same};
use crate::event::{Claim, Envelope, OutboxStore, Outcome, Page, Reason, State};
use crate::{ErrorKind, Result};

/// A transaction of the user's, in which events are written.
#[async_trait]
pub trait OpenTransaction: Send {
    /// Writes events in it.
    async fn write(&mut self, events: &[Envelope]) -> Result<()>;

    /// Ends it, and keeps what was written.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Ends it, and forgets what was written.
    async fn roll_back(self: Box<Self>) -> Result<()>;
}

/// One outbox, empty at first, that a law opens as often as it likes.
#[async_trait]
pub trait OutboxHarness: Send + Sync {
    /// Opens the outbox: every call gives a store over the same events, as another relay would see them.
    async fn open(&self) -> Arc<dyn OutboxStore>;

    /// Begins a transaction; laws hold two at the same time if [`many_writers`](Self::many_writers) says so.
    async fn begin(&self) -> Box<dyn OpenTransaction>;

    /// Tells whether two transactions can write at the same time.
    fn many_writers(&self) -> bool;

    /// Damages the stored event of this key, so that no program can read it.
    async fn damage(&self, key: &str);

    /// Lets time pass for leases: turns the clock that the store was given, or really waits.
    async fn pass(&self, time: Duration);
}

/// Makes one `#[test]` per law of [`OutboxStore`](crate::event::OutboxStore), in a module of the given name, each on a harness
/// of its own made by the expression, which is an `Option`: `None` where the server that it needs is not there.
#[macro_export]
macro_rules! outbox_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(@optional $backend, $harness, [$crate::conformance::outbox],
            law_01_events_come_with_their_transaction,
            law_02_order_is_that_of_the_commits,
            law_03_nothing_is_jumped_over,
            law_04_a_claim_has_one_holder,
            law_05_a_lease_ends,
            law_06_leases_are_fenced,
            law_07_completed_is_done,
            law_08_put_aside_is_visible,
            law_09_unreadable_is_put_aside,
            law_10_the_backlog_is_counted,
        );
    };
}

const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(400);
const MANY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

fn event(key: &str, version: u64) -> Envelope {
    Envelope::new("posts", key, State::Updated, version)
}

async fn write(harness: &(impl OutboxHarness + ?Sized), events: &[Envelope]) -> Result<()> {
    let mut transaction = harness.begin().await;
    transaction.write(events).await?;
    transaction.commit().await
}

/// The versions of each key, in the order in which they were claimed.
fn by_key(claims: &[Claim]) -> BTreeMap<String, Vec<u64>> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in
        claims.iter().flat_map(|claim| &claim.events).filter_map(|claimed| claimed.event.as_ref().ok())
    {
        all.entry(event.key.clone()).or_default().push(event.version);
    }
    all
}

fn versions(key: &str, versions: impl IntoIterator<Item = u64>) -> BTreeMap<String, Vec<u64>> {
    BTreeMap::from([(key.to_owned(), versions.into_iter().collect())])
}

fn all_of(claim: &Claim) -> Outcome {
    Outcome { relayed: (0..claim.events.len()).collect(), refused: Vec::new() }
}

/// Claims and completes until nothing is left.
async fn drain(store: &dyn OutboxStore) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    loop {
        let claim = store.claim(MANY, LONG).await?;
        if claim.events.is_empty() {
            return Ok(claims);
        }
        store.complete(&claim, &all_of(&claim)).await?;
        claims.push(claim);
    }
}

/// Law 1: what was committed is claimed, what was rolled back is not, and what is still open is not yet.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_01_events_come_with_their_transaction(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let store = harness.open().await;
    let mut forgotten = harness.begin().await;
    forgotten.write(&[event("a", 1)]).await?;
    if harness.many_writers() {
        same!(by_key(&[store.claim(MANY, LONG).await?]), BTreeMap::new(), "events of an open transaction");
    }
    forgotten.roll_back().await?;
    write(harness, &[event("a", 2)]).await?;
    write(harness, &[]).await?;
    same!(by_key(&drain(&*store).await?), versions("a", [2]), "events of committed transactions");
    let mut transaction = harness.begin().await;
    let refused =
        transaction.write(&[event("a", 3), Envelope::new("no such topic!", "a", State::Created, 1)]).await;
    let Err(error) = refused else {
        return Err(Broken::new("an event with an impossible topic was written"));
    };
    same!(error.kind(), ErrorKind::InvalidInput, "kind of the error");
    transaction.commit().await?;
    same!(by_key(&drain(&*store).await?), BTreeMap::new(), "events of the refused call");
    Ok(Kept::Whole)
}

/// Law 2: events of one key are claimed in the order of their commits, although many transactions write them at once; the
/// one that asks second waits for the first one's end.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_02_order_is_that_of_the_commits(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let store = harness.open().await;
    write(harness, &[event("a", 1), event("b", 1), event("a", 2)]).await?;
    if harness.many_writers() {
        let mut first = harness.begin().await;
        let mut second = harness.begin().await;
        first.write(&[event("a", 3)]).await?;
        let late = [event("a", 4)];
        let both = async {
            let second = async {
                second.write(&late).await?;
                second.commit().await
            };
            let first = async {
                harness.pass(SHORT).await;
                first.commit().await
            };
            futures_util::future::try_join(second, first).await
        };
        both.await?;
    } else {
        write(harness, &[event("a", 3)]).await?;
        write(harness, &[event("a", 4)]).await?;
    }
    write(harness, &[event("a", 5)]).await?;
    let mut expected = versions("a", 1..=5);
    expected.append(&mut versions("b", [1]));
    same!(by_key(&drain(&*store).await?), expected, "versions in the order of their claims");
    Ok(Kept::Whole)
}

/// Law 3: an event whose transaction began first and commits last is claimed after others were claimed and completed.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_03_nothing_is_jumped_over(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    if !harness.many_writers() {
        return Ok(Kept::Skipped("the backend has one writer at a time"));
    }
    let store = harness.open().await;
    let mut slow = harness.begin().await;
    let slow_events: Vec<_> = (0..16).map(|key| event(&format!("slow-{key}"), 1)).collect();
    slow.write(&slow_events).await?;
    let mut quick = 0;
    for key in 0..60 {
        let mut transaction = harness.begin().await;
        let event = event(&format!("quick-{key}"), 1);
        let written = transaction.write(std::slice::from_ref(&event));
        // A few keys may share a lock with one of the slow ones, and would wait for it.
        if tokio::time::timeout(Duration::from_secs(1), written).await.is_ok() {
            transaction.commit().await?;
            quick += 1;
        }
    }
    holds!(quick > 50, "only {quick} of 60 transactions could commit while one was open");
    let claimed: usize = drain(&*store).await?.iter().map(|claim| claim.events.len()).sum();
    same!(claimed, quick, "events claimed while a transaction is open");
    slow.commit().await?;
    let late = by_key(&drain(&*store).await?);
    same!(late.len(), 16, "events of the transaction that committed last");
    Ok(Kept::Whole)
}

/// Law 4: while a claim holds, nobody is handed its events, nor later ones of its keys.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_04_a_claim_has_one_holder(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let (left, right) = (harness.open().await, harness.open().await);
    write(harness, &[event("a", 1)]).await?;
    let held = left.claim(MANY, LONG).await?;
    same!(by_key(std::slice::from_ref(&held)), versions("a", [1]), "what was claimed");
    write(harness, &[event("a", 2)]).await?;
    same!(
        by_key(&[right.claim(MANY, LONG).await?]),
        BTreeMap::new(),
        "what another relay is handed meanwhile"
    );
    left.complete(&held, &all_of(&held)).await?;
    same!(by_key(&drain(&*right).await?), versions("a", [2]), "what is handed out afterwards");
    // Many relays that claim at once: each event is with one of them.
    let events: Vec<_> =
        (0..600).map(|version| event(&format!("key-{}", version % 60), version / 60 + 1)).collect();
    write(harness, &events).await?;
    let limit = NonZeroUsize::MIN.saturating_add(39);
    let claims = futures_util::future::try_join_all((0..6).map(|_| left.claim(limit, LONG))).await?;
    let mut seen = std::collections::BTreeSet::new();
    for claimed in claims.iter().flat_map(|claim| &claim.events) {
        holds!(seen.insert(claimed.seq), "an event was handed to two relays");
    }
    holds!(seen.len() >= 40, "six relays were handed only {} events", seen.len());
    for claim in &claims {
        left.complete(claim, &all_of(claim)).await?;
    }
    let rest = drain(&*right).await?;
    let all = by_key(&claims.into_iter().chain(rest).collect::<Vec<_>>());
    for (key, found) in all {
        holds!(found.iter().copied().eq(1..=10), "the versions of {key} came as {found:?}");
    }
    Ok(Kept::Whole)
}

/// Law 5: what was claimed and not completed is claimed again after the lease, and not before.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_05_a_lease_ends(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let store = harness.open().await;
    write(harness, &[event("a", 1), event("a", 2)]).await?;
    let first = store.claim(MANY, SHORT).await?;
    same!(first.events.len(), 2, "events of the first claim");
    harness.pass(SHORT + SHORT / 2).await;
    same!(by_key(&[store.claim(MANY, LONG).await?]), versions("a", [1, 2]), "events after the lease");
    Ok(Kept::Whole)
}

/// Law 6: a claim whose lease ended completes if nobody else took it, and otherwise changes nothing.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_06_leases_are_fenced(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let store = harness.open().await;
    write(harness, &[event("a", 1)]).await?;
    let stalled = store.claim(MANY, SHORT).await?;
    harness.pass(SHORT + SHORT / 2).await;
    let current = store.claim(MANY, LONG).await?;
    same!(current.events.len(), 1, "events of the second claim");
    for outcome in [all_of(&stalled), Outcome::default()] {
        let Err(error) = store.complete(&stalled, &outcome).await else {
            return Err(Broken::new("a claim that somebody else holds was completed"));
        };
        same!(error.kind(), ErrorKind::Conflict, "kind of the error");
        holds!(!error.retry().is_retryable(), "the error says that it may be repeated");
    }
    same!(store.backlog().await?.pending, 1, "events after the refusal");
    same!(store.claim(MANY, LONG).await?.events.len(), 0, "events that are free after the refusal");
    store.complete(&current, &all_of(&current)).await?;
    let Err(_) = store.complete(&current, &all_of(&current)).await else {
        return Err(Broken::new("a claim was completed twice"));
    };
    same!(store.backlog().await?.pending, 0, "events at the end");
    Ok(Kept::Whole)
}

/// Law 7: what was relayed is gone, and the rest of a claim is there for the next one at once, in order.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_07_completed_is_done(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let store = harness.open().await;
    write(harness, &[event("a", 1), event("a", 2), event("a", 3)]).await?;
    let claim = store.claim(MANY, LONG).await?;
    store.complete(&claim, &Outcome { relayed: vec![0], refused: Vec::new() }).await?;
    let again = store.claim(MANY, LONG).await?;
    same!(by_key(std::slice::from_ref(&again)), versions("a", [2, 3]), "what is left");
    store.complete(&again, &Outcome::default()).await?;
    same!(by_key(&drain(&*store).await?), versions("a", [2, 3]), "what a claim without outcome left");
    same!(by_key(&drain(&*store).await?), BTreeMap::new(), "what is left at the end");
    Ok(Kept::Whole)
}

/// Law 8: refused events are listed with their reason, in pages, and can be written again or discarded.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_08_put_aside_is_visible(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let store = harness.open().await;
    write(harness, &[event("a", 1), event("a", 2), event("a", 3), event("a", 4)]).await?;
    let claim = store.claim(MANY, LONG).await?;
    let reason = Reason::new("invalid_input", "본문이 너무 깁니다");
    let refused = vec![(1, reason.clone()), (2, reason.clone())];
    store.complete(&claim, &Outcome { relayed: vec![0], refused }).await?;
    same!(by_key(&drain(&*store).await?), versions("a", [4]), "what goes on after refused events");
    let page = Page { after: 0, limit: NonZeroUsize::MIN };
    let first = store.refused(page).await?;
    same!(first.len(), 1, "entries of a page of one");
    let all = store.refused(Page::default()).await?;
    same!(all.len(), 2, "refused events");
    let mut found = Vec::new();
    for entry in &all {
        same!(entry.reason, reason, "the reason of a refused event");
        found.push(entry.event()?.version);
    }
    same!(found, vec![2, 3], "versions of the refused events");
    let positions: Vec<u64> = all.iter().map(|entry| entry.position).collect();
    let rest = store
        .refused(Page { after: first.first().map_or(0, |entry| entry.position), ..Page::default() })
        .await?;
    same!(rest, all.get(1..).unwrap_or_default().to_vec(), "the page after the first");
    same!(store.write_again(positions.get(..1).unwrap_or_default()).await?, 1, "events written again");
    same!(store.write_again(positions.get(..1).unwrap_or_default()).await?, 0, "events written again twice");
    same!(by_key(&drain(&*store).await?), versions("a", [2]), "what was written again");
    same!(store.discard(&positions).await?, 1, "events discarded");
    same!(store.refused(Page::default()).await?, vec![], "refused events at the end");
    Ok(Kept::Whole)
}

/// Law 9: an event that cannot be read is claimed with its reason, can be put aside, and is kept as it is.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_09_unreadable_is_put_aside(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let store = harness.open().await;
    write(harness, &[event("a", 1), event("a", 2)]).await?;
    write(harness, &[event("b", 1)]).await?;
    harness.damage("b").await;
    let (mut read, mut unreadable) = (0, Vec::new());
    loop {
        let claim = store.claim(MANY, LONG).await?;
        if claim.events.is_empty() {
            break;
        }
        let mut outcome = Outcome::default();
        for (place, claimed) in claim.events.iter().enumerate() {
            match &claimed.event {
                Ok(_) => outcome.relayed.push(place),
                Err(reason) => outcome.refused.push((place, reason.clone())),
            }
        }
        read += outcome.relayed.len();
        unreadable.extend(outcome.refused.iter().map(|(_, reason)| reason.kind.clone()));
        store.complete(&claim, &outcome).await?;
    }
    same!(read, 2, "events that can be read");
    same!(unreadable, vec!["unreadable".to_owned()], "reasons of those that cannot");
    let refused = store.refused(Page::default()).await?;
    same!(refused.len(), 1, "refused events");
    holds!(
        refused.iter().all(|entry| entry.event().is_err() && !entry.body.is_empty()),
        "the event was not kept as it is"
    );
    Ok(Kept::Whole)
}

/// Law 10: the backlog says how much waits, and for how long.
///
/// # Errors
///
/// What the backend did instead.
pub async fn law_10_the_backlog_is_counted(harness: &(impl OutboxHarness + ?Sized)) -> Verdict {
    let store = harness.open().await;
    let empty = store.backlog().await?;
    same!((empty.pending, empty.oldest, empty.refused), (0, None, 0), "the backlog of an empty outbox");
    write(harness, &[event("a", 1)]).await?;
    harness.pass(SHORT).await;
    write(harness, &[event("b", 1)]).await?;
    let backlog = store.backlog().await?;
    same!(backlog.pending, 2, "pending events");
    holds!(
        backlog.oldest.is_some_and(|age| age >= SHORT && age < LONG),
        "the oldest event waits for {:?} instead of {SHORT:?}",
        backlog.oldest
    );
    let claim = store.claim(MANY, LONG).await?;
    let refused = vec![(0, Reason::new("invalid_input", "no"))];
    store.complete(&claim, &Outcome { relayed: Vec::new(), refused }).await?;
    let backlog = store.backlog().await?;
    same!((backlog.pending, backlog.refused), (1, 1), "pending and refused events");
    Ok(Kept::Whole)
}
