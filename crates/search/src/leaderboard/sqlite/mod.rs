//! Boards in memory, over a SQLite file.

mod cache;
mod rows;
mod writer;

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pumasi_core::database::{Migration, failed};
use pumasi_core::time::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use self::cache::Cache;
use self::writer::{Request, Submit, What, Withdraw, Writer};
use super::held::{Order, around, list, order, places};
use super::member::MemberId;
use super::place::{Around, Listing, Place};
use super::record::{Record, Submitted, Withdrawn};
use super::rules::Rules;
use super::store::{Board, BoardStore, OpenWindows, check_name};
use crate::{Error, ErrorKind, Result, Retry};

const MIGRATION: Migration = Migration {
    component: "boards",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_board_schema",
    steps: &[include_str!("sql/schema_1.sql")],
};

/// How many windows are in memory at a time, unless it is set otherwise.
const WINDOWS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
/// How long to wait for the process that had the file before.
const BUSY: Duration = Duration::from_secs(10);

/// Keeps boards in a SQLite file, and the order of the windows that are asked for in memory.
///
/// - **Durable.** Write-ahead log with `synchronous = FULL`: what was answered has been synced to the disk, and outlives
///   `SIGKILL` and loss of power.
/// - **Fast.** Questions are answered from memory, about a microsecond for a rank among a million. A window is read from the
///   file when it is first asked for (about two seconds a million members); 64 windows stay in memory, about 40 bytes a member
///   with `u64` ids and one key. Records, and what counted once, stay in the file.
/// - **Group commit.** What is submitted at the same time shares one transaction and one sync.
/// - **Snapshots** take the time of a small commit, whatever the size of the board: rows that change afterwards are kept as
///   they were.
/// - **One process** has the file open; another one is told `Unavailable` after 10 seconds.
///
/// Clones share it. The file is closed when the last one is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use pumasi_search::leaderboard::{Board, Direction, Leaderboard, Metric, Record, Rules, SqliteBoards};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("boards.db");
/// let rules = Rules::new(Metric::sum("distance_m"), Direction::HighestFirst);
/// let board = Leaderboard::new(SqliteBoards::open(&path).await?, Board::new("distance", rules)?);
/// board.submit(&[Record::new(7_u64, "run-1", "2026-11-23T06:30:00Z".parse()?).with("distance_m", 5_000)]).await?;
/// assert_eq!(board.current()?.place(&7).await?.unwrap().rank, 1);
/// # Ok::<(), pumasi_search::Error>(()) }).unwrap();
/// ```
pub struct SqliteBoards<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    requests: mpsc::UnboundedSender<Request<M>>,
    cache: Arc<Cache<M>>,
    path: PathBuf,
}

