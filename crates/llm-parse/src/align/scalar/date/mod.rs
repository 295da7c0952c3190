//! Dates and times, Korean and English, into the forms of RFC 3339.

mod clock;
mod lead;

use unicode_normalization::UnicodeNormalization;

use crate::report::Rule;
use clock::{find_time, fraction_of, may_be_span, zone_of};

/// What a text says as a date or a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The text has the wanted form already.
    Exact,
    /// Rewritten; `dropped` if a part (the time of day, the weekday) was left out.
    Rewritten {
        text: String,
        dropped: bool,
    },
    /// Rewritten (or as it was), though the text contradicts itself or leaves out what the form needs.
    Doubtful {
        text: String,
        rule: Rule,
    },
    Ambiguous(&'static str),
    /// It has the form of a date, but no calendar knows it.
    Impossible,
    None,
}

const MAX_LEN: usize = 80;
const ASKED: &str = "a date is asked about or hedged";
const SPAN: &str = "two times of a day, or a time and its offset";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    fn exists(self) -> bool {
        let leap =
            (self.year.is_multiple_of(4) && !self.year.is_multiple_of(100)) || self.year.is_multiple_of(400);
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return false,
        };
        (1..=days).contains(&self.day)
    }

    /// The day of the week, from Sunday as 0 (Sakamoto's method).
    fn weekday(self) -> u32 {
        const SHIFTS: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = if self.month < 3 { self.year.saturating_sub(1) } else { self.year };
        let shift = (self.month as usize).checked_sub(1).and_then(|month| SHIFTS.get(month)).copied();
        (year + year / 4 - year / 100 + year / 400 + shift.unwrap_or(0) + self.day) % 7
    }
}

pub(crate) fn read_date(text: &str) -> Reading {
    let Some(whole) = normal(text) else { return Reading::None };
    if whole.contains('?') {
        return Reading::Ambiguous(ASKED);
    }
    let (before, normal) = leading_weekday(&whole);
    match find_date(normal) {
        Found::Date(date, rest) if date.exists() => {
            let rest = normal.get(rest..).unwrap_or("").trim();
            let out = format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
            if out == text {
                return Reading::Exact;
            }
            if contradicts(before, date) || contradicts(weekday(rest), date) {
                return Reading::Doubtful { text: out, rule: Rule::WeekdayMismatch };
            }
            if is_weekday(rest) {
                return Reading::Rewritten { text: out, dropped: false };
            }
            if !rest.contains(char::is_alphanumeric) {
                return Reading::Ambiguous("a sign beside the date");
            }
            match find_time(rest.trim_start_matches(['T', 't', ' ', ','])) {
                Some((time, offset)) => {
                    let midnight = time == (0, 0, 0) && matches!(offset.trim(), "" | "Z");
                    Reading::Rewritten { text: out, dropped: !midnight }
                }
                None => Reading::None,
            }
        }
        Found::Date(..) => Reading::Impossible,
        Found::Ambiguous(why) => Reading::Ambiguous(why),
        Found::None => relative(&whole),
    }
}

/// Reads a date with a time; `offset` tells whether the wanted form has an offset from UTC.
pub(crate) fn read_date_time(text: &str, offset: bool) -> Reading {
    let Some(whole) = normal(text) else { return Reading::None };
    if whole.contains('?') {
        return Reading::Ambiguous(ASKED);
    }
    let (before, normal) = leading_weekday(&whole);
    match find_date(normal) {
        Found::Date(date, rest) if date.exists() => {
            let rest = normal.get(rest..).unwrap_or("");
            let joined = rest.starts_with(['T', 't']);
            let rest = rest.trim_start_matches(['T', 't', ' ', ',']);
            let (between, rest) = leading_weekday(rest);
            let Some(((hour, minute, second), zone)) = find_time(rest) else {
                return if rest.trim().is_empty() {
                    Reading::Ambiguous("a date without a time")
                } else {
                    Reading::None
                };
            };
            let fraction = fraction_of(rest);
            let out = format!(
                "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}{fraction}",
                date.year, date.month, date.day
            );
            if !joined && may_be_span(rest, zone) {
                return Reading::Ambiguous(SPAN);
            }
            let Some(zone) = zone_of(zone) else { return Reading::None };
            let (out, dropped) = match (offset, zone.is_empty()) {
                (true, _) => (format!("{out}{zone}"), false),
                (false, true) => (out, false),
                (false, false) => (out, true),
            };
            if contradicts(before, date) || contradicts(between, date) {
                return Reading::Doubtful { text: out, rule: Rule::WeekdayMismatch };
            }
            if offset && zone.is_empty() {
                return Reading::Doubtful { text: out, rule: Rule::OffsetMissing };
            }
            if out == text { Reading::Exact } else { Reading::Rewritten { text: out, dropped } }
        }
        Found::Date(..) => Reading::Impossible,
        Found::Ambiguous(why) => Reading::Ambiguous(why),
        Found::None => relative(&whole),
    }
}

