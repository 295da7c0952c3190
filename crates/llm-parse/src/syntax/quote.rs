//! Which quote ends a string: decided by what follows, within a bounded distance.

use super::closer::{Found, find_quote};
use super::key::{arrow_at, key_at};
use super::machine::{Machine, Shape};
use super::scan::{Input, LOOK, Solid, Tri, is_ident, is_quote};
use super::string::{Role, Verdict};

/// Tells whether a literal stands at `at`.
pub(super) fn literal_at(cx: Input<'_>, at: usize) -> Tri {
    let words: [&[u8]; 6] = [b"true", b"false", b"null", b"True", b"False", b"None"];
    words.iter().map(|word| cx.has(at, word)).find(|tri| *tri != Tri::No).unwrap_or(Tri::No)
}

/// Tells whether a key in quotes and a value stand at `at`, with no colon between them: `"age" 30`.
pub(super) fn pair_at(cx: Input<'_>, at: usize) -> Tri {
    let (quote, len) = cx.punct(at);
    if !is_quote(quote) {
        return Tri::No;
    }
    let end = match find_quote(cx, at + len, quote) {
        Found::At(end) => end,
        Found::Wait => return Tri::Wait,
        Found::End | Found::Far => return Tri::No,
    };
    match cx.solid(end) {
        Solid::Wait => Tri::Wait,
        Solid::At { byte: b'{' | b'[' | b'-' | b'0'..=b'9', .. } => Tri::Yes,
        Solid::At { at, .. } if at > end && is_quote(cx.punct(at).0) => Tri::Yes,
        Solid::At { at, .. } => literal_at(cx, at),
        Solid::End => Tri::No,
    }
}

impl Machine {
    /// Tells the common case, which [`Self::judge`] decides alike: a comma, and the next key, item or bracket.
    #[inline]
    pub(super) fn plainly_closed(&self, cx: Input<'_>, next: usize) -> bool {
        if self.string.inner > 0 || self.string.quote == b'\\' || cx.at(next) != b',' {
            return false;
        }
        let start = next + 1 + usize::from(cx.at(next + 1) == b' ');
        match (self.string.role, cx.at(start)) {
            (Role::Item, b'"' | b']') | (Role::Field, b'}') => true,
            (Role::Field, byte) if byte.is_ascii_alphabetic() => {
                let window = cx.bytes.get(start..(start + 64).min(cx.len())).unwrap_or(&[]);
                let name = window.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_'));
                // `http://…` is no key; what comes after the colon has to be there to tell.
                name.is_some_and(|len| {
                    let after = start + len + 1;
                    window.get(len) == Some(&b':') && after < cx.len() && cx.at(after) != b'/'
                })
            }
            _ => false,
        }
    }

