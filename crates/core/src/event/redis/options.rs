//! How the bus is reached and what it keeps.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{Client, ConnectionInfo, IntoConnectionInfo, Value};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::error::Failure;
use super::link::{Link, Replicas};
use super::wake::Wakes;
use super::{RedisBus, Shared, clean_up, script};
use crate::event::envelope::check_name;
use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

/// The layout that this program knows.
const LAYOUT: i64 = 2;

/// How a [`RedisBus`] is reached and what it keeps.
///
/// `Debug` shows neither name nor password of the URL.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::event::RedisBusOptions;
///
/// let options = RedisBusOptions::new("redis://:secret@127.0.0.1:6379/0")
///     .with_prefix("community")
///     .with_timeout(Duration::from_secs(2));
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct RedisBusOptions {
    server: Server,
    prefix: String,
    clock: Option<Arc<dyn Clock>>,
    timeout: Duration,
    poll: Duration,
    retention: Duration,
    max_len: u64,
    window: u64,
    clean_up_every: Duration,
    replicas: Option<Replicas>,
}

#[derive(Clone)]
enum Server {
    Url(String),
    Client(Client),
}

impl RedisBusOptions {
    /// Makes the options for the server at `url`: `redis://[name][:password]@host:port[/database]`, or `unix:///path`.
    pub fn new(url: impl Into<String>) -> Self {
        Self::of(Server::Url(url.into()))
    }

    /// Makes the options for a client that you have configured: TLS, a token, TCP settings.
    pub fn from_client(client: Client) -> Self {
        Self::of(Server::Client(client))
    }

    fn of(server: Server) -> Self {
        Self {
            server,
            prefix: "pumasi".to_owned(),
            clock: None,
            timeout: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            retention: Duration::from_hours(7 * 24),
            max_len: u64::MAX,
            window: 1_000_000,
            clean_up_every: Duration::from_mins(1),
            replicas: None,
        }
    }

    /// Sets what the bus's keys begin with, in braces (default `pumasi`, so `{pumasi}:topics` and the like): ASCII
    /// letters, digits, `.`, `_` or `-`. Buses with different prefixes know nothing of each other.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the clock by which leases, delays and retention are measured (default: the server's, so that those of the
    /// members do not matter). Every process must have the same one; it is meant for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets how long one answer of the server may take (default 5 seconds). A call that may be repeated is repeated on a
    /// new connection, for up to twice this.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets how often a waiting fetch looks although nothing woke it (default every second).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    /// Sets how long events stay for groups that begin later (default 7 days); what a group has not settled stays anyway.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how many events of a topic stay at most for groups that begin later (default: no limit but the retention);
    /// what a group has not settled stays anyway.
    #[must_use]
    pub fn with_max_len(mut self, events: u64) -> Self {
        self.max_len = events;
        self
    }

    /// Sets how many ids are remembered at least, so that publishing one again is recognised (default a million).
    ///
    /// Up to twice as many are kept, at about 70 bytes of the server's memory each.
    #[must_use]
    pub fn with_window(mut self, ids: u64) -> Self {
        self.window = ids.max(1);
        self
    }

    /// Sets how often old events are deleted, by one of the processes (default every minute).
    #[must_use]
    pub fn with_clean_up_every(mut self, period: Duration) -> Self {
        self.clean_up_every = period.max(Duration::from_millis(1));
        self
    }

    /// Has `publish` and `settle` wait until so many replicas have confirmed the write (Redis's `WAIT`), for up to
    /// `timeout`; after that they fail with `Unavailable` and may be repeated.
    ///
    /// It makes it unlikely that a failover loses what was reported, and does not rule it out. Calls on the same
    /// connection wait for each other's replicas.
    #[must_use]
    pub fn with_wait_replicas(mut self, count: usize, timeout: Duration) -> Self {
        self.replicas = (count > 0).then_some(Replicas { count, timeout });
        self
    }

    /// Connects, and checks the server and the layout of what is there.
    ///
    /// Must be called within a tokio runtime, which must outlive the bus.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the URL or the prefix cannot be used; `Unauthorized` if the server does not accept the name and
    /// password; `Unavailable` or `Timeout` if it cannot be reached; `Unsupported` if it is older than 7.0, or what is
    /// there has the layout of another version of this crate; `Storage` if it failed.
    pub async fn open(self) -> Result<RedisBus> {
        check_name("prefix", &self.prefix)?;
        let client = self.client()?;
        let prefix = format!("{{{}}}", self.prefix);
        let link = Link::new(client, prefix, self.timeout, self.replicas);
        let prepared = prepare(&link).await;
        prepared.map_err(|failure| failure.during("opening the bus", link.redis.endpoint()))?;
        let clean_up_every = self.clean_up_every;
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            let mut tasks = JoinSet::new();
            tasks.spawn(clean_up::regularly(Weak::clone(shared), clean_up_every));
            Shared {
                link,
                given_clock: self.clock.is_some(),
                clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
                poll: self.poll,
                retention: self.retention,
                max_len: self.max_len,
                window: self.window,
                wakes: Arc::new(Wakes::default()),
                listening: OnceCell::new(),
                _tasks: tasks,
            }
        });
        Ok(RedisBus { shared })
    }

    fn client(&self) -> Result<Client> {
        // The parser's own message may quote the URL, and so the password.
        let unusable = |_| {
            let message = "the URL of the event bus is not redis://[name][:password]@host:port[/database], or one \
                           whose scheme this build of the client does not know";
            Error::new(ErrorKind::InvalidInput, message)
        };
        match &self.server {
            Server::Client(client) => Ok(client.clone()),
            Server::Url(url) => {
                let info: ConnectionInfo = url.as_str().into_connection_info().map_err(unusable)?;
                let tcp = info.tcp_settings().clone().set_nodelay(true);
                Client::open(info.set_tcp_settings(tcp)).map_err(unusable)
            }
        }
    }
}

impl fmt::Debug for RedisBusOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBusOptions")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("poll", &self.poll)
            .field("retention", &self.retention)
            .field("max_len", &self.max_len)
            .field("window", &self.window)
            .field("clean_up_every", &self.clean_up_every)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

async fn prepare(link: &Link) -> std::result::Result<(), Failure> {
    // A user of the server who may not ask gets no answer, and then the scripts tell whether they can run.
    if let Ok(info) = link.command(redis::cmd("INFO").arg("everything")).await
        && let Ok(info) = script::text(info)
    {
        check_server(&info)?;
    }
    let key = format!("{}:layout", link.prefix);
    let found = link.command(redis::cmd("SET").arg(key).arg(LAYOUT).arg("NX").arg("GET")).await?;
    match found {
        Value::Nil => Ok(()),
        found => match script::number(&found)? {
            LAYOUT => Ok(()),
            version if version > LAYOUT => Err(Failure::TooNew(version)),
            version => Err(Failure::Outdated(version)),
        },
    }
}

fn check_server(info: &str) -> std::result::Result<(), Failure> {
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    if let Some(version) = field("redis_version")
        && version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok())
            .is_some_and(|major| major < 7)
    {
        return Err(Failure::TooOld(version.to_owned()));
    }
    if field("aof_enabled") == Some("0") {
        tracing::warn!(
            "the server keeps no append-only file: what is published and settled is lost when it restarts"
        );
    }
    if field("maxmemory") != Some("0")
        && let Some(policy) = field("maxmemory_policy")
        && policy.starts_with("allkeys")
    {
        tracing::warn!(policy, "the server evicts keys when its memory is full, events among them");
    }
    Ok(())
}
