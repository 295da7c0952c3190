//! The best documents of each segment behind a place in the order: O(page) memory at any depth, no offsets.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column as Values, Dictionary, StrColumn};
use tantivy::index::SegmentId;
use tantivy::query::Weight;
use tantivy::{DocAddress, DocId, Score, Searcher, SegmentReader, TantivyError};

use super::fields::{ID, VERSION};
use crate::engine::order::{compare, decay, popularity};
use crate::page::Key;
use crate::query::{Decay, Popularity, Sort};

/// The most keys of an order.
const KEYS: usize = 3;

/// What one document is sorted by within a segment: for each key whether it is missing, and a number that grows towards the
/// end of the order; then twice the number of its id plus one.
type Rank = ([(bool, u64); KEYS], u64);

/// What a key is read from.
#[derive(Clone, Debug)]
pub(super) enum KeyColumn {
    /// The score, the greatest first.
    Score,
    /// Whole numbers, truth values, moments.
    Int(String),
    /// Decimal numbers.
    Float(String),
    /// Strings.
    Text(String),
}

/// One key of the order.
#[derive(Clone, Debug)]
pub(super) struct OrderKey {
    pub(super) column: KeyColumn,
    pub(super) descending: bool,
    /// Whether the integers are truth values.
    pub(super) bool: bool,
}

/// What is added to scores: a number's popularity, or a moment's decay, and the columns they are read from.
#[derive(Clone, Debug, Default)]
pub(super) struct Additions {
    /// How much the text score counts.
    pub(super) text: f32,
    /// Popularity, with its column and whether that is of decimals.
    pub(super) popularity: Vec<(Popularity, String, bool)>,
    pub(super) decay: Vec<(Decay, String)>,
}

/// A place in the order.
#[derive(Clone)]
pub(super) struct After {
    pub(super) keys: Vec<Key>,
    pub(super) id: String,
}

/// Columns that every search reads; to open them takes as long as many a search.
pub(super) struct Columns(Vec<(SegmentId, Arc<SegmentColumns>)>);

struct SegmentColumns {
    ids: Option<(Arc<Dictionary>, Values<u64>)>,
    versions: Values<u64>,
}

/// Collects the best documents.
pub(super) struct Top {
    pub(super) limit: usize,
    pub(super) order: Vec<OrderKey>,
    pub(super) after: Option<After>,
    pub(super) additions: Option<Additions>,
    /// The columns of every segment, open.
    pub(super) columns: Arc<Columns>,
    /// Set when nobody waits for the answer any more.
    pub(super) stop: Arc<AtomicBool>,
}

/// A document that was found, with what orders it among all segments.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) address: DocAddress,
    /// Empty until it is [read](Collected::best).
    pub(super) id: String,
    pub(super) keys: Vec<Key>,
    pub(super) score: Score,
}

/// What was found, best first within each segment, and how many matched where all were looked at.
pub(super) struct Collected {
    pub(super) found: Vec<Found>,
    pub(super) seen: Option<u64>,
}

impl Columns {
    /// Opens the columns of an index; those of segments that were there before are taken over.
    pub(super) fn open(searcher: &Searcher, before: Option<&Self>) -> tantivy::Result<Self> {
        let open = |reader: &SegmentReader| {
            let id = reader.segment_id();
            if let Some(known) = before.and_then(|before| before.0.iter().find(|(other, _)| *other == id)) {
                return Ok(known.clone());
            }
            let columns = reader.fast_fields();
            let kept = SegmentColumns { ids: text(columns.str(ID)?), versions: columns.u64(VERSION)? };
            Ok((id, Arc::new(kept)))
        };
        searcher.segment_readers().iter().map(open).collect::<tantivy::Result<_>>().map(Self)
    }

    fn of(&self, ord: u32) -> tantivy::Result<Arc<SegmentColumns>> {
        let kept = self.0.get(ord as usize).map(|(_, kept)| Arc::clone(kept));
        kept.ok_or_else(|| TantivyError::InternalError("a segment without columns".to_owned()))
    }

