//! How long to wait before trying again.

use std::time::Duration;

use super::Random;

/// How much of a backoff's ceiling is left to chance.
///
/// The names are those of Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Anywhere between zero and the ceiling: spreads a crowd best, and is the default.
    #[default]
    Full,
    /// Between half the ceiling and the ceiling: for waits that must not be nearly zero.
    Equal,
    /// Exactly the ceiling: a crowd that failed together comes back together.
    None,
}

/// Exponential backoff: a ceiling that grows with each retry, and a wait drawn beneath it.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::resilience::{Backoff, Random};
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// assert_eq!(backoff.ceiling(1), Duration::from_millis(100));
/// assert_eq!(backoff.ceiling(4), Duration::from_millis(800));
/// assert_eq!(backoff.ceiling(60), Duration::from_secs(5));
/// assert!(backoff.delay(4, &Random::system()) <= Duration::from_millis(800));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    factor: f64,
    jitter: Jitter,
}

impl Backoff {
    /// Makes a backoff whose ceiling starts at `base`, doubles with each retry and stays at `max`; full jitter.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, factor: 2.0, jitter: Jitter::Full }
    }

    /// Makes a backoff that always waits exactly `delay`.
    pub const fn constant(delay: Duration) -> Self {
        Self { base: delay, max: delay, factor: 1.0, jitter: Jitter::None }
    }

    /// Sets what the ceiling is multiplied by at each retry (default 2.0; below 1.0 counts as 1.0).
    #[must_use]
    pub const fn with_factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor } else { 1.0 };
        self
    }

    /// Sets how much is left to chance (default [`Jitter::Full`]).
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Returns the longest wait before retry number `retry` (1 is the first retry; 0 counts as 1).
    pub fn ceiling(&self, retry: u32) -> Duration {
        let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
        if self.base.is_zero() {
            return Duration::ZERO; // not nothing times infinity
        }
        let seconds = self.base.as_secs_f64() * self.factor.powi(exponent);
        Duration::try_from_secs_f64(seconds).map_or(self.max, |ceiling| ceiling.min(self.max))
    }

    /// Draws the wait before retry number `retry` (1 is the first retry).
    pub fn delay(&self, retry: u32, random: &Random) -> Duration {
        let ceiling = self.ceiling(retry);
        match self.jitter {
            Jitter::Full => ceiling.mul_f64(random.unit()),
            Jitter::Equal => ceiling / 2 + (ceiling / 2).mul_f64(random.unit()),
            Jitter::None => ceiling,
        }
    }
}

impl Default for Backoff {
    /// 100 ms, doubling, up to 10 s, with full jitter.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn full_jitter_reaches_from_zero_to_the_ceiling() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(backoff.delay(3, &Random::fixed(0.0)), Duration::ZERO);
        assert_eq!(backoff.delay(3, &Random::fixed(0.5)), Duration::from_millis(200));
        let draws: Vec<_> = (0..2_000).map(|_| backoff.delay(3, &Random::system())).collect();
        let mean = draws.iter().sum::<Duration>() / 2_000;
        assert!((Duration::from_millis(180)..Duration::from_millis(220)).contains(&mean), "{mean:?}");
    }

    #[test]
    fn nothing_stays_nothing_however_often() {
        let backoff = Backoff::new(Duration::ZERO, Duration::from_mins(1));
        for retry in [1, 100, 1_100, u32::MAX] {
            assert_eq!(backoff.ceiling(retry), Duration::ZERO);
        }
    }

    #[test]
    fn equal_jitter_never_falls_below_half() {
        let backoff = Backoff::new(Duration::from_secs(4), Duration::from_mins(1)).with_jitter(Jitter::Equal);
        assert_eq!(backoff.delay(1, &Random::fixed(0.0)), Duration::from_secs(2));
        assert!(backoff.delay(1, &Random::fixed(1.0)) <= Duration::from_secs(4));
    }

    #[test]
    fn a_seed_repeats_the_waits() {
        let waits = |seed| {
            let random = Random::seeded(seed);
            (1..20).map(|retry| Backoff::default().delay(retry, &random)).collect::<Vec<_>>()
        };
        assert_eq!(waits(3), waits(3));
        assert_ne!(waits(3), waits(4));
    }

    proptest! {
        #[test]
        fn no_wait_exceeds_its_ceiling_and_no_ceiling_the_maximum(
            base in any::<u64>(), max in any::<u64>(), retry in any::<u32>(), factor in any::<f64>(), unit in 0.0..1.0_f64,
        ) {
            let (base, max) = (Duration::from_nanos(base), Duration::from_nanos(max));
            for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
                let backoff = Backoff::new(base, max).with_factor(factor).with_jitter(jitter);
                prop_assert!(backoff.ceiling(retry) <= max);
                // a float's rounding may cost a few of 2^53 parts
                let slack = backoff.ceiling(retry).mul_f64(1e-12) + Duration::from_nanos(1);
                prop_assert!(backoff.delay(retry, &Random::fixed(unit)) <= backoff.ceiling(retry) + slack);
                prop_assert!(backoff.ceiling(retry) <= backoff.ceiling(retry.saturating_add(1)) + slack);
            }
        }
    }
}
