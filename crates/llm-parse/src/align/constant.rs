//! Labels and constants.

use serde_json::Value as Json;

use super::plan::Value;
use super::scalar::label;
use super::scalar::number::{self, Number};
use super::{Aligner, Fitted};
use crate::error::ErrorKind;
use crate::schema::exact::{Exact, same};
use crate::schema::shape::{Labels, ShapeId};
use crate::tree::{Kind, NodeId};

impl Aligner<'_> {
    pub(super) fn fit_label(&mut self, node: NodeId, id: ShapeId, labels: &Labels) -> Fitted {
        if matches!(self.kind(node), Kind::Array | Kind::Object) {
            return self.unwrapped(node, id, None);
        }
        let text = self.text(node);
        if !labels.others.is_empty() {
            let fitted = self.fit_literal(node, id, &labels.others);
            if fitted.1.errors == 0 && !matches!(self.kind(node), Kind::String(_)) {
                return fitted;
            }
        }
        let complete = self.tree().node(node).is_complete();
        if !complete {
            let longer = labels
                .items
                .iter()
                .any(|label| label.text.len() > text.len() && label.text.starts_with(text));
            if longer || self.options.partial {
                return self.fail_with(node, id, ErrorKind::Truncated, Some("the label is cut off"));
            }
        }
        let (mut fitted, note) = match label::read(text, labels, true) {
            label::Reading::Label { number, note } => {
                ((self.slot(node, Value::Label { shape: id.0, number }), super::Fit::default()), note)
            }
            label::Reading::Negated => return self.fail(node, id, ErrorKind::Negated),
            label::Reading::Ambiguous(why) => {
                return self.fail_with(node, id, ErrorKind::Ambiguous, Some(why));
            }
            label::Reading::None => return self.fail(node, id, ErrorKind::Mismatch),
        };
        if let Some((rule, severity)) = note {
            self.noted(&mut fitted, rule, severity);
        }
        self.unfinished(node, id, fitted)
    }

    pub(super) fn fit_literal(&mut self, node: NodeId, id: ShapeId, values: &[Json]) -> Fitted {
        if matches!(self.kind(node), Kind::Array | Kind::Object)
            && values.iter().all(|value| !value.is_array() && !value.is_object())
        {
            return self.unwrapped(node, id, None);
        }
        let mut notes: Option<(Number, bool)> = None;
        let found = match self.kind(node) {
            Kind::Bool(value) => values.iter().find(|known| known.as_bool() == Some(value)),
            Kind::Number | Kind::Word | Kind::String(_) => {
                let text = self.text(node);
                let number = values.iter().any(Json::is_number).then(|| number::read(text));
                match number {
                    Some(number::Reading::Number(number)) => {
                        let value = match number.value.to_integer() {
                            Some((whole, true)) => Exact::Whole(whole),
                            _ => Exact::from_f64(number.value.to_f64()),
                        };
                        let from_text = self.kind(node) != Kind::Number;
                        notes = Some((number, from_text));
                        values
                            .iter()
                            .find(|known| matches!(known, Json::Number(known) if Exact::of(known) == value))
                    }
                    Some(number::Reading::Ambiguous(why)) => {
                        return self.fail_with(node, id, ErrorKind::Ambiguous, Some(why));
                    }
                    Some(number::Reading::Negated) => return self.fail(node, id, ErrorKind::Negated),
                    _ if values.iter().any(Json::is_boolean) => {
                        let fitted = self.fit_bool(node, id);
                        return match fitted.0.value {
                            Value::Bool(value) if values.contains(&Json::Bool(value)) => fitted,
                            Value::Failed(_) => fitted,
                            _ => self.fail(node, id, ErrorKind::Mismatch),
                        };
                    }
                    _ => None,
                }
            }
            Kind::Array | Kind::Object => {
                let fitted = self.fit_any(node, id);
                let access = super::Access::new(self, fitted.0);
                let value = serde::Deserialize::deserialize(access).unwrap_or(Json::Null);
                values.iter().find(|known| same(known, &value))
            }
            Kind::Null => None,
        };
        let Some(found) = found.cloned() else { return self.fail(node, id, ErrorKind::Mismatch) };
        let at = self.plan.json(found);
        let mut fitted = (self.slot(node, Value::Json(at)), super::Fit::default());
        if let Some((number, from_text)) = notes {
            self.note_number(&mut fitted, &number, from_text);
        }
        self.unfinished(node, id, fitted)
    }
}
