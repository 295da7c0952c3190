//! Making something once for each request, in one transaction with the answer to it.

use futures_util::future::BoxFuture;
use pumasi_core::database::{Writing, failed};
#[cfg(feature = "postgres")]
use pumasi_core::idempotency::PostgresIdempotency;
use pumasi_core::idempotency::{
    Execution, Idempotency, IdempotentRequest, Reply, Response, SqliteIdempotency,
};
use pumasi_core::time::Clock;
use pumasi_core::{Error, ErrorKind, Result};
use serde::Serialize;
use std::sync::Arc;
use support::database::{Connection, Database};
#[cfg(feature = "postgres")]
use support::servers::Pool;

/// What was made, and what was answered.
#[derive(Clone)]
pub(crate) struct Once {
    answers: Answers,
    idempotency: Idempotency,
}

#[derive(Clone)]
enum Answers {
    Sqlite(sqlx::SqlitePool, SqliteIdempotency),
    #[cfg(feature = "postgres")]
    Postgres(Pool, PostgresIdempotency),
}

impl Once {
    pub(crate) async fn open(database: &Database, clock: Arc<dyn Clock>) -> Result<Self> {
        match database {
            Database::Sqlite(pool) => {
                let store = SqliteIdempotency::new(pool.clone()).with_clock(clock);
                store.migrate().await?;
                let answers = Answers::Sqlite(pool.clone(), store.clone());
                Ok(Self { answers, idempotency: Idempotency::new(store) })
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(pool) => {
                let store = PostgresIdempotency::new(pool.clone());
                store.migrate().await?;
                let answers = Answers::Postgres(pool.clone(), store.clone());
                Ok(Self { answers, idempotency: Idempotency::new(store) })
            }
        }
    }

    /// Makes something once for each request, however often that is sent, and answers it alike.
    pub(crate) async fn run<T: Serialize>(
        &self,
        request: &IdempotentRequest,
        make: impl for<'c> FnOnce(Connection<'c>) -> BoxFuture<'c, Result<T>> + Send,
    ) -> Result<Response> {
        let work =
            |execution: Arc<_>| async move { Ok(Reply::Stored(self.answers.make(&execution, make).await?)) };
        Ok(self.idempotency.run(request, work).await?.response)
    }

    /// Forgets the answers of a day ago.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        loop {
            let forgotten = match &self.answers {
                Answers::Sqlite(_, store) => store.clean_up(1_000).await?,
                #[cfg(feature = "postgres")]
                Answers::Postgres(_, store) => store.clean_up(1_000).await?,
            };
            if forgotten == 0 {
                return Ok(());
            }
        }
    }
}

impl Answers {
    async fn make<T: Serialize>(
        &self,
        execution: &Execution,
        make: impl for<'c> FnOnce(Connection<'c>) -> BoxFuture<'c, Result<T>> + Send,
    ) -> Result<Response> {
        let making = |error| failed("making what was asked for", error);
        match self {
            Self::Sqlite(pool, store) => {
                let mut writing = Writing::begin(pool).await.map_err(making)?;
                let response = response(&make(Connection::Sqlite(&mut writing)).await?)?;
                store.complete_in(&mut writing, execution, &response).await?;
                writing.commit().await.map_err(making)?;
                Ok(response)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool, store) => {
                let mut transaction = pool.begin().await.map_err(making)?;
                let response = response(&make(Connection::Postgres(&mut transaction)).await?)?;
                store.complete_in(&mut transaction, execution, &response).await?;
                transaction.commit().await.map_err(making)?;
                Ok(response)
            }
        }
    }
}

fn response(made: &impl Serialize) -> Result<Response> {
    let made = serde_json::to_vec(made)
        .map_err(|_| Error::new(ErrorKind::Other, "what was made cannot be written as JSON"))?;
    Ok(Response::new(201, made))
}
