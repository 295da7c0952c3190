//! Lengths of time.

use pumasi_core::text::{english_numeral, native_numeral, sino_numeral};

use super::{Token, tokens};

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length {
    seconds: u64,
    /// Months and years have no one length.
    loose: bool,
}

impl Length {
    #[cfg(any(test, feature = "extract"))]
    pub(crate) const fn of_minutes(minutes: u64) -> Self {
        Self { seconds: minutes.saturating_mul(60), loose: false }
    }

    /// Tells whether the two mean the same time: a month may be counted as 28 to 31 days.
    pub(crate) fn equals(self, other: Self) -> bool {
        let slack = if self.loose || other.loose {
            self.seconds.max(other.seconds).saturating_mul(8) / 100
        } else {
            0
        };
        self.seconds.abs_diff(other.seconds) <= slack
    }

    #[cfg(feature = "extract")]
    pub(crate) fn times(self, count: u64) -> Self {
        Self { seconds: self.seconds.saturating_mul(count), loose: self.loose }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { seconds: self.seconds.saturating_add(other.seconds), loose: self.loose || other.loose }
    }
}

/// A unit of time at the start of a word: its seconds, and whether it has no one length.
fn unit(word: &str) -> Option<(u64, bool)> {
    const DAY: u64 = 86_400;
    let korean = [
        ("시간", 3_600, false),
        ("개월", 30 * DAY, true),
        ("달", 30 * DAY, true),
        ("주", 7 * DAY, false),
        ("분", 60, false),
        ("초", 1, false),
        ("일", DAY, false),
        ("년", 365 * DAY, true),
    ];
    if let Some((_, seconds, loose)) = korean.into_iter().find(|(name, ..)| word.starts_with(name)) {
        return Some((seconds, loose));
    }
    Some(match word.strip_suffix('s').unwrap_or(word) {
        "second" | "sec" => (1, false),
        "minute" | "min" => (60, false),
        "hour" | "hr" | "h" => (3_600, false),
        "day" => (DAY, false),
        "week" | "wk" => (7 * DAY, false),
        "fortnight" => (14 * DAY, false),
        "month" => (30 * DAY, true),
        "year" | "yr" => (365 * DAY, true),
        _ => return None,
    })
}

/// A Korean word that is a length of time by itself, and how many days it is.
fn korean_days(word: &str) -> Option<u64> {
    const WORDS: [(&str, u64); 12] = [
        ("하루", 1),
        ("이틀", 2),
        ("사흘", 3),
        ("나흘", 4),
        ("닷새", 5),
        ("엿새", 6),
        ("이레", 7),
        ("여드레", 8),
        ("아흐레", 9),
        ("열흘", 10),
        ("보름", 15),
        ("일주일", 7),
    ];
    WORDS.iter().find(|(name, _)| word.starts_with(name)).map(|(_, days)| *days)
}

/// A numeral at the start of a word, and the rest of the word: `세시간`, `삼십분`, `ninety`.
fn numeral(word: &str) -> Option<(f64, &str)> {
    if word.is_ascii() {
        let number = match word {
            "a" | "an" => 1,
            "couple" => 2,
            "hundred" => 100,
            _ => english_numeral(word)?,
        };
        return Some((f64::from(number), ""));
    }
    if let Some(rest) = word.strip_prefix('반') {
        return Some((0.5, rest));
    }
    let native = native_numeral(word).filter(|read| !read.stands_alone());
    let read = native.or_else(|| sino_numeral(word))?;
    let number = u8::try_from(read.value).ok().filter(|number| *number < 100)?;
    Some((f64::from(number), read.rest))
}

/// Returns the lengths of time that `text` names; parts that belong together (`1시간 30분`) as one.
pub(crate) fn lengths(text: &str) -> Vec<Length> {
    let tokens = tokens(text);
    let mut reader = Reader::default();
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at)).map_or("", Token::word);
        match token {
            // a year
            Token::Number { value, digits: 4 } if (1900.0..2200.0).contains(value) => reader.rest(),
            Token::Number { value, .. } => {
                // "a 90-minute class"
                if matches!(before(1), "a" | "an") {
                    reader.counts.clear();
                }
                reader.counts.push(*value);
            }
            Token::Mark('~' | '-' | '–') => {}
            Token::Mark(_) => reader.rest(),
            // the day of a month
            Token::Word(word) if word.starts_with('일') && before(2).starts_with('월') => reader.rest(),
            Token::Word(word) => reader.word(word),
        }
    }
    reader.found
}

