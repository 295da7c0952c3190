//! Numbers as people and models write them, in Korean and English.

mod context;
mod scan;
mod sign;
mod token;

use unicode_normalization::UnicodeNormalization;

use super::boxed::{Boxed, boxed};
use super::currency::Currency;
use super::decimal::Decimal;
use super::marks;
use super::number_word;
use super::unit::{self, Unit};
use crate::report::{Rule, Severity};
use context::{Effect, effect};
use scan::Scan;
use token::{Token, tokens, with_leading_ones};

/// Longest text in which a number is looked for.
const MAX_LEN: usize = 4096;

/// What a text says as a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reading {
    Number(Number),
    /// Several numbers, a range, a bound: no single number is meant.
    Ambiguous(&'static str),
    Negated,
    /// More digits than an exact number can hold here.
    Overflow,
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: Decimal,
    pub(crate) notes: Vec<(Rule, Severity)>,
    pub(crate) percent: bool,
    pub(crate) unit: Option<Unit>,
    pub(crate) currency: Option<Currency>,
    /// A dot stands before exactly three digits: for a whole number it may have been meant as a thousands separator.
    pub(crate) dotted_thousands: bool,
}

impl Number {
    pub(crate) fn note(&mut self, rule: Rule, severity: Severity) {
        match self.notes.iter_mut().find(|note| note.0 == rule) {
            Some(known) => known.1 = known.1.max(severity),
            None => self.notes.push((rule, severity)),
        }
    }
}

/// Reads the one number that `text` states.
pub(crate) fn read(text: &str) -> Reading {
    read_for(text, "")
}

/// Reads the number that `text` states for a field of this name: the loss of a field `loss` is no fall of another.
pub(crate) fn read_for(text: &str, field: &str) -> Reading {
    let mut reading = read_digits(text);
    if let Reading::Number(number) = &mut reading {
        match effect(text.trim(), field) {
            Effect::None => {}
            Effect::Refused(why) => return Reading::Ambiguous(why),
            Effect::Unclear => number.note(Rule::NumberInText, Severity::Ambiguous),
        }
    }
    reading
}

fn read_digits(text: &str) -> Reading {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LEN {
        return Reading::None;
    }
    // A comma inside brackets stands between two items.
    if text.starts_with('[') && text.ends_with(']') && text.contains(',') {
        return Reading::Ambiguous("several values for one");
    }
    if marks::around(text).is_some_and(|(mark, _)| mark == marks::Mark::Crossed || text.starts_with("~~")) {
        return Reading::Negated;
    }
    if let Some(boxed) = boxed(text) {
        return read_boxed(&boxed);
    }
    // NFKC would turn 5² into 52.
    if text.chars().any(|c| matches!(c, '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}'..='\u{209c}')) {
        return Reading::Ambiguous("a power or an index");
    }
    if text.is_ascii() {
        return read_normal(text, false);
    }
    let wide = text.chars().any(|c| matches!(c, '\u{ff01}'..='\u{ff5e}'));
    let normal: String = spaced_fractions(text).nfkc().collect();
    read_normal(&normal, wide)
}

/// Reads the number in a box, unless the words before it deny it or make a bound or a choice of it.
fn read_boxed(boxed: &Boxed<'_>) -> Reading {
    let mut reading = read_digits(boxed.inner);
    let Reading::Number(number) = &mut reading else { return reading };
    let lead = boxed.lead.rsplit(['\n', '!', '?', ';']).next().unwrap_or("");
    let lead = lead.rsplit(". ").next().unwrap_or(lead).to_lowercase();
    if lead.ends_with(['<', '>', '≤', '≥', '±', '~', '-', '/', '^', '+', '×']) {
        return Reading::Ambiguous("not a plain number");
    }
    let words: Vec<&str> = lead.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’').collect();
    let near = words.len().saturating_sub(3);
    for (at, word) in words.iter().enumerate() {
        match unit::classify(word) {
            unit::Word::Negation => return Reading::Negated,
            unit::Word::Bound if at >= near => return Reading::Ambiguous("a bound, not a number"),
            unit::Word::Alternative if at >= near && *word != "of" => {
                return Reading::Ambiguous("a range or a choice");
            }
            unit::Word::Minus if at >= near => return Reading::Ambiguous("not a plain number"),
            unit::Word::About if at >= near => number.note(Rule::Approximate, Severity::Lossy),
            _ => {}
        }
    }
    number.note(Rule::CallWrapper, Severity::Repaired);
    if lead.contains(char::is_alphanumeric) {
        number.note(Rule::NumberInText, Severity::Lossy);
    }
    reading
}

