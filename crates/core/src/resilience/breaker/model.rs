//! The breaker against a reference that remembers everything and counts it anew at every step.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::time::ManualClock;

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    End(u8, Verdict),
    Drop(u8),
    Pass(u64),
}

#[derive(Clone, Debug)]
struct Setting {
    window: BreakerWindow,
    minimum: u32,
    failure_rate: f64,
    slow_rate: f64,
    probes: u32,
    lease: u64,
    dropped: Dropped,
}

const SLOW: u64 = 20;
const OPEN: u64 = 50;

/// A call as the reference remembers it.
#[derive(Clone, Debug)]
struct Call {
    began: u64,
    period: usize,
    /// When it was counted, if it was, and as what.
    counted: Option<(u64, bool, bool)>,
    /// The order in which it was counted.
    order: u64,
    over: bool,
}

#[derive(Debug)]
struct Reference {
    setting: Setting,
    now: u64,
    state: BreakerState,
    /// Periods between changes of state; calls of earlier ones count no more.
    period: usize,
    since: u64,
    open_until: u64,
    openings: u32,
    order: u64,
    calls: Vec<Call>,
}

impl Reference {
    fn change(&mut self, state: BreakerState) {
        self.state = state;
        self.period += 1;
        self.since = self.now;
        if state == BreakerState::Open {
            self.openings += 1;
            self.open_until = self.now + (OPEN << (self.openings - 1).min(2));
        } else if state == BreakerState::Closed {
            self.openings = 0;
        }
    }

    fn counted(&self) -> (usize, usize, usize) {
        let mut counted: Vec<&Call> =
            self.calls.iter().filter(|call| call.period == self.period && call.counted.is_some()).collect();
        counted.sort_by_key(|call| call.order);
        if self.state == BreakerState::Closed {
            match self.setting.window {
                // a call that was taken back keeps its place in the row
                BreakerWindow::Calls(size) => {
                    counted.retain(|call| self.order - call.order < u64::from(size.get()));
                }
                BreakerWindow::Time(window) => {
                    let slice = u64::try_from(window.as_millis()).unwrap() / 10;
                    let index = |at: u64| (at - self.since) / slice;
                    counted.retain(|call| index(self.now) - index(call.counted.unwrap().0) <= 10);
                }
            }
        }
        let failed = counted.iter().filter(|call| call.counted.unwrap().1).count();
        let slow = counted.iter().filter(|call| call.counted.unwrap().2).count();
        (counted.len(), failed, slow)
    }

    fn count(&mut self, call: usize, failed: bool, slow: bool) {
        self.order += 1;
        self.calls[call].order = self.order;
        self.calls[call].counted = Some((self.now, failed, slow));
        self.decide();
    }

    #[expect(clippy::cast_precision_loss, reason = "a few calls")]
    fn decide(&mut self) {
        let (calls, failed, slow) = self.counted();
        let (of, enough) = match (self.state, self.setting.window) {
            (BreakerState::Closed, BreakerWindow::Calls(size)) => {
                (calls, calls >= self.setting.minimum.min(size.get()) as usize)
            }
            (BreakerState::Closed, _) => (calls, calls >= self.setting.minimum as usize),
            (BreakerState::HalfOpen, _) => (self.setting.probes as usize, true),
            (BreakerState::Open, _) => return,
        };
        let reaches = |part: usize, rate: f64| part > 0 && part as f64 >= rate * of as f64;
        if enough && (reaches(failed, self.setting.failure_rate) || reaches(slow, self.setting.slow_rate)) {
            self.change(BreakerState::Open);
        } else if self.state == BreakerState::HalfOpen && calls >= of {
            self.change(BreakerState::Closed);
        }
    }

    fn look(&mut self) {
        if self.state == BreakerState::Open && self.now >= self.open_until {
            self.change(BreakerState::HalfOpen);
        }
        for call in 0..self.calls.len() {
            let Call { began, period, counted, over, .. } = self.calls[call];
            let limit = if self.state == BreakerState::HalfOpen { self.setting.lease } else { SLOW };
            if !over
                && period == self.period
                && counted.is_none()
                && self.now - began >= limit
                && self.state != BreakerState::Open
            {
                self.count(call, self.state == BreakerState::HalfOpen, true);
            }
        }
    }

    fn begin(&mut self) -> bool {
        self.look();
        let admitted = match self.state {
            BreakerState::Closed => true,
            BreakerState::Open => false,
            BreakerState::HalfOpen => {
                let taken = self
                    .calls
                    .iter()
                    .filter(|call| call.period == self.period && (!call.over || call.counted.is_some()));
                taken.count() < self.setting.probes as usize
            }
        };
        if admitted {
            self.calls.push(Call {
                began: self.now,
                period: self.period,
                counted: None,
                order: 0,
                over: false,
            });
        }
        admitted
    }

