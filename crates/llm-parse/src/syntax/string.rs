//! Strings: scanning, escapes, and the decision which quote ends one.

use super::document::clip;
use super::machine::{Key, Machine, Shape, State};
use super::scan::{
    CORNER, CURLY_DOUBLE, CURLY_SINGLE, GUILLEMET, Input, LOOK, Solid, Tri, WHITE_CORNER, WIDE_DOUBLE,
    WIDE_SINGLE, is_ident, is_quote, string_stop,
};
use crate::report::{Rule, Severity};
use crate::tree::{Kind, Node, Quote, Text};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Role {
    #[default]
    Key,
    /// The value of a field.
    Field,
    /// An item of a list or an argument.
    Item,
}

/// Is the string that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Str {
    /// Where its quote (or its prefix) stands.
    start: usize,
    content: usize,
    /// What was not yet copied, when it has to be.
    run: usize,
    /// Where its copy starts in the tree's buffer.
    copy: Option<u32>,
    /// The folded opening quote; a backslash stands for `\"`.
    quote: u8,
    triple: bool,
    /// Opened by two quotes, so two close it.
    doubled: bool,
    role: Role,
    /// Quotes inside it so far.
    inner: u32,
    /// Raw control characters were reported.
    controls: bool,
    /// An unknown escape was seen.
    odd_escape: bool,
    /// Inside a fence that was opened inside the string.
    fenced: bool,
    /// The quotes after this point up to `parity_end` were counted.
    parity_from: usize,
    parity_end: usize,
    parity: u32,
}

/// Is what a quote inside a string is taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Close,
    /// It closes the string, but another reading is possible.
    Maybe,
    Inner,
    /// It closes the string and stands twice.
    Doubled,
    /// The string is no item but the next key of the object around: the list was not closed.
    OuterKey,
    /// The string ended before it, at this offset; its closing quote is missing.
    Ends(usize),
    Wait,
}

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

fn closer_lead(quote: u8) -> (u8, bool) {
    match quote {
        CURLY_DOUBLE | CURLY_SINGLE => (0xE2, true),
        CORNER | WHITE_CORNER => (0xE3, true),
        GUILLEMET => (0xC2, true),
        WIDE_DOUBLE | WIDE_SINGLE => (0xEF, true),
        b'\\' => (b'\\', false),
        ascii => (ascii, false),
    }
}

