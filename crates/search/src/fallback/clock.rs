//! A wall clock that is not set back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pumasi_core::time::{Clock, Timestamp};

/// The wall clock, but never behind what has passed since the start: set back by hand or by its time server, it would make old answers
/// look young. Where it was ahead for a while, it comes back, and says so.
#[derive(Debug)]
pub(super) struct SteadyClock {
    clock: Arc<dyn Clock>,
    start: (Timestamp, Instant),
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    at: (Timestamp, Instant),
    /// Whether moments were told since [`SteadyClock::came_back`] was asked that are still to come.
    came_back: bool,
}

impl SteadyClock {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let start = (clock.now(), clock.instant());
        Self { clock, start, last: Mutex::new(Last { at: start, came_back: false }) }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.with_last(|_| {})
    }

    /// Tells, once, whether the clock had been ahead and is not any more: what was kept meanwhile bears moments that are to come.
    pub(super) fn came_back(&self) -> bool {
        let mut came_back = false;
        self.with_last(|last| came_back = std::mem::take(&mut last.came_back));
        came_back
    }

    fn with_last(&self, with: impl FnOnce(&mut Last)) -> Timestamp {
        let (wall, instant) = (self.clock.now(), self.clock.instant());
        let since =
            |(at, then): (Timestamp, Instant)| at.saturating_add(instant.saturating_duration_since(then));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (least, steady) = (wall.max(since(self.start)), since(last.at));
        let comes_back = least.saturating_add(SKEW) < steady;
        let now = if comes_back { least } else { steady.max(least) };
        last.came_back |= comes_back;
        last.at = (now, instant.max(last.at.1));
        with(&mut last);
        now
    }

    pub(super) fn instant(&self) -> Instant {
        self.clock.instant()
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

/// How far ahead of ours the clock of another machine may be that kept an answer.
pub(super) const SKEW: Duration = Duration::from_secs(1);
