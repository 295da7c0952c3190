//! What the last calls were like.

use std::num::NonZeroU32;
use std::ops::{AddAssign, SubAssign};
use std::time::{Duration, Instant};

use super::super::slices::Slices;

/// Which calls a breaker looks back on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerWindow {
    /// The last so many.
    Calls(NonZeroU32),
    /// Those of the last so much time, which moves in tenths.
    Time(Duration),
}

/// How many calls there were, and of what kind. One can be both failed and slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BreakerCounts {
    /// All that were counted.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were slow, or still running when they had become so.
    pub slow: u64,
}

impl AddAssign for BreakerCounts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.slow += other.slow;
    }
}

impl SubAssign for BreakerCounts {
    fn sub_assign(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failed -= other.failed;
        self.slow -= other.slow;
    }
}

pub(super) const fn one(failed: bool, slow: bool) -> BreakerCounts {
    BreakerCounts { calls: 1, failed: failed as u64, slow: slow as u64 }
}

#[derive(Debug)]
pub(super) enum Window {
    Calls { ring: Vec<BreakerCounts>, size: u64, next: u64, totals: BreakerCounts },
    Time(Box<Slices<BreakerCounts>>),
}

impl Window {
    pub(super) fn new(kind: BreakerWindow, now: Instant) -> Self {
        match kind {
            BreakerWindow::Calls(size) => Self::Calls {
                ring: Vec::new(),
                size: size.get().into(),
                next: 0,
                totals: BreakerCounts::default(),
            },
            BreakerWindow::Time(time) => Self::Time(Box::new(Slices::new(time, now))),
        }
    }

    /// Counts a call, and returns the mark under which it can be amended.
    pub(super) fn record(&mut self, now: Instant, counts: BreakerCounts) -> u64 {
        match self {
            Self::Calls { ring, size, next, totals } => {
                let mark = *next;
                *next += 1;
                *totals += counts;
                match ring.get_mut(place(mark, *size)) {
                    Some(slot) => {
                        *totals -= *slot;
                        *slot = counts;
                    }
                    None => ring.push(counts),
                }
                mark
            }
            Self::Time(slices) => slices.add(now, counts),
        }
    }

    /// Notes that a call counted as slow has failed too.
    pub(super) fn fail(&mut self, mark: u64) {
        let failed = BreakerCounts { calls: 0, failed: 1, slow: 0 };
        match self {
            Self::Calls { ring, size, next, totals } if *next - mark <= *size => {
                if let Some(slot) = ring.get_mut(place(mark, *size)) {
                    *slot += failed;
                    *totals += failed;
                }
            }
            Self::Calls { .. } => {}
            Self::Time(slices) => slices.amend(mark, |slice| *slice += failed),
        }
    }

    /// Takes back a call that was counted as slow.
    pub(super) fn retract(&mut self, mark: u64) {
        let slow = one(false, true);
        match self {
            Self::Calls { ring, size, next, totals } if *next - mark <= *size => {
                if let Some(slot) = ring.get_mut(place(mark, *size)) {
                    *slot -= slow;
                    *totals -= slow;
                }
            }
            Self::Calls { .. } => {}
            Self::Time(slices) => slices.amend(mark, |slice| *slice -= slow),
        }
    }

    pub(super) fn totals(&mut self, now: Instant) -> BreakerCounts {
        match self {
            Self::Calls { totals, .. } => *totals,
            Self::Time(slices) => slices.totals(now),
        }
    }
}

fn place(mark: u64, size: u64) -> usize {
    usize::try_from(mark % size).unwrap_or(usize::MAX)
}
