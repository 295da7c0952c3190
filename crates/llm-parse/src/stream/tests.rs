use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::syntax::read;

fn all(pieces: &[&str]) -> (Vec<Event>, Stream) {
    let mut stream = Stream::new();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(stream.push(piece));
    }
    events.extend(stream.end());
    (events, stream)
}

fn told(events: &[Event], stream: &Stream) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Started { candidate, at } => format!("started {candidate} at {at}"),
            Event::FieldCompleted { path, node, .. } | Event::ItemCompleted { path, node, .. } => {
                format!("{path} = {}", stream.to_value(*node))
            }
            Event::Finished { candidate, complete, node } => {
                format!("finished {candidate} {complete} {}", stream.to_value(*node))
            }
            Event::Retracted { candidate } => format!("retracted {candidate}"),
        })
        .collect()
}

#[test]
fn fields_and_items_are_reported_when_they_are_complete() {
    let (events, stream) =
        all(&["Hi ```json\n{tasks: [{ti", "tle: 'a b', n: 1", "2}, {title: 'c'}], ", "done: Tru", "e}\n```"]);
    assert_eq!(
        told(&events, &stream),
        [
            "started 0 at 11",
            "$.tasks[0].title = \"a b\"",
            "$.tasks[0].n = 12",
            "$.tasks[0] = {\"n\":12,\"title\":\"a b\"}",
            "$.tasks[1].title = \"c\"",
            "$.tasks[1] = {\"title\":\"c\"}",
            "$.tasks = [{\"n\":12,\"title\":\"a b\"},{\"title\":\"c\"}]",
            "$.done = true",
            "finished 0 true {\"done\":true,\"tasks\":[{\"n\":12,\"title\":\"a b\"},{\"title\":\"c\"}]}",
        ]
    );
}

#[test]
fn the_events_do_not_depend_on_the_pieces() {
    let text =
        "x {\"a\": \"b\" + \"c\", \"d\": [\"k\" => 1], e: f(1), \"g\": [1, 2\n{\"a\": 2}] {\"h\": \"cut";
    let (events, stream) = all(&[text]);
    let whole = told(&events, &stream);
    for size in 1..9 {
        let chars: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = chars.chunks(size).map(|chunk| chunk.iter().collect()).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let (events, stream) = all(&pieces);
        assert_eq!(told(&events, &stream), whole, "pieces of {size}");
    }
}

#[test]
fn what_stood_in_reasoning_is_not_reported_or_is_taken_back() {
    let (events, stream) = all(&["<think>{\"a\": 0}</th", "ink>{\"a\": 1}"]);
    assert_eq!(
        told(&events, &stream),
        ["started 0 at 23", "$.a = 1", "finished 0 true {\"a\":1}"]
            .map(|text| text.replace("started 0", "started 1").replace("finished 0", "finished 1"))
    );
    let (events, stream) = all(&["hm {\"a\": 0} no</think>{\"a\": 1}"]);
    assert_eq!(
        told(&events, &stream),
        [
            "started 0 at 3",
            "$.a = 0",
            "finished 0 true {\"a\":0}",
            "retracted 0",
            "started 1 at 22",
            "$.a = 1",
            "finished 1 true {\"a\":1}"
        ]
    );
}

