//! One moment, one board, one set of rules, whoever else is at work: laws 4, 5, 8 and 9.

use futures_util::future::join_all;

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BoardHarness, WINDOW, board, by_distance, rank, run};
use crate::ErrorKind;
use crate::leaderboard::{Board, Direction, Metric, Submitted, Ties};

/// An answer is what was the case at one moment.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_04_one_moment(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let board = board("moment", by_distance())?;
    // Two members who overtake each other in every call: at every moment one is first, and the other one second.
    let step = |step: u64| {
        let metres = if step.is_multiple_of(2) { [3, 1] } else { [1, 3] };
        [run(1, &format!("a{step}"), metres[0]), run(2, &format!("a{step}"), metres[1])]
    };
    store.submit(&board, WINDOW, &step(0)).await?;
    let writing = async {
        for number in 1..60 {
            store.submit(&board, WINDOW, &step(number)).await?;
        }
        Ok::<_, Broken>(())
    };
    let reading = async {
        for _ in 0..60 {
            let around = harness.open().await.around(&board, WINDOW, &1, 1).await?;
            let Some(around) = around else { return Err(Broken::new("a member is not ranked")) };
            let others: Vec<u64> =
                around.before.iter().chain(&around.after).map(|place| place.member).collect();
            same!(others, [2], "the neighbours of two");
            let places = store.places(&board, WINDOW, &[1, 2]).await?;
            let ranks: u64 = places.iter().flatten().map(|place| place.position).sum();
            same!(ranks, 3, "the positions of two");
        }
        Ok(())
    };
    let (wrote, read) = tokio::join!(writing, reading);
    wrote.and(read).map(|()| Kept::Whole)
}

/// Boards and windows do not see one another.
///
/// # Errors
///
/// [`Broken`] if they do.
pub async fn law_05_apart(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let (one, two) = (board("one", by_distance())?, board("one.more", by_distance())?);
    store.submit(&one, WINDOW, &[run(1, "a", 10)]).await?;
    store.submit(&one, "other", &[run(2, "b", 20)]).await?;
    store.submit(&two, WINDOW, &[run(1, "a", 30), run(3, "c", 5)]).await?;
    same!(rank(&*store, &one, WINDOW, 1).await?, Some((1, 10)), "the first board");
    same!(rank(&*store, &one, WINDOW, 2).await?, None, "a member of another window");
    same!(rank(&*store, &two, WINDOW, 1).await?, Some((1, 30)), "the second board");
    same!(store.list(&one, "nothing", 0..5).await?.total, 0, "a window that nobody submitted to");
    let none = board("none", by_distance())?;
    same!(store.list(&none, WINDOW, 0..5).await?.total, 0, "a board that nobody submitted to");
    holds!(store.around(&none, WINDOW, &1, 2).await?.is_none(), "somebody is around in an empty board");
    store.forget(&one, "other").await?;
    same!(store.list(&one, "other", 0..5).await?.total, 0, "a window that was forgotten");
    same!(store.list(&one, WINDOW, 0..5).await?.total, 1, "the window beside it");
    let again = store.submit(&one, "other", &[run(2, "b", 25), run(1, "a", 10)]).await?;
    same!(again, [Submitted::Counted, Submitted::Duplicate], "records of a forgotten and of a kept window");
    holds!(Board::new("가", by_distance()).is_err(), "a board has a name that not every store can keep");
    let bad = store.list(&one, "a b", 0..1).await.map_err(|error| error.kind());
    same!(bad.map(|listing| listing.total), Err(ErrorKind::InvalidInput), "a window with a bad name");
    Ok(Kept::Whole)
}

/// Of many who submit at the same time nothing is lost.
///
/// # Errors
///
/// [`Broken`] if something is.
pub async fn law_08_together(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let board = board("together", by_distance())?;
    let calls = (0..24_u64).map(|caller| {
        let board = &board;
        async move {
            let store = harness.open().await;
            for call in 0..5 {
                let records: Vec<_> =
                    (0..4).map(|member| run(member, &format!("{caller}-{call}"), 1)).collect();
                store.submit(board, WINDOW, &records).await?;
            }
            Ok::<_, Broken>(())
        }
    });
    join_all(calls).await.into_iter().collect::<Result<(), _>>()?;
    for member in 0..4 {
        same!(rank(&*store, &board, WINDOW, member).await?, Some((1, 120)), "what {member} ran in 120 calls");
    }
    Ok(Kept::Whole)
}

/// The records of a call count all or none.
///
/// # Errors
///
/// [`Broken`] if they do not.
pub async fn law_08_all_or_none(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let board = board("whole", by_distance())?;
    let records = [run(1, "a", 7), run(2, "b", i64::MAX), run(2, "c", 1)];
    let good = [run(3, "d", 5)];
    let (refused, counted) =
        tokio::join!(store.submit(&board, WINDOW, &records), store.submit(&board, WINDOW, &good),);
    same!(refused.map_err(|error| error.kind()), Err(ErrorKind::InvalidInput), "a sum that overflows");
    same!(counted?, [Submitted::Counted], "another call at the same time");
    same!(store.list(&board, WINDOW, 0..9).await?.total, 1, "who is ranked after a call that failed");
    same!(
        store.submit(&board, WINDOW, &records[..2]).await?,
        [Submitted::Counted; 2],
        "the same again, corrected"
    );
    Ok(Kept::Whole)
}

/// A board that was filled by other rules is refused.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_09_one_set_of_rules(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let is = board("rules", by_distance())?;
    store.submit(&is, WINDOW, &[run(1, "a", 7)]).await?;
    let other = board("rules", by_distance().with_ties(Ties::Dense))?;
    let submitted = store.submit(&other, WINDOW, &[run(1, "b", 7)]).await.map_err(|error| error.kind());
    same!(submitted, Err(ErrorKind::Conflict), "submitting by other rules");
    for window in [WINDOW, "another"] {
        let read = store.list(&other, window, 0..3).await.map_err(|error| error.kind());
        same!(read.map(|listing| listing.total), Err(ErrorKind::Conflict), "reading {window} by other rules");
    }
    let many = by_distance()
        .then(Metric::sum("a"), Direction::LowestFirst)
        .then(Metric::sum("b"), Direction::LowestFirst);
    let many = many.then(Metric::sum("c"), Direction::LowestFirst).with_ties(Ties::FirstReached);
    holds!(Board::new("many", many).is_err(), "a board has more keys than every store can keep");
    Ok(Kept::Whole)
}
