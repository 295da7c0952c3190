//! The outcome of fitting: an arena of values that refer to the tree, the schema and a few owned texts.

use serde_json::Value as Json;

use crate::error::ErrorKind;
use crate::report::{Rule, Severity};
use crate::schema::shape::ShapeId;
use crate::tree::{NodeId, Span};

/// No index.
pub(crate) const NONE: u32 = u32::MAX;

/// One fitted value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) value: Value,
    pub(crate) key: Key,
    pub(crate) node: NodeId,
    pub(crate) next: u32,
    /// Head of the list of notes.
    pub(crate) notes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    /// Beyond 64 bits.
    Wide(u32),
    /// The text of the slot's node.
    Text,
    Owned(u32),
    Label {
        shape: u32,
        number: u32,
    },
    /// A value of the schema: a default or a constant.
    Json(u32),
    List {
        first: u32,
        len: u32,
    },
    Record {
        first: u32,
        len: u32,
    },
    Failed(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    None,
    Field {
        shape: u32,
        field: u32,
    },
    Node(NodeId),
    Owned(u32),
    /// An item of a list, by its place in the answer.
    Index(u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub(crate) rule: Rule,
    pub(crate) severity: Severity,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// A further step of the path: a key or an item that is not in the value.
    pub(crate) step: Key,
    /// What was left out, with the reasons inside.
    pub(crate) dropped: u32,
    pub(crate) next: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fail {
    pub(crate) kind: ErrorKind,
    pub(crate) shape: ShapeId,
    pub(crate) got: &'static str,
    pub(crate) detail: Option<&'static str>,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// How well a value fits: fewer failures first, then fewer and lighter changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fit {
    pub(crate) errors: u32,
    pub(crate) cost: u32,
}

impl Fit {
    pub(crate) fn add(&mut self, other: Self) {
        self.errors = self.errors.saturating_add(other.errors);
        self.cost = self.cost.saturating_add(other.cost);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) slots: Vec<Slot>,
    pub(crate) notes: Vec<Note>,
    pub(crate) fails: Vec<Fail>,
    pub(crate) owned: Vec<Box<str>>,
    pub(crate) json: Vec<Json>,
    pub(crate) wide: Vec<i128>,
}

impl Plan {
    /// Empties the plan and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.notes.clear();
        self.fails.clear();
        self.owned.clear();
        self.json.clear();
        self.wide.clear();
    }

    /// Returns how much memory it holds, but for the few values that it owns.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.notes.capacity() * size_of::<Note>()
            + self.fails.capacity() * size_of::<Fail>()
            + self.owned.capacity() * size_of::<Box<str>>()
            + self.json.capacity() * size_of::<Json>()
            + self.wide.capacity() * size_of::<i128>()
    }

    pub(crate) fn push(&mut self, slot: Slot) -> u32 {
        let index = index(self.slots.len());
        self.slots.push(slot);
        index
    }

    pub(crate) fn note(&mut self, slot: &mut Slot, rule: Rule, severity: Severity, span: Span) {
        self.note_at(slot, rule, severity, span, Key::None, NONE);
    }

    pub(crate) fn note_at(
        &mut self,
        slot: &mut Slot,
        rule: Rule,
        severity: Severity,
        span: Span,
        step: Key,
        dropped: u32,
    ) {
        let note = Note {
            rule,
            severity,
            start: index(span.start),
            end: index(span.end),
            step,
            dropped,
            next: slot.notes,
        };
        slot.notes = index(self.notes.len());
        self.notes.push(note);
    }

    pub(crate) fn own(&mut self, text: &str) -> u32 {
        let at = index(self.owned.len());
        self.owned.push(text.into());
        at
    }

    pub(crate) fn json(&mut self, value: Json) -> u32 {
        let at = index(self.json.len());
        self.json.push(value);
        at
    }

    pub(crate) fn children(&self, first: u32) -> Children<'_> {
        Children { plan: self, next: first }
    }

    /// The items or fields of a value.
    pub(crate) fn parts(&self, slot: &Slot) -> Children<'_> {
        match slot.value {
            Value::List { first, .. } | Value::Record { first, .. } => self.children(first),
            _ => self.children(NONE),
        }
    }

    pub(crate) fn notes(&self, slot: &Slot) -> impl Iterator<Item = &Note> {
        let mut next = slot.notes;
        std::iter::from_fn(move || {
            let note = self.notes.get(next as usize)?;
            next = note.next;
            Some(note)
        })
    }
}

pub(crate) struct Children<'a> {
    plan: &'a Plan,
    next: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a Slot;

    fn next(&mut self) -> Option<&'a Slot> {
        let slot = self.plan.slots.get(self.next as usize)?;
        self.next = slot.next;
        Some(slot)
    }
}

pub(crate) fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}
