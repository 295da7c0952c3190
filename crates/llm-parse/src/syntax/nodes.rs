//! The tree under construction: values below the bracket that is open, brackets that open, close and change their kind.

use super::document::clip;
use super::machine::{Frame, Key, Machine, Recorded, Shape, SkipMode, State};
use super::scan::Input;
use crate::report::Rule;
use crate::tree::{Kind, NONE, Node, NodeId, Text};

impl Machine {
    pub(super) fn top(&self) -> Option<Frame> {
        self.stack.last().copied()
    }

    pub(super) fn shape(&self) -> Shape {
        self.stack.last().map_or(Shape::Array, |frame| frame.shape)
    }

    /// Adds a node below the top frame, with the pending key.
    pub(super) fn attach(&mut self, mut node: Node) -> u32 {
        let id = clip(self.tree.nodes.len());
        let mut hash = 0;
        if let Some(key) = self.key.take() {
            hash = key.hash;
            node.set_key(key.start, key.end, key.text, key.quoted);
        }
        if let Some(frame) = self.stack.last_mut() {
            if frame.shape == Shape::Object {
                // Equal keys set the same bit; unequal ones may, and are told apart when the object closes.
                let bit = 1_u64 << (hash & 63);
                frame.twins |= frame.seen & bit != 0;
                frame.seen |= bit;
            }
            let parent = frame.node;
            if let Some(log) = &mut self.log {
                log.parents.resize(id as usize, (NONE, 0));
                log.parents.push((parent, frame.count));
            }
            let last = std::mem::replace(&mut frame.last, id);
            frame.count += 1;
            if last == NONE {
                if let Some(parent) = self.tree.nodes.get_mut(parent as usize) {
                    parent.first_child = id;
                }
            } else if let Some(last) = self.tree.nodes.get_mut(last as usize) {
                last.next = id;
            }
        }
        self.tree.nodes.push(node);
        id
    }

    pub(super) fn hash_key(&self, cx: Input<'_>, text: Text) -> u8 {
        let from = if text.owned { self.tree.scratch.as_bytes() } else { cx.bytes };
        let bytes = from.get(text.start as usize..text.end as usize).unwrap_or(&[]);
        let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
        let len = bytes.len();
        let sum = byte(0)
            .wrapping_mul(3)
            .wrapping_add(byte(len / 2).wrapping_mul(5))
            .wrapping_add(byte(len.wrapping_sub(1)).wrapping_mul(7));
        sum.wrapping_add(len.to_le_bytes().first().copied().unwrap_or(0).wrapping_mul(11))
    }

    /// Adds a finished scalar and moves on.
    pub(super) fn scalar(&mut self, node: Node) {
        let complete = node.is_complete();
        self.value_end = node.end as usize;
        let id = self.attach(node);
        self.state = State::AfterValue;
        if complete {
            self.log_done(id);
        }
    }

    pub(super) fn log_done(&mut self, node: u32) {
        if self.log.is_some() {
            self.log_completed(node);
        }
    }

    #[cold]
    pub(super) fn log_completed(&mut self, node: u32) {
        let Some(frame) = self.stack.last() else { return };
        // The only argument of a call takes the call's place and is reported with it.
        if self.around.thinking || self.open.is_none() || frame.shape == Shape::Call {
            return;
        }
        let keyed = self.tree.node(NodeId(node)).has_key();
        let index = (!keyed).then_some(frame.count.saturating_sub(1) as usize);
        let candidate = self.candidates.len();
        self.log_record(Recorded::Completed { candidate, node: NodeId(node), index });
    }

    pub(super) fn log_record(&mut self, record: Recorded) {
        if let Some(log) = &mut self.log {
            log.records.push(record);
        }
    }

    pub(super) fn push_frame(&mut self, shape: Shape, start: usize, end: usize) {
        if self.stack.len() >= self.limits.max_depth() {
            self.lossy(Rule::DepthLimit, start, end);
            let node = Node::new(Kind::Null, clip(start), clip(end));
            self.attach(node);
            self.skip_depth = 1;
            self.skip_mode = SkipMode::Plain;
            self.pos = end;
            self.state = State::Skip;
            return;
        }
        let kind = if shape == Shape::Object { Kind::Object } else { Kind::Array };
        let node = self.attach(Node::new(kind, clip(start), clip(end)));
        self.stack.push(Frame {
            node,
            last: NONE,
            count: 0,
            shape,
            bare: false,
            call: false,
            colonless: false,
            loose: false,
            twins: false,
            extra: 0,
            seen: 0,
        });
        self.count_frame(shape, 1);
        self.comma = None;
        self.pos = end;
        self.state = if shape == Shape::Object { State::Key } else { State::Value };
    }

    pub(super) fn count_frame(&mut self, shape: Shape, by: i32) {
        let counter = if shape == Shape::Object { &mut self.objects } else { &mut self.arrays };
        *counter = counter.saturating_add_signed(by);
    }

