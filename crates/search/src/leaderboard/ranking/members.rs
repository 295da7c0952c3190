//! Which key each member has: a hash table that grows by one small bucket at a time, and whose clones share the buckets.
//!
//! Linear hashing (W. Litwin, *Linear hashing: a new tool for file and table addressing*, 1980): nobody ever waits for a table
//! of a million members to be moved into a larger one.

use std::hash::{BuildHasher, Hash, RandomState};
use std::iter::once;
use std::sync::Arc;

/// How many members a bucket has on average, at most.
const LOAD: usize = 32;
/// How many buckets a page has; a clone copies as many pointers as there are pages.
const PAGE: usize = 64;

type Bucket<M, K> = Arc<[(M, K)]>;

#[derive(Clone)]
pub(super) struct Members<M, K> {
    pages: Vec<Arc<Vec<Bucket<M, K>>>>,
    buckets: usize,
    hasher: RandomState,
    len: usize,
}

impl<M: Hash + Eq + Clone, K: Clone> Members<M, K> {
    pub(super) fn new() -> Self {
        let first: Bucket<M, K> = Arc::new([]);
        Self { pages: vec![Arc::new(vec![first])], buckets: 1, hasher: RandomState::new(), len: 0 }
    }

    pub(super) fn get(&self, member: &M) -> Option<&K> {
        let at = self.place(member, self.buckets);
        let bucket = self.pages.get(at / PAGE)?.get(at % PAGE)?;
        bucket.iter().find(|(other, _)| other == member).map(|(_, key)| key)
    }

    /// Sets the member's key; returns the one it had.
    pub(super) fn insert(&mut self, member: &M, key: K) -> Option<K> {
        let at = self.place(member, self.buckets);
        let bucket = self.bucket(at)?;
        if let Some(index) = bucket.iter().position(|(other, _)| other == member) {
            let (_, old) = Arc::make_mut(bucket).get_mut(index)?;
            return Some(std::mem::replace(old, key));
        }
        *bucket = bucket.iter().cloned().chain(once((member.clone(), key))).collect();
        self.len += 1;
        if self.len > self.buckets * LOAD {
            self.grow();
        }
        None
    }

    pub(super) fn remove(&mut self, member: &M) -> Option<K> {
        let at = self.place(member, self.buckets);
        let bucket = self.bucket(at)?;
        let (_, key) = bucket.iter().find(|(other, _)| other == member)?.clone();
        *bucket = bucket.iter().filter(|(other, _)| other != member).cloned().collect();
        self.len -= 1;
        Some(key)
    }

    /// The heap's bytes, without what members point to.
    pub(super) fn bytes(&self) -> usize {
        // An allocation has a word of its own, and is rounded up to two.
        let rounded = |bytes: usize| (bytes + 8).next_multiple_of(16);
        let buckets = self.pages.iter().flat_map(|page| page.iter());
        let entries: usize = buckets.map(|bucket| rounded(16 + bucket.len() * size_of::<(M, K)>())).sum();
        let pages: usize = self
            .pages
            .iter()
            .map(|page| rounded(16 + 24) + rounded(page.capacity() * size_of::<Bucket<M, K>>()))
            .sum();
        entries + pages + self.pages.capacity() * 8
    }

    fn place(&self, member: &M, buckets: usize) -> usize {
        // Truncated where a word is shorter: any bits of it will do.
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let hash = self.hasher.hash_one(member) as usize;
        let low = 1usize << buckets.max(1).ilog2();
        let at = hash & (2 * low - 1);
        if at < buckets { at } else { at & (low - 1) }
    }

    fn bucket(&mut self, at: usize) -> Option<&mut Bucket<M, K>> {
        Arc::make_mut(self.pages.get_mut(at / PAGE)?).get_mut(at % PAGE)
    }

    /// Adds a bucket, and moves what belongs there from the one that it is split from.
    fn grow(&mut self) {
        let new = self.buckets;
        let from = new - (1usize << new.ilog2());
        let Some(old) = self.bucket(from).cloned() else { return };
        let (stay, go): (Vec<_>, Vec<_>) =
            old.iter().cloned().partition(|(member, _)| self.place(member, new + 1) == from);
        if let Some(bucket) = self.bucket(from) {
            *bucket = stay.into();
        }
        match self.pages.last_mut().filter(|page| page.len() < PAGE) {
            Some(page) => Arc::make_mut(page).push(go.into()),
            None => self.pages.push(Arc::new(vec![go.into()])),
        }
        self.buckets += 1;
    }
}
