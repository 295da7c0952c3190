//! The laws of [`LockStore`] and of [`Lock`] on it, in the order of its numbered guarantees.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::pace::{Pace, paced};
use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::lock::{Claim, FencingToken, Lock, LockStore};
use crate::time::{Clock, SystemClock};

/// A store of locks under examination.
#[async_trait]
pub trait LockHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same locks, as another process would have it.
    async fn open(&self) -> Arc<dyn LockStore>;

    /// Lets time pass for leases: turns the clock that the store was given, or really waits.
    async fn pass(&self, time: Duration);

    /// Returns the clock of the holders (default: the system's).
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    /// Returns how long the store may take to see that a holder or its lease is gone; zero (the default) where it knows.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Cuts the store off from its backend for the rest of the law, and says whether it could (the default cannot).
    async fn cut(&self) -> bool {
        false
    }
}

/// Makes one `#[test]` per law of [`LockStore`](crate::lock::LockStore), in a module of the given name, each on a harness of
/// its own made by the expression.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use async_trait::async_trait;
/// use pumasi_core::conformance::lock::LockHarness;
/// use pumasi_core::lock::{LockStore, MemoryLocks};
/// use pumasi_core::time::{Clock, ManualClock};
///
/// struct Memory(ManualClock, MemoryLocks);
///
/// impl Memory {
///     fn new() -> Self {
///         let clock = ManualClock::new();
///         let locks = MemoryLocks::new().with_clock(Arc::new(clock.clone()));
///         Self(clock, locks)
///     }
/// }
///
/// #[async_trait]
/// impl LockHarness for Memory {
///     async fn open(&self) -> Arc<dyn LockStore> {
///         Arc::new(self.1.clone())
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.0.advance(time);
///     }
///
///     fn clock(&self) -> Arc<dyn Clock> {
///         Arc::new(self.0.clone())
///     }
/// }
///
/// pumasi_core::lock_laws!(memory, Memory::new());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! lock_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::lock],
            law_01_one_lease,
            law_01_an_owner_is_granted_it_anew,
            law_02_tokens_grow,
            law_03_leases_end,
            law_04_renewal,
            law_05_release,
            law_06_opaque_names,
            law_07_waiting,
            law_08_loss_is_told,
            law_08_a_guard_renews_in_time,
            law_08_a_store_that_cannot_be_asked_is_a_loss,
            law_09_cancellation,
            law_10_never_a_silent_grant,
        );
    };
}

/// Long enough for a loaded machine to do a dozen calls within it, as time really passes for some stores.
const LEASE: Duration = Duration::from_millis(1200);
const LONG: Duration = Duration::from_secs(30);

/// One law's view: its names have a random prefix, so that laws can share one server.
struct Subject<'a> {
    harness: &'a dyn LockHarness,
    store: Arc<dyn LockStore>,
    prefix: String,
}

impl<'a> Subject<'a> {
    async fn open(harness: &'a dyn LockHarness) -> Self {
        Self { harness, store: harness.open().await, prefix: format!("law-{:016x}-", fastrand::u64(..)) }
    }

    fn claim(&self, name: &str, lease: Duration) -> Result<Claim, Broken> {
        Ok(Claim::new(format!("{}{name}", self.prefix), lease)?)
    }

    fn lock(&self, name: &str, lease: Duration) -> Lock {
        Lock::new(Arc::clone(&self.store), &format!("{}{name}", self.prefix))
            .with_lease(lease)
            .with_longest_pause(Duration::from_millis(20))
            .with_clock(self.harness.clock())
    }

    async fn granted(&self, claim: &Claim) -> Result<FencingToken, Broken> {
        self.store.try_acquire(claim).await?.ok_or_else(|| Broken::new("a free lock was not granted"))
    }

    async fn refused(&self, claim: &Claim, why: &str) -> Result<(), Broken> {
        match self.store.try_acquire(claim).await? {
            None => Ok(()),
            Some(_) => Err(Broken::new(format!("a lock was granted twice: {why}"))),
        }
    }

