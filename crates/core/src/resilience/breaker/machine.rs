//! The breaker as a machine without a clock: moments come in, decisions go out.

use std::time::{Duration, Instant};

use super::calls::{Calls, Ended};
use super::window::{BreakerCounts, BreakerWindow, Window, one};
use super::{BreakerState, Dropped};
use crate::resilience::{Backoff, Random, Verdict};

#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) window: BreakerWindow,
    pub(super) minimum_throughput: u32,
    pub(super) failure_rate: f64,
    pub(super) slow_after: Duration,
    pub(super) slow_rate: f64,
    pub(super) probes: u32,
    pub(super) probe_lease: Option<Duration>,
    pub(super) open_for: Backoff,
    pub(super) dropped: Dropped,
    pub(super) random: Random,
}

impl Config {
    /// A window of calls that is smaller than the minimum would never open.
    fn minimum(&self) -> u64 {
        match self.window {
            BreakerWindow::Calls(size) => self.minimum_throughput.clamp(1, size.get()).into(),
            BreakerWindow::Time(_) => self.minimum_throughput.max(1).into(),
        }
    }

    fn lease(&self) -> Duration {
        self.probe_lease.unwrap_or(self.slow_after)
    }
}

/// Leave for one call. It belongs to the epoch in which it was given: what it has to report later says nothing about
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    epoch: u64,
    place: usize,
    began: Instant,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Verdict(Verdict),
    Dropped,
}

/// A change of state, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) to: BreakerState,
    pub(super) counts: BreakerCounts,
    pub(super) open_for: Option<Duration>,
}

#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open { until: Instant },
    HalfOpen(BreakerCounts),
}

#[derive(Debug)]
pub(super) struct Machine {
    config: Config,
    phase: Phase,
    epoch: u64,
    now: Instant,
    calls: Calls,
    /// How often it opened since it was closed last.
    openings: u32,
    changes: Vec<Change>,
}

impl Machine {
    pub(super) fn new(config: Config, now: Instant) -> Self {
        let phase = Phase::Closed(Window::new(config.window, now));
        Self { config, phase, epoch: 0, now, calls: Calls::new(), openings: 0, changes: Vec::new() }
    }

