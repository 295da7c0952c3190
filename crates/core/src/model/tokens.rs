//! Counting tokens before a request is sent.

use std::fmt;

use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

use super::{ChatRequest, Message, ModelCapabilities, ResponseFormat, Role, Tool};
use crate::{Error, ErrorKind, Result};

/// The most bytes given to the tokenizer at once.
///
/// Its pattern needs look-ahead and so a backtracking engine that gives up, by a panic, on long runs; its time for one run
/// grows faster than the run. Pieces of this size keep both away. Text is cut where a word begins after white space, which
/// never changes the count; only a run without such a place for this many bytes is cut inside, which can add a few tokens.
const PIECE_BYTES: usize = 8 * 1024;

/// How a family of models cuts text into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// `o200k_base`: gpt-4o, gpt-4.1, gpt-5 and the o-series.
    O200k,
    /// `cl100k_base`: gpt-4, gpt-3.5-turbo and the text-embedding-3 models.
    Cl100k,
}

/// Counts the tokens of texts and requests, as OpenAI's models do.
///
/// The first use of an [`Encoding`] builds its table (tens of milliseconds, once a process). Counting takes time linear in
/// the text, whatever is in it.
///
/// ```
/// use pumasi_core::model::{ChatRequest, Message, ModelCapabilities, TokenCounter};
///
/// let counter = TokenCounter::for_model("gpt-4o-mini");
/// assert_eq!(counter.count("hello world"), 2);
/// assert_eq!(counter.count("안녕하세요"), 2);
///
/// let request = ChatRequest::new([Message::user("긴 글 ".repeat(5_000))]);
/// let small = ModelCapabilities::TEXT.with_context_tokens(4_096);
/// assert!(counter.check_context(&request, &small).is_err());
/// ```
#[derive(Clone, Copy)]
pub struct TokenCounter {
    encoding: Encoding,
    exact: bool,
    bpe: &'static CoreBPE,
}

/// Windows of models that `tiktoken-rs` takes for others of a shorter or a longer name
/// (<https://platform.openai.com/docs/models>).
const WINDOWS: [(&str, u32); 5] = [
    ("gpt-4-turbo", 128_000),
    ("gpt-4-vision", 128_000),
    ("gpt-4-0125", 128_000),
    ("gpt-4-1106", 128_000),
    ("gpt-5-chat", 128_000),
];

impl TokenCounter {
    /// Makes a counter for an encoding.
    pub fn new(encoding: Encoding) -> Self {
        let bpe = match encoding {
            Encoding::O200k => tiktoken_rs::o200k_base_singleton(),
            Encoding::Cl100k => tiktoken_rs::cl100k_base_singleton(),
        };
        Self { encoding, exact: true, bpe }
    }

    /// Makes a counter for the model of this name.
    ///
    /// A model whose tokenizer is not OpenAI's (Llama, Qwen, Gemini …) is counted with [`Encoding::O200k`]: an estimate, as
    /// [`is_exact`](Self::is_exact) says. Leave a margin for it.
    pub fn for_model(model: &str) -> Self {
        match get_tokenizer(model) {
            Some(Tokenizer::O200kBase | Tokenizer::O200kHarmony) => Self::new(Encoding::O200k),
            Some(Tokenizer::Cl100kBase) => Self::new(Encoding::Cl100k),
            _ => Self { exact: false, ..Self::new(Encoding::O200k) },
        }
    }

