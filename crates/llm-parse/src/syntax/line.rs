//! Lines, and what each begins with: a list marker, a key, or neither.

use super::scan::{Input, is_quote};
use crate::report::Rule;
use crate::tree::Span;

#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) start: usize,
    /// Where its text starts.
    pub(super) text: usize,
    pub(super) end: usize,
}

/// Is what a line starts with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// A list marker and its length with the blanks after it.
    Item {
        len: usize,
        markdown: bool,
    },
    /// A key: its text, and where the value starts.
    Field {
        name: Span,
        quoted: bool,
        value: usize,
    },
    None,
}

pub(super) fn lines(cx: Input<'_>, from: usize, to: usize) -> impl Iterator<Item = Line> {
    let mut at = from;
    std::iter::from_fn(move || {
        if at >= to {
            return None;
        }
        let rest = cx.bytes.get(at..to).unwrap_or(&[]);
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let raw = rest.get(..len).unwrap_or(&[]);
        let blanks = raw.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let trimmed = raw.trim_ascii_end().len().max(blanks);
        let line = Line { start: at, text: at + blanks, end: at + trimmed };
        at += len + 1;
        Some(line)
    })
}

pub(super) fn is_blank(line: Line) -> bool {
    line.text >= line.end
}

/// Recognises what stands at `at` on a line that ends at `end`.
pub(super) fn entry(cx: Input<'_>, at: usize, end: usize) -> Entry {
    let text = cx.slice(at, end);
    let bytes = text.as_bytes();
    let blank = |i: usize| bytes.get(i).is_none_or(|b| *b == b' ' || *b == b'\t');
    let marker = match bytes {
        [b'-', ..] if blank(1) => Some((1, false)),
        [b'*' | b'+', ..] if blank(1) => Some((1, true)),
        [0xE2, 0x80, 0xA2, ..] => Some((3, true)),
        [b'0'..=b'9', ..] => {
            let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
            (digits <= 3 && matches!(bytes.get(digits), Some(b'.' | b')')) && blank(digits + 1))
                .then_some((digits + 1, true))
        }
        _ => None,
    };
    if let Some((len, markdown)) = marker {
        let blanks = bytes.get(len..).unwrap_or(&[]).iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        return Entry::Item { len: len + blanks, markdown };
    }
    field(cx, at, end)
}

fn field(cx: Input<'_>, at: usize, end: usize) -> Entry {
    let (first, len) = cx.punct(at);
    if matches!(first, b'{' | b'[' | b'<' | b'|' | b'#' | b'&' | b'>' | b'`') {
        return Entry::None;
    }
    if is_quote(first) && first != b'`' {
        let super::closer::Found::At(close) = super::closer::find_quote(cx, at + len, first) else {
            return Entry::None;
        };
        let (colon, width) = cx.punct(close);
        let after = close + width;
        if close < end && colon == b':' && (after >= end || cx.space(after) > 0 || width > 1) {
            let closer = if first < b' ' { 3 } else { 1 };
            return Entry::Field { name: Span::new(at + len, close - closer), quoted: true, value: after };
        }
        return Entry::None;
    }
    let mut i = at;
    while i < end && i - at <= 80 {
        let (byte, width) = cx.punct(i);
        let after = i + width;
        let colon =
            byte == b':' && (after >= end || cx.space(after) > 0 || width > 1 || cx.at(after) == b'*');
        let equals = byte == b'=' && i > at && cx.at(i - 1) == b' ' && cx.at(after) == b' ';
        if colon || equals {
            let name = cx.slice(at, i);
            let plain = unemphasised(name);
            let words = plain.split_whitespace().take(7).count();
            let talk = plain.contains(['?', '!', ',', '"', '(', '`']) || plain.contains(". ");
            if plain.is_empty() || words > 5 || talk {
                return Entry::None;
            }
            let from = at + name.find(plain).unwrap_or(0);
            let bold = cx.slice(after, end).bytes().take_while(|b| *b == b'*').count();
            return Entry::Field {
                name: Span::new(from, from + plain.len()),
                quoted: false,
                value: after + bold,
            };
        }
        i = cx.after_char(i);
    }
    Entry::None
}

/// Takes Markdown's emphasis off a key; an underscore of its own (`_id`, `__typename`) stays.
pub(super) fn unemphasised(name: &str) -> &str {
    let name = name.trim_matches(['*', ' ']);
    let inner = name.trim_matches('_');
    let words = inner.contains(' ') || !inner.is_ascii();
    if name.starts_with('_') && name.ends_with('_') && words { inner } else { name }
}

/// Tells a list item that says "and so on", or that was struck out, from one that is meant.
pub(super) fn not_an_item(text: &str) -> Option<Rule> {
    if let Some(inner) = text.strip_prefix("~~").and_then(|rest| rest.strip_suffix("~~")) {
        return (!inner.is_empty() && !inner.contains("~~")).then_some(Rule::DroppedText);
    }
    let after = text.trim_start_matches(['.', '…']);
    let dots = text.starts_with("...") || text.starts_with('…');
    let rest = after.trim();
    let more = rest.split_whitespace().any(|word| matches!(word, "more" | "others" | "rest" | "remaining"));
    let goes_on = dots && (rest.is_empty() || rest.starts_with('(') || more);
    let words = matches!(
        text.trim_matches(['(', ')', '[', ']', '*', ' ']),
        "이하 생략" | "이하생략" | "중략" | "후략" | "생략" | "등등" | "omitted" | "etc." | "and so on"
    );
    (goes_on || words).then_some(Rule::Ellipsis)
}
