//! Calls that are answered although their backend is not there, and say so.
//!
//! A [`Fallback`] stands before several [backends](Backend) that can answer the same requests: a search engine and a database,
//! two regions of one service, a model and a smaller one. It is generic over any async call, and knows nothing of search.
//!
//! ```
//! use std::time::Duration;
//! use pumasi_core::{Error, ErrorKind};
//! use pumasi_search::fallback::{Answer, Fallback, FnBackend, Served};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let engine = FnBackend::new("engine", |_query: String, _left| async {
//!     Err::<Answer<Vec<&str>>, _>(Error::new(ErrorKind::Unavailable, "the engine restarts"))
//! });
//! let database = FnBackend::new("database", |query: String, _left| async move {
//!     let all = ["한강 러닝 모임", "Rust study"];
//!     Ok(Answer::new(all.into_iter().filter(|title| title.contains(&query)).collect::<Vec<_>>()))
//! });
//! let search = Fallback::builder("posts")
//!     .primary(engine)
//!     .fallback(database)
//!     .deadline(Duration::from_millis(250))
//!     .build()?;
//!
//! match search.call("러닝".to_owned()).await? {
//!     Served::Fresh { value, .. } | Served::Cached { value, .. } | Served::Stale { value, .. } => drop(value),
//!     Served::Degraded { value, backend, cause, .. } => {
//!         assert_eq!((value.len(), &*backend, cause.as_str()), (1, "database", "failed"));
//!     }
//! }
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```
//!
//! # How a request goes
//!
//! ```text
//! cache (fresh?) -> primary --+-- answered ------------------------------------------> Fresh, kept
//!                             +-- failed, circuit open ------------------> fallback -> Degraded
//!                             +-- not answered at its live p95 --hedge---> fallback -> whoever is first
//!                                                                           +-- likewise -> last resort
//!                             nobody, until the deadline: the cache's old answer (Stale), or an error
//! ```
//!
//! # What it promises
//!
//! 1. **The truth is in the type.** [`Served`] holds the value; whoever takes it out has seen what it is. An answer that is
//!    not the primary's own, whole and current is never called [`Fresh`](Served::Fresh) or [`Cached`](Served::Cached).
//! 2. **Nobody waits for a breaker to learn.** A backend that fails costs its own time, one that hangs the hedge's delay: the
//!    live 95th percentile, between 10 and 50 ms as [set](FallbackBuilder::longest_hedge_delay). The first request of an
//!    outage too.
//! 3. **The breaker sees calls that hang, that are dropped and that are overtaken**, so that a backend in trouble is spared.
//!    It opens at half of the last 20 calls, of at least five.
//! 4. **No request of a user is a probe.** A spared backend is tried out in the background, one probe at a time, from the
//!    first request that it was spared; a probe that hangs has failed when its lease is over, and one of an earlier opening
//!    says nothing about a later one. A backend that opens its circuit again within 10 s has to do well for a while before it is
//!    let in: for five quarters of the pause between probes, in which it is tried ten times, and at each further time for twice as
//!    long, up to a minute. So it does not swing, and one that fails now and then is back as soon as it does not. While those
//!    behind it fail or take longer than a slow call, it is tried out before its turn, at most four times a pause, and requests that wait
//!    are answered by it as soon as it is let in.
//! 5. **One budget** pays for hedges and retries: 5 % of the requests and one a second. When it is used up, a hedge waits
//!    until [`slow_after`](FallbackBuilder::slow_after), unless the three calls before it had no answer in time either: then the
//!    backend does not answer, and to the next one the call is the first. Retries are made only at the last backend, where nobody else is left.
//! 6. **The deadline holds** for everything together, and each backend is told what is left of it. A request ends with an
//!    answer, or with [`ErrorKind::Unavailable`] or
//!    [`Timeout`](pumasi_core::ErrorKind::Timeout), or with what a backend says about the request itself.
//! 7. **It starts** while any of the backends is down.
//! 8. **Cancellation.** A call that is dropped leaves nothing behind: no permit, no task, no place in a line. What a breaker
//!    learns from it is its age.
//!
//! What it does not do: it does not limit how many calls a backend gets at once (a
//! [`ConcurrencyLimit`](pumasi_core::resilience::ConcurrencyLimit) inside the backend does), and it does not write. Requests
//! are made twice, so they must not change anything.
//!
//! # Settings
//!
//! | setting | default |
//! |---|---|
//! | deadline | 1 s |
//! | slow after | 100 ms |
//! | shortest hedge delay | 10 ms |
//! | longest hedge delay, and the first one | 50 ms |
//! | pause between probes | 1 s, up to a fifth less by chance; a probe's lease: half of it |
//! | extra calls | 5 % of the requests, and one a second |
//! | cache | none |
//!
//! # Metrics
//!
//! Through the `metrics` facade; `name` is the fallback's, and the parts of [`resilience`](pumasi_core::resilience) report as
//! `name/backend`.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `pumasi_fallback_answers_total` | counter | `name`, `served`: `fresh`, `cached`, `stale`, `degraded`; `backend`, `cache` if it was that |
//! | `pumasi_fallback_errors_total` | counter | `name`, `kind` |
//! | `pumasi_fallback_seconds` | histogram | `name` |
//! | `pumasi_fallback_probes_total` | counter | `name`, `backend`, `outcome`: `ok`, `failed` |
//! | `pumasi_fallback_cache_total` | counter | `name`, `outcome`: `hit`, `stale`, `miss`, `error` |

