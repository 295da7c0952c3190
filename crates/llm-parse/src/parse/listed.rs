//! The items of a list that was read as a whole, each as if it had been read by itself.

use serde::de::DeserializeOwned;

use super::{Parsed, Parser, Policy, choose, confidence, report};
use crate::align::{Access, Aligner, Options, Plan, Slot, collect, is_list};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::report::{Path, Repair, Severity};
use crate::schema::Schema;
use crate::syntax::Document;
use crate::tree::Span;

/// Is a list that was read as a whole.
pub(crate) struct Listed<'a> {
    aligner: Aligner<'a>,
    schema: &'a Schema,
    slots: Vec<Slot>,
    field: Option<&'a str>,
    /// Whatever was guessed about the list itself.
    guesses: Vec<Repair>,
}

impl<T: DeserializeOwned> Parser<T> {
    /// Reads a list of values, or an object whose `field` holds it; `schema` is that of the whole, made by
    /// [`Schema::listed`].
    pub(crate) fn list<'a>(
        &self,
        raw: &'a str,
        document: &'a Document,
        schema: &'a Schema,
        field: Option<&'a str>,
    ) -> Result<Listed<'a>> {
        self.ready(raw)?;
        let options = Options {
            salvage: self.policy == Policy::Salvage,
            partial: self.partial,
            fill: self.fill,
            prose: false,
            limits: self.limits,
            nesting: 0,
        };
        let mut aligner = Aligner::with_plan(document.tree(), raw, schema.shapes(), options, Plan::default());
        let rules = choose::Rules { policy: self.policy, merge: self.merge };
        let chosen = choose::choose(&mut aligner, document, raw, schema, rules)?;
        let least = if self.policy == Policy::Strict { Severity::Repaired } else { Severity::Ambiguous };
        let mut guesses: Vec<Repair> =
            chosen.repairs.into_iter().filter(|repair| repair.severity >= Severity::Ambiguous).collect();
        let mut list = chosen.slot;
        let above = |slot: &Slot, guesses: &mut Vec<Repair>| {
            let notes = aligner.plan.notes(slot).filter(|note| note.severity >= least);
            guesses.extend(notes.map(|note| {
                Repair::new(note.rule, note.severity, Span::new(note.start as usize, note.end as usize))
            }));
        };
        above(&list, &mut guesses);
        if field.is_some() {
            let inner = aligner.plan.parts(&list).next().copied();
            list = inner.ok_or_else(|| Error::new(ErrorKind::Missing, "the answer holds no such list"))?;
            above(&list, &mut guesses);
        }
        if !is_list(&list) {
            let collected = collect(&aligner, &chosen.slot, schema);
            return Err(Error::from_failures(collected.failures));
        }
        let slots = aligner.plan.parts(&list).copied().collect();
        Ok(Listed { aligner, schema, slots, field, guesses })
    }
}

impl Listed<'_> {
    /// The bytes that each item takes in the text, and whether its end was seen.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (Span, bool)> + '_ {
        self.slots.iter().map(|slot| {
            let node = self.aligner.tree().node(slot.node);
            (node.span(), node.is_complete())
        })
    }

    /// Where an item stands in the whole.
    pub(crate) fn path(&self, at: usize) -> Path {
        let root = Path::root();
        match self.field {
            Some(field) => root.with_key(field).with_index(at),
            None => root.with_index(at),
        }
    }

    /// Tells whether an item fits.
    pub(crate) fn fits(&self, at: usize) -> bool {
        self.slots.get(at).is_some_and(|slot| collect(&self.aligner, slot, self.schema).failures.is_empty())
    }

    /// Reads an item; spans and paths count from its own start.
    pub(crate) fn item<T: DeserializeOwned>(&self, at: usize, policy: Policy) -> Result<Parsed<T>> {
        let missing = || Error::new(ErrorKind::Missing, "there is no such item");
        let slot = self.slots.get(at).ok_or_else(missing)?;
        let start = self.aligner.tree().node(slot.node).span().start;
        let own = |span: Span| Span::new(span.start.saturating_sub(start), span.end.saturating_sub(start));
        let mut collected = collect(&self.aligner, slot, self.schema);
        let failure = |failure: Failure| Failure { span: own(failure.span), ..failure };
        if !collected.failures.is_empty() {
            return Err(Error::from_failures(collected.failures.into_iter().map(failure).collect()));
        }
        let told = |repair: Repair| Repair { span: own(repair.span), ..repair };
        let mut repairs: Vec<Repair> =
            self.guesses.iter().cloned().chain(collected.repairs).map(told).collect();
        repairs.sort_by_key(|repair| repair.span.start);
        if policy == Policy::Strict {
            super::refuse_repairs(&repairs)?;
        }
        let value = T::deserialize(Access::new(&self.aligner, *slot)).map_err(|refusal| {
            let message = format!("the type's own Deserialize turned the value down at {}", refusal.path());
            Error::new(ErrorKind::Deserialize, message)
        })?;
        for rejected in &mut collected.rejected {
            rejected.span = own(rejected.span);
        }
        let confidence = confidence::of(&repairs, &collected.rejected);
        Ok(Parsed { value, report: report(repairs), confidence, rejected: collected.rejected })
    }
}
