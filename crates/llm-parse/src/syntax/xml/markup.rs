//! Tags, comments and sections: what a `<` starts.

use super::super::scan::{Input, Solid};
use crate::tree::Span;

/// Is what `<` starts.
pub(super) enum Markup {
    Open { tag: Span, name: Span, attributes: Vec<(Span, Span)>, empty: bool, end: usize },
    Close { tag: Span, end: usize },
    Data { text: Span, end: usize },
    Skip { end: usize },
    Text,
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':') || byte >= 0x80
}

fn name_end(cx: Input<'_>, from: usize) -> usize {
    let mut i = from;
    while i < cx.len() && is_name(cx.at(i)) {
        i += 1;
    }
    i
}

fn find(cx: Input<'_>, from: usize, needle: &[u8], stop: &mut Option<usize>) -> Option<usize> {
    // What was not found once is not looked for again.
    if stop.is_some_and(|stop| from >= stop) {
        return None;
    }
    let hit = memchr::memmem::find(cx.bytes.get(from..).unwrap_or(&[]), needle).map(|i| from + i);
    if hit.is_none() {
        *stop = Some(from);
    }
    hit
}

#[derive(Default)]
pub(super) struct Misses {
    comment: Option<usize>,
    data: Option<usize>,
}

pub(super) fn markup(cx: Input<'_>, at: usize, misses: &mut Misses) -> Markup {
    let rest = cx.bytes.get(at..).unwrap_or(&[]);
    if rest.starts_with(b"<!--") {
        return match find(cx, at + 4, b"-->", &mut misses.comment) {
            Some(end) => Markup::Skip { end: end + 3 },
            None => Markup::Text,
        };
    }
    if rest.starts_with(b"<![CDATA[") {
        let end = find(cx, at + 9, b"]]>", &mut misses.data);
        let text = Span::new(at + 9, end.unwrap_or(cx.len()));
        return Markup::Data { text, end: end.map_or(cx.len(), |end| end + 3) };
    }
    if rest.starts_with(b"<?") || rest.starts_with(b"<!") {
        let window = rest.get(..rest.len().min(512)).unwrap_or(rest);
        return memchr::memchr(b'>', window).map_or(Markup::Text, |i| Markup::Skip { end: at + i + 1 });
    }
    let close = cx.at(at + 1) == b'/';
    let from = at + 1 + usize::from(close);
    if !(cx.at(from).is_ascii_alphabetic() || cx.at(from) == b'_' || cx.at(from) >= 0x80) {
        return Markup::Text;
    }
    let mut end = name_end(cx, from);
    let tag = Span::new(from, end);
    if close {
        return match cx.solid(end) {
            Solid::At { at, byte: b'>', .. } => Markup::Close { tag, end: at + 1 },
            _ => Markup::Text,
        };
    }
    let mut name = tag;
    if cx.at(end) == b'=' {
        // `<parameter=title>`: the way some models write calls.
        let from = end + 1;
        end = name_end(cx, from);
        name = Span::new(from, end);
    }
    let mut attributes = Vec::new();
    loop {
        let Solid::At { at: here, byte, .. } = cx.solid(end) else { return Markup::Text };
        match byte {
            b'>' => return Markup::Open { tag, name, attributes, empty: false, end: here + 1 },
            b'/' if cx.at(here + 1) == b'>' => {
                return Markup::Open { tag, name, attributes, empty: true, end: here + 2 };
            }
            _ if is_name(byte) && here > end && attributes.len() < 64 => {
                let key = Span::new(here, name_end(cx, here));
                let Solid::At { at: sign, byte: b'=', .. } = cx.solid(key.end) else {
                    end = key.end;
                    continue;
                };
                let Solid::At { at: value, byte, .. } = cx.solid(sign + 1) else { return Markup::Text };
                if byte == b'"' || byte == b'\'' {
                    let window = cx.bytes.get(value + 1..(value + 4096).min(cx.len())).unwrap_or(&[]);
                    let Some(len) = memchr::memchr2(byte, b'<', window) else { return Markup::Text };
                    if window.get(len) == Some(&b'<') {
                        return Markup::Text;
                    }
                    attributes.push((key, Span::new(value + 1, value + 1 + len)));
                    end = value + len + 2;
                } else {
                    let stop = name_end(cx, value);
                    if stop == value {
                        return Markup::Text;
                    }
                    attributes.push((key, Span::new(value, stop)));
                    end = stop;
                }
            }
            _ => return Markup::Text,
        }
    }
}