mod backend;
mod builder;
mod cache;
mod chain;
mod clock;
#[cfg(feature = "tower")]
mod layer;
mod served;
mod shelf;
#[cfg(test)]
mod tests;
mod tier;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pumasi_core::cache::SingleFlight;
use pumasi_core::resilience::{BreakerState, within};
use pumasi_core::time::after;
use pumasi_core::{Error, ErrorKind, Result};

pub use self::backend::{Backend, FnBackend};
pub use self::builder::FallbackBuilder;
pub(crate) use self::cache::Scope;
pub use self::cache::{AnswerCache, CacheKey};
use self::chain::Chain;
use self::clock::SteadyClock;
#[cfg(feature = "tower")]
pub use self::layer::{FallbackLayer, FallbackService, ServiceBackend};
pub use self::served::{Answer, Cause, Served};
pub use crate::page::Gap;

/// Answers requests of type `Q` with values of type `T`, from the first of its backends that can.
///
/// See the [module](self) for how. Clones share everything.
pub struct Fallback<Q, T> {
    inner: Arc<Inner<Q, T>>,
}

struct Inner<Q, T> {
    chain: Chain<Q, T>,
    cache: Option<AnswerCache<Q, T>>,
    flights: SingleFlight<Served<T>>,
    /// How many writes this process has told of, and how many of them the cache did not take note of.
    writes: AtomicU64,
    unheard: AtomicU64,
    deadline: Duration,
    clock: SteadyClock,
}

