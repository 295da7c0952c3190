//! Ranks and figures are right: law 3.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use pumasi_core::time::{ManualClock, Timestamp};

use super::super::{Broken, Kept, Verdict, holds, same};
use super::{BoardHarness, WINDOW, board, by_distance, per_thousand, rank, second};
use crate::leaderboard::{BoardStore, Direction, Metric, Place, Record, Rules, Submitted, Ties, Total};

/// Compares a board with a sorted list, after random records.
async fn compare(store: &dyn BoardStore<u64>, name: &str, rules: Rules) -> Result<(), Broken> {
    let ties = rules.ties();
    let board = board(name, rules.then(Metric::lowest("time_s"), Direction::LowestFirst))?;
    let mut random = fastrand::Rng::with_seed(5);
    // The distance of each (the more the better), and its least time (the less the better).
    let mut totals: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
    for round in 0..12 {
        let mut records = Vec::new();
        for index in 0..random.usize(1..24) {
            let (member, metres, time) = (random.u64(0..40), random.i64(0..3), random.i64(0..3));
            let record = Record::new(member, format!("{round}-{index}"), second(random.u64(0..6)));
            records.push(record.with("distance_m", metres).with("time_s", time).with("ignored", 1));
            let total = totals.entry(member).or_insert((0, time));
            *total = (total.0 + metres, total.1.min(time));
        }
        store.submit(&board, WINDOW, &records).await?;
    }
    let listed = store.list(&board, WINDOW, 0..1_000).await?;
    same!(listed.total, totals.len() as u64, "how many are ranked by {name}");
    let mut sorted: Vec<(i64, i64, i64, u64)> = Vec::new();
    for place in &listed.places {
        let Some((metres, time)) = totals.get(&place.member) else {
            return Err(Broken::new(format!("{} is ranked and did nothing", place.member)));
        };
        same!(place.values, [*metres, *time], "the values of {} by {name}", place.member);
        let reached = place.reached.map_or(0, Timestamp::as_micros);
        holds!((ties == Ties::FirstReached) == place.reached.is_some(), "when it was reached, by {name}");
        sorted.push((-metres, *time, reached, place.member));
    }
    sorted.sort_unstable();
    let expected: Vec<Place<u64>> =
        sorted.iter().enumerate().map(|(at, entry)| expect(&sorted, at, entry, ties)).collect();
    same!(listed.places, expected, "the list by {name}");
    for from in [0, 1, 7, sorted.len() as u64 - 2, sorted.len() as u64 + 3] {
        let page = store.list(&board, WINDOW, from..from + 5).await?;
        let part: Vec<_> =
            expected.iter().skip(usize::try_from(from).unwrap_or(0)).take(5).cloned().collect();
        same!(page.places, part, "the page from {from} by {name}");
        same!(page.total, totals.len() as u64, "the total with the page from {from} by {name}");
    }
    for far in [u64::MAX - 1..u64::MAX, u64::MAX..u64::MAX] {
        let page = store.list(&board, WINDOW, far).await?;
        same!((page.places.len(), page.total), (0, totals.len() as u64), "the last page of all by {name}");
    }
    let mut asked: Vec<u64> = (0..45).collect();
    random.shuffle(&mut asked);
    let places = store.places(&board, WINDOW, &asked).await?;
    let of = |member: &u64| expected.iter().position(|place| place.member == *member);
    for (member, place) in asked.iter().zip(&places) {
        let found = of(member).and_then(|at| expected.get(at)).cloned();
        same!(*place, found, "the place of {member} by {name}");
        let around = store.around(&board, WINDOW, member, 3).await?;
        let Some(at) = of(member) else {
            holds!(around.is_none(), "{member} has neighbours and no place");
            continue;
        };
        let Some(around) = around else { return Err(Broken::new("a ranked member has no neighbours")) };
        let before: Vec<_> = expected.iter().skip(at.saturating_sub(3)).take(at.min(3)).cloned().collect();
        let after: Vec<_> = expected.iter().skip(at + 1).take(3).cloned().collect();
        same!(Some(around.place.clone()), found, "{member} among its neighbours by {name}");
        same!((&around.before, &around.after), (&before, &after), "the neighbours of {member} by {name}");
        let worse = expected.iter().filter(|place| place.better > around.place.better).count();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let percent = 100.0 * (worse as f64 + around.place.tied as f64 / 2.0) / expected.len() as f64;
        let is_right = (around.percentile() - percent).abs() < 1e-9;
        holds!(is_right, "the percentile of {member} by {name}");
    }
    Ok(())
}

