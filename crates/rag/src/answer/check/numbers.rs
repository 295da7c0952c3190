//! The numbers of a sentence, by value and unit.

use std::hash::{DefaultHasher, Hasher as _};

use pumasi_core::text::normalize;

use super::limits::{Bound, Half, Limit, half, is_said_negative, is_signed};
use super::numerals::{english, magnitude, numeral, sino};
use super::periods::weak;
use super::units::{Currency, UNITS, Unit};

/// A number as it is claimed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    pub(super) unit: Unit,
    /// Whether it is one of something in words, or a day that something happens on: what bears a claim out, and mostly is none.
    pub(super) is_weak: bool,
    /// What it bounds.
    pub(super) limit: Limit,
    /// The half of the day that it says a time is in.
    half: Option<Half>,
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
        // a topic is that of all numbers of its sentence
        let is_topic = is_end && word.ends_with(['은', '는']) && word.chars().nth(2).is_some();
        if is_topic
            || word.is_empty()
            || BESIDE_ANY.contains(&word)
            || word.contains(|c: char| c.is_ascii_digit())
        {
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
    pub(super) fn new(value: f64, unit: Unit) -> Self {
        Self { value, unit, is_weak: false, limit: Limit::default(), half: None, sides: [Side::default(); 2] }
    }

    pub(super) fn weak(value: f64, unit: Unit) -> Self {
        Self { is_weak: true, ..Self::new(value, unit) }
    }

    /// The number as one of something.
    pub(super) fn in_words(self) -> Self {
        Self { is_weak: true, ..self }
    }

    /// Adds what a text around it says of it: `before` it, and `after` its unit.
    fn within(self, before: &str, after: &str) -> Self {
        // of minutes or people it is the mark of a list, or of a range
        let takes_sign = matches!(self.unit, Unit::Degrees | Unit::Percent | Unit::None);
        let is_negative = is_said_negative(before, after) || (takes_sign && is_signed(before));
        let value = if is_negative { -self.value } else { self.value };
        let half = match self.unit {
            Unit::Clock if self.half.is_some() => self.half,
            Unit::Clock if self.value >= 780.0 => Some(Half::Evening),
            Unit::Clock => half(before, after),
            _ => None,
        };
        Self { value, half, limit: Limit::of(before, after), ..self }
    }

    /// Adds what the name of its unit says.
    fn named(self, name: &str) -> Self {
        let half = match name {
            "am" | "a.m" => Some(Half::Morning),
            "pm" | "p.m" => Some(Half::Evening),
            _ => self.half,
        };
        Self { half, ..self }
    }

    /// The lower end of a range: at least so much, unless more is said of it.
    fn opening(self) -> Self {
        let bound = self.limit.bound.or(Some(Bound::Up));
        Self { limit: Limit { bound, ..self.limit }, ..self }
    }

    /// The upper end of a range.
    fn closing(self) -> Self {
        let bound = self.limit.bound.or(Some(Bound::Down));
        Self { limit: Limit { bound, ..self.limit }, ..self }
    }

    /// Tells whether it says how often something happens, in words: a day, 일주일에, monthly.
    pub(super) const fn is_period(self) -> bool {
        self.is_weak && self.unit.is_time() && self.value > 0.0
    }

    /// Tells whether the other names the same length of time, in whatever unit.
    pub(super) fn is_as_often_as(self, other: Self) -> bool {
        other.unit.is_time() && self.bears_out(other)
    }

    /// Tells whether the two bound something to different sides, or stand on different sides of it.
    pub(super) fn excludes(self, other: Self) -> bool {
        self.limit.excludes(other.limit, self.unit == Unit::Clock)
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
        let half = self.half.or(rest.half);
        joins.then_some(Self { value: self.value + more, sides, half, limit: rest.limit, ..self })
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
        let is_other_half = matches!((self.half, other.half), (Some(one), Some(other)) if one != other);
        near && !is_other_half && self.unit.agrees_or_none(other.unit)
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
    ("정오", 720.0, Unit::Clock),
    ("자정", 0.0, Unit::Clock),
    ("noon", 720.0, Unit::Clock),
    ("midnight", 0.0, Unit::Clock),
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
    // whether the last number is the lower end of a range that this one closes
    let mut is_range = false;
    let mut at = 0;
    let mut before = ' ';
    // a sentence that never ends is not read again and again
    let near_before = |at: usize| tail_of(text.get(..at).unwrap_or_default());
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let starts_word = !before.is_alphanumeric();
        if starts_word && let Some((length, number)) = weak(rest) {
            let around = (near_before(at), head_of(rest.get(length..).unwrap_or_default()));
            let number = if number.unit.is_time() { number.within(around.0, around.1) } else { number };
            found.push(number);
            (open, unit_end, is_range) = (0, 0, false);
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
        let mut end = at + length;
        let after = text.get(end..).unwrap_or_default();
        if let Some(value) = value {
            // 2만, 3천; but the 만 of 절반만 is a particle
            let (value, after_magnitude) =
                if c.is_ascii_digit() { magnitude(value, after) } else { (value, after) };
            let (number, name, is_open) = match unit {
                Unit::None => unit_of(value, after_magnitude),
                unit => (Number::new(value, unit), "", false),
            };
            let paid = text.get(..at).and_then(Currency::before).filter(|_| name.is_empty());
            let number = paid.map_or(number, |currency| Number::new(value, Unit::Money(currency)));
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
            let behind = head_of(rest).trim_start_matches(char::is_alphanumeric);
            let sides = [Side::of(near_before(at), true), Side::of(behind, false)];
            let number = if name.is_empty() { of_the_day(number, rest) } else { number.named(name) };
            let number = Number { sides, ..number }.within(near_before(at), head_of(rest));
            let (number, more) = with_half(number, rest);
            let goes_up = found.last().is_some_and(|low| {
                is_range && low.unit.agrees_or_none(number.unit) && low.value < number.value
            });
            let number = if goes_up { number.closing() } else { number };
            is_range = opens_range(rest);
            if let Some(low) = found.last_mut().filter(|_| goes_up) {
                *low = low.opening();
            }
            let goes_on =
                unit_end > 0 && text.get(unit_end..at).is_some_and(|gap| matches!(gap.trim(), "" | "and"));
            let whole = found.last().filter(|_| goes_on).and_then(|last| last.with_rest(number));
            if whole.is_some() {
                found.pop();
            }
            found.push(whole.unwrap_or(number));
            unit_end = if name.is_empty() { 0 } else { text.len() - rest.len() + more };
            if more > 0 {
                end = unit_end;
            }
        }
        before = text.get(at..end).and_then(|piece| piece.chars().next_back()).unwrap_or(' ');
        at = end;
    }
    found
}

/// How many bytes on either side of a number may say something of it.
const AROUND: usize = 600;

fn tail_of(text: &str) -> &str {
    let from = (text.len().saturating_sub(AROUND)..text.len()).find(|at| text.is_char_boundary(*at));
    from.and_then(|from| text.get(from..)).unwrap_or_default()
}

fn head_of(text: &str) -> &str {
    let to = (0..=text.len().min(AROUND)).rev().find(|at| text.is_char_boundary(*at));
    to.and_then(|to| text.get(..to)).unwrap_or_default()
}

/// Tells whether a range goes on behind its lower end.
fn opens_range(rest: &str) -> bool {
    let next = rest.trim_start();
    let signs = ["~", "-", "–", "to ", "에서 ", "내지 "];
    signs.iter().any(|sign| {
        next.strip_prefix(sign)
            .is_some_and(|high| high.trim_start().starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// Reads a bare number as a time of day, if that is said behind it: 7 in the evening.
fn of_the_day(number: Number, rest: &str) -> Number {
    let is_hour = number.unit == Unit::None && (1.0..=12.0).contains(&number.value);
    if is_hour && half("", rest).is_some() { Number::new(number.value * 60.0, Unit::Clock) } else { number }
}

/// Adds the half of a unit that is said behind it, 7시 반, and tells how long that is.
fn with_half(number: Number, rest: &str) -> (Number, usize) {
    const HALF: &str = " 반";
    let factor = match number.unit {
        Unit::Clock => 30.0,
        Unit::Seconds if number.value % 3_600.0 == 0.0 => 1_800.0,
        Unit::Seconds if number.value % 60.0 == 0.0 => 30.0,
        _ => return (number, 0),
    };
    let is_half = rest.strip_prefix(HALF).is_some_and(|after| {
        let word = after.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        word.is_empty()
            || ["에", "까지", "부터", "쯤", "이", "을", "동안"].iter().any(|end| word.starts_with(end))
    });
    if is_half { (Number { value: number.value + factor, ..number }, HALF.len()) } else { (number, 0) }
}

/// Reads a time of day, 14:30, as minutes.
fn clock(rest: &str) -> Option<(usize, f64)> {
    let colon = rest.bytes().take(3).position(|byte| byte == b':').filter(|at| *at > 0)?;
    let (hours, after) = (rest.get(..colon)?, rest.get(colon + 1..)?);
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
        let goes_on = |words: &[&str]| words.iter().any(|more| rest.starts_with(more));
        let is_longer = match *name {
            "킬로" => goes_on(&["와트", "바이트", "헤르츠"]),
            "엔" => goes_on(&["진", "터", "딩"]),
            _ => false,
        };
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
        assert_eq!(read("2만 원"), [(20_000.0, Unit::Money(Currency::Won))]);
        assert_eq!(read("20,000 won"), [(20_000.0, Unit::Money(Currency::Won))]);
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
            [
                (1_500.0, Unit::Seconds),
                (3.0, Unit::Months),
                (100.0, Unit::Metres),
                (25_000.0, Unit::Money(Currency::Won))
            ]
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
