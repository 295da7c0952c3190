//! Rooms in PostgreSQL.

use std::fmt;

use async_trait::async_trait;
use sqlx::PgPool;

use super::table::{AFTER, FORGET, LAST, SAID, keeping, messages, read, signed};
use super::{Message, NewMessage, RoomStore, check_name};
use crate::Result;
use crate::database::{Migration, begin_postgres};

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

#[async_trait]
impl RoomStore for PostgresRooms {
    async fn say(&self, room: &str, message: &NewMessage) -> Result<Message> {
        message.check(room)?;
        let mut transaction = begin_postgres(&self.pool, "BEGIN").await.map_err(keeping)?;
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
        let said = sqlx::query(SAID)
            .bind(room)
            .bind(&**message.author())
            .bind(&**message.id())
            .fetch_one(&mut *transaction)
            .await
            .and_then(|row| read(&row))
            .map_err(keeping)?;
        transaction.commit().await.map_err(keeping)?;
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
