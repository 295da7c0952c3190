//! What stands without quotes: numbers, literals of three languages, bare words, keys and calls.

use super::document::clip;
use super::key::key_at;
use super::literal::{LITERALS, classify, json_number};
use super::machine::{Key, Machine, Shape, State};
use super::quote::literal_at;
use super::scan::{ELLIPSIS, Input, LOOK, Solid, Tri, is_ident, is_quote};
use super::string::Role;
use crate::report::{Rule, Severity};
use crate::tree::{Kind, Node, Text};

#[inline]
fn ends_value(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b'\n' | b'\r')
}

impl Machine {
    /// Reads a number or literal that ends right here, or else a word.
    pub(super) fn plain(&mut self, cx: Input<'_>) -> bool {
        let start = self.pos;
        if self.memo <= start {
            let rest = cx.bytes.get(start..).unwrap_or(&[]);
            let first = cx.at(start);
            if first == b'-' || first.is_ascii_digit() {
                if let Some(end) = json_number(cx.bytes, start) {
                    let next = cx.at(end);
                    let grouped = next == b',' && self.shape() == Shape::Object;
                    if grouped && end + 1 >= cx.len() && !cx.eof {
                        return false;
                    }
                    if ends_value(next) && !(grouped && cx.at(end + 1).is_ascii_digit()) && next != b'\n' {
                        self.literal(start, end, Kind::Number);
                        return true;
                    }
                }
            } else {
                for (literal, kind, rule) in LITERALS.iter().take(6) {
                    let literal = literal.as_bytes();
                    if literal.first() == Some(&first) && rest.starts_with(literal) {
                        let end = start + literal.len();
                        if ends_value(cx.at(end)) {
                            if let Some(rule) = rule {
                                self.cosmetic(*rule, start, end);
                            }
                            self.literal(start, end, *kind);
                            return true;
                        }
                        break;
                    }
                }
            }
        }
        self.word(cx)
    }

    fn literal(&mut self, start: usize, end: usize, kind: Kind) {
        let mut node = Node::new(kind, clip(start), clip(end));
        node.set_complete(true);
        self.pos = end;
        self.scalar(node);
    }

    /// Reads an unquoted run.
    pub(super) fn word(&mut self, cx: Input<'_>) -> bool {
        let start = self.pos;
        if self.memo <= start {
            self.nest = 0;
            self.commas = false;
            match self.call_or_prefix(cx) {
                Tri::Wait => return false,
                Tri::Yes => return true,
                Tri::No => {}
            }
        }
        let mut i = self.memo.max(start);
        let shape = self.shape();
        loop {
            if i >= cx.len() {
                if !cx.eof {
                    self.memo = i;
                    return false;
                }
                break;
            }
            match self.ends_word(cx, shape, start, i) {
                Tri::Wait => {
                    self.memo = i;
                    return false;
                }
                Tri::Yes => break,
                Tri::No => {}
            }
            match cx.at(i) {
                b'(' | b'[' | b'{' => self.nest += 1,
                b')' | b']' | b'}' => self.nest = self.nest.saturating_sub(1),
                b',' => self.commas = true,
                _ => {}
            }
            i = cx.after_char(i);
        }
        self.memo = 0;
        self.finish_word(cx, start, i)
    }

