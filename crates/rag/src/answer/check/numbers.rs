//! The numbers of a sentence, by value and unit.

use std::hash::{DefaultHasher, Hasher as _};

use pumasi_core::text::normalize;

use super::numerals::{english, magnitude, numeral, sino};
use super::units::{UNITS, Unit};

/// A number as it is claimed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    pub(super) unit: Unit,
    /// Whether it is one of something in words, or a day that something happens on: what bears a claim out, and mostly is none.
    pub(super) is_weak: bool,
    /// The words beside it.
    sides: [Side; 2],
}

/// A word beside a number, as hashes: 0 for none, or one that stands beside any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Side {
    word: u64,
    /// How it begins.
    head: u64,
}

/// Words that stand beside any number.
const BESIDE_ANY: &[&str] = &[
    "for", "of", "the", "a", "an", "in", "at", "with", "and", "or", "to", "about", "from", "by", "is", "are",
    "then", "only", "just", "it", "as", "on", "be", "than", "least", "most", "up", "over", "under", "more",
    "약", "최대", "최소", "총", "매", "더", "정도", "이상", "이하", "동안", "넘게", "안에", "뒤", "후", "전",
];

impl Side {
    /// Reads the word that a text begins or ends with, if nothing but a space parts it.
    fn of(text: &str, is_end: bool) -> Self {
        let text = if is_end { text.strip_suffix(' ') } else { text.strip_prefix(' ') };
        let Some(text) = text else { return Self::default() };
        let mut pieces = text.split(|c: char| !c.is_alphanumeric());
        let word = if is_end { pieces.next_back() } else { pieces.next() }.unwrap_or_default();
        if word.is_empty() || BESIDE_ANY.contains(&word) || word.contains(|c: char| c.is_ascii_digit()) {
            return Self::default();
        }
        let word = if matches!(word, "each" | "per") { "every" } else { word };
        let hash = |letters: usize| {
            let mut hasher = DefaultHasher::new();
            word.chars().take(letters).for_each(|c| hasher.write_u32(u32::from(c)));
            hasher.finish().max(1)
        };
        // particles and endings do not tell Korean words apart
        let (whole, head) = if word.is_ascii() { (usize::MAX, 4) } else { (2, 1) };
        Self { word: hash(whole), head: hash(head) }
    }
}

impl Number {
    fn new(value: f64, unit: Unit) -> Self {
        Self { value, unit, is_weak: false, sides: [Side::default(); 2] }
    }

    const fn weak(value: f64, unit: Unit) -> Self {
        Self { value, unit, is_weak: true, sides: [Side { word: 0, head: 0 }; 2] }
    }

    /// Joins what is written in two units: 1시간 30분, 7시 30분, 1 m 80 cm.
    fn with_rest(self, rest: Self) -> Option<Self> {
        let is_part = |whole: f64| self.value % whole == 0.0 && self.value >= whole && rest.value < whole;
        let joins = match (self.unit, rest.unit) {
            (Unit::Seconds, Unit::Seconds) => is_part(3_600.0) || is_part(60.0),
            (Unit::Metres, Unit::Metres) => is_part(1_000.0) || is_part(1.0),
            // minutes of the hour
            (Unit::Clock, Unit::Seconds) => self.value % 60.0 == 0.0 && rest.value < 3_600.0,
            _ => false,
        };
        let more = if self.unit == Unit::Clock { rest.value / 60.0 } else { rest.value };
        let sides = [self.sides[0], rest.sides[1]];
        joins.then_some(Self { value: self.value + more, sides, ..self })
    }

    /// Tells whether the same word stands beside the two, on the same side; loosely: one that begins the same.
    pub(super) fn is_beside_the_same(self, other: Self, is_loose: bool) -> bool {
        let mut sides = self.sides.iter().zip(&other.sides);
        sides.any(
            |(a, b)| if is_loose { a.head != 0 && a.head == b.head } else { a.word != 0 && a.word == b.word },
        )
    }

