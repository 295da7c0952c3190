//! Whether a quote says what it is quoted for.

use std::collections::HashSet;
use std::ops::Range;

use pumasi_core::text::{Analyzer, TokenKind};
use serde::Serialize;

use super::lexicon;
use super::skeleton::{Case, Class, Skeleton};
use super::time::{self, Day};

/// Whether a value follows from the quote that is given for it, as far as words can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Support {
    /// The numbers, dates and names of the value stand in the quote, and most of its words do.
    Supported,
    /// They do not.
    Unsupported(Doubt),
    /// Words cannot tell: a paraphrase, another language, a negation.
    Unknown,
}

/// What of a value its quote does not bear out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// A number.
    Number,
    /// A day or a month.
    Date,
    /// A name.
    Name,
    /// All of its words.
    Words,
}

/// Checks `value` against the `quote` that is given for it.
///
/// Numbers are compared by value (`50000` is in `5만 원`, `1,200` in `1.2k`, `3` in `세 번` and `three`); a date by its month
/// and day; names letter by letter; the rest by the share of the value's terms that the quote has.
///
/// ```
/// use pumasi_llm_parse::ground::{Doubt, Support, support};
///
/// assert_eq!(support("매일 아침 10km를 달렸습니다", "아침 10km 달리기"), Support::Supported);
/// assert_eq!(support("매일 아침 10km를 달렸습니다", "아침 5km 달리기"), Support::Unsupported(Doubt::Number));
/// assert_eq!(support("한 달에 5만 원씩 모았다", "50000"), Support::Supported);
/// assert_eq!(support("매일 아침 달렸습니다", "run every morning"), Support::Unknown);
/// ```
pub fn support(quote: &str, value: &str) -> Support {
    let (said, claimed) = (Skeleton::new(quote), Skeleton::new(value));
    if claimed.len() == 0 {
        return Support::Unknown;
    }
    if let Some(day) = time::iso_day(value) {
        return date_support(quote, day);
    }
    let (there, wanted) = (numbers(&said), numbers(&claimed));
    if wanted.iter().any(|number| !there.contains(number)) && !same_lengths(quote, value) {
        return Support::Unsupported(Doubt::Number);
    }
    let words: HashSet<&str> = said.words.iter().map(|word| said.word_text(word)).collect();
    let names = claimed.words.iter().filter(|word| {
        let text = claimed.word_text(word);
        word.class == Class::Latin && word.case != Case::Lower && !word.first && text.len() > 1
    });
    if names.into_iter().any(|word| !words.contains(claimed.word_text(word)))
        && shares_script(&said, &claimed)
    {
        return Support::Unsupported(Doubt::Name);
    }
    if negates(&said) != negates(&claimed) {
        return Support::Unknown;
    }
    let (said_terms, claimed_terms) = (terms(quote), terms(value));
    let shared = claimed_terms.intersection(&said_terms).count();
    if claimed_terms.is_empty() {
        return if wanted.is_empty() { Support::Unknown } else { Support::Supported };
    }
    if shared * 2 >= claimed_terms.len() {
        Support::Supported
    } else if shared == 0 && wanted.is_empty() && shares_script(&said, &claimed) {
        Support::Unsupported(Doubt::Words)
    } else {
        Support::Unknown
    }
}

/// The terms of a text that mean something, stemmed.
pub(super) fn terms(text: &str) -> HashSet<String> {
    let tokens = Analyzer::default().tokens(text);
    let says = |kind| !matches!(kind, TokenKind::Stop | TokenKind::Number | TokenKind::Compound);
    tokens.into_iter().filter(|token| says(token.kind)).map(|token| token.text).collect()
}

/// Tells whether the numbers of the value are lengths of time that the quote names in other units.
fn same_lengths(quote: &str, value: &str) -> bool {
    let (there, wanted) = (time::lengths(quote), time::lengths(value));
    !wanted.is_empty()
        && wanted.len() == there.len()
        && wanted.iter().all(|wanted| there.iter().any(|there| there.equals(*wanted)))
}

pub(super) fn shares_script(a: &Skeleton, b: &Skeleton) -> bool {
    let has = |text: &Skeleton, class| text.words.iter().any(|word| word.class == class);
    [Class::Hangul, Class::Latin, Class::Ideographic].into_iter().any(|class| has(a, class) && has(b, class))
}

pub(super) fn negates(text: &Skeleton) -> bool {
    text.words.iter().any(|word| {
        let word = text.word_text(word);
        lexicon::NEGATIONS.contains(&word)
            || matches!(word, "안" | "못")
            || word.contains('않')
            || word.contains('없')
            || word.starts_with("아니")
    })
}

/// Collects the numbers of a text in thousandths: digits with their magnitudes, and the small number words.
pub(super) fn numbers(text: &Skeleton) -> HashSet<i128> {
    numbered(text).into_iter().map(|(number, _)| number).collect()
}

