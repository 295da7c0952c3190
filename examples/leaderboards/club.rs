//! Two weeks of a club: who ran how far, how long and how fast, and which crew came how often.

use std::error::Error;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::{Clock, ManualClock, Timestamp};
use pumasi_search::leaderboard::{
    Board, Direction, Leaderboard, Metric, Movement, Period, Place, Record, Rules, SqliteBoards, Standings,
    Ties, Total, Weekday,
};
use support::say;

/// Where the club's days and weeks begin.
const ZONE: &str = "Asia/Seoul";

/// The club's boards, by the same records.
struct Club {
    clock: ManualClock,
    distance: Leaderboard<String>,
    time: Leaderboard<String>,
    pace: Leaderboard<String>,
    crews: Leaderboard<String>,
}

impl Club {
    async fn open(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let clock = ManualClock::new();
        // Late runs of Sunday night still count for the week; phones may send them until 08:00.
        let week = Period::week(Weekday::Monday).in_zone(ZONE)?.starting_at(Duration::from_hours(2));
        let store = SqliteBoards::open(folder.join("boards.db")).await?;
        let board = |name: &str, rules| -> pumasi_core::Result<Leaderboard<String>> {
            Ok(Leaderboard::new(store.clone(), Board::new(name, rules)?)
                .with_period(week.clone())
                .with_grace(Duration::from_hours(6))
                .with_clock(Arc::new(clock.clone())))
        };
        let metres = || Metric::sum("distance_m");
        let per_km = NonZeroU32::new(1_000).ok_or("a kilometre has metres")?;
        let pace = Metric::mean("time_s", "distance_m", per_km);
        Ok(Self {
            distance: board("distance", Rules::new(metres(), Direction::HighestFirst))?,
            time: board(
                "time",
                Rules::new(Metric::sum("time_s"), Direction::HighestFirst).with_ties(Ties::FirstReached),
            )?,
            pace: board(
                "pace",
                Rules::new(pace, Direction::LowestFirst)
                    .then(metres(), Direction::HighestFirst)
                    .with_minimum(Total::Sum("distance_m".into()), 5_000),
            )?,
            crews: board(
                "crews",
                Rules::new(Total::Attendance.into(), Direction::HighestFirst)
                    .then(Total::Members.into(), Direction::HighestFirst)
                    .then(metres(), Direction::HighestFirst)
                    .with_ties(Ties::Dense),
            )?,
            clock,
        })
    }

    fn turn_to(&self, moment: &str) -> Result<(), Box<dyn Error>> {
        let moment: Timestamp = moment.parse()?;
        self.clock.advance(moment.saturating_since(self.clock.now()));
        Ok(())
    }

    /// A run counts on every board; its crew's too. Says what the first of them answers.
    async fn run(&self, source: &str, run: (&str, &str, &str, i64, i64)) -> Result<(), Box<dyn Error>> {
        let (who, crew, at, metres, seconds) = run;
        let at: Timestamp = at.parse()?;
        let numbers = |member: &str| {
            let record = Record::new(member.to_owned(), source, at);
            record.with("distance_m", metres).with("time_s", seconds)
        };
        let own = [numbers(who)];
        let answer = self.distance.submit(&own).await?;
        self.time.submit(&own).await?;
        self.pace.submit(&own).await?;
        let day = Period::day().in_zone(ZONE)?.window(at)?;
        self.crews.submit(&[numbers(crew).with_contributor(who).with_occasion(day.name())]).await?;
        if let Some(answer) =
            answer.first().filter(|answer| **answer != pumasi_search::leaderboard::Submitted::Counted)
        {
            say!("  {source} of {who}: {answer:?}");
        }
        Ok(())
    }
}

const LAST_WEEK: [(&str, &str, &str, i64, i64); 6] = [
    ("민지", "한강러너스", "2026-11-17T06:30:00+09:00", 10_000, 3_300),
    ("Alex", "Seoul Striders", "2026-11-17T07:00:00+09:00", 8_000, 2_400),
    ("지훈", "한강러너스", "2026-11-18T20:00:00+09:00", 12_000, 4_200),
    ("Sora", "Seoul Striders", "2026-11-19T06:00:00+09:00", 5_000, 1_500),
    ("민지", "한강러너스", "2026-11-20T06:30:00+09:00", 3_000, 1_100),
    // On Monday at 01:40 it is still last week.
    ("Sora", "Seoul Striders", "2026-11-23T01:40:00+09:00", 6_000, 2_000),
];

