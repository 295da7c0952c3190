//! Exact decimal numbers: what a text says before any rounding.

/// `mantissa × 10^exponent / divisor`, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) mantissa: i128,
    pub(crate) exponent: i32,
    /// Greater than 1 only for fractions such as `1/3`.
    pub(crate) divisor: i128,
}

impl Decimal {
    pub(crate) const fn whole(mantissa: i128) -> Self {
        Self { mantissa, exponent: 0, divisor: 1 }
    }

    /// Reads `digits[.digits][e[±]digits]` without sign or separators; `None` beyond 38 significant digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, power) = match text.find(['e', 'E']) {
            Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.trim_end_matches('0');
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return None;
            }
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let exponent = power.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        Some(Self { mantissa, exponent, divisor: 1 })
    }

    pub(crate) fn negated(self) -> Option<Self> {
        Some(Self { mantissa: self.mantissa.checked_neg()?, ..self })
    }

    pub(crate) fn times(self, factor: i128) -> Option<Self> {
        let mut factor = factor;
        let mut exponent = self.exponent;
        // Powers of ten go into the exponent, so that long numbers stay exact.
        while factor != 0 && factor % 10 == 0 {
            factor /= 10;
            exponent = exponent.checked_add(1)?;
        }
        Some(Self { mantissa: self.mantissa.checked_mul(factor)?, exponent, divisor: self.divisor })
    }

    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        if self.divisor != 1 && other.divisor != 1 && self.divisor != other.divisor {
            return None;
        }
        let divisor = self.divisor.max(other.divisor);
        let (mut a, mut b) = (self, other);
        a.mantissa = a.mantissa.checked_mul(divisor / a.divisor)?;
        b.mantissa = b.mantissa.checked_mul(divisor / b.divisor)?;
        let exponent = a.exponent.min(b.exponent);
        let lift = |n: Self| -> Option<i128> {
            n.mantissa
                .checked_mul(10_i128.checked_pow(u32::try_from(n.exponent.checked_sub(exponent)?).ok()?)?)
        };
        Some(Self { mantissa: lift(a)?.checked_add(lift(b)?)?, exponent, divisor })
    }

    pub(crate) fn over(self, other: Self) -> Option<Self> {
        if other.mantissa == 0 || self.divisor != 1 || other.divisor != 1 {
            return None;
        }
        let shift = other.exponent;
        let quotient = Self {
            mantissa: self.mantissa,
            exponent: self.exponent.checked_sub(shift)?,
            divisor: other.mantissa,
        };
        Some(quotient)
    }

    /// The value as a whole number, and whether it is one; `None` if it is outside `i128`.
    ///
    /// A value that is not whole is rounded half away from zero.
    pub(crate) fn to_integer(self) -> Option<(i128, bool)> {
        if self.mantissa == 0 {
            return Some((0, true));
        }
        let (mut top, mut bottom) = (self.mantissa, self.divisor);
        if self.exponent >= 0 {
            top = top.checked_mul(10_i128.checked_pow(self.exponent.unsigned_abs())?)?;
        } else {
            match 10_i128.checked_pow(self.exponent.unsigned_abs()).and_then(|ten| bottom.checked_mul(ten)) {
                Some(larger) => bottom = larger,
                // Smaller than any half.
                None => return Some((0, false)),
            }
        }
        let (quotient, rest) = (top / bottom, top % bottom);
        if rest == 0 {
            return Some((quotient, true));
        }
        let up = rest.unsigned_abs() >= bottom.unsigned_abs() - rest.unsigned_abs();
        let sign = if (top < 0) == (bottom < 0) { 1 } else { -1 };
        Some((if up { quotient.checked_add(sign)? } else { quotient }, false))
    }

    /// The nearest `f64`; infinite beyond its range.
    #[expect(clippy::cast_precision_loss, reason = "division of two numbers, where rounding is the result")]
    pub(crate) fn to_f64(self) -> f64 {
        let top = format!("{}e{}", self.mantissa, self.exponent).parse::<f64>().unwrap_or(f64::NAN);
        if self.divisor == 1 { top } else { top / self.divisor as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn reads_and_rounds_exactly() {
        let n = |text| Decimal::parse(text).unwrap();
        assert_eq!(n("12.70").to_integer(), Some((13, false)));
        assert_eq!(n("3.0").to_integer(), Some((3, true)));
        assert_eq!(n("1e3").to_integer(), Some((1000, true)));
        assert_eq!(n("1.2").times(1000).unwrap().to_integer(), Some((1200, true)));
        assert_eq!(n("9007199254740993").to_integer(), Some((9_007_199_254_740_993, true)));
        assert!((n("0.1").to_f64() - 0.1).abs() < f64::EPSILON);
        assert_eq!(n("6").over(n("3")).unwrap().to_integer(), Some((2, true)));
        assert_eq!(n("1e40").to_integer(), None);
        assert!(n("1e999").to_f64().is_infinite());
        assert_eq!(n("1").plus(n("1").over(n("2")).unwrap()).unwrap().to_f64().to_string(), "1.5");
    }
}
