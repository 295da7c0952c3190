//! The one writer of a process: it gathers whatever is asked at the same time into one transaction, and so into one sync.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::database::failed;
use pumasi_core::event::{Envelope, SqliteOutbox};
use pumasi_core::time::{Clock, Timestamp};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};

use super::rows::{self, Kind};
use crate::store::{Commit, Committed, Delivered, NewSignal, Stored, WorkerId};
use crate::{Error, Result};

/// How many requests share a transaction at most.
const BATCH: usize = 1024;

type Reply<T> = oneshot::Sender<Result<T>>;

pub(super) enum Request {
    Commit { commits: Vec<Commit>, reply: Reply<Vec<Result<Committed>>> },
    Deliver { signal: NewSignal, reply: Reply<Delivered> },
    Renew { worker: WorkerId, lease: Duration, reply: Reply<Timestamp> },
    Leave { worker: WorkerId, reply: Reply<()> },
    Claim { worker: WorkerId, known: String, limit: usize, reply: Reply<Vec<Stored>> },
    Purge { age: Duration, limit: usize, reply: Reply<usize> },
}

enum Answer {
    Committed(Vec<Result<Committed>>),
    Delivered(Result<Delivered>),
    Renewed,
    Left,
    Claimed(Vec<Stored>),
    Purged(usize),
}

impl Request {
    /// Whether it can make sagas claimable that somebody waits for.
    fn wakes(&self) -> bool {
        match self {
            Self::Commit { commits, .. } => commits.iter().any(|commit| !commit.holds),
            Self::Deliver { .. } | Self::Leave { .. } => true,
            _ => false,
        }
    }

    fn reply(self, answer: Result<Answer>, now: Timestamp) {
        // Nobody may wait any more; what was done is done.
        match (self, answer) {
            (Self::Commit { reply, .. }, Ok(Answer::Committed(answers))) => {
                let _ = reply.send(Ok(answers));
            }
            (Self::Deliver { reply, .. }, Ok(Answer::Delivered(answer))) => {
                let _ = reply.send(answer);
            }
            (Self::Renew { reply, .. }, Ok(Answer::Renewed)) => {
                let _ = reply.send(Ok(now));
            }
            (Self::Leave { reply, .. }, Ok(Answer::Left)) => {
                let _ = reply.send(Ok(()));
            }
            (Self::Claim { reply, .. }, Ok(Answer::Claimed(answer))) => {
                let _ = reply.send(Ok(answer));
            }
            (Self::Purge { reply, .. }, Ok(Answer::Purged(answer))) => {
                let _ = reply.send(Ok(answer));
            }
            (request, Err(error)) => request.refuse(error),
            // Cannot come about; the caller is told that the writer is gone.
            _ => {}
        }
    }

    fn refuse(self, error: Error) {
        match self {
            Self::Commit { reply, .. } => drop(reply.send(Err(error))),
            Self::Deliver { reply, .. } => drop(reply.send(Err(error))),
            Self::Renew { reply, .. } => drop(reply.send(Err(error))),
            Self::Leave { reply, .. } => drop(reply.send(Err(error))),
            Self::Claim { reply, .. } => drop(reply.send(Err(error))),
            Self::Purge { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// A transaction that did not come about.
enum Failure {
    Engine(sqlx::Error),
    Outbox(Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Engine(error)
    }
}

pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) outbox: SqliteOutbox,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) changed: Arc<Notify>,
}

impl Writer {
    /// Works until every handle of the store is gone.
    pub(super) async fn run(mut self, mut incoming: mpsc::UnboundedReceiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while incoming.recv_many(&mut batch, BATCH).await > 0 {
            self.handle(std::mem::take(&mut batch)).await;
        }
        if let Err(error) = self.connection.close().await {
            let error = failed("closing the store of sagas", error);
            tracing::debug!(error = %error, "the store was not closed in order; nothing is lost by that");
        }
    }

    async fn handle(&mut self, batch: Vec<Request>) {
        let wakes = batch.iter().any(Request::wakes);
        let (now, outcome) = self.transact(&batch).await;
        match outcome {
            Ok(answers) => {
                for (request, answer) in batch.into_iter().zip(answers) {
                    request.reply(Ok(answer), now);
                }
            }
            Err(error) => {
                for request in batch {
                    request.reply(Err(error.clone()), now);
                }
            }
        }
        if wakes {
            self.changed.notify_waiters();
        }
    }

