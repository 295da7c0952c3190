//! Metadata in the form that filters ask: one JSON object with a member for each field.
//!
//! | what stands in the field | its member |
//! |---|---|
//! | `true`, `false` | `{"b": …}` |
//! | a number | `{"n": …}`, with all the digits that it has |
//! | a text | `{"s": …}`, and where it is a moment `"t"` with its microseconds |
//! | an array | `{"l": […]}` with its booleans, numbers and texts |
//! | a place | `{"p": [lat, lon]}` |
//! | anything else | `{}` |
//!
//! So PostgreSQL compares as [`Filter::matches`](pumasi_core::filter::Filter::matches) does: a number by its exact value, a moment as
//! one, and nothing with a value of another type. Names that no filter can ask for are left out.

use std::borrow::Cow;
use std::fmt::Write as _;

use pumasi_core::filter::{GeoPoint, Value};
use pumasi_core::time::Timestamp;
use serde_json::{Map, Value as Json};

use crate::store::fields::{digits, visit};

/// Writes the fields of a document's metadata.
pub(super) fn write(metadata: &Map<String, Json>) -> String {
    let mut out = String::from("{");
    visit(metadata, &mut |path, value| {
        if out.len() > 1 {
            out.push(',');
        }
        let _ = write!(out, "{}:{{", quoted(path));
        field(&mut out, value);
        out.push('}');
    });
    out.push('}');
    out
}

fn field(out: &mut String, value: &Json) {
    match value {
        Json::Array(items) => {
            out.push_str("\"l\":[");
            let mut first = true;
            for item in items.iter().filter(|item| item.is_boolean() || item.is_number() || item.is_string())
            {
                out.push_str(if first { "{" } else { ",{" });
                scalar(out, item);
                out.push('}');
                first = false;
            }
            out.push(']');
        }
        Json::Object(members) => {
            let degrees = |name| members.get(name).and_then(Json::as_f64);
            if let (Some(lat), Some(lon)) = (degrees("lat"), degrees("lon"))
                && GeoPoint::new(lat, lon).is_valid()
            {
                let _ = write!(out, "\"p\":[{lat},{lon}]");
            }
        }
        other => scalar(out, other),
    }
}

fn scalar(out: &mut String, value: &Json) {
    match value {
        Json::Bool(value) => {
            let _ = write!(out, "\"b\":{value}");
        }
        Json::Number(number) => {
            let int = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            let digits = int.map(|int| int.to_string()).or_else(|| number.as_f64().map(digits));
            if let Some(digits) = digits {
                let _ = write!(out, "\"n\":{digits}");
            }
        }
        Json::String(said) => {
            let _ = write!(out, "\"s\":{}", quoted(&text(said)));
            if let Ok(moment) = said.parse::<Timestamp>() {
                let _ = write!(out, ",\"t\":{}", moment.as_micros());
            }
        }
        Json::Null | Json::Array(_) | Json::Object(_) => {}
    }
}

/// The member of a value that a filter compares with, and the value as JSON; `None` for NaN, which nothing is compared with.
pub(super) fn value(value: &Value) -> Option<(&'static str, String)> {
    Some(match value {
        Value::Bool(value) => ("b", value.to_string()),
        Value::Int(int) => ("n", int.to_string()),
        Value::Float(float) if float.is_nan() => return None,
        Value::Float(float) => ("n", digits(*float)),
        Value::Text(said) => ("s", quoted(&text(said))),
        Value::Time(moment) => ("t", moment.as_micros().to_string()),
        _ => return None,
    })
}

/// Writes a text without NUL, which JSONB refuses, such that parts and order stay: the first four characters become three.
pub(super) fn text(said: &str) -> Cow<'_, str> {
    if !said.contains(|c| c < '\u{4}') {
        return Cow::Borrowed(said);
    }
    let mut out = String::with_capacity(said.len() + 8);
    for c in said.chars() {
        match c {
            '\0' => out.push_str("\u{1}\u{2}\u{2}"),
            '\u{1}' => out.push_str("\u{1}\u{2}\u{3}"),
            '\u{2}' => out.push_str("\u{1}\u{3}\u{2}"),
            '\u{3}' => out.push_str("\u{1}\u{3}\u{3}"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Writes a text as JSON does.
pub(super) fn quoted(said: &str) -> String {
    Json::from(said).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(metadata: &Json) -> Json {
        serde_json::from_str(&write(metadata.as_object().unwrap())).unwrap()
    }

    #[test]
    fn each_field_says_what_it_holds() {
        let metadata = json!({
            "lang": "ko", "n": 12, "half": 0.5, "none": null, "done": false, "a.b": 1, "": 2,
            "at": "2026-01-01T09:00:00+09:00",
            "stats": {"likes": 3, "deep": {"er": "x"}},
            "tags": ["러닝", 1, null, [2], true],
            "place": {"lat": 37.5, "lon": 127}, "nowhere": {"lat": 99, "lon": 0},
        });
        let expected = json!({
            "lang": {"s": "ko"}, "n": {"n": 12}, "half": {"n": 0.5}, "done": {"b": false},
            "at": {"s": "2026-01-01T09:00:00+09:00", "t": 1_767_225_600_000_000_u64},
            "stats": {}, "stats.likes": {"n": 3}, "stats.deep": {}, "stats.deep.er": {"s": "x"},
            "tags": {"l": [{"s": "러닝"}, {"n": 1}, {"b": true}]},
            "place": {"p": [37.5, 127]}, "place.lat": {"n": 37.5}, "place.lon": {"n": 127},
            "nowhere": {}, "nowhere.lat": {"n": 99}, "nowhere.lon": {"n": 0},
        });
        assert_eq!(fields(&metadata), expected);
        assert_eq!(write(&Map::new()), "{}");
    }

    #[test]
    fn texts_without_nul_keep_their_order_and_their_parts() {
        let some = [
            "",
            "\0",
            "\u{1}",
            "\u{2}",
            "\u{3}",
            "\u{4}",
            "a",
            "a\0",
            "a\0b",
            "\0\u{2}",
            "\u{1}\u{2}",
            "\u{3}\u{3}",
        ];
        for a in some {
            assert!(!text(a).contains('\0'));
            for b in some {
                assert_eq!(
                    text(a).as_bytes().cmp(text(b).as_bytes()),
                    a.as_bytes().cmp(b.as_bytes()),
                    "{a:?} {b:?}"
                );
                assert_eq!(text(a).contains(&*text(b)), a.contains(b), "{a:?} {b:?}");
            }
        }
    }
}
