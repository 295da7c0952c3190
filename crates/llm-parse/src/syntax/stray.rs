//! What stands between values where a comma should: a missing comma, a missing bracket, talk.

use super::key::key_at;
use super::machine::{Frame, Key, Machine, Recorded, Shape, SkipMode, State};
use super::quote::pair_at;
use super::scan::{Input, Tri, is_ident, is_quote};
use super::string::Role;
use crate::report::Rule;
use crate::tree::{Kind, NONE, NodeId};

impl Machine {
    pub(super) fn stray_in_object(&mut self, cx: Input<'_>, line: usize, byte: u8) -> bool {
        let start = self.pos;
        match key_at(cx, start, true) {
            Tri::Wait => return false,
            Tri::Yes => {
                self.repaired(Rule::MissingComma, line, start);
                self.state = State::Key;
                return true;
            }
            Tri::No => {}
        }
        if self.talk_follows(cx, line) {
            return self.abandon(cx, line);
        }
        if self.top().is_some_and(|top| top.colonless) {
            match pair_at(cx, start) {
                Tri::Wait => return false,
                Tri::Yes => {
                    self.repaired(Rule::MissingComma, line, start);
                    self.state = State::Key;
                    return true;
                }
                Tri::No => {}
            }
        }
        if matches!(byte, b'"' | b'\'') && self.last_is_string() {
            return self.join_next(cx, Role::Field, line, start);
        }
        if byte == b'{' || byte == b'[' {
            let list = self.stack.len() > 1 && self.arrays > 0;
            if byte == b'{' && (list || self.stack.len() == 1) {
                self.repaired(Rule::MissingCloser, line, line);
                self.pop(cx, line, true);
                return true;
            }
            self.lossy(Rule::DroppedText, start, cx.after_char(start));
            self.skip_depth = 1;
            self.skip_mode = SkipMode::Plain;
            self.pos = cx.after_char(start);
            self.state = State::Skip;
            return true;
        }
        if byte == b'"' {
            self.lossy(Rule::DroppedText, start, cx.after_char(start));
            self.pos += 1;
            return true;
        }
        self.drop_text(cx)
    }

    pub(super) fn stray_in_list(&mut self, cx: Input<'_>, line: usize, byte: u8) -> bool {
        if !matches!(byte, b'{' | b'[' | b'"') && self.talk_follows(cx, line) {
            return self.abandon(cx, line);
        }
        let paren = matches!(self.shape(), Shape::Paren | Shape::Call);
        if paren && is_quote(byte) && self.last_is_string() {
            return self.join_next(cx, Role::Item, line, self.pos);
        }
        if is_quote(byte) && self.in_object_list() {
            // `"a": [1, 2 "b": 3`: the list was not closed before the next field.
            match key_at(cx, self.pos, false) {
                Tri::Wait => return false,
                Tri::Yes => {
                    self.repaired(Rule::MissingCloser, line, line);
                    self.pop(cx, line, true);
                    return true;
                }
                Tri::No => {}
            }
        }
        self.repaired(Rule::MissingComma, line, self.pos);
        self.state = State::Value;
        true
    }

    /// Tells whether the top frame is a list with items that is the value of a field.
    pub(super) fn in_object_list(&self) -> bool {
        let parent = self.stack.len().checked_sub(2).and_then(|i| self.stack.get(i));
        self.top().is_some_and(|top| top.shape == Shape::Array && top.count > 0)
            && parent.is_some_and(|parent| parent.shape == Shape::Object)
    }

    /// Takes the last item of an unclosed list as the key of the next field: `"a": [1, 2, "b": 3`.
    pub(super) fn last_item_is_key(&mut self, cx: Input<'_>, frame: Frame) -> bool {
        let last = self.tree.nodes.len().saturating_sub(1);
        let Some(item) = self.tree.nodes.last().copied() else { return false };
        if !self.in_object_list() || frame.count < 2 || frame.last as usize != last {
            return false;
        }
        if !matches!(item.kind, Kind::String(_)) {
            return false;
        }
        let before = self.tree.children(NodeId(frame.node)).take_while(|id| id.0 != frame.last).last();
        let Some(before) = before else { return false };
        self.drop_last_node(frame.last);
        if let Some(node) = self.tree.nodes.get_mut(before.0 as usize) {
            node.next = NONE;
        }
        if let Some(top) = self.stack.last_mut() {
            top.last = before.0;
            top.count -= 1;
        }
        let end = self.tree.node(before).end as usize;
        self.repaired(Rule::MissingCloser, end, end);
        self.pop(cx, end, true);
        let hash = self.hash_key(cx, item.text());
        self.key = Some(Key { start: item.start, end: item.end, text: item.text(), quoted: true, hash });
        self.state = State::AfterKey;
        true
    }

    pub(super) fn drop_last_node(&mut self, id: u32) {
        self.tree.nodes.pop();
        if let Some(log) = &mut self.log
            && matches!(log.records.last(), Some(Recorded::Completed { node, .. }) if node.0 == id)
        {
            log.records.pop();
        }
    }

    /// Tells whether a blank line and then ordinary text follow, so that the value was never closed.
    pub(super) fn talk_follows(&self, cx: Input<'_>, line: usize) -> bool {
        let gap = cx.bytes.get(line..self.pos).unwrap_or(&[]);
        let blank = gap.iter().filter(|b| **b == b'\n').take(2).count() > 1;
        blank && is_ident(cx.at(self.pos))
    }

    /// Closes everything before text that does not belong to the value.
    pub(super) fn abandon(&mut self, cx: Input<'_>, end: usize) -> bool {
        self.repaired(Rule::MissingCloser, end, end);
        while !self.stack.is_empty() {
            self.pop(cx, end, true);
        }
        self.abandoned = true;
        true
    }
}
