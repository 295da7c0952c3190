//! What is answered to a question, from which passages, and do they say so?
//!
//! An [`Assistant`] looks passages up, gives them to a model as data, and holds every sentence of the answer that cites one against it
//! while the answer is still being written. The answer is a stream of [`AnswerEvent`]s; dropping it stops everything.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use futures_util::StreamExt;
//! use pumasi_core::model::{HashingEmbedder, Reply, ScriptedModel};
//! use pumasi_rag::answer::{AnswerEvent, Ask, Assistant, Verdict};
//! use pumasi_rag::{Document, Ingest, MemoryStore, Retriever, Space, Tenant};
//!
//! let embedder = Arc::new(HashingEmbedder::new());
//! let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
//! let shoes = Document::new("shoes", "러닝화는 700 km를 달리면 바꿉니다.").with_title("신발 안내");
//! Ingest::new(store.clone(), embedder.clone()).run([shoes]).await?;
//!
//! // any `ChatModel`; this one is right once and wrong once
//! let model = ScriptedModel::always(Reply::text("러닝화는 700 km쯤에서 바꾸세요 [1]. 끈은 100 km마다 바꾸세요 [1]."));
//! let coach = Assistant::builder(Retriever::new(store, embedder))
//!     .persona("You are a former marathon runner who coaches a club.")
//!     .model(Arc::new(model))
//!     .build()?;
//!
//! let mut verdicts = Vec::new();
//! let mut answer = coach.ask(Ask::new("러닝화는 언제 바꾸나요?"));
//! while let Some(event) = answer.next().await {
//!     match event {
//!         AnswerEvent::Delta { text } => print!("{text}"),
//!         AnswerEvent::Citation(citation) => verdicts.push(citation.verdict.is_unsupported()),
//!         _ => {}
//!     }
//! }
//! assert_eq!(verdicts, [false, true]);
//! # Ok::<(), pumasi_rag::Error>(())
//! # }).unwrap();
//! ```
//!
//! What holds:
//!
//! 1. **Cancelled with its reader.** An [`AnswerStream`] runs nothing by itself; dropping it drops the search or the call of the model.
//! 2. **Data, not orders.** Passages stand between tags with a key that is drawn for each request; what could end a tag or begin a
//!    message of a chat template is taken out of them, of the question and of the conversation. What a model makes of that is the
//!    model's; that no passage can leave its fence is ours.
//! 3. **Never cut in a sentence.** Passages that do not fit the budget whole are given by whole sentences, or not at all.
//! 4. **No silent citation.** Marks of no source are left out; every sentence that cites has one [`Citation`] with a [`Verdict`].
//! 5. **No answer from nothing.** If nothing found is [relevant](Relevance), or the model finds no answer in the passages, the assistant
//!    says so in its own words. Where there is something relevant and no room for a sentence of it, that is an error
//!    (`ContextTooLong`), as is an answer that was cut off before its first word (`BudgetExhausted`, `Refused`).
//!
//! A verdict is a matter of words, numbers and negations ([`Grounding`]): it does not understand. What it is worth is measured on a
//! labelled set (`tests/it/grounding.rs`).
//!
//! # Metrics
//!
//! Through the `metrics` facade, beside those of [`retrieve`](crate::retrieve); counters are there, at zero, from the beginning on.
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `pumasi_rag_answers_total` | counter | `outcome`: `answered`, `extracted`, `not_found`, `cached`, `failed`, `cancelled` by its reader |
//! | `pumasi_rag_answer_seconds` | histogram, to the last word as its reader takes it | |
//! | `pumasi_rag_sentences_total` | counter | `verdict`: `supported`, `unsupported`, `uncited` |

mod ask;
mod budget;
mod builder;
mod cache;
mod check;
mod event;
mod extract;
mod follow_up;
mod language;
mod marks;
mod measure;
mod prompt;
mod relevance;
mod run;
mod sign;
mod stream;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::model::ChatModel;

pub use ask::Ask;
pub use budget::{Budget, ContextOrder};
pub use builder::AssistantBuilder;
pub use check::Grounding;
pub use event::{Answer, AnswerEvent, Citation, Doubt, Evidence, Failure, Outcome, Source, Summary, Verdict};
pub use follow_up::FollowUps;
pub use language::Language;
pub use relevance::Relevance;
pub use stream::AnswerStream;

