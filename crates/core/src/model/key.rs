//! A stable name for what is asked, for caches and cassettes.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ChatRequest;

impl ChatRequest {
    /// Returns a key that is equal for equal requests to the model named `model`, on every machine and in every build:
    /// the SHA-256 of the request's JSON with sorted object keys, in hexadecimal.
    ///
    /// The timeout is not part of it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pumasi_core::model::{ChatRequest, Message};
    ///
    /// let request = ChatRequest::new([Message::user("안녕")]);
    /// let key = request.key("gpt-4o-mini");
    /// assert_eq!(key.len(), 64);
    /// assert_eq!(key, request.clone().with_timeout(Duration::from_secs(1)).key("gpt-4o-mini"));
    /// assert_ne!(key, request.clone().with_temperature(0.0).key("gpt-4o-mini"));
    /// assert_ne!(key, request.key("gpt-4o"));
    /// ```
    pub fn key(&self, model: &str) -> String {
        let mut canonical = String::new();
        // A request is plain data with string keys; `Null` stands for what JSON cannot say, which does not arise.
        let value = serde_json::to_value(self).unwrap_or(Value::Null);
        write_canonical(&value, &mut canonical);
        digest("chat", model, &canonical)
    }
}

/// The key of one text to embed.
pub(super) fn embedding_key(model: &str, text: &str) -> String {
    digest("embedding", model, text)
}

/// Hashes the parts with their lengths, so that no two lists of parts share an input.
fn digest(kind: &str, model: &str, body: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["pumasi-1", kind, model, body] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    format!("{:064x}", hash.finalize())
}

/// Writes JSON with sorted keys: the order of `serde_json`'s maps depends on a feature that any crate may switch on.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(item, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, ResponseFormat, Tool, ToolChoice};

    #[test]
    fn the_key_of_a_request_never_changes() {
        let request = ChatRequest::new([Message::system("규칙"), Message::user("hello")])
            .with_temperature(0.2)
            .with_response_format(ResponseFormat::JsonSchema {
                name: "task".into(),
                schema: serde_json::json!({"type": "object", "properties": {"b": {}, "a": {}}}),
                strict: true,
            })
            .with_tools([Tool::new("f", "d", serde_json::json!({"z": 1, "a": 2}))], ToolChoice::Required);
        // Computed apart from this code, with Python's hashlib; a change makes every cassette unfindable.
        assert_eq!(request.key("m"), KEY);
    }

    const KEY: &str = "5a790729993c00963880e41d06f8c5cf3eb91199699187c945365a033efef7eb";

    #[test]
    fn the_order_of_object_keys_does_not_matter() {
        let mut one = String::new();
        let mut two = String::new();
        write_canonical(&serde_json::from_str(r#"{"b":[1,{"d":2,"c":"한"}],"a":null}"#).unwrap(), &mut one);
        write_canonical(&serde_json::from_str(r#"{"a":null,"b":[1,{"c":"한","d":2}]}"#).unwrap(), &mut two);
        assert_eq!(one, two);
        assert_eq!(one, r#"{"a":null,"b":[1,{"c":"한","d":2}]}"#);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(embedding_key("ab", "c"), embedding_key("a", "bc"));
    }
}
