//! The outbox in memory.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{
    Backlog, Claim, Claimed, OutboxStore, Outcome, Refused, Rows, SHARDS_PER_CLAIM, lost, per_shard,
};
use crate::Result;
use crate::event::{Envelope, Page};
use crate::time::{Clock, SystemClock, Timestamp};

/// Keeps events in the process's memory until a [`Relay`](super::Relay) has published them: the reference of the laws, and the
/// outbox of stores that live in memory.
///
/// Its "transaction" is one call of [`write`](Self::write). Clones share the same events.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use pumasi_core::event::{Envelope, MemoryBus, MemoryOutbox, OutboxStore, Relay, State};
///
/// let outbox = MemoryOutbox::new();
/// outbox.write(&[Envelope::new("posts", "post-7", State::Created, 1)])?;
/// let stats = Relay::new(Arc::new(outbox.clone()), Arc::new(MemoryBus::new())).relay_pending().await?;
/// assert_eq!((stats.relayed, outbox.backlog().await?.pending), (1, 0));
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryOutbox {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    last: i64,
    last_holder: i64,
    shards: BTreeMap<i16, Shard>,
    refused: BTreeMap<u64, (i16, Refused)>,
    last_refused: u64,
}

#[derive(Default)]
struct Shard {
    holder: Option<(i64, Timestamp)>,
    rows: VecDeque<Row>,
}

struct Row {
    seq: i64,
    at: Timestamp,
    body: String,
}

impl MemoryOutbox {
    /// Makes an empty outbox on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// Makes an empty outbox on `clock`, by which leases are measured.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), changed: Notify::new(), clock }) }
    }

    /// Keeps events, in order: all of them or, if one is not valid, none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an event breaks [`Envelope::check`].
    pub fn write(&self, events: &[Envelope]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let rows = Rows::of(events)?;
        let at = self.shared.clock.now();
        let mut state = self.lock();
        for (shard, body) in rows.shards().into_iter().zip(rows.bodies) {
            state.last += 1;
            let seq = state.last;
            state.shards.entry(shard).or_default().rows.push_back(Row { seq, at, body });
        }
        drop(state);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything in it can panic.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryOutbox {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryOutbox").finish_non_exhaustive()
    }
}

#[async_trait]
impl OutboxStore for MemoryOutbox {
    async fn claim(&self, limit: NonZeroUsize, lease: Duration) -> Result<Claim> {
        let now = self.shared.clock.now();
        let mut state = self.lock();
        state.last_holder += 1;
        let holder = state.last_holder;
        let mut free: Vec<_> = state
            .shards
            .iter_mut()
            .filter(|(_, shard)| !shard.rows.is_empty() && shard.holder.is_none_or(|(_, until)| until <= now))
            .collect();
        free.sort_by_key(|(_, shard)| shard.rows.front().map(|row| row.seq));
        free.truncate(usize::try_from(SHARDS_PER_CLAIM).unwrap_or(usize::MAX));
        let each = usize::try_from(per_shard(limit, free.len())).unwrap_or(usize::MAX);
        let mut claim = Claim { holder, ..Claim::default() };
        for (number, shard) in free {
            shard.holder = Some((holder, now.saturating_add(lease)));
            claim.shards.push(*number);
            claim
                .events
                .extend(shard.rows.iter().take(each).map(|row| Claimed::new(*number, row.seq, &row.body)));
        }
        Ok(claim)
    }