/// Puts a blank between a digit and the sign of a fraction, because NFKC would turn 1½ into 11/2.
fn spaced_fractions(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        let fraction = matches!(c, '¼' | '½' | '¾' | '⅐'..='⅞' | '↉');
        if fraction && out.ends_with(|last: char| last.is_ascii_digit()) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

fn read_normal(text: &str, wide: bool) -> Reading {
    let text = text
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '`' | '"' | '\'' | '“' | '”'));
    let text = text.trim_end_matches(['.', '!', '。']);
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        if hex.is_empty() || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Reading::None;
        }
        return match i128::from_str_radix(hex, 16) {
            Ok(value) => {
                let value = Decimal::whole(if negative { -value } else { value });
                single(value, Some((Rule::NumberForm, Severity::Repaired)), wide)
            }
            Err(_) => Reading::Overflow,
        };
    }
    let tokens = with_leading_ones(tokens(text));
    if !tokens.iter().any(|token| matches!(token, Token::Number { .. })) {
        return match number_word::read(text) {
            Some(value) => single(value, Some((Rule::NumberWord, Severity::Repaired)), wide),
            None => Reading::None,
        };
    }
    let mut scan = Scan { tokens: &tokens, at: 0, wide };
    scan.run()
}

fn single(value: Decimal, note: Option<(Rule, Severity)>, wide: bool) -> Reading {
    let mut notes: Vec<_> = note.into_iter().collect();
    if wide {
        notes.push((Rule::FullWidth, Severity::Repaired));
    }
    Reading::Number(Number {
        value,
        notes,
        percent: false,
        unit: None,
        currency: None,
        dotted_thousands: false,
    })
}

#[cfg(test)]
mod tests {
    use super::{Reading, read};
    use crate::report::{Rule, Severity};

