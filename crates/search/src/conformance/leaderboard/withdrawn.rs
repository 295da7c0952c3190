//! Records that are taken back.

use futures_util::future::join;
use pumasi_core::event::{Envelope, EventBus as _, MemoryBus, State};

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BoardHarness, WINDOW, board, by_distance, mixed, per_thousand, rank, run};
use crate::ErrorKind;
use crate::leaderboard::{
    Board, BoardFeed, Direction, Leaderboard, Metric, Record, Rules, Submitted, Ties, Total, Withdrawn,
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
    let totals = [
        ("sum", Metric::sum("time_s")),
        ("highest", Metric::highest("time_s")),
        ("lowest", Metric::lowest("time_s")),
        ("latest", Metric::latest("time_s")),
        ("records", Total::Records.into()),
        ("members", Total::Members.into()),
        ("attendance", Total::Attendance.into()),
        ("mean", Metric::mean("time_s", "distance_m", per_thousand())),
    ];
    for (name, metric) in totals {
        let rules = Rules::new(metric, Direction::HighestFirst).with_ties(Ties::FirstReached);
        let (one, two) =
            (keeping(&format!("{name}-taken"), rules.clone())?, board(&format!("{name}-rest"), rules)?);
        let records = mixed(&mut random, 40);
        let (back, rest): (Vec<_>, Vec<_>) = records.iter().cloned().partition(|_| random.u8(..3) == 0);
        // A third of them is taken back before it comes.
        let (early, later) = back.split_at(back.len() / 3);
        for record in early {
            let answer = store.withdraw(&one, WINDOW, record.member(), record.source()).await?;
            same!(answer, Withdrawn::Absent, "a record that has not come, by {name}");
        }
        for part in records.chunks(7) {
            store.submit(&one, WINDOW, part).await?;
        }
        for (number, record) in later.iter().enumerate() {
            // It is found in whichever window it counted.
            let window = if number % 2 == 0 { WINDOW } else { "elsewhere" };
            for expected in [Withdrawn::Done, Withdrawn::Absent] {
                let answer = store.withdraw(&one, window, record.member(), record.source()).await?;
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
    same!(store.withdraw(&kept, WINDOW, &1, "c").await?, Withdrawn::Late, "of a window that is closed");
    same!(store.withdraw(&kept, WINDOW, &1, "a").await?, Withdrawn::Done, "of the one that goes on");
    for (window, member, expected) in [
        (WINDOW, 1, Some((2, 7))),
        (WINDOW, 2, Some((1, 9))),
        ("over", 1, Some((1, 4))),
        ("monday", 1, Some((1, 12))),
        ("monday", 2, Some((2, 9))),
    ] {
        same!(rank(&*store, &kept, window, member).await?, expected, "where {member} stands in {window}");
    }
    same!(store.withdraw(&kept, WINDOW, &1, "b").await?, Withdrawn::Done, "the last one of somebody");
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
        refused(store.withdraw(&plain, WINDOW, &1, "a").await),
        Err(ErrorKind::Unsupported),
        "a board that keeps no records"
    );
    let from_now_on = plain.keeping_records();
    store.submit(&from_now_on, WINDOW, &[run(1, "b", 2), run(2, "a", 1)]).await?;
    same!(
        refused(store.withdraw(&from_now_on, WINDOW, &1, "b").await),
        Err(ErrorKind::Unsupported),
        "who has records from before they were kept"
    );
    same!(store.withdraw(&from_now_on, WINDOW, &2, "a").await?, Withdrawn::Done, "who has none");
    same!(rank(&*store, &from_now_on, WINDOW, 1).await?, Some((1, 7)), "what stays");
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
                store.withdraw(&board, WINDOW, &1, record.source()).await?,
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
