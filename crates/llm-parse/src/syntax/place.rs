//! The place of a value: what may stand there, what follows it, and text there that is none.

use super::document::clip;
use super::machine::{Machine, Shape, State, Trivia};
use super::scan::{ELLIPSIS, Input, Solid, Tri, is_quote};
use super::string::Role;
use crate::report::Rule;
use crate::tree::{Kind, Node};

/// What stands in parentheses among items.
enum Remark {
    /// Something said of the list, up to this offset.
    Ends(usize),
    None,
    Wait,
}

/// Tells whether a text says that items were left out.
fn is_remark(text: &str) -> bool {
    let lower = text.to_lowercase();
    let says = |list: &[&str]| lower.split(|c: char| !c.is_alphanumeric()).any(|word| list.contains(&word));
    let goes_on = ["생략", "나머지", "중략", "더 있", "등등"].iter().any(|word| lower.contains(word));
    let others = lower
        .trim()
        .strip_prefix("외")
        .is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    goes_on || others || says(&["more", "omitted", "etc", "others", "remaining", "truncated", "elided"])
}

impl Machine {
    pub(super) fn value(&mut self, cx: Input<'_>) -> bool {
        match self.trivia(cx) {
            Trivia::Solid => {}
            Trivia::Wait => return false,
            Trivia::End => return self.cut(cx, true),
        }
        let start = self.pos;
        match cx.at(start) {
            b'"' => return self.open_value_string(cx),
            b'{' => {
                self.push_frame(Shape::Object, start, start + 1);
                return true;
            }
            b'[' => {
                self.push_frame(Shape::Array, start, start + 1);
                return true;
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => return self.plain(cx),
            _ => {}
        }
        let (byte, len) = cx.punct(start);
        match byte {
            b'{' | b'[' => {
                self.repaired(Rule::FullWidth, start, start + len);
                self.push_frame(if byte == b'{' { Shape::Object } else { Shape::Array }, start, start + len);
                true
            }
            b'(' => match self.remark_at(cx, start) {
                Remark::Wait => false,
                Remark::Ends(end) => {
                    self.lossy(Rule::Ellipsis, start, end);
                    self.value_end = end;
                    self.pos = end;
                    true
                }
                Remark::None => {
                    self.push_frame(Shape::Paren, start, start + len);
                    true
                }
            },
            b',' if self.key.is_some() => {
                self.missing_value();
                true
            }
            b',' => self.extra_comma(len),
            b'}' | b']' | b')' => {
                if self.key.is_some() {
                    self.missing_value();
                    return true;
                }
                self.closer(cx, byte, len)
            }
            ELLIPSIS => self.ellipsis(cx),
            b'.' => match cx.has(start, b"...") {
                Tri::Wait => false,
                Tri::Yes => self.ellipsis(cx),
                Tri::No => self.word(cx),
            },
            b':' if self.key.is_some() => {
                self.repaired(Rule::ColonForm, start, start + len);
                self.pos += len;
                true
            }
            b'\\' if start + 1 >= cx.len() && !cx.eof => false,
            b'\\' if cx.at(start + 1) == b'"' => self.open_value_string(cx),
            b'\\' if cx.at(start + 1) == b'\'' => {
                let role = if self.shape() == Shape::Object { Role::Field } else { Role::Item };
                self.open_slashed(cx, role)
            }
            b'`' => match self.fence_ends(cx) {
                Tri::Wait => false,
                Tri::Yes => match self.code_opens(cx) {
                    Tri::Wait => false,
                    Tri::Yes => self.open_value_string(cx),
                    Tri::No => self.end_at_fence(cx),
                },
                Tri::No => self.open_value_string(cx),
            },
            _ if is_quote(byte) => self.open_value_string(cx),
            _ => self.plain(cx),
        }
    }

    /// Tells whether what stands in parentheses among items is said of the list: `(3 more)`, `(이하 생략)`.
    fn remark_at(&self, cx: Input<'_>, start: usize) -> Remark {
        const LONGEST: usize = 48;
        if self.key.is_some() || self.shape() != Shape::Array {
            return Remark::None;
        }
        let window = cx.bytes.get(start..(start + LONGEST).min(cx.len())).unwrap_or(&[]);
        let Some(length) = window.iter().position(|byte| matches!(byte, b')' | b'\n' | b'"' | b',' | b'['))
        else {
            return if window.len() < LONGEST && !cx.eof { Remark::Wait } else { Remark::None };
        };
        let end = start + length;
        if cx.at(end) != b')' || !is_remark(cx.slice(start + 1, end)) {
            return Remark::None;
        }
        Remark::Ends(end + 1)
    }

    pub(super) fn open_value_string(&mut self, cx: Input<'_>) -> bool {
        let role = if self.shape() == Shape::Object { Role::Field } else { Role::Item };
        self.open_string(cx, role)
    }

    pub(super) fn missing_value(&mut self) {
        let at = self.key.map_or(self.pos, |key| key.end as usize);
        self.lossy(Rule::MissingValue, at, self.pos);
        let node = Node::new(Kind::Null, clip(at), clip(at));
        self.scalar(node);
    }

    /// Skips `...` and what is said about it on the same line.
    pub(super) fn ellipsis(&mut self, cx: Input<'_>) -> bool {
        let start = self.pos;
        if cx.at(start) == b'.' {
            match cx.has(start, b"...") {
                Tri::Wait => return false,
                Tri::Yes => {}
                Tri::No => return self.drop_text(cx),
            }
        }
        self.drop_as(cx, Rule::Ellipsis)
    }

    pub(super) fn drop_text(&mut self, cx: Input<'_>) -> bool {
        self.drop_as(cx, Rule::DroppedText)
    }

    /// Drops text up to the next comma, bracket, quote or line end.
    pub(super) fn drop_as(&mut self, cx: Input<'_>, rule: Rule) -> bool {
        let start = self.pos;
        let mut i = self.memo.max(cx.after_char(start));
        while i < cx.len() {
            let (byte, _) = cx.punct(i);
            if matches!(byte, b',' | b'}' | b']' | b'\n' | b'"' | b'{' | b'[' | b'`') {
                break;
            }
            i = cx.after_char(i);
        }
        if i >= cx.len() && !cx.eof {
            self.memo = i;
            return false;
        }
        self.memo = 0;
        let text = cx.slice(start, i).trim_end();
        self.lossy(rule, start, start + text.len());
        self.value_end = i;
        if self.key.is_some() && self.state == State::Value {
            self.missing_value();
        }
        self.pos = i;
        true
    }

    pub(super) fn after_value(&mut self, cx: Input<'_>) -> bool {
        let line = self.value_end.min(self.pos);
        match self.trivia(cx) {
            Trivia::Solid => {}
            Trivia::Wait => return false,
            Trivia::End => return self.cut(cx, false),
        }
        let start = self.pos;
        let byte = cx.at(start);
        let object = self.shape() == Shape::Object;
        if byte == b',' {
            self.comma = Some(clip(start));
            self.pos += 1;
            self.state = if object { State::Key } else { State::Value };
            if self.shape() == Shape::Paren
                && let Some(top) = self.stack.last_mut()
            {
                top.loose = true;
            }
            return true;
        }
        let (byte, len) = cx.punct(start);
        match byte {
            b'}' | b']' | b')' => return self.closer(cx, byte, len),
            b',' | b';' => {
                self.repaired(Rule::CommaForm, start, start + len);
                self.comma = Some(clip(start));
                self.pos += len;
                self.state = if object { State::Key } else { State::Value };
                return true;
            }
            b'+' if self.last_is_string() => return self.plus(cx),
            b':' | b'=' if !object => {
                if let Some(frame) = self.top()
                    && (self.become_object(cx, frame) || self.last_item_is_key(cx, frame))
                {
                    return true;
                }
                return self.drop_text(cx);
            }
            b'.' | ELLIPSIS => return self.ellipsis(cx),
            b'`' => match self.fence_ends(cx) {
                Tri::Wait => return false,
                Tri::Yes => return self.end_at_fence(cx),
                Tri::No => {}
            },
            _ => {}
        }
        if object { self.stray_in_object(cx, line, byte) } else { self.stray_in_list(cx, line, byte) }
    }

    pub(super) fn last_is_string(&self) -> bool {
        self.stack
            .last()
            .and_then(|frame| self.tree.nodes.get(frame.last as usize))
            .is_some_and(|node| matches!(node.kind, Kind::String(_)))
    }

    pub(super) fn plus(&mut self, cx: Input<'_>) -> bool {
        match cx.solid(self.pos + 1) {
            Solid::Wait => false,
            Solid::At { at, .. } if is_quote(cx.punct(at).0) => {
                let role = if self.shape() == Shape::Object { Role::Field } else { Role::Item };
                self.join_next(cx, role, self.pos, at)
            }
            Solid::At { at, .. } => {
                // `"a" + name`: the other operand is not known. Until all of it is there, nothing has happened.
                let plus = std::mem::replace(&mut self.pos, at);
                if !self.drop_text(cx) {
                    self.pos = plus;
                    return false;
                }
                self.lossy(Rule::Concatenation, plus, at);
                // in the order of reading
                if let [.., dropped, joined] = self.fixes.as_mut_slice() {
                    std::mem::swap(dropped, joined);
                }
                true
            }
            Solid::End => {
                self.lossy(Rule::Truncated, self.pos, cx.len());
                self.pos = cx.len();
                true
            }
        }
    }

    /// Opens the string at `at` as the continuation of the last one.
    pub(super) fn join_next(&mut self, cx: Input<'_>, role: Role, from: usize, at: usize) -> bool {
        let before = std::mem::replace(&mut self.pos, at);
        if !self.open_string(cx, role) {
            self.pos = before;
            return false;
        }
        self.repaired(Rule::Concatenation, from, at);
        self.joining = true;
        true
    }

    /// Ends the candidate at the closing fence.
    pub(super) fn end_at_fence(&mut self, cx: Input<'_>) -> bool {
        if self.fence_ends(cx) == Tri::Wait {
            return false;
        }
        let end = self.pos;
        if let Some(key) = self.key.take() {
            self.lossy(Rule::MissingValue, key.start as usize, key.end as usize);
            self.key = Some(key);
            self.scalar(Node::new(Kind::Null, key.end, key.end));
        }
        self.lossy(Rule::MissingCloser, end, end);
        while !self.stack.is_empty() {
            self.pop(cx, end, true);
        }
        true
    }
}