    fn value(text: &str) -> f64 {
        match read(text) {
            Reading::Number(number) => number.value.to_f64(),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn refused(text: &str) {
        assert!(!matches!(read(text), Reading::Number(_)), "{text}: {:?}", read(text));
    }

    #[test]
    fn reads_separators_and_decimal_commas() {
        for (text, expected) in [
            ("1,234", 1234.0),
            ("12,345,678", 12_345_678.0),
            ("1.234,56", 1234.56),
            ("1,234.56", 1234.56),
            ("3,15", 3.15),
            ("0,123", 0.123),
            ("1.234.567", 1_234_567.0),
            ("12,34,567", 1_234_567.0),
            ("1'234'567", 1_234_567.0),
            ("1 234 567", 1_234_567.0),
            ("1 234,5", 1234.5),
            ("1_000", 1000.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("１２", 12.0),
            ("0x1F", 31.0),
            ("−7", -7.0),
            ("- 5", -5.0),
            ("− 5", -5.0),
            ("- $5", -5.0),
            ("-US$5", -5.0),
            ("-KRW 5,000", -5000.0),
            ("- 1,234", -1234.0),
            ("- 3만", -30_000.0),
            ("-만 5천", -15_000.0),
            ("-five", -5.0),
            ("minus 5", -5.0),
            ("마이너스 약 5도", -5.0),
            ("+ 5", 5.0),
        ] {
            assert!((value(text) - expected).abs() < 1e-9, "{text}: {}", value(text));
        }
    }

    #[test]
    fn reads_magnitudes_in_korean_and_english() {
        for (text, expected) in [
            ("1.2k", 1200.0),
            ("12k", 12_000.0),
            ("3M", 3e6),
            ("2.5 million", 2.5e6),
            ("1.5B", 1.5e9),
            ("4 thousand", 4000.0),
            ("2 hundred", 200.0),
            ("3만", 30_000.0),
            ("3만 5천", 35_000.0),
            ("3만 5천원", 35_000.0),
            ("3만5천 원", 35_000.0),
            ("1.5만", 15_000.0),
            ("1억 2천만", 120_000_000.0),
            ("2억", 2e8),
            ("10만원", 100_000.0),
            ("1만 2345", 12_345.0),
            ("5백", 500.0),
            ("5 lakh", 500_000.0),
            ("2 crore", 20_000_000.0),
            ("12,000원", 12_000.0),
            ("만 3천", 13_000.0),
            ("약 만 2천원", 12_000.0),
            ("만 5세", 5.0),
            ("천 5백", 1500.0),
            ("억 5천만", 150_000_000.0),
            ("3천 5백만 원", 35_000_000.0),
            ("3천5백만원", 35_000_000.0),
            ("5천 3백만 원", 53_000_000.0),
            ("2천 5백억", 250_000_000_000.0),
            ("1억 5천 3백만 원", 153_000_000.0),
            ("1조 2천 5백억 3천 2백만", 1_250_032_000_000.0),
        ] {
            assert!((value(text) - expected).abs() < 1e-6, "{text}: {}", value(text));
        }
    }

    #[test]
    fn reads_currency_units_fractions_and_sentences() {
        for (text, expected) in [
            ("₩35,000", 35_000.0),
            ("$1,234.50", 1234.5),
            ("-$5.50", -5.5),
            ("€12,50", 12.5),
            ("1/3", 1.0 / 3.0),
            ("1 1/2", 1.5),
            ("½", 0.5),
            ("1½", 1.5),
            ("2 ¾", 2.75),
            ("12⅓", 12.0 + 1.0 / 3.0),
            ("(1,200)", -1200.0),
            ("약 5km", 5.0),
            ("3.5 years", 3.5),
            ("90분", 90.0),
            ("5000 m", 5000.0),
            ("5 items", 5.0),
            ("The answer is 42.", 42.0),
            ("정답은 42입니다.", 42.0),
            ("42. The answer is 42.", 42.0),
            ("It is 42, so the answer is 42.", 42.0),
            ("42 (즉 42점)", 42.0),
            ("42입니다. 따라서 정답은 42입니다.", 42.0),
            ("The answer — 42", 42.0),
            ("profit: -42", -42.0),
            ("Negative reviews: 42", 42.0),
            ("→ 42", 42.0),
            ("✅ 42", 42.0),
            ("- Answer: 42", 42.0),
            ("50%", 50.0),
            ("**7**", 7.0),
        ] {
            assert!((value(text) - expected).abs() < 1e-9, "{text}: {}", value(text));
        }
    }

    #[test]
    fn refuses_what_is_not_one_number() {
        for text in [
            "10-20",
            "3~5일",
            "more than 100",
            "at least 5",
            "5개 이상",
            "10 미만",
            "5 out of 10",
            "3 or 4",
            "3 또는 4",
            "$10 or $12",
            "$10-$12",
            "1h 30m",
            "1시간 30분",
            "010-1234-5678",
            "1.2.3",
            "v3",
            "3만5",
            "3천 5만",
            "3백 5천만",
            "1,0000",
            "12,0000",
            "3,0000원",
            "4.5/5",
            "8.5/10",
            "24/7",
            "11/26",
            "10/10",
            "1/0",
            "3/4/2026",
            "not 5",
            "5가 아님",
            "",
            "없음",
            "5²",
            "12:30",
            "2024-05-01",
            "COVID-19",
            "Room-101",
            "top-10",
            "약-5",
            "profit: - 5",
            "Score - 5",
            "점수 - 5",
            "—5",
            "--5",
            "minus -5",
            "-about 5",
            "↓5",
            "≠5",
            "√5",
            "✗ 5",
            "❌ 5점",
            "~~5~~",
            "[ ] 5",
            "!5",
            "60*60",
            "1000 x 1000",
            "5 and 5",
            "5 apples, 5 pears",
            "사과 5개와 배 5개",
            ">5",
            "5+",
            "12,345,67",
            "a1",
        ] {
            refused(text);
        }
    }

    #[test]
    fn says_what_it_did() {
        let Reading::Number(number) = read("약 5km") else { panic!() };
        assert!(number.notes.contains(&(Rule::Approximate, Severity::Lossy)));
        assert!(number.notes.contains(&(Rule::UnitDropped, Severity::Lossy)));
        let Reading::Number(number) = read("1.234") else { panic!() };
        assert!(number.dotted_thousands);
    }
}
