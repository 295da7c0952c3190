//! Reactions in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pumasi_core::time::Timestamp;

use super::{Counts, Reaction, Reactions, Tally, Vote, check, check_id};
use crate::Result;

/// Keeps reactions in memory: for tests, and as the reference of the others. Clones share them.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use pumasi_search::reactions::{MemoryReactions, Reaction, Reactions, Vote};
///
/// let reactions = MemoryReactions::new();
/// let at = "2026-11-23T06:30:00+09:00".parse()?;
/// let tally = reactions.cast(&[Vote::new("post-1", "민지", Reaction::Like, at)]).await?;
/// assert_eq!((tally[0].counts.likes, tally[0].counts.dislikes), (1, 0));
/// # Ok::<(), pumasi_search::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct MemoryReactions {
    items: Arc<Mutex<HashMap<String, Item>>>,
}

#[derive(Default)]
struct Item {
    counts: Counts,
    people: HashMap<String, (Reaction, Timestamp)>,
}

impl Counts {
    fn of(&mut self, reaction: Reaction) -> Option<&mut u64> {
        match reaction {
            Reaction::None => None,
            Reaction::Like => Some(&mut self.likes),
            Reaction::Dislike => Some(&mut self.dislikes),
        }
    }
}

impl MemoryReactions {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryReactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReactions").finish_non_exhaustive()
    }
}

impl Item {
    fn cast(&mut self, vote: &Vote) {
        let stands = self.people.entry(vote.person.clone()).or_insert((Reaction::None, vote.at));
        if vote.at < stands.1 {
            return;
        }
        let old = std::mem::replace(stands, (vote.reaction, vote.at)).0;
        if let Some(count) = self.counts.of(old) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.counts.of(vote.reaction) {
            *count += 1;
        }
    }

    fn recount(&mut self) -> Counts {
        self.counts = Counts::default();
        for (reaction, _) in self.people.values() {
            if let Some(count) = self.counts.of(*reaction) {
                *count += 1;
            }
        }
        self.counts
    }

    fn reaction(&self, person: &str) -> Reaction {
        self.people.get(person).map_or(Reaction::None, |(reaction, _)| *reaction)
    }
}

#[async_trait]
impl Reactions for MemoryReactions {
    async fn cast(&self, votes: &[Vote]) -> Result<Vec<Tally>> {
        check(votes)?;
        let mut items = self.lock();
        for vote in votes {
            items.entry(vote.item.clone()).or_default().cast(vote);
        }
        let tally = |vote: &Vote| {
            let item = items.get(&vote.item)?;
            Some(Tally { reaction: item.reaction(&vote.person), counts: item.counts })
        };
        Ok(votes.iter().filter_map(tally).collect())
    }

    async fn counts(&self, items: &[&str]) -> Result<Vec<Counts>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let kept = self.lock();
        Ok(items
            .iter()
            .map(|item| kept.get(*item).map_or_else(Counts::default, |item| item.counts))
            .collect())
    }

    async fn reactions(&self, person: &str, items: &[&str]) -> Result<Vec<Reaction>> {
        check_id("a person", person)?;
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let kept = self.lock();
        Ok(items
            .iter()
            .map(|item| kept.get(*item).map_or(Reaction::None, |item| item.reaction(person)))
            .collect())
    }

    async fn forget(&self, item: &str) -> Result<()> {
        check_id("an item", item)?;
        self.lock().remove(item);
        Ok(())
    }

    async fn recount(&self, items: &[&str]) -> Result<Vec<Counts>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let mut kept = self.lock();
        let recount = |item: &&str| kept.get_mut(*item).map_or_else(Counts::default, Item::recount);
        Ok(items.iter().map(recount).collect())
    }
}
