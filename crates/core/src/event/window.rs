//! The most recent ids, by which doubles are recognised.

use std::collections::{HashSet, VecDeque};

use super::EventId;

/// The most recent ids, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Window {
    ids: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Window {
    /// Remembers an id, and forgets the oldest ones over `limit`; returns false if the id is remembered already.
    pub(super) fn insert(&mut self, id: EventId, limit: usize) -> bool {
        let new = self.ids.insert(id);
        if new {
            self.order.push_back(id);
        }
        while self.order.len() > limit {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
        new
    }

    pub(super) fn contains(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }
}
