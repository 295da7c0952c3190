//! The chat seam: what is asked, what is answered.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The service, setting the rules.
    System,
    /// The person, or the service on behalf of the person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// One message of a conversation. `Debug` shows its role and size, never its text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// The tools the assistant called in this message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a [`Role::Tool`] message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl Message {
    /// Makes a message of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }

    /// Makes a system message.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// Makes a user message.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// Makes an assistant message.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// Makes the message that answers the tool call `id`.
    pub fn tool(id: impl Into<String>, content: impl Into<String>) -> Self {
        Self { tool_call_id: Some(id.into()), ..Self::new(Role::Tool, content) }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("role", &self.role)
            .field("content_bytes", &self.content.len())
            .field("tool_calls", &self.tool_calls.len())
            .finish_non_exhaustive()
    }
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tool {
    /// The function's name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

impl Tool {
    /// Describes a function whose arguments follow the JSON Schema `parameters`.
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Self {
        Self { name: name.into(), description: description.into(), parameters }
    }
}

/// A call of a tool by the model. `Debug` shows its name and size, never its arguments.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// The identifier that the answer must carry.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON in intent, text in fact.
    pub arguments: String,
}

impl ToolCall {
    /// Makes a tool call.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: arguments.into() }
    }
}

impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCall")
            .field("name", &self.name)
            .field("arguments_bytes", &self.arguments.len())
            .finish_non_exhaustive()
    }
}

/// Whether the model may, must or must not call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool is called.
    None,
    /// Some tool is called.
    Required,
    /// The tool of this name is called.
    Named(String),
}

/// The form the answer is asked for in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Free text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// The schema's name: letters, digits, `_` and `-`.
        name: String,
        /// The JSON Schema.
        schema: Value,
        /// Whether the server must enforce it.
        strict: bool,
    },
}

/// What a model is asked. `Debug` shows sizes and settings, never texts.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::model::{ChatRequest, Message};
///
/// let request = ChatRequest::new([Message::system("Answer in one word."), Message::user("수도는?")])
///     .with_temperature(0.0)
///     .with_max_tokens(16)
///     .with_timeout(Duration::from_secs(20));
/// assert_eq!(request.messages.len(), 2);
/// assert!(!format!("{request:?}").contains("수도"));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The conversation so far, oldest first.
    pub messages: Vec<Message>,
    /// The functions the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether it may, must or must not call one.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// The form of the answer.
    #[serde(default)]
    pub response_format: ResponseFormat,
    /// The most tokens the answer may have; the server's default if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The sampling temperature; the server's default if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// The sampling seed, where the server honours one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Texts at which the answer ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<Cow<'static, str>>,
    /// How long the whole call may take, retries included; the client's default if `None`.
    #[serde(default, skip)]
    pub timeout: Option<Duration>,
}

impl ChatRequest {
    /// Asks for a text answer to `messages`.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self {
            messages: messages.into_iter().collect(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            response_format: ResponseFormat::Text,
            max_tokens: None,
            temperature: None,
            seed: None,
            stop: Vec::new(),
            timeout: None,
        }
    }

    /// Sets the form of the answer.
    #[must_use]
    pub fn with_response_format(mut self, format: ResponseFormat) -> Self {
        self.response_format = format;
        self
    }

    /// Offers `tools` to the model.
    #[must_use]
    pub fn with_tools(mut self, tools: impl IntoIterator<Item = Tool>, choice: ToolChoice) -> Self {
        self.tools = tools.into_iter().collect();
        self.tool_choice = choice;
        self
    }

    /// Sets the most tokens the answer may have.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// Sets the sampling temperature.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the sampling seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the texts at which the answer ends.
    #[must_use]
    pub fn with_stop(mut self, stop: impl IntoIterator<Item = impl Into<Cow<'static, str>>>) -> Self {
        self.stop = stop.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long the whole call may take, retries included.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatRequest")
            .field("messages", &self.messages)
            .field("tools", &self.tools.len())
            .field("max_tokens", &self.max_tokens)
            .field("temperature", &self.temperature)
            .field("seed", &self.seed)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

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
