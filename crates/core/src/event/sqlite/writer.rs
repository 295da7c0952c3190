//! The one writer of a process: it gathers whatever is asked at the same time into one transaction, and so into one sync.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};

use super::error::Failure;
use super::store::{self, Claim, Rows, Taken};
use crate::event::{EventId, Published, Settlement, Subscription};
use crate::time::{Clock, Timestamp};
use crate::{Error, Result};

/// How many requests share a transaction at most.
const BATCH: usize = 1024;
/// How far the clock may go back between two transactions without being taken for a jump.
pub(super) const TOLERANCE: Duration = Duration::from_millis(500);
/// How many events one clean-up deletes before other requests have their turn.
const CLEAN_UP: usize = 1000;

pub(super) struct Request {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<Answer>>,
}

pub(super) enum Work {
    Publish { rows: Rows },
    Subscribe { subscription: Subscription },
    Fetch { subs: Arc<[i64]>, max: usize, lease: Duration },
    Untake { heads: Vec<Claim> },
    Renew { claims: Vec<Claim>, lease: Duration },
    Settle { claim: Claim, settlement: Settlement },
    Replay { group: String, ids: Vec<EventId> },
    ForgetGroup { group: String },
    CleanUp,
}

pub(super) enum Answer {
    Published(Published),
    Subscribed(BTreeMap<String, i64>),
    Fetched(Handout),
    Renewed(Vec<usize>),
    /// Whether the claim stood.
    Settled(bool),
    Count(usize),
    Done,
}

impl Work {
    fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publishing",
            Self::Subscribe { .. } => "subscribing",
            Self::Fetch { .. } => "fetching",
            Self::Untake { .. } => "taking back",
            Self::Renew { .. } => "renewing leases",
            Self::Settle { .. } => "settling",
            Self::Replay { .. } => "replaying",
            Self::ForgetGroup { .. } => "forgetting a group",
            Self::CleanUp => "cleaning up",
        }
    }

    /// What it publishes, if it does.
    fn rows(&self) -> Option<&Rows> {
        match self {
            Self::Publish { rows } => Some(rows),
            _ => None,
        }
    }

    /// Whether it can make events available that a fetch waits for.
    fn wakes(&self) -> bool {
        matches!(self, Self::Publish { .. } | Self::Settle { .. } | Self::Replay { .. } | Self::Untake { .. })
    }
}

/// What a fetch leased, until somebody takes it: dropped before, it goes back.
pub(super) struct Handout {
    taken: Vec<Taken>,
    requests: mpsc::WeakUnboundedSender<Request>,
}

impl Handout {
    pub(super) fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// Takes out what is being settled: the one behind it begins then, and is what goes back with its lane.
    pub(super) fn leave_out(&mut self, claim: &Claim) {
        let Some(place) = self.taken.iter().position(|taken| taken.claim.seq == claim.seq) else { return };
        let left = self.taken.remove(place);
        if left.head
            && let Some(next) = self.taken.get_mut(place)
            && (next.claim.sub, &next.claim.key) == (claim.sub, &claim.key)
        {
            next.head = true;
        }
    }

    /// Keeps what it holds from going back.
    pub(super) fn take(mut self) {
        self.taken.clear();
    }
}

impl Drop for Handout {
    fn drop(&mut self) {
        let heads: Vec<Claim> =
            self.taken.iter().filter(|taken| taken.head).map(|taken| taken.claim.clone()).collect();
        if let (false, Some(requests)) = (heads.is_empty(), self.requests.upgrade()) {
            // If the writer has ended, the leases end by themselves.
            let (reply, _) = oneshot::channel();
            let _ = requests.send(Request { work: Work::Untake { heads }, reply });
        }
    }
}

/// What became of several requests in one transaction.
enum Together {
    Done(Vec<Answer>),
    /// Another process was in the way from the beginning.
    Busy(Failure),
    Failed,
}

pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) changed: Arc<Notify>,
    pub(super) requests: mpsc::WeakUnboundedSender<Request>,
    pub(super) retention: Duration,
    pub(super) window: u64,
    pub(super) max_pages: Option<u64>,
    pub(super) busy: Duration,
    pub(super) last: Timestamp,
}