pub(crate) fn read_time(text: &str) -> Reading {
    let Some(normal) = normal(text) else { return Reading::None };
    match find_time(&normal) {
        Some(((hour, minute, second), zone)) => {
            if may_be_span(&normal, zone) {
                return Reading::Ambiguous(SPAN);
            }
            let Some(zone) = zone_of(zone) else { return Reading::None };
            let out = format!("{hour:02}:{minute:02}:{second:02}{}{zone}", fraction_of(&normal));
            if out == text { Reading::Exact } else { Reading::Rewritten { text: out, dropped: false } }
        }
        None => Reading::None,
    }
}

fn normal(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= MAX_LEN).then(|| text.nfkc().collect())
}

fn relative(text: &str) -> Reading {
    let lower = text.to_lowercase();
    let words = [
        "today",
        "tomorrow",
        "yesterday",
        "next",
        "last",
        "ago",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "오늘",
        "내일",
        "모레",
        "어제",
        "다음",
        "지난",
        "이번",
        "뒤",
        "후",
        "전",
    ];
    if words.iter().any(|word| lower.contains(word)) {
        return Reading::Ambiguous("a date relative to a day that the text does not give");
    }
    Reading::None
}

enum Found {
    /// The date, and where the rest begins.
    Date(Date, usize),
    Ambiguous(&'static str),
    None,
}

fn find_date(text: &str) -> Found {
    let numbers = numbers(text);
    let [first, rest @ ..] = numbers.as_slice() else { return Found::None };
    if let Some(found) = with_month_name(text, &numbers) {
        return found;
    }
    let at = |number: &Number| (number.value, number.digits);
    // 20260305
    if first.digits == 8 && first.start == 0 {
        let date =
            Date { year: first.value / 10_000, month: first.value / 100 % 100, day: first.value % 100 };
        return Found::Date(date, first.end);
    }
    let [second, after @ ..] = rest else { return Found::None };
    let gap = |a: &Number, b: &Number| text.get(a.end..b.start).unwrap_or("").trim().to_owned();
    // 3월 5일 without its year.
    if first.start == 0 && gap(first, second) == "월" {
        return Found::Ambiguous("a date without a year");
    }
    let [third, ..] = after else {
        let separator = gap(first, second);
        return if first.start == 0
            && matches!(separator.as_str(), "/" | "-" | "." | "월")
            && first.digits <= 2
        {
            Found::Ambiguous("a date without a year")
        } else {
            Found::None
        };
    };
    let (one, two) = (gap(first, second), gap(second, third));
    if first.start != 0 {
        return Found::None;
    }
    let korean = one == "년" && two == "월";
    let same = one == two && matches!(one.as_str(), "-" | "/" | ".");
    if !korean && !same {
        return Found::None;
    }
    let mut end = third.end;
    let tail = text.get(end..).unwrap_or("");
    if korean {
        let Some(rest) = tail.trim_start().strip_prefix('일') else { return Found::None };
        end = text.len() - rest.len();
    } else if one == "." {
        end = text.len() - tail.strip_prefix('.').unwrap_or(tail).len();
    }
    match (at(first), at(second), at(third)) {
        ((year, 4), (month, 1..=2), (day, 1..=2)) => Found::Date(Date { year, month, day }, end),
        ((a, 1..=2), (b, 1..=2), (year, 4)) => {
            let (day_first, month_first) = (Date { year, month: b, day: a }, Date { year, month: a, day: b });
            match (day_first.exists(), month_first.exists()) {
                (true, true) if a == b => Found::Date(day_first, end),
                (true, true) => Found::Ambiguous("day and month could be swapped"),
                (true, false) => Found::Date(day_first, end),
                (false, _) => Found::Date(month_first, end),
            }
        }
        ((_, 1..=2), (_, 1..=2), (_, 1..=2)) => Found::Ambiguous("a year of two digits"),
        _ => Found::None,
    }
}

fn with_month_name(text: &str, numbers: &[Number]) -> Option<Found> {
    let (start, word) = crate::align::scalar::boolean::words(text).find_map(|(start, word)| {
        let letters: String =
            word.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
        let month = crate::month::named(&letters)?;
        (letters.len() == word.len()).then_some((start, (word, month)))
    })?;
    let (word, month) = word;
    let after: Vec<&Number> = numbers.iter().filter(|n| n.start >= start + word.len()).collect();
    let before: Vec<&Number> = numbers.iter().filter(|n| n.end <= start).collect();
    let (day, year) = match (before.as_slice(), after.as_slice()) {
        // 5 March 2026
        ([day], [year, ..]) if day.digits <= 2 && year.digits == 4 => (day, year),
        // March 5, 2026
        ([], [day, year, ..]) if day.digits <= 2 && year.digits == 4 => (day, year),
        ([_], []) | ([], [_]) => return Some(Found::Ambiguous("a date without a year or a day")),
        _ => return Some(Found::None),
    };
    // "You may be 5": the verb
    let between = text.get(start.min(day.end)..start.max(day.start)).unwrap_or("");
    let within = between.strip_prefix(word).unwrap_or(between);
    let joins = |word: &str| matches!(word, "st" | "nd" | "rd" | "th" | "of" | "the" | "de");
    if crate::align::scalar::boolean::words(within).any(|(_, word)| !joins(&word.to_lowercase())) {
        return Some(Found::Ambiguous("words within the date"));
    }
    let lead = text.get(..start.min(day.start)).unwrap_or("");
    if let Some(why) = lead::alters(lead) {
        return Some(Found::Ambiguous(why));
    }
    Some(Found::Date(Date { year: year.value, month, day: day.value }, year.end))
}

struct Number {
    value: u32,
    digits: usize,
    start: usize,
    end: usize,
}

fn numbers(text: &str) -> Vec<Number> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(|c: char| c.is_ascii_digit())) {
        let start = from + at;
        let run = text.get(start..).unwrap_or("");
        let len = run.find(|c: char| !c.is_ascii_digit()).unwrap_or(run.len());
        let value = run.get(..len).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX);
        out.push(Number { value, digits: len, start, end: start + len });
        from = start + len;
    }
    out
}

