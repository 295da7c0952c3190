//! How many extra calls a client may make, all retries and hedges together.

#[cfg(feature = "runtime")]
mod within;

use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(feature = "runtime")]
pub(super) use within::within_budget;

use super::slices::Slices;
use super::ticks::Ticks;
use crate::time::Clock;

/// A budget of extra calls (retries and hedges), shared by whoever holds a clone of it.
///
/// Whenever an extra call is granted, the extra calls of the window that ends there, itself included, are at most `ratio`
/// times its first attempts, plus `min_per_second` for every second of the window, so that a client that fails altogether asks little more of its callee than one that succeeds, and one that
/// seldom calls may still retry. This is the shape of Finagle's `RetryBudget`
/// (<https://twitter.github.io/finagle/guide/Clients.html#retries>); gRPC's proposal A6 throttles retries to the same end.
///
/// The window moves in tenths. Retries and hedges of one client should share one budget; of a [`Hedge`](super::Hedge) around
/// retries on the same budget, and of retries within retries, only the outermost counts its call, as long as they run in one
/// task.
///
/// ```
/// use pumasi_core::resilience::RetryBudget;
///
/// let budget = RetryBudget::new(0.2, 0.0);
/// for _ in 0..10 {
///     budget.deposit();
/// }
/// assert!(budget.withdraw() && budget.withdraw());
/// assert!(!budget.withdraw(), "two in ten, not three");
/// ```
#[derive(Clone)]
pub struct RetryBudget {
    inner: Arc<Inner>,
}

struct Inner {
    ratio: f64,
    min_per_second: f64,
    window: Duration,
    ticks: Ticks,
    counts: Mutex<Slices<Counts>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    deposits: u64,
    withdrawals: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.deposits += other.deposits;
        self.withdrawals += other.withdrawals;
    }
}

impl SubAssign for Counts {
    fn sub_assign(&mut self, other: Self) {
        self.deposits -= other.deposits;
        self.withdrawals -= other.withdrawals;
    }
}

impl RetryBudget {
    /// The window of a new budget.
    pub const DEFAULT_WINDOW: Duration = Duration::from_secs(10);

    /// Makes a budget of `ratio` extra calls per first attempt plus `min_per_second`, over ten seconds.
    ///
    /// A negative or undefined number counts as zero.
    pub fn new(ratio: f64, min_per_second: f64) -> Self {
        Self::build(ratio.max(0.0), min_per_second.max(0.0), Self::DEFAULT_WINDOW, Ticks::default())
    }

    /// Sets the window over which is counted (default 10 s). What was counted so far is forgotten.
    #[must_use]
    pub fn with_window(self, window: Duration) -> Self {
        Self::build(self.inner.ratio, self.inner.min_per_second, window, self.inner.ticks.clone())
    }

    /// Sets the clock (default: the system's). What was counted so far is forgotten.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self::build(self.inner.ratio, self.inner.min_per_second, self.inner.window, Ticks::Of(clock))
    }

    fn build(ratio: f64, min_per_second: f64, window: Duration, ticks: Ticks) -> Self {
        let counts = Mutex::new(Slices::new(window, ticks.instant()));
        Self { inner: Arc::new(Inner { ratio, min_per_second, window, ticks, counts }) }
    }

    /// Counts a first attempt.
    pub fn deposit(&self) {
        self.counts(|counts, now| {
            counts.add(now, Counts { deposits: 1, withdrawals: 0 });
        });
    }

    /// Takes one extra call out of the budget; `false` if there is none left, and then it must not be made.
    #[must_use = "an extra call may only be made if this is true"]
    pub fn withdraw(&self) -> bool {
        self.counts(|counts, now| {
            let affordable = self.left(counts.totals(now)) >= 1.0;
            if affordable {
                counts.add(now, Counts { deposits: 0, withdrawals: 1 });
            }
            affordable
        })
    }

    /// Returns how many extra calls could be made at this moment.
    pub fn balance(&self) -> u64 {
        let left = self.counts(|counts, now| self.left(counts.totals(now)));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; beyond 2^64 it saturates"
        )]
        let whole = left.max(0.0) as u64;
        whole
    }

    fn left(&self, counts: Counts) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "calls in one window stay far below 2^52")]
        let (deposits, withdrawals) = (counts.deposits as f64, counts.withdrawals as f64);
        // tenths added up as floats fall a hair short of the whole
        let earned =
            deposits * self.inner.ratio + self.inner.min_per_second * self.inner.window.as_secs_f64();
        earned - withdrawals + 1e-9
    }

    fn counts<R>(&self, with: impl FnOnce(&mut Slices<Counts>, std::time::Instant) -> R) -> R {
        let now = self.inner.ticks.instant();
        with(&mut self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

impl Default for RetryBudget {
    /// One extra call for five first attempts, plus ten a second: Finagle's defaults.
    fn default() -> Self {
        Self::new(0.2, 10.0)
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("ratio", &self.inner.ratio)
            .field("min_per_second", &self.inner.min_per_second)
            .field("window", &self.inner.window)
            .field("balance", &self.balance())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::ManualClock;

    fn budget(ratio: f64, min_per_second: f64) -> (RetryBudget, ManualClock) {
        let clock = ManualClock::new();
        (RetryBudget::new(ratio, min_per_second).with_clock(Arc::new(clock.clone())), clock)
    }

    #[test]
    fn a_seldom_caller_may_retry_by_the_minimum() {
        let (budget, clock) = budget(0.2, 0.1);
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
        clock.advance(Duration::from_secs(11));
        assert!(budget.withdraw());
    }

    #[test]
    fn deposits_grow_old_and_leave() {
        let (budget, clock) = budget(0.5, 0.0);
        (0..10).for_each(|_| budget.deposit());
        assert_eq!(budget.balance(), 5);
        clock.advance(Duration::from_secs(30));
        assert_eq!(budget.balance(), 0);
        assert!(!budget.withdraw());
    }

    #[test]
    fn ten_deposits_of_a_tenth_make_one() {
        let (budget, _clock) = budget(0.1, 0.0);
        (0..10).for_each(|_| budget.deposit());
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
    }

    #[test]
    fn undefined_shares_give_nothing() {
        let (budget, _clock) = budget(f64::NAN, -3.0);
        budget.deposit();
        assert!(!budget.withdraw());
    }

    proptest! {
        #[test]
        #[expect(clippy::cast_precision_loss, reason = "a few hundred steps")]
        fn no_window_that_ends_with_an_extra_call_holds_more_than_its_share(
            steps in prop::collection::vec((0_u64..3_000, any::<bool>()), 1..300), tenths in 0_u32..10,
        ) {
            let ratio = f64::from(tenths) / 10.0;
            let (budget, clock) = budget(ratio, 0.3);
            let (mut at, mut firsts, mut extras) = (0, Vec::new(), Vec::new());
            for (pause, first) in steps {
                at += pause;
                clock.advance(Duration::from_millis(pause));
                // the window is the tenth of it that is running and the ten before
                let within = |moments: &[u64]| moments.iter().filter(|moment| at / 1_000 - **moment / 1_000 <= 10).count();
                let share = |firsts: &[u64]| ratio * within(firsts) as f64 + 3.0 + 1e-6;
                if first {
                    budget.deposit();
                    firsts.push(at);
                } else if budget.withdraw() {
                    extras.push(at);
                    prop_assert!(within(&extras) as f64 <= share(&firsts));
                } else {
                    prop_assert!(within(&extras) as f64 + 1.0 > share(&firsts) - 1e-5, "turned away although affordable");
                }
            }
        }
    }
}
