//! Transactions of the store in memory.

use std::any::Any;
use std::fmt;

use async_trait::async_trait;

use super::MemoryStore;
use crate::Result;
use crate::store::{Commit, Committed, StoreTransaction};

/// A transaction of a [`MemoryStore`]: what a step [writes](Self::write) happens together with its commit, or not at all.
pub struct MemoryTransaction {
    store: MemoryStore,
    writes: Vec<Box<dyn FnOnce() + Send>>,
}

impl MemoryTransaction {
    pub(super) fn new(store: MemoryStore) -> Self {
        Self { store, writes: Vec::new() }
    }

    /// Runs `write` when the transaction commits, while no other commit of the store happens.
    pub fn write(&mut self, write: impl FnOnce() + Send + 'static) {
        self.writes.push(Box::new(write));
    }
}

impl fmt::Debug for MemoryTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTransaction").field("writes", &self.writes.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl StoreTransaction for MemoryTransaction {
    fn as_any(&mut self) -> &mut (dyn Any + Send) {
        self
    }

    async fn commit(self: Box<Self>, commit: Commit) -> Result<Committed> {
        let Self { store, writes } = *self;
        store.commit_with(commit, || writes.into_iter().for_each(|write| write()))
    }
}
