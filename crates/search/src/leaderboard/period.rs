//! Days, weeks, months and seasons, as people of a place count them.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, ToSpan};
use pumasi_core::time::Timestamp;
use serde::Serialize;

use crate::{Error, ErrorKind, Result};

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are the days of the week")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Every {
    Day,
    Week(i8),
    Months { first: i8, months: i8 },
}

/// How a board's time is divided: the records of each part are ranked among themselves.
///
/// Begins and ends are those of the clock on the wall in the period's time zone, whatever a change of that clock does: a week
/// may have 167 hours. A begin that the clock skips is as much later; one that it shows twice is the first.
///
/// ```
/// use std::time::Duration;
/// use pumasi_search::leaderboard::{Period, Weekday};
///
/// // Late runs of Sunday night still count for the week: it ends on Monday at 02:00.
/// let week = Period::week(Weekday::Monday).in_zone("Asia/Seoul")?.starting_at(Duration::from_hours(2));
/// let window = week.window("2026-11-23T01:30:00+09:00".parse()?)?;
/// assert_eq!(window.name(), "week-2026-11-16");
/// assert_eq!(window.end().to_string(), "2026-11-22T17:00:00Z");
/// # Ok::<(), pumasi_search::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Period {
    every: Every,
    zone: TimeZone,
    start: SignedDuration,
}

impl Period {
    fn new(every: Every) -> Self {
        Self { every, zone: TimeZone::UTC, start: SignedDuration::ZERO }
    }

    /// Makes days.
    pub fn day() -> Self {
        Self::new(Every::Day)
    }

    /// Makes weeks that begin on this day.
    pub fn week(first: Weekday) -> Self {
        let first = match first {
            Weekday::Monday => 0,
            Weekday::Tuesday => 1,
            Weekday::Wednesday => 2,
            Weekday::Thursday => 3,
            Weekday::Friday => 4,
            Weekday::Saturday => 5,
            Weekday::Sunday => 6,
        };
        Self::new(Every::Week(first))
    }

    /// Makes months.
    pub fn month() -> Self {
        Self::new(Every::Months { first: 1, months: 1 })
    }

    /// Makes seasons of so many months (which must divide 12), one of which begins with the month `first` (1 to 12).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for other numbers.
    pub fn season(first: u8, months: u8) -> Result<Self> {
        let fits = (1..=12).contains(&first) && months > 0 && 12 % months == 0;
        match (i8::try_from(first), i8::try_from(months)) {
            (Ok(first), Ok(months)) if fits => Ok(Self::new(Every::Months { first, months })),
            _ => {
                let message = "a season is 1, 2, 3, 4, 6 or 12 months from one of the months 1 to 12 on";
                Err(Error::new(ErrorKind::InvalidInput, message))
            }
        }
    }

    /// Sets the time zone by its name, like `Asia/Seoul` (default: UTC).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no such zone.
    pub fn in_zone(mut self, name: &str) -> Result<Self> {
        self.zone = TimeZone::get(name)
            .map_err(|_| Error::new(ErrorKind::InvalidInput, format!("there is no time zone {name:?}")))?;
        Ok(self)
    }

    /// Sets at what time of the day it begins (default: at midnight); a day or more is a day less a second.
    #[must_use]
    pub fn starting_at(mut self, time_of_day: Duration) -> Self {
        let last = SignedDuration::from_secs(86_399);
        self.start = SignedDuration::try_from(time_of_day).unwrap_or(last).min(last);
        self
    }

    /// Returns the window that a moment lies in.
    ///
    /// # Errors
    ///
    /// `InvalidInput` near the ends of the calendar.
    pub fn window(&self, at: Timestamp) -> Result<Window> {
        let moment = jiff::Timestamp::from_microsecond(at.as_micros()).map_err(beyond)?;
        let day = self.zone.to_datetime(moment).checked_sub(self.start).map_err(beyond)?.date();
        let first = self.first_day(day)?;
        let window = self.starting(first)?;
        // Where the clock was changed, the wall may tell a time of the neighbour.
        if at < window.start {
            self.starting(self.first_day(first.yesterday().map_err(beyond)?)?)
        } else if at >= window.end {
            self.starting(first.checked_add(self.span()).map_err(beyond)?)
        } else {
            Ok(window)
        }
    }

    /// Returns the window of this name, if it is one of this period's.
    pub(crate) fn named(&self, name: &str) -> Option<Window> {
        let (_, day) = name.split_once('-')?;
        let day = match self.every {
            Every::Day | Every::Week(_) => day.to_owned(),
            Every::Months { .. } => format!("{day}-01"),
        };
        self.starting(day.parse().ok()?).ok().filter(|window| window.name == name)
    }

    /// Returns the window before another one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` at the beginning of the calendar.
    pub fn before(&self, window: &Window) -> Result<Window> {
        self.window(Timestamp::from_micros(window.start.as_micros().saturating_sub(1)))
    }

