//! A place that somebody has.

use std::fmt;
use std::sync::Arc;

use pumasi_core::time::Timestamp;

/// The number of a grant within its pool, from 1 in the order of the grants.
///
/// Zero stands before all of them, as where a list begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// Stands before every ticket.
    pub const ZERO: Self = Self(0);

    /// Makes the ticket of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// As databases keep it.
    #[cfg(any(feature = "embedded", feature = "postgres"))]
    pub(super) fn signed(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How firmly a place is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    /// Until this moment by the store's clock, which is no longer part of it.
    Held(Timestamp),
    /// For good.
    Confirmed,
}

/// A place that somebody holds or has confirmed. `Debug` leaves out who.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hold {
    /// Who has it.
    pub holder: Arc<str>,
    /// The how manieth grant of the pool it was.
    pub ticket: Ticket,
    /// How firmly.
    pub state: HoldState,
}

impl Hold {
    /// Makes one, for stores.
    pub fn new(holder: impl Into<Arc<str>>, ticket: Ticket, state: HoldState) -> Self {
        Self { holder: holder.into(), ticket, state }
    }

    /// Tells whether the place is kept for good.
    pub fn is_confirmed(&self) -> bool {
        self.state == HoldState::Confirmed
    }

    /// Returns when the hold ends, if it is not confirmed.
    pub fn until(&self) -> Option<Timestamp> {
        match self.state {
            HoldState::Held(until) => Some(until),
            HoldState::Confirmed => None,
        }
    }

    /// Tells whether the hold is over at `now`.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.until().is_some_and(|until| until <= now)
    }

    /// Reads what a database keeps: the end of the hold, or nothing if it is confirmed.
    #[cfg(any(feature = "embedded", feature = "postgres", feature = "redis"))]
    pub(super) fn from_row(holder: String, ticket: i64, until: Option<i64>) -> Self {
        let state =
            until.map_or(HoldState::Confirmed, |until| HoldState::Held(Timestamp::from_micros(until)));
        Self::new(holder, Ticket::new(u64::try_from(ticket).unwrap_or(0)), state)
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("ticket", &self.ticket)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// How many places a pool has, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Places {
    /// All of them.
    pub total: u64,
    /// Those that are held and not confirmed, by holds that are not over.
    pub held: u64,
    /// Those that are confirmed.
    pub confirmed: u64,
    /// The last ticket that was granted.
    pub last: Ticket,
}

impl Places {
    /// Makes one, for stores.
    pub fn new(total: u64, held: u64, confirmed: u64, last: Ticket) -> Self {
        Self { total, held, confirmed, last }
    }

    /// Returns how many can be granted.
    pub fn free(&self) -> u64 {
        self.total.saturating_sub(self.held).saturating_sub(self.confirmed)
    }
}