    pub(super) fn version(&self, address: DocAddress) -> tantivy::Result<u64> {
        Ok(self.of(address.segment_ord)?.versions.first(address.doc_id).unwrap_or_default())
    }
}

impl Collected {
    /// Returns the best `limit` of all segments in their order, with their ids.
    ///
    /// An id is read out of a dictionary, which takes longer than finding the document: those that are not among the best are left.
    pub(super) fn best(self, limit: usize, sorts: &[Sort], columns: &Columns) -> tantivy::Result<Vec<Found>> {
        let mut found = self.found;
        found.sort_by(|a, b| compare(sorts, (&a.keys, ""), (&b.keys, "")));
        // what equals the last of them may come before it by its id
        if let Some(last) =
            limit.checked_sub(1).and_then(|last| found.get(last)).map(|last| last.keys.clone())
        {
            let end = found.partition_point(|hit| compare(sorts, (&hit.keys, ""), (&last, "")).is_le());
            found.truncate(end);
        }
        for hit in &mut found {
            let kept = columns.of(hit.address.segment_ord)?;
            hit.id = read(kept.ids.as_ref(), hit.address.doc_id)?.unwrap_or_default();
        }
        found.sort_by(|a, b| compare(sorts, (&a.keys, &a.id), (&b.keys, &b.id)));
        found.truncate(limit);
        Ok(found)
    }
}

enum Reader {
    Score,
    Int(Values<i64>),
    Float(Values<f64>),
    Text(Option<(Arc<Dictionary>, Values<u64>)>),
}

