//! Whether a commit may be stored: what stores decide that read the row first.

use pumasi_core::time::Timestamp;

use super::{Commit, Lease, WorkerId};
use crate::{Error, ErrorKind, Result};

/// What a store knows of the row that a commit is for.
pub(super) struct Standing {
    pub(super) version: u64,
    pub(super) epoch: u64,
    pub(super) token: u64,
    /// Who holds it, and until when its lease runs.
    pub(super) holder: Option<(WorkerId, Timestamp)>,
}

/// What is to be done with a commit that is not refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It was stored before.
    Already,
    /// It makes the row.
    Creates,
    /// It changes the row.
    Changes,
}

fn conflict<T>(what: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::Conflict, what))
}

/// Decides by the guarantees 4 to 7 of [`SagaStore`](super::SagaStore).
pub(super) fn admit(commit: &Commit, row: Option<&Standing>, now: Timestamp) -> Result<Admitted> {
    let epoch = commit.lease.epoch();
    let Some(row) = row else {
        if commit.creates() {
            return Ok(Admitted::Creates);
        }
        return conflict("the saga does not exist any more");
    };
    if (row.version, row.epoch, row.token) == (commit.version, epoch, commit.token) {
        return Ok(Admitted::Already);
    }
    if row.version != commit.expected {
        return conflict("the saga has moved on");
    }
    match commit.lease {
        Lease::Held(held) if row.epoch != held => conflict("the saga has gone to another worker"),
        Lease::Take(taken) if row.epoch.checked_add(1) != Some(taken) => {
            conflict("the saga has gone through other hands")
        }
        Lease::Take(_)
            if row.holder.is_some_and(|(holder, until)| holder != commit.worker && now < until) =>
        {
            conflict("another worker holds the saga")
        }
        _ => Ok(Admitted::Changes),
    }
}
