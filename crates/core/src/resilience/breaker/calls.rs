//! The calls in flight, oldest first.

use std::time::Instant;

const NONE: usize = usize::MAX;

/// A slab of calls with a list through those that still count as running; every operation is O(1), and memory is bounded by
/// the most calls that were ever in flight together.
#[derive(Debug)]
pub(super) struct Calls {
    slots: Vec<Slot>,
    free: usize,
    oldest: usize,
    newest: usize,
    running: usize,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Free { next: usize },
    Running { began: Instant, older: usize, newer: usize },
    Counted { mark: u64 },
}

/// How a call stood when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It had not been counted yet.
    Running,
    /// It was counted while it ran, under this mark.
    Counted(u64),
}

impl Calls {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: NONE, oldest: NONE, newest: NONE, running: 0 }
    }

    /// Returns how many calls run that have not been counted.
    pub(super) const fn running(&self) -> usize {
        self.running
    }

    pub(super) fn begin(&mut self, now: Instant) -> usize {
        let slot = Slot::Running { began: now, older: self.newest, newer: NONE };
        let place = if let Some(free) = self.slots.get_mut(self.free) {
            let place = self.free;
            self.free = if let Slot::Free { next } = *free { next } else { NONE };
            *free = slot;
            place
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        if let Some(Slot::Running { newer, .. }) = self.slots.get_mut(self.newest) {
            *newer = place;
        } else {
            self.oldest = place;
        }
        self.newest = place;
        self.running += 1;
        place
    }

    /// Returns the running call that began first.
    pub(super) fn oldest(&self) -> Option<(usize, Instant)> {
        match self.slots.get(self.oldest) {
            Some(Slot::Running { began, .. }) => Some((self.oldest, *began)),
            _ => None,
        }
    }

    /// Notes that a running call has been counted; it is no longer among the running.
    pub(super) fn count(&mut self, place: usize, mark: u64) {
        self.unlink(place);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Slot::Counted { mark };
        }
    }

    /// Removes a call.
    pub(super) fn end(&mut self, place: usize) -> Ended {
        let ended = match self.slots.get(place) {
            Some(Slot::Counted { mark }) => Ended::Counted(*mark),
            _ => Ended::Running,
        };
        self.unlink(place);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Slot::Free { next: self.free };
            self.free = place;
        }
        ended
    }

    fn unlink(&mut self, place: usize) {
        let Some(Slot::Running { older, newer, .. }) = self.slots.get(place).copied() else { return };
        match self.slots.get_mut(older) {
            Some(Slot::Running { newer: link, .. }) => *link = newer,
            _ => self.oldest = newer,
        }
        match self.slots.get_mut(newer) {
            Some(Slot::Running { older: link, .. }) => *link = older,
            _ => self.newest = older,
        }
        self.running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_oldest_is_that_of_a_plain_list(steps in prop::collection::vec((0_u8..5, any::<prop::sample::Index>()), 1..300)) {
            let start = Instant::now();
            let mut calls = Calls::new();
            let (mut running, mut counted, mut most) = (Vec::new(), Vec::new(), 0);
            for (number, (step, which)) in steps.into_iter().enumerate() {
                let at = start + Duration::from_nanos(number as u64);
                match step {
                    0 | 1 => running.push((calls.begin(at), at)),
                    2 if !running.is_empty() => {
                        let (place, _) = running.remove(which.index(running.len()));
                        prop_assert_eq!(calls.end(place), Ended::Running);
                    }
                    3 if !running.is_empty() => {
                        let (place, _) = running.remove(0);
                        calls.count(place, number as u64);
                        counted.push((place, number as u64));
                    }
                    4 if !counted.is_empty() => {
                        let (place, mark) = counted.remove(which.index(counted.len()));
                        prop_assert_eq!(calls.end(place), Ended::Counted(mark));
                    }
                    _ => {}
                }
                most = most.max(running.len() + counted.len());
                prop_assert_eq!(calls.oldest(), running.first().copied());
                prop_assert_eq!(calls.running(), running.len());
                prop_assert_eq!(calls.slots.len(), most);
            }
        }
    }
}
