//! From tokens to the one number that they state.

use super::sign::{Sign, is_dash};
use super::token::{Token, digits_only, is_hangul};
use super::{Number, Reading};
use crate::align::scalar::decimal::Decimal;
use crate::align::scalar::{currency, marks, unit};
use crate::report::{Rule, Severity};

/// The largest of 만, 억 and 조 that a Korean magnitude is made with: 천만 with 만.
fn section(scale: i128) -> i128 {
    [1_000_000_000_000, 100_000_000, 10_000].into_iter().find(|unit| scale % unit == 0).unwrap_or(1)
}

/// Tells a proper fraction from 4.5/5, 24/7 and 11/26.
fn is_fraction(top: Decimal, bottom: Decimal) -> bool {
    let (Some((top, true)), Some((bottom, true))) = (top.to_integer(), bottom.to_integer()) else {
        return false;
    };
    let day = (1..=12).contains(&top) && (13..=31).contains(&bottom);
    let usual = top == 1 && matches!(bottom, 16 | 20 | 24 | 25 | 30);
    let whole = (2..10).contains(&bottom) && top > bottom && top % bottom == 0;
    whole || (top < bottom && (!day || usual))
}

/// Reads the tokens of a text from its start.
pub(super) struct Scan<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    pub(super) wide: bool,
}

#[derive(Default)]
struct Around {
    prose: bool,
    /// The sign stands apart from the number.
    apart: bool,
    about: bool,
    bound: bool,
    negated: bool,
    range: bool,
    odd: bool,
}

