//! The windows that are in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::writer::Step;
use crate::Result;
use crate::leaderboard::held::Order;
use crate::leaderboard::member::MemberId;
use crate::leaderboard::rules::Rules;
use crate::leaderboard::store::{Board, other_rules};

pub(super) struct Cache<M> {
    boards: RwLock<HashMap<String, Kept<M>>>,
    limit: usize,
    uses: AtomicU64,
}

struct Kept<M> {
    rules: Rules,
    windows: HashMap<String, Held<M>>,
}

struct Held<M> {
    order: Box<dyn Order<M>>,
    used: AtomicU64,
}

impl<M: MemberId> Cache<M> {
    /// Makes a cache of so many windows.
    pub(super) fn new(limit: usize) -> Self {
        Self { boards: RwLock::default(), limit, uses: AtomicU64::new(0) }
    }

    /// Asks a window; `None` if it is not here.
    pub(super) fn ask<T>(
        &self,
        board: &Board,
        window: &str,
        ask: impl FnOnce(&dyn Order<M>, &Rules) -> T,
    ) -> Result<Option<T>> {
        let boards = self.boards.read().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = boards.get(board.name()) else { return Ok(None) };
        if kept.rules != *board.rules() {
            return Err(other_rules(board));
        }
        let Some(held) = kept.windows.get(window) else { return Ok(None) };
        held.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Ok(Some(ask(&*held.order, board.rules())))
    }

    /// Makes the changes of a transaction that was committed; readers see all of them or none.
    pub(super) fn apply(&self, steps: Vec<Step<M>>) {
        if steps.is_empty() {
            return;
        }
        let mut boards = self.boards.write().unwrap_or_else(PoisonError::into_inner);
        for step in steps {
            match step {
                Step::Set { board, window, changed } => {
                    let held = boards.get_mut(&board).and_then(|kept| kept.windows.get_mut(&window));
                    // One that is not here is read with the change when it is asked for.
                    let Some(held) = held else { continue };
                    for change in changed {
                        held.order.set(&change.member, change.key.as_deref());
                    }
                }
                Step::Copy { board, window, name } => {
                    let Some(kept) = boards.get_mut(&board) else { continue };
                    let Some(order) = kept.windows.get(&window).map(|held| held.order.snapshot()) else {
                        continue;
                    };
                    kept.windows.insert(name, Held { order, used: self.used() });
                }
                Step::Insert { board, window, order } => {
                    let rules = board.rules().clone();
                    let kept = boards.entry(board.name().to_owned());
                    let kept = kept.or_insert_with(|| Kept { rules, windows: HashMap::new() });
                    kept.windows.insert(window, Held { order, used: self.used() });
                }
                Step::Forget { board, window } => {
                    if let Some(kept) = boards.get_mut(&board) {
                        kept.windows.remove(&window);
                    }
                }
                Step::Replace { board, with } => {
                    boards.remove(&board);
                    if let Some(kept) = boards.remove(&with) {
                        boards.insert(board, kept);
                    }
                }
            }
        }
        self.evict(&mut boards);
    }

    fn used(&self) -> AtomicU64 {
        self.uses.fetch_add(1, Ordering::Relaxed).into()
    }

    /// Drops the windows that were not asked for the longest.
    fn evict(&self, boards: &mut HashMap<String, Kept<M>>) {
        let count: usize = boards.values().map(|kept| kept.windows.len()).sum();
        let Some(over) = count.checked_sub(self.limit).filter(|over| *over > 0) else { return };
        let windows = boards.values().flat_map(|kept| kept.windows.values());
        let mut uses: Vec<u64> = windows.map(|held| held.used.load(Ordering::Relaxed)).collect();
        uses.sort_unstable();
        let Some(last) = uses.get(over - 1).copied() else { return };
        for kept in boards.values_mut() {
            kept.windows.retain(|_, held| held.used.load(Ordering::Relaxed) > last);
        }
    }
}
