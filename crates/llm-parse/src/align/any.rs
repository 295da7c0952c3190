//! Values without a schema.

use std::collections::HashMap;

use super::leaf::{exact_as_float, is_json_number, plain_integer};
use super::list::Chain;
use super::plan::{Key, NONE, Value, index};
use super::scalar::number;
use super::{Aligner, Fit, Fitted};
use crate::error::ErrorKind;
use crate::report::{Rule, Severity};
use crate::schema::shape::ShapeId;
use crate::tree::{Kind, NodeId, Span};

impl Aligner<'_> {
    pub(super) fn fit_any(&mut self, node: NodeId, id: ShapeId) -> Fitted {
        let value = match self.kind(node) {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(value),
            Kind::String(_) | Kind::Word => Value::Text,
            Kind::Number => return self.any_number(node),
            Kind::Array | Kind::Object => return self.any_compound(node, id),
        };
        let mut fitted = (self.slot(node, value), Fit { errors: 0, cost: 0 });
        if !self.tree().node(node).is_complete() && value == Value::Text {
            self.noted(&mut fitted, Rule::Truncated, Severity::Lossy);
        }
        fitted
    }

    fn any_number(&mut self, node: NodeId) -> Fitted {
        let text = self.text(node);
        if let Some(value) = plain_integer(text) {
            let value = match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => Some(Value::Unsigned(value)),
                (_, Ok(value)) => Some(Value::Signed(value)),
                _ => None,
            };
            if let Some(value) = value {
                let fitted = (self.slot(node, value), Fit::default());
                return self.cut_number(node, fitted);
            }
        }
        let lower = text.to_ascii_lowercase();
        if matches!(lower.trim_start_matches(['-', '+']), "nan" | "inf" | "infinity") {
            let mut fitted = (self.slot(node, Value::Null), Fit::default());
            self.noted(&mut fitted, Rule::NotANumber, Severity::Lossy);
            return fitted;
        }
        if is_json_number(text)
            && let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite())
        {
            let mut fitted = (self.slot(node, Value::Float(value)), Fit::default());
            if plain_integer(text).is_some() || (!text.contains(['.', 'e', 'E']) && text.len() > 16) {
                self.noted(&mut fitted, Rule::PrecisionLost, Severity::Lossy);
            }
            return self.cut_number(node, fitted);
        }
        if let number::Reading::Number(read) = number::read(text)
            && read.unit.is_none()
            && !read.percent
        {
            let whole = read.value.to_integer().filter(|(_, whole)| *whole).map(|(value, _)| value);
            let value = whole.and_then(|whole| {
                let unsigned = u64::try_from(whole).ok().map(Value::Unsigned);
                unsigned.or_else(|| i64::try_from(whole).ok().map(Value::Signed))
            });
            let lost = value.is_none() && whole.is_some_and(|whole| !exact_as_float(whole));
            let value = value.unwrap_or_else(|| Value::Float(read.value.to_f64()));
            // The digits of a bit pattern are worth more than a float near it.
            let pattern = matches!(value, Value::Float(_)) && text.contains(['x', 'X']);
            if !pattern && !matches!(value, Value::Float(float) if !float.is_finite()) {
                let mut fitted = (self.slot(node, value), Fit::default());
                for (rule, severity) in &read.notes {
                    self.noted(&mut fitted, *rule, *severity);
                }
                if lost {
                    self.noted(&mut fitted, Rule::PrecisionLost, Severity::Lossy);
                }
                return self.cut_number(node, fitted);
            }
        }
        let mut fitted = (self.slot(node, Value::Text), Fit::default());
        // More than any number can hold here.
        self.noted(&mut fitted, Rule::TextFromScalar, Severity::Lossy);
        fitted
    }

    fn cut_number(&mut self, node: NodeId, mut fitted: Fitted) -> Fitted {
        if !self.tree().node(node).is_complete() {
            self.noted(&mut fitted, Rule::Truncated, Severity::Lossy);
        }
        fitted
    }

    fn any_compound(&mut self, node: NodeId, id: ShapeId) -> Fitted {
        self.work += 1;
        if self.depth > self.options.limits.max_depth() + 16 {
            return self.fail(node, ShapeId(0), ErrorKind::TooDeep);
        }
        self.depth += 1;
        let object = self.kind(node) == Kind::Object;
        let mut fit = Fit::default();
        let mut slot = self.slot(node, Value::Null);
        if object {
            slot.value = self.any_object(node, id, &mut slot, &mut fit).record();
        } else {
            let mut chain = Chain::default();
            for (number, child) in self.tree().children(node).enumerate() {
                if self.is_not_there_yet(child) {
                    self.leave_out(child, id, Key::Index(index(number)), &mut slot, &mut fit);
                    continue;
                }
                let (mut item, own) = self.fit_any(child, id);
                item.key = Key::Index(index(number));
                fit.add(own);
                chain.push(&mut self.plan, item);
            }
            slot.value = chain.list();
        }
        self.depth -= 1;
        let mut fitted = (slot, fit);
        if !self.tree().node(node).is_complete() {
            let end = self.span(node).end;
            self.noted_at(&mut fitted, Rule::Truncated, Severity::Lossy, Span::new(end, end));
        }
        fitted
    }

    /// In partial mode, a number, a truth value or null that may go on is not there yet.
    fn is_not_there_yet(&self, node: NodeId) -> bool {
        let node = self.tree().node(node);
        self.options.partial
            && !node.is_complete()
            && matches!(node.kind(), Kind::Number | Kind::Bool(_) | Kind::Null)
    }

    fn leave_out(&mut self, node: NodeId, id: ShapeId, key: Key, slot: &mut super::Slot, fit: &mut Fit) {
        let (mut item, _) = self.fail_with(node, id, ErrorKind::Truncated, Some("not finished yet"));
        item.key = key;
        let dropped = self.plan.push(item);
        let span = self.span(node);
        self.plan.note_at(slot, Rule::IncompleteDropped, Severity::Lossy, span, key, dropped);
        fit.cost = fit.cost.saturating_add(super::cost_of(Severity::Lossy));
    }

    fn any_object(&mut self, node: NodeId, id: ShapeId, slot: &mut super::Slot, fit: &mut Fit) -> Chain {
        let mut chain = Chain::default();
        let mut known: Option<HashMap<&str, NodeId>> = None;
        let children = self.tree().children(node);
        // Few keys are compared one by one, many are hashed.
        let many = children.clone().nth(8).is_some();
        if many {
            known = Some(HashMap::new());
        }
        for child in children {
            let key = self.tree().key(child, self.source()).unwrap_or("");
            let twin = match &mut known {
                Some(known) => known.insert(key, child),
                None => self
                    .tree()
                    .children(node)
                    .take_while(|other| *other != child)
                    .filter(|other| self.tree().key(*other, self.source()) == Some(key))
                    .last(),
            };
            if let Some(twin) = twin {
                let same = self.same(twin, child);
                let severity = if same { Severity::Repaired } else { Severity::Ambiguous };
                let span = self.tree().node(child).key_span().unwrap_or_else(|| self.span(child));
                self.plan.note_at(slot, Rule::DuplicateKey, severity, span, Key::Node(child), NONE);
                fit.cost = fit.cost.saturating_add(super::cost_of(severity));
            }
            if self.is_not_there_yet(child) {
                self.leave_out(child, id, Key::Node(child), slot, fit);
                continue;
            }
            let (mut item, own) = self.fit_any(child, id);
            item.key = Key::Node(child);
            fit.add(own);
            chain.push(&mut self.plan, item);
        }
        chain
    }

    /// Both nodes are written alike, but for white space at their ends.
    pub(super) fn same(&self, one: NodeId, other: NodeId) -> bool {
        let raw = |node| self.span(node).of(self.source()).trim();
        let (a, b) = (self.kind(one), self.kind(other));
        let scalar = |kind| !matches!(kind, Kind::Array | Kind::Object);
        (scalar(a) && scalar(b) && self.text(one) == self.text(other)) || (a == b && raw(one) == raw(other))
    }
}
