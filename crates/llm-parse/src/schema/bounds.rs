//! Bounds of numbers, as one schema states them and as several state them together.

use serde_json::{Map, Value};

use super::exact::Exact;
use super::parts::Parts;
use super::shape::{Bounds, Integer};

/// The bounds that one map of keywords states.
pub(super) fn of(map: &Map<String, Value>) -> Bounds {
    let number = |name: &str| match map.get(name) {
        Some(Value::Number(number)) => Some(Exact::of(number)),
        _ => None,
    };
    // Draft 4 wrote `exclusiveMinimum: true` beside `minimum`.
    let exclusive = |name: &str| map.get(name) == Some(&Value::Bool(true));
    let (mut min, mut max) = (number("minimum"), number("maximum"));
    let (mut above, mut below) = (number("exclusiveMinimum"), number("exclusiveMaximum"));
    if exclusive("exclusiveMinimum") {
        above = min.take();
    }
    if exclusive("exclusiveMaximum") {
        below = max.take();
    }
    let steps = number("multipleOf").filter(|step| *step > Exact::Whole(0)).into_iter().collect();
    let single = map.get("format").and_then(Value::as_str) == Some("float");
    Bounds { min, max, above, below, steps, single }
}

/// The bounds that hold together.
pub(super) fn joined(parts: &Parts<'_>) -> Bounds {
    let mut joined = Bounds::default();
    for own in parts.rules.iter().map(|rule| of(rule)) {
        joined.min = larger(joined.min, own.min);
        joined.above = larger(joined.above, own.above);
        joined.max = smaller(joined.max, own.max);
        joined.below = smaller(joined.below, own.below);
        joined.steps.extend(own.steps);
        joined.single |= own.single;
    }
    joined
}

fn larger(a: Option<Exact>, b: Option<Exact>) -> Option<Exact> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b > a { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn smaller(a: Option<Exact>, b: Option<Exact>) -> Option<Exact> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b < a { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// The whole numbers that fit the formats and bounds together.
pub(super) fn integer(parts: &Parts<'_>) -> Integer {
    let mut formats = parts.values("format").filter_map(Value::as_str).filter_map(range);
    // Without a format an integer may be whatever `serde_json` can carry without loss.
    let first = formats.next().unwrap_or((i128::from(i64::MIN), i128::from(u64::MAX), false));
    let (min, max, wide) =
        formats.fold(first, |all, own| (all.0.max(own.0), all.1.min(own.1), all.2 && own.2));
    Integer { min, max, wide, type_min: min, type_max: max, bounds: joined(parts) }
}

/// The ends of an integer format; the third says that the upper end is that of `u128`.
fn range(format: &str) -> Option<(i128, i128, bool)> {
    Some(match format {
        "int8" => (i128::from(i8::MIN), i128::from(i8::MAX), false),
        "int16" => (i128::from(i16::MIN), i128::from(i16::MAX), false),
        "int32" => (i128::from(i32::MIN), i128::from(i32::MAX), false),
        "int64" | "int" => (i128::from(i64::MIN), i128::from(i64::MAX), false),
        "int128" => (i128::MIN, i128::MAX, false),
        "uint8" => (0, i128::from(u8::MAX), false),
        "uint16" => (0, i128::from(u16::MAX), false),
        "uint32" => (0, i128::from(u32::MAX), false),
        "uint64" | "uint" => (0, i128::from(u64::MAX), false),
        "uint128" => (0, i128::MAX, true),
        _ => return None,
    })
}
