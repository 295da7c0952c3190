//! Tool calls, put together from what servers send of them.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::answer::whole_number;
use crate::model::ToolCall;

/// The calls of one answer, as their fragments arrive.
///
/// OpenAI numbers the fragments of parallel calls by `index` and sends id and name with the first one only. Others send
/// calls whole, without an index or an id (Ollama), all under index 0 with ids of their own or without any (Gemini), or with the
/// arguments as an object instead of text. So a fragment begins another call, whatever its index, where it brings another id or
/// another name, or a name once more: after arguments that are whole, or within one message for the same call.
#[derive(Debug, Default)]
pub(super) struct ToolCalls {
    calls: Vec<Partial>,
    /// The last call under each index and of each id: an answer may have very many.
    by_index: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Partial {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// How much of the arguments has come.
    progress: Progress,
}

impl Partial {
    /// Tells whether a fragment says once more what is there already, under the same id.
    fn repeats(&self, fragment: &Self) -> bool {
        let same =
            self.id == fragment.id && self.name == fragment.name && self.arguments == fragment.arguments;
        same && !self.id.is_empty() && self.progress.is_whole()
    }
}

impl ToolCalls {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes the `tool_calls` of a message or a delta.
    pub(super) fn absorb(&mut self, fragments: &Value) {
        let mut touched = HashSet::new();
        for fragment in fragments.as_array().into_iter().flatten() {
            let function = fragment.get("function").unwrap_or(fragment);
            let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
            let fragment = Partial {
                index: fragment.get("index").and_then(whole_number),
                id: text(fragment.get("id")),
                name: text(function.get("name")),
                arguments: match function.get("arguments") {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(object) => object.to_string(),
                },
                progress: Progress::default(),
            };
            touched.insert(self.add(fragment, &touched));
        }
    }

    /// Takes a fragment of a message of which earlier ones went to the calls `touched`; tells which call this one went to.
    fn add(&mut self, mut fragment: Partial, touched: &HashSet<usize>) -> usize {
        let continued = self.candidate(&fragment).filter(|place| self.goes_on(*place, &fragment, touched));
        let place = continued.unwrap_or(self.calls.len());
        if let Some(index) = fragment.index {
            self.by_index.insert(index, place);
        }
        if !fragment.id.is_empty() {
            self.by_id.insert(fragment.id.clone(), place);
        }
        match self.calls.get_mut(place) {
            Some(call) if call.repeats(&fragment) => {}
            Some(call) => {
                if call.id.is_empty() {
                    call.id = fragment.id;
                }
                if call.name.is_empty() {
                    call.name = fragment.name;
                }
                call.progress.read(&fragment.arguments);
                call.arguments.push_str(&fragment.arguments);
            }
            None => {
                fragment.progress.read(&fragment.arguments);
                self.calls.push(fragment);
            }
        }
        place
    }

    /// Tells whether a fragment goes on with the call at `place`.
    fn goes_on(&self, place: usize, fragment: &Partial, touched: &HashSet<usize>) -> bool {
        let Some(call) = self.calls.get(place) else { return false };
        let same = |one: &str, other: &str| one.is_empty() || other.is_empty() || one == other;
        if !same(&call.id, &fragment.id) || !same(&call.name, &fragment.name) {
            return false;
        }
        // Some servers repeat id and name with every fragment, and some the whole call at the end.
        let is_named_again = !call.name.is_empty() && !fragment.name.is_empty();
        let has_its_id = !call.id.is_empty() && call.id == fragment.id;
        let is_second = !has_its_id && touched.contains(&place);
        let is_over =
            call.progress.is_whole() && !fragment.arguments.trim().is_empty() && !call.repeats(fragment);
        !(is_named_again && (is_second || is_over))
    }

    /// Finds the call that a fragment continues, if it does not begin one.
    fn candidate(&self, fragment: &Partial) -> Option<usize> {
        match fragment.index {
            Some(index) => self.by_index.get(&index).copied(),
            None if !fragment.id.is_empty() => self.by_id.get(&fragment.id).copied(),
            None if fragment.name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        }
    }

