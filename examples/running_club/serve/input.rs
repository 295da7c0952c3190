//! What comes over the wire.

use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use support::problem::Problem;
use support::query::bad;
use utoipa::{IntoParams, ToSchema};

use crate::calendar::{Calendar, Span};
use crate::runs::NewRun;

/// What a person may have run at once, in metres and seconds.
const DISTANCES: std::ops::RangeInclusive<i64> = 100..=300_000;
const TIMES: std::ops::RangeInclusive<i64> = 20..=172_800;
/// Seconds a kilometre: faster than any record, and slower than walking.
const PACES: std::ops::RangeInclusive<i64> = 130..=1_800;
/// How far a phone's clock may be ahead, in seconds.
const AHEAD_S: u64 = 300;
/// How old a run may be, in seconds: a year.
const OLDEST_S: u64 = 366 * 24 * 3600;
/// The longest name of a crew.
const LONGEST_NAME: usize = 50;

support::roles! {
    /// What somebody may do.
    pub(crate) enum Role {
        #[default]
        Runner => "runner",
        Organiser => "organiser",
    }
}

/// A run.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunInput {
    /// When it began, as RFC 3339.
    #[schema(format = DateTime, example = "2026-11-24T06:30:00+09:00")]
    began_at: String,
    /// How far, in metres.
    #[schema(minimum = 100, maximum = 300_000, example = 10_000)]
    distance_m: i64,
    /// How long, in seconds; 130 to 1,800 a kilometre.
    #[schema(minimum = 20, maximum = 172_800, example = 3_200)]
    time_s: i64,
}

impl RunInput {
    pub(super) fn read(&self, now: Timestamp) -> Result<NewRun, Problem> {
        let Self { began_at, distance_m, time_s } = self;
        let began_at: Timestamp = began_at
            .parse()
            .map_err(|_| Problem::invalid("began_at is a moment like 2026-11-24T06:30:00+09:00"))?;
        if !DISTANCES.contains(distance_m) || !TIMES.contains(time_s) {
            return Err(Problem::invalid("a run has 100 to 300000 metres and 20 to 172800 seconds"));
        }
        let pace = time_s * 1_000 / distance_m;
        if !PACES.contains(&pace) {
            return Err(Problem::invalid(format!(
                "{pace} seconds a kilometre is no run: it takes 130 to 1800"
            )));
        }
        if began_at.saturating_since(now).as_secs() > AHEAD_S
            || now.saturating_since(began_at).as_secs() > OLDEST_S
        {
            return Err(Problem::invalid("a run began within the last year, and not in the future"));
        }
        let (ahead, past) = (began_at.saturating_since(now), now.saturating_since(began_at));
        if time_s.unsigned_abs() + ahead.as_secs() > past.as_secs() + AHEAD_S {
            return Err(Problem::invalid(
                "a run is recorded when it is over: `began_at` with `time_s` is not in the future",
            ));
        }
        Ok(NewRun { began_at, distance_m: *distance_m, time_s: *time_s })
    }
}

/// A crew to be founded.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CrewInput {
    #[schema(min_length = 1, max_length = 50, example = "한강러너스")]
    name: String,
}

impl CrewInput {
    pub(super) fn name(&self) -> Result<&str, Problem> {
        crew_name(&self.name)
    }
}

/// The crew that the caller runs with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MembershipInput {
    #[schema(min_length = 1, max_length = 50, example = "한강러너스")]
    crew: String,
}

impl MembershipInput {
    pub(super) fn crew(&self) -> Result<&str, Problem> {
        crew_name(&self.crew)
    }
}

fn crew_name(name: &str) -> Result<&str, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "the name of a crew is a line of 1 to {LONGEST_NAME} characters"
        )));
    }
    Ok(name)
}

/// Which recaps to make now.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecapInput {
    pub(super) span: Span,
}

support::paged! {
    /// Which part of a board; a page begins after so many places.
    pub(super) struct BoardQuery {
        /// A week (what is usual) or a month.
        #[serde(default)]
        #[param(inline)]
        pub(super) span: Span,
        /// A day of it, as `2026-11-24`; today if left out.
        #[param(value_type = Option<String>, format = Date)]
        pub(super) on: Option<String>,
    }
}

/// Which neighbours.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct MineQuery {
    /// A week (what is usual) or a month.
    #[serde(default)]
    #[param(inline)]
    pub(super) span: Span,
    /// A day of it, as `2026-11-24`; today if left out.
    #[param(value_type = Option<String>, format = Date)]
    pub(super) on: Option<String>,
    /// How many on each side; 5 if left out.
    #[param(minimum = 0, maximum = 50)]
    pub(super) neighbours: Option<u8>,
}

/// A moment of a day of the club's.
pub(super) fn moment(calendar: &Calendar, on: Option<&str>, now: Timestamp) -> Result<Timestamp, Problem> {
    let Some(on) = on else { return Ok(now) };
    let is_date = on.len() == 10
        && on.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let noon = is_date.then(|| format!("{on}T12:00:00Z").parse().ok()).flatten();
    // Where nobody has run, a month before the first year of the calendar is no month.
    let noon = noon.filter(|_| ("1970-01-02"..="2999-12-31").contains(&on));
    let noon = noon.ok_or_else(|| bad("`on` is a day like 2026-11-24, from 1970 to 2999"))?;
    Ok(calendar.within_day(on, noon)?)
}

support::paged! {
    /// Which of the caller's recaps.
    pub(super) struct RecapsQuery {
        /// Of weeks (what is usual) or of months.
        #[serde(default)]
        #[param(inline)]
        pub(super) span: Span,
    }
}
