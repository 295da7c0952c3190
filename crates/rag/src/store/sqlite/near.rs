//! Which chunks are near a question, by the codes of their vectors.

use super::codes::Codes;
use super::lists::{Centres, Lists};
use super::segment::Segment;
use super::shelf::{Held, Near, Shelf};
use super::top::Top;
use crate::store::StoreQuery;

/// What it costs to pass by a vector of a list that is not admitted, and to look at one that is, beside looking at vectors one after the
/// other.
const PASSED: f32 = 0.1;
const LOOKED_AT: f32 = 1.5;

/// How a search goes through lists.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// So many lists at least.
    lists: usize,
    /// So many vectors that are admitted, where there are as many.
    enough: usize,
}

/// What was found near a question.
#[derive(Debug, Default)]
pub(super) struct Nearest {
    pub(super) near: Vec<Near>,
    /// How many chunks' codes were looked at.
    pub(super) looked_at: usize,
}

/// A segment whose chunks are in lists.
struct Listed<'a> {
    held: &'a Held,
    segment: &'a Segment,
    lists: &'a Lists,
    /// Which chunks are admitted; all, if nothing is said.
    admitted: Option<Vec<bool>>,
}

impl Shelf {
    /// Finds the chunks whose codes are nearest to the question's, among the documents that are admitted.
    pub(super) fn near(&self, query: &StoreQuery, admitted: &[(&Held, Vec<bool>)], count: usize) -> Nearest {
        let question = Codes::of(&query.embedding);
        let (mut top, mut looked_at) = (Top::new(count), 0);
        let by_lists = self.centres.as_ref().and_then(|(_, centres)| {
            let way = self.way(centres, admitted, query.depth, count)?;
            Some((centres, way))
        });
        for (held, admitted) in admitted.iter().filter(|(held, _)| by_lists.is_none() || held.lists.is_none())
        {
            looked_at += held.segment.scan(&question, admitted, count, top.bar(), |at, score| {
                top.push(score, (*held, at));
                top.bar()
            });
        }
        if let Some((centres, way)) = by_lists {
            looked_at += look(&question, centres, &listed(admitted), way, &mut top);
        }
        let mut near = top.into_scored();
        certain(&question, &mut near, query.depth);
        let near = near.into_iter().filter_map(|(_, (held, at))| {
            Some(Near { id: held.segment.chunks.get(at)?.id, vector: held.vector(at)? })
        });
        Nearest { near: near.collect(), looked_at }
    }

    /// Decides how many lists a search goes through; nothing where it is as fast to look at all that is admitted.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    fn way(
        &self,
        centres: &Centres,
        admitted: &[(&Held, Vec<bool>)],
        depth: usize,
        count: usize,
    ) -> Option<Way> {
        let (mut all, mut listed, mut wanted) = (0, 0, 0);
        for (held, admitted) in admitted {
            let chunks = held.segment.chunks.len();
            let of_document = |(place, _): (u32, &bool)| held.segment.chunks_of(place).1.len();
            let in_segment = if admitted.iter().all(|admitted| *admitted) {
                chunks
            } else {
                (0..).zip(admitted).filter(|(_, admitted)| **admitted).map(of_document).sum()
            };
            all += chunks;
            wanted += in_segment;
            listed += if held.lists.is_some() { chunks } else { 0 };
        }
        if (wanted as u64) < self.options.exact_below || depth == 0 {
            return None;
        }
        let share = wanted as f32 / all as f32;
        // a question is not one of the vectors that the lists were measured by
        let recall = 1.0 - (1.0 - self.options.recall) / 3.0;
        let lists = centres.reach(recall, depth as f32 / share);
        let in_list = listed as f32 / centres.len() as f32;
        let seen = (centres.reach(recall, depth as f32) as f32 * in_list).ceil();
        let costs = centres.len() as f32 + lists as f32 * in_list * (PASSED + LOOKED_AT * share);
        let way = Way { lists, enough: count.max(seen as usize) };
        (self.options.always || costs < listed as f32 * share).then_some(way)
    }
}

/// Leaves out what is not among the `wanted` best, even if the codes are as wrong as they may be: each that is left is read from the file.
fn certain(question: &Codes, near: &mut Vec<(f32, (&Held, usize))>, wanted: usize) {
    let errors = near
        .iter()
        .map(|(_, (held, at))| held.segment.coded(*at).map_or(f32::INFINITY, |coded| question.error(coded)));
    let errors: Vec<f32> = errors.collect();
    let mut least: Vec<f32> = near.iter().zip(&errors).map(|((score, _), error)| score - error).collect();
    if wanted == 0 || least.len() <= wanted {
        return;
    }
    let (_, bar, _) = least.select_nth_unstable_by(wanted - 1, |a, b| b.total_cmp(a));
    let bar = *bar;
    let mut errors = errors.into_iter();
    near.retain(|(score, _)| errors.next().is_some_and(|error| score + error >= bar));
}

fn listed<'a>(admitted: &'a [(&'a Held, Vec<bool>)]) -> Vec<Listed<'a>> {
    let listed = admitted.iter().filter_map(|(held, admitted)| {
        let all = held.whole() && admitted.iter().all(|admitted| *admitted);
        let admitted = (!all).then(|| held.segment.of_documents(admitted));
        Some(Listed { held, segment: &held.segment, lists: held.lists.as_ref()?, admitted })
    });
    listed.collect()
}

/// Goes through the lists, the nearest first, and returns how many of their chunks were looked at.
fn look<'a>(
    question: &Codes,
    centres: &Centres,
    segments: &[Listed<'a>],
    way: Way,
    top: &mut Top<(&'a Held, usize)>,
) -> usize {
    let mut order = centres.distances(question);
    let (mut from, mut to, mut seen) = (0, way.lists.min(order.len()), 0);
    while from < to {
        let later = order.get_mut(from..).unwrap_or_default();
        if to - from < later.len() {
            later.select_nth_unstable_by(to - from, |(a, _), (b, _)| b.total_cmp(a));
        }
        let chosen = later.get(..to - from).unwrap_or_default();
        for Listed { held, segment, lists, admitted } in segments {
            let (codes, scales) = segment.vectors();
            let places = chosen.iter().flat_map(|(_, list)| lists.places(*list)).map(|at| usize::from(*at));
            let found = |at, score| {
                seen += 1;
                top.push(score, (*held, at));
            };
            match admitted {
                None => question.products_at(codes, scales, places, found),
                Some(admitted) => {
                    let places = places.filter(|at| admitted.get(*at) == Some(&true));
                    question.products_at(codes, scales, places, found);
                }
            }
        }
        from = to;
        if seen < way.enough {
            to = (to * 2).min(order.len());
        }
    }
    seen
}