/// What is expected at a place of a sorted list.
fn expect(
    sorted: &[(i64, i64, i64, u64)],
    at: usize,
    entry: &(i64, i64, i64, u64),
    ties: Ties,
) -> Place<u64> {
    let key = |entry: &(i64, i64, i64, u64)| (entry.0, entry.1, entry.2);
    let better = sorted.iter().filter(|other| key(other) < key(entry)).count() as u64;
    let tied = sorted.iter().filter(|other| key(other) == key(entry)).count() as u64;
    let mut distinct: Vec<_> = sorted.iter().map(key).filter(|other| *other < key(entry)).collect();
    distinct.dedup();
    let rank = match ties {
        Ties::Dense => distinct.len() as u64,
        Ties::Ordinal => at as u64,
        _ => better,
    };
    Place {
        member: entry.3,
        rank: rank + 1,
        position: at as u64 + 1,
        better,
        tied,
        values: vec![-entry.0, entry.1],
        reached: (ties == Ties::FirstReached).then(|| Timestamp::from_micros(entry.2)),
    }
}

/// Ranks with gaps after ties are those of a sorted list.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_03_right_competition(harness: &impl BoardHarness) -> Verdict {
    compare(&*harness.open().await, "competition", by_distance()).await.map(|()| Kept::Whole)
}

/// Ranks without gaps are those of a sorted list.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_03_right_dense(harness: &impl BoardHarness) -> Verdict {
    let rules = by_distance().with_ties(Ties::Dense);
    compare(&*harness.open().await, "dense", rules).await.map(|()| Kept::Whole)
}

/// Ranks that nobody shares are those of a sorted list.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_03_right_ordinal(harness: &impl BoardHarness) -> Verdict {
    let rules = by_distance().with_ties(Ties::Ordinal);
    compare(&*harness.open().await, "ordinal", rules).await.map(|()| Kept::Whole)
}

/// Ties go to who was first, to the microsecond.
///
/// # Errors
///
/// [`Broken`] if they do not.
pub async fn law_03_right_first_reached(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    compare(&*store, "first", by_distance().with_ties(Ties::FirstReached)).await?;
    let board = board("microseconds", by_distance().with_ties(Ties::FirstReached))?;
    // As a floating-point score, a distance with a moment would not tell these apart.
    let at = |micros: i64| Timestamp::from_micros(ManualClock::START.as_micros() + micros);
    let reach = |member: u64, source: &str, micros, metres| {
        Record::new(member, source, at(micros)).with("distance_m", metres)
    };
    let total = 9_000_000_000_000_000;
    let records = [
        reach(1, "a", 5, total),
        reach(2, "b", 1, total - 1),
        reach(2, "c", 4, 1),
        reach(3, "d", 4, total),
        reach(4, "e", 0, total - 1),
    ];
    store.submit(&board, WINDOW, &records).await?;
    let listed = store.list(&board, WINDOW, 0..9).await?;
    let ranks: Vec<_> = listed.places.iter().map(|place| (place.member, place.rank)).collect();
    same!(ranks, [(2, 1), (3, 1), (1, 3), (4, 4)], "who reached it first");
    let reached: Vec<_> = listed.places.iter().map(|place| place.reached).collect();
    same!(reached, [Some(at(4)), Some(at(4)), Some(at(5)), Some(at(0))], "when they reached it");
    Ok(Kept::Whole)
}

/// A pace is time over distance, not a mean of paces; who has no distance, or not enough, has none.
///
/// # Errors
///
/// [`Broken`] if it is not.
pub async fn law_03_a_mean_is_weighted(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let pace = Metric::mean("time_s", "distance_m", per_thousand());
    let rules = Rules::new(pace, Direction::LowestFirst)
        .then(Metric::sum("distance_m"), Direction::HighestFirst)
        .with_minimum(Total::Sum("distance_m".into()), 5_000);
    let board = board("pace", rules)?;
    let run = |member: u64, source: &str, metres, seconds| {
        Record::new(member, source, second(1)).with("distance_m", metres).with("time_s", seconds)
    };
    let records = [
        run(1, "a", 10_000, 3_000),
        run(1, "b", 1_000, 500),
        run(2, "a", 5_000, 1_625),
        run(3, "a", 4_999, 900),
        run(4, "a", 0, 900),
        run(5, "a", 6_000, 1_950),
    ];
    store.submit(&board, WINDOW, &records).await?;
    let listed = store.list(&board, WINDOW, 0..9).await?;
    // 3500 s over 11 km is 318.18 s a kilometre; the mean of the paces would be 400.
    let expected = [(1, vec![318, 11_000]), (5, vec![325, 6_000]), (2, vec![325, 5_000])];
    let found: Vec<_> = listed.places.into_iter().map(|place| (place.member, place.values)).collect();
    same!(found, expected, "paces");
    store.submit(&board, WINDOW, &[run(3, "b", 1, 0)]).await?;
    same!(rank(&*store, &board, WINDOW, 3).await?, Some((1, 180)), "who has enough now");
    store.submit(&board, WINDOW, &[run(3, "c", -1, 0)]).await?;
    same!(rank(&*store, &board, WINDOW, 3).await?, None, "who has not enough any more");
    Ok(Kept::Whole)
}

