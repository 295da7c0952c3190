//! Any server that speaks OpenAI's chat protocol.

mod answer;
mod config;
mod dialect;
mod embed;
mod failure;
mod observe;
mod own_words;
mod retry_after;
mod secrets;
mod sse;
mod stream;
mod tool_calls;
mod transport;
mod tries;
mod wire;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::Instrument;

pub use config::{ApiKey, OpenAiBuilder};
pub use dialect::Dialect;
pub use embed::OpenAiEmbedder;

use self::answer::Answer;
use self::observe::Observation;
use self::stream::Streaming;
use self::transport::Transport;
use self::tries::sum;
use self::wire::{Settings, chat_body};
use super::{ChatModel, ChatRequest, ChatResponse, ChatStream, ModelCapabilities, Usage};
use crate::resilience::RateReservation;
use crate::{Error, Result};

const OPERATION: &str = "chat completion";

/// A [`ChatModel`] served by OpenAI, Azure, vLLM, llama.cpp, Ollama, Gemini's compatible endpoint, or any server that speaks
/// the same protocol.
///
/// Made by one of the functions named after the servers, which return a [builder](OpenAiBuilder). Clones share connections,
/// rate limit and retry budget.
///
/// ```no_run
/// use std::time::Duration;
/// use pumasi_core::model::{ChatModel, ChatRequest, Message, OpenAiCompatible};
///
/// # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
/// let model = OpenAiCompatible::openai("gpt-4o-mini", std::env::var("OPENAI_API_KEY")?).build()?;
/// // or on this machine: OpenAiCompatible::ollama("qwen3:8b").build()?
///
/// let request = ChatRequest::new([Message::user("달리기를 시작하려면?")]).with_timeout(Duration::from_secs(30));
/// let answer = model.complete(request).await?;
/// assert!(!answer.text().is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # What failures become
///
/// | what happens | kind | retried |
/// |---|---|---|
/// | no connection; status 409, 5xx; a body or stream that breaks off, or where no length is told ends within its JSON | `Unavailable` | yes |
/// | status 429 | `RateLimited` | yes, not before the time that the server states, if it does |
/// | 429 that says more than a minute's allowance was asked for at once | `RateLimited` | no |
/// | 429 with `insufficient_quota`, 402 | `BudgetExhausted` | no |
/// | status 408, a server that stays silent | `Timeout` | yes |
/// | the whole call's time is over | `Timeout` | no time left |
/// | status 401, 403, Gemini's `API_KEY_INVALID` | `Unauthorized` | no |
/// | status 404: no such model or deployment | `NotFound` | no |
/// | status 400, 422 | `InvalidInput` | no |
/// | too many tokens, by code or by what the server says; 413 | `ContextTooLong` | no |
/// | a refusal; a content filter before the answer | `Refused` | no |
/// | a page, no JSON, not UTF-8, too many bytes, a redirect, no choice | `Protocol` | no |
/// | an error within an answer of status 200, or within a stream | as its code or type says, else `Unavailable` | before the first piece |
/// | the [rate limit](OpenAiBuilder::with_rate_limit) of this client | `Overloaded` | yes, when there is room |
///
/// An answer that a filter cut in the middle is an answer, with [`FinishReason::ContentFilter`](super::FinishReason), and so is
/// one that was over when its stream broke off: all that can be missing is its usage. The reasoning that some servers send
/// beside the answer is left out of it.
///
/// The usage of an answer or an error is that of all tries of the call, as far as the server told what those that failed used.
///
/// # Metrics
///
/// Through the `metrics` facade, of chats and embeddings alike; an exporter for Prometheus writes the dots as `_`. The labels of all
/// are `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model` and `server.address`.
///
/// | name | kind | further labels |
/// |---|---|---|
/// | `gen_ai.client.operation.duration` | histogram, seconds | `error.type`, the kind of the error if there was one |
/// | `gen_ai.client.operation.time_to_first_chunk` | histogram, seconds | |
/// | `gen_ai.client.token.usage` | counter | `gen_ai.token.type`: `input`, `output` |
/// | `pumasi_model_cost_microdollars_total` | counter, millionths of a dollar; only with a [price](OpenAiBuilder::with_price) | |
///
/// What the server does not tell the usage of, as of a stream that is dropped, is in none of the last two.
#[derive(Clone)]
pub struct OpenAiCompatible {
    model: String,
    capabilities: ModelCapabilities,
    parameters: Map<String, Value>,
    stream_usage: bool,
    transport: Arc<Transport>,
}

impl OpenAiCompatible {
    /// Configures a client of OpenAI.
    pub fn openai(model: impl Into<String>, key: impl Into<ApiKey>) -> OpenAiBuilder {
        OpenAiBuilder::new(Dialect::OpenAi, model.into()).with_api_key(key)
    }

    /// Configures a client of a deployment on Azure; `endpoint` is the resource's, `https://NAME.openai.azure.com`.
    pub fn azure(
        endpoint: impl Into<String>,
        deployment: impl Into<String>,
        key: impl Into<ApiKey>,
    ) -> OpenAiBuilder {
        OpenAiBuilder::new(Dialect::Azure, deployment.into()).with_base_url(endpoint).with_api_key(key)
    }

    /// Configures a client of Gemini's compatible endpoint.
    pub fn gemini(model: impl Into<String>, key: impl Into<ApiKey>) -> OpenAiBuilder {
        OpenAiBuilder::new(Dialect::Gemini, model.into()).with_api_key(key)
    }

    /// Configures a client of vLLM on this machine; elsewhere with [`with_base_url`](OpenAiBuilder::with_base_url).
    pub fn vllm(model: impl Into<String>) -> OpenAiBuilder {
        OpenAiBuilder::new(Dialect::Vllm, model.into())
    }