    async fn pass(&self, pace: &Pace, time: Duration) {
        pace.passes(time);
        self.harness.pass(time).await;
    }

    /// Lets a lease pass, with what the store needs to see it.
    async fn outlast(&self, pace: &Pace, lease: Duration) {
        self.pass(pace, lease + self.harness.patience()).await;
    }
}

/// Law 1: of many who ask at once one is granted the lock, and nobody else while its lease lasts.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_one_lease(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    for round in 0..10 {
        let name = format!("race-{round}");
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, claim) = (harness.open().await, subject.claim(&name, LONG)?);
            tasks.spawn(async move { (store.try_acquire(&claim).await, claim, store) });
        }
        let mut winners = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (granted, claim, store) =
                done.map_err(|error| Broken::new(format!("an attempt failed: {error}")))?;
            if granted?.is_some() {
                winners.push((claim, store));
            }
        }
        holds!(winners.len() == 1, "{} of 8 were granted the same lock", winners.len());
        subject.refused(&subject.claim(&name, LONG)?, "its lease lasts").await?;
        for (claim, store) in winners {
            holds!(store.release(&claim).await?, "the winner did not hold the lock");
        }
    }
    Ok(Kept::Whole)
}

/// Law 1: who holds a lock may ask again.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_an_owner_is_granted_it_anew(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let (own, other) = (subject.claim("a", LONG)?, subject.claim("a", LONG)?);
    let first = subject.granted(&own).await?;
    let second = subject.granted(&own).await?;
    holds!(first < second, "the token did not grow: {first}, {second}");
    subject.refused(&other, "its owner asked twice").await?;
    holds!(subject.store.release(&own).await?, "the owner did not hold the lock");
    subject.granted(&other).await?;
    Ok(Kept::Whole)
}

/// Law 2: tokens grow with every grant, however the one before ended.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_02_tokens_grow(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let mut last = FencingToken::new(i64::MIN);
    for round in 0..20 {
        let store = harness.open().await;
        let claim = subject.claim("a", if round % 10 == 9 { LEASE } else { LONG })?;
        let token =
            store.try_acquire(&claim).await?.ok_or_else(|| Broken::new("a free lock was not granted"))?;
        holds!(token > last, "the token did not grow: {last}, {token}");
        last = token;
        if round % 10 == 9 {
            harness.pass(LEASE + harness.patience()).await;
        } else {
            store.release(&claim).await?;
        }
    }
    Ok(Kept::Whole)
}

/// Law 3: a lease lasts its time, and no longer.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_03_leases_end(harness: &dyn LockHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let (short, long) = (subject.claim("a", lease)?, subject.claim("b", LONG)?);
        let first = subject.granted(&short).await?;
        subject.granted(&long).await?;
        subject.pass(pace, lease / 3).await;
        subject.refused(&subject.claim("a", LONG)?, "a third of its lease had passed").await?;
        subject.outlast(pace, lease).await;
        let next = subject.claim("a", LONG)?;
        holds!(subject.granted(&next).await? > first, "the token did not grow");
        subject.refused(&subject.claim("b", LONG)?, "its lease lasts").await?;
        Ok(Kept::Whole)
    })
    .await
}

/// Law 4: a renewed lease lasts on, and one that has ended cannot be renewed.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_04_renewal(harness: &dyn LockHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let (own, other) = (subject.claim("a", lease)?, subject.claim("a", lease)?);
        holds!(!subject.store.renew(&own).await?, "what was never held was renewed");
        subject.granted(&own).await?;
        for _ in 0..4 {
            subject.pass(pace, lease / 2).await;
            holds!(subject.store.renew(&own).await?, "a lease that lasts was not renewed");
            holds!(!subject.store.renew(&other).await?, "another owner renewed the lease");
            subject.refused(&other, "it was renewed").await?;
        }
        subject.outlast(pace, lease).await;
        holds!(!subject.store.renew(&own).await?, "a lease that had ended was renewed");
        subject.granted(&other).await?;
        holds!(!subject.store.renew(&own).await?, "a lost lock was renewed");
        holds!(subject.store.renew(&other).await?, "the new holder's lease was not renewed");
        Ok(Kept::Whole)
    })
    .await
}

