//! What recaps tell: statistics, each by itself, and as many of them as the club wants.

use std::collections::BTreeSet;
use std::sync::Arc;

use pumasi_core::{Error, ErrorKind, Result};

use super::calendar::Calendar;
use super::runs::Run;

/// What a runner did in a week or a month, and in the one before.
pub(crate) struct Ran<'a> {
    pub(crate) runs: &'a [Run],
    pub(crate) before: &'a [Run],
    /// Where the runner stands by distance.
    pub(crate) rank: Option<u64>,
    pub(crate) calendar: &'a Calendar,
}

/// A figure of a recap. One that has nothing to say is left out.
pub(crate) trait Statistic: Send + Sync {
    /// Its name, with its unit, as recaps have it.
    fn name(&self) -> &str;

    fn of(&self, ran: &Ran<'_>) -> Option<i64>;
}

/// A statistic made of a function.
struct Named<F>(&'static str, F);

impl<F: Fn(&Ran<'_>) -> Option<i64> + Send + Sync> Statistic for Named<F> {
    fn name(&self) -> &str {
        self.0
    }

    fn of(&self, ran: &Ran<'_>) -> Option<i64> {
        (self.1)(ran)
    }
}

/// Makes a statistic of a function.
pub(crate) fn statistic(
    name: &'static str,
    of: impl Fn(&Ran<'_>) -> Option<i64> + Send + Sync + 'static,
) -> Arc<dyn Statistic> {
    Arc::new(Named(name, of))
}

fn metres(runs: &[Run]) -> i64 {
    runs.iter().fold(0, |sum, run| sum.saturating_add(run.distance_m))
}

fn seconds(runs: &[Run]) -> i64 {
    runs.iter().fold(0, |sum, run| sum.saturating_add(run.time_s))
}

fn pace(runs: &[Run]) -> Option<i64> {
    let (time, distance) = (seconds(runs), metres(runs));
    time.checked_mul(1_000)?.checked_add(distance / 2)?.checked_div(distance)
}

/// The statistics that come with the club.
pub(crate) fn all() -> Vec<Arc<dyn Statistic>> {
    vec![
        statistic("distance_m", |ran| Some(metres(ran.runs))),
        statistic("time_s", |ran| Some(seconds(ran.runs))),
        statistic("runs", |ran| i64::try_from(ran.runs.len()).ok()),
        statistic("days", |ran| {
            let days = ran.runs.iter().filter_map(|run| Some(ran.calendar.day(run.began_at).ok()?.start()));
            i64::try_from(days.collect::<BTreeSet<_>>().len()).ok()
        }),
        statistic("longest_m", |ran| ran.runs.iter().map(|run| run.distance_m).max()),
        statistic("pace_s_per_km", |ran| pace(ran.runs)),
        statistic("rank", |ran| i64::try_from(ran.rank?).ok()),
        statistic("distance_change_m", |ran| {
            (!ran.before.is_empty()).then(|| metres(ran.runs) - metres(ran.before))
        }),
        statistic("pace_change_s_per_km", |ran| Some(pace(ran.runs)? - pace(ran.before)?)),
    ]
}

/// Chooses statistics by their names.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Arc<dyn Statistic>>> {
    let all = all();
    let choose = |name: &String| {
        all.iter().find(|known| known.name() == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|known| known.name()).collect();
            Error::new(ErrorKind::InvalidInput, format!("a statistic is one of {}", known.join(", ")))
        })
    };
    if names.is_empty() { Ok(all.clone()) } else { names.iter().map(choose).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(distance_m: i64, time_s: i64, began_at: &str) -> Run {
        let at: pumasi_core::time::Timestamp = began_at.parse().unwrap();
        Run {
            id: began_at.to_owned(),
            runner: "민지".to_owned(),
            crew: None,
            began_at: at,
            distance_m,
            time_s,
            recorded_at: at,
        }
    }

    #[test]
    fn a_recap_tells_what_was_chosen_and_leaves_out_what_has_nothing_to_say() {
        let calendar = Calendar::in_zone("Asia/Seoul").unwrap();
        let runs =
            [run(10_000, 3_305, "2026-11-24T06:00:00+09:00"), run(3_000, 1_000, "2026-11-24T20:00:00+09:00")];
        let before = [run(8_000, 2_400, "2026-11-17T06:00:00+09:00")];
        let tell = |names: &[&str], before: &[Run], rank| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let ran = Ran { runs: &runs, before, rank, calendar: &calendar };
            let told = chosen(&names)
                .unwrap()
                .into_iter()
                .filter_map(|each| Some((each.name().to_owned(), each.of(&ran)?)));
            told.collect::<Vec<_>>()
        };
        let told = |list: &[(&str, i64)]| {
            list.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Vec<_>>()
        };
        assert_eq!(tell(&["runs", "days"], &before, None), told(&[("runs", 2), ("days", 1)]));
        // 331.15 and 300 seconds a kilometre
        let changes = ["pace_s_per_km", "pace_change_s_per_km", "distance_change_m", "rank"];
        let expected =
            [("pace_s_per_km", 331), ("pace_change_s_per_km", 31), ("distance_change_m", 5_000), ("rank", 2)];
        assert_eq!(tell(&changes, &before, Some(2)), told(&expected));
        assert_eq!(tell(&changes, &[], None), told(&[("pace_s_per_km", 331)]));
        assert_eq!(tell(&[], &before, Some(1)).len(), all().len());
        let error = chosen(&["luck".to_owned()]).err().unwrap();
        assert!(error.to_string().contains("distance_m"), "{error}");
    }
}
