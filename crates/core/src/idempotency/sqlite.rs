//! Requests and answers in a SQLite file.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::once::taken_over;
use super::{Begun, Claim, Execution, IdempotencyStore, RequestId, Response, TransactionalStore};
use crate::Result;
use crate::database::{Migration, Writing, failed};
use crate::lock::FencingToken;
use crate::time::{Clock, SystemClock, Timestamp};

const MIGRATION: Migration = Migration {
    component: "idempotency keys",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_idempotency_schema",
    steps: &[include_str!("sql/sqlite/schema_1.sql")],
};

/// Requests and answers in a table of a SQLite file, `pumasi_idempotency`, shared by the processes of a machine.
///
/// With [`Once`](super::Once), or [`complete_in`](Self::complete_in), the answer is stored in your own transaction, with the
/// effect or not at all: the effect happens **exactly once**, whatever dies. Leases and times to live are counted by the machine's wall clock: when it
/// jumps ahead they end early, which the tokens make harmless. How durable an answer is, and how long a call waits for
/// another process, is the pool's setting (`synchronous`, `busy_timeout`); a request that comes while a transaction writes
/// waits for it.
///
/// Call [`migrate`](Self::migrate) once and [`clean_up`](Self::clean_up) now and then. Clones share the pool.
#[derive(Clone)]
pub struct SqliteIdempotency {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

impl SqliteIdempotency {
    /// Makes the store on the pool's file; nothing is asked yet.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, clock: Arc::new(SystemClock) }
    }

    /// Sets the clock that times are counted by (default: the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the tables if they are missing.
    ///
    /// # Errors
    /// `Unsupported` if a newer program has changed their layout; otherwise as the calls.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_sqlite(&self.pool).await
    }

    /// Stores the answer in your own transaction on the same file: it is there if the transaction commits, and only then.
    ///
    /// Answer with [`Reply::Stored`](super::Reply::Stored) once it has committed.
    ///
    /// # Errors
    /// `Conflict` if another execution has taken the request over: roll back, and the effect has not happened
    /// twice. As the calls otherwise.
    pub async fn complete_in(
        &self,
        connection: &mut SqliteConnection,
        execution: &Execution,
        response: &Response,
    ) -> Result<()> {
        let done =
            self.store(connection, execution.id(), execution.token(), response, execution.ttl()).await?;
        if done { Ok(()) } else { Err(taken_over()) }
    }

    /// Deletes up to `limit` requests whose time has passed; returns how many.
    ///
    /// # Errors
    /// As the calls.
    pub async fn clean_up(&self, limit: u32) -> Result<u64> {
        sqlx::query(include_str!("sql/sqlite/clean_up.sql"))
            .bind(self.now())
            .bind(limit)
            .execute(&self.pool)
            .await
            .map(|done| done.rows_affected())
            .map_err(|error| failed("cleaning up idempotency keys", error))
    }

    fn now(&self) -> i64 {
        self.clock.now().as_micros()
    }

    /// The moment in so long, in microseconds.
    fn after(&self, duration: Duration) -> i64 {
        Timestamp::saturating_add(self.clock.now(), duration).as_micros()
    }

    async fn store(
        &self,
        connection: &mut SqliteConnection,
        id: RequestId,
        token: FencingToken,
        response: &Response,
        ttl: Duration,
    ) -> Result<bool> {
        let done = sqlx::query(include_str!("sql/sqlite/complete.sql"))
            .bind(id.as_bytes().as_slice())
            .bind(token.get())
            .bind(response.encode()?)
            .bind(self.after(ttl))
            .bind(self.now())
            .execute(connection)
            .await
            .map_err(|error| failed("storing a response", error))?;
        Ok(done.rows_affected() > 0)
    }

    async fn set_lease(
        &self,
        doing: &'static str,
        id: RequestId,
        token: FencingToken,
        until: i64,
    ) -> Result<bool> {
        let done = sqlx::query(include_str!("sql/sqlite/lease.sql"))
            .bind(id.as_bytes().as_slice())
            .bind(token.get())
            .bind(until)
            .bind(self.now())
            .execute(&self.pool)
            .await
            .map_err(|error| failed(doing, error))?;
        Ok(done.rows_affected() > 0)
    }

    /// Looks, and takes the request if it is free; in one transaction that writes from its beginning.
    async fn take(&self, claim: &Claim) -> Result<Begun> {
        let failed = |error| failed("beginning a request", error);
        let mut transaction = Writing::begin(&self.pool).await.map_err(failed)?;
        let now = self.now();
        let row = sqlx::query(
            "SELECT fingerprint, lease_until, response FROM pumasi_idempotency WHERE id = ?1 AND expires_at > ?2",
        )
        .bind(claim.id.as_bytes().as_slice())
        .bind(now)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        if let Some(row) = row {
            if row.try_get::<&[u8], _>(0).map_err(failed)? != claim.fingerprint.as_bytes() {
                return Ok(Begun::OtherRequest);
            }
            if let Some(response) = row.try_get::<Option<&[u8]>, _>(2).map_err(failed)? {
                return Ok(Begun::Finished(Response::decode(response)?));
            }
            if now < row.try_get::<i64, _>(1).map_err(failed)? {
                return Ok(Begun::Running);
            }
        }
        let token: i64 = sqlx::query("UPDATE pumasi_idempotency_fence SET n = n + 1 RETURNING n")
            .fetch_one(&mut *transaction)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(failed)?;
        sqlx::query(include_str!("sql/sqlite/take.sql"))
            .bind(claim.id.as_bytes().as_slice())
            .bind(claim.fingerprint.as_bytes().as_slice())
            .bind(token)
            .bind(self.after(claim.lease))
            .bind(self.after(claim.ttl))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Begun::Execute(FencingToken::new(token)))
    }
}

#[async_trait]
impl IdempotencyStore for SqliteIdempotency {
    async fn begin(&self, claim: &Claim) -> Result<Begun> {
        self.take(claim).await
    }

    async fn renew(&self, id: RequestId, token: FencingToken, lease: Duration) -> Result<bool> {
        self.set_lease("renewing a request's lease", id, token, self.after(lease)).await
    }

    async fn complete(
        &self,
        id: RequestId,
        token: FencingToken,
        response: &Response,
        ttl: Duration,
    ) -> Result<bool> {
        let acquired = self.pool.acquire().await;
        let mut connection = acquired.map_err(|error| failed("storing a response", error))?;
        self.store(&mut connection, id, token, response, ttl).await
    }

    async fn abandon(&self, id: RequestId, token: FencingToken) -> Result<bool> {
        self.set_lease("abandoning a request", id, token, self.now()).await
    }
}

#[async_trait]
impl TransactionalStore for SqliteIdempotency {
    type Connection = SqliteConnection;
    type Transaction = Writing;

    async fn transaction(&self) -> Result<Writing> {
        Writing::begin(&self.pool).await.map_err(|error| failed("beginning a transaction", error))
    }

    async fn complete_in(
        &self,
        connection: &mut SqliteConnection,
        execution: &Execution,
        response: &Response,
    ) -> Result<()> {
        Self::complete_in(self, connection, execution, response).await
    }

    async fn commit(&self, transaction: Writing) -> Result<()> {
        transaction.commit().await.map_err(|error| failed("committing a transaction", error))
    }
}

impl fmt::Debug for SqliteIdempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteIdempotency").finish_non_exhaustive()
    }
}
