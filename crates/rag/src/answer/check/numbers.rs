//! The numbers of a sentence, by value and unit.

use pumasi_core::text::normalize;

/// A number as it is claimed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    pub(super) unit: Unit,
    /// Whether it is one of something in words, or a day that something happens on: what bears a claim out, and mostly is none.
    pub(super) is_weak: bool,
}

/// What is counted. Lengths of time are brought to seconds and days, distances to metres, masses to grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    Seconds,
    Days,
    Months,
    Years,
    Metres,
    Miles,
    Grams,
    Litres,
    Percent,
    Degrees,
    Times,
    Sets,
    Money,
    Steps,
    /// Minutes of a clock, which may or may not have said which half of the day it is.
    Clock,
    /// What a Korean counter counts, by one counter for all that count the same.
    Counted(char),
}

impl Unit {
    pub(super) const fn is_time(self) -> bool {
        matches!(self, Self::Seconds | Self::Days | Self::Months | Self::Years)
    }
}

impl Number {
    const fn weak(value: f64, unit: Unit) -> Self {
        Self { value, unit, is_weak: true }
    }

    /// Tells whether the two measure the same, so that one could stand in the other's place.
    pub(super) fn is_of_the_kind_of(self, other: Self) -> bool {
        self.unit == other.unit || (self.unit.is_time() && other.unit.is_time())
    }

    /// Tells whether a source that names `self` bears out a claim of `other`.
    pub(super) fn bears_out(self, other: Self) -> bool {
        let half_days =
            if self.unit == Unit::Clock && other.unit == Unit::Clock { 720.0 } else { f64::INFINITY };
        let apart = (self.value - other.value).abs() % half_days;
        let near = apart <= self.value.abs().max(other.value.abs()) * 1e-6;
        near && (self.unit == other.unit || self.unit == Unit::None || other.unit == Unit::None)
    }
}

/// Units with what one of them is, longest first where one begins another.
const UNITS: &[(&str, Unit, f64)] = &[
    ("킬로미터", Unit::Metres, 1_000.0),
    ("kilometre", Unit::Metres, 1_000.0),
    ("kilometer", Unit::Metres, 1_000.0),
    ("kilogram", Unit::Grams, 1_000.0),
    ("킬로그램", Unit::Grams, 1_000.0),
    ("millimetre", Unit::Metres, 0.001),
    ("millimeter", Unit::Metres, 0.001),
    ("microgram", Unit::Grams, 0.000_001),
    ("마이크로그램", Unit::Grams, 0.000_001),
    ("percent", Unit::Percent, 1.0),
    ("프로", Unit::Percent, 1.0),
    ("퍼센트", Unit::Percent, 1.0),
    ("second", Unit::Seconds, 1.0),
    ("minute", Unit::Seconds, 60.0),
    ("degree", Unit::Degrees, 1.0),
    ("week", Unit::Days, 7.0),
    ("month", Unit::Months, 1.0),
    ("year", Unit::Years, 1.0),
    ("decade", Unit::Years, 10.0),
    ("hour", Unit::Seconds, 3_600.0),
    ("day", Unit::Days, 1.0),
    ("time", Unit::Times, 1.0),
    ("set", Unit::Sets, 1.0),
    ("mile", Unit::Miles, 1.0),
    ("metre", Unit::Metres, 1.0),
    ("meter", Unit::Metres, 1.0),
    ("gram", Unit::Grams, 1.0),
    ("litre", Unit::Litres, 1.0),
    ("liter", Unit::Litres, 1.0),
    ("euro", Unit::Money, 1.0),
    ("won", Unit::Money, 1.0),
    ("dollar", Unit::Money, 1.0),
    ("pound", Unit::Money, 1.0),
    ("달러", Unit::Money, 1.0),
    ("step", Unit::Steps, 1.0),
    ("시간", Unit::Seconds, 3_600.0),
    ("개월", Unit::Months, 1.0),
    ("걸음", Unit::Steps, 1.0),
    ("세트", Unit::Sets, 1.0),
    ("리터", Unit::Litres, 1.0),
    ("그램", Unit::Grams, 1.0),
    ("미터", Unit::Metres, 1.0),
    ("유로", Unit::Money, 1.0),
    ("km", Unit::Metres, 1_000.0),
    ("kg", Unit::Grams, 1_000.0),
    ("ml", Unit::Litres, 0.001),
    ("mm", Unit::Metres, 0.001),
    ("cm", Unit::Metres, 0.01),
    ("min", Unit::Seconds, 60.0),
    ("pm", Unit::Clock, 60.0),
    ("am", Unit::Clock, 60.0),
    ("o'clock", Unit::Clock, 60.0),
    ("번", Unit::Times, 1.0),
    ("회", Unit::Times, 1.0),
    ("시", Unit::Clock, 60.0),
    ("분", Unit::Seconds, 60.0),
    ("초", Unit::Seconds, 1.0),
    ("일", Unit::Days, 1.0),
    ("주", Unit::Days, 7.0),
    ("달", Unit::Months, 1.0),
    ("년", Unit::Years, 1.0),
    ("도", Unit::Degrees, 1.0),
    ("원", Unit::Money, 1.0),
    ("세", Unit::Years, 1.0),
    ("살", Unit::Years, 1.0),
    ("명", Unit::Counted('명'), 1.0),
    ("사람", Unit::Counted('명'), 1.0),
    ("인", Unit::Counted('명'), 1.0),
    ("권", Unit::Counted('권'), 1.0),
    ("장", Unit::Counted('장'), 1.0),
    ("개", Unit::Counted('개'), 1.0),
    ("컵", Unit::Counted('컵'), 1.0),
    ("잔", Unit::Counted('잔'), 1.0),
    ("병", Unit::Counted('병'), 1.0),
    ("마리", Unit::Counted('마'), 1.0),
    ("층", Unit::Counted('층'), 1.0),
    ("대", Unit::Counted('대'), 1.0),
    ("%", Unit::Percent, 1.0),
    ("g", Unit::Grams, 1.0),
    ("m", Unit::Metres, 1.0),
    ("l", Unit::Litres, 1.0),
];

