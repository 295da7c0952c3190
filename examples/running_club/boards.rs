//! The boards: each run counts on all of them, for its runner and for the crew that the runner was with.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use pumasi_core::event::{Delivery, Envelope, EventId, Handler};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_search::leaderboard::{
    Around, Board, BoardFeed, BoardStore, Direction, Leaderboard, Metric, Movement, Place, Record, Rules,
    Standings, Total, Window,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::calendar::{Calendar, Span};
use super::runs::{RUNS, Run};

/// Who is not ranked by pace: whoever ran less.
const PACED_M: i64 = 5_000;
/// A pace is told in milliseconds a kilometre.
const PACE_SCALE: NonZeroU32 = NonZeroU32::MIN.saturating_add(999_999);

/// Who is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Runners,
    Crews,
}

/// What a board ranks, and by what.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) of: Of,
    /// What the values of a place are, in their order.
    pub(crate) values: &'static [&'static str],
    rules: fn() -> Rules,
}

fn distance() -> Rules {
    Rules::new(Metric::sum("distance_m"), Direction::HighestFirst)
}

fn time() -> Rules {
    Rules::new(Metric::sum("time_s"), Direction::HighestFirst)
}

/// The time of all runs over their distance: not a mean of paces.
fn pace() -> Rules {
    Rules::new(Metric::mean("time_s", "distance_m", PACE_SCALE), Direction::LowestFirst)
        .then(Metric::sum("distance_m"), Direction::HighestFirst)
        .with_minimum(Total::Sum("distance_m".into()), PACED_M)
}

fn attendance() -> Rules {
    Rules::new(Total::Attendance.into(), Direction::HighestFirst)
        .then(Total::Members.into(), Direction::HighestFirst)
        .then(Metric::sum("distance_m"), Direction::HighestFirst)
}

fn members() -> Rules {
    Rules::new(Total::Members.into(), Direction::HighestFirst)
        .then(Total::Attendance.into(), Direction::HighestFirst)
}

const DISTANCE: &[&str] = &["distance_m"];
const TIME: &[&str] = &["time_s"];
const PACE: &[&str] = &["pace_ms_per_km", "distance_m"];

/// The boards that there are, each by week and by month.
pub(crate) static KINDS: [Kind; 8] = [
    Kind { name: "runners.distance", of: Of::Runners, values: DISTANCE, rules: distance },
    Kind { name: "runners.time", of: Of::Runners, values: TIME, rules: time },
    Kind { name: "runners.pace", of: Of::Runners, values: PACE, rules: pace },
    Kind { name: "crews.distance", of: Of::Crews, values: DISTANCE, rules: distance },
    Kind { name: "crews.time", of: Of::Crews, values: TIME, rules: time },
    Kind { name: "crews.pace", of: Of::Crews, values: PACE, rules: pace },
    Kind {
        name: "crews.attendance",
        of: Of::Crews,
        values: &["attendance", "members", "distance_m"],
        rules: attendance,
    },
    Kind { name: "crews.members", of: Of::Crews, values: &["members", "attendance"], rules: members },
];

struct Spanned {
    kind: &'static Kind,
    span: Span,
    board: Leaderboard<String>,
}

/// The club's boards; clones share the store.
#[derive(Clone)]
pub(crate) struct Boards {
    boards: Arc<[Spanned]>,
    calendar: Calendar,
    clock: Arc<dyn Clock>,
}

/// What places are told to have moved since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Since {
    /// Of a week: the end of the one before.
    WeekBefore,
    /// Of a month: when its last week was closed.
    ClosedWeek,
    /// Of a month in which no week was closed yet: the end of the one before.
    MonthBefore,
}

/// A place, and how it has moved.
pub(crate) struct Row {
    pub(crate) place: Place<String>,
    pub(crate) moved: Option<Movement>,
}

/// A part of a board.
pub(crate) struct Page {
    pub(crate) kind: &'static Kind,
    pub(crate) window: Window,
    pub(crate) since: Since,
    pub(crate) rows: Vec<Row>,
    pub(crate) total: u64,
}

