//! The club's days, weeks and months.

use std::time::Duration;

use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_search::leaderboard::{Period, Weekday, Window};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Late runs of the evening still belong to the day before.
const DAY_BEGINS: Duration = Duration::from_hours(2);
/// Phones may send runs for so long after the end of a week or a month.
const GRACE: Duration = Duration::from_hours(6);

/// What is ranked and recapped: a week, from Monday on, or a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Span {
    #[default]
    Week,
    Month,
}

impl Span {
    pub(crate) const ALL: [Self; 2] = [Self::Week, Self::Month];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    pub(crate) fn read(name: &str) -> Result<Self> {
        let span = Self::ALL.into_iter().find(|span| span.as_str() == name);
        span.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a span is a week or a month"))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    zone: String,
    day: Period,
    week: Period,
    month: Period,
}

impl Calendar {
    pub(crate) fn in_zone(zone: &str) -> Result<Self> {
        let of = |period: Period| period.in_zone(zone).map(|period| period.starting_at(DAY_BEGINS));
        Ok(Self {
            zone: zone.to_owned(),
            day: of(Period::day())?,
            week: of(Period::week(Weekday::Monday))?,
            month: of(Period::month())?,
        })
    }

    pub(crate) fn zone(&self) -> &str {
        &self.zone
    }

    pub(crate) const fn grace(&self) -> Duration {
        GRACE
    }

    pub(crate) const fn period(&self, span: Span) -> &Period {
        match span {
            Span::Week => &self.week,
            Span::Month => &self.month,
        }
    }

    pub(crate) fn day(&self, at: Timestamp) -> Result<Window> {
        self.day.window(at)
    }

    pub(crate) fn window(&self, span: Span, at: Timestamp) -> Result<Window> {
        self.period(span).window(at)
    }

    pub(crate) fn before(&self, span: Span, window: &Window) -> Result<Window> {
        self.period(span).before(window)
    }

    /// From when on nothing more counts in a window.
    pub(crate) fn closes(window: &Window) -> Timestamp {
        window.end().saturating_add(GRACE)
    }
}
