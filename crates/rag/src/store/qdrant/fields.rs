//! Metadata in the form that filters ask, as members of a point's payload.
//!
//! | member | what it holds |
//! |---|---|
//! | `has` | of each field `e` and its path; and `n`, `s`, `t` or `p` and its path where it is a number, a text, a moment or a place |
//! | `is` | of each scalar `=`, and of each element of an array `~`, with its kind, path and value |
//! | `low`, `high` | of each number and moment the nearest doubles that are not above and not below it, by kind and path |
//!
//! So a filter by equality or membership is a match of a keyword in `is`, whatever type a field has in each document, and one index serves
//! all fields; a filter by bounds is exact although Qdrant compares doubles: a number is at least a bound if the double below it is.

use std::fmt::Write as _;

use pumasi_core::filter::{GeoPoint, Value};
use pumasi_core::time::Timestamp;
use qdrant_client::qdrant::{ListValue, Struct, Value as Stored, value::Kind};
use serde_json::{Map, Value as Json};

use super::payload::{Members, real, text};
use crate::document::Fingerprint;
use crate::store::fields::{digits, visit};

/// Longer values are known by their hash.
const LONGEST: usize = 64;

/// Appends the members of a document's metadata.
pub(super) fn write(metadata: &Map<String, Json>, members: &mut Members) {
    let (mut has, mut is) = (Vec::new(), Vec::new());
    let (mut low, mut high) = (Struct::default(), Struct::default());
    visit(metadata, &mut |path, value| {
        has.push(text(named('e', path)));
        if let Json::Array(items) = value {
            let items = items.iter().flat_map(scalars);
            is.extend(items.map(|(kind, value)| text(token('~', kind, path, &value))));
        }
        if is_place(value) {
            has.push(text(named('p', path)));
        }
        for (kind, said) in scalars(value) {
            if kind != 'b' {
                has.push(text(named(kind, path)));
            }
            is.push(text(token('=', kind, path, &said)));
            if let Some((below, above)) = ends(kind, value) {
                let name = ordered(kind, path);
                low.fields.insert(name.clone(), real(below));
                high.fields.insert(name, real(above));
            }
        }
    });
    members.insert("has".to_owned(), list(has));
    members.insert("is".to_owned(), list(is));
    if !low.fields.is_empty() {
        members.insert("low".to_owned(), Stored { kind: Some(Kind::StructValue(low)) });
        members.insert("high".to_owned(), Stored { kind: Some(Kind::StructValue(high)) });
    }
}

fn list(values: Vec<Stored>) -> Stored {
    Stored { kind: Some(Kind::ListValue(ListValue { values })) }
}

/// Says that a field is there, or is of a kind.
pub(super) fn named(kind: char, path: &str) -> String {
    format!("{kind}:{path}")
}

/// Says that a field is a value (`=`), or an array with this element (`~`); the path's length tells where it ends.
pub(super) fn token(what: char, kind: char, path: &str, value: &str) -> String {
    if value.len() <= LONGEST {
        return format!("{what}{kind}:{}:{path}:{value}", path.len());
    }
    let hash = Fingerprint::of([value.as_bytes()]);
    format!("{what}{kind}#{}:{path}:{hash}", path.len())
}

/// Names the member of `low` and `high` that a field has: a name that needs no quotes in a path.
pub(super) fn ordered(kind: char, path: &str) -> String {
    let mut name = format!("{kind}_");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "_{byte:02x}");
        }
    }
    name
}

