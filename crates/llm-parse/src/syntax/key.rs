//! Keys: before one, after one, and what stands where one should.

use super::document::clip;
use super::machine::{Key, Machine, Shape, State, Trivia};
use super::scan::{ELLIPSIS, Input, Solid, Tri, is_ident, is_quote};
use super::string::Role;
use crate::report::Rule;
use crate::tree::{Kind, Node, Text};

impl Machine {
    pub(super) fn key(&mut self, cx: Input<'_>) -> bool {
        match self.trivia(cx) {
            Trivia::Solid => {}
            Trivia::Wait => return false,
            Trivia::End => return self.cut(cx, true),
        }
        if cx.at(self.pos) == b'"' {
            return self.open_string(cx, Role::Key);
        }
        let (byte, len) = cx.punct(self.pos);
        match byte {
            b'}' | b']' | b')' => self.closer(cx, byte, len),
            b',' | b';' => self.extra_comma(len),
            b'{' => self.brace_for_key(cx, len),
            b'[' | b'(' => self.bracket_for_key(cx, len),
            b':' if self.pos + 1 >= cx.len() && !cx.eof => false,
            b':' if cx.at(self.pos + 1).is_ascii_alphabetic() => {
                // Ruby: `{:a => 1}`.
                self.repaired(Rule::ColonForm, self.pos, self.pos + len);
                self.pos += len;
                true
            }
            b':' if cx.at(self.pos) == b':' => {
                self.ambiguous(Rule::MissingKey, self.pos, self.pos);
                let here = clip(self.pos);
                let text = Text { start: here, end: here, owned: false };
                self.key = Some(Key { start: here, end: here, text, quoted: false, hash: 0 });
                self.state = State::AfterKey;
                true
            }
            b'.' | ELLIPSIS => self.ellipsis(cx),
            b'\\' if cx.at(self.pos + 1) == b'"' => self.open_string(cx, Role::Key),
            b'\\' if cx.at(self.pos + 1) == b'\'' => self.open_slashed(cx, Role::Key),
            b'\\' if self.pos + 1 >= cx.len() && !cx.eof => false,
            b'`' if self.fence_ends(cx) != Tri::No => self.end_at_fence(cx),
            _ if is_quote(byte) => self.open_string(cx, Role::Key),
            _ => self.loose_key(cx),
        }
    }

    pub(super) fn extra_comma(&mut self, len: usize) -> bool {
        self.cosmetic(Rule::ExtraComma, self.pos, self.pos + len);
        self.pos += len;
        true
    }

    pub(super) fn brace_for_key(&mut self, cx: Input<'_>, len: usize) -> bool {
        let Some(frame) = self.top() else { return self.cut(cx, true) };
        let parent = self.stack.len().checked_sub(2).and_then(|i| self.stack.get(i));
        let in_list = parent.is_some_and(|parent| parent.shape != Shape::Object);
        if frame.count == 0 {
            // `{{"a": 1}}`: a doubled brace, as templates write it.
            self.repaired(Rule::ExtraOpener, self.pos, self.pos + len);
            if let Some(frame) = self.stack.last_mut() {
                frame.extra = frame.extra.saturating_add(1);
            }
            self.pos += len;
        } else if in_list {
            // `[{"a": 1, {"a": 2}]`: the brace before it was not closed.
            self.repaired(Rule::MissingCloser, self.pos, self.pos);
            self.pop(cx, self.pos, true);
            self.state = State::Value;
        } else if self.stack.len() == 1 {
            // `{"a": 1}, {"b": 2}` without the first brace's end: another value begins.
            self.repaired(Rule::MissingCloser, self.pos, self.pos);
            self.pop(cx, self.pos, true);
        } else {
            self.ambiguous(Rule::ExtraOpener, self.pos, self.pos + len);
            if let Some(frame) = self.stack.last_mut() {
                frame.extra = frame.extra.saturating_add(1);
            }
            self.pos += len;
        }
        true
    }

    pub(super) fn bracket_for_key(&mut self, cx: Input<'_>, len: usize) -> bool {
        let Some(frame) = self.top() else { return self.cut(cx, true) };
        if frame.count == 0 {
            self.become_array(cx, frame);
            self.state = State::Value;
            return true;
        }
        self.ambiguous(Rule::MissingKey, self.pos, self.pos + len);
        let here = clip(self.pos);
        let text = Text { start: here, end: here, owned: false };
        self.key = Some(Key { start: here, end: here, text, quoted: false, hash: 0 });
        self.state = State::Value;
        true
    }

