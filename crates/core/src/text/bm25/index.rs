//! An inverted index in memory, for tens of thousands of short texts that come and go.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use super::{Bm25, as_f64, narrow};
use crate::text::{Analyzer, TokenKind};

/// One result of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit<K> {
    /// The id under which the text was added.
    pub id: K,
    /// The BM25 score; greater than 0, comparable within one index and query only.
    pub score: f32,
}

/// A document's place in the index; places of removed documents are empty until the index is compacted.
struct Slot<K> {
    id: K,
    length: u32,
    terms: Vec<u32>,
}

/// Searches texts by [`Bm25`] over the terms of an [`Analyzer`].
///
/// Adding, removing and searching take time in the terms touched, not in the number of texts, apart from a compaction
/// each time half of the places are empty. Results are deterministic: equal scores are ordered by id. Scores do not
/// depend on the order in which texts were added or removed.
///
/// ```
/// use pumasi_core::text::{Analyzer, Bm25Index};
///
/// let mut index = Bm25Index::new(Analyzer::default());
/// index.add(1, "하프 마라톤을 완주하는 법");
/// index.add(2, "How to finish a half marathon");
/// assert_eq!(index.search("마라톤 완주", 5).first().map(|hit| hit.id), Some(1));
/// assert!(index.remove(&1));
/// assert!(index.search("마라톤 완주", 5).is_empty());
/// ```
pub struct Bm25Index<K> {
    analyzer: Analyzer,
    bm25: Bm25,
    terms: HashMap<Box<str>, u32>,
    postings: Vec<Posting>,
    slots: Vec<Option<Slot<K>>>,
    places: HashMap<K, u32>,
    total_length: u64,
}

#[derive(Default)]
struct Posting {
    /// How many documents that are still there hold the term.
    containing: usize,
    /// Places and frequencies, places growing.
    entries: Vec<(u32, u32)>,
}

impl<K> fmt::Debug for Bm25Index<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bm25Index")
            .field("documents", &self.places.len())
            .field("terms", &self.terms.len())
            .field("bm25", &self.bm25)
            .finish_non_exhaustive()
    }
}

impl<K: Clone + Eq + Hash + Ord> Bm25Index<K> {
    /// Makes an empty index.
    pub fn new(analyzer: Analyzer) -> Self {
        Self {
            analyzer,
            bm25: Bm25::default(),
            terms: HashMap::new(),
            postings: Vec::new(),
            slots: Vec::new(),
            places: HashMap::new(),
            total_length: 0,
        }
    }

    /// Sets the constants of the weighting.
    #[must_use]
    pub fn with_bm25(mut self, bm25: Bm25) -> Self {
        self.bm25 = bm25;
        self
    }

    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Tells whether a text stands under `id`.
    pub fn contains(&self, id: &K) -> bool {
        self.places.contains_key(id)
    }

    /// Adds `text` under `id`, in place of the text that stood there.
    pub fn add(&mut self, id: K, text: &str) {
        self.remove(&id);
        let Ok(place) = u32::try_from(self.slots.len()) else { return };
        let mut counts: HashMap<u32, u32> = HashMap::new();
        let mut stops: HashMap<u32, u32> = HashMap::new();
        let (terms, postings) = (&mut self.terms, &mut self.postings);
        self.analyzer.for_each(text, |token| {
            let Some(term) = intern(terms, postings, token.text) else { return };
            let counts = if token.kind == TokenKind::Stop { &mut stops } else { &mut counts };
            *counts.entry(term).or_default() += 1;
        });
        let length = counts.values().fold(0, |sum: u32, count| sum.saturating_add(*count));
        self.total_length += u64::from(length);
        counts.extend(stops);
        for (&term, &count) in &counts {
            if let Some(posting) = self.postings.get_mut(term as usize) {
                posting.containing += 1;
                posting.entries.push((place, count));
            }
        }
        self.slots.push(Some(Slot { id: id.clone(), length, terms: counts.into_keys().collect() }));
        self.places.insert(id, place);
    }

    /// Removes the text that stands under `id`; tells whether there was one.
    pub fn remove(&mut self, id: &K) -> bool {
        let Some(place) = self.places.remove(id) else { return false };
        let Some(slot) = self.slots.get_mut(place as usize).and_then(Option::take) else { return false };
        self.total_length -= u64::from(slot.length);
        for term in slot.terms {
            if let Some(posting) = self.postings.get_mut(term as usize) {
                posting.containing -= 1;
            }
        }
        if self.slots.len() > 64 && self.places.len() < self.slots.len() / 2 {
            self.compact();
        }
        true
    }

