//! Language models and embedders, whoever serves them.
//!
//! [`ChatModel`] and [`Embedder`] are the seams. The library code of this SDK takes `Arc<dyn ChatModel>`; which server
//! stands behind it is the service's choice.
//!
//! | what stands behind the seam | feature | for |
//! |---|---|---|
//! | `OpenAiCompatible`, `OpenAiEmbedder` | `openai` | OpenAI, Azure, vLLM, llama.cpp, Ollama, Gemini, and whoever speaks their protocol |
//! | [`ScriptedModel`] | | tests that say what is answered: texts, pieces, delays, errors, cuts |
//! | [`RecordedModel`], [`RecordedEmbedder`] | | tests on real answers, recorded once on a [`Cassette`] |
//! | `CachedEmbedder` | `runtime` | vectors that are paid for once, of any embedder, in any cache |
//! | [`HashingEmbedder`] | | embeddings by shared words, without a file or a network |
//!
//! # A call, from question to bill
//!
//! ```
//! use std::time::Duration;
//! use pumasi_core::ErrorKind;
//! use pumasi_core::model::{ChatModel, ChatRequest, CostTable, Message, Reply, ScriptedModel, Usage};
//!
//! # futures_util::FutureExt::now_or_never(async {
//! // Any `ChatModel`: this one fails once and then answers.
//! let model = ScriptedModel::new([
//!     Reply::error(ErrorKind::RateLimited),
//!     Reply::text("매일 20분씩 걷기").with_usage(Usage::new(120, 9)),
//! ])
//! .with_name("gpt-4o-mini");
//!
//! let request = ChatRequest::new([
//!     Message::system("Answer with one task."),
//!     Message::user("달리기를 시작하고 싶어요"),
//! ])
//! .with_timeout(Duration::from_secs(30));
//!
//! // Whoever calls decides by the error's class; `OpenAiCompatible` retries by itself.
//! let answer = match model.complete(request.clone()).await {
//!     Err(error) if error.retry().is_retryable() => model.complete(request).await?,
//!     other => other?,
//! };
//! assert_eq!(answer.text(), "매일 20분씩 걷기");
//!
//! // What it cost, where the price is known.
//! let usage = answer.usage.unwrap_or_default();
//! let cost = CostTable::published().cost(model.name(), &usage);
//! assert_eq!(cost.map(|cost| cost.to_string()).as_deref(), Some("$0.000024"));
//! # Ok::<(), pumasi_core::Error>(())
//! # }).unwrap()?;
//! # Ok::<(), pumasi_core::Error>(())
//! ```
//!
//! Before it is sent, a request can be counted and checked against the model's context window (`TokenCounter`, feature
//! `tokens`). [`ChatRequest::key`] names a request for caches. Dropping the future or the stream of a call cancels it.
//!
//! # What is told of calls
//!
//! `OpenAiCompatible` reports under the names of OpenTelemetry's conventions: the histograms
//! `gen_ai.client.operation.duration` and `gen_ai.client.operation.time_to_first_chunk` in seconds, the counter
//! `gen_ai.client.token.usage`, and a span `gen_ai` for each call, with operation, model, server and kind of error. Texts and
//! keys are in none of them.

#[cfg(feature = "runtime")]
mod cached;
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

#[cfg(feature = "runtime")]
pub use cached::CachedEmbedder;
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
