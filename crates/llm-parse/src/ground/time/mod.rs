//! The days and the lengths of time that a text names, Korean and English.

mod day;
mod length;

use unicode_normalization::UnicodeNormalization as _;

pub(crate) use day::{Day, days, iso_day};
#[cfg(feature = "extract")]
pub(crate) use length::Length;
pub(crate) use length::lengths;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number { value: f64, digits: usize },
    Word(String),
    Mark(char),
}

pub(super) fn tokens(text: &str) -> Vec<Token> {
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
    pub(super) fn integer(&self) -> Option<u32> {
        match self {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
            Self::Number { value, .. } if value.fract() == 0.0 && (0.0..1e9).contains(value) => {
                Some(*value as u32)
            }
            _ => None,
        }
    }

    /// A day or a month: one or two digits.
    pub(super) fn short(&self) -> Option<u32> {
        matches!(self, Self::Number { digits: 1..=2, .. }).then(|| self.integer()).flatten()
    }

    pub(super) fn year(&self) -> Option<u32> {
        matches!(self, Self::Number { digits: 4, .. })
            .then(|| self.integer())
            .flatten()
            .filter(|year| (1900..2200).contains(year))
    }

    pub(super) fn word(&self) -> &str {
        if let Self::Word(word) = self { word } else { "" }
    }

    pub(super) fn is_mark(&self, marks: &[char]) -> bool {
        matches!(self, Self::Mark(mark) if marks.contains(mark))
    }
}
