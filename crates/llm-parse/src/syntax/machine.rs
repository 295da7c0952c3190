//! The resumable machine: an explicit stack over (text so far, end of input), shared by one-shot reading and streaming.
//!
//! Every step looks at bytes from `pos` on. A step that cannot decide yet returns `false` and changes nothing that
//! matters, so that it is taken again when more text has come; at the end of input every step decides. A snapshot of a
//! prefix is therefore a clone of the machine that is told that the input has ended.

use super::document::{Candidate, Cue, Fix, Limits, Origin, clip};
use super::prose::Surroundings;
use super::scan::{CURLY_DOUBLE, ELLIPSIS, Input, Solid, Tri, WIDE_SINGLE, is_ident, is_quote};
use super::string::{Role, Str};
use crate::report::{Rule, Severity};
use crate::tree::{Kind, NONE, Node, NodeId, Span, Text, Tree};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Between candidates.
    Prose,
    /// In an object, before a key or the closing brace.
    Key,
    /// After a key.
    AfterKey,
    /// Before a value.
    Value,
    /// After a value.
    AfterValue,
    /// Inside a string.
    Str,
    /// Skipping what lies too deep.
    Skip,
    /// Just after the root of a candidate was closed.
    Closed,
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SkipMode {
    Plain,
    Text,
    Escape,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    Object,
    Array,
    /// `(…)`.
    Paren,
    /// `name(…)`.
    Call,
}

#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one bracket")]
pub(super) struct Frame {
    pub(super) node: u32,
    pub(super) last: u32,
    pub(super) count: u32,
    pub(super) shape: Shape,
    /// The opening bracket is not in the text.
    pub(super) bare: bool,
    /// A key without quotes was seen.
    pub(super) loose: bool,
    /// Two keys may be equal.
    pub(super) twins: bool,
    /// A key without its colon was seen.
    pub(super) colonless: bool,
    /// An object made of keyword arguments, which a parenthesis closes.
    pub(super) call: bool,
    /// Opening braces too many.
    pub(super) extra: u8,
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) text: Text,
    pub(super) quoted: bool,
    /// Equal for equal keys.
    pub(super) hash: u8,
}

/// Is the candidate that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) start: usize,
    pub(super) origin: Origin,
    pub(super) fixes: u32,
    pub(super) root: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) tree: Tree,
    pub(crate) fixes: Vec<Fix>,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) pos: usize,
    pub(super) state: State,
    pub(super) stack: Vec<Frame>,
    pub(super) key: Option<Key>,
    pub(super) string: Str,
    pub(super) open: Option<Open>,
    pub(super) around: Surroundings,
    pub(super) limits: Limits,
    /// Where the last value ended, or the text that was dropped after it.
    pub(super) value_end: usize,
    /// Talk follows the candidate, which ends with its root.
    pub(super) abandoned: bool,
    /// How far the token at `pos` was scanned.
    pub(super) memo: usize,
    /// White space between tokens is written as escapes: `{\n  "a": 1\n}`.
    pub(super) escaped_blanks: bool,
    /// Where the last comma stood.
    pub(super) comma: Option<u32>,
    /// The next string continues the last one.
    pub(super) joining: bool,
    /// Brackets open inside the unquoted run at `pos`, and whether it holds a comma.
    pub(super) nest: u32,
    pub(super) commas: bool,
    pub(super) skip_depth: u32,
    pub(super) skip_mode: SkipMode,
    pub(super) objects: u32,
    pub(super) arrays: u32,
    /// The root that was closed last, for an object that goes on after its brace.
    pub(super) closed: Option<Frame>,
    /// What happened, when somebody listens.
    pub(super) log: Option<Log>,
}

/// Keeps what happened for somebody who listens.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) records: Vec<Recorded>,
    /// Parent and position of every node.
    pub(super) parents: Vec<(u32, u32)>,
}

/// Is something that happened while reading.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recorded {
    Started {
        candidate: usize,
        at: usize,
    },
    /// A field is complete, or an item at an index.
    Completed {
        candidate: usize,
        node: NodeId,
        index: Option<usize>,
    },
    Finished {
        candidate: usize,
        node: NodeId,
    },
    Retracted {
        candidate: usize,
    },
}

pub(super) enum Trivia {
    Solid,
    End,
    Wait,
}

