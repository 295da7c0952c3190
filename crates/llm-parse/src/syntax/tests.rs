use proptest::prelude::*;
use serde_json::{Value, json};

use super::machine::Machine;
use super::scan::Input;

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
        ("{\"a\": 3,14, \"b\": 2}", json!({"a":"3,14","b":2})),
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
        ("(1, 2)", json!([1, 2])),
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
        (r#"{"a": ["foo, "bar"], "b": 1}"#, json!({"a":["foo","bar"],"b":1})),
        (r#"["He said, "hi" to me", "x"]"#, json!(["He said, \"hi\" to me", "x"])),
        (r#"{"a": "x"; "b": "y"}"#, json!({"a":"x","b":"y"})),
        (r#"{"a": "hello”, "b": 1}"#, json!({"a":"hello","b":1})),
        (r#"{“a": “b", "c": 1}"#, json!({"a":"b","c":1})),
        (r#""{\n  \"a\": 1,\n  \"b\": \"c\\\"d\\\"\"\n}""#, json!({"a":1,"b":"c\"d\""})),
        (r#"{"a": "foo", "c: 3}"#, json!({"a":"foo","c":3})),
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
        ("{\"a\": [1, 2\n \"b\": 4}", json!({"a":[1,2],"b":4})),
        ("{\"a\": [1, 2, \"b\": 4}", json!({"a":[1,2],"b":4})),
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

#[test]
fn reads_answers_that_are_no_json() {
    check(&[
        (
            "title: Run\nmins: 30\ntags:\n  - a\n  - b: 1\n    c: x y\nsub:\n  k: [1, two]\n",
            json!({"title":"Run","mins":30,"tags":["a",{"b":1,"c":"x y"}],"sub":{"k":[1,"two"]}}),
        ),
        ("```yaml\n- a\n- b\n```", json!(["a", "b"])),
        (
            "```yaml\nkeys:\n- a: 1\n  b: 2\n- a: 3\nnote: |\n  one\n  two\nfold: >-\n  x\n  y\n```",
            json!({"keys":[{"a":1,"b":2},{"a":3}],"note":"one\ntwo\n","fold":"x y"}),
        ),
        ("Here is the result:\n\ntitle: Run\nmins: 30\n\nHope it helps.", json!({"title":"Run","mins":30})),
        ("제목: 러닝\n시간: 30분\n", json!({"제목":"러닝","시간":"30분"})),
        ("1. first\n2. second\n", json!(["first", "second"])),
        ("Tasks:\n- stretch\n- run", json!({"Tasks":["stretch","run"]})),
        ("| a | b |\n|---|---|\n| 1 | x |\n| 2 | y |", json!([{"a":1,"b":"x"},{"a":2,"b":"y"}])),
        (
            "<task><title>Run &amp; rest</title><tags><tag>a</tag><tag>b</tag></tags><n>3</n></task>",
            json!({"title":"Run & rest","tags":["a","b"],"n":3}),
        ),
        (
            "Sure: <r><x id=\"1\">a</x><x id=\"2\">b</x></r>",
            json!({"x":[{"id":1,"#text":"a"},{"id":2,"#text":"b"}]}),
        ),
        (
            "<function=add><parameter=title>Run</parameter><parameter=n>3</parameter></function>",
            json!({"title":"Run","n":3}),
        ),
        ("<a><![CDATA[x < y]]></a>", json!("x < y")),
        ("<answer>{\"a\": 1}</answer>", json!({"a":1})),
        ("<think>maybe {\"a\": 0}</think>{\"a\": 1}", json!({"a":1})),
        ("maybe {\"a\": 0}</think>{\"a\": 1}", json!({"a":1})),
        ("<think>hm {\"a\": 0}", json!({"a": 0})),
        ("{\"a\":1}\n{\"a\":2}\n", json!([{"a":1},{"a":2}])),
        ("{\"a\":1}, {\"a\":2}", json!([{"a":1},{"a":2}])),
        ("\"a\": 1, \"b\": [2]", json!({"a":1,"b":[2]})),
        ("\"a\", \"b\"", json!(["a", "b"])),
        ("1, 2, 3", json!([1, 2, 3])),
        ("name: Mina, age: 3", json!({"name":"Mina","age":3})),
        ("42", json!(42)),
        ("True", json!(true)),
        ("\"hi \\n there\"", json!("hi \n there")),
        ("just some text", json!("just some text")),
        ("", json!("")),
        ("```json\n\"a\": 1,\n\"b\": 2\n```", json!({"a":1,"b":2})),
        ("Task(title=\"x\", n=1)", json!({"title":"x","n":1})),
    ]);
}

/// Answers with everything in them, to be cut and damaged.
const MESSY: &[&str] = &[
    "Sure!\n```json\n{\"a\": [1, -2.5e3, tru, None], 'b': 'it\\'s \"x\"', c: hello world, // note\n \"d\": \"he said \"hi\", ok\",\n}\n```\nBye [1] {x}.",
    "<think>first {\"a\": \"</think>\"} hmm</think>\nFinal: {\"제목\": “러닝 「하기」”, \"n\": 1,234, \"u\": \"\\ud83d\\ude00 \\u00e9 \\x41 \\q\", \"t\": (1, 2,), \"s\": {1, 2}}\n{\"b\": 1},\n{\"b\": 2}}",
    "｛“키”：1，“값”：［1，2］｝ and {\\\"a\\\": \\\"x\\\\n\\\"} [\"a\" => 1] Date(\"x\") {\"d\": ObjectId(\"5f\"), \"e\": \"a\" + \"b\", \"f\": \"\"\"t \"q\" t\"\"\"}",
    "title: Run\ntags:\n  - a\n  - b: [1, {c: d}]\nnote: |\n  x\n\n  y\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "<t a=\"1\"><x>1 &lt; 2</x><x/><![CDATA[z]]></t> {{\"a\": [1, 2}, \"b\": .5, \"c\": +3, \"d\": 0x1F}} /* c */ # d\n",
    "{\"a\": [[[{\"b\": [1, 2, ...]}]]], \"c\": \"x\ny\tz\", \"d\" 1 \"e\": 2, \"a\": null, ...}",
];

fn pieces() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("\""),
        Just("'"),
        Just(","),
        Just(":"),
        Just("\\"),
        Just("\n"),
        Just(" "),
        Just("```"),
        Just("```json\n"),
        Just("<think>"),
        Just("</think>"),
        Just("<a>"),
        Just("</a>"),
        Just("- "),
        Just("a"),
        Just("key"),
        Just("1"),
        Just("true"),
        Just("None"),
        Just("..."),
        Just("“"),
        Just("”"),
        Just("가"),
        Just("："),
        Just("\\u12"),
        Just("//"),
        Just("/*"),
        Just("#"),
        Just("("),
        Just(")"),
        Just("+"),
        Just("="),
        Just("\"a\": 1"),
        Just("\"b\", "),
        Just("|"),
        Just("\"\"\""),
        Just("😀"),
        Just("key: "),
        Just("\n  "),
        Just("1. "),
        Just("-"),
        Just("u\""),
        Just("f("),
        Just(";"),
        Just("\u{200b}"),
    ];
    proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

fn answers() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => pieces(),
        1 => ".{0,60}",
        3 => (0..MESSY.len(), any::<prop::sample::Index>(), pieces(), any::<prop::sample::Index>()).prop_map(|(i, at, insert, cut)| {
            let mut text: Vec<char> = MESSY[i].chars().collect();
            let at = at.index(text.len());
            text.splice(at..at, insert.chars().take(4));
            let cut = cut.index(text.len() + 1);
            text.into_iter().take(cut.max(1)).collect()
        }),
    ]
}

/// Everything that a document says, to be compared.
fn told(document: &super::Document, source: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for candidate in document.candidates() {
        let _ = writeln!(
            out,
            "{:?} {:?} {:?} {} {} {}",
            candidate.span(),
            candidate.origin(),
            candidate.cue(),
            candidate.is_complete(),
            candidate.is_thinking(),
            document.to_value(candidate, source)
        );
        for repair in document.repairs(candidate) {
            let _ = writeln!(out, "  {} {} {:?}", repair.rule, repair.severity.as_str(), repair.span);
        }
    }
    out
}

fn in_pieces(source: &str, size: usize) -> super::Document {
    let mut machine = Machine::new(&Limits::default());
    let mut end = 0;
    for (i, c) in source.char_indices() {
        if i - end >= size {
            machine.run(Input::new(&source[..i], false));
            end = i;
        }
        let _ = c;
    }
    machine.run(Input::new(source, true));
    machine.into_document(source)
}

#[test]
fn pieces_that_end_in_the_middle_of_something_wait_for_the_rest() {
    for source in [
        // a backslash and what it escapes
        "and {\\\"a\\\":u\"u\" \\\"",
        // the other operand of a plus
        "p{\"a\":\" b\" +\n \u{2de}//:A\" x\", \"d\": 1}}",
        "{\"a\": \"b\" + name, \"c\": 1}",
        // an arrow, a remark, doubled quotes
        "{\"a\"\u{2192}\"b\", \"c\" \u{21d2} 1}",
        "[1, 2, (3 more)]",
        "{'a': 'it''s', 'b': ''}",
        r"{\'a\': \'b\', \'c\': [\'d\', 1]}",
        r#"[TOOL_CALLS][{"name": "f"}]"#,
    ] {
        for size in 1..9 {
            let (pieces, whole) = (in_pieces(source, size), read(source, &Limits::default()));
            assert_eq!(told(&pieces, source), told(&whole, source), "{source} by {size}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_iters: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_and_every_span_lies_within_it(source in answers()) {
        let document = read(&source, &Limits::default());
        prop_assert!(!document.candidates().is_empty());
        for candidate in document.candidates() {
            prop_assert!(source.get(candidate.span().start..candidate.span().end).is_some());
            for repair in document.repairs(candidate) {
                prop_assert!(source.get(repair.span.start..repair.span.end).is_some(), "{:?} in {:?}", repair, source);
            }
            let _ = document.to_value(candidate, &source);
        }
        for node in &document.tree().nodes {
            prop_assert!(source.get(node.span().start..node.span().end).is_some(), "{:?} in {:?}", node, source);
            if let Some(key) = node.key_span() {
                prop_assert!(source.get(key.start..key.end).is_some(), "{:?} in {:?}", node, source);
            }
        }
    }

    #[test]
    fn pieces_read_like_the_whole(source in answers(), size in 1_usize..9) {
        let whole = told(&read(&source, &Limits::default()), &source);
        let parts = told(&in_pieces(&source, size), &source);
        prop_assert_eq!(whole, parts, "{:?}", source);
    }

    #[test]
    fn valid_json_reads_as_serde_json_reads_it(value in values(), pretty in any::<bool>()) {
        let source = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("serializable");
        let document = read(&source, &Limits::default());
        let best = document.candidates()[0];
        // Not the value itself: serde_json reads some floats one unit off without its `float_roundtrip` feature.
        let expected: Value = serde_json::from_str(&source).expect("valid");
        prop_assert_eq!(document.to_value(&best, &source), expected);
        prop_assert_eq!(document.repairs(&best).collect::<Vec<_>>(), vec![]);
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
        "[a-z가-힣\"'\\\\,:{}\\[\\] \n😀]{0,12}".prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-z가-힣\"'\\\\,:{} ]{0,6}", inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    prop_oneof![
        proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
        proptest::collection::btree_map("[a-z가-힣]{0,6}", inner, 0..5)
            .prop_map(|fields| Value::Object(fields.into_iter().collect())),
    ]
}

#[test]
fn reads_quotes_that_stand_twice_or_not_at_all() {
    check(&[
        ("{\"\"a\"\": \"\"one\"\", \"\"b\"\": 2}", json!({"a": "one", "b": 2})),
        ("{\"a\": \"one\"\", \"b\": 2}", json!({"a": "one", "b": 2})),
        ("{\"a\": \"one\"\"}", json!({"a": "one"})),
        ("[\"one\"\", \"two\"]", json!(["one", "two"])),
        ("{\"a\": \"\", \"b\": \"\"}", json!({"a": "", "b": ""})),
        ("{\"a\": \"the so-called \"cloud\"\"}", json!({"a": "the so-called \"cloud\""})),
        ("{\"a\": \"as said\"\"b\": \"YES\"}", json!({"a": "as said", "b": "YES"})),
        ("{\"a': 1, \"b\": 2}", json!({"a": 1, "b": 2})),
        ("[\"one\", \"two, \"three\"]", json!(["one", "two", "three"])),
        ("[\"one, \"two\"]", json!(["one", "two"])),
        ("[\"she said, \"hi\" now\", \"x\"]", json!(["she said, \"hi\" now", "x"])),
        ("[\"one\", two\"]", json!(["one", "two"])),
        ("{\"a\": {\"b\": \"c}, \"d\": 1}", json!({"a": {"b": "c"}, "d": 1})),
        ("{\"a\": [\"b\", \"c], \"d\": 1}", json!({"a": ["b", "c"], "d": 1})),
        ("{\"a\": [\"b], \"d\": [\"e\"]}", json!({"a": ["b"], "d": ["e"]})),
    ]);
}

#[test]
fn closes_a_list_where_a_key_of_the_object_around_follows() {
    check(&[
        ("{\"a\": [\"x\", \"y\", \"b\": 1}", json!({"a": ["x", "y"], "b": 1})),
        ("{\"a\": [1, 2, \"b\": [3, 4]}", json!({"a": [1, 2], "b": [3, 4]})),
        ("{\"a\": [\"x\", \"y, \"b\": 1}", json!({"a": ["x", "y"], "b": 1})),
        ("{\"a\": [\"k\": 1, \"l\": 2]}", json!({"a": {"k": 1, "l": 2}})),
    ]);
}

#[test]
fn drops_words_that_belong_to_nothing() {
    check(&[
        ("{\"a\": true, COMMENT \"b\": \"data\"}", json!({"a": true, "b": "data"})),
        ("{\"a\": true, NOT_HERE \"b\": \"data\" AAAA }", json!({"a": true, "b": "data"})),
        ("{\"b\": \"xxxxx\" true}", json!({"b": "xxxxx"})),
        ("{\"b\": \"he said \"yes\" again\"}", json!({"b": "he said \"yes\" again"})),
    ]);
}

#[test]
fn a_line_under_a_list_or_object_of_an_outline_is_told_as_dropped() {
    let parser = crate::Parser::<Value>::with_schema(crate::Schema::any());
    for answer in ["k: [1]\n  deeper\nj: 2\n", "k: {a: 1}\n  deeper\nj: 2\n"] {
        let parsed = parser.parse(answer).unwrap();
        assert!(parsed.report.has(crate::Rule::DroppedText), "{answer}: {parsed:?}");
    }
    let parsed = parser.parse("k: some\n  more\nj: 2\n").unwrap();
    assert_eq!(parsed.value, json!({"k": "some more", "j": 2}));
}

#[test]
fn an_outline_whose_values_stay_open_is_read_in_one_pass() {
    // Each line opens more than it closes, and the lines below begin like the end of what is open.
    for unit in ["]k: [[\n", "]k: \"\" %{a\n", "]k: {a\n"] {
        let document = read(&unit.repeat(2000), &Limits::default());
        assert!(document.tree().len() < 50_000, "{unit}: {} nodes", document.tree().len());
    }
}
