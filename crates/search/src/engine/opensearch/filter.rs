//! A filter as a query of the cluster: the documents of which it is true, or those of which it is false.

use pumasi_core::filter::{Bounds, Circle, FieldPath, Filter, Value};
use serde_json::{Value as Json, json};

use super::layout::Layout;
use crate::schema::{FieldKind, MAX_KEYWORD_BYTES};

pub(super) fn everything() -> Json {
    json!({"term": {"gone": false}})
}

pub(super) fn nothing() -> Json {
    json!({"match_none": {}})
}

fn all_of(queries: &[Json]) -> Json {
    if queries.is_empty() { everything() } else { json!({"bool": {"filter": queries}}) }
}

fn any_of(queries: &[Json]) -> Json {
    if queries.is_empty() {
        nothing()
    } else {
        json!({"bool": {"should": queries, "minimum_should_match": 1}})
    }
}

fn present(path: &FieldPath) -> Json {
    json!({"term": {"present": path.as_str()}})
}

fn without(base: &Json, excluded: &Json) -> Json {
    json!({"bool": {"filter": [base], "must_not": [excluded]}})
}

/// The documents of which `filter` is true (or false).
pub(super) fn lower(layout: &Layout, filter: &Filter, truth: bool) -> Json {
    let children = |children: &[Filter]| -> Vec<Json> {
        children.iter().map(|child| lower(layout, child, truth)).collect()
    };
    match filter {
        Filter::And(all) if truth => all_of(&children(all)),
        Filter::And(all) => any_of(&children(all)),
        Filter::Or(any) if truth => any_of(&children(any)),
        Filter::Or(any) => all_of(&children(any)),
        Filter::Not(inner) => lower(layout, inner, !truth),
        Filter::Exists { field } if truth => present(field),
        Filter::Exists { field } => without(&everything(), &present(field)),
        Filter::In { values, .. } if values.is_empty() => {
            if truth {
                nothing()
            } else {
                everything()
            }
        }
        leaf => {
            let Some((path, (name, kind))) = leaf.field().and_then(|path| Some((path, layout.column(path)?)))
            else {
                return nothing();
            };
            // a comparison with NaN is unknown
            let (holds, unknown) = holds(&name, kind, leaf);
            match (truth, unknown) {
                (true, _) => holds,
                (false, true) => nothing(),
                (false, false) => without(&present(path), &holds),
            }
        }
    }
}

/// The documents that a comparison holds of, and whether it is unknown of all others.
fn holds(name: &str, kind: FieldKind, leaf: &Filter) -> (Json, bool) {
    let number = matches!(kind, FieldKind::Int | FieldKind::Time | FieldKind::Bool);
    match (kind, leaf) {
        // longer than any keyword, and than the cluster takes
        (FieldKind::Keyword, Filter::Contains { value: Value::Text(part), .. })
            if part.len() > MAX_KEYWORD_BYTES =>
        {
            (nothing(), false)
        }
        (FieldKind::Keyword, Filter::Contains { value: Value::Text(part), .. }) => {
            let escaped: String = part
                .chars()
                .flat_map(|c| matches!(c, '*' | '?' | '\\').then_some('\\').into_iter().chain([c]))
                .collect();
            (json!({"wildcard": {name: {"value": format!("*{escaped}*")}}}), false)
        }
        (FieldKind::Keyword | FieldKind::Keywords, _) => (keywords(name, leaf), false),
        (FieldKind::Place, Filter::Near { circle, .. }) => (near(name, *circle), false),
        (_, Filter::Eq { value, .. }) => {
            let bounds = Bounds::gte(value.clone()).and_lte(value.clone());
            (range(name, number, &bounds), value.is_nan())
        }
        (_, Filter::In { values, .. }) => {
            // one look-up, however many there are; what no number of the field equals is left out
            let one = |value: &Value| {
                let bounds = Bounds::gte(value.clone()).and_lte(value.clone());
                if number {
                    whole_ends(&bounds).map(|(low, _)| json!(low))
                } else {
                    decimal_ends(&bounds).filter(|(low, _)| low.is_finite()).map(|(low, _)| json!(low))
                }
            };
            let known: Vec<Json> = values.iter().filter_map(one).collect();
            (json!({"terms": {name: known}}), values.iter().any(Value::is_nan))
        }
        (_, Filter::Range { bounds, .. }) => {
            let ends = [bounds.low(), bounds.high()];
            (range(name, number, bounds), ends.into_iter().flatten().any(|(value, _)| value.is_nan()))
        }
        _ => (nothing(), false),
    }
}