impl Machine {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            tree: Tree::default(),
            fixes: Vec::new(),
            candidates: Vec::new(),
            pos: 0,
            state: State::Prose,
            stack: Vec::new(),
            key: None,
            string: Str::default(),
            open: None,
            around: Surroundings::default(),
            limits: *limits,
            value_end: 0,
            abandoned: false,
            memo: 0,
            escaped_blanks: false,
            comma: None,
            joining: false,
            nest: 0,
            commas: false,
            skip_depth: 0,
            skip_mode: SkipMode::Plain,
            objects: 0,
            arrays: 0,
            closed: None,
            log: None,
        }
    }

    /// Goes as far as the text allows; to the end when the input has ended.
    pub(super) fn run(&mut self, cx: Input<'_>) {
        loop {
            // A step that keeps its place has changed the stack; it cannot do so for ever.
            let before = (self.pos, self.stack.len());
            for _ in 0..256 {
                if !self.step(cx) {
                    return;
                }
            }
            if before == (self.pos, 0) && self.stack.is_empty() {
                self.pos = cx.after_char(self.pos);
            }
        }
    }

    #[inline]
    pub(super) fn step(&mut self, cx: Input<'_>) -> bool {
        match self.state {
            State::Str => self.in_string(cx),
            State::Key => self.key(cx),
            State::AfterKey => self.after_key(cx),
            State::Value => self.value(cx),
            State::AfterValue => self.after_value(cx),
            State::Prose => self.prose(cx),
            State::Skip => self.skip_deep(cx),
            State::Closed => self.after_root(cx),
            State::Done => false,
        }
    }

    // ---- repairs ----

    pub(super) fn fix(&mut self, rule: Rule, severity: Severity, start: usize, end: usize) {
        let fix = Fix { start: clip(start), end: clip(end), rule, severity };
        if self.fixes.len() < self.limits.max_repairs() {
            self.fixes.push(fix);
        } else if let Some(last) = self.fixes.last_mut() {
            last.rule = Rule::MoreRepairs;
            last.severity = last.severity.max(severity);
            last.end = fix.end;
        }
    }

    pub(super) fn cosmetic(&mut self, rule: Rule, start: usize, end: usize) {
        self.fix(rule, Severity::Cosmetic, start, end);
    }

    pub(super) fn repaired(&mut self, rule: Rule, start: usize, end: usize) {
        self.fix(rule, Severity::Repaired, start, end);
    }

    pub(super) fn lossy(&mut self, rule: Rule, start: usize, end: usize) {
        self.fix(rule, Severity::Lossy, start, end);
    }

    pub(super) fn ambiguous(&mut self, rule: Rule, start: usize, end: usize) {
        self.fix(rule, Severity::Ambiguous, start, end);
    }

    // ---- nodes ----

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

    // ---- states ----

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
            b'(' => {
                self.push_frame(Shape::Paren, start, start + len);
                true
            }
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
                // `"a" + name`: the other operand is not known.
                self.lossy(Rule::Concatenation, self.pos, at);
                self.pos += 1;
                self.drop_text(cx)
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

    /// Starts a candidate whose root opens at `start`.
    pub(super) fn begin_candidate(&mut self, start: usize, origin: Origin, fixes: u32) {
        if !self.around.thinking {
            self.log_record(Recorded::Started { candidate: self.candidates.len(), at: start });
        }
        let root = clip(self.tree.nodes.len());
        self.open = Some(Open { start, origin, fixes, root });
        self.stack.clear();
        self.key = None;
        self.objects = 0;
        self.arrays = 0;
        self.closed = None;
        self.abandoned = false;
        self.joining = false;
        self.escaped_blanks = false;
        self.comma = None;
    }

    pub(super) fn finish_candidate(&mut self, cx: Input<'_>) {
        self.state =
            if self.candidates.len() < self.limits.max_values() { State::Prose } else { State::Done };
        let Some(open) = self.open.take() else { return };
        let root = NodeId(open.root);
        let complete = self.tree.node(root).is_complete();
        if !self.around.thinking {
            self.log_record(Recorded::Finished { candidate: self.candidates.len(), node: root });
        }
        let end = if self.abandoned { self.tree.node(root).end as usize } else { self.pos.min(cx.len()) };
        self.candidates.push(Candidate {
            span: Span::new(open.start, end.max(open.start)),
            origin: open.origin,
            cue: Cue::None,
            root,
            complete,
            thinking: self.around.thinking,
            before: (0, 0),
            after: (0, 0),
            fixes: (open.fixes, clip(self.fixes.len())),
        });
        self.closed = None;
    }
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
            (b':', _) if cx.at(at + 1) == b'/' && cx.at(at + 2) == b'/' => Tri::No,
            (b':' | b'=', _) => Tri::Yes,
            _ => Tri::No,
        },
    }
}

const _: () = assert!(CURLY_DOUBLE < WIDE_SINGLE);

/// Tells whether a key and its colon stand at `at`.
pub(super) fn key_at(cx: Input<'_>, at: usize, loose: bool) -> Tri {
    let (byte, len) = cx.punct(at);
    if is_quote(byte) || (byte == b'\\' && cx.at(at + 1) == b'"') {
        let start = if byte == b'\\' { at + 2 } else { at + len };
        return match super::string::find_quote(cx, start, byte) {
            super::string::Found::At(end) => match cx.solid(end) {
                Solid::Wait => Tri::Wait,
                Solid::End => Tri::No,
                Solid::At { at, .. } => {
                    let sign = cx.punct(at).0;
                    Tri::from(sign == b':' || sign == b'=')
                }
            },
            super::string::Found::Wait => Tri::Wait,
            super::string::Found::End => Tri::from(loose && cx.eof),
            super::string::Found::Far => Tri::No,
        };
    }
    loose_key_at(cx, at)
}
