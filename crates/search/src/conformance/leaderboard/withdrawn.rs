//! Records that are taken back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use pumasi_core::event::{Envelope, EventBus as _, MemoryBus, State};
use pumasi_core::time::{Clock as _, ManualClock, Timestamp};

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BoardHarness, WINDOW, board, by_distance, metrics, mixed, rank, run, second};
use crate::ErrorKind;
use crate::leaderboard::{
    Board, BoardFeed, Direction, Late, Leaderboard, OpenWindows, Period, Record, Rules, Submitted, Ties,
    Total, Weekday, Withdrawn,
};

fn keeping(name: &str, rules: Rules) -> Result<Board, Broken> {
    Ok(board(name, rules)?.keeping_records())
}

/// Without a record that was withdrawn a board is what it would be if that had never come.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_12_taken_back(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let mut random = fastrand::Rng::with_seed(12);
    for (name, metric) in metrics() {
        let rules = Rules::new(metric, Direction::HighestFirst).with_ties(Ties::FirstReached);
        let (one, two) =
            (keeping(&format!("{name}-taken"), rules.clone())?, board(&format!("{name}-rest"), rules)?);
        let records = mixed(&mut random, 40);
        let (back, rest): (Vec<_>, Vec<_>) = records.iter().cloned().partition(|_| random.u8(..3) == 0);
        // A third of them is taken back before it comes.
        let (early, later) = back.split_at(back.len() / 3);
        for record in early {
            let answer =
                store.withdraw(&one, WINDOW, record.member(), record.source(), &OpenWindows::all()).await?;
            same!(answer, Withdrawn::Absent, "a record that has not come, by {name}");
        }
        for part in records.chunks(7) {
            store.submit(&one, WINDOW, part).await?;
        }
        for (number, record) in later.iter().enumerate() {
            // It is found in whichever window it counted.
            let window = if number % 2 == 0 { WINDOW } else { "elsewhere" };
            for expected in [Withdrawn::Done, Withdrawn::Absent] {
                let answer = store
                    .withdraw(&one, window, record.member(), record.source(), &OpenWindows::all())
                    .await?;
                same!(answer, expected, "a record that counted, by {name}");
            }
        }
        same!(
            store.submit(&one, WINDOW, &back).await?,
            vec![Submitted::Duplicate; back.len()],
            "what comes again"
        );
        store.submit(&two, WINDOW, &rest).await?;
        let (one, two) = (store.list(&one, WINDOW, 0..99).await?, store.list(&two, WINDOW, 0..99).await?);
        holds!(two.total > 0, "nobody is ranked by {name}");
        same!(one, two, "the board by {name} without what was taken back");
    }
    Ok(Kept::Whole)
}

/// What is taken back leaves snapshots, closed windows, others and boards that keep no records as they are.
///
/// # Errors
///
/// [`Broken`] if it does not.
pub async fn law_12_taken_back_from_its_window_alone(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let (kept, plain) = (keeping("kept", by_distance())?, board("plain", by_distance())?);
    store.submit(&kept, WINDOW, &[run(1, "a", 5), run(1, "b", 7), run(2, "a", 9)]).await?;
    store.submit(&kept, "over", &[run(1, "c", 4)]).await?;
    store.close(&kept, "over").await?;
    store.snapshot(&kept, WINDOW, "monday").await?;
    same!(
        store.withdraw(&kept, WINDOW, &1, "c", &OpenWindows::all()).await?,
        Withdrawn::Late,
        "of a window that is closed"
    );
    let elsewhere = OpenWindows::which(|window| window != WINDOW);
    same!(
        store.withdraw(&kept, "elsewhere", &1, "a", &elsewhere).await?,
        Withdrawn::Late,
        "of one that is not open"
    );
    same!(
        store.withdraw(&kept, WINDOW, &1, "a", &OpenWindows::all()).await?,
        Withdrawn::Done,
        "of the one that goes on"
    );
    for (window, member, expected) in [
        (WINDOW, 1, Some((2, 7))),
        (WINDOW, 2, Some((1, 9))),
        ("over", 1, Some((1, 4))),
        ("monday", 1, Some((1, 12))),
        ("monday", 2, Some((2, 9))),
    ] {
        same!(rank(&*store, &kept, window, member).await?, expected, "where {member} stands in {window}");
    }
    same!(
        store.withdraw(&kept, WINDOW, &1, "b", &OpenWindows::all()).await?,
        Withdrawn::Done,
        "the last one of somebody"
    );
    same!(rank(&*store, &kept, WINDOW, 1).await?, None, "who has no record any more");
    same!(
        store.submit(&kept, WINDOW, &[run(1, "d", 3)]).await?,
        [Submitted::Counted],
        "another one after that"
    );
    same!(rank(&*store, &kept, WINDOW, 1).await?, Some((2, 3)), "where that leaves them");

    store.submit(&plain, WINDOW, &[run(1, "a", 5)]).await?;
    let refused = |answer: crate::Result<Withdrawn>| answer.map_err(|error| error.kind());
    same!(
        refused(store.withdraw(&plain, WINDOW, &1, "a", &OpenWindows::all()).await),
        Err(ErrorKind::Unsupported),
        "a board that keeps no records"
    );
    let from_now_on = plain.keeping_records();
    store.submit(&from_now_on, WINDOW, &[run(1, "b", 2), run(2, "a", 1)]).await?;
    same!(
        refused(store.withdraw(&from_now_on, WINDOW, &1, "b", &OpenWindows::all()).await),
        Err(ErrorKind::Unsupported),
        "who has records from before they were kept"
    );
    same!(
        store.withdraw(&from_now_on, WINDOW, &2, "a", &OpenWindows::all()).await?,
        Withdrawn::Done,
        "who has none"
    );
    same!(rank(&*store, &from_now_on, WINDOW, 1).await?, Some((1, 7)), "what stays");
    Ok(Kept::Whole)
}

