//! Which passages speak of a question, and why each.

mod explanation;
mod question;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use pumasi_core::model::Embedder;
use pumasi_core::text::{Analyzer, SparseVector, TokenKind, Weighted, fuse_min_max, fuse_rrf, term_id};

pub use explanation::{Explanation, Place};
pub use question::{Fusion, Mode, Question};

use crate::Result;
use crate::chunk::{ChunkId, readable};
use crate::ingest::checked;
use crate::store::{Found, Passage, Scored, Space, Store, StoreQuery};

/// A passage that speaks of the question.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// What was found, with all that an answer needs.
    pub passage: Passage,
    /// How well it answers, as ranked; comparable within one result only.
    pub score: f32,
    /// Why it is there.
    pub why: Explanation,
}

/// What was found for a question, best first.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Retrieved {
    /// The passages.
    pub hits: Vec<Hit>,
    /// The [version](Store::version) of the tenant's knowledge that was searched.
    pub version: u64,
}

impl Retrieved {
    /// Says of each hit why it is there: its place, ranks, scores and the question's words in it. One line a hit.
    ///
    /// It shows ids, titles and headings, and words of the question: for people who tune, not for logs.
    pub fn explain(&self) -> String {
        let line = |(at, hit): (usize, &Hit)| {
            format!("{}. {:.4} {}: {}\n", at + 1, hit.score, hit.passage.place(), hit.why)
        };
        self.hits.iter().enumerate().map(line).collect()
    }
}

/// Finds passages by meaning and by words, and joins the two rankings.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::filter::Field;
/// use pumasi_core::model::HashingEmbedder;
/// use pumasi_rag::{Document, Ingest, MemoryStore, Question, Retriever, Space, Tenant};
/// use std::sync::Arc;
///
/// const LEVEL: Field<i64> = Field::new("level");
///
/// let embedder = Arc::new(HashingEmbedder::new());
/// let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
/// let easy = Document::new("easy", "초보자는 하프 마라톤을 12주 동안 준비합니다.").with_metadata("level", 1);
/// let hard = Document::new("hard", "선수는 하프 마라톤을 6주 동안 준비합니다.").with_metadata("level", 3);
/// Ingest::new(store.clone(), embedder.clone()).run([easy, hard]).await?;
///
/// let question = Question::new("하프 마라톤 준비는 얼마나?").with_filter(LEVEL.at_most(2));
/// let found = Retriever::new(store, embedder).retrieve(&question).await?;
/// assert_eq!(found.hits.len(), 1);
/// assert_eq!(found.hits[0].why.words, ["하프", "마라톤", "준비"]);
/// # Ok::<(), pumasi_rag::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Retriever {
    store: Arc<dyn Store>,
    embedder: Arc<dyn Embedder>,
    analyzer: Analyzer,
    mode: Mode,
    fusion: Fusion,
    depth: NonZeroUsize,
}

impl fmt::Debug for Retriever {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retriever")
            .field("store", &self.store)
            .field("embedder", &self.embedder.name())
            .field("mode", &self.mode)
            .field("fusion", &self.fusion)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// How deep the rankings are that are joined, unless set.
const DEPTH: NonZeroUsize = match NonZeroUsize::new(100) {
    Some(depth) => depth,
    None => NonZeroUsize::MIN,
};

impl Retriever {
    /// Makes a retriever of both rankings, each 100 deep, joined by [`Fusion::default`].
    pub fn new(store: Arc<dyn Store>, embedder: Arc<dyn Embedder>) -> Self {
        Self {
            store,
            embedder,
            analyzer: Analyzer::default(),
            mode: Mode::default(),
            fusion: Fusion::default(),
            depth: DEPTH,
        }
    }

    /// Sets what takes questions apart into terms: the same as [`Ingest`](crate::Ingest) had.
    #[must_use]
    pub fn with_analyzer(mut self, analyzer: Analyzer) -> Self {
        self.analyzer = analyzer;
        self
    }

    /// Sets which rankings are made.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets how the rankings are joined.
    #[must_use]
    pub fn with_fusion(mut self, fusion: Fusion) -> Self {
        self.fusion = fusion;
        self
    }

    /// Sets how many chunks each ranking has.
    #[must_use]
    pub fn with_depth(mut self, depth: NonZeroUsize) -> Self {
        self.depth = depth;
        self
    }

    /// Returns the store that is searched.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Makes the same retriever on another tenant's knowledge, or another store of the same space.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = store;
        self
    }

