//! Two or more rankings made one.

use std::collections::HashMap;
use std::hash::Hash;

/// A ranking and how much it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted<K> {
    /// Ids with their scores, best first.
    pub ranking: Vec<(K, f32)>,
    /// The weight of this ranking; usually the weights add up to 1.
    pub weight: f32,
}

impl<K> Weighted<K> {
    /// Gives `ranking` (best first) the weight `weight`.
    pub fn new(ranking: Vec<(K, f32)>, weight: f32) -> Self {
        Self { ranking, weight }
    }
}

/// One result of a fusion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fused<K> {
    /// What was ranked.
    pub id: K,
    /// The fused score; comparable within one fusion only.
    pub score: f32,
}

/// Fuses rankings by reciprocal rank: each adds `weight / (k + rank)`, whatever its scores.
///
/// Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods"
/// (SIGIR 2009), where `k` is 60. Robust when scores cannot be compared; it cannot tell a clear win from a narrow one.
/// Equal scores are ordered by id.
///
/// ```
/// use pumasi_core::text::{Weighted, fuse_rrf};
///
/// let fused = fuse_rrf(&[Weighted::new(vec![("a", 9.0), ("b", 1.0)], 1.0), Weighted::new(vec![("b", 0.3)], 1.0)], 60.0);
/// assert_eq!(fused.first().map(|hit| hit.id), Some("b"));
/// ```
pub fn fuse_rrf<K: Clone + Eq + Hash + Ord>(rankings: &[Weighted<K>], k: f32) -> Vec<Fused<K>> {
    fuse(rankings, |ranking| {
        let mut rank = 0.0;
        ranking
            .iter()
            .map(|_| {
                rank += 1.0;
                1.0 / (k.max(0.0) + rank)
            })
            .collect()
    })
}

/// Fuses rankings by score, after bringing each one's scores to 0..=1 (its best to 1, its worst to 0).
///
/// Lee, "Analyses of Multiple Evidence Combination" (SIGIR 1997), weighted. What a ranking does not hold counts 0 in it.
/// A ranking whose scores are all equal counts 1 for each; scores that are not finite count as the worst.
/// Equal scores are ordered by id.
///
/// ```
/// use pumasi_core::text::{Weighted, fuse_min_max};
///
/// let lexical = Weighted::new(vec![("a", 9.0), ("b", 8.0), ("c", 1.0)], 0.6);
/// let dense = Weighted::new(vec![("b", 0.71), ("c", 0.70)], 0.4);
/// let fused = fuse_min_max(&[lexical, dense]);
/// assert_eq!(fused.first().map(|hit| hit.id), Some("b"));
/// ```
pub fn fuse_min_max<K: Clone + Eq + Hash + Ord>(rankings: &[Weighted<K>]) -> Vec<Fused<K>> {
    fuse(rankings, |ranking| {
        let finite = || ranking.iter().map(|(_, score)| *score).filter(|score| score.is_finite());
        let low = finite().fold(f32::INFINITY, f32::min);
        let high = finite().fold(f32::NEG_INFINITY, f32::max);
        ranking
            .iter()
            .map(|(_, score)| match score.is_finite() {
                false => 0.0,
                true if high > low => (score - low) / (high - low),
                true => 1.0,
            })
            .collect()
    })
}

fn fuse<K: Clone + Eq + Hash + Ord>(
    rankings: &[Weighted<K>],
    scores: impl Fn(&[(K, f32)]) -> Vec<f32>,
) -> Vec<Fused<K>> {
    let mut sums: HashMap<&K, f32> = HashMap::new();
    for weighted in rankings {
        let mut seen = std::collections::HashSet::new();
        for ((id, _), score) in weighted.ranking.iter().zip(scores(&weighted.ranking)) {
            // the first place counts where a ranking names an id twice
            if seen.insert(id) {
                *sums.entry(id).or_default() += weighted.weight * score;
            }
        }
    }
    let mut fused: Vec<_> = sums.into_iter().map(|(id, score)| Fused { id: id.clone(), score }).collect();
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocal_ranks_add_up_as_published() {
        let fused = fuse_rrf(
            &[Weighted::new(vec![(1, 5.0), (2, 4.0)], 1.0), Weighted::new(vec![(2, 0.9)], 1.0)],
            60.0,
        );
        assert_eq!(fused.iter().map(|hit| hit.id).collect::<Vec<_>>(), [2, 1]);
        assert!((fused[0].score - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-7);
    }

    #[test]
    fn odd_scores_do_not_spread() {
        let fused = fuse_min_max(&[Weighted::new(vec![(1, f32::NAN), (2, 3.0), (3, 3.0), (3, 9.0)], 1.0)]);
        assert!(fused.iter().all(|hit| hit.score.is_finite()));
        assert!(fuse_min_max::<u32>(&[]).is_empty());
        let equal = fuse_min_max(&[Weighted::new(vec![("b", 2.0), ("a", 2.0)], 1.0)]);
        assert_eq!(equal.iter().map(|hit| hit.id).collect::<Vec<_>>(), ["a", "b"]);
    }
}
