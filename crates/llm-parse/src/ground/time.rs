//! The days and the lengths of time that a text names, Korean and English.

use unicode_normalization::UnicodeNormalization as _;

/// A day, as far as the text names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) year: Option<u32>,
    pub(crate) month: Option<u32>,
    pub(crate) day: Option<u32>,
}

impl Day {
    fn of(year: Option<u32>, month: u32, day: Option<u32>) -> Option<Self> {
        let fits = (1..=12).contains(&month) && day.is_none_or(|day| (1..=31).contains(&day));
        fits.then_some(Self { year, month: Some(month), day })
    }

    /// Tells whether this may be the day `other`: no part that both name differs.
    pub(crate) fn may_be(self, other: Self) -> bool {
        let agree = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        agree(self.year, other.year) && agree(self.month, other.month) && agree(self.day, other.day)
    }

    /// Tells whether year, month and day are all named.
    pub(crate) fn is_whole(self) -> bool {
        self.year.is_some() && self.month.is_some() && self.day.is_some()
    }
}

/// Reads `YYYY-MM-DD` at the start of a value.
pub(crate) fn iso_day(value: &str) -> Option<Day> {
    let mut parts = value.trim().get(..10)?.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    Day::of(Some(year.parse().ok()?), month.parse().ok()?, Some(day.parse().ok()?))
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Length {
    seconds: u64,
    /// Months and years have no one length.
    loose: bool,
}

impl Length {
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

    pub(crate) fn times(self, count: u64) -> Self {
        Self { seconds: self.seconds.saturating_mul(count), loose: self.loose }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { seconds: self.seconds.saturating_add(other.seconds), loose: self.loose || other.loose }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number { value: f64, digits: usize },
    Word(String),
    Mark(char),
}

fn tokens(text: &str) -> Vec<Token> {
    let text: Vec<char> = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let run = |keep: &dyn Fn(char) -> bool| {
            text.get(at..).unwrap_or_default().iter().take_while(|c| keep(**c)).count()
        };
        if c.is_ascii_digit() {
            let whole = run(&|c| c.is_ascii_digit());
            let mut end = at + whole;
            let digit_at = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
            // "1.5", but not the parts of "2027.4.4"
            let part_before = at.checked_sub(1).and_then(|before| text.get(before)) == Some(&'.');
            if text.get(end) == Some(&'.') && digit_at(end + 1) && !part_before && whole < 3 {
                let decimals =
                    text.get(end + 1..).unwrap_or_default().iter().take_while(|c| c.is_ascii_digit()).count();
                let next = end + 1 + decimals;
                if !(text.get(next) == Some(&'.') && digit_at(next + 1)) {
                    end = next;
                }
            }
            let literal: String = text.get(at..end).unwrap_or_default().iter().collect();
            found.push(Token::Number { value: literal.parse().unwrap_or(f64::MAX), digits: whole });
            at = end;
        } else if c.is_alphabetic() {
            let length = run(&|c| c.is_alphabetic() || c == '\'');
            found.push(Token::Word(text.get(at..at + length).unwrap_or_default().iter().collect()));
            at += length;
        } else {
            if !c.is_whitespace() {
                found.push(Token::Mark(c));
            }
            at += 1;
        }
    }
    found
}

impl Token {
    fn integer(&self) -> Option<u32> {
        match self {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
            Self::Number { value, .. } if value.fract() == 0.0 && (0.0..1e9).contains(value) => {
                Some(*value as u32)
            }
            _ => None,
        }
    }

    /// A day or a month: one or two digits.
    fn short(&self) -> Option<u32> {
        matches!(self, Self::Number { digits: 1..=2, .. }).then(|| self.integer()).flatten()
    }

    fn year(&self) -> Option<u32> {
        matches!(self, Self::Number { digits: 4, .. })
            .then(|| self.integer())
            .flatten()
            .filter(|year| (1900..2200).contains(year))
    }

    fn word(&self) -> &str {
        if let Self::Word(word) = self { word } else { "" }
    }

    fn is_mark(&self, marks: &[char]) -> bool {
        matches!(self, Self::Mark(mark) if marks.contains(mark))
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn month_named(word: &str) -> Option<u32> {
    let at = MONTHS
        .iter()
        .position(|month| *month == word || word.len() == 3 && month.starts_with(word))
        .or_else(
            || (word == "sept").then_some(8), // the one name that is cut to four letters
        )?;
    u32::try_from(at + 1).ok()
}

/// Returns the days that `text` names, with as much of each as it names; a number alone is none.
pub(crate) fn days(text: &str) -> Vec<Day> {
    let tokens = tokens(text);
    let none = Token::Mark(' ');
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = |ahead: usize| tokens.get(at + ahead).unwrap_or(&none);
        let ordinal = |ahead: usize| usize::from(matches!(token(ahead).word(), "st" | "nd" | "rd" | "th"));
        let used = if let Some(month) = month_named(token(0).word()) {
            // March 3rd, 2027; March 2027; March
            let day = token(1).short();
            let after = day.map_or(1, |_| 2 + ordinal(2));
            let comma = usize::from(token(after).is_mark(&[',']));
            let year = token(after + comma).year();
            // "may" is a verb more often than a month, and "march" may be one
            if day.is_some() || year.is_some() || !matches!(token(0).word(), "may" | "mar" | "march") {
                found.extend(Day::of(year, month, day));
            }
            after
        } else if let Some(day) = token(0).short()
            && let of = 1 + ordinal(1)
            && let of = of + usize::from(token(of).word() == "of")
            && let Some(month) = month_named(token(of).word())
        {
            // 3 March 2027, 3rd of March
            let comma = usize::from(token(of + 1).is_mark(&[',']));
            found.extend(Day::of(token(of + 1 + comma).year(), month, Some(day)));
            of + 1
        } else if let Some(year) = token(0).year() {
            // 2027-04-04, 2027.4.4, 2027년 4월 4일, 2027년 4월
            let separated = token(1).is_mark(&['-', '.', '/']) || token(1).word().starts_with('년');
            match token(2).short().filter(|_| separated) {
                Some(month) => {
                    let marked = token(3).is_mark(&['-', '.', '/']) || token(3).word().starts_with('월');
                    let day = token(4).short().filter(|_| marked);
                    found.extend(Day::of(Some(year), month, day));
                    if day.is_some() { 5 } else { 3 }
                }
                None => 1,
            }
        } else if let (Some(month), true) = (token(0).short(), token(1).word().starts_with('월')) {
            // 4월 4일, 4월
            let day = token(2).short().filter(|_| token(3).word().starts_with('일'));
            found.extend(Day::of(None, month, day));
            if day.is_some() { 4 } else { 2 }
        } else if let (Some(one), true, Some(two)) =
            (token(0).short(), token(1).is_mark(&['/']), token(2).short())
        {
            // 4/5, 4/5/2027: either may be the month
            let year = token(4).year().filter(|_| token(3).is_mark(&['/']));
            found.extend(Day::of(year, one, Some(two)));
            found.extend(Day::of(year, two, Some(one)));
            3
        } else {
            1
        };
        at += used;
    }
    found
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
    const NATIVE: [(&str, f64); 17] = [
        ("다섯", 5.0),
        ("여섯", 6.0),
        ("일곱", 7.0),
        ("여덟", 8.0),
        ("아홉", 9.0),
        ("스무", 20.0),
        ("서른", 30.0),
        ("마흔", 40.0),
        ("한", 1.0),
        ("두", 2.0),
        ("세", 3.0),
        ("네", 4.0),
        ("석", 3.0),
        ("넉", 4.0),
        ("열", 10.0),
        ("쉰", 50.0),
        ("반", 0.5),
    ];
    const ENGLISH: [(&str, f64); 26] = [
        ("a", 1.0),
        ("an", 1.0),
        ("one", 1.0),
        ("two", 2.0),
        ("couple", 2.0),
        ("three", 3.0),
        ("four", 4.0),
        ("five", 5.0),
        ("six", 6.0),
        ("seven", 7.0),
        ("eight", 8.0),
        ("nine", 9.0),
        ("ten", 10.0),
        ("eleven", 11.0),
        ("twelve", 12.0),
        ("fifteen", 15.0),
        ("eighteen", 18.0),
        ("twenty", 20.0),
        ("thirty", 30.0),
        ("forty", 40.0),
        ("fifty", 50.0),
        ("sixty", 60.0),
        ("seventy", 70.0),
        ("eighty", 80.0),
        ("ninety", 90.0),
        ("hundred", 100.0),
    ];
    if word.is_ascii() {
        return ENGLISH.iter().find(|(name, _)| *name == word).map(|(_, value)| (*value, ""));
    }
    for (name, value) in NATIVE {
        if let Some(rest) = word.strip_prefix(name) {
            // 열두, 스물다섯
            let more = numeral(rest).filter(|(more, _)| value >= 10.0 && *more < 10.0 && *more >= 1.0);
            return Some(more.map_or((value, rest), |(more, rest)| (value + more, rest)));
        }
    }
    // 삼십, 이십오, 육
    let (mut value, mut digit, mut end) = (0.0, 0.0, 0);
    for (at, c) in word.char_indices() {
        match "일이삼사오육칠팔구".chars().position(|known| known == c) {
            Some(place) if digit == 0.0 => digit = f64::from(u32::try_from(place + 1).unwrap_or(0)),
            _ if c == '십' && value == 0.0 => {
                value = 10.0 * f64::max(digit, 1.0);
                digit = 0.0;
            }
            _ => break,
        }
        end = at + c.len_utf8();
    }
    (end > 0).then(|| (value + digit, word.get(end..).unwrap_or_default()))
}

/// Returns the lengths of time that `text` names; parts that belong together (`1시간 30분`) as one.
pub(crate) fn lengths(text: &str) -> Vec<Length> {
    let tokens = tokens(text);
    let mut found: Vec<Length> = Vec::new();
    // numbers that wait for their unit: "20~30분" names two lengths
    let mut counts: Vec<f64> = Vec::new();
    let mut halved = false;
    // the unit of the length just read, which smaller ones are added to
    let mut last: Option<u64> = None;
    let put = |found: &mut Vec<Length>, counts: &mut Vec<f64>, last: &mut Option<u64>, unit: (u64, bool)| {
        let (seconds, loose) = unit;
        for (place, count) in counts.drain(..).enumerate() {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts of minutes and days are small, and too large ones saturate"
            )]
            let length = Length { seconds: (count * seconds as f64).round() as u64, loose };
            match found.last_mut().filter(|_| place == 0 && last.is_some_and(|bigger| bigger > seconds)) {
                Some(bigger) => *bigger = bigger.plus(length),
                None => found.push(length),
            }
        }
        *last = Some(seconds);
    };
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Number { value, digits } => {
                if *digits == 4 && (1900.0..2200.0).contains(value) {
                    counts.clear();
                    last = None;
                } else {
                    // "a 90-minute class"
                    if at > 0 && tokens.get(at - 1).is_some_and(|before| matches!(before.word(), "a" | "an"))
                    {
                        counts.clear();
                    }
                    counts.push(*value);
                }
            }
            Token::Mark('~' | '-' | '–') => {}
            Token::Mark(_) => {
                counts.clear();
                last = None;
            }
            Token::Word(word) => {
                let word = word.as_str();
                let day_of_month = at >= 2
                    && word.starts_with('일')
                    && tokens.get(at - 2).is_some_and(|before| before.word().starts_with('월'));
                if day_of_month {
                    counts.clear();
                    last = None;
                } else if word.starts_with('반') && counts.is_empty() && last.is_some() {
                    // 3시간 반
                    counts.push(0.5);
                    if let Some(unit) = last {
                        last = Some(unit.saturating_add(1));
                        put(&mut found, &mut counts, &mut last, (unit, false));
                    }
                    last = None;
                } else if let Some(days) = korean_days(word).filter(|_| counts.is_empty()) {
                    found.push(Length { seconds: days * 86_400, loose: false });
                    last = None;
                } else if let Some(unit) = unit(word).filter(|_| !counts.is_empty()) {
                    if halved {
                        counts.iter_mut().for_each(|count| *count /= 2.0);
                        halved = false;
                    }
                    put(&mut found, &mut counts, &mut last, unit);
                } else if matches!(word, "and" | "to" | "or" | "of" | "하고" | "에서") {
                    // "an hour and a half", "20 to 30 minutes"
                } else if word == "half" {
                    if let Some(unit) = last.filter(|_| counts.as_slice() == [1.0]) {
                        counts.clear();
                        counts.push(0.5);
                        last = Some(unit.saturating_add(1));
                        put(&mut found, &mut counts, &mut last, (unit, false));
                        last = None;
                    } else if counts.is_empty() {
                        halved = true;
                    } else {
                        // "two and a half hours"
                        let article = counts.len() > 1 && counts.last() == Some(&1.0);
                        if article {
                            counts.pop();
                        }
                        if let Some(count) = counts.last_mut() {
                            *count += 0.5;
                        }
                    }
                } else if let Some((value, rest)) = numeral(word) {
                    counts.push(value);
                    match unit(rest) {
                        Some(unit) => put(&mut found, &mut counts, &mut last, unit),
                        None if !rest.is_empty() => counts.clear(),
                        None => {}
                    }
                } else if word == "m" && last == Some(3_600) {
                    put(&mut found, &mut counts, &mut last, (60, false));
                } else {
                    counts.clear();
                    halved = false;
                    last = None;
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: impl Into<Option<u32>>, month: u32, day: impl Into<Option<u32>>) -> Day {
        Day { year: year.into(), month: Some(month), day: day.into() }
    }

    #[test]
    fn days_are_found_in_the_middle_of_a_sentence() {
        for (text, expected) in [
            ("learn Rust by 2027-04-04.", vec![day(2027, 4, 4)]),
            ("2027년 4월 4일까지 끝내기", vec![day(2027, 4, 4)]),
            ("2027. 4. 4. 마감", vec![day(2027, 4, 4)]),
            ("4월 4일까지", vec![day(None, 4, 4)]),
            ("4월까지", vec![day(None, 4, None)]),
            ("due April 4th, 2027, at noon", vec![day(2027, 4, 4)]),
            ("on the 4th of April", vec![day(None, 4, 4)]),
            ("by 4 Apr 2027", vec![day(2027, 4, 4)]),
            ("by 4/5", vec![day(None, 4, 5), day(None, 5, 4)]),
            ("I may run 10 km in 2027", vec![]),
            ("세 번, 30분씩, 10월에", vec![day(None, 10, None)]),
        ] {
            assert_eq!(days(text), expected, "{text}");
        }
    }

    #[test]
    fn lengths_are_found_in_digits_and_in_words() {
        for (text, minutes) in [
            ("매일 30분씩 걷기", vec![30]),
            ("1시간 30분 동안", vec![90]),
            ("3시간 반 걸렸다", vec![210]),
            ("세 시간 걸렸다", vec![180]),
            ("두 달 동안", vec![86_400]),
            ("삼십 분씩", vec![30]),
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
