//! The bus on Redis Streams.

mod clean_up;
mod error;
mod link;
mod member;
mod options;
mod script;
mod settler;
#[cfg(test)]
mod tests;
mod wake;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::sync::{OnceCell, watch};
use tokio::task::{AbortHandle, JoinSet};

use self::error::Failure;
use self::link::Link;
use self::member::Member;
pub use self::options::RedisBusOptions;
use self::script::{Call, DEAD_LETTERS, FORGET, PUBLISH, REPLAY, SUBSCRIBE, Step};
use self::wake::Wakes;
use super::envelope::check_name;
use super::outline::outline;
use super::{
    BusCapabilities, DeadLetter, Envelope, EventBus, EventId, Page, Published, Reason, Start, Subscriber,
    Subscription,
};
use crate::time::{Clock, Timestamp};
use crate::{Error, ErrorKind, Result};

/// Keeps events on a Redis server (7.0 or newer), shared by the processes of many machines.
///
/// ```no_run
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use pumasi_core::event::{Envelope, EventBus, RedisBus, Settlement, State, Subscription};
///
/// let bus = RedisBus::connect("redis://127.0.0.1:6379").await?;
/// bus.publish(&[Envelope::new("posts", "post-7", State::Created, 1)]).await?;
///
/// let member = bus.subscribe(&Subscription::new("readers", ["posts"])).await?;
/// for delivery in member.fetch(NonZeroUsize::MAX, Duration::from_secs(5)).await? {
///     member.settle(&delivery.receipt, Settlement::Ack).await?;
/// }
/// # Ok::<(), pumasi_core::Error>(()) }).unwrap();
/// ```
///
/// # What it promises
///
/// Every law of [`EventBus`], as far as the server keeps what it has written:
///
/// | server | what `publish` and `settle` reported is lost when |
/// |---|---|
/// | `appendonly yes`, `appendfsync always` | the disk is lost |
/// | `appendfsync everysec` (Redis's default with `appendonly yes`) | the machine fails: up to about a second of it; not when only the server dies |
/// | no append-only file | the server ends in any way: whatever came after its last snapshot |
/// | a replica that takes over | it had not received it: replication is asynchronous. [`with_wait_replicas`](RedisBusOptions::with_wait_replicas) makes that rare and does not rule it out |
///
/// A lost publish is an event that never was; a lost settlement is an event that comes again. Connecting warns of a
/// server without an append-only file, and of one that evicts keys when its memory is full: use `noeviction`.
///
/// - **Repeats.** A call that was in flight when the connection broke is repeated on the next one, for up to twice the
///   [timeout](RedisBusOptions::with_timeout): a publish knows its ids, and the server remembers the answer of a member's
///   last settlements. When that is not enough the call fails with `Unavailable` or `Timeout` and may be repeated; a
///   settlement that had been done is then refused with `Conflict`. After a repeated publish, `Published` counts as
///   duplicates what the first try stored.
/// - **Clock.** Leases, delays and retention are measured by the server's clock; those of the members do not matter.
///   When it jumps ahead, leases end early, and fencing keeps that harmless; when it goes back, leases and delays last
///   at most as long again as they were meant to. [`Start::At`] and retention are exact to the millisecond.
/// - **Kept for** [7 days](RedisBusOptions::with_retention) and until every group has settled it, optionally up to a
///   [number](RedisBusOptions::with_max_len) of events a topic. A group that nobody reads any more keeps its events:
///   [`forget_group`](EventBus::forget_group) it. Ids of the last [million](RedisBusOptions::with_window) events are remembered.
/// - **Batches** are one script, and so all or none: up to 50,000 events and 64 MiB a call, more is refused with
///   `InvalidInput` before anything is sent, because the server does nothing else meanwhile.
/// - **A full server** (`maxmemory` with `noeviction`) refuses to publish with `Storage`; what is there is still handed
///   out and settled.
/// - **Written by a newer program.** An event that this program cannot read goes to the dead letters with the reason
///   `unreadable`, and its key goes on.
///
/// # How it works
///
/// The log of a topic is a stream. Redis's own consumer groups are not used: `XREADGROUP` shares events out one by one,
/// so two members hold events of one key at once and a retried event is overtaken; `XAUTOCLAIM` hands over whatever is
/// old, has no delay per event, and does not fence the former owner, whose late `XACK` removes what the new one works on.
/// So a group has a cursor into the stream and, for what it has taken in and not settled, a record per lane. Each step is one
/// Lua script, and what it costs the server is mostly that script's work. By far the most frequent event is handed out while
/// nothing else is in its lane, and is acknowledged: its record is the fence of the fetch that took it, which the
/// acknowledgement compares and removes. The lease of all such events of a fetch stands once, with the part of the stream from
/// which they came. Whatever else becomes of one (a renewal, a retry, a release, a lease that ends, events behind it that go
/// on) gives its lane a record of its own, with the attempts of its events and a place in a sorted set by when it may be
/// handed out. Settlements that are asked for at the same time share one call.
///
/// All keys of a bus begin with `{prefix}`, so they share a hash slot: the bus runs on one primary, also one that has
/// other slots of a cluster elsewhere, but it does not follow redirections; connect to that primary. A waiting fetch is
/// woken by a message on a connection of its own, and looks every [second](RedisBusOptions::with_poll) otherwise.
///
/// Clones share the connections, which are made anew by themselves. TLS: enable `tokio-rustls-comp` (or the like) of the
/// `redis` crate in your own package and use `rediss://`, or [pass a client](RedisBusOptions::from_client).
#[derive(Clone)]
pub struct RedisBus {
    shared: Arc<Shared>,
}