pub(super) struct Segment {
    ord: u32,
    limit: usize,
    readers: Vec<(Reader, OrderKey)>,
    columns: Arc<SegmentColumns>,
    after: Option<Rank>,
    additions: Option<Added>,
    heap: BinaryHeap<(Rank, DocId, u32)>,
    seen: u64,
    stop: Arc<AtomicBool>,
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

/// Turns a score round, so that the greatest comes first; the bits of a float that is not negative grow with it.
fn inverted(score: f32) -> u64 {
    let bits = score.max(0.0).to_bits();
    u64::from(u32::MAX - rounded(bits))
}

/// Drops the last bits of a score, which depend on the order in which its parts were added up.
const fn rounded(bits: u32) -> u32 {
    bits.saturating_add(8) & !15
}

const fn from_int(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

fn from_float(value: f64) -> u64 {
    let value = if value == 0.0 { 0.0 } else { value };
    tantivy::f64_to_u64(value)
}

fn text(column: Option<StrColumn>) -> Option<(Arc<Dictionary>, Values<u64>)> {
    column.map(StrColumn::into_parts)
}

/// The place of a string among those of a segment: between two of them where it is not there itself.
fn place(dictionary: Option<&Arc<Dictionary>>, text: &str) -> tantivy::Result<u64> {
    use tantivy::columnar::TermOrdHit;
    let Some(dictionary) = dictionary else { return Ok(0) };
    Ok(match dictionary.term_ord_or_next(text.as_bytes())? {
        TermOrdHit::Exact(ord) => ord * 2 + 1,
        TermOrdHit::Next(ord) => ord.saturating_mul(2),
    })
}

impl Segment {
    fn open(top: &Top, ord: u32, reader: &SegmentReader) -> tantivy::Result<Self> {
        let columns = reader.fast_fields();
        let open = |key: &OrderKey| -> tantivy::Result<(Reader, OrderKey)> {
            let reader = match &key.column {
                KeyColumn::Score => Reader::Score,
                KeyColumn::Int(name) => Reader::Int(columns.i64(name)?),
                KeyColumn::Float(name) => Reader::Float(columns.f64(name)?),
                KeyColumn::Text(name) => Reader::Text(text(columns.str(name)?)),
            };
            Ok((reader, key.clone()))
        };
        let readers: Vec<_> = top.order.iter().map(open).collect::<tantivy::Result<_>>()?;
        let kept = top.columns.of(ord)?;
        let after = match &top.after {
            Some(after) => Some(rank_of(after, &readers, kept.ids.as_ref())?),
            None => None,
        };
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
        let (limit, stop) = (top.limit, Arc::clone(&top.stop));
        Ok(Self {
            ord,
            limit,
            readers,
            columns: kept,
            after,
            additions,
            heap: BinaryHeap::new(),
            seen: 0,
            stop,
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

    fn id(&self, doc: DocId) -> u64 {
        self.columns.ids.as_ref().and_then(|(_, ids)| ids.first(doc)).map_or(0, |ord| ord * 2 + 1)
    }

    fn rank(&self, doc: DocId, score: Score) -> Rank {
        let mut keys = [(false, 0); KEYS];
        for (slot, (reader, key)) in keys.iter_mut().zip(&self.readers) {
            let value = match reader {
                Reader::Score => Some(inverted(score)),
                Reader::Int(values) => values.first(doc).map(from_int),
                Reader::Float(values) => values.first(doc).map(from_float),
                Reader::Text(Some((_, ords))) => ords.first(doc).map(|ord| ord * 2 + 1),
                Reader::Text(None) => None,
            };
            *slot = turned(value, key.descending);
        }
        (keys, self.id(doc))
    }

    /// Takes a document where it is behind the place to begin at and among the best; tells the rank to beat.
    fn offer(&mut self, doc: DocId, score: Score) {
        self.seen += 1;
        let score = self.score(doc, score);
        let full = self.heap.len() >= self.limit;
        // what is first in the order decides most: the rest is read only where that is equal
        if full
            && let (Some((Reader::Score, _)), Some(((keys, _), ..))) =
                (self.readers.first(), self.heap.peek())
            && keys.first().is_some_and(|(_, worst)| inverted(score) > *worst)
        {
            return;
        }
        let rank = self.rank(doc, score);
        if self.after.as_ref().is_some_and(|after| rank <= *after) {
            return;
        }
        if full {
            if let Some(mut worst) = self.heap.peek_mut()
                && rank < worst.0
            {
                *worst = (rank, doc, score.to_bits());
            }
        } else {
            self.heap.push((rank, doc, score.to_bits()));
        }
    }

    /// The score that a document must have to be among the best; a little less, since equals are ordered by id.
    fn threshold(&self) -> Score {
        if self.stop.load(Atomic::Relaxed) {
            return Score::MAX;
        }
        match self.heap.peek() {
            Some((_, _, worst)) if self.heap.len() >= self.limit => {
                Score::from_bits(rounded(*worst).saturating_sub(16)).min(Score::MAX)
            }
            _ => Score::MIN,
        }
    }

    fn found(self) -> tantivy::Result<Collected> {
        let mut found = Vec::with_capacity(self.heap.len());
        for (_, doc, score) in self.heap.into_sorted_vec() {
            let score = Score::from_bits(score);
            let mut keys = Vec::with_capacity(self.readers.len());
            for (reader, key) in &self.readers {
                keys.push(match reader {
                    Reader::Score => Key::float(f64::from(Score::from_bits(rounded(score.to_bits())))),
                    Reader::Int(values) if key.bool => {
                        values.first(doc).map_or(Key::Missing, |value| Key::Bool(value != 0))
                    }
                    Reader::Int(values) => values.first(doc).map_or(Key::Missing, Key::Int),
                    Reader::Float(values) => values.first(doc).map_or(Key::Missing, Key::float),
                    Reader::Text(column) => read(column.as_ref(), doc)?.map_or(Key::Missing, Key::Text),
                });
            }
            found.push(Found { address: DocAddress::new(self.ord, doc), id: String::new(), keys, score });
        }
        Ok(Collected { found, seen: Some(self.seen) })
    }
}

fn turned(value: Option<u64>, descending: bool) -> (bool, u64) {
    match value {
        Some(value) => (false, if descending { !value } else { value }),
        None => (true, 0),
    }
}

fn read(column: Option<&(Arc<Dictionary>, Values<u64>)>, doc: DocId) -> tantivy::Result<Option<String>> {
    let Some((dictionary, ords)) = column else { return Ok(None) };
    let Some(ord) = ords.first(doc) else { return Ok(None) };
    let mut bytes = Vec::new();
    dictionary.ord_to_term(ord, &mut bytes)?;
    Ok(String::from_utf8(bytes).ok())
}

/// A place in the order as a rank of this segment.
fn rank_of(
    after: &After,
    readers: &[(Reader, OrderKey)],
    ids: Option<&(Arc<Dictionary>, Values<u64>)>,
) -> tantivy::Result<Rank> {
    let mut keys = [(false, 0); KEYS];
    for ((slot, (reader, key)), at) in keys.iter_mut().zip(readers).zip(&after.keys) {
        #[expect(clippy::cast_possible_truncation, reason = "it was made of an f32")]
        let value = match (reader, at) {
            (Reader::Score, Key::Float(bits)) => Some(inverted(f64::from_bits(*bits) as f32)),
            (Reader::Int(_), Key::Int(value)) => Some(from_int(*value)),
            (Reader::Int(_), Key::Bool(value)) => Some(from_int(i64::from(*value))),
            (Reader::Float(_), Key::Float(bits)) => Some(from_float(f64::from_bits(*bits))),
            (Reader::Text(column), Key::Text(text)) => {
                Some(place(column.as_ref().map(|(dictionary, _)| dictionary), text)?)
            }
            _ => None,
        };
        *slot = turned(value, key.descending);
    }
    Ok((keys, place(ids.map(|(dictionary, _)| dictionary), &after.id)?))
}

impl SegmentCollector for Segment {
    type Fruit = tantivy::Result<Collected>;

    fn collect(&mut self, doc: DocId, score: Score) {
        if self.stop.load(Atomic::Relaxed) {
            return;
        }
        self.offer(doc, score);
    }

    fn harvest(self) -> Self::Fruit {
        self.found()
    }
}

impl Collector for Top {
    type Fruit = Collected;
    type Child = Segment;

    fn for_segment(&self, ord: u32, reader: &SegmentReader) -> tantivy::Result<Segment> {
        Segment::open(self, ord, reader)
    }

    fn requires_scoring(&self) -> bool {
        self.order.iter().any(|key| matches!(key.column, KeyColumn::Score))
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<Collected>>) -> tantivy::Result<Collected> {
        let mut all = Collected { found: Vec::new(), seen: Some(0) };
        for segment in segments {
            let segment = segment?;
            all.found.extend(segment.found);
            all.seen = all.seen.zip(segment.seen).map(|(a, b)| a.saturating_add(b));
        }
        Ok(all)
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        ord: u32,
        reader: &SegmentReader,
    ) -> tantivy::Result<tantivy::Result<Collected>> {
        let mut segment = self.for_segment(ord, reader)?;
        let alive = reader.alive_bitset();
        let is_alive = |doc| alive.is_none_or(|alive| alive.is_alive(doc));
        if self.requires_scoring() && self.additions.is_none() {
            weight.for_each_pruning(Score::MIN, reader, &mut |doc, score| {
                if is_alive(doc) {
                    segment.offer(doc, score);
                }
                segment.threshold()
            })?;
            segment.seen = 0;
            let mut collected = segment.found()?;
            collected.seen = None;
            return Ok(Ok(collected));
        }
        if self.requires_scoring() {
            weight.for_each(reader, &mut |doc, score| {
                if is_alive(doc) {
                    segment.collect(doc, score);
                }
            })?;
        } else {
            weight.for_each_no_score(reader, &mut |docs| {
                docs.iter().filter(|doc| is_alive(**doc)).for_each(|doc| segment.collect(*doc, 0.0));
            })?;
        }
        Ok(segment.found())
    }
}

impl Top {
    /// Returns what a document that scores so is sorted by.
    pub(super) fn key(
        &self,
        ord: u32,
        reader: &SegmentReader,
        doc: DocId,
        score: Score,
    ) -> tantivy::Result<Key> {
        let score = Segment::open(self, ord, reader)?.score(doc, score);
        Ok(Key::float(f64::from(Score::from_bits(rounded(score.to_bits())))))
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
