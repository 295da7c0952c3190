//! The one writer of a process: it gathers whatever is asked at the same time into one transaction, and so into one sync.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pumasi_core::database::failed;
use pumasi_core::event::{Envelope, SqliteOutbox};
use pumasi_core::time::{Clock, Timestamp};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Notify, mpsc};

use super::company::Company;
use super::image::{Batch, Image};
use super::request::{Answer, Request};
use super::rows::{self, Begun, Entry, Found};
use crate::machine::record::code::Damage;
use crate::store::admit::{Admitted, admit};
use crate::store::row::{Change, delivered};
use crate::store::{Commit, Committed, Delivered, Head, Known, NewSignal, SagaId, WorkerId};
use crate::{Error, ErrorKind, Result};

/// How many requests share a transaction at most.
const BATCH: usize = 1024;
/// How many changes the journal holds before the tables are written: enough that most sagas are written to them once.
const SETTLE: usize = 32_768;

/// How many rows that were only read are kept, about.
const EVICT: usize = 1024;

/// A transaction that did not come about.
enum Failure {
    Engine(sqlx::Error),
    Journal(Damage),
    Outbox(Error),
    /// It has to be begun again with the lock.
    NeedsLock,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Engine(error)
    }
}

impl Failure {
    fn error(self) -> Error {
        match self {
            Self::Engine(error) => failed("asking the store of sagas", error),
            Self::Outbox(error) => error,
            Self::Journal(damage) => {
                let message = format!("the journal of the store of sagas is damaged: {}", damage.as_str());
                Error::new(ErrorKind::Storage, message)
            }
            Self::NeedsLock => Error::new(ErrorKind::Other, "a claim was not begun again"),
        }
    }
}

/// What became of the requests of one transaction.
pub(super) struct Replies {
    batch: Vec<Request>,
    outcome: Result<Vec<Answer>>,
    now: Timestamp,
}

/// Tells those who asked, until the writer has ended: to wake a thousand of them takes about as long as a transaction, and the next
/// one need not wait for that.
pub(super) fn reply(replies: &std::sync::mpsc::Receiver<Replies>, changed: &Notify) {
    while let Ok(Replies { batch, outcome, now }) = replies.recv() {
        let wakes = batch.iter().any(Request::wakes);
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
            changed.notify_waiters();
        }
    }
}

fn damaged(id: SagaId, damage: Damage) -> Error {
    Error::new(ErrorKind::Storage, format!("what is stored of saga {id} is damaged: {}", damage.as_str()))
}

pub(super) struct Writer {
    connection: SqliteConnection,
    outbox: SqliteOutbox,
    clock: Arc<dyn Clock>,
    replies: std::sync::mpsc::Sender<Replies>,
    transactions: Arc<AtomicU64>,
    image: Image,
    /// Rows of the tables that cannot be read.
    damaged: HashMap<SagaId, Damage>,
    /// Rows that the journal goes on from, and that are not there as it says.
    broken: HashSet<SagaId>,
    /// The last entry of the journal that the image has.
    applied: i64,
    /// The last entry that the tables had when the image was begun.
    settled: i64,
    /// Workers that are known to have a row.
    known: HashSet<WorkerId>,
    /// How many rows the image may have before those are dropped that were only read.
    evict_at: usize,
}

impl Writer {
    pub(super) fn new(
        connection: SqliteConnection,
        outbox: SqliteOutbox,
        clock: Arc<dyn Clock>,
        replies: std::sync::mpsc::Sender<Replies>,
        transactions: Arc<AtomicU64>,
    ) -> Self {
        Self {
            connection,
            outbox,
            clock,
            replies,
            transactions,
            image: Image::default(),
            damaged: HashMap::new(),
            broken: HashSet::new(),
            applied: 0,
            settled: 0,
            known: HashSet::new(),
            evict_at: EVICT,
        }
    }

    /// Works until every handle of the store is gone; on a thread of its own, which it puts to sleep while requests gather.
    pub(super) async fn run(mut self, mut incoming: mpsc::UnboundedReceiver<Request>) {
        let mut company = Company::default();
        while let Some(batch) = company.gather(&mut incoming, BATCH).await {
            let (begun, returning) = (Instant::now(), batch.iter().map(Request::returning).sum());
            self.handle(batch).await;
            company.answered(returning, begun.elapsed());
        }
        if let Err(error) = self.connection.close().await {
            let error = failed("closing the store of sagas", error);
            tracing::debug!(error = %error, "the store was not closed in order; nothing is lost by that");
        }
    }

