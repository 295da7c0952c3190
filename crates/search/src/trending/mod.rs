//! What is popular now: votes, views and whatever else happens to items, weighted, and fading with time.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pumasi_core::time::{Clock, SystemClock, Timestamp};
use serde::Serialize;

use crate::leaderboard::Ranking;

/// Items by what happened to them, each happening worth half as much after every half-life.
///
/// The order of items does not change as time passes, only by what happens: all fade alike. So nothing is ever computed again,
/// and the top is read off a [`Ranking`]. What is kept of an item is the logarithm of its sum as of a fixed moment (forward
/// decay: Cormode, Shkapenyuk, Srivastava, Xu, 2009); a sum itself would overflow after some hundred half-lives. Events may
/// come in any order, and be decades apart.
///
/// It is in memory, and built from events when a process starts; the newest few half-lives are enough. So it is where this machine's
/// clock was found to have been ahead: what was counted by it until then would stay first. Clones share it.
///
/// ```
/// use std::time::Duration;
/// use pumasi_search::trending::Trending;
///
/// let trending = Trending::new(Duration::from_hours(24)).with_signal("like", 3.0).with_signal("view", 1.0);
/// let (monday, tuesday) = ("2026-11-23T09:00:00Z".parse()?, "2026-11-24T09:00:00Z".parse()?);
/// trending.add("old", "like", monday);
/// trending.add("old", "view", monday);
/// trending.add("new", "like", tuesday);
///
/// let top = trending.top(10, tuesday);
/// assert_eq!((&*top[0].item, &*top[1].item), ("new", "old"));
/// assert!((top[0].score - 3.0).abs() < 1e-9 && (top[1].score - 2.0).abs() < 1e-9);
/// let why = trending.explain("old", tuesday).unwrap();
/// assert!((why.signals[0].score - 1.5).abs() < 1e-9); // a like, a day ago
/// # Ok::<(), pumasi_search::Error>(())
/// ```
#[derive(Clone)]
pub struct Trending {
    half_life: f64,
    signals: Vec<(String, f64)>,
    limit: usize,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Of each item, by signal, the logarithm (base 2) of its decayed count as of the beginning of 1970.
    items: HashMap<Arc<str>, Vec<f64>>,
    order: Ranking<Descending, Arc<str>>,
    /// Items that are not among the most popular ones.
    waiting: Ranking<Descending, Arc<str>>,
    /// Those by the turn in which something happened to them last.
    line: BTreeMap<u64, Arc<str>>,
    turns: HashMap<Arc<str>, u64>,
    turn: u64,
}

impl State {
    /// Finds an item its place: among the most popular ones, or with those that wait.
    fn place(&mut self, item: Arc<str>, score: Descending, limit: usize) {
        self.leave(&item);
        if self.order.key(&item).is_none() && self.order.len() >= limit {
            let last = self.order.range(limit - 1..limit).next();
            let last =
                last.filter(|(least, _)| score < **least).map(|(least, last)| (*least, Arc::clone(last)));
            let Some((least, last)) = last else { return self.wait(item, score, limit) };
            self.order.remove(&last);
            self.wait(last, least, limit);
        }
        self.order.set(item, score);
    }

    fn wait(&mut self, item: Arc<str>, score: Descending, limit: usize) {
        self.turn += 1;
        self.turns.insert(Arc::clone(&item), self.turn);
        self.line.insert(self.turn, Arc::clone(&item));
        self.waiting.set(item, score);
        if self.line.len() > limit
            && let Some((_, longest)) = self.line.pop_first()
        {
            self.turns.remove(&longest);
            self.waiting.remove(&longest);
            self.items.remove(&longest);
        }
    }

    fn leave(&mut self, item: &Arc<str>) {
        if let Some(turn) = self.turns.remove(item) {
            self.line.remove(&turn);
            self.waiting.remove(item);
        }
    }

    /// Lets the most popular one of those that wait in.
    fn let_in(&mut self) {
        let first = self.waiting.range(0..1).next().map(|(score, item)| (*score, Arc::clone(item)));
        if let Some((score, item)) = first {
            self.leave(&item);
            self.order.set(item, score);
        }
    }
}

/// A score that is ordered from the greatest down.
#[derive(Clone, Copy, PartialEq)]
struct Descending(f64);

impl Eq for Descending {}

impl PartialOrd for Descending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Descending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0)
    }
}

/// An item and how popular it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Trend {
    /// The item.
    pub item: Arc<str>,
    /// The sum of what happened to it: each happening its signal's weight, halved for every half-life since.
    pub score: f64,
}

/// Why an item has its score.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrendReason {
    /// The score: the sum of those of the signals.
    pub score: f64,
    /// What each signal adds, in the order in which they were declared.
    pub signals: Vec<SignalShare>,
}

/// What one signal adds to a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SignalShare {
    /// The signal's name.
    pub signal: String,
    /// What one happening is worth at first.
    pub weight: f64,
    /// How many happenings of just now it amounts to.
    pub count: f64,
    /// What it adds: weight times count.
    pub score: f64,
}

