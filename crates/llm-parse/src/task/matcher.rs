//! Which accomplished task answers which needed one.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use pumasi_core::Result;
use pumasi_core::model::{Embedder, Embedding};
use pumasi_core::text::Analyzer;
use serde::{Deserialize, Serialize};

use super::Task;
use crate::assignment;

/// A needed task and the accomplished one that fits it best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Match {
    /// The position of the needed task in what was passed in.
    pub need: usize,
    /// The position of the accomplished task in what was passed in.
    pub deed: usize,
    /// How well they fit, from 0 to 1: the weighted mean of the next two.
    pub score: f32,
    /// How much of their wording they share, from 0 to 1.
    pub lexical: f32,
    /// How close their embeddings are (cosine, negative ones as 0); `None` without an embedder.
    pub semantic: Option<f32>,
}

/// Pairs the tasks that a question needs with those that stories accomplished, one to one.
///
/// The score of a pair is a weighted mean of two: *lexical*, the cosine between the two titles as vectors of analyzer
/// terms weighted by inverse document frequency (so that a shared rare word counts more than a shared common one), and
/// *semantic*, the cosine between their embeddings, if an [`Embedder`] is given. Pairs below the threshold are never
/// made; of the rest, the assignment with the greatest total score is chosen, so that a good partner is
/// not taken by the first who asks. Equal input gives equal output.
///
/// Costs O(terms) per pair that shares a term; with an embedder, also a dot product per pair.
///
/// ```
/// use pumasi_llm_parse::task::{Task, TaskMatcher};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let needs = [Task::new("단어를 매일 외우기", ""), Task::new("러닝화 사기", "")];
/// let deeds = [Task::new("모의고사 풀기", ""), Task::new("매일 단어 50개씩 외우기", "")];
/// let matches = TaskMatcher::new().match_tasks(&needs, &deeds).await?;
/// assert_eq!(matches.len(), 1);
/// assert_eq!((matches[0].need, matches[0].deed), (0, 1));
/// # Ok::<(), pumasi_core::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TaskMatcher {
    embedder: Option<Arc<dyn Embedder>>,
    semantic_weight: f32,
    threshold: f32,
    analyzer: Analyzer,
}

/// How many partners of a needed task enter the assignment: the best ones.
const CANDIDATES: usize = 64;
/// How many texts are embedded in one call.
const BATCH: usize = 128;

impl TaskMatcher {
    /// The least score of a match unless set otherwise, chosen on the development half of the committed posts.
    pub const DEFAULT_THRESHOLD: f32 = 0.25;

    /// Makes a matcher that compares wording only.
    pub fn new() -> Self {
        Self {
            embedder: None,
            semantic_weight: 0.5,
            threshold: Self::DEFAULT_THRESHOLD,
            analyzer: Analyzer::default(),
        }
    }

    /// Also compares embeddings; `weight` (0 to 1) is their share of the score.
    #[must_use]
    pub fn with_embedder(mut self, embedder: Arc<dyn Embedder>, weight: f32) -> Self {
        self.embedder = Some(embedder);
        self.semantic_weight = if weight.is_nan() { 0.5 } else { weight.clamp(0.0, 1.0) };
        self
    }

