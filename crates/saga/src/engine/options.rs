//! What can be set about an engine.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::resilience::{Backoff, Random};
use pumasi_core::time::{Clock, SystemClock};

/// Renewed within less, it would be over before the store has answered.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// What can be set about an [`Engine`](super::Engine).
///
/// | | default |
/// |---|---|
/// | sagas driven at the same time | 1,024 |
/// | lease | 30 s; renewed after a third of it |
/// | how long a call waits for a saga that somebody else drives | 10 s |
/// | how long the store is left alone when nothing is due | at most 1 s |
/// | retention of sagas that ended | 30 days |
/// | time to finish when told to stop | 30 s |
/// | what a busy store is asked again with | 20 ms, doubling to 2 s |
#[derive(Clone)]
pub struct EngineOptions {
    pub(crate) in_flight: NonZeroUsize,
    pub(crate) lease: Duration,
    pub(crate) patience: Duration,
    pub(crate) poll: Duration,
    pub(crate) retention: Option<Duration>,
    pub(crate) drain_limit: Duration,
    pub(crate) orphaned_after: Duration,
    pub(crate) store_backoff: Backoff,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Random,
    /// Sagas are driven in the caller's own future, and stop with it: for tests that stop them on purpose.
    pub(crate) inline: bool,
}

impl EngineOptions {
    /// How many sagas are driven at the same time, unless set otherwise.
    pub const DEFAULT_IN_FLIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_023);

    /// Makes the default options.
    pub fn new() -> Self {
        Self {
            in_flight: Self::DEFAULT_IN_FLIGHT,
            lease: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            retention: Some(Duration::from_hours(30 * 24)),
            drain_limit: Duration::from_secs(30),
            orphaned_after: Duration::from_mins(15),
            store_backoff: Backoff::new(Duration::from_millis(20), Duration::from_secs(2)),
            clock: Arc::new(SystemClock),
            random: Random::system(),
            inline: false,
        }
    }

    /// Sets how many sagas are driven at the same time; others wait, and so memory is bounded.
    #[must_use]
    pub fn with_in_flight(mut self, in_flight: NonZeroUsize) -> Self {
        self.in_flight = in_flight;
        self
    }

    /// Sets the lease: how long after its death what this engine holds goes to others; at least 100 ms, in a third of which it is
    /// renewed.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(SHORTEST_LEASE);
        self
    }

    /// Sets how long a call waits for a saga that somebody else drives, before it answers with what is known.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long the store is left alone at most when nothing is due.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// Sets how long sagas that ended are kept. With zero they are forgotten at once.
    ///
    /// Whoever uses a key again whose saga is forgotten begins it anew, also by repeating a call whose answer was lost. Its steps are
    /// then asked for under the keys of before, so that what was done is not done twice; but where it goes back this time, it undoes
    /// what it had done. So keep what has ended for longer than anybody repeats a call, and use zero where nobody does. A child is
    /// kept until its parent has ended, and then for this long; with zero there can be none.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Keeps sagas that ended for ever.
    #[must_use]
    pub fn keeping_ended(mut self) -> Self {
        self.retention = None;
        self
    }

    /// Sets how long [`run`](super::Engine::run) lets sagas go on when it is told to stop.
    #[must_use]
    pub fn with_drain_limit(mut self, limit: Duration) -> Self {
        self.drain_limit = limit;
        self
    }

    /// Sets for how long a saga may be overdue whose version of its definition no engine knows, before it is
    /// [parked](crate::store::Status::Parked) (default 15 minutes: longer than a new version takes to be rolled out). An engine that
    /// knows the version takes it up again by itself. One that has ended is parked only where a signal was left for it; a child that is
    /// kept takes no code to be let go.
    #[must_use]
    pub fn with_orphaned_after(mut self, time: Duration) -> Self {
        self.orphaned_after = time;
        self
    }

    /// Sets the pauses after which a store that failed is asked again.
    #[must_use]
    pub fn with_store_backoff(mut self, backoff: Backoff) -> Self {
        self.store_backoff = backoff;
        self
    }

    /// Sets the clock by which the engine waits and measures; who holds what is the store's clock's to say.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where jitter comes from.
    #[must_use]
    pub fn with_random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// Drives sagas in the future of whoever calls, so that they stop when it is dropped, as if the process had died. For tests.
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("in_flight", &self.in_flight)
            .field("lease", &self.lease)
            .field("patience", &self.patience)
            .field("poll", &self.poll)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
