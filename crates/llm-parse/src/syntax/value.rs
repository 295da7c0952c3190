//! From the schema-free tree to a JSON value.

use serde_json::{Map, Number, Value};

use super::document::{Candidate, Document};
use crate::tree::{Kind, NodeId, Tree};

enum Holder {
    List(Vec<Value>),
    Fields(Map<String, Value>),
}

impl Document {
    /// Converts a candidate to a JSON value without a schema.
    ///
    /// Words stay strings, numbers become numbers where JSON can hold them, `NaN` and the infinities become null, and of
    /// equal keys the last one counts. `source` must be the answer that was read.
    #[must_use]
    pub fn to_value(&self, candidate: &Candidate, source: &str) -> Value {
        self.tree.to_value(candidate.root(), source)
    }
}

impl Tree {
    /// Converts a node and what is below it to a JSON value without a schema; see [`Document::to_value`].
    #[must_use]
    pub fn to_value(&self, id: NodeId, source: &str) -> Value {
        // An explicit stack: the depth is bounded, but the limit is the caller's choice.
        let mut stack: Vec<(Holder, super::super::tree::Children<'_>, Option<String>)> = Vec::new();
        let mut next = Some((id, None::<String>));
        loop {
            let (mut value, mut key) = match next.take() {
                Some((id, key)) => match self.node(id).kind() {
                    Kind::Array => {
                        stack.push((Holder::List(Vec::new()), self.children(id), key));
                        (None, None)
                    }
                    Kind::Object => {
                        stack.push((Holder::Fields(Map::new()), self.children(id), key));
                        (None, None)
                    }
                    _ => (Some(self.scalar_value(id, source)), key),
                },
                None => (None, None),
            };
            loop {
                if let Some(done) = value.take() {
                    match stack.last_mut() {
                        None => return done,
                        Some((Holder::List(items), ..)) => items.push(done),
                        Some((Holder::Fields(fields), ..)) => {
                            fields.insert(key.take().unwrap_or_default(), done);
                        }
                    }
                }
                let Some((_, children, _)) = stack.last_mut() else { return Value::Null };
                if let Some(child) = children.next() {
                    next = Some((child, self.key(child, source).map(str::to_owned)));
                    break;
                }
                let Some((holder, _, name)) = stack.pop() else { return Value::Null };
                value = Some(match holder {
                    Holder::List(items) => Value::Array(items),
                    Holder::Fields(fields) => Value::Object(fields),
                });
                key = name;
            }
        }
    }

    fn scalar_value(&self, id: NodeId, source: &str) -> Value {
        let text = self.text(id, source);
        match self.node(id).kind() {
            Kind::Bool(value) => Value::Bool(value),
            Kind::Number => number(text),
            Kind::String(_) | Kind::Word => Value::String(text.to_owned()),
            Kind::Null | Kind::Array | Kind::Object => Value::Null,
        }
    }
}

/// Reads a lexeme of [`Kind::Number`] as JSON; null where JSON has no such number.
fn number(text: &str) -> Value {
    if let Ok(value) = serde_json::from_str::<Number>(text) {
        return Value::Number(value);
    }
    let plain: String = text.chars().filter(|c| !matches!(c, '_' | ',')).collect();
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let radix = |prefix: [&str; 2], radix: u32| {
        let rest = digits.strip_prefix(prefix[0]).or_else(|| digits.strip_prefix(prefix[1]))?;
        Some(i128::from_str_radix(rest, radix).ok().map(|value| if negative { -value } else { value }))
    };
    let parsed =
        radix(["0x", "0X"], 16).or_else(|| radix(["0o", "0O"], 8)).or_else(|| radix(["0b", "0B"], 2));
    if let Some(value) = parsed {
        return match value.map(|value| (u64::try_from(value), i64::try_from(value))) {
            Some((Ok(value), _)) => Value::from(value),
            Some((_, Ok(value))) => Value::from(value),
            _ => Value::Null,
        };
    }
    if let Ok(value) = digits.parse::<u64>() {
        return match (negative, i64::try_from(value)) {
            (false, _) => Value::from(value),
            (true, Ok(value)) => Value::from(-value),
            (true, Err(_)) => real(&plain),
        };
    }
    real(&plain)
}

fn real(text: &str) -> Value {
    text.parse::<f64>().ok().and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}