    /// Sets the least score of a match, from 0 to 1.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f32) -> Self {
        self.threshold = if threshold.is_nan() { Self::DEFAULT_THRESHOLD } else { threshold.clamp(0.0, 1.0) };
        self
    }

    /// Pairs `needs` with `deeds`, in the order of `needs`. Each stands in at most one match.
    ///
    /// # Errors
    ///
    /// Those of the embedder; none without one.
    pub async fn match_tasks(&self, needs: &[Task], deeds: &[Task]) -> Result<Vec<Match>> {
        if needs.is_empty() || deeds.is_empty() {
            return Ok(Vec::new());
        }
        let wording = Wording::new(&self.analyzer, needs, deeds);
        let meaning = match &self.embedder {
            Some(embedder) => Some((embed(embedder, needs).await?, embed(embedder, deeds).await?)),
            None => None,
        };
        let pairs: Vec<Vec<Match>> = (0..needs.len())
            .map(|need| {
                let mut pairs = self.pairs_of(need, deeds.len(), &wording, meaning.as_ref());
                pairs.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.deed.cmp(&b.deed)));
                pairs.truncate(CANDIDATES);
                pairs
            })
            .collect();
        Ok(assign(&pairs))
    }

    fn pairs_of(
        &self,
        need: usize,
        deeds: usize,
        wording: &Wording,
        meaning: Option<&(Vec<Embedding>, Vec<Embedding>)>,
    ) -> Vec<Match> {
        let lexical = wording.scores(need, deeds);
        lexical
            .into_iter()
            .enumerate()
            .filter_map(|(deed, lexical)| {
                let semantic = meaning
                    .and_then(|(needs, deeds)| Some(cosine(needs.get(need)?, deeds.get(deed)?).max(0.0)));
                let score = match semantic {
                    Some(semantic) => {
                        lexical * (1.0 - self.semantic_weight) + semantic * self.semantic_weight
                    }
                    None => lexical,
                };
                (score >= self.threshold && score > 0.0).then_some(Match {
                    need,
                    deed,
                    score,
                    lexical,
                    semantic,
                })
            })
            .collect()
    }
}

impl Default for TaskMatcher {
    fn default() -> Self {
        Self::new()
    }
}

async fn embed(embedder: &Arc<dyn Embedder>, tasks: &[Task]) -> Result<Vec<Embedding>> {
    let mut all = Vec::with_capacity(tasks.len());
    for batch in tasks.chunks(BATCH) {
        let titles: Vec<&str> = batch.iter().map(|task| task.title.as_str()).collect();
        all.extend(embedder.embed(&titles).await?);
    }
    Ok(all)
}

/// The assignment with the greatest total, among the pairs that may be made.
fn assign(pairs: &[Vec<Match>]) -> Vec<Match> {
    const SCALE: f32 = 1_000_000.0;
    let columns: Vec<usize> =
        pairs.iter().flatten().map(|pair| pair.deed).collect::<BTreeSet<_>>().into_iter().collect();
    let rows: Vec<Vec<(usize, i64)>> = pairs
        .iter()
        .map(|row| {
            let weights = row.iter().filter_map(|pair| {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a score is at most 1, so this is at most a million"
                )]
                let weight = (pair.score * SCALE) as i64;
                Some((columns.binary_search(&pair.deed).ok()?, weight))
            });
            weights.collect()
        })
        .collect();
    let chosen = assignment::assign(&rows, columns.len()).into_iter().zip(pairs);
    chosen
        .filter_map(|(column, row)| {
            let deed = columns.get(column?)?;
            row.iter().find(|pair| pair.deed == *deed).cloned()
        })
        .collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let (mut dot, mut left, mut right) = (0.0_f32, 0.0_f32, 0.0_f32);
    for (x, y) in a.iter().zip(b) {
        dot += x * y;
        left += x * x;
        right += y * y;
    }
    let length = left.sqrt() * right.sqrt();
    if length > 0.0 { dot / length } else { 0.0 }
}

type Term = u32;

/// Titles as sparse vectors of unit length over analyzer terms, with an inverted index over the deeds.
struct Wording {
    needs: Vec<Vec<(Term, f32)>>,
    postings: HashMap<Term, Vec<(usize, f32)>>,
}

