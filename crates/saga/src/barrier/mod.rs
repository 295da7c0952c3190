//! The rules by which a participant takes requests and their compensations in any order, late, twice, or one without the other.
//!
//! A saga's messages are repeated, and a request that timed out may arrive after its compensation. A participant that writes down,
//! together with its effect, which keys it has seen and how, can take all of them:
//!
//! | what comes | what was there | [`Entry`] | what to do |
//! |---|---|---|---|
//! | the request | nothing | [`First`](Entry::First) | have the effect |
//! | the request | the request | [`Duplicate`](Entry::Duplicate) | answer as the first time |
//! | the request | its compensation | [`TooLate`](Entry::TooLate) | refuse: it was undone before it came |
//! | the compensation | the request | [`First`](Entry::First) | undo the effect |
//! | the compensation | nothing | [`Empty`](Entry::Empty) | nothing, but remember that it came |
//! | the compensation | a compensation | [`Duplicate`](Entry::Duplicate) | nothing |
//!
//! These are the rules of dtm's barrier table (<https://en.dtm.pub/practice/barrier.html>). The key is the step's
//! ([`Cx::step_key`](crate::Cx::step_key)), and the note has to be kept in the transaction that has the effect:
//! `SqliteBarrier` (feature `embedded`) and `PostgresBarrier` (feature `postgres`) keep it in a table of the participant's own.

#[cfg(any(feature = "embedded", feature = "postgres"))]
mod table;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "postgres")]
pub use table::PostgresBarrier;
#[cfg(feature = "embedded")]
pub use table::SqliteBarrier;

/// What comes in under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The request of a step.
    Do,
    /// Its compensation.
    Undo,
}

/// What a participant does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Entry {
    /// It is the first of its kind, and what it needs is there: carry it out.
    First,
    /// It was carried out: answer as the first time.
    Duplicate,
    /// There is nothing to undo: answer that it is undone.
    Empty,
    /// It was undone before it came: refuse it for good.
    TooLate,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    done: bool,
    undone: bool,
}

impl Seen {
    /// Makes the note of a key by what a participant has stored of it.
    pub const fn new(done: bool, undone: bool) -> Self {
        Self { done, undone }
    }

    /// Decides about an operation, and notes it.
    ///
    /// ```
    /// use pumasi_saga::barrier::{Entry, Operation, Seen};
    ///
    /// let mut seen = Seen::default();
    /// assert_eq!(seen.enter(Operation::Undo), Entry::Empty);
    /// assert_eq!(seen.enter(Operation::Do), Entry::TooLate);
    /// ```
    pub const fn enter(&mut self, operation: Operation) -> Entry {
        match (operation, self.done, self.undone) {
            (Operation::Do, _, true) => Entry::TooLate,
            (Operation::Do, true, false) => Entry::Duplicate,
            (Operation::Do, false, false) => {
                self.done = true;
                Entry::First
            }
            (Operation::Undo, _, true) => Entry::Duplicate,
            (Operation::Undo, done, false) => {
                self.undone = true;
                if done { Entry::First } else { Entry::Empty }
            }
        }
    }

    /// Tells whether the effect stands.
    pub const fn stands(self) -> bool {
        self.done && !self.undone
    }
}

/// A barrier in memory, for participants of tests, and for those who store all of their books at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MemoryBarrier {
    seen: HashMap<String, Seen>,
}

impl MemoryBarrier {
    /// Makes a barrier that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides about an operation under a key, and notes it.
    pub fn enter(&mut self, key: &str, operation: Operation) -> Entry {
        match self.seen.get_mut(key) {
            Some(seen) => seen.enter(operation),
            None => self.seen.entry(key.to_owned()).or_default().enter(operation),
        }
    }

    /// Returns what is known of a key.
    pub fn seen(&self, key: &str) -> Seen {
        self.seen.get(key).copied().unwrap_or_default()
    }
}
