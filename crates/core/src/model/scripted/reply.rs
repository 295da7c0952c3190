//! One answer by script.

use std::fmt;
use std::time::Duration;

use super::super::{ChatResponse, FinishReason, ToolCall, Usage};
use crate::{ErrorKind, Retry};

/// One answer of a [`ScriptedModel`](super::ScriptedModel): pieces of text, how long they take, and how they end.
///
/// `Debug` shows sizes, never the text.
///
/// ```
/// use std::time::Duration;
/// use pumasi_core::ErrorKind;
/// use pumasi_core::model::{Reply, Usage};
///
/// let slow = Reply::chunks(["{\"title\":", " \"달리기\"}"])
///     .with_usage(Usage::new(120, 9))
///     .with_delay(Duration::from_secs(3));
/// let cut = Reply::chunks(["{\"title\":", " \"달리"]).cut(ErrorKind::Unavailable);
/// # let _ = (slow, cut);
/// ```
#[derive(Clone)]
pub struct Reply {
    pub(super) chunks: Vec<String>,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) usage: Option<Usage>,
    pub(super) end: End,
    pub(super) delay: Duration,
    pub(super) chunk_delay: Duration,
}

#[derive(Clone)]
pub(super) enum End {
    Finish(FinishReason),
    Fail(ErrorKind, Option<Retry>),
    Never,
}

impl Reply {
    /// Answers `text`, in one piece.
    pub fn text(text: impl Into<String>) -> Self {
        Self::chunks([text])
    }

    /// Answers these pieces, one chunk each when streamed, joined when asked for the whole.
    pub fn chunks(chunks: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            chunks: chunks.into_iter().map(Into::into).collect(),
            tool_calls: Vec::new(),
            usage: None,
            end: End::Finish(FinishReason::Stop),
            delay: Duration::ZERO,
            chunk_delay: Duration::ZERO,
        }
    }

    /// Answers `text` in pieces of `characters` characters.
    pub fn in_pieces(text: &str, characters: std::num::NonZeroUsize) -> Self {
        let mut chunks = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.char_indices().nth(characters.get()).map_or(rest.len(), |(at, _)| at);
            let (piece, tail) = rest.split_at(end);
            chunks.push(piece);
            rest = tail;
        }
        Self::chunks(chunks)
    }

    /// Calls tools.
    pub fn tool_calls(calls: impl IntoIterator<Item = ToolCall>) -> Self {
        Self {
            tool_calls: calls.into_iter().collect(),
            end: End::Finish(FinishReason::ToolCalls),
            ..Self::chunks(Vec::<String>::new())
        }
    }

    /// Fails before any text, with an error of `kind` and its usual retry class.
    pub fn error(kind: ErrorKind) -> Self {
        Self { end: End::Fail(kind, None), ..Self::chunks(Vec::<String>::new()) }
    }

    /// Never answers: the call ends by its timeout or by being dropped.
    pub fn hang() -> Self {
        Self { end: End::Never, ..Self::chunks(Vec::<String>::new()) }
    }

    /// Breaks off with an error of `kind` after the pieces; asked for the whole, only the error is given.
    #[must_use]
    pub fn cut(mut self, kind: ErrorKind) -> Self {
        self.end = End::Fail(kind, None);
        self
    }

    /// Stalls for ever after the pieces.
    #[must_use]
    pub fn stall(mut self) -> Self {
        self.end = End::Never;
        self
    }

    /// Sets the retry class of the error; no effect on a reply that does not fail.
    #[must_use]
    pub fn with_retry(mut self, class: Retry) -> Self {
        if let End::Fail(_, retry) = &mut self.end {
            *retry = Some(class);
        }
        self
    }

    /// Sets the tokens used; a failing reply carries them in [`Error::usage`](crate::Error::usage).
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Sets why the answer ends; no effect on a reply that fails or hangs.
    #[must_use]
    pub fn with_finish_reason(mut self, reason: FinishReason) -> Self {
        if let End::Finish(finish) = &mut self.end {
            *finish = reason;
        }
        self
    }

    /// Sets how long the model is silent before the first piece, or the error.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets how long every further piece takes.
    #[must_use]
    pub fn with_chunk_delay(mut self, delay: Duration) -> Self {
        self.chunk_delay = delay;
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match &self.end {
            End::Finish(reason) => format!("{reason:?}"),
            End::Fail(kind, _) => kind.to_string(),
            End::Never => "never".to_owned(),
        };
        f.debug_struct("Reply")
            .field("chunks", &self.chunks.len())
            .field("bytes", &self.chunks.iter().map(String::len).sum::<usize>())
            .field("tool_calls", &self.tool_calls.len())
            .field("end", &end)
            .field("delay", &self.delay)
            .finish_non_exhaustive()
    }
}

impl From<ChatResponse> for Reply {
    fn from(response: ChatResponse) -> Self {
        Self {
            tool_calls: response.message.tool_calls,
            usage: response.usage,
            end: End::Finish(response.finish_reason),
            ..Self::text(response.message.content)
        }
    }
}
