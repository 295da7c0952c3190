//! Rooms in a SQLite file.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqlitePool;

use super::table::{AFTER, FORGET, LAST, SAID, keeping, messages, read, signed};
use super::{Message, NewMessage, RoomStore, check_name};
use crate::Result;
use crate::database::{Migration, Writing};
use crate::time::{Clock, SystemClock};

const MIGRATION: Migration = Migration {
    component: "rooms",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_room_schema",
    steps: &[include_str!("sql/schema_1.sql")],
};

/// Keeps rooms in a SQLite file, beside your own tables; several processes of one machine may share it.
///
/// How durable an answer is depends on the pool: with the write-ahead log and `synchronous = FULL` it outlives a loss of power.
/// Those who speak wait for one another.
///
/// [`migrate`](Self::migrate) makes the tables; their names begin with `pumasi_room`. Clones share the pool.
#[derive(Clone)]
pub struct SqliteRooms {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

impl SqliteRooms {
    /// Makes a store on the pool's file; nothing is asked yet.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, clock: Arc::new(SystemClock) }
    }

    /// Sets the clock that tells when something was said (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the tables, or brings them up to date.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage` or `Unavailable` if the file failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_sqlite(&self.pool).await
    }
}

impl fmt::Debug for SqliteRooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRooms").finish_non_exhaustive()
    }
}

#[async_trait]
impl RoomStore for SqliteRooms {
    async fn say(&self, room: &str, message: &NewMessage) -> Result<Message> {
        message.check(room)?;
        let mut writing = Writing::begin(&self.pool).await.map_err(keeping)?;
        sqlx::query(include_str!("sql/say.sql"))
            .bind(room)
            .bind(&**message.author())
            .bind(&**message.id())
            .bind(&**message.text())
            .bind(self.clock.now().as_micros())
            .execute(&mut *writing)
            .await
            .map_err(keeping)?;
        let said = sqlx::query(SAID)
            .bind(room)
            .bind(&**message.author())
            .bind(&**message.id())
            .fetch_one(&mut *writing)
            .await
            .and_then(|row| read(&row))
            .map_err(keeping)?;
        writing.commit().await.map_err(keeping)?;
        message.as_said(said)
    }

    async fn said(&self, room: &str, message: &NewMessage) -> Result<Option<Message>> {
        message.check(room)?;
        let said = sqlx::query(SAID)
            .bind(room)
            .bind(&**message.author())
            .bind(&**message.id())
            .fetch_optional(&self.pool)
            .await
            .and_then(|row| row.as_ref().map(read).transpose())
            .map_err(keeping)?;
        said.map(|said| message.as_said(said)).transpose()
    }

    async fn after(&self, room: &str, after: u64, limit: usize) -> Result<Vec<Message>> {
        check_name("a room", room)?;
        let query = sqlx::query(AFTER).bind(room).bind(signed(after)).bind(signed(limit));
        messages(query.fetch_all(&self.pool).await)
    }

    async fn last(&self, room: &str, limit: usize) -> Result<Vec<Message>> {
        check_name("a room", room)?;
        let query = sqlx::query(LAST).bind(room).bind(signed(limit));
        messages(query.fetch_all(&self.pool).await)
    }

    async fn forget(&self, room: &str) -> Result<()> {
        check_name("a room", room)?;
        sqlx::query(FORGET).bind(room).execute(&self.pool).await.map(drop).map_err(keeping)
    }
}
