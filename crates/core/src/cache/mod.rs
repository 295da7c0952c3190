//! Values kept for a while: one trait, its backends, and the typed layer that loads what is missing.
//!
//! | item | what it is | feature |
//! |---|---|---|
//! | [`Cache`] | the seam: bytes with a time to live | – |
//! | [`MemoryCache`] | the reference: bounded, exact, one lock | – |
//! | `MokaCache` | the fast one for one process | `cache` |
//! | `RedisCache` | the one that processes and machines share | `redis` |
//! | `SingleFlight` | many equal calls at once become one | `runtime` |
//! | `FlakyCache` | one that fails when it is told to, for tests | `conformance` |
//! | `CacheAside` | typed values, loaded once when they are missing, served stale when they may be | `runtime` |
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use pumasi_core::Error;
//! use pumasi_core::cache::{CacheAside, MemoryCache};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let crews: CacheAside<Vec<String>> = CacheAside::new(Arc::new(MemoryCache::new(8 << 20)), "crews")
//!     .with_ttl(Duration::from_secs(300))
//!     .with_stale_while_revalidate(Duration::from_secs(60))
//!     .with_negative_ttl(Duration::from_secs(10));
//!
//! let load = || async { Ok(vec!["한강 러너스".to_owned()]) }; // asks the database, once
//! let first = crews.get_or_load("seoul", load).await?;
//! let again = crews.get_or_load("seoul", || async { unreachable!("it is cached") }).await?;
//! assert_eq!(first, again);
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```

#[cfg(feature = "runtime")]
mod aside;
#[cfg(feature = "runtime")]
mod entry;
#[cfg(any(all(test, feature = "runtime"), feature = "conformance"))]
mod flaky;
#[cfg(feature = "runtime")]
mod flight;
mod memory;
#[cfg(feature = "cache")]
mod moka;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

#[cfg(feature = "runtime")]
pub use self::aside::{CacheAside, CacheFailure, Served, Source};
#[cfg(any(all(test, feature = "runtime"), feature = "conformance"))]
pub use self::flaky::{Fault, FlakyCache};
#[cfg(feature = "runtime")]
pub(crate) use self::flight::Boarded;
#[cfg(feature = "runtime")]
pub use self::flight::SingleFlight;
pub use self::memory::MemoryCache;
#[cfg(feature = "cache")]
pub use self::moka::MokaCache;
#[cfg(feature = "redis")]
pub use self::redis::RedisCache;
use crate::{Error, ErrorKind, Result};

/// Keeps bytes under keys for a time.
///
/// What every backend guarantees; each number has a law of that number in `conformance::cache` (feature `conformance`):
///
/// 1. **Exact.** [`get`](Self::get) after [`set`](Self::set) returns exactly the bytes that were set, or nothing if they were
///    evicted; never other bytes. Empty values are values.
/// 2. **Expiry.** Nothing is returned once its time to live has passed. A time to live is counted to the millisecond,
///    rounded up; one beyond what the clock can express means "until evicted".
/// 3. **Replacement.** A `set` replaces both the value and the time to live.
/// 4. **Atomic creation.** Of any number of [`set_if_absent`](Self::set_if_absent) calls at once for one absent key, exactly
///    one answers `true`, and its value stands. What has expired is absent.
/// 5. **Deletion.** Once [`delete`](Self::delete) has returned, no `get` returns what stood there before; it tells whether
///    something did that had not expired.
/// 6. **Many.** [`get_many`](Self::get_many) answers in the order of the keys, repeated ones included.
/// 7. **Opaque keys.** Keys are compared byte by byte: letter case, Unicode forms, white space and NUL all count, and the
///    empty key is a key.
/// 8. **Never a silent miss.** `None` means absent. A backend that cannot tell answers with an error.
/// 9. **No zero.** A time to live of zero is [`ErrorKind::InvalidInput`], and changes nothing.
/// 10. **Cancellation.** A dropped `set` has happened as a whole or not at all.
///
/// A backend may evict whatever it likes at any time, as long as it is gone at once and as a whole.
#[async_trait]
pub trait Cache: fmt::Debug + Send + Sync {
    /// Returns the value under `key`, if there is one that has not expired.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Timeout`] if the backend cannot be asked, [`ErrorKind::Storage`] if it failed.
    async fn get(&self, key: &str) -> Result<Option<Arc<[u8]>>>;

    /// Returns the values under `keys`, in their order.
    ///
    /// Asks for one after the other unless the backend knows better.
    ///
    /// # Errors
    /// As [`get`](Self::get); one failing key fails the whole.
    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Arc<[u8]>>>> {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.get(key).await?);
        }
        Ok(values)
    }

    /// Puts `value` under `key` for `ttl`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `ttl` is zero; otherwise as [`get`](Self::get).
    async fn set(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<()>;

    /// Puts `value` under `key` for `ttl` if nothing stands there; tells whether it did.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    async fn set_if_absent(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<bool>;

    /// Removes what stands under `key`; tells whether something did.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn delete(&self, key: &str) -> Result<bool>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<C: Cache + ?Sized> Cache for $pointer {
            async fn get(&self, key: &str) -> Result<Option<Arc<[u8]>>> {
                (**self).get(key).await
            }

            async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Arc<[u8]>>>> {
                (**self).get_many(keys).await
            }

            async fn set(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<()> {
                (**self).set(key, value, ttl).await
            }

            async fn set_if_absent(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<bool> {
                (**self).set_if_absent(key, value, ttl).await
            }

            async fn delete(&self, key: &str) -> Result<bool> {
                (**self).delete(key).await
            }
        }
    )+};
}

forward!(&C, Box<C>, Arc<C>);

/// What an entry costs beside its key and its value, in bytes: a round figure for maps, pointers and times.
const ENTRY_OVERHEAD: u64 = 128;

fn weight(key: &str, value: &[u8]) -> u64 {
    ENTRY_OVERHEAD.saturating_add(key.len() as u64).saturating_add(value.len() as u64)
}

/// Rounds a time to live up to milliseconds, the finest that Redis counts.
fn whole_millis(ttl: Duration) -> Result<Duration> {
    if ttl.is_zero() {
        return Err(Error::new(ErrorKind::InvalidInput, "a cached value needs a time to live above zero"));
    }
    let millis = u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Ok(Duration::from_millis(millis))
}

/// Tells when `ttl` from `now` ends; `None` if that is beyond what the clock can express.
fn expiry(now: Instant, ttl: Duration) -> Result<Option<Instant>> {
    Ok(now.checked_add(whole_millis(ttl)?))
}

fn is_live(expires: Option<Instant>, now: Instant) -> bool {
    expires.is_none_or(|at| now < at)
}

#[cfg(test)]
#[cfg(feature = "runtime")]
mod tests;