    /// Configures a client of llama.cpp's server on this machine, which serves one model whatever it is called.
    pub fn llama_cpp(model: impl Into<String>) -> OpenAiBuilder {
        OpenAiBuilder::new(Dialect::LlamaCpp, model.into())
    }

    /// Configures a client of Ollama on this machine.
    pub fn ollama(model: impl Into<String>) -> OpenAiBuilder {
        OpenAiBuilder::new(Dialect::Ollama, model.into())
    }

    /// Configures a client of any other server.
    pub fn at(base_url: impl Into<String>, model: impl Into<String>) -> OpenAiBuilder {
        OpenAiBuilder::new(Dialect::Generic, model.into()).with_base_url(base_url)
    }

    fn body(&self, request: &ChatRequest, stream: bool) -> Bytes {
        let settings = Settings {
            dialect: self.transport.dialect,
            model: &self.model,
            parameters: &self.parameters,
            stream_usage: self.stream_usage,
        };
        Bytes::from(chat_body(settings, request, stream).to_string())
    }

    async fn answer(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let body = self.body(request, false);
        let tokens = estimate(&body, request);
        let call = self.transport.call(OPERATION, &body);
        let attempt = || {
            let body = body.clone();
            async move {
                let reservation = self.transport.reserve(tokens).await?;
                let response = self.transport.send(call, body).await?;
                let value = self.transport.json(call, response).await;
                let answer = value.and_then(|value| Answer::whole(&value, call));
                let usage = answer.as_ref().map_or_else(Error::usage, |answer| answer.usage);
                settle(reservation, usage);
                answer
            }
        };
        let timeout = request.timeout.unwrap_or(self.transport.timeout);
        let (mut answer, spent) = self.transport.try_within(timeout, attempt).await?;
        answer.usage = answer.usage.and_then(|own| sum(Some(own), spent));
        Ok(answer)
    }

    async fn open(&self, request: &ChatRequest) -> Result<Open> {
        let body = self.body(request, true);
        let tokens = estimate(&body, request);
        let call = self.transport.call(OPERATION, &body);
        let timeout = request.timeout.unwrap_or(self.transport.timeout);
        let deadline = Instant::from_std(crate::time::after(Instant::now().into_std(), timeout));
        let attempt = || {
            let (body, transport) = (body.clone(), Arc::clone(&self.transport));
            async move {
                let reservation = transport.reserve(tokens).await?;
                let response = transport.send(call, body.clone()).await?;
                match Streaming::open(transport, OPERATION, body, response, deadline).await {
                    Ok(streaming) => Ok((streaming, reservation)),
                    Err(error) => {
                        settle(reservation, error.usage());
                        Err(error)
                    }
                }
            }
        };
        let ((streaming, reservation), spent) = self.transport.try_within(timeout, attempt).await?;
        Ok(Open { streaming, reservation, spent })
    }
}

/// A stream that has begun.
struct Open {
    streaming: Streaming,
    reservation: Option<RateReservation>,
    /// What the tries before it used.
    spent: Option<Usage>,
}

impl Open {
    /// Ends it: settles with the rate limit, and returns the usage of all tries, where the server told that of the last.
    fn end(self, usage: Option<Usage>) -> Option<Usage> {
        settle(self.reservation, usage);
        usage.and_then(|own| sum(Some(own), self.spent))
    }
}

/// Estimates the tokens of a request and of the longest answer allowed: a token for three bytes of JSON, which is more than
/// English and about what Korean takes.
fn estimate(body: &Bytes, request: &ChatRequest) -> u64 {
    let prompt = u64::try_from(body.len().div_ceil(3)).unwrap_or(u64::MAX);
    prompt.saturating_add(u64::from(request.max_tokens.unwrap_or(0)))
}

fn settle(reservation: Option<RateReservation>, usage: Option<Usage>) {
    if let (Some(reservation), Some(usage)) = (reservation, usage) {
        reservation.reconcile(usage.total_tokens());
    }
}

impl fmt::Debug for OpenAiCompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiCompatible")
            .field("model", &self.model)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ChatModel for OpenAiCompatible {
    fn name(&self) -> &str {
        &self.model
    }

    fn capabilities(&self) -> ModelCapabilities {
        self.capabilities
    }

    async fn complete(&self, request: ChatRequest) -> Result<ChatResponse> {
        let observation = Observation::begin("chat", &self.model, &self.transport);
        match self.answer(&request).instrument(observation.span()).await {
            Ok(answer) => {
                observation.succeed(Some(&answer.finish_reason), answer.usage);
                Ok(answer)
            }
            Err(error) => {
                observation.fail(&error);
                Err(error)
            }
        }
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let observation = Observation::begin("chat", &self.model, &self.transport);
        let open = match self.open(&request).instrument(observation.span()).await {
            Ok(open) => open,
            Err(error) => {
                observation.fail(&error);
                return Err(error);
            }
        };
        observation.first_chunk();
        Ok(Box::pin(unfold(Some((open, observation)), |state| async move {
            let (mut open, observation) = state?;
            let span = observation.span();
            match open.streaming.next().instrument(span).await? {
                Ok(mut chunk) if chunk.finish_reason.is_some() => {
                    chunk.usage = open.end(chunk.usage);
                    observation.succeed(chunk.finish_reason.as_ref(), chunk.usage);
                    Some((Ok(chunk), None))
                }
                Ok(chunk) => Some((Ok(chunk), Some((open, observation)))),
                Err(error) => {
                    let usage = error.usage().or(open.streaming.usage());
                    let error = error.with_known_usage(open.end(usage));
                    observation.fail(&error);
                    Some((Err(error), None))
                }
            }
        })))
    }
}
