//! Views in memory.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use pumasi_core::time::{Clock, SystemClock, after};

use super::{LAG, Mark, Seen, ViewStore, ViewWindow};
use crate::Result;
use crate::reactions::check_id;

/// Of how many windows marks are kept that are not over. There are no more than two or three, but where clocks are set again and again.
const WINDOWS: usize = 8;

/// Keeps views in memory; totals are lost with the process. Clones share them.
///
/// The marks of a window are kept until a minute after it is over, by a clock that nobody sets, and up to a [limit](Self::with_limit)
/// (default 1,000,000, some 30 MB). What comes beyond the limit does not count until the next window: who floods it with addresses inflates nothing.
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
    windows: Vec<Window>,
    next: u64,
}

/// The marks of a window, each with the number of its item.
struct Window {
    number: i64,
    ends: Instant,
    marks: HashSet<(u64, i64)>,
}

impl State {
    /// Looks a window up, which is made if it is not there, and drops those that are over.
    fn window(&mut self, window: ViewWindow) -> Option<&mut Window> {
        let now = SystemClock.instant();
        let ends = after(now, window.remaining.saturating_add(LAG));
        self.windows.retain(|kept| kept.number == window.number || kept.ends > now);
        if let Some(place) = self.windows.iter().position(|kept| kept.number == window.number) {
            let kept = self.windows.get_mut(place)?;
            kept.ends = kept.ends.max(ends);
            return Some(kept);
        }
        if self.windows.len() >= WINDOWS {
            let first = self.windows.iter().enumerate().min_by_key(|(_, kept)| kept.ends);
            let first = first.map_or(0, |(place, _)| place);
            self.windows.swap_remove(first);
        }
        self.windows.push(Window { number: window.number, ends, marks: HashSet::new() });
        self.windows.last_mut()
    }
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
        let counts =
            |kept: &mut Window| kept.marks.len() < self.limit && kept.marks.insert((no, mark.number()));
        let counted = state.window(window).is_some_and(counts);
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

    #[tokio::test(start_paused = true)]
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
        assert_eq!(views.lock().windows.len(), WINDOWS);
        assert!(views.see("post", window(98), Mark::new(2)).await.unwrap().counted);
        assert!(!views.see("post", window(99), Mark::new(1)).await.unwrap().counted);
        tokio::time::sleep(LAG + Duration::from_secs(1)).await;
        assert!(!views.see("post", window(99), Mark::new(1)).await.unwrap().counted);
        assert_eq!(views.lock().windows.len(), 1);
    }
}
