//! The laws of [`ViewStore`], in the order of its numbered guarantees.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use pumasi_core::time::ManualClock;

use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::views::{Mark, Seen, ViewCounter, ViewStore, ViewWindow, Viewer};

/// A store of views under examination.
#[async_trait]
pub trait ViewHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same views.
    async fn open(&self) -> Arc<dyn ViewStore>;
}

/// Makes one `#[test]` per law of [`ViewStore`], in a module of the given name, each on a harness of its own made by the
/// expression.
#[macro_export]
macro_rules! view_laws {
    ($backend:ident, $harness:expr) => {
        $crate::conformance::each_law!(
            $backend,
            $harness,
            [$crate::conformance::views],
            law_01_once,
            law_01_once_where_windows_meet,
            law_02_exact,
            law_03_windows,
            law_03_a_clock_that_ran_ahead,
            law_03_a_clock_that_was_ahead_and_is_set_right,
            law_03_a_clock_that_lags_cleans_up,
            law_04_forgotten,
            law_04_forgotten_beside_views,
        );
    };
}

fn window(number: i64) -> ViewWindow {
    ViewWindow::new(number, Duration::from_hours(1))
}

/// Of the same view one counts.
///
/// # Errors
///
/// [`Broken`] if more do.
pub async fn law_01_once(harness: &impl ViewHarness) -> Verdict {
    let store = harness.open().await;
    same!(store.see("글", window(1), Mark::new(7)).await?, Seen::new(true, 1), "the first view");
    same!(store.see("글", window(1), Mark::new(7)).await?, Seen::new(false, 1), "the same again");
    let views = join_all(
        (0..16).map(|_| async { harness.open().await.see("b", window(1), Mark::new(i64::MIN)).await }),
    );
    let mut counted = 0;
    for seen in views.await {
        counted += usize::from(seen?.counted);
    }
    same!(counted, 1, "how many of sixteen at once counted");
    for bad in ["", "a\0b"] {
        let refused = store.see(bad, window(1), Mark::new(7)).await.map_err(|error| error.kind());
        same!(refused, Err(ErrorKind::InvalidInput), "an id that is none");
    }
    Ok(Kept::Whole)
}

/// Who looks again counts once in each window, however many windows are looked at by turns.
///
/// # Errors
///
/// [`Broken`] if it is not so.
pub async fn law_01_once_where_windows_meet(harness: &impl ViewHarness) -> Verdict {
    let store = harness.open().await;
    let mut seen = BTreeSet::new();
    for number in [10, 11, 10, 12, 10, 9, 13, 11, 10, 12, 9] {
        let counted = store.see("글", window(number), Mark::new(7)).await?.counted;
        same!(counted, seen.insert(number), "whether a view in window {number} counts");
    }
    Ok(Kept::Whole)
}

/// Totals are the numbers of different views, however many come at the same time.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_02_exact(harness: &impl ViewHarness) -> Verdict {
    let mut random = fastrand::Rng::with_seed(2);
    let views: Vec<(usize, i64)> = (0..1_200).map(|_| (random.usize(0..3), random.i64(-200..200))).collect();
    let different: BTreeSet<_> = views.iter().collect();
    let parts = views.chunks(150).map(|part| async move {
        let store = harness.open().await;
        for (item, mark) in part {
            store.see(&format!("item {item}"), window(5), Mark::new(*mark)).await?;
        }
        Ok::<_, Broken>(())
    });
    join_all(parts).await.into_iter().collect::<Result<(), _>>()?;
    let totals = harness.open().await.totals(&["item 0", "item 1", "item 2", "item 3"]).await?;
    let of = |item| different.iter().filter(|(at, _)| *at == item).count() as u64;
    same!(totals, [of(0), of(1), of(2), 0], "the totals");
    holds!(harness.open().await.totals(&[]).await?.is_empty(), "nothing has totals");
    Ok(Kept::Whole)
}

/// A viewer counts again in the next window, and the marks of the last one can go.
///
/// # Errors
///
/// [`Broken`] if it is not so.
pub async fn law_03_windows(harness: &impl ViewHarness) -> Verdict {
    let store = harness.open().await;
    for number in 1..=4 {
        let total = u64::try_from(number).unwrap_or(0);
        same!(store.see("a", window(number), Mark::new(7)).await?, Seen::new(true, total), "window {number}");
        store.clean_up(number..=number + 1).await?;
        same!(
            store.see("a", window(number), Mark::new(7)).await?,
            Seen::new(false, total),
            "window {number} again"
        );
    }
    same!(store.totals(&["a"]).await?, [4], "the total of all windows");
    Ok(Kept::Whole)
}

