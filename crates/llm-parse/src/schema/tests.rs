use serde_json::{Value, json};

use super::Schema;
use crate::error::ErrorKind;
use crate::parse::Parser;

fn fits(schema: &Value, raw: &str) -> Result<Value, ErrorKind> {
    let schema = Schema::from_json(schema).map_err(|error| error.kind())?;
    Parser::<Value>::with_schema(schema).parse(raw).map(|parsed| parsed.value).map_err(|error| error.kind())
}

/// Two towers of alternatives under one `allOf`, each level twice the same but for its title.
fn towers(levels: usize, distinct: bool) -> Value {
    let mut defs =
        json!({"A0": {"type": "string", "minLength": 1}, "B0": {"type": "string", "maxLength": 9}});
    for level in 1..=levels {
        for name in ["A", "B"] {
            let below = format!("#/$defs/{name}{}", level - 1);
            let other = if distinct {
                json!({"$ref": below, "pattern": format!("{name}{level}")})
            } else {
                json!({"$ref": below, "title": name})
            };
            defs[format!("{name}{level}")] = json!({"anyOf": [{"$ref": below}, other]});
        }
    }
    json!({"$defs": defs, "allOf": [{"$ref": format!("#/$defs/A{levels}")}, {"$ref": format!("#/$defs/B{levels}")}]})
}