    async fn handle(&mut self, batch: Vec<Request>) {
        let settles = batch.iter().any(Request::settles);
        let mut writes = batch.iter().any(Request::writes);
        let (now, outcome) = loop {
            match self.transact(&batch, writes, settles).await {
                (_, Err(Failure::NeedsLock)) if !writes => writes = true,
                done => break done,
            }
        };
        // Fails where nobody replies any more, and then nobody waits.
        let _ = self.replies.send(Replies { batch, outcome: outcome.map_err(Failure::error), now });
    }

    /// Carries everything out in one transaction, or nothing.
    async fn transact(
        &mut self,
        batch: &[Request],
        writes: bool,
        settles: bool,
    ) -> (Timestamp, Result<Vec<Answer>, Failure>) {
        let mut now = self.clock.now();
        let mut ids = Vec::new();
        for request in batch {
            request.ids(&mut ids);
        }
        let attempt = async {
            let missing = self.missing(&ids);
            let begun = rows::begin(&mut self.connection, writes, &missing).await?;
            // After the lock, for which another process may have made us wait.
            now = self.clock.now();
            let workers = self.catch_up(begun, &missing).await?;
            self.take_in(&ids).await?;
            let (answers, mut entry) = self.carry_out(batch, writes, workers, now).await?;
            if writes && (settles || self.image.pending >= SETTLE) {
                if let Some(entry) = entry.take() {
                    rows::append(&mut self.connection, entry).await?;
                }
                let (dirty, deleted) = self.image.dirty();
                if self.image.pending > 0 || !self.broken.is_empty() {
                    rows::settle(&mut self.connection, &dirty, &deleted, self.applied).await?;
                    for id in &self.broken {
                        rows::mark_broken(&mut self.connection, *id, now).await?;
                    }
                }
            }
            let answers = self.finish(batch, answers, now).await?;
            rows::commit(&mut self.connection, entry).await?;
            Ok::<_, Failure>(answers)
        };
        let outcome = attempt.await;
        match &outcome {
            Ok(_) if writes => {
                self.transactions.fetch_add(1, Ordering::Relaxed);
                if settles || self.image.pending >= SETTLE {
                    self.image.settled();
                    self.broken.clear();
                    self.settled = self.applied;
                }
            }
            Ok(_) => {}
            Err(Failure::NeedsLock) => drop(sqlx::query("ROLLBACK").execute(&mut self.connection).await),
            Err(_) => {
                // Some errors have rolled back already, and then this one says that there is no transaction.
                let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
                // What the image has beyond the file is taken back by reading it again.
                self.image.clear();
                self.broken.clear();
                self.applied = self.settled;
                self.known.clear();
            }
        }
        if self.image.len() > self.evict_at {
            self.image.evict();
            self.evict_at = self.image.len() * 2 + EVICT;
        }
        (now, outcome)
    }

    /// Repeats what other processes did since, and takes in the rows that were `missing` when the transaction was begun; returns
    /// who has a lease.
    async fn catch_up(
        &mut self,
        begun: Begun,
        missing: &[SagaId],
    ) -> Result<HashMap<WorkerId, Timestamp>, Failure> {
        let Begun { settled, last, workers, found } = begun;
        if settled != self.settled {
            self.image.clear();
            self.broken.clear();
            (self.settled, self.applied) = (settled, settled);
        }
        self.accept(missing, found);
        if last > self.applied {
            let (last, entries) =
                rows::journal(&mut self.connection, self.applied).await?.map_err(Failure::Journal)?;
            let ids: Vec<SagaId> = entries.iter().flat_map(super::image::Journaled::ids).collect();
            self.take_in(&ids).await?;
            for entry in &entries {
                for id in self.image.repeat(entry) {
                    self.image.forget(id);
                    self.broken.insert(id);
                }
            }
            self.applied = last;
        }
        Ok(workers)
    }