/// Words that are a number, or a number with its unit.
const WORDS: &[(&str, f64, Unit)] = &[
    ("이틀", 2.0, Unit::Days),
    ("사흘", 3.0, Unit::Days),
    ("나흘", 4.0, Unit::Days),
    ("닷새", 5.0, Unit::Days),
    ("열흘", 10.0, Unit::Days),
    ("보름", 15.0, Unit::Days),
    ("일주일", 7.0, Unit::Days),
    ("절반", 50.0, Unit::Percent),
    ("반으로", 50.0, Unit::Percent),
    ("반 ", 50.0, Unit::Percent),
    ("half an hour", 1_800.0, Unit::Seconds),
    ("half a day", 12.0 * 3_600.0, Unit::Seconds),
    ("half a year", 6.0, Unit::Months),
    ("half", 50.0, Unit::Percent),
    ("twice", 2.0, Unit::Times),
    ("two", 2.0, Unit::None),
    ("three", 3.0, Unit::None),
    ("four", 4.0, Unit::None),
    ("five", 5.0, Unit::None),
    ("six", 6.0, Unit::None),
    ("seven", 7.0, Unit::None),
    ("eight", 8.0, Unit::None),
    ("nine", 9.0, Unit::None),
    ("ten", 10.0, Unit::None),
    ("twelve", 12.0, Unit::None),
    ("fifteen", 15.0, Unit::None),
    ("twenty", 20.0, Unit::None),
    ("thirty", 30.0, Unit::None),
    ("sixty", 60.0, Unit::None),
    ("ninety", 90.0, Unit::None),
];

/// Native Korean numerals: tens and ones, as they stand before a counter and alone.
const TENS: &[(&str, f64)] = &[
    ("열", 10.0),
    ("스물", 20.0),
    ("스무", 20.0),
    ("서른", 30.0),
    ("마흔", 40.0),
    ("쉰", 50.0),
    ("예순", 60.0),
    ("일흔", 70.0),
    ("여든", 80.0),
    ("아흔", 90.0),
];
const ONES: &[(&str, f64)] = &[
    ("한", 1.0),
    ("두", 2.0),
    ("세", 3.0),
    ("네", 4.0),
    ("다섯", 5.0),
    ("여섯", 6.0),
    ("일곱", 7.0),
    ("여덟", 8.0),
    ("아홉", 9.0),
];

