//! Digits, words and signs of a text, and what groups of digits mean.

use crate::align::scalar::decimal::Decimal;
use crate::report::Rule;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number { text: Box<str>, value: Option<Grouped>, glued_before: bool },
    Word { text: Box<str>, glued: bool },
    Sign(char),
    Space,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grouped {
    pub(super) value: Decimal,
    pub(super) rule: Option<Rule>,
    pub(super) dotted_thousands: bool,
}

pub(super) fn is_hangul(c: char) -> bool {
    matches!(c, '가'..='힣')
}

pub(super) fn tokens(text: &str) -> Vec<Token> {
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
pub(super) fn with_leading_ones(tokens: Vec<Token>) -> Vec<Token> {
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

pub(super) fn digits_only(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}
