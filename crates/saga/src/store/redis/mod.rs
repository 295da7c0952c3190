//! Sagas in a Redis server.

mod rows;

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Script, cmd};
use async_trait::async_trait;
use pumasi_core::event::{OutboxStore, RedisOutbox};
use pumasi_core::redis_link::RedisLink;
use pumasi_core::time::{Clock, SystemClock, Timestamp};
use tokio::sync::Notify;

use self::rows::{Put, Snapshot, damaged};
use super::admit::{Admitted, admit};
use super::row::{Change, Row, delivered};
use super::{
    Census, Commit, Committed, Delivered, Known, NewSignal, Query, SagaId, SagaStore, StoreCapabilities,
    Stored, Summary, WorkerId,
};
use crate::{Error, ErrorKind, Result};

/// How many commits are worth gathering into one call; what a script may do before others have their turn.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
/// How often a row that others change meanwhile is read again.
const ROUNDS: usize = 16;
/// How many rows are read in one go where all are looked at.
const PAGE: usize = 256;
/// The end of a lease that was never begun, as `put.lua` has it.
const NEVER: i64 = -1_000_000_000_000_000;

/// Keeps sagas in a Redis server (6.2 or newer), shared by any number of processes.
///
/// - **Each row is one value**, written by a script that first compares the revision with which it was read; a row that another
///   process changed meanwhile is read and decided on again.
/// - **What the server loses, the store loses.** Redis answers before it has synced. With `appendonly yes` and `appendfsync
///   always` nothing that was answered is lost by a crash. With `everysec` a crash of the server's *process* loses nothing
///   either, but one of its *machine* takes what was answered in the last second, and up to two if the disk is slow: sagas that
///   were begun then are gone, others are back where they were, and the steps after that are made again under the same
///   idempotency keys. Without an append-only file everything since the last snapshot goes; a failover takes what the replica
///   had not heard of. So where money moves: `always`, or another store.
/// - **Clock.** Leases and deadlines are the server's.
/// - **Memory.** Sagas that ended stay in the server's memory until they are [purged](SagaStore::purge). Set `maxmemory-policy
///   noeviction`.
/// - **Listing and counting** read rows in pages of 256; on a server with very many sagas they take their time.
/// - **No cluster**: the keys of one store are not in one slot.
///
/// Clones share the connection.
///
/// ```
/// use pumasi_saga::store::RedisStore;
///
/// let store = RedisStore::open("redis://127.0.0.1:6379")?.with_prefix("registrations:");
/// # let _ = store;
/// # Ok::<(), pumasi_saga::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisStore {
    link: RedisLink,
    prefix: Arc<str>,
    outbox: RedisOutbox,
    poll: Duration,
    changed: Arc<Notify>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    read: Script,
    put: Script,
    claimable: Script,
    renew: Script,
    leave: Script,
    forget_workers: Script,
    next_due: Script,
}

impl Scripts {
    fn new(clock: &str) -> Self {
        let timed = |script: &str| Script::new(&[clock, script].concat());
        Self {
            read: timed(include_str!("lua/read.lua")),
            put: Script::new(&[RedisOutbox::LUA, include_str!("lua/put.lua")].concat()),
            claimable: timed(include_str!("lua/claimable.lua")),
            renew: timed(include_str!("lua/renew.lua")),
            leave: timed(include_str!("lua/leave.lua")),
            forget_workers: timed(include_str!("lua/forget_workers.lua")),
            next_due: Script::new(include_str!("lua/next_due.lua")),
        }
    }
}

impl RedisStore {
    /// Makes a store on the server at `url`; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the URL is not understood; the error does not show it.
    pub fn open(url: &str) -> Result<Self> {
        // A batch is a larger script than what the link's usual limit is meant for.
        Ok(Self::new(RedisLink::open(url)?.with_timeout(Duration::from_secs(5))))
    }

    /// Makes a store on the server of `link`.
    pub fn new(link: RedisLink) -> Self {
        let outbox = RedisOutbox::new(link.clone());
        let store = Self {
            link,
            prefix: "".into(),
            outbox,
            poll: Duration::from_millis(100),
            changed: Arc::default(),
            scripts: Arc::new(Scripts::new(include_str!("lua/clock.lua"))),
        };
        store.with_prefix("pumasi:saga:")
    }

