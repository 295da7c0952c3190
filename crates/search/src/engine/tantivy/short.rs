//! Searches that take less time than the way to a thread that may wait and back.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use pumasi_core::filter::Filter;
use quick_cache::sync::Cache;

use crate::query::{Query, Rank};

/// How long a search may have taken to be made, the next time, on the thread that asks: a task should not keep its thread from others
/// for longer than 10 to 100 µs (tokio's own advice).
const SHORT: Duration = Duration::from_micros(50);

/// How many are remembered.
const KEPT: usize = 4_096;

/// Which searches were short on which snapshot.
pub(super) struct Shorts(Cache<u64, u64>);

impl Shorts {
    pub(super) fn new() -> Self {
        Self(Cache::new(KEPT))
    }

    /// What a search's time depends on, as a number; `None` where it depends on more than its words and its order. Two searches of one
    /// number share what is remembered, no more.
    pub(super) fn key(query: &Query) -> Option<u64> {
        let open = matches!(&query.filter, Filter::And(all) if all.is_empty());
        let plain = open && query.boosts.is_empty() && query.facets.is_empty() && query.after.is_none();
        let mut hasher = DefaultHasher::new();
        match &query.rank {
            Rank::Text => {}
            Rank::Fields(sorts) => {
                for sort in sorts {
                    (&sort.field, sort.descending).hash(&mut hasher);
                }
            }
            Rank::Fused(_) => return None,
        }
        (&query.text, query.verbatim, query.matching, query.as_you_type, query.typos).hash(&mut hasher);
        (query.count, query.limit, query.highlight, query.explain).hash(&mut hasher);
        plain.then(|| hasher.finish())
    }

    /// Tells whether a search was short when it was made last, and on this snapshot: what it reads is in memory then.
    pub(super) fn is_short(&self, key: u64, snapshot: u64) -> bool {
        self.0.get(&key) == Some(snapshot)
    }

    pub(super) fn note(&self, key: u64, snapshot: u64, took: Duration) {
        if took <= SHORT {
            self.0.insert(key, snapshot);
        } else {
            self.0.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use pumasi_core::filter::Field;

    use super::*;

    #[test]
    fn what_was_short_once_is_short_on_the_same_snapshot_until_it_takes_longer() {
        let shorts = Shorts::new();
        let key = Shorts::key(&Query::new("러닝")).unwrap();
        assert!(!shorts.is_short(key, 1));
        shorts.note(key, 1, SHORT);
        assert!(shorts.is_short(key, 1) && !shorts.is_short(key, 2));
        shorts.note(key, 1, SHORT * 2);
        assert!(!shorts.is_short(key, 1));
    }

    #[test]
    fn a_search_that_depends_on_more_than_its_words_has_no_key() {
        let query = Query::new("러닝");
        let likes: Field<i64> = Field::new("likes");
        assert!(Shorts::key(&query.clone().with_filter(likes.eq(3))).is_none());
        assert!(Shorts::key(&query.clone().with_rank(Rank::Fused(crate::Fusion::rrf()))).is_none());
        assert_ne!(Shorts::key(&query), Shorts::key(&query.clone().with_limit(11)));
        assert_ne!(Shorts::key(&query), Shorts::key(&Query::new("한강")));
    }
}