fn closes_wide(cx: Input<'_>, i: usize, quote: u8) -> Option<usize> {
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

/// Tells whether a literal stands at `at`.
fn literal_at(cx: Input<'_>, at: usize) -> Tri {
    let words: [&[u8]; 6] = [b"true", b"false", b"null", b"True", b"False", b"None"];
    words.iter().map(|word| cx.has(at, word)).find(|tri| *tri != Tri::No).unwrap_or(Tri::No)
}

impl Machine {
    /// Opens the string whose quote stands at `pos`.
    pub(super) fn open_string(&mut self, cx: Input<'_>, role: Role) -> bool {
        self.open_prefixed(cx, role, 0)
    }

    /// Opens a string after a prefix of `prefix` bytes.
    pub(super) fn open_prefixed(&mut self, cx: Input<'_>, role: Role, prefix: usize) -> bool {
        let start = self.pos;
        let at = start + prefix;
        let (mut quote, mut len) = cx.punct(at);
        let (mut triple, mut doubled) = (false, false);
        match quote {
            b'"' if cx.at(at + 1) != b'"' && at + 1 < cx.len() => {}
            b'"' | b'\'' | b'`' => {
                if at + 3 >= cx.len() && !cx.eof && cx.run(at) + at >= cx.len() {
                    return false;
                }
                let run = cx.run(at);
                if run >= 3 && self.triple_opens(cx, at) {
                    triple = true;
                    len = 3;
                } else if run == 2 && (cx.at(at + 2).is_ascii_alphanumeric() || cx.at(at + 2) >= 0x80) {
                    // `""text""`
                    match find_quote(cx, at + 2, quote) {
                        Found::Wait => return false,
                        Found::At(end) if cx.at(end) == quote => doubled = true,
                        Found::At(end) if end >= cx.len() && !cx.eof => return false,
                        _ => {}
                    }
                }
            }
            b'\\' => {
                quote = b'\\';
                len = 2;
                self.repaired(Rule::OverEscaped, at, at + 2);
            }
            _ => {}
        }
        if doubled {
            len = 2;
            self.repaired(Rule::QuoteForm, at, at + 2);
        } else if triple {
            self.repaired(Rule::QuoteForm, at, at + 3);
        } else if !matches!(quote, b'"' | b'\\') {
            self.cosmetic(Rule::QuoteForm, at, at + len);
        }
        let content = at + len;
        self.string = Str { start, content, run: content, quote, triple, doubled, role, ..Str::default() };
        self.pos = content;
        self.memo = 0;
        self.state = State::Str;
        true
    }

    /// Tells three quotes that open a string from an empty string and a quote.
    fn triple_opens(&self, cx: Input<'_>, at: usize) -> bool {
        !matches!(cx.at(at + 3), b',' | b'}' | b']' | b':')
    }

    pub(super) fn in_string(&mut self, cx: Input<'_>) -> bool {
        let quote = self.string.quote;
        let (lead, wide) = closer_lead(quote);
        loop {
            let i = string_stop(cx.bytes, self.pos, lead);
            self.pos = i;
            let Some(&byte) = cx.bytes.get(i) else {
                return cx.eof && self.cut_string(cx);
            };
            if byte == b'\\' {
                match self.escape(cx, quote) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => return false,
                }
            } else if byte == lead {
                let len = if wide { closes_wide(cx, i, quote) } else { Some(1) };
                let Some(len) = len else {
                    self.pos += 1;
                    continue;
                };
                match self.at_quote(cx, i, len) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => return false,
                }
            } else {
                match self.control(cx, byte) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => return false,
                }
            }
        }
    }

    /// Handles a quote: `Some(true)` when the string is over, `None` when more text is needed.
    #[inline]
    fn at_quote(&mut self, cx: Input<'_>, at: usize, len: usize) -> Option<bool> {
        if self.string.triple {
            let run = cx.run(at);
            if run < 3 {
                if at + run >= cx.len() && !cx.eof {
                    return None;
                }
                if at + run < cx.len() || run == 0 {
                    self.pos = at + run;
                    return Some(false);
                }
                // The closing quotes were cut off.
                self.close_string(cx, at, at + run, true);
                return Some(true);
            }
            if at + run >= cx.len() && !cx.eof {
                return None;
            }
            self.close_string(cx, at + run - 3, at + run, true);
            return Some(true);
        }
        if self.string.doubled {
            if at + 1 >= cx.len() && !cx.eof {
                return None;
            }
            if cx.at(at + 1) == self.string.quote {
                self.close_string(cx, at, at + 2, true);
                return Some(true);
            }
            self.pos = at + 1;
            return Some(false);
        }
        // The common cases: `"key":` and a value before a bracket or the next key.
        if self.string.role == Role::Key && cx.at(at + len) == b':' {
            self.close_string(cx, at, at + len, true);
            return Some(true);
        }
        match self.judge(cx, at, len) {
            Verdict::Wait => None,
            Verdict::Close => {
                self.close_string(cx, at, at + len, true);
                Some(true)
            }
            Verdict::Maybe => {
                self.ambiguous(Rule::UnescapedQuote, at, at + len);
                self.close_string(cx, at, at + len, true);
                Some(true)
            }
            Verdict::Inner => {
                self.string.inner += 1;
                if self.string.parity_end > at && at > self.string.parity_from {
                    self.string.parity = self.string.parity.saturating_sub(1);
                }
                if self.string.quote != b'\'' || !cx.at(at + 1).is_ascii_alphabetic() {
                    self.repaired(Rule::UnescapedQuote, at, at + len);
                }
                self.pos = at + len;
                Some(false)
            }
            Verdict::Doubled => {
                self.repaired(Rule::QuoteForm, at, at + 2 * len);
                self.close_string(cx, at, at + 2 * len, true);
                Some(true)
            }
            Verdict::OuterKey => {
                let start = self.string.start;
                self.ambiguous(Rule::MissingCloser, start, start);
                self.pop(cx, start, true);
                self.string.role = Role::Key;
                self.close_string(cx, at, at + len, true);
                Some(true)
            }
            Verdict::Ends(end) => {
                if self.string.role == Role::Item {
                    self.ambiguous(Rule::MissingQuote, end, end);
                } else {
                    self.repaired(Rule::MissingQuote, end, end);
                }
                // `"key': 1`: a quote of another kind was meant to close the key.
                let other = self.string.role == Role::Key
                    && end > self.string.content + 1
                    && matches!(cx.at(end - 1), b'\'' | b'`');
                self.close_string(cx, end - usize::from(other), end, true);
                Some(true)
            }
        }
    }

    // ---- which quote ends the string ----

    fn judge(&mut self, cx: Input<'_>, at: usize, len: usize) -> Verdict {
        let next = at + len;
        let (here, byte, newline) = match cx.solid(next) {
            Solid::Wait => return Verdict::Wait,
            Solid::End => return Verdict::Close,
            Solid::At { at, byte, newline } => (at, byte, newline),
        };
        match self.string.role {
            Role::Key => self.judge_key(cx, at, next, here),
            Role::Field => self.judge_field(cx, at, next, here, byte, newline),
            Role::Item => self.judge_item(cx, at, next, here, newline),
        }
    }

    fn judge_key(&self, cx: Input<'_>, at: usize, next: usize, here: usize) -> Verdict {
        let (byte, _) = cx.punct(here);
        if byte == b':' || byte == b'=' {
            return Verdict::Close;
        }
        if byte == b'-' && cx.at(here + 1) == b'>' {
            return Verdict::Close;
        }
        if here == next && byte == self.string.quote && self.string.inner > 0 {
            return match cx.solid(here + 1) {
                Solid::Wait => Verdict::Wait,
                Solid::At { byte: b':', .. } => Verdict::Inner,
                _ => Verdict::Close,
            };
        }
        let content = cx.slice(self.string.content, at);
        if let Some(colon) = content.find(':') {
            // `"key: 1, "b": 2` or `"key: "value"`: the key's closing quote is missing.
            let after = content.get(colon + 1..).unwrap_or("");
            if after.starts_with(' ') || after.trim().is_empty() {
                return Verdict::Ends(self.string.content + colon);
            }
        }
        if matches!(byte, b',' | b'}' | b']' | b')' | b';')
            || (is_quote(byte) && (here > next || at > self.string.content))
        {
            return Verdict::Close;
        }
        if at == self.string.content {
            return if is_ident(cx.at(next)) { Verdict::Inner } else { Verdict::Close };
        }
        // A quote inside the key: another one before a colon follows on the line.
        let window = cx.bytes.get(here..(here + 64).min(cx.len())).unwrap_or(&[]);
        let stop = window.iter().position(|b| matches!(b, b',' | b'{' | b'}' | b'[' | b']' | b'\n' | b':'));
        match stop {
            None if here + 64 > cx.len() && !cx.eof => Verdict::Wait,
            Some(stop) if window.get(stop) == Some(&b':') => {
                let before = window.get(..stop).unwrap_or(&[]).trim_ascii_end();
                if before.last() == Some(&self.string.quote) { Verdict::Inner } else { Verdict::Close }
            }
            _ => Verdict::Close,
        }
    }

    fn judge_field(
        &mut self,
        cx: Input<'_>,
        at: usize,
        next: usize,
        here: usize,
        byte: u8,
        newline: bool,
    ) -> Verdict {
        let (byte, len) = if byte < 0x80 { (byte, 1) } else { cx.punct(here) };
        match byte {
            b',' => self.judge_comma(cx, at, here + len),
            b'}' => self.judge_brace(cx, at, here + len),
            b']' if self.arrays > 0 => self.judge_brace(cx, at, here + len),
            b')' if self.stack.iter().any(|f| f.call) => Verdict::Close,
            b';' => match cx.solid(here + 1) {
                Solid::Wait => Verdict::Wait,
                Solid::At { newline: false, byte, .. } if byte != b'}' => self.by_parity(cx, at, false),
                _ => Verdict::Close,
            },
            b'+' => match cx.solid(here + 1) {
                Solid::Wait => Verdict::Wait,
                Solid::At { at, .. } => {
                    if is_quote(cx.punct(at).0) {
                        Verdict::Close
                    } else {
                        self.by_parity(cx, next - 1, false)
                    }
                }
                Solid::End => Verdict::Close,
            },
            b'/' if here + 1 >= cx.len() && !cx.eof => Verdict::Wait,
            b'/' if matches!(cx.at(here + 1), b'/' | b'*') => Verdict::Close,
            b'#' if here > next => Verdict::Close,
            b'`' if newline => Verdict::Close,
            _ if is_quote(byte) => self.judge_next_quote(cx, at, next, here, newline),
            _ => self.judge_word(cx, at, next, here, newline),
        }
    }

    /// Judges a quote before a comma, inside an object: what follows has to be a key.
    fn judge_comma(&mut self, cx: Input<'_>, at: usize, after: usize) -> Verdict {
        let (here, newline) = match cx.solid(after) {
            Solid::Wait => return Verdict::Wait,
            Solid::End => return Verdict::Close,
            Solid::At { at, newline, .. } => (at, newline),
        };
        let (byte, len) = cx.punct(here);
        if is_quote(byte) || byte == b'\\' {
            let start = if byte == b'\\' { here + 2 } else { here + len };
            // A quote after a blank, or a string that starts with one, is no sign of a closed value.
            let padded = cx.at(start) == b' ' || (at > self.string.content && cx.at(at - 1) == b' ');
            let end = match find_quote(cx, start, byte) {
                Found::At(end) => end,
                Found::Wait => return Verdict::Wait,
                Found::End => return Verdict::Close,
                Found::Far => {
                    return if self.string.inner % 2 == 0 { Verdict::Maybe } else { Verdict::Inner };
                }
            };
            return match cx.solid(end) {
                Solid::Wait => Verdict::Wait,
                Solid::End => Verdict::Close,
                Solid::At { at: sign, .. } => match cx.punct(sign).0 {
                    b':' | b'=' => Verdict::Close,
                    b',' | b'}' | b']' if self.string.inner % 2 == 0 && !padded => Verdict::Maybe,
                    // `"key": "a", "missing colon" "value"` stays a string unless a line break says otherwise.
                    next if newline && (is_quote(next) || matches!(next, b'{' | b'[')) => Verdict::Close,
                    next if self.string.inner == 0 && matches!(next, b'{' | b'[' | b'0'..=b'9') => {
                        Verdict::Close
                    }
                    next if self.string.inner == 0 && is_quote(next) && sign > end => Verdict::Maybe,
                    _ => Verdict::Inner,
                },
            };
        }
        match byte {
            b'}' | b']' | b'{' | b',' | b'/' | b'#' | super::scan::ELLIPSIS => Verdict::Close,
            b'.' => Verdict::Close,
            _ => match self.key_at(cx, here, false) {
                Tri::Wait => Verdict::Wait,
                Tri::Yes => {
                    let loose = self.stack.last().is_some_and(|frame| frame.loose);
                    if loose || newline || self.string.inner == 0 {
                        Verdict::Close
                    } else {
                        self.by_parity(cx, at, true)
                    }
                }
                Tri::No => {
                    if newline && self.string.inner == 0 && self.long_key_follows(cx, here) {
                        return Verdict::Close;
                    }
                    self.by_parity(cx, at, false)
                }
            },
        }
    }

    /// Tells whether an unquoted key of several words follows.
    fn long_key_follows(&self, cx: Input<'_>, here: usize) -> bool {
        let window = cx.bytes.get(here..(here + 48).min(cx.len())).unwrap_or(&[]);
        let stop = window.iter().position(|b| matches!(b, b',' | b'"' | b'}' | b'\n' | b':'));
        stop.is_some_and(|stop| window.get(stop) == Some(&b':'))
    }

    /// Judges a quote before a closing bracket.
    fn judge_brace(&mut self, cx: Input<'_>, at: usize, after: usize) -> Verdict {
        match cx.solid(after) {
            Solid::Wait => Verdict::Wait,
            Solid::End | Solid::At { newline: true, .. } => Verdict::Close,
            Solid::At { at: here, .. } => match cx.punct(here).0 {
                b',' | b'}' | b']' | b')' | b';' | b'`' | b'{' | b'<' | b'/' | b'#' => Verdict::Close,
                b'"' if self.stack.len() == 1 && self.around.quoted => Verdict::Close,
                _ => self.by_parity(cx, at, true),
            },
        }
    }

    /// Judges a quote before another quote, inside an object.
    fn judge_next_quote(
        &mut self,
        cx: Input<'_>,
        at: usize,
        next: usize,
        here: usize,
        newline: bool,
    ) -> Verdict {
        if here == next {
            // `""`: the second one decides; an empty string was opened by the first.
            if at == self.string.content {
                return Verdict::Inner;
            }
            return self.judge_doubled(cx, here);
        }
        match self.key_at(cx, here, true) {
            Tri::Wait => Verdict::Wait,
            Tri::Yes => Verdict::Close,
            Tri::No if newline => Verdict::Close,
            Tri::No if self.string.inner == 0 => {
                let (byte, len) = cx.punct(here);
                match find_quote(cx, here + len, byte) {
                    Found::Wait => Verdict::Wait,
                    Found::At(end) => match cx.solid(end) {
                        Solid::Wait => Verdict::Wait,
                        Solid::At { byte: b',' | b'}' | b']', .. } => Verdict::Maybe,
                        _ => Verdict::Inner,
                    },
                    Found::End | Found::Far => Verdict::Inner,
                }
            }
            Tri::No => Verdict::Inner,
        }
    }

    /// Judges a quote before the quote at `here`, with nothing between them.
    fn judge_doubled(&self, cx: Input<'_>, here: usize) -> Verdict {
        if self.string.inner % 2 == 1 || cx.at(here) != self.string.quote {
            return match cx.solid(here + 1) {
                Solid::Wait => Verdict::Wait,
                _ => Verdict::Inner,
            };
        }
        match cx.solid(here + 1) {
            Solid::Wait => Verdict::Wait,
            // `"one"", "two"`: one quote too many
            Solid::At { byte: b',' | b'}' | b']', .. } => Verdict::Doubled,
            // `"one""key": 2`: the comma is missing
            Solid::At { at, .. } if at == here + 1 && self.string.role == Role::Field => {
                match self.key_with_value(cx, at) {
                    Tri::Wait => Verdict::Wait,
                    Tri::Yes => Verdict::Close,
                    Tri::No => Verdict::Inner,
                }
            }
            _ => Verdict::Inner,
        }
    }

    /// Tells whether only words stand between the quote before `next` and the end of the value around it: `"text" words}`.
    fn words_then_closer(&self, cx: Input<'_>, next: usize) -> Tri {
        if self.string.inner % 2 == 1 {
            return Tri::No;
        }
        let window = cx.bytes.get(next..(next + 48).min(cx.len())).unwrap_or(&[]);
        let stop = window
            .iter()
            .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-') || *b >= 0x80));
        match stop {
            None if window.len() < 48 && !cx.eof => Tri::Wait,
            Some(stop) if matches!(window.get(stop), Some(b'}' | b']')) => match cx.solid(next + stop + 1) {
                Solid::Wait => Tri::Wait,
                Solid::End | Solid::At { newline: true, .. } => Tri::Yes,
                Solid::At { byte, .. } => Tri::from(matches!(byte, b',' | b'}' | b']')),
            },
            _ => Tri::No,
        }
    }

    /// Tells whether `item"` and then the next item or the end of the list stand at `start`, after the item's opening quote.
    fn item_at(&self, cx: Input<'_>, start: usize) -> Tri {
        let end = match find_quote(cx, start, self.string.quote) {
            Found::At(end) => end,
            Found::Wait => return Tri::Wait,
            Found::End | Found::Far => return Tri::No,
        };
        match cx.solid(end) {
            Solid::Wait => Tri::Wait,
            Solid::At { byte: b']', .. } => Tri::Yes,
            Solid::At { byte: b':', .. } if self.outer_object() => self.key_with_value(cx, start),
            Solid::At { at, byte: b',', .. } => match cx.solid(at + 1) {
                Solid::Wait => Tri::Wait,
                Solid::At { byte, .. } => Tri::from(matches!(byte, b'"' | b'{' | b'[' | b']')),
                Solid::End => Tri::No,
            },
            _ => Tri::No,
        }
    }

    /// Tells whether the list that is being read is a field's value and has an item already.
    fn outer_object(&self) -> bool {
        let mut frames = self.stack.iter().rev();
        let list = frames.next().is_some_and(|frame| frame.shape == Shape::Array);
        list && frames.next().is_some_and(|frame| frame.shape == Shape::Object)
    }

    /// Judges a letter or digit right after a quote in an item: `["one, "two"]` lost the quote that closes `one`.
    fn judge_opening(&self, cx: Input<'_>, at: usize, next: usize) -> Verdict {
        let content = cx.slice(self.string.content, at);
        let Some(item) = content.trim_end().strip_suffix(',') else { return Verdict::Inner };
        if self.string.inner > 0 || item.trim().is_empty() || self.string.copy.is_some() {
            return Verdict::Inner;
        }
        match self.item_at(cx, next) {
            Tri::Wait => Verdict::Wait,
            Tri::Yes => {
                let item = item.trim_end();
                // `["one], "key": 1`: the bracket closes the list
                let text = if item.contains('[') { item } else { item.strip_suffix(']').unwrap_or(item) };
                Verdict::Ends(self.string.content + text.trim_end().len())
            }
            Tri::No => Verdict::Inner,
        }
    }

    /// Judges a quote before a letter or digit, inside an object.
    fn judge_word(&mut self, cx: Input<'_>, at: usize, next: usize, here: usize, newline: bool) -> Verdict {
        if here == next && is_ident(cx.at(here)) {
            // `"a": "b, "c": 1`: this quote opens the next key, so the value's closing quote is missing.
            let content = cx.slice(self.string.content, at);
            let trimmed = content.trim_end();
            let comma = trimmed.ends_with(',');
            let line = content.get(trimmed.len()..).is_some_and(|gap| gap.contains('\n'));
            if (comma || line) && !trimmed.is_empty() && self.string.inner % 2 == 0 {
                match self.key_with_value(cx, next) {
                    Tri::Wait => return Verdict::Wait,
                    Tri::Yes => {
                        let text = trimmed.strip_suffix(',').unwrap_or(trimmed).trim_end();
                        // `{"a": {"b": "c}, "d": 1}`: the bracket closes the object inside
                        let inside = self.stack.len() > 1 && !text.contains('{');
                        let text =
                            if inside { text.strip_suffix('}').unwrap_or(text).trim_end() } else { text };
                        return Verdict::Ends(self.string.content + text.len());
                    }
                    Tri::No => {}
                }
            }
            return Verdict::Inner;
        }
        if here > next && is_ident(cx.at(here)) {
            return match self.key_at(cx, here, false) {
                Tri::Wait => Verdict::Wait,
                Tri::Yes if newline || self.stack.last().is_some_and(|frame| frame.loose) => Verdict::Close,
                Tri::Yes | Tri::No => match self.words_then_closer(cx, next) {
                    Tri::Wait => Verdict::Wait,
                    Tri::Yes => Verdict::Maybe,
                    Tri::No => self.talk_or_inner(cx, next, here),
                },
            };
        }
        if newline && matches!(cx.at(here), b'{' | b'[') {
            return Verdict::Close;
        }
        self.talk_or_inner(cx, next, here)
    }

    /// Tells whether `key": value` stands at `start`, which is after the key's opening quote.
    fn key_with_value(&self, cx: Input<'_>, start: usize) -> Tri {
        let end = match find_quote(cx, start, self.string.quote) {
            Found::At(end) => end,
            Found::Wait => return Tri::Wait,
            Found::End | Found::Far => return Tri::No,
        };
        let colon = match cx.solid(end) {
            Solid::Wait => return Tri::Wait,
            Solid::At { at, byte: b':', .. } => at,
            _ => return Tri::No,
        };
        match cx.solid(colon + 1) {
            Solid::Wait => Tri::Wait,
            Solid::End => Tri::Yes,
            Solid::At { byte: b'"' | b'\'' | b'{' | b'[' | b'-' | b'0'..=b'9', .. } => Tri::Yes,
            Solid::At { at, .. } => literal_at(cx, at),
        }
    }

    fn judge_item(&mut self, cx: Input<'_>, at: usize, next: usize, here: usize, newline: bool) -> Verdict {
        let (byte, len) = cx.punct(here);
        let clean = self.string.inner == 0;
        match byte {
            b']' | b')' => self.judge_brace(cx, at, here + len),
            b'}' if self.objects > 0 => self.judge_brace(cx, at, here + len),
            b',' => {
                let (then, line) = match cx.solid(here + len) {
                    Solid::Wait => return Verdict::Wait,
                    Solid::End => return Verdict::Close,
                    Solid::At { at, newline, .. } => (at, newline),
                };
                let (byte, _) = cx.punct(then);
                let starts = is_quote(byte)
                    || matches!(byte, b'{' | b'[' | b']' | b'(' | b'-' | b'0'..=b'9' | b',' | b'/' | b'#');
                if !clean {
                    return if line && starts { Verdict::Close } else { self.by_parity(cx, at, true) };
                }
                if starts || line || matches!(byte, b'.' | super::scan::ELLIPSIS) {
                    return Verdict::Close;
                }
                match literal_at(cx, then) {
                    Tri::Wait => return Verdict::Wait,
                    Tri::Yes => return Verdict::Close,
                    Tri::No => {}
                }
                // `"one", two"]`: the next item's opening quote is missing
                match self.item_at(cx, then) {
                    Tri::Wait => Verdict::Wait,
                    Tri::Yes if is_ident(cx.at(then)) => Verdict::Maybe,
                    _ => self.by_parity(cx, at, true),
                }
            }
            b':' if clean && self.outer_object() && self.top().is_some_and(|top| top.count > 0) => {
                Verdict::OuterKey
            }
            b':' | b'=' if clean => Verdict::Close,
            b'+' => match cx.solid(here + 1) {
                Solid::Wait => Verdict::Wait,
                Solid::At { at, .. } if is_quote(cx.punct(at).0) => Verdict::Close,
                Solid::At { .. } => Verdict::Inner,
                Solid::End => Verdict::Close,
            },
            b'/' if here + 1 >= cx.len() && !cx.eof => Verdict::Wait,
            b'/' if matches!(cx.at(here + 1), b'/' | b'*') => Verdict::Close,
            b'#' if here > next => Verdict::Close,
            b'`' | b'{' | b'[' if newline => Verdict::Close,
            _ if is_quote(byte) => {
                if newline {
                    Verdict::Close
                } else if here == next && at == self.string.content {
                    Verdict::Inner
                } else if here == next {
                    self.judge_doubled(cx, here)
                } else if clean {
                    self.by_parity(cx, at, true)
                } else {
                    Verdict::Inner
                }
            }
            _ if here == next && is_ident(cx.at(here)) => self.judge_opening(cx, at, next),
            _ => self.talk_or_inner(cx, next, here),
        }
    }

    /// Tells talk after a value that was never closed from a string that goes on: no further quote follows.
    fn talk_or_inner(&self, cx: Input<'_>, next: usize, here: usize) -> Verdict {
        let gap = cx.bytes.get(next..here).unwrap_or(&[]);
        if gap.iter().filter(|b| **b == b'\n').take(2).count() < 2 {
            return Verdict::Inner;
        }
        let window = cx.bytes.get(here..(here + LOOK).min(cx.len())).unwrap_or(&[]);
        if memchr::memchr(self.string.quote, window).is_some() {
            return Verdict::Inner;
        }
        if window.len() < LOOK && !cx.eof { Verdict::Wait } else { Verdict::Close }
    }

    /// Decides by the number of quotes that follow on the line: an even number can be paired without this one.
    fn by_parity(&mut self, cx: Input<'_>, at: usize, close: bool) -> Verdict {
        if self.string.parity_end <= at {
            let quote = if self.string.quote.is_ascii_punctuation() { self.string.quote } else { b'"' };
            let quote = if quote == b'\\' { b'"' } else { quote };
            let limit = (at + 1 + 2 * LOOK).min(cx.len());
            let window = cx.bytes.get(at + 1..limit).unwrap_or(&[]);
            let line = memchr::memchr(b'\n', window);
            if line.is_none() && limit == cx.len() && !cx.eof && window.len() < 2 * LOOK {
                return Verdict::Wait;
            }
            let stop = line.unwrap_or(window.len());
            let mut escaped = false;
            let mut count = 0_u32;
            for byte in window.get(..stop).unwrap_or(&[]) {
                if escaped {
                    escaped = false;
                } else if *byte == b'\\' {
                    escaped = true;
                } else if *byte == quote {
                    count += 1;
                }
            }
            self.string.parity = count;
            self.string.parity_from = at;
            self.string.parity_end = at + 1 + stop;
        }
        // This quote is among the counted ones unless the count began with it.
        let parity = self.string.parity.saturating_sub(u32::from(at > self.string.parity_from));
        match (parity % 2 == 0, close || parity == 0) {
            (true, true) if self.string.inner == 0 => Verdict::Maybe,
            (true, true) => Verdict::Close,
            _ => Verdict::Inner,
        }
    }

    // ---- escapes and control characters ----

    fn copied(&mut self, cx: Input<'_>, upto: usize) {
        let mut string = self.string;
        if string.copy.is_none() {
            string.copy = Some(clip(self.tree.scratch.len()));
        }
        self.tree.scratch.push_str(cx.slice(string.run, upto));
        string.run = upto;
        self.string = string;
    }

    fn replace(&mut self, cx: Input<'_>, len: usize, with: Option<char>) {
        let at = self.pos;
        self.copied(cx, at);
        self.tree.scratch.extend(with);
        self.pos = at + len;
        self.string.run = self.pos;
    }

    /// Handles a backslash: `Some(true)` when the string is over, `None` when more text is needed.
    fn escape(&mut self, cx: Input<'_>, quote: u8) -> Option<bool> {
        let at = self.pos;
        if at + 1 >= cx.len() {
            if !cx.eof {
                return None;
            }
            self.replace(cx, 1, None);
            return Some(false);
        }
        if quote == b'\\' {
            return self.over_escape(cx);
        }
        self.unescape(cx, at, 1)
    }

    /// Reads the escape whose letter stands `skip` bytes after `at`.
    fn unescape(&mut self, cx: Input<'_>, at: usize, skip: usize) -> Option<bool> {
        let letter = cx.at(at + skip);
        let len = skip + 1;
        let plain = match letter {
            b'"' => {
                if self.string.odd_escape && self.string.quote == b'"' && !self.string.triple {
                    // `"C:\dir\",`: the backslash belongs to a path and the quote closes the string.
                    match self.judge(cx, at + skip, 1) {
                        Verdict::Wait => return None,
                        Verdict::Close if !matches!(cx.solid(at + len), Solid::End) => {
                            self.ambiguous(Rule::InvalidEscape, at, at + len);
                            self.close_string(cx, at + skip, at + len, true);
                            return Some(true);
                        }
                        _ => {}
                    }
                }
                '"'
            }
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(cx, at, skip),
            b'x' => {
                if at + len + 2 > cx.len() && !cx.eof {
                    return None;
                }
                if let Some(code) = hex(cx, at + len, 2) {
                    self.repaired(Rule::InvalidEscape, at, at + len + 2);
                    self.replace(cx, len + 2, char::from_u32(code));
                    return Some(false);
                }
                return Some(self.keep_escape(at, skip));
            }
            b'\'' | b'`' => {
                self.cosmetic(Rule::InvalidEscape, at, at + len);
                char::from(letter)
            }
            b'\n' => {
                self.repaired(Rule::InvalidEscape, at, at + len);
                self.replace(cx, len, None);
                return Some(false);
            }
            b'\r' => {
                if at + len >= cx.len() && !cx.eof {
                    return None;
                }
                let len = len + usize::from(cx.at(at + len) == b'\n');
                self.repaired(Rule::InvalidEscape, at, at + len);
                self.replace(cx, len, None);
                return Some(false);
            }
            _ => return Some(self.keep_escape(at, skip)),
        };
        self.replace(cx, len, Some(plain));
        Some(false)
    }

    /// Keeps an escape that means nothing as it stands.
    fn keep_escape(&mut self, at: usize, skip: usize) -> bool {
        self.string.odd_escape = true;
        self.repaired(Rule::InvalidEscape, at, at + skip);
        self.pos = at + skip;
        false
    }

    fn unicode(&mut self, cx: Input<'_>, at: usize, skip: usize) -> Option<bool> {
        let digits = at + skip + 1;
        if cx.at(digits) == b'{' {
            let window = cx.bytes.get(digits + 1..(digits + 9).min(cx.len())).unwrap_or(&[]);
            let Some(close) = window.iter().position(|b| *b == b'}') else {
                if digits + 9 > cx.len() && !cx.eof {
                    return None;
                }
                return Some(self.keep_escape(at, skip));
            };
            let code = hex(cx, digits + 1, close).and_then(char::from_u32);
            let Some(code) = code else { return Some(self.keep_escape(at, skip)) };
            self.repaired(Rule::InvalidEscape, at, digits + close + 2);
            self.replace(cx, digits + close + 2 - at, Some(code));
            return Some(false);
        }
        if digits + 4 > cx.len() {
            let rest = cx.bytes.get(digits..).unwrap_or(&[]);
            if rest.iter().all(u8::is_ascii_hexdigit) {
                if !cx.eof {
                    return None;
                }
                // Half an escape at the end of the text.
                self.replace(cx, cx.len() - at, None);
                return Some(false);
            }
        }
        let Some(high) = hex(cx, digits, 4) else { return Some(self.keep_escape(at, skip)) };
        let len = digits + 4 - at;
        if let Some(plain) = char::from_u32(high) {
            self.replace(cx, len, Some(plain));
            return Some(false);
        }
        if high < 0xDC00 {
            let second = at + len;
            let need = second + skip + 5;
            if need > cx.len() && !cx.eof {
                return None;
            }
            let marked = cx.at(second) == b'\\' && cx.at(second + skip) == b'u';
            if marked
                && let Some(low) = hex(cx, second + skip + 1, 4)
                && (0xDC00..0xE000).contains(&low)
            {
                let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                self.replace(cx, len + skip + 5, char::from_u32(code));
                return Some(false);
            }
        }
        self.lossy(Rule::LoneSurrogate, at, at + len);
        self.replace(cx, len, Some('\u{FFFD}'));
        Some(false)
    }

    /// Handles a backslash in a document that was escaped once too often: `\"` is a quote, `\\n` an escape.
    fn over_escape(&mut self, cx: Input<'_>) -> Option<bool> {
        let at = self.pos;
        match cx.at(at + 1) {
            b'"' => {
                match self.judge(cx, at, 2) {
                    Verdict::Wait => return None,
                    Verdict::Inner => {
                        self.repaired(Rule::UnescapedQuote, at, at + 2);
                        self.string.inner += 1;
                        self.replace(cx, 2, Some('"'));
                        return Some(false);
                    }
                    Verdict::Ends(end) => {
                        self.repaired(Rule::MissingQuote, end, end);
                        self.close_string(cx, end, end, true);
                    }
                    Verdict::Close | Verdict::Maybe | Verdict::Doubled | Verdict::OuterKey => {
                        self.close_string(cx, at, at + 2, true);
                    }
                }
                Some(true)
            }
            b'\\' => {
                if at + 2 >= cx.len() {
                    if !cx.eof {
                        return None;
                    }
                    self.replace(cx, 2, None);
                    return Some(false);
                }
                if cx.at(at + 2) == b'\\' {
                    if at + 3 >= cx.len() && !cx.eof {
                        return None;
                    }
                    let with = if cx.at(at + 3) == b'"' { '"' } else { '\\' };
                    self.replace(cx, 4.min(cx.len() - at), Some(with));
                    return Some(false);
                }
                self.unescape(cx, at, 2)
            }
            _ => self.unescape(cx, at, 1),
        }
    }

    fn control(&mut self, cx: Input<'_>, byte: u8) -> Option<bool> {
        let at = self.pos;
        if byte == b'\n' && self.around.in_fence() && !self.string.triple {
            match self.fence_in_string(cx, at) {
                Tri::Wait => return None,
                Tri::Yes => {
                    self.lossy(Rule::MissingQuote, at, at);
                    self.close_string(cx, at, at, false);
                    return Some(true);
                }
                Tri::No => {}
            }
        }
        if !self.string.controls && !self.string.triple && self.string.quote != b'`' {
            self.string.controls = true;
            self.repaired(Rule::ControlCharacter, at, at + 1);
        }
        self.pos += 1;
        Some(false)
    }

    /// Tells whether the line after `at` closes the fence around the string, and not one inside it.
    fn fence_in_string(&mut self, cx: Input<'_>, at: usize) -> Tri {
        let mut i = at + 1;
        while matches!(cx.at(i), b' ' | b'\t') && i - at < 12 {
            i += 1;
        }
        let run = if matches!(cx.at(i), b'`' | b'~') { cx.run(i) } else { 0 };
        if i + run >= cx.len() && !cx.eof && run < 64 {
            return Tri::Wait;
        }
        if run < 3 {
            return Tri::No;
        }
        if is_ident(cx.at(i + run)) {
            self.string.fenced = true;
            return Tri::No;
        }
        if self.string.fenced {
            self.string.fenced = false;
            return Tri::No;
        }
        // A bare fence: it closes the outer one unless the string is properly closed further on.
        let from = i + run;
        let window = cx.bytes.get(from..(from + LOOK).min(cx.len())).unwrap_or(&[]);
        if window.len() < LOOK && !cx.eof {
            return Tri::Wait;
        }
        let mut quotes = memchr::memchr_iter(self.string.quote, window);
        let closed = quotes.any(|q| {
            let rest = window.get(q + 1..).unwrap_or(&[]).trim_ascii_start();
            matches!(rest.first(), Some(b',' | b'}' | b']'))
        });
        Tri::from(!closed)
    }

    // ---- the end of a string ----

    fn cut_string(&mut self, cx: Input<'_>) -> bool {
        let end = cx.len();
        // A value that runs into the end may have lost its quote long before.
        self.lossy(Rule::Truncated, end, end);
        let role = self.string.role;
        self.close_string(cx, end, end, false);
        if role == Role::Key {
            self.key = None;
            self.state = State::Key;
        }
        true
    }

    fn close_string(&mut self, cx: Input<'_>, content_end: usize, end: usize, complete: bool) {
        let string = self.string;
        let text = match string.copy {
            Some(start) => {
                self.tree.scratch.push_str(cx.slice(string.run, content_end));
                Text { start, end: clip(self.tree.scratch.len()), owned: true }
            }
            None => Text { start: clip(string.content), end: clip(content_end), owned: false },
        };
        let text = self.undouble(cx, text);
        self.pos = end;
        self.memo = 0;
        if string.role == Role::Key {
            if let Some(frame) = self.stack.last_mut() {
                frame.loose = false;
            }
            let hash = self.hash_key(cx, text);
            self.key = Some(Key { start: clip(string.start), end: clip(end), text, quoted: true, hash });
            self.state = State::AfterKey;
            return;
        }
        if self.joining {
            self.joining = false;
            self.join(cx, text, end, complete);
            return;
        }
        let mut node =
            Node::new(Kind::String(form(string.quote, string.triple)), clip(string.start), clip(end));
        node.set_text(text);
        node.set_complete(complete);
        self.scalar(node);
    }

    /// Takes the inner pair off `""text""`.
    fn undouble(&mut self, cx: Input<'_>, text: Text) -> Text {
        let string = self.string;
        if string.inner < 2 || text.owned || !matches!(string.quote, b'"' | b'\'') {
            return text;
        }
        let (first, last) = (cx.at(text.start as usize), cx.at((text.end as usize).wrapping_sub(1)));
        if first == string.quote && last == string.quote && text.end >= text.start + 2 {
            self.fix(Rule::QuoteForm, Severity::Ambiguous, text.start as usize, text.end as usize);
            return Text { start: text.start + 1, end: text.end - 1, owned: false };
        }
        text
    }

    /// Appends a literal to the string before it.
    pub(super) fn join(&mut self, cx: Input<'_>, text: Text, end: usize, complete: bool) {
        self.state = State::AfterValue;
        let Some(last) = self.stack.last().map(|frame| frame.last) else { return };
        let Some(mut node) = self.tree.nodes.get(last as usize).copied() else { return };
        let old = node.text();
        let mut added = String::new();
        let from: &str = if text.owned { &self.tree.scratch } else { cx.text };
        added.push_str(from.get(text.start as usize..text.end as usize).unwrap_or(""));
        if text.owned {
            self.tree.scratch.truncate(text.start as usize);
        }
        let start = if old.owned && old.end as usize == self.tree.scratch.len() {
            old.start
        } else {
            let start = clip(self.tree.scratch.len());
            if old.owned {
                let copy =
                    self.tree.scratch.get(old.start as usize..old.end as usize).unwrap_or("").to_owned();
                self.tree.scratch.push_str(&copy);
            } else {
                self.tree.scratch.push_str(cx.slice(old.start as usize, old.end as usize));
            }
            start
        };
        self.tree.scratch.push_str(&added);
        node.end = clip(end);
        node.set_complete(complete);
        node.set_text(Text { start, end: clip(self.tree.scratch.len()), owned: true });
        if let Some(slot) = self.tree.nodes.get_mut(last as usize) {
            *slot = node;
        }
    }
}

fn form(quote: u8, triple: bool) -> Quote {
    match quote {
        _ if triple => Quote::Triple,
        b'\'' => Quote::Single,
        b'`' => Quote::Backtick,
        b'"' | b'\\' => Quote::Double,
        _ => Quote::Typographic,
    }
}

fn hex(cx: Input<'_>, from: usize, len: usize) -> Option<u32> {
    let digits = cx.bytes.get(from..from + len)?;
    if digits.is_empty() || digits.len() > 6 {
        return None;
    }
    digits.iter().try_fold(0_u32, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}
