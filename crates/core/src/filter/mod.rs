//! The filter expression that search, retrieval and users' own tables share.
//!
//! A [`Filter`] is data: built from typed [`Field`]s, sent as JSON, compared and hashed by its [canonical form](Filter::canonical),
//! evaluated in memory ([`Filter::matches`], the reference) or turned into a backend's own language by a [`Compiler`]: with the
//! features `sqlite` and `postgres` into SQL on your own tables (`Filter::push_where`, `Columns`).
//!
//! ```
//! use pumasi_core::filter::{Field, Filter};
//! use serde_json::json;
//!
//! const LANG: Field<String> = Field::new("lang");
//! const LIKES: Field<i64> = Field::new("stats.likes");
//! const TAGS: Field<Vec<String>> = Field::new("tags");
//!
//! let filter = LANG.eq("ko").and(LIKES.at_least(10)).and(!TAGS.contains("spam"));
//! assert!(filter.matches(&json!({"lang": "ko", "stats": {"likes": 12}, "tags": ["러닝"]})));
//!
//! let sent = serde_json::to_string(&filter)?;
//! let received: Filter = serde_json::from_str(&sent)?;
//! assert_eq!(received.canonical(), filter.canonical());
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! A wrong type does not compile:
//!
//! ```compile_fail
//! use pumasi_core::filter::Field;
//! const LIKES: Field<i64> = Field::new("likes");
//! let filter = LIKES.eq("many");
//! ```
//!
//! # What a filter means
//!
//! Evaluation has three values, as SQL has: a comparison with a field that is missing or null is *unknown*, and a record
//! matches only where the filter is *true*. So `not(eq)` does not match a record without the field; say
//! `filter.or(!FIELD.exists())` where it should.
//!
//! | | field is missing or null | of another type | of the type |
//! |---|---|---|---|
//! | `eq` | unknown | false | whether it is equal |
//! | `in` | unknown (false for an empty list) | false | whether it equals one of the values |
//! | `range` | unknown | false | whether it lies within |
//! | `contains` | unknown | false | array: whether one element is equal; string: whether it has the text in it |
//! | `near` | unknown | false | whether it is no further away |
//! | `exists` | false | true | true |
//!
//! | `a` | `b` | `a and b` | `a or b` | `not a` |
//! |---|---|---|---|---|
//! | true | true | true | true | false |
//! | true | unknown | unknown | true | false |
//! | true | false | false | true | false |
//! | unknown | unknown | unknown | unknown | unknown |
//! | unknown | false | false | unknown | unknown |
//! | false | false | false | false | true |
//!
//! An `and` of nothing is true, an `or` of nothing false. Numbers are compared by value, whole and decimal alike and exactly
//! (2^53 + 1 is not 2^53); nothing equals, is below or above NaN: that is unknown. Strings are compared by bytes, case and
//! Unicode form included: normalise before storing. Moments are compared as moments, whatever offset they were written with.
//!
//! # As JSON
//!
//! One object with one operator for each node; unknown operators and members are refused, as are filters deeper than
//! [`MAX_DEPTH`] or larger than [`MAX_SIZE`]. Whole numbers are exact; decimals are read as `serde_json` reads them (without its
//! feature `float_roundtrip`, the last bit of a long decimal may differ).
//!
//! ```json
//! {"and": [
//!   {"eq": {"field": "lang", "value": "ko"}},
//!   {"in": {"field": "kind", "values": ["story", "question"]}},
//!   {"range": {"field": "stats.likes", "gte": 10, "lt": 100}},
//!   {"range": {"field": "created_at", "gt": {"time": "2026-01-01T00:00:00Z"}}},
//!   {"contains": {"field": "tags", "value": "running"}},
//!   {"near": {"field": "place", "lat": 37.5665, "lon": 126.978, "radius_m": 3000}},
//!   {"or": [{"exists": {"field": "due"}}, {"not": {"eq": {"field": "done", "value": true}}}]}
//! ]}
//! ```

mod canonical;
mod compile;
mod evaluate;
mod field;
mod geo;
mod json;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
mod unique;
mod value;

pub use canonical::Canonical;
pub use compile::{Capabilities, Compiler, Operator, Unsupported};
pub use evaluate::{Datum, Record, Truth};
pub use field::{Field, FieldPath, Ordered, Scalar};
pub use geo::{Circle, EARTH_RADIUS_M, GeoPoint};
pub use json::{MAX_DEPTH, MAX_SIZE};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{Column, Columns, Element, EpochUnit, Order, SqlCompiler, SqlCondition, SqlDatabase};
pub use value::{Bounds, Value};

/// A condition on records; see the [module](self) for what it means and how it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Filter {
    /// All of them hold.
    And(Vec<Filter>),
    /// At least one of them holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// The field has this value.
    Eq {
        /// Which field.
        field: FieldPath,
        /// Which value.
        value: Value,
    },
    /// The field has one of these values.
    In {
        /// Which field.
        field: FieldPath,
        /// Which values.
        values: Vec<Value>,
    },
    /// The field lies within bounds.
    Range {
        /// Which field.
        field: FieldPath,
        /// Which bounds.
        bounds: Bounds,
    },
    /// The field is an array with this element, or a string with this text in it.
    Contains {
        /// Which field.
        field: FieldPath,
        /// Which element or text.
        value: Value,
    },
    /// The field is there and not null.
    Exists {
        /// Which field.
        field: FieldPath,
    },
    /// The field is a place within a circle.
    Near {
        /// Which field.
        field: FieldPath,
        /// Which circle.
        circle: Circle,
    },
}

impl Filter {
    /// Makes the filter that every record matches.
    pub const fn everything() -> Self {
        Self::And(Vec::new())
    }

    /// Makes the filter that no record matches.
    pub const fn nothing() -> Self {
        Self::Or(Vec::new())
    }

    /// Requires `other` too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::And(mut all) => {
                all.push(other);
                Self::And(all)
            }
            first => Self::And(vec![first, other]),
        }
    }

    /// Admits `other` too.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Or(mut any) => {
                any.push(other);
                Self::Or(any)
            }
            first => Self::Or(vec![first, other]),
        }
    }

    /// Returns the operator at the root.
    pub const fn operator(&self) -> Operator {
        match self {
            Self::And(_) => Operator::And,
            Self::Or(_) => Operator::Or,
            Self::Not(_) => Operator::Not,
            Self::Eq { .. } => Operator::Eq,
            Self::In { .. } => Operator::In,
            Self::Range { .. } => Operator::Range,
            Self::Contains { .. } => Operator::Contains,
            Self::Exists { .. } => Operator::Exists,
            Self::Near { .. } => Operator::Near,
        }
    }

    /// Returns the field that the root compares, if it compares one.
    pub const fn field(&self) -> Option<&FieldPath> {
        match self {
            Self::And(_) | Self::Or(_) | Self::Not(_) => None,
            Self::Eq { field, .. }
            | Self::In { field, .. }
            | Self::Range { field, .. }
            | Self::Contains { field, .. }
            | Self::Exists { field }
            | Self::Near { field, .. } => Some(field),
        }
    }

    /// Returns the filters right below the root.
    pub fn children(&self) -> &[Self] {
        match self {
            Self::And(children) | Self::Or(children) => children,
            Self::Not(child) => std::slice::from_ref(child),
            _ => &[],
        }
    }
}

impl std::ops::Not for Filter {
    type Output = Self;

    /// Turns the filter round; twice is not at all.
    fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests;
