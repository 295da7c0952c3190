//! What a chat model answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::request::{Message, ToolCall};

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// The answer reached the limit of tokens and is cut off.
    Length,
    /// The model called a tool.
    ToolCalls,
    /// A filter cut the answer.
    ContentFilter,
    /// Something the server calls by another name.
    Other(String),
}

/// The tokens a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub completion_tokens: u64,
    /// Tokens of the prompt that the server had cached.
    #[serde(default)]
    pub cached_tokens: u64,
}

impl Usage {
    /// Makes a usage record.
    pub const fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { prompt_tokens, completion_tokens, cached_tokens: 0 }
    }

    /// Adds prompt and answer.
    pub const fn total_tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
    }
}

/// A whole answer. `Debug` shows sizes, never the text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatResponse {
    /// What the model says.
    pub message: Message,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The tokens used, where the server reports them.
    pub usage: Option<Usage>,
    /// The model that answered, as the server names it.
    pub model: String,
}

impl ChatResponse {
    /// Makes an answer that ended by itself.
    pub fn new(content: impl Into<String>) -> Self {
        Self {
            message: Message::assistant(content),
            finish_reason: FinishReason::Stop,
            usage: None,
            model: String::new(),
        }
    }

    /// Sets the tokens used.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Sets why the answer ended.
    #[must_use]
    pub fn with_finish_reason(mut self, reason: FinishReason) -> Self {
        self.finish_reason = reason;
        self
    }

    /// Appends a chunk of a streamed answer; all chunks, joined, are the whole answer.
    pub fn push(&mut self, chunk: ChatChunk) {
        self.message.content.push_str(&chunk.content);
        self.message.tool_calls.extend(chunk.tool_calls);
        if let Some(reason) = chunk.finish_reason {
            self.finish_reason = reason;
        }
        self.usage = chunk.usage.or(self.usage);
    }

    /// Returns the text of the answer.
    pub fn text(&self) -> &str {
        &self.message.content
    }
}

impl fmt::Debug for ChatResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatResponse")
            .field("message", &self.message)
            .field("finish_reason", &self.finish_reason)
            .field("usage", &self.usage)
            .field("model", &self.model)
            .finish()
    }
}

/// A piece of an answer. `Debug` shows sizes, never the text.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatChunk {
    /// The next piece of text; may be empty.
    pub content: String,
    /// Tool calls that this chunk completes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why the answer ended, on the last chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// The tokens used, on the last chunk, where the server reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl ChatChunk {
    /// Makes a chunk of text.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }

    /// Makes the last chunk.
    pub fn end(reason: FinishReason, usage: Option<Usage>) -> Self {
        Self { finish_reason: Some(reason), usage, ..Self::default() }
    }
}

impl fmt::Debug for ChatChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatChunk")
            .field("content_bytes", &self.content.len())
            .field("tool_calls", &self.tool_calls.len())
            .field("finish_reason", &self.finish_reason)
            .field("usage", &self.usage)
            .finish()
    }
}
