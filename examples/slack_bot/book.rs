//! The stand-in for a model: a committed list of answers, found by the words that a question shares with theirs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::stream;
use pumasi_core::model::{
    ChatChunk, ChatModel, ChatRequest, ChatResponse, ChatStream, FinishReason, ModelCapabilities, Role,
};
use pumasi_core::text::{Analyzer, Bm25Index, TokenKind};
use pumasi_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// The committed list.
const ANSWERS: &str = include_str!("answers.jsonl");

#[derive(Deserialize)]
struct Known {
    question: String,
    answer: String,
}

/// Answers what is in the list, and says of everything else that it is not.
pub(crate) struct AnswerBook {
    known: Vec<Known>,
    index: Bm25Index<usize>,
    analyzer: Analyzer,
    asked: AtomicU64,
}

impl AnswerBook {
    /// Names the stand-in, where a model's name would stand.
    pub(crate) const NAME: &str = "answer-book";

    pub(crate) fn new() -> Result<Self> {
        let known: Vec<Known> =
            ANSWERS.lines().map(serde_json::from_str).collect::<Result<_, _>>().map_err(|source| {
                Error::new(ErrorKind::InvalidInput, "the list of answers cannot be read").with_source(source)
            })?;
        let analyzer = Analyzer::default();
        let mut index = Bm25Index::new(analyzer.clone());
        for (place, known) in known.iter().enumerate() {
            index.add(place, &known.question);
        }
        Ok(Self { known, index, analyzer, asked: AtomicU64::new(0) })
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn terms(&self, text: &str) -> BTreeSet<String> {
        let tokens = self.analyzer.tokens(text).into_iter();
        tokens.filter(|token| token.kind != TokenKind::Stop).map(|token| token.text).collect()
    }

    fn answer(&self, question: &str) -> String {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let asked = self.terms(question);
        let best = self.index.search(question, 1).first().and_then(|hit| self.known.get(hit.id));
        let fits = best.filter(|known| {
            let shared = self.terms(&known.question).intersection(&asked).count();
            // Half of the terms, or it is another question.
            shared * 2 >= asked.len()
        });
        let is_korean = question.chars().any(|letter| ('가'..='힣').contains(&letter));
        match (fits, is_korean) {
            (Some(known), true) => {
                format!("{}\n_(모델 없이, 준비된 답변 목록에서 찾았습니다.)_", known.answer)
            }
            (Some(known), false) => {
                format!("{}\n_(Found in a list of prepared answers, without a model.)_", known.answer)
            }
            (None, true) => {
                "준비된 답변 목록에 없는 질문이고, 지금은 모델이 연결되어 있지 않습니다.".to_owned()
            }
            (None, false) => {
                "That is not in the list of prepared answers, and no model is connected now.".to_owned()
            }
        }
    }
}

impl std::fmt::Debug for AnswerBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBook").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ChatModel for AnswerBook {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn capabilities(&self) -> ModelCapabilities {
        ModelCapabilities::TEXT
    }

    async fn complete(&self, request: ChatRequest) -> Result<ChatResponse> {
        let question = request.messages.iter().rfind(|message| message.role == Role::User);
        Ok(ChatResponse::new(self.answer(question.map_or("", |message| &message.content))))
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let whole = self.complete(request).await?;
        let chunks = [Ok(ChatChunk::text(whole.text())), Ok(ChatChunk::end(FinishReason::Stop, None))];
        Ok(Box::pin(stream::iter(chunks)))
    }
}
