//! Likes and dislikes: one a person, exact however many vote at the same time.
//!
//! | store | feature | durable |
//! |---|---|---|
//! | [`MemoryReactions`] | – | no |
//! | `SqliteReactions` | `sqlite` (default) | as the pool's file is set up |
//! | `RedisReactions` | `redis` | as the server is set up |
//! | `PostgresReactions` | `postgres` | yes |

mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use memory::MemoryReactions;
#[cfg(feature = "postgres")]
pub use postgres::PostgresReactions;
#[cfg(feature = "redis")]
pub use redis::RedisReactions;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteReactions;

use crate::{Error, ErrorKind, Result};

/// The longest id of an item or a person, in bytes.
const MAX_ID: usize = 512;

/// What a person thinks of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// Nothing, or nothing any more.
    #[default]
    None,
    /// A like.
    Like,
    /// A dislike.
    Dislike,
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
impl Reaction {
    /// The number by which stores know it.
    const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Like => 1,
            Self::Dislike => 2,
        }
    }

    const fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Like,
            2 => Self::Dislike,
            _ => Self::None,
        }
    }
}

/// A person's reaction to an item, from a moment on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    item: String,
    person: String,
    reaction: Reaction,
    at: Timestamp,
}

impl Vote {
    /// Makes a vote that was cast at `at`, which decides between two votes of one person: the later one stands.
    pub fn new(
        item: impl Into<String>,
        person: impl Into<String>,
        reaction: Reaction,
        at: Timestamp,
    ) -> Self {
        Self { item: item.into(), person: person.into(), reaction, at }
    }

    /// Returns what was voted on.
    pub fn item(&self) -> &str {
        &self.item
    }

    /// Returns who voted.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// Returns the reaction.
    pub fn reaction(&self) -> Reaction {
        self.reaction
    }

    /// Returns when it was cast.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// Leaves out who votes what on what.
impl fmt::Debug for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vote").field("at", &self.at).finish_non_exhaustive()
    }
}

/// How many people like and dislike an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// People who like it.
    pub likes: u64,
    /// People who dislike it.
    pub dislikes: u64,
}

/// What stands after a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// The person's reaction that stands: that of this vote, or of a later one.
    pub reaction: Reaction,
    /// The item's counts.
    pub counts: Counts,
}

/// Keeps reactions.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::reactions`):
///
/// 1. **One a person.** Of a person one reaction to an item stands: switching takes the old one back, withdrawing takes it away.
/// 2. **Exact.** The counts are the number of people whose like or dislike stands, whoever votes at the same time. Drift is 0.
/// 3. **Repeating is safe.** A vote that comes again changes nothing; one that is older than what stands changes nothing either,
///    so that a late repetition cannot take back a switch. Of two of the same microsecond the one that came later stands.
/// 4. **Together.** The votes of a call are stored all or, if it fails, none; each is answered with what stands after the call.
/// 5. **Forgotten.** After [`forget`](Self::forget) nothing of the item is there. A vote that is cast at the same time is forgotten
///    whole, or stands and is counted.
/// 6. **Durable.** What was answered is there for whoever opens the same store (except in memory).
/// 7. **Recounted.** After [`recount`](Self::recount) the counts are exact, whatever somebody did to the store by another way; votes
///    that are cast at the same time are counted.
#[async_trait]
pub trait Reactions: fmt::Debug + Send + Sync {
    /// Casts votes; answers each in its place.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if an item's or a person's id is empty, longer than 512 bytes or holds a NUL; `Storage`, `Unavailable` or
    /// `Timeout` if the store failed: repeating the call is safe.
    async fn cast(&self, votes: &[Vote]) -> Result<Vec<Tally>>;

    /// Counts the reactions to items, each in its place.
    ///
    /// # Errors
    ///
    /// As [`cast`](Self::cast).
    async fn counts(&self, items: &[&str]) -> Result<Vec<Counts>>;

    /// Tells a person's reactions to items, each in its place.
    ///
    /// # Errors
    ///
    /// As [`cast`](Self::cast).
    async fn reactions(&self, person: &str, items: &[&str]) -> Result<Vec<Reaction>>;

    /// Forgets all reactions to an item that is no more.
    ///
    /// # Errors
    ///
    /// As [`cast`](Self::cast).
    async fn forget(&self, item: &str) -> Result<()>;

    /// Counts the reactions to items anew, by the people whose reactions stand, and puts right what is not; answers the counts, each in
    /// its place. It reads all reactions to the items. Voting does not need it: it is for when rows were deleted by hand, or brought in
    /// from elsewhere.
    ///
    /// # Errors
    ///
    /// As [`cast`](Self::cast).
    async fn recount(&self, items: &[&str]) -> Result<Vec<Counts>>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<R: Reactions + ?Sized> Reactions for $pointer {
            async fn cast(&self, votes: &[Vote]) -> Result<Vec<Tally>> {
                (**self).cast(votes).await
            }

            async fn counts(&self, items: &[&str]) -> Result<Vec<Counts>> {
                (**self).counts(items).await
            }

            async fn reactions(&self, person: &str, items: &[&str]) -> Result<Vec<Reaction>> {
                (**self).reactions(person, items).await
            }

            async fn forget(&self, item: &str) -> Result<()> {
                (**self).forget(item).await
            }

            async fn recount(&self, items: &[&str]) -> Result<Vec<Counts>> {
                (**self).recount(items).await
            }
        }
    )+};
}

forward!(&R, Box<R>, Arc<R>);

/// Checks an id that a store has to keep.
pub(crate) fn check_id(what: &str, id: &str) -> Result<()> {
    if id.is_empty() || id.len() > MAX_ID || id.contains('\0') {
        let message = format!("the id of {what} is empty, longer than 512 bytes or holds a NUL");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}

fn check(votes: &[Vote]) -> Result<()> {
    votes.iter().try_for_each(|vote| {
        check_id("an item", &vote.item)?;
        check_id("a person", &vote.person)
    })
}

/// Reads a stored count; one below zero, of rows that were deleted by hand, as nothing.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn counted(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

/// The vote of each person on each item that stands at the end of a call, in the order of item and person: the order in which
/// callers lock what they change.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn last(votes: &[Vote]) -> Vec<&Vote> {
    let mut last: HashMap<(&str, &str), &Vote> = HashMap::new();
    for vote in votes {
        let stands = last.entry((&vote.item, &vote.person)).or_insert(vote);
        if vote.at >= stands.at {
            *stands = vote;
        }
    }
    let mut last: Vec<&Vote> = last.into_values().collect();
    last.sort_unstable_by_key(|vote| (&vote.item, &vote.person));
    last
}
