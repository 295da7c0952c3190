//! What has happened since the tables were last written: the rows that changed, and how an entry of the journal changes them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use pumasi_core::time::Timestamp;

use crate::machine::record::code::{Damage, Reader, Writer};
use crate::store::row::{Change, Row, read_bytes, read_changing, read_id, seal, unseal};
use crate::store::{Commit, Lease, NewSignal, SagaId, WorkerId};

type Result<T> = std::result::Result<T, Damage>;

/// What a change says that was read back.
enum Read {
    Commit(Box<Commit>),
    Signal(NewSignal),
    Claim(SagaId, WorkerId),
    Release(SagaId),
}

impl Read {
    fn change(&self) -> Change<'_> {
        match self {
            Self::Commit(commit) => Change::Commit(commit),
            Self::Signal(signal) => Change::Signal(signal),
            Self::Claim(id, worker) => Change::Claim(*id, *worker),
            Self::Release(id) => Change::Release(*id),
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self> {
        Ok(match from.byte()? {
            0 => {
                let id = SagaId::from_bytes(read_id(from)?);
                let named = from.byte()? != 0;
                let (saga, key) = if named { (from.text()?, from.text()?) } else { Default::default() };
                let head = read_changing(from, id, saga, key)?;
                let (version, epoch, token, flags) =
                    (from.number()?, from.number()?, from.number()?, from.byte()?);
                let worker = WorkerId::from_bytes(read_id(from)?);
                let record = read_bytes(from)?;
                let consumed = (0..from.count()?).map(|_| from.number()).collect::<Result<_>>()?;
                Self::Commit(Box::new(Commit {
                    head,
                    worker,
                    lease: Lease::Held(epoch),
                    expected: version.saturating_sub(u64::from(!record.is_empty())),
                    version,
                    token,
                    record,
                    replaces: flags & 1 != 0,
                    holds: flags & 2 != 0,
                    forgets: flags & 4 != 0,
                    consumed,
                    events: Vec::new(),
                }))
            }
            1 => Self::Signal(NewSignal {
                saga: SagaId::from_bytes(read_id(from)?),
                name: from.text()?,
                id: from.text()?,
                payload: read_bytes(from)?,
            }),
            2 => Self::Claim(SagaId::from_bytes(read_id(from)?), WorkerId::from_bytes(read_id(from)?)),
            3 => Self::Release(SagaId::from_bytes(read_id(from)?)),
            _ => return Err(Damage::Nonsense),
        })
    }
}

/// The changes of one transaction, as they are written into the journal.
pub(super) struct Batch {
    out: Writer,
    pub(super) now: Timestamp,
    pub(super) count: usize,
}

impl Batch {
    pub(super) fn new(now: Timestamp) -> Self {
        let mut out = Writer::with_capacity(1024);
        out.time(now);
        Self { out, now, count: 0 }
    }

    pub(super) fn seal(self) -> Vec<u8> {
        seal(self.out)
    }
}

/// An entry of the journal, read back.
pub(super) struct Journaled {
    now: Timestamp,
    changes: Vec<Read>,
}

impl Journaled {
    pub(super) fn decode(entry: &[u8]) -> Result<Self> {
        let mut from = unseal(entry)?;
        let now = from.time()?;
        let mut changes = Vec::new();
        while !from.0.is_empty() {
            changes.push(Read::decode(&mut from)?);
        }
        Ok(Self { now, changes })
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = SagaId> {
        self.changes.iter().map(|change| change.change().id())
    }
}

struct Slot {
    /// Nothing: the row was deleted.
    row: Option<Row>,
    /// The tables do not have it yet.
    dirty: bool,
}

/// Rows that changed since the tables were written, and those that are held and so will change. Whatever is not here is in the
/// tables as it is.
#[derive(Default)]
pub(super) struct Image {
    rows: HashMap<SagaId, Slot>,
    wakes: BTreeSet<(Timestamp, SagaId)>,
    /// How many changes the journal has that the tables have not.
    pub(super) pending: usize,
}

impl Image {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many rows of the tables must not be believed, at most.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn has(&self, id: SagaId) -> bool {
        self.rows.contains_key(&id)
    }

    pub(super) fn get(&self, id: SagaId) -> Option<&Row> {
        self.rows.get(&id).and_then(|slot| slot.row.as_ref())
    }