    /// Tells whether an unquoted value ends before `i`.
    fn ends_word(&mut self, cx: Input<'_>, shape: Shape, start: usize, i: usize) -> Tri {
        let object = shape == Shape::Object;
        let (byte, len) = cx.punct(i);
        let spaced = i > start && cx.at(i - 1).is_ascii_whitespace();
        match byte {
            b',' if !object => Tri::from(self.nest == 0 || shape == Shape::Array),
            b',' => self.comma_ends(cx, start, i, len),
            b'}' => Tri::from(self.nest == 0 || object),
            b']' => Tri::from(
                self.nest == 0 && (self.arrays > 0 || i == start || is_literal_like(cx.slice(start, i))),
            ),
            b')' => Tri::from(
                self.nest == 0
                    && (i == start
                        || matches!(shape, Shape::Paren | Shape::Call)
                        || self.stack.last().is_some_and(|f| f.call)),
            ),
            b'\n' | b'\r' if is_literal_like(cx.slice(start, i).trim_end()) => Tri::Yes,
            b'\n' => self.line_ends(cx, object, i),
            b'"' if spaced => match key_at(cx, i, false) {
                Tri::No => Tri::from(!object),
                other => other,
            },
            b'/' if spaced || i == start => match cx.at(i + 1) {
                b'/' if i > start => Self::remark_ends(cx, i),
                b'/' | b'*' => Tri::Yes,
                _ if i + 1 >= cx.len() && !cx.eof => Tri::Wait,
                _ => Tri::No,
            },
            b'#' if spaced => match cx.at(i + 1) {
                _ if i + 1 >= cx.len() && !cx.eof => Tri::Wait,
                // `issue #12`
                next if next > b' ' => Tri::from(is_literal_like(cx.slice(start, i).trim_end())),
                _ => Self::remark_ends(cx, i),
            },
            b';' => match cx.solid(i + len) {
                Solid::Wait => Tri::Wait,
                Solid::At { newline: false, at, .. } if object => key_at(cx, at, false),
                Solid::At { newline: false, .. } => Tri::No,
                _ => Tri::Yes,
            },
            b' ' if !spaced && i - start <= 24 => self.blank_ends(cx, object, start, i),
            b':' if !object && i > start => match cx.at(i + len) {
                _ if i + len >= cx.len() && !cx.eof => Tri::Wait,
                b' ' | b'\n' | b'"' | b'\'' => Tri::from(self.stack.last().is_some_and(|f| f.count == 0)),
                _ => Tri::No,
            },
            b'=' if matches!(shape, Shape::Call) => Tri::Yes,
            b'=' if shape == Shape::Array && cx.at(i + 1) == b'>' => Tri::Yes,
            b'\\' if i > start => escaped_blank(cx, i),
            b'`' => match cx.has(i, b"```") {
                Tri::Yes if !self.around.in_fence() => Tri::No,
                other => other,
            },
            b'<' => match cx.has(i, b"</") {
                Tri::Yes if i == start => Tri::No,
                other => other,
            },
            _ => Tri::No,
        }
    }

    /// Tells whether what stands at `i` is a comment behind an unquoted value, up to the end of the line; one that would take
    /// the closing bracket of the last line with it is text.
    fn remark_ends(cx: Input<'_>, i: usize) -> Tri {
        let window = cx.bytes.get(i..(i + LOOK).min(cx.len())).unwrap_or(&[]);
        let line = memchr::memchr(b'\n', window);
        if line.is_none() && window.len() < LOOK && !cx.eof {
            return Tri::Wait;
        }
        let rest = window.get(..line.unwrap_or(window.len())).unwrap_or(window);
        let closes = memchr::memchr2(b'}', b']', rest).is_some();
        Tri::from(!(closes && line.is_none()))
    }

    /// Tells whether a blank ends a number or literal because another value follows without a comma.
    fn blank_ends(&self, cx: Input<'_>, object: bool, start: usize, i: usize) -> Tri {
        if !is_literal_like(cx.slice(start, i)) {
            return Tri::No;
        }
        match cx.solid(i) {
            Solid::Wait => Tri::Wait,
            Solid::End => Tri::No,
            Solid::At { at, .. } if object => key_at(cx, at, false),
            Solid::At { byte, .. } if byte.is_ascii_digit() || matches!(byte, b'"' | b'{' | b'[') => Tri::Yes,
            Solid::At { at, .. } => literal_at(cx, at),
        }
    }

