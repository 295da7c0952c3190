//! Requests and answers in one Redis server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Script;
use async_trait::async_trait;

use super::{Begun, Claim, IdempotencyStore, RequestId, Response};
use crate::lock::FencingToken;
use crate::redis_link::RedisLink;
use crate::{Error, ErrorKind, Result};

/// Requests and answers in a Redis server (6.2 or newer), changed by scripts and forgotten by the server when their time
/// has passed.
///
/// An answer is as durable as the server's settings: with `appendfsync everysec` a crash forgets the last second, and a
/// request of it would be carried out again. The server must not evict (`maxmemory-policy noeviction` or `volatile-*` with
/// room), or it forgets keys before their time. Tokens are as those of [`RedisLocks`](crate::lock::RedisLocks). No cluster.
///
/// ```no_run
/// use pumasi_core::idempotency::{Idempotency, RedisIdempotency};
///
/// # fn example() -> Result<(), pumasi_core::Error> {
/// let idempotency = Idempotency::new(RedisIdempotency::open("redis://127.0.0.1:6379")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisIdempotency {
    link: RedisLink,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    begin: Script,
    complete: Script,
    lease: Script,
}

impl RedisIdempotency {
    /// Makes the store on the server at `url`; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the URL is not understood; the error does not show it.
    pub fn open(url: &str) -> Result<Self> {
        Ok(Self::on(RedisLink::open(url)?))
    }

    /// Makes the store on the server of a client that you set up yourself.
    pub fn new(client: ::redis::Client) -> Self {
        Self::on(RedisLink::new(client))
    }

    fn on(link: RedisLink) -> Self {
        let scripts = Scripts {
            begin: Script::new(include_str!("lua/begin.lua")),
            complete: Script::new(include_str!("lua/complete.lua")),
            lease: Script::new(include_str!("lua/lease.lua")),
        };
        Self { link, prefix: "pumasi:idempotency:".into(), scripts: Arc::new(scripts) }
    }

    /// Sets what every key begins with on the server (default `pumasi:idempotency:`).
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

    /// The last token has a name that is not 32 bytes long.
    fn key(&self, id: RequestId) -> Vec<u8> {
        [self.prefix.as_bytes(), id.as_bytes()].concat()
    }

    async fn set_lease(
        &self,
        doing: &'static str,
        id: RequestId,
        token: FencingToken,
        lease: Duration,
    ) -> Result<bool> {
        let (token, lease) = (token.to_string(), millis(lease));
        let arguments = [token.as_bytes(), lease.as_bytes()];
        self.link.run(doing, &self.scripts.lease, &[&self.key(id)], &arguments).await
    }
}

/// Whole milliseconds, rounded up.
fn millis(duration: Duration) -> String {
    duration.as_nanos().div_ceil(1_000_000).to_string()
}

#[async_trait]
impl IdempotencyStore for RedisIdempotency {
    async fn begin(&self, claim: &Claim) -> Result<Begun> {
        let (key, fence) = (self.key(claim.id), [self.prefix.as_bytes(), b"fence"].concat());
        let (lease, ttl) = (millis(claim.lease), millis(claim.ttl));
        let arguments = [claim.fingerprint.as_bytes().as_slice(), lease.as_bytes(), ttl.as_bytes()];
        let answer: Vec<Vec<u8>> =
            self.link.run("beginning a request", &self.scripts.begin, &[&key, &fence], &arguments).await?;
        let mut answer = answer.iter().map(Vec::as_slice);
        match (answer.next(), answer.next()) {
            (Some(b"running"), None) => Ok(Begun::Running),
            (Some(b"other"), None) => Ok(Begun::OtherRequest),
            (Some(b"finished"), Some(response)) => Ok(Begun::Finished(Response::decode(response)?)),
            (Some(b"execute"), Some(token)) => {
                let token = std::str::from_utf8(token).ok().and_then(|token| token.parse().ok());
                Ok(Begun::Execute(FencingToken::new(token.ok_or_else(unexpected)?)))
            }
            _ => Err(unexpected()),
        }
    }

    async fn renew(&self, id: RequestId, token: FencingToken, lease: Duration) -> Result<bool> {
        self.set_lease("renewing a request's lease", id, token, lease).await
    }

    async fn complete(
        &self,
        id: RequestId,
        token: FencingToken,
        response: &Response,
        ttl: Duration,
    ) -> Result<bool> {
        let (token, response, ttl) = (token.to_string(), response.encode()?, millis(ttl));
        let arguments = [token.as_bytes(), &response, ttl.as_bytes()];
        self.link.run("storing a response", &self.scripts.complete, &[&self.key(id)], &arguments).await
    }

    async fn abandon(&self, id: RequestId, token: FencingToken) -> Result<bool> {
        self.set_lease("abandoning a request", id, token, Duration::ZERO).await
    }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Protocol, "the script that begins a request answered something else")
}

impl fmt::Debug for RedisIdempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisIdempotency")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
