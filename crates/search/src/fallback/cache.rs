//! Which answers are kept, and for how long they may be called what.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pumasi_core::Result;
use pumasi_core::cache::Cache;
use pumasi_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::clock::SKEW;
use super::shelf::{Found, Lives, MemoryShelf, SharedShelf, Shelf};

/// Under what an answer is kept, and which writes make it old.
///
/// What a request says is hashed, so that no text of people stands in a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheKey {
    name: String,
    tags: Vec<String>,
}

impl CacheKey {
    /// The tag that every answer has: of the index's generation.
    pub const GENERATION: &str = "generation";

    /// Makes the key of a request from what it says: everything that its answer depends on.
    pub fn of(request: impl AsRef<[u8]>) -> Self {
        let digest = Sha256::digest(request);
        let name = URL_SAFE_NO_PAD.encode(digest);
        Self { name, tags: vec![Self::GENERATION.to_owned()] }
    }

    /// Adds something that the answer depends on: a write that names the same tag makes it old.
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// The same key for what is asked within a scope alone.
    fn within(self, scope: &Scope) -> Self {
        let digest = Sha256::new().chain_update(scope.answers).chain_update(&self.name).finalize();
        let tags = self.tags.iter().map(|tag| scope.tag(tag)).collect();
        Self { name: URL_SAFE_NO_PAD.encode(digest), tags }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn tags(&self) -> &[String] {
        &self.tags
    }
}

/// What a cache is used for, where others keep theirs in the same place.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// What the answers are of, hashed.
    answers: [u8; 32],
    /// What the writes are of that make them old, hashed. Several scopes of answers may be made old by the same writes.
    writes: String,
}

impl Scope {
    pub(crate) fn new(answers: &str, writes: &str) -> Self {
        Self {
            answers: Sha256::digest(answers).into(),
            writes: URL_SAFE_NO_PAD.encode(Sha256::digest(writes)),
        }
    }

    fn tag(&self, tag: &str) -> String {
        format!("{}:{tag}", self.writes)
    }
}

/// Keeps fresh answers of a [`Fallback`](super::Fallback), and nothing else: no degraded one, no error.
///
/// | setting | default |
/// |---|---|
/// | max age: the bound past which no answer is called cached | 30 s |
/// | stale while revalidating, beyond that | none |
/// | stale if nobody answers, beyond that | 10 minutes |
///
/// 1. **The bound.** No answer older than the max age, counted from the question, is called cached, whatever becomes of
///    invalidations, clocks that are set or were wrong from the beginning, or of other processes: in a shared cache its age counts by
///    the cache's clock, too.
/// 2. **Writes.** An answer that began to be fetched before an
///    [invalidation](super::Fallback::invalidate) of one of its tags is never called cached after it. In memory that holds
///    within the process; in a shared cache between all that share it.
/// 3. **An error is not a miss.** A shared cache that fails or hangs is noticed within 20 ms, told apart in metrics and log, and
///    spared by a breaker of its own. Equal requests are still answered by one call, but none that comes after an invalidation in this
///    process by one that began before it.
pub struct AnswerCache<Q, T> {
    key: Arc<dyn Fn(&Q) -> CacheKey + Send + Sync>,
    scope: Option<Arc<Scope>>,
    pub(super) shelf: Arc<dyn Shelf<T>>,
    max_age: Duration,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
}

/// An answer of the cache as it may be used now.
pub(super) struct Judged<T> {
    pub(super) value: T,
    pub(super) age: Duration,
    pub(super) fresh: bool,
}

