//! A handler whose effect happens once.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::Result;
use crate::event::{Delivery, Handler};

/// Runs an effect in a transaction once per event; an inbox's `handler` makes it.
#[derive(Clone)]
pub struct InboxHandler<I, F> {
    inbox: I,
    group: Arc<str>,
    effect: F,
}

impl<I, F> InboxHandler<I, F> {
    pub(super) fn new(inbox: I, group: Arc<str>, effect: F) -> Self {
        Self { inbox, group, effect }
    }
}

impl<I: fmt::Debug, F> fmt::Debug for InboxHandler<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxHandler")
            .field("inbox", &self.inbox)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

macro_rules! handles_with {
    ($inbox:ty, $connection:ty) => {
        #[async_trait]
        impl<F> Handler for InboxHandler<$inbox, F>
        where
            F: for<'c> Fn(&'c mut $connection, &'c Delivery) -> BoxFuture<'c, Result<()>> + Send + Sync,
        {
            async fn handle(&self, delivery: &Delivery) -> Result<()> {
                self.inbox.handle(&self.group, &self.effect, delivery).await
            }
        }
    };
}

#[cfg(feature = "postgres")]
handles_with!(super::PostgresInbox, sqlx::PgConnection);
#[cfg(feature = "sqlite")]
handles_with!(super::SqliteInbox, sqlx::SqliteConnection);