/// Groups are ranked by how many take part and how often they come.
///
/// # Errors
///
/// [`Broken`] if they are not.
pub async fn law_03_groups_count_members_and_attendance(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let rules = Rules::new(Total::Attendance.into(), Direction::HighestFirst)
        .then(Total::Members.into(), Direction::HighestFirst)
        .then(
            Metric::ratio(Total::Sum("distance_m".into()), Total::Members, NonZeroU32::MIN),
            Direction::HighestFirst,
        );
    let board = board("crews", rules)?;
    let came = |crew: u64, source: &str, who: &str, day: &str| {
        let record = Record::new(crew, source, second(1)).with("distance_m", 3_000);
        record.with_contributor(who).with_occasion(day)
    };
    let records = [
        came(1, "a", "민지", "tue"),
        came(1, "b", "민지", "tue"),
        came(1, "c", "민지", "thu"),
        came(1, "d", "Lee", "tue"),
        came(2, "a", "민지", "tue"),
        came(2, "b", "ee", "L:tue"),
        came(2, "c", "eeL", ":tue"),
        Record::new(2, "d", second(2)).with("distance_m", 500),
    ];
    store.submit(&board, WINDOW, &records[..3]).await?;
    store.submit(&board, WINDOW, &records[3..]).await?;
    let listed = store.list(&board, WINDOW, 0..9).await?;
    let found: Vec<_> = listed.places.into_iter().map(|place| (place.member, place.values)).collect();
    // 9,500 m over 3 members, rounded
    same!(found, [(2, vec![3, 3, 3_167]), (1, vec![3, 2, 6_000])], "crews");
    let other_week = store.submit(&board, "week-2026-11-30", &[came(1, "z", "민지", "tue")]).await?;
    same!(other_week, [Submitted::Counted], "the same attendance in another week");
    same!(rank(&*store, &board, "week-2026-11-30", 1).await?, Some((1, 1)), "attendance in another week");
    Ok(Kept::Whole)
}

/// Members may be named in any language; ties stand in the order of their bytes.
///
/// # Errors
///
/// [`Broken`] if they do not.
pub async fn law_03_names_in_korean_and_english(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open_names().await;
    let board = board("names", by_distance())?;
    let names = ["가온", "Zoë", "zoe", "가", "나리", "a'; DROP TABLE runs; --", "🏃", "a\tb"];
    let records: Vec<_> = names
        .iter()
        .map(|name| Record::new((*name).to_owned(), "달리기-1", second(1)).with("distance_m", 100))
        .collect();
    store.submit(&board, WINDOW, &records).await?;
    let mut sorted = names.map(str::to_owned).to_vec();
    sorted.sort_unstable();
    let listed = store.list(&board, WINDOW, 0..20).await?;
    let found: Vec<_> = listed.places.iter().map(|place| place.member.clone()).collect();
    same!(found, sorted, "names in order");
    holds!(listed.places.iter().all(|place| (place.rank, place.tied) == (1, 8)), "they are not all first");
    let none = store.places(&board, WINDOW, &["나".to_owned()]).await?;
    same!(none, [None], "a name that is only a part of one");
    Ok(Kept::Whole)
}

/// Where ties go to who was first, what changes nothing does not count as reaching it anew.
///
/// # Errors
///
/// [`Broken`] if it does.
pub async fn law_03_only_changes_move_the_moment(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let record = |crew: u64, source: &str, who: &str, day: &str, at: u64, metres: i64| {
        let record = Record::new(crew, source, second(at)).with("distance_m", metres);
        record.with_contributor(who).with_occasion(day)
    };
    // The first crew reaches each figure at second 20, the second one at 40; the first one's later records add nothing.
    let records = [
        record(1, "a", "민지", "tue", 10, 5),
        record(2, "b", "지호", "tue", 30, 6),
        record(2, "c", "Lee", "thu", 40, 1),
        record(1, "d", "Kim", "tue", 20, 2),
        record(1, "e", "민지", "tue", 50, 0),
        record(1, "f", "Kim", "tue", 60, 0),
    ];
    let metrics = [
        ("sum", Metric::sum("distance_m")),
        ("members", Total::Members.into()),
        ("came", Total::Attendance.into()),
    ];
    for (name, metric) in metrics {
        let rules = Rules::new(metric, Direction::HighestFirst).with_ties(Ties::FirstReached);
        let board = board(&format!("moment-{name}"), rules)?;
        for record in &records {
            store.submit(&board, WINDOW, std::slice::from_ref(record)).await?;
        }
        let listed = store.list(&board, WINDOW, 0..9).await?;
        let found: Vec<_> =
            listed.places.iter().map(|place| (place.member, place.rank, place.reached)).collect();
        same!(found, [(1, 1, Some(second(20))), (2, 2, Some(second(40)))], "who was first by {name}");
    }
    let sum = Rules::new(Metric::sum("distance_m"), Direction::HighestFirst).with_ties(Ties::FirstReached);
    let board = board("moment-zero", sum)?;
    store
        .submit(&board, WINDOW, &[record(1, "g", "민지", "tue", 70, 0), record(1, "h", "민지", "thu", 60, 0)])
        .await?;
    let place = store.places(&board, WINDOW, &[1]).await?.into_iter().flatten().next();
    same!(place.and_then(|place| place.reached), Some(second(60)), "who has nothing, since when");
    Ok(Kept::Whole)
}
