//! The fast backend for one process, on `moka`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::ops::compute::{CompResult, Op};

use super::{Cache, expiry, is_live, weight, whole_millis};
use crate::Result;
use crate::resilience::ticks::Ticks;
use crate::time::Clock;

/// A bounded cache in memory that many threads share: `moka`, which admits by frequency (TinyLFU) and evicts by weight.
///
/// Expiry is checked at every read against the clock. moka's own timer, which counts real time, only frees the memory; with
/// [another clock](Self::with_clock) it is left out, and what has expired stays in memory until it is evicted, replaced or
/// deleted. Eviction follows the writes after a moment, so that the weight may exceed the capacity for that long.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::cache::{Cache, MokaCache};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cache = MokaCache::new(64 << 20);
/// assert!(cache.set_if_absent("event-42", b"seen"[..].into(), Duration::from_secs(3600)).await?);
/// assert!(!cache.set_if_absent("event-42", b"seen"[..].into(), Duration::from_secs(3600)).await?);
/// # Ok::<(), pumasi_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct MokaCache {
    cache: moka::future::Cache<Arc<str>, Entry>,
    ticks: Ticks,
}

#[derive(Clone)]
struct Entry {
    value: Arc<[u8]>,
    /// When moka's timer may free it.
    timer: Duration,
    expires: Option<Instant>,
}

struct ByEntry;

impl moka::Expiry<Arc<str>, Entry> for ByEntry {
    fn expire_after_create(&self, _key: &Arc<str>, entry: &Entry, _at: Instant) -> Option<Duration> {
        Some(entry.timer)
    }

    fn expire_after_update(
        &self,
        _key: &Arc<str>,
        entry: &Entry,
        _at: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.timer)
    }
}

/// The longest that moka's timer is asked to count; it refuses more than a thousand years.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 100);

impl MokaCache {
    /// Makes an empty cache that holds about `capacity` bytes of keys and values, counting 128 more for each entry.
    pub fn new(capacity: u64) -> Self {
        let cache = moka::future::Cache::builder()
            .max_capacity(capacity)
            .weigher(|key: &Arc<str>, entry: &Entry| {
                u32::try_from(weight(key, &entry.value)).unwrap_or(u32::MAX)
            })
            .expire_after(ByEntry)
            .build();
        Self { cache, ticks: Ticks::default() }
    }

    /// Sets the clock that expiry is checked against (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.ticks = Ticks::Of(clock);
        self
    }

    fn entry(&self, value: Arc<[u8]>, ttl: Duration) -> Result<Entry> {
        let expires = expiry(self.ticks.instant(), ttl)?;
        let timer = match self.ticks {
            Ticks::System => whole_millis(ttl)?.min(LONGEST),
            // Real time says nothing about when the entry expires by another clock.
            Ticks::Of(_) => LONGEST,
        };
        Ok(Entry { value, timer, expires })
    }
}

#[async_trait]
impl Cache for MokaCache {
    async fn get(&self, key: &str) -> Result<Option<Arc<[u8]>>> {
        let entry = self.cache.get(key).await;
        let now = self.ticks.instant();
        Ok(entry.filter(|entry| is_live(entry.expires, now)).map(|entry| entry.value))
    }

    async fn set(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<()> {
        self.cache.insert(key.into(), self.entry(value, ttl)?).await;
        Ok(())
    }

    async fn set_if_absent(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<bool> {
        let fresh = self.entry(value, ttl)?;
        let outcome = self
            .cache
            .entry(key.into())
            .and_compute_with(|standing| {
                let now = self.ticks.instant();
                let live = standing.is_some_and(|standing| is_live(standing.value().expires, now));
                std::future::ready(if live { Op::Nop } else { Op::Put(fresh) })
            })
            .await;
        Ok(matches!(outcome, CompResult::Inserted(_) | CompResult::ReplacedWith(_)))
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let now = self.ticks.instant();
        Ok(self.cache.remove(key).await.is_some_and(|entry| is_live(entry.expires, now)))
    }
}

impl fmt::Debug for MokaCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaCache")
            .field("capacity", &self.cache.policy().max_capacity())
            .field("weight", &self.cache.weighted_size())
            .finish_non_exhaustive()
    }
}
