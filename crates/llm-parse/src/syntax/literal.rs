//! Literals and numbers: what a bare word is, and what about it is not JSON.

use crate::report::{Rule, Severity};
use crate::tree::Kind;

/// Literals by exact spelling, with the rule that reading them takes.
pub(super) const LITERALS: &[(&str, Kind, Option<Rule>)] = &[
    ("true", Kind::Bool(true), None),
    ("false", Kind::Bool(false), None),
    ("null", Kind::Null, None),
    ("True", Kind::Bool(true), Some(Rule::PythonLiteral)),
    ("False", Kind::Bool(false), Some(Rule::PythonLiteral)),
    ("None", Kind::Null, Some(Rule::PythonLiteral)),
    ("undefined", Kind::Null, Some(Rule::JavaScriptLiteral)),
    ("NaN", Kind::Number, Some(Rule::JavaScriptLiteral)),
    ("Infinity", Kind::Number, Some(Rule::JavaScriptLiteral)),
    ("-Infinity", Kind::Number, Some(Rule::JavaScriptLiteral)),
    ("nil", Kind::Null, Some(Rule::LiteralCase)),
    ("TRUE", Kind::Bool(true), Some(Rule::LiteralCase)),
    ("FALSE", Kind::Bool(false), Some(Rule::LiteralCase)),
    ("NULL", Kind::Null, Some(Rule::LiteralCase)),
    ("Null", Kind::Null, Some(Rule::LiteralCase)),
];

/// Recognises an unquoted run, with the rule and severity that reading it takes.
pub(super) fn classify(word: &str) -> (Kind, Option<(Rule, Severity)>) {
    let first = word.bytes().next().unwrap_or(0);
    if first.is_ascii_alphabetic() || first == b'-' {
        for (literal, kind, rule) in LITERALS {
            if *literal == word {
                return (*kind, rule.map(|rule| (rule, Severity::Cosmetic)));
            }
        }
    }
    if is_json_number(word.as_bytes()) {
        return (Kind::Number, None);
    }
    if let Some(severity) = number_form(word) {
        return (Kind::Number, Some((Rule::NumberForm, severity)));
    }
    (Kind::Word, Some((Rule::UnquotedString, Severity::Cosmetic)))
}

fn is_json_number(word: &[u8]) -> bool {
    json_number(word, 0) == Some(word.len())
}

/// Returns the end of the JSON number (RFC 8259, section 6) that starts at `i`.
#[inline]
pub(super) fn json_number(bytes: &[u8], mut i: usize) -> Option<usize> {
    let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
    if at(i) == b'-' {
        i += 1;
    }
    match at(i) {
        b'0' => i += 1,
        b'1'..=b'9' => {
            while at(i).is_ascii_digit() {
                i += 1;
            }
        }
        _ => return None,
    }
    if at(i) == b'.' {
        if !at(i + 1).is_ascii_digit() {
            return None;
        }
        i += 1;
        while at(i).is_ascii_digit() {
            i += 1;
        }
    }
    if matches!(at(i), b'e' | b'E') {
        let mut j = i + 1;
        if matches!(at(j), b'+' | b'-') {
            j += 1;
        }
        if !at(j).is_ascii_digit() {
            return None;
        }
        while at(j).is_ascii_digit() {
            j += 1;
        }
        i = j;
    }
    Some(i)
}

/// Recognises numbers that JSON does not know: `+1`, `.5`, `5.`, `0x1F`, `1_000`, `1,234`, `007`.
fn number_form(word: &str) -> Option<Severity> {
    let (negative, digits) = match word.strip_prefix(['+', '-']) {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let _ = negative;
    let bytes = digits.as_bytes();
    let radix = match bytes {
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => rest.iter().all(u8::is_ascii_hexdigit),
        [b'0', b'o' | b'O', rest @ ..] if !rest.is_empty() => rest.iter().all(|b| (b'0'..=b'7').contains(b)),
        [b'0', b'b' | b'B', rest @ ..] if !rest.is_empty() => rest.iter().all(|b| matches!(b, b'0' | b'1')),
        _ => false,
    };
    if radix {
        return Some(Severity::Repaired);
    }
    let (whole, exponent) = digits.split_once(['e', 'E']).map_or((digits, None), |(a, b)| (a, Some(b)));
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !exponent.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    let (integer, fraction) = whole.split_once('.').map_or((whole, None), |(a, b)| (a, Some(b)));
    let decimal = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !fraction.is_none_or(decimal) || (integer.is_empty() && fraction.is_none_or(str::is_empty)) {
        return None;
    }
    if integer.contains(',') {
        let mut groups = integer.split(',');
        let head = groups.next().unwrap_or("");
        let grouped =
            (1..=3).contains(&head.len()) && decimal(head) && groups.all(|g| g.len() == 3 && decimal(g));
        return grouped.then_some(Severity::Repaired);
    }
    if integer.contains('_') {
        let plain = integer.split('_').all(|group| !group.is_empty() && decimal(group));
        return plain.then_some(Severity::Repaired);
    }
    if !decimal(integer) {
        return None;
    }
    let zeros = integer.len() > 1 && integer.starts_with('0');
    Some(if zeros { Severity::Ambiguous } else { Severity::Repaired })
}
