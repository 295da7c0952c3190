//! Requests and answers in PostgreSQL.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{PgConnection, PgPool, Postgres, Row, Transaction};

use super::once::taken_over;
use super::{Begun, Claim, Execution, IdempotencyStore, RequestId, Response, TransactionalStore};
use crate::database::{Migration, begin_postgres, failed};
use crate::lock::FencingToken;
use crate::{Error, ErrorKind, Result};

const MIGRATION: Migration = Migration {
    component: "idempotency keys",
    begin: include_str!("sql/schema.sql"),
    read: "SELECT coalesce(max(version), 0) FROM pumasi_idempotency_schema",
    steps: &[include_str!("sql/postgres/schema_1.sql")],
};

/// How often a request that changes under our eyes is looked at again.
const LOOKS: u32 = 10;

/// Requests and answers in a PostgreSQL table, `pumasi_idempotency`, by the server's clock.
///
/// With [`Once`](super::Once), or [`complete_in`](Self::complete_in), the answer is stored in your own transaction, with the
/// effect or not at all: the effect happens **exactly once**, whatever dies. Call [`migrate`](Self::migrate) once and
/// [`clean_up`](Self::clean_up) now and then. Clones share the pool.
///
/// ```no_run
/// # async fn example(pool: sqlx::PgPool, request: pumasi_core::idempotency::IdempotentRequest) -> pumasi_core::Result<()> {
/// use pumasi_core::idempotency::{Once, PostgresIdempotency, Response};
///
/// let store = PostgresIdempotency::new(pool.clone());
/// store.migrate().await?;
/// let once = Once::new(store);
/// let answer = once
///     .run(&request, |transaction| {
///         Box::pin(async move {
///             sqlx::query("UPDATE race SET places = places - 1 WHERE id = 7").execute(&mut *transaction).await?;
///             Ok(Response::new(201, "registered"))
///         })
///     })
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresIdempotency {
    pool: PgPool,
    timeout: Duration,
}

