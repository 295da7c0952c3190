//! Windows that close, and snapshots: laws 6 and 7.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::{ManualClock, Timestamp};

use super::super::{Broken, Kept, Verdict, same};
use super::{BoardHarness, WINDOW, board, by_distance, run, second};
use crate::ErrorKind;
use crate::leaderboard::{
    Late, Leaderboard, Movement, Period, Place, Record, Standings, Submitted, Ties, Weekday,
};

/// A closed window takes nothing, and stays readable.
///
/// # Errors
///
/// [`Broken`] if it does not.
pub async fn law_06_closed_is_closed(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let board = board("closed", by_distance())?;
    store.submit(&board, WINDOW, &[run(1, "a", 10)]).await?;
    store.close(&board, WINDOW).await?;
    store.close(&board, WINDOW).await?;
    let answers = store.submit(&board, WINDOW, &[run(1, "a", 10), run(2, "b", 20)]).await?;
    same!(answers, [Submitted::Duplicate, Submitted::Late], "records for a closed window");
    same!(store.list(&board, WINDOW, 0..5).await?.total, 1, "a closed window");
    store.close(&board, "never").await?;
    same!(
        store.submit(&board, "never", &[run(2, "b", 20)]).await?,
        [Submitted::Late],
        "an empty closed window"
    );
    let counted = store.submit(&board, "other", &[run(2, "b", 20)]).await?;
    same!(counted, [Submitted::Counted], "what was late, in a window that is open");
    Ok(Kept::Whole)
}

/// What is received after the grace is refused or counts now, by the leaderboard's rule; what was received before counts in its
/// week, and movement is told against it.
///
/// # Errors
///
/// [`Broken`] if it is not so.
pub async fn law_06_late_records_by_rule(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let clock = ManualClock::new(); // a Thursday
    let week = Period::week(Weekday::Monday).in_zone("Asia/Seoul")?.starting_at(Duration::from_hours(2));
    let open = |name: &str, late| -> Result<Leaderboard<u64>, Broken> {
        Ok(Leaderboard::new(Arc::clone(&store), board(name, by_distance())?)
            .with_period(week.clone())
            .with_grace(Duration::from_hours(6))
            .with_late(late)
            .with_clock(Arc::new(clock.clone())))
    };
    let (strict, lenient) = (open("strict", Late::Refuse)?, open("lenient", Late::CountNow)?);
    let now = strict.current()?;
    let end = now.window().end();
    let at = |source: &str, member: u64, at: Timestamp, metres| {
        Record::new(member, source, at).with("distance_m", metres)
    };
    let before = Timestamp::from_micros(end.as_micros() - 1);
    for board in [&strict, &lenient] {
        board.submit(&[at("a", 1, second(0), 10), at("b", 2, before, 20)]).await?;
    }
    clock.advance(end.saturating_since(ManualClock::START) + Duration::from_hours(5));
    // In its grace the week takes what happened in it; what happened after its end is next week's.
    for board in [&strict, &lenient] {
        let answers = board.submit(&[at("c", 1, before, 15), at("d", 2, end, 1)]).await?;
        same!(answers, [Submitted::Counted; 2], "in the grace");
        let Some(previous) = board.previous()? else {
            return Err(Broken::new("there is no week before"));
        };
        same!(previous.place(&1).await?.map(|place| place.rank), Some(1), "last week, in its grace");
    }
    clock.advance(Duration::from_hours(2));
    let late = [at("e", 2, before, 99), at("c", 1, before, 15)];
    same!(strict.submit(&late).await?, [Submitted::Late, Submitted::Duplicate], "late, and refused");
    same!(lenient.submit(&late).await?, [Submitted::Counted, Submitted::Duplicate], "late, and counted now");
    for (board, this_week) in [(&strict, 1), (&lenient, 100)] {
        let (Some(last), now) = (board.previous()?, board.current()?) else {
            return Err(Broken::new("there is no week before"));
        };
        let ranks: Vec<_> =
            last.top(5).await?.places.iter().map(|place| (place.member, place.values.clone())).collect();
        same!(ranks, [(1, vec![25]), (2, vec![20])], "last week");
        same!(now.place(&2).await?.map(|place| place.values), Some(vec![this_week]), "this week");
        let moved = now.movement(&last, &[1, 2, 3]).await?;
        same!(moved, [Some(Movement::Gone), Some(Movement::Up(1)), None], "movement");
        // What was received in time counts in its week whenever it is told, though the week has been looked at.
        let kept = board.snapshot_of(&last, "last-week").await?;
        let bounds = |standings: &Standings<u64>| (standings.window().start(), standings.window().end());
        same!(bounds(&kept), bounds(&last), "the time that a snapshot is of");
        let published = board.submit_received(&[at("f", 1, before, 1)], before).await?;
        same!(published, [Submitted::Counted], "a record that was received in time, told late");
        let values = |place: Option<Place<u64>>| place.map(|place| place.values);
        same!(values(last.place(&1).await?), Some(vec![26]), "last week with it");
        for kept in [kept, board.kept("last-week")] {
            same!(values(kept.place(&1).await?), Some(vec![25]), "last week as it was kept before");
        }
    }
    Ok(Kept::Whole)
}

