//! Locks of PostgreSQL's sessions.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, PgPool, Row};
use uuid::Uuid;

use super::{Claim, FencingToken, LockStore};
use crate::database::{Migration, failed};
use crate::{Error, ErrorKind, Result};

const MIGRATION: Migration = Migration {
    component: "locks",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_lock_schema",
    steps: &[include_str!("sql/schema_1.sql")],
};

/// How many connections are kept open for the next attempt while they hold nothing.
const SPARE: usize = 2;

/// Advisory locks of PostgreSQL 14 or newer, each held by a connection of its own, with tokens from a sequence.
///
/// - **The lock ends with its connection**: when the holder dies, at once; when its machine or the network vanishes, with the
///   lease, because the session is told to end by itself when it was idle for that long (`idle_session_timeout`).
/// - **A lost connection is a lost lock**, even if the holder lives: a renewal answers `false`, and the guard says so. After
///   a restart of the server the lock is free.
/// - **Fencing tokens** come from the sequence `pumasi_lock_fence`, drawn once the lock is held and logged before they are
///   handed out, so that they grow across a crash. A failover to an asynchronous replica may repeat some.
/// - **One connection per held lock**, and up to two spare ones, beside the pool and its limit: count them into the server's
///   `max_connections`. Not through a pooler in transaction mode, which changes sessions between statements.
/// - **Names** are hashed to the 64 bits of an advisory lock, within one database; two names with the same hash (one pair in
///   10¹⁹) would exclude each other, and nothing worse.
///
/// Call [`migrate`](Self::migrate) once. Clones share the locks that they hold.
///
/// ```no_run
/// use std::time::Duration;
/// use pumasi_core::lock::{Lock, PostgresLocks};
///
/// # async fn example(pool: sqlx::PgPool) -> Result<(), pumasi_core::Error> {
/// let locks = PostgresLocks::new(pool);
/// locks.migrate().await?;
/// let guard = Lock::new(locks, "weekly-report").acquire(Duration::from_secs(5)).await?;
/// println!("the resource is to refuse tokens below {}", guard.token());
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresLocks {
    pool: PgPool,
    timeout: Duration,
    prefix: Arc<str>,
    sessions: Arc<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// Connections that hold no lock.
    spare: Mutex<Vec<PgConnection>>,
    /// The connection of each owner; taken out when it is used for the last time.
    held: Mutex<HashMap<Uuid, Session>>,
}

type Session = Arc<tokio::sync::Mutex<Option<PgConnection>>>;

impl Sessions {
    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, Session>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, claim: &Claim) -> Option<Session> {
        self.held().get(&claim.owner).cloned()
    }

    fn put_back(&self, connection: PgConnection) {
        let mut spare = self.spare();
        if spare.len() < SPARE {
            spare.push(connection);
        }
    }
}