impl Scan<'_> {
    pub(super) fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    pub(super) fn run(&mut self) -> Reading {
        let mut found: Option<Number> = None;
        let mut around = Around::default();
        let mut sign: Option<bool> = None;
        // Where the last number ended.
        let mut end = 0;
        let mut currency = None;
        let parens = matches!(self.tokens.first(), Some(Token::Sign('(')))
            && matches!(self.tokens.last(), Some(Token::Sign(')')));
        while let Some(token) = self.peek(0) {
            match token {
                Token::Space => self.at += 1,
                Token::Number { glued_before: true, .. } => {
                    return Reading::Ambiguous("letters and digits in one word");
                }
                Token::Number { .. } => {
                    let start = self.at;
                    let number = match self.number() {
                        Ok(number) => number,
                        Err(reading) => return reading,
                    };
                    let last = std::mem::replace(&mut end, self.at);
                    if let Some(first) = &found {
                        if !self.restates(first, last, start, &number) || around.range {
                            return Reading::Ambiguous("more than one number");
                        }
                        around.prose = true;
                    } else {
                        let mut number = number;
                        if sign == Some(true) {
                            match number.value.negated() {
                                Some(value) => number.value = value,
                                None => return Reading::Overflow,
                            }
                        }
                        found = Some(number);
                    }
                }
                Token::Sign(c) => {
                    let c = *c;
                    match c {
                        '+' | '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' if found.is_none() => {
                            match self.sign(c) {
                                Sign::Of { .. } | Sign::Unclear if sign.is_some() => around.odd = true,
                                Sign::Of { apart } => {
                                    sign = Some(c != '+');
                                    around.apart |= apart;
                                }
                                Sign::Unclear => around.odd = true,
                                Sign::Hyphen => return Reading::Ambiguous("letters and digits in one word"),
                                Sign::Nothing => around.bound |= c == '+',
                            }
                        }
                        // Before an amount they say that it is negative, or that it fell or rose by so much.
                        '△' | '▲' | '▽' | '▼' => around.odd = true,
                        '~' | '〜' | '…' if found.is_some() => around.range = true,
                        c if is_dash(c) => around.range = true,
                        '~' | '≈' | '≃' => around.about = true,
                        '<' | '>' | '≤' | '≥' | '+' | '±' | '^' => around.bound = true,
                        '×' | '÷' | '=' | '/' | '\\' | '@' | '&' | '|' => around.odd = true,
                        ':' if found.is_some() && !self.is_after_word() => around.odd = true,
                        '?' => around.negated = true,
                        '!' if matches!(self.peek(1), Some(Token::Number { .. })) => around.negated = true,
                        c if marks::is_cross(c) => around.negated = true,
                        c if marks::is_operator(c) => around.odd = true,
                        _ => currency = currency::of_sign(c).or(currency),
                    }
                    self.at += 1;
                }
                Token::Word { text, .. } => {
                    let word = unit::classify(text);
                    match word {
                        unit::Word::Currency(named) => currency = Some(named),
                        unit::Word::About => around.about = true,
                        unit::Word::Bound => around.bound = true,
                        unit::Word::Negation => around.negated = true,
                        unit::Word::Alternative => around.range = true,
                        unit::Word::Minus if found.is_none() && self.is_right_before_number() => {
                            around.odd |= sign.replace(true).is_some();
                        }
                        // "negative reviews: 5" counts them.
                        unit::Word::Minus => around.odd |= found.is_none() && &**text != "negative",
                        unit::Word::NumberWord => return Reading::Ambiguous("digits and number words"),
                        unit::Word::Other => around.prose = true,
                    }
                    self.at += 1;
                }
            }
        }
        let Some(mut number) = found else { return Reading::None };
        if around.negated {
            return Reading::Negated;
        }
        if around.bound {
            return Reading::Ambiguous("a bound, not a number");
        }
        if around.range {
            return Reading::Ambiguous("a range or a choice");
        }
        if around.odd {
            return Reading::Ambiguous("not a plain number");
        }
        if parens && !around.prose && sign.is_none() {
            match number.value.negated() {
                Some(value) => number.value = value,
                None => return Reading::Overflow,
            }
            number.note(Rule::NumberForm, Severity::Lossy);
        }
        if around.apart {
            number.note(Rule::NumberForm, Severity::Lossy);
        }
        if around.about {
            number.note(Rule::Approximate, Severity::Lossy);
        }
        if currency.is_some() {
            number.currency = currency;
            number.note(Rule::Currency, Severity::Repaired);
        }
        if around.prose {
            number.note(Rule::NumberInText, Severity::Lossy);
        }
        if self.wide {
            number.note(Rule::FullWidth, Severity::Repaired);
        }
        Reading::Number(number)
    }

    /// Reads a number with what belongs to it: fraction, magnitudes, percent sign, unit.
    fn number(&mut self) -> Result<Number, Reading> {
        let mut number = Number {
            value: Decimal::whole(0),
            notes: Vec::new(),
            percent: false,
            unit: None,
            currency: None,
            dotted_thousands: false,
        };
        let mut total: Option<Decimal> = None;
        let mut last_scale = i128::MAX;
        let mut last_section = i128::MAX;
        // What came since the last of 만, 억 and 조, which the next of them multiplies: (3천 5백)만.
        let mut open: Option<Decimal> = None;
        while let Some(Token::Number { text, value, .. }) = self.peek(0) {
            let Some(part) = *value else {
                return Err(if digits_only(text) {
                    Reading::Overflow
                } else {
                    Reading::Ambiguous("separators that do not fit")
                });
            };
            if let Some(rule) = part.rule {
                number.note(rule, Severity::Repaired);
            }
            number.dotted_thousands |= part.dotted_thousands;
            self.at += 1;
            let mut value = part.value;
            if let Some(fraction) = self.fraction(value)? {
                value = fraction;
                number.note(Rule::Fraction, Severity::Repaired);
            }
            let scale = self.magnitude();
            if scale != 1 {
                number.note(Rule::Magnitude, Severity::Repaired);
                number.dotted_thousands = false;
            } else if total.is_some() && last_scale >= 10_000 && value.exponent >= 0 && value.mantissa < 10 {
                // 3만5 is said for 35,000 as well as for 30,005.
                return Err(Reading::Ambiguous("a digit without its unit"));
            }
            let section = section(scale);
            let step = scale / section;
            let joins = open.is_some()
                && section > 1
                && section < last_section
                && step > 1
                && step < last_scale
                && value.exponent >= 0
                && value.mantissa < 10;
            if !joins && total.is_some() && scale >= last_scale && value.divisor == 1 {
                return Err(Reading::Ambiguous("more than one number"));
            }
            value = value.times(scale).ok_or(Reading::Overflow)?;
            let low = open.take().filter(|_| joins || section == 1);
            if let (true, Some(low)) = (joins, low) {
                let lifted = low.times(section - 1).ok_or(Reading::Overflow)?;
                value = value.plus(lifted).ok_or(Reading::Overflow)?;
            }
            if section == 1 && scale > 1 {
                open = match low {
                    Some(low) => low.plus(value),
                    None => Some(value),
                };
            } else if section > 1 {
                last_section = section;
            }
            total = Some(match total {
                Some(sum) => sum.plus(value).ok_or(Reading::Overflow)?,
                None => value,
            });
            last_scale = scale;
            // "3만 5천": the next number goes on only after a Korean magnitude; "1 1/2" after a whole number.
            let skip = usize::from(self.peek(0) == Some(&Token::Space));
            match self.peek(skip) {
                Some(Token::Number { .. }) if scale > 1 && self.after_korean_magnitude() => self.at += skip,
                Some(Token::Number { .. })
                    if scale == 1
                        && skip == 1
                        && matches!(self.peek(2), Some(Token::Sign('/' | '\u{2044}'))) =>
                {
                    self.at += 1;
                }
                _ => break,
            }
        }
        // 1억 5천 is said for 150,000,000 as well as for 100,005,000.
        if open.is_some() && (100_000_000..i128::MAX).contains(&last_section) {
            return Err(Reading::Ambiguous("a magnitude without its 만"));
        }
        number.value = total.unwrap_or(Decimal::whole(0));
        self.suffix(&mut number)?;
        Ok(number)
    }

    /// Reads `3/4`; a score, a rate or a date is none.
    fn fraction(&mut self, top: Decimal) -> Result<Option<Decimal>, Reading> {
        let skip = usize::from(self.peek(0) == Some(&Token::Space));
        if !matches!(self.peek(skip), Some(Token::Sign('/' | '\u{2044}'))) {
            return Ok(None);
        }
        let gap = usize::from(self.peek(skip + 1) == Some(&Token::Space));
        let Some(Token::Number { value: Some(bottom), .. }) = self.peek(skip + 1 + gap) else {
            return Ok(None);
        };
        if bottom.value.mantissa != 0 && !is_fraction(top, bottom.value) {
            return Err(Reading::Ambiguous("a score, a rate or a date"));
        }
        let value = top.over(bottom.value).ok_or(Reading::Ambiguous("a division by zero"))?;
        self.at += skip + gap + 2;
        // 3/4/2026 is a date.
        if matches!(self.peek(0), Some(Token::Sign('/'))) {
            return Err(Reading::Ambiguous("not a plain number"));
        }
        Ok(Some(value))
    }

    fn magnitude(&mut self) -> i128 {
        let mut scale: i128 = 1;
        loop {
            let skip = usize::from(self.peek(0) == Some(&Token::Space));
            let Some(Token::Word { text, glued }) = self.peek(skip) else { break };
            // A single letter is a magnitude only right behind the digits.
            let Some((factor, rest)) = unit::magnitude(text) else { break };
            if text.chars().count() == 1 && text.is_ascii() && !(*glued && skip == 0) {
                break;
            }
            let Some(product) = scale.checked_mul(factor) else { break };
            scale = product;
            if rest.is_empty() {
                self.at += skip + 1;
            } else {
                self.at += skip;
                break;
            }
        }
        scale
    }

    fn after_korean_magnitude(&self) -> bool {
        self.tokens
            .get(..self.at)
            .and_then(|before| before.iter().rev().find(|token| **token != Token::Space))
            .is_some_and(|token| matches!(token, Token::Word { text, .. } if text.chars().all(is_hangul)))
    }

    fn suffix(&mut self, number: &mut Number) -> Result<(), Reading> {
        let skip = usize::from(self.peek(0) == Some(&Token::Space));
        match self.peek(skip) {
            Some(Token::Sign('%' | '‰')) => {
                if self.peek(skip) == Some(&Token::Sign('‰')) {
                    return Err(Reading::Ambiguous("per mille"));
                }
                number.percent = true;
                self.at += skip + 1;
            }
            Some(Token::Sign('°')) => {
                let gap = skip + 1 + usize::from(self.peek(skip + 1) == Some(&Token::Space));
                if let Some(Token::Word { text, .. }) = self.peek(gap)
                    && let Some(unit) = unit::degrees(text).or_else(|| unit::named(text))
                {
                    number.unit = Some(unit);
                    self.at += gap;
                }
                number.note(Rule::UnitDropped, Severity::Lossy);
                self.at += 1;
            }
            Some(Token::Word { text, glued }) => {
                let tail = unit::magnitude(text).map_or(&**text, |(_, rest)| rest);
                match unit::suffix(tail) {
                    unit::Suffix::Percent => {
                        number.percent = true;
                        self.at += skip + 1;
                    }
                    unit::Suffix::Currency(currency) => {
                        number.currency = Some(currency);
                        number.note(Rule::Currency, Severity::Repaired);
                        self.at += skip + 1;
                    }
                    unit::Suffix::Unit(unit) => {
                        number.unit = Some(unit);
                        number.note(Rule::UnitDropped, Severity::Lossy);
                        self.at += skip + 1;
                        if let (Some(Token::Sign('/')), Some(Token::Word { text, .. })) =
                            (self.peek(0), self.peek(1))
                            && let Some(speed) = unit.over(text)
                        {
                            number.unit = Some(speed);
                            self.at += 2;
                        }
                    }
                    unit::Suffix::Bound => return Err(Reading::Ambiguous("a bound, not a number")),
                    unit::Suffix::Other if *glued && tail.is_ascii() => {
                        return Err(Reading::Ambiguous("letters and digits in one word"));
                    }
                    unit::Suffix::Other if *glued => {
                        // A Korean counter or an ending.
                        number.note(Rule::UnitDropped, Severity::Lossy);
                        self.at += 1;
                    }
                    unit::Suffix::Other => {}
                }
            }
            _ => {}
        }
        // A bound may follow the unit: "5개 이상", "5kg 미만".
        let skip = usize::from(self.peek(0) == Some(&Token::Space));
        if let Some(Token::Word { text, .. }) = self.peek(skip)
            && matches!(unit::suffix(text), unit::Suffix::Bound)
        {
            return Err(Reading::Ambiguous("a bound, not a number"));
        }
        Ok(())
    }
}
