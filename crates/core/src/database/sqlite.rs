//! Opening a SQLite file, and writing transactions on it.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use super::classify;
use crate::ErrorKind;

/// How long opening a file may wait for others that are opening it.
const OPENING: Duration = Duration::from_secs(30);

/// Opens a pool on a SQLite file that other tasks or processes may be opening at the same moment.
///
/// Turning a new file to the write-ahead log, and taking over the log of a process that was killed, need the file alone, and
/// SQLite does not wait for that whatever the busy timeout is: the others are told at once that the file is locked. Here they
/// try again, for up to 30 seconds.
///
/// # Errors
///
/// The engine's: the file cannot be made or opened, is no database, or is locked for too long.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// use pumasi_core::database::open_sqlite;
/// use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
///
/// let file = SqliteConnectOptions::new()
///     .filename(folder.path().join("service.db"))
///     .create_if_missing(true)
///     .journal_mode(SqliteJournalMode::Wal);
/// let pool = open_sqlite(SqlitePoolOptions::new().max_connections(4), file).await?;
/// # pool.close().await;
/// # Ok(())
/// # }
/// ```
pub async fn open_sqlite(pool: SqlitePoolOptions, file: SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    unless_locked(OPENING, is_locked, || pool.clone().connect_with(file.clone())).await
}

/// Opens a file, again and again while somebody else holds it, for so long.
pub(crate) async fn unless_locked<T, E, F: Future<Output = Result<T, E>>>(
    patience: Duration,
    is_locked: impl Fn(&E) -> bool,
    mut open: impl FnMut() -> F,
) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match open().await {
            Err(error) if is_locked(&error) && begun.elapsed() < patience => {
                // The machine's time, whatever clock a caller was given: it is the other process that takes some.
                tokio::time::sleep(Duration::from_millis(fastrand::u64(5..25))).await;
            }
            opened => return opened,
        }
    }
}

/// Tells whether another connection holds the file, or a table of it.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(_)) && classify(error).0 == ErrorKind::Unavailable
}

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

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions;
    use sqlx::sqlite::SqliteJournalMode;

    use super::*;

    #[tokio::test]
    async fn it_waits_while_another_holds_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteConnectOptions::new().filename(folder.path().join("new.db")).create_if_missing(true);
        let mut other = file.clone().connect().await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE; CREATE TABLE begun (n INTEGER)").execute(&mut other).await.unwrap();
        let file = file.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_mins(1));
        let alone = SqlitePoolOptions::new().connect_with(file.clone()).await;
        assert!(alone.is_err_and(|error| is_locked(&error)), "SQLite waits by itself");
        let opening = tokio::spawn(open_sqlite(SqlitePoolOptions::new().max_connections(2), file));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!opening.is_finished());
        sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
        let pool = opening.await.unwrap().unwrap();
        sqlx::raw_sql("INSERT INTO begun VALUES (1)").execute(&pool).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_database_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter.txt");
        std::fs::write(&path, "no database, and longer than the header of one is: ".repeat(40)).unwrap();
        let file = SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Wal);
        let error = open_sqlite(SqlitePoolOptions::new(), file).await.unwrap_err();
        assert!(!is_locked(&error), "{error}");
    }
}
