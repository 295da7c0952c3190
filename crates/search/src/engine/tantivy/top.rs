//! The best documents behind a place in the order: O(page) memory at any depth, no offsets.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};

use tantivy::columnar::Column as Values;
use tantivy::query::{EnableScoring, Query as IndexQuery, Weight};
use tantivy::{DocAddress, DocId, Score, Searcher, SegmentReader};

use super::columns::{Columns, read};
use super::keys::{After, KEYS, KeyColumn, Keys, OrderKey, Place, Rank, Reader, score_key, to_int, turned};
use super::stored::Stored;
use crate::engine::order::{decay, popularity};
use crate::page::Key;
use crate::query::{Decay, Popularity};

/// Documents whose numbers are read together, as many as the index hands over at once.
const BLOCK: usize = 64;

/// What is added to scores: a number's popularity, or a moment's decay, and the columns they are read from.
#[derive(Clone, Debug, Default)]
pub(super) struct Additions {
    /// How much the text score counts.
    pub(super) text: f32,
    /// Popularity, with its column and whether that is of decimals.
    pub(super) popularity: Vec<(Popularity, String, bool)>,
    pub(super) decay: Vec<(Decay, String)>,
}

/// Looks for the best documents.
pub(super) struct Top {
    pub(super) limit: usize,
    pub(super) order: Vec<OrderKey>,
    pub(super) after: Option<After>,
    pub(super) additions: Option<Additions>,
    /// Whether everything is found, so that what is first in the order can be read from a list.
    pub(super) everything: bool,
    /// How many of what is found are counted; it does not matter whether there are more.
    pub(super) counted: usize,
    /// The columns of every segment, open.
    pub(super) columns: Arc<Columns>,
    /// Set when nobody waits for the answer any more.
    pub(super) stop: Arc<AtomicBool>,
}

/// A document that was found, with what orders it among all segments.
pub(super) struct Found {
    pub(super) address: DocAddress,
    pub(super) score: Score,
    places: [Place; KEYS],
    /// The keys that are strings, each in its place; empty where none is.
    texts: Vec<Option<String>>,
    /// What is stored of it, where that was read already.
    pub(super) document: Option<Stored>,
}

impl Found {
    /// Orders two documents by their keys.
    pub(super) fn compare(&self, other: &Self, order: &[OrderKey]) -> Ordering {
        if self.texts.is_empty() {
            return self.places.cmp(&other.places);
        }
        let keys = order.iter().zip(self.places.iter().zip(&other.places));
        let texts = self.texts.iter().zip(&other.texts);
        let mut each = keys.zip(texts).map(|((key, places), texts)| match (texts, &key.column) {
            ((Some(a), Some(b)), KeyColumn::Text(_)) if key.descending => b.as_bytes().cmp(a.as_bytes()),
            ((Some(a), Some(b)), KeyColumn::Text(_)) => a.as_bytes().cmp(b.as_bytes()),
            ((a, b), KeyColumn::Text(_)) => a.is_none().cmp(&b.is_none()),
            _ => places.0.cmp(places.1),
        });
        each.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Returns what a cursor says of it.
    pub(super) fn keys(&self, order: &[OrderKey]) -> Vec<Key> {
        let key = |(index, key): (usize, &OrderKey)| {
            let (missing, number) = self.places.get(index).copied().unwrap_or_default();
            if missing {
                return Key::Missing;
            }
            let number = if key.descending { !number } else { number };
            match &key.column {
                KeyColumn::Score => score_key(self.score),
                KeyColumn::Int(_) if key.bool => Key::Bool(to_int(number) != 0),
                KeyColumn::Int(_) => Key::Int(to_int(number)),
                KeyColumn::Float(_) => Key::float(tantivy::u64_to_f64(number)),
                KeyColumn::Text(_) => {
                    self.texts.get(index).cloned().flatten().map_or(Key::Missing, Key::Text)
                }
            }
        };
        order.iter().enumerate().map(key).collect()
    }
}

/// What was found, in its order within each segment, and how many matched where all were looked at.
pub(super) struct Collected {
    pub(super) found: Vec<Found>,
    pub(super) seen: Option<u64>,
}

struct Segment<const N: usize> {
    ord: u32,
    limit: usize,
    keys: Keys<N>,
    after: Option<Rank<N>>,
    additions: Option<Added>,
    heap: BinaryHeap<(Rank<N>, DocId, u32)>,
    /// The first key that a document may have at most to be among the best; none while there are too few.
    worst: Option<Place>,
    seen: u64,
}

struct Added {
    text: f32,
    numbers: Vec<(Popularity, Number)>,
    moments: Vec<(Decay, Values<i64>)>,
}

enum Number {
    Int(Values<i64>),
    Float(Values<f64>),
}

impl<const N: usize> Segment<N> {
    fn open(top: &Top, ord: u32, reader: &SegmentReader, worst: Option<Place>) -> tantivy::Result<Self> {
        let keys = Keys::open(&top.order, &top.columns, ord, reader)?;
        let after = top.after.as_ref().map(|after| keys.rank_of(after)).transpose()?;
        let columns = reader.fast_fields();
        let additions = match &top.additions {
            Some(additions) => {
                let mut added = Added { text: additions.text, numbers: Vec::new(), moments: Vec::new() };
                for (part, name, float) in &additions.popularity {
                    let number = if *float {
                        Number::Float(columns.f64(name)?)
                    } else {
                        Number::Int(columns.i64(name)?)
                    };
                    added.numbers.push((part.clone(), number));
                }
                for (part, name) in &additions.decay {
                    added.moments.push((part.clone(), columns.i64(name)?));
                }
                Some(added)
            }
            None => None,
        };
        Ok(Self {
            ord,
            limit: top.limit,
            keys,
            after,
            additions,
            heap: BinaryHeap::with_capacity(top.limit.min(1_024)),
            worst,
            seen: 0,
        })
    }

