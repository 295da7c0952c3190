//! Reads the committed cases and runs one input through the parser whose schema is known only at run time.

use pumasi_llm_parse::{Parser, Policy, Schema, Severity};
use serde_json::Value;

/// What became of one input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Read { value: Value, worst: Option<Severity>, rules: Vec<&'static str> },
    Refused { kind: String },
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read { value, worst, rules } => write!(f, "{value} ({worst:?}; {})", rules.join(", ")),
            Self::Refused { kind } => write!(f, "refused: {kind}"),
        }
    }
}

/// The lines of a case file. The text is compiled in, so that the suite runs from anywhere.
pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).expect("a case is one JSON object per line"))
        .collect()
}

/// What fuzzing found, by what was wrong with it.
const FOUND: [(&str, &str); 1] =
    [("an escaped brace and an escape behind it, in two pieces", r#"x \{\n  \"a\": 1, \"b\": 2}"#)];

/// Every input of every case file with its schema, and what fuzzing found: what the laws are checked on.
pub(crate) fn everything() -> Vec<(String, String, Option<Value>)> {
    let found = FOUND.iter().map(|(id, input)| ((*id).to_owned(), (*input).to_owned(), None));
    let mut all: Vec<_> = found.collect();
    for text in [BAML, JSON_REPAIR, PROBES] {
        for case in lines(text) {
            let id = case["id"].as_str().unwrap_or_default().to_owned();
            all.push((id.clone(), input(&case), case.get("schema").cloned()));
            if let Some(twin) = case.get("twin") {
                all.push((format!("{id}-twin"), input(twin), twin.get("schema").cloned()));
            }
        }
    }
    all
}

pub(crate) const BAML: &str = include_str!("../cases/baml.jsonl");
pub(crate) const JSON_REPAIR: &str = include_str!("../cases/json_repair.jsonl");
pub(crate) const PROBES: &str = concat!(
    include_str!("../cases/probes.jsonl"),
    include_str!("../cases/cues.jsonl"),
    include_str!("../cases/scalars.jsonl"),
    include_str!("../cases/structure.jsonl"),
);

pub(crate) fn input(case: &Value) -> String {
    case["input"].as_str().expect("input").to_owned()
}

pub(crate) fn policy(case: &Value) -> Policy {
    match case.get("policy").and_then(Value::as_str) {
        None | Some("lenient") => Policy::Lenient,
        Some("strict") => Policy::Strict,
        Some("salvage") => Policy::Salvage,
        Some(other) => panic!("unknown policy {other}"),
    }
}

/// Builds the parser for a case.
pub(crate) fn parser(schema: Option<&Value>, policy: Policy, partial: bool) -> Parser<Value> {
    let schema = match schema {
        Some(schema) => Schema::from_json(schema).expect("the case's schema compiles"),
        None => Schema::any(),
    };
    Parser::with_schema(schema).with_policy(policy).with_partial(partial)
}

/// Runs one input.
pub(crate) fn run(input: &str, schema: Option<&Value>, policy: Policy, partial: bool) -> Outcome {
    match parser(schema, policy, partial).parse(input) {
        Ok(parsed) => Outcome::Read {
            worst: parsed.report.worst(),
            rules: parsed.report.repairs.iter().map(|repair| repair.rule.as_str()).collect(),
            value: parsed.value,
        },
        Err(error) => Outcome::Refused { kind: format!("{:?}: {error}", error.kind()) },
    }
}

/// Compares by value: `3` equals `3.0`, objects regardless of order.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (!(a.is_i64() && b.is_i64()) && a.as_f64() == b.as_f64())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn numbers_compare_by_value_but_large_integers_exactly() {
    use serde_json::json;
    assert!(same(&json!({"a": 3}), &json!({"a": 3.0})));
    assert!(!same(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_992_i64)));
    assert!(!same(&json!([1]), &json!([1, 2])));
}
