//! Where answers are kept: in memory as they are, or as bytes in a cache that processes share.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join;
use pumasi_core::cache::Cache;
use pumasi_core::resilience::{Backoff, BreakerWindow, CircuitBreaker, Timeout};
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result};
use quick_cache::sync::Cache as QuickCache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::CacheKey;

/// The generations of a key's tags at one moment. An answer that was kept under others has missed a write.
pub(super) type Stamp = Vec<u64>;

pub(super) struct Look<T> {
    pub(super) stamp: Stamp,
    pub(super) found: Option<Found<T>>,
}

pub(super) struct Found<T> {
    pub(super) value: T,
    /// When it was asked for.
    pub(super) stored: Timestamp,
    /// Whether no write is known that it missed.
    pub(super) current: bool,
}

/// For how long what is kept may be found, and for how long of that it may be current, whatever the clocks of those who look say.
#[derive(Clone, Copy)]
pub(super) struct Lives {
    pub(super) at_all: Duration,
    pub(super) as_current: Duration,
}

#[async_trait]
pub(super) trait Shelf<T>: Send + Sync {
    async fn look(&self, key: &CacheKey) -> Result<Look<T>>;

    /// Keeps a value that began to be fetched at `stamp`, for as long as `lives`.
    async fn keep(
        &self,
        key: &CacheKey,
        stamp: Stamp,
        stored: Timestamp,
        value: T,
        lives: Lives,
    ) -> Result<()>;

    /// Gives tags a new generation.
    async fn outdate(&self, tags: &[&str]) -> Result<()>;
}

/// Answers as they are, in this process.
pub(super) struct MemoryShelf<T> {
    answers: QuickCache<String, Arc<Kept<T>>>,
    generations: Mutex<Generations>,
}

struct Kept<T> {
    value: T,
    stored: Timestamp,
    stamp: Stamp,
}

/// Generations that were told apart; a tag that is not in here has the common one.
#[derive(Default)]
struct Generations {
    common: u64,
    last: u64,
    of: HashMap<String, u64>,
}

impl Generations {
    /// More tags than this are forgotten together, which makes every answer old once.
    const MOST: usize = 10_000;

    fn stamp(&self, tags: &[String]) -> Stamp {
        tags.iter().map(|tag| self.of.get(tag).copied().unwrap_or(self.common)).collect()
    }

    fn outdate(&mut self, tags: &[&str]) {
        self.last += 1;
        if self.of.len().saturating_add(tags.len()) > Self::MOST {
            self.of.clear();
            self.common = self.last;
        }
        for tag in tags.iter().take(Self::MOST) {
            self.of.insert((*tag).to_owned(), self.last);
        }
    }
}

impl<T: Clone + Send + Sync> MemoryShelf<T> {
    pub(super) fn new(answers: usize) -> Self {
        Self { answers: QuickCache::new(answers), generations: Mutex::default() }
    }

