//! What a bus hands to a subscriber, and what the subscriber answers.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Envelope;
use super::envelope::check_name;
use crate::time::{FAR, Timestamp};
use crate::{Error, ErrorKind, Result};

/// Where a group begins to read when it subscribes to a topic for the first time.
///
/// It is decided once, when the group first names the topic, and kept by the bus; later subscriptions go on from where
/// the group is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// At the oldest event that the bus still has.
    #[default]
    Earliest,
    /// After the newest event: only what is published from now on.
    Latest,
    /// At the first event that was published at this moment or later, by the bus's clock.
    At(Timestamp),
}

/// What a member of a group asks for.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::event::{Start, Subscription};
///
/// let subscription = Subscription::new("task-extractor", ["posts"])
///     .with_start(Start::Latest)
///     .with_lease(Duration::from_secs(10));
/// assert_eq!(subscription.group(), "task-extractor");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    group: String,
    topics: Vec<String>,
    start: Start,
    lease: Duration,
}

impl Subscription {
    /// The lease that is granted unless another is asked for: 30 seconds.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

    /// Makes a subscription of `group` to `topics`, from the [earliest](Start::Earliest) event on, with a lease of
    /// [30 seconds](Self::DEFAULT_LEASE).
    pub fn new<T: Into<String>>(group: impl Into<String>, topics: impl IntoIterator<Item = T>) -> Self {
        let mut topics: Vec<String> = topics.into_iter().map(Into::into).collect();
        topics.sort();
        topics.dedup();
        Self { group: group.into(), topics, start: Start::default(), lease: Self::DEFAULT_LEASE }
    }

    /// Sets where a new group begins.
    #[must_use]
    pub fn with_start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets how long a delivery stays with this member unless it is renewed; at least a millisecond.
    ///
    /// It is how long the others wait for the events of a member that died, not how long a handler may take: the
    /// `Consumer` renews while the handler works.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_millis(1), FAR);
        self
    }

    /// Returns the group's name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Returns the topics, sorted, each once.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Returns where a new group begins.
    pub fn start(&self) -> Start {
        self.start
    }

    /// Returns how long a delivery stays with this member unless it is renewed.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Checks the names.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no topic, or a name has characters that some backend cannot carry.
    pub fn check(&self) -> Result<()> {
        check_name("group", &self.group)?;
        if self.topics.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a subscription names no topic"));
        }
        self.topics.iter().try_for_each(|topic| check_name("topic", topic))
    }
}

/// The claim on one delivery, with which it is renewed and settled.
///
/// Its fields are the bus's; whoever holds it only hands it back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The event's topic.
    pub topic: Arc<str>,
    /// The event's key.
    pub key: Arc<str>,
    /// Where the event stands in the bus's order: a sequence number, a partition and offset, a stream id.
    pub position: u128,
    /// Which lease this is; an older one is refused.
    pub fence: u64,
    /// How many attempts the event had, with this one.
    pub attempt: u32,
}

/// One event, handed to one member of a group for the duration of a lease.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The event.
    pub event: Arc<Envelope>,
    /// The claim with which it is settled.
    pub receipt: Receipt,
    /// How many times the event was tried, with this time; the first is 1.
    ///
    /// A member that died while it held the event used up an attempt: an event that kills its process is counted.
    pub attempt: u32,
}

impl Delivery {
    /// Makes a delivery, for backends.
    pub fn new(event: Arc<Envelope>, receipt: Receipt) -> Self {
        let attempt = receipt.attempt;
        Self { event, receipt, attempt }
    }
}

/// Why an event was not handled: a kind for code, a message for people. Neither holds what the event says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reason {
    /// The [`ErrorKind`] in `snake_case`, or `panic`, `timeout` and the like.
    pub kind: String,
    /// What was tried and how it failed, at most 1,024 bytes.
    pub message: String,
}

impl Reason {
    /// The longest message, in bytes; the rest is cut off.
    pub const MAX_MESSAGE: usize = 1024;

    /// Makes a reason; the message is cut at [`MAX_MESSAGE`](Self::MAX_MESSAGE), and a NUL, which PostgreSQL keeps in no
    /// text, becomes U+FFFD.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = storable(message.into());
        message.truncate(message.floor_char_boundary(Self::MAX_MESSAGE));
        Self { kind: storable(kind.into()), message }
    }
}

fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

impl From<&Error> for Reason {
    fn from(error: &Error) -> Self {
        Self::new(error.kind().as_str(), error.message())
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// What a member decides on a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// It is done, durably.
    Ack,
    /// It shall be tried again, not before `after` has passed; until then, later events of its key wait.
    Retry {
        /// How long to wait at least.
        after: Duration,
        /// Why it was not done.
        reason: Reason,
    },
    /// It is put aside, with its reason, for a person to look at; later events of its key go on.
    DeadLetter {
        /// Why it was given up.
        reason: Reason,
    },
    /// It was not begun: it goes back at once, and the attempt does not count.
    Release,
}

/// An event that was put aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Where it stands in the list: later ones have greater numbers. Pass the last one's to get the next page.
    pub position: u64,
    /// The event, with its trace and actor.
    pub event: Envelope,
    /// Why it was given up.
    pub reason: Reason,
    /// How many attempts it had.
    pub attempts: u32,
    /// When it was put aside, by the bus's clock.
    pub at: Timestamp,
}

impl DeadLetter {
    /// Makes a dead letter, for backends.
    pub fn new(position: u64, event: Envelope, reason: Reason, attempts: u32, at: Timestamp) -> Self {
        Self { position, event, reason, attempts, at }
    }
}

/// Which dead letters to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only those after this position; 0 is the start.
    pub after: u64,
    /// At most so many.
    pub limit: NonZeroUsize,
}

impl Default for Page {
    /// The first hundred.
    fn default() -> Self {
        Self { after: 0, limit: NonZeroUsize::MIN.saturating_add(99) }
    }
}

/// What became of a call to publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Events that are new to the bus.
    pub accepted: usize,
    /// Events whose id the bus already had; nothing was done for them.
    pub duplicates: usize,
}

impl Published {
    /// Makes the answer, for backends.
    pub fn new(accepted: usize, duplicates: usize) -> Self {
        Self { accepted, duplicates }
    }
}

/// How far a group is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// Events that the group has not settled, those in flight or waiting for a retry among them.
    pub unsettled: u64,
    /// Events that the group has put aside.
    pub dead_letters: u64,
}

impl Lag {
    /// Makes the answer, for backends.
    pub fn new(unsettled: u64, dead_letters: u64) -> Self {
        Self { unsettled, dead_letters }
    }
}

/// The error of a receipt whose lease went to somebody else, or which was settled already.
#[cfg(feature = "runtime")]
pub(super) fn stale(receipt: &Receipt) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the claim on position {} of topic {} is no longer the current one",
            receipt.position, receipt.topic
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn a_reason_can_be_stored_anywhere() {
        let reason = Reason::new("oth\0er", format!("a\0b{}", "가".repeat(Reason::MAX_MESSAGE)));
        assert_eq!(reason.kind, "oth\u{fffd}er");
        assert!(reason.message.starts_with("a\u{fffd}b가") && reason.message.len() <= Reason::MAX_MESSAGE);
    }
}
