//! Which passages speak of a question, and why each.
//!
//! # Metrics
//!
//! Through the `metrics` facade; never a word of a question or a passage.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `pumasi_rag_retrievals_total` | counter | `outcome`: `relevant`, `irrelevant` (below the threshold), `nothing` (no passage at all), `failed` |
//! | `pumasi_rag_retrieval_seconds` | histogram | |
//! | `pumasi_rag_retrieved_passages_total` | counter | |
//! | `pumasi_rag_retrieval_notes_total` | counter: what could not be done for a question | `note`: `cannot_read`, `not_embedded`, `not_reranked`, `not_reworded` |

mod by_model;
#[cfg(feature = "local")]
mod cross_encoder;
mod explanation;
mod gate;
mod measure;
mod multi_query;
mod question;
mod rerank;
mod retrieved;
mod searched;
mod select;
mod threshold;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::{join, try_join, try_join_all};
use pumasi_core::model::{Embedder, Usage};
use pumasi_core::text::{Analyzer, SparseVector, Weighted, fuse_min_max, fuse_rrf};

use pumasi_core::time::{Clock, SystemClock};

pub use by_model::ModelReranker;
#[cfg(feature = "local")]
pub use cross_encoder::CrossEncoder;
pub use explanation::{Explanation, Place};
pub use gate::Gate;
pub use multi_query::{MultiQuery, Rewording};
pub use question::{Fusion, Mode, Question};
pub use rerank::Reranker;
pub use retrieved::{Hit, Note, Retrieved};
pub use select::{Decay, Distinct};
pub use threshold::{Evidence, Observation, Threshold};

use self::searched::{Searched, evidence, held, places};
use crate::chunk::ChunkId;
use crate::ingest::checked;
use crate::store::{Found, Passage, Scored, Space, Store, StoreQuery};
use crate::{Error, ErrorKind, Result, Retry};

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
    gate: Option<Gate>,
    threshold: Threshold,
    reranker: Option<Arc<dyn Reranker>>,
    multi_query: Option<MultiQuery>,
    decay: Option<Decay>,
    distinct: Distinct,
    diversity: f32,
    clock: Arc<dyn Clock>,
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

/// How often something is searched that is replaced meanwhile.
const ATTEMPTS: usize = 10;

/// What to ask the store, once the models have done their part.
struct Asked {
    query: StoreQuery,
    rewordings: Vec<Rewording>,
    /// The wordings that have terms.
    others: Vec<(String, StoreQuery)>,
    notes: Vec<Note>,
    usage: Option<Usage>,
}

fn not_reworded(error: Error) -> Note {
    tracing::warn!(kind = %error.kind(), "a question could not be reworded, and is searched as it is");
    Note::NotReworded(error)
}

fn replaced() -> Error {
    let why = "what was found was replaced before it could be read";
    Error::new(ErrorKind::Conflict, why).with_retry(Retry::Now)
}

impl Retriever {
    /// Makes a retriever of both rankings, each 100 deep, joined by [`Fusion::default`].
    pub fn new(store: Arc<dyn Store>, embedder: Arc<dyn Embedder>) -> Self {
        measure::show();
        Self {
            store,
            embedder,
            analyzer: Analyzer::default(),
            mode: Mode::default(),
            fusion: Fusion::default(),
            depth: DEPTH,
            gate: None,
            threshold: Threshold::default(),
            reranker: None,
            multi_query: None,
            decay: None,
            distinct: Distinct::default(),
            diversity: 0.0,
            clock: Arc::new(SystemClock),
        }
    }

    /// Goes by words alone for questions that the embedder cannot read.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Sets how much a result has to show to count as [relevant](Retrieved::relevant); everything that was found, unless set.
    #[must_use]
    pub fn with_threshold(mut self, threshold: Threshold) -> Self {
        self.threshold = threshold;
        self
    }

    /// Has the best candidates (four for each passage that is wanted, and at least 32) ordered by `reranker`.
    #[must_use]
    pub fn with_reranker(mut self, reranker: impl Reranker + 'static) -> Self {
        self.reranker = Some(Arc::new(reranker));
        self
    }

