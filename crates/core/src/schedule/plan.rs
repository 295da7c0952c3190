//! What becomes of due times that passed: which are run, and which are left out.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Schedule;
use super::store::{MissedRuns, Plan, PlannedRun};
use crate::resilience::Random;
use crate::time::Timestamp;

/// How many due times one step decides on.
const CHUNK: usize = 1_000;
/// How many missed runs are caught up at most.
const MOST: u32 = 500;

/// How far ahead of the clock a job may stand before the clock counts as one that had jumped ahead and was set back: less
/// than this, and the job rests until the clock has come there, so that no due time is run twice.
pub(super) const AHEAD: Duration = Duration::from_hours(24);

/// What becomes of runs that came due while no node could begin them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed {
    /// The last ones are run, one after the other from the oldest, and those before them are skipped.
    CatchUp {
        /// How many are run (500 at most).
        at_most: NonZeroU32,
    },
    /// Each is skipped that cannot be begun in time.
    Skip {
        /// How late one may begin.
        after: Duration,
    },
}

impl Default for Missed {
    /// The last one is run: what a job that brings something up to date wants.
    fn default() -> Self {
        Self::CatchUp { at_most: NonZeroU32::MIN }
    }
}

impl Missed {
    /// How many runs may wait that were not begun yet.
    fn most_waiting(self) -> u32 {
        match self {
            Self::CatchUp { at_most } => at_most.get().min(MOST),
            Self::Skip { .. } => u32::MAX,
        }
    }

    /// Before when a due time is too long ago to begin.
    pub(super) fn too_late(self, now: Timestamp) -> Timestamp {
        match self {
            Self::CatchUp { .. } => Timestamp::MIN,
            Self::Skip { after } => {
                let after = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
                Timestamp::from_micros(now.as_micros().saturating_sub(after))
            }
        }
    }

    /// Decides on the next due times after `cursor`, up to `now`; `None` if there are none.
    ///
    /// However long ago the cursor is, one step looks at a thousand due times; the next one goes on from there. A cursor that
    /// is [a day](AHEAD) ahead is set back to `now`.
    pub(super) fn plan(
        self,
        job: &str,
        schedule: &Schedule,
        cursor: Timestamp,
        now: Timestamp,
        jitter: Duration,
        random: &Random,
    ) -> Option<Plan> {
        let most_waiting = self.most_waiting();
        if cursor.saturating_since(now) > AHEAD {
            let runs = Vec::new();
            return Some(Plan {
                job: job.to_owned(),
                from: cursor,
                to: now,
                runs,
                missed: None,
                most_waiting,
            });
        }
        let mut due = Vec::new();
        let mut next = schedule.next_after(cursor).filter(|next| *next <= now);
        while let Some(at) = next
            && due.len() < CHUNK
        {
            due.push(at);
            next = schedule.next_after(at).filter(|next| *next <= now);
        }
        let mut kept = match self {
            Self::CatchUp { .. } => {
                due.split_off(due.len().saturating_sub(usize::try_from(most_waiting).unwrap_or(CHUNK)))
            }
            Self::Skip { .. } => due.split_off(due.partition_point(|at| *at < self.too_late(now))),
        };
        if next.is_some() && matches!(self, Self::CatchUp { .. }) {
            // Later ones are still to come: these may turn out not to be among the last.
            kept.clear();
        }
        let to = kept.last().or(due.last()).copied()?;
        let missed = due.last().map(|last| MissedRuns { last: *last, times: due.len() as u64 });
        let runs = kept
            .into_iter()
            .map(|due| PlannedRun { due, available: due.saturating_add(jitter.mul_f64(random.unit())) })
            .collect();
        Some(Plan { job: job.to_owned(), from: cursor, to, runs, missed, most_waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_767_225_600_000_000;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_micros(START + minute * 60_000_000)
    }

    fn catch_up(at_most: u32) -> Missed {
        Missed::CatchUp { at_most: NonZeroU32::new(at_most).unwrap() }
    }

    /// Plans until nothing is left; the minutes that are run, and how many were skipped.
    fn all(missed: Missed, from: i64, to: i64) -> (Vec<i64>, u64) {
        let schedule = Schedule::every(Duration::from_mins(1));
        let (mut cursor, mut runs, mut skipped) = (minute(from), Vec::new(), 0);
        while let Some(plan) =
            missed.plan("job", &schedule, cursor, minute(to), Duration::ZERO, &Random::fixed(0.0))
        {
            assert!(plan.from == cursor && plan.to > cursor);
            cursor = plan.to;
            runs.extend(plan.runs.iter().map(|run| (run.due.as_micros() - START) / 60_000_000));
            skipped += plan.missed.map_or(0, |missed| missed.times);
        }
        assert_eq!(cursor, minute(to));
        (runs, skipped)
    }

    #[test]
    fn the_last_missed_ones_are_caught_up_however_many_there_were() {
        assert_eq!(all(catch_up(1), 0, 1), (vec![1], 0));
        assert_eq!(all(catch_up(1), 0, 60), (vec![60], 59));
        assert_eq!(all(catch_up(3), 0, 60), (vec![58, 59, 60], 57));
        // A year of minutes.
        let (runs, skipped) = all(catch_up(500), 0, 525_600);
        assert_eq!((runs.len(), runs.last().copied(), skipped), (500, Some(525_600), 525_100));
    }

    #[test]
    fn what_cannot_begin_in_time_is_skipped_where_the_rule_says_so() {
        let skip = Missed::Skip { after: Duration::from_secs(150) };
        assert_eq!(all(skip, 0, 60), (vec![58, 59, 60], 57));
        assert_eq!(all(skip, 59, 60), (vec![60], 0));
        assert_eq!(all(Missed::Skip { after: Duration::ZERO }, 0, 3_000), (vec![3_000], 2_999));
    }

    #[test]
    fn a_clock_that_was_set_back_by_days_does_not_stop_the_job() {
        let schedule = Schedule::every(Duration::from_mins(1));
        let plan = |cursor| {
            catch_up(1).plan("job", &schedule, cursor, minute(0), Duration::ZERO, &Random::fixed(0.0))
        };
        assert_eq!(plan(minute(24 * 60)), None);
        let back = plan(minute(24 * 60 + 1)).unwrap();
        assert_eq!((back.to, back.runs.len(), back.missed), (minute(0), 0, None));
    }

    #[test]
    fn jitter_puts_a_run_off_within_its_bound() {
        let schedule = Schedule::every(Duration::from_mins(1));
        let jitter = Duration::from_secs(30);
        let plan =
            catch_up(2).plan("job", &schedule, minute(0), minute(2), jitter, &Random::fixed(0.5)).unwrap();
        for run in &plan.runs {
            assert_eq!(run.available, run.due.saturating_add(Duration::from_secs(15)));
        }
    }
}
