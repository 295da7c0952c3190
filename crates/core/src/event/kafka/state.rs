//! What a group knows of its partitions: who holds what, what is written down, and who waits for that to be committed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::dead::Replay;
use super::group::Handout;
use super::lanes::{Begun, LaneNumber, Lanes, Taken};
use super::partition::{PartitionId, Partitions};
use super::record::Unreadable;
use crate::event::delivery::stale;
use crate::event::{Receipt, Start};
use crate::{Error, Result};

#[derive(Default)]
pub(super) struct State {
    pub(super) lanes: Lanes,
    pub(super) partitions: Partitions,
    /// Where the group begins on topics that it has not read before.
    pub(super) starts: BTreeMap<Arc<str>, Start>,
    /// Where it was decided to begin when this process subscribed, for partitions of which nothing was committed then.
    pub(super) decided: HashMap<PartitionId, i64>,
    /// Whether the brokers have told which partitions are this process's.
    pub(super) joined: bool,
    /// Dead letters that were given to the group again.
    pub(super) replays: HashMap<(Arc<str>, u128), Replay>,
    pub(super) unreadable: HashMap<(Arc<str>, u128), Box<Unreadable>>,
    /// Why nothing will come any more.
    pub(super) ended: Option<Error>,
    pub(super) waiting: Vec<Waiter>,
    pub(super) flying: Option<Flight>,
    /// How much was asked for at once, and so how much is worth committing in advance.
    pub(super) demand: usize,
    /// When the next commit may be sent after one that was turned away.
    pub(super) again: Option<Instant>,
    pub(super) lazy: Option<Instant>,
}

/// A commit on its way.
#[derive(Default)]
pub(super) struct Flight {
    pub(super) waiters: Vec<Waiter>,
    /// Events whose first attempt it carries in advance.
    pub(super) ahead: Vec<(LaneNumber, u128)>,
}

/// Somebody who waits for a commit, and what takes effect with it.
pub(super) struct Waiter {
    pub(super) since: Instant,
    pub(super) work: Work,
}

pub(super) enum Work {
    Claim {
        taken: Vec<Taken>,
        reply: oneshot::Sender<Result<Handout>>,
    },
    Settle {
        receipt: Receipt,
        end: End,
        reply: oneshot::Sender<Result<()>>,
    },
    /// What was written down before is all that there is to it.
    Flush {
        reply: oneshot::Sender<Result<()>>,
    },
}

/// A settlement in a partition that went to another member.
pub(super) struct Cut {
    pub(super) receipt: Receipt,
    /// Whether it was committed before that.
    pub(super) covered: bool,
    pub(super) reply: oneshot::Sender<Result<()>>,
}

/// How an event was settled, and what is undone if that cannot be committed.
pub(super) enum End {
    Done { attempts: u32, begun: Option<Begun> },
    Released,
}

pub(super) fn position(partition: i32, offset: i64) -> u128 {
    (u128::from(partition.unsigned_abs()) << 64) | u128::from(offset.unsigned_abs())
}

pub(super) fn place(position: u128) -> (i32, i64) {
    let partition = i32::try_from(position >> 64).unwrap_or(-1);
    let offset = i64::try_from(position & u128::from(u64::MAX)).unwrap_or(-1);
    (partition, offset)
}

impl State {
    /// Takes what may be handed out, and writes the claims down.
    pub(super) fn take(
        &mut self,
        max: usize,
        topics: &[Arc<str>],
        now: Instant,
        lease: Duration,
        ahead: bool,
    ) -> Vec<Taken> {
        let (partitions, replays) = (&mut self.partitions, &self.replays);
        let taken = self.lanes.take(max, topics, now, lease, ahead, |topic, position, head| {
            // The attempt of a replayed event is written to another place, before it is handed out: it begins a run.
            if !replays.is_empty() && replays.contains_key(&(Arc::clone(topic), position)) {
                return head;
            }
            let at = partitions.at(topic, position);
            at.is_some_and(|(partition, offset)| partition.progress.claim(offset))
        });
        // What was committed in advance is written down.
        let heads = taken.iter().filter(|taken| taken.head && !ahead);
        for Receipt { topic, position, attempt, .. } in heads.map(|taken| &taken.delivery.receipt) {
            self.set_attempts(topic, *position, *attempt);
        }
        taken
    }

    pub(super) fn set_attempts(&mut self, topic: &str, position: u128, attempts: u32) {
        if let Some((partition, offset)) = self.partitions.at(topic, position) {
            partition.set_attempts(offset, attempts);
        }
    }

