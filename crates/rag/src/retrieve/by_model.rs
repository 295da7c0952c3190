//! Passages in the order in which a language model finds that they answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::model::{ChatModel, ChatRequest, Message};

use super::Reranker;
use crate::answer::{Fence, Source, defused};
use crate::store::Passage;
use crate::{Error, ErrorKind, Result};

const RULES: &str = "You judge how well each passage answers a question: 0 where it says nothing of it, 10 where it answers it \
                     whole. Write a JSON array of numbers and nothing else: one number for each passage, in their order.";

/// How many tokens a score takes, with its comma.
const OF_A_SCORE: u32 = 6;

/// Has a language model score all passages for a question, in one call.
///
/// Passages stand fenced off as data under a key that is drawn for each call, and what could end a fence is taken out of them. A model
/// that answers anything else than one number from 0 to 10 for each passage is a `Protocol` error, which leaves the order as it was. What
/// the call takes is not part of an answer's usage.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use pumasi_core::model::{HashingEmbedder, Reply, ScriptedModel};
/// use pumasi_rag::retrieve::ModelReranker;
/// use pumasi_rag::{Document, Ingest, MemoryStore, Question, Retriever, Space, Tenant};
///
/// let embedder = Arc::new(HashingEmbedder::new());
/// let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
/// let knee = Document::new("knee", "무릎이 아프면 달리기를 쉽니다.");
/// let knees = Document::new("knees", "무릎이 아픈 사람이 많습니다.");
/// Ingest::new(store.clone(), embedder.clone()).run([knee, knees]).await?;
///
/// let retriever = Retriever::new(store, embedder);
/// let question = Question::new("무릎이 아프면 어떻게 하나요?");
/// let first = retriever.retrieve(&question).await?.hits[0].passage.document.id.clone();
/// // any `ChatModel`; this one prefers what was second
/// let model = Arc::new(ScriptedModel::always(Reply::text("[2, 9.5]")));
/// let found = retriever.with_reranker(ModelReranker::new(model)).retrieve(&question).await?;
/// assert_ne!(found.hits[0].passage.document.id, first);
/// # Ok::<(), pumasi_rag::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct ModelReranker {
    model: Arc<dyn ChatModel>,
    timeout: Duration,
}

impl ModelReranker {
    /// Has `model` score passages, within ten seconds.
    pub fn new(model: Arc<dyn ChatModel>) -> Self {
        Self { model, timeout: Duration::from_secs(10) }
    }

    /// Sets how long the model may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for ModelReranker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelReranker").field("model", &self.model.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Reranker for ModelReranker {
    fn name(&self) -> &str {
        self.model.name()
    }

    async fn rerank(&self, question: &str, passages: &[Passage]) -> Result<Vec<f32>> {
        if passages.is_empty() {
            return Ok(Vec::new());
        }
        let fence = Fence::new();
        let fenced = (1..).zip(passages).map(|(number, passage)| {
            let document = passage.document.id.as_str();
            fence.passage(&Source::new(number, document, passage.place(), passage.text.as_str()))
        });
        let asked = format!("{}\nThe question: {}", fenced.collect::<String>(), defused(question));
        let count = u32::try_from(passages.len()).unwrap_or(u32::MAX);
        let rules = format!("{RULES}\n{}", fence.are_data());
        let request = ChatRequest::new([Message::system(rules), Message::user(asked)])
            .with_max_tokens(count.saturating_mul(OF_A_SCORE).saturating_add(16))
            .with_temperature(0.0)
            .with_timeout(self.timeout);
        let answer = self.model.complete(request).await?;
        scores(answer.text(), passages.len()).ok_or_else(|| {
            let message = format!("{} did not answer a score for each of {count} passages", self.name());
            Error::new(ErrorKind::Protocol, message)
        })
    }
}

/// Reads the one array that an answer has, whatever stands around it.
fn scores(answer: &str, count: usize) -> Option<Vec<f32>> {
    let array = answer.get(answer.find('[')?..=answer.rfind(']')?)?;
    let scores: Vec<f32> = serde_json::from_str(array).ok()?;
    (scores.len() == count && scores.iter().all(|score| (0.0..=10.0).contains(score))).then_some(scores)
}

#[cfg(test)]
mod tests {
    use super::scores;

    #[test]
    fn only_a_score_for_each_passage_is_taken() {
        assert_eq!(scores("[1, 2.5, 10]", 3), Some(vec![1.0, 2.5, 10.0]));
        assert_eq!(scores("```json\n[0,3]\n```", 2), Some(vec![0.0, 3.0]));
        for answer in
            ["", "[1]", "[1,2,3]", "[1,11]", "[1,-1]", "[1,null]", "[1] and [2]", "][", "1, 2", "[1,\"2\"]"]
        {
            assert_eq!(scores(answer, 2), None, "{answer}");
        }
    }
}