    /// Carries everything out in one transaction, or nothing.
    async fn transact(&mut self, batch: &[Request]) -> (Timestamp, Result<Vec<Answer>>) {
        let mut now = self.clock.now();
        let attempt = async {
            begin(&mut self.connection).await?;
            // After the lock, for which another process may have made us wait.
            now = self.clock.now();
            let commits = self.commit(batch, now).await?;
            let mut answers = Vec::with_capacity(batch.len());
            let mut committed = commits.into_iter();
            for request in batch {
                answers.push(self.execute(request, &mut committed, now).await?);
            }
            sqlx::query("COMMIT").execute(&mut self.connection).await?;
            Ok::<_, Failure>(answers)
        };
        let outcome = attempt.await;
        if outcome.is_err() {
            // Some errors have rolled back already, and then this one says that there is no transaction.
            let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        }
        let outcome = outcome.map_err(|failure| match failure {
            Failure::Engine(error) => failed("writing to the store of sagas", error),
            Failure::Outbox(error) => error,
        });
        (now, outcome)
    }

    /// Stores the commits of all requests; answers them in their order.
    async fn commit(&mut self, batch: &[Request], now: Timestamp) -> Result<Vec<Result<Committed>>, Failure> {
        let commits = batch.iter().filter_map(|request| match request {
            Request::Commit { commits, .. } => Some(commits),
            _ => None,
        });
        let commits: Vec<&Commit> = commits.flatten().collect();
        let mut answers: Vec<Result<Committed>> =
            commits.iter().map(|commit| commit.check().map(|()| Committed { now })).collect();
        let mut valid: Vec<(usize, &Commit)> = Vec::with_capacity(commits.len());
        valid.extend(
            commits
                .into_iter()
                .enumerate()
                .filter(|(place, _)| answers.get(*place).is_some_and(Result::is_ok)),
        );
        if valid.is_empty() {
            return Ok(answers);
        }
        let workers: HashSet<WorkerId> = valid.iter().map(|(_, commit)| commit.worker).collect();
        for worker in workers {
            rows::know_worker(&mut self.connection, worker).await?;
        }
        if self.commit_together(&valid, now).await? {
            return Ok(answers);
        }
        // One of them is not as the row is: begin again, and look at each.
        sqlx::query("ROLLBACK").execute(&mut self.connection).await?;
        begin(&mut self.connection).await?;
        for (place, commit) in valid {
            rows::know_worker(&mut self.connection, commit.worker).await?;
            match rows::write_one(&mut self.connection, commit, now).await? {
                Ok(true) => self.publish(&commit.events).await?,
                Ok(false) => {}
                Err(refused) => {
                    if let Some(answer) = answers.get_mut(place) {
                        *answer = Err(refused);
                    }
                }
            }
        }
        Ok(answers)
    }

    /// Writes commits by their kinds, each kind in one go; tells whether every row was as it should be.
    async fn commit_together(
        &mut self,
        commits: &[(usize, &Commit)],
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let mut ids = HashSet::with_capacity(commits.len());
        let mut kinds = [Kind::Create, Kind::GoOn, Kind::LetGo, Kind::Forget].map(|kind| (kind, Vec::new()));
        for (_, commit) in commits {
            let Some(kind) = Kind::of(commit).filter(|_| ids.insert(commit.head.id)) else {
                return Ok(false);
            };
            for (other, members) in &mut kinds {
                if *other == kind {
                    members.push(*commit);
                }
            }
        }
        for (kind, members) in kinds {
            if members.is_empty() {
                continue;
            }
            rows::consume(&mut self.connection, &members).await?;
            if !rows::write_together(&mut self.connection, kind, &members, now).await? {
                return Ok(false);
            }
        }
        let events: Vec<Envelope> =
            commits.iter().flat_map(|(_, commit)| commit.events.iter().cloned()).collect();
        self.publish(&events).await?;
        Ok(true)
    }

    async fn publish(&mut self, events: &[Envelope]) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        self.outbox.publish_in(&mut self.connection, events).await.map_err(Failure::Outbox)
    }

    async fn execute(
        &mut self,
        request: &Request,
        committed: &mut impl Iterator<Item = Result<Committed>>,
        now: Timestamp,
    ) -> Result<Answer, Failure> {
        let connection = &mut self.connection;
        Ok(match request {
            Request::Commit { commits, .. } => {
                Answer::Committed(committed.by_ref().take(commits.len()).collect())
            }
            Request::Deliver { signal, .. } => {
                Answer::Delivered(rows::deliver(connection, signal, now).await?)
            }
            Request::Renew { worker, lease, .. } => {
                rows::renew(connection, *worker, now.saturating_add(*lease)).await?;
                Answer::Renewed
            }
            Request::Leave { worker, .. } => {
                rows::leave(connection, *worker, now).await?;
                Answer::Left
            }
            Request::Claim { worker, known, limit, .. } => {
                Answer::Claimed(rows::claim(connection, *worker, known, *limit, now).await?)
            }
            Request::Purge { age, limit, .. } => {
                let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                let before = now.as_micros().saturating_sub(age);
                Answer::Purged(rows::purge(connection, before, *limit, now).await?)
            }
        })
    }
}

async fn begin(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // Immediate: a transaction that begins by reading could not be turned into a writing one when another process wrote.
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await?;
    Ok(())
}
