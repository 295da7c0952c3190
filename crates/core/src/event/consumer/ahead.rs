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

impl Ahead {
    pub(super) fn new(concurrency: NonZeroUsize) -> Self {
        Self { concurrency, ahead: 0, mark: None }
    }

    /// Tells how many events to ask for while `out` lanes are out; `None` if it is better to wait until some have ended.
    pub(super) fn room(&mut self, out: usize, handled: u64, now: Instant) -> Option<NonZeroUsize> {
        let room = self.limit().saturating_sub(out);
        // While there is work for the meantime, many are asked for at once.
        if out > self.concurrency.get() && room < self.limit() / 2 {
            return None;
        }
        self.measure(handled, now);
        NonZeroUsize::new(self.limit().saturating_sub(out))
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

    #[test]
    fn slow_handlers_have_nothing_waiting() {
        let (mut ahead, begun) = sixteen();
        assert_eq!(ahead.room(0, 0, begun).map(NonZeroUsize::get), Some(16));
        assert_eq!(ahead.room(15, 1, begun + Duration::from_mins(10)).map(NonZeroUsize::get), Some(1));
        assert_eq!(ahead.room(16, 1, begun + Duration::from_mins(11)), None);
    }

    #[test]
    fn quick_handlers_have_as_much_waiting_as_they_do_in_a_moment() {
        let (mut ahead, begun) = sixteen();
        ahead.room(0, 0, begun);
        let room = ahead.room(0, 100, begun + Duration::from_millis(100));
        assert_eq!(room.map(NonZeroUsize::get), Some(16 + 50));
        // Few are free: it is better to wait for more.
        assert_eq!(ahead.room(60, 106, begun + Duration::from_millis(105)), None);
        // They have become slow: less is out from now on, and nothing is asked for until it is.
        let slower = begun + Duration::from_millis(1100);
        assert_eq!(ahead.room(30, 106, slower), None);
        assert_eq!(ahead.room(15, 106, slower).map(NonZeroUsize::get), Some(1));
    }

    #[test]
    fn a_clock_that_stands_still_takes_nothing_ahead() {
        let (mut ahead, begun) = sixteen();
        ahead.room(0, 0, begun);
        assert_eq!(ahead.room(0, 1000, begun).map(NonZeroUsize::get), Some(16));
    }
}