    pub(super) fn after_key(&mut self, cx: Input<'_>) -> bool {
        if cx.at(self.pos) == b':'
            && cx.at(self.pos + 1) != b':'
            && cx.at(self.pos + 1) != b'='
            && self.pos + 1 < cx.len()
        {
            self.pos += 1;
            self.state = State::Value;
            return true;
        }
        match self.trivia(cx) {
            Trivia::Solid => {}
            Trivia::Wait => return false,
            Trivia::End => return self.cut(cx, true),
        }
        let start = self.pos;
        match arrow_at(cx, start) {
            (Tri::Wait, _) => return false,
            (Tri::Yes, len) => {
                self.pos += len;
                self.repaired(Rule::ColonForm, start, self.pos);
                self.state = State::Value;
                return true;
            }
            (Tri::No, _) => {}
        }
        let (byte, len) = cx.punct(start);
        if start + len >= cx.len() && !cx.eof {
            return false;
        }
        let next = cx.at(start + len);
        match byte {
            b':' => {
                let plus = usize::from(matches!(next, b':' | b'='));
                self.pos += len + plus;
                if len + plus > 1 {
                    self.repaired(Rule::ColonForm, start, self.pos);
                }
                self.state = State::Value;
                true
            }
            b'=' | b'-' if byte == b'=' || next == b'>' => {
                self.pos += len + usize::from(matches!(next, b'>' | b'='));
                self.repaired(Rule::ColonForm, start, self.pos);
                self.state = State::Value;
                true
            }
            b',' | b'}' | b']' | b')' | b';' => {
                let Some(key) = self.key.take() else {
                    self.state = State::AfterValue;
                    return true;
                };
                self.key_without_value(cx, key, true);
                true
            }
            b'`' if self.fence_ends(cx) != Tri::No => self.end_at_fence(cx),
            _ => {
                if let Some(top) = self.stack.last_mut() {
                    top.colonless = true;
                }
                self.repaired(Rule::MissingColon, start, start);
                self.state = State::Value;
                true
            }
        }
    }

    /// Decides what a key is that no colon follows: an item of a set, or a field whose value is missing.
    pub(super) fn key_without_value(&mut self, cx: Input<'_>, key: Key, complete: bool) {
        let frame = self.top();
        match frame {
            Some(frame) if frame.count == 0 && frame.shape == Shape::Object && !frame.bare => {
                self.become_array(cx, frame);
                let kind = if key.quoted { Kind::String(crate::tree::Quote::Double) } else { Kind::Word };
                let mut node = Node::new(kind, key.start, key.end);
                node.set_text(key.text);
                node.set_complete(complete);
                self.scalar(node);
            }
            _ => {
                self.lossy(Rule::MissingValue, key.start as usize, key.end as usize);
                self.key = Some(key);
                let node = Node::new(Kind::Null, key.end, key.end);
                self.scalar(node);
            }
        }
    }
}

/// Tells whether an arrow that stands for a colon stands at `at`, and how long it is.
pub(super) fn arrow_at(cx: Input<'_>, at: usize) -> (Tri, usize) {
    if cx.at(at) != 0xE2 {
        return (Tri::No, 0);
    }
    let arrows = ["→", "⇒", "➔"].map(|arrow| (cx.has(at, arrow.as_bytes()), arrow.len()));
    let told = arrows.into_iter().find(|(found, _)| *found != Tri::No);
    told.unwrap_or((Tri::No, 0))
}

/// Tells whether an unquoted key and its colon stand at `at`; looks at most 64 bytes far.
fn loose_key_at(cx: Input<'_>, at: usize) -> Tri {
    let mut i = at;
    while i < cx.len() && i - at < 64 && is_ident(cx.at(i)) {
        if cx.at(i) >= 0x80 {
            if cx.wide_punct(i).1 > 1 || cx.space(i) > 0 {
                break;
            }
            i = cx.after_char(i);
        } else {
            i += 1;
        }
    }
    if i == at {
        return Tri::No;
    }
    if matches!(cx.at(i), b'"' | b'\'') {
        // `key": 1`: the opening quote is missing.
        i += 1;
    }
    match cx.solid(i) {
        Solid::Wait => Tri::Wait,
        Solid::End => Tri::No,
        Solid::At { at, .. } => match cx.punct(at) {
            (b':', _) if !cx.eof && (at + 1 >= cx.len() || (cx.at(at + 1) == b'/' && at + 2 >= cx.len())) => {
                Tri::Wait
            }
            (b':', _) if cx.at(at + 1) == b'/' && cx.at(at + 2) == b'/' => Tri::No,
            (b':' | b'=', _) => Tri::Yes,
            _ => Tri::No,
        },
    }
}

/// Tells whether a key and its colon stand at `at`.
pub(super) fn key_at(cx: Input<'_>, at: usize, loose: bool) -> Tri {
    let (byte, len) = cx.punct(at);
    if byte == b'\\' && at + 1 >= cx.len() && !cx.eof {
        return Tri::Wait;
    }
    if is_quote(byte) || (byte == b'\\' && cx.at(at + 1) == b'"') {
        let start = if byte == b'\\' { at + 2 } else { at + len };
        return match super::closer::find_quote(cx, start, byte) {
            super::closer::Found::At(end) => match cx.solid(end) {
                Solid::Wait => Tri::Wait,
                Solid::End => Tri::No,
                Solid::At { at, .. } => {
                    let sign = cx.punct(at).0;
                    if sign == b':' || sign == b'=' { Tri::Yes } else { arrow_at(cx, at).0 }
                }
            },
            super::closer::Found::Wait => Tri::Wait,
            super::closer::Found::End => Tri::from(loose && cx.eof),
            super::closer::Found::Far => Tri::No,
        };
    }
    loose_key_at(cx, at)
}
