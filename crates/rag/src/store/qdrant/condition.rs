//! Filters as conditions on a point's [fields](super::fields).
//!
//! The three values go down to the fields, as with SQL: of which points is this true, of which is it false. What Qdrant cannot ask
//! (texts by their order or by a part of them, places by their distance, numbers that no double is) becomes a condition that holds of
//! more points, and says so: then the documents that it admits are read, and the filter is evaluated here.

use pumasi_core::filter::{Bounds, FieldPath, Filter, Unsupported, Value};
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::{self, Condition, Range};

use super::fields;
use crate::Result;

/// A member has this value: a whole one, which the client's own conversion makes words of if there is a space in it.
pub(super) fn keyword(member: &str, value: impl Into<String>) -> Condition {
    Condition::matches(member, MatchValue::Keyword(value.into()))
}

/// Of which points something holds.
#[expect(clippy::large_enum_variant, reason = "there are few, and not for long")]
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Of {
    /// All.
    All,
    /// None.
    None,
    /// Those of which this holds.
    Those(Condition),
}

/// A condition that a filter implies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Implied {
    pub(super) of: Of,
    /// Whether it implies the filter in turn.
    pub(super) exact: bool,
}

impl Implied {
    const fn exactly(of: Of) -> Self {
        Self { of, exact: true }
    }

    fn those(condition: impl Into<Condition>) -> Self {
        Self::exactly(Of::Those(condition.into()))
    }

    const fn at_most(mut self) -> Self {
        self.exact = false;
        self
    }
}

/// Returns a condition that holds of all points that match.
///
/// # Errors
///
/// `Unsupported` for an operator that is not known here.
pub(super) fn implied(filter: &Filter) -> Result<Implied> {
    node(filter, true)
}

/// Returns the condition of those points of which the filter is `truth`.
fn node(filter: &Filter, truth: bool) -> Result<Implied> {
    Ok(match filter {
        Filter::And(all) | Filter::Or(all) => {
            let parts = all.iter().map(|filter| node(filter, truth)).collect::<Result<Vec<_>>>()?;
            if matches!(filter, Filter::And(_)) == truth { every(parts) } else { any(parts) }
        }
        Filter::Not(inner) => node(inner, !truth)?,
        Filter::Exists { field } if truth => there(field),
        Filter::Exists { field } => Implied::those(qdrant::Filter::must_not([has('e', field)])),
        Filter::Eq { field, value } => {
            holds(field, truth, is('=', field, std::slice::from_ref(value)), value.is_nan())
        }
        Filter::In { values, .. } if values.is_empty() => {
            Implied::exactly(if truth { Of::None } else { Of::All })
        }
        // nothing equals NaN, and nothing is known to be unequal to it
        Filter::In { field, values } => {
            holds(field, truth, is('=', field, values), !truth && values.iter().any(Value::is_nan))
        }
        Filter::Contains { field, value } => {
            let element = is('~', field, std::slice::from_ref(value));
            let test = match value {
                Value::Text(part) if part.is_empty() => any(vec![element, Implied::those(has('s', field))]),
                Value::Text(_) => any(vec![element, Implied::those(has('s', field)).at_most()]),
                _ => element,
            };
            holds(field, truth, test, value.is_nan())
        }
        Filter::Range { field, bounds } => {
            let parts = ends(bounds).map(|end| holds(field, truth, compare(field, end), end.value.is_nan()));
            if truth { every(parts.collect()) } else { any(parts.collect()) }
        }
        Filter::Near { field, .. } => holds(field, truth, Implied::those(has('p', field)).at_most(), false),
        other => return Err(Unsupported::at(other, &[], "the operator").into()),
    })
}

fn every(parts: Vec<Implied>) -> Implied {
    if parts.iter().any(|part| part.of == Of::None) {
        return Implied::exactly(Of::None);
    }
    let exact = parts.iter().all(|part| part.exact);
    let mut those: Vec<Condition> = parts.into_iter().filter_map(|part| part.of.those()).collect();
    let of = match (those.len(), those.pop()) {
        (1, Some(one)) => Of::Those(one),
        (_, Some(last)) => Of::Those(qdrant::Filter::must(those.into_iter().chain([last])).into()),
        (_, None) => Of::All,
    };
    Implied { of, exact }
}

fn any(parts: Vec<Implied>) -> Implied {
    if let Some(all) = parts.iter().filter(|part| part.of == Of::All).max_by_key(|part| part.exact) {
        return all.clone();
    }
    let exact = parts.iter().all(|part| part.exact);
    let mut those: Vec<Condition> = parts.into_iter().filter_map(|part| part.of.those()).collect();
    let of = match (those.len(), those.pop()) {
        (1, Some(one)) => Of::Those(one),
        (_, Some(last)) => Of::Those(qdrant::Filter::should(those.into_iter().chain([last])).into()),
        (_, None) => Of::None,
    };
    Implied { of, exact }
}

impl Of {
    fn those(self) -> Option<Condition> {
        match self {
            Self::Those(condition) => Some(condition),
            Self::All | Self::None => None,
        }
    }
}

