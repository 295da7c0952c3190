//! Where the lists stand among the vectors.

use std::ops::Range;

use super::super::codes::{Coded, Codes, encode};

/// In so many of the nearest regions the centre nearest to a vector is looked for.
const REGIONS: usize = 8;

/// How many neighbours were looked for when it was found out how many lists they are in.
pub(super) const DEPTHS: [usize; 3] = [10, 100, 1_000];

/// In so many steps it is told how many lists hold which share of the neighbours.
pub(super) const STEPS: usize = 256;

/// Vectors in 8 bits a number, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    pub(super) codes: Vec<i8>,
    pub(super) scales: Vec<f32>,
}

impl Table {
    pub(super) fn push(&mut self, coded: Coded<'_>) {
        self.codes.extend_from_slice(coded.codes);
        self.scales.push(coded.scale);
    }

    pub(super) fn encode(&mut self, vector: &[f32]) {
        let scale = encode(vector, &mut self.codes);
        self.scales.push(scale);
    }

    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    pub(super) fn coded(&self, at: usize) -> Option<Coded<'_>> {
        let dimensions = self.codes.len().checked_div(self.scales.len())?;
        let codes = self.codes.get(at * dimensions..(at + 1) * dimensions)?;
        Some(Coded { codes, scale: *self.scales.get(at)? })
    }

    /// Returns which of some is nearest to a vector.
    pub(super) fn nearest(&self, vector: &Codes, among: Range<usize>) -> Option<(usize, f32)> {
        let mut nearest = None;
        vector.products_at(&self.codes, &self.scales, among, |at, product| {
            if nearest.is_none_or(|(_, best)| product > best) {
                nearest = Some((at, product));
            }
        });
        nearest
    }
}

/// The centres of all lists, in regions, so that the one nearest to a vector is found without looking at all.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Centres {
    /// How many vectors there were when they were found.
    pub(in super::super) found_among: u64,
    pub(super) regions: Table,
    /// Where the centres of each region begin, and where the last one's end.
    pub(super) firsts: Vec<u32>,
    pub(super) centres: Table,
    /// For each of [`DEPTHS`], how many of the nearest lists hold 0, 1, … [`STEPS`] parts of so many neighbours.
    pub(super) reach: [Vec<u32>; DEPTHS.len()],
}

impl Centres {
    /// How many lists there are.
    pub(in super::super) fn len(&self) -> usize {
        self.centres.len()
    }

    fn of_region(&self, region: usize) -> Range<usize> {
        let first = |region: usize| self.firsts.get(region).map_or(0, |first| *first as usize);
        first(region)..first(region + 1)
    }

    /// Returns the list that a vector belongs to.
    pub(in super::super) fn list_of(&self, vector: &Codes) -> u16 {
        let mut near = [(f32::NEG_INFINITY, usize::MAX); REGIONS];
        vector.products(&self.regions.codes, &self.regions.scales, |at, product| {
            if near.last().is_some_and(|(last, _)| product > *last) {
                if let Some(last) = near.last_mut() {
                    *last = (product, at);
                }
                near.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
            }
        });
        let regions = near.iter().filter(|(_, region)| *region < self.regions.len());
        let centres = regions.filter_map(|(_, region)| self.centres.nearest(vector, self.of_region(*region)));
        let nearest = centres.max_by(|(_, a), (_, b)| a.total_cmp(b));
        nearest.and_then(|(at, _)| u16::try_from(at).ok()).unwrap_or_default()
    }

    /// Returns how near each list's centre is to a question.
    pub(in super::super) fn distances(&self, question: &Codes) -> Vec<(f32, u16)> {
        let mut all = Vec::with_capacity(self.len());
        question.products(&self.centres.codes, &self.centres.scales, |at, product| {
            all.push((product, u16::try_from(at).unwrap_or_default()));
        });
        all
    }

    /// Returns how many of the nearest lists have to be looked at for this share of so many neighbours.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of lists, which is not negative, and need not be exact"
    )]
    pub(in super::super) fn reach(&self, share: f32, neighbours: f32) -> usize {
        let step = (share.clamp(0.0, 1.0) * STEPS as f32).ceil() as usize;
        let reach = |nth: usize| -> f32 {
            self.reach
                .get(nth)
                .and_then(|steps| steps.get(step))
                .map_or(self.len() as f32, |lists| *lists as f32)
        };
        let depth = |nth: usize| DEPTHS.get(nth).map_or(1.0, |depth| *depth as f32);
        let most = DEPTHS.len() - 1;
        let lists = if neighbours <= depth(0) {
            reach(0)
        } else if neighbours >= depth(most) {
            reach(most) * neighbours / depth(most)
        } else {
            let nth = (1..most).find(|nth| neighbours < depth(*nth)).unwrap_or(most);
            let (low, high) = (reach(nth - 1).max(1.0), reach(nth).max(1.0));
            // on a line where both are drawn by their logarithms
            let way = (neighbours / depth(nth - 1)).ln() / (depth(nth) / depth(nth - 1)).ln();
            low * (high / low).powf(way)
        };
        (lists.ceil() as usize).clamp(1, self.len().max(1))
    }
}