/// Law 5: a release frees the lock, and only its owner's.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_05_release(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let (own, other) = (subject.claim("a", LONG)?, subject.claim("a", LONG)?);
    holds!(!subject.store.release(&own).await?, "what was never held was released");
    subject.granted(&own).await?;
    holds!(!subject.store.release(&other).await?, "another owner released the lock");
    subject.refused(&other, "another owner had released it").await?;
    holds!(subject.store.release(&own).await?, "the owner's release was refused");
    holds!(!subject.store.release(&own).await?, "a lock was released twice");
    subject.granted(&other).await?;
    holds!(!subject.store.release(&own).await?, "a late release freed the next holder's lock");
    subject.refused(&own, "the late release of the one before").await?;
    Ok(Kept::Whole)
}

/// Law 6: names are bytes.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_06_opaque_names(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let names = ["", " ", "a", "A", "a ", "a\0", "a:b", "{a}", "가", "\u{1100}\u{1161}", "ㄱㅏ"];
    let mut claims = Vec::new();
    for name in names {
        let claim = subject.claim(name, LONG)?;
        holds!(subject.store.try_acquire(&claim).await?.is_some(), "the lock {name:?} was taken for another");
        claims.push(claim);
    }
    for claim in claims {
        holds!(subject.store.release(&claim).await?, "the lock {:?} was freed with another", claim.name);
    }
    Ok(Kept::Whole)
}

/// Law 7: whoever waits is granted the lock, or told that the time is over.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_07_waiting(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let lock = subject.lock("a", LONG);
    let guard = lock.acquire(Duration::ZERO).await?;
    holds!(lock.try_acquire().await?.is_none(), "a lock was granted twice");
    let in_vain = turning(subject, lock.acquire(Duration::from_millis(100))).await;
    let error = in_vain.err().ok_or_else(|| Broken::new("a lock was granted twice"))?;
    same!(error.kind(), ErrorKind::Timeout, "kind of the error after waiting in vain");
    let waiting = async {
        let guard = turning(subject, lock.acquire(LONG)).await?;
        Ok::<_, Broken>(guard.token())
    };
    let first = guard.token();
    let (second, released) = tokio::join!(waiting, async {
        turning(subject, async { subject.harness.clock().sleep(Duration::from_millis(50)).await }).await;
        guard.release().await
    });
    released?;
    holds!(second? > first, "the token did not grow");
    Ok(Kept::Whole)
}

/// Polls `call` while time passes in small steps.
async fn turning<T>(subject: &Subject<'_>, call: impl Future<Output = T>) -> T {
    let mut call = std::pin::pin!(call);
    loop {
        if let Some(outcome) = call.as_mut().now_or_never() {
            return outcome;
        }
        subject.harness.pass(Duration::from_millis(5)).await;
        tokio::task::yield_now().await;
    }
}