    /// Tells whether a word stands beside it that tells it from other numbers.
    pub(super) fn has_sides(self) -> bool {
        self.sides.iter().any(|side| side.word != 0)
    }

    /// Tells whether the two measure the same, so that one could stand in the other's place.
    pub(super) fn is_of_the_kind_of(self, other: Self) -> bool {
        self.unit.agrees(other.unit) || (self.unit.is_time() && other.unit.is_time())
    }

    /// Tells whether a source that names `self` bears out a claim of `other`.
    pub(super) fn bears_out(self, other: Self) -> bool {
        let half_days =
            if self.unit == Unit::Clock && other.unit == Unit::Clock { 720.0 } else { f64::INFINITY };
        let apart = (self.value - other.value).abs() % half_days;
        let near = apart <= self.value.abs().max(other.value.abs()) * 1e-6;
        near && (self.unit.agrees(other.unit) || self.unit == Unit::None || other.unit == Unit::None)
    }
}

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
    // where the unit of the last number ends
    let mut unit_end = 0;
    let mut at = 0;
    let mut before = ' ';
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let starts_word = !before.is_alphanumeric();
        if starts_word && let Some((length, number)) = weak(rest) {
            found.push(number);
            (open, unit_end) = (0, 0);
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
            let (number, name, is_open) = match unit {
                Unit::None => unit_of(value, after_magnitude),
                unit => (Number::new(value, unit), "", false),
            };
            if !is_open {
                for waiting in found.iter_mut().rev().take(open) {
                    if waiting.unit == Unit::None {
                        *waiting =
                            scaled(waiting.value, after_magnitude).map_or(*waiting, |(number, _)| number);
                    }
                }
            }
            open = if is_open { open + 1 } else { 0 };
            let blank = after_magnitude.len() - after_magnitude.trim_start_matches([' ', '-']).len();
            let unit = after_magnitude.get(blank + name.len()..).filter(|_| !name.is_empty());
            let rest = unit.unwrap_or(after_magnitude);
            let rest = rest.strip_prefix('s').filter(|_| name.is_ascii() && !name.is_empty()).unwrap_or(rest);
            let behind = rest.trim_start_matches(char::is_alphanumeric);
            let sides = [Side::of(text.get(..at).unwrap_or_default(), true), Side::of(behind, false)];
            let number = Number { sides, ..number };
            let goes_on =
                unit_end > 0 && text.get(unit_end..at).is_some_and(|gap| matches!(gap.trim(), "" | "and"));
            let whole = found.last().filter(|_| goes_on).and_then(|last| last.with_rest(number));
            if whole.is_some() {
                found.pop();
            }
            found.push(whole.unwrap_or(number));
            unit_end = if name.is_empty() { 0 } else { text.len() - rest.len() };
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
    if let Some((length, value)) = english(rest).or_else(|| sino(rest)) {
        return Some((length, value, Unit::None));
    }
    let (length, value) = numeral(rest)?;
    (value > 1.0).then_some((length, value, Unit::None))
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
        let number = scaled(1.0, rest.get(length..)?);
        let number = number.map_or(Number::weak(1.0, Unit::None), |(number, _)| number);
        return Some((length, Number { is_weak: true, ..number }));
    }
    let article =
        ["an ", "a ", "one ", "every ", "each ", "per "].iter().find(|word| rest.starts_with(**word))?;
    let number = scaled(1.0, rest.get(article.len()..)?).map(|(number, _)| number);
    let number = if *article == "one " { number.or(Some(Number::weak(1.0, Unit::None))) } else { number };
    number.map(|number| (article.len(), Number { is_weak: true, ..number }))
}