    /// Those of which the image knows nothing.
    fn missing(&self, ids: &[SagaId]) -> Vec<SagaId> {
        let mut missing: Vec<SagaId> = ids.iter().copied().filter(|id| !self.image.has(*id)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Takes rows in from the tables.
    async fn take_in(&mut self, ids: &[SagaId]) -> Result<(), Failure> {
        let missing = self.missing(ids);
        if !missing.is_empty() {
            let found = rows::fetch(&mut self.connection, &missing).await?;
            self.accept(&missing, found);
        }
        Ok(())
    }

    /// Takes in what was found of the rows that were missing.
    fn accept(&mut self, missing: &[SagaId], mut found: Found) {
        for id in missing {
            self.damaged.remove(id);
            if self.broken.contains(id) {
                self.damaged.insert(*id, Damage::Gap);
                continue;
            }
            match found.remove(id) {
                Some(Ok(row)) => self.image.insert_settled(*id, Some(row)),
                Some(Err(damage)) => drop(self.damaged.insert(*id, damage)),
                None => self.image.insert_settled(*id, None),
            }
        }
    }

    async fn carry_out(
        &mut self,
        requests: &[Request],
        writes: bool,
        mut workers: HashMap<WorkerId, Timestamp>,
        now: Timestamp,
    ) -> Result<(Vec<Answer>, Option<Entry>), Failure> {
        let (mut batch, mut events) = (Batch::new(now), Vec::new());
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            let answer = match request {
                Request::Commit { commits, .. } => {
                    for worker in commits.iter().map(|commit| commit.worker) {
                        if !workers.contains_key(&worker) && self.known.insert(worker) {
                            rows::know_worker(&mut self.connection, worker).await?;
                        }
                    }
                    let commit = |commit| self.commit(commit, &workers, &mut batch, &mut events);
                    Answer::Committed(commits.iter().map(commit).collect())
                }
                Request::Deliver { signal, .. } => Answer::Delivered(self.deliver(signal, &mut batch)),
                Request::Renew { worker, lease, .. } => {
                    let until = now.saturating_add(*lease);
                    rows::renew(&mut self.connection, *worker, until).await?;
                    workers.insert(*worker, until);
                    Answer::Renewed
                }
                Request::Leave { worker, .. } => {
                    self.leave(*worker, &mut batch).await?;
                    workers.remove(worker);
                    Answer::Done
                }
                Request::Claim { worker, known, limit, .. } => {
                    let chosen = self.claimable(known, *limit, &workers, now).await?;
                    if !chosen.is_empty() && !writes {
                        return Err(Failure::NeedsLock);
                    }
                    if !chosen.is_empty() && !workers.contains_key(worker) {
                        rows::know_worker(&mut self.connection, *worker).await?;
                    }
                    let mut claimed = Vec::with_capacity(chosen.len());
                    for id in chosen {
                        self.image.change(&Change::Claim(id, *worker), &mut batch);
                        claimed.extend(self.image.get(id).map(|row| row.stored(|_| true, now)));
                    }
                    Answer::Claimed(claimed)
                }
                Request::Load { id, .. } => Answer::Loaded(match self.damaged.get(id) {
                    Some(damage) => Err(damaged(*id, *damage)),
                    None => Ok(self
                        .image
                        .get(*id)
                        .map(|row| row.stored(|holder| runs(&workers, holder, now), now))),
                }),
                Request::NextDue { .. } => Answer::Due(self.next_due(&workers).await?),
                Request::Settle { .. } => Answer::Done,
                // After the tables were written.
                Request::Purge { .. } => Answer::Purged(0),
            };
            answers.push(answer);
        }
        let entry = (batch.count > 0).then(|| {
            self.applied += 1;
            Entry { no: self.applied, bytes: batch.seal() }
        });
        if !events.is_empty() {
            self.outbox.publish_in(&mut self.connection, &events).await.map_err(Failure::Outbox)?;
        }
        Ok((answers, entry))
    }

    /// Does what needs the tables as they are now.
    async fn finish(
        &mut self,
        requests: &[Request],
        mut answers: Vec<Answer>,
        now: Timestamp,
    ) -> Result<Vec<Answer>, Failure> {
        for (request, answer) in requests.iter().zip(&mut answers) {
            if let Request::Purge { age, limit, .. } = request {
                let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                let before = now.as_micros().saturating_sub(age);
                let purged = rows::purge(&mut self.connection, before, *limit, now).await?;
                if purged > 0 {
                    // Whoever has taken one of them in learns from the mark that the tables are others.
                    self.applied += 1;
                    rows::advance(&mut self.connection, self.applied).await?;
                }
                *answer = Answer::Purged(purged);
            }
        }
        Ok(answers)
    }

    fn commit(
        &mut self,
        commit: &Commit,
        workers: &HashMap<WorkerId, Timestamp>,
        batch: &mut Batch,
        events: &mut Vec<Envelope>,
    ) -> Result<Committed> {
        commit.check()?;
        let id = commit.head.id;
        if let Some(damage) = self.damaged.get(&id) {
            return Err(damaged(id, *damage));
        }
        let until = |worker| workers.get(&worker).copied().unwrap_or(Timestamp::MIN);
        let standing = self.image.get(id).map(|row| row.standing(until));
        if admit(commit, standing.as_ref(), batch.now)? != Admitted::Already {
            self.image.change(&Change::Commit(commit), batch);
            events.extend(commit.events.iter().cloned());
        }
        Ok(Committed { now: batch.now })
    }

    fn deliver(&mut self, signal: &NewSignal, batch: &mut Batch) -> Result<Delivered> {
        let id = signal.saga;
        if let Some(damage) = self.damaged.get(&id) {
            return Err(damaged(id, *damage));
        }
        let Some(row) = self.image.get(id) else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no saga {id}")));
        };
        let delivered = delivered(row, signal);
        if delivered == Delivered::Stored {
            self.image.change(&Change::Signal(signal), batch);
        }
        Ok(delivered)
    }