/// Which board is asked: its name, the span, and a moment in it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    pub(crate) span: Span,
    pub(crate) at: Timestamp,
}

impl Boards {
    pub(crate) fn new(
        store: &Arc<dyn BoardStore<String>>,
        calendar: Calendar,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let each = KINDS.iter().flat_map(|kind| Span::ALL.map(|span| (kind, span)));
        let boards = each.map(|(kind, span)| {
            let board =
                Board::new(format!("{}.{}", kind.name, span.as_str()), (kind.rules)())?.keeping_records();
            let board = Leaderboard::new(Arc::clone(store), board)
                .with_period(calendar.period(span).clone())
                .with_grace(calendar.grace())
                .with_clock(Arc::clone(&clock));
            Ok(Spanned { kind, span, board })
        });
        Ok(Self { boards: boards.collect::<Result<_>>()?, calendar, clock })
    }

    fn find(&self, name: &str, span: Span) -> Result<&Spanned> {
        let found = self.boards.iter().find(|board| board.kind.name == name && board.span == span);
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such board"))
    }

    /// Feeds all boards from the events of runs.
    pub(crate) fn feed(&self) -> Feed {
        let feeds = self.boards.iter().map(|spanned| {
            let (of, calendar) = (spanned.kind.of, self.calendar.clone());
            BoardFeed::new(spanned.board.clone(), RUNS, move |event| records(of, &calendar, event))
        });
        Feed(feeds.collect())
    }

    /// Does what is due when a week, or month, is over: with a week the month's standings are kept as they are then, which shows how
    /// a month moves from week to week.
    pub(crate) async fn close_last(&self, span: Span) -> Result<()> {
        if span == Span::Week { self.keep_month().await } else { Ok(()) }
    }

    /// Keeps the month's standings under the name of the last week. What is kept stays, however often this is asked for.
    async fn keep_month(&self) -> Result<()> {
        let now = self.now();
        let week = self.calendar.before(Span::Week, &self.calendar.window(Span::Week, now)?)?;
        // Of a month that has begun since that week's end there is nothing to compare with.
        if self.calendar.window(Span::Month, now)? != self.calendar.window(Span::Month, week.end())? {
            return Ok(());
        }
        let months = self.boards.iter().filter(|board| board.span == Span::Month);
        let keeping = months.map(|spanned| async {
            match spanned.board.snapshot(week.name()).await {
                Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
                kept => kept.map(drop),
            }
        });
        try_join_all(keeping).await.map(drop)
    }

    /// Lists places from after the first `skip` on, with how they moved.
    pub(crate) async fn page(&self, asked: Asked<'_>, skip: u64, count: u64) -> Result<Page> {
        let spanned = self.find(asked.name, asked.span)?;
        let now = spanned.board.at(asked.at)?;
        let listing = now.page(skip, count).await?;
        let (before, since) = self.before(spanned, &now).await?;
        let rows = moved(&now, &before, listing.places).await?;
        let (kind, window) = (spanned.kind, now.window().clone());
        Ok(Page { kind, window, since, rows, total: listing.total })
    }

    /// Tells where a member stands, and who stands before and after it.
    pub(crate) async fn around(
        &self,
        asked: Asked<'_>,
        member: &String,
        neighbours: u64,
    ) -> Result<Option<(Page, Around<String>)>> {
        let spanned = self.find(asked.name, asked.span)?;
        let now = spanned.board.at(asked.at)?;
        let Some(around) = now.around(member, neighbours).await? else { return Ok(None) };
        let places = around.before.iter().chain([&around.place]).chain(&around.after).cloned().collect();
        let (before, since) = self.before(spanned, &now).await?;
        let rows = moved(&now, &before, places).await?;
        let (kind, window) = (spanned.kind, now.window().clone());
        Ok(Some((Page { kind, window, since, rows, total: around.total }, around)))
    }