struct Shared {
    link: Link,
    clock: Arc<dyn Clock>,
    /// Whether the clock was given, and the server's does not count.
    given_clock: bool,
    poll: Duration,
    retention: Duration,
    max_len: u64,
    window: u64,
    wakes: Arc<Wakes>,
    listening: OnceCell<Listening>,
    _tasks: JoinSet<()>,
}

/// The task that listens for wake-ups; it ends with the bus.
struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    fn call(&self, step: &'static Step) -> Call {
        Call::new(step, &self.link.prefix)
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.link.prefix)
    }

    /// The moment for a script: empty for the server's own.
    fn now(&self) -> String {
        if self.given_clock { self.clock.now().as_micros().to_string() } else { String::new() }
    }

    fn error(&self, failure: Failure, what: &str) -> Error {
        failure.during(what, self.link.redis.endpoint())
    }

    /// Begins to listen for wake-ups, once; returns when that has succeeded or is tried in the background.
    async fn listen(&self) {
        let begin = async || {
            let (tried, mut trying) = watch::channel(false);
            let (client, channel) = (self.link.redis.client().clone(), self.key("wake"));
            let task = Arc::clone(&self.wakes).listen(client, channel, self.link.redis.timeout(), tried);
            let listening = Listening(tokio::spawn(task).abort_handle());
            let _ = trying.wait_for(|tried| *tried).await;
            listening
        };
        self.listening.get_or_init(begin).await;
    }
}

