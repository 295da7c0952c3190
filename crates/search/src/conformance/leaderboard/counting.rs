//! Records count once, in any order: laws 1 and 2.

use futures_util::future::{join, join_all};

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BoardHarness, WINDOW, board, by_distance, metrics, mixed, rank, run, second};
use crate::ErrorKind;
use crate::leaderboard::{Direction, Record, Rules, Submitted, Ties};

/// A record counts once, by member and source.
///
/// # Errors
///
/// [`Broken`] if it does not.
pub async fn law_01_once(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let board = board("once", by_distance())?;
    let both = [run(7, "a", 5_000), run(7, "a", 5_000)];
    let answers = store.submit(&board, WINDOW, &both).await?;
    same!(answers, [Submitted::Counted, Submitted::Duplicate], "the same record twice in a call");
    let again = [run(7, "a", 9_000), run(8, "a", 4_000)];
    let answers = harness.open().await.submit(&board, WINDOW, &again).await?;
    same!(answers, [Submitted::Duplicate, Submitted::Counted], "the source again, and another member's");
    let other = store.submit(&board, "week-2026-11-30", &[run(7, "a", 5_000)]).await?;
    same!(other, [Submitted::Duplicate], "the same record in another window");
    let calls = join_all(
        (0..8).map(|_| async { harness.open().await.submit(&board, WINDOW, &[run(9, "b", 1_000)]).await }),
    );
    let mut counted = 0;
    for answers in calls.await {
        counted += usize::from(answers? == [Submitted::Counted]);
    }
    same!(counted, 1, "how often a record counted that eight submitted at once");
    same!(rank(&*store, &board, WINDOW, 7).await?, Some((1, 5_000)), "member 7");
    same!(rank(&*store, &board, WINDOW, 9).await?, Some((3, 1_000)), "member 9");
    for bad in [Record::new(1, "", second(1)), Record::new(1, "x\0y", second(1))] {
        let refused = store.submit(&board, WINDOW, &[bad]).await.map_err(|error| error.kind());
        same!(refused, Err(ErrorKind::InvalidInput), "a record without a proper source");
    }
    Ok(Kept::Whole)
}

/// Records that are submitted while their window is forgotten are gone whole, or stand and have counted.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_01_once_beside_forgetting(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let board = board("forgotten", by_distance())?;
    for round in 0..3 {
        let many: Vec<_> = (0..3_000).map(|at| run(at % 50, &format!("{round}-{at}"), 1)).collect();
        store.submit(&board, WINDOW, &many).await?;
        let new: Vec<_> = (0..40).map(|at| run(1_000 + at, &format!("new-{round}-{at}"), 1)).collect();
        let submitting = new.chunks(10).map(|records| {
            let board = &board;
            async move {
                let store = harness.open().await;
                for record in records {
                    store.submit(board, WINDOW, std::slice::from_ref(record)).await?;
                }
                Ok::<_, Broken>(())
            }
        });
        let (submitted, forgotten) = join(join_all(submitting), store.forget(&board, WINDOW)).await;
        submitted.into_iter().collect::<Result<(), _>>()?;
        forgotten?;
        same!(rank(&*store, &board, WINDOW, 7).await?, None, "who ran in what was forgotten");
        for record in &new {
            let stands = rank(&*store, &board, WINDOW, *record.member()).await?.is_some();
            let again = store.submit(&board, WINDOW, std::slice::from_ref(record)).await?;
            let expected = if stands { Submitted::Duplicate } else { Submitted::Counted };
            same!(again, [expected], "a record that came beside forgetting, again");
        }
        let first = many.get(..1).unwrap_or_default();
        same!(store.submit(&board, WINDOW, first).await?, [Submitted::Counted], "what was forgotten, again");
        store.forget(&board, WINDOW).await?;
    }
    Ok(Kept::Whole)
}

/// Where members stand does not depend on the order in which records came.
///
/// # Errors
///
/// [`Broken`] if it does.
pub async fn law_02_in_any_order(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let mut random = fastrand::Rng::with_seed(11);
    for (name, metric) in metrics() {
        let rules = Rules::new(metric, Direction::HighestFirst).with_ties(Ties::FirstReached);
        let (one, two) = (board(&format!("{name}-1"), rules.clone())?, board(&format!("{name}-2"), rules)?);
        let mut records = mixed(&mut random, 60);
        for part in records.chunks(7) {
            store.submit(&one, WINDOW, part).await?;
        }
        random.shuffle(&mut records);
        for part in records.chunks(5) {
            store.submit(&two, WINDOW, part).await?;
        }
        let (one, two) = (store.list(&one, WINDOW, 0..9).await?, store.list(&two, WINDOW, 0..9).await?);
        holds!(one.total > 0, "nobody is ranked by {name}");
        same!(two, one, "the board by {name} after another order");
    }
    Ok(Kept::Whole)
}
