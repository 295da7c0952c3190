//! Boards that take the place of others, and what a restart leaves: laws 10 and 11.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::event::{Envelope, EventBus as _, Handler as _, MemoryBus, State};
use pumasi_core::time::ManualClock;

use super::super::{Broken, Kept, Verdict, same};
use super::{BoardHarness, WINDOW, board, by_distance, rank, run, second};
use crate::leaderboard::{BoardFeed, Direction, Leaderboard, Metric, Period, Record, Rules, Submitted, Ties};

/// A board takes another one's place at once.
///
/// # Errors
///
/// [`Broken`] if it does not.
pub async fn law_10_replaced_at_once(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let old = board("board", by_distance())?;
    let new = board("board", by_distance().with_ties(Ties::Ordinal))?;
    let aside = board("aside", by_distance().with_ties(Ties::Ordinal))?;
    store.submit(&old, WINDOW, &[run(1, "a", 7)]).await?;
    store.snapshot(&old, WINDOW, "kept").await?;
    store.close(&old, WINDOW).await?;
    store.submit(&aside, WINDOW, &[run(2, "b", 9), run(3, "c", 9)]).await?;
    same!(store.list(&old, WINDOW, 0..5).await?.total, 1, "the board while another one is filled");
    store.replace(&new, &aside).await?;
    let listed = store.list(&new, WINDOW, 0..5).await?;
    let found: Vec<_> = listed.places.iter().map(|place| (place.member, place.rank)).collect();
    same!(found, [(2, 1), (3, 2)], "the board that took its place");
    same!(store.list(&aside, WINDOW, 0..5).await?.total, 0, "what was put aside");
    same!(store.list(&new, "kept", 0..5).await?.total, 0, "a snapshot of what was replaced");
    let answers = store.submit(&new, WINDOW, &[run(1, "a", 7), run(2, "b", 9)]).await?;
    same!(answers, [Submitted::Counted, Submitted::Duplicate], "records after the exchange");
    store.replace(&new, &aside).await?;
    same!(store.list(&new, WINDOW, 0..5).await?.total, 0, "a board that was replaced by nothing");
    Ok(Kept::Whole)
}

/// A board that is rebuilt from its events is what it was, with other rules what it would have been.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_10_rebuilt_from_events(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let bus = MemoryBus::new();
    let clock = ManualClock::new();
    let open = |rules: Rules| -> Result<Leaderboard<u64>, Broken> {
        Ok(Leaderboard::new(Arc::clone(&store), board("fed", rules)?)
            .with_period(Period::day())
            .with_clock(Arc::new(clock.clone())))
    };
    let day = 86_400;
    let mut events = Vec::new();
    for (number, (member, happened, published, metres)) in
        [(1_u64, 10, 20, 5), (2, 10, 30, 7), (1, day - 1, day + 1, 100), (1, day, day, 3), (2, 15, 40, 1)]
            .into_iter()
            .enumerate()
    {
        let record =
            Record::new(member, format!("run-{number}"), second(happened)).with("distance_m", metres);
        let event = Envelope::new("runs", member.to_string(), State::Created, number as u64);
        events.push(event.with_occurred_at(second(published)).with_payload(&record)?);
    }
    let broken = Envelope::new("runs", "9", State::Created, 9).with_payload(&"러닝 기록이 아님")?;
    bus.publish(&events).await?;
    bus.publish(&[broken]).await?;
    // Long after: what was late then is late still, and nothing else is.
    clock.advance(Duration::from_hours(240));
    let first = open(by_distance())?;
    let feed = BoardFeed::of_records(first.clone(), "runs");
    // A feed that was down: somebody has looked at the days that are over before it is told of them.
    same!(first.at(second(0))?.top(5).await?.total, 0, "the first day, before the feed");
    same!(first.previous()?.is_some(), true, "a day before");
    let member = bus.subscribe(&feed.subscription("late")).await?;
    for delivery in member.fetch(NonZeroUsize::MIN.saturating_add(9), Duration::from_millis(100)).await? {
        let refused = feed.handle(&delivery).await.is_err();
        same!(refused, delivery.event.key.as_str() == "9", "whether an event was refused");
    }
    let fed = first.at(second(0))?.top(5).await?;
    same!(fed.total, 2, "who is ranked on the first day by a feed that was down");
    for _ in 0..2 {
        let rebuilt = feed.rebuild(&bus).await?;
        same!((rebuilt.events, rebuilt.refused), (6, 1), "events of a rebuild");
        let listed = first.at(second(0))?.top(5).await?;
        let found: Vec<_> = listed.places.into_iter().map(|place| (place.member, place.values)).collect();
        same!(found, [(2, vec![8]), (1, vec![5])], "the first day, rebuilt");
        same!(first.at(second(0))?.top(5).await?, fed, "the first day, rebuilt and fed late");
        same!(
            first.at(second(day))?.place(&1).await?.map(|place| place.values),
            Some(vec![3]),
            "the second day"
        );
    }
    let beside = board("fed.rebuild", by_distance())?;
    store.submit(&beside, WINDOW, &[run(1, "a", 7)]).await?;
    let other = open(Rules::new(Metric::highest("distance_m"), Direction::LowestFirst))?;
    BoardFeed::of_records(other.clone(), "runs").rebuild(&bus).await?;
    let listed = other.at(second(0))?.top(5).await?;
    let found: Vec<_> = listed.places.into_iter().map(|place| (place.member, place.values)).collect();
    same!(found, [(1, vec![5]), (2, vec![7])], "the first day by other rules");
    same!(
        rank(&*store, &beside, WINDOW, 1).await?,
        Some((1, 7)),
        "a board whose name says that it is a rebuild"
    );
    Ok(Kept::Whole)
}

/// What was answered is there for whoever opens the store later.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_11_durable(harness: &impl BoardHarness) -> Verdict {
    if !harness.is_durable() {
        return Ok(Kept::Skipped("it declares that nothing outlives the process"));
    }
    let board = board("durable", by_distance().with_ties(Ties::FirstReached))?;
    let kept = {
        let store = harness.open().await;
        store.submit(&board, WINDOW, &[run(1, "a", 7), run(2, "b", 7), run(3, "c", 8)]).await?;
        store.snapshot(&board, WINDOW, "kept").await?;
        let kept = store.list(&board, WINDOW, 0..5).await?;
        store.submit(&board, WINDOW, &[run(1, "d", 9)]).await?;
        store.close(&board, WINDOW).await?;
        kept
    };
    let store = harness.open().await;
    same!(store.list(&board, "kept", 0..5).await?, kept, "a snapshot after it was opened again");
    same!(rank(&*store, &board, WINDOW, 1).await?, Some((1, 16)), "a total after it was opened again");
    let answers = store.submit(&board, WINDOW, &[run(1, "a", 7), run(1, "e", 7)]).await?;
    same!(answers, [Submitted::Duplicate, Submitted::Late], "records after it was opened again");
    Ok(Kept::Whole)
}