#[test]
fn alternatives_that_hold_together_cost_no_more_than_their_number() {
    // 4^40 pairs, of which two are left.
    let schema = towers(40, false);
    assert_eq!(fits(&schema, r#""x""#), Ok(json!("x")));
    assert_eq!(fits(&schema, r#""longer than nine""#), Err(ErrorKind::Constraint));
}

#[test]
fn a_schema_that_is_too_wide_is_refused_as_such() {
    let error = Schema::from_json(&towers(12, true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.to_string().contains("too wide"), "{error}");
}

#[test]
fn references_that_double_at_every_step_are_compiled_and_written_once() {
    let doubled = |join: fn(&str) -> Value| {
        let mut defs = json!({"T0": {"type": "integer"}});
        for level in 1..=60 {
            defs[format!("T{level}")] = join(&format!("#/$defs/T{}", level - 1));
        }
        json!({"$defs": defs, "$ref": "#/$defs/T60"})
    };
    let all = doubled(|to| json!({"allOf": [{"$ref": to}, {"$ref": to, "minimum": 0}, {"$ref": to}]}));
    assert_eq!(fits(&all, "5"), Ok(json!(5)));
    assert_eq!(fits(&all, "-5"), Err(ErrorKind::Constraint));
    let any = doubled(|to| json!({"anyOf": [{"$ref": to}, {"$ref": to, "minimum": 0}]}));
    assert_eq!(fits(&any, "5"), Ok(json!(5)));
    let fields =
        doubled(|to| json!({"type": "object", "properties": {"a": {"$ref": to}, "b": {"$ref": to}}}));
    let written = Schema::from_json(&fields).unwrap().render_prompt();
    assert!(written.len() < 20_000, "{} bytes", written.len());
    let lists = doubled(|to| json!({"type": "array", "prefixItems": [{"$ref": to}, {"$ref": to}]}));
    assert_eq!(fits(&lists, "[]"), Ok(json!([])));
}

#[test]
fn a_recursive_reference_may_have_keywords_beside_it() {
    let schema = json!({"$ref": "#/$defs/n", "$defs": {"n": {
        "type": "object",
        "properties": {"v": {"type": "integer"}, "n": {"$ref": "#/$defs/n", "type": "object", "required": ["v"]}},
    }}});
    assert_eq!(
        fits(&schema, r#"{"v":1,"n":{"v":2,"n":{"v":3}}}"#),
        Ok(json!({"v": 1, "n": {"v": 2, "n": {"v": 3}}}))
    );
    assert_eq!(fits(&schema, r#"{"v":1,"n":{"v":2,"n":{}}}"#), Err(ErrorKind::Missing));
    // Beside an `anyOf` that leads back, too.
    let schema = json!({"$ref": "#/$defs/t", "$defs": {"t": {
        "type": ["integer", "array"],
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "array", "items": {"$ref": "#/$defs/t", "maximum": 9}}],
    }}});
    assert_eq!(fits(&schema, "[1,[2,[3]]]"), Ok(json!([1, [2, [3]]])));
    assert!(fits(&schema, "[1,[20]]").is_err());
}

#[test]
fn a_reference_that_only_leads_back_to_itself_is_refused() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a", "type": "object"}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}),
    ] {
        assert_eq!(Schema::from_json(&schema).unwrap_err().kind(), ErrorKind::Schema, "{schema}");
    }
}

#[test]
fn all_that_stands_under_all_of_holds() {
    for (all, good, bad) in [
        (
            json!([{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "b$"}]),
            r#""axb""#,
            r#""ax""#,
        ),
        (json!([{"type": "integer", "multipleOf": 2}, {"multipleOf": 3}]), "6", "2"),
        (json!([{"enum": [1, 2, 3]}, {"enum": [2.0, 3, 4]}, {"minimum": 3}]), "3", "2"),
        (json!([{"enum": ["ab", "b"]}, {"pattern": "^a"}]), r#""ab""#, r#""b""#),
        (json!([{"type": "number", "minimum": 0.5}, {"minimum": 0.25}]), "0.5", "0.3"),
        (json!([{"items": {"minimum": 1}}, {"type": "array", "items": {"maximum": 3}}]), "[1,3]", "[1,4]"),
        (
            json!([{"properties": {"a": {"type": "integer"}}}, {"properties": {"a": {"minimum": 2}}, "required": ["a"]}]),
            r#"{"a":2}"#,
            r#"{"a":1}"#,
        ),
        (
            json!([{"additionalProperties": {"type": "integer"}}, {"properties": {"a": {"maximum": 9}}}]),
            r#"{"a":9}"#,
            r#"{"a":10}"#,
        ),
        (json!([{"type": "integer", "format": "uint8"}, {"format": "int32"}]), "255", "256"),
    ] {
        let schema = json!({"allOf": all});
        assert!(fits(&schema, good).is_ok(), "{schema}: {good}");
        assert!(fits(&schema, bad).is_err(), "{schema}: {bad}");
    }
}

#[test]
fn null_is_allowed_where_all_that_hold_together_allow_it() {
    let maybe = |name: &str| json!({"anyOf": [{"type": name}, {"type": "null"}]});
    let schema = |all: Value| json!({"allOf": all});
    for (all, allowed) in [
        (json!([maybe("integer"), maybe("integer")]), true),
        (json!([maybe("integer"), {"type": "integer"}]), false),
        (json!([{"anyOf": [{"type": "integer"}, {"type": "string"}]}, maybe("integer")]), false),
        (json!([maybe("integer"), {"minimum": 2}]), true),
    ] {
        assert_eq!(fits(&schema(all.clone()), "null").is_ok(), allowed, "{all}");
        assert_eq!(fits(&schema(all.clone()), "5"), Ok(json!(5)), "{all}");
    }
    // What some generators write for "an object or null".
    let sloppy =
        json!({"type": "object", "anyOf": [{"properties": {"a": {"type": "integer"}}}, {"type": "null"}]});
    assert_eq!(fits(&sloppy, "null"), Ok(Value::Null));
}

#[test]
fn what_contradicts_itself_is_refused_or_drops_out_of_the_alternatives() {
    for all in [
        json!([{"const": 1}, {"const": 2}]),
        json!([{"type": "string"}, {"type": "integer"}]),
        json!([{"type": "string", "format": "date"}, {"format": "time"}]),
        json!([{"enum": ["a"]}, {"enum": ["b"]}]),
    ] {
        let error = Schema::from_json(&json!({"allOf": all})).unwrap_err();
        assert!(error.kind() == ErrorKind::Schema && error.to_string().contains("at once"), "{error}");
    }
    let kinds = |name: &str| {
        json!({"anyOf": [
            {"properties": {"kind": {"const": "a"}, name: {"type": "integer"}}, "required": ["kind", name]},
            {"properties": {"kind": {"const": "b"}, name: {"type": "string"}}, "required": ["kind", name]},
        ]})
    };
    let schema = json!({"allOf": [kinds("x"), kinds("y")]});
    assert_eq!(
        fits(&schema, r#"{"kind":"b","x":"1","y":"z"}"#),
        Ok(json!({"kind": "b", "x": "1", "y": "z"}))
    );
    assert!(fits(&schema, r#"{"kind":"b","x":"u"}"#).is_err());
}

#[test]
fn whole_numbers_are_compared_exactly() {
    let cases = [
        (json!({"type": "integer", "multipleOf": 2}), "1000000000", "1000000001"),
        (json!({"type": "integer", "multipleOf": 10}), "50000000000", "50000000003"),
        (
            json!({"type": "integer", "maximum": 9_007_199_254_740_992_u64}),
            "9007199254740992",
            "9007199254740993",
        ),
        (
            json!({"type": "integer", "minimum": 9_007_199_254_740_993_u64}),
            "9007199254740993",
            "9007199254740992",
        ),
        (
            json!({"type": "integer", "exclusiveMaximum": u64::MAX}),
            "18446744073709551614",
            "18446744073709551615",
        ),
        (
            json!({"type": "integer", "exclusiveMinimum": i64::MIN}),
            "-9223372036854775807",
            "-9223372036854775808",
        ),
        (json!({"type": "number", "maximum": u64::MAX - 1}), "18446744073709551614", "18446744073709551615"),
        (json!({"type": "number", "multipleOf": 0.01}), "19.99", "19.995"),
        (json!({"const": 9_007_199_254_740_993_u64}), "9007199254740993", "9007199254740992"),
        (json!({"const": 4_503_599_627_370_497_u64}), "4503599627370497", "4503599627370498"),
        (json!({"enum": [u64::MAX, i64::MIN]}), "18446744073709551615", "18446744073709551614"),
        (json!({"enum": [0.1, 3]}), "0.1", "0.10000000000000002"),
    ];
    for (schema, good, bad) in cases {
        let value: Value = serde_json::from_str(good).unwrap();
        assert_eq!(fits(&schema, good), Ok(value), "{schema}");
        assert!(fits(&schema, bad).is_err(), "{schema}: {bad}");
    }
    let schema = json!({"enum": [1_234_567_890_123_456_789_u64, 1_234_567_890_123_456_790_u64]});
    assert_eq!(fits(&schema, "1234567890123456790"), Ok(json!(1_234_567_890_123_456_790_u64)));
}
