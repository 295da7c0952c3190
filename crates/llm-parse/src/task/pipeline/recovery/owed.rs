//! The changes that may stand in the store without the bus knowing of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::pauses;

/// How many changes are kept by name; beyond them all posts are looked through.
const KEPT: usize = 10_000;
/// How long a change that does not stand in the store is looked for: what a dropped call began may end later.
const LOOKED_FOR: Duration = Duration::from_mins(10);

/// What is owed to the bus, or may be.
#[derive(Debug, Default)]
pub(in super::super) struct Owed {
    open: Mutex<Open>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Open {
    /// The latest change of each post.
    changes: HashMap<String, Change>,
    /// When all posts are to be looked through.
    all: Option<Look>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    /// Its version and round.
    at: (u64, u32),
    look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    due: Instant,
    count: u32,
    /// When it is given up.
    until: Instant,
}

impl Look {
    fn now(patience: Duration) -> Self {
        let now = Instant::now();
        Self { due: now, count: 0, until: now + patience }
    }

    /// The look after this one; `None` after the last.
    fn next(self) -> Option<Self> {
        let next = self.later();
        (next.due <= self.until).then_some(next)
    }

    fn later(self) -> Self {
        let count = self.count.saturating_add(1);
        Self { due: Instant::now() + pauses().ceiling(count), count, ..self }
    }
}

/// A change to look for now.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) post_id: String,
    change: Change,
}

impl Due {
    pub(super) const fn at(&self) -> (u64, u32) {
        self.change.at
    }
}

impl Owed {
    /// Marks a change as owed, unless it is [paid](Debt::paid), from when the debt is dropped.
    pub(in super::super) const fn debt<'a>(&'a self, post_id: &'a str, version: u64, round: u32) -> Debt<'a> {
        Debt { owed: self, post_id, at: (version, round), paid: false }
    }

    fn note(&self, post_id: &str, at: (u64, u32)) {
        let mut open = self.lock();
        if open.changes.len() >= KEPT && !open.changes.contains_key(post_id) {
            open.changes.clear();
            open.all = Some(Look::now(LOOKED_FOR));
        }
        let look = Look::now(LOOKED_FOR);
        let change = open.changes.entry(post_id.to_owned()).or_insert(Change { at, look });
        *change = Change { at: at.max(change.at), look };
        drop(open);
        self.told.notify_one();
    }

    /// Has all posts looked through once.
    pub(super) fn note_all(&self) {
        self.lock().all.get_or_insert(Look::now(Duration::ZERO)).due = Instant::now();
    }

    /// Completes when something was noted.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// When the next look is due.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let open = self.lock();
        open.changes.values().map(|change| change.look.due).chain(open.all.map(|look| look.due)).min()
    }

    /// The look through all posts, if it is due.
    pub(super) fn all_due(&self) -> Option<AllDue> {
        self.lock().all.filter(|look| look.due <= Instant::now()).map(AllDue)
    }

    /// All posts were looked through.
    pub(super) fn looked_through(&self, due: &AllDue) {
        let mut open = self.lock();
        if open.all == Some(due.0) {
            open.all = due.0.next();
        }
    }

    /// The changes to look for now, in the order in which they fell due.
    pub(super) fn due(&self) -> Vec<Due> {
        let now = Instant::now();
        let open = self.lock();
        let due = open.changes.iter().filter(|(_, change)| change.look.due <= now);
        let mut due: Vec<Due> =
            due.map(|(post_id, change)| Due { post_id: post_id.clone(), change: *change }).collect();
        drop(open);
        due.sort_unstable_by_key(|due| due.change.look.due);
        due
    }

    /// The change, or a later one, is published.
    pub(super) fn settled(&self, due: &Due) {
        self.replace(due, None);
    }

    /// The change does not stand in the store, or not yet.
    pub(super) fn missed(&self, due: &Due) {
        self.replace(due, due.change.look.next());
    }

    /// Store or bus failed.
    pub(super) fn put_off(&self, due: &Due) {
        self.replace(due, Some(due.change.look.later()));
    }

    /// Sets the next look, unless the change was noted anew meanwhile.
    fn replace(&self, due: &Due, look: Option<Look>) {
        let mut open = self.lock();
        if open.changes.get(&due.post_id) != Some(&due.change) {
            return;
        }
        match look {
            Some(look) => {
                open.changes.insert(due.post_id.clone(), Change { look, ..due.change });
            }
            None => {
                open.changes.remove(&due.post_id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The look through all posts that is due.
#[derive(Debug)]
pub(super) struct AllDue(Look);

/// A change between its way into the store and its way onto the bus: owed, unless it is paid.
#[derive(Debug)]
#[must_use = "what is dropped unpaid is owed"]
pub(in super::super) struct Debt<'a> {
    owed: &'a Owed,
    post_id: &'a str,
    at: (u64, u32),
    paid: bool,
}

impl Debt<'_> {
    /// The bus has the change, or the store refused it.
    pub(in super::super) fn paid(mut self) {
        self.paid = true;
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        if !self.paid {
            self.owed.note(self.post_id, self.at);
        }
    }
}
