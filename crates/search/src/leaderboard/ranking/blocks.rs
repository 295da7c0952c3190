//! A sorted list that knows the place of everything in it: blocks of neighbours, and a Fenwick tree of their lengths.
//!
//! Two levels are enough up to some ten million entries, and keep what a search touches in the processor's caches: the first
//! entries of all blocks stand side by side. (P. M. Fenwick, *A new data structure for cumulative frequency tables*, 1994.)

use std::cmp::Ordering;
use std::sync::Arc;

/// How many entries a block has at most; one that is full is split in the middle.
const FULL: usize = 512;
/// How many entries a block makes room for at a time.
const GROW: usize = 32;
/// How many entries of a block stand between two that are asked first.
const STRIDE: usize = 32;

/// Entries in ascending order, none of them twice. A clone shares the blocks until one of the two changes them.
#[derive(Clone)]
pub(super) struct Blocks<T> {
    blocks: Vec<Arc<Vec<T>>>,
    firsts: Vec<T>,
    counts: Vec<u32>,
    len: usize,
}

/// Where an entry stands, and beside what.
pub(super) struct Found<'a, T> {
    pub(super) position: usize,
    pub(super) before: Option<&'a T>,
    pub(super) after: Option<&'a T>,
}

/// Counts the entries of a block before the first that is not `before`.
///
/// Halving waits for memory at each step; the entries asked here do not depend on each other, so that the processor fetches them
/// together.
fn split_point<T>(block: &[T], before: impl Fn(&T) -> bool) -> usize {
    let strides = block.iter().step_by(STRIDE).filter(|entry| before(entry)).count();
    let from = strides.saturating_sub(1) * STRIDE;
    let rest = block.get(from..).unwrap_or_default();
    from + rest.iter().take(STRIDE).filter(|entry| before(entry)).count()
}

impl<T: Ord + Clone> Blocks<T> {
    pub(super) fn new() -> Self {
        Self { blocks: Vec::new(), firsts: Vec::new(), counts: Vec::new(), len: 0 }
    }

    /// Takes entries that are in order, without repetition.
    pub(super) fn from_sorted(entries: &[T]) -> Self {
        let mut blocks = Self::new();
        for chunk in entries.chunks(FULL * 3 / 4) {
            blocks.firsts.extend(chunk.first().cloned());
            blocks.blocks.push(Arc::new(chunk.to_vec()));
        }
        blocks.len = entries.len();
        blocks.recount();
        blocks
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts an entry in its place, unless it is there.
    pub(super) fn insert(&mut self, entry: T) {
        let at = self.firsts.partition_point(|first| *first <= entry).saturating_sub(1);
        let (Some(block), Some(first)) = (self.blocks.get_mut(at), self.firsts.get_mut(at)) else {
            self.firsts.push(entry.clone());
            self.blocks.push(Arc::new(vec![entry]));
            self.len = 1;
            self.recount();
            return;
        };
        let block = Arc::make_mut(block);
        let place = split_point(block, |other| *other < entry);
        if block.get(place) == Some(&entry) {
            return;
        }
        if place == 0 {
            *first = entry.clone();
        }
        if block.len() == block.capacity() {
            block.reserve_exact(GROW);
        }
        block.insert(place, entry);
        self.len += 1;
        if block.len() < FULL {
            self.add(at, true);
            return;
        }
        let upper = block.split_off(FULL / 2);
        block.shrink_to(FULL / 2 + GROW);
        if let Some(first) = upper.first() {
            self.firsts.insert(at + 1, first.clone());
        }
        self.blocks.insert(at + 1, Arc::new(upper));
        self.recount();
    }

    /// Takes an entry out; tells whether it was there.
    pub(super) fn remove(&mut self, entry: &T) -> bool {
        let at = self.firsts.partition_point(|first| first <= entry).saturating_sub(1);
        let Some(block) = self.blocks.get_mut(at) else { return false };
        let place = split_point(block, |other| other < entry);
        if block.get(place) != Some(entry) {
            return false;
        }
        let block = Arc::make_mut(block);
        block.remove(place);
        self.len -= 1;
        match block.first() {
            Some(first) if place == 0 => {
                let first = first.clone();
                if let Some(slot) = self.firsts.get_mut(at) {
                    *slot = first;
                }
            }
            Some(_) => {}
            None => {
                self.blocks.remove(at);
                self.firsts.remove(at);
                self.recount();
                return true;
            }
        }
        let small = block.len();
        if small < FULL / 8
            && let Some(next) = self.blocks.get(at + 1).filter(|next| small + next.len() <= FULL / 2)
        {
            let next = Arc::clone(next);
            if let Some(block) = self.blocks.get_mut(at) {
                Arc::make_mut(block).extend(next.iter().cloned());
            }
            self.blocks.remove(at + 1);
            self.firsts.remove(at + 1);
            self.recount();
        } else {
            self.add(at, false);
        }
        true
    }

    /// Counts the entries before the first that is not `before`, which must hold for a beginning of the list.
    pub(super) fn count(&self, before: impl Fn(&T) -> bool) -> usize {
        let at = self.firsts.partition_point(&before).saturating_sub(1);
        self.prefix(at) + self.blocks.get(at).map_or(0, |block| split_point(block, &before))
    }

    /// Finds the entry that `compare` finds equal, with its neighbours.
    pub(super) fn find(&self, compare: impl Fn(&T) -> Ordering) -> Option<Found<'_, T>> {
        let at = self.firsts.partition_point(|first| compare(first).is_le()).checked_sub(1)?;
        let block = self.blocks.get(at)?;
        let place = split_point(block, |entry| compare(entry).is_lt());
        if block.get(place).is_none_or(|entry| compare(entry).is_ne()) {
            return None;
        }
        let before = match place.checked_sub(1) {
            Some(before) => block.get(before),
            None => at.checked_sub(1).and_then(|at| self.blocks.get(at)?.last()),
        };
        let after = block.get(place + 1).or_else(|| self.firsts.get(at + 1));
        Some(Found { position: self.prefix(at) + place, before, after })
    }

