//! What stands before a number and between two: plus, minus, a dash between words, a colon, a restatement.

use super::Number;
use super::scan::Scan;
use super::token::Token;
use crate::align::scalar::{currency, unit};

/// What a plus, a minus or a dash in front of the number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// The sign of the number; `apart` if a space stands between them.
    Of { apart: bool },
    /// A dash between words, a bullet: it says nothing about the number.
    Nothing,
    /// It may be either.
    Unclear,
    /// A hyphen of a name: `COVID-19`.
    Hyphen,
}

pub(super) fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

impl Scan<'_> {
    /// Reads the sign at hand by what stands on both sides of it.
    pub(super) fn sign(&self, c: char) -> Sign {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let apart = self.peek(1) == Some(&Token::Space);
        if !self.leads_to_number(1 + usize::from(apart)) {
            return if apart || self.peek(1).is_none() { Sign::Nothing } else { self.loose(c) };
        }
        let long = matches!(c, '\u{2014}' | '\u{2015}');
        match before {
            // "The answer — 5" and "answer—5": a dash between words.
            Some(Token::Word { .. }) if long => Sign::Nothing,
            Some(Token::Word { .. } | Token::Number { .. }) if apart => Sign::Unclear,
            Some(Token::Word { .. } | Token::Number { .. }) => Sign::Hyphen,
            Some(Token::Sign(sign)) if is_dash(*sign) || matches!(sign, '+' | '±' | ')' | ']' | '/') => {
                Sign::Unclear
            }
            Some(Token::Space) if self.has_said_something() => match (long, apart) {
                (true, true) => Sign::Nothing,
                (false, false) => Sign::Of { apart },
                _ => Sign::Unclear,
            },
            _ if long => Sign::Unclear,
            _ => Sign::Of { apart },
        }
    }

    /// A sign that no number follows: glued to a word in front of one, it may still be the number's ("-about 5").
    fn loose(&self, c: char) -> Sign {
        let word = matches!(self.peek(1), Some(Token::Word { .. }));
        let alone = !matches!(
            self.at.checked_sub(1).and_then(|at| self.tokens.get(at)),
            Some(Token::Word { .. } | Token::Number { .. })
        );
        let near = matches!(self.peek(2), Some(Token::Number { .. }))
            || (self.peek(2) == Some(&Token::Space) && self.leads_to_number(3));
        if c != '+' && word && alone && near { Sign::Unclear } else { Sign::Nothing }
    }

    /// Tells whether a number comes next, but for its currency: `-$5`, `-US$ 5`, `- KRW 5`.
    fn leads_to_number(&self, mut ahead: usize) -> bool {
        for _ in 0..4 {
            match self.peek(ahead) {
                Some(Token::Number { .. }) => return true,
                Some(Token::Sign(sign)) if currency::of_sign(*sign).is_some() || *sign == '(' => ahead += 1,
                Some(Token::Word { text, .. })
                    if currency::of_word(text).is_some()
                        || matches!(
                            (&**text, self.peek(ahead + 1)),
                            ("us" | "ca" | "au" | "hk" | "nt" | "s", Some(Token::Sign('$')))
                        ) =>
                {
                    ahead += 1;
                }
                Some(Token::Space) => ahead += 1,
                _ => return false,
            }
        }
        false
    }

    /// Tells whether a word or a mark that ends a phrase came before.
    fn has_said_something(&self) -> bool {
        let before = self.tokens.get(..self.at).unwrap_or(&[]);
        before.iter().rev().find(|token| **token != Token::Space).is_some_and(|token| match token {
            Token::Word { text, .. } => {
                currency::of_word(text).is_none() && !matches!(unit::classify(text), unit::Word::About)
            }
            Token::Sign(sign) => {
                !matches!(sign, '(' | '[' | '"' | '\'') && currency::of_sign(*sign).is_none()
            }
            Token::Number { .. } | Token::Space => true,
        })
    }

    /// Tells whether the word at hand stands right before a number: "minus 5", "마이너스 약 5".
    pub(super) fn is_right_before_number(&self) -> bool {
        let space = |ahead: usize| usize::from(self.peek(ahead) == Some(&Token::Space));
        let next = 1 + space(1);
        let about = matches!(self.peek(next), Some(Token::Word { text, .. }) if matches!(unit::classify(text), unit::Word::About));
        let next = if about { next + 1 + space(next + 1) } else { next };
        self.leads_to_number(next)
    }

    /// Tells a colon behind a word from the one of 12:30 and 4:3.
    pub(super) fn is_after_word(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        matches!(before, Some(Token::Word { .. })) && self.peek(1) == Some(&Token::Space)
    }

    /// Tells whether `number`, which begins at `start`, says again what `first` said, whose last mention ended at `end`: in a
    /// bracket or a sentence of its own, or as the result. "5 and 5" and "60*60" are two numbers.
    pub(super) fn restates(&self, first: &Number, end: usize, start: usize, number: &Number) -> bool {
        let same = first.value == number.value && first.percent == number.percent;
        let between = self.tokens.get(end..start).unwrap_or(&[]);
        let ends = |pair: &[Token]| matches!(pair, [Token::Sign('.' | '!' | ';' | ':' | '。'), Token::Space]);
        same && (between.windows(2).any(ends)
            || between.iter().any(|token| match token {
                Token::Sign(sign) => *sign == '(',
                Token::Word { text, .. } => unit::concludes(text),
                Token::Number { .. } | Token::Space => false,
            }))
    }
}
