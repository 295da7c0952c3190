//! What one commit says.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use pumasi_core::event::Envelope;
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SagaId, WorkerId};
use crate::{Error, ErrorKind, Result};

/// The longest name of a saga, in bytes.
const MAX_NAME: usize = 200;
/// The longest key, in bytes: an index of PostgreSQL carries it.
pub(crate) const MAX_KEY: usize = 1024;
/// The longest record, in bytes.
const MAX_RECORD: usize = 16 << 20;

/// Where a saga stands, for queries and for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It goes forward: a step is being made, or waits to be tried again.
    Running,
    /// It waits for an answer or an event from outside.
    Waiting,
    /// It goes back: what was done is being undone.
    Compensating,
    /// It stands, and a person has to decide.
    NeedsOperator,
    /// No code here can drive it: its record is damaged, or its definition is not known.
    Parked,
    /// It ended, and everything is done.
    Completed,
    /// It ended, and everything that was done is undone.
    Compensated,
}

impl Status {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Waiting,
        Self::Compensating,
        Self::NeedsOperator,
        Self::Parked,
        Self::Completed,
        Self::Compensated,
    ];

    /// Names the status in `snake_case`, as stores, metrics and JSON carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Compensating => "compensating",
            Self::NeedsOperator => "needs_operator",
            Self::Parked => "parked",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
        }
    }

    /// Numbers the status, from 0; the numbers are part of what stores keep.
    pub const fn number(self) -> u8 {
        match self {
            Self::Running => 0,
            Self::Waiting => 1,
            Self::Compensating => 2,
            Self::NeedsOperator => 3,
            Self::Parked => 4,
            Self::Completed => 5,
            Self::Compensated => 6,
        }
    }

    /// Returns the status of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Tells whether the saga has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Compensated)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "a status of a saga is not one of those known")
        })
    }
}

/// What a store keeps beside the record, to find sagas by.
///
/// `Debug` leaves the key out, which may name a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// The saga's id.
    pub id: SagaId,
    /// The name of its definition, at most 200 bytes.
    pub saga: Arc<str>,
    /// The version of its definition.
    pub definition: u32,
    /// Its key as compact JSON, at most 1,024 bytes.
    pub key: Arc<str>,
    /// Where it stands.
    pub status: Status,
    /// The step that it stands at; empty if it ended.
    pub step: Arc<str>,
    /// When it has to be looked at, by the store's clock, while nobody holds it; `None`: only when a signal comes.
    pub due: Option<Timestamp>,
    /// Why it stands, in a word or two, if a person has to look at it; never a payload.
    pub reason: Option<Arc<str>>,
}

impl Head {
    /// Tells whether the saga stands as it did at `before`: then the time since when it does goes on.
    pub fn stands_as(&self, before: &Self) -> bool {
        self.status == before.status && self.step == before.step
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("id", &self.id)
            .field("saga", &self.saga)
            .field("definition", &self.definition)
            .field("status", &self.status)
            .field("step", &self.step)
            .field("due", &self.due)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// By what right a commit is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The worker holds the saga under this epoch.
    Held(u64),
    /// Nobody holds the saga, and its epoch is the one before this: the worker takes it with this commit.
    ///
    /// The commit that creates a saga chooses its epoch: the store's time in microseconds, which is more than any that it
    /// had before it was forgotten, so that whoever held it then cannot pass for a holder of the new one.
    Take(u64),
}

impl Lease {
    /// Returns the epoch that the row has after the commit.
    pub const fn epoch(self) -> u64 {
        match self {
            Self::Held(epoch) | Self::Take(epoch) => epoch,
        }
    }
}

/// One step of one saga, all of which is stored or nothing.
///
/// `Debug` shows no payload.
#[derive(Clone)]
pub struct Commit {
    /// What is found of the saga after this; its `id` says which saga.
    pub head: Head,
    /// Who commits.
    pub worker: WorkerId,
    /// By what right.
    pub lease: Lease,
    /// The row's version before; 0 creates the row.
    pub expected: u64,
    /// The row's version after: `expected + 1`, or `expected` if there is no record (only the head changes).
    pub version: u64,
    /// A random number, by which the store recognises this commit when it is repeated.
    pub token: u64,
    /// The record, framed; empty if only the head changes.
    pub record: Vec<u8>,
    /// The record holds everything: those before it may go.
    pub replaces: bool,
    /// The worker goes on holding the saga; otherwise nobody holds it afterwards.
    pub holds: bool,
    /// The saga ended and nothing of it shall be kept: the row is deleted, if it has no other signals than the consumed.
    /// Otherwise it stays as any other, and is due.
    pub forgets: bool,
    /// Numbers of the signals that are done with.
    pub consumed: Vec<u64>,
    /// Events to publish, in order.
    pub events: Vec<Envelope>,
}

impl Commit {
    /// Tells whether this makes a new row.
    pub const fn creates(&self) -> bool {
        self.expected == 0
    }

    /// Tells whether this deletes the row.
    pub const fn forgets(&self) -> bool {
        self.forgets
    }

    /// Checks what a store may rely on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the name, the key, the record or an event is too long, if a text has a NUL, if the versions do not follow
    /// each other, or if an event breaks [`Envelope::check`].
    pub fn check(&self) -> Result<()> {
        let refuse = |what: &'static str| Err(Error::new(ErrorKind::InvalidInput, what));
        if self.head.saga.is_empty() || self.head.saga.len() > MAX_NAME || self.head.saga.contains('\0') {
            return refuse("the name of a saga has 1 to 200 bytes, and no NUL");
        }
        if self.head.key.len() > MAX_KEY || self.head.key.contains('\0') {
            return refuse("the key of a saga has at most 1,024 bytes as JSON");
        }
        if self.head.step.contains('\0')
            || self.head.reason.as_ref().is_some_and(|reason| reason.contains('\0'))
        {
            return refuse("the step and the reason of a saga have no NUL");
        }
        if self.record.len() > MAX_RECORD {
            return refuse("a record of a saga is larger than 16 MiB");
        }
        if self.version != self.expected + u64::from(!self.record.is_empty()) {
            return refuse("the versions of a commit do not follow each other");
        }
        if self.creates() && (self.record.is_empty() || matches!(self.lease, Lease::Held(_))) {
            return refuse("the first commit of a saga has a record and takes the saga");
        }
        if i64::try_from(self.lease.epoch()).is_err() || i64::try_from(self.version).is_err() {
            return refuse("versions and epochs fit into 63 bits");
        }
        self.events.iter().try_for_each(Envelope::check)
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("head", &self.head)
            .field("worker", &self.worker)
            .field("lease", &self.lease)
            .field("expected", &self.expected)
            .field("version", &self.version)
            .field("record", &format_args!("{} bytes", self.record.len()))
            .field("holds", &self.holds)
            .field("consumed", &self.consumed)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

/// A commit that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The store's time at which it was.
    pub now: Timestamp,
}
