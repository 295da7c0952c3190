//! Those who wait, in the order of their arrival.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::time::after;

const FEWEST: usize = 64;

/// What came back, or (below zero) what is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) requests: i64,
    pub(super) tokens: i128,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

/// What flows in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) requests_per_second: f64,
    pub(super) tokens_per_second: Option<f64>,
}

/// When a caller may pass, by each of the buckets, as it stood when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dues {
    pub(super) by_requests: Instant,
    pub(super) by_tokens: Instant,
}

impl Dues {
    #[expect(clippy::cast_precision_loss, reason = "tokens of a minute stay far below 2^52")]
    fn after(self, moved: Amount, rates: Rates) -> Instant {
        let by_requests = sooner(self.by_requests, moved.requests as f64 / rates.requests_per_second);
        let by_tokens = rates
            .tokens_per_second
            .map_or(self.by_tokens, |rate| sooner(self.by_tokens, moved.tokens as f64 / rate));
        by_requests.max(by_tokens)
    }
}

fn sooner(at: Instant, seconds: f64) -> Instant {
    let by = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    if seconds < 0.0 { after(at, by) } else { at.checked_sub(by).unwrap_or(at) }
}

struct Ticket {
    dues: Dues,
    slot: usize,
    /// What had been moved before it came, taken off.
    before: Amount,
    /// Who sleeps, and until when.
    sleeper: Option<(Instant, Waker)>,
}

/// A line in which each change costs O(log n), however many wait behind it.
///
/// What moves all behind a place is added to a Fenwick tree over the slots of the line (P. M. Fenwick, "A new data structure for
/// cumulative frequency tables", Software: Practice and Experience 24, 1994), and whoever wants to know adds up what was moved
/// before its own slot. Only who stands first is woken: nobody behind it may pass before it does, and whoever leaves the line
/// first wakes the next.
pub(super) struct Line {
    rates: Rates,
    waiting: BTreeMap<u64, Ticket>,
    arrivals: u64,
    moves: Vec<Amount>,
    /// How many slots were given out since the tree was built.
    slots: usize,
    /// How many tickets and nodes of the tree were touched.
    #[cfg(test)]
    touched: std::cell::Cell<usize>,
}

impl Line {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            waiting: BTreeMap::new(),
            arrivals: 0,
            moves: vec![Amount::default(); FEWEST],
            slots: 0,
            #[cfg(test)]
            touched: std::cell::Cell::default(),
        }
    }

    #[cfg(test)]
    fn touch(&self) {
        self.touched.set(self.touched.get() + 1);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "it counts in tests")]
    const fn touch(&self) {}

    /// Takes the last place.
    pub(super) fn join(&mut self, dues: Dues) -> u64 {
        if self.slots == self.moves.len() {
            self.rebuild();
        }
        let slot = self.slots;
        self.slots += 1;
        self.arrivals += 1;
        let before = negated(self.moved_before(slot));
        self.waiting.insert(self.arrivals, Ticket { dues, slot, before, sleeper: None });
        self.arrivals
    }

    /// When the caller at `place` may pass; `None` if it is not in line.
    pub(super) fn due(&self, place: u64) -> Option<Instant> {
        self.waiting.get(&place).map(|ticket| self.due_of(ticket))
    }

    /// Has the caller at `place` woken when it may pass sooner than it sleeps.
    pub(super) fn sleep(&mut self, place: u64, until: Instant, waker: Waker) {
        if let Some(ticket) = self.waiting.get_mut(&place) {
            ticket.sleeper = Some((until, waker));
        }
    }

    /// Gives a place up.
    pub(super) fn leave(&mut self, place: u64) {
        let was_first = self.waiting.first_key_value().is_some_and(|(first, _)| *first == place);
        self.waiting.remove(&place);
        if was_first {
            self.wake_first();
        }
    }

    /// Moves those behind `place` up by what came back, or back by what is owed.
    pub(super) fn shift(&mut self, place: u64, by: Amount) {
        let Some((_, behind)) = self.waiting.range(place.saturating_add(1)..).next() else { return };
        let mut at = behind.slot + 1;
        while let Some(moved) = self.moves.get_mut(at - 1) {
            *moved += by;
            self.touch();
            at += at & at.wrapping_neg();
        }
        self.wake_first();
    }

    /// Has everybody look anew.
    pub(super) fn wake_all(&mut self) {
        for (_, waker) in self.waiting.values_mut().filter_map(|ticket| ticket.sleeper.take()) {
            waker.wake();
        }
    }

    /// Wakes whoever stands first, if it would sleep too long.
    fn wake_first(&mut self) {
        let Some((place, ticket)) = self.waiting.first_key_value() else { return };
        let (place, due) = (*place, self.due_of(ticket));
        if let Some(ticket) = self.waiting.get_mut(&place)
            && let Some((_, waker)) = ticket.sleeper.take_if(|(until, _)| *until > due)
        {
            waker.wake();
        }
    }

    fn due_of(&self, ticket: &Ticket) -> Instant {
        let mut moved = self.moved_before(ticket.slot);
        moved += ticket.before;
        ticket.dues.after(moved, self.rates)
    }

    /// What was moved from any slot up to this one.
    fn moved_before(&self, slot: usize) -> Amount {
        let mut sum = Amount::default();
        let mut at = slot + 1;
        while let Some(moved) = at.checked_sub(1).and_then(|at| self.moves.get(at)) {
            sum += *moved;
            self.touch();
            at &= at - 1;
        }
        sum
    }

    /// Gives those in line the first slots of an empty tree, which costs each arrival since the last time a share.
    fn rebuild(&mut self) {
        let moved: Vec<Amount> = self.waiting.values().map(|ticket| self.moved_before(ticket.slot)).collect();
        for (slot, (ticket, moved)) in self.waiting.values_mut().zip(moved).enumerate() {
            ticket.before += moved;
            ticket.slot = slot;
        }
        self.slots = self.waiting.len();
        self.moves.clear();
        self.moves.resize((2 * self.slots).max(FEWEST), Amount::default());
    }
}

