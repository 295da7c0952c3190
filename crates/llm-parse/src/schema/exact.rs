//! Numbers of schemas and answers, compared without rounding.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Number, Value};

/// Is a number as it was written: whole ones stay whole, however large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exact {
    Whole(i128),
    /// Not whole, or beyond what `i128` holds.
    Float(f64),
}

/// `mantissa × 10^exponent`.
struct Scaled {
    mantissa: i128,
    exponent: i32,
}

impl Exact {
    pub(crate) fn of(number: &Number) -> Self {
        match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => Self::Whole(whole.into()),
            (_, Some(whole)) => Self::Whole(whole.into()),
            _ => Self::from_f64(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    pub(crate) fn from_f64(value: f64) -> Self {
        // 2^127, from which on `i128` ends.
        const END: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
        let whole = value.fract() == 0.0 && (-END..END).contains(&value);
        if whole { Self::Whole(value as i128) } else { Self::Float(value) }
    }

    /// The nearest float.
    #[expect(clippy::cast_precision_loss, reason = "rounding is what is asked for")]
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Tells whether the number is `step` any whole number of times, as decimals: 0.3 is three times 0.1.
    pub(crate) fn is_multiple_of(self, step: Self) -> bool {
        let (Some(value), Some(step)) = (self.scaled(), step.scaled()) else { return false };
        if step.mantissa == 0 {
            return false;
        }
        if value.mantissa == 0 {
            return true;
        }
        let power = value.exponent.saturating_sub(step.exponent);
        if power < 0 {
            // A step that is larger than any number here divides none but zero.
            return 10_i128
                .checked_pow(power.unsigned_abs())
                .and_then(|ten| step.mantissa.checked_mul(ten))
                .is_some_and(|step| value.mantissa % step == 0);
        }
        let mut rest = value.mantissa % step.mantissa;
        for _ in 0..power {
            match rest.checked_mul(10) {
                _ if rest == 0 => return true,
                Some(larger) => rest = larger % step.mantissa,
                None => return false,
            }
        }
        rest == 0
    }

    fn scaled(self) -> Option<Scaled> {
        match self {
            Self::Whole(mantissa) => Some(Scaled { mantissa, exponent: 0 }),
            Self::Float(value) => {
                // The shortest digits that name this float are those that were written.
                let text = format!("{value:e}");
                let (digits, power) = text.split_once('e')?;
                let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
                let mantissa = format!("{whole}{fraction}").parse().ok()?;
                let exponent = power.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
                Some(Scaled { mantissa, exponent })
            }
        }
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (*self, *other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Whole(a), Self::Float(b)) => against_float(a, b),
            (Self::Float(a), Self::Whole(b)) => against_float(b, a).map(Ordering::reverse),
        }
    }
}

/// Compares with a float that is not whole or lies beyond every `i128`.
fn against_float(whole: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    match Exact::from_f64(float.floor()) {
        Exact::Whole(floor) if whole <= floor => Some(Ordering::Less),
        Exact::Whole(_) => Some(Ordering::Greater),
        Exact::Float(_) if float > 0.0 => Some(Ordering::Less),
        Exact::Float(_) => Some(Ordering::Greater),
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
        }
    }
}

/// Whether two JSON values are the same; numbers by what they are, not by how they are written (`1` and `1.0`).
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => Exact::of(a) == Exact::of(b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::Exact;

    fn n(text: &str) -> Exact {
        Exact::of(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn whole_numbers_and_floats_are_ordered_exactly() {
        assert!(n("9007199254740993") > n("9007199254740992"));
        assert!(n("9007199254740993") > n("9007199254740992.0"));
        assert!(n("18446744073709551615") > n("9223372036854775807"));
        assert!(n("-9223372036854775808") < n("-9223372036854775807"));
        assert!(n("18446744073709551615") < n("1e300") && n("-1e300") < n("-9223372036854775808"));
        assert!(n("2") < n("2.5") && n("3") > n("2.5") && n("-3") < n("-2.5") && n("-2") > n("-2.5"));
        assert_eq!(n("3"), n("3.0"));
    }

    #[test]
    fn multiples_are_decimal_and_have_no_tolerance() {
        for (value, step) in
            [("0.3", "0.1"), ("19.99", "0.01"), ("1000000000", "2"), ("1e300", "5"), ("0", "7")]
        {
            assert!(n(value).is_multiple_of(n(step)), "{value} of {step}");
        }
        for (value, step) in [
            ("1000000001", "2"),
            ("50000000003", "10"),
            ("18446744073709551615", "2"),
            ("0.35", "0.1"),
            ("1", "0.3"),
            ("5", "1e40"),
            ("1", "0"),
        ] {
            assert!(!n(value).is_multiple_of(n(step)), "{value} of {step}");
        }
    }
}
