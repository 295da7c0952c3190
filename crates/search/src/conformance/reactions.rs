//! The laws of [`Reactions`], in the order of its numbered guarantees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use pumasi_core::time::{ManualClock, Timestamp};

use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::reactions::{Counts, Reaction, Reactions, Tally, Vote};

/// A store of reactions under examination.
#[async_trait]
pub trait ReactionHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same reactions.
    async fn open(&self) -> Arc<dyn Reactions>;

    /// Tells whether what a handle did is there for one that is opened after it was dropped (default: it is).
    fn is_durable(&self) -> bool {
        true
    }

    /// Makes the counts of an item wrong, as somebody might who changes what the store stands on by another way; tells whether that can
    /// be (default: it cannot).
    async fn spoil(&self, item: &str) -> bool {
        let _ = item;
        false
    }
}

/// Makes one `#[test]` per law of [`Reactions`], in a module of the given name, each on a harness of its own made by the
/// expression.
#[macro_export]
macro_rules! reaction_laws {
    ($backend:ident, $harness:expr) => {
        $crate::conformance::each_law!(
            $backend,
            $harness,
            [$crate::conformance::reactions],
            law_01_one_a_person,
            law_02_exact,
            law_02_eight_threads_drift_by_nothing,
            law_03_repeating_is_safe,
            law_04_together,
            law_05_forgotten,
            law_05_forgotten_beside_votes,
            law_06_durable,
            law_07_recounted,
            law_07_recounted_beside_votes,
        );
    };
}

fn second(seconds: u64) -> Timestamp {
    ManualClock::START.saturating_add(Duration::from_secs(seconds))
}

fn vote(item: &str, person: &str, reaction: Reaction, seconds: u64) -> Vote {
    Vote::new(item, person, reaction, second(seconds))
}

async fn counts(store: &dyn Reactions, item: &str) -> Result<(u64, u64), Broken> {
    let counts = store.counts(&[item]).await?;
    let counts = counts.first().copied().unwrap_or_default();
    Ok((counts.likes, counts.dislikes))
}

fn told(tally: Option<&Tally>) -> Option<(Reaction, u64, u64)> {
    tally.map(|tally| (tally.reaction, tally.counts.likes, tally.counts.dislikes))
}

/// One reaction of a person to an item stands; it can be switched and withdrawn.
///
/// # Errors
///
/// [`Broken`] if it is not so.
pub async fn law_01_one_a_person(harness: &impl ReactionHarness) -> Verdict {
    let store = harness.open().await;
    let steps = [
        (Reaction::Like, (1, 0)),
        (Reaction::Dislike, (0, 1)),
        (Reaction::Dislike, (0, 1)),
        (Reaction::None, (0, 0)),
        (Reaction::None, (0, 0)),
        (Reaction::Like, (1, 0)),
    ];
    for (at, (reaction, (likes, dislikes))) in (0..).zip(steps) {
        let tallies = store.cast(&[vote("글", "민지", reaction, at)]).await?;
        same!(told(tallies.first()), Some((reaction, likes, dislikes)), "step {at}");
    }
    store.cast(&[vote("글", "Lee", Reaction::Like, 0), vote("other", "민지", Reaction::Dislike, 0)]).await?;
    same!(counts(&*store, "글").await?, (2, 0), "what two people like");
    let own = store.reactions("민지", &["글", "nothing", "other"]).await?;
    same!(own, [Reaction::Like, Reaction::None, Reaction::Dislike], "the reactions of one person");
    let none = store.counts(&["nothing", "other"]).await?;
    same!(none.first(), Some(&Counts::default()), "an item without reactions");
    for (item, person) in [("", "a"), ("a", ""), ("a\0b", "a")] {
        let refused =
            store.cast(&[vote(item, person, Reaction::Like, 0)]).await.map_err(|error| error.kind());
        same!(refused.map(|tallies| tallies.len()), Err(ErrorKind::InvalidInput), "an id that is none");
    }
    Ok(Kept::Whole)
}

/// Counts are those of the reactions that stand.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_02_exact(harness: &impl ReactionHarness) -> Verdict {
    let store = harness.open().await;
    let mut random = fastrand::Rng::with_seed(8);
    let mut stand: BTreeMap<(usize, usize), Reaction> = BTreeMap::new();
    for at in 0..60 {
        let mut votes = Vec::new();
        for _ in 0..random.usize(1..6) {
            let (item, person) = (random.usize(0..4), random.usize(0..5));
            let reaction =
                random.choice([Reaction::None, Reaction::Like, Reaction::Dislike]).unwrap_or_default();
            votes.push(vote(&format!("item {item}"), &format!("person {person}"), reaction, at));
            stand.insert((item, person), reaction);
        }
        store.cast(&votes).await?;
    }
    for item in 0..4 {
        let of = |wanted| stand.iter().filter(|((at, _), is)| *at == item && **is == wanted).count() as u64;
        let found = counts(&*store, &format!("item {item}")).await?;
        same!(found, (of(Reaction::Like), of(Reaction::Dislike)), "the counts of item {item}");
    }
    Ok(Kept::Whole)
}

