//! What orders documents within a segment, and how it is compared with other segments.

use std::sync::Arc;

use tantivy::{DocId, Score, SegmentReader};

use super::columns::{Columns, Numbers, SegmentColumns, Strings};
use crate::page::Key;

/// The most keys of an order.
pub(super) const KEYS: usize = 3;

/// A key: whether it is missing, and a number that grows towards the end of the order. Of strings it is their number within a
/// segment; all others can be compared with those of other segments.
pub(super) type Place = (bool, u64);

/// What one document is sorted by within a segment: its keys, then twice the number of its id plus one.
pub(super) type Rank<const N: usize> = ([Place; N], u64);

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

/// A place in the order.
#[derive(Clone)]
pub(super) struct After {
    pub(super) keys: Vec<Key>,
    pub(super) id: String,
}

#[derive(Clone)]
pub(super) enum Reader {
    Score,
    Int(Numbers),
    Float(Numbers),
    Text(Option<Strings>),
}

/// The keys of a segment's documents.
#[derive(Clone)]
pub(super) struct Keys<const N: usize> {
    pub(super) readers: Vec<(Reader, OrderKey)>,
    pub(super) columns: Arc<SegmentColumns>,
}

impl<const N: usize> Keys<N> {
    pub(super) fn open(
        order: &[OrderKey],
        columns: &Columns,
        ord: u32,
        reader: &SegmentReader,
    ) -> tantivy::Result<Self> {
        let columns = columns.of(ord)?;
        let open = |key: &OrderKey| -> tantivy::Result<(Reader, OrderKey)> {
            let reader = match &key.column {
                KeyColumn::Score => Reader::Score,
                KeyColumn::Int(name) => Reader::Int(columns.numbers(reader, name)?),
                KeyColumn::Float(name) => Reader::Float(columns.numbers(reader, name)?),
                KeyColumn::Text(name) => Reader::Text(columns.strings(reader, name)?),
            };
            Ok((reader, key.clone()))
        };
        let readers = order.iter().map(open).collect::<tantivy::Result<_>>()?;
        Ok(Self { readers, columns })
    }

    /// A document's first key, which decides most.
    pub(super) fn first(&self, doc: DocId, score: Score) -> Place {
        self.readers.first().map(|(reader, key)| place(reader, key, doc, score)).unwrap_or_default()
    }

    /// A document's place in the order, where its first key is known.
    pub(super) fn rank(&self, first: Place, doc: DocId, score: Score) -> Rank<N> {
        let readers = self.readers.iter().skip(1);
        let mut keys = [first; N];
        let rest =
            readers.map(|(reader, key)| place(reader, key, doc, score)).chain(std::iter::repeat((false, 0)));
        keys.iter_mut().skip(1).zip(rest).for_each(|(slot, key)| *slot = key);
        let id = self.columns.ids.as_ref().and_then(|(_, ids)| ids.first(doc)).map_or(0, |ord| ord * 2 + 1);
        (keys, id)
    }

    /// A place in the order as a rank of this segment.
    pub(super) fn rank_of(&self, after: &After) -> tantivy::Result<Rank<N>> {
        let mut keys = [(false, 0); N];
        for ((slot, (reader, key)), at) in keys.iter_mut().zip(&self.readers).zip(&after.keys) {
            #[expect(clippy::cast_possible_truncation, reason = "it was made of an f32")]
            let value = match (reader, at) {
                (Reader::Score, Key::Float(bits)) => Some(inverted(f64::from_bits(*bits) as f32)),
                (Reader::Int(_), Key::Int(value)) => Some(from_int(*value)),
                (Reader::Int(_), Key::Bool(value)) => Some(from_int(i64::from(*value))),
                (Reader::Float(_), Key::Float(bits)) => Some(from_float(f64::from_bits(*bits))),
                (Reader::Text(column), Key::Text(text)) => Some(ordinal(column.as_ref(), text)?),
                _ => None,
            };
            *slot = turned(value, key.descending);
        }
        Ok((keys, ordinal(self.columns.ids.as_ref(), &after.id)?))
    }
}

fn place(reader: &Reader, key: &OrderKey, doc: DocId, score: Score) -> Place {
    let first = |numbers: &Numbers| numbers.as_ref().and_then(|values| values.first(doc));
    let value = match reader {
        Reader::Score => Some(inverted(score)),
        Reader::Int(numbers) => first(numbers),
        Reader::Float(numbers) => first(numbers).map(float),
        Reader::Text(Some((_, ords))) => ords.first(doc).map(|ord| ord * 2 + 1),
        Reader::Text(None) => None,
    };
    turned(value, key.descending)
}

pub(super) fn score_key(score: Score) -> Key {
    Key::float(f64::from(Score::from_bits(rounded(score.to_bits()))))
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

/// The number that stands for a whole one in a column, whose order it keeps.
const fn from_int(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

pub(super) const fn to_int(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

fn from_float(value: f64) -> u64 {
    tantivy::f64_to_u64(if value == 0.0 { 0.0 } else { value })
}

/// As the column has it, but that there is one zero only.
fn float(number: u64) -> u64 {
    if number == tantivy::f64_to_u64(-0.0) { tantivy::f64_to_u64(0.0) } else { number }
}

/// The place of a string among those of a segment: between two of them where it is not there itself.
fn ordinal(strings: Option<&Strings>, text: &str) -> tantivy::Result<u64> {
    use tantivy::columnar::TermOrdHit;
    let Some((dictionary, _)) = strings else { return Ok(0) };
    Ok(match dictionary.term_ord_or_next(text.as_bytes())? {
        TermOrdHit::Exact(ord) => ord * 2 + 1,
        TermOrdHit::Next(ord) => ord.saturating_mul(2),
    })
}

pub(super) fn turned(value: Option<u64>, descending: bool) -> (bool, u64) {
    match value {
        Some(value) => (false, if descending { !value } else { value }),
        None => (true, 0),
    }
}