/// Reads the unit behind a number, and how it is written; tells whether a range goes on instead.
fn unit_of(value: f64, after: &str) -> (Number, &'static str, bool) {
    if let Some((number, name)) = scaled(value, after) {
        return (number, name, false);
    }
    // 5k
    if after.strip_prefix('k').is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)) {
        return (Number::new(value * 1_000.0, Unit::None), "", false);
    }
    let next = after.trim_start();
    let goes_on = |rest: &str| rest.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let is_range = ["~", "-", "–", "to ", "and ", "or ", "에서", "내지"]
        .iter()
        .any(|sign| next.strip_prefix(sign).is_some_and(goes_on));
    (Number::new(value, Unit::None), "", is_range)
}

/// Reads a unit, and how it is written.
pub(super) fn scaled(value: f64, after: &str) -> Option<(Number, &'static str)> {
    let next = after.strip_prefix([' ', '-']).unwrap_or(after);
    let (name, unit, factor) = UNITS.iter().copied().find(|(name, ..)| {
        let Some(rest) = next.strip_prefix(name) else { return false };
        // a short sign is a unit only where the word ends or a Korean particle begins
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let is_other = name.is_ascii() && rest.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_longer =
            *name == "킬로" && ["와트", "바이트", "헤르츠"].iter().any(|more| rest.starts_with(more));
        !is_other && !is_longer
    })?;
    // 시 of a clock, 분 of people and 일 of a date cannot be told apart; they are compared all the same
    Some((Number::new(value * factor, unit), name))
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
    fn reads_units_in_full_and_numbers_in_words() {
        assert_eq!(
            read("150밀리리터, 3센티, 200밀리그램"),
            [(0.15, Unit::Litres), (0.03, Unit::Metres), (0.2, Unit::Grams)]
        );
        assert_eq!(read("150 millilitres, 200 mg"), [(0.15, Unit::Litres), (0.2, Unit::Grams)]);
        assert_eq!(read("a 5k race, 300킬로칼로리"), [(5_000.0, Unit::None), (300.0, Unit::Calories)]);
        assert_eq!(read("석 달, 넉 주 동안"), [(3.0, Unit::Months), (28.0, Unit::Days)]);
        assert_eq!(
            read("백오십 ml, 천 km, 삼십 일, 오백 미터"),
            [(0.15, Unit::Litres), (1_000_000.0, Unit::Metres), (30.0, Unit::Days), (500.0, Unit::Metres)]
        );
        assert_eq!(
            read("이십오 분, 삼 개월, 백 미터, 이만 오천 원"),
            [(1_500.0, Unit::Seconds), (3.0, Unit::Months), (100.0, Unit::Metres), (25_000.0, Unit::Money)]
        );
        assert_eq!(read("천장과 백신, 만약 사 주세요. 십자인대와 이 분과 구분, 오일, 만일 천천히 사회"), []);
        assert_eq!(
            read("every forty-five minutes, two hundred and fifty metres"),
            [(2_700.0, Unit::Seconds), (250.0, Unit::Metres)]
        );
    }

    #[test]
    fn what_is_written_in_two_units_is_one_number() {
        for (text, number) in [
            ("1시간 30분", (5_400.0, Unit::Seconds)),
            ("1 hour 30 minutes", (5_400.0, Unit::Seconds)),
            ("2 hours and 5 minutes", (7_500.0, Unit::Seconds)),
            ("오전 7시 30분", (450.0, Unit::Clock)),
            ("1m 80cm", (1.8, Unit::Metres)),
        ] {
            assert_eq!(read(text), [number], "{text}");
        }
        assert_eq!(read("20분 걷고 5분 뜁니다").len(), 2);
        assert_eq!(read("10km, 5km").len(), 2);
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
        assert!(one("18km").bears_out(one("18킬로")) && one("60kg").bears_out(one("60 kilos")));
        assert!(!one("18km").bears_out(one("18kg")) && !one("18kg").bears_out(one("18 m")));
        assert!(one("90분").bears_out(one("1시간 30분")));
    }
}
