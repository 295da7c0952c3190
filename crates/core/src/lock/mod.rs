//! Locks across processes, with fencing tokens.
//!
//! | item | what it is | feature |
//! |---|---|---|
//! | [`Lock`] | a name that one process holds at a time: waits for it, renews it, tells when it is lost | `runtime` |
//! | [`LockStore`] | the seam; its documentation is the contract | `runtime` |
//! | [`MemoryLocks`] | the reference, for one process and for tests | `runtime` |
//! | `RedisLocks` | in one Redis server | `redis` |
//! | `PostgresLocks` | advisory locks of PostgreSQL, each on a connection of its own | `postgres` |
//!
//! # What a lock is, and what only the token is
//!
//! A holder that was stopped (by a collector, a scheduler, a debugger, a network) for longer than its lease does not know
//! that another one holds the lock by now, until it runs again and asks. **No lock service can prevent what it sends in that
//! moment.** So every grant carries a [`FencingToken`] that is greater than all before, and the *resource* that the lock
//! protects refuses a token smaller than one it has seen:
//!
//! ```sql
//! UPDATE report SET body = $1, fence = $2 WHERE id = 7 AND fence <= $2  -- no row: the lock was lost
//! ```
//!
//! With that check, two holders never both write. Without it, a lock saves work that would be done twice, and does not keep
//! it from being done twice: guarantee 1 of [`LockStore`] speaks of leases, not of what holders do after theirs.
//!
//! | backend | ends with | tokens grow across | two at once without the check |
//! |---|---|---|---|
//! | memory | the process | nothing: they begin anew with the process | a holder stopped past its lease |
//! | Redis | the lease | a restart without data, while the server's clock does not go back | the same, and a failover to a replica that had not heard of the lock |
//! | PostgreSQL | the connection, or its lease | a crash; not a failover to an asynchronous replica | the same, without the replica knowing any lock |
//!
//! ```
//! use std::time::Duration;
//! use pumasi_core::lock::{Lock, MemoryLocks};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let lock = Lock::new(MemoryLocks::new(), "weekly-report").with_lease(Duration::from_secs(30));
//!
//! let guard = lock.acquire(Duration::from_secs(5)).await?; // renewed in the background while it is held
//! let fence = guard.token();
//! let written = guard.while_held(async move { Ok(fence) /* … WHERE fence <= $2 */ }).await?;
//! assert_eq!(written, fence);
//! guard.release().await?;
//! # Ok::<(), pumasi_core::Error>(())
//! # }).unwrap();
//! ```

mod guard;
mod handle;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

pub(crate) use self::guard::Leased;
pub use self::guard::LockGuard;
pub use self::handle::Lock;
pub use self::memory::MemoryLocks;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresLocks;
#[cfg(feature = "redis")]
pub use self::redis::RedisLocks;
use crate::{Error, ErrorKind, Result};

/// A number that is greater with every grant of a lock, for the resource to compare.
///
/// Only its order says anything; there are gaps. It is at most `i64::MAX`, so that every database has a type for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(i64);

impl FencingToken {
    /// Makes a token of a number; backends do, and resources that kept one.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who wants which lock, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// The lock's name, compared byte by byte.
    pub name: Arc<str>,
    /// Tells this claim from all others.
    pub owner: Uuid,
    /// How long it is held without being renewed.
    pub lease: Duration,
}

impl Claim {
    /// The longest lease, 24 hours: what is held for longer without a sign of life is not held.
    pub const MAX_LEASE: Duration = Duration::from_hours(24);

    /// Makes a claim of a new owner on the lock `name`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the lease is zero or longer than [`MAX_LEASE`](Self::MAX_LEASE).
    pub fn new(name: impl Into<Arc<str>>, lease: Duration) -> Result<Self> {
        if lease.is_zero() || lease > Self::MAX_LEASE {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a lock's lease is above zero and at most {:?}, not {lease:?}", Self::MAX_LEASE),
            ));
        }
        Ok(Self { name: name.into(), owner: Uuid::now_v7(), lease })
    }

    /// The lease in whole milliseconds, rounded up: the finest that servers count.
    #[cfg(any(feature = "redis", feature = "postgres"))]
    fn millis(&self) -> u128 {
        self.lease.as_nanos().div_ceil(1_000_000)
    }
}

/// Grants locks by name to one owner at a time, for a lease.
///
/// What every backend guarantees; each number has a law of that number in `conformance::lock` (feature `conformance`):
///
/// 1. **One lease.** While an owner's lease lasts, [`try_acquire`](Self::try_acquire) grants the lock to no other. The owner
///    itself is granted it anew, so that a call whose answer was lost can be repeated.
/// 2. **Tokens grow.** Each grant of a lock has a greater token than every grant of it before: after a release, after a lease
///    that ended, and through any handle to the same store. *That two holders never both change a resource needs the resource
///    to refuse smaller tokens; the lock alone cannot promise it.*
/// 3. **Leases end.** What is not renewed is granted to another once its lease has passed, by the store's clock, and not
///    before.
/// 4. **Renewal.** [`renew`](Self::renew) answers `true` and begins the lease anew, or `false` where it has ended, was released
///    or never was; then nothing is changed, and it stays lost.
/// 5. **Release.** [`release`](Self::release) frees the lock at once, and only from its owner: a late one frees nothing, and
///    says so.
/// 6. **Opaque names.** Names are compared byte by byte; the empty name is a name.
/// 7. **Waiting.** [`Lock::acquire`] is granted a lock that becomes free within its limit, and otherwise answers
///    [`ErrorKind::Timeout`] holding nothing. Who waits longest is not served first.
/// 8. **Loss is told.** A [`LockGuard`] renews its lease in time; when that fails it says so, no later than the lease ends by
///    the holder's own clock.
/// 9. **Cancellation.** A dropped `try_acquire` or `acquire` leaves the lock held for at most its lease.
/// 10. **Never a silent grant.** A backend that cannot be asked grants nothing and renews nothing.
///
/// The lease is counted by two clocks: the store's decides, and the holder's is read *before* the call, so that it ends first
/// wherever both run at the same speed. A machine that sleeps, or a clock that is set, is what tokens are for.
#[async_trait]
pub trait LockStore: fmt::Debug + Send + Sync {
    /// Grants the lock to the claim's owner if it is free, or this owner's; `None` if another holds it.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Timeout`] if the backend cannot be asked, [`ErrorKind::Storage`] if it failed.
    /// Whether the lock was granted is then not known; it ends with its lease, or by [`release`](Self::release).
    async fn try_acquire(&self, claim: &Claim) -> Result<Option<FencingToken>>;

    /// Begins the claim's lease anew; tells whether its owner still held the lock.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    async fn renew(&self, claim: &Claim) -> Result<bool>;

    /// Frees the lock; tells whether the claim's owner still held it.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    async fn release(&self, claim: &Claim) -> Result<bool>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: LockStore + ?Sized> LockStore for $pointer {
            async fn try_acquire(&self, claim: &Claim) -> Result<Option<FencingToken>> {
                (**self).try_acquire(claim).await
            }

            async fn renew(&self, claim: &Claim) -> Result<bool> {
                (**self).renew(claim).await
            }

            async fn release(&self, claim: &Claim) -> Result<bool> {
                (**self).release(claim).await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);