    /// Searches questions in other wordings, too.
    #[must_use]
    pub fn with_multi_query(mut self, multi_query: MultiQuery) -> Self {
        self.multi_query = Some(multi_query);
        self
    }

    /// Lets documents count less the longer ago they were last true.
    #[must_use]
    pub fn with_decay(mut self, decay: Decay) -> Self {
        self.decay = Some(decay);
        self
    }

    /// Sets of what a result has at most one passage; of each [section](Distinct::Sections), unless set.
    #[must_use]
    pub fn with_distinct(mut self, distinct: Distinct) -> Self {
        self.distinct = distinct;
        self
    }

    /// Prefers passages that are unlike those before them: 0 (not at all, the default) to 1 (whatever they say of the question).
    #[must_use]
    pub fn with_diversity(mut self, diversity: f32) -> Self {
        self.diversity = if diversity.is_finite() { diversity.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// Sets the clock that ages are measured by.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
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

    /// Names all that decides what is found beside the store and the question.
    pub(crate) fn settings(&self) -> String {
        let Self {
            analyzer,
            mode,
            fusion,
            depth,
            gate,
            threshold,
            decay,
            distinct,
            diversity,
            multi_query,
            ..
        } = self;
        let (embedder, reranker) = (self.embedder.name(), self.reranker.as_deref().map(Reranker::name));
        format!(
            "{embedder} {reranker:?} {analyzer:?} {mode:?} {fusion:?} {depth} {gate:?} {threshold:?} {decay:?} {distinct:?} {diversity} {multi_query:?}"
        )
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
    /// A question without words, or knowledge without documents, finds nothing. Where the embedder fails in a way that may pass, a
    /// hybrid search goes by words alone and [says so](Retrieved::notes).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a question of more than [`Question::MAX_TEXT_BYTES`] bytes, and for a filter or an embedder that does not fit
    /// the store; `Conflict`, which may be tried again at once, where all that was found was replaced before it could be read, again and
    /// again; the embedder's and the store's errors.
    pub async fn retrieve(&self, question: &Question) -> Result<Retrieved> {
        let began = self.clock.instant();
        let found = self.find_whole(question).await;
        measure::retrieval(&found, self.clock.instant().saturating_duration_since(began));
        found
    }

    /// Finds; anew, where some of it was replaced between the search and the reading. The models are asked once.
    async fn find_whole(&self, question: &Question) -> Result<Retrieved> {
        question.check()?;
        Space::of(&self.embedder).check_held(self.store.space())?;
        let query = self.query(question, &question.text);
        if query.terms.is_empty() {
            return Ok(Retrieved { version: self.store.version().await?, ..Retrieved::default() });
        }
        let asked = self.prepare(question, query).await?;
        for _ in 1..ATTEMPTS {
            match self.find(question, &asked, false).await {
                Err(error) if error.kind() == ErrorKind::Conflict => tokio::task::yield_now().await,
                found => return found,
            }
        }
        self.find(question, &asked, true).await
    }

    /// Has the embedder and the model do their part.
    async fn prepare(&self, question: &Question, mut query: StoreQuery) -> Result<Asked> {
        let mut notes = Vec::new();
        let embedding = async {
            if self.mode == Mode::Lexical {
                return Ok(Vec::new());
            }
            self.question_vector(&question.text, &mut notes).await
        };
        let reworded = async {
            match &self.multi_query {
                Some(model) => Ok(model.reword(&question.text).await),
                None => Ok((Ok(Vec::new()), None)),
            }
        };
        let (embedding, (reworded, usage)) = try_join(embedding, reworded).await?;
        query.embedding = embedding;
        let others = match reworded {
            Ok(wordings) => self.prepare_reworded(question, &wordings).await.map(|others| (wordings, others)),
            Err(error) => Err(error),
        };
        let (rewordings, others) = others.unwrap_or_else(|error| {
            notes.push(not_reworded(error));
            (Vec::new(), Vec::new())
        });
        Ok(Asked { query, rewordings, others, notes, usage })
    }

    /// See [`retrieve`](Self::retrieve); `Conflict` where something was replaced meanwhile, and this is not the last attempt or nothing
    /// is left.
    async fn find(&self, question: &Question, asked: &Asked, is_last: bool) -> Result<Retrieved> {
        let wanted = question.limit.get();
        let depth = self.depth_for(question);
        let own = self.search(&question.text, &asked.query);
        let others = try_join_all(asked.others.iter().map(|(text, query)| self.search(text, query)));
        let (own, others) = join(own, others).await;
        let own = own?;
        let mut result = Retrieved {
            rewordings: asked.rewordings.clone(),
            notes: asked.notes.clone(),
            usage: asked.usage,
            version: own.version,
            ..Retrieved::default()
        };
        let others = others.unwrap_or_else(|error| {
            result.notes.push(not_reworded(error));
            result.rewordings.clear();
            Vec::new()
        });
        let (order, reworded) = joined(&own, &others);
        let pool = wanted.saturating_mul(4).max(32).min(depth);
        let ids: Vec<ChunkId> = order.iter().take(pool.max(wanted)).map(|scored| scored.id).collect();
        let passages = self.store.get(&ids).await?;
        if passages.len() < ids.len() && (passages.is_empty() || !is_last) {
            return Err(replaced());
        }
        let scores: HashMap<ChunkId, f32> = order.iter().map(|scored| (scored.id, scored.score)).collect();
        let mut hits = Vec::with_capacity(passages.len());
        for passage in passages {
            let held = held(&passage, &self.analyzer);
            let why = own.explain(passage.id, &held);
            result.evidence.take(evidence(&why));
            for other in &others {
                result.evidence.take(evidence(&other.explain(passage.id, &held)));
            }
            let why = Explanation { reworded: reworded.get(&passage.id).copied(), ..why };
            hits.push(Hit { score: scores.get(&passage.id).copied().unwrap_or_default(), why, passage });
        }
        result.relevant = !hits.is_empty() && self.threshold.admits(result.evidence);
        if let Some(error) = self.rerank(&question.text, &mut hits).await {
            result.notes.push(Note::NotReranked(error));
        }
        if let Some(decay) = self.decay {
            let now = self.clock.now();
            for hit in &mut hits {
                hit.score *= decay.factor(hit.passage.document.updated_at, now);
            }
            hits.sort_by(best_first);
        }
        hits = select::distinct(hits, self.distinct);
        if self.diversity > 0.0 {
            hits = select::diversify(hits, self.diversity, wanted);
        }
        hits.truncate(wanted);
        result.hits = hits;
        Ok(result)
    }

    fn depth_for(&self, question: &Question) -> usize {
        self.depth.get().max(question.limit.get())
    }

    fn query(&self, question: &Question, text: &str) -> StoreQuery {
        let mut query = StoreQuery::new(self.depth_for(question)).with_filter(question.filter.clone());
        // dense alone asks for terms too: what they weigh is told of each hit
        query.terms = SparseVector::counts(text, &self.analyzer);
        query
    }

    async fn search(&self, text: &str, query: &StoreQuery) -> Result<Searched> {
        let found = self.store.search(query).await?;
        Ok(Searched::new(text, &self.analyzer, query, &found, self.fuse(&found)))
    }

    /// Returns what to ask the store for a question's other wordings.
    async fn prepare_reworded(
        &self,
        question: &Question,
        wordings: &[Rewording],
    ) -> Result<Vec<(String, StoreQuery)>> {
        let queries =
            wordings.iter().map(|wording| (wording.text.clone(), self.query(question, &wording.text)));
        let mut queries: Vec<(String, StoreQuery)> =
            queries.filter(|(_, query)| !query.terms.is_empty()).collect();
        if self.mode != Mode::Lexical {
            let can_read = |text: &str| self.gate.as_ref().is_none_or(|gate| gate.can_read(text));
            let readable: Vec<bool> = queries.iter().map(|(text, _)| can_read(text)).collect();
            let texts = queries.iter().zip(&readable).filter(|(_, readable)| **readable);
            let texts: Vec<&str> = texts.map(|((text, _), _)| text.as_str()).collect();
            let vectors = self.embed(&texts).await?;
            let read = queries.iter_mut().zip(&readable).filter(|(_, readable)| **readable);
            for (((_, query), _), vector) in read.zip(vectors) {
                query.embedding = vector;
            }
        }
        Ok(queries)
    }

    /// Embeds a question, where the embedder can read it; notes where it cannot.
    async fn question_vector(&self, text: &str, notes: &mut Vec<Note>) -> Result<Vec<f32>> {
        if self.gate.as_ref().is_some_and(|gate| !gate.can_read(text)) {
            notes.push(Note::CannotRead);
            return Ok(Vec::new());
        }
        match self.embed(&[text]).await.map(|vectors| vectors.into_iter().next().unwrap_or_default()) {
            Err(error) if self.mode == Mode::Hybrid && error.retry().is_retryable() => {
                tracing::warn!(kind = %error.kind(), "a question could not be embedded, and is answered by words alone");
                notes.push(Note::NotEmbedded(error));
                Ok(Vec::new())
            }
            embedded => embedded,
        }
    }

    /// Orders the hits by the reranker, if there is one; returns why it could not.
    async fn rerank(&self, question: &str, hits: &mut [Hit]) -> Option<Error> {
        let reranker = self.reranker.as_ref()?;
        let passages: Vec<Passage> = hits.iter().map(|hit| hit.passage.clone()).collect();
        let scores = match reranker.rerank(question, &passages).await {
            Ok(scores) => scores,
            Err(error) => return Some(error),
        };
        if scores.len() != hits.len() || scores.iter().any(|score| !score.is_finite()) {
            let (name, scores) = (reranker.name(), scores.len());
            let message =
                format!("{name} answered {scores} scores, or some not finite, for {} passages", hits.len());
            return Some(Error::new(ErrorKind::Protocol, message));
        }
        // decay multiplies scores, which a model may put below zero
        let low = scores.iter().copied().fold(0.0_f32, f32::min);
        for (hit, score) in hits.iter_mut().zip(scores) {
            hit.score = (score - low).min(f32::MAX);
        }
        hits.sort_by(best_first);
        None
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let mut vectors = self.embedder.embed(texts).await?;
        checked(self.store.space(), &mut vectors, texts.len())?;
        Ok(vectors)
    }

    fn fuse(&self, found: &Found) -> Vec<Scored> {
        // what is at a right angle to the question, or has no vector, is not near
        let near = found.dense.iter().filter(|scored| scored.score > 0.0).copied();
        let words_only = self.mode == Mode::Hybrid && found.dense.is_empty();
        if self.mode == Mode::Dense {
            return near.collect();
        }
        if self.mode == Mode::Lexical || words_only {
            return found.lexical.clone();
        }
        let dense = near.map(|scored| (scored.id, scored.score)).collect();
        let lexical = found.lexical.iter().map(|scored| (scored.id, scored.score)).collect();
        let weight = self.fusion.dense_weight();
        let rankings = [Weighted::new(dense, weight), Weighted::new(lexical, 1.0 - weight)];
        let fused = match self.fusion {
            Fusion::Rrf { k, .. } => fuse_rrf(&rankings, k),
            Fusion::MinMax { .. } => fuse_min_max(&rankings),
        };
        fused.into_iter().map(|fused| Scored::new(fused.id, fused.score)).collect()
    }
}

/// Joins what a question found in its own wording with what it found in others, and tells each chunk's best place in those. Its own
/// counts as much as all others together.
fn joined(own: &Searched, others: &[Searched]) -> (Vec<Scored>, HashMap<ChunkId, Place>) {
    if others.is_empty() {
        return (own.order.clone(), HashMap::new());
    }
    let ranking =
        |searched: &Searched| searched.order.iter().map(|scored| (scored.id, scored.score)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let share = 0.5 / others.len() as f32;
    let mut rankings = vec![Weighted::new(ranking(own), 0.5)];
    rankings.extend(others.iter().map(|other| Weighted::new(ranking(other), share)));
    let fused = fuse_rrf(&rankings, 60.0);
    let mut best: HashMap<ChunkId, Place> = HashMap::new();
    for (id, place) in others.iter().flat_map(|other| places(&other.order)) {
        let before = best.entry(id).or_insert(place);
        if place.rank < before.rank {
            *before = place;
        }
    }
    (fused.into_iter().map(|fused| Scored::new(fused.id, fused.score)).collect(), best)
}

fn best_first(a: &Hit, b: &Hit) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then_with(|| a.passage.id.cmp(&b.passage.id))
}