const THIS_WEEK: [(&str, &str, &str, i64, i64); 7] = [
    ("Alex", "Seoul Striders", "2026-11-24T07:00:00+09:00", 21_097, 6_540),
    ("민지", "한강러너스", "2026-11-24T06:30:00+09:00", 10_000, 3_200),
    ("하늘", "한강러너스", "2026-11-25T19:00:00+09:00", 10_000, 3_150),
    ("지훈", "한강러너스", "2026-11-25T19:00:00+09:00", 4_000, 1_000),
    ("Sora", "Seoul Striders", "2026-11-26T06:00:00+09:00", 5_000, 1_450),
    ("민지", "한강러너스", "2026-11-26T06:30:00+09:00", 1_000, 500),
    ("하늘", "한강러너스", "2026-11-26T20:00:00+09:00", 1_000, 330),
];

pub(crate) async fn tell(folder: &Path) -> Result<(), Box<dyn Error>> {
    let club = Club::open(folder).await?;
    club.turn_to("2026-11-23T03:00:00+09:00")?;
    for (number, run) in (1..).zip(LAST_WEEK) {
        club.run(&format!("run-{number}"), run).await?;
    }
    club.turn_to("2026-11-26T21:00:00+09:00")?;
    say!("what is not counted · 세지 않는 기록");
    for (number, run) in (11..).zip(THIS_WEEK) {
        club.run(&format!("run-{number}"), run).await?;
    }
    // The phone sends it again, and another one finds a run of last week.
    club.run("run-11", THIS_WEEK[0]).await?;
    club.run("run-20", ("지훈", "한강러너스", "2026-11-22T09:00:00+09:00", 30_000, 9_000)).await?;

    let km = |metres: i64| format!("{}.{:03} km", metres / 1000, metres % 1000);
    show("distance of the week · 주간 거리", &club.distance, |values| km(value(values, 0))).await?;
    let clock = |seconds: i64| format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    show("time of the week · 주간 시간", &club.time, |values| clock(value(values, 0))).await?;
    let pace = |seconds: i64| format!("{}'{:02}\"/km", seconds / 60, seconds % 60);
    show("pace of the week, from 5 km on · 주간 페이스 (5km 이상)", &club.pace, |values| {
        format!("{} over {}", pace(value(values, 0)), km(value(values, 1)))
    })
    .await?;
    show("crews of the week · 주간 크루", &club.crews, |values| {
        let [times, members, metres] = [0, 1, 2].map(|at| value(values, at));
        format!("{times} times by {members} members, {}", km(metres))
    })
    .await?;

    let now = club.distance.current()?;
    let Some(around) = now.around(&"하늘".to_owned(), 1).await? else {
        return Err("nobody is there".into());
    };
    let names = |places: &[Place<String>]| {
        places.iter().map(|place| place.member.clone()).collect::<Vec<_>>().join(", ")
    };
    say!(
        "\naround 하늘 · 하늘의 앞뒤: after {}, before {}; {} of {}, percentile {:.1}",
        names(&around.before),
        names(&around.after),
        around.place.rank,
        around.total,
        around.percentile()
    );
    Ok(())
}

/// One of the values that a member is ranked by.
fn value(values: &[i64], at: usize) -> i64 {
    values.get(at).copied().unwrap_or_default()
}

/// Prints a board with what has moved since the week before.
async fn show(
    title: &str,
    board: &Leaderboard<String>,
    tell: impl Fn(&[i64]) -> String,
) -> Result<(), Box<dyn Error>> {
    let now: Standings<String> = board.current()?;
    let Some(before) = board.previous()? else { return Err("a week has one before".into()) };
    say!("\n{title} ({})", now.window().name());
    let listed = now.top(10).await?;
    let members: Vec<String> = listed.places.iter().map(|place| place.member.clone()).collect();
    for (place, moved) in listed.places.iter().zip(now.movement(&before, &members).await?) {
        let moved = match moved {
            Some(Movement::Up(ranks)) => format!("▲{ranks}"),
            Some(Movement::Down(ranks)) => format!("▼{ranks}"),
            Some(Movement::Same) => "=".to_owned(),
            _ => "new · 새로".to_owned(),
        };
        say!("  {}. {}  {}  {moved}", place.rank, place.member, tell(&place.values));
    }
    Ok(())
}
