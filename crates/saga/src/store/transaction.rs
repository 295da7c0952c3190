//! A step's commit in the user's own transaction.

use std::any::Any;
use std::fmt;

use async_trait::async_trait;

use super::{Commit, Committed};
use crate::{Error, ErrorKind, Result};

/// A transaction of a store, in which a step writes rows of the user's own; what is not committed is rolled back.
#[async_trait]
pub trait StoreTransaction: fmt::Debug + Send {
    /// Returns what the step is given: the transaction's own type, such as `sqlx::Transaction<'static, Postgres>`.
    fn as_any(&mut self) -> &mut (dyn Any + Send);

    /// Stores the commit in this transaction and ends it: everything is kept, or nothing.
    ///
    /// # Errors
    ///
    /// As [`SagaStore::commit`](super::SagaStore::commit) says of one commit.
    async fn commit(self: Box<Self>, commit: Commit) -> Result<Committed>;
}

pub(super) fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "this store of sagas has no transactions")
}
