//! The laws of [`Cache`], in the order of its numbered guarantees.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::pace::{Pace, paced};
use super::{Broken, Kept, Verdict, holds};
use crate::cache::Cache;
use crate::{ErrorKind, Result};

/// A cache under examination.
#[async_trait]
pub trait CacheHarness: Send + Sync {
    /// Opens the cache; it may hold other keys than those of the law.
    async fn open(&self) -> Arc<dyn Cache>;

    /// Lets time pass for the cache: turns the clock that it was given, or really waits.
    async fn pass(&self, time: Duration);

    /// Cuts the cache off from its backend for the rest of the law, and says whether it could (the default cannot).
    async fn cut(&self) -> bool {
        false
    }
}

/// Makes one `#[test]` per law of [`Cache`](crate::cache::Cache), in a module of the given name, each on a harness of its own
/// made by the expression.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use pumasi_core::cache::{Cache, MemoryCache};
/// use pumasi_core::conformance::cache::CacheHarness;
/// use pumasi_core::time::ManualClock;
///
/// struct Memory(ManualClock, Arc<MemoryCache>);
///
/// impl Memory {
///     fn new() -> Self {
///         let clock = ManualClock::new();
///         let cache = MemoryCache::new(1 << 20).with_clock(Arc::new(clock.clone()));
///         Self(clock, Arc::new(cache))
///     }
/// }
///
/// #[async_trait]
/// impl CacheHarness for Memory {
///     async fn open(&self) -> Arc<dyn Cache> {
///         Arc::<MemoryCache>::clone(&self.1)
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.advance(time);
///     }
/// }
///
/// pumasi_core::cache_laws!(memory, Memory::new());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! cache_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::cache],
            law_01_exact,
            law_02_expiry,
            law_03_replacement,
            law_04_atomic_creation,
            law_05_deletion,
            law_06_many,
            law_07_opaque_keys,
            law_08_never_a_silent_miss,
            law_09_no_zero,
            law_10_cancellation,
        );
    };
}

/// One law's view of the cache: its keys have a random prefix, so that laws can share one server.
struct Subject<'a> {
    harness: &'a dyn CacheHarness,
    cache: Arc<dyn Cache>,
    prefix: String,
}

impl<'a> Subject<'a> {
    async fn open(harness: &'a dyn CacheHarness) -> Self {
        Self { harness, cache: harness.open().await, prefix: format!("law-{:016x}-", fastrand::u64(..)) }
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
        self.harness.pass(duration).await;
    }

    async fn pass_by(&self, pace: &Pace, duration: Duration) {
        pace.passes(duration);
        self.pass(duration).await;
    }
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(400);

/// Law 1: what was set is returned byte for byte.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_exact(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = vec![7; 100_000];
    for (name, value) in [("bytes", &every_byte[..]), ("empty", b""), ("large", &large)] {
        holds!(subject.get(name).await?.is_none(), "{name} was there before it was set");
        subject.set(name, value, LONG).await?;
        holds!(subject.get(name).await?.as_deref() == Some(value), "{name} did not come back as it was set");
    }
    Ok(Kept::Whole)
}

/// Law 2: nothing outlives its time.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_02_expiry(harness: &dyn CacheHarness) -> Verdict {
    paced(SHORT, async |pace| {
        let short = pace.unit();
        let subject = &Subject::open(harness).await;
        subject.set("short", b"1", short).await?;
        subject.set("long", b"2", LONG).await?;
        subject.set("endless", b"3", Duration::MAX).await?;
        subject.set("brief", b"4", Duration::from_nanos(1)).await?;
        holds!(subject.get("short").await?.is_some(), "a value was gone before its time");
        subject.pass_by(pace, short).await;
        holds!(subject.get("short").await?.is_none(), "a value outlived its time");
        holds!(subject.get("brief").await?.is_none(), "a value of a nanosecond outlived its time");
        holds!(subject.get("long").await?.is_some(), "a value was gone before its time");
        holds!(subject.get("endless").await?.is_some(), "a value without an end ended");
        let (short, long) = (subject.key("short"), subject.key("long"));
        let many = subject.cache.get_many(&[&short, &long]).await?;
        holds!(matches!(&many[..], [None, Some(_)]), "a value outlived its time among many");
        Ok(Kept::Whole)
    })
    .await
}

/// Law 3: setting again replaces the value and its time.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_03_replacement(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    subject.set("longer", b"old", SHORT).await?;
    subject.set("longer", b"new", LONG).await?;
    subject.set("shorter", b"old", LONG).await?;
    subject.set("shorter", b"new", SHORT).await?;
    holds!(subject.get("longer").await?.as_deref() == Some(b"new"), "the old value was returned");
    subject.pass(SHORT).await;
    holds!(subject.get("longer").await?.as_deref() == Some(b"new"), "the old time to live stayed");
    holds!(subject.get("shorter").await?.is_none(), "the old time to live stayed");
    Ok(Kept::Whole)
}

