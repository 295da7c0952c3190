//! The stand-in for a model: committed answers to a few questions, as a model might write them, with what it gets wrong.

use async_trait::async_trait;
use futures_util::stream;
use pumasi_core::model::{
    ChatChunk, ChatModel, ChatRequest, ChatResponse, ChatStream, FinishReason, ModelCapabilities,
};
use pumasi_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::resume::Language;
use crate::writer::{EDIT, language_of};

const ANSWERS: &str = include_str!("answers.jsonl");

#[derive(Debug, Deserialize)]
#[serde(tag = "asked", rename_all = "snake_case")]
enum Known {
    Write { account: String, language: String, answer: String },
    Edit { instruction: String, answer: String },
}

/// Answers what is in the list; everything else it says it cannot.
#[derive(Debug)]
pub(crate) struct AnswerBook {
    known: Vec<Known>,
}

impl AnswerBook {
    /// Names the stand-in, where a model's name would stand.
    pub(crate) const NAME: &str = "answer-book";

    pub(crate) fn new() -> Result<Self> {
        let known = ANSWERS.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        let known = known.map_err(|source| {
            Error::new(ErrorKind::InvalidInput, "the list of answers cannot be read").with_source(source)
        })?;
        Ok(Self { known })
    }

    /// The instructions that it has answers to.
    pub(crate) fn instructions(&self) -> Vec<String> {
        let of = |known: &Known| match known {
            Known::Edit { instruction, .. } => Some(instruction.clone()),
            Known::Write { .. } => None,
        };
        self.known.iter().filter_map(of).collect()
    }

    fn answer(&self, request: &ChatRequest) -> Result<&str> {
        let says = |text: &str| request.messages.iter().any(|message| message.content.contains(text));
        let is_edit = says(EDIT);
        let fits = |known: &&Known| match known {
            Known::Write { account, language, .. } => {
                !is_edit && says(language_of(Language::of(language))) && says(account)
            }
            Known::Edit { instruction, .. } => is_edit && says(instruction),
        };
        let found = self.known.iter().find(fits).map(|known| match known {
            Known::Write { answer, .. } | Known::Edit { answer, .. } => answer.as_str(),
        });
        found.ok_or_else(|| {
            let message =
                "no language model is configured, and the list of prepared answers has none to this";
            Error::new(ErrorKind::Refused, message)
        })
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
        self.answer(&request).map(ChatResponse::new)
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let whole = self.complete(request).await?;
        let chunks = [Ok(ChatChunk::text(whole.text())), Ok(ChatChunk::end(FinishReason::Stop, None))];
        Ok(Box::pin(stream::iter(chunks)))
    }
}
