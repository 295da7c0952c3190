//! Numbers as people and models write them, in Korean and English.

use unicode_normalization::UnicodeNormalization;

use super::currency::{self, Currency};
use super::decimal::Decimal;
use super::number_word;
use super::unit::{self, Unit};
use crate::report::{Rule, Severity};

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
    fn note(&mut self, rule: Rule, severity: Severity) {
        match self.notes.iter_mut().find(|note| note.0 == rule) {
            Some(known) => known.1 = known.1.max(severity),
            None => self.notes.push((rule, severity)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number { text: Box<str>, value: Option<Grouped>, glued_before: bool },
    Word { text: Box<str>, glued: bool },
    Sign(char),
    Space,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Grouped {
    value: Decimal,
    rule: Option<Rule>,
    dotted_thousands: bool,
}

/// Reads the one number that `text` states.
pub(crate) fn read(text: &str) -> Reading {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LEN {
        return Reading::None;
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
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return match i128::from_str_radix(hex, 16) {
            Ok(value) if !hex.starts_with(['+', '-']) => {
                single(Decimal::whole(value), Some((Rule::NumberForm, Severity::Repaired)), wide)
            }
            _ => Reading::None,
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

fn is_hangul(c: char) -> bool {
    matches!(c, '가'..='힣')
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = at(i);
        if c.is_ascii_digit() || (c == '.' && at(i + 1).is_ascii_digit()) {
            let glued_before = i > 0 && at(i - 1).is_alphabetic();
            let end = number_end(&chars, i);
            let run: String = chars.get(i..end).unwrap_or(&[]).iter().collect();
            let value = grouped(&run);
            out.push(Token::Number { text: run.into(), value, glued_before });
            i = end;
        } else if c.is_alphabetic() {
            let glued = i > 0 && (at(i - 1).is_ascii_digit() || at(i - 1) == '.');
            let start = i;
            while at(i).is_alphabetic() && is_hangul(at(i)) == is_hangul(c)
                || (matches!(at(i), '\'' | '’') && at(i + 1).is_alphabetic() && i > start)
            {
                i += 1;
            }
            let word: String =
                chars.get(start..i).unwrap_or(&[]).iter().flat_map(|c| c.to_lowercase()).collect();
            // A capital M is a million, a small one a metre.
            let word = if start + 1 == i && c == 'M' { "mn".to_owned() } else { word };
            out.push(Token::Word { text: word.into(), glued });
        } else if c.is_whitespace() {
            if out.last() != Some(&Token::Space) {
                out.push(Token::Space);
            }
            i += 1;
        } else {
            out.push(Token::Sign(c));
            i += 1;
        }
    }
    out
}

/// Puts the one that goes without saying before a Korean magnitude that leads a number: 만 3천 is 1만 3천.
fn with_leading_ones(tokens: Vec<Token>) -> Vec<Token> {
    let pure = |token: &Token| matches!(token, Token::Word { text, .. } if text.chars().all(|c| "십백천만억조".contains(c)));
    let leads = |at: usize| {
        let before = tokens.iter().take(at).rev().find(|token| **token != Token::Space);
        let mut after = tokens.iter().skip(at + 1).filter(|token| **token != Token::Space);
        tokens.get(at).is_some_and(pure)
            && !before.is_some_and(|token| matches!(token, Token::Number { .. }) || pure(token))
            && matches!(after.next(), Some(Token::Number { .. }))
            && matches!(after.next(), Some(Token::Word { text, .. })
                if text.chars().next().is_some_and(|c| "십백천만억조".contains(c)))
    };
    let Some(at) = (0..tokens.len()).find(|at| leads(*at)) else { return tokens };
    let one = Grouped { value: Decimal::whole(1), rule: None, dotted_thousands: false };
    let mut out = tokens;
    out.insert(at, Token::Number { text: "1".into(), value: Some(one), glued_before: false });
    out
}

/// Where a run of digits with separators ends.
fn number_end(chars: &[char], start: usize) -> usize {
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let digits = |from: usize| chars.iter().skip(from).take_while(|c| c.is_ascii_digit()).count();
    let mut i = start;
    loop {
        i += digits(i);
        let next = at(i);
        if matches!(next, ',' | '.' | '_' | '\'' | '’') && at(i + 1).is_ascii_digit() {
            i += 1;
        } else if (next == ' ' || next == '\u{a0}') && digits(i + 1) == 3 && last_group(chars, start, i) <= 3
        {
            // A space groups only between groups of three.
            i += 1;
        } else {
            break;
        }
    }
    let exponent = match at(i) {
        'e' | 'E' if at(i + 1).is_ascii_digit() => 1 + digits(i + 1),
        'e' | 'E' if matches!(at(i + 1), '+' | '-') && at(i + 2).is_ascii_digit() => 2 + digits(i + 2),
        _ => 0,
    };
    i + exponent
}

fn last_group(chars: &[char], start: usize, end: usize) -> usize {
    let run = chars.get(start..end).unwrap_or(&[]);
    if run.iter().any(|c| matches!(c, ',' | '.' | '_' | '\'')) {
        return usize::MAX;
    }
    let last = run.iter().rev().take_while(|c| c.is_ascii_digit()).count();
    // Groups after the first have three digits each; the first at most three.
    if last == run.len() || last == 3 { last } else { usize::MAX }
}

/// Interprets the separators of a run of digits; `None` if there is no one sensible way.
fn grouped(run: &str) -> Option<Grouped> {
    let plain = |text: &str, rule, dotted| {
        Decimal::parse(text).map(|value| Grouped { value, rule, dotted_thousands: dotted })
    };
    if run.chars().all(|c| c.is_ascii_digit()) {
        return plain(run, None, false);
    }
    let (mantissa, power) = match run.find(['e', 'E']) {
        Some(at) => (run.get(..at)?, run.get(at..)?),
        None => (run, ""),
    };
    if !power.is_empty() {
        return plain(run, None, false);
    }
    let commas = mantissa.matches(',').count();
    let dots = mantissa.matches('.').count();
    let others = mantissa.matches(['_', '\'', '’', ' ', '\u{a0}']).count();
    let strip = |text: &str, what: &[char]| text.replace(what, "");
    let thousands = |text: &str, mark: char| groups_of(text, mark, 3);
    match (commas, dots, others) {
        (0, 0, _) => {
            let mark = mantissa.chars().find(|c| !c.is_ascii_digit())?;
            let uniform = mantissa.chars().all(|c| c.is_ascii_digit() || c == mark);
            if mark != '_' && !(uniform && thousands(mantissa, mark)) {
                return None;
            }
            plain(&strip(mantissa, &['_', '\'', '’', ' ', '\u{a0}']), Some(Rule::ThousandsSeparator), false)
        }
        (0, 1, 0) => {
            let (whole, fraction) = mantissa.split_once('.')?;
            let dotted = fraction.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0');
            plain(mantissa, None, dotted)
        }
        (0, _, 0) => {
            let ok = thousands(mantissa, '.') && !mantissa.starts_with('0');
            ok.then(|| plain(&strip(mantissa, &['.']), Some(Rule::ThousandsSeparator), false))?
        }
        (_, 0, 0) => {
            if (thousands(mantissa, ',') || groups_indian(mantissa)) && !mantissa.starts_with('0') {
                return plain(&strip(mantissa, &[',']), Some(Rule::ThousandsSeparator), false);
            }
            // One comma that cannot group: the decimal comma of most of Europe.
            let (_, fraction) = mantissa.split_once(',')?;
            // 1,0000 may be grouped by 만, as Koreans count.
            let ok = commas == 1 && (!matches!(fraction.len(), 3 | 4) || mantissa.starts_with("0,"));
            ok.then(|| plain(&mantissa.replace(',', "."), Some(Rule::DecimalComma), false))?
        }
        (_, 1, 0) => {
            let (whole, fraction) = mantissa.split_once('.')?;
            if !fraction.contains(',') && (thousands(whole, ',') || groups_indian(whole)) {
                return plain(
                    &format!("{}.{fraction}", strip(whole, &[','])),
                    Some(Rule::ThousandsSeparator),
                    false,
                );
            }
            let (whole, fraction) = mantissa.split_once(',')?;
            let ok = commas == 1 && thousands(whole, '.');
            ok.then(|| {
                plain(&format!("{}.{fraction}", strip(whole, &['.'])), Some(Rule::DecimalComma), false)
            })?
        }
        (1, _, 0) => {
            let (whole, fraction) = mantissa.split_once(',')?;
            let ok = thousands(whole, '.') && !fraction.contains('.');
            ok.then(|| {
                plain(&format!("{}.{fraction}", strip(whole, &['.'])), Some(Rule::DecimalComma), false)
            })?
        }
        (_, _, _) => {
            // Space or apostrophe groups before a decimal mark: 1 234,56 and 1'234.50.
            let mark = if commas == 1 && dots == 0 { ',' } else { '.' };
            let (whole, fraction) = mantissa.split_once(mark)?;
            let group = whole.chars().find(|c| !c.is_ascii_digit())?;
            let ok = thousands(whole, group) && fraction.chars().all(|c| c.is_ascii_digit());
            let rule = if mark == ',' { Rule::DecimalComma } else { Rule::ThousandsSeparator };
            ok.then(|| plain(&format!("{}.{fraction}", strip(whole, &[group])), Some(rule), false))?
        }
    }
}

fn groups_of(text: &str, mark: char, size: usize) -> bool {
    let mut parts = text.split(mark);
    let first = parts.next().is_some_and(|first| (1..=size).contains(&first.len()) && digits_only(first));
    let mut count = 0;
    let rest = parts.all(|part| {
        count += 1;
        part.len() == size && digits_only(part)
    });
    first && rest && count > 0
}

/// 12,34,567: groups of two before the last one of three.
fn groups_indian(text: &str) -> bool {
    let Some((front, last)) = text.rsplit_once(',') else { return false };
    last.len() == 3
        && digits_only(last)
        && (groups_of(front, ',', 2) || (front.len() <= 2 && digits_only(front)))
}

fn digits_only(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

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

struct Scan<'a> {
    tokens: &'a [Token],
    at: usize,
    wide: bool,
}

#[derive(Default)]
struct Around {
    prose: bool,
    about: bool,
    bound: bool,
    negated: bool,
    range: bool,
    odd: bool,
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn run(&mut self) -> Reading {
        let mut found: Option<Number> = None;
        let mut around = Around::default();
        let mut sign: Option<bool> = None;
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
                    let number = match self.number() {
                        Ok(number) => number,
                        Err(reading) => return reading,
                    };
                    if let Some(first) = &found {
                        if first.value != number.value || around.range {
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
                    let next_is_number = matches!(self.peek(1), Some(Token::Number { .. }))
                        || matches!((self.peek(1), self.peek(2)), (Some(Token::Sign(s)), Some(Token::Number { .. })) if currency::of_sign(*s).is_some());
                    match c {
                        '-' | '\u{2212}' | '+' if next_is_number && found.is_none() => sign = Some(c != '+'),
                        '-' | '\u{2212}' | '~' | '–' | '—' | '〜' | '…' if found.is_some() => {
                            around.range = true;
                        }
                        '~' | '≈' | '≃' => around.about = true,
                        '<' | '>' | '≤' | '≥' | '+' | '±' | '^' => around.bound = true,
                        '×' | '÷' | '=' | '/' | '\\' | '@' | '&' | '|' => around.odd = true,
                        ':' if found.is_some() => around.odd = true,
                        '?' => around.negated = true,
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
                        unit::Word::Minus if found.is_none() => sign = Some(true),
                        unit::Word::NumberWord => return Reading::Ambiguous("digits and number words"),
                        _ => around.prose = true,
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
