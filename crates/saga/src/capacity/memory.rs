//! Places in the process's memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pumasi_core::time::{Clock, SystemClock, Timestamp};

use super::ledger::{Ledger, as_stored, check_name, no_pool};
use super::{Answer, CapacityStore, Hold, Places, Request, Ticket};
use crate::Result;

/// Keeps places in memory: the reference of the laws, for tests and for services of one process that may forget.
///
/// Clones share the same pools.
#[derive(Clone)]
pub struct MemoryCapacity {
    pools: Arc<Mutex<HashMap<String, Pool>>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Pool {
    total: u64,
    last: Ticket,
    holds: HashMap<Arc<str>, Hold>,
}

impl Pool {
    fn forget_what_is_over(&mut self, now: Timestamp) {
        self.holds.retain(|_, hold| !hold.is_over(now));
    }
}

impl MemoryCapacity {
    /// Makes a store without pools, on the machine's clock.
    pub fn new() -> Self {
        Self { pools: Arc::default(), clock: Arc::new(SystemClock) }
    }

    /// Sets the clock by which holds end (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn pools(&self) -> MutexGuard<'_, HashMap<String, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryCapacity {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryCapacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCapacity").field("pools", &self.pools().len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl CapacityStore for MemoryCapacity {
    async fn open(&self, pool: &str, places: u64) -> Result<()> {
        check_name(pool)?;
        as_stored(places)?;
        self.pools().entry(pool.to_owned()).or_default().total = places;
        Ok(())
    }

    async fn apply(&self, pool: &str, requests: &[Request]) -> Result<Vec<Result<Answer>>> {
        let mut pools = self.pools();
        let pool = pools.get_mut(pool).ok_or_else(no_pool)?;
        let now = self.clock.now();
        pool.forget_what_is_over(now);
        let asking = requests.iter().filter_map(|request| pool.holds.get(request.holder())).cloned();
        let mut ledger = Ledger::new(pool.total, pool.holds.len() as u64, pool.last, now, asking);
        let answers = ledger.apply(requests);
        pool.last = ledger.last;
        for (holder, hold) in ledger.changes() {
            match hold {
                Some(hold) => pool.holds.insert(holder, hold),
                None => pool.holds.remove(&holder),
            };
        }
        Ok(answers)
    }

    async fn places(&self, pool: &str) -> Result<Places> {
        let mut pools = self.pools();
        let pool = pools.get_mut(pool).ok_or_else(no_pool)?;
        pool.forget_what_is_over(self.clock.now());
        let confirmed = pool.holds.values().filter(|hold| hold.is_confirmed()).count() as u64;
        Ok(Places::new(pool.total, pool.holds.len() as u64 - confirmed, confirmed, pool.last))
    }

    async fn holds(&self, pool: &str, after: Ticket, limit: usize) -> Result<Vec<Hold>> {
        let mut pools = self.pools();
        let pool = pools.get_mut(pool).ok_or_else(no_pool)?;
        pool.forget_what_is_over(self.clock.now());
        let mut holds: Vec<Hold> = pool.holds.values().filter(|hold| hold.ticket > after).cloned().collect();
        holds.sort_unstable_by_key(|hold| hold.ticket);
        holds.truncate(limit);
        Ok(holds)
    }
}