/// Law 4: of many who create at once, one does.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_04_atomic_creation(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    for round in 0..20 {
        let key = subject.key(&format!("race-{round}"));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..16_u8 {
            let (cache, key) = (Arc::clone(&subject.cache), key.clone());
            tasks.spawn(async move { (number, cache.set_if_absent(&key, [number][..].into(), LONG).await) });
        }
        let mut winners = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (number, created) =
                done.map_err(|error| Broken::new(format!("a creation failed: {error}")))?;
            if created? {
                winners.push(number);
            }
        }
        holds!(winners.len() == 1, "{} of 16 created the same key", winners.len());
        holds!(
            subject.cache.get(&key).await?.as_deref() == Some(&winners[..]),
            "another value than the winner's stands"
        );
    }
    let key = subject.key("again");
    holds!(subject.cache.set_if_absent(&key, b"1"[..].into(), SHORT).await?, "an absent key was not created");
    subject.pass(SHORT).await;
    holds!(subject.cache.set_if_absent(&key, b"2"[..].into(), LONG).await?, "an expired key was not created");
    subject.pass(SHORT).await;
    holds!(
        subject.get("again").await?.as_deref() == Some(b"2"),
        "the expired value's time ended the new one"
    );
    Ok(Kept::Whole)
}

/// Law 5: what is deleted is gone.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_05_deletion(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let key = subject.key("gone");
    holds!(!subject.cache.delete(&key).await?, "nothing was deleted, and it said otherwise");
    subject.set("gone", b"1", LONG).await?;
    holds!(subject.cache.delete(&key).await?, "something was deleted, and it said otherwise");
    holds!(subject.get("gone").await?.is_none(), "a deleted value was returned");
    holds!(subject.cache.set_if_absent(&key, b"2"[..].into(), SHORT).await?, "a deleted key was not absent");
    subject.pass(SHORT).await;
    holds!(!subject.cache.delete(&key).await?, "an expired value was deleted, and it said so");
    Ok(Kept::Whole)
}

/// Law 6: many are answered in order.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_06_many(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    subject.set("a", b"1", LONG).await?;
    subject.set("b", b"2", LONG).await?;
    let (a, b, none) = (subject.key("a"), subject.key("b"), subject.key("none"));
    let many = subject.cache.get_many(&[&b, &none, &a, &b]).await?;
    let many: Vec<_> = many.iter().map(Option::as_deref).collect();
    holds!(many == [Some(&b"2"[..]), None, Some(b"1"), Some(b"2")], "many values came back in another order");
    holds!(subject.cache.get_many(&[]).await?.is_empty(), "no keys had values");
    Ok(Kept::Whole)
}

/// Law 7: keys are bytes.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_07_opaque_keys(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let long = "긴 열쇠".repeat(500);
    let names =
        ["", " ", "a", "A", "a ", "a\0", "a\n", "a:b", "a*", "{a}", "가", "\u{1100}\u{1161}", "ㄱㅏ", &long];
    for (number, name) in names.iter().enumerate() {
        subject.set(name, number.to_string().as_bytes(), LONG).await?;
    }
    for (number, name) in names.iter().enumerate() {
        let expected = number.to_string().into_bytes();
        holds!(subject.get(name).await? == Some(expected), "key {name:?} was taken for another");
    }
    Ok(Kept::Whole)
}

/// Law 8: a backend that cannot be asked is an error, not a miss.
///
/// # Errors
/// [`Broken`] if it does not hold.
pub async fn law_08_never_a_silent_miss(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    subject.set("there", b"1", LONG).await?;
    if !harness.cut().await {
        return Ok(Kept::Skipped("this harness cannot cut the cache off from its backend"));
    }
    let key = subject.key("there");
    holds!(subject.get("there").await.is_err(), "a read of a lost backend was a miss");
    holds!(subject.cache.get_many(&[&key]).await.is_err(), "a read of many of a lost backend was a miss");
    holds!(subject.set("there", b"2", LONG).await.is_err(), "a write to a lost backend succeeded");
    holds!(
        subject.cache.set_if_absent(&key, b"3"[..].into(), LONG).await.is_err(),
        "a creation in a lost backend had an answer"
    );
    holds!(subject.cache.delete(&key).await.is_err(), "a deletion in a lost backend had an answer");
    Ok(Kept::Whole)
}

/// Law 9: a time to live of zero is refused.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_no_zero(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    subject.set("zero", b"1", LONG).await?;
    let refused = subject.set("zero", b"2", Duration::ZERO).await;
    holds!(
        refused.is_err_and(|error| error.kind() == ErrorKind::InvalidInput),
        "a time to live of zero was accepted"
    );
    let absent = subject.key("zero-absent");
    let refused = subject.cache.set_if_absent(&absent, b"2"[..].into(), Duration::ZERO).await;
    holds!(
        refused.is_err_and(|error| error.kind() == ErrorKind::InvalidInput),
        "a time to live of zero was accepted"
    );
    holds!(subject.get("zero").await?.as_deref() == Some(b"1"), "a refused write changed the value");
    Ok(Kept::Whole)
}

/// Law 10: a dropped write is whole or nothing.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_10_cancellation(harness: &dyn CacheHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let key = subject.key("cancelled");
    for round in 0..50_u8 {
        let write = subject.cache.set(&key, vec![round; 10_000].into(), LONG);
        let _outcome = write.now_or_never(); // polled once, then dropped
        if let Some(value) = subject.cache.get(&key).await? {
            let first = value.first().copied();
            let whole = value.len() == 10_000 && value.iter().all(|byte| Some(*byte) == first);
            holds!(whole, "a dropped write left part of a value");
        }
    }
    subject.set("cancelled", b"last", LONG).await?;
    holds!(
        subject.get("cancelled").await?.as_deref() == Some(b"last"),
        "a dropped write came after a later one"
    );
    Ok(Kept::Whole)
}
