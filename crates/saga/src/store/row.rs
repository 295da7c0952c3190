//! A saga as stores keep it that write it whole, and what changes it.

use std::sync::Arc;

use pumasi_core::time::Timestamp;

use crate::machine::record::code::{Damage, Reader, Writer};
use crate::store::admit::Standing;
use crate::store::{
    Commit, Delivered, Head, NewSignal, SagaId, Status, Stored, StoredSignal, Summary, WorkerId,
};

type Result<T> = std::result::Result<T, Damage>;

/// A saga, whole.
#[derive(Clone)]
pub(in crate::store) struct Row {
    pub(in crate::store) head: Head,
    pub(in crate::store) version: u64,
    pub(in crate::store) epoch: u64,
    token: u64,
    pub(in crate::store) holder: Option<WorkerId>,
    /// When it is to be looked at, while nobody holds it.
    pub(in crate::store) wake: Option<Timestamp>,
    pub(in crate::store) created_at: Timestamp,
    pub(in crate::store) updated_at: Timestamp,
    pub(in crate::store) since: Timestamp,
    log: Vec<u8>,
    signals: Vec<StoredSignal>,
    last_signal: u64,
}

impl Row {
    pub(in crate::store) fn standing(&self, until: impl Fn(WorkerId) -> Timestamp) -> Standing {
        Standing {
            version: self.version,
            epoch: self.epoch,
            token: self.token,
            holder: self.holder.map(|holder| (holder, until(holder))),
        }
    }

    pub(in crate::store) fn stored(&self, runs: impl Fn(WorkerId) -> bool, now: Timestamp) -> Stored {
        Stored {
            head: self.head.clone(),
            version: self.version,
            epoch: self.epoch,
            holder: self.holder.filter(|holder| runs(*holder)),
            log: self.log.clone(),
            signals: self.signals.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            now,
        }
    }

    pub(in crate::store) fn summary(&self, runs: bool) -> Summary {
        let holder = self.holder.filter(|_| runs);
        let (created_at, updated_at, since) = (self.created_at, self.updated_at, self.since);
        Summary::new(self.head.clone(), self.version, self.epoch, holder, created_at, updated_at, since)
    }

    /// Whether it ended, and nothing waits for anybody.
    #[cfg(feature = "redis")]
    pub(in crate::store) fn is_over(&self) -> bool {
        self.head.status.is_final() && self.holder.is_none() && self.wake.is_none() && self.signals.is_empty()
    }

    #[cfg(feature = "embedded")]
    pub(in crate::store) fn has_signals(&self) -> bool {
        !self.signals.is_empty()
    }

    pub(in crate::store) fn has_signal(&self, id: &str) -> bool {
        self.signals.iter().any(|signal| &*signal.id == id)
    }

    /// Writes the row as the tables keep it.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(160 + self.log.len());
        write_head(&mut out, &self.head);
        for number in [self.version, self.epoch, self.token, self.last_signal] {
            out.number(number);
        }
        write_worker(&mut out, self.holder);
        out.moment(self.wake);
        out.time(self.created_at);
        out.time(self.updated_at);
        out.bytes(&self.log);
        out.length(self.signals.len());
        for signal in &self.signals {
            out.number(signal.seq);
            out.text(&signal.name);
            out.text(&signal.id);
            out.bytes(&signal.payload);
            out.time(signal.at);
        }
        out.time(self.since);
        seal(out)
    }

    pub(in crate::store) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut from = unseal(bytes)?;
        let head = read_head(&mut from)?;
        let (version, epoch) = (from.number()?, from.number()?);
        let (token, last_signal) = (from.number()?, from.number()?);
        let (holder, wake) = (read_worker(&mut from)?, from.moment()?);
        let (created_at, updated_at) = (from.time()?, from.time()?);
        let log = read_bytes(&mut from)?;
        let mut signals = Vec::new();
        for _ in 0..from.count()? {
            signals.push(StoredSignal {
                seq: from.number()?,
                name: from.text()?,
                id: from.text()?,
                payload: read_bytes(&mut from)?,
                at: from.time()?,
            });
        }
        // The first version did not write it.
        let since = if from.0.is_empty() { updated_at } else { from.time()? };
        Ok(Self {
            head,
            version,
            epoch,
            token,
            holder,
            wake,
            created_at,
            updated_at,
            since,
            log,
            signals,
            last_signal,
        })
    }

    fn release(&mut self, due: Option<Timestamp>, now: Timestamp) {
        self.holder = None;
        // Nobody's code can do anything with a parked one, whatever signals wait.
        let asleep = self.signals.is_empty() || self.head.status == Status::Parked;
        self.wake = if asleep { due } else { Some(due.map_or(now, |due| due.min(now))) };
    }
}

