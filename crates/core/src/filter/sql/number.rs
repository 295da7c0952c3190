//! Numbers at the border of what a column can hold, so that comparing them stays exact.

use super::lower::Comparison;
use crate::filter::Value;

/// What a comparison of a column that is not null comes down to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reduced<N> {
    Compare(Comparison, N),
    Always,
    Never,
}

/// A number seen from whole ones: the next one that is not above it, and whether it is that one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Whole {
    floor: i128,
    exact: bool,
}

impl Whole {
    /// `None` for what is no number, NaN among it.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(int) => Some(Self { floor: *int, exact: true }),
            Value::Float(float) if float.is_nan() => None,
            Value::Float(float) => {
                let floor = float.floor();
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "saturates far outside of what a column can hold"
                )]
                let whole = floor as i128;
                Some(Self { floor: whole, exact: float.fract() == 0.0 && float.is_finite() })
            }
            _ => None,
        }
    }

    /// A moment in microseconds, counted in units of `unit` microseconds.
    pub(super) fn of_micros(micros: i64, unit: i64) -> Self {
        Self { floor: micros.div_euclid(unit).into(), exact: micros.rem_euclid(unit) == 0 }
    }

    /// The whole number in 64 bits that it is, if it is one.
    pub(super) fn exactly(self) -> Option<i64> {
        if self.exact { i64::try_from(self.floor).ok() } else { None }
    }

    /// What `column comparison self` comes down to for a column of 64 bits.
    pub(super) fn reduce(self, comparison: Comparison) -> Reduced<i64> {
        use Comparison::{Above, AtLeast, AtMost, Below, Equal, Unequal};
        match comparison {
            Equal => self.exactly().map_or(Reduced::Never, |int| Reduced::Compare(Equal, int)),
            Unequal => self.exactly().map_or(Reduced::Always, |int| Reduced::Compare(Unequal, int)),
            Below | AtMost | Above | AtLeast => {
                let upwards = matches!(comparison, Above | AtLeast);
                match i64::try_from(self.floor) {
                    Ok(floor) => {
                        let comparison = match comparison {
                            Below if !self.exact => AtMost,
                            AtLeast if !self.exact => Above,
                            same => same,
                        };
                        Reduced::Compare(comparison, floor)
                    }
                    Err(_) if (self.floor < 0) == upwards => Reduced::Always,
                    Err(_) => Reduced::Never,
                }
            }
        }
    }
}

/// A number seen from doubles: its neighbours, which are one if it is a double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Double {
    low: f64,
    high: f64,
}

impl Double {
    /// `None` for what is no number, NaN among it.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Float(float) if float.is_nan() => None,
            Value::Float(float) => Some(Self { low: *float, high: *float }),
            Value::Int(int) => {
                #[expect(clippy::cast_precision_loss, reason = "put right by the neighbours")]
                let near = *int as f64;
                let order = Value::Float(near).compare(value)?;
                Some(Self {
                    low: if order.is_gt() { near.next_down() } else { near },
                    high: if order.is_lt() { near.next_up() } else { near },
                })
            }
            _ => None,
        }
    }

    /// The double that it is, if it is one.
    pub(super) fn exactly(self) -> Option<f64> {
        // Bit for bit, but for the sign of zero, which compares equal anyway.
        (self.low.total_cmp(&self.high).is_eq()).then_some(self.low)
    }

    /// What `column comparison self` comes down to for a column of doubles.
    pub(super) fn reduce(self, comparison: Comparison) -> Reduced<f64> {
        use Comparison::{Above, AtLeast, AtMost, Below, Equal, Unequal};
        match comparison {
            Equal => self.exactly().map_or(Reduced::Never, |double| Reduced::Compare(Equal, double)),
            Unequal => self.exactly().map_or(Reduced::Always, |double| Reduced::Compare(Unequal, double)),
            Below => Reduced::Compare(Below, self.high),
            AtMost => Reduced::Compare(AtMost, self.low),
            Above => Reduced::Compare(Above, self.low),
            AtLeast => Reduced::Compare(AtLeast, self.high),
        }
    }
}
