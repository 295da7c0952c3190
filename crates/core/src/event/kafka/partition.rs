//! The partitions that are this process's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::progress::Progress;
use super::state::place;
use crate::event::window::Window;

/// Topic (as envelopes name it) and partition.
pub(super) type PartitionId = (Arc<str>, i32);

/// One partition that is this process's.
pub(super) struct Partition {
    /// The topic's name on the brokers.
    pub(super) full: Arc<str>,
    pub(super) progress: Progress,
    pub(super) window: Window,
    /// The next offset that the consumer will give.
    pub(super) read: i64,
    /// What lies before it is read again for its ids only.
    pub(super) begin: i64,
    /// What lies before it was known when the partition came here.
    pub(super) known: i64,
    /// What was unsettled then, and was not read again so far.
    pub(super) unread: BTreeSet<i64>,
    pub(super) paused: bool,
    pub(super) dirty: bool,
}

impl Partition {
    /// Writes down how many attempts an unsettled event has used.
    pub(super) fn set_attempts(&mut self, offset: i64, attempts: u32) {
        if self.progress.attempts(offset).is_some_and(|before| before != attempts) {
            self.progress.set_attempts(offset, attempts);
            self.dirty = true;
        }
    }
}

/// Partitions by topic and number, which are found without a topic's name of one's own.
#[derive(Default)]
pub(super) struct Partitions(BTreeMap<Arc<str>, BTreeMap<i32, Partition>>);

impl Partitions {
    pub(super) fn get(&self, topic: &str, number: i32) -> Option<&Partition> {
        self.0.get(topic)?.get(&number)
    }

    pub(super) fn get_mut(&mut self, topic: &str, number: i32) -> Option<&mut Partition> {
        self.0.get_mut(topic)?.get_mut(&number)
    }

    /// Finds the partition of a position, and the offset in it.
    pub(super) fn at(&mut self, topic: &str, position: u128) -> Option<(&mut Partition, i64)> {
        let (number, offset) = place(position);
        Some((self.get_mut(topic, number)?, offset))
    }

    pub(super) fn insert(&mut self, (topic, number): PartitionId, partition: Partition) {
        self.0.entry(topic).or_default().insert(number, partition);
    }

    pub(super) fn remove(&mut self, (topic, number): &PartitionId) {
        if let Some(numbers) = self.0.get_mut(topic) {
            numbers.remove(number);
            if numbers.is_empty() {
                self.0.remove(topic);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = ((&Arc<str>, i32), &Partition)> {
        self.0.iter().flat_map(|(topic, numbers)| {
            numbers.iter().map(move |(number, partition)| ((topic, *number), partition))
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = ((&Arc<str>, i32), &mut Partition)> {
        self.0.iter_mut().flat_map(|(topic, numbers)| {
            numbers.iter_mut().map(move |(number, partition)| ((topic, *number), partition))
        })
    }
}
