//! From the notes and failures of a plan to repairs, failures and rejected parts with their paths.

use super::Aligner;
use super::plan::{Fail, Key, Slot, Value};
use crate::error::Failure;
use crate::parse::Rejected;
use crate::report::{Path, Repair, Rule};
use crate::schema::Schema;
use crate::tree::Span;

/// What is to be told about a fitted value.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) repairs: Vec<Repair>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) rejected: Vec<Rejected>,
}

/// More failures than anyone will read.
const MAX_FAILURES: usize = 1000;

pub(crate) fn collect(aligner: &Aligner<'_>, slot: &Slot, schema: &Schema) -> Collected {
    let mut walk = Walk { aligner, schema, keys: Vec::new(), out: Collected::default() };
    if aligner.plan.notes.is_empty() && aligner.plan.fails.is_empty() {
        return walk.out;
    }
    walk.slot(slot);
    walk.out
}

struct Walk<'a> {
    aligner: &'a Aligner<'a>,
    schema: &'a Schema,
    /// The steps from the root; a path is made of them only where something is told.
    keys: Vec<Key>,
    out: Collected,
}

impl Walk<'_> {
    fn step(&mut self, key: Key) -> bool {
        if key == Key::None {
            return false;
        }
        self.keys.push(key);
        true
    }

    fn path(&self) -> Path {
        let mut path = Path::root();
        for key in &self.keys {
            match *key {
                Key::None => {}
                Key::Index(at) => path.push_index(at as usize),
                key => path.push_key(self.aligner.step_text(key)),
            }
        }
        path
    }

    fn slot(&mut self, slot: &Slot) {
        let plan = &self.aligner.plan;
        let first_note = self.out.repairs.len();
        for note in plan.notes(slot) {
            let stepped = self.step(note.step);
            let span = Span::new(note.start as usize, note.end as usize);
            self.out.repairs.push(Repair::new(note.rule, note.severity, span).with_path(self.path()));
            if let Some(dropped) = plan.slots.get(note.dropped as usize) {
                self.rejected(dropped, note.rule, span);
            }
            if stepped {
                self.keys.pop();
            }
        }
        // The list of notes is last in, first out.
        if let Some(own) = self.out.repairs.get_mut(first_note..) {
            own.reverse();
        }
        match slot.value {
            Value::Failed(number) => {
                if let Some(fail) = plan.fails.get(number as usize) {
                    self.failure(fail);
                }
            }
            Value::List { first, .. } | Value::Record { first, .. } => {
                for child in plan.children(first) {
                    // Only what is noted or failed needs a path.
                    let leaf =
                        !matches!(child.value, Value::List { .. } | Value::Record { .. } | Value::Failed(_));
                    if leaf && child.notes == super::NONE {
                        continue;
                    }
                    let stepped = self.step(child.key);
                    self.slot(child);
                    if stepped {
                        self.keys.pop();
                    }
                }
            }
            _ => {}
        }
    }

    fn failure(&mut self, fail: &Fail) {
        if self.out.failures.len() >= MAX_FAILURES {
            return;
        }
        self.out.failures.push(Failure {
            path: self.path(),
            kind: fail.kind,
            expected: self.schema.expected(fail.shape),
            got: fail.got,
            detail: fail.detail,
            span: Span::new(fail.start as usize, fail.end as usize),
        });
    }

    fn rejected(&mut self, dropped: &Slot, rule: Rule, span: Span) {
        let mut inner = Walk {
            aligner: self.aligner,
            schema: self.schema,
            keys: self.keys.clone(),
            out: Collected::default(),
        };
        inner.slot(dropped);
        self.out.rejected.push(Rejected { path: self.path(), rule, span, failures: inner.out.failures });
        self.out.rejected.append(&mut inner.out.rejected);
    }
}