/// Eight threads that switch the same votes leave no drift.
///
/// # Errors
///
/// [`Broken`] if there is drift.
pub async fn law_02_eight_threads_drift_by_nothing(harness: &impl ReactionHarness) -> Verdict {
    const ITEMS: [&str; 4] = ["a", "나", "c", "d"];
    let stores = join_all((0..8).map(|_| harness.open())).await;
    let voting = stores.into_iter().enumerate().map(|(thread, store)| {
        let mut random = fastrand::Rng::with_seed(thread as u64);
        async move {
            for at in 0..60 {
                let reaction =
                    random.choice([Reaction::None, Reaction::Like, Reaction::Dislike]).unwrap_or_default();
                let item = random.choice(ITEMS).unwrap_or("a");
                let person = format!("person {}", random.u8(0..10));
                let other = random.choice(ITEMS).unwrap_or("a");
                let votes = [vote(item, &person, reaction, at), vote(other, &person, Reaction::Like, at)];
                store.cast(&votes).await?;
            }
            Ok::<_, Broken>(())
        }
    });
    // On threads of their own where the harness's runtime has them; otherwise in turns at every await.
    let all = join_all(voting).await;
    all.into_iter().collect::<Result<(), _>>()?;
    let store = harness.open().await;
    for item in ITEMS {
        let mut stand = (0, 0);
        for person in 0..10 {
            match store.reactions(&format!("person {person}"), &[item]).await?.first() {
                Some(Reaction::Like) => stand.0 += 1,
                Some(Reaction::Dislike) => stand.1 += 1,
                _ => {}
            }
        }
        same!(counts(&*store, item).await?, stand, "the counts of {item} beside what stands");
        holds!(stand.0 > 0, "nobody likes {item}");
    }
    Ok(Kept::Whole)
}

/// A vote that comes again, or late, changes nothing.
///
/// # Errors
///
/// [`Broken`] if it does.
pub async fn law_03_repeating_is_safe(harness: &impl ReactionHarness) -> Verdict {
    let store = harness.open().await;
    let (like, dislike) = (vote("a", "b", Reaction::Like, 5), vote("a", "b", Reaction::Dislike, 6));
    for _ in 0..3 {
        store.cast(std::slice::from_ref(&like)).await?;
    }
    same!(counts(&*store, "a").await?, (1, 0), "a like that came three times");
    store.cast(std::slice::from_ref(&dislike)).await?;
    let late = store.cast(std::slice::from_ref(&like)).await?;
    same!(told(late.first()), Some((Reaction::Dislike, 0, 1)), "a like that came again after a switch");
    store.cast(&[vote("a", "b", Reaction::None, 7)]).await?;
    let late = store.cast(&[dislike]).await?;
    same!(
        told(late.first()),
        Some((Reaction::None, 0, 0)),
        "a dislike that came again after it was withdrawn"
    );
    let same_moment = store.cast(&[vote("a", "b", Reaction::Like, 7)]).await?;
    same!(told(same_moment.first()), Some((Reaction::Like, 1, 0)), "the later one of the same microsecond");
    let early = Vote::new("a", "c", Reaction::Like, Timestamp::from_micros(-5));
    store.cast(&[early, Vote::new("a", "c", Reaction::Dislike, Timestamp::from_micros(-6))]).await?;
    same!(counts(&*store, "a").await?, (2, 0), "moments before 1970");
    Ok(Kept::Whole)
}

/// The votes of a call are stored together.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_04_together(harness: &impl ReactionHarness) -> Verdict {
    let store = harness.open().await;
    let votes = [
        vote("a", "p", Reaction::Like, 2),
        vote("b", "p", Reaction::Like, 1),
        vote("a", "p", Reaction::Dislike, 1),
        vote("a", "q", Reaction::Dislike, 1),
        vote("a", "q", Reaction::Like, 1),
    ];
    let tallies = store.cast(&votes).await?;
    let found: Vec<_> = tallies.iter().map(|tally| told(Some(tally))).collect();
    let (a, b) = (Some((Reaction::Like, 2, 0)), Some((Reaction::Like, 1, 0)));
    same!(found, [a, b, a, a, a], "votes of one call");
    let bad = [vote("a", "r", Reaction::Like, 1), vote("a", "", Reaction::Like, 1)];
    holds!(store.cast(&bad).await.is_err(), "a vote of nobody was taken");
    same!(counts(&*store, "a").await?, (2, 0), "counts after a call that failed");
    holds!(store.cast(&[]).await?.is_empty(), "no votes were answered");
    Ok(Kept::Whole)
}