impl Writer {
    /// Works until every handle of the bus is gone.
    pub(super) async fn run(
        mut self,
        mut incoming: mpsc::UnboundedReceiver<Request>,
        clean_up_every: Duration,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut clean_up = self.clock.sleep(clean_up_every);
        loop {
            tokio::select! {
                count = incoming.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    self.handle(std::mem::take(&mut batch)).await;
                }
                () = &mut clean_up => {
                    let more = match self.alone(&Work::CleanUp).await {
                        Ok(deleted) => matches!(deleted, Answer::Count(count) if count >= CLEAN_UP),
                        Err(failure) => {
                            let error = self.error(failure, Work::CleanUp.name());
                            tracing::warn!(error = %error, "the event store could not be cleaned up");
                            false
                        }
                    };
                    clean_up = self.clock.sleep(if more { Duration::from_millis(10) } else { clean_up_every });
                }
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::debug!(error = %error, "the event store was not closed in order; nothing is lost by that");
        }
    }

    async fn handle(&mut self, batch: Vec<Request>) {
        let wakes = batch.iter().any(|request| request.work.wakes());
        let done = if batch.len() > 1 { self.together(&batch).await } else { Together::Failed };
        match done {
            Together::Done(answers) => {
                for (request, answer) in batch.into_iter().zip(answers) {
                    // Nobody waits any more: what was fetched goes back when the answer is dropped.
                    let _ = request.reply.send(Ok(answer));
                }
            }
            Together::Busy(failure) => self.refuse(batch, failure),
            // One bad request must not spoil the others: each on its own.
            Together::Failed => {
                let mut batch = batch.into_iter();
                while let Some(Request { work, reply }) = batch.next() {
                    match self.alone(&work).await {
                        Err(failure) if failure.is_busy() => {
                            let rest = std::iter::once(Request { work, reply }).chain(batch).collect();
                            self.refuse(rest, failure);
                            break;
                        }
                        done => {
                            let _ = reply.send(done.map_err(|failure| self.error(failure, work.name())));
                        }
                    }
                }
            }
        }
        if wakes {
            self.changed.notify_waiters();
        }
    }

    /// Tells all of them that another process is in the way, for which one of them has waited: if each did, those behind
    /// would wait for as long as all before them together.
    fn refuse(&self, batch: Vec<Request>, failure: Failure) {
        let what = match batch.as_slice() {
            [one] => one.work.name(),
            _ => "writing",
        };
        let error = self.error(failure, what);
        for request in batch {
            let _ = request.reply.send(Err(error.clone()));
        }
    }

    /// Runs all requests in one transaction, unless anything fails, and then nothing was done.
    async fn together(&mut self, batch: &[Request]) -> Together {
        let before = self.last;
        match begin(&mut self.connection, self.busy).await {
            Ok(()) => {}
            Err(failure) if failure.is_busy() => return Together::Busy(failure),
            Err(_) => return Together::Failed,
        }
        let mut answers = Vec::with_capacity(batch.len());
        let Ok(now) = self.now().await else {
            self.undo(answers, before).await;
            return Together::Failed;
        };
        for run in batch.chunk_by(|one, next| one.work.rows().is_some() && next.work.rows().is_some()) {
            let done = match run {
                [one] => self.execute(&one.work, now).await.map(|answer| vec![answer]),
                several => self.publish_together(several, now).await,
            };
            let Ok(done) = done else {
                self.undo(answers, before).await;
                return Together::Failed;
            };
            answers.extend(done);
        }
        if sqlx::query("COMMIT").execute(&mut self.connection).await.is_err() {
            self.undo(answers, before).await;
            return Together::Failed;
        }
        Together::Done(answers)
    }

    async fn publish_together(
        &mut self,
        run: &[Request],
        now: Timestamp,
    ) -> std::result::Result<Vec<Answer>, Failure> {
        let calls: Vec<&Rows> = run.iter().filter_map(|request| request.work.rows()).collect();
        let done = store::publish(&mut self.connection, &calls, now, self.max_pages).await?;
        Ok(done.into_iter().map(Answer::Published).collect())
    }

