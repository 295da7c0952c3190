//! A sorted list that knows the place of everything in it: blocks of neighbours, and sums of their lengths.
//!
//! One level above the entries is enough up to some ten million. What a search asks first, the first entries of all blocks, stands side
//! by side in the processor's caches; then it waits for the main memory once or twice, for the block.

use std::cmp::Ordering;
use std::sync::Arc;

use smallvec::SmallVec;

/// How many entries a block has at most; one that is full is split in the middle.
const FULL: usize = 256;
/// How many entries of a block stand between two that are asked first.
const STRIDE: usize = 16;
/// Of how many blocks the lengths are summed up.
const GROUP: usize = 64;

/// The entries of a block stand in the block itself, not behind another pointer: memory that is far away is asked once.
type Block<T> = SmallVec<[T; FULL]>;

/// Entries in ascending order, none of them twice. A clone shares the blocks until one of the two changes them.
#[derive(Clone)]
pub(super) struct Blocks<T> {
    blocks: Vec<Arc<Block<T>>>,
    firsts: Vec<T>,
    /// How many entries each block has.
    lens: Vec<u16>,
    /// How many each group of blocks has.
    groups: Vec<u32>,
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

fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

fn sum(lens: &[u16]) -> u32 {
    lens.iter().map(|len| u32::from(*len)).sum()
}

impl<T: Ord + Clone> Blocks<T> {
    pub(super) fn new() -> Self {
        Self { blocks: Vec::new(), firsts: Vec::new(), lens: Vec::new(), groups: Vec::new(), len: 0 }
    }

    /// Takes entries that are in order, without repetition.
    pub(super) fn from_sorted(entries: &[T]) -> Self {
        let mut blocks = Self::new();
        for chunk in entries.chunks(FULL * 3 / 4) {
            blocks.firsts.extend(chunk.first().cloned());
            blocks.lens.push(short(chunk.len()));
            blocks.blocks.push(Arc::new(chunk.iter().cloned().collect()));
        }
        blocks.len = entries.len();
        blocks.regroup(0);
        blocks
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts an entry in its place, unless it is there.
    pub(super) fn insert(&mut self, entry: T) {
        let at = self.firsts.partition_point(|first| *first <= entry).saturating_sub(1);
        let (Some(block), Some(first)) = (self.blocks.get_mut(at), self.firsts.get_mut(at)) else {
            *self = Self::from_sorted(&[entry]);
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
        block.insert(place, entry);
        self.len += 1;
        if block.len() < FULL {
            self.count(at, true);
            return;
        }
        let upper: Block<T> = block.drain(FULL / 2..).collect();
        if let Some(len) = self.lens.get_mut(at) {
            *len = short(block.len());
        }
        self.lens.insert(at + 1, short(upper.len()));
        if let Some(first) = upper.first() {
            self.firsts.insert(at + 1, first.clone());
        }
        self.blocks.insert(at + 1, Arc::new(upper));
        self.regroup(at);
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
        let small = block.len();
        if let (0, Some(first), Some(slot)) = (place, block.first(), self.firsts.get_mut(at)) {
            *slot = first.clone();
        }
        self.len -= 1;
        self.count(at, false);
        if small == 0 {
            self.drop_block(at);
            return true;
        }
        if small < FULL / 8
            && let Some(next) = self.blocks.get(at + 1).filter(|next| small + next.len() <= FULL / 2)
        {
            let next = Arc::clone(next);
            if let (Some(block), Some(len)) = (self.blocks.get_mut(at), self.lens.get_mut(at)) {
                Arc::make_mut(block).extend(next.iter().cloned());
                *len = short(small + next.len());
            }
            self.drop_block(at + 1);
        }
        true
    }

    fn drop_block(&mut self, at: usize) {
        self.blocks.remove(at);
        self.firsts.remove(at);
        self.lens.remove(at);
        self.regroup(at.saturating_sub(1));
    }

    /// Counts the entries before the first that is not `before`, which must hold for a beginning of the list.
    pub(super) fn count_before(&self, before: impl Fn(&T) -> bool) -> usize {
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
        self.blocks.len() * (16 + size_of::<Block<T>>() + 16)
            + self.blocks.capacity() * size_of::<Arc<Block<T>>>()
            + self.firsts.capacity() * size_of::<T>()
            + self.lens.capacity() * size_of::<u16>()
            + self.groups.capacity() * size_of::<u32>()
    }

    /// The block that holds a place, and the place within it.
    fn locate(&self, place: usize) -> (usize, usize) {
        let mut rest = place;
        let mut within = |len: usize| {
            let ends = len <= rest;
            rest -= if ends { len } else { 0 };
            !ends
        };
        let group = self.groups.iter().position(|len| within(*len as usize)).unwrap_or(self.groups.len());
        let lens = self.lens.get(group * GROUP..).unwrap_or_default();
        let block = lens.iter().position(|len| within(usize::from(*len))).unwrap_or(lens.len());
        (group * GROUP + block, rest)
    }

    /// How many entries the blocks before this one have.
    fn prefix(&self, at: usize) -> usize {
        let group = at / GROUP;
        let groups: u32 = self.groups.iter().take(group).sum();
        (groups + sum(self.lens.get(group * GROUP..at).unwrap_or_default())) as usize
    }

    /// Counts an entry that came to a block or left it.
    fn count(&mut self, at: usize, one_more: bool) {
        let (Some(len), Some(group)) = (self.lens.get_mut(at), self.groups.get_mut(at / GROUP)) else {
            return;
        };
        (*len, *group) = if one_more { (*len + 1, *group + 1) } else { (*len - 1, *group - 1) };
    }

    /// Sums the lengths up anew, from where blocks came or went.
    fn regroup(&mut self, at: usize) {
        let from = at / GROUP;
        self.groups.truncate(from);
        self.groups.extend(self.lens.get(from * GROUP..).unwrap_or_default().chunks(GROUP).map(sum));
    }
}
