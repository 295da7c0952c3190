//! A wall clock that does not jump back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pumasi_core::time::{Clock, Timestamp};

/// The wall clock as far as it keeps pace with the monotonic one: set back by hand or by its time server, it would make old
/// answers look young.
#[derive(Debug)]
pub(super) struct SteadyClock {
    clock: Arc<dyn Clock>,
    last: Mutex<(Timestamp, Instant)>,
}

impl SteadyClock {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let last = Mutex::new((clock.now(), clock.instant()));
        Self { clock, last }
    }

    pub(super) fn now(&self) -> Timestamp {
        let (wall, instant) = (self.clock.now(), self.clock.instant());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let steady = last.0.saturating_add(instant.saturating_duration_since(last.1));
        let now = wall.max(steady);
        *last = (now, instant.max(last.1));
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
