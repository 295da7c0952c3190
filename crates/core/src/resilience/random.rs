//! Where jitter comes from.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A source of randomness for jitter: the system's, a seeded one that repeats itself, or a constant.
///
/// Clones share their state, so a seeded source handed to several parts is drawn from by all of them.
///
/// ```
/// use pumasi_core::resilience::Random;
///
/// let (one, other) = (Random::seeded(7), Random::seeded(7));
/// assert_eq!(one.unit().to_bits(), other.unit().to_bits());
/// assert!((0.0..1.0).contains(&Random::system().unit()));
/// ```
#[derive(Clone, Default)]
pub struct Random(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Seeded(Arc<Mutex<fastrand::Rng>>),
    Fixed(f64),
}

impl Random {
    /// Draws from a generator seeded by the system; not for secrets.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// Draws the same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)))))
    }

    /// Always answers `unit`, held within `0.0..1.0`; for tests that check one bound.
    pub fn fixed(unit: f64) -> Self {
        let below_one = 1.0 - f64::EPSILON / 2.0;
        Self(Source::Fixed(if unit.is_nan() { 0.0 } else { unit.clamp(0.0, below_one) }))
    }

    /// Returns a number in `0.0..1.0`.
    pub fn unit(&self) -> f64 {
        match &self.0 {
            Source::System => fastrand::f64(),
            Source::Seeded(generator) => generator.lock().unwrap_or_else(PoisonError::into_inner).f64(),
            Source::Fixed(unit) => *unit,
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Random::system",
            Source::Seeded(_) => "Random::seeded",
            Source::Fixed(_) => "Random::fixed",
        })
    }
}
