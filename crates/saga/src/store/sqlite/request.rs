//! What the writer is asked, and what it answers.

use std::time::Duration;

use pumasi_core::time::Timestamp;
use tokio::sync::oneshot;

use crate::store::{Commit, Committed, Delivered, Known, NewSignal, SagaId, Stored, WorkerId};
use crate::{Error, Result};

type Reply<T> = oneshot::Sender<Result<T>>;

pub(super) enum Request {
    Commit {
        commits: Vec<Commit>,
        reply: Reply<Vec<Result<Committed>>>,
    },
    Deliver {
        signal: NewSignal,
        reply: Reply<Delivered>,
    },
    Renew {
        worker: WorkerId,
        lease: Duration,
        reply: Reply<Timestamp>,
    },
    Leave {
        worker: WorkerId,
        reply: Reply<()>,
    },
    Claim {
        worker: WorkerId,
        known: Vec<Known>,
        limit: usize,
        reply: Reply<Vec<Stored>>,
    },
    Load {
        id: SagaId,
        reply: Reply<Option<Stored>>,
    },
    NextDue {
        reply: Reply<Option<Timestamp>>,
    },
    /// Writes the tables, so that they can be asked.
    Settle {
        reply: Reply<()>,
    },
    Purge {
        age: Duration,
        limit: usize,
        reply: Reply<usize>,
    },
}

pub(super) enum Answer {
    Committed(Vec<Result<Committed>>),
    Delivered(Result<Delivered>),
    Renewed,
    Done,
    Claimed(Vec<Stored>),
    Loaded(Result<Option<Stored>>),
    Due(Option<Timestamp>),
    Purged(usize),
}

impl Request {
    /// Whether it can make sagas claimable that somebody waits for.
    pub(super) fn wakes(&self) -> bool {
        match self {
            Self::Commit { commits, .. } => commits.iter().any(|commit| !commit.holds),
            Self::Deliver { .. } | Self::Leave { .. } => true,
            _ => false,
        }
    }

    /// How many sagas go on once it is answered, and so are likely to ask again soon.
    pub(super) fn returning(&self) -> usize {
        match self {
            Self::Commit { commits, .. } => commits.iter().filter(|commit| commit.holds).count(),
            _ => 0,
        }
    }

    /// Whether it needs the lock; a claim only where it finds something.
    pub(super) fn writes(&self) -> bool {
        !matches!(self, Self::Claim { .. } | Self::Load { .. } | Self::NextDue { .. })
    }

    /// Whether the tables have to be written first.
    pub(super) fn settles(&self) -> bool {
        matches!(self, Self::Settle { .. } | Self::Purge { .. })
    }

    /// The sagas whose rows it is about.
    pub(super) fn ids(&self, into: &mut Vec<SagaId>) {
        match self {
            Self::Commit { commits, .. } => into.extend(commits.iter().map(|commit| commit.head.id)),
            Self::Deliver { signal, .. } => into.push(signal.saga),
            Self::Load { id, .. } => into.push(*id),
            _ => {}
        }
    }

    pub(super) fn reply(self, answer: Result<Answer>, now: Timestamp) {
        // Nobody may wait any more; what was done is done.
        match (self, answer) {
            (Self::Commit { reply, .. }, Ok(Answer::Committed(answers))) => drop(reply.send(Ok(answers))),
            (Self::Deliver { reply, .. }, Ok(Answer::Delivered(answer))) => drop(reply.send(answer)),
            (Self::Renew { reply, .. }, Ok(Answer::Renewed)) => drop(reply.send(Ok(now))),
            (Self::Leave { reply, .. } | Self::Settle { reply }, Ok(Answer::Done)) => {
                drop(reply.send(Ok(())));
            }
            (Self::Claim { reply, .. }, Ok(Answer::Claimed(answer))) => drop(reply.send(Ok(answer))),
            (Self::Load { reply, .. }, Ok(Answer::Loaded(answer))) => drop(reply.send(answer)),
            (Self::NextDue { reply }, Ok(Answer::Due(answer))) => drop(reply.send(Ok(answer))),
            (Self::Purge { reply, .. }, Ok(Answer::Purged(answer))) => drop(reply.send(Ok(answer))),
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
            Self::Leave { reply, .. } | Self::Settle { reply } => drop(reply.send(Err(error))),
            Self::Claim { reply, .. } => drop(reply.send(Err(error))),
            Self::Load { reply, .. } => drop(reply.send(Err(error))),
            Self::NextDue { reply } => drop(reply.send(Err(error))),
            Self::Purge { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}
