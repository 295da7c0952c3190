//! Achievements: what a runner has done for the first time, found from the events of runs.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::Result;
use pumasi_core::database::failed;
use pumasi_core::event::{Delivery, Envelope, Handler, State};
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use support::database::Database;
use support::on;
use support::outbox::Outbox;

use super::calendar::{Calendar, Span};
use super::runs::{Run, Runs};

/// The topic of achievements, by runner.
pub(crate) const ACHIEVEMENTS: &str = "club.achievements";

/// How many weeks in a row are worth a badge.
const STREAK: usize = 4;

/// What a runner has done so far.
#[derive(Default)]
pub(crate) struct Feats {
    runs: usize,
    total_m: i64,
    longest_m: i64,
    /// Runs that began between four and six in the morning.
    dawns: usize,
    /// Days with a crew.
    crew_days: usize,
    /// The longest row of weeks with a run in each.
    weeks: usize,
}

impl Feats {
    fn of(runs: &[Run], calendar: &Calendar) -> Result<Self> {
        let (mut feats, mut days, mut weeks) = (Self::default(), BTreeSet::new(), BTreeSet::new());
        for run in runs {
            let (day, week) = (calendar.day(run.began_at)?, calendar.window(Span::Week, run.began_at)?);
            feats.runs += 1;
            feats.total_m = feats.total_m.saturating_add(run.distance_m);
            feats.longest_m = feats.longest_m.max(run.distance_m);
            // The club's day begins at two.
            let hours = run.began_at.saturating_since(day.start()).as_secs() / 3600;
            feats.dawns += usize::from((2..4).contains(&hours));
            if run.crew.is_some() {
                days.insert(day.start());
            }
            weeks.insert((week.start(), week.end()));
        }
        feats.crew_days = days.len();
        let (mut row, mut end) = (0, None);
        for (start, next) in weeks {
            row = if end == Some(start) { row + 1 } else { 1 };
            end = Some(next);
            feats.weeks = feats.weeks.max(row);
        }
        Ok(feats)
    }
}

/// A badge, and who has earned it.
pub(crate) struct Badge {
    pub(crate) name: &'static str,
    pub(crate) korean: &'static str,
    pub(crate) english: &'static str,
    is_earned: fn(&Feats) -> bool,
}

/// The badges that there are.
pub(crate) static BADGES: [Badge; 9] = [
    badge("first_run", "첫 달리기", "first run", |feats| feats.runs >= 1),
    badge("ten_k", "한 번에 10km", "10 km at once", |feats| feats.longest_m >= 10_000),
    badge("half", "하프 마라톤", "half marathon", |feats| feats.longest_m >= 21_097),
    badge("marathon", "마라톤", "marathon", |feats| feats.longest_m >= 42_195),
    badge("hundred_km", "모두 100km", "100 km in all", |feats| feats.total_m >= 100_000),
    badge("thousand_km", "모두 1000km", "1000 km in all", |feats| feats.total_m >= 1_000_000),
    badge("dawn", "새벽 달리기", "run at dawn", |feats| feats.dawns >= 1),
    badge("with_crew", "크루와 열흘", "ten days with a crew", |feats| feats.crew_days >= 10),
    badge("four_weeks", "4주 내리", "four weeks in a row", |feats| feats.weeks >= STREAK),
];

const fn badge(
    name: &'static str,
    korean: &'static str,
    english: &'static str,
    is_earned: fn(&Feats) -> bool,
) -> Badge {
    Badge { name, korean, english, is_earned }
}

/// What the event of achievements tells: all that one run has earned.
#[derive(Serialize, Deserialize)]
pub(crate) struct Earned {
    pub(crate) runner: String,
    pub(crate) badges: Vec<String>,
    pub(crate) distance_m: i64,
}