    /// Writes the first attempts of what comes next down before it is asked for, so that handing it out waits for no commit of
    /// its own: of the lanes that are free, and then of those that the next commit frees.
    pub(super) fn look_ahead(&mut self, now: Instant) -> Vec<(LaneNumber, u128)> {
        let (partitions, replays) = (&mut self.partitions, &self.replays);
        let mut admit = |topic: &Arc<str>, position| {
            if !replays.is_empty() && replays.contains_key(&(Arc::clone(topic), position)) {
                return false;
            }
            let Some((partition, offset)) = partitions.at(topic, position) else { return false };
            let fits = partition.progress.claim(offset);
            if fits {
                partition.set_attempts(offset, 1);
            }
            fits
        };
        let mut ahead = self.lanes.look_ahead(self.demand, now, &mut admit);
        for waiter in &self.waiting {
            if ahead.len() >= self.demand {
                break;
            }
            if let Work::Settle { receipt, end: End::Done { begun: None, .. }, .. } = &waiter.work {
                ahead.extend(self.lanes.look_past(receipt, &mut admit));
            }
        }
        ahead
    }

    /// Takes [`look_ahead`](Self::look_ahead) back: what was not handed out has used no attempt.
    pub(super) fn look_back(&mut self) {
        for (topic, position) in self.lanes.look_back() {
            self.set_attempts(&topic, position, 0);
        }
    }

    /// Begins to settle an event; tells whether it is one that was given to the group again.
    pub(super) fn begin(&mut self, receipt: &Receipt) -> Result<bool> {
        if !self.lanes.begin(receipt) {
            return Err(stale(receipt));
        }
        let replays = &self.replays;
        Ok(!replays.is_empty() && replays.contains_key(&(Arc::clone(&receipt.topic), receipt.position)))
    }

    /// Counts the attempt of the event that comes after this one in its run.
    pub(super) fn begin_next(&mut self, receipt: &Receipt) -> Option<Begun> {
        let begun = self.lanes.begin_next(receipt)?;
        self.set_attempts(&receipt.topic, begun.position, begun.attempts);
        Some(begun)
    }

    /// Gives back what was handed out and never reached anybody.
    pub(super) fn untake(&mut self, taken: &[Taken], now: Instant) {
        for taken in taken.iter().filter(|taken| taken.head) {
            let receipt = &taken.delivery.receipt;
            if self.lanes.begin(receipt) {
                let attempts = receipt.attempt.saturating_sub(1);
                self.lanes.give_back(receipt, attempts, now);
                self.set_attempts(&receipt.topic, receipt.position, attempts);
            }
        }
    }

    /// Forgets partitions that went to other members, with everything that is unsettled in them.
    ///
    /// Returns who still waits for a commit of them; a last one covers as many of those who wait, the first ones.
    pub(super) fn forget(&mut self, gone: &[PartitionId], covered: usize) -> Vec<Cut> {
        let is_gone = |topic: &Arc<str>, position: u128| {
            let partition = place(position).0;
            gone.iter().any(|(of, number)| of == topic && *number == partition)
        };
        for id in gone {
            self.partitions.remove(id);
        }
        self.lanes.retain(is_gone);
        self.replays.retain(|(topic, position), _| !is_gone(topic, *position));
        self.unreadable.retain(|(topic, position), _| !is_gone(topic, *position));
        let mut cut = Vec::new();
        for (place, mut waiter) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            match waiter.work {
                Work::Settle { receipt, reply, .. } if is_gone(&receipt.topic, receipt.position) => {
                    cut.push(Cut { receipt, covered: place < covered, reply });
                    continue;
                }
                Work::Claim { ref mut taken, .. } => taken.retain(|taken| {
                    let receipt = &taken.delivery.receipt;
                    !is_gone(&receipt.topic, receipt.position)
                }),
                Work::Settle { .. } | Work::Flush { .. } => {}
            }
            self.waiting.push(waiter);
        }
        cut
    }

    /// Lists what has changed in these partitions since the last commit, to be committed.
    pub(super) fn offsets(&mut self, only: Option<&[PartitionId]>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((topic, number), partition) in self.partitions.iter_mut() {
            let named = |only: &[PartitionId]| only.iter().any(|(of, id)| (of, *id) == (topic, number));
            if !partition.dirty || only.is_some_and(|only| !named(only)) {
                continue;
            }
            partition.dirty = false;
            let metadata = partition.progress.encode();
            let mut element = list.add_partition(&partition.full, number);
            // A base is never negative, which is what could be refused.
            let _ = element.set_offset(Offset::Offset(partition.progress.base()));
            if !metadata.is_empty() {
                element.set_metadata(metadata);
            }
        }
        list
    }
}
