//! Vectors that were paid for once.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, Shared, join_all};
use futures_util::{FutureExt, StreamExt, stream};

use super::key::embedding_key;
use super::{Embedder, Embedding};
use crate::cache::{Boarded, Cache, SingleFlight};
use crate::resilience::within;
use crate::time::SystemClock;
use crate::{Error, ErrorKind, Result};

/// How many vectors are written at once.
const WRITES_AT_ONCE: usize = 16;

/// Remembers vectors in a [`Cache`], by the embedder's name and the text's hash.
///
/// 1. **Asked once.** A text is asked for once even where a batch has it twice, and however many calls of this embedder ask for it
///    at once: they wait for one outcome, error or not. It survives the cancellation of the call that began it.
/// 2. **The cache is a help, not a need.** Where it fails, or does not answer a call's reading, or its writing, within a
///    second ([`with_cache_timeout`](Self::with_cache_timeout)), the embedder is asked.
/// 3. **No other's fault.** A call whose texts are waited for in a batch with texts of other calls does not fail for those: where
///    that batch fails for good, it asks once more for its own.
/// 4. Texts are not in the cache, only their hashes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::cache::MemoryCache;
/// use pumasi_core::model::{CachedEmbedder, Embedder, HashingEmbedder};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// let cache = Arc::new(MemoryCache::new(64 << 20));
/// let embedder = CachedEmbedder::new(HashingEmbedder::new(), cache, Duration::from_hours(24));
/// let vectors = embedder.embed(&["무릎 통증", "무릎 통증"]).await?;
/// assert_eq!(vectors[0], vectors[1]);
/// # Ok::<(), pumasi_core::Error>(())
/// # }).unwrap();
/// ```
pub struct CachedEmbedder<E> {
    store: Store<E>,
    flights: SingleFlight<Outcome>,
}

/// What became of a text: its vector, or how the batch failed that it was asked for in.
type Outcome = Result<Embedding, Failed>;

/// Vectors by the keys of their texts.
type Vectors = BTreeMap<String, Embedding>;

/// Texts by their keys.
type Texts = BTreeMap<String, String>;

type Batch = Shared<BoxFuture<'static, Result<Arc<Vectors>, Failed>>>;

#[derive(Clone)]
struct Failed {
    error: Error,
    /// The keys of all that was asked for.
    asked: Arc<BTreeSet<String>>,
}

impl<E: Embedder + 'static> CachedEmbedder<E> {
    /// Remembers `inner`'s vectors in `cache` for `ttl`.
    pub fn new(inner: E, cache: Arc<dyn Cache>, ttl: Duration) -> Self {
        let store = Store { inner: Arc::new(inner), cache, ttl, timeout: Duration::from_secs(1) };
        Self { store, flights: SingleFlight::new() }
    }

    /// Sets how long the cache may take to answer what a call reads, and to take what it writes (default: a second each).
    #[must_use]
    pub fn with_cache_timeout(mut self, timeout: Duration) -> Self {
        self.store.timeout = timeout;
        self
    }

    /// Joins the calls that are under way for these texts, and begins one for the others.
    fn board(&self, missing: &Texts, landed: u64, writes: bool) -> Vec<Boarded<Outcome>> {
        let wanted = Arc::new(Mutex::new(Texts::new()));
        let batch = self.batch(Arc::clone(&wanted), landed, writes);
        // Whoever joins before the list is whole waits for it here.
        let mut list = wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let board = |(key, text): (&String, &String)| {
            let (batch, own) = (batch.clone(), key.clone());
            let boarded = self.flights.board(key, move |_| async move {
                Ok(match batch.await {
                    Ok(vectors) => Ok(vectors.get(&own).cloned().unwrap_or_default()),
                    Err(failed) => Err(failed),
                })
            });
            if !boarded.joined {
                list.insert(key.clone(), text.clone());
            }
            boarded
        };
        missing.iter().map(board).collect()
    }

    /// Makes the call for what will stand in `wanted` when it is first polled.
    fn batch(&self, wanted: Arc<Mutex<Texts>>, landed: u64, writes: bool) -> Batch {
        let (store, flights) = (self.store.clone(), self.flights.clone());
        async move {
            let wanted = std::mem::take(&mut *wanted.lock().unwrap_or_else(PoisonError::into_inner));
            // Another call may have ended between this one's look and now.
            let look_again = writes && flights.landed() != landed;
            let fetch = AssertUnwindSafe(store.fetch(&wanted, look_again, writes)).catch_unwind();
            let vectors = fetch.await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Other, "the embedder that others waited for panicked"))
            });
            let failed = |error| Failed { error, asked: Arc::new(wanted.keys().cloned().collect()) };
            vectors.map(Arc::new).map_err(failed)
        }
        .boxed()
        .shared()
    }
}

