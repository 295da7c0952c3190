//! The reference store: a map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pumasi_core::Result;

use super::{TaskOrder, TaskQuery, TaskRecord, TaskStore};

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
        let records = self.lock();
        let wanted = |record: &&TaskRecord| query.asks_for(record.state);
        match &query.order {
            TaskOrder::Identifier { after } => {
                let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let behind = records.range::<str, _>((from, Bound::Unbounded)).map(|(_, record)| record);
                Ok(behind.filter(wanted).take(query.limit()).cloned().collect())
            }
            TaskOrder::NewestFirst { after } => {
                let mut placed: Vec<_> =
                    records.values().filter(wanted).map(|record| (record.place(), record)).collect();
                placed.retain(|(place, _)| after.as_ref().is_none_or(|after| place < after));
                placed.sort_by(|(one, _), (other, _)| other.cmp(one));
                Ok(placed.into_iter().take(query.limit()).map(|(_, record)| record.clone()).collect())
            }
        }
    }
}