impl<Q, T> AnswerCache<Q, T>
where
    T: Clone + Send + Sync + 'static,
{
    /// Keeps up to `answers` in the process's memory, the ones that are asked for most, without writing them out.
    pub fn memory(answers: usize, key: impl Fn(&Q) -> CacheKey + Send + Sync + 'static) -> Self {
        Self::on(Arc::new(MemoryShelf::new(answers)), key)
    }

    /// Keeps answers in a [`Cache`] that processes share, as JSON, under keys that begin with `namespace`.
    pub fn shared(
        cache: Arc<dyn Cache>,
        namespace: &str,
        key: impl Fn(&Q) -> CacheKey + Send + Sync + 'static,
    ) -> Self
    where
        T: Serialize + DeserializeOwned,
    {
        Self::on(Arc::new(SharedShelf::new(cache, namespace)), key)
    }

    fn on(shelf: Arc<dyn Shelf<T>>, key: impl Fn(&Q) -> CacheKey + Send + Sync + 'static) -> Self {
        Self {
            key: Arc::new(key),
            scope: None,
            shelf,
            max_age: Duration::from_secs(30),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_mins(10),
        }
    }

    /// Sets what a request's answer is kept under.
    #[must_use]
    pub fn with_key(mut self, key: impl Fn(&Q) -> CacheKey + Send + Sync + 'static) -> Self {
        self.key = Arc::new(key);
        self
    }

    /// Sets the age past which no answer is called cached.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets for how long beyond the max age an old answer is served at once, as stale, while a new one is fetched.
    #[must_use]
    pub fn with_stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = window;
        self
    }

    /// Sets for how long beyond the max age an old answer is served, as stale, when nobody answers.
    #[must_use]
    pub fn with_stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = window;
        self
    }

    /// Keeps the answers, and the writes that make them old, apart from those of another scope in the same cache.
    pub(super) fn within(mut self, scope: Scope) -> Self {
        self.scope = Some(Arc::new(scope));
        self
    }

    /// Makes the answers old that depend on one of the tags.
    pub(super) async fn outdate(&self, tags: &[&str]) -> Result<()> {
        let Some(scope) = &self.scope else { return self.shelf.outdate(tags).await };
        let tags: Vec<String> = tags.iter().map(|tag| scope.tag(tag)).collect();
        self.shelf.outdate(&tags.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// Makes every answer old.
    pub(crate) async fn outdate_all(&self) -> Result<()> {
        self.outdate(&[CacheKey::GENERATION]).await
    }

    pub(super) fn key(&self, request: &Q) -> CacheKey {
        let key = (self.key)(request);
        match &self.scope {
            Some(scope) => key.within(scope),
            None => key,
        }
    }

    pub(super) fn judge(&self, found: Found<T>, now: Timestamp) -> Judged<T> {
        let Found { value, stored, current } = found;
        let age = now.saturating_since(stored);
        // from further in the future than clocks differ: ours or the other was set, and the age is not known
        let known = stored <= now.saturating_add(SKEW);
        Judged { value, age, fresh: current && known && age < self.max_age }
    }

    /// An answer whose bound is over, or that a write has outdated, is served at once while it is younger than this.
    pub(super) fn revalidate_within(&self) -> Duration {
        if self.stale_while_revalidate.is_zero() {
            return Duration::ZERO;
        }
        self.max_age.saturating_add(self.stale_while_revalidate)
    }

    pub(super) fn stale_within(&self) -> Duration {
        self.max_age.saturating_add(self.stale_if_error)
    }

    /// For how long an answer is kept that took `took` to be fetched.
    pub(super) fn lives(&self, took: Duration) -> Lives {
        let at_all = self.max_age.saturating_add(self.stale_if_error.max(self.stale_while_revalidate));
        Lives { at_all: at_all.max(Duration::from_millis(1)), as_current: self.max_age.saturating_sub(took) }
    }
}

impl<Q, T> Clone for AnswerCache<Q, T> {
    fn clone(&self) -> Self {
        let (key, scope, shelf) = (Arc::clone(&self.key), self.scope.clone(), Arc::clone(&self.shelf));
        Self { key, scope, shelf, ..*self }
    }
}

impl<Q, T> fmt::Debug for AnswerCache<Q, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerCache")
            .field("max_age", &self.max_age)
            .field("stale_while_revalidate", &self.stale_while_revalidate)
            .field("stale_if_error", &self.stale_if_error)
            .finish_non_exhaustive()
    }
}
