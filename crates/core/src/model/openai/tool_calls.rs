//! Tool calls, put together from what servers send of them.

use std::collections::HashMap;

use serde_json::Value;

use crate::model::ToolCall;

/// The calls of one answer, as their fragments arrive.
///
/// OpenAI numbers the fragments of parallel calls by `index` and sends id and name with the first one only. Others send
/// calls whole, without an index or an id (Ollama), all under index 0 with ids of their own (Gemini), or with the arguments as
/// an object instead of text.
#[derive(Debug, Default)]
pub(super) struct ToolCalls {
    calls: Vec<Partial>,
    /// The last call under each index, and the first of each id: an answer may have very many.
    by_index: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Partial {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl ToolCalls {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes the `tool_calls` of a message or a delta.
    pub(super) fn absorb(&mut self, fragments: &Value) {
        for fragment in fragments.as_array().into_iter().flatten() {
            let function = fragment.get("function").unwrap_or(fragment);
            let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
            self.add(Partial {
                index: fragment.get("index").and_then(Value::as_u64),
                id: text(fragment.get("id")),
                name: text(function.get("name")),
                arguments: match function.get("arguments") {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(object) => object.to_string(),
                },
            });
        }
    }

    fn add(&mut self, fragment: Partial) {
        let continued = self.continued_by(&fragment);
        let place = continued.unwrap_or(self.calls.len());
        if let Some(index) = fragment.index {
            self.by_index.insert(index, place);
        }
        if !fragment.id.is_empty() {
            self.by_id.entry(fragment.id.clone()).or_insert(place);
        }
        match self.calls.get_mut(place) {
            Some(call) => {
                if call.id.is_empty() {
                    call.id = fragment.id;
                }
                if call.name.is_empty() {
                    call.name = fragment.name;
                }
                call.arguments.push_str(&fragment.arguments);
            }
            None => self.calls.push(fragment),
        }
    }

    /// Finds the call that a fragment continues; none if it begins one.
    fn continued_by(&self, fragment: &Partial) -> Option<usize> {
        let same_id = |call: &Partial| call.id.is_empty() || fragment.id.is_empty() || call.id == fragment.id;
        match fragment.index {
            Some(index) => {
                let last = self.by_index.get(&index).copied();
                last.filter(|place| self.calls.get(*place).is_some_and(same_id))
            }
            None if !fragment.id.is_empty() => self.by_id.get(&fragment.id).copied(),
            None if fragment.name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        }
    }

    /// Gives the calls, each with an id, in the order in which they began.
    pub(super) fn finish(self) -> Vec<ToolCall> {
        let named = self.calls.into_iter().enumerate().map(|(at, call)| {
            let id = if call.id.is_empty() { format!("call_{at}") } else { call.id };
            ToolCall::new(id, call.name, call.arguments)
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn assemble(fragments: &[Value]) -> Vec<(String, String, String)> {
        let mut calls = ToolCalls::default();
        for fragment in fragments {
            calls.absorb(fragment);
        }
        calls.finish().into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.into(), name.into(), arguments.into())
    }

    #[test]
    fn fragments_are_joined_by_index_even_when_they_interleave() {
        let calls = assemble(&[
            json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]),
            json!([{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{\"y\""}}]),
            json!([{"index": 0, "function": {"arguments": "{\"x\":"}}, {"index": 1, "function": {"arguments": ":2}"}}]),
            json!([{"index": 0, "id": null, "function": {"name": null, "arguments": "1}"}}]),
        ]);
        assert_eq!(calls, [call("a", "f", "{\"x\":1}"), call("b", "g", "{\"y\":2}")]);
    }

    #[test]
    fn whole_calls_without_index_or_id_are_calls_of_their_own() {
        let calls = assemble(&[
            json!([{"function": {"name": "f", "arguments": {"x": 1}}}, {"function": {"name": "f", "arguments": {"x": 2}}}]),
            json!([{"function": {"name": "g", "arguments": null}}]),
        ]);
        assert_eq!(
            calls,
            [call("call_0", "f", "{\"x\":1}"), call("call_1", "f", "{\"x\":2}"), call("call_2", "g", "")]
        );
    }

    #[test]
    fn parallel_calls_under_one_index_are_told_apart_by_their_ids() {
        let calls = assemble(&[
            json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
            json!([{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{\"x\":"}}]),
            json!([{"index": 0, "function": {"arguments": "1}"}}]),
        ]);
        assert_eq!(calls, [call("a", "f", "{}"), call("b", "f", "{\"x\":1}")]);
    }

    #[test]
    fn fragments_without_an_index_go_on_with_the_call_of_their_id_or_the_last() {
        let calls = assemble(&[
            json!([{"id": "a", "function": {"name": "f", "arguments": "1"}}]),
            json!([{"id": "b", "function": {"name": "g", "arguments": "2"}}]),
            json!([{"function": {"arguments": "3"}}, {"id": "a", "function": {"arguments": "4"}}]),
        ]);
        assert_eq!(calls, [call("a", "f", "14"), call("b", "g", "23")]);
        assert_eq!(assemble(&[json!(null), json!({}), json!([])]), []);
    }

    #[test]
    fn very_many_calls_take_no_longer_each() {
        let calls = |count: usize| {
            let one = |at: usize| json!({"index": at, "id": format!("c{at}"), "function": {"name": "f", "arguments": "{}"}});
            let all = Value::Array((0..count).map(one).collect());
            let began = std::time::Instant::now();
            assert_eq!(assemble(&[all]).len(), count);
            began.elapsed()
        };
        calls(1_000);
        // A scan of what is there took minutes for these.
        assert!(calls(200_000) < std::time::Duration::from_secs(20));
    }
}