/// What counted in a window that is over stays, whatever moment is told of it; what is of a window to come does not count there when it
/// comes.
///
/// # Errors
///
/// [`Broken`] if it is not so.
pub async fn law_12_taken_back_while_its_window_is_open(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let week = Duration::from_hours(7 * 24);
    for (name, late) in [("strict", Late::Refuse), ("lenient", Late::CountNow)] {
        let clock = ManualClock::new();
        let board = Leaderboard::new(Arc::clone(&store), keeping(name, by_distance())?)
            .with_period(Period::week(Weekday::Monday).in_zone("Asia/Seoul")?)
            .with_late(late)
            .with_clock(Arc::new(clock.clone()));
        let at = |source: &str, at: Timestamp| Record::new(1, source, at).with("distance_m", 7);
        let (then, next) = (clock.now(), clock.now().saturating_add(week));
        let first = board.current()?;
        board.submit(&[at("stays", then), at("goes", then)]).await?;
        // The moment that is told is wrong; where it counted is known.
        same!(
            board.withdraw(&1, "goes", next).await?,
            Withdrawn::Done,
            "a record of {name}, told as of next week"
        );
        for _ in 0..2 {
            same!(board.withdraw(&1, "early", next).await?, Withdrawn::Absent, "a record to come of {name}");
        }
        same!(
            board.withdraw(&1, "never", Timestamp::MAX).await?,
            Withdrawn::Absent,
            "one of never of {name}"
        );
        clock.advance(week);
        let early = board.submit(&[at("early", next), at("new", next)]).await?;
        same!(
            early,
            [Submitted::Duplicate, Submitted::Counted],
            "what was taken back before its week on {name}"
        );
        for moment in [then, next, clock.now().saturating_add(week)] {
            same!(
                board.withdraw(&1, "stays", moment).await?,
                Withdrawn::Late,
                "a week that is over on {name}"
            );
        }
        let place = first.place(&1).await?;
        same!(place.map(|place| place.values), Some(vec![7]), "the week that is over on {name}");
        same!(
            board.withdraw(&1, "new", then).await?,
            Withdrawn::Done,
            "one of this week of {name}, told as of the last"
        );
        if late == Late::CountNow {
            same!(board.submit(&[at("late", then)]).await?, [Submitted::Counted], "a late record");
            same!(
                board.withdraw(&1, "late", then).await?,
                Withdrawn::Done,
                "a late record, in the week in which it counts"
            );
        } else {
            same!(board.withdraw(&1, "late", then).await?, Withdrawn::Late, "a record that was late");
        }
        same!(board.current()?.place(&1).await?, None, "what is left of this week on {name}");
    }
    Ok(Kept::Whole)
}

