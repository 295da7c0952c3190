//! The chat seam: what is asked, what is answered.

mod request;
mod response;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

pub use self::request::{ChatRequest, Message, ResponseFormat, Role, Tool, ToolCall, ToolChoice};
pub use self::response::{ChatChunk, ChatResponse, FinishReason, Usage};
use crate::Result;

/// The pieces of an answer as they arrive; dropping it cancels the call.
pub type ChatStream = Pin<Box<dyn Stream<Item = Result<ChatChunk>> + Send + 'static>>;

/// A language model that answers a conversation.
///
/// What every implementation guarantees:
///
/// 1. **Deadline.** A call ends within [`ChatRequest::timeout`], measured from the call to the last byte, with
///    [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
/// 2. **Cancellation.** Dropping the future or the stream stops the call; nothing goes on in the background.
/// 3. **One meaning.** A stream's chunks, joined, are the answer that `complete` would have given; its last chunk
///    carries the finish reason, and the usage where the server reports it.
/// 4. **Silence.** Neither the messages nor the answer nor a key reaches a log, an error or a `Debug`.
#[async_trait]
pub trait ChatModel: fmt::Debug + Send + Sync {
    /// Names the model as the server knows it, for metrics, caches and cost tables.
    fn name(&self) -> &str;

    /// Tells what the model can be asked for.
    fn capabilities(&self) -> ModelCapabilities;

    /// Answers the conversation in one piece.
    ///
    /// # Errors
    ///
    /// `Timeout`, `RateLimited`, `Unavailable`, `Overloaded` (retryable); `Unauthorized`, `NotFound` (no such model),
    /// `InvalidInput`, `Unsupported`, `ContextTooLong`, `Refused`, `BudgetExhausted` (the account's money is used up), `Protocol`
    /// (not retryable). Tokens that were used all the same are in [`Error::usage`](crate::Error::usage).
    async fn complete(&self, request: ChatRequest) -> Result<ChatResponse>;

    /// Answers the conversation piece by piece.
    ///
    /// # Errors
    ///
    /// As [`complete`](Self::complete); an error after the first chunk arrives as an item of the stream, which then ends.
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<M: ChatModel + ?Sized> ChatModel for $pointer {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn capabilities(&self) -> ModelCapabilities {
                (**self).capabilities()
            }

            async fn complete(&self, request: ChatRequest) -> Result<ChatResponse> {
                (**self).complete(request).await
            }

            async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
                (**self).stream(request).await
            }
        }
    )+};
}

forward!(&M, Box<M>, Arc<M>);

/// What a model can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelCapabilities {
    /// It accepts [`ResponseFormat::JsonSchema`].
    pub json_schema: bool,
    /// It accepts [`ResponseFormat::JsonObject`].
    pub json_object: bool,
    /// It accepts tools.
    pub tools: bool,
    /// How many tokens prompt and answer may have together, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
}

impl ModelCapabilities {
    /// A model that can only be asked for text.
    pub const TEXT: Self =
        Self { json_schema: false, json_object: false, tools: false, context_tokens: None };

    /// A model that can be asked for text, JSON by schema, and tool calls.
    pub const FULL: Self = Self { json_schema: true, json_object: true, tools: true, context_tokens: None };

    /// Sets the size of the context window, in tokens.
    #[must_use]
    pub const fn with_context_tokens(mut self, tokens: u32) -> Self {
        self.context_tokens = Some(tokens);
        self
    }
}
