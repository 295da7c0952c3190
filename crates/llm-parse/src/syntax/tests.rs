use serde_json::{Value, json};

use super::{Limits, read};

fn first(source: &str) -> Value {
    let document = read(source, &Limits::default());
    let candidate = document.candidates().first().expect("there is always a candidate");
    document.to_value(candidate, source)
}

#[track_caller]
fn check(cases: &[(&str, Value)]) {
    let mut wrong = Vec::new();
    for (source, expected) in cases {
        let got = first(source);
        if got != *expected {
            wrong.push(format!("{source}\n    got      {got}\n    expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn reads_what_surrounds_a_value() {
    check(&[
        ("```json\n{\"a\": 1}\n```", json!({"a": 1})),
        ("Sure:\n```\n{\"a\": 1}\n```\nDone.", json!({"a": 1})),
        ("```json\n{\"a\": 1}", json!({"a": 1})),
        ("````json\n{\"a\": \"```x```\"}\n````", json!({"a": "```x```"})),
        ("~~~json\n[1]\n~~~", json!([1])),
        ("The answer is {\"a\": 1}, I think.", json!({"a": 1})),
        ("see [link](http://x.y) and {\"a\": 1}", json!({"a": 1})),
        ("- [ ] todo\n- [x] done\n{\"a\": 1}", json!({"a": 1})),
        ("json{\"a\":1}", json!({"a": 1})),
        ("const x = {a: 1, b: 'c'};", json!({"a": 1, "b": "c"})),
        ("\u{FEFF}{\"a\":\u{A0}1}", json!({"a": 1})),
        ("{{\"a\": 1}}", json!({"a": 1})),
        ("use [ to open. {\"a\": 1}", json!({"a": 1})),
        ("callback({\"a\": [1,2]});", json!({"a": [1, 2]})),
    ]);
}

#[test]
fn reads_values_that_are_written_loosely() {
    check(&[
        ("{a: 1, b_c: true, \"d\": None, e-f: False,}", json!({"a":1,"b_c":true,"d":null,"e-f":false})),
        ("{'a': 'it\\'s', 'b': 'it's fine'}", json!({"a":"it's","b":"it's fine"})),
        ("{“a”: “b”, ‘c’: ‘d’}", json!({"a":"b","c":"d"})),
        ("{「이름」: 「미나」}", json!({"이름":"미나"})),
        ("｛“키”：1，“값”：［1，2］｝", json!({"키":1,"값":[1,2]})),
        ("{a = 1; b => 2; c := 3}", json!({"a":1,"b":2,"c":3})),
        ("{\"a\" 1, \"b\" \"c\"}", json!({"a":1,"b":"c"})),
        ("[1 2 3]", json!([1, 2, 3])),
        ("[\"a\" \"b\"]", json!(["a", "b"])),
        ("[1,,2,]", json!([1, 2])),
        ("{\"a\": 1 \"b\": 2}", json!({"a":1,"b":2})),
        ("{\"a\": 1, // one\n \"b\": 2 /* two */ # three\n}", json!({"a":1,"b":2})),
        ("[+1, .5, 5., 0x1F, 1_000, 1e5]", json!([1, 0.5, 5.0, 31, 1000, 1e5])),
        ("{\"a\": 1,234, \"b\": 2}", json!({"a":1234,"b":2})),
        (
            "{a: hello world, b: http://x.y/z?q=1, c: 10:30}",
            json!({"a":"hello world","b":"http://x.y/z?q=1","c":"10:30"}),
        ),
        ("{a: Paris, France, b: 2}", json!({"a":"Paris, France","b":2})),
        (
            "{\"a\": 50%, \"b\": 1/3, \"c\": 2024-01-02, \"d\": 12 apples}",
            json!({"a":"50%","b":"1/3","c":"2024-01-02","d":"12 apples"}),
        ),
        ("[undefined, NaN, null]", json!([null, null, null])),
        ("(1, 2)", json!("(1, 2)")),
        ("{\"a\": (1, 2), \"b\": (\"x\"), \"c\": {1, 2}}", json!({"a":[1,2],"b":"x","c":[1,2]})),
        ("{\"_id\": ObjectId(\"5f\"), \"at\": new Date(\"2024\")}", json!({"_id":"5f","at":"2024"})),
        ("{\"t\": Task(title=\"x\", n=1), \"b\": 2}", json!({"t":{"title":"x","n":1},"b":2})),
        ("[\"a\" => 1, \"b\" => 2]", json!({"a":1,"b":2})),
        ("{\"a\": u'x', \"b\": b\"y\"}", json!({"a":"x","b":"y"})),
        ("{\"a\": \"b\" + \"c\" + \"d\"}", json!({"a":"bcd"})),
        ("{\"a\": \"\"\"x \"y\" z\"\"\", \"b\": 1}", json!({"a":"x \"y\" z","b":1})),
        ("{\"a\": \"\", \"b\": ''}", json!({"a":"","b":""})),
        ("{\"a\": [1, 2, ...], \"b\": 1}", json!({"a":[1,2],"b":1})),
        ("{\"a\": 1, ...}", json!({"a":1})),
        ("{a: `x ${y}`}", json!({"a":"x ${y}"})),
    ]);
}

#[test]
fn decides_which_quote_ends_a_string() {
    check(&[
        (r#"{"a": "he said "hi" to me", "b": 1}"#, json!({"a":"he said \"hi\" to me","b":1})),
        (r#"{"a": "he said "hi", then left", "b": 1}"#, json!({"a":"he said \"hi\", then left","b":1})),
        (r#"{"a": "use "," as separator", "b": 1}"#, json!({"a":"use \",\" as separator","b":1})),
        (
            r#"{"a": "say "yes", "no" or "maybe"", "b": 1}"#,
            json!({"a":"say \"yes\", \"no\" or \"maybe\"","b":1}),
        ),
        (r#"["he said "hi", "bye" now", "x"]"#, json!(["he said \"hi\", \"bye\" now", "x"])),
        (r#"["5" nails", "x"]"#, json!(["5\" nails", "x"])),
        (r#"{"a": "use {"x"} here"}"#, json!({"a":"use {\"x\"} here"})),
        (r#"{"a": "b, "c": 1}"#, json!({"a":"b","c":1})),
        ("{\"a\": \"b\n \"c\": \"d\"}", json!({"a":"b","c":"d"})),
        (r#"{"a: 1, "b": 2}"#, json!({"a":1,"b":2})),
        (r#"{"a: "x", b": 2}"#, json!({"a":"x","b":2})),
        (r#"{"a": hello", "b": 2}"#, json!({"a":"hello","b":2})),
        (r#"{"a": ""quoted"", "b": 2}"#, json!({"a":"quoted","b":2})),
        (r#"{""a"": 1}"#, json!({"a":1})),
        ("{\"a\": \"line\nbreak\ttab\"}", json!({"a":"line\nbreak\ttab"})),
        (r#"{"a": "\x41\u{1F600}\'\u00e9"}"#, json!({"a":"A😀'é"})),
        (r#"{"a": "\ud83d\ude00 \ud83d"}"#, json!({"a":"😀 \u{FFFD}"})),
        (r#"{"a": "C:\dir\users"}"#, json!({"a":"C:\\dir\\users"})),
        (r#"{\"a\": \"b\", \"c\": [1, \"x\\ny\"]}"#, json!({"a":"b","c":[1,"x\ny"]})),
        (r#""{\"a\": \"b\"}""#, json!({"a":"b"})),
        ("```json\n{\"a\": \"```js\nx\n```\", \"b\": 1}\n```", json!({"a":"```js\nx\n```","b":1})),
    ]);
}

#[test]
fn closes_what_was_left_open() {
    check(&[
        ("{\"a\": [1, 2", json!({"a":[1,2]})),
        ("{\"a\": \"hel", json!({"a":"hel"})),
        ("{\"a\": {\"b\": tr", json!({"a":{"b":true}})),
        ("{\"a\": 1, \"b", json!({"a":1})),
        ("{\"a\": 1, \"b\"", json!({"a":1})),
        ("{\"a\": 1, \"b\":", json!({"a":1,"b":null})),
        ("{\"a\": \"x\\u00", json!({"a":"x"})),
        ("[{\"a\": 1}, {\"a\": 2]", json!([{"a":1},{"a":2}])),
        ("[{\"a\": 1, {\"a\": 2}]", json!([{"a":1},{"a":2}])),
        ("{\"a\": [1, 2}, \"b\": 3}", json!({"a":[1,2],"b":3})),
        ("{\"a\": [1, 2}", json!({"a":[1,2]})),
        ("{\"a\": [1, 2]], \"b\": 3}", json!({"a":[1,2],"b":3})),
        ("{\"a\": 1}, \"b\": 2}", json!({"a":1,"b":2})),
        ("{\"a\": 1}}}", json!({"a":1})),
        ("[1, 2}", json!([1, 2])),
        ("{\"a\": 1\n\nHope this helps: bye!", json!({"a":1})),
        ("{\"a\": [\"x\", \"y\"\n\nHope this helps!", json!({"a":["x","y"]})),
        ("{", json!({})),
        ("[", json!([])),
        ("{\"a\": , \"b\": 2}", json!({"a":null,"b":2})),
    ]);
}

#[test]
fn a_clean_document_needs_no_repair() {
    for source in ["{\"a\": [1, -2.5e3, \"x\\n\", true, null, {}], \"b\": {\"c\": \"d\"}}", "[]", " [1,2]\n"]
    {
        let document = read(source, &Limits::default());
        let best = document.candidates().first().expect("a candidate");
        assert_eq!(document.repairs(best).count(), 0, "{source}");
        assert_eq!(document.to_value(best, source), serde_json::from_str::<Value>(source).expect("valid"));
    }
}

#[test]
fn a_long_word_after_a_fence_is_cut_between_characters() {
    let source = format!("```{}{{\"a\": 1}}", "가".repeat(20));
    let document = read(&source, &Limits::default());
    for candidate in document.candidates() {
        for repair in document.repairs(candidate) {
            assert!(source.get(repair.span.start..repair.span.end).is_some(), "{repair:?}");
        }
    }
}
