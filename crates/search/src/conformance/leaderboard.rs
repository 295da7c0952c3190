//! The laws of [`BoardStore`] and of [`Leaderboard`] on it, in the order of its numbered guarantees.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use pumasi_core::event::{Envelope, EventBus, Handler, MemoryBus, State};
use pumasi_core::time::{ManualClock, Timestamp};

use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::leaderboard::{
    Board, BoardFeed, BoardStore, Direction, Late, Leaderboard, Metric, Movement, Period, Place, Record,
    Rules, Standings, Submitted, Ties, Total, Weekday,
};

/// A store of boards under examination.
#[async_trait]
pub trait BoardHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same boards.
    async fn open(&self) -> Arc<dyn BoardStore<u64>>;

    /// Opens the same boards for members with names.
    async fn open_names(&self) -> Arc<dyn BoardStore<String>>;

    /// Tells whether what a handle did is there for one that is opened after it was dropped (default: it is).
    fn is_durable(&self) -> bool {
        true
    }
}

/// Makes one `#[test]` per law of [`BoardStore`], in a module of the given name, each on a harness of its own made by the
/// expression.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use pumasi_search::conformance::leaderboard::BoardHarness;
/// use pumasi_search::leaderboard::{BoardStore, MemoryBoards};
///
/// struct Memory(MemoryBoards<u64>, MemoryBoards<String>);
///
/// #[async_trait]
/// impl BoardHarness for Memory {
///     async fn open(&self) -> Arc<dyn BoardStore<u64>> {
///         Arc::new(self.0.clone())
///     }
///
///     async fn open_names(&self) -> Arc<dyn BoardStore<String>> {
///         Arc::new(self.1.clone())
///     }
///
///     fn is_durable(&self) -> bool {
///         false
///     }
/// }
///
/// pumasi_search::board_laws!(memory, Memory(MemoryBoards::new(), MemoryBoards::new()));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! board_laws {
    ($backend:ident, $harness:expr) => {
        $crate::conformance::each_law!(
            $backend,
            $harness,
            [$crate::conformance::leaderboard],
            law_01_once,
            law_01_once_beside_forgetting,
            law_02_in_any_order,
            law_03_right_competition,
            law_03_right_dense,
            law_03_right_ordinal,
            law_03_right_first_reached,
            law_03_only_changes_move_the_moment,
            law_03_a_mean_is_weighted,
            law_03_groups_count_members_and_attendance,
            law_03_names_in_korean_and_english,
            law_04_one_moment,
            law_05_apart,
            law_06_closed_is_closed,
            law_06_late_records_by_rule,
            law_06_records_of_the_future,
            law_07_kept,
            law_08_together,
            law_08_all_or_none,
            law_09_one_set_of_rules,
            law_10_replaced_at_once,
            law_10_rebuilt_from_events,
            law_11_durable,
        );
    };
}

/// The window of the laws that need one.
const WINDOW: &str = "week-2026-11-23";

fn board(name: &str, rules: Rules) -> Result<Board, Broken> {
    Ok(Board::new(name, rules)?)
}

fn by_distance() -> Rules {
    Rules::new(Metric::sum("distance_m"), Direction::HighestFirst)
}

fn per_thousand() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(999)
}

/// A moment so many seconds into the tests' week.
fn second(seconds: u64) -> Timestamp {
    ManualClock::START.saturating_add(Duration::from_secs(seconds))
}

fn run(member: u64, source: &str, metres: i64) -> Record<u64> {
    Record::new(member, source, second(60)).with("distance_m", metres)
}

/// Rank and first value of a member.
async fn rank(
    store: &dyn BoardStore<u64>,
    board: &Board,
    window: &str,
    member: u64,
) -> Result<Option<(u64, i64)>, Broken> {
    let places = store.places(board, window, &[member]).await?;
    let place = places.into_iter().flatten().next();
    Ok(place.map(|place| (place.rank, place.values.first().copied().unwrap_or_default())))
}

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

/// Records of several members with every kind of figure.
fn mixed(random: &mut fastrand::Rng, count: usize) -> Vec<Record<u64>> {
    (0..count)
        .map(|index| {
            let record = Record::new(random.u64(0..6), format!("r{index}"), second(random.u64(0..40)))
                .with("distance_m", random.i64(0..4) * 1_000)
                .with("time_s", random.i64(-2..5));
            let record = record.with_contributor(format!("크루원 {}", random.u8(0..4)));
            if random.bool() { record.with_occasion(format!("day {}", random.u8(0..3))) } else { record }
        })
        .collect()
}

/// Where members stand does not depend on the order in which records came.
///
/// # Errors
///
/// [`Broken`] if it does.
pub async fn law_02_in_any_order(harness: &impl BoardHarness) -> Verdict {
    let store = harness.open().await;
    let mut random = fastrand::Rng::with_seed(11);
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
