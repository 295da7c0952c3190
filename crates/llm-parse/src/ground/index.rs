//! Where three neighbouring characters stand: the seeds of the search.
//!
//! Jokinen and Ukkonen, "Two algorithms for approximate string matching in static texts" (1991): a place that differs from
//! a quote by few edits shares most of its q-grams, at nearly one distance.

/// Characters of a seed.
const Q: usize = 3;

/// The most seeds' places that one search looks at.
const BUDGET: usize = 8_192;

#[derive(Clone, Debug)]
pub(super) struct Seeds {
    /// Where each bucket's positions begin; one more than there are buckets.
    starts: Vec<u32>,
    positions: Vec<u32>,
    shift: u32,
}

impl Seeds {
    /// Indexes the q-grams of `chars` by counting sort: linear in their number.
    pub(super) fn new(chars: &[char]) -> Self {
        let bits = usize::BITS - chars.len().leading_zeros();
        let bits = bits.clamp(4, 20);
        let shift = 64 - bits;
        let mut starts = vec![0_u32; (1 << bits) + 1];
        for gram in chars.windows(Q) {
            if let Some(count) = starts.get_mut(bucket(gram, shift) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut positions = vec![0_u32; chars.len().saturating_sub(Q - 1)];
        for (position, gram) in (0_u32..).zip(chars.windows(Q)) {
            if let Some(slot) = next.get_mut(bucket(gram, shift)) {
                if let Some(place) = positions.get_mut(*slot as usize) {
                    *place = position;
                }
                *slot += 1;
            }
        }
        Self { starts, positions, shift }
    }

    fn places(&self, gram: &[char]) -> &[u32] {
        let bucket = bucket(gram, self.shift);
        let from = self.starts.get(bucket).copied().unwrap_or_default() as usize;
        let to = self.starts.get(bucket + 1).copied().unwrap_or_default() as usize;
        self.positions.get(from..to).unwrap_or_default()
    }

    /// Returns the diagonals (place in the text less place in the quote) around which the quote shares most seeds with
    /// the text, best first, `most` at most. Diagonals no further than `slack` apart count as one.
    pub(super) fn diagonals(&self, quote: &[char], slack: usize, most: usize) -> Vec<i64> {
        // long quotes: some of their seeds do
        let step = quote.len() / 2_048 + 1;
        let mut seeds: Vec<(i64, &[u32])> = (0_i64..)
            .zip(quote.windows(Q))
            .step_by(step)
            .map(|(offset, gram)| (offset, self.places(gram)))
            .filter(|(_, places)| !places.is_empty())
            .collect();
        // rare seeds say most
        seeds.sort_by_key(|(_, places)| places.len());
        let mut hits: Vec<i64> = Vec::new();
        for (offset, places) in seeds {
            let room = BUDGET - hits.len();
            if room == 0 || (places.len() > room && !hits.is_empty()) {
                break;
            }
            hits.extend(places.iter().take(room).map(|place| i64::from(*place) - offset));
        }
        hits.sort_unstable();
        group(&hits, i64::try_from(slack).unwrap_or(i64::MAX), most)
    }
}

/// Groups sorted diagonals that are close, and returns the middle of the fullest groups.
fn group(hits: &[i64], slack: i64, most: usize) -> Vec<i64> {
    let mut groups: Vec<(usize, i64)> = Vec::new();
    let mut rest = hits;
    while let Some(first) = rest.first() {
        let size = rest.partition_point(|hit| hit - first <= slack);
        let (group, tail) = rest.split_at(size);
        groups.push((size, group.get(size / 2).copied().unwrap_or(*first)));
        rest = tail;
    }
    groups.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    groups.truncate(most);
    groups.into_iter().map(|(_, diagonal)| diagonal).collect()
}

fn bucket(gram: &[char], shift: u32) -> usize {
    let hash = gram.iter().fold(0_u64, |hash, c| {
        (hash ^ u64::from(u32::from(*c))).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
    });
    usize::try_from(hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> shift).unwrap_or_default()
}
