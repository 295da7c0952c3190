//! The rows of the store in memory, and what may happen to them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use pumasi_core::time::Timestamp;

use crate::planted::{self, Bug};
use crate::store::{
    Census, Commit, Delivered, Head, Known, Lease, NewSignal, Query, SagaId, Status, Stored, StoredSignal,
    Summary, WorkerId,
};
use crate::{Error, ErrorKind, Result};

#[derive(Default)]
pub(super) struct Rows {
    rows: BTreeMap<SagaId, Row>,
    /// When which row is due, of those that nobody holds.
    due: BTreeSet<(Timestamp, SagaId)>,
    workers: HashMap<WorkerId, Worker>,
    last_signal: u64,
}

struct Row {
    head: Head,
    version: u64,
    epoch: u64,
    token: u64,
    holder: Option<WorkerId>,
    /// The entry of `due`, while nobody holds the row.
    due: Option<Timestamp>,
    log: Vec<u8>,
    signals: Vec<StoredSignal>,
    created_at: Timestamp,
    updated_at: Timestamp,
    since: Timestamp,
}

#[derive(Default)]
struct Worker {
    until: Option<Timestamp>,
    holds: HashSet<SagaId>,
}

impl Worker {
    fn runs(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until || planted::is(Bug::LeaseIsForEver))
    }
}

fn conflict(what: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, what)
}

impl Rows {
    pub(super) fn renew(&mut self, worker: WorkerId, until: Timestamp) {
        self.workers.entry(worker).or_default().until = Some(until);
    }

    pub(super) fn leave(&mut self, worker: WorkerId, now: Timestamp) {
        let Some(gone) = self.workers.remove(&worker) else { return };
        for id in gone.holds {
            self.release(id, Some(now), now);
        }
    }

    fn runs(&self, worker: WorkerId, now: Timestamp) -> bool {
        self.workers.get(&worker).is_some_and(|worker| worker.runs(now))
    }

    fn holder(&self, row: &Row, now: Timestamp) -> Option<WorkerId> {
        row.holder.filter(|holder| self.runs(*holder, now))
    }

    /// Makes the row nobody's, and due at `due`, or now if signals wait.
    fn release(&mut self, id: SagaId, due: Option<Timestamp>, now: Timestamp) {
        self.detach(id);
        let Some(row) = self.rows.get_mut(&id) else { return };
        let wakes =
            !planted::is(Bug::LostWakeUp) && !row.signals.is_empty() && row.head.status != Status::Parked;
        row.due = if wakes { Some(due.map_or(now, |due| due.min(now))) } else { due };
        if let Some(due) = row.due {
            self.due.insert((due, id));
        }
    }

    /// Makes the row `worker`'s.
    fn hold(&mut self, id: SagaId, worker: WorkerId) {
        self.detach(id);
        if let Some(row) = self.rows.get_mut(&id) {
            row.holder = Some(worker);
            self.workers.entry(worker).or_default().holds.insert(id);
        }
    }

    /// Takes the row out of whatever says when it is due or who holds it.
    fn detach(&mut self, id: SagaId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if let Some(due) = row.due.take() {
            self.due.remove(&(due, id));
        }
        if let Some(holder) = row.holder.take()
            && let Some(worker) = self.workers.get_mut(&holder)
        {
            worker.holds.remove(&id);
        }
    }

    /// Stores a commit; `false` if it was stored before.
    pub(super) fn commit(&mut self, commit: Commit, now: Timestamp) -> Result<bool> {
        let id = commit.head.id;
        let epoch = commit.lease.epoch();
        match self.rows.get(&id) {
            Some(row) if row.version == commit.version && row.epoch == epoch && row.token == commit.token => {
                return Ok(false);
            }
            Some(row) => {
                if row.version != commit.expected && !planted::is(Bug::NoFencing) {
                    return Err(conflict("the saga has moved on"));
                }
                match commit.lease {
                    Lease::Held(held) if row.epoch != held && !planted::is(Bug::NoFencing) => {
                        return Err(conflict("the saga has gone to another worker"));
                    }
                    Lease::Take(taken) if row.epoch.checked_add(1) != Some(taken) => {
                        return Err(conflict("the saga has gone through other hands"));
                    }
                    Lease::Take(_) if self.holder(row, now).is_some_and(|holder| holder != commit.worker) => {
                        return Err(conflict("another worker holds the saga"));
                    }
                    _ => {}
                }
            }
            None if commit.creates() => {
                self.rows.insert(id, Row::new(&commit, now));
            }
            None => return Err(conflict("the saga does not exist any more")),
        }
        let Some(row) = self.rows.get_mut(&id) else { return Ok(false) };
        if commit.replaces {
            row.log = commit.record;
        } else {
            row.log.extend_from_slice(&commit.record);
        }
        row.version = commit.version;
        row.epoch = epoch;
        row.token = commit.token;
        row.signals.retain(|signal| !commit.consumed.contains(&signal.seq));
        row.updated_at = now;
        if !commit.head.stands_as(&row.head) {
            row.since = now;
        }
        let due = commit.head.due;
        row.head = commit.head;
        if commit.forgets && row.signals.is_empty() {
            self.detach(id);
            self.rows.remove(&id);
        } else if commit.holds {
            if row.holder != Some(commit.worker) {
                self.hold(id, commit.worker);
            }
        } else if !planted::is(Bug::ReleaseKeepsTheHolder) {
            self.release(id, due, now);
        }
        Ok(true)
    }

