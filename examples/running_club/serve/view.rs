//! What goes over the wire to whoever asks.

use std::collections::BTreeMap;

use pumasi_core::schedule::RunRecord;
use pumasi_core::time::Timestamp;
use pumasi_search::leaderboard::Movement;
use serde::Serialize;
use support::language::Said;
use utoipa::ToSchema;

use crate::badges::{Achievement, BADGES, Badge};
use crate::boards::{Asked, Page, Row, Since};
use crate::calendar::{Calendar, Span};
use crate::crews::Crew;
use crate::followed::Lag;
use crate::recaps::Recap;
use crate::runs::Run;

/// A run.
#[derive(Serialize, ToSchema)]
pub(super) struct RunView {
    id: String,
    began_at: String,
    distance_m: i64,
    time_s: i64,
    /// The crew that it counts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    crew: Option<String>,
    recorded_at: String,
    /// Whether it came in time to count in its week; if not, it counts in the month, if that is not over as well.
    in_time: bool,
    /// Whether no week or month that it counts in is closed, so that it can be taken back.
    can_be_taken_back: bool,
}

impl RunView {
    pub(super) fn of(run: Run, in_time: bool, can_be_taken_back: bool) -> Self {
        Self {
            id: run.id,
            began_at: run.began_at.to_string(),
            distance_m: run.distance_m,
            time_s: run.time_s,
            crew: run.crew,
            recorded_at: run.recorded_at.to_string(),
            in_time,
            can_be_taken_back,
        }
    }
}

/// A place on a board.
#[derive(Serialize, ToSchema)]
pub(super) struct PlaceView {
    rank: u64,
    /// The runner, or the crew.
    name: String,
    /// What it is ranked by, the first first decisive: `distance_m`, `time_s`, `pace_ms_per_km`, `attendance`, `members`.
    #[schema(value_type = std::collections::HashMap<String, i64>)]
    values: BTreeMap<&'static str, i64>,
    /// By how many ranks it climbed since `moved_since`; negative if it fell. Missing if it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    climbed: Option<i64>,
    /// Whether it is the caller's, or the caller's crew's.
    mine: bool,
}

/// A part of a board.
#[derive(Serialize, ToSchema)]
pub(super) struct BoardView {
    board: String,
    span: Span,
    from: String,
    to: String,
    /// Whether it is over, so that nothing counts in it any more.
    closed: bool,
    /// What places have moved since: of a week the end of the `week_before`, of a month when its last week was closed, or the end
    /// of the `month_before`.
    moved_since: Since,
    /// How many are ranked.
    total: u64,
    places: Vec<PlaceView>,
    /// How many runs, recorded or taken back, are not on the boards yet, and how long the oldest of them has been waiting, as was
    /// measured some seconds ago or less; nothing if it could not be.
    waiting: Option<u64>,
    lag_ms: Option<u64>,
}

impl BoardView {
    pub(super) fn of(
        asked: Asked<'_>,
        page: Page,
        me: Option<&str>,
        now: Timestamp,
        lag: Option<Lag>,
    ) -> Self {
        let place = |Row { place, moved }: Row| {
            let ranks = |ranks: u64| i64::try_from(ranks).unwrap_or(i64::MAX);
            PlaceView {
                rank: place.rank,
                mine: me == Some(&place.member),
                name: place.member,
                values: page.kind.values.iter().copied().zip(place.values).collect(),
                climbed: match moved {
                    Some(Movement::Up(by)) => Some(ranks(by)),
                    Some(Movement::Down(by)) => Some(-ranks(by)),
                    Some(Movement::Same) => Some(0),
                    _ => None,
                },
            }
        };
        Self {
            board: asked.name.to_owned(),
            span: asked.span,
            from: page.window.start().to_string(),
            to: page.window.end().to_string(),
            closed: Calendar::closes(&page.window) <= now,
            moved_since: page.since,
            total: page.total,
            places: page.rows.into_iter().map(place).collect(),
            waiting: lag.map(|lag| lag.waiting),
            lag_ms: lag.map(millis),
        }
    }
}

/// Where the caller, or the caller's crew, stands.
#[derive(Serialize, ToSchema)]
pub(super) struct MineView {
    /// Missing where nothing of the caller's counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rank: Option<u64>,
    /// How many of a hundred are worse, the equal ones counted half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percentile: Option<f64>,
    /// The neighbours, and the caller among them.
    #[serde(flatten)]
    pub(super) board: BoardView,
}

