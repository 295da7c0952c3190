//! What the scripts are given, and what they answer.

use std::collections::HashMap;

use pumasi_core::time::Timestamp;

use crate::store::row::Row;
use crate::store::{Head, SagaId, Status, Summary, WorkerId};
use crate::{Error, ErrorKind, Result};

/// The time, the workers with the ends of their leases one after the other, and rows with their revisions.
type Found = (i64, Vec<Vec<u8>>, Vec<Option<(Vec<u8>, Vec<u8>)>>);

/// Rows as they were at one moment.
pub(super) struct Snapshot {
    pub(super) now: Timestamp,
    workers: HashMap<WorkerId, Timestamp>,
    rows: HashMap<SagaId, (Vec<u8>, Vec<u8>)>,
}

impl Snapshot {
    pub(super) fn new(ids: &[SagaId], (now, workers, rows): Found) -> Self {
        let until = |pair: &[Vec<u8>]| {
            let [worker, until] = pair else { return None };
            let worker = WorkerId::from_bytes(worker.as_slice().try_into().ok()?);
            Some((worker, Timestamp::from_micros(score(until)?)))
        };
        Self {
            now: Timestamp::from_micros(now),
            workers: workers.chunks(2).filter_map(until).collect(),
            rows: ids.iter().zip(rows).filter_map(|(id, row)| Some((*id, row?))).collect(),
        }
    }

    /// The revision of a row and the row; an empty one where there is none.
    pub(super) fn row(&self, id: SagaId) -> Result<(Vec<u8>, Option<Row>)> {
        let Some((rev, bytes)) = self.rows.get(&id) else { return Ok((Vec::new(), None)) };
        match Row::decode(bytes) {
            Ok(row) => Ok((rev.clone(), Some(row))),
            Err(damage) => {
                let message = format!("what is stored of saga {id} is damaged: {}", damage.as_str());
                Err(Error::new(ErrorKind::Storage, message))
            }
        }
    }

    pub(super) fn until(&self, worker: WorkerId) -> Timestamp {
        self.workers.get(&worker).copied().unwrap_or(Timestamp::MIN)
    }

    pub(super) fn runs(&self, worker: WorkerId) -> bool {
        self.now < self.until(worker)
    }

    /// How many workers have a lease that runs.
    pub(super) fn running(&self) -> u64 {
        self.workers.values().filter(|until| self.now < **until).count() as u64
    }
}

/// A score as Redis writes it: a whole number, possibly with an exponent.
fn score(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a moment is far below what an integer holds, and saturates"
    )]
    Some(number as i64)
}

/// An id and since when it is due, in one.
pub(super) fn since(found: &[u8]) -> Option<(i64, SagaId)> {
    let (id, since) = found.split_first_chunk::<16>()?;
    Some((score(since)?, SagaId::from_bytes(*id)))
}

/// A row to write, if it still has the revision.
pub(super) struct Put {
    pub(super) id: SagaId,
    pub(super) rev: Vec<u8>,
    /// Nothing: the row goes.
    pub(super) row: Option<Row>,
    pub(super) events: Vec<(i16, String)>,
}

impl Put {
    pub(super) fn write(self, arguments: &mut Vec<Vec<u8>>) {
        let moment =
            |at: Option<Timestamp>| at.map(|at| at.as_micros().to_string().into_bytes()).unwrap_or_default();
        arguments.push(self.id.as_bytes().to_vec());
        arguments.push(self.rev);
        match &self.row {
            Some(row) => {
                arguments.push(row.encode());
                arguments.push(row.head.saga.as_bytes().to_vec());
                arguments.push(row.head.definition.to_string().into_bytes());
                arguments.push(moment(row.wake));
                arguments.push(row.holder.map(|holder| holder.as_bytes().to_vec()).unwrap_or_default());
                arguments.push(moment(row.is_over().then_some(row.updated_at)));
            }
            None => arguments.extend(std::iter::repeat_n(Vec::new(), 6)),
        }
        arguments.push(self.events.len().to_string().into_bytes());
        for (shard, body) in self.events {
            arguments.push(shard.to_string().into_bytes());
            arguments.push(body.into_bytes());
        }
    }
}

/// How a row is listed that cannot be read: parked, so that somebody sees it.
pub(super) fn damaged(id: SagaId, now: Timestamp) -> Summary {
    let head = Head {
        id,
        saga: "".into(),
        definition: 0,
        key: "".into(),
        status: Status::Parked,
        step: "".into(),
        due: None,
        reason: Some("damaged".into()),
    };
    Summary::new(head, 0, 0, None, now, now, now)
}
