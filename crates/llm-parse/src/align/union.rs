//! Unions: by their tag, or by the best fit.

use super::plan::{Slot, Value};
use super::scalar::label;
use super::{Aligner, Fit, Fitted};
use crate::error::ErrorKind;
use crate::report::{Rule, Severity};
use crate::schema::fold;
use crate::schema::shape::{Kind as ShapeKind, ShapeId, Tag, Union};
use crate::tree::{Kind, NodeId};

impl<'a> Aligner<'a> {
    pub(super) fn fit_union(
        &mut self,
        node: NodeId,
        id: ShapeId,
        union: &'a Union,
        name: Option<&'a str>,
    ) -> Fitted {
        if let (Some(tag), Kind::Object) = (&union.tag, self.kind(node))
            && let Some(fitted) = self.by_tag(node, id, tag, name)
        {
            return fitted;
        }
        self.unions += 1;
        let mut best: Option<Fitted> = None;
        let mut tie = false;
        for variant in &union.variants {
            let (slot, mut fit) = self.fit(node, *variant, name);
            // Prefer the more specific of two equal readings: a label or a date before any text, anything last.
            if fit.errors == 0 {
                fit.cost = fit.cost.saturating_add(match &self.shapes.get(*variant).kind {
                    // The whole answer is a number or a literal without quotes.
                    ShapeKind::Text(_) if self.is_bare_literal(node) => 55,
                    ShapeKind::Text(rule) if rule.is_free() => 5,
                    ShapeKind::Any => 100,
                    _ => 0,
                });
            }
            match &best {
                Some((known, known_fit)) if *known_fit == fit => {
                    tie |= fit.errors == 0 && !self.alike(known, &slot, 0);
                }
                Some((_, known_fit)) if *known_fit < fit => {}
                _ => {
                    best = Some((slot, fit));
                    tie = false;
                }
            }
        }
        self.unions -= 1;
        let Some(mut fitted) = best else { return self.fail(node, id, ErrorKind::Mismatch) };
        if fitted.1.errors > 0 {
            // One variant of an object was meant for sure only if it alone came near.
            return self.union_failed(node, id, fitted);
        }
        if tie {
            self.noted(&mut fitted, Rule::UnionTie, Severity::Ambiguous);
        }
        fitted
    }

    fn union_failed(&mut self, node: NodeId, id: ShapeId, fitted: Fitted) -> Fitted {
        let kind = match fitted.0.value {
            Value::Failed(number) => {
                self.plan.fails.get(number as usize).map(|fail| (fail.kind, fail.detail))
            }
            // An object with failures inside: they say more than "none of the variants".
            _ => return fitted,
        };
        let (kind, detail) = kind.unwrap_or((ErrorKind::Mismatch, None));
        self.fail_with(node, id, kind, detail)
    }

    fn by_tag(&mut self, node: NodeId, id: ShapeId, tag: &'a Tag, name: Option<&'a str>) -> Option<Fitted> {
        let mut found = None;
        for child in self.tree().children(node) {
            let key = self.tree().key(child, self.source()).unwrap_or("");
            if key == &*tag.name {
                found = Some(child);
                break;
            }
            if found.is_none() && fold(key) == fold(&tag.name) {
                found = Some(child);
            }
        }
        let found = found?;
        if matches!(self.kind(found), Kind::Array | Kind::Object | Kind::Null) {
            return None;
        }
        let ShapeKind::Label(labels) = &self.shapes.get(tag.labels).kind else { return None };
        match label::read(self.text(found), labels, true) {
            label::Reading::Label { number, .. } => {
                let variant = *tag.variants.get(number as usize)?;
                Some(self.fit(node, variant, name))
            }
            label::Reading::Negated => Some(self.fail(node, id, ErrorKind::Negated)),
            label::Reading::Ambiguous(why) => Some(self.fail_with(node, id, ErrorKind::Ambiguous, Some(why))),
            label::Reading::None => {
                Some(self.fail_with(node, id, ErrorKind::Mismatch, Some("the tag names no variant")))
            }
        }
    }

    /// Both outcomes are the same value.
    pub(crate) fn alike(&self, one: &Slot, other: &Slot, depth: usize) -> bool {
        if depth > self.options.limits.max_depth() + 16 {
            return false;
        }
        let children = |first| self.plan.children(first);
        match (one.value, other.value) {
            (Value::List { first: a, len: n }, Value::List { first: b, len: m }) => {
                n == m && children(a).zip(children(b)).all(|(a, b)| self.alike(a, b, depth + 1))
            }
            (Value::Record { first: a, len: n }, Value::Record { first: b, len: m }) => {
                n == m
                    && children(a)
                        .zip(children(b))
                        .all(|(a, b)| self.key_text(a) == self.key_text(b) && self.alike(a, b, depth + 1))
            }
            (Value::Json(a), Value::Json(b)) => {
                self.plan.json.get(a as usize) == self.plan.json.get(b as usize)
            }
            (Value::Wide(a), Value::Wide(b)) => {
                self.plan.wide.get(a as usize) == self.plan.wide.get(b as usize)
            }
            (Value::Failed(_), _) | (_, Value::Failed(_)) => false,
            (a, b) => match (self.slot_text(one), self.slot_text(other)) {
                (Some(a), Some(b)) => a == b,
                (None, None) => a == b,
                _ => false,
            },
        }
    }

    /// The text of a value that is a string.
    pub(super) fn slot_text(&self, slot: &Slot) -> Option<&str> {
        match slot.value {
            Value::Text => Some(self.text(slot.node)),
            Value::Owned(at) => self.plan.owned.get(at as usize).map(|text| &**text),
            Value::Label { shape, number } => match &self.shapes.get(ShapeId(shape)).kind {
                ShapeKind::Label(labels) => labels.items.get(number as usize).map(|label| &*label.text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The key of a field as the schema, or else the answer, writes it.
    pub(super) fn key_text(&self, slot: &Slot) -> &str {
        self.step_text(slot.key)
    }

    pub(super) fn step_text(&self, key: super::Key) -> &str {
        match key {
            super::Key::Field { shape, field } => match &self.shapes.get(ShapeId(shape)).kind {
                ShapeKind::Record(record) => {
                    record.fields.get(field as usize).map_or("", |field| &field.name)
                }
                _ => "",
            },
            super::Key::Node(node) => self.tree().key(node, self.source()).unwrap_or(""),
            super::Key::Owned(at) => self.plan.owned.get(at as usize).map_or("", |text| text),
            super::Key::None | super::Key::Index(_) => "",
        }
    }

    /// Whether two fitted values are the same and fit alike.
    pub(crate) fn equal(&self, one: &(Slot, Fit), other: &(Slot, Fit)) -> bool {
        self.alike(&one.0, &other.0, 0)
    }
}