    /// Sets what every key begins with on the server (default `pumasi:saga:`), its outbox's among them.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self.outbox = self.outbox.with_prefix(&format!("{prefix}outbox:"));
        self
    }

    /// Takes the time from the key `{prefix}clock`, in microseconds since 1970, instead of from the server: for tests that turn
    /// the clock themselves.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_clock_key(mut self) -> Self {
        self.scripts = Arc::new(Scripts::new(include_str!("lua/clock_key.lua")));
        self
    }

    /// Sets how often an engine looks for what other processes stored (default 100 milliseconds).
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll.max(Duration::from_millis(1));
        self
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn read(&self, ids: &[SagaId]) -> Result<Snapshot> {
        let mut arguments: Vec<&[u8]> = vec![self.prefix.as_bytes()];
        arguments.extend(ids.iter().map(|id| id.as_bytes().as_slice()));
        let found = self.link.run("reading sagas", &self.scripts.read, &[], &arguments).await?;
        Ok(Snapshot::new(ids, found))
    }

    /// Writes rows that are still as they were read; tells of which this holds.
    async fn put(&self, puts: Vec<Put>) -> Result<Vec<bool>> {
        if puts.is_empty() {
            return Ok(Vec::new());
        }
        let mut arguments = vec![self.prefix.as_bytes().to_vec(), self.outbox.prefix().as_bytes().to_vec()];
        for put in puts {
            put.write(&mut arguments);
        }
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let done: Vec<i64> = self.link.run("writing sagas", &self.scripts.put, &[], &arguments).await?;
        Ok(done.into_iter().map(|done| done == 1).collect())
    }

    /// Reads, decides and writes until every commit has its answer.
    async fn commit_all(&self, commits: &[Commit], answers: &mut [Option<Result<Committed>>]) -> Result<()> {
        for _ in 0..ROUNDS {
            let mut seen = HashSet::new();
            let open: Vec<(usize, &Commit)> = commits
                .iter()
                .enumerate()
                .filter(|(place, _)| answers.get(*place).is_some_and(Option::is_none))
                .filter(|(_, commit)| seen.insert(commit.head.id))
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            let ids: Vec<SagaId> = open.iter().map(|(_, commit)| commit.head.id).collect();
            let snapshot = self.read(&ids).await?;
            let now = snapshot.now;
            let (mut puts, mut places) = (Vec::new(), Vec::new());
            for (place, commit) in open {
                let decided = self.decide(commit, &snapshot);
                match decided {
                    Ok(Some(put)) => {
                        puts.push(put);
                        places.push(place);
                    }
                    Ok(None) => settle(answers, place, Ok(Committed { now })),
                    Err(refused) => settle(answers, place, Err(refused)),
                }
            }
            for (place, done) in places.into_iter().zip(self.put(puts).await?) {
                if done {
                    settle(answers, place, Ok(Committed { now }));
                }
            }
        }
        Err(busy())
    }

    /// What one commit comes to; nothing, if it is there already.
    fn decide(&self, commit: &Commit, snapshot: &Snapshot) -> Result<Option<Put>> {
        let (rev, row) = snapshot.row(commit.head.id)?;
        let standing = row.as_ref().map(|row| row.standing(|worker| snapshot.until(worker)));
        if admit(commit, standing.as_ref(), snapshot.now)? == Admitted::Already {
            return Ok(None);
        }
        let changed = Change::Commit(commit).apply(row, snapshot.now);
        Ok(Some(Put { id: commit.head.id, rev, row: changed, events: RedisOutbox::pairs(&commit.events)? }))
    }

    /// Reads the rows of all ids after `after`, page by page, until `look` has seen enough.
    async fn scan(
        &self,
        after: Option<SagaId>,
        mut look: impl FnMut(&Snapshot, SagaId, Result<&Row>) -> bool + Send,
    ) -> Result<()> {
        let mut after = after;
        loop {
            let mut range = cmd("ZRANGEBYLEX");
            range.arg(self.key("ids"));
            match after {
                Some(id) => range.arg([b"(".as_slice(), id.as_bytes()].concat()),
                None => range.arg("-"),
            };
            range.arg("+").arg("LIMIT").arg(0).arg(PAGE);
            let members: Vec<Vec<u8>> = self.link.query("listing sagas", &range).await?;
            let ids: Vec<SagaId> = members
                .iter()
                .filter_map(|id| Some(SagaId::from_bytes(id.as_slice().try_into().ok()?)))
                .collect();
            let Some(last) = ids.last().copied() else { return Ok(()) };
            after = Some(last);
            let snapshot = self.read(&ids).await?;
            for id in ids {
                let more = match snapshot.row(id) {
                    Ok((_, Some(row))) => look(&snapshot, id, Ok(&row)),
                    Ok((_, None)) => true,
                    Err(error) => look(&snapshot, id, Err(error)),
                };
                if !more {
                    return Ok(());
                }
            }
        }
    }
}

fn settle(answers: &mut [Option<Result<Committed>>], place: usize, answer: Result<Committed>) {
    if let Some(open) = answers.get_mut(place) {
        *open = Some(answer);
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Unavailable, "a saga on Redis was changed by others again and again")
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .field("poll", &self.poll)
            .finish_non_exhaustive()
    }
}

