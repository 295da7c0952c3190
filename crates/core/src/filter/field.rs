//! Fields by name, with and without their type.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use super::{Bounds, Circle, Filter, GeoPoint, Value};
use crate::time::Timestamp;

/// The longest path, in bytes.
const LONGEST: usize = 256;

/// The place of a field in a record: names joined by full stops, `stats.likes`.
///
/// For filters that are put together at run time; code that knows its records uses a typed [`Field`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Cow<'static, str>);

impl FieldPath {
    /// Makes a path; [`is_valid`](Self::is_valid) tells whether it can name anything.
    pub fn new(path: impl Into<Cow<'static, str>>) -> Self {
        Self(path.into())
    }

    /// Makes a path for a constant.
    pub const fn from_static(path: &'static str) -> Self {
        Self(Cow::Borrowed(path))
    }

    /// Returns the whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the names along the path.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Tells whether no name is empty or has control characters, and the path has at most 256 bytes.
    pub fn is_valid(&self) -> bool {
        self.0.len() <= LONGEST
            && self.names().all(|name| !name.is_empty())
            && !self.0.chars().any(char::is_control)
    }

    /// Requires the field to have `value`.
    pub fn eq(&self, value: impl Into<Value>) -> Filter {
        Filter::Eq { field: self.clone(), value: value.into() }
    }

    /// Requires the field to have one of `values`.
    pub fn is_in<V: Into<Value>>(&self, values: impl IntoIterator<Item = V>) -> Filter {
        Filter::In { field: self.clone(), values: values.into_iter().map(Into::into).collect() }
    }

    /// Requires the field to lie within `bounds`.
    pub fn within(&self, bounds: Bounds) -> Filter {
        Filter::Range { field: self.clone(), bounds }
    }

    /// Requires the field to be an array with the element `value`, or a string with that text in it.
    pub fn contains(&self, value: impl Into<Value>) -> Filter {
        Filter::Contains { field: self.clone(), value: value.into() }
    }

    /// Requires the field to be there and not null.
    pub fn exists(&self) -> Filter {
        Filter::Exists { field: self.clone() }
    }

    /// Requires the field to be a place within `circle`.
    pub fn near(&self, circle: Circle) -> Filter {
        Filter::Near { field: self.clone(), circle }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for FieldPath {
    fn from(path: &'static str) -> Self {
        Self(Cow::Borrowed(path))
    }
}

impl From<String> for FieldPath {
    fn from(path: String) -> Self {
        Self(Cow::Owned(path))
    }
}

impl<T> From<&Field<T>> for FieldPath {
    fn from(field: &Field<T>) -> Self {
        field.path.clone()
    }
}

/// A type that a field can have and a value can be compared as.
pub trait Scalar: Into<Value> {}

/// A scalar with an order.
pub trait Ordered: Scalar {}

macro_rules! scalars {
    ($($type:ty),+) => {$(
        impl Scalar for $type {}
        impl Ordered for $type {}
    )+};
}

scalars!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, String, Timestamp);
impl Scalar for bool {}

/// A field whose values have the type `T`: comparing it with another type does not compile.
///
/// `T` is a [`Scalar`], a `Vec` of one, or a [`GeoPoint`].
///
/// ```
/// use pumasi_core::filter::{Circle, Field, GeoPoint};
/// use pumasi_core::time::Timestamp;
///
/// const PLACE: Field<GeoPoint> = Field::new("place");
/// const DUE: Field<Timestamp> = Field::new("due");
///
/// let soon: Timestamp = "2026-12-01T00:00:00Z".parse()?;
/// let filter = DUE.below(soon).and(PLACE.near(Circle::new(GeoPoint::new(37.5665, 126.978), 3_000.0)));
/// # Ok::<(), pumasi_core::Error>(())
/// ```
pub struct Field<T> {
    path: FieldPath,
    of: PhantomData<fn() -> T>,
}

impl<T> Field<T> {
    /// Names a field; `path` has its names joined by full stops.
    pub const fn new(path: &'static str) -> Self {
        Self { path: FieldPath(Cow::Borrowed(path)), of: PhantomData }
    }

    /// Returns the path.
    pub const fn path(&self) -> &FieldPath {
        &self.path
    }

    /// Requires the field to be there and not null.
    pub fn exists(&self) -> Filter {
        self.path.exists()
    }
}

impl<T: Scalar> Field<T> {
    /// Requires the field to have `value`.
    pub fn eq(&self, value: impl Into<T>) -> Filter {
        self.path.eq(value.into())
    }

    /// Requires the field to be there and to have another value than `value`.
    pub fn ne(&self, value: impl Into<T>) -> Filter {
        !self.eq(value)
    }

    /// Requires the field to have one of `values`.
    pub fn is_in<V: Into<T>>(&self, values: impl IntoIterator<Item = V>) -> Filter {
        self.path.is_in(values.into_iter().map(Into::<T>::into))
    }
}

impl<T: Ordered> Field<T> {
    /// Requires the field to be greater than `value`.
    pub fn above(&self, value: impl Into<T>) -> Filter {
        self.path.within(Bounds::gt(value.into()))
    }

    /// Requires the field to be greater than `value` or equal.
    pub fn at_least(&self, value: impl Into<T>) -> Filter {
        self.path.within(Bounds::gte(value.into()))
    }

    /// Requires the field to be less than `value`.
    pub fn below(&self, value: impl Into<T>) -> Filter {
        self.path.within(Bounds::lt(value.into()))
    }

    /// Requires the field to be less than `value` or equal.
    pub fn at_most(&self, value: impl Into<T>) -> Filter {
        self.path.within(Bounds::lte(value.into()))
    }

    /// Requires the field to lie within `range`: `2..5`, `2..=5`, `..5`, `2..`; `..` only that it exists.
    pub fn within<V: Into<T> + Clone>(&self, range: impl std::ops::RangeBounds<V>) -> Filter {
        use std::ops::Bound;
        let end = |bound: Bound<&V>| -> Option<(Value, bool)> {
            match bound {
                Bound::Included(value) => Some((Into::<T>::into(value.clone()).into(), true)),
                Bound::Excluded(value) => Some((Into::<T>::into(value.clone()).into(), false)),
                Bound::Unbounded => None,
            }
        };
        match (end(range.start_bound()), end(range.end_bound())) {
            (None, None) => self.exists(),
            (low, high) => self.path.within(Bounds { low, high }),
        }
    }
}

impl Field<String> {
    /// Requires the field to have `text` in it, byte by byte.
    pub fn contains(&self, text: impl Into<String>) -> Filter {
        self.path.contains(text.into())
    }
}

impl<T: Scalar> Field<Vec<T>> {
    /// Requires the array to have the element `value`.
    pub fn contains(&self, value: impl Into<T>) -> Filter {
        self.path.contains(value.into())
    }
}

impl Field<GeoPoint> {
    /// Requires the place to lie within `circle`.
    pub fn near(&self, circle: Circle) -> Filter {
        self.path.near(circle)
    }
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Field").field(&self.path.as_str()).finish()
    }
}
