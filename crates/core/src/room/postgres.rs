//! Rooms in PostgreSQL.

use std::fmt;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use super::{Message, NewMessage, RoomStore, check_name, said_otherwise};
use crate::database::{Migration, failed};
use crate::time::Timestamp;
use crate::{Error, Result};

const MIGRATION: Migration = Migration {
    component: "rooms",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_room_schema",
    steps: &[include_str!("sql/postgres/schema_1.sql")],
};

/// Keeps rooms in a PostgreSQL database, beside your own tables; any number of processes may share it.
///
/// Those who speak in one room wait for one another, so that its messages become visible in the order of their numbers; those in
/// other rooms do not. When something was said is told by the server's clock.
///
/// [`migrate`](Self::migrate) makes the tables; their names begin with `pumasi_room`. Clones share the pool.
///
/// ```no_run
/// # async fn example(pool: sqlx::PgPool) -> pumasi_core::Result<()> {
/// use pumasi_core::room::{NewMessage, PostgresRooms, Rooms};
///
/// let store = PostgresRooms::new(pool);
/// store.migrate().await?;
/// Rooms::new(store).say("rain-seoul", &NewMessage::new("m-1", "민지", "강남역 물이 차요")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresRooms {
    pool: PgPool,
}

impl PostgresRooms {
    /// Makes a store on the pool's database; nothing is asked yet.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Makes the tables, or brings them up to date; several processes may call it at the same time.
    ///
    /// # Errors
    ///
    /// `Unsupported` if a newer version of this crate has changed the layout; `Storage`, `Unavailable` or `Unauthorized` if the
    /// database failed.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await
    }
}

impl fmt::Debug for PostgresRooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRooms").finish_non_exhaustive()
    }
}

fn keeping(error: sqlx::Error) -> Error {
    failed("keeping a room", error)
}

fn read(row: &PgRow) -> sqlx::Result<Message> {
    let (author, text): (String, String) = (row.try_get(1)?, row.try_get(2)?);
    let number = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
    Ok(Message::new(number, author, text, Timestamp::from_micros(row.try_get(3)?)))
}

fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[async_trait]
impl RoomStore for PostgresRooms {
    async fn say(&self, room: &str, message: &NewMessage) -> Result<Message> {
        message.check(room)?;
        let mut transaction = self.pool.begin().await.map_err(keeping)?;
        // Until the commit nobody else numbers a message of this room. In a statement of its own: the next one sees what was
        // committed by whoever held it.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext('pumasi_room'), hashtext($1))")
            .bind(room)
            .execute(&mut *transaction)
            .await
            .map_err(keeping)?;
        sqlx::query(include_str!("sql/postgres/say.sql"))
            .bind(room)
            .bind(&**message.author())
            .bind(&**message.id())
            .bind(&**message.text())
            .execute(&mut *transaction)
            .await
            .map_err(keeping)?;
        let said = "SELECT number, author, text, at FROM pumasi_room_message WHERE room = $1 AND author = $2 AND id = $3";
        let said = sqlx::query(said)
            .bind(room)
            .bind(&**message.author())
            .bind(&**message.id())
            .fetch_one(&mut *transaction)
            .await
            .and_then(|row| read(&row))
            .map_err(keeping)?;
        transaction.commit().await.map_err(keeping)?;
        if said.text == *message.text() { Ok(said) } else { Err(said_otherwise()) }
    }

    async fn after(&self, room: &str, after: u64, limit: usize) -> Result<Vec<Message>> {
        check_name("a room", room)?;
        let after_number = "SELECT number, author, text, at FROM pumasi_room_message WHERE room = $1 AND number > $2 ORDER BY number LIMIT $3";
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
        let rows = sqlx::query(include_str!("sql/postgres/last.sql"))
            .bind(room)
            .bind(signed(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(keeping)?;
        rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(keeping)
    }

    async fn forget(&self, room: &str) -> Result<()> {
        check_name("a room", room)?;
        let forget = "DELETE FROM pumasi_room_message WHERE room = $1";
        sqlx::query(forget).bind(room).execute(&self.pool).await.map(drop).map_err(keeping)
    }
}
