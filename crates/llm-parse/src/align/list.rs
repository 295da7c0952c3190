//! Lists, tuples and sets; single values that stand for a list.

use std::collections::HashSet;

use super::plan::{Key, NONE, Plan, Slot, Value, index};
use super::scalar::null;
use super::{Aligner, Fit, Fitted, cost_of};
use crate::error::ErrorKind;
use crate::report::{Rule, Severity};
use crate::schema::fold;
use crate::schema::shape::{Kind as ShapeKind, List, ShapeId};
use crate::tree::{Kind, NodeId};

/// Children being linked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    first: u32,
    last: u32,
    pub(super) len: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

impl Chain {
    pub(super) fn push(&mut self, plan: &mut Plan, slot: Slot) -> u32 {
        let at = plan.push(Slot { next: NONE, ..slot });
        match plan.slots.get_mut(self.last as usize) {
            Some(last) => last.next = at,
            None => self.first = at,
        }
        self.last = at;
        self.len = self.len.saturating_add(1);
        at
    }

    pub(super) fn list(self) -> Value {
        Value::List { first: self.first, len: self.len }
    }

    pub(super) fn record(self) -> Value {
        Value::Record { first: self.first, len: self.len }
    }
}

impl<'a> Aligner<'a> {
    pub(super) fn fit_list(&mut self, node: NodeId, id: ShapeId, list: &'a List) -> Fitted {
        match self.kind(node) {
            Kind::Array => self.items(node, id, list),
            Kind::Object => self.list_from_object(node, id, list),
            Kind::Null => self.empty(node, Severity::Ambiguous),
            Kind::String(_) | Kind::Word | Kind::Number | Kind::Bool(_) => {
                self.list_from_scalar(node, id, list)
            }
        }
    }

    fn empty(&mut self, node: NodeId, severity: Severity) -> Fitted {
        let mut fitted = (self.slot(node, Chain::default().list()), Fit::default());
        self.noted(&mut fitted, Rule::NullAsEmpty, severity);
        fitted
    }

    fn items(&mut self, node: NodeId, id: ShapeId, list: &'a List) -> Fitted {
        let mut slot = self.slot(node, Value::Null);
        let mut fit = Fit::default();
        let mut chain = Chain::default();
        let mut unique = (list.unique).then(HashSet::new);
        let mut shapes = list.prefix.iter().copied();
        let whole = self.tree().node(node).is_complete();
        let mut children = self.tree().children(node).enumerate().peekable();
        while let Some((number, child)) = children.next() {
            let Some(shape) = shapes.next().or(list.item) else {
                return self.fail_with(node, id, ErrorKind::Constraint, Some("more items than allowed"));
            };
            let (mut item, own) = self.fit(child, shape, None);
            item.key = Key::Index(index(number));
            // "5,10" among numbers: 5.1, or 5 and 10
            if self.plan.notes(&item).any(|note| note.rule == Rule::DecimalComma) {
                let span = self.span(child);
                self.plan.note(&mut item, Rule::DecimalComma, Severity::Ambiguous, span);
                fit.cost = fit.cost.saturating_add(cost_of(Severity::Ambiguous));
            }
            let tuple = number < list.prefix.len();
            if own.errors > 0 && !tuple {
                // The part of a cut answer that was being written is not a wrong item.
                let tail = !whole && children.peek().is_none() && !self.tree().node(child).is_complete();
                if tail || self.options.salvage {
                    let rule = if tail { Rule::IncompleteDropped } else { Rule::ItemDropped };
                    let span = self.span(child);
                    let dropped = self.plan.push(item);
                    self.plan.note_at(&mut slot, rule, Severity::Lossy, span, item.key, dropped);
                    fit.cost = fit.cost.saturating_add(cost_of(Severity::Lossy));
                    continue;
                }
            }
            if let Some(unique) = &mut unique {
                let scalar = !matches!(self.kind(child), Kind::Array | Kind::Object);
                if scalar && own.errors == 0 && !unique.insert(self.text(child)) {
                    let span = self.span(child);
                    self.plan.note_at(&mut slot, Rule::ItemsMerged, Severity::Repaired, span, item.key, NONE);
                    fit.cost = fit.cost.saturating_add(cost_of(Severity::Repaired));
                    continue;
                }
            }
            fit.add(own);
            chain.push(&mut self.plan, item);
        }
        slot.value = chain.list();
        let len = u64::from(chain.len);
        let short =
            len < list.min.max(list.prefix.len().min(usize::try_from(list.min).unwrap_or(usize::MAX)) as u64);
        if short && (whole || !self.options.partial) {
            let kind = if whole { ErrorKind::Constraint } else { ErrorKind::Truncated };
            return self.fail_with(node, id, kind, Some("fewer items than required"));
        }
        if list.max.is_some_and(|max| len > max) {
            return self.fail_with(node, id, ErrorKind::Constraint, Some("more items than allowed"));
        }
        let mut fitted = (slot, fit);
        if !whole {
            let end = crate::tree::Span::new(self.span(node).end, self.span(node).end);
            self.noted_at(&mut fitted, Rule::Truncated, Severity::Lossy, end);
        }
        fitted
    }

