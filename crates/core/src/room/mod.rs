//! What people say to one another in a room: kept in its order, shown to who comes later, and told to who listens.
//!
//! | item | what it is | feature |
//! |---|---|---|
//! | [`Rooms`] | where messages are said, and listened to | `runtime` |
//! | [`Listener`] | every message after a number, each once and in order | `runtime` |
//! | [`RoomStore`] | the seam; its documentation is the contract | `runtime` |
//! | [`MemoryRooms`] | the reference, for tests and for what may be forgotten | `runtime` |
//! | `SqliteRooms` | in a file, beside your own tables | `sqlite` |
//! | `PostgresRooms` | in a database, for any number of processes | `postgres` |
//!
//! A message has a number, which is one more than that of the message before it. So somebody who knows the last number they saw
//! goes on from there: after the history, after a connection that broke, after a restart of the service.
//!
//! ```
//! use pumasi_core::room::{MemoryRooms, NewMessage, Rooms};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let rooms = Rooms::new(MemoryRooms::new());
//! rooms.say("rain-seoul", &NewMessage::new("m-1", "민지", "강남역 물이 차요")).await?;
//!
//! let history = rooms.last("rain-seoul", 100).await?;
//! let mut listener = rooms.listen("rain-seoul", history.last().map_or(0, |message| message.number))?;
//! for _ in 0..2 {
//!     // The client got no answer, and sends it again.
//!     rooms.say("rain-seoul", &NewMessage::new("m-2", "Jane", "Stay off the subway")).await?;
//! }
//! let news = listener.next().await?;
//! assert_eq!((news.len(), news[0].number, &*news[0].author), (1, 2, "Jane"));
//! # Ok::<(), pumasi_core::Error>(())
//! # }).unwrap();
//! ```

mod live;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use live::{Listener, Rooms};
pub use memory::MemoryRooms;
#[cfg(feature = "postgres")]
pub use postgres::PostgresRooms;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteRooms;

use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// The longest name of a room, an author or a message, in bytes.
const MAX_NAME: usize = 512;
/// The longest text, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// What somebody is about to say.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMessage {
    id: Arc<str>,
    author: Arc<str>,
    text: Arc<str>,
}

impl NewMessage {
    /// Makes a message; `id` is its author's own name for it, under which it is said once.
    pub fn new(id: impl Into<Arc<str>>, author: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), author: author.into(), text: text.into() }
    }

    /// Returns its author's own name for it.
    pub const fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Returns who says it.
    pub const fn author(&self) -> &Arc<str> {
        &self.author
    }

    /// Returns what is said.
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    fn check(&self, room: &str) -> Result<()> {
        check_name("a room", room)?;
        check_name("an author", &self.author)?;
        check_name("a message", &self.id)?;
        if self.text.is_empty() || self.text.len() > MAX_TEXT || self.text.contains('\0') {
            let message = format!("a message is empty, longer than {MAX_TEXT} bytes or holds a NUL");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(())
    }

    /// Answers with what was said under its id, if that is the same.
    fn as_said(&self, said: Message) -> Result<Message> {
        if said.text == self.text {
            return Ok(said);
        }
        Err(Error::new(ErrorKind::InvalidInput, "something else was said under the id of this message"))
    }
}

/// Leaves out who says what.
impl fmt::Debug for NewMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMessage").field("text_bytes", &self.text.len()).finish_non_exhaustive()
    }
}

/// What was said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Which message of the room it is, from 1.
    pub number: u64,
    /// Who said it.
    pub author: Arc<str>,
    /// What was said.
    pub text: Arc<str>,
    /// When it was stored.
    pub at: Timestamp,
}

impl Message {
    /// Makes one, for stores.
    pub fn new(number: u64, author: impl Into<Arc<str>>, text: impl Into<Arc<str>>, at: Timestamp) -> Self {
        Self { number, author: author.into(), text: text.into(), at }
    }
}

/// Leaves out who said what.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("number", &self.number).field("at", &self.at).finish_non_exhaustive()
    }
}

/// Keeps what was said.
///
/// What every implementation guarantees (each has a law of the same number in `conformance::room`):
///
/// 1. **In order.** The messages of a room are numbered from 1 without a gap. Who has read up to a number never finds another
///    message at or below it later, however many speak at the same time.
/// 2. **Said once.** A message that its author says again under its id is answered as the first time, and is not said twice.
///    With another text it is refused as `InvalidInput`. Equal ids of different authors or rooms do not touch.
/// 3. **The last ones.** [`last`](Self::last) returns the newest messages, and [`after`](Self::after) the oldest ones after a
///    number, both in their order.
/// 4. **Rooms apart.** What is said in one room is not found in another.
/// 5. **Forgotten.** After [`forget`](Self::forget) nothing was ever said in the room.
/// 6. **Durable.** What was answered is there for whoever opens the same store (except in memory).
#[async_trait]
pub trait RoomStore: fmt::Debug + Send + Sync {
    /// Stores a message, and returns it with its number.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a name is empty, longer than 512 bytes or holds a NUL, if the text is empty, longer than 64 KiB or holds
    /// one, or if its author said something else under this id; `Storage`, `Unavailable` or `Timeout` if the store failed:
    /// repeating the call is safe.
    async fn say(&self, room: &str, message: &NewMessage) -> Result<Message>;

    /// Returns the message if it was said, as [`say`](Self::say) would answer it, and says nothing.
    ///
    /// # Errors
    ///
    /// As [`say`](Self::say).
    async fn said(&self, room: &str, message: &NewMessage) -> Result<Option<Message>>;

    /// Returns up to `limit` messages after the number `after`, the oldest ones.
    ///
    /// # Errors
    ///
    /// As [`say`](Self::say).
    async fn after(&self, room: &str, after: u64, limit: usize) -> Result<Vec<Message>>;

    /// Returns the newest messages, up to `limit`.
    ///
    /// # Errors
    ///
    /// As [`say`](Self::say).
    async fn last(&self, room: &str, limit: usize) -> Result<Vec<Message>>;

    /// Forgets a room that is no more.
    ///
    /// # Errors
    ///
    /// As [`say`](Self::say).
    async fn forget(&self, room: &str) -> Result<()>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<S: RoomStore + ?Sized> RoomStore for $pointer {
            async fn say(&self, room: &str, message: &NewMessage) -> Result<Message> {
                (**self).say(room, message).await
            }

            async fn said(&self, room: &str, message: &NewMessage) -> Result<Option<Message>> {
                (**self).said(room, message).await
            }

            async fn after(&self, room: &str, after: u64, limit: usize) -> Result<Vec<Message>> {
                (**self).after(room, after, limit).await
            }

            async fn last(&self, room: &str, limit: usize) -> Result<Vec<Message>> {
                (**self).last(room, limit).await
            }

            async fn forget(&self, room: &str) -> Result<()> {
                (**self).forget(room).await
            }
        }
    )+};
}

forward!(&S, Box<S>, Arc<S>);

fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        let message = format!("the name of {what} is empty, longer than {MAX_NAME} bytes or holds a NUL");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}
