//! Boards in memory alone.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use pumasi_core::time::Timestamp;

use super::held::{Order, around, list, order, places};
use super::member::MemberId;
use super::place::{Around, Listing, Place};
use super::record::{Record, Submitted, Withdrawn};
use super::rules::Rules;
use super::standing::{Ledger, Mark, Standing, marks};
use super::store::{Board, BoardStore, OpenWindows, check_name, exists, other_rules};
use super::withdrawal::{Stored, withdraw};
use crate::Result;

/// Keeps boards in memory: the reference that the other stores are held against, and what tests use.
///
/// Nothing outlives the process; `SqliteBoards` (feature `sqlite`) answers as fast and is durable. Clones share the boards.
#[derive(Clone)]
pub struct MemoryBoards<M> {
    boards: Arc<RwLock<HashMap<String, Kept<M>>>>,
}

struct Kept<M> {
    rules: String,
    windows: HashMap<String, Held<M>>,
    /// Source marks, with the window in which they count.
    sources: HashMap<(M, Mark), String>,
}

struct Held<M> {
    order: Box<dyn Order<M>>,
    standings: HashMap<M, Standing>,
    marks: std::collections::HashSet<(M, Mark)>,
    closed: bool,
}

impl<M: MemberId> Held<M> {
    fn new(rules: &Rules) -> Self {
        Self {
            order: order(rules, Vec::new()),
            standings: HashMap::new(),
            marks: std::collections::HashSet::new(),
            closed: false,
        }
    }
}

impl<M: MemberId> MemoryBoards<M> {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self { boards: Arc::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Kept<M>>> {
        self.boards.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Kept<M>>> {
        self.boards.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a window's order, or that of an empty one.
    fn ask<T>(&self, board: &Board, window: &str, ask: impl FnOnce(&dyn Order<M>, &Rules) -> T) -> Result<T> {
        check_name("window", window)?;
        let boards = self.read();
        let rules = board.rules();
        let Some(kept) = boards.get(board.name()) else { return Ok(ask(&*order(rules, Vec::new()), rules)) };
        if kept.rules != rules.fingerprint() {
            return Err(other_rules(board));
        }
        Ok(match kept.windows.get(window) {
            Some(held) => ask(&*held.order, rules),
            None => ask(&*order(rules, Vec::new()), rules),
        })
    }
}

impl<M: MemberId> Default for MemoryBoards<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M> fmt::Debug for MemoryBoards<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBoards").finish_non_exhaustive()
    }
}

impl<M: MemberId> Kept<M> {
    fn of<'a>(boards: &'a mut HashMap<String, Self>, board: &Board) -> Result<&'a mut Self> {
        let fingerprint = board.rules().fingerprint();
        let kept = boards.entry(board.name().to_owned()).or_insert_with(|| Self {
            rules: fingerprint.clone(),
            windows: HashMap::new(),
            sources: HashMap::new(),
        });
        if kept.rules == fingerprint { Ok(kept) } else { Err(other_rules(board)) }
    }

    fn window(&mut self, rules: &Rules, window: &str) -> &mut Held<M> {
        self.windows.entry(window.to_owned()).or_insert_with(|| Held::new(rules))
    }
}

#[async_trait]
impl<M: MemberId> BoardStore<M> for MemoryBoards<M> {
    async fn submit(&self, board: &Board, window: &str, records: &[Record<M>]) -> Result<Vec<Submitted>> {
        check_name("window", window)?;
        records.iter().try_for_each(Record::check)?;
        let rules = board.rules();
        let mut boards = self.write();
        let kept = Kept::of(&mut boards, board)?;
        let closed = kept.window(rules, window).closed;
        let (sources, held) = (&kept.sources, kept.windows.get(window));
        let is_marked = |member: &M, mark: &Mark| {
            let key = (member.clone(), mark.clone());
            sources.contains_key(&key) || held.is_some_and(|held| held.marks.contains(&key))
        };
        let known = records.iter().flat_map(|record| {
            marks(rules, record)
                .filter(|mark| is_marked(record.member(), mark))
                .map(|mark| (record.member().clone(), mark))
        });
        let standings = records.iter().filter_map(|record| {
            let standing = held?.standings.get(record.member())?;
            Some((record.member().clone(), standing.clone()))
        });
        let mut ledger = Ledger::new(board, standings, known);
        let answers = records.iter().map(|record| ledger.answer(record, closed)).collect::<Result<_>>()?;
        let (changed, new_marks) = ledger.finish();
        for (member, mark) in new_marks {
            if mark.of_board {
                kept.sources.insert((member, mark), window.to_owned());
            } else {
                kept.window(rules, window).marks.insert((member, mark));
            }
        }
        let held = kept.window(rules, window);
        for change in changed {
            held.order.set(&change.member, change.key.as_deref());
            held.standings.insert(change.member, change.standing);
        }
        Ok(answers)
    }