#[test]
fn a_refusal_is_seen_early_and_an_answer_is_not_taken_for_one() {
    for (text, expected) in [
        ("I'm sorry, but I can’t help with that.", Outlook::Refusing),
        ("<think>hm</think>I cannot do this", Outlook::Refusing),
        ("{\"text\": \"I'm sorry\"}", Outlook::Reading),
        ("Here is the list that you wanted", Outlook::Talking),
        ("  ", Outlook::Waiting),
    ] {
        let mut stream = Stream::new();
        stream.push(text);
        assert_eq!(stream.outlook(), expected, "{text}");
    }
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let mut stream = Stream::new();
    stream.push_bytes(b"[\"\xEA\xB0");
    stream.push_bytes(b"\x80\xFF\"]");
    assert_eq!(stream.value(), Some((json!(["가\u{FFFD}"]), true)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_equals_reading_the_prefix_at_once(cut in 0_usize..400, size in 1_usize..7) {
        let text = "Sure!\n```json\n{\"a\": [1, 2, tru, None], 'b': 'it\\'s', c: hello world, // note\n \"d\": \"he said \"hi\", ok\", \"e\": {\"f\": \"\\ud83d\\ude00\", g: (1, 2)}, \"h\": \"x\" + 'y',}\n```\nor\nname: Mina\ntags: [a, b]\n<think>{\"z\": 1}</think>";
        let chars: Vec<char> = text.chars().take(cut).collect();
        let mut stream = Stream::new();
        for chunk in chars.chunks(size) {
            stream.push(&chunk.iter().collect::<String>());
        }
        let snapshot = stream.snapshot();
        let prefix = stream.text();
        let once = read(prefix, &Limits::default());
        let list = |document: &Document| -> Vec<String> {
            document.candidates().iter().map(|c| {
                format!("{:?} {} {:?}", c.span(), document.to_value(c, prefix), document.repairs(c).collect::<Vec<_>>())
            }).collect()
        };
        prop_assert_eq!(list(&snapshot), list(&once));
    }
}

#[test]
fn a_stream_that_outgrows_its_places_is_an_error_and_not_a_shorter_answer() {
    let parser = crate::Parser::<String>::new();
    let mut stream = Stream { largest: 16, ..Stream::new() };
    stream.push("first words");
    stream.push(" and then more than fits");
    assert!(stream.is_stopped() && stream.text().len() <= 16);
    let error = parser.parse_document(stream.text(), stream.snapshot()).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::TooLarge);
}

/// Numbers the values of which items were handed out and those that were taken back, in order.
fn items(pieces: &[&str]) -> (Vec<serde_json::Value>, Vec<usize>) {
    let mut items = crate::Parser::<serde_json::Value>::with_schema(crate::Schema::any()).items();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(items.push(piece));
    }
    events.extend(items.end());
    let mut kept = Vec::new();
    let mut back = Vec::new();
    for event in events {
        match event {
            ItemEvent::Completed(item) => {
                kept.push((
                    item.candidate,
                    item.outcome.map_or(serde_json::Value::Null, |parsed| parsed.value),
                ));
            }
            ItemEvent::Retracted { candidate } => {
                back.push(candidate);
                kept.retain(|(number, _)| *number != candidate);
            }
            ItemEvent::Failed(_) => {}
        }
    }
    (kept.into_iter().map(|(_, value)| value).collect(), back)
}

#[test]
fn items_of_drafts_and_of_reasoning_are_taken_back() {
    let two = json!([{"a": 2}, {"a": 3}]);
    for text in [
        "[{\"a\": 1}] hmm</think>[{\"a\": 2}, {\"a\": 3}]",
        "Draft: [{\"a\": 1}]\nFinal: [{\"a\": 2}, {\"a\": 3}]",
        "초안: [{\"a\": 1}]\n최종: [{\"a\": 2}, {\"a\": 3}]",
        "For example: [{\"a\": 1}]\nThe tasks: [{\"a\": 2}, {\"a\": 3}]",
        "[{\"a\": 1}]\n\nWait, that is wrong.\n\n[{\"a\": 2}, {\"a\": 3}]",
    ] {
        for size in [3, 1000] {
            let chars: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = chars.chunks(size).map(|chunk| chunk.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (kept, back) = items(&pieces);
            assert_eq!((json!(kept), back), (two.clone(), vec![0]), "{text}");
        }
    }
    assert_eq!(items(&["[{\"a\": 1}]\n\nThis is wrong."]), (vec![], vec![0]));
}

#[test]
fn items_that_nothing_speaks_against_stay() {
    for text in [
        "Here you are: [{\"a\": 1}]\n\nIf this is wrong, let me know.",
        "{\"a\": 1}",
        "최종: [{\"a\": 1}]",
        "Draft: [{\"a\": 1}]",
    ] {
        assert_eq!(items(&[text]), (vec![json!({"a": 1})], vec![]), "{text}");
    }
    assert_eq!(items(&["{\"a\": 1}\n{\"a\": 2}\n"]), (vec![json!({"a": 1}), json!({"a": 2})], vec![]));
}
