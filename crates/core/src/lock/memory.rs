//! The reference backend.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Claim, FencingToken, LockStore};
use crate::Result;
use crate::time::{Clock, SystemClock, after};

/// Locks within one process; clones share them.
#[derive(Clone)]
pub struct MemoryLocks {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    held: HashMap<Arc<str>, Held>,
    last: i64,
}

struct Held {
    owner: Uuid,
    until: Instant,
}

impl State {
    /// The lock as it stands; what has ended is removed.
    fn standing(&mut self, name: &str, now: Instant) -> Option<&mut Held> {
        if self.held.get(name).is_some_and(|held| held.until <= now) {
            self.held.remove(name);
        }
        self.held.get_mut(name)
    }
}

impl MemoryLocks {
    /// Makes a store in which nothing is held.
    pub fn new() -> Self {
        Self { clock: Arc::new(SystemClock), state: Arc::default() }
    }

    /// Sets the clock that leases are counted by (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryLocks {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl LockStore for MemoryLocks {
    async fn try_acquire(&self, claim: &Claim) -> Result<Option<FencingToken>> {
        let now = self.clock.instant();
        let mut state = self.lock();
        if state.standing(&claim.name, now).is_some_and(|held| held.owner != claim.owner) {
            return Ok(None);
        }
        state.last += 1;
        let token = FencingToken::new(state.last);
        state
            .held
            .insert(Arc::clone(&claim.name), Held { owner: claim.owner, until: after(now, claim.lease) });
        Ok(Some(token))
    }

    async fn renew(&self, claim: &Claim) -> Result<bool> {
        let now = self.clock.instant();
        let mut state = self.lock();
        let own = state.standing(&claim.name, now).filter(|held| held.owner == claim.owner);
        Ok(own.map(|held| held.until = after(now, claim.lease)).is_some())
    }

    async fn release(&self, claim: &Claim) -> Result<bool> {
        let now = self.clock.instant();
        let mut state = self.lock();
        let own = state.standing(&claim.name, now).is_some_and(|held| held.owner == claim.owner);
        if own {
            state.held.remove(&claim.name);
        }
        Ok(own)
    }
}

impl fmt::Debug for MemoryLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLocks").field("held", &self.lock().held.len()).finish_non_exhaustive()
    }
}