    /// Tells whether a comma in an unquoted field value ends it.
    fn comma_ends(&mut self, cx: Input<'_>, start: usize, i: usize, len: usize) -> Tri {
        let digits = cx.bytes.get(i + len..(i + len + 4).min(cx.len())).unwrap_or(&[]);
        let lead = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        if cx.at(i.wrapping_sub(1)).is_ascii_digit() && len == 1 && i > start {
            if lead == digits.len() && lead < 4 && !cx.eof {
                return Tri::Wait;
            }
            if lead > 0 {
                // `1,234` and `3,14`; but `1,2:` begins the next key.
                return match cx.solid(i + len + lead) {
                    Solid::Wait => Tri::Wait,
                    Solid::At { byte: b':', .. } => Tri::Yes,
                    _ => Tri::No,
                };
            }
        }
        match cx.solid(i + len) {
            Solid::Wait => Tri::Wait,
            Solid::End | Solid::At { newline: true, .. } => Tri::Yes,
            Solid::At { at, .. } => match cx.punct(at).0 {
                b'}' | b']' | b',' | b'{' | b'[' | b'.' | ELLIPSIS | b'#' | b'/' => Tri::Yes,
                byte if is_quote(byte) => Tri::Yes,
                _ => match key_at(cx, at, false) {
                    Tri::No => match phrase_key(cx, at) {
                        Tri::No => Tri::from(is_literal_like(cx.slice(start, i).trim())),
                        other => other,
                    },
                    other => other,
                },
            },
        }
    }

    /// Tells whether an unquoted value ends at a line break.
    fn line_ends(&self, cx: Input<'_>, object: bool, i: usize) -> Tri {
        if !object {
            return Tri::Yes;
        }
        match cx.solid(i) {
            Solid::Wait => Tri::Wait,
            Solid::End => Tri::Yes,
            Solid::At { at, byte, .. } => {
                let lines =
                    cx.bytes.get(i..at).unwrap_or(&[]).iter().filter(|b| **b == b'\n').take(2).count();
                if lines > 1
                    || matches!(byte, b'}' | b']' | b',' | b'`' | b'/' | b'#' | b'{' | b'[' | b'"' | b'\'')
                {
                    return Tri::Yes;
                }
                match key_at(cx, at, false) {
                    Tri::No => phrase_key(cx, at),
                    other => other,
                }
            }
        }
    }

    fn finish_word(&mut self, cx: Input<'_>, start: usize, end: usize) -> bool {
        let word = cx.slice(start, end).trim_end();
        if word.is_empty() {
            // A sign that starts no value.
            let next = cx.after_char(start);
            self.lossy(Rule::DroppedText, start, next);
            self.pos = next;
            return true;
        }
        let mut stop = start + word.len();
        self.pos = stop;
        let cut = end >= cx.len() && cx.eof && self.stack.iter().any(|frame| !frame.bare);
        let mut text = Text { start: clip(start), end: clip(stop), owned: false };
        let (mut kind, mut rule) = classify(word);
        let mut word = word;
        if kind == Kind::Word {
            let tail = word.bytes().next_back().unwrap_or(0);
            if matches!(tail, b'"' | b'\'')
                && word.bytes().filter(|b| *b == tail).take(3).count() % 2 == 1
                && word.len() > 1
            {
                word = word.get(..word.len() - 1).unwrap_or(word).trim_end();
                text.end = clip(start + word.len());
                kind = Kind::String(crate::tree::Quote::Double);
                rule = Some((Rule::MissingQuote, Severity::Repaired));
            } else if self.commas {
                rule = Some((Rule::UnquotedString, Severity::Ambiguous));
            }
        }
        if cut {
            self.lossy(Rule::Truncated, start, stop);
            if kind == Kind::Word
                && let Some((_, whole, _)) =
                    LITERALS.iter().take(6).find(|(literal, ..)| literal.starts_with(word))
            {
                kind = *whole;
                rule = None;
            } else if word == "-" || word == "+" {
                kind = Kind::Null;
                rule = None;
            }
        } else if kind == Kind::Word && word.starts_with(['}', ']', ')']) {
            self.lossy(Rule::DroppedText, start, stop);
            return true;
        }
        if let Some((rule, severity)) = rule {
            self.fix(rule, severity, start, stop);
        }
        stop = stop.max(start);
        let mut node = Node::new(kind, clip(start), clip(stop));
        node.set_text(text);
        node.set_complete(!cut);
        self.scalar(node);
        true
    }

