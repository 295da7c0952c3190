//! Rooms in a SQLite file.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

use super::{Message, NewMessage, RoomStore, check_name, said_otherwise};
use crate::database::{Migration, Writing, failed};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::{Error, Result};

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

fn keeping(error: sqlx::Error) -> Error {
    failed("keeping a room", error)
}

fn read(row: &SqliteRow) -> sqlx::Result<Message> {
    let (author, text): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let number = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
    Ok(Message::new(number, author, text, Timestamp::from_micros(row.try_get(3)?)))
}

fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
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
        let said = "SELECT number, author, text, at FROM pumasi_room_message WHERE room = ?1 AND author = ?2 AND id = ?3";
        let said = sqlx::query(said)
            .bind(room)
            .bind(&**message.author())
            .bind(&**message.id())
            .fetch_one(&mut *writing)
            .await
            .and_then(|row| read(&row))
            .map_err(keeping)?;
        writing.commit().await.map_err(keeping)?;
        if said.text == *message.text() { Ok(said) } else { Err(said_otherwise()) }
    }

    async fn after(&self, room: &str, after: u64, limit: usize) -> Result<Vec<Message>> {
        check_name("a room", room)?;
        let after_number = "SELECT number, author, text, at FROM pumasi_room_message WHERE room = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
        let rows = sqlx::query(after_number)
            .bind(room)
            .bind(signed(after))
            .bind(signed(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(keeping)?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(keeping)
    }

    async fn last(&self, room: &str, limit: usize) -> Result<Vec<Message>> {
        check_name("a room", room)?;
        let rows = sqlx::query(include_str!("sql/last.sql"))
            .bind(room)
            .bind(signed(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(keeping)?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(keeping)
    }

    async fn forget(&self, room: &str) -> Result<()> {
        check_name("a room", room)?;
        let forget = "DELETE FROM pumasi_room_message WHERE room = ?1";
        sqlx::query(forget).bind(room).execute(&self.pool).await.map(drop).map_err(keeping)
    }
}
