//! The reference backend.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Cache, expiry, is_live, weight};
use crate::Result;
use crate::resilience::ticks::Ticks;
use crate::time::Clock;

/// A bounded cache in memory: exact, ordered by last use, behind one lock.
///
/// When it is full, what has expired goes first and then what was not used for longest. `MokaCache` (feature `cache`) does
/// better under many threads and admits by frequency; this one is what its laws are written against.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::cache::{Cache, MemoryCache};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let cache = MemoryCache::new(1 << 20);
/// cache.set("greeting", (*b"hello").into(), Duration::from_secs(60)).await?;
/// assert_eq!(cache.get("greeting").await?.as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), pumasi_core::Error>(())
/// # }).unwrap();
/// ```
pub struct MemoryCache {
    capacity: u64,
    ticks: Ticks,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Arc<str>, Entry>,
    by_use: BTreeMap<u64, Arc<str>>,
    by_expiry: BTreeMap<(Instant, u64), Arc<str>>,
    weight: u64,
    serial: u64,
}

struct Entry {
    value: Arc<[u8]>,
    expires: Option<Instant>,
    created: u64,
    used: u64,
}

impl State {
    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn get(&mut self, key: &str, now: Instant) -> Option<Arc<[u8]>> {
        if !is_live(self.entries.get(key)?.expires, now) {
            self.remove(key);
            return None;
        }
        let used = self.next_serial();
        let entry = self.entries.get_mut(key)?;
        if let Some(key) = self.by_use.remove(&entry.used) {
            self.by_use.insert(used, key);
        }
        entry.used = used;
        Some(Arc::clone(&entry.value))
    }

    fn remove(&mut self, key: &str) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used);
        if let Some(expires) = entry.expires {
            self.by_expiry.remove(&(expires, entry.created));
        }
        self.weight = self.weight.saturating_sub(weight(key, &entry.value));
        Some(entry)
    }

    fn set(&mut self, key: &str, value: Arc<[u8]>, expires: Option<Instant>, capacity: u64, now: Instant) {
        self.remove(key);
        let cost = weight(key, &value);
        if cost > capacity {
            return; // evicted at once, together with what stood there
        }
        while self.weight + cost > capacity {
            let over = self.by_expiry.first_key_value().filter(|((at, _), _)| *at <= now);
            let Some(key) = over.map(|(_, key)| key).or_else(|| self.by_use.values().next()).cloned() else {
                break;
            };
            self.remove(&key);
        }
        let serial = self.next_serial();
        let key: Arc<str> = key.into();
        if let Some(expires) = expires {
            self.by_expiry.insert((expires, serial), Arc::clone(&key));
        }
        self.by_use.insert(serial, Arc::clone(&key));
        self.entries.insert(key, Entry { value, expires, created: serial, used: serial });
        self.weight += cost;
    }
}

impl MemoryCache {
    /// Makes an empty cache that holds `capacity` bytes of keys and values, counting 128 more for each entry.
    pub fn new(capacity: u64) -> Self {
        Self { capacity, ticks: Ticks::default(), state: Mutex::default() }
    }

    /// Sets the clock (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.ticks = Ticks::Of(clock);
        self
    }

    /// Returns how many entries are held, those not yet removed although expired included.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Tells whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes held, as counted against the capacity.
    pub fn weight(&self) -> u64 {
        self.lock().weight
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Result<Option<Arc<[u8]>>> {
        let now = self.ticks.instant();
        Ok(self.lock().get(key, now))
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Arc<[u8]>>>> {
        let now = self.ticks.instant();
        let mut state = self.lock();
        Ok(keys.iter().map(|key| state.get(key, now)).collect())
    }

    async fn set(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<()> {
        let now = self.ticks.instant();
        let expires = expiry(now, ttl)?;
        self.lock().set(key, value, expires, self.capacity, now);
        Ok(())
    }

    async fn set_if_absent(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<bool> {
        let now = self.ticks.instant();
        let expires = expiry(now, ttl)?;
        let mut state = self.lock();
        if state.entries.get(key).is_some_and(|entry| is_live(entry.expires, now)) {
            return Ok(false);
        }
        state.set(key, value, expires, self.capacity, now);
        Ok(true)
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let now = self.ticks.instant();
        Ok(self.lock().remove(key).is_some_and(|entry| is_live(entry.expires, now)))
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("capacity", &self.capacity)
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}
