//! Days, whole or in part.

use super::{Token, tokens};
use crate::month;

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

/// Returns the days that `text` names, with as much of each as it names; a number alone is none.
pub(crate) fn days(text: &str) -> Vec<Day> {
    let tokens = tokens(text);
    let none = Token::Mark(' ');
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = |ahead: usize| tokens.get(at + ahead).unwrap_or(&none);
        let ordinal = |ahead: usize| usize::from(matches!(token(ahead).word(), "st" | "nd" | "rd" | "th"));
        let used = if let Some(month) = month::named(token(0).word()) {
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
            && let Some(month) = month::named(token(of).word())
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
}
