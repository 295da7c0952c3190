//! The reference store: a map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pumasi_core::Result;

use super::{TaskQuery, TaskRecord, TaskStore};

/// Keeps records in memory; they go with the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryTaskStore {
    records: Arc<Mutex<BTreeMap<String, TaskRecord>>>,
}

impl MemoryTaskStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, TaskRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TaskStore for MemoryTaskStore {
    async fn put(&self, record: TaskRecord) -> Result<TaskRecord> {
        let mut records = self.lock();
        if let Some(standing) = records.get(&record.post_id)
            && !record.replaces(standing)
        {
            return Ok(standing.clone());
        }
        records.insert(record.post_id.clone(), record.clone());
        Ok(record)
    }

    async fn get(&self, post_id: &str) -> Result<Option<TaskRecord>> {
        Ok(self.lock().get(post_id).cloned())
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<TaskRecord>> {
        let from = query.after.as_ref().map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let wanted = |record: &&TaskRecord| match query.state {
            Some(state) => record.state == state,
            None => !record.state.is_deleted(),
        };
        let records = self.lock();
        let page = records.range((from, Bound::Unbounded)).map(|(_, record)| record).filter(wanted);
        Ok(page.take(query.limit()).cloned().collect())
    }
}