/// Bytes that may be longer than what the records' code believes: a log.
pub(in crate::store) fn read_bytes(from: &mut Reader<'_>) -> Result<Vec<u8>> {
    let length = from.count()?;
    Ok(from.take(length)?.to_vec())
}

pub(in crate::store) fn seal(body: Writer) -> Vec<u8> {
    let mut sealed = body.finish();
    let sum = crc32fast::hash(&sealed);
    sealed.extend_from_slice(&sum.to_le_bytes());
    sealed
}

pub(in crate::store) fn unseal(sealed: &[u8]) -> Result<Reader<'_>> {
    let (body, sum) = sealed.split_last_chunk::<4>().ok_or(Damage::Short)?;
    if crc32fast::hash(body) == u32::from_le_bytes(*sum) { Ok(Reader(body)) } else { Err(Damage::Checksum) }
}

fn write_head(out: &mut Writer, head: &Head) {
    out.raw(head.id.as_bytes());
    out.text(&head.saga);
    out.text(&head.key);
    write_changing(out, head);
}

fn write_changing(out: &mut Writer, head: &Head) {
    out.number(head.definition.into());
    out.byte(head.status.number());
    out.text(&head.step);
    out.moment(head.due);
    out.byte(u8::from(head.reason.is_some()));
    if let Some(reason) = &head.reason {
        out.text(reason);
    }
}

pub(in crate::store) fn read_id(from: &mut Reader<'_>) -> Result<[u8; 16]> {
    from.take(16)?.try_into().map_err(|_| Damage::Short)
}

fn read_head(from: &mut Reader<'_>) -> Result<Head> {
    let id = SagaId::from_bytes(read_id(from)?);
    let (saga, key) = (from.text()?, from.text()?);
    read_changing(from, id, saga, key)
}

pub(in crate::store) fn read_changing(
    from: &mut Reader<'_>,
    id: SagaId,
    saga: Arc<str>,
    key: Arc<str>,
) -> Result<Head> {
    Ok(Head {
        id,
        saga,
        key,
        definition: from.small()?,
        status: Status::from_number(from.byte()?).ok_or(Damage::Nonsense)?,
        step: from.text()?,
        due: from.moment()?,
        reason: if from.byte()? == 0 { None } else { Some(from.text()?) },
    })
}

fn write_worker(out: &mut Writer, worker: Option<WorkerId>) {
    out.byte(u8::from(worker.is_some()));
    if let Some(worker) = worker {
        out.raw(worker.as_bytes());
    }
}

fn read_worker(from: &mut Reader<'_>) -> Result<Option<WorkerId>> {
    match from.byte()? {
        0 => Ok(None),
        _ => Ok(Some(WorkerId::from_bytes(read_id(from)?))),
    }
}

