//! Locks in one Redis server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Script;
use async_trait::async_trait;

use super::{Claim, FencingToken, LockStore};
use crate::Result;
use crate::redis_link::RedisLink;

/// Locks in a Redis server (6.2 or newer): a key with the owner and a time to live, changed by scripts that compare the
/// owner first.
///
/// - **Fencing tokens** are the server's clock in microseconds, or one more than the last. They grow across a restart that
///   lost all data, as long as the clock did not go back further than the server was away.
/// - **What the server loses, the lock loses.** Redis answers before it has written or replicated: after a crash without
///   `appendfsync always`, or a failover to a replica that had not heard of the lock, another can be granted it while the
///   first still works. The first one's token is smaller, so that a resource that checks tokens refuses it.
/// - **Why not Redlock.** A majority of independent servers narrows that window and does not close it (it assumes bounded
///   pauses and clocks), while its random owner values are no fencing tokens. One server and a checked token are safe, not
///   only likely to be.
/// - **No cluster**: the lock and the last token are two keys.
///
/// Errors are those of a call to Redis, as listed at `RedisCache`; calls end within a
/// [timeout](Self::with_timeout) and the connection is made anew by itself.
///
/// ```no_run
/// use std::time::Duration;
/// use pumasi_core::lock::{Lock, RedisLocks};
///
/// # async fn example() -> Result<(), pumasi_core::Error> {
/// let locks = RedisLocks::open("redis://127.0.0.1:6379")?;
/// let guard = Lock::new(locks, "weekly-report").acquire(Duration::from_secs(5)).await?;
/// println!("the resource is to refuse tokens below {}", guard.token());
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisLocks {
    link: RedisLink,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    acquire: Script,
    renew: Script,
    release: Script,
}

impl RedisLocks {
    /// Makes locks on the server at `url`; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the URL is not understood; the error does not show it.
    pub fn open(url: &str) -> Result<Self> {
        Ok(Self::on(RedisLink::open(url)?))
    }

    /// Makes locks on the server of a client that you set up yourself.
    pub fn new(client: ::redis::Client) -> Self {
        Self::on(RedisLink::new(client))
    }

    fn on(link: RedisLink) -> Self {
        let scripts = Scripts {
            acquire: Script::new(include_str!("lua/acquire.lua")),
            renew: Script::new(include_str!("lua/renew.lua")),
            release: Script::new(include_str!("lua/release.lua")),
        };
        Self { link, prefix: "pumasi:lock:".into(), scripts: Arc::new(scripts) }
    }

    /// Sets what every key begins with on the server (default `pumasi:lock:`); those with the same one share their locks.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a call may take, connecting included (default 1 second); well below the lease.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.link = self.link.with_timeout(timeout);
        self
    }

    /// Names end with the key, so that none of them can be the key of the last token.
    fn key(&self, claim: &Claim) -> String {
        format!("{}name:{}", self.prefix, claim.name)
    }
}

#[async_trait]
impl LockStore for RedisLocks {
    async fn try_acquire(&self, claim: &Claim) -> Result<Option<FencingToken>> {
        let (key, fence, millis) =
            (self.key(claim), format!("{}fence", self.prefix), claim.millis().to_string());
        let keys = [key.as_bytes(), fence.as_bytes()];
        let arguments = [claim.owner.as_bytes().as_slice(), millis.as_bytes()];
        let token: Option<i64> =
            self.link.run("acquiring a lock", &self.scripts.acquire, &keys, &arguments).await?;
        Ok(token.map(FencingToken::new))
    }

    async fn renew(&self, claim: &Claim) -> Result<bool> {
        let (key, millis) = (self.key(claim), claim.millis().to_string());
        let arguments = [claim.owner.as_bytes().as_slice(), millis.as_bytes()];
        self.link.run("renewing a lock", &self.scripts.renew, &[key.as_bytes()], &arguments).await
    }

    async fn release(&self, claim: &Claim) -> Result<bool> {
        let key = self.key(claim);
        let owner = claim.owner.as_bytes().as_slice();
        self.link.run("releasing a lock", &self.scripts.release, &[key.as_bytes()], &[owner]).await
    }
}

impl fmt::Debug for RedisLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLocks")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
