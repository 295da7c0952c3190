//! Counts over a sliding window of time, kept in slices with running totals.

use std::ops::{AddAssign, SubAssign};
use std::time::{Duration, Instant};

const SLICES: usize = 10;

/// Ten slices and the one being filled: what is older than the window has left the totals, at most a tenth of the window late.
#[derive(Clone, Debug)]
pub(super) struct Slices<C> {
    slice_nanos: u64,
    origin: Instant,
    newest: u64,
    ring: [C; SLICES + 1],
    totals: C,
}

impl<C: Copy + Default + AddAssign + SubAssign> Slices<C> {
    pub(super) fn new(window: Duration, origin: Instant) -> Self {
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        Self {
            slice_nanos: (nanos / SLICES as u64).max(1),
            origin,
            newest: 0,
            ring: [C::default(); SLICES + 1],
            totals: C::default(),
        }
    }

    /// Adds to the slice of `now` and names that slice.
    pub(super) fn add(&mut self, now: Instant, count: C) -> u64 {
        self.advance(now);
        self.totals += count;
        if let Some(slot) = self.ring.get_mut(place(self.newest)) {
            *slot += count;
        }
        self.newest
    }

    /// Changes a slice named earlier, if it has not left the window.
    pub(super) fn amend(&mut self, slice: u64, change: impl Fn(&mut C)) {
        if slice <= self.newest && self.newest - slice <= SLICES as u64 {
            change(&mut self.totals);
            self.ring.get_mut(place(slice)).map(change);
        }
    }

    pub(super) fn totals(&mut self, now: Instant) -> C {
        self.advance(now);
        self.totals
    }

    fn advance(&mut self, now: Instant) {
        let nanos = u64::try_from(now.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX);
        let index = nanos / self.slice_nanos;
        if index <= self.newest {
            return;
        }
        let passed = (index - self.newest).min(SLICES as u64 + 1);
        for step in 1..=passed {
            if let Some(slot) = self.ring.get_mut(place(self.newest.wrapping_add(step))) {
                self.totals -= *slot;
                *slot = C::default();
            }
        }
        self.newest = index;
    }
}

fn place(slice: u64) -> usize {
    usize::try_from(slice % (SLICES as u64 + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn totals_are_those_of_the_slices_in_the_window(steps in prop::collection::vec((0_u64..400, 0_u64..5), 1..200)) {
            let origin = Instant::now();
            let mut slices = Slices::<u64>::new(Duration::from_nanos(100), origin);
            let (mut at, mut log) = (0, Vec::new());
            for (pause, count) in steps {
                at += if pause < 300 { pause / 20 } else { pause };
                slices.add(origin + Duration::from_nanos(at), count);
                log.push((at / 10, count));
                let expected: u64 = log.iter().filter(|(slice, _)| at / 10 - slice <= 10).map(|(_, count)| count).sum();
                prop_assert_eq!(slices.totals(origin + Duration::from_nanos(at)), expected);
            }
        }
    }
}