/// A weekday, or nothing but the marks that end or enclose a date.
fn is_weekday(text: &str) -> bool {
    let word = text.trim_matches(|c: char| c.is_whitespace() || ".,;:!()[]\"'`*_".contains(c));
    word.is_empty() || weekday(word).is_some()
}

/// Reads a weekday, from Sunday as 0, whatever stands around it that is no letter.
fn weekday(text: &str) -> Option<u32> {
    const NAMES: [(&str, &str); 7] = [
        ("sunday", "일"),
        ("monday", "월"),
        ("tuesday", "화"),
        ("wednesday", "수"),
        ("thursday", "목"),
        ("friday", "금"),
        ("saturday", "토"),
    ];
    let word = text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let korean = word.strip_suffix("요일").unwrap_or(&word);
    let short = matches!(word.len(), 3..=5);
    let is = |(english, name): &(&str, &str)| {
        word == *english || korean == *name || (short && english.starts_with(word.as_str()))
    };
    NAMES.iter().position(is).and_then(|at| u32::try_from(at).ok())
}

/// Takes a weekday and the comma after it off the front: `Monday, 2026-11-23`, `(월) 10:00`.
fn leading_weekday(text: &str) -> (Option<u32>, &str) {
    let start = text.trim_start_matches(['(', '[', ' ']);
    let end = start.find(|c: char| !c.is_alphabetic()).unwrap_or(start.len());
    let (word, rest) = start.split_at_checked(end).unwrap_or((start, ""));
    match weekday(word) {
        // `Monday` alone is a day that the text does not give
        Some(day) if !rest.trim().is_empty() => {
            (Some(day), rest.trim_start_matches([')', ']', ',', '.', ' ']))
        }
        _ => (None, text),
    }
}

fn contradicts(weekday: Option<u32>, date: Date) -> bool {
    weekday.is_some_and(|weekday| weekday != date.weekday())
}

#[cfg(test)]
mod tests {
    use super::{Reading, read_date, read_date_time, read_time};
    use crate::report::Rule;

    fn rewritten(text: &str) -> Reading {
        Reading::Rewritten { text: text.to_owned(), dropped: false }
    }

    #[test]
    fn reads_many_forms_of_a_date() {
        assert_eq!(read_date("2026-03-05"), Reading::Exact);
        for text in [
            "2026년 3월 5일",
            "2026. 3. 5.",
            "2026/3/5",
            "2026.03.05",
            "March 5, 2026",
            "5 March 2026",
            "Mar 5th 2026",
            "20260305",
            "2026년 3월 5일 (목)",
            "2026-03-05T00:00:00Z",
        ] {
            assert_eq!(read_date(text), rewritten("2026-03-05"), "{text}");
        }
        assert_eq!(read_date("25/12/2026"), rewritten("2026-12-25"));
        assert_eq!(read_date("12/25/2026"), rewritten("2026-12-25"));
        assert_eq!(
            read_date("2026-03-05 14:30"),
            Reading::Rewritten { text: "2026-03-05".to_owned(), dropped: true }
        );
    }

