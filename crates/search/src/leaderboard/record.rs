//! What is submitted.

use std::collections::BTreeMap;
use std::fmt;

use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::member::{MAX_MEMBER, MemberId};
use crate::{Error, ErrorKind, Result};

/// The longest source id, contributor or occasion, in bytes.
const MAX_NAME: usize = 256;

/// Something that a member did and that counts: a run, with its numbers.
///
/// A board takes the numbers that its [rules](super::Rules) name and ignores the others, so that one record can go to several
/// boards. Numbers are whole, in a unit of your choice that their name should tell.
///
/// ```
/// use pumasi_search::leaderboard::Record;
///
/// let run = Record::new(42_u64, "run-7", "2026-11-23T06:30:00+09:00".parse()?)
///     .with("distance_m", 10_000)
///     .with("time_s", 3_120);
/// assert_eq!(run.get("time_s"), Some(3_120));
/// # Ok::<(), pumasi_search::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<M> {
    member: M,
    source: String,
    at: Timestamp,
    #[serde(default)]
    values: BTreeMap<String, i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    occasion: Option<String>,
}

impl<M> Record<M> {
    /// Makes a record of `member` that happened at `at`; `source` is the id of what it stands for (the run's, the event's), by
    /// which it is known when it comes again.
    pub fn new(member: M, source: impl Into<String>, at: Timestamp) -> Self {
        Self { member, source: source.into(), at, values: BTreeMap::new(), by: None, occasion: None }
    }

    /// Adds a number.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: i64) -> Self {
        self.values.insert(name.into(), value);
        self
    }

    /// Names who of a group did it, where groups are ranked: the crew's member.
    #[must_use]
    pub fn with_contributor(mut self, contributor: impl Into<String>) -> Self {
        self.by = Some(contributor.into());
        self
    }

    /// Names what was attended, where [attendance](super::Total::Attendance) is counted: a meeting's id or a date.
    #[must_use]
    pub fn with_occasion(mut self, occasion: impl Into<String>) -> Self {
        self.occasion = Some(occasion.into());
        self
    }

    /// Returns who is ranked by it.
    pub fn member(&self) -> &M {
        &self.member
    }

    /// Returns the id of what it stands for.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns when it happened.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns a number, if it has it.
    pub fn get(&self, name: &str) -> Option<i64> {
        self.values.get(name).copied()
    }

    /// Returns who of a group did it.
    pub fn contributor(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// Returns what was attended.
    pub fn occasion(&self) -> Option<&str> {
        self.occasion.as_deref()
    }
}

impl<M: MemberId> Record<M> {
    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |what: &str| Err(Error::new(ErrorKind::InvalidInput, format!("a record's {what}")));
        if !(1..=MAX_MEMBER).contains(&self.member.to_bytes().len()) {
            return invalid("member is empty or longer than 512 bytes");
        }
        for (what, name) in [
            ("source", Some(&self.source)),
            ("contributor", self.by.as_ref()),
            ("occasion", self.occasion.as_ref()),
        ] {
            if name.is_some_and(|name| name.is_empty() || name.len() > MAX_NAME || name.contains('\0')) {
                return invalid(&format!("{what} is empty, longer than 256 bytes or holds a NUL"));
            }
        }
        Ok(())
    }
}

/// Leaves out who it was and the numbers.
impl<M> fmt::Debug for Record<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("source", &self.source).field("at", &self.at).finish_non_exhaustive()
    }
}

/// What became of a record that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Submitted {
    /// It counts now.
    Counted,
    /// It counted already: a record of this member and source was there. Nothing changed.
    Duplicate,
    /// Its period is over; it does not count.
    Late,
    /// Its period begins more than an hour after it was received; it does not count.
    Early,
}

/// What became of a record that was to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Withdrawn {
    /// It counted, and does no more; it is a [`Duplicate`](Submitted::Duplicate) when it comes again.
    Done,
    /// It did not count, and will not.
    Absent,
    /// Its period is over; nothing changed.
    Late,
}
