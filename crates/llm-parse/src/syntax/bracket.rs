//! Closing brackets, right and wrong, and what lies too deep.

use super::document::clip;
use super::key::key_at;
use super::machine::{Machine, Shape, SkipMode, State};
use super::scan::{Input, Solid, Tri, is_quote};
use crate::report::Rule;
use crate::tree::{Kind, Node};

impl Machine {
    pub(super) fn closer(&mut self, cx: Input<'_>, byte: u8, len: usize) -> bool {
        let at = self.pos;
        let shape = self.shape();
        let fits = match byte {
            b'}' => shape == Shape::Object,
            b']' => shape == Shape::Array,
            _ => matches!(shape, Shape::Paren | Shape::Call),
        };
        if let Some(comma) = self.comma.take()
            && self.state != State::AfterValue
        {
            self.cosmetic(Rule::TrailingComma, comma as usize, cx.after_char(comma as usize));
        }
        if fits || (byte == b')' && self.top().is_some_and(|top| top.call)) {
            if let Some(top) = self.stack.last_mut()
                && top.extra > 0
            {
                top.extra -= 1;
                self.cosmetic(Rule::ExtraCloser, at, at + len);
                self.pos += len;
                self.state = State::AfterValue;
                return true;
            }
            if len > 1 {
                self.repaired(Rule::FullWidth, at, at + len);
            }
            self.pos += len;
            self.pop(cx, at + len, true);
            return true;
        }
        let more = match cx.solid(at + len) {
            Solid::Wait => return false,
            Solid::At { at, byte: b',', .. } => match cx.solid(at + 1) {
                Solid::Wait => return false,
                Solid::At { at, .. } => match key_at(cx, at, false) {
                    Tri::Wait => return false,
                    Tri::Yes => true,
                    Tri::No => false,
                },
                Solid::End => false,
            },
            _ => false,
        };
        let open = match byte {
            b'}' => self.objects > 0,
            b']' => self.arrays > 0 && self.stack.iter().rev().any(|f| f.shape == Shape::Array),
            _ => self.stack.iter().rev().any(|f| matches!(f.shape, Shape::Paren | Shape::Call)),
        };
        self.pos += len;
        if !open {
            if more && shape == Shape::Object || byte == b')' {
                self.repaired(Rule::ExtraCloser, at, at + len);
                self.state = State::AfterValue;
                return true;
            }
            self.repaired(Rule::MismatchedCloser, at, at + len);
            self.pop(cx, at + len, true);
            return true;
        }
        let target = self.stack.iter().rposition(|frame| match byte {
            b'}' => frame.shape == Shape::Object,
            b']' => frame.shape == Shape::Array,
            _ => matches!(frame.shape, Shape::Paren | Shape::Call),
        });
        let parent = target.and_then(|i| i.checked_sub(1)).and_then(|i| self.stack.get(i));
        if more && parent.is_none_or(|parent| parent.shape != Shape::Object) {
            // What follows is a field: the bracket was meant to close the inner value.
            self.repaired(Rule::MismatchedCloser, at, at + len);
            self.pop(cx, at + len, true);
            return true;
        }
        let target = target.unwrap_or(0);
        while self.stack.len() > target + 1 {
            self.repaired(Rule::MissingCloser, at, at);
            self.pop(cx, at, true);
        }
        self.pop(cx, at + len, true);
        true
    }

    // ---- too deep ----

    pub(super) fn skip_deep(&mut self, cx: Input<'_>) -> bool {
        while self.skip_depth > 0 {
            let Some(&byte) = cx.bytes.get(self.pos) else {
                return cx.eof && self.cut(cx, true);
            };
            self.pos += 1;
            match (self.skip_mode, byte) {
                (SkipMode::Plain, b'{' | b'[') => self.skip_depth += 1,
                (SkipMode::Plain, b'}' | b']') => self.skip_depth -= 1,
                (SkipMode::Plain, b'"') | (SkipMode::Escape, _) => self.skip_mode = SkipMode::Text,
                (SkipMode::Text, b'"') => self.skip_mode = SkipMode::Plain,
                (SkipMode::Text, b'\\') => self.skip_mode = SkipMode::Escape,
                _ => {}
            }
        }
        // What follows lies where a character starts: the last byte skipped was a bracket.
        self.state = State::AfterValue;
        true
    }

    // ---- the end of the text ----

    /// Closes whatever is open where the text ends.
    pub(super) fn cut(&mut self, cx: Input<'_>, inside: bool) -> bool {
        let end = cx.len();
        self.pos = end;
        self.memo = 0;
        if let Some(key) = self.key.take() {
            if self.state == State::Value {
                self.key = Some(key);
                let node = Node::new(Kind::Null, clip(end), clip(end));
                self.attach(node);
            }
            self.lossy(Rule::Truncated, key.start as usize, end);
        } else if inside && self.stack.iter().any(|frame| !frame.bare) {
            self.lossy(Rule::Truncated, end, end);
        }
        let bare = self.stack.first().is_some_and(|frame| frame.bare);
        if self.stack.len() > usize::from(bare) {
            self.repaired(Rule::MissingCloser, end, end);
        }
        while let Some(top) = self.top() {
            self.pop(cx, end, top.bare);
        }
        self.state = State::Closed;
        true
    }

    /// Looks at what follows a closed root: brackets too many, or fields that still belong to it.
    pub(super) fn after_root(&mut self, cx: Input<'_>) -> bool {
        let mut at = self.pos;
        loop {
            match cx.solid(at) {
                Solid::Wait => return false,
                Solid::At { at: here, byte: b'}' | b']', .. } => {
                    self.repaired(Rule::ExtraCloser, here, here + 1);
                    at = here + 1;
                    self.pos = at;
                }
                Solid::At { at: here, byte: b',', .. } => {
                    let object = self.closed.filter(|frame| frame.shape == Shape::Object && !frame.bare);
                    let next = match cx.solid(here + 1) {
                        Solid::Wait => return false,
                        Solid::At { at, .. } => at,
                        Solid::End => break,
                    };
                    let Some(frame) = object else { break };
                    match if is_quote(cx.at(next)) { key_at(cx, next, false) } else { Tri::No } {
                        Tri::Wait => return false,
                        Tri::No => break,
                        Tri::Yes => {}
                    }
                    // `{"a": 1}, "b": 2}`: the object was closed too early.
                    self.ambiguous(Rule::ExtraCloser, here.saturating_sub(1), here);
                    self.stack.push(frame);
                    self.count_frame(Shape::Object, 1);
                    self.comma = Some(clip(here));
                    self.pos = here + 1;
                    self.state = State::Key;
                    return true;
                }
                _ => break,
            }
        }
        self.finish_candidate(cx);
        true
    }
}