    /// Tells how text is cut.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Tells whether texts are counted with the model's own tokenizer, rather than estimated with another.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Returns how many tokens the context window of an OpenAI model has, prompt and answer together; `None` for others.
    pub fn context_of(model: &str) -> Option<u32> {
        let known = WINDOWS.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, tokens)| *tokens);
        known.or_else(|| {
            tiktoken_rs::model::get_context_size(model).and_then(|tokens| u32::try_from(tokens).ok())
        })
    }

    /// Counts the tokens of a text. Names of special tokens in it count as the plain text they are sent as.
    pub fn count(&self, text: &str) -> usize {
        pieces(text).map(|piece| self.bpe.count_ordinary(piece)).sum()
    }

    /// Counts the prompt tokens of a request: messages with what surrounds them, tools, and the schema of the answer.
    ///
    /// Messages are counted as OpenAI's cookbook does: three tokens around each, and three before the answer. Servers write
    /// tools and schemas into the prompt in forms of their own; they are counted as compact JSON, which is rarely less.
    /// Source: <https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken>.
    pub fn count_request(&self, request: &ChatRequest) -> usize {
        let messages: usize = request.messages.iter().map(|message| self.count_message(message)).sum();
        let tools: usize = request.tools.iter().map(|tool| self.count_tool(tool)).sum();
        let format = match &request.response_format {
            ResponseFormat::JsonSchema { name, schema, .. } => {
                self.count(name) + self.count(&schema.to_string()) + AROUND_FORMAT
            }
            ResponseFormat::Text | ResponseFormat::JsonObject => 0,
        };
        messages + tools + format + BEFORE_ANSWER
    }

    /// Checks, before anything is sent, that a request and the answer it asks for fit the model's context window, and
    /// returns the prompt's tokens.
    ///
    /// Where the request names no `max_tokens`, room for at least one token must be left. Where the window's size is not
    /// known, everything fits.
    ///
    /// # Errors
    ///
    /// `ContextTooLong`, with the numbers.
    pub fn check_context(&self, request: &ChatRequest, capabilities: &ModelCapabilities) -> Result<usize> {
        let prompt = self.count_request(request);
        let Some(window) = capabilities.context_tokens else { return Ok(prompt) };
        let window = usize::try_from(window).unwrap_or(usize::MAX);
        let answer = usize::try_from(request.max_tokens.unwrap_or(1)).unwrap_or(usize::MAX);
        if prompt.saturating_add(answer) <= window {
            return Ok(prompt);
        }
        Err(Error::new(
            ErrorKind::ContextTooLong,
            format!(
                "a request of {prompt} tokens that asks for an answer of {answer} does not fit the model's context \
                 window of {window} tokens"
            ),
        ))
    }

    fn count_message(&self, message: &Message) -> usize {
        let calls: usize = message
            .tool_calls
            .iter()
            .map(|call| self.count(&call.name) + self.count(&call.arguments) + AROUND_CALL)
            .sum();
        let id = message.tool_call_id.as_deref().map_or(0, |id| self.count(id));
        AROUND_MESSAGE + self.count(role(message.role)) + self.count(&message.content) + calls + id
    }

    fn count_tool(&self, tool: &Tool) -> usize {
        self.count(&tool.name)
            + self.count(&tool.description)
            + self.count(&tool.parameters.to_string())
            + AROUND_TOOL
    }
}

const AROUND_MESSAGE: usize = 3;
const AROUND_CALL: usize = 3;
const AROUND_TOOL: usize = 8;
const AROUND_FORMAT: usize = 8;
const BEFORE_ANSWER: usize = 3;

const fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

impl fmt::Debug for TokenCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCounter")
            .field("encoding", &self.encoding)
            .field("exact", &self.exact)
            .finish_non_exhaustive()
    }
}

/// Cuts a text into pieces of at most [`PIECE_BYTES`].
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(cut(rest));
        rest = tail;
        Some(piece)
    })
}