    fn span(&self) -> Span {
        match self.every {
            Every::Day => 1.day(),
            Every::Week(_) => 7.days(),
            Every::Months { months, .. } => i64::from(months).months(),
        }
    }

    fn first_day(&self, day: Date) -> Result<Date> {
        match self.every {
            Every::Day => Ok(day),
            Every::Week(first) => {
                let past = (day.weekday().to_monday_zero_offset() - first).rem_euclid(7);
                day.checked_sub(i64::from(past).days()).map_err(beyond)
            }
            Every::Months { first, months } => {
                let past = (day.month() - first).rem_euclid(months);
                day.first_of_month().checked_sub(i64::from(past).months()).map_err(beyond)
            }
        }
    }

    fn starting(&self, first: Date) -> Result<Window> {
        let moment = |day: Date| -> Result<Timestamp> {
            let at = day.to_datetime(Time::midnight()).checked_add(self.start).map_err(beyond)?;
            let at = self.zone.to_timestamp(at).map_err(beyond)?;
            Ok(Timestamp::from_micros(at.as_microsecond()))
        };
        let name = match self.every {
            Every::Day => format!("day-{first}"),
            Every::Week(_) => format!("week-{first}"),
            Every::Months { months, .. } => {
                let kind = if months == 1 { "month" } else { "season" };
                format!("{kind}-{:04}-{:02}", first.year(), first.month())
            }
        };
        let next = first.checked_add(self.span()).map_err(beyond)?;
        Ok(Window { name, start: moment(first)?, end: moment(next)? })
    }
}

fn beyond(_: jiff::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, "a period lies beyond the calendar")
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Period")
            .field("every", &self.every)
            .field("zone", &self.zone.iana_name())
            .field("start", &self.start)
            .finish()
    }
}

/// A part of a board's time: from its start, which belongs to it, to its end, which does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Window {
    name: String,
    start: Timestamp,
    end: Timestamp,
}

impl Window {
    /// The one window of a board whose time is not divided.
    pub(crate) fn all() -> Self {
        Self { name: "all".into(), start: Timestamp::MIN, end: Timestamp::MAX }
    }

    /// What was kept under a name of its own.
    pub(crate) fn snapshot(name: &str, of: &Self) -> Self {
        Self { name: format!("snapshot-{name}"), ..of.clone() }
    }

    /// Returns its name: its kind and the day (or month) on which it begins, like `week-2026-11-23`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its first moment.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Returns the first moment after it.
    pub fn end(&self) -> Timestamp {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_week_in_seoul_ends_on_monday_at_two() {
        let week =
            Period::week(Weekday::Monday).in_zone("Asia/Seoul").unwrap().starting_at(Duration::from_hours(2));
        let last = week.window(at("2026-11-23T01:59:59.999999+09:00")).unwrap();
        let next = week.window(at("2026-11-23T02:00:00+09:00")).unwrap();
        assert_eq!((last.name(), next.name()), ("week-2026-11-16", "week-2026-11-23"));
        assert_eq!(last.end(), next.start());
        assert_eq!(week.before(&next).unwrap(), last);
    }

    #[test]
    fn windows_follow_one_another_without_gap_where_clocks_are_changed() {
        for zone in ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Seoul"] {
            for period in [
                Period::day(),
                Period::week(Weekday::Sunday),
                Period::month(),
                Period::season(3, 3).unwrap(),
                Period::season(1, 12).unwrap(),
            ] {
                let period = period.in_zone(zone).unwrap().starting_at(Duration::from_mins(150));
                let mut moment = at("2025-12-30T12:00:00Z");
                let mut window = period.window(moment).unwrap();
                while moment < at("2027-02-01T00:00:00Z") {
                    moment = moment.saturating_add(Duration::from_mins(59));
                    let next = period.window(moment).unwrap();
                    assert!(next.start <= moment && moment < next.end, "{zone} {moment} {next:?}");
                    assert_eq!(period.named(next.name()).as_ref(), Some(&next), "{zone} {moment}");
                    if next != window {
                        assert_eq!(window.end, next.start, "{zone} {moment}");
                        assert_eq!(period.before(&next).unwrap(), window, "{zone} {moment}");
                        assert_ne!(window.name, next.name);
                        window = next;
                    }
                }
            }
        }
    }

    #[test]
    fn a_season_begins_with_its_month() {
        let season = Period::season(12, 3).unwrap();
        assert_eq!(season.window(at("2026-02-28T10:00:00Z")).unwrap().name(), "season-2025-12");
        assert_eq!(season.window(at("2026-03-01T10:00:00Z")).unwrap().name(), "season-2026-03");
        assert!(
            Period::season(0, 3).is_err() && Period::season(1, 5).is_err() && Period::season(1, 0).is_err()
        );
        assert!(Period::day().in_zone("Asia/Pyongtaek").is_err());
    }
}
