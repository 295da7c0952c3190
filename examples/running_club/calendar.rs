//! The club's days, weeks and months.

use std::cmp::Ordering;
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

    /// A moment of a day like `2026-11-24`, found from noon of that day in UTC: east of most it is the next day here by then.
    pub(crate) fn within_day(&self, date: &str, noon: Timestamp) -> Result<Timestamp> {
        let day = self.day(noon)?;
        let name = day.name().trim_start_matches("day-");
        Ok(match name.cmp(date) {
            Ordering::Equal => noon,
            Ordering::Greater => Timestamp::from_micros(day.start().as_micros().saturating_sub(1)),
            Ordering::Less => day.end(),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_clubs_own_wherever_it_runs() {
        for zone in ["Asia/Seoul", "UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Apia"] {
            let calendar = Calendar::in_zone(zone).unwrap();
            for date in ["2026-01-01", "2026-11-22", "2026-11-23", "2026-11-30", "2026-12-01"] {
                let noon = format!("{date}T12:00:00Z").parse().unwrap();
                let within = calendar.within_day(date, noon).unwrap();
                assert_eq!(calendar.day(within).unwrap().name(), format!("day-{date}"), "{zone}");
            }
            let monday = calendar.within_day("2026-11-23", "2026-11-23T12:00:00Z".parse().unwrap()).unwrap();
            assert_eq!(calendar.window(Span::Week, monday).unwrap().name(), "week-2026-11-23", "{zone}");
        }
    }
}
