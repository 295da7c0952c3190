//! Which chunks hold which terms, packed.
//!
//! Chunks are numbered in a row, and 256 of them are a batch. A row of the table has all of a batch's chunks that hold one term, seven
//! bytes each: which of the 256, how often, and how many terms it has. So a search reads a frequent term in few rows that fit a page,
//! where a row for each chunk would take a dozen times the room.

use std::collections::{BTreeMap, HashMap};

use crate::store::Statistics;

/// How many bytes one chunk takes in a row.
const WIDTH: usize = 7;

/// Which batch a chunk is of, and its place there.
pub(super) fn place(chunk: i64) -> (i64, u8) {
    (chunk >> 8, u8::try_from(chunk & 0xFF).unwrap_or_default())
}

/// A term as PostgreSQL's `integer` holds it: the same bits.
pub(super) const fn signed(term: u32) -> i32 {
    term.cast_signed()
}

/// Appends a chunk.
pub(super) fn push(data: &mut Vec<u8>, place: u8, count: u32, length: u32) {
    data.push(place);
    data.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    data.extend_from_slice(&length.to_le_bytes());
}

/// Reads the chunks of a row: each one's place, how often it holds the term, and how many terms it has.
pub(super) fn read(data: &[u8]) -> impl ExactSizeIterator<Item = (u8, u32, u32)> {
    data.as_chunks::<WIDTH>().0.iter().map(|[place, low, high, length @ ..]| {
        (*place, u32::from(u16::from_le_bytes([*low, *high])), u32::from_le_bytes(*length))
    })
}

/// Returns a row without some places.
pub(super) fn without(data: &[u8], places: &[u8]) -> Vec<u8> {
    let kept = data.as_chunks::<WIDTH>().0.iter().filter(|chunk| {
        let [place, ..] = chunk;
        !places.contains(place)
    });
    kept.flatten().copied().collect()
}

/// Packs a chunk's own terms.
pub(super) fn pack_terms(terms: &[(u32, u32)]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(terms.len() * 6);
    for (term, count) in terms {
        packed.extend_from_slice(&term.to_le_bytes());
        packed.extend_from_slice(&u16::try_from(*count).unwrap_or(u16::MAX).to_le_bytes());
    }
    packed
}

/// Reads a chunk's own terms.
pub(super) fn read_terms(packed: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    packed.as_chunks::<6>().0.iter().map(|[a, b, c, d, low, high]| {
        (u32::from_le_bytes([*a, *b, *c, *d]), u32::from(u16::from_le_bytes([*low, *high])))
    })
}

/// Weighs the terms of a question, and sums what each chunk has of them in the order of the terms, as the reference does.
pub(super) fn score(
    terms: &[(u32, u32)],
    rows: &[(i32, i64, &[u8])],
    statistics: &Statistics,
) -> (Vec<f32>, Vec<(i64, f32)>) {
    let mut by_term: HashMap<i32, Vec<(i64, &[u8])>> = HashMap::new();
    for (term, batch, data) in rows {
        by_term.entry(*term).or_default().push((*batch, data));
    }
    let mut scores: BTreeMap<i64, Box<[f32; 256]>> = BTreeMap::new();
    let mut weights = Vec::with_capacity(terms.len());
    for (term, frequency) in terms {
        let rows = by_term.get(&signed(*term)).map(Vec::as_slice).unwrap_or_default();
        let containing = rows.iter().map(|(_, data)| read(data).len() as u64).sum();
        let weight = statistics.query_weight(*frequency, containing);
        weights.push(weight);
        for (batch, data) in rows {
            let scores = scores.entry(*batch).or_insert_with(|| Box::new([0.0; 256]));
            for (place, count, length) in read(data) {
                if let Some(score) = scores.get_mut(usize::from(place)) {
                    *score += weight * statistics.document_weight(count, length);
                }
            }
        }
    }
    let scored = scores.into_iter().flat_map(|(batch, scores)| {
        let numbered = (batch << 8..).zip(*scores);
        numbered.filter(|(_, score)| *score > 0.0)
    });
    (weights, scored.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_terms_come_back_as_they_were_packed() {
        let mut data = Vec::new();
        push(&mut data, 3, 2, 100);
        push(&mut data, 255, 65_535, u32::MAX);
        assert_eq!(read(&data).collect::<Vec<_>>(), [(3, 2, 100), (255, 65_535, u32::MAX)]);
        assert_eq!(read(&without(&data, &[3])).collect::<Vec<_>>(), [(255, 65_535, u32::MAX)]);
        assert!(without(&data, &[255, 3]).is_empty());
        let terms = [(0, 1), (7, 65_535), (u32::MAX, 2)];
        assert_eq!(read_terms(&pack_terms(&terms)).collect::<Vec<_>>(), terms);
        assert_eq!(place(3 * 256 + 255), (3, 255));
    }
}