/// What has been read, and what waits for the rest of its length.
#[derive(Default)]
struct Reader {
    found: Vec<Length>,
    /// Numbers that wait for their unit: "20~30분" names two lengths.
    counts: Vec<f64>,
    /// "half" stands before the next number.
    halved: bool,
    /// The unit of the length just read, which smaller ones are added to.
    last: Option<u64>,
}

impl Reader {
    /// Forgets what waits.
    fn rest(&mut self) {
        self.counts.clear();
        self.halved = false;
        self.last = None;
    }

    fn word(&mut self, word: &str) {
        if word.starts_with('반') && self.counts.is_empty() && self.last.is_some() {
            // 3시간 반
            self.half_more();
        } else if let Some(days) = korean_days(word).filter(|_| self.counts.is_empty()) {
            self.found.push(Length { seconds: days * 86_400, loose: false });
            self.last = None;
        } else if let Some(unit) = unit(word).filter(|_| !self.counts.is_empty()) {
            if std::mem::take(&mut self.halved) {
                self.counts.iter_mut().for_each(|count| *count /= 2.0);
            }
            self.put(unit);
        } else if matches!(word, "and" | "to" | "or" | "of" | "하고" | "에서") {
            // "an hour and a half", "20 to 30 minutes"
        } else if word == "half" {
            self.half();
        } else if let Some((value, rest)) = numeral(word) {
            self.counts.push(value);
            match unit(rest) {
                Some(unit) => self.put(unit),
                None if !rest.is_empty() => self.counts.clear(),
                None => {}
            }
        } else if word == "m" && self.last == Some(3_600) {
            // 1h 30m
            self.put((60, false));
        } else {
            self.rest();
        }
    }

    fn half(&mut self) {
        if self.last.is_some() && self.counts.as_slice() == [1.0] {
            // "an hour and a half"
            self.half_more();
        } else if self.counts.is_empty() {
            // "half an hour"
            self.halved = true;
        } else {
            // "two and a half hours"
            if self.counts.len() > 1 && self.counts.last() == Some(&1.0) {
                self.counts.pop();
            }
            if let Some(count) = self.counts.last_mut() {
                *count += 0.5;
            }
        }
    }

    /// Adds half of its unit to the length just read.
    fn half_more(&mut self) {
        if let (Some(unit), Some(length)) = (self.last.take(), self.found.last_mut()) {
            length.seconds = length.seconds.saturating_add(unit / 2);
        }
        self.counts.clear();
    }

    /// Gives the numbers that wait their unit; the first goes on with the length before it, if its unit is smaller.
    fn put(&mut self, (seconds, loose): (u64, bool)) {
        for (place, count) in self.counts.drain(..).enumerate() {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts of minutes and days are small, and too large ones saturate"
            )]
            let length = Length { seconds: (count * seconds as f64).round() as u64, loose };
            let goes_on = place == 0 && self.last.is_some_and(|bigger| bigger > seconds);
            match self.found.last_mut().filter(|_| goes_on) {
                Some(bigger) => *bigger = bigger.plus(length),
                None => self.found.push(length),
            }
        }
        self.last = Some(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_found_in_digits_and_in_words() {
        for (text, minutes) in [
            ("매일 30분씩 걷기", vec![30]),
            ("1시간 30분 동안", vec![90]),
            ("3시간 반 걸렸다", vec![210]),
            ("세 시간 걸렸다", vec![180]),
            ("두 달 동안", vec![86_400]),
            ("삼십 분씩", vec![30]),
            ("스물다섯 시간, 예순 분", vec![1_500, 60]),
            ("thirteen minutes", vec![13]),
            ("일주일 동안", vec![10_080]),
            ("4월 4일까지 30분", vec![30]),
            ("20~30분", vec![20, 30]),
            ("half an hour every day", vec![30]),
            ("an hour and a half", vec![90]),
            ("two and a half hours", vec![150]),
            ("1 hour 30 minutes", vec![90]),
            ("1h 30m", vec![90]),
            ("a 90-minute class", vec![90]),
            ("for 1.5 hours", vec![90]),
            ("run 10 km", vec![]),
            ("in 2027", vec![]),
        ] {
            let expected: Vec<u64> = minutes.iter().map(|minutes: &u64| minutes * 60).collect();
            let found: Vec<u64> = lengths(text).iter().map(|length| length.seconds).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_month_is_as_long_as_whoever_counts_it() {
        let months = lengths("three months").first().copied().unwrap();
        assert!(
            months.equals(Length::of_minutes(90 * 1_440)) && months.equals(Length::of_minutes(91 * 1_440))
        );
        assert!(!months.equals(Length::of_minutes(60 * 1_440)));
    }
}