fn micros(duration: Duration) -> i64 {
    // Scores are exact up to 2^53.
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX).min(1 << 51)
}

#[async_trait]
impl SagaStore for RedisStore {
    fn capabilities(&self) -> StoreCapabilities {
        StoreCapabilities { durable: true, batch: BATCH, ..StoreCapabilities::none() }
    }

    async fn renew(&self, worker: WorkerId, lease: Duration) -> Result<Timestamp> {
        let lease = micros(lease).to_string();
        let arguments = [self.prefix.as_bytes(), worker.as_bytes(), lease.as_bytes()];
        let now: i64 =
            self.link.run("renewing a worker's lease", &self.scripts.renew, &[], &arguments).await?;
        Ok(Timestamp::from_micros(now))
    }

    async fn leave(&self, worker: WorkerId) -> Result<()> {
        let mut held = cmd("SMEMBERS");
        held.arg([self.key("held:").as_bytes(), worker.as_bytes()].concat());
        for _ in 0..ROUNDS {
            let members: Vec<Vec<u8>> = self.link.query("ending a worker's lease", &held).await?;
            let ids: Vec<SagaId> = members
                .iter()
                .filter_map(|id| Some(SagaId::from_bytes(id.as_slice().try_into().ok()?)))
                .collect();
            if ids.is_empty() {
                break;
            }
            for ids in ids.chunks(PAGE) {
                let snapshot = self.read(ids).await?;
                let release = |id: &SagaId| {
                    let (rev, row) = snapshot.row(*id).ok()?;
                    let row = row.filter(|row| row.holder == Some(worker))?;
                    let row = Change::Release(*id).apply(Some(row), snapshot.now);
                    Some(Put { id: *id, rev, row, events: Vec::new() })
                };
                self.put(ids.iter().filter_map(release).collect()).await?;
            }
        }
        let arguments = [self.prefix.as_bytes(), worker.as_bytes()];
        let _: i64 = self.link.run("ending a worker's lease", &self.scripts.leave, &[], &arguments).await?;
        self.changed.notify_waiters();
        Ok(())
    }