    /// What standings are compared with.
    async fn before(&self, spanned: &Spanned, now: &Standings<String>) -> Result<(Standings<String>, Since)> {
        let window = now.window();
        if spanned.span == Span::Month {
            let mut week = self.calendar.window(Span::Week, self.now().min(window.end()))?;
            // The last week may not be closed yet, or have ended with the month: what was kept then is of the next.
            for _ in 0..3 {
                week = self.calendar.before(Span::Week, &week)?;
                if week.end() < window.start() {
                    break;
                }
                if week.end() < window.end() {
                    let kept = spanned.board.kept(week.name());
                    if kept.top(1).await?.total > 0 {
                        return Ok((kept, Since::ClosedWeek));
                    }
                }
            }
        }
        let last = Timestamp::from_micros(window.start().as_micros().saturating_sub(1));
        let since = if spanned.span == Span::Week { Since::WeekBefore } else { Since::MonthBefore };
        Ok((spanned.board.at(last)?, since))
    }

    /// Tells whether the store answers.
    pub(crate) async fn ping(&self) -> Result<()> {
        let asked = Asked { name: "runners.distance", span: Span::Week, at: self.now() };
        self.page(asked, 0, 1).await.map(drop)
    }

    /// The moment that is now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn moved(
    now: &Standings<String>,
    before: &Standings<String>,
    places: Vec<Place<String>>,
) -> Result<Vec<Row>> {
    let members: Vec<String> = places.iter().map(|place| place.member.clone()).collect();
    let moved = now.movement(before, &members).await?;
    Ok(places.into_iter().zip(moved).map(|(place, moved)| Row { place, moved }).collect())
}

/// The records that an event of a run stands for on a board.
fn records(of: Of, calendar: &Calendar, event: &Envelope) -> Result<Vec<Record<String>>> {
    let run: Run = event.payload()?;
    let record = |member: String| {
        let record = Record::new(member, run.id.clone(), run.began_at);
        record.with("distance_m", run.distance_m).with("time_s", run.time_s)
    };
    Ok(match (of, run.crew.clone()) {
        (Of::Runners, _) => vec![record(run.runner.clone())],
        (Of::Crews, None) => Vec::new(),
        // Names of people may be longer than a contributor's.
        (Of::Crews, Some(crew)) => vec![
            record(crew)
                .with_contributor(EventId::named("club.runner", &run.runner).to_string())
                .with_occasion(calendar.day(run.began_at)?.name()),
        ],
    })
}

/// Counts each run on all boards, or takes it back from them; one that comes again counts on those that did not have it.
pub(crate) struct Feed(Vec<BoardFeed<String>>);

#[async_trait]
impl Handler for Feed {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        try_join_all(self.0.iter().map(|feed| feed.handle(delivery))).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use pumasi_core::time::ManualClock;
    use pumasi_search::leaderboard::MemoryBoards;

    use super::*;

    struct Club {
        boards: Boards,
        clock: ManualClock,
    }

    impl Club {
        fn at(moment: &str) -> Self {
            let (clock, store) =
                (ManualClock::new(), Arc::new(MemoryBoards::new()) as Arc<dyn BoardStore<_>>);
            let calendar = Calendar::in_zone("Asia/Seoul").unwrap();
            let boards = Boards::new(&store, calendar, Arc::new(clock.clone())).unwrap();
            let club = Self { boards, clock };
            club.turn_to(moment);
            club
        }

        fn turn_to(&self, moment: &str) {
            let moment: Timestamp = moment.parse().unwrap();
            self.clock.advance(moment.saturating_since(self.clock.now()));
        }

        /// Records a run of now.
        async fn run(&self, runner: &str, metres: i64) {
            let now = self.clock.now();
            let record = Record::new(runner.to_owned(), now.to_string(), now).with("distance_m", metres);
            let board = &self.boards.find("runners.distance", Span::Month).unwrap().board;
            board.submit(&[record]).await.unwrap();
            self.clock.advance(std::time::Duration::from_millis(1));
        }