    #[test]
    fn refuses_what_could_be_another_day() {
        for text in [
            "3/4/2026",
            "03/04/2024",
            "March 4",
            "3월 5일",
            "next Monday",
            "내일",
            "3/4/26",
            "다음 주 월요일",
        ] {
            assert!(matches!(read_date(text), Reading::Ambiguous(_)), "{text}: {:?}", read_date(text));
        }
        assert_eq!(read_date("2024-04-31"), Reading::Impossible);
        assert_eq!(read_date("2023-02-29"), Reading::Impossible);
        assert_eq!(read_date("hello"), Reading::None);
    }

    #[test]
    fn reads_date_times_and_times() {
        assert_eq!(read_date_time("2026-03-05T14:30:00Z", true), Reading::Exact);
        assert_eq!(read_date_time("2026-03-05T14:30:00.25+09:00", true), Reading::Exact);
        assert_eq!(read_date_time("2026-03-05 14:30:00Z", true), rewritten("2026-03-05T14:30:00Z"));
        assert_eq!(read_date_time("2026년 3월 5일 오후 2시 30분", false), rewritten("2026-03-05T14:30:00"));
        assert_eq!(read_time("2:30 PM"), rewritten("14:30:00"));
        assert_eq!(read_time("오후 2시 30분"), rewritten("14:30:00"));
        assert_eq!(read_time("25:00"), Reading::None);
        assert_eq!(read_time("10:00:00-05:00"), Reading::Exact);
        assert_eq!(read_date_time("2026-03-05 10:00:00-05:00", true), rewritten("2026-03-05T10:00:00-05:00"));
        assert_eq!(read_date_time("2026-03-05T10:00-05:00", true), rewritten("2026-03-05T10:00:00-05:00"));
    }

    #[test]
    fn refuses_spans_of_time_and_offsets_that_no_place_has() {
        for text in ["2024-03-01 10:00-11:00", "2024년 3월 1일 10:00 - 11:00", "2024-03-01 10:00 -0500"] {
            assert!(matches!(read_date_time(text, true), Reading::Ambiguous(_)), "{text}");
        }
        assert!(matches!(read_time("10:00-11:00"), Reading::Ambiguous(_)));
        for text in ["2024-03-01T10:00:00+99:99", "2024-03-01T10:00:00-14:30", "2024-03-01T10:00:00+09:75"] {
            assert_eq!(read_date_time(text, true), Reading::None, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_asked_or_bounded() {
        for text in [
            "2024-03-01?",
            "2024년 3월 1일?",
            "2024-03-01 (?)",
            "2024-03-01~",
            "2024-03-01-",
            "before March 5, 2026",
        ] {
            assert!(matches!(read_date(text), Reading::Ambiguous(_)), "{text}: {:?}", read_date(text));
        }
        assert!(matches!(read_date_time("2024-03-01T10:00:00Z?", true), Reading::Ambiguous(_)));
        assert_eq!(read_date("2024-03-01."), rewritten("2024-03-01"));
    }

    #[test]
    fn a_weekday_that_is_not_the_dates_and_a_missing_offset_are_told() {
        let mismatch = Reading::Doubtful { text: "2026-11-24".to_owned(), rule: Rule::WeekdayMismatch };
        for text in [
            "Monday, 2026-11-24",
            "2026-11-24 (월)",
            "2026년 11월 24일 월요일",
            "Monday, November 24, 2026",
            "Mon 24 Nov 2026",
            "2026-11-24, Monday",
        ] {
            assert_eq!(read_date(text), mismatch, "{text}");
        }
        for text in
            ["Tuesday, 2026-11-24", "2026-11-24 (화)", "Tues, Nov 24, 2026", "화요일 2026년 11월 24일"]
        {
            assert_eq!(read_date(text), rewritten("2026-11-24"), "{text}");
        }
        assert!(matches!(read_date("Monday"), Reading::Ambiguous(_)));
        let doubtful = |text: &str, rule| Reading::Doubtful { text: text.to_owned(), rule };
        for text in ["2026-11-24T10:00:00", "2026-11-24 10:00"] {
            assert_eq!(
                read_date_time(text, true),
                doubtful("2026-11-24T10:00:00", Rule::OffsetMissing),
                "{text}"
            );
        }
        assert_eq!(read_date_time("2026-11-24T10:00:00", false), Reading::Exact);
        for text in ["Monday, 2026-11-24 10:00Z", "2026-11-24 (월) 10:00Z"] {
            assert_eq!(
                read_date_time(text, true),
                doubtful("2026-11-24T10:00:00Z", Rule::WeekdayMismatch),
                "{text}"
            );
        }
    }
}