    /// Gives the calls, each with an id of its own, in the order in which they began.
    pub(super) fn finish(self) -> Vec<ToolCall> {
        let mut taken: HashSet<String> = self.calls.iter().map(|call| call.id.clone()).collect();
        let mut given = HashSet::new();
        let mut next = 0_usize..;
        let mut fresh = || next.by_ref().map(|at| format!("call_{at}")).find(|id| taken.insert(id.clone()));
        let named = self.calls.into_iter().map(|call| {
            let is_new = !call.id.is_empty() && given.insert(call.id.clone());
            let id = if is_new { call.id } else { fresh().unwrap_or_default() };
            ToolCall::new(id, call.name, call.arguments)
        });
        named.collect()
    }
}

/// How far some JSON has come, byte by byte: only whether an object or a list has ended.
#[derive(Debug, Default)]
struct Progress {
    depth: usize,
    in_string: bool,
    escaped: bool,
    closed: bool,
}

impl Progress {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.closed = self.depth == 0;
                }
                _ => {}
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.closed && self.depth == 0 && !self.in_string
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
    fn parallel_calls_under_one_index_without_ids_are_told_apart() {
        for id in [json!(null), json!("")] {
            let one = |name: &str, arguments: &str| json!({"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
            let (london, paris, time) = (
                one("weather", "{\"city\":\"London\"}"),
                one("weather", "{\"city\":\"Paris\"}"),
                one("time", "{}"),
            );
            let expected = [
                call("call_0", "weather", "{\"city\":\"London\"}"),
                call("call_1", "weather", "{\"city\":\"Paris\"}"),
                call("call_2", "time", "{}"),
            ];
            assert_eq!(assemble(&[json!([london]), json!([paris]), json!([time])]), expected);
            assert_eq!(assemble(&[json!([london, paris, time])]), expected);
            // a call of which nothing has come but the name
            assert_eq!(assemble(&[json!([one("f", "")]), json!([one("g", "")])]).len(), 2);
            assert_eq!(assemble(&[json!([one("f", ""), one("f", "")])]).len(), 2);
        }
    }

    #[test]
    fn a_name_that_comes_with_every_fragment_is_one_call() {
        let one = |arguments: &str| json!([{"index": 0, "function": {"name": "f", "arguments": arguments}}]);
        let pieces = ["", "{\"x\": \"}", "{\\\"", "\", \"y\": [{}", ", {}]", "}", ""].map(one);
        assert_eq!(assemble(&pieces), [call("call_0", "f", "{\"x\": \"}{\\\"\", \"y\": [{}, {}]}")]);
    }

    #[test]
    fn an_id_does_not_join_what_is_over_and_a_repetition_is_none() {
        let one = |id: &str, name: &str, city: &str| json!([{"index": 0, "id": id, "function": {"name": name, "arguments": city}}]);
        let calls = assemble(&[
            one("a", "f", "{\"x\":"),
            one("a", "f", "1}"),
            one("a", "f", "{\"x\":1}"),
            one("a", "f", "{\"x\":2}"),
            one("a", "g", ""),
        ]);
        assert_eq!(
            calls,
            [call("a", "f", "{\"x\":1}"), call("call_0", "f", "{\"x\":2}"), call("call_1", "g", "")]
        );
    }

    #[test]
    fn no_two_calls_have_one_id() {
        let calls = assemble(&[json!([
            {"id": "call_0", "function": {"name": "f", "arguments": "{}"}},
            {"function": {"name": "g", "arguments": "{}"}},
            {"id": "call_0", "function": {"name": "h", "arguments": "{}"}},
        ])]);
        assert_eq!(calls, [call("call_0", "f", "{}"), call("call_1", "g", "{}"), call("call_2", "h", "{}")]);
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