/// The kinds and values of a scalar: a text that is a moment has two.
fn scalars(value: &Json) -> impl Iterator<Item = (char, String)> {
    let (first, second) = match value {
        Json::Bool(value) => (Some(('b', value.to_string())), None),
        Json::Number(number) => {
            let int = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            let digits = int.map(|int| int.to_string()).or_else(|| number.as_f64().map(decimal));
            (digits.map(|digits| ('n', digits)), None)
        }
        Json::String(said) => {
            let moment = said.parse::<Timestamp>().ok();
            (Some(('s', said.clone())), moment.map(|moment| ('t', moment.as_micros().to_string())))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => (None, None),
    };
    first.into_iter().chain(second)
}

/// The kind of a value that a filter compares with, and the value; `None` for NaN, which nothing is compared with.
pub(super) fn value(value: &Value) -> Option<(char, String)> {
    Some(match value {
        Value::Bool(value) => ('b', value.to_string()),
        Value::Int(int) => ('n', int.to_string()),
        Value::Float(float) if float.is_nan() => return None,
        Value::Float(float) => ('n', decimal(*float)),
        Value::Text(said) => ('s', said.clone()),
        Value::Time(moment) => ('t', moment.as_micros().to_string()),
        _ => return None,
    })
}

fn decimal(float: f64) -> String {
    // zero has one name
    digits(if float == 0.0 { 0.0 } else { float })
}

fn is_place(value: &Json) -> bool {
    let degrees = |name| value.get(name).and_then(Json::as_f64);
    value.is_object()
        && matches!((degrees("lat"), degrees("lon")), (Some(lat), Some(lon)) if GeoPoint::new(lat, lon).is_valid())
}

/// The doubles on both sides of a number or a moment.
fn ends(kind: char, value: &Json) -> Option<(f64, f64)> {
    match (kind, value) {
        ('n', Json::Number(number)) => {
            let int = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            int.map(around).or_else(|| number.as_f64().map(|float| (float, float)))
        }
        ('t', Json::String(said)) => {
            said.parse::<Timestamp>().ok().map(|moment| around(i128::from(moment.as_micros())))
        }
        _ => None,
    }
}

/// The doubles on both sides of a whole number; the same twice where it is one.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "what is lost is what is looked for"
)]
pub(super) fn around(int: i128) -> (f64, f64) {
    let near = int as f64;
    match (near as i128).cmp(&int) {
        std::cmp::Ordering::Equal => (near, near),
        std::cmp::Ordering::Less => (near, near.next_up()),
        std::cmp::Ordering::Greater => (near.next_down(), near),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(members: &Members, name: &str) -> Vec<String> {
        let Some(Kind::ListValue(list)) = &members[name].kind else { panic!("no list") };
        let text = |value: &Stored| match &value.kind {
            Some(Kind::StringValue(text)) => text.clone(),
            other => panic!("not a text: {other:?}"),
        };
        list.values.iter().map(text).collect()
    }

    #[test]
    fn each_field_says_what_it_holds() {
        let metadata = json!({
            "n": 12, "half": 0.5, "none": null, "done": false, "a.b": 1,
            "at": "2026-01-01T09:00:00+09:00", "stats": {"likes": 3},
            "tags": ["러닝", 2.0, null, [2]], "place": {"lat": 37.5, "lon": 127},
        });
        let mut members = Members::new();
        write(metadata.as_object().unwrap(), &mut members);
        let mut has = texts(&members, "has");
        has.sort();
        let expected = [
            "e:at",
            "e:done",
            "e:half",
            "e:n",
            "e:place",
            "e:place.lat",
            "e:place.lon",
            "e:stats",
            "e:stats.likes",
            "e:tags",
            "n:half",
            "n:n",
            "n:place.lat",
            "n:place.lon",
            "n:stats.likes",
            "p:place",
            "s:at",
            "t:at",
        ];
        assert_eq!(has, expected);
        let is = texts(&members, "is");
        for token in [
            "=n:1:n:12",
            "=n:4:half:0.5",
            "=b:4:done:false",
            "=t:2:at:1767225600000000",
            "~s:4:tags:러닝",
            "~n:4:tags:2",
        ] {
            assert!(is.iter().any(|said| said == token), "{token} in {is:?}");
        }
        assert_eq!(token('=', 's', "a", &"x".repeat(65)).len(), "=s#1:a:".len() + 32);
        assert_ne!(token('=', 's', "a", "b:c"), token('=', 's', "a:b", "c"));
    }

    #[test]
    fn a_number_lies_between_its_doubles() {
        for int in
            [0, -7, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1, i128::from(u64::MAX), i128::from(i64::MIN) + 1]
        {
            let (low, high) = around(int);
            // what a double has behind it is digits
            let whole = |double: f64| digits(double).parse::<i128>().unwrap();
            assert!(whole(low) <= int && int <= whole(high), "{int}: {low} {high}");
            let next = [low, low.next_up()].map(f64::to_bits);
            assert!(next.contains(&high.to_bits()), "{int}: {low} {high}");
        }
        assert_eq!(around((1 << 53) + 1), (9_007_199_254_740_992.0, 9_007_199_254_740_994.0));
        assert_eq!(ordered('n', "가.b-c"), "n__ea_b0_80_2eb_2dc");
        assert_eq!(decimal(-0.0), "0");
    }
}