impl Wording {
    fn new(analyzer: &Analyzer, needs: &[Task], deeds: &[Task]) -> Self {
        let mut terms: HashMap<String, Term> = HashMap::new();
        let mut documents: Vec<Vec<Term>> = Vec::with_capacity(needs.len() + deeds.len());
        for task in needs.iter().chain(deeds) {
            let mut document: Vec<Term> = analyzer
                .tokens(&task.title)
                .into_iter()
                .map(|token| {
                    let next = Term::try_from(terms.len()).unwrap_or(Term::MAX);
                    *terms.entry(token.text).or_insert(next)
                })
                .collect();
            document.sort_unstable();
            document.dedup();
            documents.push(document);
        }
        let mut frequency: HashMap<Term, u32> = HashMap::new();
        for term in documents.iter().flatten() {
            *frequency.entry(*term).or_default() += 1;
        }
        let count = documents.len();
        let mut vectors: Vec<Vec<(Term, f32)>> =
            documents.into_iter().map(|document| unit(document, &frequency, count)).collect();
        let mut postings: HashMap<Term, Vec<(usize, f32)>> = HashMap::new();
        for (deed, vector) in vectors.split_off(needs.len()).into_iter().enumerate() {
            for (term, weight) in vector {
                postings.entry(term).or_default().push((deed, weight));
            }
        }
        Self { needs: vectors, postings }
    }

    fn scores(&self, need: usize, deeds: usize) -> Vec<f32> {
        let mut scores = vec![0.0; deeds];
        for (term, weight) in self.needs.get(need).into_iter().flatten() {
            for (deed, other) in self.postings.get(term).into_iter().flatten() {
                if let Some(score) = scores.get_mut(*deed) {
                    *score += weight * other;
                }
            }
        }
        scores
    }
}

/// Weighs each term by `ln(1 + N / df)` and scales the vector to length one.
#[expect(clippy::cast_precision_loss, reason = "counts of tasks are far below 2^24")]
fn unit(document: Vec<Term>, frequency: &HashMap<Term, u32>, count: usize) -> Vec<(Term, f32)> {
    let mut vector: Vec<(Term, f32)> = document
        .into_iter()
        .map(|term| {
            let df = frequency.get(&term).copied().unwrap_or(1).max(1);
            (term, (count as f32 / df as f32).ln_1p())
        })
        .collect();
    let length = vector.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
    if length.partial_cmp(&0.0) == Some(Ordering::Greater) {
        for (_, weight) in &mut vector {
            *weight /= length;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(titles: &[&str]) -> Vec<Task> {
        titles.iter().map(|title| Task::new(*title, "")).collect()
    }

    async fn pairs(matcher: &TaskMatcher, needs: &[&str], deeds: &[&str]) -> Vec<(usize, usize)> {
        let found = matcher.match_tasks(&tasks(needs), &tasks(deeds)).await.unwrap();
        found.iter().map(|pair| (pair.need, pair.deed)).collect()
    }

    #[tokio::test]
    async fn a_good_partner_is_left_to_whom_it_fits_best() {
        // Taken greedily, the first need would take the only partner of the second.
        let needs = ["영어 단어 외우기", "매일 영어 단어 외우기"];
        let deeds = ["매일 영어 단어 외우기", "영어 단어 카드 외우기"];
        assert_eq!(pairs(&TaskMatcher::new(), &needs, &deeds).await, [(0, 1), (1, 0)]);
    }

    #[tokio::test]
    async fn nothing_in_common_is_no_match() {
        assert!(pairs(&TaskMatcher::new(), &["러닝화 사기"], &["Read the docs"]).await.is_empty());
        assert!(pairs(&TaskMatcher::new(), &[], &["Read the docs"]).await.is_empty());
    }

    #[tokio::test]
    async fn inflected_forms_match_in_both_languages() {
        let needs = ["Take practice exams", "모의고사 풀기"];
        let deeds = ["모의고사를 풀었음", "Took six practice exams"];
        assert_eq!(pairs(&TaskMatcher::new(), &needs, &deeds).await, [(0, 1), (1, 0)]);
    }

    #[test]
    fn the_assignment_has_the_greatest_total() {
        let pair = |need, deed, score| Match { need, deed, score, lexical: score, semantic: None };
        let rows = vec![vec![pair(0, 7, 0.9), pair(0, 9, 0.8)], vec![pair(1, 7, 0.85)], vec![]];
        let chosen: Vec<_> = assign(&rows).iter().map(|pair| (pair.need, pair.deed)).collect();
        assert_eq!(chosen, [(0, 9), (1, 7)]);
    }
}