/// What says to have happened in a week that is far from beginning does not count there or now, and holds nothing else up.
///
/// # Errors
///
/// [`Broken`] if it is not so.
pub async fn law_06_records_of_the_future(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let clock = ManualClock::new();
    let week = Period::week(Weekday::Monday).in_zone("Asia/Seoul")?;
    for (name, late) in [("strict", Late::Refuse), ("lenient", Late::CountNow)] {
        let board = Leaderboard::new(Arc::clone(&store), board(name, by_distance())?)
            .with_period(week.clone())
            .with_late(late)
            .with_clock(Arc::new(clock.clone()));
        let end = board.current()?.window().end();
        let at = |source: &str, at: Timestamp| Record::new(1, source, at).with("distance_m", 7);
        let moments = [
            ("later this week", Timestamp::from_micros(end.as_micros() - 1)),
            ("next week", end),
            ("2099", "2099-01-01T00:00:00Z".parse()?),
            ("the last moment of all", Timestamp::MAX),
            ("the first moment of all", Timestamp::MIN),
        ];
        let records = moments.map(|(source, moment)| at(source, moment));
        let past = if late == Late::Refuse { Submitted::Late } else { Submitted::Counted };
        let early = Submitted::Early;
        let answers = board.submit(&records).await?;
        same!(
            answers,
            [Submitted::Counted, early, early, early, past],
            "records of the future on a {name} board"
        );
        let again = board.submit_received(&records, Timestamp::from_micros(end.as_micros() - 1)).await?;
        let past = if late == Late::Refuse { Submitted::Late } else { Submitted::Duplicate };
        let expected = [Submitted::Duplicate, Submitted::Counted, early, early, past];
        same!(again, expected, "those that are received just before the next week on a {name} board");
        same!(board.submit(&records[1..2]).await?, [Submitted::Duplicate], "what counts, told as early");
        same!(board.at("2099-01-01T00:00:00Z".parse()?)?.top(9).await?.total, 0, "a week of 2099");
    }
    Ok(Kept::Whole)
}

/// A snapshot does not change.
///
/// # Errors
///
/// [`Broken`] if it does.
pub async fn law_07_kept(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let board = board("kept", by_distance().with_ties(Ties::Dense))?;
    let mut kept = Vec::new();
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..5 {
        let records: Vec<_> = (0..20)
            .map(|index| run(random.u64(0..15), &format!("{round}-{index}"), random.i64(-3..4)))
            .collect();
        store.submit(&board, WINDOW, &records).await?;
        let name = format!("snapshot-{round}");
        store.snapshot(&board, WINDOW, &name).await?;
        kept.push((name, store.list(&board, WINDOW, 0..20).await?));
        if round == 3 {
            store.forget(&board, "snapshot-1").await?;
            kept.remove(1);
        }
    }
    for (name, listing) in &kept {
        same!(store.list(&board, name, 0..20).await?, *listing, "the order in {name}");
        let answers = store.submit(&board, name, &[run(99, name, 1)]).await?;
        same!(answers, [Submitted::Late], "a record for {name}");
        let taken = store.snapshot(&board, WINDOW, name).await.map_err(|error| error.kind());
        same!(taken, Err(ErrorKind::Conflict), "a name that is taken");
    }
    // A snapshot outlives what it is of.
    store.forget(&board, WINDOW).await?;
    same!(store.list(&board, WINDOW, 0..20).await?.total, 0, "what was forgotten");
    for (name, listing) in &kept {
        same!(store.list(&board, name, 0..20).await?, *listing, "the order in {name}");
        let member = listing.places.first().map_or(0, |place| place.member);
        let place = store.places(&board, name, &[member]).await?;
        same!(place.first().cloned().flatten(), listing.places.first().cloned(), "the first of {name}");
    }
    store.snapshot(&board, "nothing", "empty").await?;
    same!(store.list(&board, "empty", 0..5).await?.total, 0, "a snapshot of nothing");
    Ok(Kept::Whole)
}