    async fn claim(&self, worker: WorkerId, known: &[Known], limit: NonZeroUsize) -> Result<Vec<Stored>> {
        let limit_text = limit.to_string();
        let pairs: Vec<(Arc<str>, String)> = known
            .iter()
            .flat_map(|known| {
                known.versions.iter().map(|version| (Arc::clone(&known.saga), version.to_string()))
            })
            .collect();
        let mut arguments = vec![self.prefix.as_bytes(), limit_text.as_bytes()];
        arguments.extend(pairs.iter().flat_map(|(saga, version)| [saga.as_bytes(), version.as_bytes()]));
        let found: Vec<Vec<u8>> =
            self.link.run("looking for sagas that are due", &self.scripts.claimable, &[], &arguments).await?;
        let mut due: Vec<(i64, SagaId)> = found.iter().filter_map(|found| rows::since(found)).collect();
        due.sort_unstable();
        due.truncate(limit.get());
        let ids: Vec<SagaId> = due.into_iter().map(|(_, id)| id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let snapshot = self.read(&ids).await?;
        let (mut puts, mut claimed) = (Vec::new(), Vec::new());
        for id in ids {
            // One that cannot be read is left where it is, and is seen by who asks for it or lists it.
            let Ok((rev, Some(row))) = snapshot.row(id) else { continue };
            let free = match row.holder {
                Some(holder) => !snapshot.runs(holder),
                None => row.wake.is_some_and(|wake| wake <= snapshot.now),
            };
            if free && let Some(row) = Change::Claim(id, worker).apply(Some(row), snapshot.now) {
                claimed.push(row.stored(|_| true, snapshot.now));
                puts.push(Put { id, rev, row: Some(row), events: Vec::new() });
            }
        }
        let done = self.put(puts).await?;
        Ok(claimed.into_iter().zip(done).filter(|(_, done)| *done).map(|(stored, _)| stored).collect())
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<Committed>> {
        let mut answers: Vec<Option<Result<Committed>>> =
            commits.iter().map(|commit| commit.check().err().map(Err)).collect();
        let failure = self.commit_all(&commits, &mut answers).await.err().unwrap_or_else(busy);
        if commits.iter().any(|commit| !commit.holds) {
            self.changed.notify_waiters();
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(failure.clone()))).collect()
    }

    async fn deliver(&self, signal: NewSignal) -> Result<Delivered> {
        let id = signal.saga;
        for _ in 0..ROUNDS {
            let snapshot = self.read(&[id]).await?;
            let (rev, row) = snapshot.row(id)?;
            let Some(row) = row else {
                return Err(Error::new(ErrorKind::NotFound, format!("there is no saga {id}")));
            };
            if delivered(&row, &signal) == Delivered::Duplicate {
                return Ok(Delivered::Duplicate);
            }
            let row = Change::Signal(&signal).apply(Some(row), snapshot.now);
            if self.put(vec![Put { id, rev, row, events: Vec::new() }]).await? == [true] {
                self.changed.notify_waiters();
                return Ok(Delivered::Stored);
            }
        }
        Err(busy())
    }

    async fn load(&self, id: SagaId) -> Result<Option<Stored>> {
        let snapshot = self.read(&[id]).await?;
        let (_, row) = snapshot.row(id)?;
        Ok(row.map(|row| row.stored(|worker| snapshot.runs(worker), snapshot.now)))
    }

    async fn load_all(&self, ids: &[SagaId]) -> Result<Vec<Option<Stored>>> {
        let snapshot = self.read(ids).await?;
        let stored = |row: Row| row.stored(|worker| snapshot.runs(worker), snapshot.now);
        ids.iter().map(|id| Ok(snapshot.row(*id)?.1.map(stored))).collect()
    }

    async fn query(&self, query: &Query) -> Result<Vec<Summary>> {
        query.check()?;
        let mut found = Vec::new();
        self.scan(query.after, |snapshot, id, row| {
            let summary = match row {
                Ok(row) => row.summary(row.holder.is_some_and(|holder| snapshot.runs(holder))),
                Err(_) => damaged(id, snapshot.now),
            };
            if query.matches(&summary, snapshot.now) {
                found.push(summary);
            }
            found.len() < query.limit.get()
        })
        .await?;
        Ok(found)
    }

    async fn census(&self) -> Result<Census> {
        let mut counts = std::collections::BTreeMap::new();
        let mut census = Census::new();
        let mut workers = 0;
        self.scan(None, |snapshot, id, row| {
            workers = snapshot.running();
            let damaged = damaged(id, snapshot.now);
            let head = row.as_ref().map_or(&damaged.head, |row| &row.head);
            *counts.entry((Arc::clone(&head.saga), head.status)).or_insert(0_u64) += 1;
            let Ok(row) = row else { return true };
            let since = match row.holder {
                Some(holder) if snapshot.runs(holder) => {
                    census.held += 1;
                    return true;
                }
                Some(holder) => Some(snapshot.until(holder)),
                None => row.wake.filter(|wake| *wake <= snapshot.now),
            };
            if let Some(since) = since {
                census.claimable += 1;
                if since.as_micros() > NEVER {
                    census.overdue = census.overdue.max(snapshot.now.saturating_since(since));
                }
            }
            true
        })
        .await?;
        census.workers = workers;
        census.sagas = counts.into_iter().map(|((saga, status), count)| (saga, status, count)).collect();
        Ok(census)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>> {
        let doing = "looking for the next saga that is due";
        let due: Option<i64> =
            self.link.run(doing, &self.scripts.next_due, &[], &[self.prefix.as_bytes()]).await?;
        Ok(due.map(Timestamp::from_micros))
    }

    async fn purge(&self, age: Duration, limit: NonZeroUsize) -> Result<usize> {
        let now = self.read(&[]).await?.now;
        let before = now.as_micros().saturating_sub(micros(age));
        let mut old = cmd("ZRANGEBYSCORE");
        old.arg(self.key("ended")).arg("-inf").arg(before).arg("LIMIT").arg(0).arg(limit.get());
        let members: Vec<Vec<u8>> = self.link.query("forgetting sagas that ended", &old).await?;
        let ids: Vec<SagaId> = members
            .iter()
            .filter_map(|id| Some(SagaId::from_bytes(id.as_slice().try_into().ok()?)))
            .collect();
        let mut gone = 0;
        for ids in ids.chunks(PAGE) {
            let snapshot = self.read(ids).await?;
            let forget = |id: &SagaId| {
                let (rev, row) = snapshot.row(*id).ok()?;
                row.filter(Row::is_over)?;
                Some(Put { id: *id, rev, row: None, events: Vec::new() })
            };
            let done = self.put(ids.iter().filter_map(forget).collect()).await?;
            gone += done.into_iter().filter(|done| *done).count();
        }
        let doing = "forgetting workers that died";
        let _: i64 =
            self.link.run(doing, &self.scripts.forget_workers, &[], &[self.prefix.as_bytes()]).await?;
        Ok(gone)
    }

    async fn changed(&self) {
        tokio::select! {
            () = self.changed.notified() => {}
            () = SystemClock.sleep(self.poll) => {}
        }
    }

    fn outbox(&self) -> Arc<dyn OutboxStore> {
        Arc::new(self.outbox.clone())
    }
}