/// One of something, in words.
const WEAK: &[(&str, f64, Unit)] = &[
    ("하루", 1.0, Unit::Days),
    ("매일", 1.0, Unit::Days),
    ("매주", 7.0, Unit::Days),
    ("매달", 1.0, Unit::Months),
    ("매월", 1.0, Unit::Months),
    ("매년", 1.0, Unit::Years),
    ("당일", 0.0, Unit::Days),
    ("daily", 1.0, Unit::Days),
    ("nightly", 1.0, Unit::Days),
    ("weekly", 7.0, Unit::Days),
    ("monthly", 1.0, Unit::Months),
    ("yearly", 1.0, Unit::Years),
    ("once", 1.0, Unit::Times),
    ("on the day", 0.0, Unit::Days),
];

/// Collects the numbers that a text names.
///
/// One of something (`한 달`, `a week`, `one day`) is weak unless it is written in digits: it mostly says how often, not how much.
pub(super) fn numbers(text: &str) -> Vec<Number> {
    let normal = normalize(text);
    let text = normal.as_str();
    let mut found: Vec<Number> = Vec::new();
    // numbers that wait for the unit of the one that they form a range with
    let mut open = 0;
    let mut at = 0;
    let mut before = ' ';
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let starts_word = !before.is_alphanumeric();
        if starts_word && let Some((length, number)) = weak(rest) {
            found.push(number);
            open = 0;
            before = ' ';
            at += length;
            continue;
        }
        let (length, value, unit) = if starts_word && let Some((length, minutes)) = clock(rest) {
            (length, Some(minutes), Unit::Clock)
        } else if c.is_ascii_digit() {
            let (length, value) = literal(rest);
            // letters with digits are names: mp3
            (length, (!before.is_ascii_alphabetic()).then_some(value), Unit::None)
        } else if starts_word && let Some((length, value, unit)) = word(rest) {
            (length, Some(value), unit)
        } else {
            (c.len_utf8(), None, Unit::None)
        };
        let after = text.get(at + length..).unwrap_or_default();
        if let Some(value) = value {
            // 2만, 3천; but the 만 of 절반만 is a particle
            let (value, after_magnitude) =
                if c.is_ascii_digit() { magnitude(value, after) } else { (value, after) };
            let (number, is_open) = match unit {
                Unit::None => unit_of(value, after_magnitude),
                unit => (Number { value, unit, is_weak: false }, false),
            };
            if !is_open {
                for waiting in found.iter_mut().rev().take(open) {
                    if waiting.unit == Unit::None {
                        *waiting = scaled(waiting.value, after_magnitude).unwrap_or(*waiting);
                    }
                }
            }
            open = if is_open { open + 1 } else { 0 };
            found.push(number);
        }
        before = text.get(at..at + length).and_then(|piece| piece.chars().next_back()).unwrap_or(' ');
        at += length;
    }
    found
}