/// A forgotten item has no reactions, and gets new ones.
///
/// # Errors
///
/// [`Broken`] if it has.
pub async fn law_05_forgotten(harness: &impl ReactionHarness) -> Verdict {
    let store = harness.open().await;
    store.cast(&[vote("a", "p", Reaction::Like, 9), vote("b", "p", Reaction::Like, 9)]).await?;
    store.forget("a").await?;
    store.forget("never there").await?;
    same!(counts(&*store, "a").await?, (0, 0), "a forgotten item");
    same!(store.reactions("p", &["a", "b"]).await?, [Reaction::None, Reaction::Like], "a person's reactions");
    store.cast(&[vote("a", "p", Reaction::Dislike, 1)]).await?;
    same!(counts(&*store, "a").await?, (0, 1), "an item that was forgotten, with a vote");
    Ok(Kept::Whole)
}

/// Votes that are cast while their item is forgotten are gone whole, or stand and are counted.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_05_forgotten_beside_votes(harness: &impl ReactionHarness) -> Verdict {
    beside_votes(harness, async |store, item| Ok(store.forget(item).await?)).await
}

/// Does something again and again while people vote, and compares the counts with what stands then.
async fn beside_votes(
    harness: &impl ReactionHarness,
    does: impl AsyncFn(&dyn Reactions, &str) -> Result<(), Broken>,
) -> Verdict {
    let stores = join_all((0..6).map(|_| harness.open())).await;
    let store = harness.open().await;
    let person = |voter: usize, at: u64| format!("person {voter} {}", at % 5);
    for round in 0..8 {
        let item = &format!("item {round}");
        let voting = stores.iter().enumerate().map(|(voter, store)| async move {
            for at in 0..12 {
                let reaction = if at % 3 == 0 { Reaction::Dislike } else { Reaction::Like };
                store.cast(&[vote(item, &person(voter, at), reaction, at)]).await?;
            }
            Ok::<_, Broken>(())
        });
        let doing = async {
            for _ in 0..5 {
                does(&*store, item).await?;
            }
            Ok::<_, Broken>(())
        };
        let (voted, done) = join(join_all(voting), doing).await;
        voted.into_iter().chain([done]).collect::<Result<(), _>>()?;
        let mut stand = (0, 0);
        for voter in 0..stores.len() {
            for at in 0..5 {
                match store.reactions(&person(voter, at), &[item]).await?.first() {
                    Some(Reaction::Like) => stand.0 += 1,
                    Some(Reaction::Dislike) => stand.1 += 1,
                    _ => {}
                }
            }
        }
        same!(counts(&*store, item).await?, stand, "the counts of {item} beside what stands");
    }
    Ok(Kept::Whole)
}

/// What was answered is there for whoever opens the store later.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_06_durable(harness: &impl ReactionHarness) -> Verdict {
    if !harness.is_durable() {
        return Ok(Kept::Skipped("it declares that nothing outlives the process"));
    }
    harness.open().await.cast(&[vote("글", "민지", Reaction::Like, 1)]).await?;
    let store = harness.open().await;
    same!(counts(&*store, "글").await?, (1, 0), "counts after it was opened again");
    same!(store.reactions("민지", &["글"]).await?, [Reaction::Like], "a reaction after it was opened again");
    Ok(Kept::Whole)
}

/// Counts are put right that somebody spoiled.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_07_recounted(harness: &impl ReactionHarness) -> Verdict {
    let store = harness.open().await;
    let votes = ["a", "b"].map(|item| {
        [("p", Reaction::Like), ("q", Reaction::Like), ("r", Reaction::Dislike), ("s", Reaction::None)]
            .map(|(person, reaction)| vote(item, person, reaction, 1))
    });
    store.cast(votes.as_flattened()).await?;
    let spoiled = harness.spoil("a").await;
    same!(spoiled, counts(&*store, "a").await? != (2, 1), "whether the counts of an item are spoiled");
    let recounted = store.recount(&["b", "never there", "a", "a"]).await?;
    let recounted: Vec<_> = recounted.iter().map(|counts| (counts.likes, counts.dislikes)).collect();
    same!(recounted, [(2, 1), (0, 0), (2, 1), (2, 1)], "what recounting answers");
    for (item, stand) in [("a", (2, 1)), ("b", (2, 1)), ("never there", (0, 0))] {
        same!(counts(&*store, item).await?, stand, "the counts of {item} after it");
    }
    store.cast(&[vote("a", "s", Reaction::Like, 2)]).await?;
    same!(counts(&*store, "a").await?, (3, 1), "counts after a vote since");
    same!(store.recount(&[""]).await.map_err(|error| error.kind()), Err(ErrorKind::InvalidInput), "a bad id");
    holds!(store.recount(&[]).await?.is_empty(), "no items were counted");
    Ok(if spoiled { Kept::Whole } else { Kept::Skipped("nothing can spoil its counts") })
}

/// Votes that are cast while their item is counted anew are counted once.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_07_recounted_beside_votes(harness: &impl ReactionHarness) -> Verdict {
    beside_votes(harness, async |store, item| {
        store.recount(&[item, "another"]).await?;
        Ok(())
    })
    .await
}