/// Finds the last place within the limit where a space begins a word, or else the last character that fits.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE_BYTES {
        return text.len();
    }
    let window = text.split_at(text.floor_char_boundary(PIECE_BYTES)).0;
    let before_a_word = window.rmatch_indices(' ').find_map(|(at, _)| {
        let (before, from) = window.split_at(at);
        let joins = before.chars().next_back().is_some_and(|last| !last.is_whitespace());
        let begins = from.chars().nth(1).is_some_and(char::is_alphabetic);
        (joins && begins).then_some(at)
    });
    before_a_word.unwrap_or(window.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ToolCall, ToolChoice};

    #[test]
    fn counts_are_those_of_the_published_tokenizers() {
        // Examples of the cookbook page named at `count_request`.
        let new = TokenCounter::for_model("gpt-4o");
        let old = TokenCounter::for_model("gpt-4");
        assert_eq!(old.count("antidisestablishmentarianism"), 6);
        assert_eq!(new.count("antidisestablishmentarianism"), 6);
        assert_eq!(old.count("お誕生日おめでとう"), 9);
        assert_eq!(new.count("お誕生日おめでとう"), 8);
        assert_eq!(new.count("2 + 2 = 4"), 7);
        assert_eq!(new.count(""), 0);
    }

    #[test]
    fn a_conversation_counts_what_surrounds_its_messages() {
        let request = ChatRequest::new([
            Message::system(
                "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.",
            ),
            Message::user(
                "This late pivot means we don't have time to boil the ocean for the client deliverable.",
            ),
        ]);
        let content: usize = request
            .messages
            .iter()
            .map(|message| TokenCounter::for_model("gpt-4o").count(&message.content))
            .sum();
        // Three around each message, one for each role, three before the answer.
        assert_eq!(TokenCounter::for_model("gpt-4o").count_request(&request), content + 2 * 4 + 3);
    }

    #[test]
    fn an_unknown_model_is_an_estimate_and_says_so() {
        assert!(TokenCounter::for_model("gpt-4o-mini-2024-07-18").is_exact());
        assert_eq!(TokenCounter::for_model("text-embedding-3-small").encoding(), Encoding::Cl100k);
        let other = TokenCounter::for_model("qwen3:8b");
        assert_eq!((other.encoding(), other.is_exact()), (Encoding::O200k, false));
        assert_eq!(TokenCounter::context_of("gpt-4o-mini"), Some(128_000));
        assert_eq!(TokenCounter::context_of("qwen3:8b"), None);
        for turbo in ["gpt-4-turbo", "gpt-4-turbo-2024-04-09", "gpt-4-0125-preview", "gpt-4-vision-preview"] {
            assert_eq!(TokenCounter::context_of(turbo), Some(128_000), "{turbo}");
        }
        assert_eq!(TokenCounter::context_of("gpt-4"), Some(8_192));
    }

    #[test]
    fn cutting_at_words_does_not_change_the_count() {
        let counter = TokenCounter::new(Encoding::O200k);
        for words in [
            "오늘은 10km를 50분에 달렸어요. Keep going, 3,000 m left!\n\n  - 무릎이 아프면 쉬기\t",
            "The quick (brown) fox; it's 12:30 — \"run\"!  ",
        ] {
            let text = words.repeat(1_000);
            assert!(pieces(&text).count() > 5);
            assert_eq!(counter.count(&text), counter.bpe.count_ordinary(&text), "{words}");
            assert_eq!(pieces(&text).collect::<String>(), text);
        }
    }

    #[test]
    fn hostile_text_is_counted_without_a_panic() {
        let counter = TokenCounter::new(Encoding::O200k);
        for unit in [" ", "a", "가", "\n", "\u{301}", "🏃‍♀️", "!?", "\u{0}", " \n", "<|endoftext|>"]
        {
            let text = unit.repeat(100_000 / unit.len());
            assert!(counter.count(&text) > 0);
        }
    }

    #[test]
    fn tools_calls_and_schemas_count() {
        let counter = TokenCounter::new(Encoding::O200k);
        let plain = ChatRequest::new([Message::user("hi")]);
        let base = counter.count_request(&plain);
        let schema = serde_json::json!({"type": "object", "properties": {"title": {"type": "string"}}});
        let tool = Tool::new("save", "saves a task", schema.clone());
        assert!(counter.count_request(&plain.clone().with_tools([tool], ToolChoice::Auto)) > base + 10);
        let format = ResponseFormat::JsonSchema { name: "task".into(), schema, strict: true };
        assert!(counter.count_request(&plain.clone().with_response_format(format)) > base + 10);
        let mut called = plain;
        let call = ToolCall::new("call_1", "save", r#"{"title":"달리기"}"#);
        called.messages.first_mut().unwrap().tool_calls.push(call);
        assert!(counter.count_request(&called) > base + 5);
    }

    #[test]
    fn a_request_is_checked_together_with_the_answer_it_asks_for() {
        let counter = TokenCounter::new(Encoding::O200k);
        let request = ChatRequest::new([Message::user("hello")]);
        let prompt = counter.count_request(&request);
        let window =
            |tokens: usize| ModelCapabilities::TEXT.with_context_tokens(u32::try_from(tokens).unwrap());
        assert_eq!(counter.check_context(&request, &ModelCapabilities::TEXT).unwrap(), prompt);
        assert_eq!(counter.check_context(&request, &window(prompt + 1)).unwrap(), prompt);
        let error = counter.check_context(&request, &window(prompt)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ContextTooLong);
        assert!(!error.retry().is_retryable());
        let greedy = request.with_max_tokens(100);
        assert!(counter.check_context(&greedy, &window(prompt + 99)).is_err());
        assert!(counter.check_context(&greedy, &window(prompt + 100)).is_ok());
    }
}