    /// Gives leave for a call, or tells how long to stay away.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        self.advance(now);
        if let Some(wait) = self.refusal() {
            return Err(wait);
        }
        let place = self.calls.begin(self.now);
        Ok(Ticket { epoch: self.epoch, place, began: self.now })
    }

    /// Gives leave for a call while closed, and only then; otherwise tells for how long a probe would have to wait.
    pub(super) fn admit_closed(&mut self, now: Instant) -> Result<Ticket, Duration> {
        self.advance(now);
        match self.phase {
            Phase::Closed(_) => self.admit(now),
            _ => Err(self.refusal().unwrap_or(Duration::ZERO)),
        }
    }

    /// Tells whether a call would be turned away now, and for how long.
    pub(super) fn check(&mut self, now: Instant) -> Option<Duration> {
        self.advance(now);
        self.refusal()
    }

    fn refusal(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Closed(_) => None,
            Phase::Open { until } => Some(until.saturating_duration_since(self.now)),
            Phase::HalfOpen(results) => {
                let spent = results.calls.saturating_add(self.calls.running() as u64);
                if spent < u64::from(self.config.probes) {
                    return None;
                }
                // the next probe comes free when the oldest lease ends at the latest
                let oldest = self.calls.oldest().map_or(Duration::ZERO, |(_, began)| self.now - began);
                Some(self.config.lease().saturating_sub(oldest))
            }
        }
    }

    /// Takes the report of a call.
    pub(super) fn finish(&mut self, ticket: Ticket, now: Instant, end: End) {
        self.advance(now);
        if ticket.epoch != self.epoch {
            return;
        }
        let ended = self.calls.end(ticket.place);
        let slow = self.now.saturating_duration_since(ticket.began) >= self.config.slow_after;
        let failed = match end {
            End::Verdict(Verdict::Failure) => true,
            End::Verdict(Verdict::Success) => false,
            // what ended neutrally may still have taken its time
            End::Verdict(Verdict::Neutral) if slow => false,
            End::Dropped if self.config.dropped == Dropped::Failure => true,
            End::Dropped if self.config.dropped == Dropped::ByAge && slow => false,
            End::Verdict(Verdict::Neutral) | End::Dropped => return self.retract(ended),
        };
        match (&mut self.phase, ended) {
            (Phase::Closed(window), Ended::Running) => {
                window.record(self.now, one(failed, slow));
            }
            (Phase::Closed(window), Ended::Counted(mark)) if failed => window.fail(mark),
            (Phase::HalfOpen(results), Ended::Running) => *results += one(failed, slow),
            // a lease that has ended was counted then; in the open state nothing counts
            _ => return,
        }
        self.decide();
    }

    fn retract(&mut self, ended: Ended) {
        if let (Phase::Closed(window), Ended::Counted(mark)) = (&mut self.phase, ended) {
            window.retract(mark);
        }
    }

    /// Lets time pass: calls become slow, leases end, the open state runs out.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if matches!(self.phase, Phase::Open { until } if until <= self.now) {
            self.enter(Phase::HalfOpen(BreakerCounts::default()), None, BreakerCounts::default());
        }
        loop {
            let limit = match self.phase {
                Phase::Closed(_) => self.config.slow_after,
                Phase::HalfOpen(_) => self.config.lease(),
                Phase::Open { .. } => return,
            };
            let Some((place, began)) = self.calls.oldest() else { return };
            if self.now.saturating_duration_since(began) < limit {
                return;
            }
            match &mut self.phase {
                Phase::Closed(window) => {
                    let mark = window.record(self.now, one(false, true));
                    self.calls.count(place, mark);
                }
                Phase::HalfOpen(results) => {
                    *results += one(true, true);
                    self.calls.count(place, 0);
                }
                Phase::Open { .. } => return,
            }
            self.decide();
        }
    }

    fn decide(&mut self) {
        let (counts, of, decided) = match &mut self.phase {
            Phase::Closed(window) => {
                let counts = window.totals(self.now);
                (counts, counts.calls, counts.calls >= self.config.minimum())
            }
            // judged against all the probes, so that it reopens as soon as the rest cannot save it
            Phase::HalfOpen(results) => (*results, self.config.probes.into(), results.calls > 0),
            Phase::Open { .. } => return,
        };
        if decided
            && (reaches(counts.failed, of, self.config.failure_rate)
                || reaches(counts.slow, of, self.config.slow_rate))
        {
            self.open(counts);
        } else if matches!(self.phase, Phase::HalfOpen(_)) && counts.calls >= of {
            self.close(counts);
        }
    }

    fn open(&mut self, counts: BreakerCounts) {
        self.openings = self.openings.saturating_add(1);
        let duration = self.config.open_for.delay(self.openings, &self.config.random);
        // an end beyond what the clock can express comes in a day
        let until = self.now.checked_add(duration).unwrap_or(self.now + Duration::from_hours(24));
        self.enter(Phase::Open { until }, Some(duration), counts);
    }

    fn close(&mut self, counts: BreakerCounts) {
        self.openings = 0;
        self.enter(Phase::Closed(Window::new(self.config.window, self.now)), None, counts);
    }

    fn enter(&mut self, phase: Phase, open_for: Option<Duration>, counts: BreakerCounts) {
        self.phase = phase;
        self.epoch += 1;
        self.calls = Calls::new();
        self.changes.push(Change { to: self.current(), counts, open_for });
    }

    pub(super) fn trip(&mut self, now: Instant) {
        self.advance(now);
        if !matches!(self.phase, Phase::Open { .. }) {
            let counts = self.counts();
            self.open(counts);
        }
    }

    pub(super) fn reset(&mut self, now: Instant) {
        self.advance(now);
        let counts = self.counts();
        self.close(counts);
    }

    pub(super) fn state(&mut self, now: Instant) -> BreakerState {
        self.advance(now);
        self.current()
    }

    const fn current(&self) -> BreakerState {
        match self.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen(_) => BreakerState::HalfOpen,
        }
    }

    /// Returns the counts of the window, or of the probes.
    pub(super) fn counts(&mut self) -> BreakerCounts {
        match &mut self.phase {
            Phase::Closed(window) => window.totals(self.now),
            Phase::HalfOpen(results) => *results,
            Phase::Open { .. } => BreakerCounts::default(),
        }
    }

    /// Returns the changes since it was asked last.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "calls of one window stay far below 2^52")]
fn reaches(part: u64, of: u64, rate: f64) -> bool {
    // a share of none is reached by nobody: a rate of zero means "the first one"
    part > 0 && part as f64 >= rate * of as f64
}
