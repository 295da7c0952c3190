//! Views in memory.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Mark, Seen, ViewStore, ViewWindow};
use crate::Result;
use crate::reactions::check_id;

/// Of how many windows marks are kept: the current one, and the one before for who is a little late.
const WINDOWS: usize = 2;

/// Keeps views in memory; totals are lost with the process. Clones share them.
///
/// The marks of the two windows that were looked at last are kept, up to a [limit](Self::with_limit) each (default 1,000,000,
/// some 30 MB). What comes beyond the limit does not count until the next window: who floods it with addresses inflates nothing.
/// The totals of all items stay, as many as there are items.
#[derive(Clone)]
pub struct MemoryViews {
    state: Arc<Mutex<State>>,
    limit: usize,
}

#[derive(Default)]
struct State {
    /// Items by number, so that a mark does not hold a name.
    items: HashMap<String, Item>,
    /// The marks of the windows that were looked at last, the last one first: a clock that runs ahead takes the place of one of
    /// them, and no more.
    windows: Vec<(i64, HashSet<(u64, i64)>)>,
    next: u64,
}

struct Item {
    no: u64,
    total: u64,
}

impl MemoryViews {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self { state: Arc::default(), limit: 1_000_000 }
    }

    /// Sets how many marks of a window are kept.
    #[must_use]
    pub fn with_limit(mut self, marks: NonZeroUsize) -> Self {
        self.limit = marks.get();
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryViews {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryViews").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[async_trait]
impl ViewStore for MemoryViews {
    async fn see(&self, item: &str, window: ViewWindow, mark: Mark) -> Result<Seen> {
        check_id("an item", item)?;
        let state = &mut *self.lock();
        let no = state.items.get(item).map_or(state.next, |item| item.no);
        let known = state.windows.iter().position(|(number, _)| *number == window.number);
        let mut marks = known.map(|place| state.windows.remove(place).1).unwrap_or_default();
        let counted = marks.len() < self.limit && marks.insert((no, mark.number()));
        state.windows.insert(0, (window.number, marks));
        state.windows.truncate(WINDOWS);
        if !counted {
            return Ok(Seen { counted, total: state.items.get(item).map_or(0, |item| item.total) });
        }
        let kept = state.items.entry(item.to_owned()).or_insert_with(|| {
            state.next += 1;
            Item { no, total: 0 }
        });
        kept.total += 1;
        Ok(Seen { counted, total: kept.total })
    }

    async fn totals(&self, items: &[&str]) -> Result<Vec<u64>> {
        items.iter().try_for_each(|item| check_id("an item", item))?;
        let state = self.lock();
        Ok(items.iter().map(|item| state.items.get(*item).map_or(0, |item| item.total)).collect())
    }

    async fn forget(&self, item: &str) -> Result<()> {
        check_id("an item", item)?;
        // Its marks stand for a number that no item is given any more, and go with their windows.
        self.lock().items.remove(item);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn memory_is_bounded_and_a_flood_counts_for_nothing() {
        let views = MemoryViews::new().with_limit(NonZeroUsize::new(10).unwrap());
        let window = |number| ViewWindow::new(number, Duration::from_secs(1));
        for number in 0..50 {
            views.see("post", window(7), Mark::new(number)).await.unwrap();
        }
        assert_eq!(views.totals(&["post"]).await.unwrap(), [10]);
        for number in 8..100 {
            assert!(views.see("post", window(number), Mark::new(1)).await.unwrap().counted);
        }
        assert_eq!(views.lock().windows.len(), 2);
        assert!(views.see("post", window(98), Mark::new(2)).await.unwrap().counted);
        assert!(!views.see("post", window(99), Mark::new(1)).await.unwrap().counted);
    }
}