    fn end(&mut self, call: usize, verdict: Option<Verdict>) {
        self.look();
        self.calls[call].over = true;
        let Call { began, period, counted, .. } = self.calls[call].clone();
        if period != self.period {
            return;
        }
        let slow = self.now - began >= SLOW;
        let failed = match (verdict, self.setting.dropped) {
            (Some(Verdict::Failure), _) | (None, Dropped::Failure) => true,
            (Some(Verdict::Success), _) => false,
            (Some(Verdict::Neutral), _) | (None, Dropped::ByAge) if slow => false,
            _ => {
                if self.state == BreakerState::Closed {
                    self.calls[call].counted = None;
                }
                return;
            }
        };
        match counted {
            None => self.count(call, failed, slow),
            Some((at, _, slow)) if failed && self.state == BreakerState::Closed => {
                self.calls[call].counted = Some((at, true, slow));
                self.decide();
            }
            Some(_) => {}
        }
    }
}

fn setting() -> impl Strategy<Value = Setting> {
    let window = prop_oneof![
        (1..12_u32).prop_map(|size| BreakerWindow::Calls(NonZeroU32::new(size).unwrap())),
        (1..8_u64).prop_map(|tens| BreakerWindow::Time(Duration::from_millis(tens * 10))),
    ];
    let rate = prop_oneof![Just(0.0), Just(0.3), Just(0.5), Just(1.0), Just(2.0)];
    let dropped = prop_oneof![Just(Dropped::ByAge), Just(Dropped::Failure), Just(Dropped::Neutral)];
    (window, 1..8_u32, rate.clone(), rate, 1..4_u32, SLOW..40, dropped).prop_map(
        |(window, minimum, failure_rate, slow_rate, probes, lease, dropped)| Setting {
            window,
            minimum,
            failure_rate,
            slow_rate,
            probes,
            lease,
            dropped,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verdict = prop_oneof![Just(Verdict::Success), Just(Verdict::Failure), Just(Verdict::Neutral)];
    let step = prop_oneof![
        4 => Just(Step::Begin),
        4 => (any::<u8>(), verdict).prop_map(|(which, verdict)| Step::End(which, verdict)),
        2 => any::<u8>().prop_map(Step::Drop),
        3 => (0..15_u64).prop_map(Step::Pass),
        1 => (30..120_u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn it_does_what_the_reference_does(setting in setting(), steps in steps()) {
        let clock = ManualClock::new();
        let breaker = CircuitBreaker::new("model", Duration::from_millis(SLOW))
            .with_window(setting.window)
            .with_minimum_throughput(setting.minimum)
            .with_failure_rate(setting.failure_rate)
            .with_slow_rate(setting.slow_rate)
            .with_probes(NonZeroU32::new(setting.probes).unwrap())
            .with_probe_lease(Duration::from_millis(setting.lease))
            .with_dropped(setting.dropped)
            .with_open_for(Backoff::new(Duration::from_millis(OPEN), Duration::from_millis(OPEN * 4)).with_jitter(Jitter::None))
            .with_clock(Arc::new(clock.clone()));
        let mut reference = Reference {
            setting, now: 0, state: BreakerState::Closed, period: 0, since: 0, open_until: 0, openings: 0, order: 0, calls: Vec::new(),
        };
        let mut permits = Vec::new();
        for step in steps {
            match step {
                Step::Begin => {
                    let permit = breaker.try_acquire();
                    prop_assert_eq!(permit.is_ok(), reference.begin());
                    if let Ok(permit) = permit {
                        permits.push((permit, reference.calls.len() - 1));
                    }
                }
                Step::End(which, verdict) if !permits.is_empty() => {
                    let (permit, call) = permits.swap_remove(usize::from(which) % permits.len());
                    permit.record(verdict);
                    reference.end(call, Some(verdict));
                }
                Step::Drop(which) if !permits.is_empty() => {
                    let (permit, call) = permits.swap_remove(usize::from(which) % permits.len());
                    drop(permit);
                    reference.end(call, None);
                }
                Step::Pass(millis) => {
                    clock.advance(Duration::from_millis(millis));
                    reference.now += millis;
                }
                Step::End(..) | Step::Drop(_) => {}
            }
            reference.look();
            prop_assert_eq!(breaker.state(), reference.state, "after {:?} at {}", step, reference.now);
            let (calls, failed, slow) = reference.counted();
            let expected = if reference.state == BreakerState::Open { (0, 0, 0) } else { (calls as u64, failed as u64, slow as u64) };
            let counts = breaker.counts();
            prop_assert_eq!((counts.calls, counts.failed, counts.slow), expected, "after {:?} at {}", step, reference.now);
        }
    }
}
