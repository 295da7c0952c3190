//! Laws about leases, on backends for which time really passes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Verdict;

/// How often a law gets a longer unit of time.
const LONGER: u32 = 2;

/// The time that leases last in one examination of a law, and how much of it the law let pass on purpose.
pub(crate) struct Pace {
    unit: Duration,
    begun: Instant,
    passed: Mutex<Duration>,
}

impl Pace {
    fn new(unit: Duration) -> Self {
        Self { unit, begun: Instant::now(), passed: Mutex::default() }
    }

    /// How long a lease lasts.
    pub(crate) const fn unit(&self) -> Duration {
        self.unit
    }

    /// Notes that the law lets time pass.
    pub(crate) fn passes(&self, time: Duration) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }

    /// Whether everything beside what was let pass took so long that a lease may have ended before its time came.
    fn was_late(&self) -> bool {
        let passed = *self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        self.begun.elapsed().saturating_sub(passed) > self.unit / 4
    }
}

/// Examines a law with leases of `unit`, and with longer ones where it does not hold and its calls took too long for it: a machine
/// that is too busy to make some calls within a lease is no backend that breaks its laws.
pub(crate) async fn paced(unit: Duration, law: impl AsyncFn(&Pace) -> Verdict) -> Verdict {
    let mut pace = Pace::new(unit);
    for _ in 0..LONGER {
        match law(&pace).await {
            Err(_) if pace.was_late() => pace = Pace::new(pace.unit() * 4),
            verdict => return verdict,
        }
    }
    law(&pace).await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::conformance::{Broken, Kept};

    const UNIT: Duration = Duration::from_millis(40);

    /// Examines a law that is delayed each time, and broken at first; returns the units of the examinations as well.
    async fn examined(delay: Duration, broken: usize) -> (Verdict, Vec<Duration>) {
        let units = Mutex::new(Vec::new());
        let verdict = paced(UNIT, async |pace: &Pace| {
            let mut units = units.lock().unwrap();
            units.push(pace.unit());
            std::thread::sleep(delay);
            if units.len() > broken { Ok(Kept::Whole) } else { Err(Broken::new("the lease ended early")) }
        });
        (verdict.await, units.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_law_that_a_delay_broke_is_examined_with_a_longer_lease() {
        assert_eq!(examined(UNIT, 1).await, (Ok(Kept::Whole), vec![UNIT, UNIT * 4]));
        assert_eq!(examined(UNIT, 0).await, (Ok(Kept::Whole), vec![UNIT]));
    }

    #[tokio::test]
    async fn a_law_that_does_not_hold_is_broken_however_long_the_lease_is() {
        let (verdict, units) = examined(UNIT * 5, 9).await;
        assert!(verdict.is_err());
        assert_eq!(units, [UNIT, UNIT * 4, UNIT * 16]);
    }

    #[tokio::test]
    async fn a_law_that_is_broken_in_time_is_broken_at_once() {
        let long = Duration::from_hours(1);
        let examinations = AtomicU32::new(0);
        let verdict = paced(long, async |pace: &Pace| {
            // What is let pass on purpose is no delay.
            pace.passes(long * 9);
            examinations.fetch_add(1, Ordering::Relaxed);
            Err(Broken::new("no"))
        });
        assert!(verdict.await.is_err());
        assert_eq!(examinations.into_inner(), 1);
    }
}
