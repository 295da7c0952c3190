//! A step's own rows, its record and its events in one transaction.

use std::any::Any;
use std::fmt;

use async_trait::async_trait;
use pumasi_core::database::failed;
use sqlx::{Postgres, Transaction};

use super::{PostgresStore, let_go, rows};
use crate::Result;
use crate::store::{Commit, Committed, StoreTransaction};

/// A transaction of a [`PostgresStore`]; what a step is given of it is the `sqlx::Transaction<'static, Postgres>` inside.
///
/// The saga's row is locked when the commit is stored, at the end, and not while the step works.
pub struct PostgresTransaction {
    transaction: Transaction<'static, Postgres>,
    store: PostgresStore,
}

impl PostgresTransaction {
    pub(super) fn new(transaction: Transaction<'static, Postgres>, store: PostgresStore) -> Self {
        Self { transaction, store }
    }
}

impl fmt::Debug for PostgresTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTransaction").finish_non_exhaustive()
    }
}

#[async_trait]
impl StoreTransaction for PostgresTransaction {
    fn as_any(&mut self) -> &mut (dyn Any + Send) {
        &mut self.transaction
    }

    async fn commit(mut self: Box<Self>, commit: Commit) -> Result<Committed> {
        let failed = |error| failed("committing a step with its rows", error);
        commit.check()?;
        self.store.know(std::slice::from_ref(&commit)).await.map_err(failed)?;
        let (now, wrote) = match rows::write_one(&mut self.transaction, &commit).await.map_err(failed)? {
            Ok(written) => written,
            Err(refused) => return Err(let_go(self.transaction, refused).await),
        };
        if !wrote {
            // This commit is there already, with the rows that went with it; those of now are not to be there twice.
            self.transaction.rollback().await.map_err(failed)?;
            return Ok(Committed { now });
        }
        self.store.outbox.publish_in(&mut self.transaction, &commit.events).await?;
        sqlx::query("SET LOCAL synchronous_commit = on")
            .execute(&mut *self.transaction)
            .await
            .map_err(failed)?;
        self.transaction.commit().await.map_err(failed)?;
        if !commit.holds {
            self.store.changed.notify_waiters();
        }
        Ok(Committed { now })
    }
}
