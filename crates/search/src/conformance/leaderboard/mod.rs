//! The laws of [`BoardStore`] and of [`Leaderboard`](crate::leaderboard::Leaderboard) on it, in the order of its numbered
//! guarantees.

mod counting;
mod ranks;
mod together;
mod whole;
mod windows;
mod withdrawn;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::time::{ManualClock, Timestamp};

use super::Broken;
use crate::leaderboard::{Board, BoardStore, Direction, Metric, Record, Rules, Total};

pub use counting::*;
pub use ranks::*;
pub use together::*;
pub use whole::*;
pub use windows::*;
pub use withdrawn::*;

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
            law_12_taken_back,
            law_12_taken_back_from_its_window_alone,
            law_12_taken_back_while_its_window_is_open,
            law_12_taken_back_in_the_order_of_time,
            law_12_taken_back_beside_others,
            law_12_taken_back_by_events,
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

/// A metric of each kind, with a name.
fn metrics() -> [(&'static str, Metric); 8] {
    [
        ("sum", Metric::sum("time_s")),
        ("highest", Metric::highest("time_s")),
        ("lowest", Metric::lowest("time_s")),
        ("latest", Metric::latest("time_s")),
        ("records", Total::Records.into()),
        ("members", Total::Members.into()),
        ("attendance", Total::Attendance.into()),
        ("mean", Metric::mean("time_s", "distance_m", per_thousand())),
    ]
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