    /// Enters `name(…)`, or opens a string with a prefix such as `u'…'`.
    fn call_or_prefix(&mut self, cx: Input<'_>) -> Tri {
        let start = self.pos;
        let first = cx.at(start);
        if !(first.is_ascii_alphabetic() || first == b'_' || first == b'$') {
            return Tri::No;
        }
        let mut i = start;
        while i < cx.len() && i - start < 64 {
            let byte = cx.at(i);
            let new = byte == b' ' && cx.slice(start, i) == "new";
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.') || new) {
                break;
            }
            i += 1;
        }
        if i >= cx.len() && !cx.eof {
            return Tri::Wait;
        }
        match cx.at(i) {
            b'"' | b'\'' if i - start <= 2 => {
                let prefix = cx.bytes.get(start..i).unwrap_or(&[]);
                if prefix.iter().all(|b| matches!(b, b'u' | b'U' | b'b' | b'B' | b'f' | b'F' | b'r' | b'R')) {
                    let role = if self.shape() == Shape::Object { Role::Field } else { Role::Item };
                    if !self.open_prefixed(cx, role, i - start) {
                        return Tri::Wait;
                    }
                    self.cosmetic(Rule::StringPrefix, start, i);
                    return Tri::Yes;
                }
                Tri::No
            }
            b'(' => {
                self.repaired(Rule::CallWrapper, start, i + 1);
                self.push_frame(Shape::Call, start, i + 1);
                Tri::Yes
            }
            _ => Tri::No,
        }
    }

    /// Reads a key without quotes.
    pub(super) fn loose_key(&mut self, cx: Input<'_>) -> bool {
        let start = self.pos;
        let mut i = self.memo.max(start);
        let rest = cx.bytes.get(i..).unwrap_or(&[]);
        i += rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        // The common case: `name: …`.
        if self.memo <= start && cx.at(i) == b':' && i > start && i + 1 < cx.len() {
            let text = Text { start: clip(start), end: clip(i), owned: false };
            let hash = self.hash_key(cx, text);
            if let Some(frame) = self.stack.last_mut() {
                frame.loose = true;
            }
            self.cosmetic(Rule::UnquotedKey, start, i);
            self.key = Some(Key { start: text.start, end: text.end, text, quoted: false, hash });
            self.memo = 0;
            let plain = !matches!(cx.at(i + 1), b':' | b'=');
            self.pos = i + usize::from(plain);
            self.state = if plain { State::Value } else { State::AfterKey };
            return true;
        }
        // Any other character may stand in a key of several words.
        let mut stop = 0;
        let mut len = 0;
        while i < cx.len() {
            (stop, len) = cx.punct(i);
            match stop {
                b':' | b'=' | b',' | b'}' | b'{' | b'[' | b']' | b'\n' | b';' => break,
                b'-' if i + 1 >= cx.len() && !cx.eof => {
                    self.memo = i;
                    return false;
                }
                b'-' if cx.at(i + 1) == b'>' => break,
                b'"' if i > start && cx.at(i - 1).is_ascii_whitespace() => break,
                b'`' => match cx.has(i, b"```") {
                    Tri::Yes => break,
                    Tri::Wait => {
                        self.memo = i;
                        return false;
                    }
                    Tri::No => {}
                },
                _ => {}
            }
            i = cx.after_char(i);
            stop = 0;
        }
        if i + len >= cx.len() && !cx.eof {
            self.memo = i;
            return false;
        }
        if stop == b'\n' {
            match cx.solid(i) {
                Solid::Wait => {
                    self.memo = i;
                    return false;
                }
                Solid::At { byte: b':', at, .. } => {
                    i = at;
                    stop = b':';
                }
                _ => {}
            }
        }
        self.memo = 0;
        self.finish_key(cx, start, i, stop)
    }

    fn finish_key(&mut self, cx: Input<'_>, start: usize, end: usize, stop: u8) -> bool {
        let whole = cx.slice(start, end).trim_end();
        let name =
            whole.trim_start_matches(['*', '-', '•', ' ']).trim_end_matches(['*', '"', '\'', ' ', '”']);
        let name = if name.is_empty() { whole } else { name };
        let offset = start + (whole.len() - whole.trim_start_matches(['*', '-', '•', ' ']).len());
        let offset = if name.len() == whole.len() { start } else { offset };
        let text = Text { start: clip(offset), end: clip(offset + name.len()), owned: false };
        let hash = self.hash_key(cx, text);
        let key = Key { start: clip(start), end: clip(start + whole.len()), text, quoted: false, hash };
        if stop == b'"' && !whole.is_empty() {
            // `COMMENT "key": 1`: a word that belongs to nothing
            match key_at(cx, end, true) {
                Tri::Wait => {
                    self.memo = end;
                    return false;
                }
                Tri::Yes => {
                    self.lossy(Rule::DroppedText, start, start + whole.len());
                    self.pos = end;
                    return true;
                }
                Tri::No => {}
            }
        }
        let colon = matches!(stop, b':' | b'=' | b'{' | b'[' | b'"' | b'-');
        if colon && !whole.is_empty() {
            if let Some(frame) = self.stack.last_mut() {
                frame.loose = true;
            }
            if whole.ends_with('"') && !whole.starts_with('"') {
                self.repaired(Rule::MissingQuote, start, start + whole.len());
            } else {
                self.cosmetic(Rule::UnquotedKey, start, start + whole.len());
            }
            self.key = Some(key);
            self.pos = if stop == b':' && end > start + whole.len() { end } else { start + whole.len() };
            self.state = State::AfterKey;
            return true;
        }
        self.pos = end;
        if whole.is_empty() {
            let next = cx.after_char(start);
            self.lossy(Rule::DroppedText, start, next);
            self.pos = next;
            return true;
        }
        if end >= cx.len() && cx.eof {
            self.lossy(Rule::Truncated, start, end);
            return true;
        }
        let frame = self.stack.last().copied();
        if let Some(frame) = frame
            && frame.count == 0
            && !frame.bare
            && matches!(stop, b',' | b'}')
        {
            // `{1, 2}`: read again as an item.
            self.pos = start;
            self.set_from_object(cx);
            return true;
        }
        if classify(name).0 == Kind::Number {
            // `{"a": 1, 2, 3], "b": 4}`: no key is a number without a colon.
            self.lossy(Rule::DroppedText, start, start + whole.len());
            return true;
        }
        if name.bytes().all(|b| is_ident(b) && b != b'-') && stop != b'\n' {
            self.key_without_value(cx, key, true);
            return true;
        }
        self.talk_in_object(cx, start, start + whole.len());
        true
    }

    /// Drops text that is no field, or ends the candidate before it.
    fn talk_in_object(&mut self, cx: Input<'_>, start: usize, end: usize) {
        let before = cx.bytes.get(..start).unwrap_or(&[]);
        let gap = before.iter().rev().take_while(|b| b.is_ascii_whitespace());
        let lines = gap.take(64).filter(|b| **b == b'\n').count();
        if lines > 1 {
            self.repaired(Rule::MissingCloser, start, start);
            let at = start;
            while !self.stack.is_empty() {
                self.pop(cx, at, true);
            }
            self.pos = at;
            return;
        }
        self.lossy(Rule::DroppedText, start, end);
    }
}