/// A test, or that it is not so of a field that is there; what is unknown is neither.
fn holds(field: &FieldPath, truth: bool, test: Implied, unknown: bool) -> Implied {
    if unknown {
        return Implied::exactly(Of::None);
    }
    if truth {
        return test;
    }
    if !test.exact {
        return there(field).at_most();
    }
    match test.of {
        Of::All => Implied::exactly(Of::None),
        Of::None => there(field),
        Of::Those(condition) => Implied::those(qdrant::Filter {
            must: vec![has('e', field)],
            must_not: vec![condition],
            ..qdrant::Filter::default()
        }),
    }
}

fn there(field: &FieldPath) -> Implied {
    Implied::those(has('e', field))
}

fn has(kind: char, field: &FieldPath) -> Condition {
    keyword("has", fields::named(kind, field.as_str()))
}

/// The field is one of some values, or an array with one of them.
fn is(what: char, field: &FieldPath, values: &[Value]) -> Implied {
    let values = values.iter().filter_map(fields::value);
    let tokens: Vec<String> =
        values.map(|(kind, value)| fields::token(what, kind, field.as_str(), &value)).collect();
    if tokens.is_empty() {
        return Implied::exactly(Of::None);
    }
    Implied::those(Condition::matches("is", tokens))
}

/// One end of a range.
#[derive(Clone, Copy)]
struct End<'a> {
    value: &'a Value,
    inclusive: bool,
    lower: bool,
}

fn ends(bounds: &Bounds) -> impl Iterator<Item = End<'_>> {
    let low = bounds.low().map(|(value, inclusive)| End { value, inclusive, lower: true });
    let high = bounds.high().map(|(value, inclusive)| End { value, inclusive, lower: false });
    low.into_iter().chain(high)
}

/// The field is on the right side of an end.
fn compare(field: &FieldPath, end: End<'_>) -> Implied {
    let (kind, bound) = match end.value {
        Value::Float(bound) => ('n', Some(*bound)),
        Value::Int(int) => ('n', whole(*int)),
        Value::Time(moment) => ('t', whole(i128::from(moment.as_micros()))),
        Value::Text(_) => ('s', None),
        // truth values have an order, too, and no kind of their own
        _ => return there(field).at_most(),
    };
    match bound {
        None => Implied::those(has(kind, field)).at_most(),
        // all numbers are finite
        Some(bound) if bound.is_infinite() => {
            let below = bound < 0.0;
            if below == end.lower { Implied::those(has(kind, field)) } else { Implied::exactly(Of::None) }
        }
        Some(bound) => {
            let mut range = Range::default();
            let to = match (end.lower, end.inclusive) {
                (true, true) => &mut range.gte,
                (true, false) => &mut range.gt,
                (false, true) => &mut range.lte,
                (false, false) => &mut range.lt,
            };
            *to = Some(bound);
            // at least the bound, or below it: so is the double that is not above the number; the others by the one not below it
            let side = if end.lower == end.inclusive { "low" } else { "high" };
            let name = fields::ordered(kind, field.as_str());
            Implied::those(Condition::range(format!("{side}.{name}"), range))
        }
    }
}

/// The double that is a whole number, if one is.
fn whole(int: i128) -> Option<f64> {
    let (low, high) = fields::around(int);
    // the largest whole number is rounded up, and its double back down
    (low.to_bits() == high.to_bits() && low.abs() < 1e38).then_some(low)
}

#[cfg(test)]
mod tests {
    use pumasi_core::filter::{Circle, GeoPoint};

    use super::*;

    #[test]
    fn what_cannot_be_asked_is_told() {
        let field = FieldPath::from("a");
        let exact = |filter: &Filter| implied(filter).unwrap().exact;
        let near = field.near(Circle::new(GeoPoint::new(37.0, 127.0), 100.0));
        let part = field.contains("x");
        assert!(!exact(&near) && !exact(&!near.clone()) && !exact(&part) && !exact(&!part.clone()));
        assert!(
            !exact(&field.within(Bounds::gte("a"))) && !exact(&field.within(Bounds::gt((1_i64 << 53) + 1)))
        );
        assert!(!exact(&field.within(Bounds::gt(Value::Int(i128::MAX)))));
        assert!(
            exact(&field.within(Bounds::gte(1).and_lt(2.5)))
                && exact(&field.contains(1))
                && exact(&!field.eq("x"))
        );
        // what the one part admits none of, the other need not be asked of
        assert_eq!(
            implied(&Filter::And(vec![near.clone(), Filter::nothing()])).unwrap(),
            Implied::exactly(Of::None)
        );
        assert!(exact(&Filter::Or(vec![near.clone(), Filter::everything()])));
        assert!(!exact(&field.exists().and(near)));
    }

    #[test]
    fn bounds_ask_the_double_on_the_right_side() {
        let key = |bounds: Bounds| {
            let Of::Those(condition) = implied(&FieldPath::from("a").within(bounds)).unwrap().of else {
                panic!("no condition")
            };
            format!("{condition:?}")
        };
        assert!(key(Bounds::gte(1)).contains("low.n_a") && key(Bounds::lt(1)).contains("low.n_a"));
        assert!(key(Bounds::gt(1)).contains("high.n_a") && key(Bounds::lte(1)).contains("high.n_a"));
    }
}
