//! When something is due.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;

use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The shortest period.
const SHORTEST: Duration = Duration::from_millis(1);

/// A rule that says when something is due; the same for whoever asks, at any time.
///
/// ```
/// use pumasi_core::schedule::Schedule;
///
/// let mondays = Schedule::cron("0 2 * * MON", "Asia/Seoul")?;
/// let friday = "2026-11-27T12:00:00+09:00".parse()?;
/// let next = mondays.next_after(friday).unwrap();
/// assert_eq!(next, "2026-11-30T02:00:00+09:00".parse()?);
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Schedule {
    rule: Arc<Rule>,
}

enum Rule {
    Cron { cron: Box<Cron>, zone: TimeZone, text: String },
    Every(Duration),
}

impl Schedule {
    /// Reads a cron expression, whose times are those of the clocks in `zone` (a name of the IANA data base: `Asia/Seoul`).
    ///
    /// Five fields (minute, hour, day of month, month, day of week), or six with seconds in front; `*`, lists, ranges,
    /// steps, names (`MON`, `JAN`), `L`, `#`, `W`, and `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Where both
    /// days are restricted, either suffices, as in Vixie's cron; `+MON` asks for both. See the [module](super) for changes
    /// of the clock.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an expression that is none or that never comes (`0 0 30 2 *`), and for a zone that is not known.
    pub fn cron(expression: &str, zone: &str) -> Result<Self> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidInput, why);
        let zone = TimeZone::get(zone).map_err(|_| invalid(format!("there is no time zone \"{zone}\"")))?;
        let cron: Cron = expression
            .parse()
            .map_err(|error| invalid(format!("\"{expression}\" is no cron expression: {error}")))?;
        let schedule = Self {
            rule: Arc::new(Rule::Cron { cron: Box::new(cron), zone, text: expression.trim().to_owned() }),
        };
        if schedule.next_after(Timestamp::from_micros(0)).is_none() {
            return Err(invalid(format!(
                "the cron expression \"{expression}\" names a time that never comes"
            )));
        }
        Ok(schedule)
    }

    /// Makes a schedule that is due at every multiple of `period` since 1970-01-01T00:00:00Z, so that all nodes agree
    /// (at least a millisecond).
    pub fn every(period: Duration) -> Self {
        Self { rule: Arc::new(Rule::Every(period.max(SHORTEST))) }
    }

    /// Makes a schedule that is due at every full hour of UTC.
    pub fn hourly() -> Self {
        Self::every(Duration::from_hours(1))
    }

    /// Returns the first due time after `at`; `None` if there is none any more.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        match &*self.rule {
            Rule::Every(period) => {
                let period = i64::try_from(period.as_micros()).ok()?;
                let next = at.as_micros().div_euclid(period).checked_add(1)?.checked_mul(period)?;
                (next <= Timestamp::MAX.as_micros()).then(|| Timestamp::from_micros(next))
            }
            Rule::Cron { cron, zone, .. } => {
                let from = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?.to_zoned(zone.clone());
                let next = cron.find_next_occurrence(&from, false).ok()?;
                let next = Timestamp::from_micros(next.timestamp().as_microsecond());
                // A search that stood still would plan the same run for ever.
                (next > at).then_some(next)
            }
        }
    }
}

impl fmt::Display for Schedule {
    /// Writes the expression and its zone, or the period.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.rule {
            Rule::Cron { zone, text, .. } => write!(f, "{text} {}", zone.iana_name().unwrap_or("UTC")),
            Rule::Every(period) => write!(f, "every {period:?}"),
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The due times from `from` on, before `to`.
    fn between(expression: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
        let schedule = Schedule::cron(expression, zone).unwrap();
        let (mut now, to) = (Timestamp::from_micros(at(from).as_micros() - 1), at(to));
        let mut due = Vec::new();
        while let Some(next) = schedule.next_after(now).filter(|next| *next < to) {
            assert!(next > now, "{expression} stands still at {now}");
            due.push(next.to_string());
            now = next;
        }
        due
    }

