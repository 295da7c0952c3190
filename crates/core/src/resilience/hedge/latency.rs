//! How long calls usually take.

use std::time::Duration;

const KEPT: usize = 256;
const ENOUGH: usize = 20;
const RECKONED_EVERY: usize = 16;

/// The last 256 durations, and a percentile of them that is reckoned anew after every sixteenth.
#[derive(Debug)]
pub(super) struct Latencies {
    share: f64,
    ring: Vec<Duration>,
    next: usize,
    seen: usize,
    reckoned: Option<Duration>,
}

impl Latencies {
    pub(super) fn new(share: f64) -> Self {
        let share = if share.is_nan() { 0.95 } else { share.clamp(0.0, 1.0) };
        Self { share, ring: Vec::with_capacity(KEPT), next: 0, seen: 0, reckoned: None }
    }

    pub(super) fn observe(&mut self, took: Duration) {
        match self.ring.get_mut(self.next) {
            Some(slot) => *slot = took,
            None => self.ring.push(took),
        }
        self.next = (self.next + 1) % KEPT;
        self.seen = self.seen.saturating_add(1);
        if self.seen == ENOUGH || (self.seen > ENOUGH && self.seen.is_multiple_of(RECKONED_EVERY)) {
            self.reckoned = self.reckon();
        }
    }

    /// Returns the percentile; `None` until enough is known.
    pub(super) const fn percentile(&self) -> Option<Duration> {
        self.reckoned
    }

    fn reckon(&self) -> Option<Duration> {
        let mut sorted = self.ring.clone();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank within 256"
        )]
        let rank = (self.share * sorted.len() as f64).ceil() as usize;
        let index = rank.saturating_sub(1).min(sorted.len().checked_sub(1)?);
        Some(*sorted.select_nth_unstable(index).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_follows_the_last_durations() {
        let mut latencies = Latencies::new(0.95);
        for millis in 1..=19 {
            latencies.observe(Duration::from_millis(millis));
        }
        assert_eq!(latencies.percentile(), None);
        latencies.observe(Duration::from_millis(20));
        assert_eq!(latencies.percentile(), Some(Duration::from_millis(19)));
        for millis in 0..2_560 {
            latencies.observe(Duration::from_millis(1_000 + millis % 256));
        }
        assert_eq!(latencies.percentile(), Some(Duration::from_millis(1_243)));
    }
}
