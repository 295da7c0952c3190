//! Language models and embedders, whoever serves them.
//!
//! [`ChatModel`] and [`Embedder`] are the seams. The library code of this SDK takes `Arc<dyn ChatModel>`; which server
//! stands behind it is the service's choice.
//!
//! Dropping the future or the stream of a call cancels it.

mod cassette;
mod chat;
mod cost;
mod embed;
mod hashing;
mod key;
#[cfg(feature = "openai")]
mod openai;
mod scripted;
#[cfg(feature = "tokens")]
mod tokens;

pub use cassette::{Cassette, RecordedEmbedder, RecordedModel};
pub use chat::{
    ChatChunk, ChatModel, ChatRequest, ChatResponse, ChatStream, FinishReason, Message, ModelCapabilities,
    ResponseFormat, Role, Tool, ToolCall, ToolChoice, Usage,
};
pub use cost::{Cost, CostTable, Price};
pub use embed::{Embedder, Embedding};
pub use hashing::HashingEmbedder;
#[cfg(feature = "openai")]
pub use openai::{ApiKey, Dialect, OpenAiBuilder, OpenAiCompatible, OpenAiEmbedder};
pub use scripted::{Reply, ScriptedModel};
#[cfg(feature = "tokens")]
pub use tokens::{Encoding, TokenCounter};