    #[test]
    fn the_clock_of_the_zone_counts() {
        let due = between("0 2 * * MON", "Asia/Seoul", "2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z");
        assert_eq!(due, ["2026-11-01T17:00:00Z", "2026-11-08T17:00:00Z", "2026-11-15T17:00:00Z"]);
    }

    #[test]
    fn a_daily_run_in_a_gap_comes_right_after_it() {
        // New York, 2026-03-08: 02:00 EST is 03:00 EDT.
        let due = between(
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T00:00:00-05:00",
            "2026-03-10T00:00:00-04:00",
        );
        assert_eq!(due, ["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
    }

    #[test]
    fn a_daily_run_in_an_overlap_comes_once_at_the_first_of_both_times() {
        // New York, 2026-11-01: 02:00 EDT is 01:00 EST again.
        let due = between(
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T00:00:00-04:00",
            "2026-11-03T00:00:00-05:00",
        );
        assert_eq!(due, ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
    }

    #[test]
    fn a_pattern_skips_what_is_in_a_gap_and_repeats_what_comes_twice() {
        let zone = "America/New_York";
        let gap = between("*/30 * * * *", zone, "2026-03-08T01:00:00-05:00", "2026-03-08T04:00:00-04:00");
        assert_eq!(
            gap,
            ["2026-03-08T06:00:00Z", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"]
        );
        let twice = between("30 0-2 * * *", zone, "2026-11-01T00:00:00-04:00", "2026-11-01T05:00:00-05:00");
        assert_eq!(
            twice,
            ["2026-11-01T04:30:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"]
        );
    }

    #[test]
    fn what_is_asked_between_due_times_gives_the_same_as_what_is_asked_at_them() {
        for zone in ["America/New_York", "Australia/Lord_Howe", "Asia/Seoul", "Africa/Casablanca"] {
            for expression in ["30 1 * * *", "30 2 * * *", "0 */3 * * *", "15,45 1-3 * * *", "0 0 1 * *"] {
                let schedule = Schedule::cron(expression, zone).unwrap();
                let mut now = at("2026-01-01T00:00:00Z");
                let end = at("2027-01-01T00:00:00Z");
                while let Some(next) = schedule.next_after(now).filter(|next| *next < end) {
                    assert!(next > now);
                    // Half a second after, in the middle, and right before.
                    for part in [
                        500_000,
                        (next.as_micros() - now.as_micros()) / 2,
                        next.as_micros() - now.as_micros() - 1,
                    ] {
                        let between = Timestamp::from_micros(now.as_micros() + part);
                        assert_eq!(
                            schedule.next_after(between),
                            Some(next),
                            "{expression} {zone} at {between}"
                        );
                    }
                    now = next;
                }
            }
        }
    }

    #[test]
    fn a_period_is_counted_from_the_epoch() {
        let quarter = Schedule::every(Duration::from_mins(15));
        assert_eq!(quarter.next_after(at("2026-01-01T00:14:59Z")), Some(at("2026-01-01T00:15:00Z")));
        assert_eq!(quarter.next_after(at("2026-01-01T00:15:00Z")), Some(at("2026-01-01T00:30:00Z")));
        assert_eq!(quarter.next_after(at("1969-12-31T23:59:59Z")), Some(at("1970-01-01T00:00:00Z")));
        assert_eq!(
            Schedule::hourly().next_after(at("2026-01-01T00:15:00Z")),
            Some(at("2026-01-01T01:00:00Z"))
        );
        assert!(Schedule::every(Duration::MAX).next_after(Timestamp::MAX).is_none());
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        for (expression, zone, part) in [
            ("0 2 * *", "Asia/Seoul", "no cron expression"),
            ("61 2 * * *", "Asia/Seoul", "no cron expression"),
            ("", "Asia/Seoul", "no cron expression"),
            ("0 0 30 2 *", "UTC", "never comes"),
            ("0 2 * * *", "Asia/Seoull", "no time zone \"Asia/Seoull\""),
        ] {
            let error = Schedule::cron(expression, zone).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