impl PostgresIdempotency {
    /// Makes the store on the pool's database; nothing is asked yet.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, timeout: Duration::from_secs(5) }
    }

    /// Sets how long a call may take, waiting for a connection included (default 5 seconds); well below the lease.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the table if it is missing, in the first schema of the `search_path`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if a newer program has changed its layout, [`ErrorKind::Unauthorized`] if the user may not
    /// make it; otherwise as the calls.
    pub async fn migrate(&self) -> Result<()> {
        MIGRATION.on_postgres(&self.pool).await
    }

    /// Stores the answer in your own transaction: it is there if the transaction commits, and only then.
    ///
    /// Answer with [`Reply::Stored`](super::Reply::Stored) once it has committed. A request that comes before does not wait
    /// for your transaction; it is told that the first is at work.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if another execution has taken the request over: roll back, and the effect has not happened
    /// twice. As the calls otherwise.
    pub async fn complete_in(
        &self,
        connection: &mut PgConnection,
        execution: &Execution,
        response: &Response,
    ) -> Result<()> {
        let done = complete(connection, execution.id(), execution.token(), response, execution.ttl()).await?;
        if done { Ok(()) } else { Err(taken_over()) }
    }

    /// Deletes up to `limit` requests whose time has passed; returns how many.
    ///
    /// # Errors
    /// As the calls.
    pub async fn clean_up(&self, limit: u32) -> Result<u64> {
        let query = sqlx::query(include_str!("sql/postgres/clean_up.sql")).bind(i64::from(limit));
        let deleting = query.execute(&self.pool);
        let done = self.within("cleaning up idempotency keys", async { Ok(deleting.await?) }).await?;
        Ok(done.rows_affected())
    }

    async fn within<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T> {
        let Ok(outcome) = tokio::time::timeout(self.timeout, call).await else {
            let message = format!("{doing} in PostgreSQL did not end within {:?}", self.timeout);
            return Err(Error::new(ErrorKind::Timeout, message));
        };
        outcome.map_err(|fault| match fault {
            Fault::Engine(error) => failed(doing, error),
            Fault::Own(error) => error,
        })
    }

    /// What is known of the request; `None` if it is free.
    async fn look(&self, claim: &Claim) -> Result<Option<Begun>, Fault> {
        let row = sqlx::query(include_str!("sql/postgres/look.sql"))
            .bind(claim.id.as_bytes().as_slice())
            .bind(claim.fingerprint.as_bytes().as_slice())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        if !row.try_get::<bool, _>("same")? {
            return Ok(Some(Begun::OtherRequest));
        }
        if let Some(response) = row.try_get::<Option<&[u8]>, _>("response")? {
            return Ok(Some(Begun::Finished(Response::decode(response)?)));
        }
        let running: bool = row.try_get("running")?;
        Ok(running.then_some(Begun::Running))
    }

    async fn set_lease(
        &self,
        doing: &'static str,
        id: RequestId,
        token: FencingToken,
        lease: Duration,
    ) -> Result<bool> {
        self.within(doing, async {
            let done = sqlx::query(include_str!("sql/postgres/lease.sql"))
                .bind(id.as_bytes().as_slice())
                .bind(token.get())
                .bind(micros(lease))
                .execute(&self.pool)
                .await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }
}

/// What fails within a call.
enum Fault {
    Engine(sqlx::Error),
    Own(Error),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

async fn complete(
    connection: &mut PgConnection,
    id: RequestId,
    token: FencingToken,
    response: &Response,
    ttl: Duration,
) -> Result<bool> {
    let done = sqlx::query(include_str!("sql/postgres/complete.sql"))
        .bind(id.as_bytes().as_slice())
        .bind(token.get())
        .bind(response.encode()?)
        .bind(micros(ttl))
        .execute(connection)
        .await
        .map_err(|error| failed("storing a response", error))?;
    Ok(done.rows_affected() > 0)
}

#[async_trait]
impl IdempotencyStore for PostgresIdempotency {
    async fn begin(&self, claim: &Claim) -> Result<Begun> {
        self.within("beginning a request", async {
            for _ in 0..LOOKS {
                if let Some(known) = self.look(claim).await? {
                    return Ok(known);
                }
                let row = sqlx::query(include_str!("sql/postgres/take.sql"))
                    .bind(claim.id.as_bytes().as_slice())
                    .bind(claim.fingerprint.as_bytes().as_slice())
                    .bind(micros(claim.lease))
                    .bind(micros(claim.ttl))
                    .fetch_optional(&self.pool)
                    .await?;
                if let Some(row) = row {
                    return Ok(Begun::Execute(FencingToken::new(row.try_get(0)?)));
                }
                // another one took it between the two
            }
            Ok(Begun::Running)
        })
        .await
    }

    async fn renew(&self, id: RequestId, token: FencingToken, lease: Duration) -> Result<bool> {
        self.set_lease("renewing a request's lease", id, token, lease).await
    }

    async fn complete(
        &self,
        id: RequestId,
        token: FencingToken,
        response: &Response,
        ttl: Duration,
    ) -> Result<bool> {
        self.within("storing a response", async {
            let mut connection = self.pool.acquire().await?;
            Ok(complete(&mut connection, id, token, response, ttl).await?)
        })
        .await
    }

    async fn abandon(&self, id: RequestId, token: FencingToken) -> Result<bool> {
        self.set_lease("abandoning a request", id, token, Duration::ZERO).await
    }
}

#[async_trait]
impl TransactionalStore for PostgresIdempotency {
    type Connection = PgConnection;
    type Transaction = Transaction<'static, Postgres>;

    async fn transaction(&self) -> Result<Self::Transaction> {
        self.within("beginning a transaction", async { Ok(begin_postgres(&self.pool, "BEGIN").await?) }).await
    }

    async fn complete_in(
        &self,
        connection: &mut PgConnection,
        execution: &Execution,
        response: &Response,
    ) -> Result<()> {
        Self::complete_in(self, connection, execution, response).await
    }

    async fn commit(&self, transaction: Self::Transaction) -> Result<()> {
        self.within("committing a transaction", async { Ok(transaction.commit().await?) }).await
    }
}

impl fmt::Debug for PostgresIdempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresIdempotency").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