/// Tells whether the backslash at `i` and the letter after it stand for white space between tokens: `{"n": 30\n}`.
fn escaped_blank(cx: Input<'_>, i: usize) -> Tri {
    match (cx.at(i + 1), cx.at(i + 2)) {
        (b'n' | b'r' | b't', b' ' | b'\n' | b'"' | b'\\' | b'}' | b']' | b',') => Tri::Yes,
        _ if i + 2 >= cx.len() && !cx.eof => Tri::Wait,
        (b'n' | b'r', 0) if i + 2 >= cx.len() => Tri::Yes,
        _ => Tri::No,
    }
}

fn is_literal_like(word: &str) -> bool {
    if word.len() > 40 {
        return false;
    }
    !matches!(classify(word).0, Kind::Word)
}

/// Tells whether an unquoted key of a few words and its colon stand at `at`.
fn phrase_key(cx: Input<'_>, at: usize) -> Tri {
    let window = cx.bytes.get(at..(at + 48).min(cx.len())).unwrap_or(&[]);
    match window.iter().position(|b| matches!(b, b',' | b'}' | b'{' | b'"' | b'\n' | b':')) {
        Some(stop) if window.get(stop) == Some(&b':') => {
            if at + stop + 1 >= cx.len() && !cx.eof {
                Tri::Wait
            } else {
                Tri::from(matches!(cx.at(at + stop + 1), b' ' | b'"' | b'\''))
            }
        }
        None if window.len() < 48 && !cx.eof => Tri::Wait,
        _ => Tri::No,
    }
}
