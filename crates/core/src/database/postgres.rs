//! Transactions in PostgreSQL.

use std::pin::Pin;
use std::task::{Context, Poll};

use sqlx::{PgPool, Postgres, SqlSafeStr, Transaction};

type Beginning = Pin<Box<dyn Future<Output = sqlx::Result<Transaction<'static, Postgres>>> + Send>>;

/// Begins a transaction on a connection of a pool by `statement`, such as `BEGIN` or
/// `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`.
///
/// Not the pool's own `begin`: in sqlx 0.9.0 a call that is dropped while the server answers gives the connection back within
/// an open transaction that nothing ends (<https://github.com/transact-rs/sqlx/issues/4393>). Whatever the connection's next
/// user writes is then acknowledged and not kept, and the rows stay locked. Here a dropped call is carried to its end in the
/// background, and rolled back.
///
/// For crates that keep things in a database of their own. Dropping the transaction rolls back.
///
/// # Errors
///
/// The engine's, such as a pool without a free connection.
pub async fn begin_postgres(
    pool: &PgPool,
    statement: &'static str,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let connection = pool.acquire().await?;
    Carried(Some(Transaction::begin(connection, Some(statement.into_sql_str())))).await
}

/// Is carried to its end also where it is dropped.
struct Carried(Option<Beginning>);

impl Future for Carried {
    type Output = sqlx::Result<Transaction<'static, Postgres>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(beginning) = &mut self.0 else { return Poll::Pending };
        let begun = beginning.as_mut().poll(context);
        if begun.is_ready() {
            self.0 = None;
        }
        begun
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // Without a runtime no connection is ever given back.
        if let (Some(beginning), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(beginning);
        }
    }
}