/// Law 8: a guard that is not renewed says that it is lost when its lease ends.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_loss_is_told(harness: &dyn LockHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let lock = subject.lock("a", lease).without_renewal();
        let guard = lock.acquire(Duration::ZERO).await?;
        holds!(!guard.is_lost(), "a lock was lost at once");
        holds!(guard.lost().now_or_never().is_none(), "a lock was lost at once");
        subject.pass(pace, lease / 2).await;
        guard.renew().await?;
        subject.pass(pace, lease * 3 / 4).await;
        holds!(!guard.is_lost(), "a renewed lease was said to have ended");
        subject.outlast(pace, lease).await;
        holds!(guard.is_lost(), "a lease ended and the guard did not say so");
        guard.lost().await;
        let cut_off = guard.while_held(std::future::pending::<crate::Result<()>>()).await;
        same!(
            cut_off.err().map(|error| error.kind()),
            Some(ErrorKind::Conflict),
            "the end of work under a lost lock"
        );
        let renewed = guard.renew().await;
        same!(renewed.err().map(|error| error.kind()), Some(ErrorKind::Conflict), "renewing a lost lock");
        let next = lock.acquire(Duration::ZERO).await?;
        holds!(next.token() > guard.token(), "the token did not grow");
        let released = guard.release().await;
        same!(released.err().map(|error| error.kind()), Some(ErrorKind::Conflict), "releasing a lost lock");
        holds!(lock.try_acquire().await?.is_none(), "releasing a lost lock freed the next holder's");
        next.release().await?;
        Ok(Kept::Whole)
    })
    .await
}

/// Law 8: a guard keeps its lock for as long as it is there.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_a_guard_renews_in_time(harness: &dyn LockHarness) -> Verdict {
    paced(LEASE, async |pace| {
        let lease = pace.unit();
        let subject = &Subject::open(harness).await;
        let lock = subject.lock("a", lease);
        let guard = lock.acquire(Duration::ZERO).await?;
        for _ in 0..25 {
            subject.pass(pace, lease / 10).await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            holds!(!guard.is_lost(), "a renewed lock was lost");
            holds!(lock.try_acquire().await?.is_none(), "a renewed lock was granted to another");
        }
        drop(guard);
        turning(subject, lock.acquire(LONG)).await?;
        Ok(Kept::Whole)
    })
    .await
}

/// Law 8: a guard whose store cannot be asked is lost no later than its lease ends.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_a_store_that_cannot_be_asked_is_a_loss(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let guard = subject.lock("a", LEASE).acquire(Duration::ZERO).await?;
    if !harness.cut().await {
        return Ok(Kept::Skipped("this harness cannot cut the store off from its backend"));
    }
    harness.pass(LEASE).await;
    holds!(guard.is_lost(), "a lock was not lost when its lease could not be renewed");
    Ok(Kept::Whole)
}

/// Law 9: who gives up leaves the lock held for a lease at most.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_cancellation(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let mut locks = Vec::new();
    for polls in 1..8 {
        let lock = subject.lock(&format!("a-{polls}"), LEASE);
        {
            let mut acquire = Box::pin(lock.acquire(LONG));
            for _ in 0..polls {
                if let Some(guard) = (&mut acquire).now_or_never() {
                    drop(guard?);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        locks.push(lock);
    }
    // the lease, or sooner
    harness.pass(LEASE + harness.patience()).await;
    for lock in locks {
        holds!(lock.try_acquire().await?.is_some(), "an attempt that was given up holds the lock");
    }
    Ok(Kept::Whole)
}

/// Law 10: a store that cannot be asked grants and renews nothing.
///
/// # Errors
/// [`Broken`] if it does not hold.
pub async fn law_10_never_a_silent_grant(harness: &dyn LockHarness) -> Verdict {
    let subject = &Subject::open(harness).await;
    let own = subject.claim("a", LONG)?;
    subject.granted(&own).await?;
    if !harness.cut().await {
        return Ok(Kept::Skipped("this harness cannot cut the store off from its backend"));
    }
    holds!(
        subject.store.try_acquire(&subject.claim("b", LONG)?).await.is_err(),
        "a lost store had an answer"
    );
    holds!(subject.store.try_acquire(&own).await.is_err(), "a lost store granted a lock anew");
    holds!(!matches!(subject.store.renew(&own).await, Ok(true)), "a lost store renewed a lease");
    holds!(!matches!(subject.store.release(&own).await, Ok(true)), "a lost store released a lock");
    Ok(Kept::Whole)
}
