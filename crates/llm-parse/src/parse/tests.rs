use std::collections::BTreeMap;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Parser, Policy, parse};
use crate::error::ErrorKind;
use crate::report::{Rule, Severity};
use crate::schema::Schema;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Run {
    place: String,
    km: f64,
    laps: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Mood {
    Positive,
    Negative,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Step {
    Walk { minutes: u32 },
    Rest { reason: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Plan {
    steps: Vec<Step>,
    mood: Mood,
    notes: BTreeMap<String, i64>,
    pair: (u8, String),
    next: Option<Box<Plan>>,
}

fn kind<T: serde::de::DeserializeOwned + JsonSchema + std::fmt::Debug>(raw: &str) -> ErrorKind {
    parse::<T>(raw).unwrap_err().kind()
}

#[test]
fn plain_json_has_an_empty_report() {
    let parsed = parse::<Run>(r#"{"place": "한강", "km": 10.5, "laps": 2}"#).unwrap();
    assert_eq!(parsed.value, Run { place: "한강".to_owned(), km: 10.5, laps: Some(2) });
    assert!(parsed.report.is_clean());
    assert!((parsed.confidence - 1.0).abs() < f32::EPSILON);
}

#[test]
fn plain_json_is_watched_for_what_serde_passes_over() {
    let parsed = parse::<Run>(r#"{"place": "x", "km": 1, "Laps": 3}"#).unwrap();
    assert_eq!(parsed.value.laps, Some(3));
    assert!(parsed.report.has(Rule::KeyForm));
    let parsed = parse::<Option<String>>(r#""None""#).unwrap();
    assert_eq!(parsed.value, None);
    assert!(parsed.report.has(Rule::NullWord));
    let parsed = parse::<BTreeMap<String, u8>>(r#"{"a": 1, "a": 1}"#).unwrap();
    assert!(parsed.report.has(Rule::DuplicateKey));
    assert_eq!(kind::<BTreeMap<String, u8>>(r#"{"a": 1, "a": 2}"#), ErrorKind::Ambiguous);
    assert_eq!(kind::<f32>("[1e300]"), ErrorKind::Overflow);
}

#[test]
fn unions_tuples_maps_and_recursion_are_fitted() {
    let raw = "```\n{steps: [{kind: 'Walk', minutes: '1,200'}, {kind: rest, reason: N/A}], mood: 'negative', \
               notes: {a: '3만'}, pair: ['7', 8], next: None,}\n```";
    let plan = parse::<Plan>(raw).unwrap().value;
    assert_eq!(plan.steps, [Step::Walk { minutes: 1200 }, Step::Rest { reason: None }]);
    assert_eq!(plan.mood, Mood::Negative);
    assert_eq!(plan.notes["a"], 30_000);
    assert_eq!(plan.pair, (7, "8".to_owned()));
}

#[test]
fn failures_name_every_path_and_never_the_text() {
    let error = parse::<Run>(r#"{"place": ["secret", "words"], "km": "secret"}"#).unwrap_err();
    let paths: Vec<String> = error.failures().iter().map(|failure| failure.path.to_string()).collect();
    assert!(paths.contains(&"$.km".to_owned()), "{paths:?}");
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn a_value_that_almost_fits_is_the_failure_and_not_the_talk_around_it() {
    let moods = parse::<Vec<Mood>>(r#"["POSITIVE", "negative", "HUNGRY"]"#).unwrap_err();
    assert_ne!(moods.kind(), ErrorKind::NoCandidate, "{moods}");
    assert!(moods.to_string().contains("$["), "{moods}");
    let plans = parse::<Vec<Plan>>(r#"[{"wrong": 1}, {"wrong": "x"}]"#).unwrap_err();
    assert_eq!(plans.kind(), ErrorKind::Missing, "{plans}");
}

#[test]
fn policies_differ_where_the_table_says() {
    let raw = r#"[1, "2", "many"]"#;
    let with = |policy| Parser::<Vec<u8>>::new().with_policy(policy).parse(raw);
    assert!(with(Policy::Lenient).is_err());
    let salvaged = with(Policy::Salvage).unwrap();
    assert_eq!(salvaged.value, [1, 2]);
    assert_eq!(salvaged.rejected.len(), 1);
    let strict = Parser::<Vec<u8>>::new().with_policy(Policy::Strict);
    assert_eq!(strict.parse(r#"[1, "2"]"#).unwrap_err().kind(), ErrorKind::Policy);
    assert_eq!(strict.parse("```json\n[1, 2]\n```").unwrap().value, [1, 2]);
}

#[test]
fn negation_overflow_and_two_answers_are_refused() {
    assert_eq!(kind::<Mood>("This is not NEGATIVE."), ErrorKind::Negated);
    assert_eq!(kind::<Mood>("POSITIVE or NEGATIVE"), ErrorKind::Ambiguous);
    assert_eq!(kind::<u8>("300"), ErrorKind::Overflow);
    assert_eq!(kind::<Run>(r#"{"place": "a", "km": 1} or {"place": "b", "km": 2}"#), ErrorKind::Ambiguous);
    assert_eq!(kind::<Run>("죄송하지만 도와드릴 수 없습니다."), ErrorKind::Refused);
    assert_eq!(kind::<Run>("  \n"), ErrorKind::Empty);
}

#[test]
fn a_cut_list_keeps_its_whole_items() {
    let parsed = parse::<Vec<Run>>(r#"[{"place": "a", "km": 1}, {"place": "b", "k"#).unwrap();
    assert_eq!(parsed.value.len(), 1);
    assert!(parsed.report.worst() >= Some(Severity::Lossy));
    assert_eq!(kind::<Run>(r#"{"place": "a", "#), ErrorKind::Truncated);
}

#[test]
fn recursive_unions_and_deep_input_end() {
    let schema = json!({"$ref": "#/$defs/J", "$defs": {"J": {"anyOf": [
        {"type": "integer"}, {"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/J"}},
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/J"}}]}}});
    let parser = Parser::<Value>::with_schema(Schema::from_json(&schema).unwrap());
    assert_eq!(parser.parse(r#"{"a": [1, {"b": "x"}]}"#).unwrap().value, json!({"a": [1, {"b": "x"}]}));
    assert!(parser.parse(&"[".repeat(100_000)).is_err());
    assert!(parser.parse(&r#"{"a":"#.repeat(100_000)).is_err());
}

fn text() -> impl Strategy<Value = String> {
    // Null words and placeholders are read as such on purpose.
    "[a-zA-Z가-힣0-9 ,.:{}\\[\"']{0,12}x[a-z가-힣]{0,4}"
}

fn plan() -> impl Strategy<Value = Plan> {
    let step = prop_oneof![
        any::<u32>().prop_map(|minutes| Step::Walk { minutes }),
        proptest::option::of(text()).prop_map(|reason| Step::Rest { reason }),
    ];
    let leaf = (
        proptest::collection::vec(step, 0..4),
        prop_oneof![Just(Mood::Positive), Just(Mood::Negative)],
        proptest::collection::btree_map(text(), any::<i64>(), 0..4),
        (any::<u8>(), text()),
    )
        .prop_map(|(steps, mood, notes, pair)| Plan { steps, mood, notes, pair, next: None })
        .boxed();
    (leaf.clone(), proptest::option::of(leaf)).prop_map(|(mut plan, next)| {
        plan.next = next.map(Box::new);
        plan
    })
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({"type": "integer", "minimum": -5, "maximum": 500})),
        Just(json!({"type": ["number", "null"]})),
        Just(json!({"type": "string", "format": "date"})),
        Just(json!({"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"})),
        Just(json!({"enum": ["yes", "no", 3, null]})),
        Just(json!({"type": "boolean"})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|all| json!({"anyOf": all})),
            inner.clone().prop_map(|item| json!({"type": "array", "items": item, "maxItems": 3})),
            (inner.clone(), inner.clone()).prop_map(
                |(a, b)| json!({"type": "object", "properties": {"a": a, "user_name": b}, "required": ["a"]})
            ),
            inner.prop_map(|item| json!({"type": "object", "additionalProperties": item})),
        ]
    })
}

proptest! {
    #[test]
    fn generated_values_come_back_through_both_ways(plan in plan()) {
        let raw = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(&parse::<Plan>(&raw).unwrap().value, &plan);
        // A comment at the end takes the shortcut away.
        let long = format!("{raw} // done\n");
        prop_assert_eq!(&parse::<Plan>(&long).unwrap().value, &plan);
    }

    #[test]
    fn no_input_and_schema_panics(
        raw in "[\\[\\]{}:,\"'a-z0-9 가-힣\n`<>/.%-]{0,80}",
        schema in any_schema(),
        policy in prop_oneof![Just(Policy::Strict), Just(Policy::Lenient), Just(Policy::Salvage)],
        partial in any::<bool>(),
    ) {
        let parser = Parser::<Value>::with_schema(Schema::from_json(&schema).unwrap());
        let parser = parser.with_policy(policy).with_partial(partial);
        if let Ok(parsed) = parser.parse(&raw) {
            prop_assert!((0.0..=1.0).contains(&parsed.confidence));
            if policy == Policy::Strict {
                prop_assert!(parsed.report.worst() <= Some(Severity::Cosmetic));
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "schemas are written where they are used")]
fn so_far(schema: Value, raw: &str) -> crate::Result<super::Parsed<Value>> {
    let schema = if schema.is_null() { Schema::any() } else { Schema::from_json(&schema).unwrap() };
    Parser::<Value>::with_schema(schema).with_partial(true).parse(raw)
}

#[test]
fn what_ends_with_its_line_is_not_complete_while_the_line_may_go_on() {
    let cut = [
        ("title: Run\nquote: I ran ever", json!({"title": "Run", "quote": "I ran ever"})),
        ("title: Run\nkm: 1", json!({"title": "Run"})),
        ("- a\n- b", json!(["a", "b"])),
        ("1. 걷기\n2. 달리", json!(["걷기", "달리"])),
        ("[1, 2, 3", json!([1, 2])),
        ("{\"a\": 1, \"b\": tru", json!({"a": 1})),
        ("```yaml\na: 1\nb: 2", json!({"a": 1})),
    ];
    for (raw, expected) in cut {
        let parsed = so_far(Value::Null, raw).unwrap();
        assert_eq!(parsed.value, expected, "{raw}");
        assert!(parsed.report.worst() >= Some(Severity::Lossy), "{raw}: {:?}", parsed.report);
    }
    // a line that has ended is whole, though more may follow
    let parsed = so_far(Value::Null, "title: Run\nkm: 12\n").unwrap();
    assert_eq!(parsed.value, json!({"title": "Run", "km": 12}));
    // without `partial`, the answer ends where it ends
    let whole = parse::<BTreeMap<String, Value>>("title: Run\nkm: 12").unwrap();
    assert_eq!((whole.value["km"].clone(), whole.report.worst()), (json!(12), Some(Severity::Cosmetic)));

    let number = json!({"type": "integer"});
    assert_eq!(so_far(number.clone(), "12").unwrap_err().kind(), ErrorKind::Truncated);
    assert_eq!(so_far(number, "12\n").unwrap().value, json!(12));
    assert!(so_far(json!({"type": "string"}), "hello wor").unwrap().report.has(Rule::Truncated));
    assert!(!so_far(json!({"type": "string"}), "\"hello\"").unwrap().report.has(Rule::Truncated));
}

#[test]
fn a_list_that_was_cut_between_two_items_is_truncated_with_a_schema_and_without() {
    for raw in ["[\"a\", \"b\"", "[\"a\", \"b\",", "```json\n[\"a\", \"b\""] {
        let any = Parser::<Value>::with_schema(Schema::any()).parse(raw).unwrap();
        let typed = parse::<Vec<String>>(raw).unwrap();
        assert!(any.report.has(Rule::Truncated) && typed.report.has(Rule::Truncated), "{raw}");
        assert_eq!(any.value, json!(["a", "b"]));
    }
    let object = Parser::<Value>::with_schema(Schema::any()).parse("{\"a\": {\"b\": \"c\"}").unwrap();
    assert!(object.report.has(Rule::Truncated));
}

#[test]
fn a_comma_in_a_text_among_numbers_is_told_as_ambiguous() {
    let parsed = parse::<Vec<f64>>(r#"["5,10"]"#).unwrap();
    assert_eq!(parsed.report.worst(), Some(Severity::Ambiguous));
    assert_eq!(parse::<f64>("\"5,10\"").unwrap().report.worst(), Some(Severity::Repaired));
    assert_eq!(parse::<Vec<f64>>("[5,10]").unwrap().value, [5.0, 10.0]);
}

#[test]
fn dates_that_contradict_themselves_say_so_in_the_report() {
    let date = json!({"type": "string", "format": "date"});
    let parsed = so_far(date, "\"Monday, 2026-11-24\"").unwrap();
    assert_eq!((parsed.value, parsed.report.has(Rule::WeekdayMismatch)), (json!("2026-11-24"), true));
    let time = json!({"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}});
    let parsed = so_far(time, r#"{"at": "2026-11-24T10:00:00"}"#).unwrap();
    assert_eq!(
        (&parsed.value["at"], parsed.report.has(Rule::OffsetMissing)),
        (&json!("2026-11-24T10:00:00"), true)
    );
    assert_eq!(parsed.report.worst(), Some(Severity::Ambiguous));
}

fn without_schema(raw: &str) -> Value {
    Parser::<Value>::with_schema(Schema::any()).parse(raw).unwrap().value
}

#[test]
fn odd_notations_have_the_value_that_they_mean() {
    for (raw, expected) in [
        ("'it''s'", json!("it's")),
        ("a: 'it''s'\nb: 2", json!({"a": "it's", "b": 2})),
        (r"{\'a\': \'b\', \'c\': [\'d\', 1]}", json!({"a": "b", "c": ["d", 1]})),
        (r#"{"a"→"b", "c" ⇒ 1}"#, json!({"a": "b", "c": 1})),
        ("[1, 2, (3 more)]", json!([1, 2])),
        ("[\"가\", (이하 생략)]", json!(["가"])),
        ("[(1, 2), (3, 4)]", json!([[1, 2], [3, 4]])),
        (
            r#"[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}]"#,
            json!([{"name": "f", "arguments": {"a": 1}}]),
        ),
        (r#"[TOOL_CALLS] [{"name": "f"}]"#, json!([{"name": "f"}])),
    ] {
        assert_eq!(without_schema(raw), expected, "{raw}");
    }
    let left_out = Parser::<Value>::with_schema(Schema::any()).parse("[1, 2, (3 more)]").unwrap();
    assert!(left_out.report.has(Rule::Ellipsis));
    assert_eq!(parse::<Vec<u8>>("[1, 2, (3 more)]").unwrap().value, [1, 2]);
}

#[test]
fn hexadecimal_numbers_are_exact_or_refused() {
    let read = |raw: &str, schema: Value| {
        let parser = Parser::<Value>::with_schema(Schema::from_json(&schema).unwrap());
        parser.parse(raw).map(|parsed| parsed.value).map_err(|error| error.kind())
    };
    let whole = || json!({"type": "integer"});
    assert_eq!(read("0xFFFFFFFFFFFFFFFF", whole()), Ok(json!(u64::MAX)));
    assert_eq!(read("[-0x8000000000000000]", json!({"items": whole()})), Ok(json!([i64::MIN])));
    assert_eq!(read("[0xFFFFFFFFFFFFFFFF, -0x10]", json!(true)), Ok(json!([u64::MAX, -16])));
    for raw in ["0x10000000000000000", "-0x8000000000000001", "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"] {
        assert_eq!(read(raw, whole()), Err(ErrorKind::Overflow), "{raw}");
        assert_eq!(read(&format!("[{raw}]"), json!({"items": whole()})), Err(ErrorKind::Overflow), "{raw}");
    }
    // Any value keeps the digits as a text, and says so.
    let parsed = Parser::<Value>::with_schema(Schema::any()).parse("[0x1FFFFFFFFFFFFFFFF]").unwrap();
    assert_eq!(parsed.value, json!(["0x1FFFFFFFFFFFFFFFF"]));
    assert_eq!(parsed.report.worst(), Some(Severity::Lossy));
    // Without a schema a document holds null where JSON has no such number.
    let text = "[0x10000000000000000, 0xFFFFFFFFFFFFFFFF]";
    let document = crate::syntax::read(text, &crate::syntax::Limits::default());
    assert_eq!(document.to_value(&document.candidates()[0], text), json!([null, u64::MAX]));
}

#[test]
fn the_code_of_an_error_is_no_answer() {
    for key in ["error_code", "errorCode", "error"] {
        assert_eq!(kind::<u32>(&format!("{{\"{key}\": 404}}")), ErrorKind::Negated, "{key}");
    }
    assert_eq!(parse::<u32>("{\"code\": 404}").unwrap().value, 404);
}

#[test]
fn a_list_of_two_numbers_is_not_one_with_a_decimal_comma() {
    let schema = json!({"type": "array", "items": {"type": "number", "maximum": 3}});
    let parser = Parser::<Value>::with_schema(Schema::from_json(&schema).unwrap());
    assert!(parser.parse("[1,4]").is_err());
    assert_eq!(parser.parse("[1,3]").unwrap().value, json!([1, 3]));
    assert_eq!(parse::<f64>("[5]").unwrap().value.to_string(), "5");
}

#[test]
fn a_scalar_that_may_go_on_behind_a_blank_is_not_there_yet() {
    let partial = |schema: Value, text: &str| {
        Parser::<Value>::with_schema(Schema::from_json(&schema).unwrap()).with_partial(true).parse(text)
    };
    for text in ["1 ", "two ", "1"] {
        assert!(partial(json!({"type": "integer"}), text).is_err(), "{text:?}");
    }
    assert_eq!(partial(json!({"type": "integer"}), "1\n").unwrap().value, json!(1));
    let object = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    assert_eq!(partial(object.clone(), "n: 1 ").unwrap().value, json!({}));
    assert_eq!(partial(object.clone(), "n: 1 \n").unwrap().value, json!({"n": 1}));
    assert_eq!(partial(object, "{\"n\": 1,").unwrap().value, json!({"n": 1}));
    assert!(partial(json!({"anyOf": [{"type": "integer"}, {"type": "null"}]}), "\"").is_err());
}