/// Somebody whose clock ran far ahead counts, and keeps nobody else from it; nor does somebody whose clock lags.
///
/// # Errors
///
/// [`Broken`] if it is not so.
pub async fn law_03_a_clock_that_ran_ahead(harness: &impl ViewHarness) -> Verdict {
    let store = harness.open().await;
    same!(store.see("a", window(100), Mark::new(1)).await?, Seen::new(true, 1), "a view");
    same!(store.see("a", window(9_000), Mark::new(1)).await?, Seen::new(true, 2), "a view of a year later");
    same!(store.see("a", window(100), Mark::new(1)).await?, Seen::new(false, 2), "the first one again");
    same!(store.see("a", window(100), Mark::new(2)).await?, Seen::new(true, 3), "another view");
    same!(store.see("a", window(101), Mark::new(2)).await?, Seen::new(true, 4), "a view in the next window");
    same!(store.see("a", window(100), Mark::new(3)).await?, Seen::new(true, 5), "a clock that lags");
    Ok(Kept::Whole)
}

/// A window that somebody's clock had run ahead to is a window like others when it comes.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_03_a_clock_that_was_ahead_and_is_set_right(harness: &impl ViewHarness) -> Verdict {
    let store = harness.open().await;
    for number in [100, 90, 91] {
        same!(store.see("a", window(number), Mark::new(1)).await?.counted, true, "a view in window {number}");
    }
    if store.clean_up(90..=91).await? == 0 {
        return Ok(Kept::Skipped("it drops marks by itself, in its own time"));
    }
    for (number, total) in [(90, 3), (91, 3), (100, 4)] {
        let seen = store.see("a", window(number), Mark::new(1)).await?;
        same!(seen, Seen::new(number == 100, total), "a view in window {number} after it was cleaned up");
    }
    Ok(Kept::Whole)
}

/// Whoever cleans up by a clock that lags by some windows takes nobody's marks away.
///
/// # Errors
///
/// [`Broken`] if it does.
pub async fn law_03_a_clock_that_lags_cleans_up(harness: &impl ViewHarness) -> Verdict {
    let (right, lags) = (ManualClock::new(), ManualClock::new());
    right.advance(Duration::from_hours(23));
    let [right, lags] = [right, lags].map(|clock| (harness.open(), clock));
    let counter = |store, clock| {
        ViewCounter::new(store, b"a key of sixteen bytes").map(|views| views.with_clock(Arc::new(clock)))
    };
    let (right, lags) = (counter(right.0.await, right.1)?, counter(lags.0.await, lags.1)?);
    for counted in [true, false] {
        same!(right.see("a", Viewer::Member("민지")).await?, Seen::new(counted, 1), "a view");
        same!(lags.clean_up().await?, 0, "marks that a clock that lags deletes");
    }
    Ok(Kept::Whole)
}

/// A forgotten item was never seen.
///
/// # Errors
///
/// [`Broken`] if it was.
pub async fn law_04_forgotten(harness: &impl ViewHarness) -> Verdict {
    let store = harness.open().await;
    store.see("a", window(1), Mark::new(7)).await?;
    store.see("b", window(1), Mark::new(7)).await?;
    store.forget("a").await?;
    store.forget("never there").await?;
    same!(store.totals(&["a", "b"]).await?, [0, 1], "the totals");
    same!(store.see("a", window(1), Mark::new(7)).await?, Seen::new(true, 1), "the same view after it");
    same!(store.see("a", window(1), Mark::new(7)).await?, Seen::new(false, 1), "that view again");
    same!(store.see("b", window(1), Mark::new(7)).await?, Seen::new(false, 1), "the other item");
    store.see("a", window(2), Mark::new(7)).await?;
    store.forget("a").await?;
    for number in [1, 2] {
        let seen = store.see("a", window(number), Mark::new(7)).await?;
        same!(seen.counted, true, "window {number} of an item that was forgotten");
    }
    same!(store.totals(&["a", "b"]).await?, [2, 1], "the totals after it");
    Ok(Kept::Whole)
}

/// Views that come while their item is forgotten are gone with their marks, or both stand.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_04_forgotten_beside_views(harness: &impl ViewHarness) -> Verdict {
    const VIEWERS: i64 = 6;
    const VIEWS: i64 = 12;
    let stores = join_all((0..VIEWERS).map(|_| harness.open())).await;
    let store = harness.open().await;
    for round in 0..8 {
        let item = &format!("item {round}");
        let seeing = (0..).zip(&stores).map(|(viewer, store)| async move {
            for view in 0..VIEWS {
                store.see(item, window(view % 2), Mark::new(viewer * VIEWS + view)).await?;
            }
            Ok::<_, Broken>(())
        });
        let forgetting = async {
            for _ in 0..5 {
                store.forget(item).await?;
            }
            Ok::<_, Broken>(())
        };
        let (seen, forgotten) = join(join_all(seeing), forgetting).await;
        seen.into_iter().chain([forgotten]).collect::<Result<(), _>>()?;
        let total = store.totals(&[item]).await?;
        let mut stand = 0;
        for mark in 0..VIEWERS * VIEWS {
            let seen = store.see(item, window(mark % VIEWS % 2), Mark::new(mark)).await?;
            stand += u64::from(!seen.counted);
        }
        same!(total, [stand], "the total of {item} beside the marks that stand");
    }
    Ok(Kept::Whole)
}