    fn one(&mut self, node: NodeId, id: ShapeId, list: &'a List) -> Fitted {
        let (Some(item), true) = (list.item, list.prefix.is_empty() && list.min <= 1) else {
            return self.fail(node, id, ErrorKind::Mismatch);
        };
        let (mut slot, fit) = self.fit(node, item, None);
        if fit.errors > 0 {
            return (slot, fit);
        }
        slot.key = Key::Index(0);
        let mut chain = Chain::default();
        chain.push(&mut self.plan, slot);
        let mut fitted = (self.slot(node, chain.list()), fit);
        self.noted(&mut fitted, Rule::Wrapped, Severity::Repaired);
        fitted.1.cost = fitted.1.cost.saturating_add(15);
        fitted
    }

    /// One item without its list, or an object around the list.
    fn list_from_object(&mut self, node: NodeId, id: ShapeId, list: &'a List) -> Fitted {
        self.unions += 1;
        let mut wrapped = self.one(node, id, list);
        let mut children = self.tree().children(node).filter(|child| self.kind(*child) == Kind::Array);
        let only = match (children.next(), children.next()) {
            (Some(only), None)
                if !self.tree().key(only, self.source()).is_some_and(super::wrapper::is_no_answer) =>
            {
                Some(only)
            }
            _ => None,
        };
        let mut unwrapped = only.map(|only| self.fit(only, id, None));
        self.unions -= 1;
        let (Some(inner), Some(only)) = (&mut unwrapped, only) else {
            if wrapped.1.errors > 0 && self.tree().children(node).next().is_none() {
                return self.empty(node, Severity::Ambiguous);
            }
            return wrapped;
        };
        let empty = self.tree().children(only).next().is_none();
        let more = self.tree().children(node).nth(1).is_some();
        let mine = list.item.map_or(0, |item| self.own_fields(node, only, item));
        let mut severity = self.unwrapping(node);
        match (wrapped.1.errors, inner.1.errors) {
            // An item with a list in it, which is none of its own fields or does not matter.
            (0, _) if mine > 0 && (empty || inner.1.errors > 0) => return wrapped,
            // An item with others in it, or others under a title.
            (0, 0) if mine > 1 => {
                self.noted(&mut wrapped, Rule::Wrapped, Severity::Ambiguous);
                return wrapped;
            }
            (0, 0) if mine > 0 => severity = Severity::Ambiguous,
            // An item that lacks something is not nothing.
            (1.., 0) if mine > 0 && empty => return wrapped,
            (1.., 0) if more && empty && !self.names_a_list(only) => severity = Severity::Ambiguous,
            _ => {}
        }
        let span = self.span(node);
        self.noted_at(inner, Rule::Unwrapped, severity, span);
        if inner.1 < wrapped.1 || severity == Severity::Ambiguous { *inner } else { wrapped }
    }

    /// How many fields of the item's shape stand beside `list` in an object, by their name.
    fn own_fields(&self, node: NodeId, list: NodeId, item: ShapeId) -> usize {
        let shapes: Vec<ShapeId> = match &self.shapes.get(item).kind {
            ShapeKind::Union(union) => union.variants.clone(),
            _ => vec![item],
        };
        let keys = || {
            self.tree()
                .children(node)
                .filter(|child| *child != list)
                .filter_map(|child| self.tree().key(child, self.source()))
        };
        let fields = |id: &ShapeId| match &self.shapes.get(*id).kind {
            ShapeKind::Record(record) => keys().filter(|key| record.knows(key)).count(),
            _ => 0,
        };
        shapes.iter().map(fields).max().unwrap_or(0)
    }