/// Reads a time of day, 14:30, as minutes.
fn clock(rest: &str) -> Option<(usize, f64)> {
    let (hours, after) = rest.split_once(':').filter(|(hours, _)| matches!(hours.len(), 1 | 2))?;
    let minutes = after.get(..2).filter(|_| {
        !after
            .get(2..)
            .is_some_and(|more| more.starts_with([':', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']))
    })?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (hour, minute): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let is_one = is_number(hours) && is_number(minutes) && hour < 25 && minute < 60;
    is_one.then(|| (hours.len() + 3, f64::from(hour * 60 + minute)))
}

/// Reads digits with thousands separators and decimals.
fn literal(rest: &str) -> (usize, f64) {
    let mut length = 0;
    let mut digits = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_is_digit = chars.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        match c {
            '0'..='9' => digits.push(c),
            ',' if next_is_digit
                && rest
                    .get(at + 1..at + 4)
                    .is_some_and(|three| three.bytes().all(|b| b.is_ascii_digit())) => {}
            '.' if next_is_digit && !digits.contains('.') => digits.push('.'),
            _ => break,
        }
        length = at + c.len_utf8();
    }
    (length, digits.parse().unwrap_or(0.0))
}

/// Reads a number that is written in words: its length, its value, and its unit if it has one.
fn word(rest: &str) -> Option<(usize, f64, Unit)> {
    let is_word = |(word, _, unit): &(&str, f64, Unit)| {
        let Some(after) = rest.strip_prefix(word) else { return false };
        let ends = !after.starts_with(char::is_alphanumeric);
        // how often, not how long: 일주일에
        if word.is_ascii() {
            ends
        } else {
            *unit != Unit::None && !(*word == "일주일" && after.starts_with("에"))
        }
    };
    if let Some((word, value, unit)) = WORDS.iter().copied().find(is_word) {
        return Some((word.len(), value, unit));
    }
    let (length, value) = numeral(rest)?;
    (value > 1.0).then_some((length, value, Unit::None))
}

/// Tells whether a word is a native Korean numeral, whole.
pub(super) fn is_numeral(word: &str) -> bool {
    let strip = |list: &[(&str, f64)], rest: &str| {
        list.iter().find_map(|(word, _)| rest.strip_prefix(word)).map_or(rest.len(), str::len)
    };
    let after_tens = strip(TENS, word);
    let rest = word.get(word.len() - after_tens..).unwrap_or_default();
    !word.is_empty() && (rest.is_empty() || strip(ONES, rest) == 0)
}

/// Reads a native Korean numeral: 두 번, 세트, 열세 살; but not 두통, 네모, 열이 나면: what follows is a space or a counter.
fn numeral(rest: &str) -> Option<(usize, f64)> {
    let begins = |list: &[(&str, f64)], rest: &str| {
        list.iter().find(|(word, _)| rest.starts_with(word)).map(|(word, value)| (word.len(), *value))
    };
    let (tens, ten) = begins(TENS, rest).unwrap_or_default();
    let (ones, one) = begins(ONES, rest.get(tens..)?).unwrap_or_default();
    let after = rest.get(tens + ones..)?;
    let is_counted = after.starts_with([
        ' ', '번', '시', '달', '주', '켤', '걸', '명', '가', '살', '권', '장', '개', '컵', '잔', '병', '마',
        '대', '배', '줄', '조', '차', '군', '사',
    ]);
    (tens + ones > 0 && is_counted).then_some((tens + ones, ten + one))
}

/// Reads one of something, and days that something happens on.
fn weak(rest: &str) -> Option<(usize, Number)> {
    let is_word = |(word, ..): &(&str, f64, Unit)| {
        let after = rest.strip_prefix(word);
        after.is_some_and(|after| !word.is_ascii() || !after.starts_with(char::is_alphanumeric))
    };
    if let Some((word, value, unit)) = WEAK.iter().copied().find(is_word) {
        return Some((word.len(), Number::weak(value, unit)));
    }
    if let Some(length) =
        rest.strip_prefix("일주일").filter(|after| after.starts_with("에")).map(|_| "일주일".len())
    {
        return Some((length, Number::weak(7.0, Unit::Days)));
    }
    if let Some((length, 1.0)) = numeral(rest) {
        let number = scaled(1.0, rest.get(length..)?).unwrap_or(Number::weak(1.0, Unit::None));
        return Some((length, Number { is_weak: true, ..number }));
    }
    let article =
        ["an ", "a ", "one ", "every ", "each ", "per "].iter().find(|word| rest.starts_with(**word))?;
    let number = scaled(1.0, rest.get(article.len()..)?);
    let number = if *article == "one " { number.or(Some(Number::weak(1.0, Unit::None))) } else { number };
    number.map(|number| (article.len(), Number { is_weak: true, ..number }))
}

/// Multiplies by what Korean writes behind a number: `2만`, `3천`.
fn magnitude(value: f64, after: &str) -> (f64, &str) {
    for (sign, factor) in [('만', 10_000.0), ('천', 1_000.0), ('백', 100.0), ('억', 100_000_000.0)] {
        if let Some(rest) = after.strip_prefix(sign) {
            return (value * factor, rest);
        }
    }
    (value, after)
}

/// Reads the unit behind a number; tells whether a range goes on instead.
fn unit_of(value: f64, after: &str) -> (Number, bool) {
    if let Some(number) = scaled(value, after) {
        return (number, false);
    }
    let next = after.trim_start();
    let goes_on = |rest: &str| rest.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let is_range = ["~", "-", "–", "to ", "and ", "or ", "에서", "내지"]
        .iter()
        .any(|sign| next.strip_prefix(sign).is_some_and(goes_on));
    (Number { value, unit: Unit::None, is_weak: false }, is_range)
}

fn scaled(value: f64, after: &str) -> Option<Number> {
    let next = after.strip_prefix([' ', '-']).unwrap_or(after);
    let (name, unit, factor) = UNITS.iter().copied().find(|(name, ..)| {
        let Some(rest) = next.strip_prefix(name) else { return false };
        // a short sign is a unit only where the word ends or a Korean particle begins
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        !(name.is_ascii() && rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    })?;
    // 시 of a clock, 분 of people and 일 of a date cannot be told apart; they are compared all the same
    let _ = name;
    Some(Number { value: value * factor, unit, is_weak: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(f64, Unit)> {
        let strong = numbers(text).into_iter().filter(|number| !number.is_weak);
        strong.map(|number| (number.value, number.unit)).collect()
    }

    #[test]
    fn reads_numbers_with_their_units_in_korean_and_english() {
        assert_eq!(read("15번씩 3세트"), [(15.0, Unit::Times), (3.0, Unit::Sets)]);
        assert_eq!(read("20~40분"), [(1_200.0, Unit::Seconds), (2_400.0, Unit::Seconds)]);
        assert_eq!(read("8g에서 10g"), [(8.0, Unit::Grams), (10.0, Unit::Grams)]);
        assert_eq!(read("4 to 6 weeks"), [(28.0, Unit::Days), (42.0, Unit::Days)]);
        assert_eq!(read("사흘 쉬고 두 번"), [(3.0, Unit::Days), (2.0, Unit::Times)]);
        assert_eq!(read("2만 원"), [(20_000.0, Unit::Money)]);
        assert_eq!(read("20,000 won"), [(20_000.0, Unit::Money)]);
        assert_eq!(read("a 3-minute test"), [(180.0, Unit::Seconds)]);
        assert_eq!(read("1.4 to 1.7 grams"), [(1.4, Unit::Grams), (1.7, Unit::Grams)]);
        assert_eq!(read("거리의 절반, half"), [(50.0, Unit::Percent), (50.0, Unit::Percent)]);
        assert_eq!(read("거리의 절반만"), [(50.0, Unit::Percent)]);
        assert_eq!(read("65~75%"), [(65.0, Unit::Percent), (75.0, Unit::Percent)]);
        assert_eq!(read("두통과 세상과 네모, 열이 나면"), []);
        assert_eq!(read("열세 살, 책 다섯 권"), [(13.0, Unit::Years), (5.0, Unit::Counted('권'))]);
        assert_eq!(read("일주일 전까지, 일주일에 한 번"), [(7.0, Unit::Days)]);
    }

    #[test]
    fn one_of_something_is_weak() {
        let weak = |text: &str| {
            let weak = numbers(text).into_iter().filter(|number| number.is_weak);
            weak.map(|number| (number.value, number.unit)).collect::<Vec<_>>()
        };
        assert_eq!(weak("사진 한 장을 하루에"), [(1.0, Unit::Counted('장')), (1.0, Unit::Days)]);
        assert_eq!(
            weak("once an hour, every day"),
            [(1.0, Unit::Times), (3_600.0, Unit::Seconds), (1.0, Unit::Days)]
        );
        assert_eq!(weak("접종한 당일에 운동합니다"), [(0.0, Unit::Days)]);
    }

    #[test]
    fn lengths_of_time_agree_whatever_their_unit() {
        let one = |text: &str| numbers(text)[0];
        assert!(one("14일").bears_out(one("2주")));
        assert!(one("60 seconds").bears_out(one("1 minute")));
        assert!(!one("3시간").bears_out(one("3%")));
        assert!(!one("15분").bears_out(one("40분")));
    }
}