fn keywords(name: &str, leaf: &Filter) -> Json {
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    match leaf {
        Filter::Eq { value, .. } | Filter::Contains { value, .. } => {
            text(value).map_or_else(nothing, |text| json!({"term": {name: {"value": text}}}))
        }
        Filter::In { values, .. } => {
            json!({"terms": {name: values.iter().filter_map(text).collect::<Vec<_>>()}})
        }
        Filter::Range { bounds, .. } => {
            let mut ends = serde_json::Map::new();
            if let Some((value, inclusive)) = bounds.low() {
                ends.insert(if inclusive { "gte" } else { "gt" }.to_owned(), json!(text(value)));
            }
            if let Some((value, inclusive)) = bounds.high() {
                ends.insert(if inclusive { "lte" } else { "lt" }.to_owned(), json!(text(value)));
            }
            json!({"range": {name: ends}})
        }
        _ => nothing(),
    }
}

/// Documents whose number lies within bounds. The cluster compares whole numbers of 64 bits, or doubles: bounds are brought to
/// the nearest one that says the same.
fn range(name: &str, whole: bool, bounds: &Bounds) -> Json {
    let ends = if whole {
        whole_ends(bounds).map(|(low, high)| (json!(low), json!(high)))
    } else {
        decimal_ends(bounds).map(|(low, high)| {
            // JSON has no infinity; no document has one
            let finite = |end: f64| json!(end.clamp(f64::MIN, f64::MAX));
            (finite(low), finite(high))
        })
    };
    ends.map_or_else(nothing, |(low, high)| json!({"range": {name: {"gte": low, "lte": high}}}))
}

fn whole_ends(bounds: &Bounds) -> Option<(i64, i64)> {
    let exact = |value: &Value| match value {
        Value::Bool(value) => Some((i128::from(*value), false)),
        Value::Int(value) => Some((*value, false)),
        Value::Time(value) => Some((i128::from(value.as_micros()), false)),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "held within the bounds of i128, and those suffice"
        )]
        Value::Float(value) if !value.is_nan() => Some((value.floor() as i128, value.fract() != 0.0)),
        _ => None,
    };
    let low = match bounds.low() {
        Some((value, inclusive)) => {
            let (floor, fraction) = exact(value)?;
            floor.saturating_add(i128::from(fraction || !inclusive))
        }
        None => i128::MIN,
    };
    let high = match bounds.high() {
        Some((value, inclusive)) => {
            let (floor, fraction) = exact(value)?;
            floor.saturating_sub(i128::from(!fraction && !inclusive))
        }
        None => i128::MAX,
    };
    let low = i64::try_from(low.max(i64::MIN.into())).ok()?;
    let high = i64::try_from(high.min(i64::MAX.into())).ok()?;
    (low <= high).then_some((low, high))
}

fn decimal_ends(bounds: &Bounds) -> Option<(f64, f64)> {
    // the doubles next to a number: the same twice where it is one itself
    let around = |value: &Value| match value {
        Value::Float(value) if !value.is_nan() => Some((*value, *value)),
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "what is lost is looked at"
        )]
        Value::Int(value) => {
            let near = *value as f64;
            Some(match (near as i128).cmp(value) {
                std::cmp::Ordering::Equal => (near, near),
                std::cmp::Ordering::Less => (near, near.next_up()),
                std::cmp::Ordering::Greater => (near.next_down(), near),
            })
        }
        _ => None,
    };
    let plain = |end: f64| if end == 0.0 { 0.0 } else { end };
    let low = match bounds.low() {
        Some((value, inclusive)) => {
            let (below, above) = around(value)?;
            if !inclusive && below.total_cmp(&above).is_eq() { plain(above).next_up() } else { plain(above) }
        }
        None => f64::MIN,
    };
    let high = match bounds.high() {
        Some((value, inclusive)) => {
            let (below, above) = around(value)?;
            if !inclusive && below.total_cmp(&above).is_eq() {
                plain(below).next_down()
            } else {
                plain(below)
            }
        }
        None => f64::MAX,
    };
    (low <= high).then_some((low, high))
}

fn near(name: &str, circle: Circle) -> Json {
    let place = json!({"lat": circle.center.lat, "lon": circle.center.lon});
    // the cluster takes no circle without a radius: a millimetre is far below what it tells apart
    let radius_m = circle.radius_m.max(0.001);
    json!({"geo_distance": {"distance": format!("{radius_m}m"), name: place, "distance_type": "arc"}})
}