    async fn complete(&self, claim: &Claim, outcome: &Outcome) -> Result<()> {
        let now = self.shared.clock.now();
        let mut state = self.lock();
        let held = |shard: &i16| {
            state
                .shards
                .get(shard)
                .is_some_and(|shard| shard.holder.is_some_and(|(id, _)| id == claim.holder))
        };
        if !claim.shards.iter().all(held) {
            return Err(lost());
        }
        let mut remove = |place: usize| {
            let claimed = claim.events.get(place)?;
            let rows = &mut state.shards.get_mut(&claimed.shard)?.rows;
            let at = rows.iter().position(|row| row.seq == claimed.seq)?;
            Some((claimed.shard, rows.remove(at)?.body))
        };
        let refused: Vec<_> = outcome
            .refused
            .iter()
            .filter_map(|(place, reason)| Some((remove(*place)?, reason.clone())))
            .collect();
        for place in &outcome.relayed {
            remove(*place);
        }
        for ((shard, body), reason) in refused {
            state.last_refused += 1;
            let position = state.last_refused;
            state.refused.insert(position, (shard, Refused::new(position, body, reason, now)));
        }
        for shard in &claim.shards {
            if let Some(shard) = state.shards.get_mut(shard) {
                shard.holder = None;
            }
        }
        state.shards.retain(|_, shard| shard.holder.is_some() || !shard.rows.is_empty());
        drop(state);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn changed(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.shared.changed.notified()).await;
    }

    async fn backlog(&self) -> Result<Backlog> {
        let now = self.shared.clock.now();
        let state = self.lock();
        let pending = state.shards.values().map(|shard| shard.rows.len() as u64).sum();
        let oldest = state.shards.values().filter_map(|shard| shard.rows.front()).map(|row| row.at).min();
        let refused = state.refused.len() as u64;
        Ok(Backlog::new(pending, oldest.map(|at| now.saturating_since(at)), refused))
    }

    async fn refused(&self, page: Page) -> Result<Vec<Refused>> {
        let after = page.after.saturating_add(1);
        let state = self.lock();
        Ok(state
            .refused
            .range(after..)
            .take(page.limit.get())
            .map(|(_, (_, refused))| refused.clone())
            .collect())
    }

    async fn write_again(&self, positions: &[u64]) -> Result<usize> {
        let at = self.shared.clock.now();
        let mut state = self.lock();
        let mut written = 0;
        for position in positions {
            let Some((shard, refused)) = state.refused.remove(position) else { continue };
            state.last += 1;
            let seq = state.last;
            state.shards.entry(shard).or_default().rows.push_back(Row { seq, at, body: refused.body });
            written += 1;
        }
        drop(state);
        self.shared.changed.notify_waiters();
        Ok(written)
    }

    async fn discard(&self, positions: &[u64]) -> Result<usize> {
        let mut state = self.lock();
        Ok(positions.iter().filter(|position| state.refused.remove(position).is_some()).count())
    }
}

#[cfg(test)]
mod laws {
    use super::*;
    use crate::conformance::outbox::{OpenTransaction, OutboxHarness};
    use crate::time::ManualClock;

    struct Memory {
        clock: ManualClock,
        outbox: MemoryOutbox,
    }

    struct Open(MemoryOutbox, Vec<Envelope>);

    #[async_trait]
    impl OpenTransaction for Open {
        async fn write(&mut self, events: &[Envelope]) -> Result<()> {
            events.iter().try_for_each(Envelope::check)?;
            self.1.extend_from_slice(events);
            Ok(())
        }

        async fn commit(self: Box<Self>) -> Result<()> {
            self.0.write(&self.1)
        }

        async fn roll_back(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    #[async_trait]
    impl OutboxHarness for Memory {
        async fn open(&self) -> Arc<dyn OutboxStore> {
            Arc::new(self.outbox.clone())
        }

        async fn begin(&self) -> Box<dyn OpenTransaction> {
            Box::new(Open(self.outbox.clone(), Vec::new()))
        }

        fn many_writers(&self) -> bool {
            false
        }

        async fn damage(&self, key: &str) {
            let marked = format!("\"key\":\"{key}\"");
            for row in self.outbox.lock().shards.values_mut().flat_map(|shard| &mut shard.rows) {
                if row.body.contains(&marked) {
                    row.body.truncate(row.body.len() / 2);
                }
            }
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    crate::outbox_laws!(memory, {
        let clock = ManualClock::new();
        let outbox = MemoryOutbox::with_clock(Arc::new(clock.clone()));
        Some(Memory { clock, outbox })
    });
}