    async fn withdraw(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        source: &str,
        open: &OpenWindows,
    ) -> Result<Withdrawn> {
        check_name("window", window)?;
        Record::new(member.clone(), source, Timestamp::MIN).check()?;
        let (mut boards, rules) = (self.write(), board.rules());
        let kept = Kept::of(&mut boards, board)?;
        let counted = kept.sources.get(&(member.clone(), Mark::of_board(source))).cloned();
        let name = counted.as_deref().unwrap_or(window).to_owned();
        let held = kept.window(rules, &name);
        let marks = held.marks.iter().filter(|(of, _)| of == member).map(|(_, mark)| mark.clone()).collect();
        let standing = held.standings.get(member).cloned();
        let over = held.closed || counted.is_some() && !open.contains(&name);
        let stored = Stored { counted: counted.is_some(), over, standing, marks };
        let undone = withdraw(board, member, source, &stored)?;
        for mark in undone.gone {
            held.marks.remove(&(member.clone(), mark));
        }
        if let Some(change) = undone.changed {
            held.order.set(&change.member, change.key.as_deref());
            held.standings.insert(change.member, change.standing);
        }
        for (member, mark) in undone.new {
            if mark.of_board {
                kept.sources.insert((member, mark), name.clone());
            } else {
                kept.window(rules, &name).marks.insert((member, mark));
            }
        }
        Ok(undone.answer)
    }

    async fn close(&self, board: &Board, window: &str) -> Result<()> {
        check_name("window", window)?;
        Kept::of(&mut self.write(), board)?.window(board.rules(), window).closed = true;
        Ok(())
    }

    async fn snapshot(&self, board: &Board, window: &str, name: &str) -> Result<()> {
        check_name("window", window)?;
        check_name("snapshot", name)?;
        let mut boards = self.write();
        let kept = Kept::of(&mut boards, board)?;
        if kept.windows.contains_key(name) {
            return Err(exists(name));
        }
        let order = kept.window(board.rules(), window).order.snapshot();
        let held = Held { order, closed: true, ..Held::new(board.rules()) };
        kept.windows.insert(name.to_owned(), held);
        Ok(())
    }

    async fn places(&self, board: &Board, window: &str, members: &[M]) -> Result<Vec<Option<Place<M>>>> {
        self.ask(board, window, |order, rules| places(order, rules, members))
    }

    async fn list(&self, board: &Board, window: &str, places: Range<u64>) -> Result<Listing<M>> {
        self.ask(board, window, |order, rules| list(order, rules, places))
    }

    async fn around(
        &self,
        board: &Board,
        window: &str,
        member: &M,
        neighbours: u64,
    ) -> Result<Option<Around<M>>> {
        self.ask(board, window, |order, rules| around(order, rules, member, neighbours))
    }

    async fn forget(&self, board: &Board, window: &str) -> Result<()> {
        check_name("window", window)?;
        let mut boards = self.write();
        let kept = Kept::of(&mut boards, board)?;
        kept.windows.remove(window);
        kept.sources.retain(|_, of| of != window);
        Ok(())
    }

    async fn replace(&self, board: &Board, with: &Board) -> Result<()> {
        let mut boards = self.write();
        boards.remove(board.name());
        if let Some(kept) = boards.remove(with.name()) {
            boards.insert(board.name().to_owned(), kept);
        }
        Ok(())
    }
}