    pub(super) fn claim(
        &mut self,
        worker: WorkerId,
        known: &[Known],
        limit: usize,
        now: Timestamp,
    ) -> Vec<Stored> {
        let wanted = |head: &Head| {
            known.iter().any(|known| known.saga == head.saga && known.versions.contains(&head.definition))
        };
        let mut found: Vec<(Timestamp, SagaId)> = Vec::new();
        for other in self.workers.values().filter(|other| !other.holds.is_empty() && !other.runs(now)) {
            let since = other.until.unwrap_or(Timestamp::MIN);
            found.extend(other.holds.iter().map(|id| (since, *id)));
        }
        found.retain(|(_, id)| self.rows.get(id).is_some_and(|row| wanted(&row.head)));
        let due = self.due.iter().take_while(|(due, _)| *due <= now);
        let due = due.filter(|(_, id)| self.rows.get(id).is_some_and(|row| wanted(&row.head)));
        found.extend(due.take(limit));
        found.sort_unstable();
        found.truncate(limit);
        let claimed = found.into_iter().filter_map(|(_, id)| {
            self.hold(id, worker);
            let row = self.rows.get_mut(&id)?;
            row.epoch += 1;
            Some(row.stored(Some(worker), now))
        });
        claimed.collect()
    }

    pub(super) fn deliver(&mut self, signal: NewSignal, now: Timestamp) -> Result<Delivered> {
        let id = signal.saga;
        let Some(row) = self.rows.get_mut(&id) else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no saga {id}")));
        };
        if row.signals.iter().any(|waiting| waiting.id == signal.id) {
            return Ok(Delivered::Duplicate);
        }
        self.last_signal += 1;
        row.signals.push(StoredSignal {
            seq: self.last_signal,
            name: signal.name,
            id: signal.id,
            payload: signal.payload,
            at: now,
        });
        if row.holder.is_none() {
            let due = row.due;
            self.release(id, due, now);
        }
        Ok(Delivered::Stored)
    }

    pub(super) fn load(&self, id: SagaId, now: Timestamp) -> Option<Stored> {
        self.rows.get(&id).map(|row| row.stored(self.holder(row, now), now))
    }

    pub(super) fn query(&self, query: &Query, now: Timestamp) -> Vec<Summary> {
        let from = query.after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.rows
            .range((from, std::ops::Bound::Unbounded))
            .map(|(_, row)| row.summary(self.holder(row, now)))
            .filter(|summary| query.matches(summary, now))
            .take(query.limit.get())
            .collect()
    }

    pub(super) fn census(&self, now: Timestamp) -> Census {
        let mut census = Census::new();
        let mut counts: BTreeMap<_, u64> = BTreeMap::new();
        for row in self.rows.values() {
            *counts.entry((row.head.saga.clone(), row.head.status)).or_default() += 1;
            let since = match row.holder {
                Some(holder) if self.runs(holder, now) => {
                    census.held += 1;
                    None
                }
                Some(holder) => {
                    Some(self.workers.get(&holder).and_then(|worker| worker.until).unwrap_or(now))
                }
                None => row.due.filter(|due| *due <= now),
            };
            if let Some(since) = since {
                census.claimable += 1;
                census.overdue = census.overdue.max(now.saturating_since(since));
            }
        }
        census.sagas = counts.into_iter().map(|((saga, status), count)| (saga, status, count)).collect();
        census.workers = self.workers.values().filter(|worker| worker.runs(now)).count() as u64;
        census
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let leases = self.workers.values().filter(|worker| !worker.holds.is_empty());
        let leases = leases.map(|worker| worker.until.unwrap_or(Timestamp::MIN));
        leases.chain(self.due.first().map(|(due, _)| *due)).min()
    }

    pub(super) fn purge(&mut self, age: Duration, limit: usize, now: Timestamp) -> usize {
        let old = |row: &Row| {
            (row.head.status.is_final() || planted::is(Bug::PurgeTakesWhatGoesOn))
                && (row.signals.is_empty() || planted::is(Bug::PurgeTakesSignals))
                && row.holder.is_none()
                && (row.due.is_none() || planted::is(Bug::PurgeTakesSignals))
                && now.saturating_since(row.updated_at) >= age
        };
        let ids: Vec<_> =
            self.rows.iter().filter(|(_, row)| old(row)).map(|(id, _)| *id).take(limit).collect();
        for id in &ids {
            self.rows.remove(id);
        }
        self.workers.retain(|_, worker| !worker.holds.is_empty() || worker.runs(now));
        ids.len()
    }
}

impl Row {
    fn new(commit: &Commit, now: Timestamp) -> Self {
        Self {
            head: Head { status: Status::Running, ..commit.head.clone() },
            version: 0,
            epoch: 0,
            token: 0,
            holder: None,
            due: None,
            log: Vec::new(),
            signals: Vec::new(),
            created_at: now,
            updated_at: now,
            since: now,
        }
    }

    fn stored(&self, holder: Option<WorkerId>, now: Timestamp) -> Stored {
        Stored {
            head: self.head.clone(),
            version: self.version,
            epoch: self.epoch,
            holder,
            log: if planted::is(Bug::LogLosesLastRecord) {
                self.log.iter().take(self.log.len() / 2).copied().collect()
            } else {
                self.log.clone()
            },
            signals: self.signals.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            now,
        }
    }

    fn summary(&self, holder: Option<WorkerId>) -> Summary {
        let (created_at, updated_at, since) = (self.created_at, self.updated_at, self.since);
        Summary::new(self.head.clone(), self.version, self.epoch, holder, created_at, updated_at, since)
    }
}