impl Trending {
    /// Makes an empty one; `half_life` is at least a second.
    pub fn new(half_life: Duration) -> Self {
        Self {
            half_life: half_life.as_secs_f64().max(1.0),
            signals: Vec::new(),
            limit: 1_000_000,
            clock: Arc::new(SystemClock),
            state: Arc::default(),
        }
    }

    /// Declares a signal, a kind of happening, and what one is worth; one of no positive worth is not counted.
    #[must_use]
    pub fn with_signal(mut self, name: impl Into<String>, weight: f64) -> Self {
        if weight.is_finite() && weight > 0.0 {
            self.signals.push((name.into(), weight));
        }
        self
    }

    /// Sets how many items are listed at most, the most popular ones (default 1,000,000). As many others wait, those that
    /// something happened to last: what becomes popular little by little is counted from its first happening on.
    #[must_use]
    pub fn with_limit(mut self, items: NonZeroUsize) -> Self {
        self.limit = items.get();
        self
    }

    /// Sets the clock that tells what is still to come (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Half-lives since the beginning of 1970.
    fn half_lives(&self, at: Timestamp) -> f64 {
        // Microseconds of ten thousand years are told to less than a minute, of a century exactly.
        #[expect(clippy::cast_precision_loss, reason = "as the comment says")]
        let micros = at.as_micros() as f64;
        micros / 1e6 / self.half_life
    }

    fn score(&self, logs: &[f64]) -> f64 {
        let weighted = logs.iter().zip(&self.signals).map(|(log, (_, weight))| log + weight.log2());
        weighted.fold(f64::NEG_INFINITY, add_logs)
    }

    /// Counts one happening to an item; signals that were not declared are ignored.
    pub fn add(&self, item: &str, signal: &str, at: Timestamp) {
        self.add_many(item, signal, 1, at);
    }

    /// Counts several happenings at one moment. What is said to happen in the future, by a clock that is wrong, happens now: it
    /// would stay first until then.
    pub fn add_many(&self, item: &str, signal: &str, count: u32, at: Timestamp) {
        let Some(index) = self.signals.iter().position(|(name, _)| name == signal) else { return };
        if count == 0 {
            return;
        }
        let at = at.min(self.clock.now());
        let state = &mut *self.lock();
        let item: Arc<str> = match state.items.get_key_value(item) {
            Some((item, _)) => Arc::clone(item),
            None => item.into(),
        };
        let logs = state.items.entry(Arc::clone(&item));
        let logs = logs.or_insert_with(|| vec![f64::NEG_INFINITY; self.signals.len()]);
        if let Some(log) = logs.get_mut(index) {
            *log = add_logs(*log, self.half_lives(at) + f64::from(count).log2());
        }
        let score = Descending(self.score(logs));
        state.place(item, score, self.limit);
    }

    /// Lists the most popular items as of `now`, which only scales the scores.
    pub fn top(&self, count: usize, now: Timestamp) -> Vec<Trend> {
        let now = self.half_lives(now);
        let state = self.lock();
        let trend = |(score, item): (&Descending, &Arc<str>)| Trend {
            item: Arc::clone(item),
            score: finite((score.0 - now).exp2()),
        };
        state.order.range(0..count).map(trend).collect()
    }

    /// Tells how popular an item is as of `now`, and what makes it so; `None` if nothing happened to it.
    pub fn explain(&self, item: &str, now: Timestamp) -> Option<TrendReason> {
        let now = self.half_lives(now);
        let logs = self.lock().items.get(item)?.clone();
        let share = |(log, (signal, weight)): (&f64, &(String, f64))| {
            let count = finite((log - now).exp2());
            SignalShare { signal: signal.clone(), weight: *weight, count, score: finite(weight * count) }
        };
        let signals: Vec<_> = logs.iter().zip(&self.signals).map(share).collect();
        Some(TrendReason { score: finite(signals.iter().map(|share| share.score).sum()), signals })
    }

    /// Forgets an item that is no more; if it was among the most popular ones, the first of those that wait takes its place.
    pub fn forget(&self, item: &str) {
        let mut state = self.lock();
        if let Some((item, _)) = state.items.remove_entry(item) {
            state.leave(&item);
            if state.order.remove(&item).is_some() {
                state.let_in();
            }
        }
    }
}

/// What JSON can tell: asked as of long before it happened, something amounts to more than a number holds.
fn finite(score: f64) -> f64 {
    score.min(f64::MAX)
}

/// The logarithm of the sum of two numbers of which the logarithms are given.
fn add_logs(a: f64, b: f64) -> f64 {
    let (less, more) = if a < b { (a, b) } else { (b, a) };
    if less == f64::NEG_INFINITY {
        more
    } else {
        more + (less - more).exp2().ln_1p() / std::f64::consts::LN_2
    }
}

impl fmt::Debug for Trending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trending")
            .field("half_life_s", &self.half_life)
            .field("signals", &self.signals)
            .finish_non_exhaustive()
    }
}
