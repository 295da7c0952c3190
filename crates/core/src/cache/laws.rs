//! The laws of [`Cache`]: one public function for each of its guarantees, for the tests of any backend.
//!
//! [`cache_laws!`](crate::cache_laws) expands them to one test each:
//!
//! ```
//! use std::sync::Arc;
//! use pumasi_core::cache::{MemoryCache, laws::Subject};
//! use pumasi_core::time::ManualClock;
//!
//! fn memory() -> Subject {
//!     let clock = ManualClock::new();
//!     let cache = MemoryCache::new(1 << 20).with_clock(Arc::new(clock.clone()));
//!     Subject::new(Arc::new(cache), move |duration| {
//!         clock.advance(duration);
//!         std::future::ready(())
//!     })
//! }
//!
//! pumasi_core::cache_laws!(memory_keeps_the_laws, super::memory());
//! # fn main() {}
//! ```

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Cache;
pub use super::flaky::{Fault, FlakyCache};
use crate::{Error, ErrorKind, Result};

/// A cache under examination, and how to let time pass for it.
pub struct Subject {
    cache: Arc<dyn Cache>,
    pass: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    cut: Option<Box<dyn Fn() + Send + Sync>>,
    prefix: String,
}

impl Subject {
    /// Takes a cache and a way to let time pass: turning a clock, or sleeping for a server that has its own.
    ///
    /// Its keys get a random prefix, so that several subjects can share one server.
    pub fn new<P, Fut>(cache: Arc<dyn Cache>, pass: P) -> Self
    where
        P: Fn(Duration) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let pass = Box::new(move |duration| pass(duration).boxed());
        Self { cache, pass, cut: None, prefix: format!("law-{:016x}-", fastrand::u64(..)) }
    }

    /// Sets how to cut the cache off from its backend; without it, the law of silent misses is skipped.
    #[must_use]
    pub fn with_cut(mut self, cut: impl Fn() + Send + Sync + 'static) -> Self {
        self.cut = Some(Box::new(cut));
        self
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.cache.get(&self.key(name)).await?.map(|value| value.to_vec()))
    }

    async fn set(&self, name: &str, value: &[u8], ttl: Duration) -> Result<()> {
        self.cache.set(&self.key(name), value.into(), ttl).await
    }

    async fn pass(&self, duration: Duration) {
        (self.pass)(duration).await;
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("cache", &self.cache)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(400);

macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(Error::new(ErrorKind::Other, format!($($message)+)));
        }
    };
}

/// Law 1: what was set is returned byte for byte.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_01_exact(subject: &Subject) -> Result<()> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = vec![7; 100_000];
    for (name, value) in [("bytes", &every_byte[..]), ("empty", b""), ("large", &large)] {
        ensure!(subject.get(name).await?.is_none(), "{name} was there before it was set");
        subject.set(name, value, LONG).await?;
        ensure!(subject.get(name).await?.as_deref() == Some(value), "{name} did not come back as it was set");
    }
    Ok(())
}

/// Law 2: nothing outlives its time.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_02_expiry(subject: &Subject) -> Result<()> {
    subject.set("short", b"1", SHORT).await?;
    subject.set("long", b"2", LONG).await?;
    subject.set("endless", b"3", Duration::MAX).await?;
    subject.set("brief", b"4", Duration::from_nanos(1)).await?;
    ensure!(subject.get("short").await?.is_some(), "a value was gone before its time");
    subject.pass(SHORT).await;
    ensure!(subject.get("short").await?.is_none(), "a value outlived its time");
    ensure!(subject.get("brief").await?.is_none(), "a value of a nanosecond outlived its time");
    ensure!(subject.get("long").await?.is_some(), "a value was gone before its time");
    ensure!(subject.get("endless").await?.is_some(), "a value without an end ended");
    let (short, long) = (subject.key("short"), subject.key("long"));
    let many = subject.cache.get_many(&[&short, &long]).await?;
    ensure!(matches!(&many[..], [None, Some(_)]), "a value outlived its time among many");
    Ok(())
}

