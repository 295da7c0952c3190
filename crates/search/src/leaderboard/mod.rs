//! Leaderboards: who stands where by what they did, and how that has moved.
//!
//! A [`Record`] is something that a member did, with its numbers. [`Rules`] say which figures are gathered of the records and
//! how members are ordered by them. A [`Leaderboard`] divides time into windows and answers questions; a [`BoardStore`] keeps
//! it all:
//!
//! | store | feature | rank | durable |
//! |---|---|---|---|
//! | [`MemoryBoards`] | – | about a microsecond | no |
//! | `SqliteBoards` | `sqlite` (default) | about a microsecond | one file, synced before it answers; one process |
//! | `RedisBoards` | `redis` | a round trip | as the server is set up |
//! | `PostgresBoards` | `postgres` | counts an index up to the rank | yes |
//!
//! They give the same answers, by the laws in `conformance::leaderboard`. Everything that is decided about a record is decided
//! by one function, whose result the stores keep; keys are whole numbers, compared one after the other. No time is packed into
//! a floating-point score, which would stop telling moments apart at large scores.

mod board;
mod feed;
mod held;
mod member;
mod memory;
mod period;
mod place;
#[cfg(feature = "postgres")]
mod postgres;
mod ranking;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod rules;
#[cfg(feature = "sqlite")]
mod sqlite;
mod standing;
mod store;
mod withdrawal;

pub use board::{Late, Leaderboard, Standings};
pub use feed::{BoardFeed, BoardRebuilt};
pub use member::MemberId;
pub use memory::MemoryBoards;
pub use period::{Period, Weekday, Window};
pub use place::{Around, Listing, Movement, Place};
#[cfg(feature = "postgres")]
pub use postgres::PostgresBoards;
pub use ranking::{Position, Ranking};
pub use record::{Record, Submitted, Withdrawn};
#[cfg(feature = "redis")]
pub use redis::RedisBoards;
pub use rules::{Direction, MAX_KEYS, Metric, Rules, Ties, Total};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteBoards;
pub use store::{Board, BoardStore, OpenWindows};
