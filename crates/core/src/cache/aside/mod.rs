//! Typed values beside their source: asked for in the cache, loaded when they are missing.

mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::store::{Cooling, Found, Look, Store};
use super::{Cache, SingleFlight};
use crate::resilience::Random;
use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

/// What to do when the cache itself fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheFailure {
    /// Load the value and say so in [`Served::cache_error`]: the cache is a help, not a need. Equal loads are still one.
    #[default]
    Load,
    /// Answer with the cache's error: the source must not see the load that the cache keeps from it.
    Fail,
}

/// Where a served value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// From the cache, within its time.
    Fresh,
    /// From the cache, past its time; it is being loaded again in the background.
    Stale,
    /// From the cache, past its time, because loading it again failed.
    StaleOnError,
    /// Loaded by this call.
    Loaded,
    /// Loaded by another call that this one waited for.
    Joined,
}

impl Source {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "hit",
            Self::Stale => "stale",
            Self::StaleOnError => "stale_on_error",
            Self::Loaded => "miss",
            Self::Joined => "joined",
        }
    }
}

/// A value with its origin. `Debug` shows the origin, never the value.
#[derive(Clone)]
#[non_exhaustive]
pub struct Served<V> {
    /// The value.
    pub value: V,
    /// Where it came from.
    pub source: Source,
    /// How long ago it was loaded; zero if it was just now.
    pub age: Duration,
    /// What went wrong with the cache while it was asked, if something did.
    pub cache_error: Option<Error>,
}

impl<V> fmt::Debug for Served<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("source", &self.source)
            .field("age", &self.age)
            .field("cache_error", &self.cache_error)
            .finish_non_exhaustive()
    }
}

/// Typed values of one namespace of a [`Cache`], loaded by the caller's function when they are missing.
///
/// | setting | default |
/// |---|---|
/// | time to live | 5 minutes |
/// | jitter: how much of it chance may take away | 10 % |
/// | stale-while-revalidate, stale-if-error ([RFC 5861](https://www.rfc-editor.org/rfc/rfc5861)) | none |
/// | time to live of "there is none" | not remembered |
/// | limit of time for each operation of the cache | 250 ms |
/// | when the cache fails | [`CacheFailure::Load`] |
///
/// What it promises, within one process and its clones:
///
/// 1. **One load.** Any number of calls for one missing key at once make one load ([`SingleFlight`]): it survives the
///    cancellation of whoever began it, its error or panic reaches everyone who waited, and errors are not kept.
/// 2. **Stale while revalidating.** Past its time, but within the window, a value is served at once while one load runs in
///    the background. After a failed one, the next begins a second later at the earliest.
/// 3. **Stale on error.** Within its window a value is served although loading failed, if the error is one of availability
///    ([timeout, rate limit, unavailable, overloaded, circuit open, protocol, storage, other](ErrorKind)).
/// 4. **Absence.** [`ErrorKind::NotFound`] is remembered for its own time, if one is set.
/// 5. **An error of the cache is never a miss.** It is counted, logged, and told in [`Served::cache_error`]; the value is
///    loaded all the same, or not, as [`CacheFailure`] says. A cache that hangs is a cache that fails.
/// 6. **No late writes.** A load that began before [`invalidate`](Self::invalidate) or [`put`](Self::put) does not leave its
///    outcome behind.
///
/// Processes that share a cache share its values, not the loads: of N processes that miss one key at once, each makes one
/// load, and the last to end stands. Where even that is too much, let the loader take a [lock](crate::lock) of the key's name,
/// and ask the shared [`Cache`] again once it is held.
///
/// Values are written as JSON after a line with the format and the [version](Self::with_version); what another version
/// wrote is loaded anew. A key that holds text of people is the caller's to hash; it is never logged.
///
/// The metrics are `pumasi_cache_requests_total{namespace, outcome}` (`hit`, `stale`, `stale_on_error`, `miss`, `joined`,
/// `negative`, `error`), `pumasi_cache_errors_total{namespace, operation}` (`get`, `set`, `delete`, `decode`, `encode`) and
/// `pumasi_cache_refresh_failures_total{namespace}`.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use pumasi_core::cache::{CacheAside, MemoryCache, Source};
/// use pumasi_core::{Error, ErrorKind};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let names: CacheAside<String> = CacheAside::new(Arc::new(MemoryCache::new(1 << 20)), "names")
///     .with_negative_ttl(Duration::from_secs(5));
///
/// let served = names.serve("7", || async { Ok("지수".to_owned()) }).await?;
/// assert_eq!(served.source, Source::Loaded);
///
/// // that there is no eighth is remembered too
/// for _ in 0..2 {
///     let none = names.find_or_load("8", || async { Ok(None) }).await?;
///     assert_eq!(none, None);
/// }
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct CacheAside<V> {
    store: Store,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
    negative_ttl: Option<Duration>,
    ttl: Duration,
    failure: CacheFailure,
    flights: SingleFlight<V>,
    cooling: Arc<Cooling>,
}

