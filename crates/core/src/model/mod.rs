//! Language models and embedders, whoever serves them.
//!
//! [`ChatModel`] and [`Embedder`] are the seams. The library code of this SDK takes `Arc<dyn ChatModel>`; which server
//! stands behind it is the service's choice.
//!
//! Dropping the future or the stream of a call cancels it.

mod cassette;
mod chat;
mod embed;
mod key;
mod scripted;

pub use cassette::{Cassette, RecordedEmbedder, RecordedModel};
pub use chat::{
    ChatChunk, ChatModel, ChatRequest, ChatResponse, ChatStream, FinishReason, Message, ModelCapabilities,
    ResponseFormat, Role, Tool, ToolCall, ToolChoice, Usage,
};
pub use embed::{Embedder, Embedding};
pub use scripted::{Reply, ScriptedModel};
