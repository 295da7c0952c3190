//! When a server wants to be asked again.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::http::{self, LONGEST_WAIT, header};
use crate::time::Timestamp;

/// Reads from the headers of a refused call how long to wait.
///
/// In order: `retry-after-ms` (OpenAI, Azure), `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3), and what
/// `x-ratelimit-reset-requests` and `-tokens` say of the limit that is used up. Those tell when a limit is *full* again
/// (<https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>), and there is room for a call long before
/// that: no more than [`RESET_WAIT`] of them is waited.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    stated(headers, now).or_else(|| reset(headers)).map(|delay| delay.min(LONGEST_WAIT))
}

/// Reads from the headers of any answer how long to wait: only what is said of this call, and not of the limits, which good
/// answers tell too.
pub(super) fn stated(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    milliseconds(headers).or_else(|| http::retry_after(headers, now)).map(|delay| delay.min(LONGEST_WAIT))
}

/// The longest wait for a limit of which only is known when it is full again.
const RESET_WAIT: Duration = Duration::from_secs(5);

/// Tells whether the server itself says that the same call may, or may not, succeed later (`x-should-retry`).
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match header(headers, "x-should-retry")? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn milliseconds(headers: &HeaderMap) -> Option<Duration> {
    let milliseconds: f64 = header(headers, "retry-after-ms")?.parse().ok()?;
    http::span(milliseconds / 1_000.0)
}

fn reset(headers: &HeaderMap) -> Option<Duration> {
    let used_up = |what: &&str| header(headers, &format!("x-ratelimit-remaining-{what}")) == Some("0");
    let full_in = |what: &str| span(header(headers, &format!("x-ratelimit-reset-{what}"))?);
    let limits = ["requests", "tokens"];
    let exhausted = limits.into_iter().filter(used_up).filter_map(full_in).max();
    exhausted.or_else(|| limits.into_iter().filter_map(full_in).max()).map(|wait| wait.min(RESET_WAIT))
}

/// Reads a span as Go writes it (`1s`, `6m0s`, `20ms`, `1h2m3.5s`), or plain seconds.
pub(super) fn span(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return http::span(seconds);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.saturating_add(part);
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn delay(pairs: &[(&str, &str)]) -> Option<Duration> {
        retry_after(&headers(pairs), "2015-10-21T07:27:30Z".parse().unwrap())
    }

    #[test]
    fn milliseconds_come_before_seconds_and_seconds_before_limits() {
        let all = [("retry-after-ms", "1500"), ("retry-after", "7"), ("x-ratelimit-reset-requests", "6m0s")];
        assert_eq!(delay(&all), Some(Duration::from_millis(1_500)));
        assert_eq!(delay(&all[1..]), Some(Duration::from_secs(7)));
        assert_eq!(delay(&all[2..]), Some(RESET_WAIT));
        assert_eq!(delay(&[]), None);
    }

    #[test]
    fn a_date_is_measured_by_the_servers_clock_where_it_tells_it() {
        let date = ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(delay(&[date]), Some(Duration::from_secs(30)));
        assert_eq!(delay(&[date, ("date", "Wed, 21 Oct 2015 07:27:50 GMT")]), Some(Duration::from_secs(10)));
        assert_eq!(delay(&[("retry-after", "Wed, 21 Oct 2015 07:20:00 GMT")]), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_no_delay_and_ages_are_a_day() {
        for nonsense in ["soon", "-3", "NaN", "", "Wed, 99 Oct 2015"] {
            assert_eq!(delay(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        for ages in ["99999999999", "99999999999999999999", "1e400"] {
            assert_eq!(delay(&[("retry-after", ages)]), Some(LONGEST_WAIT), "{ages}");
        }
        assert_eq!(delay(&[("retry-after", "0.25")]), Some(Duration::from_millis(250)));
    }

    #[test]
    fn the_limit_that_is_used_up_decides() {
        let limits = [
            ("x-ratelimit-remaining-requests", "12"),
            ("x-ratelimit-reset-requests", "8.64s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "20ms"),
        ];
        assert_eq!(delay(&limits), Some(Duration::from_millis(20)));
        assert_eq!(delay(&limits[..2]), Some(RESET_WAIT));
    }

    #[test]
    fn spans_are_read_as_servers_write_them() {
        assert_eq!(span("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(span("37s"), Some(Duration::from_secs(37)));
        for nonsense in ["", "s", "1x", "1", "..s", "1.2.3s"] {
            assert_eq!(span(nonsense), if nonsense == "1" { Some(Duration::from_secs(1)) } else { None });
        }
    }
}
