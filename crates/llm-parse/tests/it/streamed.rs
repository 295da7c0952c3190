//! The law of streams: however an answer is cut into pieces, what comes out is what one call reads, for the whole and for every
//! prefix.

use pumasi_llm_parse::Policy;
use pumasi_llm_parse::stream::{ItemEvent, Stream};
use pumasi_llm_parse::syntax::{self, Document, Limits};
use serde_json::{Value, json};

use crate::cases::{self, Outcome};

/// All that can be told of a document: every candidate's place, value and repairs.
fn told(document: &Document, source: &str) -> Vec<(usize, usize, Value, String)> {
    document
        .candidates()
        .iter()
        .map(|candidate| {
            let repairs: Vec<String> = document
                .repairs(candidate)
                .map(|repair| format!("{} {:?} {:?}", repair.rule.as_str(), repair.severity, repair.span))
                .collect();
            let details = format!(
                "{:?} {:?} {} {} {}",
                candidate.origin(),
                candidate.cue(),
                candidate.is_complete(),
                candidate.is_thinking(),
                repairs.join("; ")
            );
            let span = candidate.span();
            (span.start, span.end, document.to_value(candidate, source), details)
        })
        .collect()
}

fn pieces(text: &str, n: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.char_indices().nth(n).map_or(rest.len(), |(at, _)| at);
        let (piece, tail) = rest.split_at(at);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

#[test]
fn pieces_of_any_length_give_what_one_call_gives() {
    let limits = Limits::default();
    for (id, input, _) in cases::everything() {
        let whole = told(&syntax::read(&input, &limits), &input);
        for n in [1, 3, 4, 7] {
            let mut stream = Stream::new();
            for piece in pieces(&input, n) {
                stream.push(piece);
            }
            assert_eq!(told(&stream.finish(), &input), whole, "{id} in pieces of {n}: {input:?}");
        }
    }
}

#[test]
fn a_snapshot_is_a_one_shot_parse_of_the_prefix() {
    let limits = Limits::default();
    let mut compared = 0;
    for (id, input, _) in cases::everything() {
        let mut stream = Stream::new();
        let mut fed = 0;
        for piece in pieces(&input, 3) {
            stream.push(piece);
            fed += piece.len();
            let prefix = &input[..fed];
            assert_eq!(
                told(&stream.snapshot(), prefix),
                told(&syntax::read(prefix, &limits), prefix),
                "{id} after {prefix:?}"
            );
            compared += 1;
        }
    }
    println!("snapshots compared: {compared}");
    assert!(compared > 5_000);
}

/// The items that are handed out of a text that comes in pieces of `size` characters, and whether the whole failed.
fn items(text: &str, schema: &Value, field: Option<&str>, size: usize) -> (Vec<Value>, bool) {
    let mut items = cases::parser(Some(schema), Policy::Lenient, false).items();
    if let Some(field) = field {
        items = items.with_list(field);
    }
    let chars: Vec<char> = text.chars().collect();
    let mut events = Vec::new();
    for piece in chars.chunks(size.max(1)) {
        events.extend(items.push(&piece.iter().collect::<String>()));
    }
    events.extend(items.end());
    let mut kept: Vec<(usize, Value)> = Vec::new();
    let mut failed = false;
    for event in events {
        match event {
            ItemEvent::Completed(item) => {
                failed |= item.outcome.is_err();
                kept.push((item.candidate, item.outcome.map_or(Value::Null, |parsed| parsed.value)));
            }
            ItemEvent::Retracted { candidate } => kept.retain(|(number, _)| *number != candidate),
            _ => failed = true,
        }
    }
    (kept.into_iter().map(|(_, item)| item).collect(), failed)
}

/// Whatever form an answer has: items are those of the list that is read from the whole, or something says that they are not.
#[test]
fn items_are_those_of_the_list_that_is_read_from_the_whole() {
    let mut compared = 0;
    for (id, input, schema) in cases::everything() {
        let Some(schema) = schema else { continue };
        let lists = schema.get("properties").and_then(Value::as_object);
        let field = lists.filter(|lists| lists.len() == 1).and_then(|lists| lists.keys().next());
        let list = field.map_or(&schema, |field| &schema["properties"][field]);
        let plain = |(key, _): (&String, &Value)| matches!(key.as_str(), "type" | "items");
        let only = list.as_object().is_some_and(|list| list.iter().all(plain));
        let only = only && !list.to_string().contains("$ref");
        if list["type"] != "array" || !list["items"].is_object() || !only || input.len() > 4000 {
            continue;
        }
        let whole = cases::run(&input, Some(&schema), Policy::Lenient, false);
        for size in [1, 7, usize::MAX] {
            let (items, failed) = items(&input, &list["items"], field.map(String::as_str), size);
            match &whole {
                // An item that was cut off is not handed out.
                Outcome::Read { rules, .. } if rules.contains(&"truncated") => {}
                Outcome::Read { value, .. } => {
                    let list = field.map_or(value, |field| &value[field]);
                    assert_eq!(&Value::Array(items), list, "{id}: {input:?} in pieces of {size}");
                }
                Outcome::Refused { kind } => {
                    assert!(failed, "{id}: {input:?} in pieces of {size}: {items:?}, but {kind}");
                }
            }
            compared += 1;
        }
    }
    println!("items compared: {compared}");
    assert!(compared > 300, "{compared}");
}

#[test]
fn items_come_at_the_end_where_they_stand_in_another_form() {
    let task = json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]});
    let list = json!([{"title": "러닝"}, {"title": "b"}]);
    let (a, b) = (r#"{"title": "러닝"}"#, r#"{"title": "b"}"#);
    for text in [
        format!(r#"{{"tasks": [{a}, {b}]}}"#),
        format!(r#"{{"Tasks": [{a}, {b}]}}"#),
        format!(r#"{{"task": [{a}, {b}]}}"#),
        format!(r#"{{"result": {{"tasks": [{a}, {b}]}}}}"#),
        format!("tasks: [{a}, {b}]"),
        "tasks:\n- title: 러닝\n- title: b\n  notes: []".to_owned(),
        format!(r#"Example: {{"tasks": [{b}]}} Final: {{"Tasks": [{a}, {b}]}}"#),
    ] {
        for size in [1, 5, usize::MAX] {
            let (items, failed) = items(&text, &task, Some("tasks"), size);
            assert_eq!((Value::Array(items), failed), (list.clone(), false), "{text}");
        }
    }
    for text in ["I can't help with that.", "", r#"[{"title": "b"}]"#] {
        assert_eq!(items(text, &task, Some("tasks"), 3), (vec![], true), "{text}");
    }
    assert_eq!(items(r#"{"tasks": {"title": "b"}}"#, &task, Some("tasks"), 3).0, [json!({"title": "b"})]);
}