use crate::Result;
use crate::chunk::CountTokens;
use crate::retrieve::{Question, Retriever};
use cache::Answers;
use language::Said;
use measure::Measure;
use prompt::Prompt;
pub(crate) use prompt::{Fence, defused};

/// Answers questions from the knowledge of a retriever.
///
/// Clones are the same assistant.
#[derive(Clone, Debug)]
pub struct Assistant {
    inner: Arc<Inner>,
}

struct Inner {
    retriever: Retriever,
    model: Option<Arc<dyn ChatModel>>,
    extract_when_unreachable: bool,
    persona: String,
    instructions: String,
    language: Language,
    budget: Budget,
    order: ContextOrder,
    relevance: Relevance,
    follow_ups: FollowUps,
    counter: Arc<dyn CountTokens>,
    answers: Option<Answers>,
    temperature: Option<f32>,
    call_timeout: Duration,
}

impl Assistant {
    /// Begins an assistant that answers from what `retriever` finds.
    pub fn builder(retriever: Retriever) -> AssistantBuilder {
        AssistantBuilder::new(retriever)
    }

    /// Answers a question, event by event.
    ///
    /// Nothing happens before the stream is polled. What goes wrong is the last event ([`AnswerEvent::Error`]).
    pub fn ask(&self, ask: Ask) -> AnswerStream {
        let inner = Arc::clone(&self.inner);
        AnswerStream::new(|ready| run::run(inner, ask, ready))
    }

    /// Gives an answer that is kept; `None` if there is none, and the question is to be [asked](Self::ask). Asks no model.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn recall(&self, ask: &Ask) -> Result<Option<AnswerStream>> {
        let said = self.inner.language.of(&ask.question.text);
        let Some((answers, key)) = run::kept_under(&self.inner, ask, said).await? else { return Ok(None) };
        let events = answers.get(&key).await;
        Ok(events.map(|events| {
            AnswerStream::new(|ready| async move {
                run::again(events, &ready, &mut Measure::begin()).await;
                Ok(())
            })
        }))
    }

    /// Answers a question in one piece.
    ///
    /// # Errors
    ///
    /// Those of the store, the embedder and the model, by their kinds.
    pub async fn answer(&self, ask: Ask) -> Result<Answer> {
        self.ask(ask).whole().await
    }

    /// Returns what finds the passages.
    pub fn retriever(&self) -> &Retriever {
        &self.inner.retriever
    }

    /// Names the model that writes the answers; `None` where they are extracted.
    pub fn model(&self) -> Option<&str> {
        self.inner.model.as_deref().map(ChatModel::name)
    }
}

impl Inner {
    /// Names the answer to a question of this assistant.
    fn key(&self, question: &Question, said: Said, version: u64) -> String {
        let store = self.retriever.store();
        let model = self.model.as_deref().map_or("", ChatModel::name);
        let filter = serde_json::to_string(&question.filter).unwrap_or_default();
        let settings = format!(
            "{filter} {} {:?} {:?} {:?} {:?} {}",
            question.limit,
            self.budget,
            self.order,
            self.relevance,
            self.temperature,
            self.counter.name()
        );
        let (identity, retrieval) = (store.identity(), self.retriever.settings());
        let parts = [
            identity.as_str(),
            store.tenant().as_str(),
            &retrieval,
            said.language,
            model,
            &self.persona,
            &self.instructions,
            &settings,
            store.space().embedder.as_str(),
        ];
        Answers::key(&question.text, &parts, version)
    }

    /// Tells how many tokens passages may have beside the rest of the request.
    fn room(&self, prompt: &Prompt<'_>) -> usize {
        let window = self.model.as_ref().and_then(|model| model.capabilities().context_tokens);
        let Some(window) = window.and_then(|tokens| usize::try_from(tokens).ok()) else { return usize::MAX };
        let answer = usize::try_from(self.budget.answer_tokens).unwrap_or(usize::MAX);
        window.saturating_sub(answer).saturating_sub(prompt.fixed_tokens(&self.counter))
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("retriever", &self.retriever)
            .field("model", &self.model.as_deref().map(ChatModel::name))
            .field("language", &self.language)
            .field("budget", &self.budget)
            .field("relevance", &self.relevance)
            .field("follow_ups", &self.follow_ups)
            .finish_non_exhaustive()
    }
}
