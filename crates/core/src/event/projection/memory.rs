//! Replicas in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::store::{CHUNK, not_registered, signed_version, superseded};
use super::{Begun, Entity, EntityPage, ProjectionStore, Swapped, Target};
use crate::Result;
use crate::event::{Envelope, State};
use crate::time::Timestamp;

/// Keeps replicas in the process's memory: the reference of the laws, for tests, and for services that read the topic from
/// its start whenever they begin.
#[derive(Default)]
pub struct MemoryProjectionStore {
    replicas: Mutex<HashMap<String, Replica>>,
}

struct Replica {
    serving: u64,
    building: Option<u64>,
    last: u64,
    generations: BTreeMap<u64, BTreeMap<String, Row>>,
}

struct Row {
    version: u64,
    occurred_at: Timestamp,
    /// `None` is a tombstone.
    value: Option<Value>,
}

impl Row {
    fn of(event: &Envelope) -> Self {
        Self {
            version: event.version,
            occurred_at: event.occurred_at,
            value: (event.state != State::Deleted).then(|| event.payload.clone()),
        }
    }

    fn yields_to(&self, event: &Envelope) -> bool {
        self.version < event.version
            || (self.version == 0 && event.version == 0 && self.occurred_at < event.occurred_at)
    }

    fn entity(&self, key: &str) -> Option<Entity<Value>> {
        let value = self.value.clone()?;
        Some(Entity::new(key.to_owned(), self.version, self.occurred_at, value))
    }
}

impl Default for Replica {
    fn default() -> Self {
        Self { serving: 1, building: None, last: 1, generations: BTreeMap::from([(1, BTreeMap::new())]) }
    }
}

impl Replica {
    fn served(&self) -> impl Iterator<Item = (&String, &Row)> {
        self.generations.get(&self.serving).into_iter().flatten()
    }

    fn count(&self, generation: u64) -> u64 {
        let rows = self.generations.get(&generation).into_iter().flatten();
        rows.filter(|(_, row)| row.value.is_some()).count() as u64
    }

    /// Counts what is served and a generation does not know.
    fn missing(&self, generation: u64) -> u64 {
        let built = self.generations.get(&generation);
        let served = self.generations.get(&self.serving).into_iter().flatten();
        let lacks = |key: &String| built.is_none_or(|built| !built.contains_key(key));
        served.filter(|(key, row)| row.value.is_some() && lacks(key)).count() as u64
    }

    fn retire(&mut self) {
        let (serving, building) = (self.serving, self.building);
        self.generations.retain(|generation, _| *generation == serving || Some(*generation) == building);
    }
}

impl MemoryProjectionStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Replica>> {
        // Every change of the state is complete before anything in it can panic.
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryProjectionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryProjectionStore")
    }
}

#[async_trait]
impl ProjectionStore for MemoryProjectionStore {
    async fn register(&self, projection: &str) -> Result<()> {
        self.lock().entry(projection.to_owned()).or_default();
        Ok(())
    }

    async fn apply(&self, projection: &str, target: Target, events: &[Envelope]) -> Result<usize> {
        events.iter().try_for_each(|event| signed_version(event).map(|_| ()))?;
        let mut replicas = self.lock();
        let replica = replicas.get_mut(projection).ok_or_else(|| not_registered(projection))?;
        let generations = match target {
            Target::Current => [Some(replica.serving), replica.building],
            Target::Building(generation) if replica.building == Some(generation) => [Some(generation), None],
            Target::Building(generation) => return Err(superseded(generation)),
        };
        let mut applied = 0;
        for event in events {
            let mut newer = false;
            for generation in generations.into_iter().flatten() {
                let rows = replica.generations.entry(generation).or_default();
                if rows.get(&event.key).is_none_or(|row| row.yields_to(event)) {
                    rows.insert(event.key.clone(), Row::of(event));
                    newer = true;
                }
            }
            applied += usize::from(newer);
        }
        Ok(applied)
    }

    async fn get(&self, projection: &str, keys: &[String]) -> Result<Vec<Entity<Value>>> {
        let replicas = self.lock();
        let Some(replica) = replicas.get(projection) else { return Ok(Vec::new()) };
        let Some(rows) = replica.generations.get(&replica.serving) else { return Ok(Vec::new()) };
        let mut keys: Vec<&String> = keys.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(keys.into_iter().filter_map(|key| rows.get(key)?.entity(key)).collect())
    }

    async fn list(&self, projection: &str, page: &EntityPage) -> Result<Vec<Entity<Value>>> {
        let replicas = self.lock();
        let Some(replica) = replicas.get(projection) else { return Ok(Vec::new()) };
        let Some(rows) = replica.generations.get(&replica.serving) else { return Ok(Vec::new()) };
        let after = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = rows.range::<String, _>((after, Bound::Unbounded));
        Ok(rows.filter_map(|(key, row)| row.entity(key)).take(page.limit.get()).collect())
    }

    async fn newest(&self, projection: &str) -> Result<Option<Timestamp>> {
        let replicas = self.lock();
        let newest = |replica: &Replica| replica.served().map(|(_, row)| row.occurred_at).max();
        Ok(replicas.get(projection).and_then(newest))
    }

    async fn begin_rebuild(&self, projection: &str) -> Result<Begun> {
        let mut replicas = self.lock();
        let replica = replicas.get_mut(projection).ok_or_else(|| not_registered(projection))?;
        replica.last += 1;
        let abandoned = replica.building.replace(replica.last);
        replica.retire();
        Ok(Begun { generation: replica.last, abandoned })
    }

    async fn swap(&self, projection: &str, generation: u64, min_percent: u8) -> Result<Swapped> {
        let mut replicas = self.lock();
        let replica = replicas.get_mut(projection).ok_or_else(|| not_registered(projection))?;
        if replica.building != Some(generation) {
            return Err(superseded(generation));
        }
        let counts = Swapped {
            before: replica.count(replica.serving),
            after: replica.count(generation),
            missing: replica.missing(generation),
        };
        let swapped = counts.check(min_percent)?;
        replica.serving = generation;
        replica.building = None;
        replica.retire();
        Ok(swapped)
    }

    async fn abandon(&self, projection: &str, generation: u64) -> Result<()> {
        let mut replicas = self.lock();
        if let Some(replica) = replicas.get_mut(projection)
            && replica.building == Some(generation)
        {
            replica.building = None;
            replica.retire();
        }
        Ok(())
    }

    async fn clean_up(&self, projection: &str, before: Timestamp) -> Result<usize> {
        let mut replicas = self.lock();
        let Some(replica) = replicas.get_mut(projection) else { return Ok(0) };
        let mut deleted = 0;
        for rows in replica.generations.values_mut() {
            let limit = usize::try_from(CHUNK).unwrap_or(usize::MAX) - deleted;
            let old = rows.extract_if(.., |_, row| row.value.is_none() && row.occurred_at < before);
            deleted += old.take(limit).count();
        }
        Ok(deleted)
    }
}