    /// Closes the top frame at `end`.
    pub(super) fn pop(&mut self, cx: Input<'_>, end: usize, complete: bool) {
        let Some(frame) = self.stack.pop() else { return };
        self.count_frame(frame.shape, -1);
        self.key = None;
        self.comma = None;
        self.joining = false;
        if frame.twins {
            self.find_twins(cx, frame.node);
        }
        let only = (frame.count == 1).then_some(frame.last);
        if let Some(node) = self.tree.nodes.get_mut(frame.node as usize) {
            node.end = clip(end).max(node.start);
            node.text_end = node.end;
            node.set_complete(complete);
        }
        match (frame.shape, only) {
            (Shape::Call, Some(only)) => self.unwrap_only(frame.node, only),
            (Shape::Call, None) if frame.count == 0 => {
                // `function() { … }`: nothing of the value was read.
                let start = self.tree.node(NodeId(frame.node)).start as usize;
                self.lossy(Rule::MissingValue, start, end);
            }
            (Shape::Paren, Some(only)) if !frame.loose => self.unwrap_only(frame.node, only),
            (Shape::Paren, _) => {
                let start = self.tree.node(NodeId(frame.node)).start as usize;
                self.repaired(Rule::Tuple, start, end);
            }
            _ => {}
        }
        if self.stack.is_empty() {
            self.closed = Some(frame);
            self.state = State::Closed;
        } else {
            self.state = State::AfterValue;
            self.value_end = end;
        }
        if complete {
            self.log_done(frame.node);
        }
    }

    /// Puts the only item of a wrapper in its place.
    pub(super) fn unwrap_only(&mut self, wrapper: u32, only: u32) {
        let Some(mut item) = self.tree.nodes.get(only as usize).copied() else { return };
        if let Some(node) = self.tree.nodes.get_mut(wrapper as usize) {
            item.copy_key(node);
            item.next = node.next;
            item.start = node.start;
            item.end = node.end;
            *node = item;
        }
    }

    pub(super) fn find_twins(&mut self, cx: Input<'_>, node: u32) {
        let mut spans = Vec::new();
        let small: Vec<&str> =
            self.tree.children(NodeId(node)).take(17).filter_map(|id| self.tree.key(id, cx.text)).collect();
        if small.len() <= 16
            && !small.iter().enumerate().any(|(i, key)| small.iter().skip(i + 1).any(|k| k == key))
        {
            return;
        }
        {
            let mut seen = std::collections::HashSet::new();
            for child in self.tree.children(NodeId(node)) {
                if let Some(key) = self.tree.key(child, cx.text)
                    && !seen.insert(key)
                    && let Some(span) = self.tree.node(child).key_span()
                {
                    spans.push(span);
                }
            }
        }
        for span in spans {
            self.ambiguous(Rule::DuplicateKey, span.start, span.end);
        }
    }

    /// Turns the top object, which has no fields yet, into a list: `{1, 2}`.
    pub(super) fn become_array(&mut self, cx: Input<'_>, frame: Frame) {
        self.count_frame(Shape::Object, -1);
        self.count_frame(Shape::Array, 1);
        if let Some(top) = self.stack.last_mut() {
            top.shape = Shape::Array;
        }
        let mut start = 0;
        if let Some(node) = self.tree.nodes.get_mut(frame.node as usize) {
            node.kind = Kind::Array;
            start = node.start as usize;
        }
        self.ambiguous(Rule::Set, start, cx.after_char(start));
    }

    pub(super) fn set_from_object(&mut self, cx: Input<'_>) {
        if let Some(frame) = self.top() {
            self.become_array(cx, frame);
            self.state = State::Value;
        }
    }

    /// Turns the top list, whose only item was just read, into an object with that item as its first key.
    pub(super) fn become_object(&mut self, cx: Input<'_>, frame: Frame) -> bool {
        let Some(item) = self.tree.nodes.get(frame.last as usize).copied() else { return false };
        if frame.count != 1 || frame.last as usize + 1 != self.tree.nodes.len() {
            return false;
        }
        if !matches!(item.kind, Kind::String(_) | Kind::Word | Kind::Number) {
            return false;
        }
        self.drop_last_node(frame.last);
        self.count_frame(frame.shape, -1);
        self.count_frame(Shape::Object, 1);
        let call = frame.shape == Shape::Call;
        if let Some(top) = self.stack.last_mut() {
            top.shape = Shape::Object;
            top.last = NONE;
            top.count = 0;
            top.loose = true;
            top.call = call || frame.shape == Shape::Paren;
        }
        let mut start = 0;
        if let Some(node) = self.tree.nodes.get_mut(frame.node as usize) {
            node.kind = Kind::Object;
            node.first_child = NONE;
            start = node.start as usize;
        }
        self.repaired(if call { Rule::CallWrapper } else { Rule::PairList }, start, cx.after_char(start));
        let quoted = matches!(item.kind, Kind::String(_));
        let hash = self.hash_key(cx, item.text());
        self.key = Some(Key { start: item.start, end: item.end, text: item.text(), quoted, hash });
        self.state = State::AfterKey;
        true
    }
}