impl RedisBus {
    /// The most events that one call may publish.
    pub const MAX_EVENTS: usize = 50_000;
    /// The most bytes of JSON that one call may publish: 64 MiB.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Connects to the server at `url` with the default [options](RedisBusOptions).
    ///
    /// # Errors
    ///
    /// As [`RedisBusOptions::open`].
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        RedisBusOptions::new(url).open().await
    }

    /// Deletes the events that are past their retention and that no group needs; returns how many.
    ///
    /// One of the processes does it every [minute](RedisBusOptions::with_clean_up_every) by itself.
    ///
    /// # Errors
    ///
    /// `Storage`, `Unavailable` or `Timeout` if the server failed.
    pub async fn clean_up(&self) -> Result<usize> {
        self.shared.clean_up().await.map_err(|failure| self.shared.error(failure, "cleaning up"))
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus")
            .field("address", &self.shared.link.redis.endpoint())
            .field("prefix", &self.shared.link.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventBus for RedisBus {
    fn capabilities(&self) -> BusCapabilities {
        let mut capabilities = BusCapabilities::none();
        capabilities.durable = true;
        capabilities.atomic_batches = true;
        capabilities.idempotent_publish = true;
        capabilities
    }

    async fn publish(&self, events: &[Envelope]) -> Result<Published> {
        events.iter().try_for_each(Envelope::check)?;
        if events.is_empty() {
            return Ok(Published::default());
        }
        if events.len() > Self::MAX_EVENTS {
            let message = format!("{} events in one call; at most {}", events.len(), Self::MAX_EVENTS);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let mut call = self.shared.call(&PUBLISH);
        call.arg(self.shared.now()).arg(self.shared.window);
        let mut bytes = 0;
        for event in events {
            let body = serde_json::to_vec(event).map_err(|_| {
                Error::new(ErrorKind::InvalidInput, format!("event {} cannot be written as JSON", event.id))
            })?;
            bytes += body.len();
            if bytes > Self::MAX_BYTES {
                let message = format!("more than {} bytes of events in one call", Self::MAX_BYTES);
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            call.arg(&event.topic).arg(&event.key).arg(event.id.as_bytes()).arg(body);
        }
        let answer = self.shared.link.call_durably(&call).await.and_then(|answer| script::count(&answer));
        let accepted = answer.map_err(|failure| self.shared.error(failure, PUBLISH.what))?.min(events.len());
        Ok(Published::new(accepted, events.len() - accepted))
    }

    async fn subscribe(&self, subscription: &Subscription) -> Result<Arc<dyn Subscriber>> {
        subscription.check()?;
        let start = match subscription.start() {
            Start::Earliest => "earliest".to_owned(),
            Start::Latest => "latest".to_owned(),
            Start::At(at) => at.as_micros().div_euclid(1000).max(0).to_string(),
        };
        let mut call = self.shared.call(&SUBSCRIBE);
        call.arg(subscription.group()).arg(start);
        for topic in subscription.topics() {
            call.arg(topic);
        }
        let subscribed = self.shared.link.call_durably(&call).await;
        subscribed.map_err(|failure| self.shared.error(failure, SUBSCRIBE.what))?;
        self.shared.listen().await;
        Ok(Arc::new(Member::new(Arc::clone(&self.shared), subscription)))
    }

    async fn dead_letters(&self, group: &str, page: Page) -> Result<Vec<DeadLetter>> {
        let mut call = self.shared.call(&DEAD_LETTERS);
        call.arg(group).arg(page.after).arg(i64::try_from(page.limit.get()).unwrap_or(i64::MAX));
        let answer = self.shared.link.call_patiently(&call).await.and_then(letters);
        answer.map_err(|failure| self.shared.error(failure, DEAD_LETTERS.what))
    }

    async fn replay(&self, group: &str, ids: &[EventId]) -> Result<usize> {
        let mut count = 0;
        // In pieces, so that the server does other things in between.
        for ids in ids.chunks(1000) {
            let mut call = self.shared.call(&REPLAY);
            call.arg(group).arg(self.shared.now());
            for id in ids {
                call.arg(id.as_bytes());
            }
            // Not repeated when the connection breaks: a second try would count none.
            let answer = self.shared.link.call(&call).await.and_then(|answer| script::count(&answer));
            count += answer.map_err(|failure| self.shared.error(failure, REPLAY.what))?;
        }
        Ok(count)
    }

    /// The group's members must have stopped.
    async fn forget_group(&self, group: &str) -> Result<bool> {
        check_name("group", group)?;
        let mut call = self.shared.call(&FORGET);
        call.arg(group);
        let forgotten = self.shared.link.call_durably(&call).await;
        let forgotten = forgotten.map_err(|failure| self.shared.error(failure, FORGET.what))?;
        Ok(forgotten == Value::Int(1))
    }
}

fn letters(answer: Value) -> std::result::Result<Vec<DeadLetter>, Failure> {
    let mut parts = script::list(answer)?.into_iter();
    let mut letters = Vec::with_capacity(parts.len() / 9);
    while let Some(position) = parts.next() {
        let mut next = || parts.next().ok_or(Failure::Answer);
        let position = u64::try_from(script::number(&position)?).map_err(|_| Failure::Answer)?;
        let topic = script::text(next()?)?;
        let stored_at = script::position(&script::text(next()?)?)? >> 64;
        let key = script::text(next()?)?;
        let attempts = u32::try_from(script::number(&next()?)?).unwrap_or(u32::MAX);
        let reason = Reason::new(script::text(next()?)?, script::text(next()?)?);
        let at = Timestamp::from_micros(script::number(&next()?)?);
        let stored = script::bytes(next()?)?;
        let (id, body) =
            stored.split_first_chunk::<16>().map_or((None, &[][..]), |(id, body)| (Some(*id), body));
        let event = serde_json::from_slice(body).unwrap_or_else(|_| {
            let millis = i64::try_from(stored_at).unwrap_or(i64::MAX);
            let stored_at = Timestamp::from_micros(millis.saturating_mul(1000));
            outline(body, id.map(EventId::from_bytes), &topic, &key, stored_at)
        });
        letters.push(DeadLetter::new(position, event, reason, attempts, at));
    }
    Ok(letters)
}
