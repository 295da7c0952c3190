//! Writing transactions on a SQLite file.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

/// A transaction that begins as a writing one, on a connection of a pool.
///
/// Not sqlx's own: SQLite ends a transaction by itself when the disk is full or fails, sqlx goes on counting it, and its pool
/// hands out a connection that can never begin another. Here a connection of which it is not known how its transaction ended
/// is closed, which rolls it back.
///
/// For crates that keep things in a file of their own. Dropping it rolls back.
pub struct Writing {
    connection: PoolConnection<Sqlite>,
    ended: bool,
}

impl Writing {
    /// Begins one, once nobody else writes the file: a transaction that begins by reading could not be turned into a writing
    /// one when another process wrote.
    ///
    /// # Errors
    ///
    /// The engine's, such as a file that another process writes for too long.
    pub async fn begin(pool: &SqlitePool) -> sqlx::Result<Self> {
        let mut writing = Self { connection: pool.acquire().await?, ended: false };
        match sqlx::query("BEGIN IMMEDIATE").execute(&mut *writing).await {
            Ok(_) => Ok(writing),
            Err(error) => {
                writing.ended = true;
                Err(error)
            }
        }
    }

    /// Ends it so that all of it holds.
    ///
    /// # Errors
    ///
    /// The engine's; whether it holds is then not known.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    /// Ends it so that nothing of it holds.
    ///
    /// # Errors
    ///
    /// The engine's; nothing of it holds all the same.
    pub async fn rollback(self) -> sqlx::Result<()> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, how: &'static str) -> sqlx::Result<()> {
        sqlx::query(how).execute(&mut *self).await?;
        self.ended = true;
        Ok(())
    }
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writing").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Deref for Writing {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}