        /// The month's board: what it is compared with, and who moved how.
        async fn month(&self, at: &str) -> (Since, Vec<(String, Option<Movement>)>) {
            let asked = Asked { name: "runners.distance", span: Span::Month, at: at.parse().unwrap() };
            let page = self.boards.page(asked, 0, 10).await.unwrap();
            (page.since, page.rows.into_iter().map(|row| (row.place.member, row.moved)).collect())
        }
    }

    fn named(moved: &[(&str, Movement)]) -> Vec<(String, Option<Movement>)> {
        moved.iter().map(|(name, moved)| ((*name).to_owned(), Some(*moved))).collect()
    }

    #[tokio::test]
    async fn a_month_moves_since_its_last_week_was_closed_and_what_was_kept_stays() {
        let club = Club::at("2026-11-18T12:00:00+09:00");
        club.run("민지", 12_000).await;
        club.run("Alex", 8_000).await;
        let new = named(&[("민지", Movement::New), ("Alex", Movement::New)]);
        assert_eq!(club.month("2026-11-18T12:00:00+09:00").await, (Since::MonthBefore, new));

        club.turn_to("2026-11-23T09:00:00+09:00");
        club.boards.close_last(Span::Week).await.unwrap();
        club.run("Alex", 10_000).await;
        let moved = named(&[("Alex", Movement::Up(1)), ("민지", Movement::Down(1))]);
        assert_eq!(club.month("2026-11-23T10:00:00+09:00").await, (Since::ClosedWeek, moved.clone()));
        // A job that runs again, and the next week before it is closed.
        club.boards.close_last(Span::Week).await.unwrap();
        club.turn_to("2026-11-30T08:59:00+09:00");
        assert_eq!(club.month("2026-11-30T08:59:00+09:00").await, (Since::ClosedWeek, moved));
        club.turn_to("2026-11-30T09:00:00+09:00");
        club.boards.close_last(Span::Week).await.unwrap();
        let same = named(&[("Alex", Movement::Same), ("민지", Movement::Same)]);
        assert_eq!(club.month("2026-11-30T09:00:00+09:00").await, (Since::ClosedWeek, same.clone()));

        // What was kept in November is nothing to compare December with.
        club.turn_to("2026-12-01T12:00:00+09:00");
        club.run("민지", 5_000).await;
        let moved = named(&[("민지", Movement::Up(1))]);
        assert_eq!(club.month("2026-12-01T12:00:00+09:00").await, (Since::MonthBefore, moved));
        assert_eq!(club.month("2026-11-20T12:00:00+09:00").await, (Since::ClosedWeek, same));
    }

    #[tokio::test]
    async fn a_week_that_ends_with_its_month_or_is_closed_in_the_next_one_keeps_nothing_of_the_old() {
        // March begins on a Monday.
        let club = Club::at("2027-02-24T12:00:00+09:00");
        club.run("민지", 12_000).await;
        club.turn_to("2027-03-01T08:00:00+09:00");
        club.run("Alex", 8_000).await;
        club.turn_to("2027-03-01T09:00:00+09:00");
        club.boards.close_last(Span::Week).await.unwrap();
        assert_eq!(club.month("2027-02-24T12:00:00+09:00").await.0, Since::MonthBefore);
        let kept = named(&[("Alex", Movement::Same)]);
        assert_eq!(club.month("2027-03-01T09:00:00+09:00").await, (Since::ClosedWeek, kept));

        // The process was away until April.
        let club = Club::at("2027-03-26T12:00:00+09:00");
        club.run("민지", 12_000).await;
        club.turn_to("2027-04-01T12:00:00+09:00");
        club.run("Alex", 8_000).await;
        club.boards.close_last(Span::Week).await.unwrap();
        assert_eq!(club.month("2027-04-01T12:00:00+09:00").await.0, Since::MonthBefore);
        assert_eq!(club.month("2027-03-26T12:00:00+09:00").await.0, Since::MonthBefore);
    }
}