/// An achievement as it is listed.
pub(crate) struct Achievement {
    pub(crate) runner: String,
    pub(crate) badge: String,
    pub(crate) earned_at: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Badges {
    database: Database,
    outbox: Outbox,
    calendar: Calendar,
}

impl Badges {
    pub(crate) const fn new(database: Database, outbox: Outbox, calendar: Calendar) -> Self {
        Self { database, outbox, calendar }
    }

    /// A runner's achievements, in the order in which they were earned.
    pub(crate) async fn of(&self, runner: &str) -> Result<Vec<Achievement>> {
        let query =
            "SELECT runner, badge, earned_at FROM achievements WHERE runner = $1 ORDER BY earned_at, badge";
        let rows = on!(&self.database, pool => sqlx::query_as(query).bind(runner).fetch_all(pool).await);
        Ok(achievements(rows.map_err(|error| failed("reading achievements", error))?))
    }

    /// Takes a runner's achievements back that are not earned by the runs that there are.
    async fn take_back(&self, runner: &str) -> Result<()> {
        let runs = Runs(self.database.clone());
        let runs = runs.between(runner, Timestamp::MIN, Timestamp::MAX, Timestamp::MAX).await?;
        let feats = Feats::of(&runs, &self.calendar)?;
        let delete = "DELETE FROM achievements WHERE runner = $1 AND badge = $2";
        for badge in BADGES.iter().filter(|badge| !(badge.is_earned)(&feats)) {
            on!(&self.database, pool => {
                sqlx::query(delete).bind(runner).bind(badge.name).execute(pool).await.map(drop)
            })
            .map_err(|error| failed("taking achievements back", error))?;
        }
        Ok(())
    }

