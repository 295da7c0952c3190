//! What the reference keeps of documents.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pumasi_core::time::Timestamp;
use serde_json::Value as Json;

use crate::engine::{Applied, Change};
use crate::schema::{Document, Schema};
use crate::terms::{Term, terms};

/// Which terms: those of the whole document, or of a field that is kept apart.
pub(super) type Place = Option<usize>;

/// The terms of a document in one place.
#[derive(Debug, Default)]
pub(super) struct Postings {
    pub(super) positions: HashMap<String, Vec<u32>>,
    pub(super) length: u32,
}

/// A document, taken apart.
#[derive(Debug)]
pub(super) struct Indexed {
    pub(super) source: Arc<Json>,
    pub(super) terms: HashMap<Place, Postings>,
    pub(super) prefixes: HashMap<usize, Vec<String>>,
}

/// What is known under an id; without a document it was deleted.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) indexed: Option<Indexed>,
}

impl Entry {
    pub(super) fn source(&self) -> Option<&Json> {
        self.indexed.as_ref().map(|indexed| &*indexed.source)
    }
}

/// All documents, and how many have which term.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) generation: u64,
    pub(super) applied: Option<Timestamp>,
    containing: HashMap<(Place, String), usize>,
    /// For each place how many documents have terms there, and how many terms they have together.
    lengths: HashMap<Place, (usize, u64)>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            generation: 1,
            applied: None,
            containing: HashMap::new(),
            lengths: HashMap::new(),
        }
    }
}

impl Index {
    pub(super) fn clear(&mut self) {
        let generation = self.generation;
        *self = Self { generation, ..Self::default() };
    }

    /// Applies a change, unless a version as new is known.
    pub(super) fn put(&mut self, schema: &Schema, change: &Change, document: Option<&Document>) -> Applied {
        if self.entries.get(change.id()).is_some_and(|known| known.version >= change.version()) {
            return Applied::Stale;
        }
        let indexed = document.map(|document| take_apart(schema, document));
        if let Some(indexed) = &indexed {
            self.count(indexed, true);
        }
        let entry = Entry { version: change.version(), indexed };
        if let Some(Entry { indexed: Some(before), .. }) = self.entries.insert(change.id().to_owned(), entry)
        {
            self.count(&before, false);
        }
        self.applied = self.applied.max(change.reached());
        Applied::Done
    }

    fn count(&mut self, indexed: &Indexed, add: bool) {
        let change = |count: usize| if add { count.saturating_add(1) } else { count.saturating_sub(1) };
        for (place, postings) in &indexed.terms {
            let (documents, terms) = self.lengths.entry(*place).or_default();
            let length = u64::from(postings.length);
            *documents = change(*documents);
            *terms = if add { terms.saturating_add(length) } else { terms.saturating_sub(length) };
            for text in postings.positions.keys() {
                let count = self.containing.entry((*place, text.clone())).or_default();
                *count = change(*count);
            }
        }
    }

    pub(super) fn documents(&self) -> u64 {
        let there = self.entries.values().filter(|entry| entry.indexed.is_some()).count();
        u64::try_from(there).unwrap_or(u64::MAX)
    }

    /// How many deleted documents are remembered.
    pub(super) fn deleted(&self) -> u64 {
        let gone = self.entries.values().filter(|entry| entry.indexed.is_none()).count();
        u64::try_from(gone).unwrap_or(u64::MAX)
    }

    /// How many documents have terms in a place, and how many each has on average.
    pub(super) fn lengths(&self, place: Place) -> (usize, f32) {
        let (documents, terms) = self.lengths.get(&place).copied().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a mean needs the precision of f32 only")]
        let mean = if documents == 0 { 0.0 } else { terms as f32 / documents as f32 };
        (documents, mean)
    }

    pub(super) fn containing(&self, place: Place, text: &str) -> usize {
        self.containing.get(&(place, text.to_owned())).copied().unwrap_or_default()
    }
}

fn take_apart(schema: &Schema, document: &Document) -> Indexed {
    let taken = terms(schema, document.source());
    let mut all = HashMap::from([(None, postings(taken.all))]);
    all.extend(taken.apart.into_iter().map(|(field, terms)| (Some(field), postings(terms))));
    Indexed { source: document.shared(), terms: all, prefixes: taken.prefixes.into_iter().collect() }
}

fn postings(terms: Vec<Term>) -> Postings {
    let mut postings = Postings::default();
    for term in terms {
        postings.length = postings.length.saturating_add(1);
        postings.positions.entry(term.text).or_default().push(term.position);
    }
    postings
}