    async fn alone(&mut self, work: &Work) -> std::result::Result<Answer, Failure> {
        let before = self.last;
        begin(&mut self.connection, self.busy).await?;
        let done = match self.now().await {
            Ok(now) => self.execute(work, now).await,
            Err(failure) => Err(failure),
        };
        match done {
            Ok(answer) => match sqlx::query("COMMIT").execute(&mut self.connection).await {
                Ok(_) => Ok(answer),
                Err(error) => {
                    self.undo(vec![answer], before).await;
                    Err(error.into())
                }
            },
            Err(failure) => {
                self.undo(Vec::new(), before).await;
                Err(failure)
            }
        }
    }

    async fn undo(&mut self, answers: Vec<Answer>, last: Timestamp) {
        // What was put right for the clock is undone as well.
        self.last = last;
        // Some errors have rolled back already, and then this one says that there is no transaction.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        for answer in answers {
            if let Answer::Fetched(handout) = answer {
                // The leases went with the transaction.
                handout.take();
            }
        }
    }

    fn error(&self, failure: Failure, what: &str) -> Error {
        failure.during(what, &self.path)
    }

    /// Reads the clock within a transaction, and puts right what lies in the future since it went back.
    async fn now(&mut self) -> std::result::Result<Timestamp, Failure> {
        let now = self.clock.now();
        if now.saturating_add(TOLERANCE) < self.last {
            tracing::warn!(from = %self.last, to = %now, "the clock went back; leases and delays are kept at their length");
            store::rebase(&mut self.connection, now).await?;
        }
        self.last = now;
        Ok(now)
    }

    async fn execute(&mut self, work: &Work, now: Timestamp) -> std::result::Result<Answer, Failure> {
        let connection = &mut self.connection;
        Ok(match work {
            Work::Publish { rows } => {
                let done = store::publish(connection, &[rows], now, self.max_pages).await?;
                Answer::Published(done.first().copied().unwrap_or_default())
            }
            Work::Subscribe { subscription } => {
                Answer::Subscribed(store::subscribe(connection, subscription).await?)
            }
            Work::Fetch { subs, max, lease } => {
                if store::is_ahead(connection, subs, now.saturating_add(TOLERANCE)).await? {
                    tracing::warn!(to = %now, "another process's clock was ahead; leases and delays are kept at their length");
                    store::rebase(connection, now).await?;
                }
                let taken = store::fetch(connection, subs, *max, now, now.saturating_add(*lease)).await?;
                Answer::Fetched(Handout { taken, requests: self.requests.clone() })
            }
            Work::Untake { heads } => {
                store::untake(connection, heads, now).await?;
                Answer::Done
            }
            Work::Renew { claims, lease } => {
                Answer::Renewed(store::renew(connection, claims, now, now.saturating_add(*lease)).await?)
            }
            Work::Settle { claim, settlement } => {
                Answer::Settled(store::settle(connection, claim, settlement, now).await?)
            }
            Work::Replay { group, ids } => Answer::Count(store::replay(connection, group, ids, now).await?),
            Work::ForgetGroup { group } => Answer::Count(store::forget_group(connection, group).await?),
            Work::CleanUp => {
                let retention = i64::try_from(self.retention.as_micros()).unwrap_or(i64::MAX);
                let before = Timestamp::from_micros(now.as_micros().saturating_sub(retention));
                Answer::Count(store::clean_up(connection, before, CLEAN_UP, self.window).await?)
            }
        })
    }
}

/// Begins a transaction as soon as no other process writes, or gives up after `busy`.
///
/// SQLite itself looks for the lock every 100 milliseconds. A process that writes one transaction after the other leaves it
/// free for moments only, and would keep the others out for longer than any time-out.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    busy: Duration,
) -> std::result::Result<(), Failure> {
    let begun = Instant::now();
    loop {
        // Immediate: a transaction that begins by reading could not be turned into a writing one when another process wrote.
        match sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(Failure::from) {
            Err(failure) if failure.is_busy() && begun.elapsed() < busy => {
                // The machine's time, whatever clock the bus was given: it is the other process that takes some.
                tokio::time::sleep(Duration::from_micros(fastrand::u64(500..1500))).await;
            }
            begun => return begun.map(|_| ()),
        }
    }
}