    /// Finds the passages that speak of a question, best first.
    ///
    /// A question without words, or knowledge without documents, finds nothing.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a filter or an embedder that does not fit the store; the embedder's and the store's errors.
    pub async fn retrieve(&self, question: &Question) -> Result<Retrieved> {
        Space::of(&self.embedder).check_held(self.store.space())?;
        let depth = self.depth.max(question.limit).get();
        let mut query = StoreQuery::new(depth).with_filter(question.filter.clone());
        let terms = SparseVector::counts(&question.text, &self.analyzer);
        if terms.is_empty() {
            return Ok(Retrieved { hits: Vec::new(), version: self.store.version().await? });
        }
        if self.mode != Mode::Lexical {
            query.embedding = self.embed(&question.text).await?;
        }
        // dense alone asks for terms too: what they weigh is told of each hit
        query.terms = terms;
        let found = self.store.search(&query).await?;
        let order = self.fuse(&found);
        let ids: Vec<ChunkId> = order.iter().take(question.limit.get()).map(|scored| scored.id).collect();
        let passages = self.store.get(&ids).await?;
        let scores: HashMap<ChunkId, f32> = order.iter().map(|scored| (scored.id, scored.score)).collect();
        let words = Words::of(&question.text, &self.analyzer, &query, &found);
        let dense = places(&found.dense);
        let lexical = places(&found.lexical);
        let hits = passages.into_iter().map(|passage| {
            let why = words.explain(&passage, &self.analyzer, &dense, &lexical);
            Hit { score: scores.get(&passage.id).copied().unwrap_or_default(), why, passage }
        });
        Ok(Retrieved { hits: hits.collect(), version: found.version })
    }

    async fn embed(&self, text: &str) -> Result<Vec<f32>> {
        let mut vectors = self.embedder.embed(&[text]).await?;
        checked(self.store.space(), &mut vectors, 1)?;
        Ok(vectors.pop().unwrap_or_default())
    }

    fn fuse(&self, found: &Found) -> Vec<Scored> {
        let ranking = |all: &[Scored]| all.iter().map(|scored| (scored.id, scored.score)).collect();
        let (dense, lexical) = match self.mode {
            Mode::Dense => return found.dense.clone(),
            Mode::Lexical => return found.lexical.clone(),
            Mode::Hybrid => (ranking(&found.dense), ranking(&found.lexical)),
        };
        let weight = self.fusion.dense_weight();
        let rankings = [Weighted::new(dense, weight), Weighted::new(lexical, 1.0 - weight)];
        let fused = match self.fusion {
            Fusion::Rrf { k, .. } => fuse_rrf(&rankings, k),
            Fusion::MinMax { .. } => fuse_min_max(&rankings),
        };
        fused.into_iter().map(|fused| Scored::new(fused.id, fused.score)).collect()
    }
}

/// Where each chunk stands in a ranking.
fn places(ranking: &[Scored]) -> HashMap<ChunkId, Place> {
    let place = |(at, scored): (usize, &Scored)| (scored.id, Place { rank: at + 1, score: scored.score });
    ranking.iter().enumerate().map(place).collect()
}

/// The words of a question with their weights.
struct Words {
    /// A term, as it stands in the index, once each; and its weight.
    terms: Vec<(u32, String, f32)>,
    total: f32,
}

impl Words {
    fn of(question: &str, analyzer: &Analyzer, query: &StoreQuery, found: &Found) -> Self {
        let weights: HashMap<u32, f32> =
            query.terms.iter().map(|(term, _)| *term).zip(found.term_weights.iter().copied()).collect();
        let mut seen = HashSet::new();
        let mut terms = Vec::new();
        analyzer.for_each(question, |token| {
            let term = term_id(token.text);
            let Some(weight) = weights.get(&term) else { return };
            if !seen.insert(term) {
                return;
            }
            // pieces of words count, and are not told of
            let shown = if token.kind == TokenKind::Bigram { String::new() } else { token.text.to_owned() };
            terms.push((term, shown, *weight));
        });
        Self { terms, total: weights.values().sum() }
    }

    fn explain(
        &self,
        passage: &Passage,
        analyzer: &Analyzer,
        dense: &HashMap<ChunkId, Place>,
        lexical: &HashMap<ChunkId, Place>,
    ) -> Explanation {
        let read = readable(&passage.place(), &passage.text);
        let held: HashSet<u32> =
            SparseVector::counts(&read, analyzer).into_iter().map(|(term, _)| term).collect();
        let there = || self.terms.iter().filter(|(term, ..)| held.contains(term));
        let weight: f32 = there().map(|(_, _, weight)| weight).sum();
        Explanation {
            dense: dense.get(&passage.id).copied(),
            lexical: lexical.get(&passage.id).copied(),
            coverage: if self.total > 0.0 { weight / self.total } else { 0.0 },
            words: there().map(|(_, word, _)| word.clone()).filter(|word| !word.is_empty()).collect(),
        }
    }
}