    /// Finds the `limit` texts that answer `query` best, best first.
    ///
    /// Function words count only in a query that has nothing else.
    pub fn search(&self, query: &str, limit: usize) -> Vec<Hit<K>> {
        self.search_where(query, limit, |_| true)
    }

    /// Finds the `limit` texts that answer `query` best among those whose id `admits`.
    pub fn search_where(&self, query: &str, limit: usize, admits: impl Fn(&K) -> bool) -> Vec<Hit<K>> {
        let mut wanted: Vec<(u32, u32)> = Vec::new();
        let mut stops: Vec<(u32, u32)> = Vec::new();
        let mut meaningful = false;
        self.analyzer.for_each(query, |token| {
            meaningful |= token.kind != TokenKind::Stop;
            let Some(&term) = self.terms.get(token.text) else { return };
            let into = if token.kind == TokenKind::Stop { &mut stops } else { &mut wanted };
            into.push((term, 1));
        });
        let mut wanted = if meaningful { wanted } else { stops };
        // sums of floats depend on their order: that of the terms' texts would cost more than that of their ids
        wanted.sort_unstable();
        wanted.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += u32::from(same);
            same
        });
        let mut scores = vec![0.0_f64; self.slots.len()];
        let mean = self.mean_length();
        for (term, frequency) in wanted {
            let Some(posting) = self.postings.get(term as usize) else { continue };
            let weight = Bm25::query_weight(frequency, self.places.len(), posting.containing);
            for &(place, count) in &posting.entries {
                let slot = self.slots.get(place as usize).and_then(Option::as_ref);
                if let (Some(slot), Some(score)) = (slot, scores.get_mut(place as usize)) {
                    *score += f64::from(weight * self.bm25.document_weight(count, slot.length, mean));
                }
            }
        }
        let mut hits: Vec<Hit<&K>> = self
            .slots
            .iter()
            .zip(scores)
            .filter(|(_, score)| *score > 0.0)
            .filter_map(|(slot, score)| slot.as_ref().map(|slot| Hit { id: &slot.id, score: narrow(score) }))
            .filter(|hit| admits(hit.id))
            .collect();
        let order = |a: &Hit<&K>, b: &Hit<&K>| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(b.id));
        if limit > 0 && limit < hits.len() {
            hits.select_nth_unstable_by(limit - 1, order);
        }
        hits.truncate(limit);
        hits.sort_unstable_by(order);
        hits.into_iter().map(|hit| Hit { id: hit.id.clone(), score: hit.score }).collect()
    }

    fn mean_length(&self) -> f32 {
        if self.places.is_empty() {
            return 0.0;
        }
        let total = usize::try_from(self.total_length).unwrap_or(usize::MAX);
        narrow(as_f64(total) / as_f64(self.places.len()))
    }

    /// Gives up the places of removed texts, and the terms that only they had.
    fn compact(&mut self) {
        let mut moved = vec![None; self.slots.len()];
        let mut kept = Vec::with_capacity(self.places.len());
        for (from, slot) in std::mem::take(&mut self.slots).into_iter().enumerate() {
            let (Some(slot), Some(target)) = (slot, moved.get_mut(from)) else { continue };
            let Ok(place) = u32::try_from(kept.len()) else { continue };
            *target = Some(place);
            self.places.insert(slot.id.clone(), place);
            kept.push(Some(slot));
        }
        self.slots = kept;
        let mut renamed = vec![None; self.postings.len()];
        let mut postings = Vec::new();
        for (from, mut posting) in std::mem::take(&mut self.postings).into_iter().enumerate() {
            let (true, Some(target)) = (posting.containing > 0, renamed.get_mut(from)) else { continue };
            posting.entries = posting
                .entries
                .into_iter()
                .filter_map(|(place, count)| Some(((*moved.get(place as usize)?)?, count)))
                .collect();
            *target = u32::try_from(postings.len()).ok();
            postings.push(posting);
        }
        self.postings = postings;
        let rename = |term: &mut u32| match renamed.get(*term as usize).copied().flatten() {
            Some(new) => {
                *term = new;
                true
            }
            None => false,
        };
        self.terms.retain(|_, term| rename(term));
        for slot in self.slots.iter_mut().flatten() {
            slot.terms.retain_mut(rename);
        }
    }
}

