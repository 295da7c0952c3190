//! The reference: what a filter says of a record in memory.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::Value as Json;

use super::{FieldPath, Filter, GeoPoint, Value};
use crate::time::Timestamp;

/// What a filter says of a record (Kleene, "Introduction to Metamathematics", 1952, section 64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// A field that it asks for is missing.
    Unknown,
}

impl Truth {
    /// Tells whether the record matches.
    pub const fn is_true(self) -> bool {
        matches!(self, Self::True)
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// What stands in a field. `Debug` shows of a string how long it is, never what it says.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Datum<'a> {
    /// Nothing, or null.
    Missing,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A decimal number.
    Float(f64),
    /// A string. Compared with a moment, it is read as RFC 3339.
    Text(Cow<'a, str>),
    /// A moment.
    Time(Timestamp),
    /// A place.
    Place(GeoPoint),
    /// An array.
    List(Vec<Datum<'a>>),
    /// Something that no value equals.
    Other,
}

impl fmt::Debug for Datum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing"),
            Self::Bool(value) => write!(f, "Bool({value})"),
            Self::Int(value) => write!(f, "Int({value})"),
            Self::Float(value) => write!(f, "Float({value:?})"),
            Self::Text(value) => write!(f, "Text({} bytes)", value.len()),
            Self::Time(value) => write!(f, "Time({value})"),
            Self::Place(value) => write!(f, "Place({value:?})"),
            Self::List(values) => f.debug_tuple("List").field(values).finish(),
            Self::Other => f.write_str("Other"),
        }
    }
}

/// A thing with fields, which filters are evaluated on.
///
/// Implemented for [`serde_json::Value`] and its map; implement it for your own types to filter them without a detour.
pub trait Record {
    /// Returns what stands in the field at `path`.
    fn field(&self, path: &FieldPath) -> Datum<'_>;
}

impl<R: Record + ?Sized> Record for &R {
    fn field(&self, path: &FieldPath) -> Datum<'_> {
        (**self).field(path)
    }
}

impl Record for Json {
    /// Follows the names through objects; arrays are not entered.
    fn field(&self, path: &FieldPath) -> Datum<'_> {
        follow(Some(self), path.names())
    }
}

impl Record for serde_json::Map<String, Json> {
    /// Follows the names through objects; arrays are not entered.
    fn field(&self, path: &FieldPath) -> Datum<'_> {
        let mut names = path.names();
        follow(names.next().and_then(|name| self.get(name)), names)
    }
}

fn follow<'a, 'n>(from: Option<&'a Json>, names: impl Iterator<Item = &'n str>) -> Datum<'a> {
    let mut at = from;
    for name in names {
        at = at.and_then(|at| at.get(name));
    }
    at.map_or(Datum::Missing, datum)
}

fn datum(json: &Json) -> Datum<'_> {
    match json {
        Json::Null => Datum::Missing,
        Json::Bool(value) => Datum::Bool(*value),
        Json::Number(number) => {
            let int = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
            match (int, number.as_f64()) {
                (Some(int), _) => Datum::Int(int),
                (None, Some(float)) => Datum::Float(float),
                (None, None) => Datum::Other,
            }
        }
        Json::String(text) => Datum::Text(Cow::Borrowed(text)),
        Json::Array(items) => Datum::List(items.iter().map(datum).collect()),
        Json::Object(members) => {
            let degrees = |name| members.get(name).and_then(Json::as_f64);
            match (degrees("lat"), degrees("lon")) {
                (Some(lat), Some(lon)) => Datum::Place(GeoPoint::new(lat, lon)),
                _ => Datum::Other,
            }
        }
    }
}

impl Datum<'_> {
    /// Compares the field with a value: `Err` is unknown, `Ok(None)` another type.
    fn compare(&self, value: &Value) -> Result<Option<Ordering>, Truth> {
        if value.is_nan() {
            return Err(Truth::Unknown);
        }
        let same = match (self, value) {
            (Datum::Missing, _) => return Err(Truth::Unknown),
            (Datum::Float(float), Value::Int(_) | Value::Float(_)) if float.is_nan() => {
                return Err(Truth::Unknown);
            }
            (Datum::Bool(field), Value::Bool(_)) => Value::Bool(*field).compare(value),
            (Datum::Int(field), _) => Value::Int(*field).compare(value),
            (Datum::Float(field), _) => Value::Float(*field).compare(value),
            (Datum::Text(field), Value::Text(text)) => Some(field.as_bytes().cmp(text.as_bytes())),
            (Datum::Text(field), Value::Time(time)) => {
                field.parse::<Timestamp>().ok().map(|field| field.cmp(time))
            }
            (Datum::Time(field), Value::Time(time)) => Some(field.cmp(time)),
            _ => None,
        };
        Ok(same)
    }

    fn equals(&self, value: &Value) -> Truth {
        match self.compare(value) {
            Ok(order) => (order == Some(Ordering::Equal)).into(),
            Err(truth) => truth,
        }
    }
}

impl Filter {
    /// Tells whether `record` matches: whether the filter is true of it.
    pub fn matches(&self, record: &(impl Record + ?Sized)) -> bool {
        self.evaluate(record).is_true()
    }

    /// Evaluates the filter on `record`; see the [module](super) for the table of truth.
    pub fn evaluate(&self, record: &(impl Record + ?Sized)) -> Truth {
        match self {
            Self::And(all) => !any(all, |filter| !filter.evaluate(record)),
            Self::Or(some) => any(some, |filter| filter.evaluate(record)),
            Self::Not(filter) => !filter.evaluate(record),
            Self::Eq { field, value } => record.field(field).equals(value),
            Self::In { field, values } => {
                let datum = record.field(field);
                any(values, |value| datum.equals(value))
            }
            Self::Range { field, bounds } => {
                let datum = record.field(field);
                let low = bounds.low().map(|(value, inclusive)| (value, inclusive, Ordering::Greater));
                let high = bounds.high().map(|(value, inclusive)| (value, inclusive, Ordering::Less));
                let ends: Vec<_> = low.into_iter().chain(high).collect();
                !any(&ends, |(value, inclusive, wanted)| match datum.compare(value) {
                    Ok(Some(order)) => {
                        !Truth::from(order == *wanted || (*inclusive && order == Ordering::Equal))
                    }
                    Ok(None) => Truth::True,
                    Err(truth) => truth,
                })
            }
            Self::Contains { field, value } => match (record.field(field), value) {
                (Datum::Missing, _) => Truth::Unknown,
                (_, value) if value.is_nan() => Truth::Unknown,
                (Datum::List(items), value) => items.iter().any(|item| item.equals(value).is_true()).into(),
                (Datum::Text(text), Value::Text(part)) => text.contains(part.as_str()).into(),
                _ => Truth::False,
            },
            Self::Exists { field } => (record.field(field) != Datum::Missing).into(),
            Self::Near { field, circle } => match record.field(field) {
                Datum::Missing => Truth::Unknown,
                Datum::Place(point) => (point.is_valid() && circle.holds(point)).into(),
                _ => Truth::False,
            },
        }
    }
}

/// Is true if one is, false if all are, unknown otherwise.
fn any<T>(items: &[T], mut truth: impl FnMut(&T) -> Truth) -> Truth {
    let mut found = Truth::False;
    for item in items {
        match truth(item) {
            Truth::True => return Truth::True,
            Truth::Unknown => found = Truth::Unknown,
            Truth::False => {}
        }
    }
    found
}
