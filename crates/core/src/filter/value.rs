//! Values and bounds.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::time::Timestamp;

/// A value that a field is compared with.
///
/// Equality and hash are by meaning: `Int(1)` equals `Float(1.0)`, and, so that filters can be keys, NaN equals NaN. (In
/// evaluation a comparison with NaN is unknown.)
///
/// `Debug` shows of a string how long it is, never what it says.
#[derive(Clone)]
#[non_exhaustive]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number, exact.
    Int(i128),
    /// A decimal number.
    Float(f64),
    /// A string.
    Text(String),
    /// A moment.
    Time(Timestamp),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "Bool({value})"),
            Self::Int(value) => write!(f, "Int({value})"),
            Self::Float(value) => write!(f, "Float({value:?})"),
            Self::Text(value) => write!(f, "Text({} bytes)", value.len()),
            Self::Time(value) => write!(f, "Time({value})"),
        }
    }
}

impl Value {
    /// Orders two values of one type; `None` for different types and for NaN. Numbers are compared exactly.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Int(a), Self::Float(b)) => compare_exactly(*a, *b),
            (Self::Float(a), Self::Int(b)) => compare_exactly(*b, *a).map(Ordering::reverse),
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Tells whether this is NaN, which nothing can be compared with.
    pub const fn is_nan(&self) -> bool {
        matches!(self, Self::Float(float) if float.is_nan())
    }

    /// Returns the one form of values that mean the same: whole numbers as `Int`, one NaN.
    pub(super) fn canonical(self) -> Self {
        match self {
            Self::Float(float) if float.is_nan() => Self::Float(f64::NAN),
            Self::Float(float) => whole(float).map_or(Self::Float(float), Self::Int),
            other => other,
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Int(_) | Self::Float(_) => 1,
            Self::Text(_) => 2,
            Self::Time(_) => 3,
        }
    }
}

/// 2 to the power of 127: integers lie below it, and not below its negative.
const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

/// Returns the integer that `float` is, if it is one.
fn whole(float: f64) -> Option<i128> {
    if float.fract() != 0.0 || !(-BEYOND..BEYOND).contains(&float) {
        return None;
    }
    Some(truncate(float))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "callers check that it lies within i128, and mean the whole part"
)]
const fn truncate(float: f64) -> i128 {
    float as i128
}

/// Compares without rounding either.
fn compare_exactly(int: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= BEYOND {
        return Some(Ordering::Less);
    }
    if float < -BEYOND {
        return Some(Ordering::Greater);
    }
    let below = truncate(float);
    Some(int.cmp(&below).then_with(|| 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal)))
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    /// Orders all values, for sorting: by type, then by value, NaN last.
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank()
            .cmp(&other.rank())
            .then_with(|| self.compare(other).unwrap_or_else(|| self.is_nan().cmp(&other.is_nan())))
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Bool(value) => value.hash(state),
            Self::Int(value) => value.hash(state),
            Self::Float(value) if value.is_nan() => f64::NAN.to_bits().hash(state),
            Self::Float(value) => match whole(*value) {
                Some(int) => int.hash(state),
                None => value.to_bits().hash(state),
            },
            Self::Text(value) => value.hash(state),
            Self::Time(value) => value.hash(state),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),+) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )+};
}

from!(bool => Bool, i8 => Int, i16 => Int, i32 => Int, i64 => Int, u8 => Int, u16 => Int, u32 => Int, u64 => Int,
    f32 => Float, f64 => Float, String => Text, &str => Text, Timestamp => Time);

/// The ends of a range; at least one of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// The lower end, and whether it belongs to the range.
    pub(super) low: Option<(Value, bool)>,
    /// The upper end, and whether it belongs to the range.
    pub(super) high: Option<(Value, bool)>,
}

impl Bounds {
    /// Makes the range of what is greater than `value`.
    pub fn gt(value: impl Into<Value>) -> Self {
        Self { low: Some((value.into(), false)), high: None }
    }

    /// Makes the range of what is at least `value`.
    pub fn gte(value: impl Into<Value>) -> Self {
        Self { low: Some((value.into(), true)), high: None }
    }

    /// Makes the range of what is less than `value`.
    pub fn lt(value: impl Into<Value>) -> Self {
        Self { low: None, high: Some((value.into(), false)) }
    }

    /// Makes the range of what is at most `value`.
    pub fn lte(value: impl Into<Value>) -> Self {
        Self { low: None, high: Some((value.into(), true)) }
    }

    /// Adds the upper end `value`, which does not belong to the range.
    #[must_use]
    pub fn and_lt(mut self, value: impl Into<Value>) -> Self {
        self.high = Some((value.into(), false));
        self
    }

    /// Adds the upper end `value`, which belongs to the range.
    #[must_use]
    pub fn and_lte(mut self, value: impl Into<Value>) -> Self {
        self.high = Some((value.into(), true));
        self
    }

    /// Returns the lower end, and whether it belongs to the range.
    pub fn low(&self) -> Option<(&Value, bool)> {
        self.low.as_ref().map(|(value, inclusive)| (value, *inclusive))
    }

    /// Returns the upper end, and whether it belongs to the range.
    pub fn high(&self) -> Option<(&Value, bool)> {
        self.high.as_ref().map(|(value, inclusive)| (value, *inclusive))
    }
}
