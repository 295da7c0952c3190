//! How many events are taken before there is a place for them.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// Events are taken ahead that will have begun within this time, by what was handled lately.
const WITHIN: Duration = Duration::from_millis(50);
/// The most lanes that are taken ahead.
const MOST: usize = 512;

/// Decides how many lanes may be out: those that have a place, and those that will have one soon.
///
/// A handler that works for minutes leaves nothing waiting that another member could do; one that is done at once is not
/// kept waiting by the bus.
#[derive(Debug)]
pub(super) struct Ahead {
    concurrency: NonZeroUsize,
    ahead: usize,
    /// When how many had been handled.
    mark: Option<(Instant, u64)>,
}

/// Whether events are asked for now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// So many.
    For(NonZeroUsize),
    /// It is better to wait until at most so many lanes are out.
    Later(usize),
}

impl Ahead {
    pub(super) fn new(concurrency: NonZeroUsize) -> Self {
        Self { concurrency, ahead: 0, mark: None }
    }

    /// Tells how many events to ask for while `out` lanes are out.
    pub(super) fn room(&mut self, out: usize, handled: u64, now: Instant) -> Room {
        if out > self.few() {
            return self.later();
        }
        self.measure(handled, now);
        NonZeroUsize::new(self.limit().saturating_sub(out)).map_or_else(|| self.later(), Room::For)
    }

    /// While more are out there is work for the meantime, and many are asked for at once.
    fn few(&self) -> usize {
        let limit = self.limit();
        self.concurrency.get().max(limit - limit / 2)
    }

    fn later(&self) -> Room {
        Room::Later(self.few().min(self.limit() - 1))
    }

    fn limit(&self) -> usize {
        self.concurrency.get().saturating_add(self.ahead)
    }

    fn measure(&mut self, handled: u64, now: Instant) {
        if let Some((at, before)) = self.mark.replace((now, handled)) {
            let micros = now.saturating_duration_since(at).as_micros();
            let count = u128::from(handled.saturating_sub(before));
            let soon = (count * WITHIN.as_micros()).checked_div(micros).unwrap_or(0);
            self.ahead = usize::try_from(soon).unwrap_or(MOST).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sixteen() -> (Ahead, Instant) {
        (Ahead::new(NonZeroUsize::new(16).unwrap()), Instant::now())
    }

    fn room(events: usize) -> Room {
        Room::For(NonZeroUsize::new(events).unwrap())
    }

    #[test]
    fn slow_handlers_have_nothing_waiting() {
        let (mut ahead, begun) = sixteen();
        assert_eq!(ahead.room(0, 0, begun), room(16));
        assert_eq!(ahead.room(15, 1, begun + Duration::from_mins(10)), room(1));
        assert_eq!(ahead.room(16, 1, begun + Duration::from_mins(11)), Room::Later(15));
    }

    #[test]
    fn quick_handlers_have_as_much_waiting_as_they_do_in_a_moment() {
        let (mut ahead, begun) = sixteen();
        ahead.room(0, 0, begun);
        assert_eq!(ahead.room(0, 100, begun + Duration::from_millis(100)), room(16 + 50));
        // Few are free: it is better to wait for more.
        assert_eq!(ahead.room(60, 106, begun + Duration::from_millis(105)), Room::Later(33));
        // They have become slow: less is out from now on, and nothing is asked for until it is.
        let slower = begun + Duration::from_millis(1100);
        assert_eq!(ahead.room(30, 106, slower), Room::Later(15));
        assert_eq!(ahead.room(15, 106, slower), room(1));
    }

    #[test]
    fn a_clock_that_stands_still_takes_nothing_ahead() {
        let (mut ahead, begun) = sixteen();
        ahead.room(0, 0, begun);
        assert_eq!(ahead.room(0, 1000, begun), room(16));
    }
}