    /// Takes in what the tables have; a row that is here already is newer.
    pub(super) fn insert_settled(&mut self, id: SagaId, row: Option<Row>) {
        if let Entry::Vacant(vacant) = self.rows.entry(id) {
            if let Some(wake) = row.as_ref().and_then(|row| row.wake) {
                self.wakes.insert((wake, id));
            }
            vacant.insert(Slot { row, dirty: false });
        }
    }

    /// Makes a change, and notes it for the journal.
    pub(super) fn change(&mut self, change: &Change<'_>, batch: &mut Batch) {
        change.encode(&mut batch.out);
        batch.count += 1;
        self.apply(change, batch.now);
    }

    /// Repeats what another process, or an earlier one, did. The rows it is about have been taken in; returns those that are not
    /// what the entry was made for, and so are damaged.
    pub(super) fn repeat(&mut self, entry: &Journaled) -> Vec<SagaId> {
        let mut damaged = Vec::new();
        for read in &entry.changes {
            let (change, row) = (read.change(), self.get(read.change().id()));
            let fits = match (&change, row) {
                (Change::Commit(commit), row) => row.map_or(0, |row| row.version) == commit.expected,
                (_, row) => row.is_some(),
            };
            if fits {
                self.apply(&change, entry.now);
            } else {
                damaged.push(change.id());
            }
        }
        damaged
    }

    /// Forgets a row that is not what it should be.
    pub(super) fn forget(&mut self, id: SagaId) {
        if let Some(wake) = self.get(id).and_then(|row| row.wake) {
            self.wakes.remove(&(wake, id));
        }
        self.rows.remove(&id);
    }

    fn apply(&mut self, change: &Change<'_>, now: Timestamp) {
        let id = change.id();
        let slot = self.rows.entry(id).or_insert(Slot { row: None, dirty: true });
        let before = slot.row.as_ref().and_then(|row| row.wake);
        slot.row = change.apply(slot.row.take(), now);
        slot.dirty = true;
        let after = slot.row.as_ref().and_then(|row| row.wake);
        if before != after {
            if let Some(wake) = before {
                self.wakes.remove(&(wake, id));
            }
            if let Some(wake) = after {
                self.wakes.insert((wake, id));
            }
        }
        self.pending += 1;
    }

    /// Rows that nobody holds and that are due at `now`, the most overdue first.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &Row)> {
        let due = self.wakes.iter().take_while(move |(wake, _)| *wake <= now);
        due.filter_map(|(wake, id)| Some((*wake, self.get(*id)?)))
    }

    pub(super) fn first_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(wake, _)| *wake)
    }

    pub(super) fn held(&self) -> impl Iterator<Item = (WorkerId, &Row)> {
        self.rows.values().filter_map(|slot| slot.row.as_ref()).filter_map(|row| Some((row.holder?, row)))
    }

    /// What the tables do not have: rows, and ids of those that were deleted.
    pub(super) fn dirty(&self) -> (Vec<&Row>, Vec<SagaId>) {
        let (mut rows, mut deleted) = (Vec::new(), Vec::new());
        for (id, slot) in &self.rows {
            match &slot.row {
                Some(row) if slot.dirty => rows.push(row),
                None if slot.dirty => deleted.push(*id),
                _ => {}
            }
        }
        // So that those that began together come to lie together.
        rows.sort_unstable_by_key(|row| row.created_at);
        (rows, deleted)
    }

    /// Drops rows that were only read, and that nobody holds.
    pub(super) fn evict(&mut self) {
        let wakes = &mut self.wakes;
        self.rows.retain(|id, slot| {
            let stays = slot.dirty || slot.row.as_ref().is_some_and(|row| row.holder.is_some());
            if !stays && let Some(wake) = slot.row.as_ref().and_then(|row| row.wake) {
                wakes.remove(&(wake, *id));
            }
            stays
        });
    }

    /// Notes that the tables have everything; keeps what will change soon.
    pub(super) fn settled(&mut self) {
        self.pending = 0;
        self.wakes.clear();
        self.rows.retain(|_, slot| {
            slot.dirty = false;
            slot.row.as_ref().is_some_and(|row| row.holder.is_some())
        });
    }
}
