//! A participant with a ledger of effects, outside the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::barrier::{Entry, MemoryBarrier, Operation};
use crate::step::Cx;

/// A participant that every step can use: it has one effect per step and key, keeps the rules of the
/// [barrier](crate::barrier), and remembers everything.
///
/// Clones are the same bank.
#[derive(Clone, Default)]
pub struct Bank {
    books: Arc<Mutex<Books>>,
}

#[derive(Default)]
struct Books {
    barrier: MemoryBarrier,
    keys: BTreeMap<String, BTreeSet<String>>,
    counts: BTreeMap<String, i64>,
    epochs: BTreeMap<String, u64>,
}

impl Bank {
    /// Makes a bank with empty books.
    pub fn new() -> Self {
        Self::default()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the effect of the step that asks, once under its key; `false` if it was undone before.
    pub fn apply<App>(&self, cx: &Cx<App>) -> bool {
        let key = cx.step_key();
        let mut books = self.books();
        let highest = books.epochs.entry(cx.key().to_owned()).or_default();
        *highest = cx.epoch().max(*highest);
        match books.barrier.enter(&key, Operation::Do) {
            Entry::First => {
                books.keys.entry(cx.step().to_owned()).or_default().insert(key);
                *books.counts.entry(cx.step().to_owned()).or_default() += 1;
                true
            }
            Entry::Duplicate => true,
            _ => false,
        }
    }

    /// Undoes the effect of the step that asks, if there is one, and sees to it that none comes later.
    pub fn revert<App>(&self, cx: &Cx<App>) {
        self.undo(cx.step(), &cx.step_key());
    }

    /// Has the effect of the step that asks, every time: for what is written in the store's own transaction, where nobody looks for
    /// doubles because there are none.
    pub fn insert<App>(&self, cx: &Cx<App>) {
        let mut books = self.books();
        books.keys.entry(cx.step().to_owned()).or_default().insert(cx.step_key());
        *books.counts.entry(cx.step().to_owned()).or_default() += 1;
    }

    /// Takes back what was [inserted](Self::insert), every time.
    pub fn delete<App>(&self, cx: &Cx<App>) {
        *self.books().counts.entry(cx.step().to_owned()).or_default() -= 1;
    }

    /// Undoes by hand what the step has under this key, and sees to it that nothing comes later: what an operator does with a partner.
    pub fn revoke(&self, step: &str, key: &str) {
        self.undo(step, key);
    }

    /// Tells whether the effect under this key stands: what an operator asks a partner.
    pub fn stands(&self, key: &str) -> bool {
        self.books().barrier.seen(key).stands()
    }

    fn undo(&self, step: &str, key: &str) {
        let mut books = self.books();
        if books.barrier.enter(key, Operation::Undo) == Entry::First {
            *books.counts.entry(step.to_owned()).or_default() -= 1;
        }
    }

    /// Tells whether the effect of the step that asks stands.
    pub fn happened<App>(&self, cx: &Cx<App>) -> bool {
        self.stands(&cx.step_key())
    }

    /// Returns how many effects of a step stand.
    pub fn standing(&self, step: &str) -> i64 {
        self.books().counts.get(step).copied().unwrap_or(0)
    }

    /// Returns the steps that ever had an effect.
    pub fn steps(&self) -> Vec<String> {
        self.books().keys.keys().cloned().collect()
    }

    /// Returns what stands of each step: the ledger, for comparing runs.
    pub fn ledger(&self) -> BTreeMap<String, i64> {
        self.books().counts.iter().filter(|(_, count)| **count != 0).map(|(s, c)| (s.clone(), *c)).collect()
    }
}

impl fmt::Debug for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bank").field(&self.ledger()).finish()
    }
}