    async fn leave(&mut self, worker: WorkerId, batch: &mut Batch) -> Result<(), Failure> {
        self.known.remove(&worker);
        let held = rows::held_by(&mut self.connection, worker).await?;
        self.take_in(&held).await?;
        let held: Vec<SagaId> =
            self.image.held().filter(|(holder, _)| *holder == worker).map(|(_, row)| row.head.id).collect();
        for id in held {
            self.image.change(&Change::Release(id), batch);
        }
        rows::leave(&mut self.connection, worker).await?;
        Ok(())
    }

    /// Chooses what may be taken, the most overdue first, and takes the rows in.
    async fn claimable(
        &mut self,
        known: &[Known],
        limit: usize,
        workers: &HashMap<WorkerId, Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<SagaId>, Failure> {
        let wanted = |head: &Head| {
            known.iter().any(|known| known.saga == head.saga && known.versions.contains(&head.definition))
        };
        // Rows that the image has are as they are there, whatever the tables say of them.
        let within = limit.saturating_add(self.image.len());
        let mut found = rows::claimable(&mut self.connection, &rows::known(known), within, now).await?;
        found.retain(|(_, id)| !self.image.has(*id) && !self.damaged.contains_key(id));
        found.truncate(limit);
        let due = self.image.due(now).filter(|(_, row)| wanted(&row.head)).take(limit);
        found.extend(due.map(|(wake, row)| (wake, row.head.id)));
        if workers.values().any(|until| *until <= now) {
            let lapsed =
                self.image.held().filter(|(holder, row)| !runs(workers, *holder, now) && wanted(&row.head));
            found.extend(
                lapsed.map(|(holder, row)| {
                    (workers.get(&holder).copied().unwrap_or(Timestamp::MIN), row.head.id)
                }),
            );
        }
        found.sort_unstable();
        found.truncate(limit);
        let ids: Vec<SagaId> = found.into_iter().map(|(_, id)| id).collect();
        self.take_in(&ids).await?;
        // One that cannot be read is left where it is, and is seen by who asks for it or lists it.
        Ok(ids.into_iter().filter(|id| self.image.get(*id).is_some()).collect())
    }

    async fn next_due(
        &mut self,
        workers: &HashMap<WorkerId, Timestamp>,
    ) -> Result<Option<Timestamp>, Failure> {
        let within = self.image.len().saturating_add(1);
        let settled = rows::wakes(&mut self.connection, within).await?;
        let settled = settled.into_iter().find(|(_, id)| !self.image.has(*id)).map(|(wake, _)| wake);
        let mut due = [settled, self.image.first_wake()].into_iter().flatten().min();
        let holding: HashSet<WorkerId> = self.image.held().map(|(holder, _)| holder).collect();
        for (worker, until) in workers {
            if due.is_some_and(|due| due <= *until) {
                continue;
            }
            let holds = holding.contains(worker)
                || rows::held_by(&mut self.connection, *worker).await?.iter().any(|id| !self.image.has(*id));
            if holds {
                due = Some(*until);
            }
        }
        Ok(due)
    }
}

fn runs(workers: &HashMap<WorkerId, Timestamp>, worker: WorkerId, now: Timestamp) -> bool {
    workers.get(&worker).is_some_and(|until| now < *until)
}
