//! Where the quote stands that may close a string.

use super::scan::{
    CORNER, CURLY_DOUBLE, CURLY_SINGLE, GUILLEMET, Input, LOOK, Solid, Tri, WHITE_CORNER, WIDE_DOUBLE,
    WIDE_SINGLE, string_stop,
};
use super::string::Role;

/// Is where the next closing quote stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// The offset after it.
    At(usize),
    End,
    Far,
    Wait,
}

/// Finds the end of a string that starts at `start`, on one line and within [`LOOK`] bytes.
pub(super) fn find_quote(cx: Input<'_>, start: usize, quote: u8) -> Found {
    let (lead, wide) = closer_lead(quote);
    let mut i = start;
    loop {
        i = string_stop(cx.bytes.get(..(start + LOOK).min(cx.len())).unwrap_or(cx.bytes), i, lead);
        if i >= cx.len() {
            return if cx.eof { Found::End } else { Found::Wait };
        }
        if i - start >= LOOK {
            return Found::Far;
        }
        match cx.at(i) {
            b'\\' if quote == b'\\' && cx.at(i + 1) == b'"' => return Found::At(i + 2),
            b'\\' => i += 2,
            b'\n' | b'\r' => return Found::Far,
            byte if byte == lead => {
                if !wide {
                    return Found::At(i + 1);
                }
                if let Some(len) = closes_wide(cx, i, quote) {
                    return Found::At(i + len);
                }
                i += 1;
            }
            _ => i += 1,
        }
    }
}

pub(super) fn closer_lead(quote: u8) -> (u8, bool) {
    match quote {
        CURLY_DOUBLE | CURLY_SINGLE => (0xE2, true),
        CORNER | WHITE_CORNER => (0xE3, true),
        GUILLEMET => (0xC2, true),
        WIDE_DOUBLE | WIDE_SINGLE => (0xEF, true),
        b'\\' => (b'\\', false),
        ascii => (ascii, false),
    }
}

pub(super) fn closes_wide(cx: Input<'_>, i: usize, quote: u8) -> Option<usize> {
    let hit = match (cx.at(i), cx.at(i + 1), cx.at(i + 2)) {
        (0xE2, 0x80, 0x9C..=0x9F) => quote == CURLY_DOUBLE,
        (0xE2, 0x80, 0x98..=0x9B) => quote == CURLY_SINGLE,
        (0xE3, 0x80, 0x8D) => quote == CORNER,
        (0xE3, 0x80, 0x8F) => quote == WHITE_CORNER,
        (0xEF, 0xBC, 0x82) => quote == WIDE_DOUBLE,
        (0xEF, 0xBC, 0x87) => quote == WIDE_SINGLE,
        (0xC2, 0xBB, _) => return (quote == GUILLEMET).then_some(2),
        _ => false,
    };
    hit.then_some(3)
}

/// Tells whether a string opened by `“` is closed by `"`.
pub(super) fn mixed_closer(cx: Input<'_>, start: usize) -> Tri {
    let end = (start + LOOK).min(cx.len());
    let window = cx.bytes.get(start..end).unwrap_or(&[]);
    for i in memchr::memchr2_iter(0xE2, b'"', window) {
        let at = start + i;
        if closes_wide(cx, at, CURLY_DOUBLE).is_some() {
            return Tri::No;
        }
        if at + 3 > cx.len() && !cx.eof {
            return Tri::Wait;
        }
        if cx.at(at) == b'"' {
            match cx.solid(at + 1) {
                Solid::Wait => return Tri::Wait,
                Solid::At { byte: b':' | b',' | b'}' | b']', .. } => return Tri::Yes,
                _ => {}
            }
        }
    }
    if window.len() < LOOK && !cx.eof { Tri::Wait } else { Tri::No }
}

/// Tells whether a string opened by `'` is closed by `"`: no `'` comes first, and what follows fits the end of a value.
pub(super) fn closed_by_double(cx: Input<'_>, start: usize, role: Role) -> Tri {
    let window = cx.bytes.get(start..(start + LOOK).min(cx.len())).unwrap_or(&[]);
    let Some(i) = memchr::memchr2(b'\'', b'"', window) else {
        return if window.len() < LOOK && !cx.eof { Tri::Wait } else { Tri::No };
    };
    if window.get(i) == Some(&b'\'') || i == 0 {
        return Tri::No;
    }
    match cx.solid(start + i + 1) {
        Solid::Wait => Tri::Wait,
        Solid::At { byte: b'}' | b']', .. } => {
            let rest = window.get(i + 1..).unwrap_or(&[]);
            match memchr::memchr(b'\'', rest) {
                Some(_) => Tri::No,
                None if window.len() < LOOK && !cx.eof => Tri::Wait,
                None => Tri::Yes,
            }
        }
        Solid::At { at, byte: b',', .. } => match cx.solid(at + 1) {
            Solid::Wait => Tri::Wait,
            Solid::At { byte: b'"', at, .. } if role == Role::Field => super::key::key_at(cx, at, false),
            Solid::At { byte: b'"', .. } => Tri::Yes,
            _ => Tri::No,
        },
        _ => Tri::No,
    }
}

/// Says that more text is needed.
pub(super) struct Unfinished;

/// Returns where the code starts in a block whose fence ends at `from`: after the language and the line break.
pub(super) fn code_starts(cx: Input<'_>, from: usize) -> Result<usize, Unfinished> {
    let mut at = from;
    while at < cx.len()
        && at - from < 32
        && (cx.at(at).is_ascii_alphanumeric() || matches!(cx.at(at), b'+' | b'-' | b'#' | b'.' | b'\r'))
    {
        at += 1;
    }
    if at >= cx.len() && !cx.eof {
        return Err(Unfinished);
    }
    Ok(if cx.at(at) == b'\n' { at + 1 } else { from })
}
