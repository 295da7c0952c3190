//! One of something, and how often something happens: a day, 일주일에, every other week.

use super::numbers::{Number, scaled};
use super::numerals::numeral;
use super::units::Unit;

/// One of something, in words.
const WEAK: &[(&str, f64, Unit)] = &[
    ("매일", 1.0, Unit::Days),
    ("매주", 7.0, Unit::Days),
    ("매달", 1.0, Unit::Months),
    ("매월", 1.0, Unit::Months),
    ("매년", 1.0, Unit::Years),
    ("당일", 0.0, Unit::Days),
    ("분기", 3.0, Unit::Months),
    ("격주", 14.0, Unit::Days),
    ("격일", 2.0, Unit::Days),
    ("하루걸러", 2.0, Unit::Days),
    ("하루 걸러", 2.0, Unit::Days),
    ("하루씩 걸러", 2.0, Unit::Days),
    ("하루", 1.0, Unit::Days),
    ("hourly", 3_600.0, Unit::Seconds),
    ("fortnightly", 14.0, Unit::Days),
    ("quarterly", 3.0, Unit::Months),
    ("annually", 1.0, Unit::Years),
    ("annual", 1.0, Unit::Years),
    ("daily", 1.0, Unit::Days),
    ("nightly", 1.0, Unit::Days),
    ("weekly", 7.0, Unit::Days),
    ("monthly", 1.0, Unit::Months),
    ("yearly", 1.0, Unit::Years),
    ("once", 1.0, Unit::Times),
    ("on the day", 0.0, Unit::Days),
];

/// Reads one of something, and days that something happens on.
pub(super) fn weak(rest: &str) -> Option<(usize, Number)> {
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
        return Some((length, number.in_words()));
    }
    // take one; but not: one day, which has a unit
    if rest
        .strip_prefix("one")
        .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == ' '))
    {
        return Some(("one".len(), Number::weak(1.0, Unit::None)));
    }
    if let Some((every, nth)) = nth_period(rest) {
        return Some((every, nth));
    }
    let article =
        ["an ", "a ", "one ", "every ", "each ", "per "].iter().find(|word| rest.starts_with(**word))?;
    let number = scaled(1.0, rest.get(article.len()..)?).map(|(number, _)| number);
    let number = if *article == "one " { number.or(Some(Number::weak(1.0, Unit::None))) } else { number };
    number.map(|number| (article.len(), number.in_words()))
}

/// Reads `every other day`, `every fourth week`.
fn nth_period(rest: &str) -> Option<(usize, Number)> {
    const NTHS: [(&str, f64); 6] = [
        ("other ", 2.0),
        ("second ", 2.0),
        ("alternate ", 2.0),
        ("third ", 3.0),
        ("fourth ", 4.0),
        ("fifth ", 5.0),
    ];
    let is_alternate = rest.starts_with("alternate ");
    let nth = rest.strip_prefix("every ").or_else(|| rest.strip_prefix("each "));
    let nth = nth.or_else(|| is_alternate.then_some(rest))?;
    let (unit, value) = NTHS.iter().find_map(|(word, value)| Some((nth.strip_prefix(word)?, *value)))?;
    let (number, name) = scaled(value, unit)?;
    let length = rest.len() - unit.len() + name.len();
    number.unit.is_time().then_some((length, number.in_words()))
}