/// Law 3: setting again replaces the value and its time.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_03_replacement(subject: &Subject) -> Result<()> {
    subject.set("longer", b"old", SHORT).await?;
    subject.set("longer", b"new", LONG).await?;
    subject.set("shorter", b"old", LONG).await?;
    subject.set("shorter", b"new", SHORT).await?;
    ensure!(subject.get("longer").await?.as_deref() == Some(b"new"), "the old value was returned");
    subject.pass(SHORT).await;
    ensure!(subject.get("longer").await?.as_deref() == Some(b"new"), "the old time to live stayed");
    ensure!(subject.get("shorter").await?.is_none(), "the old time to live stayed");
    Ok(())
}

/// Law 4: of many who create at once, one does.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_04_atomic_creation(subject: &Subject) -> Result<()> {
    for round in 0..20 {
        let key = subject.key(&format!("race-{round}"));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..16_u8 {
            let (cache, key) = (Arc::clone(&subject.cache), key.clone());
            tasks.spawn(async move { (number, cache.set_if_absent(&key, [number][..].into(), LONG).await) });
        }
        let mut winners = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (number, created) = done.map_err(|source| {
                Error::new(ErrorKind::Other, "a task of the law failed").with_source(source)
            })?;
            if created? {
                winners.push(number);
            }
        }
        ensure!(winners.len() == 1, "{} of 16 created the same key", winners.len());
        ensure!(
            subject.cache.get(&key).await?.as_deref() == Some(&winners[..]),
            "another value than the winner's stands"
        );
    }
    let key = subject.key("again");
    ensure!(
        subject.cache.set_if_absent(&key, b"1"[..].into(), SHORT).await?,
        "an absent key was not created"
    );
    subject.pass(SHORT).await;
    ensure!(
        subject.cache.set_if_absent(&key, b"2"[..].into(), LONG).await?,
        "an expired key was not created"
    );
    subject.pass(SHORT).await;
    ensure!(
        subject.get("again").await?.as_deref() == Some(b"2"),
        "the expired value's time ended the new one"
    );
    Ok(())
}

/// Law 5: what is deleted is gone.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_05_deletion(subject: &Subject) -> Result<()> {
    let key = subject.key("gone");
    ensure!(!subject.cache.delete(&key).await?, "nothing was deleted, and it said otherwise");
    subject.set("gone", b"1", LONG).await?;
    ensure!(subject.cache.delete(&key).await?, "something was deleted, and it said otherwise");
    ensure!(subject.get("gone").await?.is_none(), "a deleted value was returned");
    ensure!(subject.cache.set_if_absent(&key, b"2"[..].into(), SHORT).await?, "a deleted key was not absent");
    subject.pass(SHORT).await;
    ensure!(!subject.cache.delete(&key).await?, "an expired value was deleted, and it said so");
    Ok(())
}

/// Law 6: many are answered in order.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_06_many(subject: &Subject) -> Result<()> {
    subject.set("a", b"1", LONG).await?;
    subject.set("b", b"2", LONG).await?;
    let (a, b, none) = (subject.key("a"), subject.key("b"), subject.key("none"));
    let many = subject.cache.get_many(&[&b, &none, &a, &b]).await?;
    let many: Vec<_> = many.iter().map(Option::as_deref).collect();
    ensure!(
        many == [Some(&b"2"[..]), None, Some(b"1"), Some(b"2")],
        "many values came back in another order"
    );
    ensure!(subject.cache.get_many(&[]).await?.is_empty(), "no keys had values");
    Ok(())
}