/// One change of one row, as the journal has it. It has been decided: applying it asks nothing.
#[cfg_attr(
    not(feature = "embedded"),
    expect(dead_code, reason = "a journal alone asks which saga it is about")
)]
pub(in crate::store) enum Change<'a> {
    Commit(&'a Commit),
    Signal(&'a NewSignal),
    Claim(SagaId, WorkerId),
    /// Its holder has left.
    Release(SagaId),
}

impl Change<'_> {
    #[cfg(feature = "embedded")]
    pub(in crate::store) fn id(&self) -> SagaId {
        match self {
            Self::Commit(commit) => commit.head.id,
            Self::Signal(signal) => signal.saga,
            Self::Claim(id, _) | Self::Release(id) => *id,
        }
    }

    /// Writes it as a journal has it.
    #[cfg(feature = "embedded")]
    pub(in crate::store) fn encode(&self, out: &mut Writer) {
        match self {
            Self::Commit(commit) => {
                out.byte(0);
                let head = &commit.head;
                out.raw(head.id.as_bytes());
                // What never changes is written once.
                out.byte(u8::from(commit.creates()));
                if commit.creates() {
                    out.text(&head.saga);
                    out.text(&head.key);
                }
                write_changing(out, head);
                out.number(commit.version);
                out.number(commit.lease.epoch());
                out.number(commit.token);
                let flags =
                    u8::from(commit.replaces) | u8::from(commit.holds) << 1 | u8::from(commit.forgets) << 2;
                out.byte(flags);
                out.raw(commit.worker.as_bytes());
                out.bytes(&commit.record);
                out.length(commit.consumed.len());
                for seq in &commit.consumed {
                    out.number(*seq);
                }
            }
            Self::Signal(signal) => {
                out.byte(1);
                out.raw(signal.saga.as_bytes());
                out.text(&signal.name);
                out.text(&signal.id);
                out.bytes(&signal.payload);
            }
            Self::Claim(id, worker) => {
                out.byte(2);
                out.raw(id.as_bytes());
                out.raw(worker.as_bytes());
            }
            Self::Release(id) => {
                out.byte(3);
                out.raw(id.as_bytes());
            }
        }
    }

    /// Makes the row what it is after this.
    pub(in crate::store) fn apply(&self, row: Option<Row>, now: Timestamp) -> Option<Row> {
        match self {
            Self::Commit(commit) => {
                let mut row = row.unwrap_or_else(|| Row {
                    head: commit.head.clone(),
                    version: 0,
                    epoch: 0,
                    token: 0,
                    holder: None,
                    wake: None,
                    created_at: now,
                    updated_at: now,
                    since: now,
                    log: Vec::new(),
                    signals: Vec::new(),
                    last_signal: 0,
                });
                if commit.replaces {
                    row.log.clear();
                }
                row.log.extend_from_slice(&commit.record);
                row.version = commit.version;
                row.epoch = commit.lease.epoch();
                row.token = commit.token;
                row.updated_at = now;
                if !commit.head.stands_as(&row.head) {
                    row.since = now;
                }
                row.head = Head { saga: row.head.saga, key: row.head.key, ..commit.head.clone() };
                if !commit.consumed.is_empty() {
                    row.signals.retain(|signal| !commit.consumed.contains(&signal.seq));
                }
                if commit.forgets && row.signals.is_empty() {
                    return None;
                }
                if commit.holds {
                    row.holder = Some(commit.worker);
                    row.wake = None;
                } else {
                    row.release(commit.head.due, now);
                }
                Some(row)
            }
            Self::Signal(signal) => {
                let mut row = row?;
                row.last_signal += 1;
                row.signals.push(StoredSignal {
                    seq: row.last_signal,
                    name: signal.name.clone(),
                    id: signal.id.clone(),
                    payload: signal.payload.clone(),
                    at: now,
                });
                if row.holder.is_none() {
                    row.release(row.wake, now);
                }
                Some(row)
            }
            Self::Claim(_, worker) => {
                let mut row = row?;
                row.epoch += 1;
                row.holder = Some(*worker);
                row.wake = None;
                Some(row)
            }
            Self::Release(_) => {
                let mut row = row?;
                row.release(Some(now), now);
                Some(row)
            }
        }
    }
}

/// What a signal comes to.
pub(in crate::store) fn delivered(row: &Row, signal: &NewSignal) -> Delivered {
    if row.has_signal(&signal.id) { Delivered::Duplicate } else { Delivered::Stored }
}
