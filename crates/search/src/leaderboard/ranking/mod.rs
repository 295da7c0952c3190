//! The order itself: who stands where, in memory.

mod blocks;
mod members;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::Hash;

use blocks::Blocks;
use members::Members;

/// Members in the order of their keys, the least first; the place of each is found in logarithmic time.
///
/// Members with equal keys stand in the order of the members themselves. Keys that are to be ranked from the greatest down
/// are given as `std::cmp::Reverse`, or as the complement (`!score`, which unlike the negative never overflows).
///
/// [`clone`](Clone::clone) is a snapshot: the two share everything until one of them changes, block by block. One of a million
/// members takes well under a millisecond. With `u64` members and `i64` keys a member takes about 45 bytes, and all together 4 kB at
/// least.
///
/// It is what the boards in memory stand on, and can be used alone:
///
/// ```
/// use std::cmp::Reverse;
/// use pumasi_search::leaderboard::Ranking;
///
/// let mut ranking = Ranking::new();
/// for (runner, metres) in [(7_u64, 21_097), (8, 42_195), (9, 21_097), (10, 5_000)] {
///     ranking.set(runner, Reverse(metres));
/// }
/// let before = ranking.clone();
/// ranking.set(10, Reverse(50_000));
///
/// let place = ranking.place(&9).unwrap();
/// assert_eq!((place.better, place.position, place.tied), (2, 3, 2));
/// assert_eq!(before.place(&10).unwrap().position, 3);
/// let first: Vec<u64> = ranking.range(0..2).map(|(_, runner)| *runner).collect();
/// assert_eq!(first, [10, 8]);
/// ```
#[derive(Clone)]
pub struct Ranking<K, M> {
    members: Members<M, K>,
    order: Blocks<(K, M)>,
    distinct: Option<Blocks<K>>,
}

/// Where a member stands in a [`Ranking`], counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// How many members stand before it, ties in the order of the members.
    pub position: usize,
    /// How many members have a better key.
    pub better: usize,
    /// How many members have its key, itself among them.
    pub tied: usize,
    /// How many different keys are better; `None` unless the ranking [counts them](Ranking::with_distinct).
    pub distinct_better: Option<usize>,
}

impl<K: Ord + Clone, M: Ord + Hash + Clone> Ranking<K, M> {
    /// Makes an empty ranking.
    pub fn new() -> Self {
        Self { members: Members::new(), order: Blocks::new(), distinct: None }
    }

    /// Counts different keys as well, which dense ranks need.
    #[must_use]
    pub fn with_distinct(mut self) -> Self {
        let mut keys: Vec<K> = self.order.from(0).map(|(key, _)| key.clone()).collect();
        keys.dedup();
        self.distinct = Some(Blocks::from_sorted(&keys));
        self
    }

    /// Sets a member's key; returns the one that it had.
    pub fn set(&mut self, member: M, key: K) -> Option<K> {
        let old = self.members.insert(&member, key.clone());
        if let Some(old) = &old {
            if *old == key {
                return Some(key);
            }
            let entry = (old.clone(), member);
            self.order.remove(&entry);
            self.forget_key(old);
            self.order.insert((key.clone(), entry.1));
        } else {
            self.order.insert((key.clone(), member));
        }
        if let Some(distinct) = &mut self.distinct {
            distinct.insert(key);
        }
        old
    }

    /// Takes a member out; returns the key that it had.
    pub fn remove(&mut self, member: &M) -> Option<K> {
        let key = self.members.remove(member)?;
        let entry = (key, member.clone());
        self.order.remove(&entry);
        self.forget_key(&entry.0);
        Some(entry.0)
    }

    /// Returns a member's key.
    pub fn key(&self, member: &M) -> Option<&K> {
        self.members.get(member)
    }

    /// Tells where a member stands.
    pub fn place(&self, member: &M) -> Option<Position> {
        let key = self.members.get(member)?;
        let found = self.order.find(|(other, who)| other.cmp(key).then_with(|| who.cmp(member)))?;
        let is_tied = |entry: Option<&(K, M)>| entry.is_some_and(|(other, _)| other == key);
        let position = found.position;
        let better =
            if is_tied(found.before) { self.order.count_before(|(other, _)| other < key) } else { position };
        let until = if is_tied(found.after) {
            self.order.count_before(|(other, _)| other <= key)
        } else {
            position + 1
        };
        let distinct_better =
            self.distinct.as_ref().map(|distinct| distinct.count_before(|other| other < key));
        Some(Position { position, better, tied: until - better, distinct_better })
    }

    /// Lists members with their keys by place, counted from 0; the end may lie past the last.
    pub fn range(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = (&K, &M)> {
        let entries = self.order.from(places.start).take(places.len());
        entries.map(|(key, member)| (key, member))
    }

    /// Counts the members.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Tells whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells how many bytes it takes, without what members and keys point to.
    pub fn bytes(&self) -> usize {
        self.members.bytes() + self.order.bytes() + self.distinct.as_ref().map_or(0, Blocks::bytes)
    }

    /// Drops a key that nobody has any more from the different ones.
    fn forget_key(&mut self, key: &K) {
        if let Some(distinct) = &mut self.distinct {
            let next = self.order.count_before(|(other, _)| other < key);
            if self.order.get(next).is_none_or(|(other, _)| other != key) {
                distinct.remove(key);
            }
        }
    }
}

impl<K: Ord + Clone, M: Ord + Hash + Clone> Default for Ranking<K, M> {
    fn default() -> Self {
        Self::new()
    }
}

/// Builds a ranking faster than member by member; of one that is named twice the last key counts.
impl<K: Ord + Clone, M: Ord + Hash + Clone> FromIterator<(M, K)> for Ranking<K, M> {
    fn from_iter<I: IntoIterator<Item = (M, K)>>(entries: I) -> Self {
        let mut ranking = Self::new();
        let mut order = Vec::new();
        let mut repeated = Vec::new();
        for (member, key) in entries {
            match ranking.members.insert(&member, key.clone()) {
                None => order.push((key, member)),
                Some(_) => repeated.push(member),
            }
        }
        // What was listed first for them is listed as it is now.
        if !repeated.is_empty() {
            for (key, member) in &mut order {
                if let Some(last) = ranking.members.get(member) {
                    key.clone_from(last);
                }
            }
        }
        order.sort_unstable();
        ranking.order = Blocks::from_sorted(&order);
        ranking
    }
}

/// Shows how many there are, not who.
impl<K, M> fmt::Debug for Ranking<K, M>
where
    K: Ord + Clone,
    M: Ord + Hash + Clone,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranking").field("members", &self.len()).finish_non_exhaustive()
    }
}