    fn score(&self, doc: DocId, score: Score) -> Score {
        let Some(added) = &self.additions else { return score };
        #[expect(clippy::cast_precision_loss, reason = "a score needs the precision of f32 only")]
        let numbers = added.numbers.iter().map(|(part, number)| {
            let value = match number {
                Number::Int(values) => values.first(doc).map(|value| value as f64),
                Number::Float(values) => values.first(doc),
            };
            popularity(part, value)
        });
        let moments = added.moments.iter().map(|(part, values)| decay(part, values.first(doc)));
        score.mul_add(added.text, numbers.chain(moments).sum())
    }

    fn offer(&mut self, doc: DocId, score: Score) {
        self.seen += 1;
        let score = self.score(doc, score);
        self.offer_at(self.keys.first(doc, score), doc, score);
    }

    /// Takes a document whose first key is known where it is behind the place to begin at and among the best.
    #[inline]
    fn offer_at(&mut self, first: Place, doc: DocId, score: Score) {
        // what is first in the order decides most: the rest is read only where that is equal
        if self.worst.is_none_or(|worst| first <= worst) {
            self.compare(first, doc, score);
        }
    }

    fn compare(&mut self, first: Place, doc: DocId, score: Score) {
        if self.after.as_ref().is_some_and(|(keys, _)| keys.first().is_some_and(|after| first < *after)) {
            return;
        }
        let rank = self.keys.rank(first, doc, score);
        if self.after.as_ref().is_some_and(|after| rank <= *after) {
            return;
        }
        if self.heap.len() < self.limit {
            self.heap.push((rank, doc, score.to_bits()));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && rank < worst.0
        {
            *worst = (rank, doc, score.to_bits());
        }
        if self.heap.len() >= self.limit {
            let own = self.heap.peek().and_then(|((keys, _), ..)| keys.first().copied());
            self.worst = own.into_iter().chain(self.worst).min();
        }
    }

    /// Takes the first documents behind the place to begin at from a list of all in their order.
    fn take(&mut self, list: &[DocId], top: &Top, is_alive: impl Fn(DocId) -> bool) {
        let begin = self.after.as_ref().map_or(0, |after| {
            list.partition_point(|doc| self.keys.rank(self.keys.first(*doc, 0.0), *doc, 0.0) <= *after)
        });
        for doc in list.iter().skip(begin).filter(|doc| is_alive(**doc)) {
            let first = self.keys.first(*doc, 0.0);
            if self.heap.len() >= self.limit || self.worst.is_some_and(|worst| first > worst) {
                break;
            }
            self.heap.push((self.keys.rank(first, *doc, 0.0), *doc, 0));
        }
        self.seen = list.iter().filter(|doc| is_alive(**doc)).take(top.counted).count() as u64;
    }

    /// The score that a document must have to be among the best; a little less, since equals are ordered by id.
    fn threshold(&self) -> Score {
        let Some((_, worst)) = self.worst else { return Score::MIN };
        let bits = u32::MAX - u32::try_from(worst).unwrap_or(u32::MAX);
        // what scores nothing may equal the worst as well
        bits.checked_sub(16).map_or(Score::MIN, |bits| Score::from_bits(bits).min(Score::MAX))
    }

    fn collect(&mut self, top: &Top, weight: &dyn Weight, reader: &SegmentReader) -> tantivy::Result<()> {
        let alive = reader.alive_bitset();
        let is_alive = |doc| alive.is_none_or(|alive| alive.is_alive(doc));
        let stopped = || top.stop.load(Atomic::Relaxed);
        if top.everything
            && !top.needs_scores()
            && let Some(list) = self.keys.list(&top.columns, reader)?
        {
            self.take(&list, top, is_alive);
            return Ok(());
        }
        if let (true, Some((Reader::Int(Some(values)), key))) = (alive.is_none(), self.keys.readers.first()) {
            let (values, descending) = (values.clone(), key.descending);
            let mut numbers = [None; BLOCK];
            return weight.for_each_no_score(reader, &mut |docs| {
                for docs in docs.chunks(BLOCK) {
                    if stopped() {
                        return;
                    }
                    self.seen += docs.len() as u64;
                    numbers.fill(None);
                    let Some(numbers) = numbers.get_mut(..docs.len()) else { return };
                    values.first_vals(docs, numbers);
                    for (doc, number) in docs.iter().zip(numbers) {
                        self.offer_at(turned(*number, descending), *doc, 0.0);
                    }
                }
            });
        }
        if !top.needs_scores() {
            return weight.for_each_no_score(reader, &mut |docs| {
                if !stopped() {
                    docs.iter().filter(|doc| is_alive(**doc)).for_each(|doc| self.offer(*doc, 0.0));
                }
            });
        }
        if self.additions.is_some() {
            return weight.for_each(reader, &mut |doc, score| {
                if is_alive(doc) && !stopped() {
                    self.offer(doc, score);
                }
            });
        }
        weight.for_each_pruning(self.threshold(), reader, &mut |doc, score| {
            if is_alive(doc) {
                self.offer(doc, score);
            }
            if stopped() { Score::MAX } else { self.threshold() }
        })
    }

    fn found(self, found: &mut Vec<Found>) -> tantivy::Result<()> {
        let has_texts = self.keys.readers.iter().any(|(reader, _)| matches!(reader, Reader::Text(_)));
        for ((keys, _), doc, score) in self.heap.into_sorted_vec() {
            let mut places = [(false, 0); KEYS];
            places.iter_mut().zip(keys).for_each(|(slot, key)| *slot = key);
            let text = |(reader, _): &(Reader, OrderKey)| match reader {
                Reader::Text(strings) => read(strings.as_ref(), doc),
                _ => Ok(None),
            };
            let texts = if has_texts {
                self.keys.readers.iter().map(text).collect::<tantivy::Result<_>>()?
            } else {
                Vec::new()
            };
            let (address, score) = (DocAddress::new(self.ord, doc), Score::from_bits(score));
            found.push(Found { address, score, places, texts, document: None });
        }
        Ok(())
    }
}

impl Top {
    fn needs_scores(&self) -> bool {
        self.order.iter().any(|key| matches!(key.column, KeyColumn::Score))
    }