/// Law 7: keys are bytes.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_07_opaque_keys(subject: &Subject) -> Result<()> {
    let long = "긴 열쇠".repeat(500);
    let names =
        ["", " ", "a", "A", "a ", "a\0", "a\n", "a:b", "a*", "{a}", "가", "\u{1100}\u{1161}", "ㄱㅏ", &long];
    for (number, name) in names.iter().enumerate() {
        subject.set(name, number.to_string().as_bytes(), LONG).await?;
    }
    for (number, name) in names.iter().enumerate() {
        let expected = number.to_string().into_bytes();
        ensure!(subject.get(name).await? == Some(expected), "key {name:?} was taken for another");
    }
    Ok(())
}

/// Law 8: a backend that cannot be asked is an error, not a miss.
///
/// # Errors
/// If the law is broken.
pub async fn law_08_never_a_silent_miss(subject: &Subject) -> Result<()> {
    let Some(cut) = &subject.cut else {
        tracing::warn!(cache = ?subject.cache, "skipped: this subject cannot be cut off from its backend");
        return Ok(());
    };
    subject.set("there", b"1", LONG).await?;
    cut();
    let key = subject.key("there");
    ensure!(subject.get("there").await.is_err(), "a read of a lost backend was a miss");
    ensure!(subject.cache.get_many(&[&key]).await.is_err(), "a read of many of a lost backend was a miss");
    ensure!(subject.set("there", b"2", LONG).await.is_err(), "a write to a lost backend succeeded");
    ensure!(
        subject.cache.set_if_absent(&key, b"3"[..].into(), LONG).await.is_err(),
        "a creation in a lost backend had an answer"
    );
    ensure!(subject.cache.delete(&key).await.is_err(), "a deletion in a lost backend had an answer");
    Ok(())
}

/// Law 9: a time to live of zero is refused.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_09_no_zero(subject: &Subject) -> Result<()> {
    subject.set("zero", b"1", LONG).await?;
    let refused = subject.set("zero", b"2", Duration::ZERO).await;
    ensure!(
        refused.is_err_and(|error| error.kind() == ErrorKind::InvalidInput),
        "a time to live of zero was accepted"
    );
    let absent = subject.key("zero-absent");
    let refused = subject.cache.set_if_absent(&absent, b"2"[..].into(), Duration::ZERO).await;
    ensure!(
        refused.is_err_and(|error| error.kind() == ErrorKind::InvalidInput),
        "a time to live of zero was accepted"
    );
    ensure!(subject.get("zero").await?.as_deref() == Some(b"1"), "a refused write changed the value");
    Ok(())
}

/// Law 10: a dropped write is whole or nothing.
///
/// # Errors
/// If the law is broken, or the backend failed.
pub async fn law_10_cancellation(subject: &Subject) -> Result<()> {
    let key = subject.key("cancelled");
    for round in 0..50_u8 {
        let write = subject.cache.set(&key, vec![round; 10_000].into(), LONG);
        let _outcome = write.now_or_never(); // polled once, then dropped
        if let Some(value) = subject.cache.get(&key).await? {
            let first = value.first().copied();
            let whole = value.len() == 10_000 && value.iter().all(|byte| Some(*byte) == first);
            ensure!(whole, "a dropped write left part of a value");
        }
    }
    subject.set("cancelled", b"last", LONG).await?;
    ensure!(
        subject.get("cancelled").await?.as_deref() == Some(b"last"),
        "a dropped write came after a later one"
    );
    Ok(())
}

/// Expands to a module `$name` with one test for each law of `Cache`, on the [`Subject`](crate::cache::laws::Subject) that
/// the expression makes (written as seen from inside the module).
///
/// The tests need `tokio` with the features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! cache_laws {
    ($name:ident, $subject:expr) => {
        $crate::cache_laws!(@each $name, $subject;
            law_01_exact law_02_expiry law_03_replacement law_04_atomic_creation law_05_deletion law_06_many
            law_07_opaque_keys law_08_never_a_silent_miss law_09_no_zero law_10_cancellation);
    };
    (@each $name:ident, $subject:expr; $($law:ident)+) => {
        #[cfg(test)]
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $law() -> $crate::Result<()> {
                    $crate::cache::laws::$law(&$subject).await
                }
            )+
        }
    };
}