#[async_trait]
impl<E: Embedder + 'static> Embedder for CachedEmbedder<E> {
    fn name(&self) -> &str {
        self.store.inner.name()
    }

    fn dimensions(&self) -> usize {
        self.store.inner.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let landed = self.flights.landed();
        let keys: Vec<String> = texts.iter().map(|text| self.store.key(text)).collect();
        let mut wanted: Texts =
            keys.iter().cloned().zip(texts.iter().map(|text| (*text).to_owned())).collect();
        let looked = self.store.look(&wanted).await;
        let is_answering = looked.is_some();
        let mut known = looked.unwrap_or_default();
        wanted.retain(|key, _| !known.contains_key(key));

        let boarded = self.board(&wanted, landed, is_answering);
        let joined: Vec<bool> = boarded.iter().map(|boarded| boarded.joined).collect();
        let outcomes = join_all(boarded.into_iter().map(|boarded| boarded.flight)).await;
        let mut again = Texts::new();
        for (((key, text), joined), outcome) in wanted.iter().zip(joined).zip(outcomes) {
            match outcome? {
                Ok(vector) => {
                    known.insert(key.clone(), vector);
                }
                Err(failed) if joined && failed.may_be_others_fault(&wanted) => {
                    again.insert(key.clone(), text.clone());
                }
                Err(failed) => return Err(failed.error),
            }
        }
        if !again.is_empty() {
            known.extend(self.store.fetch(&again, false, is_answering).await?);
        }
        Ok(keys.iter().filter_map(|key| known.get(key).cloned()).collect())
    }
}

impl<E: fmt::Debug> fmt::Debug for CachedEmbedder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedEmbedder")
            .field("inner", &self.store.inner)
            .field("ttl", &self.store.ttl)
            .field("cache_timeout", &self.store.timeout)
            .finish_non_exhaustive()
    }
}

impl Failed {
    /// Tells whether the batch might not have failed without the texts of other calls.
    fn may_be_others_fault(&self, own: &Texts) -> bool {
        !self.error.retry().is_retryable() && self.asked.iter().any(|key| !own.contains_key(key))
    }
}

/// An embedder and the cache before it.
struct Store<E> {
    inner: Arc<E>,
    cache: Arc<dyn Cache>,
    ttl: Duration,
    timeout: Duration,
}

impl<E> Clone for Store<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), cache: Arc::clone(&self.cache), ..*self }
    }
}

impl<E: Embedder> Store<E> {
    fn key(&self, text: &str) -> String {
        format!("pumasi:vector:{}", embedding_key(self.inner.name(), text))
    }

    fn read(&self, bytes: &[u8]) -> Option<Embedding> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        let whole = rest.is_empty() && numbers.len() == self.inner.dimensions();
        whole.then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }

    /// Returns what the cache knows; `None` if it does not answer in time.
    async fn look(&self, texts: &Texts) -> Option<Vectors> {
        let keys: Vec<&str> = texts.keys().map(String::as_str).collect();
        let mut known = Vectors::new();
        match within(&SystemClock, self.timeout, self.cache.get_many(&keys)).await {
            Some(Ok(values)) => {
                let values =
                    keys.iter().zip(values).filter_map(|(key, value)| Some((key, self.read(&value?)?)));
                known.extend(values.map(|(key, vector)| ((*key).to_owned(), vector)));
            }
            Some(Err(error)) => {
                tracing::warn!(kind = %error.kind(), "the cache of vectors could not be asked");
            }
            None => {
                tracing::warn!(timeout = ?self.timeout, "the cache of vectors did not answer");
                return None;
            }
        }
        Some(known)
    }

    /// Asks the embedder for what the cache does not know on a second look, and remembers it.
    async fn fetch(&self, wanted: &Texts, look_again: bool, writes: bool) -> Result<Vectors> {
        let mut known = Vectors::new();
        if look_again {
            known = self.look(wanted).await.unwrap_or_default();
        }
        let missing = wanted.iter().filter(|(key, _)| !known.contains_key(*key));
        let (keys, texts): (Vec<&str>, Vec<&str>) =
            missing.map(|(key, text)| (key.as_str(), text.as_str())).unzip();
        if texts.is_empty() {
            return Ok(known);
        }
        let vectors = self.inner.embed(&texts).await?;
        if vectors.len() != texts.len() {
            let (name, got, wanted) = (self.inner.name(), vectors.len(), texts.len());
            let message = format!("{name} answered {got} vectors for {wanted} texts");
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        if writes {
            self.remember(&keys, &vectors).await;
        }
        known.extend(keys.into_iter().map(str::to_owned).zip(vectors));
        Ok(known)
    }

    /// Writes vectors, until that takes too long or one cannot be written.
    async fn remember<'a>(&'a self, keys: &[&'a str], vectors: &[Embedding]) {
        // what is broken is not remembered
        let whole =
            keys.iter().zip(vectors).filter(|(_, vector)| vector.iter().all(|number| number.is_finite()));
        let write = |(key, vector): (&&'a str, &Embedding)| {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            self.cache.set(key, bytes.into(), self.ttl)
        };
        let writes: Vec<_> = whole.map(write).collect();
        let mut written = stream::iter(writes).buffer_unordered(WRITES_AT_ONCE);
        let all = async {
            while let Some(outcome) = written.next().await {
                outcome?;
            }
            Ok::<(), Error>(())
        };
        match within(&SystemClock, self.timeout, all).await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(kind = %error.kind(), "vectors could not be remembered"),
            None => tracing::warn!(timeout = ?self.timeout, "vectors could not be remembered in time"),
        }
    }
}