const fn negated(amount: Amount) -> Amount {
    Amount { requests: amount.requests.saturating_neg(), tokens: amount.tokens.saturating_neg() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATES: Rates = Rates { requests_per_second: 2.0, tokens_per_second: Some(10.0) };

    #[derive(Clone, Debug)]
    enum Step {
        Join,
        Leave(usize),
        Shift(usize, i64, i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Join),
            1 => any::<usize>().prop_map(Step::Leave),
            2 => (any::<usize>(), -3_i64..4, -900_i64..900).prop_map(|(at, requests, tokens)| {
                Step::Shift(at, requests, tokens)
            }),
        ];
        prop::collection::vec(step, 1..600)
    }

    /// What is touched while `n` join, as many changes come before them, and they leave one by one.
    fn touched(n: usize, first_leaves_first: bool) -> usize {
        let now = Instant::now();
        let mut line = Line::new(RATES);
        let mut places: Vec<u64> =
            (0..n).map(|_| line.join(Dues { by_requests: now, by_tokens: now })).collect();
        for place in &places {
            line.sleep(*place, now, Waker::noop().clone());
            line.shift(0, Amount { requests: 0, tokens: 5 });
        }
        if !first_leaves_first {
            places.reverse();
        }
        for place in places {
            line.leave(place);
            line.shift(place, Amount { requests: 1, tokens: 10 });
        }
        line.touched.get()
    }

    #[test]
    fn what_a_crowd_costs_grows_with_it_and_not_with_its_square() {
        for first_leaves_first in [true, false] {
            let (some, many) = (touched(8_000, first_leaves_first), touched(16_000, first_leaves_first));
            assert!(many < some * 3, "8,000 touched {some}, 16,000 touched {many}");
        }
    }

    proptest! {
        /// The tree says what a walk along the line would.
        #[test]
        fn everybody_is_moved_by_what_came_back_before_them(steps in steps()) {
            // far enough from the clock's beginning to be moved back to
            let now = Instant::now() + Duration::from_hours(1_000);
            let dues = Dues { by_requests: now, by_tokens: now };
            let (mut line, mut walked) = (Line::new(RATES), Vec::<(u64, Amount)>::new());
            let mut places = 0;
            for step in steps {
                match step {
                    Step::Join => {
                        places = line.join(dues);
                        walked.push((places, Amount::default()));
                    }
                    Step::Leave(at) if !walked.is_empty() => {
                        let (place, _) = walked.remove(at % walked.len());
                        line.leave(place);
                        prop_assert_eq!(line.due(place), None);
                    }
                    Step::Leave(_) => {}
                    Step::Shift(at, requests, tokens) => {
                        let (place, by) = (at as u64 % (places + 2), Amount { requests, tokens: tokens.into() });
                        line.shift(place, by);
                        for (_, moved) in walked.iter_mut().filter(|(behind, _)| *behind > place) {
                            *moved += by;
                        }
                    }
                }
                for (place, moved) in &walked {
                    prop_assert_eq!(line.due(*place), Some(dues.after(*moved, RATES)));
                }
            }
        }
    }
}
