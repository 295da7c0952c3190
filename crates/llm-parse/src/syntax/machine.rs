//! The resumable machine: an explicit stack over (text so far, end of input), shared by one-shot reading and streaming.
//!
//! Every step looks at bytes from `pos` on. A step that cannot decide yet returns `false` and changes nothing that
//! matters, so that it is taken again when more text has come; at the end of input every step decides. A snapshot of a
//! prefix is therefore a clone of the machine that is told that the input has ended.

use super::document::{Candidate, Cue, Fix, Limits, Origin, clip};
use super::prose::Surroundings;
use super::scan::Input;
use super::string::Str;
use crate::report::{Rule, Severity};
use crate::tree::{NodeId, Span, Text, Tree};

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
    pub(super) seen: u64,
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
    /// How many bytes below their lines an outline's values were read over in vain.
    pub(super) in_vain: usize,
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
            in_vain: 0,
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

    #[expect(clippy::inline_always, reason = "once a token: calls of it cost a thirtieth of a messy answer")]
    #[inline(always)]
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
            operand: false,
            before: (0, 0),
            after: (0, 0),
            fixes: (open.fixes, clip(self.fixes.len())),
        });
        self.closed = None;
    }
}