    fn generations<R>(&self, with: impl FnOnce(&mut Generations) -> R) -> R {
        with(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl<T: Clone + Send + Sync> Shelf<T> for MemoryShelf<T> {
    async fn look(&self, key: &CacheKey) -> Result<Look<T>> {
        let stamp = self.generations(|generations| generations.stamp(key.tags()));
        let found = self.answers.get(key.name()).map(|kept| Found {
            value: kept.value.clone(),
            stored: kept.stored,
            current: kept.stamp == stamp,
        });
        Ok(Look { stamp, found })
    }

    async fn keep(&self, key: &CacheKey, stamp: Stamp, stored: Timestamp, value: T, _: Lives) -> Result<()> {
        self.answers.insert(key.name().to_owned(), Arc::new(Kept { value, stored, stamp }));
        Ok(())
    }

    async fn outdate(&self, tags: &[&str]) -> Result<()> {
        self.generations(|generations| generations.outdate(tags));
        Ok(())
    }
}

/// Answers as bytes, between processes; the generations stand beside them, and a mark that goes when the answer is current no more, by
/// the cache's own clock, as those of the processes may be wrong. One trip fetches them all.
pub(super) struct SharedShelf {
    cache: Arc<dyn Cache>,
    prefix: String,
    breaker: CircuitBreaker,
    timeout: Timeout,
}

/// What stands under an answer's key.
#[derive(Serialize, Deserialize)]
struct Record<T> {
    stored: Timestamp,
    stamp: Stamp,
    /// What its mark holds, so that it is not taken for that of another answer.
    mark: u64,
    value: T,
}

impl SharedShelf {
    const TIMEOUT: Duration = Duration::from_millis(20);
    /// A generation that has expired is followed by a new one, which makes answers old once.
    const GENERATION_LIFETIME: Duration = Duration::from_hours(24 * 30);

    pub(super) fn new(cache: Arc<dyn Cache>, namespace: &str) -> Self {
        let breaker = CircuitBreaker::new(format!("{namespace}/cache"), Self::TIMEOUT)
            .with_window(BreakerWindow::Calls(NonZeroU32::MIN.saturating_add(9)))
            .with_minimum_throughput(5)
            .with_probes(NonZeroU32::MIN)
            .with_open_for(Backoff::constant(Duration::from_secs(1)));
        let timeout = Timeout::new(format!("{namespace}/cache"), Self::TIMEOUT);
        Self { cache, prefix: format!("{namespace}:"), breaker, timeout }
    }

    fn answer_key(&self, key: &CacheKey) -> String {
        format!("{}a:{}", self.prefix, key.name())
    }

    fn mark_key(&self, key: &CacheKey) -> String {
        format!("{}m:{}", self.prefix, key.name())
    }

    fn generation_key(&self, tag: &str) -> String {
        format!("{}g:{tag}", self.prefix)
    }

    async fn ask<R>(&self, call: impl Future<Output = Result<R>>) -> Result<R> {
        self.breaker.call(self.timeout.run(call)).await
    }

    /// Returns the generation of a tag that has none yet.
    async fn begin(&self, tag: &str) -> Result<u64> {
        let (key, fresh) = (self.generation_key(tag), chance());
        if self.ask(self.cache.set_if_absent(&key, bytes(fresh), Self::GENERATION_LIFETIME)).await? {
            return Ok(fresh);
        }
        let other = self.ask(self.cache.get(&key)).await?;
        other
            .as_deref()
            .and_then(number)
            .ok_or_else(|| Error::new(ErrorKind::Storage, "the cache does not keep the generation of a tag"))
    }
}

#[async_trait]
impl<T> Shelf<T> for SharedShelf
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    async fn look(&self, key: &CacheKey) -> Result<Look<T>> {
        let mut names = vec![self.answer_key(key), self.mark_key(key)];
        names.extend(key.tags().iter().map(|tag| self.generation_key(tag)));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut values = self.ask(self.cache.get_many(&names)).await?.into_iter();
        let answer = values.next().flatten();
        let mark = values.next().flatten().as_deref().and_then(number);
        let mut stamp = Stamp::with_capacity(key.tags().len());
        for (tag, value) in key.tags().iter().zip(values) {
            stamp.push(match value.as_deref().and_then(number) {
                Some(generation) => generation,
                None => self.begin(tag).await?,
            });
        }
        // what another version of the program wrote is not read, and will be replaced
        let found = answer.and_then(|bytes| serde_json::from_slice::<Record<T>>(&bytes).ok()).map(|record| {
            let current = record.stamp == stamp && mark == Some(record.mark);
            Found { current, value: record.value, stored: record.stored }
        });
        Ok(Look { stamp, found })
    }

    async fn keep(
        &self,
        key: &CacheKey,
        stamp: Stamp,
        stored: Timestamp,
        value: T,
        lives: Lives,
    ) -> Result<()> {
        let mark = chance();
        let record = serde_json::to_vec(&Record { stored, stamp, mark, value })
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "an answer could not be written as JSON"))?;
        let (answer_key, mark_key) = (self.answer_key(key), self.mark_key(key));
        let answer = self.cache.set(&answer_key, record.into(), lives.at_all);
        if lives.as_current.is_zero() {
            return self.ask(answer).await;
        }
        let marking = self.cache.set(&mark_key, bytes(mark), lives.as_current);
        self.ask(try_join(answer, marking)).await.map(drop)
    }

    async fn outdate(&self, tags: &[&str]) -> Result<()> {
        for tag in tags {
            // past the breaker: a write must not be lost because reads were slow
            let key = self.generation_key(tag);
            self.timeout.run(self.cache.set(&key, bytes(chance()), Self::GENERATION_LIFETIME)).await?;
        }
        Ok(())
    }
}

/// Generations and marks are compared only for being the same, so chance serves where counting would need a trip.
fn chance() -> u64 {
    fastrand::u64(..)
}

fn bytes(number: u64) -> Arc<[u8]> {
    number.to_be_bytes().to_vec().into()
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}