impl<V> CacheAside<V>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    /// Makes the typed view of `namespace` in `cache`.
    ///
    /// Namespaces keep apart what would otherwise share keys; any text will do.
    pub fn new(cache: Arc<dyn Cache>, namespace: &str) -> Self {
        Self {
            store: Store::new(cache, namespace, Arc::new(SystemClock)),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            negative_ttl: None,
            ttl: Duration::from_mins(5),
            failure: CacheFailure::Load,
            flights: SingleFlight::new(),
            cooling: Arc::default(),
        }
    }

    /// Sets how long a value is fresh (default 5 minutes).
    ///
    /// A clone with another time to live shares the loads, so that one call's time may differ from the next one's.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how much of a time to live chance may take away, from 0 to 1 (default 0.1), so that what was loaded together
    /// does not expire together.
    #[must_use]
    pub fn with_jitter(mut self, share: f64) -> Self {
        self.store.jitter = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        self
    }

    /// Sets for how long past its time a value is served while it is loaded again in the background (default: none).
    #[must_use]
    pub fn with_stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = window;
        self
    }

    /// Sets for how long past its time a value is served if loading it fails (default: none).
    #[must_use]
    pub fn with_stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = window;
        self
    }

    /// Remembers for this long that there is no value (default: not at all).
    #[must_use]
    pub fn with_negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = Some(ttl).filter(|ttl| !ttl.is_zero());
        self
    }

    /// Sets the version of the values' shape (default 0); what another version wrote is loaded anew.
    #[must_use]
    pub fn with_version(mut self, version: u32) -> Self {
        self.store.version = version;
        self
    }

    /// Sets the limit of time for each operation of the cache (default 250 ms).
    #[must_use]
    pub fn with_cache_timeout(mut self, timeout: Duration) -> Self {
        self.store.timeout = timeout;
        self
    }

    /// Sets what to do when the cache fails (default [`CacheFailure::Load`]).
    #[must_use]
    pub fn with_cache_failure(mut self, failure: CacheFailure) -> Self {
        self.failure = failure;
        self
    }

    /// Sets the clock (default: the system's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.store.clock = clock;
        self
    }

    /// Sets where the jitter comes from (default: the system).
    #[must_use]
    pub fn with_random(mut self, random: Random) -> Self {
        self.store.random = random;
        self
    }

    /// Returns the value under `key`, loading it if it is missing.
    ///
    /// # Errors
    /// The loader's own; [`ErrorKind::NotFound`] if it is known that there is none; [`ErrorKind::Other`] if the loader
    /// panicked; the cache's if it failed and [`CacheFailure::Fail`] is set.
    pub async fn get_or_load<F, Fut>(&self, key: &str, loader: F) -> Result<V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V>> + Send + 'static,
    {
        Ok(self.serve(key, loader).await?.value)
    }

    /// Returns the value under `key`, loading it if it is missing; `None` if there is none.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load), but that there is none is no error, whether the loader answers `None` or
    /// [`ErrorKind::NotFound`].
    pub async fn find_or_load<F, Fut>(&self, key: &str, loader: F) -> Result<Option<V>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>>> + Send + 'static,
    {
        let loader = || async move {
            loader().await?.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such value"))
        };
        match self.serve(key, loader).await {
            Ok(served) => Ok(Some(served.value)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the value under `key` with its origin, loading it if it is missing.
    ///
    /// # Errors
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn serve<F, Fut>(&self, key: &str, loader: F) -> Result<Served<V>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V>> + Send + 'static,
    {
        let outcome = self.serve_uncounted(key, loader).await;
        let label = match &outcome {
            Ok(served) => served.source.as_str(),
            Err(error) if error.kind() == ErrorKind::NotFound => "negative",
            Err(_) => "error",
        };
        self.store.count(label);
        outcome
    }

    async fn serve_uncounted<F, Fut>(&self, key: &str, loader: F) -> Result<Served<V>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V>> + Send + 'static,
    {
        // loads that end from here on may fill the key unseen by the look that follows
        let landed = self.flights.landed();
        let full_key = self.store.key(key);
        let (found, cache_error) = match self.store.get::<V>(&full_key).await {
            Ok(Look::Found(found)) => (Some(found), None),
            Ok(Look::Nothing) => (None, None),
            Err(error) if self.failure == CacheFailure::Fail => return Err(error),
            // what cannot be read is loaded and replaced, whatever the policy
            Ok(Look::Unreadable(error)) | Err(error) => (None, Some(error)),
        };
        let now = self.store.clock.now();
        let stale = match found {
            Some(Found { value, age, past }) if past.is_zero() => {
                let value = value.ok_or_else(known_absent)?;
                return Ok(Served { value, source: Source::Fresh, age, cache_error });
            }
            // that there was none says nothing once its time is over
            Some(Found { value: Some(value), age, past }) => Some((value, age, past)),
            _ => None,
        };
        if let Some((value, age, _)) =
            stale.as_ref().filter(|(_, _, past)| *past < self.stale_while_revalidate)
        {
            if self.cooling.is_over(&full_key, now) {
                self.refresh(&full_key, landed, loader);
            }
            return Ok(Served { value: value.clone(), source: Source::Stale, age: *age, cache_error });
        }
        let boarded = self.board(&full_key, landed, loader);
        let source = if boarded.joined { Source::Joined } else { Source::Loaded };
        match (boarded.flight.await, stale) {
            (Ok(value), _) => Ok(Served { value, source, age: Duration::ZERO, cache_error }),
            (Err(error), Some((value, age, past)))
                if past < self.stale_if_error && is_unavailable(&error) =>
            {
                tracing::warn!(namespace = self.store.namespace(), kind = %error.kind(), "serving a stale value");
                Ok(Served { value, source: Source::StaleOnError, age, cache_error })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Puts a value that the caller knows already; one that is being loaded is not kept.
    ///
    /// # Errors
    /// The cache's; [`ErrorKind::InvalidInput`] if the value cannot be written as JSON.
    pub async fn put(&self, key: &str, value: &V) -> Result<()> {
        let key = self.store.key(key);
        self.flights.revoke(&key);
        self.store.set(&key, Some(value), self.ttl, self.grace()).await
    }

    /// Forgets the value under `key`; one that is being loaded is not kept.
    ///
    /// # Errors
    /// The cache's: the value may still be there, and will be served until its time is over.
    pub async fn invalidate(&self, key: &str) -> Result<()> {
        let key = self.store.key(key);
        self.flights.revoke(&key);
        self.store.delete(&key).await
    }

    fn grace(&self) -> Duration {
        self.stale_while_revalidate.max(self.stale_if_error)
    }

    fn refresh<F, Fut>(&self, key: &str, landed: u64, loader: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V>> + Send + 'static,
    {
        let boarded = self.board(key, landed, loader);
        if boarded.joined {
            return;
        }
        let (this, key) = (self.clone(), key.to_owned());
        tokio::spawn(async move {
            match boarded.flight.await {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    this.cooling.begin(key, this.store.clock.now());
                    this.store.count_refresh_failure(&error);
                }
                _ => {}
            }
        });
    }

    fn board<F, Fut>(&self, key: &str, landed: u64, loader: F) -> super::flight::Boarded<V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V>> + Send + 'static,
    {
        let this = self.clone();
        let full_key = key.to_owned();
        self.flights
            .board(key, move |revoked| async move { this.load(&full_key, landed, loader, &revoked).await })
    }

    async fn load<F, Fut>(self, key: &str, landed: u64, loader: F, revoked: &AtomicBool) -> Result<V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V>> + Send + 'static,
    {
        if self.flights.landed() != landed {
            // somebody's load ended between the look and now; errors were reported by the look
            if let Ok(Look::Found(Found { value, past: Duration::ZERO, .. })) = self.store.get(key).await {
                return value.ok_or_else(known_absent);
            }
        }
        let outcome = loader().await;
        let keep = match &outcome {
            Ok(value) => Some((Some(value), self.ttl, self.grace())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.negative_ttl.is_none() && !revoked.load(Ordering::SeqCst) {
                    // what was there is there no longer
                    let _counted = self.store.delete(key).await;
                }
                self.negative_ttl.map(|ttl| (None, ttl, Duration::ZERO))
            }
            Err(_) => None,
        };
        match keep {
            Some((value, ttl, grace)) if !revoked.load(Ordering::SeqCst) => {
                let _counted = self.store.set(key, value, ttl, grace).await;
                if revoked.load(Ordering::SeqCst) {
                    let _counted = self.store.delete(key).await;
                }
            }
            _ => {}
        }
        outcome
    }
}

fn known_absent() -> Error {
    Error::new(ErrorKind::NotFound, "it is known that there is no such value")
}

fn is_unavailable(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Timeout
            | ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::CircuitOpen
            | ErrorKind::Protocol
            | ErrorKind::Storage
            | ErrorKind::Other
    )
}

impl<V> Clone for CacheAside<V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            flights: self.flights.clone(),
            cooling: Arc::clone(&self.cooling),
            ..*self
        }
    }
}

impl<V> fmt::Debug for CacheAside<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheAside")
            .field("namespace", &self.store.namespace())
            .field("ttl", &self.ttl)
            .field("stale_while_revalidate", &self.stale_while_revalidate)
            .field("stale_if_error", &self.stale_if_error)
            .field("negative_ttl", &self.negative_ttl)
            .finish_non_exhaustive()
    }
}