fn millis(lag: Lag) -> u64 {
    u64::try_from(lag.behind.as_millis()).unwrap_or(u64::MAX)
}

/// How far something that follows from runs is behind them.
#[derive(Serialize, ToSchema)]
pub(super) struct FollowerView {
    /// `boards` or `achievements`.
    follower: &'static str,
    /// How many runs, recorded or taken back, it does not have yet, and how long the oldest of them has been waiting.
    waiting: u64,
    lag_ms: u64,
}

impl FollowerView {
    pub(super) fn of(follower: &'static str, lag: Lag) -> Self {
        Self { follower, waiting: lag.waiting, lag_ms: millis(lag) }
    }
}

/// A crew.
#[derive(Serialize, ToSchema)]
pub(super) struct CrewView {
    name: String,
    founder: String,
    /// How many run with it now.
    members: u64,
}

impl From<Crew> for CrewView {
    fn from(crew: Crew) -> Self {
        Self { name: crew.name, founder: crew.founder, members: crew.members }
    }
}

/// Who the caller is to the club.
#[derive(Serialize, ToSchema)]
pub(super) struct MeView {
    pub(super) name: String,
    /// The crew that the caller runs with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crew: Option<String>,
}

/// A badge, and whether the caller has earned it.
#[derive(Serialize, ToSchema)]
pub(super) struct BadgeView {
    badge: &'static str,
    korean: &'static str,
    english: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    earned_at: Option<String>,
}

impl BadgeView {
    pub(super) fn of(badge: &Badge, earned: &[Achievement]) -> Self {
        let earned = earned.iter().find(|earned| earned.badge == badge.name);
        Self {
            badge: badge.name,
            korean: badge.korean,
            english: badge.english,
            earned_at: earned.map(|earned| earned.earned_at.to_string()),
        }
    }
}

/// An achievement of somebody.
#[derive(Serialize, ToSchema)]
pub(super) struct NewsView {
    runner: String,
    badge: String,
    korean: String,
    english: String,
    earned_at: String,
}

impl From<Achievement> for NewsView {
    fn from(earned: Achievement) -> Self {
        let badge = BADGES.iter().find(|badge| badge.name == earned.badge);
        // A badge of another version of the program has its name.
        let named = |of: fn(&Badge) -> &'static str| badge.map_or(earned.badge.as_str(), of).to_owned();
        Self {
            korean: named(|badge| badge.korean),
            english: named(|badge| badge.english),
            runner: earned.runner,
            earned_at: earned.earned_at.to_string(),
            badge: earned.badge,
        }
    }
}

/// A recap of the caller's.
#[derive(Serialize, ToSchema)]
pub(super) struct RecapView {
    span: Span,
    from: String,
    to: String,
    /// Whether the week, or the month, was over: else it tells how far that had come.
    closed: bool,
    until: String,
    /// By name, which tells the unit.
    #[schema(value_type = std::collections::HashMap<String, i64>)]
    figures: BTreeMap<String, i64>,
}

impl From<Recap> for RecapView {
    fn from(recap: Recap) -> Self {
        Self {
            span: recap.span,
            from: recap.window.start().to_string(),
            to: recap.window.end().to_string(),
            closed: recap.until >= Calendar::closes(&recap.window),
            until: recap.until.to_string(),
            figures: recap.figures,
        }
    }
}

/// What was asked for, and will be made.
#[derive(Serialize, ToSchema)]
pub(super) struct AskedView {
    pub(super) span: Span,
    pub(super) from: String,
    pub(super) until: String,
}

/// A run of a scheduled job.
#[derive(Serialize, ToSchema)]
pub(super) struct JobView {
    job: String,
    due: String,
    /// `waiting`, `running`, `done`, `failed` or `skipped`.
    status: &'static str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<Said>,
}

impl From<RunRecord> for JobView {
    fn from(run: RunRecord) -> Self {
        Self {
            job: run.job,
            due: run.due.to_string(),
            status: run.status.as_str(),
            attempts: run.attempts,
            ended_at: run.ended.map(|at| at.to_string()),
            reason: run.reason.map(|reason| Said(reason.message)),
        }
    }
}

/// How the club is set up.
#[derive(Serialize, ToSchema)]
pub(super) struct About {
    /// Whether it hands out tokens to whoever asks.
    pub(super) development: bool,
    /// The time zone of its days.
    pub(super) zone: String,
    /// Whether Slack is told.
    pub(super) slack: bool,
}
