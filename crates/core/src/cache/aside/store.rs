//! The cache as the typed layer sees it: namespaced, timed, counted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::Cache;
use crate::cache::entry::{self, Decoded};
use crate::resilience::{Random, within};
use crate::time::{Clock, Timestamp};
use crate::{Error, ErrorKind, Result};

#[derive(Clone, Debug)]
pub(super) struct Store {
    cache: Arc<dyn Cache>,
    namespace: Arc<str>,
    prefix: Arc<str>,
    pub(super) version: u32,
    pub(super) jitter: f64,
    pub(super) timeout: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
}

/// An entry, how old it is, and how long its time has been over.
pub(super) struct Found<V> {
    pub(super) value: Option<V>,
    pub(super) age: Duration,
    pub(super) past: Duration,
}

/// What a look into the cache showed.
pub(super) enum Look<V> {
    Found(Found<V>),
    Nothing,
    Unreadable(Error),
}

impl Store {
    pub(super) fn new(cache: Arc<dyn Cache>, namespace: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            cache,
            namespace: namespace.into(),
            prefix: prefix(namespace).into(),
            version: 0,
            jitter: 0.1,
            timeout: Duration::from_millis(250),
            clock,
            random: Random::system(),
        }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Looks the key up; an error if the cache could not be asked.
    pub(super) async fn get<V: DeserializeOwned>(&self, key: &str) -> Result<Look<V>> {
        let Some(bytes) = self.within("get", self.cache.get(key)).await? else { return Ok(Look::Nothing) };
        let entry = match entry::decode(self.version, &bytes) {
            Ok(Decoded::Entry(entry)) => entry,
            Ok(Decoded::OtherVersion) => return Ok(Look::Nothing),
            Err(error) => return Ok(Look::Unreadable(self.failed("decode", error))),
        };
        let now = self.clock.now();
        // a moment in the future is another machine's clock that is ahead of ours
        let (age, past) = (now.saturating_since(entry.stored), past(now, entry.fresh_until));
        Ok(Look::Found(Found { value: entry.value, age, past }))
    }

    pub(super) async fn set<V: Serialize>(
        &self,
        key: &str,
        value: Option<&V>,
        ttl: Duration,
        grace: Duration,
    ) -> Result<()> {
        let ttl =
            ttl.saturating_sub(ttl.min(LONGEST).mul_f64(self.jitter * self.random.unit())).max(SHORTEST);
        let now = self.clock.now();
        let bytes = entry::encode(self.version, now, now.saturating_add(ttl), value)
            .map_err(|error| self.failed("encode", error))?;
        self.within("set", self.cache.set(key, bytes, ttl.saturating_add(grace))).await
    }

    pub(super) async fn delete(&self, key: &str) -> Result<()> {
        self.within("delete", self.cache.delete(key)).await.map(drop)
    }

    async fn within<T>(&self, operation: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = within(&*self.clock, self.timeout, call).await.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Timeout, format!("the cache did not answer within {:?}", self.timeout)))
        });
        outcome.map_err(|error| self.failed(operation, error))
    }

    fn failed(&self, operation: &'static str, error: Error) -> Error {
        metrics::counter!(
            "pumasi_cache_errors_total", "namespace" => Arc::clone(&self.namespace), "operation" => operation
        )
        .increment(1);
        tracing::warn!(namespace = self.namespace(), operation, kind = %error.kind(), %error, "the cache failed");
        error
    }

    pub(super) fn count(&self, outcome: &'static str) {
        metrics::counter!(
            "pumasi_cache_requests_total", "namespace" => Arc::clone(&self.namespace), "outcome" => outcome
        )
        .increment(1);
    }

    pub(super) fn count_refresh_failure(&self, error: &Error) {
        metrics::counter!("pumasi_cache_refresh_failures_total", "namespace" => Arc::clone(&self.namespace))
            .increment(1);
        tracing::warn!(namespace = self.namespace(), kind = %error.kind(), %error, "a stale value could not be refreshed");
    }
}

/// The span that jitter is drawn from at most; beyond it chance makes no difference.
const LONGEST: Duration = Duration::from_hours(24 * 365);
const SHORTEST: Duration = Duration::from_millis(1);

/// Past its time by nothing at all counts as a microsecond: a time to live is exclusive.
fn past(now: Timestamp, fresh_until: Timestamp) -> Duration {
    if now < fresh_until {
        Duration::ZERO
    } else {
        now.saturating_since(fresh_until).max(Duration::from_micros(1))
    }
}

/// Ends a namespace with the one colon that is not escaped, so that no two namespaces can share a key.
fn prefix(namespace: &str) -> String {
    let mut prefix = String::with_capacity(namespace.len() + 1);
    for character in namespace.chars() {
        match character {
            ':' | '%' => {
                let _infallible = write!(prefix, "%{:02X}", u32::from(character));
            }
            _ => prefix.push(character),
        }
    }
    prefix.push(':');
    prefix
}

/// Keys whose refresh failed a moment ago.
#[derive(Debug, Default)]
pub(super) struct Cooling {
    until: Mutex<HashMap<String, Timestamp>>,
}

impl Cooling {
    const PAUSE: Duration = Duration::from_secs(1);
    const MOST: usize = 10_000;

    pub(super) fn begin(&self, key: String, now: Timestamp) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= Self::MOST {
            until.retain(|_, at| now < *at);
        }
        if until.len() < Self::MOST {
            until.insert(key, now.saturating_add(Self::PAUSE));
        }
    }

    pub(super) fn is_over(&self, key: &str, now: Timestamp) -> bool {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match until.get(key) {
            Some(at) if now < *at => false,
            Some(_) => {
                until.remove(key);
                true
            }
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_cannot_share_a_key() {
        let key = |namespace, key: &str| format!("{}{key}", prefix(namespace));
        assert_ne!(key("a:b", "c"), key("a", "b:c"));
        assert_ne!(key("a%3A", "b"), key("a:", "b"));
        assert_eq!(key("크루", "서울"), "크루:서울");
    }
}
