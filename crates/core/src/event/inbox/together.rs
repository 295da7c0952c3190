//! Effects of one process that are committed together.

use std::sync::{Arc, OnceLock, PoisonError, Weak};

use futures_util::future::BoxFuture;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use super::{Arrival, SqliteInbox};
use crate::Result;
use crate::database::{Writing, failed};
use crate::event::Delivery;
use crate::event::consumer::passing;
use crate::{Error, ErrorKind};

/// What a handler does in the transaction.
pub(super) trait Effect:
    for<'c> Fn(&'c mut SqliteConnection, &'c Delivery) -> BoxFuture<'c, Result<()>> + Send + Sync
{
}

impl<F> Effect for F where
    F: for<'c> Fn(&'c mut SqliteConnection, &'c Delivery) -> BoxFuture<'c, Result<()>> + Send + Sync
{
}

/// One effect: which event it is of, and what it does.
pub(super) struct Work<'a, F> {
    pub(super) inbox: &'a SqliteInbox,
    pub(super) group: &'a str,
    pub(super) effect: &'a F,
    pub(super) delivery: &'a Delivery,
}

impl<F: Effect> Work<'_, F> {
    async fn on(&self, connection: &mut SqliteConnection) -> Result<()> {
        match self.inbox.begin(connection, self.group, self.delivery.event.id).await? {
            Arrival::First => (self.effect)(connection, self.delivery).await,
            Arrival::Again => Ok(()),
        }
    }
}

/// Whose turn it is on the file, and the transaction that is open on it.
///
/// SQLite syncs the disk for each commit and has one writer at a time: with a transaction each, the effects of many keys
/// would wait for one another's disk. So an effect leaves its transaction open for those that wait already, and the first
/// whose turn comes again commits what they all did.
#[derive(Default)]
pub(super) struct Together {
    turn: Mutex<Weak<Batch>>,
}

/// Effects in one transaction. It ends with the last of them: if all are given up, it is rolled back.
struct Batch {
    /// Away while somebody works on it, who takes it along if he is given up half-way, or panics.
    open: std::sync::Mutex<Option<Writing>>,
    ended: OnceLock<Ended>,
}

/// How a transaction ended.
#[derive(Clone)]
enum Ended {
    Alone(Result<()>),
    /// It failed, and whose fault that was is not known.
    InCompany(Error),
}

impl Together {
    /// Does the work and commits it; with others, if they wait for their turn.
    pub(super) async fn run<F: Effect>(&self, pool: &SqlitePool, work: &Work<'_, F>) -> Result<()> {
        match self.share(pool, work).await {
            Ended::Alone(done) => done,
            // What cannot be committed must not spoil the others. If it was committed after all, its record is found.
            Ended::InCompany(error) => {
                tracing::debug!(error = %error, "effects could not be committed together, and are done one by one");
                let _turn = self.turn.lock().await;
                alone(pool, work).await
            }
        }
    }

    async fn share<F: Effect>(&self, pool: &SqlitePool, work: &Work<'_, F>) -> Ended {
        let batch = {
            let mut turn = self.turn.lock().await;
            let (batch, open) = match turn.upgrade().and_then(|batch| batch.take().map(|open| (batch, open)))
            {
                Some(joined) => joined,
                None => match Writing::begin(pool).await {
                    Ok(open) => {
                        let batch =
                            Arc::new(Batch { open: std::sync::Mutex::default(), ended: OnceLock::new() });
                        *turn = Arc::downgrade(&batch);
                        (batch, open)
                    }
                    Err(error) => return Ended::Alone(Err(fault(error))),
                },
            };
            let (open, done) = in_part(open, work).await;
            match (open, done) {
                (Some(open), Err(error)) if Arc::strong_count(&batch) == 1 => {
                    let _ = open.rollback().await;
                    return Ended::Alone(Err(error));
                }
                (open, done) => {
                    *batch.lock() = open;
                    if let Err(error) = done {
                        return Ended::Alone(Err(error));
                    }
                }
            }
            batch
        };
        // Behind all who wait already: they come along.
        let _turn = self.turn.lock().await;
        batch.end().await
    }
}

impl Batch {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Writing>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Writing> {
        self.lock().take()
    }

    /// Commits it, unless that has been done.
    async fn end(self: &Arc<Self>) -> Ended {
        if let Some(ended) = self.ended.get() {
            return ended.clone();
        }
        let alone = Arc::strong_count(self) == 1;
        let ended = match self.take() {
            Some(open) => match open.commit().await.map_err(fault) {
                Err(error) if !alone => Ended::InCompany(error),
                ended => Ended::Alone(ended),
            },
            None => Ended::InCompany(Error::new(
                ErrorKind::Unavailable,
                "another effect of the transaction was given up",
            )),
        };
        self.ended.get_or_init(|| ended).clone()
    }
}

fn fault(error: sqlx::Error) -> Error {
    passing(failed("handling an event in a transaction", error))
}

/// Does the work so that it can be undone by itself; the transaction comes back if it is as it should be.
async fn in_part<F: Effect>(mut open: Writing, work: &Work<'_, F>) -> (Option<Writing>, Result<()>) {
    if let Err(error) = sqlx::query("SAVEPOINT pumasi_inbox_effect").execute(&mut *open).await {
        return (None, Err(fault(error)));
    }
    let done = work.on(&mut open).await;
    let end: &[&str] = match done {
        Ok(()) => &["RELEASE pumasi_inbox_effect"],
        Err(_) => &["ROLLBACK TO pumasi_inbox_effect", "RELEASE pumasi_inbox_effect"],
    };
    for statement in end {
        if let Err(error) = sqlx::query(*statement).execute(&mut *open).await {
            return (None, done.and(Err(fault(error))));
        }
    }
    (Some(open), done)
}

async fn alone<F: Effect>(pool: &SqlitePool, work: &Work<'_, F>) -> Result<()> {
    let mut open = Writing::begin(pool).await.map_err(fault)?;
    let done = work.on(&mut open).await;
    if done.is_ok() {
        return open.commit().await.map_err(fault);
    }
    let _ = open.rollback().await;
    done
}