fn intern(terms: &mut HashMap<Box<str>, u32>, postings: &mut Vec<Posting>, term: &str) -> Option<u32> {
    if let Some(&id) = terms.get(term) {
        return Some(id);
    }
    let id = u32::try_from(postings.len()).ok()?;
    terms.insert(term.into(), id);
    postings.push(Posting::default());
    Some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::SparseVector;

    const TEXTS: [&str; 6] = [
        "매일 아침 10km를 달렸습니다",
        "아침마다 영어 단어를 외운다",
        "How to run a half marathon",
        "하프 마라톤을 완주하는 방법",
        "the and of",
        "러닝크루에서 함께 달리기",
    ];

    fn index(texts: &[(u32, &str)]) -> Bm25Index<u32> {
        let mut index = Bm25Index::new(Analyzer::default());
        for (id, text) in texts {
            index.add(*id, text);
        }
        index
    }

    fn all() -> Vec<(u32, &'static str)> {
        (0..).zip(TEXTS).collect()
    }

    #[test]
    fn finds_the_text_in_another_form_of_its_words() {
        let index = index(&all());
        assert_eq!(index.search("마라톤에서 완주", 1)[0].id, 3);
        assert_eq!(index.search("running marathons", 1)[0].id, 2);
        assert_eq!(index.search("러닝", 3).len(), 1);
        assert_eq!(index.search("10km", 3)[0].id, 0);
        assert!(index.search("", 3).is_empty());
        assert!(index.search("없는단어", 0).is_empty());
    }

    #[test]
    fn function_words_count_only_where_there_is_nothing_else() {
        let index = index(&all());
        assert_eq!(index.search("the of", 5)[0].id, 4);
        assert!(index.search("the marathon", 5).iter().all(|hit| hit.id == 2));
    }

    #[test]
    fn equal_scores_are_ordered_by_id() {
        let index = index(&[(3, "같은 글"), (1, "같은 글"), (2, "같은 글")]);
        let ids: Vec<_> = index.search("같은 글", 2).iter().map(|hit| hit.id).collect();
        assert_eq!(ids, [1, 2]);
    }

    #[test]
    fn a_text_added_again_replaces_the_one_before() {
        let mut index = index(&[(1, "달리기"), (1, "수영하기")]);
        assert_eq!(index.len(), 1);
        assert!(index.search("달리기", 5).is_empty());
        assert!(index.remove(&1) && !index.remove(&1) && index.is_empty());
    }

    #[test]
    fn scores_equal_the_product_of_the_sparse_vectors() {
        let analyzer = Analyzer::default();
        let index = index(&all()[..4]);
        let query = "아침 마라톤 달리기";
        let mean = index.mean_length();
        let containing = |id| {
            TEXTS[..4]
                .iter()
                .filter(|text| {
                    analyzer.tokens(text).iter().any(|token| super::super::term_id(&token.text) == id)
                })
                .count()
        };
        let vector = SparseVector::query(query, &analyzer, 4, containing);
        for hit in index.search(query, 10) {
            let document = SparseVector::document(TEXTS[hit.id as usize], &analyzer, Bm25::default(), mean);
            assert!((vector.dot(&document) - hit.score).abs() < 1e-5);
        }
    }

    proptest! {
        #[test]
        fn history_does_not_change_the_results(steps in prop::collection::vec((0_u32..90, 0_usize..6, any::<bool>()), 0..300)) {
            let mut lived = Bm25Index::new(Analyzer::default());
            let mut now = std::collections::BTreeMap::new();
            for (id, text, add) in steps {
                if add {
                    lived.add(id, TEXTS[text]);
                    now.insert(id, TEXTS[text]);
                } else {
                    prop_assert_eq!(lived.remove(&id), now.remove(&id).is_some());
                }
            }
            let fresh = index(&now.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(lived.len(), fresh.len());
            for query in ["아침 달리기", "half marathon", "the", "완주하는 10km"] {
                let (a, b) = (lived.search(query, 100), fresh.search(query, 100));
                prop_assert_eq!(a.len(), b.len());
                for (a, b) in a.iter().zip(&b) {
                    prop_assert_eq!(a.id, b.id);
                    prop_assert!((a.score - b.score).abs() < 1e-5);
                }
            }
        }
    }
}
