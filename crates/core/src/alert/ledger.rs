//! The table of errors that wait to be told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tracing::Metadata;
use tracing::callsite::Identifier;

use super::AlertStats;
use crate::time::Timestamp;

/// What makes two errors one kind: the place in the code, and a hash of the values that tell kinds apart.
pub(super) type Fingerprint = (Identifier, u64);

/// One kind of error, as it first was, with its count.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) fingerprint: Fingerprint,
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) sample: Sample,
    pub(super) count: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// When it began to wait.
    pub(super) since: Instant,
}

/// What the first error of a kind said.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) withheld: Vec<&'static str>,
    pub(super) trace: Option<String>,
}

/// What is to be told in one message.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Errors for whose kind there was no room.
    pub(super) spilled: u64,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.spilled == 0
    }

    /// How many errors it tells of, with their kind.
    pub(super) fn count(&self) -> u64 {
        self.entries.iter().map(|entry| entry.count).sum()
    }
}

pub(super) struct Ledger {
    capacity: usize,
    state: Mutex<State>,
    pub(super) changed: Notify,
    seen: AtomicU64,
    pub(super) counts: Counts,
}

#[derive(Default)]
struct State {
    entries: HashMap<Fingerprint, Entry>,
    spilled: u64,
}

/// What became of messages.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) told: AtomicU64,
    pub(super) spilled: AtomicU64,
    pub(super) messages: AtomicU64,
    pub(super) failures: AtomicU64,
}

impl Ledger {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            changed: Notify::new(),
            seen: AtomicU64::new(0),
            counts: Counts::default(),
        }
    }

    /// Counts one error; `sample` is called, outside of the lock, if it is the first of its kind.
    pub(super) fn record(
        &self,
        fingerprint: &Fingerprint,
        metadata: &'static Metadata<'static>,
        (at, since): (Timestamp, Instant),
        sample: impl FnOnce() -> Sample,
    ) {
        self.seen.fetch_add(1, Ordering::Relaxed);
        if self.count(fingerprint, at) {
            return;
        }
        let sample = sample();
        {
            let mut state = self.lock();
            // Another thread may have been faster.
            if let Some(entry) = state.entries.get_mut(fingerprint) {
                entry.add(1, at);
                return;
            }
            if state.entries.len() >= self.capacity {
                state.spill(1, &self.counts);
            } else {
                let fingerprint = fingerprint.clone();
                let entry = Entry {
                    fingerprint: fingerprint.clone(),
                    metadata,
                    sample,
                    count: 1,
                    first: at,
                    last: at,
                    since,
                };
                state.entries.insert(fingerprint, entry);
            }
        }
        self.changed.notify_one();
    }

    /// Counts an error of a kind that waits already, or for which there is no room.
    fn count(&self, fingerprint: &Fingerprint, at: Timestamp) -> bool {
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(fingerprint) {
            entry.add(1, at);
            return true;
        }
        let is_full = state.entries.len() >= self.capacity;
        if is_full {
            state.spill(1, &self.counts);
        }
        is_full
    }

    /// Takes up to `most` kinds that are due, those that came first, and the count of what had no room.
    pub(super) fn take(&self, most: usize, due: impl Fn(&Entry) -> bool) -> Batch {
        let mut state = self.lock();
        let mut places: Vec<(Timestamp, Fingerprint)> = state
            .entries
            .values()
            .filter(|entry| due(entry))
            .map(|entry| (entry.first, entry.fingerprint.clone()))
            .collect();
        places.sort_unstable_by_key(|(first, _)| *first);
        places.truncate(most);
        let entries = places.iter().filter_map(|(_, place)| state.entries.remove(place)).collect();
        Batch { entries, spilled: std::mem::take(&mut state.spilled) }
    }

    /// Puts back what Slack did not take.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut state = self.lock();
        state.spilled += batch.spilled;
        for mut entry in batch.entries {
            if let Some(newer) = state.entries.get(&entry.fingerprint) {
                entry.add(newer.count, newer.last);
                state.entries.insert(entry.fingerprint.clone(), entry);
            } else if state.entries.len() < self.capacity {
                state.entries.insert(entry.fingerprint.clone(), entry);
            } else {
                state.spill(entry.count, &self.counts);
            }
        }
    }

    /// Keeps of these only the numbers: Slack will not take what they say.
    pub(super) fn give_up(&self, batch: &Batch) {
        let mut state = self.lock();
        state.spilled += batch.spilled;
        state.spill(batch.count(), &self.counts);
    }

    /// Looks at what waits: whether there is a number to tell, and the least of what `when` says of the kinds.
    pub(super) fn next(&self, when: impl Fn(&Entry) -> Instant) -> (bool, Option<Instant>) {
        let state = self.lock();
        (state.spilled > 0, state.entries.values().map(when).min())
    }

    pub(super) fn stats(&self) -> AlertStats {
        let state = self.lock();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        AlertStats {
            seen: read(&self.seen),
            told: read(&self.counts.told),
            spilled: read(&self.counts.spilled),
            pending: state.entries.values().map(|entry| entry.count).sum(),
            kinds: state.entries.len(),
            messages: read(&self.counts.messages),
            failures: read(&self.counts.failures),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn spill(&mut self, count: u64, counts: &Counts) {
        self.spilled += count;
        counts.spilled.fetch_add(count, Ordering::Relaxed);
    }
}

impl Entry {
    fn add(&mut self, count: u64, at: Timestamp) {
        self.count += count;
        self.last = self.last.max(at);
    }
}