impl<M> Clone for SqliteBoards<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M> fmt::Debug for SqliteBoards<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBoards").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl<M: MemberId> SqliteBoards<M> {
    /// Opens the file at `path`, which is made if it is missing, with 64 windows in memory at most.
    ///
    /// Must be called within a tokio runtime, which must outlive the store.
    ///
    /// # Errors
    ///
    /// `Storage` if the file cannot be opened, is damaged or is no SQLite database; `Unavailable` if another process has it;
    /// `Unsupported` if a newer version of this crate has changed its layout, or it cannot be opened so that commits are synced.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with_windows(path, WINDOWS).await
    }

    /// Opens the file with so many windows in memory at most.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_with_windows(path: impl AsRef<Path>, windows: NonZeroUsize) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let begun = Instant::now();
        let connection = loop {
            match connect(&path).await {
                Err(error) if error.kind() == ErrorKind::Unavailable && begun.elapsed() < BUSY => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                opened => break opened?,
            }
        };
        let cache = Arc::new(Cache::new(windows.get()));
        let (requests, incoming) = mpsc::unbounded_channel();
        tokio::spawn(Writer { connection, cache: Arc::clone(&cache) }.run(incoming));
        Ok(Self { shared: Arc::new(Shared { requests, cache, path }) })
    }

    async fn send<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request<M>) -> Result<T> {
        let gone = || {
            Error::new(ErrorKind::Unavailable, "the writer of the boards has ended with its runtime")
                .with_retry(Retry::Never)
        };
        let (reply, answer) = oneshot::channel();
        self.shared.requests.send(request(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    async fn tell(&self, what: What) -> Result<bool> {
        self.send(|reply| Request::Other(what, reply)).await
    }

    /// Asks a window's order, and brings it into memory first where it is not there.
    async fn ask<T>(
        &self,
        board: &Board,
        window: &str,
        ask: impl Fn(&dyn Order<M>, &Rules) -> T + Send,
    ) -> Result<T> {
        check_name("window", window)?;
        loop {
            if let Some(answer) = self.shared.cache.ask(board, window, &ask)? {
                return Ok(answer);
            }
            if !self.tell(What::Load(board.clone(), window.to_owned())).await? {
                return Ok(ask(&*order(board.rules(), Vec::new()), board.rules()));
            }
        }
    }
}

async fn connect(path: &Path) -> Result<SqliteConnection> {
    let failed = |error| failed("opening the file of the boards", error);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        // Before the log, so that its index is kept in memory and not beside the file.
        .locking_mode(sqlx::sqlite::SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_millis(100))
        .pragma("cache_size", "-16384")
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(failed)?;
    MIGRATION.on_sqlite(&pool).await?;
    let mut connection = pool.acquire().await.map_err(failed)?.detach();
    // A level that SQLite does not know is ignored by it, without a word.
    let level = sqlx::query("PRAGMA synchronous").fetch_one(&mut connection).await;
    let level: i64 = level.and_then(|row| row.try_get(0)).map_err(failed)?;
    let mode = sqlx::query("PRAGMA journal_mode").fetch_one(&mut connection).await;
    let mode: String = mode.and_then(|row| row.try_get(0)).map_err(failed)?;
    if level < 2 || mode != "wal" {
        let message = format!("the boards would not be power-safe: synchronous {level}, journal {mode}");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(connection)
}

#[async_trait]
impl<M: MemberId> BoardStore<M> for SqliteBoards<M> {
    async fn submit(&self, board: &Board, window: &str, records: &[Record<M>]) -> Result<Vec<Submitted>> {
        check_name("window", window)?;
        records.iter().try_for_each(Record::check)?;
        let (board, window, records) = (board.clone(), window.to_owned(), records.to_vec());
        self.send(|reply| Request::Submit(Submit { board, window, records, reply })).await
    }

    async fn withdraw(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        source: &str,
        open: &OpenWindows,
    ) -> Result<Withdrawn> {
        check_name("window", window)?;
        Record::new(member.clone(), source, Timestamp::MIN).check()?;
        let (board, window) = (board.clone(), window.to_owned());
        let (member, source, open) = (member.clone(), source.to_owned(), open.clone());
        self.send(|reply| Request::Withdraw(Withdraw { board, window, member, source, open, reply })).await
    }

    async fn close(&self, board: &Board, window: &str) -> Result<()> {
        check_name("window", window)?;
        self.tell(What::Close(board.clone(), window.to_owned())).await.map(drop)
    }

    async fn snapshot(&self, board: &Board, window: &str, name: &str) -> Result<()> {
        check_name("window", window)?;
        check_name("snapshot", name)?;
        self.tell(What::Snapshot(board.clone(), window.to_owned(), name.to_owned())).await.map(drop)
    }

    async fn places(&self, board: &Board, window: &str, members: &[M]) -> Result<Vec<Option<Place<M>>>> {
        self.ask(board, window, |order, rules| places(order, rules, members)).await
    }

    async fn list(&self, board: &Board, window: &str, places: Range<u64>) -> Result<Listing<M>> {
        self.ask(board, window, |order, rules| list(order, rules, places.clone())).await
    }

    async fn around(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        neighbours: u64,
    ) -> Result<Option<Around<M>>> {
        self.ask(board, window, |order, rules| around(order, rules, member, neighbours)).await
    }

    async fn forget(&self, board: &Board, window: &str) -> Result<()> {
        check_name("window", window)?;
        self.tell(What::Forget(board.clone(), window.to_owned())).await.map(drop)
    }

    async fn replace(&self, board: &Board, with: &Board) -> Result<()> {
        self.tell(What::Replace(board.clone(), with.clone())).await.map(drop)
    }
}