/// What is taken back leaves what the rest came to in the order of time, though that is more contributors than are told apart, or sums on
/// the way do not fit.
///
/// # Errors
///
/// [`Broken`] if it does not.
pub async fn law_12_taken_back_in_the_order_of_time(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let rules = Rules::new(Total::Members.into(), Direction::HighestFirst).with_ties(Ties::FirstReached);
    let (one, two) = (keeping("many-taken", rules.clone())?, board("many-rest", rules)?);
    let came = |source: String, who: u64, at| {
        Record::new(1, source, second(at)).with_contributor(format!("크루원 {who}"))
    };
    // Everybody comes twice, and those of the second time are first by name.
    let first = (0..300).map(|who| came(format!("b{who}"), who, who));
    let mut records: Vec<_> =
        first.chain((0..300).map(|who| came(format!("a{who}"), who, 9_000 + who))).collect();
    store.submit(&two, WINDOW, &records).await?;
    records.push(came("goes".to_owned(), 300, 20_000));
    store.submit(&one, WINDOW, &records).await?;
    same!(
        store.withdraw(&one, WINDOW, &1, "goes", &OpenWindows::all()).await?,
        Withdrawn::Done,
        "the last to come"
    );
    // Somebody who reached the same in between is behind only whoever reached it first.
    for board in [&one, &two] {
        let other: Vec<_> = (0..300)
            .map(|who| {
                Record::new(2, format!("c{who}"), second(1_000)).with_contributor(format!("크루원 {who}"))
            })
            .collect();
        store.submit(board, WINDOW, &other).await?;
        let listing = store.list(board, WINDOW, 0..9).await?;
        let order: Vec<_> = listing.places.iter().map(|place| place.member).collect();
        same!(order, [1, 2], "who reached it first on {}", board.name());
    }

    let sums = keeping("large", by_distance())?;
    let ran = |source: &str, at, metres| Record::new(1, source, second(at)).with("distance_m", metres);
    // In the order of time the first two do not fit.
    for record in [ran("a", 1, i64::MAX), ran("c", 3, -i64::MAX), ran("b", 2, i64::MAX), ran("goes", 4, -1)] {
        same!(
            store.submit(&sums, WINDOW, &[record]).await?,
            [Submitted::Counted],
            "a part of a sum that fits"
        );
    }
    same!(
        store.withdraw(&sums, WINDOW, &1, "goes", &OpenWindows::all()).await?,
        Withdrawn::Done,
        "a part of it"
    );
    same!(rank(&*store, &sums, WINDOW, 1).await?, Some((1, i64::MAX)), "the sum without it");
    let taken = store.withdraw(&sums, WINDOW, &1, "c", &OpenWindows::all()).await;
    same!(
        taken.map_err(|error| error.kind()),
        Err(ErrorKind::InvalidInput),
        "a part without which the rest does not fit"
    );
    same!(rank(&*store, &sums, WINDOW, 1).await?, Some((1, i64::MAX)), "the sum after that");
    Ok(Kept::Whole)
}

/// What is taken back while others submit takes nothing of theirs with it, and is there for whoever opens the store later.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_12_taken_back_beside_others(harness: &impl BoardHarness) -> Verdict {
    let board = keeping("beside", by_distance())?;
    let store = harness.open().await;
    let records: Vec<_> = (0..20).map(|number| run(1, &format!("back-{number}"), 1_000)).collect();
    store.submit(&board, WINDOW, &records).await?;
    let taking = async {
        let store = harness.open().await;
        for record in &records {
            same!(
                store.withdraw(&board, WINDOW, &1, record.source(), &OpenWindows::all()).await?,
                Withdrawn::Done,
                "beside others"
            );
        }
        Ok::<_, Broken>(())
    };
    let adding = async {
        let store = harness.open().await;
        for number in 0..20 {
            store.submit(&board, WINDOW, &[run(1, &format!("stays-{number}"), 1)]).await?;
        }
        Ok::<_, Broken>(())
    };
    let (taken, added) = join(taking, adding).await;
    taken.and(added)?;
    same!(rank(&*store, &board, WINDOW, 1).await?, Some((1, 20)), "what stays");
    if !harness.is_durable() {
        return Ok(Kept::Whole);
    }
    drop(store);
    let store = harness.open().await;
    same!(
        rank(&*store, &board, WINDOW, 1).await?,
        Some((1, 20)),
        "what stays in a store that is opened later"
    );
    same!(
        store.submit(&board, WINDOW, &records).await?,
        vec![Submitted::Duplicate; 20],
        "what comes again there"
    );
    Ok(Kept::Whole)
}

/// An event of what was deleted takes its records back, also in a board that is rebuilt.
///
/// # Errors
///
/// [`Broken`] if it does not.
pub async fn law_12_taken_back_by_events(harness: &impl BoardHarness) -> Verdict {
    let board = Leaderboard::new(harness.open().await, keeping("deleted", by_distance())?);
    let feed = BoardFeed::of_records(board.clone(), "runs");
    let bus = MemoryBus::new();
    let event = |state, version, record: &Record<u64>| -> Result<Envelope, Broken> {
        Ok(Envelope::new("runs", "1", state, version).with_occurred_at(record.at()).with_payload(record)?)
    };
    let (stays, goes) = (run(1, "a", 5_000), run(1, "b", 7_000));
    let events = [
        event(State::Created, 1, &stays)?,
        event(State::Created, 1, &goes)?,
        event(State::Deleted, 2, &goes)?,
    ];
    bus.publish(&events).await?;
    for turn in 0..2 {
        feed.rebuild(&bus).await?;
        let place = board.current()?.place(&1).await?;
        same!(place.and_then(|place| place.values.first().copied()), Some(5_000), "after rebuild {turn}");
    }
    Ok(Kept::Whole)
}
