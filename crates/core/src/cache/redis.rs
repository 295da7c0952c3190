//! The cache on Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Cache, whole_millis};
use crate::Result;
use crate::redis_link::RedisLink;

/// A cache in a Redis server (6.2 or newer, or one that speaks its protocol), shared by all who use the same server,
/// database and [prefix](Self::with_prefix).
///
/// - **One connection**, which all calls and clones share, made at the first call. When it breaks or a call times out on it,
///   the next call makes another; no call is repeated by itself, as whether it had its effect is not known.
/// - **Bounded.** A call ends within the [timeout](Self::with_timeout) (default 1 second), connecting included.
/// - **Bounded in size by the server**: its `maxmemory` and `maxmemory-policy`. With the policy `noeviction` a full server
///   answers writes with `Storage`; `allkeys-lru` or `allkeys-lfu` suit a cache.
/// - **Expiry** is by the server's clock. A time to live of 146 million years or more is none at all.
/// - **Not in it:** a cluster (one key goes to one node; a node that answers "moved" is `Unsupported`). `rediss://` needs one
///   of the TLS features of the crate `redis` in your own `Cargo.toml`.
///
/// | what happened | kind | retry |
/// |---|---|---|
/// | refused, reset, broken | `Unavailable` | now |
/// | no answer in time | `Timeout` | now |
/// | loading its data, became a replica, master down, busy with a script | `Unavailable` | after 200 ms |
/// | memory full, cannot write to disk | `Storage` | after 1 s |
/// | too many clients | `Overloaded` | after 1 s |
/// | wrong or missing password, no permission | `Unauthorized` | never |
/// | the key holds a list, a hash, … | `Conflict` | never |
///
/// Neither `Debug` nor an error shows the password, a key or a value; the server's words, which quote arguments, are
/// reduced to their code.
///
/// ```no_run
/// use std::time::Duration;
/// use pumasi_core::cache::{Cache, RedisCache};
///
/// # async fn example() -> Result<(), pumasi_core::Error> {
/// let cache = RedisCache::open("redis://:password@127.0.0.1:6379/0")?.with_prefix("search:");
/// cache.set("greeting", (*b"hello").into(), Duration::from_secs(60)).await?;
/// assert_eq!(cache.get("greeting").await?.as_deref(), Some(&b"hello"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisCache {
    link: RedisLink,
    prefix: Arc<str>,
}

/// Redis adds a time to live to its clock in milliseconds, in 64 bits with a sign.
const LONGEST_MILLIS: u64 = 1 << 62;

impl RedisCache {
    /// Makes the cache on the server at `url`, `redis://[user:password@]host[:port][/database]` or `unix:///path`; nothing
    /// is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the URL is not understood; the error does not show it.
    pub fn open(url: &str) -> Result<Self> {
        Ok(Self::on(RedisLink::open(url)?))
    }

    /// Makes the cache on the server of a client that you set up yourself.
    pub fn new(client: ::redis::Client) -> Self {
        Self::on(RedisLink::new(client))
    }

    fn on(link: RedisLink) -> Self {
        Self { link, prefix: "pumasi:cache:".into() }
    }

    /// Sets what every key begins with on the server (default `pumasi:cache:`), to keep it apart from what else is there.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a call may take, connecting included (default 1 second).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.link = self.link.with_timeout(timeout);
        self
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn set_command(&self, key: &str, value: &[u8], ttl: Duration) -> Result<::redis::Cmd> {
        let millis = u64::try_from(whole_millis(ttl)?.as_millis()).unwrap_or(u64::MAX);
        let mut command = ::redis::cmd("SET");
        command.arg(self.key(key)).arg(value);
        if millis < LONGEST_MILLIS {
            command.arg("PX").arg(millis);
        }
        Ok(command)
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<Arc<[u8]>>> {
        let command = ::redis::cmd("GET").arg(self.key(key)).take();
        let value: Option<Vec<u8>> = self.link.query("reading a cached value", &command).await?;
        Ok(value.map(Arc::from))
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Arc<[u8]>>>> {
        if keys.is_empty() {
            return Ok(Vec::new()); // which the server would refuse
        }
        let mut command = ::redis::cmd("MGET");
        for key in keys {
            command.arg(self.key(key));
        }
        let values: Vec<Option<Vec<u8>>> = self.link.query("reading cached values", &command).await?;
        Ok(values.into_iter().map(|value| value.map(Arc::from)).collect())
    }

    async fn set(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<()> {
        let command = self.set_command(key, &value, ttl)?;
        self.link.query("caching a value", &command).await
    }

    async fn set_if_absent(&self, key: &str, value: Arc<[u8]>, ttl: Duration) -> Result<bool> {
        let mut command = self.set_command(key, &value, ttl)?;
        command.arg("NX");
        // "OK", or nothing if something stands there
        let done: Option<String> = self.link.query("caching a value that is absent", &command).await?;
        Ok(done.is_some())
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let command = ::redis::cmd("DEL").arg(self.key(key)).take();
        self.link.query("deleting a cached value", &command).await
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache").field("link", &self.link).field("prefix", &self.prefix).finish()
    }
}