    /// Tells whether the key of a node says no more than that a list of what was asked for follows.
    fn names_a_list(&self, node: NodeId) -> bool {
        let key = self.tree().key(node, self.source()).map(fold).unwrap_or_default();
        matches!(
            &*key,
            "items"
                | "list"
                | "data"
                | "result"
                | "results"
                | "answer"
                | "answers"
                | "output"
                | "values"
                | "tasks"
                | "목록"
                | "결과"
                | "답"
                | "정답"
                | "항목"
                | "할일"
        )
    }

    fn list_from_scalar(&mut self, node: NodeId, id: ShapeId, list: &'a List) -> Fitted {
        let text = self.text(node);
        if matches!(self.kind(node), Kind::String(_) | Kind::Word) {
            if let Some(nothing) = null::read(text) {
                let severity = match nothing {
                    null::Nothing::Sure if text.trim().is_empty() => Severity::Repaired,
                    _ => Severity::Ambiguous,
                };
                return self.empty(node, severity);
            }
            if let Some(nested) = self.nested(node, id)
                && nested.1.errors == 0
            {
                return nested;
            }
        }
        if matches!(self.kind(node), Kind::String(_))
            && text.contains('\n')
            && let Some(rows) = self.csv(node, id, list, text)
        {
            return rows;
        }
        let takes_text = list.item.is_some_and(|item| self.shapes.takes_text(item));
        if takes_text
            && self.options.prose
            && (text.len() > 80 || text.contains('\n') || text.trim_end().ends_with(['.', '!', '?', '。']))
        {
            return self.fail_with(node, id, ErrorKind::Mismatch, Some("running text"));
        }
        let separated =
            text.contains([',', ';', '、', '\n']) && matches!(self.kind(node), Kind::String(_) | Kind::Word);
        if separated
            && self.options.prose
            && let Some(things) = self.enumeration(node, list, text)
        {
            return things;
        }
        if separated && takes_text {
            return self.fail_with(node, id, ErrorKind::Ambiguous, Some("one item or several in one text"));
        }
        if list.item.is_some_and(|item| self.is_number(item)) && is_row_of_numbers(text) {
            return self.fail_with(node, id, ErrorKind::Ambiguous, Some("one number or several in one text"));
        }
        let labels = list.item.is_some_and(|item| matches!(self.shapes.get(item).kind, ShapeKind::Label(_)));
        if separated
            && labels
            && let Some(fitted) = self.labels_in_text(node, list, text)
        {
            return fitted;
        }
        self.one(node, id, list)
    }

    fn is_number(&self, id: ShapeId) -> bool {
        matches!(self.shapes.resolve(id).1.kind, ShapeKind::Integer(_) | ShapeKind::Number(_))
    }

    /// "red, green": each part has to be a label by itself.
    fn labels_in_text(&mut self, node: NodeId, list: &'a List, text: &str) -> Option<Fitted> {
        let item = list.item?;
        let (id, shape, _) = self.shapes.resolve(item);
        let ShapeKind::Label(labels) = &shape.kind else { return None };
        let mut chain = Chain::default();
        for (number, part) in text.split([',', ';', '、', '\n']).enumerate() {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let super::scalar::label::Reading::Label { number: label, .. } =
                super::scalar::label::read(part, labels, false)
            else {
                return None;
            };
            let mut slot = self.slot(node, Value::Label { shape: id.0, number: label });
            slot.key = Key::Index(index(number));
            chain.push(&mut self.plan, slot);
        }
        let len = u64::from(chain.len);
        if len < list.min || list.max.is_some_and(|max| len > max) {
            return None;
        }
        let mut fitted = (self.slot(node, chain.list()), Fit::default());
        self.noted(&mut fitted, Rule::Wrapped, Severity::Repaired);
        Some(fitted)
    }
}

/// `5,10` and `100,200,300` may be lists as well as numbers.
fn is_row_of_numbers(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '\'', '“', '”']);
    text.contains(',')
        && text.split(',').all(|part| {
            let part = part.trim();
            let digits = part.strip_prefix(['-', '+']).unwrap_or(part);
            digits.starts_with(|c: char| c.is_ascii_digit())
                && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        })
}