    /// The entries from a place on, counted from 0.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = &T> {
        let (at, rest) = self.locate(place);
        let tail = self.blocks.get(at).and_then(|block| block.get(rest..)).unwrap_or_default();
        tail.iter().chain(self.blocks.iter().skip(at + 1).flat_map(|block| block.iter()))
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        let (at, rest) = self.locate(place);
        self.blocks.get(at)?.get(rest)
    }

    /// The heap's bytes, without what entries point to.
    pub(super) fn bytes(&self) -> usize {
        let entries: usize = self.blocks.iter().map(|block| block.capacity()).sum();
        entries * size_of::<T>()
            + self.blocks.len() * (16 + size_of::<Vec<T>>() + 16)
            + self.blocks.capacity() * size_of::<Arc<Vec<T>>>()
            + self.firsts.capacity() * size_of::<T>()
            + self.counts.capacity() * size_of::<u32>()
    }

    /// The block that holds a place, and the place within it.
    fn locate(&self, place: usize) -> (usize, usize) {
        let (mut at, mut rest) = (0, place);
        let mut step = self.counts.len().checked_ilog2().map_or(0, |log| 1 << log);
        while step > 0 {
            if let Some(count) = self.counts.get(at + step - 1)
                && *count as usize <= rest
            {
                at += step;
                rest -= *count as usize;
            }
            step /= 2;
        }
        (at, rest)
    }

    /// How many entries the blocks before this one have.
    fn prefix(&self, mut at: usize) -> usize {
        let mut sum = 0;
        while let Some(count) = at.checked_sub(1).and_then(|index| self.counts.get(index)) {
            sum += *count as usize;
            at &= at - 1;
        }
        sum
    }

    fn add(&mut self, at: usize, one_more: bool) {
        let mut node = at + 1;
        while let Some(count) = self.counts.get_mut(node - 1) {
            *count = if one_more { *count + 1 } else { count.saturating_sub(1) };
            node += node & node.wrapping_neg();
        }
    }

    /// Builds the tree of lengths anew, where blocks came or went.
    fn recount(&mut self) {
        self.counts.clear();
        self.counts.extend(self.blocks.iter().map(|block| u32::try_from(block.len()).unwrap_or(u32::MAX)));
        for node in 1..=self.counts.len() {
            let parent = node + (node & node.wrapping_neg());
            let count = self.counts.get(node - 1).copied().unwrap_or(0);
            if let Some(above) = self.counts.get_mut(parent - 1) {
                *above += count;
            }
        }
    }
}