/// Lists the numbers of a text in their order, each with the words that name it.
pub(super) fn numbered(text: &Skeleton) -> Vec<(i128, Range<usize>)> {
    let mut found = Vec::new();
    let mut index = 0;
    while let Some(word) = text.words.get(index) {
        index += 1;
        let start = index - 1;
        let literal = text.word_text(word);
        if word.class != Class::Number {
            found.extend(number_word(literal).map(|number| (number * 1000, start..index)));
            continue;
        }
        // dates, times and ranges are several numbers
        let parts: Vec<&str> = literal.split(['~', ':', '/']).collect();
        let last = parts.len() - 1;
        for (place, part) in parts.into_iter().enumerate() {
            let Some(mut number) = thousandths(part) else { continue };
            if place == last {
                let mut more = 0;
                // "5만", "3만 5천", "1.2k"
                if let Some(unit) = text.words.get(index).filter(|unit| unit.unit) {
                    let unit_text = text.word_text(unit);
                    if let Some(factor) = magnitude(unit_text) {
                        number = number.saturating_mul(factor);
                        let rest = text
                            .words
                            .get(index + 1)
                            .filter(|next| next.class == Class::Number && unit_text.chars().count() == 1);
                        if let (Some(rest), Some(next)) = (rest, text.words.get(index + 2)) {
                            let smaller = magnitude(text.word_text(next)).filter(|smaller| *smaller < factor);
                            if let (Some(value), Some(smaller)) = (thousandths(text.word_text(rest)), smaller)
                            {
                                more = value.saturating_mul(smaller);
                                index += 2;
                            }
                        }
                    }
                }
                number = number.saturating_add(more);
            }
            found.push((number, start..index));
        }
    }
    found
}

/// Reads a decimal as thousandths; more than three decimals are cut.
fn thousandths(text: &str) -> Option<i128> {
    let negative = text.starts_with('-');
    let digits = text.trim_matches(|c: char| !c.is_ascii_digit());
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || whole.len() > 20 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut value: i128 = whole.parse().ok()?;
    let mut decimals = decimals.chars();
    for _ in 0..3 {
        let digit = decimals.next().and_then(|c| c.to_digit(10)).unwrap_or(0);
        value = value * 10 + i128::from(digit);
    }
    Some(if negative { -value } else { value })
}

fn magnitude(unit: &str) -> Option<i128> {
    match unit {
        "m" | "million" => return Some(1_000_000),
        "k" | "thousand" => return Some(1_000),
        "hundred" => return Some(100),
        "billion" => return Some(1_000_000_000),
        _ => {}
    }
    match unit.chars().next()? {
        '십' => Some(10),
        '백' => Some(100),
        '천' => Some(1_000),
        '만' => Some(10_000),
        '억' => Some(100_000_000),
        _ => None,
    }
}

/// Reads a small number that is written in one word.
pub(super) fn number_word(word: &str) -> Option<i128> {
    let table: &[(&[&str], i128)] = &[
        (&["one", "once", "한", "하나", "하나의"], 1),
        (&["two", "twice", "두", "둘"], 2),
        (&["three", "세", "셋"], 3),
        (&["four", "네", "넷"], 4),
        (&["five", "다섯"], 5),
        (&["six", "여섯"], 6),
        (&["seven", "일곱"], 7),
        (&["eight", "여덟"], 8),
        (&["nine", "아홉"], 9),
        (&["ten", "열"], 10),
        (&["eleven"], 11),
        (&["twelve", "dozen"], 12),
        (&["twenty", "스무", "스물"], 20),
        (&["thirty", "서른"], 30),
        (&["forty", "마흔"], 40),
        (&["fifty", "쉰"], 50),
        (&["sixty", "예순"], 60),
        (&["hundred"], 100),
        (&["thousand"], 1_000),
    ];
    table.iter().find(|(words, _)| words.contains(&word)).map(|(_, number)| *number)
}

/// Checks a day against a quote: a part that the quote does not name may be understood from elsewhere, but none may differ.
pub(crate) fn date_support(quote: &str, day: Day) -> Support {
    let named = time::days(quote);
    match named.iter().find(|named| named.may_be(day)) {
        Some(named) if named.is_whole() => Support::Supported,
        Some(_) => Support::Unknown,
        None if named.is_empty() => Support::Unknown,
        None => Support::Unsupported(Doubt::Date),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_numbers_by_value() {
        assert_eq!(support("참가비는 3만 5천원입니다", "35000"), Support::Supported);
        assert_eq!(support("We had 1.2k runners", "1,200 runners"), Support::Supported);
        assert_eq!(support("일주일에 세 번 뛴다", "3"), Support::Supported);
        assert_eq!(support("10km를 뛰었다", "100km"), Support::Unsupported(Doubt::Number));
        assert_eq!(support("5만 원을 냈다", "50만 원"), Support::Unsupported(Doubt::Number));
        assert_eq!(support("영하 5도", "-5"), Support::Unsupported(Doubt::Number));
    }

    #[test]
    fn compares_dates_by_their_day() {
        assert_eq!(support("2024년 3월 1일에 시작", "2024-03-01"), Support::Supported);
        assert_eq!(support("3월 1일에 시작", "2024-03-01"), Support::Unknown);
        assert_eq!(support("3월 2일에 시작", "2024-03-01"), Support::Unsupported(Doubt::Date));
        assert_eq!(support("내일 시작", "2024-03-01"), Support::Unknown);
        assert_eq!(support("begin on April 1st", "2024-03-01"), Support::Unsupported(Doubt::Date));
        assert_eq!(support("2027년 3월 1일에 시작", "2024-03-01"), Support::Unsupported(Doubt::Date));
        assert_eq!(support("시작은 3월", "2024-04-01"), Support::Unsupported(Doubt::Date));
        assert_eq!(support("매일 10km를 뛴다", "2024-03-01"), Support::Unknown);
    }

    #[test]
    fn compares_names_and_words() {
        assert_eq!(support("coach Minsu told me to rest", "advice of Minsu to rest"), Support::Supported);
        assert_eq!(
            support("coach Minsu told me to rest", "advice of Jihun to rest"),
            Support::Unsupported(Doubt::Name)
        );
        assert_eq!(support("물을 많이 마셨다", "유산소 운동하기"), Support::Unsupported(Doubt::Words));
        assert_eq!(support("I do not smoke", "smoke"), Support::Unknown);
        assert_eq!(support("", ""), Support::Unknown);
    }
}
