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

/// A place, and how it has moved since the week or the month before.
pub(crate) struct Row {
    pub(crate) place: Place<String>,
    pub(crate) moved: Option<Movement>,
}

/// A part of a board.
pub(crate) struct Page {
    pub(crate) kind: &'static Kind,
    pub(crate) window: Window,
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
            let board = Board::new(format!("{}.{}", kind.name, span.as_str()), (kind.rules)())?;
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

    /// Makes the last week, or month, final: nothing counts in it any more, whoever asks for it later.
    pub(crate) async fn close_last(&self, span: Span) -> Result<()> {
        let boards = self.boards.iter().filter(|board| board.span == span);
        try_join_all(boards.map(|spanned| spanned.board.previous())).await.map(drop)
    }

    /// Lists places from after the first `skip` on, with how they moved.
    pub(crate) async fn page(&self, asked: Asked<'_>, skip: u64, count: u64) -> Result<Page> {
        let spanned = self.find(asked.name, asked.span)?;
        let now = spanned.board.at(asked.at)?;
        let listing = now.page(skip, count).await?;
        let rows = moved(&now, &before(spanned, &now)?, listing.places).await?;
        Ok(Page { kind: spanned.kind, window: now.window().clone(), rows, total: listing.total })
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
        let rows = moved(&now, &before(spanned, &now)?, places).await?;
        let page = Page { kind: spanned.kind, window: now.window().clone(), rows, total: around.total };
        Ok(Some((page, around)))
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

fn before(spanned: &Spanned, now: &Standings<String>) -> Result<Standings<String>> {
    spanned.board.at(Timestamp::from_micros(now.window().start().as_micros().saturating_sub(1)))
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

/// Counts each run on all boards; one that comes again counts on those that did not have it.
pub(crate) struct Feed(Vec<BoardFeed<String>>);

#[async_trait]
impl Handler for Feed {
    async fn handle(&self, delivery: &Delivery) -> Result<()> {
        try_join_all(self.0.iter().map(|feed| feed.handle(delivery))).await.map(drop)
    }
}
