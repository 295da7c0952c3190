//! The time of a day and its offset from UTC.

use super::numbers;

pub(super) type Clock = (u32, u32, u32);

/// The time of day at the start of `text`, and what follows it.
pub(super) fn find_time(text: &str) -> Option<(Clock, &str)> {
    let text = text.trim();
    let (half, rest) = ["오전", "오후"]
        .iter()
        .find_map(|word| text.strip_prefix(word).map(|rest| (Some(*word), rest)))
        .unwrap_or((None, text));
    let rest = rest.trim_start();
    let numbers = numbers(rest);
    let first = numbers.first().filter(|first| first.start == 0 && first.digits <= 2)?;
    let gap = |from: usize, to: usize| rest.get(from..to).unwrap_or("").trim().to_owned();
    let mut parts = [first.value, 0, 0];
    let mut end = first.end;
    let korean = rest.get(end..)?.trim_start().starts_with('시');
    if korean {
        end = rest.len() - rest.get(end..)?.trim_start().strip_prefix('시')?.len();
    }
    for (index, number) in numbers.iter().enumerate().skip(1).take(2) {
        let between = gap(end, number.start);
        let ok = if korean { between.is_empty() } else { between == ":" && number.digits == 2 };
        if !ok {
            break;
        }
        if korean {
            let tail = rest.get(number.end..)?.trim_start();
            let tail = tail.strip_prefix(if index == 1 { '분' } else { '초' })?;
            end = rest.len() - tail.len();
        } else {
            end = number.end;
        }
        if let Some(part) = parts.get_mut(index) {
            *part = number.value;
        }
    }
    let mut tail = rest.get(end..)?;
    // A fraction of a second.
    if let Some(fraction) = tail.strip_prefix('.') {
        tail = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let lower = tail.trim_start().to_lowercase();
    let meridiem = ["a.m.", "p.m.", "am", "pm"].iter().find(|word| lower.starts_with(*word));
    let half = half.or(match meridiem {
        Some(word) if word.starts_with('a') => Some("오전"),
        Some(_) => Some("오후"),
        None => None,
    });
    if let Some(word) = meridiem {
        tail = tail.trim_start().get(word.len()..)?;
    }
    // "5" alone is no time.
    if !korean && end == first.end && meridiem.is_none() {
        return None;
    }
    let [mut hour, minute, second] = parts;
    // "14:30 am" and "0:30 pm" say two things; 오후 0시 is noon
    if (half == Some("오전") && hour > 12) || (meridiem.is_some() && half == Some("오후") && hour == 0) {
        return None;
    }
    match half {
        Some("오전") if hour == 12 => hour = 0,
        Some("오후") if hour < 12 => hour += 12,
        _ => {}
    }
    (hour < 24 && minute < 60 && second < 61).then_some(((hour, minute, second), tail))
}

pub(super) fn fraction_of(time: &str) -> String {
    let Some((_, after)) = time.split_once('.') else { return String::new() };
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { digits } else { format!(".{digits}") }
}

/// `10:00-11:00`: a time without seconds and, after a minus, what may be an offset or a second time.
pub(super) fn may_be_span(time: &str, tail: &str) -> bool {
    let clock = time.strip_suffix(tail).unwrap_or(time);
    tail.trim_start().starts_with(['-', '–', '\u{2212}']) && clock.matches(':').count() < 2
}

/// `Z`, `+09:00`, or nothing; `None` if something else follows.
pub(super) fn zone_of(tail: &str) -> Option<String> {
    let tail = tail.trim();
    match tail {
        "" => return Some(String::new()),
        "Z" | "z" | "UTC" | "GMT" => return Some("Z".to_owned()),
        "KST" => return Some("+09:00".to_owned()),
        _ => {}
    }
    let sign = tail.chars().next().filter(|c| matches!(c, '+' | '-'))?;
    let digits: String = tail.chars().skip(1).filter(|c| *c != ':').collect();
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "00"),
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let (hour, minute) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
    // No place on earth is further from UTC.
    (minute < 60 && hour * 60 + minute <= 14 * 60).then(|| format!("{sign}{hours}:{minutes}"))
}