    pub(super) fn judge(&mut self, cx: Input<'_>, at: usize, len: usize) -> Verdict {
        let next = at + len;
        let (here, byte, newline) = match self.solid(cx, next) {
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

    /// Finds the next byte that is not white space; in a document escaped once too often, `\\n` is white space.
    pub(super) fn solid(&self, cx: Input<'_>, from: usize) -> Solid {
        let mut at = from;
        let mut lines = false;
        loop {
            match cx.solid(at) {
                Solid::At { at: here, byte: b'\\', newline }
                    if self.string.quote == b'\\' || self.escaped_blanks =>
                {
                    if here + 1 >= cx.len() && !cx.eof {
                        return Solid::Wait;
                    }
                    lines |= newline;
                    if !matches!(cx.at(here + 1), b'n' | b'r' | b't') || here - from > LOOK {
                        return Solid::At { at: here, byte: b'\\', newline: lines };
                    }
                    lines |= cx.at(here + 1) == b'n';
                    at = here + 2;
                }
                Solid::At { at, byte, newline } => return Solid::At { at, byte, newline: newline || lines },
                other => return other,
            }
        }
    }

    pub(super) fn judge_key(&self, cx: Input<'_>, at: usize, next: usize, here: usize) -> Verdict {
        let (byte, _) = cx.punct(here);
        if byte == b':' || byte == b'=' {
            return Verdict::Close;
        }
        if byte == b'-' && cx.at(here + 1) == b'>' {
            return Verdict::Close;
        }
        if here == next && byte == self.string.quote && self.string.inner > 0 {
            return match self.solid(cx, here + 1) {
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

    pub(super) fn judge_field(
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
            b';' => match self.solid(cx, here + 1) {
                Solid::Wait => Verdict::Wait,
                Solid::At { byte: b'}' | b')' | b']', at: then, .. } => match self.code_goes_on(cx, then) {
                    Tri::Wait => Verdict::Wait,
                    Tri::Yes => Verdict::Inner,
                    Tri::No => Verdict::Close,
                },
                Solid::At { newline: false, byte, at: then } if byte != b'}' => match key_at(cx, then, false)
                {
                    Tri::Wait => Verdict::Wait,
                    Tri::Yes if self.string.inner == 0 => Verdict::Close,
                    _ => self.by_parity(cx, at, false),
                },
                _ => Verdict::Close,
            },
            b'+' => match self.solid(cx, here + 1) {
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
            b'\\' if here + 1 >= cx.len() && !cx.eof => Verdict::Wait,
            b'\\' if cx.at(here + 1) == b'"' => self.judge_next_quote(cx, at, next, here, newline),
            _ if is_quote(byte) => self.judge_next_quote(cx, at, next, here, newline),
            _ => self.judge_word(cx, at, next, here, newline),
        }
    }

    /// Judges a quote before a comma, inside an object: what follows has to be a key.
    pub(super) fn judge_comma(&mut self, cx: Input<'_>, at: usize, after: usize) -> Verdict {
        let (here, newline) = match self.solid(cx, after) {
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
                    return if self.string.inner.is_multiple_of(2) { Verdict::Maybe } else { Verdict::Inner };
                }
            };
            return match self.solid(cx, end) {
                Solid::Wait => Verdict::Wait,
                Solid::End => Verdict::Close,
                Solid::At { at: sign, .. } if arrow_at(cx, sign).0 == Tri::Wait => Verdict::Wait,
                Solid::At { at: sign, .. } => match cx.punct(sign).0 {
                    b':' | b'=' => Verdict::Close,
                    _ if arrow_at(cx, sign).0 == Tri::Yes => Verdict::Close,
                    b',' | b'}' | b']' if self.string.inner.is_multiple_of(2) && !padded => Verdict::Maybe,
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
            b'}' | b']' | b'{' | b',' | b'/' | b'#' | b'.' | super::scan::ELLIPSIS => Verdict::Close,
            _ => match key_at(cx, here, false) {
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
                    if newline && self.string.inner == 0 {
                        match long_key_follows(cx, here) {
                            Tri::Wait => return Verdict::Wait,
                            Tri::Yes => return Verdict::Close,
                            Tri::No => {}
                        }
                    }
                    self.by_parity(cx, at, false)
                }
            },
        }
    }

    /// Tells whether the list that is being read was opened by a brace: `{"a", "b"}`.
    fn in_set(&self, cx: Input<'_>) -> bool {
        self.top()
            .and_then(|top| self.tree.nodes.get(top.node as usize))
            .is_some_and(|list| cx.punct(list.start as usize).0 == b'{')
    }

    /// Tells whether the brackets at `from`, which follow `";`, are code inside the string: `return "x"; }"`.
    fn code_goes_on(&self, cx: Input<'_>, from: usize) -> Tri {
        let mut at = from;
        loop {
            let (here, byte) = match self.solid(cx, at) {
                Solid::Wait => return Tri::Wait,
                Solid::End => return Tri::No,
                Solid::At { at, byte, .. } => (at, byte),
            };
            if byte == self.string.quote {
                return match self.solid(cx, here + 1) {
                    Solid::Wait => Tri::Wait,
                    Solid::At { byte, .. } => Tri::from(matches!(byte, b',' | b'}' | b']')),
                    Solid::End => Tri::Yes,
                };
            }
            if here - from > 64 {
                return Tri::No;
            }
            if is_ident(byte) {
                // `return "x"; } else …"`: on the line, the string is closed further on.
                let window = cx.bytes.get(here..(here + LOOK).min(cx.len())).unwrap_or(&[]);
                return match memchr::memchr2(self.string.quote, b'\n', window) {
                    Some(i) => Tri::from(window.get(i) == Some(&self.string.quote)),
                    None if window.len() < LOOK && !cx.eof => Tri::Wait,
                    None => Tri::No,
                };
            }
            if !matches!(byte, b'}' | b')' | b']' | b';') {
                return Tri::No;
            }
            at = here + 1;
        }
    }

    /// Judges a quote before a closing bracket.
    pub(super) fn judge_brace(&mut self, cx: Input<'_>, at: usize, after: usize) -> Verdict {
        match self.solid(cx, after) {
            Solid::Wait => Verdict::Wait,
            Solid::End | Solid::At { newline: true, .. } => Verdict::Close,
            Solid::At { at: here, .. } => match cx.punct(here).0 {
                b',' | b'}' | b']' | b')' | b';' | b'`' | b'{' | b'<' | b'/' | b'#' => Verdict::Close,
                b'"' | b'\'' if self.stack.len() == 1 && self.around.quoted => Verdict::Close,
                _ => self.by_parity(cx, at, true),
            },
        }
    }

    /// Judges a quote before another quote, inside an object.
    pub(super) fn judge_next_quote(
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
        if self.string.inner == 0 && self.top().is_some_and(|top| top.colonless) {
            match pair_at(cx, here) {
                Tri::Wait => return Verdict::Wait,
                Tri::Yes => return Verdict::Close,
                Tri::No => {}
            }
        }
        match key_at(cx, here, true) {
            Tri::Wait => Verdict::Wait,
            Tri::Yes => Verdict::Close,
            Tri::No if newline => Verdict::Close,
            Tri::No if self.string.inner == 0 => {
                let (byte, len) = cx.punct(here);
                match find_quote(cx, here + len, byte) {
                    Found::Wait => Verdict::Wait,
                    Found::At(end) => match self.solid(cx, end) {
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
    pub(super) fn judge_doubled(&self, cx: Input<'_>, here: usize) -> Verdict {
        if self.string.inner % 2 == 1 || cx.at(here) != self.string.quote {
            return match self.solid(cx, here + 1) {
                Solid::Wait => Verdict::Wait,
                _ => Verdict::Inner,
            };
        }
        match self.solid(cx, here + 1) {
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
    pub(super) fn words_then_closer(&self, cx: Input<'_>, next: usize) -> Tri {
        if self.string.inner % 2 == 1 {
            return Tri::No;
        }
        let window = cx.bytes.get(next..(next + 48).min(cx.len())).unwrap_or(&[]);
        let stop = window
            .iter()
            .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-') || *b >= 0x80));
        match stop {
            None if window.len() < 48 && !cx.eof => Tri::Wait,
            Some(stop) if matches!(window.get(stop), Some(b'}' | b']')) => {
                match self.solid(cx, next + stop + 1) {
                    Solid::Wait => Tri::Wait,
                    Solid::End | Solid::At { newline: true, .. } => Tri::Yes,
                    Solid::At { byte, .. } => Tri::from(matches!(byte, b',' | b'}' | b']')),
                }
            }
            _ => Tri::No,
        }
    }

    /// Tells whether `item"` and then the next item or the end of the list stand at `start`, after the item's opening quote.
    pub(super) fn item_at(&self, cx: Input<'_>, start: usize) -> Tri {
        let end = match find_quote(cx, start, self.string.quote) {
            Found::At(end) => end,
            Found::Wait => return Tri::Wait,
            Found::End | Found::Far => return Tri::No,
        };
        match self.solid(cx, end) {
            Solid::Wait => Tri::Wait,
            Solid::At { byte: b']', .. } => Tri::Yes,
            Solid::At { byte: b':', .. } if self.outer_object() => self.key_with_value(cx, start),
            Solid::At { at, byte: b',', .. } => match self.solid(cx, at + 1) {
                Solid::Wait => Tri::Wait,
                Solid::At { byte, .. } => Tri::from(matches!(byte, b'"' | b'{' | b'[' | b']')),
                Solid::End => Tri::No,
            },
            _ => Tri::No,
        }
    }

    /// Tells whether the list that is being read is a field's value and has an item already.
    pub(super) fn outer_object(&self) -> bool {
        let mut frames = self.stack.iter().rev();
        let list = frames.next().is_some_and(|frame| frame.shape == Shape::Array);
        list && frames.next().is_some_and(|frame| frame.shape == Shape::Object)
    }

    /// Judges a letter or digit right after a quote in an item: `["one, "two"]` lost the quote that closes `one`.
    pub(super) fn judge_opening(&self, cx: Input<'_>, at: usize, next: usize) -> Verdict {
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
    pub(super) fn judge_word(
        &mut self,
        cx: Input<'_>,
        at: usize,
        next: usize,
        here: usize,
        newline: bool,
    ) -> Verdict {
        if here == next && is_ident(cx.at(here)) {
            // `"a": "b, "c": 1`: this quote opens the next key, so the value's closing quote is missing.
            let content = cx.slice(self.string.content, at);
            let trimmed = content.trim_end();
            let comma = trimmed.ends_with(',');
            let line = content.get(trimmed.len()..).is_some_and(|gap| gap.contains('\n'));
            if (comma || line) && !trimmed.is_empty() && self.string.inner.is_multiple_of(2) {
                match self.key_with_value(cx, next) {
                    Tri::Wait => return Verdict::Wait,
                    Tri::Yes => {
                        let text = trimmed.strip_suffix(',').unwrap_or(trimmed).trim_end();
                        let text = if text.contains('“') { text } else { text.trim_end_matches('”') };
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
            return match key_at(cx, here, false) {
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
    pub(super) fn key_with_value(&self, cx: Input<'_>, start: usize) -> Tri {
        let end = match find_quote(cx, start, self.string.quote) {
            Found::At(end) => end,
            Found::Wait => return Tri::Wait,
            Found::End | Found::Far => return Tri::No,
        };
        let colon = match self.solid(cx, end) {
            Solid::Wait => return Tri::Wait,
            Solid::At { at, byte: b':', .. } => at,
            _ => return Tri::No,
        };
        match self.solid(cx, colon + 1) {
            Solid::Wait => Tri::Wait,
            Solid::End | Solid::At { byte: b'"' | b'\'' | b'{' | b'[' | b'-' | b'0'..=b'9', .. } => Tri::Yes,
            Solid::At { at, .. } => literal_at(cx, at),
        }
    }

    pub(super) fn judge_item(
        &mut self,
        cx: Input<'_>,
        at: usize,
        next: usize,
        here: usize,
        newline: bool,
    ) -> Verdict {
        let (byte, len) = cx.punct(here);
        let clean = self.string.inner == 0;
        match byte {
            b']' | b')' => self.judge_brace(cx, at, here + len),
            b'}' if self.objects > 0 || self.in_set(cx) => self.judge_brace(cx, at, here + len),
            b',' => {
                let (then, line) = match self.solid(cx, here + len) {
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
            b'+' => match self.solid(cx, here + 1) {
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
    pub(super) fn talk_or_inner(&self, cx: Input<'_>, next: usize, here: usize) -> Verdict {
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
    pub(super) fn by_parity(&mut self, cx: Input<'_>, at: usize, close: bool) -> Verdict {
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
}

/// Tells whether an unquoted key of several words follows.
fn long_key_follows(cx: Input<'_>, here: usize) -> Tri {
    let window = cx.bytes.get(here..(here + 48).min(cx.len())).unwrap_or(&[]);
    let stop = window.iter().position(|b| matches!(b, b',' | b'"' | b'}' | b'\n' | b':'));
    if stop.is_none() && window.len() < 48 && !cx.eof {
        return Tri::Wait;
    }
    Tri::from(stop.is_some_and(|stop| window.get(stop) == Some(&b':')))
}