impl<Q, T> Fallback<Q, T>
where
    Q: Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Begins to put one together; `name` is what errors and metrics call it.
    pub fn builder(name: impl Into<Arc<str>>) -> FallbackBuilder<Q, T> {
        FallbackBuilder::new(name.into())
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if every backend failed and the cache has nothing either,
    /// [`Timeout`](ErrorKind::Timeout) if none had answered by the deadline; or what a backend says about the request:
    /// [`InvalidInput`](ErrorKind::InvalidInput), [`Conflict`](ErrorKind::Conflict), [`Refused`](ErrorKind::Refused).
    pub async fn call(&self, request: Q) -> Result<Served<T>> {
        let began = self.inner.clock.instant();
        let deadline = began.checked_add(self.inner.deadline).unwrap_or(began + Duration::from_hours(24));
        let outcome = match &self.inner.cache {
            None => self.inner.chain.ask(&request, deadline).await,
            Some(cache) => self.through(cache, request, deadline).await,
        };
        self.count(&outcome, began);
        outcome
    }

    /// Returns the state of a backend's circuit; `None` if there is no backend of that name, or it is the last one, which is
    /// asked whatever its health.
    pub fn circuit(&self, backend: &str) -> Option<BreakerState> {
        let (_, guarded) = self.inner.chain.tiers.split_last()?;
        guarded.iter().find(|tier| *tier.label == *backend).map(|tier| tier.state())
    }

    /// Returns how long a backend is waited for before the next one is asked, as it is now.
    pub fn hedge_delay(&self, backend: &str) -> Option<Duration> {
        self.inner.chain.tiers.iter().find(|tier| *tier.label == *backend).map(|tier| tier.hedge.delay())
    }

    /// Spares a backend from now on, until its probes go well: for whoever learns of its trouble by another way.
    pub fn trip(&self, backend: &str, sample: &Q) {
        if let Some(tier) = self.inner.chain.tiers.iter().find(|tier| *tier.label == *backend) {
            tier.trip();
            tier.watch(sample);
        }
    }

    /// Makes every cached answer that depends on one of the tags old: they are served no more as cached, but may still be
    /// [stale](Served::Stale) ones. So does a write that they may have missed.
    ///
    /// # Errors
    /// The cache's: answers may then be called cached until their bound is over, and no longer.
    pub async fn invalidate<'a>(&self, tags: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let Some(cache) = &self.inner.cache else { return Ok(()) };
        self.inner.writes.fetch_add(1, Ordering::SeqCst);
        let outdated = cache.outdate(&tags.into_iter().collect::<Vec<_>>()).await;
        self.inner.unheard.fetch_add(u64::from(outdated.is_err()), Ordering::SeqCst);
        outdated
    }

    /// Makes every cached answer old, as a new generation of the index does.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_all(&self) -> Result<()> {
        self.invalidate([CacheKey::GENERATION]).await
    }

    async fn through(&self, cache: &AnswerCache<Q, T>, request: Q, deadline: Instant) -> Result<Served<T>> {
        let key = cache.key(&request);
        if self.inner.clock.came_back()
            && let Err(error) = self.invalidate_all().await
        {
            let name = &*self.inner.chain.name;
            tracing::warn!(name, kind = %error.kind(), %error, "answers from while the clock was ahead are still kept");
        }
        let written = [&self.inner.writes, &self.inner.unheard].map(|count| count.load(Ordering::SeqCst));
        let look = cache.shelf.look(&key).await;
        let now = self.inner.clock.now();
        let (stamp, found) = match look {
            Ok(look) => (Some(look.stamp), look.found.map(|found| cache.judge(found, now))),
            Err(error) => {
                self.count_cache("error");
                tracing::warn!(name = &*self.inner.chain.name, kind = %error.kind(), %error, "the cache failed");
                (None, None)
            }
        };
        let old = match found {
            Some(found) if found.fresh => {
                self.count_cache("hit");
                return Ok(Served::Cached { value: found.value, age: found.age });
            }
            Some(found) => {
                self.count_cache("stale");
                Some(found)
            }
            None => {
                if stamp.is_some() {
                    self.count_cache("miss");
                }
                None
            }
        };
        let flight = self.fetch(cache, key, written, stamp, request);
        if let Some(found) = old.as_ref().filter(|found| found.age < cache.revalidate_within()) {
            tokio::spawn(flight);
            return Ok(Served::Stale {
                value: found.value.clone(),
                age: found.age,
                cause: Cause::Revalidating,
            });
        }
        let left = deadline.saturating_duration_since(self.inner.clock.instant());
        let outcome = within(self.inner.clock.clock(), left, flight).await.unwrap_or_else(|| {
            let name = &self.inner.chain.name;
            Err(Error::new(ErrorKind::Timeout, format!("nobody answered {name} within its deadline")))
        });
        match (outcome, old) {
            (Err(error), Some(old))
                if old.age < cache.stale_within()
                    && matches!(
                        error.kind(),
                        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Other
                    ) =>
            {
                Ok(Served::Stale { value: old.value, age: old.age, cause: Cause::Failed(error) })
            }
            (outcome, _) => outcome,
        }
    }

    /// Asks the backends, once for all who want the same, and keeps a fresh answer.
    fn fetch(
        &self,
        cache: &AnswerCache<Q, T>,
        key: CacheKey,
        [writes, unheard]: [u64; 2],
        stamp: Option<shelf::Stamp>,
        request: Q,
    ) -> impl Future<Output = Result<Served<T>>> + Send + 'static {
        let (inner, cache) = (Arc::clone(&self.inner), cache.clone());
        async move {
            let flights = inner.flights.clone();
            // who comes after a write must not be answered by a call from before it, also where a shared cache fails
            let flight = match &stamp {
                Some(stamp) => format!("{} {unheard} {stamp:?}", key.name()),
                None => format!("{} {writes}", key.name()),
            };
            let call = move || async move {
                let deadline = after(inner.clock.instant(), inner.deadline);
                // what it says may be as old as the question
                let (asked, began) = (inner.clock.now(), inner.clock.instant());
                let served = inner.chain.ask(&request, deadline).await?;
                let lives = cache.lives(inner.clock.instant().saturating_duration_since(began));
                if let (Served::Fresh { value, .. }, Some(stamp)) = (&served, stamp)
                    && let Err(error) = cache.shelf.keep(&key, stamp, asked, value.clone(), lives).await
                {
                    let name = &*inner.chain.name;
                    tracing::warn!(name, kind = %error.kind(), %error, "a fresh answer was not kept");
                }
                Ok(served)
            };
            flights.run(&flight, call).await
        }
    }

    fn count(&self, outcome: &Result<Served<T>>, began: Instant) {
        let name = &self.inner.chain.name;
        let took = self.inner.clock.instant().saturating_duration_since(began);
        metrics::histogram!("pumasi_fallback_seconds", "name" => Arc::clone(name)).record(took.as_secs_f64());
        match outcome {
            Ok(served) => metrics::counter!(
                "pumasi_fallback_answers_total",
                "name" => Arc::clone(name),
                "served" => served.as_str(),
                "backend" => served.backend().unwrap_or("cache").to_owned()
            )
            .increment(1),
            Err(error) => metrics::counter!(
                "pumasi_fallback_errors_total", "name" => Arc::clone(name), "kind" => error.kind().as_str()
            )
            .increment(1),
        }
    }

    fn count_cache(&self, outcome: &'static str) {
        metrics::counter!(
            "pumasi_fallback_cache_total", "name" => Arc::clone(&self.inner.chain.name), "outcome" => outcome
        )
        .increment(1);
    }
}

impl<Q, T> Clone for Fallback<Q, T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<Q, T> fmt::Debug for Fallback<Q, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("name", &self.inner.chain.name)
            .field("backends", &self.inner.chain.tiers)
            .field("deadline", &self.inner.deadline)
            .finish_non_exhaustive()
    }
}