    /// The club's latest achievements, the newest first and only what comes after one of the page before: its moment, runner and badge.
    pub(crate) async fn latest(
        &self,
        after: Option<(i64, &str, &str)>,
        limit: usize,
    ) -> Result<Vec<Achievement>> {
        let query = "SELECT runner, badge, earned_at FROM achievements \
            WHERE earned_at < $1 OR earned_at = $1 AND (runner > $2 OR runner = $2 AND badge > $3) \
            ORDER BY earned_at DESC, runner, badge LIMIT $4";
        let (at, runner, badge) = after.unwrap_or((i64::MAX, "", ""));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = on!(&self.database, pool => {
            sqlx::query_as(query).bind(at).bind(runner).bind(badge).bind(limit).fetch_all(pool).await
        });
        Ok(achievements(rows.map_err(|error| failed("listing achievements", error))?))
    }
}

fn achievements(rows: Vec<(String, String, i64)>) -> Vec<Achievement> {
    let achievement =
        |(runner, badge, at)| Achievement { runner, badge, earned_at: Timestamp::from_micros(at) };
    rows.into_iter().map(achievement).collect()
}

/// Writes what a run has earned, and its event, in one transaction: a run that comes again earns nothing more. What is not earned any more
/// without a run that was taken back goes; what was told of it stays told.
#[async_trait]
impl Handler for Badges {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        let event = &*delivery.event;
        let run: Run = event.payload()?;
        if event.state == State::Deleted {
            return self.take_back(&run.runner).await;
        }
        // What was recorded later has an event of its own.
        let until = run.recorded_at.saturating_add(Duration::from_micros(1));
        let runs = Runs(self.database.clone());
        let runs = runs.between(&run.runner, Timestamp::MIN, Timestamp::MAX, until).await?;
        let feats = Feats::of(&runs, &self.calendar)?;
        let known: BTreeSet<String> =
            self.of(&run.runner).await?.into_iter().map(|known| known.badge).collect();
        let new = BADGES.iter().filter(|badge| (badge.is_earned)(&feats) && !known.contains(badge.name));
        let new: Vec<&Badge> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        let keeping = |error| failed("keeping achievements", error);
        let badges = on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(keeping)?;
            let mut badges = Vec::new();
            for badge in new {
                let insert = sqlx::query(
                    "INSERT INTO achievements (runner, badge, run, earned_at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT DO NOTHING",
                )
                .bind(&run.runner)
                .bind(badge.name)
                .bind(&run.id)
                .bind(event.occurred_at.as_micros());
                if insert.execute(&mut *transaction).await.map_err(keeping)?.rows_affected() > 0 {
                    badges.push(badge.name.to_owned());
                }
            }
            if !badges.is_empty() {
                let earned =
                    Earned { runner: run.runner.clone(), badges: badges.clone(), distance_m: run.distance_m };
                let told = Envelope::new(ACHIEVEMENTS, &run.runner, State::Created, 1)
                    .caused_by(event, "achievements")
                    .with_occurred_at(event.occurred_at)
                    .with_payload(&earned)?;
                self.outbox.write(&mut *transaction, &[told]).await?;
            }
            transaction.commit().await.map_err(keeping)?;
            badges
        });
        for badge in badges {
            metrics::counter!("club_achievements_total", "badge" => badge).increment(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(began_at: &str, distance_m: i64, crew: Option<&str>) -> Run {
        let at: Timestamp = began_at.parse().unwrap();
        Run {
            id: began_at.to_owned(),
            runner: "민지".to_owned(),
            crew: crew.map(str::to_owned),
            began_at: at,
            distance_m,
            time_s: distance_m / 3,
            recorded_at: at,
        }
    }

    fn earned(runs: &[Run]) -> Vec<&'static str> {
        let feats = Feats::of(runs, &Calendar::in_zone("Asia/Seoul").unwrap()).unwrap();
        BADGES.iter().filter(|badge| (badge.is_earned)(&feats)).map(|badge| badge.name).collect()
    }

    #[test]
    fn a_badge_is_earned_where_its_bound_is_reached_and_not_before() {
        assert!(earned(&[]).is_empty());
        assert_eq!(earned(&[run("2026-11-24T19:00:00+09:00", 9_999, None)]), ["first_run"]);
        assert_eq!(earned(&[run("2026-11-24T19:00:00+09:00", 10_000, None)]), ["first_run", "ten_k"]);
        let ultra = run("2026-11-24T19:00:00+09:00", 100_000, None);
        assert_eq!(earned(&[ultra]), ["first_run", "ten_k", "half", "marathon", "hundred_km"]);
        for (time, is_dawn) in
            [("03:59:59", false), ("04:00:00", true), ("05:59:59", true), ("06:00:00", false)]
        {
            let runs = [run(&format!("2026-11-24T{time}+09:00"), 1_000, None)];
            assert_eq!(earned(&runs).contains(&"dawn"), is_dawn, "{time}");
        }
    }

    #[test]
    fn weeks_in_a_row_and_days_with_a_crew_are_those_of_the_club() {
        // A Monday at one in the morning is still last week.
        let mut runs: Vec<Run> = ["2026-11-03", "2026-11-10", "2026-11-17"]
            .iter()
            .map(|day| run(&format!("{day}T12:00:00+09:00"), 1_000, None))
            .collect();
        assert!(!earned(&runs).contains(&"four_weeks"));
        runs.push(run("2026-11-23T01:00:00+09:00", 1_000, None));
        assert!(!earned(&runs).contains(&"four_weeks"));
        runs.push(run("2026-11-23T02:00:00+09:00", 1_000, None));
        assert!(earned(&runs).contains(&"four_weeks"));
        runs.retain(|run| run.id != "2026-11-10T12:00:00+09:00");
        assert!(!earned(&runs).contains(&"four_weeks"), "a week is missing");

        let with_crew = |days: std::ops::RangeInclusive<u32>| -> Vec<Run> {
            let both = |day: u32| ["06", "20"].map(|hour| format!("2026-11-{day:02}T{hour}:00:00+09:00"));
            days.flat_map(both).map(|at| run(&at, 1_000, Some("한강러너스"))).collect()
        };
        assert!(!earned(&with_crew(1..=9)).contains(&"with_crew"), "two runs of a day are one day");
        assert!(earned(&with_crew(1..=10)).contains(&"with_crew"));
    }
}