impl PostgresLocks {
    /// Makes locks on the database of `pool`, whose connection settings they use; nothing is asked yet.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, timeout: Duration::from_secs(5), prefix: "".into(), sessions: Arc::default() }
    }

    /// Sets how long a call may take, connecting included (default 5 seconds); well below the lease.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets what names are put after (default nothing), to keep services apart that share a database.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Makes the sequence of tokens if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if a newer program has changed its layout, [`ErrorKind::Unauthorized`] if the user may not
    /// make it; otherwise as the calls.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await
    }

    fn key(&self, claim: &Claim) -> i64 {
        let mut hash = Sha256::new();
        // the length keeps the prefix and the name apart
        hash.update((self.prefix.len() as u64).to_be_bytes());
        hash.update(self.prefix.as_bytes());
        hash.update(claim.name.as_bytes());
        hash.finalize().iter().take(8).fold(0, |key, byte| key << 8 | i64::from(*byte))
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnectOptions::clone(&self.pool.connect_options()).disable_statement_logging().connect().await
    }

    async fn within<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T> {
        let Ok(outcome) = tokio::time::timeout(self.timeout, call).await else {
            let message = format!("{doing} in PostgreSQL did not end within {:?}", self.timeout);
            return Err(Error::new(ErrorKind::Timeout, message));
        };
        outcome.map_err(|error| refused(doing, error))
    }

    /// Tries on a spare connection, or on a new one where there is none that still stands.
    async fn attempt(&self, claim: &Claim) -> Result<Option<FencingToken>, sqlx::Error> {
        let spare = self.sessions.spare().pop();
        if let Some(connection) = spare {
            match self.attempt_on(connection, claim).await {
                Err(error) if is_broken(&error) => {}
                outcome => return outcome,
            }
        }
        self.attempt_on(self.connect().await?, claim).await
    }

    /// A connection that is dropped in the middle is closed, and a lock that it was granted ends.
    async fn attempt_on(
        &self,
        mut connection: PgConnection,
        claim: &Claim,
    ) -> Result<Option<FencingToken>, sqlx::Error> {
        let row = sqlx::query(include_str!("sql/try_acquire.sql"))
            .bind(self.key(claim))
            .bind(claim.millis().to_string())
            .fetch_one(&mut connection)
            .await?;
        let token = row.try_get::<Option<i64>, _>("token")?.map(FencingToken::new);
        if token.is_some() {
            let session = Arc::new(tokio::sync::Mutex::new(Some(connection)));
            self.sessions.held().insert(claim.owner, session);
        } else {
            self.sessions.put_back(connection);
        }
        Ok(token)
    }
}

#[async_trait]
impl LockStore for PostgresLocks {
    async fn try_acquire(&self, claim: &Claim) -> Result<Option<FencingToken>> {
        self.within("acquiring a lock", async {
            // Held already: the session goes on holding it, under a new token.
            if let Some(session) = self.sessions.of(claim)
                && let Some(connection) = &mut *session.lock().await
            {
                let row = sqlx::query("SELECT nextval('pumasi_lock_fence')").fetch_one(connection).await;
                match row {
                    Ok(row) => return Ok(Some(FencingToken::new(row.try_get(0)?))),
                    Err(error) if is_broken(&error) => {
                        self.sessions.held().remove(&claim.owner);
                    }
                    Err(error) => return Err(error),
                }
            }
            self.attempt(claim).await
        })
        .await
    }

    async fn renew(&self, claim: &Claim) -> Result<bool> {
        let Some(session) = self.sessions.of(claim) else { return Ok(false) };
        self.within("renewing a lock", async {
            let mut connection = session.lock().await;
            let Some(connection) = &mut *connection else { return Ok(false) };
            // any statement would do: it ends the session's idleness
            let alive = sqlx::query("SELECT set_config('idle_session_timeout', $1, false)")
                .bind(claim.millis().to_string())
                .execute(connection)
                .await;
            match alive {
                Ok(_) => Ok(true),
                Err(error) if is_broken(&error) => {
                    self.sessions.held().remove(&claim.owner);
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn release(&self, claim: &Claim) -> Result<bool> {
        // out of the map first: whatever happens from here on, the connection is closed or holds nothing
        let Some(session) = self.sessions.held().remove(&claim.owner) else { return Ok(false) };
        self.within("releasing a lock", async {
            let Some(mut connection) = session.lock().await.take() else { return Ok(false) };
            let row = sqlx::query(include_str!("sql/release.sql"))
                .bind(self.key(claim))
                .fetch_one(&mut connection)
                .await;
            match row {
                Ok(row) => {
                    let released = row.try_get("released")?;
                    self.sessions.put_back(connection);
                    Ok(released)
                }
                Err(error) if is_broken(&error) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// Whether the session has ended, and its locks with it.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // 57P: the server ended it, by an administrator, a restart or idleness; 08: the connection failed
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

fn refused(doing: &str, error: sqlx::Error) -> Error {
    let unknown_setting =
        matches!(&error, sqlx::Error::Database(error) if error.code().as_deref() == Some("42704"));
    if unknown_setting {
        return Error::new(ErrorKind::Unsupported, "locks with a lease need PostgreSQL 14 or newer");
    }
    failed(doing, error)
}

impl fmt::Debug for PostgresLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLocks")
            .field("held", &self.sessions.held().len())
            .field("timeout", &self.timeout)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