    /// Looks through the whole index.
    pub(super) fn search(&self, searcher: &Searcher, lookup: &dyn IndexQuery) -> tantivy::Result<Collected> {
        match self.order.len() {
            0 | 1 => self.through::<1>(searcher, lookup),
            2 => self.through::<2>(searcher, lookup),
            _ => self.through::<KEYS>(searcher, lookup),
        }
    }

    /// The largest segment first: what is the worst of the best there need not be beaten elsewhere any more.
    fn through<const N: usize>(
        &self,
        searcher: &Searcher,
        lookup: &dyn IndexQuery,
    ) -> tantivy::Result<Collected> {
        let weight = lookup.weight(if self.needs_scores() {
            EnableScoring::enabled_from_searcher(searcher)
        } else {
            EnableScoring::disabled_from_searcher(searcher)
        })?;
        let mut segments: Vec<_> = (0..).zip(searcher.segment_readers()).collect();
        segments.sort_by_key(|(_, reader)| Reverse(reader.max_doc()));
        let shared = !matches!(self.order.first(), Some(OrderKey { column: KeyColumn::Text(_), .. }));
        let (mut found, mut seen, mut worst) = (Vec::new(), 0_u64, None);
        for (ord, reader) in segments {
            let mut segment = Segment::<N>::open(self, ord, reader, worst)?;
            segment.collect(self, weight.as_ref(), reader)?;
            seen = seen.saturating_add(segment.seen);
            segment.found(&mut found)?;
            if shared && found.len() >= self.limit && self.limit > 0 {
                let first = |found: &Found| found.places.first().copied().unwrap_or_default();
                let mut firsts: Vec<Place> = found.iter().map(first).collect();
                let (_, last, _) = firsts.select_nth_unstable(self.limit - 1);
                worst = Some(*last);
                found.retain(|found| first(found) <= *last);
            }
        }
        let all = !self.needs_scores() || self.additions.is_some();
        Ok(Collected { found, seen: all.then_some(seen) })
    }

    /// Returns what a document that scores so is sorted by.
    pub(super) fn key(
        &self,
        ord: u32,
        reader: &SegmentReader,
        doc: DocId,
        score: Score,
    ) -> tantivy::Result<Key> {
        Ok(score_key(Segment::<1>::open(self, ord, reader, None)?.score(doc, score)))
    }
}

/// Returns what each number and moment of a document adds.
pub(super) fn added(
    searcher: &Searcher,
    parts: &Additions,
    address: DocAddress,
) -> tantivy::Result<Vec<f32>> {
    let columns = searcher.segment_reader(address.segment_ord).fast_fields();
    let mut values = Vec::with_capacity(parts.popularity.len() + parts.decay.len());
    for (part, name, float) in &parts.popularity {
        #[expect(clippy::cast_precision_loss, reason = "a score needs the precision of f32 only")]
        let value = match float {
            true => columns.f64(name)?.first(address.doc_id),
            false => columns.i64(name)?.first(address.doc_id).map(|value| value as f64),
        };
        values.push(popularity(part, value));
    }
    for (part, name) in &parts.decay {
        values.push(decay(part, columns.i64(name)?.first(address.doc_id)));
    }
    Ok(values)
}
